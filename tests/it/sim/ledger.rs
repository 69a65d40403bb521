//! The ledger in a ref by itself: who waits, who gives up, what is believed. No test waits for real.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use secretzero::apply::{Intent, Ledger as _, LedgerError, Opened, Rest};
use secretzero::cli::ci::ref_ledger::{Holder, RefLedger, WAIT_MAX};
use secretzero::forge::State;
use secretzero::lockfile::Lockfile;
use serde_json::{Value, json};

use super::lease::{Ref, RefForge, SimClock, SimSleep};
use super::run::{Job, block_on};
use super::wire::{LONGER_THAN_A_LEASE, Time, Wire};

const FILE: &str = "Secretfile.yml.lock.json";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// One ref, one clock.
#[derive(Default)]
struct Stage {
    kept: Ref,
    time: Time,
}

impl Stage {
    fn open(&self, id: &str) -> Result<(RefLedger, Opened), LedgerError> {
        block_on(self.open_within(id))
    }

    async fn open_within(&self, id: &str) -> Result<(RefLedger, Opened), LedgerError> {
        let wire = Arc::new(Wire::new(&Job::default(), &self.time));
        let forge = RefForge { kept: Arc::clone(&self.kept), wire: Arc::clone(&wire) };
        let clock = Arc::new(SimClock(Arc::clone(&self.time)));
        let sleep = Arc::new(SimSleep { time: Arc::clone(&self.time), wire });
        let holder = Holder { id: id.into(), url: format!("run {id}"), commit: Some(COMMIT.into()) };
        let (name, mut patience) = ("refs/x/y".into(), WAIT_MAX);
        RefLedger::open(Arc::new(forge), (clock, sleep), name, "Secretfile.yml", holder, Some(&mut patience)).await
    }

    fn begun(&self, id: &str) -> RefLedger {
        let (ledger, _) = self.open(id).unwrap();
        block_on(ledger.begin(&[intent("a", 2, "abcdefghijklmnop")], &[])).unwrap();
        ledger
    }

