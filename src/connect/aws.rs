//! A block of kind `aws`.

use std::sync::Arc;

use super::{Connect, Settings as _};
use crate::manifest::ProviderBlock;
use crate::oidc::{Phase, Trades};
use crate::provider::Provider;
use crate::provider::aws::{AuthKind, AwsProvider, AwsSettings, AwsShared, WebIdentity};

pub(super) fn connect(with: &Connect<'_>, block: &ProviderBlock) -> Arc<dyn Provider> {
    let settings = AwsSettings {
        auth_kind: match block.auth_kind.as_str() {
            "profile" => AuthKind::Profile,
            "assume_role" => AuthKind::AssumeRole,
            "static" => AuthKind::Static,
            "oidc" => AuthKind::Oidc,
            _ => AuthKind::Ambient,
        },
        region: block.text("region").or_else(|| with.federation.aws.region.clone()),
        profile: block.text("profile"),
        role_arn: role(with, block),
        external_id: block.text("external_id"),
        session_name: block.text("session_name"),
        access_key_id: block.secret("access_key_id"),
        secret_access_key: block.secret("secret_access_key"),
        session_token: block.secret("session_token"),
        endpoint_url: block.text("endpoint_url"),
        web_identity: web_identity(with, block),
        hosts: with.hosts.clone(),
        steered: with.federation.phase == Phase::Plan,
    };
    Arc::new(AwsProvider::sharing(settings, AwsShared::new(Arc::clone(&with.limiter))))
}

/// The role that is assumed in this phase with what was found before.
fn role(with: &Connect<'_>, block: &ProviderBlock) -> Option<String> {
    let plan = block.text("plan_role_arn").filter(|_| with.federation.phase == Phase::Plan);
    plan.or_else(|| block.text("role_arn"))
}

/// A login with a token, if the block or the inputs ask for one.
fn web_identity(with: &Connect<'_>, block: &ProviderBlock) -> Option<WebIdentity> {
    let role_arn = with.federation.identity(block);
    if block.auth_kind != "oidc" && role_arn.is_none() {
        return None;
    }
    let list = block.text("policy_arns").unwrap_or_default();
    let policy_arns = list.split([',', '\n']).map(str::trim).filter(|arn| !arn.is_empty()).map(str::to_owned);
    // A role that is assumed after this one has the block's settings for itself.
    let own = |setting| block.text(setting).filter(|_| block.auth_kind == "oidc");
    Some(WebIdentity {
        role_arn,
        session_name: own("session_name").unwrap_or_else(|| with.federation.session_name.clone()),
        audience: block.text("audience").or_else(|| with.federation.aws.audience.clone()),
        duration_seconds: block.text("duration_seconds").and_then(|text| text.parse().ok()),
        session_policy: block.text("session_policy"),
        policy_arns: policy_arns.collect(),
        tokens: Arc::clone(with.tokens.as_ref()?),
        trades: Trades::new(&with.denials, with.federation.phase, &with.mask),
        clock: Arc::clone(with.clock),
    })
}
