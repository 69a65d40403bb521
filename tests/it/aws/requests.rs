//! How many requests things take, and what happens where a right is missing or a list lags.

use secretzero::limiter::{RateLimit, RetryPolicy};
use secretzero::mark::{Generation, Mark};
use secretzero::provider::aws::AwsProvider;
use secretzero::provider::{ErrorKind, Expect, Observed, Probe, Provider, Reading};
use secretzero::target::Place;

use super::{connected, mark, parameter, provider, secret, settings, tag};
use crate::conformance::{generation, look, owner, text, value, write};
use crate::fake::aws::world::SecretVersion;
use crate::fake::aws::{Class, FakeAws, Parameter, REGION, Secret};

const MANY: usize = 1000;

/// A thousand secrets of two places each.
fn many() -> Vec<Place> {
    let secrets = (0..MANY).map(|n| secret(&format!("production/bench/s{n:04}"), |s| s.tags = tag("Team", "core")));
    let parameters = (0..MANY).map(|n| parameter(&format!("s{n:04}"), |s| s.tags = tag("Team", "core")));
    secrets.chain(parameters).collect()
}

/// The mark of the nth secret.
fn nth_mark(n: usize) -> String {
    let generation = Generation { id: format!("gid{n}"), ..generation(1) };
    Mark { owner: owner(), generation, version: "1".into(), carried: false, over_drift: false, withdrawn: false }
        .to_string()
}

/// Stores what [`many`] declares, without a request.
fn fill(fake: &FakeAws) {
    fake.edit(|world| {
        let region = world.region(REGION);
        for n in 0..MANY {
            let mut tags = tag("Team", "core");
            tags.insert("secretzero".into(), nth_mark(n));
            let stages = ["AWSCURRENT".to_owned()].into();
            let version = SecretVersion { id: "1".into(), value: "v".into(), is_binary: false, stages };
            let stored = Secret { versions: vec![version], tags: tags.clone(), ..Secret::default() };
            region.secrets.insert(format!("production/bench/s{n:04}"), stored);
            let (kind, tier, data_type) = ("SecureString".into(), "Standard".into(), "text".into());
            let stored =
                Parameter { version: 1, value: "v".into(), kind, tier, data_type, tags, ..Parameter::default() };
            region.parameters.insert(format!("/app/s{n:04}"), stored);
        }
    });
}

#[tokio::test]
async fn a_thousand_unchanged_secrets_in_two_stores_are_seen_in_thirty_requests() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    fill(&fake);
    let places = many();
    let probe = |(n, place)| Probe { place, expected_mark: Some(nth_mark(n % MANY)) };
    let probes: Vec<Probe<'_>> = places.iter().enumerate().map(probe).collect();
    let seen = provider.observe(&probes, Reading::List).await;
    for (n, (seen, place)) in seen.into_iter().zip(&places).enumerate() {
        let Observed { version, mark, attributes, from_list, .. } = seen.unwrap().unwrap();
        assert_eq!((version.as_str(), mark, from_list), ("1", Some(nth_mark(n % MANY)), true));
        let desired = provider.desired(place, None);
        assert!(desired.iter().all(|(name, value)| attributes.get(name) == Some(value)), "{attributes:?}");
    }
    let counts = (fake.count("ListSecrets"), fake.count("DescribeParameters"), fake.total());
    assert_eq!(counts, (10, 20, 30));
}

#[tokio::test]
async fn a_thousand_absent_secrets_in_two_stores_are_confirmed_in_171_requests() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let places = many();
    let probes: Vec<Probe<'_>> = places.iter().map(|place| Probe { place, expected_mark: None }).collect();
    for reading in [Reading::List, Reading::Batch] {
        let seen = provider.observe(&probes, reading).await;
        assert!(seen.into_iter().all(|seen| seen == Ok(None)));
    }
    let lists = (fake.count("ListSecrets"), fake.count("DescribeParameters"));
    let batches = (fake.count("BatchGetSecretValue"), fake.count("GetParameters"));
    assert_eq!((lists, batches), ((1, 20), (50, 100)));
    assert_eq!(fake.total(), 171, "with 2,000 creates this stays below 2,200");
}

#[tokio::test]
async fn a_create_is_one_request() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    for at in [secret("a", |s| s.tags = tag("Team", "core")), parameter("a", |s| s.tags = tag("Team", "core"))] {
        fake.forget_requests();
        write(&provider, &at, &text("v"), 1, Expect::Absent).await.unwrap();
        assert_eq!(fake.total(), 1, "{:?}", fake.requests());
    }
}

#[tokio::test]
async fn who_we_are_is_asked_once_by_any_number_of_callers() {
    let fake = FakeAws::start();
    let provider = provider(&fake);
    let at = secret("a", |_| {});
    let asked = (0..20).map(|_| provider.locator(&at));
    let locators = futures_util::future::join_all(asked).await;
    assert_eq!(locators[0].as_ref().unwrap().as_str(), "aws-sm://123456789012/us-east-1/a");
    assert_eq!((fake.count("GetCallerIdentity"), fake.total()), (1, 1));
}

#[tokio::test]
async fn at_most_64_calls_of_a_service_are_under_way() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    fake.delay(std::time::Duration::from_millis(200));
    let places: Vec<Place> = (0..200).map(|n| secret(&format!("s{n}"), |_| {})).collect();
    let probes: Vec<Probe<'_>> = places.iter().map(|place| Probe { place, expected_mark: None }).collect();
    provider.observe(&probes, Reading::Each).await;
    assert_eq!((fake.in_flight_max(), fake.total()), (64, 200));
}

