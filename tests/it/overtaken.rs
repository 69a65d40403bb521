//! Another run writes between this one's look at the lock and its begin: its plan is of no use any
//! more, so it looks and plans again, and never writes by the old one.

use serde_json::{Value, json};

use crate::fake::aws::REGION;
use crate::fake::github::World;
use crate::stage::{LOCK_REF, Stage, opened};

/// No commit that the forge knows.
const UNKNOWN: &str = "0123456789012345678901234567890123456789";

/// A merged change that is to be synced, and the lock of the sync before.
fn merged() -> (Stage, String, Value) {
    let (stage, pull, _) = opened();
    let merged = stage.github.merge_pull(pull);
    let lock = serde_json::from_str(&stage.lock().unwrap()).unwrap();
    (stage, merged, lock)
}

/// Puts a document into the ref, as another run would.
fn put(world: &mut World, document: &Value) {
    let commit = world.commit_on("scratch", &[("Secretfile.yml.lock.json", document.to_string().as_bytes())]);
    world.refs.insert(LOCK_REF.to_owned(), commit);
}

/// What stands there when each of the next moves of the ref is about to be made.
fn racing(stage: &Stage, documents: impl IntoIterator<Item = Value>) {
    for document in documents {
        stage.github.before("PATCH", "/git/refs/", move |world| put(world, &document));
    }
}

/// As many documents, each another one.
fn ever_another(lock: &Value, times: usize) -> impl Iterator<Item = Value> {
    (0..times).map(|time| {
        let mut theirs = lock.clone();
        theirs["last_synced"] = json!(format!("{time}{}", &UNKNOWN[1..]));
        theirs
    })
}

#[test]
fn a_run_that_planned_while_another_one_wrote_plans_again_and_goes_on() {
    let (stage, merged, lock) = merged();
    racing(&stage, ever_another(&lock, 3));
    let ran = stage.push(&merged, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.matches("what is left is planned again").count(), 3, "{ran:?}");
    assert!(stage.aws.secret("production/myapp/service-account").is_some());
    let document: Value = serde_json::from_str(&stage.lock().unwrap()).unwrap();
    assert_eq!((&document["lease"], &document["last_synced"]), (&json!(null), &json!(merged)));
}

#[test]
fn a_run_that_is_overtaken_each_time_exits_7_and_writes_nothing() {
    let (stage, merged, lock) = merged();
    racing(&stage, ever_another(&lock, 4));
    let ran = stage.push(&merged, &[]);
    assert_eq!((ran.code, stage.effects()), (Some(7), 0), "{ran:?}");
    assert_eq!(stage.output("failure_reason"), "locked");
}

#[test]
fn what_the_other_run_did_meanwhile_is_not_done_again() {
    // The other run wrote everything; then what it did is taken back, to come again at the right moment.
    let (stage, merged, lock) = merged();
    assert_eq!(stage.push(&merged, &[]).code, Some(0));
    let (done, contents) = (stage.lock().unwrap(), stage.aws.edit(|world| format!("{:?}", world.regions)));
    put(&mut stage.github.world(), &lock);
    let account = "production/myapp/service-account";
    let theirs = stage.aws.edit(|world| world.region(REGION).secrets.remove(account)).unwrap();
    let create = stage.aws.later(move |world| drop(world.region(REGION).secrets.insert(account.to_owned(), theirs)));
    let document: Value = serde_json::from_str(&done).unwrap();
    stage.github.before("PATCH", "/git/refs/", move |github| {
        put(github, &document);
        create();
    });
    stage.aws.forget_requests();
    let ran = stage.push(&merged, &[]);
    assert_eq!((ran.code, stage.effects()), (Some(0), 0), "{ran:?}");
    assert!(ran.stdout.contains("what is left is planned again"), "{ran:?}");
    assert_eq!(stage.aws.edit(|world| format!("{:?}", world.regions)), contents, "one value, written once");
}

#[test]
fn a_run_that_a_newer_commit_overtook_leaves_the_rest_to_that_one() {
    let (stage, merged, lock) = merged();
    let mut theirs = lock;
    theirs["last_synced"] = json!(UNKNOWN);
    stage.github.before("PATCH", "/git/refs/", move |world| {
        put(world, &theirs);
        world.commit_on("main", &[("README.md", b"newer")]);
    });
    let ran = stage.push(&merged, &[]);
    assert_eq!((ran.code, stage.effects()), (Some(0), 0), "{ran:?}");
    assert!(ran.stdout.contains("has moved on to"), "{ran:?}");
    assert_eq!(stage.output("changed"), "false");
}
