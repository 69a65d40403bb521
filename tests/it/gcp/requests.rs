//! Which requests are made, with which rights, and what is told when one is missing.

use std::sync::Arc;
use std::time::Duration;

use secretzero::limiter::{Limiter, RateLimit, RetryPolicy};
use secretzero::provider::gcp::{GcpProvider, GcpShared};
use secretzero::provider::{ErrorKind, Expect, Observed, Probe, Provider, Reading};
use secretzero::target::{Place, ReplicaRegion, Replication, TargetKind};

use super::{connected, mark, place, settings, shared};
use crate::conformance::{look, options, text, value, write};
use crate::fake::gcp::{Class, FakeGcp};

/// roles/secretmanager.viewer (<https://cloud.google.com/secret-manager/docs/access-control>).
const VIEWER: [&str; 4] = ["secrets.get", "secrets.list", "versions.get", "versions.list"];

fn several(count: usize) -> Vec<Place> {
    (0..count).map(|n| place(&format!("s{n}"), |_| {})).collect()
}

async fn observe(provider: &GcpProvider, places: &[Place], reading: Reading) -> Vec<Option<Observed>> {
    let probes: Vec<Probe<'_>> = places.iter().map(|place| Probe { place, expected_mark: None }).collect();
    provider.observe(&probes, reading).await.into_iter().map(|seen| seen.unwrap()).collect()
}

#[tokio::test]
async fn a_plan_needs_no_right_to_values_and_one_list() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let places = several(10);
    for at in &places {
        write(&provider, at, &text("v"), 1, Expect::Absent).await.unwrap();
    }
    fake.grant(&VIEWER);
    fake.forget_requests();
    for seen in observe(&provider, &places, Reading::List).await {
        let seen = seen.unwrap();
        assert_eq!((seen.version.as_str(), seen.mark, seen.from_list), ("1", Some(mark(1, 1)), true));
    }
    assert_eq!((fake.count("secrets.list"), fake.count("versions.get"), fake.calls()), (1, 10, 11));
    assert_eq!(value(&provider, &places[0]).await, Err(ErrorKind::PermissionDenied));
}

#[tokio::test]
async fn where_lists_are_forbidden_each_secret_is_asked_for() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let places = several(5);
    for at in &places[..4] {
        write(&provider, at, &text("v"), 1, Expect::Absent).await.unwrap();
    }
    fake.deny("secrets.list");
    let seen = observe(&provider, &places, Reading::List).await;
    assert_eq!(seen.iter().filter(|seen| seen.as_ref().is_some_and(|seen| !seen.from_list)).count(), 4);
    assert_eq!(seen[4], None);
}

#[tokio::test]
async fn what_a_lagging_list_hides_is_found_by_the_surer_readings() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    fake.freeze_lists();
    let places = several(5);
    for at in &places {
        write(&provider, at, &text("v"), 1, Expect::Absent).await.unwrap();
    }
    assert!(observe(&provider, &places, Reading::List).await.iter().all(Option::is_none));
    for reading in [Reading::Each, Reading::Batch] {
        for seen in observe(&provider, &places, reading).await {
            assert_eq!(seen.unwrap().mark, Some(mark(1, 1)));
        }
    }
}

#[tokio::test]
async fn lists_of_many_pages_are_read_to_the_end() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let places = several(9);
    for at in &places {
        write(&provider, at, &text("v"), 1, Expect::Absent).await.unwrap();
    }
    fake.edit(|world| world.page_max = Some(2));
    fake.forget_requests();
    assert!(observe(&provider, &places, Reading::List).await.iter().all(Option::is_some));
    assert_eq!(fake.count("secrets.list"), 5);
}