    fn pass(&self, seconds: i64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    fn now(&self) -> i64 {
        self.time.load(Ordering::SeqCst)
    }

    fn document(&self) -> Value {
        let kept = self.kept.lock().unwrap();
        serde_json::from_slice(&kept.as_ref().unwrap().files[FILE]).unwrap()
    }

    /// Somebody writes the ref by hand.
    fn write(&self, bytes: &[u8]) {
        let files = BTreeMap::from([(FILE.to_owned(), bytes.to_vec())]);
        *self.kept.lock().unwrap() = Some(State { commit_sha: "1000".into(), files });
    }
}

fn intent(id: &str, generation: u64, generation_id: &str) -> Intent {
    let created = Timestamp::from_second(1_800_000_000).unwrap();
    Intent { id: id.into(), generation, generation_id: generation_id.into(), created, primary: None }
}

fn is_busy<T>(result: &Result<T, LedgerError>, run: &str) -> bool {
    matches!(result, Err(LedgerError::Busy(what)) if what.contains(run))
}

#[test]
fn a_second_run_waits_a_minute_and_then_names_the_first() {
    let stage = Stage::default();
    let _first = stage.begun("1.1");
    let second = stage.open("2.1");
    assert!(is_busy(&second, "run 1.1"));
    assert_eq!(stage.now(), 60);
}

#[test]
fn a_second_run_goes_on_as_soon_as_the_first_has_ended() {
    let stage = Stage::default();
    let first = stage.begun("1.1");
    block_on(first.finish(&Lockfile::default(), &Rest::default())).unwrap();
    let (_, opened) = stage.open("2.1").unwrap();
    assert_eq!((stage.now(), opened.last_synced.as_deref()), (0, Some(COMMIT)));
    assert!(opened.intents.is_empty());
}

#[test]
fn a_dead_runs_lease_ends_and_its_intents_are_handed_on_until_they_are_worked_on() {
    let stage = Stage::default();
    drop(stage.begun("1.1"));
    stage.pass(LONGER_THAN_A_LEASE);
    let (second, opened) = stage.open("2.1").unwrap();
    assert_eq!(opened.intents, [intent("a", 2, "abcdefghijklmnop")]);
    block_on(second.begin(&[intent("b", 1, "bcdefghijklmnopq")], &[])).unwrap();
    let ids: Vec<Value> = stage.document()["intents"].as_array().unwrap().iter().map(|i| i["id"].clone()).collect();
    assert_eq!(ids, [json!("b"), json!("a")]);
}

#[test]
fn a_later_attempt_of_the_same_run_need_not_wait_but_another_job_of_it_must() {
    let stage = Stage::default();
    drop(stage.begun("7.1"));
    assert!(is_busy(&stage.open("7.1"), "run 7.1"), "a job beside it");
    assert!(stage.open("7.2").is_ok(), "an attempt after it");
    assert!(is_busy(&stage.open("77.2"), "run 7.1"), "another run");
}

#[test]
fn of_two_that_saw_no_lease_one_begins_and_the_other_plans_anew() {
    let stage = Stage::default();
    let (first, _) = stage.open("1.1").unwrap();
    let (second, _) = stage.open("2.1").unwrap();
    block_on(first.begin(&[], &[])).unwrap();
    block_on(first.finish(&Lockfile::default(), &Rest::default())).unwrap();
    assert!(is_busy(&block_on(second.begin(&[], &[])), "ended meanwhile"), "its plan is older than the lock");
    assert_eq!(stage.document()["lease"], Value::Null);
}

#[test]
fn a_run_that_is_stuck_renews_its_lease() {
    let stage = Stage::default();
    let first = stage.begun("1.1");
    let before = stage.document()["lease"]["expires"].clone();
    let slow_call = async {
        for _ in 0..30 {
            stage.pass(60);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            assert!(is_busy(&stage.open_within("2.1").await, "run 1.1"), "nobody takes it meanwhile");
        }
    };
    block_on(async {
        tokio::select! {
            () = first.keep() => panic!("it lost its lease"),
            () = slow_call => {}
        }
    });
    assert_ne!(stage.document()["lease"]["expires"], before);
    assert!(block_on(first.hold()).is_ok());
}

#[test]
fn a_run_that_slept_through_its_lease_takes_it_again_if_it_is_free() {
    let stage = Stage::default();
    let first = stage.begun("1.1");
    stage.pass(LONGER_THAN_A_LEASE);
    block_on(first.hold()).unwrap();
    assert!(is_busy(&stage.open("2.1"), "run 1.1"));
}

#[test]
fn a_run_that_slept_through_its_lease_writes_nothing_after_another_took_it() {
    let stage = Stage::default();
    let first = stage.begun("1.1");
    stage.pass(LONGER_THAN_A_LEASE);
    let second = stage.begun("2.1");
    let theirs = stage.document();
    assert!(is_busy(&block_on(first.hold()), "run 2.1"));
    assert!(is_busy(&block_on(first.checkpoint(&Lockfile::default())), "run 2.1"));
    assert!(is_busy(&block_on(first.finish(&Lockfile::default(), &Rest::default())), "run 2.1"));
    assert_eq!(stage.document(), theirs);
    block_on(second.finish(&Lockfile::default(), &Rest::default())).unwrap();
    assert!(is_busy(&block_on(first.hold()), "run 2.1"), "not even when that one has ended");
}

#[test]
fn a_run_that_wrote_nothing_leaves_the_lease_of_another_alone() {
    let stage = Stage::default();
    let (idle, _) = stage.open("1.1").unwrap();
    let _second = stage.begun("2.1");
    let theirs = stage.document();
    assert!(!block_on(idle.finish(&Lockfile::default(), &Rest::default())).unwrap());
    assert_eq!(stage.document(), theirs);
}

#[test]
fn a_lease_of_a_thousand_years_counts_as_one_hour_from_when_it_is_seen() {
    let stage = Stage::default();
    let lease = json!({ "holder": "666", "run": "nobody", "expires": "2999-01-01T00:00:00Z" });
    stage.write(json!({ "lease": lease, "lock": Lockfile::default() }).to_string().as_bytes());
    assert!(is_busy(&stage.open("1.1"), "nobody"));
    stage.pass(30 * 60);
    assert!(is_busy(&stage.open("2.1"), "nobody"), "half an hour later it still counts");
    stage.pass(30 * 60);
    assert!(stage.open("3.1").is_ok(), "an hour later it does not, whoever looked meanwhile");
}

#[test]
fn what_no_run_of_ours_can_have_written_is_left_out() {
    let entry = |name: &str, gid: &str| {
        json!({ "name": name, "id": name, "gen": 1, "gid": gid, "primary": "file:a#B", "targets": [],
            "declaration": { "static": "", "generated": "" } })
    };
    let lock = json!({ "format": 1, "secrets": [
        entry("good", "abcdefgh"), entry("good", "twice"), entry("bad\n::error::x", "abcdefgh"), entry("mark", "a:g=9:v=1"),
    ]});
    let intents = json!([intent("a", 1, "abcdefgh"), intent("b", 1, "x:r=elsewhere"), intent("c", 1, "")]);
    let stage = Stage::default();
    stage.write(json!({ "last_synced": "HEAD; rm -rf /", "intents": intents, "lock": lock }).to_string().as_bytes());
    let (_, opened) = stage.open("1.1").unwrap();
    let names: Vec<&str> = opened.lock.secrets.iter().map(|secret| secret.name.as_str()).collect();
    let intents: Vec<&str> = opened.intents.iter().map(|intent| intent.id.as_str()).collect();
    assert_eq!((names, intents, opened.last_synced), (vec!["good"], vec!["a"], None));
}

#[test]
fn a_damaged_ref_is_a_lost_cache_and_a_newer_one_stops() {
    let deep = format!("{{\"lock\":{}", "[".repeat(1_000_000));
    let wide = format!("{{\"lock\":{{\"format\":1,\"secrets\":[{}1]}}}}", "1,".repeat(1_000_000));
    for bytes in [&b""[..], b"{", b"null", b"[]", b"\xff", b"{\"lock\":1}", deep.as_bytes(), wide.as_bytes()] {
        let stage = Stage::default();
        stage.write(bytes);
        let (_, opened) = stage.open("1.1").unwrap();
        assert!(opened.warning.is_some() && opened.lock == Lockfile::default(), "{:?}", bytes.get(..20));
    }
    let stage = Stage::default();
    stage.write(br#"{"lock":{"format":2,"new":[]}}"#);
    assert!(matches!(stage.open("1.1"), Err(LedgerError::Lock(_))));
}
