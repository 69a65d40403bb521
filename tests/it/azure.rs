//! What the store of Azure does beyond the contract, and what others read of it.

pub(crate) mod certificates;
mod judges;
mod login;
#[cfg(feature = "aws")]
mod recovery;
mod secrets;
mod specification;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use specification::certificate;

use secretzero::environment::Environment;
use secretzero::limiter::{Limiter, RateLimit, RetryPolicy};
use secretzero::provider::azure::{AuthKind, AzureProvider, AzureSettings, AzureShared};
use secretzero::secret::Shape;
use secretzero::target::{KeyVaultSettings, Place, TargetSettings};

use crate::fake::azure::{CLIENT, CLIENT_SECRET, FakeAzure, TENANT, VAULT};

pub(crate) fn settings() -> AzureSettings {
    AzureSettings {
        auth_kind: AuthKind::ServicePrincipal,
        tenant_id: Some(TENANT.into()),
        client_id: Some(CLIENT.into()),
        client_secret: Some(CLIENT_SECRET.into()),
        environment: Environment::of([]),
        ..AzureSettings::default()
    }
}

/// Unpaced and impatient.
pub(crate) fn provider(fake: &FakeAzure) -> AzureProvider {
    provider_of(fake, settings())
}

pub(crate) fn provider_of(fake: &FakeAzure, settings: AzureSettings) -> AzureProvider {
    let retry = RetryPolicy { first_delay: Duration::from_millis(1), ..RetryPolicy::default() };
    let limiter = Arc::new(Limiter::new(retry, RateLimit::Off));
    AzureProvider::sharing(settings, AzureShared::new(limiter).with_client(fake.client()))
}

/// A secret, its settings adjusted.
pub(crate) fn secret(name: &str, adjust: impl FnOnce(&mut KeyVaultSettings)) -> Place {
    let mut settings = KeyVaultSettings {
        vault_url: format!("https://{VAULT}"),
        secret_name: name.to_owned(),
        content_type: None,
        enabled: None,
        expires_on: None,
        not_before: None,
        tags: std::collections::BTreeMap::new(),
    };
    adjust(&mut settings);
    Place { settings: TargetSettings::KeyVault(settings), shape: Shape::Single }
}
