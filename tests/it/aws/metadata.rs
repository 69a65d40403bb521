//! Metadata, states and limits of both stores.

use secretzero::provider::{ErrorKind, Expect, Observed, Provider, Reading, Result};
use secretzero::secret::{SecretValue, Value};
use secretzero::target::{ParameterTier, ParameterType, Place, ReplicaRegion};

use super::{connected, mark, parameter, provider, secret, tag};
use crate::conformance::{look, options, text, value, write};
use crate::fake::aws::{FakeAws, REGION};

async fn annotate(provider: &dyn Provider, at: &Place, version: &str, changed: &[&str]) -> Result<String> {
    let options = options(provider, at, 1, Expect::Version(version.to_owned())).await;
    let changed: Vec<String> = changed.iter().map(|name| (*name).to_owned()).collect();
    provider.annotate(at, &changed, &options).await
}

/// What of the declared differs from the observed.
fn differs(provider: &dyn Provider, at: &Place, seen: &Observed) -> Vec<String> {
    let desired = provider.desired(at, None).into_iter();
    desired.filter(|(name, value)| seen.attributes.get(name) != Some(value)).map(|(name, _)| name).collect()
}

fn replicas(regions: &[&str]) -> Vec<ReplicaRegion> {
    regions.iter().map(|region| ReplicaRegion { region: (*region).to_owned(), kms_key_id: None }).collect()
}

#[tokio::test]
async fn a_secrets_metadata_changes_without_a_new_version() {
    let fake = FakeAws::start();
    fake.edit(|world| world.keys = ["alias/app".to_owned()].into());
    let provider = connected(&fake).await;
    let before = secret("app/db", |s| s.description = Some("old".into()));
    let version = write(&provider, &before, &text("v"), 1, Expect::Absent).await.unwrap();
    let after = secret("app/db", |s| {
        s.description = Some("new".into());
        s.kms_key_id = Some("alias/app".into());
        s.tags = tag("Team", "core");
    });
    let seen = look(&provider, &after, Reading::Each).await.unwrap();
    let changed = differs(&provider, &after, &seen);
    assert_eq!(changed, ["description", "kms_key_id", "tag:Team"]);
    let changed: Vec<&str> = changed.iter().map(String::as_str).collect();
    assert_eq!(annotate(&provider, &after, &version, &changed).await, Ok(version));
    let stored = fake.secret("app/db").unwrap();
    assert_eq!((stored.versions.len(), stored.description.as_deref()), (1, Some("new")));
    assert_eq!(differs(&provider, &after, &look(&provider, &after, Reading::Each).await.unwrap()), [""; 0]);
}

#[tokio::test]
async fn a_parameters_description_costs_a_version_with_the_same_value() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let before = parameter("db", |s| s.kms_key_id = Some("alias/app".into()));
    write(&provider, &before, &text("v"), 1, Expect::Absent).await.unwrap();
    // The key is not declared any more: it must survive all the same.
    let after = parameter("db", |s| s.description = Some("new".into()));
    assert_eq!(annotate(&provider, &after, "1", &["description"]).await.as_deref(), Ok("2"));
    let stored = fake.parameter("/app/db").unwrap();
    assert_eq!((stored.version, stored.value.as_str(), stored.key_id.as_deref()), (2, "v", Some("alias/app")));
    assert_eq!(stored.tags["secretzero"], mark(1, "2").replace(":r=", ":k=1:r="), "the value is the one before");
}

#[tokio::test]
async fn a_parameters_policies_are_stored_compared_and_kept() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let policy = r#"[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"20","Unit":"Days"}}]"#;
    let at = parameter("db", |s| {
        s.tier = ParameterTier::Advanced;
        s.policies = Some(policy.into());
    });
    write(&provider, &at, &text("v"), 1, Expect::Absent).await.unwrap();
    let seen = look(&provider, &at, Reading::Each).await.unwrap();
    assert_eq!(differs(&provider, &at, &seen), [""; 0]);
    let undeclared = parameter("db", |s| s.tier = ParameterTier::Advanced);
    write(&provider, &undeclared, &text("w"), 2, Expect::Version("1".into())).await.unwrap();
    assert_eq!(fake.parameter("/app/db").unwrap().policies.as_deref(), Some(policy));
}

