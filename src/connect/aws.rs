//! A block of kind `aws`.

use std::sync::Arc;

use super::{Connect, Settings as _};
use crate::manifest::ProviderBlock;
use crate::provider::Provider;
use crate::provider::aws::{AuthKind, AwsProvider, AwsSettings, AwsShared};

pub(super) fn connect(with: &Connect<'_>, block: &ProviderBlock) -> Arc<dyn Provider> {
    let settings = AwsSettings {
        auth_kind: match block.auth_kind.as_str() {
            "profile" => AuthKind::Profile,
            "assume_role" => AuthKind::AssumeRole,
            "static" => AuthKind::Static,
            _ => AuthKind::Ambient,
        },
        region: block.text("region"),
        profile: block.text("profile"),
        role_arn: block.text("role_arn"),
        external_id: block.text("external_id"),
        session_name: block.text("session_name"),
        access_key_id: block.secret("access_key_id"),
        secret_access_key: block.secret("secret_access_key"),
        session_token: block.secret("session_token"),
        endpoint_url: block.text("endpoint_url"),
        hosts: with.hosts.clone(),
    };
    Arc::new(AwsProvider::sharing(settings, AwsShared::new(Arc::clone(&with.limiter))))
}