#[tokio::test]
async fn a_missing_right_is_named_with_identity_and_role() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let at = place("db", |_| {});
    fake.grant(&VIEWER);
    let refused = provider.write(&at, &text("canary-value"), &options(&provider, &at, 1, Expect::Absent).await).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::PermissionDenied);
    insta::assert_snapshot!(refused, @"Google refused secretmanager.secrets.create on projects/shop-prod (PERMISSION_DENIED), or there is no such project. Allow it to machine@shop-prod.iam.gserviceaccount.com in shop-prod, for example with roles/secretmanager.admin");
    fake.grant(&["secrets.list"]);
    let probe = Probe { place: &at, expected_mark: None };
    let refused = provider.observe(&[probe], Reading::Each).await.pop().unwrap().unwrap_err();
    insta::assert_snapshot!(refused, @"Google refused secretmanager.secrets.get on projects/shop-prod/secrets/db (PERMISSION_DENIED), or there is no such project. Allow it to machine@shop-prod.iam.gserviceaccount.com in shop-prod, for example with roles/secretmanager.viewer");
}

#[tokio::test]
async fn a_throttled_store_is_waited_for() {
    let fake = FakeGcp::start();
    fake.quota(Class::Writes, 40.0);
    let retry = RetryPolicy { first_delay: Duration::from_millis(20), ..RetryPolicy::default() };
    let shared = GcpShared { limiter: Arc::new(Limiter::new(retry, RateLimit::Off)), ..shared() };
    let provider = GcpProvider::new(settings(&fake), shared);
    let places = several(40);
    let value = text("v");
    let writes = places.iter().map(|at| write(&provider, at, &value, 1, Expect::Absent));
    for written in futures_util::future::join_all(writes).await {
        assert_eq!(written.as_deref(), Ok("1"));
    }
    assert!(fake.throttled() > 0, "the quota was never reached");
    assert!((0..40).all(|n| fake.secret(&format!("s{n}")).unwrap().versions.len() == 1), "nothing was stored twice");
}

#[tokio::test]
async fn the_newest_enabled_version_is_in_force_even_if_latest_is_disabled() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let at = place("db", |_| {});
    let first = write(&provider, &at, &text("first"), 1, Expect::Absent).await.unwrap();
    write(&provider, &at, &text("second"), 2, Expect::Version(first)).await.unwrap();
    fake.edit(|world| world.set_state("db", 2, "DISABLED"));
    let seen = look(&provider, &at, Reading::Each).await.unwrap();
    // The mark describes a version that is not in force any more.
    assert_eq!((seen.version.as_str(), seen.mark.unwrap().contains(":v=2-disabled:")), ("1", true));
    assert_eq!(value(&provider, &at).await.as_deref(), Ok("first"));
    // A new value takes the next number, and its mark says which.
    let third = write(&provider, &at, &text("third"), 3, Expect::Version("1".into())).await.unwrap();
    assert_eq!((third.as_str(), fake.secret("db").unwrap().annotation("secretzero")), ("3", Some(&*mark(3, 3))));
}

#[tokio::test]
async fn nothing_is_generated_where_a_disabled_version_holds_the_value() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let at = place("db", |_| {});
    write(&provider, &at, &text("first"), 1, Expect::Absent).await.unwrap();
    fake.edit(|world| world.set_state("db", 1, "DISABLED"));
    let probe = Probe { place: &at, expected_mark: None };
    let error = provider.observe(&[probe], Reading::Each).await.pop().unwrap().unwrap_err();
    insta::assert_snapshot!(error, @"db has no enabled version, but version 1 is disabled: enable it with `gcloud secrets versions enable 1 --secret=db --project=shop-prod`, or destroy it, and run again");
    assert_eq!(write(&provider, &at, &text("w"), 1, Expect::Absent).await, Err(ErrorKind::Conflict));
    assert_eq!(fake.secret("db").unwrap().states(), ["DISABLED"]);
}

