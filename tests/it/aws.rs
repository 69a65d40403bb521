//! What the AWS stores do beyond the contract: requests, rights, limits, lost replies, power cuts.

use std::time::Duration;

use secretzero::limiter::{RateLimit, RetryPolicy};
use secretzero::provider::aws::{AuthKind, AwsProvider, AwsSettings};

use crate::fake::aws::{FakeAws, REGION};

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

pub(crate) fn provider(fake: &FakeAws) -> AwsProvider {
    let retry = RetryPolicy { first_delay: Duration::from_millis(1), ..RetryPolicy::default() };
    AwsProvider::new(settings(fake), retry, RateLimit::Off)
}
