//! Whether a pull request may ask the stores: only as somebody who can do no more than plan.
//!
//! What the workflow of a pull request may obtain, whoever can write to the repository may obtain:
//! they edit the workflow. So the roles decide, not what this program would do with them.

use super::Job;
use super::inputs::PlanMode;
use super::sync::Kind;
use crate::cli::session::missing;
use crate::connect::federation::Federation;
use crate::connect::lacks;
use crate::diagnostic::Diagnostic;
use crate::manifest::{Manifest, ProviderBlock, ProviderKind};
use crate::oidc::{self, Phase};

impl Kind {
    /// As whom the stores are asked.
    pub(super) const fn phase(self) -> Phase {
        match self {
            Self::Sync => Phase::Sync,
            Self::Rotate => Phase::Rotate,
        }
    }
}

impl Job<'_> {
    /// Why the stores of this Secretfile may not be asked; `base` are the provider blocks in force.
    pub(super) fn no_identity(
        &self,
        phase: Phase,
        base: Option<&Vec<ProviderBlock>>,
        head: &Manifest,
    ) -> Option<String> {
        if phase != Phase::Plan {
            return None;
        }
        let federation = Federation::read(&self.session.environment, phase);
        let used = used(base.unwrap_or(&head.providers), head);
        let named = |blocks: &[&ProviderBlock]| {
            let names: Vec<String> = blocks.iter().map(|block| format!("`{}`", block.alias.value)).collect();
            names.join(", ")
        };
        let sync_only: Vec<&ProviderBlock> =
            used.iter().copied().filter(|block| federation.is_sync_only(block)).collect();
        if !sync_only.is_empty() {
            return Some(format!(
                "There is one role only for {}, and it may write. Give pull requests a role of their own that can read \
                 metadata only: {}.",
                named(&sync_only),
                inputs(&sync_only),
            ));
        }
        if self.inputs.plan_mode == PlanMode::Online {
            return None;
        }
        let lacking: Vec<&ProviderBlock> = used.iter().copied().filter(|block| !federation.has_plan(block)).collect();
        if lacking.len() < used.len() && !lacking.is_empty() {
            return Some(format!(
                "{} has no role for pull requests ({}), so no store was asked.",
                named(&lacking),
                inputs(&lacking),
            ));
        }
        if !lacking.is_empty() {
            return Some(
                "This job's credentials may be more than a plan needs. Give pull requests a role of their own that can \
                 read metadata only, or such credentials, and say so with `plan_mode: online`."
                    .to_owned(),
            );
        }
        // Dependabot's pull requests have no token either.
        let lacks = oidc::lacks(&self.session.environment).filter(|_| !used.is_empty());
        lacks.map(|why| format!("No store was asked: {why}."))
    }

    /// The settings that a sync cannot do without and that have no value; what the job's own token
    /// stands in for need not be set.
    pub(super) fn lacking(&self, manifest: &Manifest) -> Vec<Diagnostic> {
        let federation = Federation::read(&self.session.environment, Phase::Sync);
        manifest.providers.iter().flat_map(|block| lacks(block, &federation)).map(missing).collect()
    }
}

/// The blocks that targets of the change lead to and that somebody must log in to.
fn used<'b>(blocks: &'b [ProviderBlock], head: &Manifest) -> Vec<&'b ProviderBlock> {
    let leads_to = |at: usize| head.secrets.iter().flat_map(|secret| &secret.targets).any(|to| to.provider == at);
    let remote = |block: &ProviderBlock| block.kind != ProviderKind::Local;
    blocks.iter().enumerate().filter(|(at, block)| remote(block) && leads_to(*at)).map(|(_, block)| block).collect()
}

/// The input that names who plans at a kind of store.
pub(in crate::cli) const fn plan_input(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Local => "",
        ProviderKind::Aws => "`aws_plan_role`",
        ProviderKind::Azure => "`azure_plan_client_id`",
        ProviderKind::Gcp => "`gcp_plan_service_account`",
        ProviderKind::Vault => "`vault_plan_role`",
    }
}

/// What to set for them.
fn inputs(blocks: &[&ProviderBlock]) -> String {
    let mut names: Vec<&str> = blocks.iter().map(|block| plan_input(block.kind)).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}