#[tokio::test]
async fn what_ssm_never_changes_is_explained() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let advanced = parameter("db", |s| s.tier = ParameterTier::Advanced);
    write(&provider, &advanced, &text("v"), 1, Expect::Absent).await.unwrap();
    let explained = async |at: Place, changed: &str| {
        let error = annotate(&provider, &at, "1", &[changed]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        error.message
    };
    let as_text = parameter("db", |s| s.parameter_type = ParameterType::String);
    insta::assert_snapshot!(explained(as_text, "type").await, @"/app/db: SSM cannot change a parameter's type (HierarchyTypeMismatch); delete it, wait 30 s, and sync again");
    insta::assert_snapshot!(explained(parameter("db", |_| {}), "tier").await, @"/app/db: SSM cannot take a parameter from tier Advanced back to Standard; declare `tier: Advanced`, or delete it, wait 30 s, and sync again");
    assert_eq!(fake.parameter("/app/db").unwrap().version, 1);
}

#[tokio::test]
async fn values_that_ssm_cannot_hold_are_refused_before_any_request() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let refused = async |at: &Place, value: Value| {
        let options = options(&provider, at, 1, Expect::Absent).await;
        let error = provider.write(at, &value, &options).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        error.message
    };
    let at = parameter("db", |_| {});
    insta::assert_snapshot!(refused(&at, text("canary{{x}}")).await, @"/app/db: the value contains `{{`, which SSM takes for a reference to another parameter; add `{` to `exclude_characters`");
    insta::assert_snapshot!(refused(&at, text(&"x".repeat(4097))).await, @"/app/db: tier Standard takes values of 1 to 4096 bytes (`tier: Advanced` takes 8192)");
    insta::assert_snapshot!(refused(&at, Value::Single(SecretValue::new(vec![0xff]))).await, @"/app/db: SSM stores text only, and the value is not UTF-8; encode it, for example as base64");
    assert_eq!(fake.total(), 0);
    let advanced = parameter("db", |s| s.tier = ParameterTier::Advanced);
    assert!(write(&provider, &advanced, &text(&"x".repeat(8192)), 1, Expect::Absent).await.is_ok());
}

#[tokio::test]
async fn bytes_that_are_no_text_are_stored_as_bytes() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let at = secret("key", |_| {});
    let bytes = Value::Single(SecretValue::new(vec![0, 0xff, 7]));
    write(&provider, &at, &bytes, 1, Expect::Absent).await.unwrap();
    let stored = fake.secret("key").unwrap();
    assert!(stored.current().unwrap().is_binary);
    let read = provider.read(&[&at]).await.pop().unwrap().unwrap();
    assert!(read.value.matches(&bytes));
}

#[tokio::test]
async fn a_scheduled_deletion_is_seen_refused_and_taken_back() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let at = secret("app/db", |_| {});
    let version = write(&provider, &at, &text("v"), 1, Expect::Absent).await.unwrap();
    fake.edit(|world| world.region(REGION).secrets.get_mut("app/db").unwrap().deleted = true);
    for reading in [Reading::List, Reading::Each, Reading::Batch] {
        assert!(look(&provider, &at, reading).await.unwrap().pending_deletion, "{reading:?}");
    }
    assert_eq!(write(&provider, &at, &text("w"), 2, Expect::Absent).await, Err(ErrorKind::PendingDeletion));
    let replaced = write(&provider, &at, &text("w"), 2, Expect::Version(version.clone())).await;
    assert_eq!(replaced, Err(ErrorKind::PendingDeletion));
    assert_eq!(value(&provider, &at).await, Err(ErrorKind::PendingDeletion));
    provider.restore(&at).await.unwrap();
    assert_eq!(value(&provider, &at).await.as_deref(), Ok("v"));
    let parameter = parameter("db", |_| {});
    assert_eq!(provider.restore(&parameter).await.unwrap_err().kind, ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_secret_that_somebody_else_rotates_or_owns_says_so() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let at = secret("app/db", |_| {});
    let version = write(&provider, &at, &text("v"), 1, Expect::Absent).await.unwrap();
    fake.edit(|world| world.region(REGION).secrets.get_mut("app/db").unwrap().rotation_enabled = true);
    let seen = look(&provider, &at, Reading::Each).await.unwrap();
    assert_eq!(seen.managed_by.as_deref(), Some("AWS rotates it by itself"));
    fake.edit(|world| world.region(REGION).secrets.get_mut("app/db").unwrap().owning_service = Some("rds".into()));
    assert_eq!(
        look(&provider, &at, Reading::Each).await.unwrap().managed_by.as_deref(),
        Some("the service rds owns it")
    );
    let options = options(&provider, &at, 2, Expect::Version(version)).await;
    let refused = provider.write(&at, &text("w"), &options).await.unwrap_err();
    insta::assert_snapshot!(refused, @"app/db cannot be changed from here: the service rds owns it");
}

