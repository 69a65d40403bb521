//! From a provider block to a store that can be asked; nothing is called yet.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
pub mod federation;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(feature = "vault")]
mod vault;

use std::path::Path;
use std::sync::Arc;

use crate::clock::{Clock, Entropy};
use crate::diagnostic::Spanned;
use crate::disk::Disk;
use crate::environment::Environment;
use crate::hosts::Hosts;
use crate::limiter::Limiter;
use crate::manifest::{Manifest, ProviderBlock, ProviderKind};
use crate::oidc::{Denials, Mask, TokenSource};
use crate::plan::Stores;
use crate::provider::Provider;
use crate::provider::local::LocalProvider;
use crate::provider::unset::Unset;
use crate::secret::SecretValue;
use federation::Federation;

/// What a provider block lacks before anybody can log in with it: a sentence for each setting whose
/// environment variable is not set, with the place of the setting. What the run logs in with instead
/// is not missing.
#[must_use]
pub fn lacks(block: &ProviderBlock, federation: &Federation) -> Vec<Spanned<String>> {
    let lack = |(setting, variable): (&String, &Spanned<String>)| {
        let (name, alias) = (&variable.value, &block.alias.value);
        let sentence =
            format!("the variable `{name}` has no value, and `{setting}` of the provider `{alias}` needs it");
        Spanned::new(sentence, variable.span)
    };
    block.unresolved.iter().filter(|(setting, _)| !federation.spares(block, setting)).map(lack).collect()
}

/// What connecting needs beside the block.
pub struct Connect<'a> {
    /// The folder of the Secretfile, which local paths count from.
    pub folder: &'a Path,
    /// The machine's files.
    pub disk: &'a Arc<dyn Disk>,
    /// Random bytes.
    pub entropy: &'a Arc<dyn Entropy>,
    /// Where credentials may go beside their clouds' own hosts.
    pub hosts: Hosts,
    /// The variables of the run, for logins that read them.
    pub environment: &'a Environment,
    /// Paces and repeats the calls of all stores of the run.
    pub limiter: Arc<Limiter>,
    /// The present moment, for credentials that expire.
    pub clock: &'a Arc<dyn Clock>,
    /// Who vouches for this run where a cloud trusts its tokens.
    pub tokens: Option<Arc<dyn TokenSource>>,
    /// Which identity the run takes at each cloud.
    pub federation: Federation,
    /// Refused exchanges, explained at the end of the run.
    pub denials: Arc<Denials>,
    /// Hides credentials in the log of a job.
    pub mask: Mask,
    /// Why no remote store may be asked, if none may: each then answers every call with it.
    pub withheld: Option<&'static str>,
}

impl Connect<'_> {
    /// One store for each provider block; `None` for a kind that is not built yet.
    #[must_use]
    pub fn all(&self, manifest: &Manifest) -> Stores {
        manifest.providers.iter().map(|block| self.one(block)).collect()
    }

    /// The store of one block.
    #[must_use]
    pub fn one(&self, block: &ProviderBlock) -> Option<Arc<dyn Provider>> {
        let store = self.complete(block)?;
        if let Some(why) = self.withheld.filter(|_| block.kind != ProviderKind::Local) {
            return Some(Arc::new(Unset::new(store, format!("the provider `{}` is {why}", block.alias.value))));
        }
        Some(match lacks(block, &self.federation).first() {
            Some(lack) => Arc::new(Unset::new(store, format!("{} (line {})", lack.value, lack.span.line))),
            None => store,
        })
    }

    fn complete(&self, block: &ProviderBlock) -> Option<Arc<dyn Provider>> {
        match block.kind {
            ProviderKind::Local => {
                let (disk, entropy) = (Arc::clone(self.disk), Arc::clone(self.entropy));
                Some(Arc::new(LocalProvider::new(self.folder.to_path_buf(), disk, entropy)))
            }
            #[cfg(feature = "aws")]
            ProviderKind::Aws => Some(aws::connect(self, block)),
            #[cfg(feature = "azure")]
            ProviderKind::Azure => azure::connect(self, block),
            #[cfg(feature = "gcp")]
            ProviderKind::Gcp => gcp::connect(self, block),
            #[cfg(feature = "vault")]
            ProviderKind::Vault => vault::connect(self, block),
            #[cfg(not(all(feature = "aws", feature = "azure", feature = "gcp", feature = "vault")))]
            _ => None,
        }
    }
}

/// How the files of this folder read a block.
trait Settings {
    /// A setting that is no credential.
    fn text(&self, name: &str) -> Option<String>;
    /// A setting that may be one.
    fn secret(&self, name: &str) -> Option<SecretValue>;
}

impl Settings for ProviderBlock {
    fn text(&self, name: &str) -> Option<String> {
        self.setting(name).map(str::to_owned)
    }

    fn secret(&self, name: &str) -> Option<SecretValue> {
        self.config.get(name).map(|value| value.value.clone())
    }
}
