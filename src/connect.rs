//! From a provider block to a store that can be asked; nothing is called yet.

use std::path::Path;
use std::sync::Arc;

use crate::clock::Entropy;
use crate::diagnostic::Spanned;
use crate::disk::Disk;
use crate::hosts::Hosts;
use crate::limiter::{RateLimit, RetryPolicy};
use crate::manifest::{Manifest, ProviderBlock, ProviderKind};
use crate::plan::Stores;
use crate::provider::Provider;
use crate::provider::local::LocalProvider;
use crate::provider::unset::Unset;

/// What a provider block lacks before anybody can log in with it: a sentence for each setting whose
/// environment variable is not set, with the place of the setting.
#[must_use]
pub fn lacks(block: &ProviderBlock) -> Vec<Spanned<String>> {
    let lack = |(setting, variable): (&String, &Spanned<String>)| {
        let (name, alias) = (&variable.value, &block.alias.value);
        let sentence =
            format!("the variable `{name}` has no value, and `{setting}` of the provider `{alias}` needs it");
        Spanned::new(sentence, variable.span)
    };
    block.unresolved.iter().map(lack).collect()
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
    /// How calls are repeated.
    pub retry: RetryPolicy,
    /// How calls are paced.
    pub rate_limit: RateLimit,
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
        Some(match lacks(block).first() {
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
            ProviderKind::Aws => self.aws(block),
            ProviderKind::Azure | ProviderKind::Vault | ProviderKind::Gcp => None,
        }
    }

    #[cfg(feature = "aws")]
    fn aws(&self, block: &ProviderBlock) -> Option<Arc<dyn Provider>> {
        use crate::provider::aws::{AuthKind, AwsProvider, AwsSettings};
        let text = |name: &str| block.setting(name).map(str::to_owned);
        let secret = |name: &str| block.config.get(name).map(|value| value.value.clone());
        let settings = AwsSettings {
            auth_kind: match block.auth_kind.as_str() {
                "profile" => AuthKind::Profile,
                "assume_role" => AuthKind::AssumeRole,
                "static" => AuthKind::Static,
                _ => AuthKind::Ambient,
            },
            region: text("region"),
            profile: text("profile"),
            role_arn: text("role_arn"),
            external_id: text("external_id"),
            session_name: text("session_name"),
            access_key_id: secret("access_key_id"),
            secret_access_key: secret("secret_access_key"),
            session_token: secret("session_token"),
            endpoint_url: text("endpoint_url"),
            hosts: self.hosts.clone(),
        };
        Some(Arc::new(AwsProvider::new(settings, self.retry, self.rate_limit)))
    }

    #[cfg(not(feature = "aws"))]
    #[expect(clippy::unused_self, reason = "the signature is the one of the build with AWS")]
    fn aws(&self, _: &ProviderBlock) -> Option<Arc<dyn Provider>> {
        None
    }
}
