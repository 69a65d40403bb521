//! The lock: it is a cache, it is never trusted, and one run at a time holds it.

use std::fs::File;

use super::{PAIR, SHOP, Stage};

const LOCK: &str = ".gitsecrets.lock";

#[test]
fn a_second_run_at_the_same_time_exits_7() {
    let stage = Stage::with(PAIR);
    let folder = File::open(stage.sandbox.path(".")).unwrap();
    folder.try_lock().unwrap();
    insta::assert_snapshot!(stage.told(7, &["sync"]), @"
    --- stderr
    error: another run holds .gitsecrets.lock; wait for it to end, then run again
    ");
    stage.told(7, &["rotate"]);
    stage.told(7, &["refresh"]);
    assert_eq!(stage.aws.total(), 0);
    // Looking is free.
    stage.told(0, &["sync", "--dry-run"]);
    stage.told(0, &["validate"]);
    folder.unlock().unwrap();
    stage.told(0, &["sync"]);
}

#[test]
fn a_lost_lock_is_rebuilt_and_nothing_is_written() {
    let stage = Stage::with(SHOP);
    stage.told(0, &["sync"]);
    let (lock, effects) = (stage.sandbox.read(LOCK), stage.aws.effects());
    stage.sandbox.remove(LOCK);
    insta::assert_snapshot!(stage.told(0, &["refresh"]), @"
    ✓ 3 secrets found in the stores
    ✓ Updated .gitsecrets.lock
    ");
    assert_eq!((stage.sandbox.read(LOCK), stage.aws.effects()), (lock, effects));
    insta::assert_snapshot!(stage.told(0, &["refresh"]), @"✓ 3 secrets found in the stores");
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"✓ Nothing to change; 6 targets as declared");
}

#[test]
fn a_damaged_lock_is_told_and_made_anew() {
    let stage = Stage::with(PAIR);
    stage.told(0, &["sync"]);
    let (lock, value) = (stage.sandbox.read(LOCK), stage.value("pair/token"));
    stage.sandbox.write(LOCK, &lock[..lock.len() / 2]);
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"
    ✓ Nothing to change; 2 targets as declared
    ✓ Updated .gitsecrets.lock
    --- stderr
    ! .gitsecrets.lock: the lockfile cannot be read (line 13); it is only a cache and is rebuilt from the stores
    ");
    assert_eq!((stage.sandbox.read(LOCK), stage.value("pair/token")), (lock, value));
}

#[test]
fn a_lock_of_a_later_version_stops_everything() {
    let stage = Stage::with(PAIR);
    let newer = "{\"format\": 2, \"secrets\": []}\n";
    stage.sandbox.write(LOCK, newer);
    insta::assert_snapshot!(stage.told(1, &["sync"]), @"
    --- stderr
    error: the lockfile has format 2, which is newer than this program; update SecretZero, nothing was changed
    ");
    stage.told(1, &["sync", "--dry-run"]);
    stage.told(1, &["refresh"]);
    assert_eq!((stage.aws.effects(), &*stage.sandbox.read(LOCK)), (0, newer));
}

#[test]
fn the_lock_stands_where_it_is_asked_to() {
    let stage = Stage::with(PAIR);
    stage.sandbox.write("state/keep", "");
    insta::assert_snapshot!(stage.told(0, &["sync", "--lockfile", "state/pair.lock"]), @"
    ✓ Generated token
    ✓ Created AWS Secrets Manager secret: pair/token
    ✓ Created AWS SSM Parameter: /pair/token
    ✓ Updated pair.lock
    ");
    assert!(stage.sandbox.read("state/pair.lock").contains("token"));
    assert_eq!(stage.sandbox.read(LOCK), "");
    insta::assert_snapshot!(stage.told(1, &["sync", "--lockfile", "nowhere/pair.lock"]), @"
    --- stderr
    error: pair.lock cannot be read: No such file or directory (os error 2)
      help: check the path of the lock, its folder and its permissions
    ");
}

#[test]
fn a_lock_that_cannot_be_read_stops_everything() {
    let stage = Stage::with(PAIR);
    stage.sandbox.write(".gitsecrets.lock/file", "");
    insta::assert_snapshot!(stage.told(1, &["sync"]), @"
    --- stderr
    error: .gitsecrets.lock cannot be read: Is a directory (os error 21)
      help: check the path of the lock, its folder and its permissions
    ");
    assert_eq!(stage.aws.total(), 0);
}

#[test]
fn a_lock_that_cannot_be_saved_exits_9_and_costs_no_value() {
    let stage = Stage::with(PAIR);
    stage.aws.delay(std::time::Duration::from_millis(20));
    let run = stage.sandbox.spawn(&["sync"]);
    // The lock has been read when the first store is asked.
    while stage.aws.total() == 0 {
        std::thread::yield_now();
    }
    stage.sandbox.write(".gitsecrets.lock/file", "");
    let ran = crate::sandbox::Ran::from(run.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(9), "{ran:?}");
    insta::assert_snapshot!(super::told(&ran), @"
    ✓ Generated token
    ✓ Created AWS Secrets Manager secret: pair/token
    ✓ Created AWS SSM Parameter: /pair/token
    --- stderr
    error: .gitsecrets.lock cannot be read: Is a directory (os error 21)
      help: what was written is safe: the next run reads it from the stores
    ");
    let value = stage.value("pair/token");
    std::fs::remove_dir_all(stage.sandbox.path(LOCK)).unwrap();
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"
    ✓ Nothing to change; 2 targets as declared
    ✓ Updated .gitsecrets.lock
    ");
    assert_eq!(stage.value("pair/token"), value);
}
