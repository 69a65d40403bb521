//! What Google Secret Manager does beyond the contract, and how one signs in there.

mod faults;
mod judge;
mod login;
mod metadata;
mod race;
mod requests;
mod sync;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secretzero::clock::SystemClock;
use secretzero::disk::SystemDisk;
use secretzero::environment::Environment;
use secretzero::limiter::{Limiter, RateLimit, RetryPolicy};
use secretzero::mark::Mark;
use secretzero::oidc::Trades;
use secretzero::provider::Provider;
use secretzero::provider::gcp::{GcpProvider, GcpSettings, GcpShared};
use secretzero::secret::Shape;
use secretzero::target::{Place, Replication, SecretManagerSettings, TargetSettings};

use crate::conformance::{generation, owner};
use crate::fake::gcp::{FakeGcp, PROJECT};

pub(crate) fn settings(fake: &FakeGcp) -> GcpSettings {
    GcpSettings {
        project_id: Some(PROJECT.into()),
        endpoint_url: Some(fake.url().to_owned()),
        environment: Environment::of(fake.env()),
        ..GcpSettings::default()
    }
}

/// Unpaced and impatient.
pub(crate) fn shared() -> GcpShared {
    let retry = RetryPolicy { first_delay: Duration::from_millis(1), ..RetryPolicy::default() };
    GcpShared {
        limiter: Arc::new(Limiter::new(retry, RateLimit::Off)),
        disk: Arc::new(SystemDisk),
        clock: Arc::new(SystemClock),
        tokens: None,
        trades: Trades::default(),
    }
}

pub(crate) fn provider(fake: &FakeGcp) -> GcpProvider {
    GcpProvider::new(settings(fake), shared())
}

/// A place, its settings adjusted.
fn place(id: &str, adjust: impl FnOnce(&mut SecretManagerSettings)) -> Place {
    let mut settings = SecretManagerSettings {
        project_id: None,
        secret_id: id.to_owned(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        replication: Replication::Automatic(None),
        topics: Vec::new(),
        rotation_period_seconds: None,
        next_rotation_time: None,
        expire_time: None,
        keep_versions: None,
    };
    adjust(&mut settings);
    Place { settings: TargetSettings::SecretManager(settings), shape: Shape::Single }
}

/// A place with labels.
pub(crate) fn labelled(id: &str, labels: BTreeMap<String, String>) -> Place {
    place(id, |settings| settings.labels = labels)
}

/// The text of our mark of a generation.
fn mark(number: u64, version: u64) -> String {
    Mark {
        owner: owner(),
        generation: generation(number),
        version: version.to_string(),
        carried: false,
        over_drift: false,
        withdrawn: false,
    }
    .to_string()
}

/// Asks who we are, so that only what follows counts.
async fn connected(fake: &FakeGcp) -> GcpProvider {
    let provider = provider(fake);
    provider.identity().await.unwrap();
    fake.forget_requests();
    provider
}
