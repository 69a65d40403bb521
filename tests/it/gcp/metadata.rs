//! Labels, annotations, keys, topics and times: written, seen, changed, and left alone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secretzero::clock::{Clock as _, SystemClock};
use secretzero::provider::gcp::GcpProvider;
use secretzero::provider::{Expect, Observed, Provider, Reading};
use secretzero::target::{Place, ReplicaRegion, Replication, SecretManagerSettings, When};
use serde_json::json;

use super::{connected, mark, place};
use crate::conformance::{generation, look, options, text, value, write};
use crate::fake::gcp::FakeGcp;

const KEY: &str = "projects/shop-prod/locations/europe-west1/keyRings/app/cryptoKeys/db";

fn at_day(days: i64) -> Timestamp {
    Timestamp::from_second(SystemClock.now().as_second() + days * 86_400).unwrap()
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Every field there is.
fn everything(settings: &mut SecretManagerSettings) {
    settings.labels = pairs(&[("team", "core"), ("env", "prod")]);
    settings.annotations = pairs(&[("owner", "Ann <ann@example.com>")]);
    let replica =
        |region: &str, key: Option<&str>| ReplicaRegion { region: region.into(), kms_key_id: key.map(str::to_owned) };
    settings.replication =
        Replication::UserManaged(vec![replica("europe-west1", Some(KEY)), replica("us-east1", None)]);
    settings.topics = vec!["projects/shop-prod/topics/rotate".into(), "projects/shop-prod/topics/audit".into()];
    settings.rotation_period_seconds = Some(7_776_000);
    settings.next_rotation_time = Some(at_day(30));
    settings.expire_time = Some(When::At(at_day(400)));
}

fn differs(provider: &GcpProvider, at: &Place, seen: &Observed) -> Vec<String> {
    let desired = provider.desired(at, Some(&generation(1)));
    desired.into_iter().filter(|(name, value)| seen.attributes.get(name) != Some(value)).map(|(name, _)| name).collect()
}

async fn annotate(provider: &GcpProvider, at: &Place, version: &str, number: u64) -> Vec<String> {
    let seen = look(provider, at, Reading::Each).await.unwrap();
    let changed = differs(provider, at, &seen);
    let options = options(provider, at, number, Expect::Version(version.into())).await;
    provider.annotate(at, &changed, &options).await.unwrap();
    let seen = look(provider, at, Reading::Each).await.unwrap();
    assert_eq!(differs(provider, at, &seen), [""; 0]);
    changed
}

#[tokio::test]
async fn every_field_is_written_with_the_secret_and_seen_again() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let at = place("db", everything);
    write(&provider, &at, &text("v"), 1, Expect::Absent).await.unwrap();
    assert_eq!(fake.effects(), 2, "a secret and a version");
    let fields = fake.secret("db").unwrap().fields;
    assert_eq!(fields["labels"], json!({"env": "prod", "team": "core"}));
    assert_eq!(fields["annotations"], json!({"owner": "Ann <ann@example.com>", "secretzero": mark(1, 1)}));
    assert_eq!(
        fields["replication"]["userManaged"]["replicas"][0]["customerManagedEncryption"],
        json!({"kmsKeyName": KEY})
    );
    assert_eq!(fields["topics"][0], json!({"name": "projects/shop-prod/topics/rotate"}));
    assert_eq!(fields["rotation"]["rotationPeriod"], "7776000s");
    for reading in [Reading::List, Reading::Each] {
        let seen = look(&provider, &at, reading).await.unwrap();
        assert_eq!(differs(&provider, &at, &seen), [""; 0]);
    }
}

#[tokio::test]
async fn metadata_changes_without_a_new_version_and_what_others_set_stays() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let version = write(&provider, &place("db", everything), &text("v"), 1, Expect::Absent).await.unwrap();
    fake.edit(|world| world.annotate("db", "theirs", Some("1")));
    let key = KEY.replace("db", "db2");
    let now = place("db", |settings| {
        everything(settings);
        settings.labels = pairs(&[("env", "staging")]);
        settings.annotations = pairs(&[("owner", "Bob")]);
        settings.topics.pop();
        settings.expire_time = Some(When::At(at_day(500)));
        settings.rotation_period_seconds = Some(86_400);
        if let Replication::UserManaged(replicas) = &mut settings.replication {
            replicas[0].kms_key_id = Some(key.clone());
        }
    });
    fake.forget_requests();
    let changed = annotate(&provider, &now, &version, 1).await;
    let all = ["annotation:owner", "expire_time", "replica:europe-west1", "rotation_period", "tag:env", "topics"];
    assert_eq!(changed, all);
    assert_eq!((fake.effects(), fake.count("secrets.update")), (1, 1), "one change, no version");
    let secret = fake.secret("db").unwrap();
    assert_eq!(secret.fields["labels"], json!({"env": "staging", "team": "core"}));
    assert_eq!((secret.annotation("theirs"), secret.annotation("owner")), (Some("1"), Some("Bob")));
    assert_eq!(secret.versions.len(), 1);
}

