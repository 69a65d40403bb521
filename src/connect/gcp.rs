//! A block of kind `gcp`.

use std::sync::Arc;

use super::{Connect, Settings as _};
use crate::clock::SystemClock;
use crate::manifest::ProviderBlock;
use crate::provider::Provider;
use crate::provider::gcp::{AuthKind, GcpProvider, GcpSettings, GcpShared};

pub(super) fn connect(with: &Connect<'_>, block: &ProviderBlock) -> Option<Arc<dyn Provider>> {
    let settings = GcpSettings {
        auth_kind: match block.auth_kind.as_str() {
            "credentials_file" => AuthKind::CredentialsFile,
            "impersonation" => AuthKind::Impersonation,
            "oidc" => AuthKind::Oidc,
            _ => AuthKind::Ambient,
        },
        project_id: block.text("project_id"),
        // Relative paths count from the Secretfile.
        credentials_file: block.text("credentials_file").map(|path| with.folder.join(path)),
        service_account: block.text("service_account"),
        workload_identity_provider: block.text("workload_identity_provider"),
        audience: block.text("audience"),
        endpoint_url: block.text("endpoint_url"),
        hosts: with.hosts.clone(),
        environment: with.environment.clone(),
    };
    let shared = GcpShared {
        limiter: Arc::clone(&with.limiter),
        disk: Arc::clone(with.disk),
        clock: Arc::new(SystemClock),
        tokens: with.tokens.clone(),
    };
    Some(Arc::new(GcpProvider::new(settings, shared)))
}