#[tokio::test]
async fn replication_elsewhere_is_an_error_before_anything_is_written() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let here = |region: &str| {
        let replica = ReplicaRegion { region: region.into(), kms_key_id: None };
        place("db", |settings| settings.replication = Replication::UserManaged(vec![replica]))
    };
    write(&provider, &here("europe-west1"), &text("v"), 1, Expect::Absent).await.unwrap();
    let said = async |at: Place| {
        let probe = Probe { place: &at, expected_mark: None };
        let error = provider.observe(&[probe], Reading::Each).await.pop().unwrap().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid);
        error.message
    };
    insta::assert_snapshot!(said(here("europe-west4")).await, @"db: Google fixes the replication of a secret when it is made; it is `user_managed: [europe-west1]` and not `user_managed: [europe-west4]`. Declare it as it is, or choose another `secret_id`");
    insta::assert_snapshot!(said(place("db", |_| {})).await, @"db: Google fixes the replication of a secret when it is made; it is `user_managed: [europe-west1]` and not `automatic`. Declare it as it is, or choose another `secret_id`");
    // A place that only a lock names is wherever it is.
    let locator = provider.locator(&here("europe-west1")).await.unwrap();
    assert_eq!(locator.as_str(), "gcp-sm://shop-prod/db");
    let recalled = provider.recall(&locator, &secretzero::secret::Shape::Single).unwrap();
    assert!(look(&provider, &recalled, Reading::Each).await.is_some());
    let elsewhere = secretzero::locator::Locator::secret_manager("other", "db");
    assert!(provider.recall(&elsewhere, &secretzero::secret::Shape::Single).is_none());
}

#[tokio::test]
async fn values_that_secret_manager_cannot_hold_are_refused_before_any_request() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let at = place("db", |_| {});
    for large in [String::new(), "x".repeat(65_537)] {
        assert_eq!(write(&provider, &at, &text(&large), 1, Expect::Absent).await, Err(ErrorKind::Invalid));
    }
    assert_eq!(fake.calls(), 0);
    assert!(write(&provider, &at, &text(&"x".repeat(65_536)), 1, Expect::Absent).await.is_ok());
    let bytes = secretzero::secret::Value::Single(secretzero::secret::SecretValue::new(vec![0, 0xff, 7]));
    let binary = place("binary", |_| {});
    write(&provider, &binary, &bytes, 1, Expect::Absent).await.unwrap();
    assert!(provider.read(&[&binary]).await.pop().unwrap().unwrap().value.matches(&bytes));
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_replaced_by_the_next_call() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    fake.trust(|sign_in| sign_in.revoke_all());
    let at = place("db", |_| {});
    let probe = || Probe { place: &at, expected_mark: None };
    let refused = provider.observe(&[probe()], Reading::Each).await.pop().unwrap().unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unauthenticated);
    assert_eq!(provider.observe(&[probe()], Reading::Each).await, [Ok(None)]);
}

#[tokio::test]
async fn a_project_is_listed_for_an_import() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let replica = ReplicaRegion { region: "europe-west1".into(), kms_key_id: None };
    let at = place("app_db", |settings| {
        settings.labels = [("team".to_owned(), "core".to_owned())].into();
        settings.annotations = [("owner".to_owned(), "Ann".to_owned())].into();
        settings.replication = Replication::UserManaged(vec![replica]);
    });
    write(&provider, &at, &text("v"), 1, Expect::Absent).await.unwrap();
    write(&provider, &place("my_app_db", |_| {}), &text("v"), 1, Expect::Absent).await.unwrap();
    fake.edit(|world| {
        let empty = world.secrets["my_app_db"].fields.clone();
        world.secrets.insert("app_empty".into(), crate::fake::gcp::Secret { fields: empty, versions: Vec::new() });
    });
    let listed = provider.list(TargetKind::SecretManager, "app_").await.unwrap();
    let names: Vec<(&str, bool)> = listed.iter().map(|l| (l.settings.name(), l.has_value)).collect();
    assert_eq!(names, [("app_db", true), ("app_empty", false)]);
    let mut expected = at.settings.clone();
    if let secretzero::target::TargetSettings::SecretManager(settings) = &mut expected {
        settings.project_id = Some("shop-prod".into());
    }
    assert_eq!((&listed[0].settings, &listed[0].mark), (&expected, &Some(mark(1, 1))));
    assert_eq!(provider.list(TargetKind::SecretManager, "").await.unwrap().len(), 3);
}