#[tokio::test]
async fn a_notification_moves_on_by_its_period_and_is_no_difference() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let declared = at_day(-10);
    let at = place("db", |settings| {
        everything(settings);
        settings.next_rotation_time = Some(declared);
    });
    // Google takes no moment in the past: the first one ahead is asked for.
    write(&provider, &at, &text("v"), 1, Expect::Absent).await.unwrap();
    let next: Timestamp = {
        let fields = fake.secret("db").unwrap().fields;
        fields["rotation"]["nextRotationTime"].as_str().unwrap().parse().unwrap()
    };
    assert_eq!(next.as_second() - declared.as_second(), 7_776_000);
    let seen = look(&provider, &at, Reading::Each).await.unwrap();
    assert_eq!(differs(&provider, &at, &seen), [""; 0]);
}

#[tokio::test]
async fn an_end_that_counts_from_the_value_moves_with_it() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let made = generation(1).created.as_second();
    let seconds = SystemClock.now().as_second() - made + 1000;
    let at = place("db", |settings| settings.expire_time = Some(When::After(seconds)));
    let version = write(&provider, &at, &text("v"), 1, Expect::Absent).await.unwrap();
    let end = || fake.secret("db").unwrap().fields["expireTime"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(end().as_second(), made + seconds);
    let mut later = options(&provider, &at, 2, Expect::Version(version)).await;
    later.generation.created = Timestamp::from_second(made + 500).unwrap();
    provider.write(&at, &text("w"), &later).await.unwrap();
    assert_eq!(end().as_second(), made + 500 + seconds);
    assert_eq!(fake.count("secrets.update"), 1, "together with the claim");
    // As it was asked for it is no difference; another length is one.
    let seen = look(&provider, &at, Reading::Each).await.unwrap();
    assert_eq!(differs(&provider, &at, &seen), [""; 0]);
    let longer = place("db", |settings| settings.expire_time = Some(When::After(seconds + 60)));
    let seen = look(&provider, &longer, Reading::Each).await.unwrap();
    assert_eq!(differs(&provider, &longer, &seen), ["expire_time"]);
}

#[tokio::test]
async fn older_versions_are_disabled_and_then_destroyed() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let at = place("db", |settings| settings.keep_versions = Some(2));
    let mut version = write(&provider, &at, &text("v1"), 1, Expect::Absent).await.unwrap();
    for number in 2..=5 {
        let expect = Expect::Version(version.clone());
        version = write(&provider, &at, &text(&format!("v{number}")), number, expect).await.unwrap();
    }
    let states = fake.secret("db").unwrap().states();
    assert_eq!(states, ["DESTROYED", "DESTROYED", "DISABLED", "ENABLED", "ENABLED"]);
    assert_eq!(value(&provider, &at).await.as_deref(), Ok("v5"));
    // Without the right to disable, the value is stored all the same.
    fake.deny("versions.disable");
    fake.deny("versions.destroy");
    assert!(write(&provider, &at, &text("v6"), 6, Expect::Version(version)).await.is_ok());
    // Where nothing is said, nothing is retired.
    let kept = place("kept", |_| {});
    let first = write(&provider, &kept, &text("v1"), 1, Expect::Absent).await.unwrap();
    write(&provider, &kept, &text("v2"), 2, Expect::Version(first)).await.unwrap();
    assert_eq!(fake.secret("kept").unwrap().states(), ["ENABLED", "ENABLED"]);
}

#[tokio::test]
async fn what_google_refuses_is_told_without_the_value() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let wrong = [
        place("a", |settings| settings.labels = pairs(&[("Team", "core")])),
        place("b", |settings| settings.replication = Replication::Automatic(Some(KEY.into()))),
        place("c", |settings| settings.annotations = pairs(&[("-x", "y")])),
        place("d", |settings| settings.expire_time = Some(When::At(at_day(-1)))),
        place("e/f", |_| {}),
    ];
    for at in wrong {
        let options = options(&provider, &at, 1, Expect::Absent).await;
        let error = provider.write(&at, &text("canary-value"), &options).await.unwrap_err();
        assert_eq!(error.kind, secretzero::provider::ErrorKind::Invalid);
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
    assert_eq!(fake.edit(|world| world.secrets.len()), 0);
}
