//! Two runs that claim the same secret, their calls in every order: exactly one value stays, and
//! whoever is told that its value stands is right.

use std::collections::BTreeSet;

use secretzero::provider::gcp::{GcpProvider, GcpSettings};
use secretzero::provider::{ErrorKind, Expect, Provider, Reading};

use super::{place, provider, settings, shared};
use crate::conformance::{look, options, text, write};
use crate::fake::gcp::{FakeGcp, Fault, Nth, World};

/// How many calls of each are put in order; more than this, and the rest goes as it comes.
const CALLS: usize = 5;

/// A client with a name.
fn named(fake: &FakeGcp, name: &str) -> GcpProvider {
    let settings = GcpSettings { endpoint_url: Some(format!("{}/as/{name}", fake.url())), ..settings(fake) };
    GcpProvider::new(settings, shared())
}

/// Every order of so many calls of two clients.
fn orders(a: usize, b: usize) -> Vec<Vec<&'static str>> {
    if a == 0 && b == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (name, a, b) in [("a", a.checked_sub(1), Some(b)), ("b", Some(a), b.checked_sub(1))] {
        if let (Some(a), Some(b)) = (a, b) {
            all.extend(orders(a, b).into_iter().map(|rest| [&[name], &rest[..]].concat()));
        }
    }
    all
}

async fn run(
    fake: &FakeGcp,
    client: &GcpProvider,
    name: &str,
    number: u64,
    expect: Expect,
) -> Result<String, ErrorKind> {
    let at = place("db", |_| {});
    let mut options = options(client, &at, number, expect).await;
    options.generation.id = format!("gid{name}");
    let written = client.write(&at, &text(name), &options).await.map_err(|error| error.kind);
    fake.leave(name);
    written
}

/// One project, two runs, and somebody who looks.
struct Stage {
    fake: FakeGcp,
    a: GcpProvider,
    b: GcpProvider,
    watcher: GcpProvider,
}

impl Stage {
    async fn new() -> Self {
        let fake = FakeGcp::start();
        let (a, b, watcher) = (named(&fake, "a"), named(&fake, "b"), provider(&fake));
        for client in [&a, &b, &watcher] {
            client.identity().await.unwrap();
        }
        Self { fake, a, b, watcher }
    }
}

/// Lets both write in one order, and says who was told that its value stands.
async fn race(stage: &Stage, order: &[&str], number: u64, expect: Expect) -> BTreeSet<&'static str> {
    let Stage { fake, a, b, watcher } = stage;
    let before = fake.secret("db").map_or(0, |secret| secret.enabled().len());
    fake.interleave(order.iter().map(|name| (*name).to_owned()));
    let (first, second) =
        futures_util::future::join(run(fake, a, "a", number, expect.clone()), run(fake, b, "b", number, expect)).await;
    let told: BTreeSet<&'static str> =
        [("a", &first), ("b", &second)].into_iter().filter(|(_, r)| r.is_ok()).map(|(n, _)| n).collect();
    let case = format!("{order:?}: a {first:?}, b {second:?}");
    for result in [first, second] {
        assert!(matches!(result, Ok(_) | Err(ErrorKind::Conflict)), "{case}");
    }
    let secret = fake.secret("db").unwrap();
    let new = &secret.enabled()[before..];
    assert!(told.len() <= 1 && new.len() == told.len(), "{case}: {new:?}");
    if let (Some(winner), Some((version, value))) = (told.first(), new.first()) {
        assert_eq!(value, winner, "{case}");
        let mark = secret.annotation("secretzero").unwrap();
        assert!(mark.contains(&format!(":u=gid{winner}:v={version}:")), "{case}: {mark}");
        let seen = look(watcher, &place("db", |_| {}), Reading::Each).await.unwrap();
        assert_eq!(seen.version, version.to_string(), "{case}");
    }
    told
}

/// Nothing stands there.
fn empty(stage: &Stage) {
    stage.fake.edit(|world| *world = World::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_that_create_leave_one_value_in_every_order() {
    let stage = Stage::new().await;
    let mut winners = BTreeSet::new();
    for order in orders(CALLS, CALLS) {
        empty(&stage);
        winners.insert(race(&stage, &order, 1, Expect::Absent).await);
    }
    assert!(winners.contains(&BTreeSet::from(["a"])) && winners.contains(&BTreeSet::from(["b"])), "{winners:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_that_rotate_leave_one_value_in_every_order() {
    let stage = Stage::new().await;
    let mut winners = BTreeSet::new();
    for order in orders(CALLS, CALLS) {
        empty(&stage);
        let at = place("db", |_| {});
        let version = write(&stage.watcher, &at, &text("old"), 1, Expect::Absent).await.unwrap();
        winners.insert(race(&stage, &order, 2, Expect::Version(version)).await);
    }
    assert!(winners.contains(&BTreeSet::from(["a"])) && winners.contains(&BTreeSet::from(["b"])), "{winners:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_that_find_an_empty_secret_of_a_dead_one_leave_one_value() {
    let stage = Stage::new().await;
    for order in orders(CALLS, CALLS) {
        empty(&stage);
        stage.fake.fault(Nth::Effect(2), Fault::CutBefore);
        let dead = write(&stage.watcher, &place("db", |_| {}), &text("dead"), 1, Expect::Absent).await;
        assert_eq!(dead, Err(ErrorKind::Indeterminate));
        stage.fake.revive();
        race(&stage, &order, 1, Expect::Absent).await;
    }
}

#[tokio::test]
async fn somebody_who_adds_a_version_without_asking_is_not_undone() {
    let fake = FakeGcp::start();
    let client = provider(&fake);
    let at = place("db", |_| {});
    let version = write(&client, &at, &text("old"), 1, Expect::Absent).await.unwrap();
    // Just after ours: theirs is what everybody reads.
    fake.before("versions.add", |world| {
        world.add("db", b"theirs", false);
    });
    let written = write(&client, &at, &text("ours"), 2, Expect::Version(version)).await.unwrap();
    assert_eq!(written, "3", "ours came last");
    let enabled = fake.secret("db").unwrap().enabled();
    assert_eq!(enabled.last().unwrap(), &(3, "ours".to_owned()));
    assert!(enabled.contains(&(2, "theirs".to_owned())), "and theirs is not destroyed");
}