#[tokio::test]
async fn a_name_that_ends_like_an_arn_is_not_mistaken_for_another_secret() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    write(&provider, &secret("app/db", |_| {}), &text("v"), 1, Expect::Absent).await.unwrap();
    let at = secret("app/db-AbCdEf", |_| {});
    for reading in [Reading::List, Reading::Each, Reading::Batch] {
        assert_eq!(look(&provider, &at, reading).await, None, "{reading:?}");
    }
    assert_eq!(value(&provider, &at).await, Err(ErrorKind::NotFound));
    write(&provider, &at, &text("w"), 1, Expect::Absent).await.unwrap();
    assert_eq!(value(&provider, &at).await.as_deref(), Ok("w"));
    assert_eq!(fake.secret("app/db").unwrap().value(), Some("v"));
}

#[tokio::test]
async fn replicas_are_made_seen_added_and_their_failure_told() {
    let fake = FakeAws::start();
    fake.edit(|world| world.failing_replicas = ["eu-west-1".to_owned()].into());
    let provider = connected(&fake).await;
    let one = secret("app/db", |s| s.replica_regions = replicas(&["us-west-2"]));
    let version = write(&provider, &one, &text("v"), 1, Expect::Absent).await.unwrap();
    let replica = fake.edit(|world| world.region("us-west-2").secrets["app/db"].clone());
    assert_eq!((replica.value(), replica.primary_region.as_deref()), (Some("v"), Some(REGION)));
    assert_eq!(differs(&provider, &one, &look(&provider, &one, Reading::List).await.unwrap()), [""; 0]);
    let two = secret("app/db", |s| s.replica_regions = replicas(&["us-west-2", "eu-west-1"]));
    let seen = look(&provider, &two, Reading::Each).await.unwrap();
    assert_eq!(differs(&provider, &two, &seen), ["replica:eu-west-1"]);
    assert_eq!(annotate(&provider, &two, &version, &["replica:eu-west-1"]).await, Ok(version));
    let seen = look(&provider, &two, Reading::Each).await.unwrap();
    assert_eq!(differs(&provider, &two, &seen), ["replica:eu-west-1"], "what failed is asked for again");
    assert_eq!(seen.attributes.get("replica_status:eu-west-1").map(String::as_str), Some("Failed"));
    insta::assert_snapshot!(seen.attributes["replica_message:eu-west-1"], @"Replication failed: KMS key is disabled");
}

#[tokio::test]
async fn a_replica_is_nobody_s_to_write() {
    let fake = FakeAws::start();
    let provider = provider(&fake);
    let primary = secret("app/db", |s| s.replica_regions = replicas(&["us-west-2"]));
    let version = write(&provider, &primary, &text("v"), 1, Expect::Absent).await.unwrap();
    let there = {
        let settings =
            secretzero::provider::aws::AwsSettings { region: Some("us-west-2".into()), ..super::settings(&fake) };
        secretzero::provider::aws::AwsProvider::new(settings, Default::default(), Default::default())
    };
    let at = secret("app/db", |_| {});
    let seen = look(&there, &at, Reading::Each).await.unwrap();
    assert_eq!((seen.managed_by.as_deref(), &seen.version), (Some("it is a replica of us-east-1"), &version));
    assert_eq!(write(&there, &at, &text("w"), 2, Expect::Version(version)).await, Err(ErrorKind::Invalid));
}

#[tokio::test]
async fn what_aws_refuses_is_told_without_the_value() {
    let fake = FakeAws::start();
    fake.edit(|world| world.keys = ["alias/app".to_owned()].into());
    let provider = connected(&fake).await;
    let wrong_key = secret("app/db", |s| s.kms_key_id = Some("alias/none".into()));
    let wrong_tag = parameter("db", |s| s.tags = tag("Owner", "a;b"));
    for at in [wrong_key, wrong_tag] {
        let options = options(&provider, &at, 1, Expect::Absent).await;
        let error = provider.write(&at, &text("canary-value"), &options).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}
