//! How credentials are found, and what is said when they are not.

use std::time::Duration;

use secretzero::limiter::{RateLimit, RetryPolicy};
use secretzero::provider::aws::{AuthKind, AwsProvider, AwsSettings};
use secretzero::provider::{Error, ErrorKind, Identity, Provider, Reading, Result};

use super::settings;
use crate::fake::aws::FakeAws;

async fn identity(settings: AwsSettings) -> Result<Identity> {
    let retry = RetryPolicy { attempts_max: 2, first_delay: Duration::from_millis(1), ..RetryPolicy::default() };
    AwsProvider::new(settings, retry, RateLimit::Off).identity().await
}

fn keyless(fake: &FakeAws) -> AwsSettings {
    AwsSettings { access_key_id: None, ..settings(fake) }
}

fn refused(result: Result<Identity>) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthenticated, "{error}");
    error
}

#[tokio::test]
async fn fixed_keys_are_used_as_they_are() {
    let fake = FakeAws::start();
    let identity = identity(settings(&fake)).await.unwrap();
    assert_eq!(identity.principal, "arn:aws:iam::123456789012:user/test");
    assert_eq!((identity.account.as_str(), identity.region.as_deref()), ("123456789012", Some("us-east-1")));
}

#[tokio::test]
async fn settings_that_are_missing_are_asked_for_by_name() {
    let fake = FakeAws::start();
    let without_key = keyless(&fake);
    insta::assert_snapshot!(refused(identity(without_key).await), @"the AWS provider's `auth.kind: static` needs `access_key_id` under `auth.config`");
    let without_profile = AwsSettings { auth_kind: AuthKind::Profile, ..keyless(&fake) };
    insta::assert_snapshot!(refused(identity(without_profile).await), @"the AWS provider's `auth.kind: profile` needs `profile` under `auth.config`");
    assert_eq!((fake.total(), fake.env()["AWS_ENDPOINT_URL"].as_str()), (0, fake.url()));
}

#[tokio::test]
async fn a_role_is_assumed_once_for_all_calls() {
    let fake = FakeAws::start();
    fake.edit(|world| world.external_id = Some("ours".into()));
    let role = |external_id: Option<&str>| AwsSettings {
        auth_kind: AuthKind::AssumeRole,
        role_arn: Some("arn:aws:iam::123456789012:role/deploy".into()),
        external_id: external_id.map(str::to_owned),
        ..settings(&fake)
    };
    let provider = AwsProvider::new(role(Some("ours")), RetryPolicy::default(), RateLimit::Off);
    let principal = provider.identity().await.unwrap().principal;
    assert_eq!(principal, "arn:aws:sts::123456789012:assumed-role/deploy/secretzero");
    for place in [super::secret("a", |_| {}), super::parameter("a", |_| {})] {
        assert_eq!(crate::conformance::look(&provider, &place, Reading::Each).await, None);
    }
    assert_eq!(fake.count("AssumeRole"), 1);
    refused(identity(role(None)).await);
}

#[tokio::test]
async fn a_profile_that_does_not_exist_is_a_failed_login() {
    let fake = FakeAws::start();
    let auth_kind = AuthKind::Profile;
    let error = refused(identity(AwsSettings { auth_kind, profile: Some("no-such".into()), ..keyless(&fake) }).await);
    insta::assert_snapshot!(error, @"Unable to authenticate with AWS: no credentials were found. Try `aws sts get-caller-identity`; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where an IAM role is attached");
    assert_eq!(fake.total(), 0);
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_an_outage() {
    // Nobody listens on port 1 of a loopback address.
    let fake = FakeAws::start();
    let unreachable = AwsSettings { endpoint_url: Some("http://127.0.0.1:1".into()), ..settings(&fake) };
    let error = identity(unreachable).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    insta::assert_snapshot!(error, @"AWS cannot be reached for sts:GetCallerIdentity in us-east-1; check the network, proxy and region");
}