#[tokio::test]
async fn forbidden_lists_and_batches_fall_back_to_one_read_each() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let secrets: Vec<Place> = (0..5).map(|n| secret(&format!("s{n}"), |_| {})).collect();
    let parameters: Vec<Place> = (0..5).map(|n| parameter(&format!("p{n}"), |_| {})).collect();
    let places: Vec<Place> = secrets.into_iter().chain(parameters).collect();
    for at in places.iter().filter(|at| !at.settings.name().ends_with('4')) {
        write(&provider, at, &text("v"), 1, Expect::Absent).await.unwrap();
    }
    for denied in ["ListSecrets", "BatchGetSecretValue", "DescribeParameters", "GetParameters"] {
        fake.deny(denied);
    }
    let probes: Vec<Probe<'_>> = places.iter().map(|place| Probe { place, expected_mark: None }).collect();
    for reading in [Reading::List, Reading::Each, Reading::Batch] {
        fake.forget_requests();
        let seen = provider.observe(&probes, reading).await;
        for (seen, at) in seen.into_iter().zip(&places) {
            let seen = seen.unwrap();
            assert_eq!(seen.is_some(), !at.settings.name().ends_with('4'), "{reading:?} {}", at.settings.name());
            if let Some(seen) = seen {
                let desired = provider.desired(at, None);
                assert!(desired.iter().all(|(name, value)| seen.attributes.get(name) == Some(value)), "{seen:?}");
                assert_eq!(Mark::parse(seen.mark.as_deref().unwrap()).unwrap().version, seen.version);
            }
        }
        let values =
            fake.count("GetSecretValue") + if reading == Reading::Batch { 0 } else { fake.count("GetParameter") };
        assert_eq!(values, 0, "{reading:?} read a value");
    }
    let read = provider.read(&places.iter().collect::<Vec<_>>()).await;
    assert_eq!(read.iter().filter(|read| read.is_ok()).count(), 8);
}

#[tokio::test]
async fn a_missing_right_is_named_with_the_object() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    for denied in ["ListSecrets", "DescribeSecret", "DescribeParameters", "ListTagsForResource", "CreateSecret"] {
        fake.deny(denied);
    }
    let message = async |at: &Place| {
        let probe = Probe { place: at, expected_mark: None };
        let error = provider.observe(&[probe], Reading::Each).await.pop().unwrap().unwrap_err();
        assert_eq!(error.kind, ErrorKind::PermissionDenied);
        error.message
    };
    insta::assert_snapshot!(message(&secret("app/db", |_| {})).await, @"AWS refused secretsmanager:DescribeSecret on app/db in us-east-1 (AccessDeniedException). Allow it to arn:aws:iam::123456789012:user/test on arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-??????");
    insta::assert_snapshot!(message(&parameter("db", |_| {})).await, @"AWS refused ssm:DescribeParameters in us-east-1 (AccessDeniedException). Allow it to arn:aws:iam::123456789012:user/test on *");
    let refused = write(&provider, &secret("app/db", |_| {}), &text("v"), 1, Expect::Absent).await;
    assert_eq!(refused, Err(ErrorKind::PermissionDenied));
    fake.allow_all();
    assert_eq!(look(&provider, &secret("app/db", |_| {}), Reading::Each).await, None);
}

#[tokio::test]
async fn what_a_lagging_list_hides_is_found_by_the_surer_readings() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    fake.freeze_lists();
    let places: Vec<Place> = (0..5).map(|n| secret(&format!("s{n}"), |_| {})).chain([parameter("p", |_| {})]).collect();
    for at in &places {
        write(&provider, at, &text("v"), 1, Expect::Absent).await.unwrap();
    }
    let probes: Vec<Probe<'_>> = places.iter().map(|place| Probe { place, expected_mark: None }).collect();
    let listed = provider.observe(&probes, Reading::List).await;
    assert!(listed.iter().all(|seen| *seen == Ok(None)), "{listed:?}");
    for reading in [Reading::Each, Reading::Batch] {
        for seen in provider.observe(&probes, reading).await {
            let seen = seen.unwrap().unwrap();
            assert_eq!(seen.mark, Some(mark(1, &seen.version)));
        }
    }
    fake.thaw_lists();
    assert!(provider.observe(&probes, Reading::List).await.into_iter().all(|seen| seen.unwrap().is_some()));
}

#[tokio::test]
async fn a_throttled_store_is_served_at_its_own_pace() {
    let fake = FakeAws::start();
    fake.quota(Class::ParameterWrites, 25.0);
    let provider = AwsProvider::new(settings(&fake), RetryPolicy::default(), RateLimit::Auto);
    let places: Vec<Place> = (0..60).map(|n| parameter(&format!("p{n}"), |_| {})).collect();
    let value = text("v");
    let writes = places.iter().map(|at| write(&provider, at, &value, 1, Expect::Absent));
    for written in futures_util::future::join_all(writes).await {
        assert_eq!(written.as_deref(), Ok("1"));
    }
    assert!(fake.throttled() > 0, "the quota was never reached");
    assert!(fake.throttled() < 20, "{} refusals for 60 calls", fake.throttled());
}

#[tokio::test]
async fn a_secret_without_any_value_is_not_found_and_not_overwritten() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    fake.edit(|world| world.region(REGION).secrets.insert("empty".into(), Secret::default()));
    let at = secret("empty", |_| {});
    assert_eq!(look(&provider, &at, Reading::Each).await.unwrap().version, "");
    assert_eq!(value(&provider, &at).await, Err(ErrorKind::NotFound));
    assert_eq!(write(&provider, &at, &text("v"), 1, Expect::Absent).await, Err(ErrorKind::Conflict));
    assert!(write(&provider, &at, &text("v"), 1, Expect::Version(String::new())).await.is_ok());
    assert_eq!(fake.secret("empty").unwrap().value(), Some("v"));
}
