//! A block of kind `azure`.

use std::sync::Arc;

use super::{Connect, Settings as _};
use crate::manifest::ProviderBlock;
use crate::oidc::{Phase, Trades};
use crate::provider::Provider;
use crate::provider::azure::{AuthKind, AzureProvider, AzureSettings, AzureShared};

pub(super) fn connect(with: &Connect<'_>, block: &ProviderBlock) -> Option<Arc<dyn Provider>> {
    // What the inputs or the block name for this phase; a plan never takes the other's.
    let federated = with.federation.identity(block);
    let client_id = match block.auth_kind.as_str() {
        "oidc" if with.federation.phase == Phase::Plan => federated.clone(),
        _ => federated.clone().or_else(|| block.text("client_id")),
    };
    let settings = AzureSettings {
        auth_kind: match block.auth_kind.as_str() {
            "service_principal" => AuthKind::ServicePrincipal,
            "managed_identity" => AuthKind::ManagedIdentity,
            "cli" => AuthKind::Cli,
            "oidc" => AuthKind::Oidc,
            _ if federated.is_some() => AuthKind::Oidc,
            _ => AuthKind::Default,
        },
        tenant_id: block.text("tenant_id").or_else(|| with.federation.azure.tenant_id.clone()),
        client_id,
        client_secret: block.secret("client_secret"),
        authority_host: block.text("authority_host"),
        audience: block.text("audience"),
        endpoint_url: block.text("endpoint_url"),
        hosts: with.hosts.clone(),
        environment: with.environment.clone(),
        tokens: with.tokens.clone(),
        trades: Trades::new(&with.denials, with.federation.phase, &with.mask),
    };
    Some(Arc::new(AzureProvider::sharing(settings, AzureShared::new(Arc::clone(&with.limiter)))))
}
