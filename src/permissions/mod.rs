//! The least rights that a Secretfile needs, as each cloud writes them down.
//!
//! A pure function of the manifest: for each place its name, for each phase the calls that the
//! providers really make. The plan's rights read no value and write nothing. A right that only saves
//! requests is among them where it opens nothing that the others do not; else a note names it.

mod aws;
mod azure;
mod google;
mod vault;

use crate::diagnostic::Diagnostic;
use crate::manifest::{Manifest, ProviderBlock, ProviderKind, Target};
use crate::target::TargetSettings;
use crate::trust::{Cloud, Generated, Phase};

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// AWS: the account's number, where no role of the Secretfile tells it.
    pub aws: Option<String>,
    /// AWS: the region of provider blocks that name none.
    pub aws_region: Option<String>,
    /// Azure: the id of the subscription.
    pub azure_subscription: Option<String>,
    /// Azure: the resource group of the vaults.
    pub azure_group: Option<String>,
    /// Google: the number of the project; names in conditions bear it.
    pub gcp_number: Option<String>,
}

/// The rights of one phase in one cloud; `None` if the Secretfile has no target there.
#[must_use]
pub fn permissions(manifest: &Manifest, cloud: Cloud, phase: Phase, account: &Account) -> Option<Generated> {
    let uses = uses(manifest, cloud);
    if uses.is_empty() {
        return None;
    }
    Some(match cloud {
        Cloud::Aws => aws::permissions(&uses, phase, account),
        Cloud::Azure => azure::permissions(&uses, phase, account),
        Cloud::Gcp => google::permissions(&uses, phase, account),
        Cloud::Vault => vault::permissions(&uses, phase),
    })
}

/// What no rights of a cloud can name exactly, so that they would open more than the Secretfile holds.
#[must_use]
pub fn refused(manifest: &Manifest, cloud: Cloud) -> Vec<Diagnostic> {
    if cloud == Cloud::Vault { vault::refused(manifest) } else { Vec::new() }
}

/// A target with the block it is reached through.
struct Use<'m> {
    block: &'m ProviderBlock,
    settings: &'m TargetSettings,
    /// Only looked at, in either phase: another target's copy.
    is_copy: bool,
}

fn uses(manifest: &Manifest, cloud: Cloud) -> Vec<Use<'_>> {
    let kind = match cloud {
        Cloud::Aws => ProviderKind::Aws,
        Cloud::Azure => ProviderKind::Azure,
        Cloud::Gcp => ProviderKind::Gcp,
        Cloud::Vault => ProviderKind::Vault,
    };
    let targets = manifest.secrets.iter().flat_map(|secret| &secret.targets);
    let with_block = |target: &'_ Target| manifest.providers.get(target.provider).filter(|block| block.kind == kind);
    targets
        .filter_map(|target| {
            let block = with_block(target)?;
            Some(Use { block, settings: &target.settings, is_copy: target.replica_of.is_some() })
        })
        .collect()
}

/// A name for a file about one of several: `aws-plan.json`, or `aws-plan-2.json` for the second.
fn file_name(stem: &str, index: usize, extension: &str) -> String {
    if index == 0 { format!("{stem}.{extension}") } else { format!("{stem}-{}.{extension}", index + 1) }
}

/// What the texts are for, where there are several.
fn aliases(blocks: &[&ProviderBlock]) -> String {
    let mut names: Vec<&str> = blocks.iter().map(|block| block.alias.value.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}
