//! A block of kind `gcp`.

use std::sync::Arc;

use super::{Connect, Settings as _};
use crate::clock::SystemClock;
use crate::manifest::ProviderBlock;
use crate::oidc::Trades;
use crate::provider::Provider;
use crate::provider::gcp::{AuthKind, GcpProvider, GcpSettings, GcpShared};

pub(super) fn connect(with: &Connect<'_>, block: &ProviderBlock) -> Option<Arc<dyn Provider>> {
    let inputs = &with.federation.gcp;
    // Without a service account the pool's own principal is let in.
    let ambient = block.auth_kind == "ambient" && !block.config.contains_key("credentials_file");
    let federated = ambient && inputs.workload_identity_provider.is_some();
    let settings = GcpSettings {
        auth_kind: match block.auth_kind.as_str() {
            "credentials_file" => AuthKind::CredentialsFile,
            "impersonation" => AuthKind::Impersonation,
            "oidc" => AuthKind::Oidc,
            _ if federated => AuthKind::Oidc,
            _ => AuthKind::Ambient,
        },
        project_id: block.text("project_id"),
        // Relative paths count from the Secretfile.
        credentials_file: block.text("credentials_file").map(|path| with.folder.join(path)),
        service_account: match block.auth_kind.as_str() {
            "oidc" => with.federation.identity(block),
            _ if federated => with.federation.identity(block).or_else(|| block.text("service_account")),
            _ => block.text("service_account"),
        },
        workload_identity_provider: block
            .text("workload_identity_provider")
            .or_else(|| inputs.workload_identity_provider.clone()),
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
        trades: Trades::new(&with.denials, with.federation.phase, &with.mask),
    };
    Some(Arc::new(GcpProvider::new(settings, shared)))
}
