//! What the AWS stores do beyond the contract.

mod faults;
mod login;
mod metadata;
mod requests;

use std::collections::BTreeMap;
use std::time::Duration;

use secretzero::limiter::{RateLimit, RetryPolicy};
use secretzero::mark::Mark;
use secretzero::provider::Provider;
use secretzero::provider::aws::{AuthKind, AwsProvider, AwsSettings};
use secretzero::secret::Shape;
use secretzero::target::{Place, SecretsManagerSettings, SsmParameterSettings, TargetSettings};

use crate::conformance::{generation, owner};
use crate::fake::aws::{FakeAws, REGION};
use crate::providers::parameter_settings;

pub(crate) fn settings(fake: &FakeAws) -> AwsSettings {
    AwsSettings {
        auth_kind: AuthKind::Static,
        region: Some(REGION.into()),
        access_key_id: Some("AKIDCANARY0000000000".into()),
        secret_access_key: Some("canary-aws-secret-key".into()),
        endpoint_url: Some(fake.url().to_owned()),
        ..AwsSettings::default()
    }
}

/// Unpaced and impatient.
pub(crate) fn provider(fake: &FakeAws) -> AwsProvider {
    let retry = RetryPolicy { first_delay: Duration::from_millis(1), ..RetryPolicy::default() };
    AwsProvider::new(settings(fake), retry, RateLimit::Off)
}

/// A secret, its settings adjusted.
fn secret(name: &str, adjust: impl FnOnce(&mut SecretsManagerSettings)) -> Place {
    let mut settings = SecretsManagerSettings { name: name.to_owned(), ..SecretsManagerSettings::default() };
    adjust(&mut settings);
    Place { settings: TargetSettings::SecretsManager(settings), shape: Shape::Single }
}

/// A parameter, its settings adjusted.
fn parameter(name: &str, adjust: impl FnOnce(&mut SsmParameterSettings)) -> Place {
    let mut settings = parameter_settings(name, BTreeMap::new());
    adjust(&mut settings);
    Place { settings: TargetSettings::SsmParameter(settings), shape: Shape::Single }
}

fn tag(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

/// The text of our mark of a generation.
fn mark(number: u64, version: &str) -> String {
    Mark {
        owner: owner(),
        generation: generation(number),
        version: version.to_owned(),
        carried: false,
        over_drift: false,
        withdrawn: false,
    }
    .to_string()
}

/// Asks who we are, so that only what follows counts.
async fn connected(fake: &FakeAws) -> AwsProvider {
    let provider = provider(fake);
    provider.identity().await.unwrap();
    fake.forget_requests();
    provider
}
