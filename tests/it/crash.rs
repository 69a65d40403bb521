//! Every effect is cut before, cut after, done twice, refused, and its reply lost, by one generic
//! loop; the next run must finish the job with the values that any store already holds.

mod rows;

use std::collections::{BTreeMap, BTreeSet};

use crate::fake::aws::{FakeAws, Fault, FaultPlan};
use crate::sandbox::{Ran, Sandbox};

const SECRETFILE: &str = r"
metadata:
  project: crash
providers:
  aws:
    kind: aws
    auth:
      kind: ambient
      config:
        region: us-east-1
  local:
    kind: local
secrets:
  - name: first
    kind: random_password
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: crash/first, description: d}}
      - {provider: aws, kind: ssm_parameter, config: {name: /crash/first, tags: {Team: a}}}
      - {provider: local, kind: file, config: {path: .env, format: dotenv, merge: true}}
  - name: second
    kind: templates.pair
templates:
  pair:
    fields:
      user: {generator: {kind: static, config: {default: bob}}}
      pass: {generator: {kind: random_string, config: {length: 20}}}
    targets:
      # The parameter is the primary here: marks come before values there.
      - {provider: aws, kind: ssm_parameter, primary: true, config: {name: /crash/second}}
      - {provider: aws, kind: secrets_manager, config: {name: crash/second}}
      - {provider: local, kind: file, config: {path: pair.json, format: json}}
";

const FAULTS: [Fault; 5] =
    [Fault::CutBefore, Fault::CutAfter, Fault::Twice, Fault::LostReply, Fault::Status(500, "InternalServiceError")];

/// What is lost between the two runs.
#[derive(Debug, Clone, Copy)]
enum Lost {
    Nothing,
    LockAndJournal,
}

/// The value at every place, by its name; places without one are not in it.
fn values(aws: &FakeAws, sandbox: &Sandbox) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for name in ["first", "second"] {
        if let Some(secret) = aws.secret(&format!("crash/{name}")) {
            let current = secret.versions.iter().find(|version| version.stages.contains("AWSCURRENT"));
            values.extend(current.map(|version| (format!("sm {name}"), version.value.clone())));
        }
        if let Some(parameter) = aws.parameter(&format!("/crash/{name}")) {
            values.insert(format!("ssm {name}"), parameter.value);
        }
    }
    let env = sandbox.read(".env");
    let line = env.lines().find_map(|line| line.strip_prefix("FIRST="));
    values.extend(line.map(|value| ("file first".to_owned(), value.trim_matches('\'').replace("'\\''", "'"))));
    let pair: serde_json::Value = serde_json::from_str(&sandbox.read("pair.json")).unwrap_or_default();
    values.extend(pair.get("second").map(|pair| ("file second".to_owned(), pair.to_string())));
    values
}

#[track_caller]
fn assert_converged(values: &BTreeMap<String, String>, case: &str) {
    assert_eq!(values.len(), 6, "{case}: every target holds a value: {:?}", values.keys());
    for secret in ["first", "second"] {
        let held: BTreeSet<&String> =
            values.iter().filter(|(place, _)| place.ends_with(secret)).map(|(_, value)| value).collect();
        assert_eq!(held.len(), 1, "{case}: all targets of {secret} are equal");
    }
}

/// Runs with one effect going wrong; returns whether the fault was reached.
fn faulty(aws: &FakeAws, sandbox: &Sandbox, args: &[&str], plan: FaultPlan) -> (bool, Ran) {
    let effect = plan.effect;
    aws.fault(plan);
    let child = sandbox.spawn(args);
    aws.victim(child.id());
    let ran = Ran::from(child.wait_with_output().unwrap());
    aws.drain();
    let reached = aws.effects() >= effect;
    aws.revive();
    (reached, ran)
}

/// Prepares, cuts one effect of `args`, loses something, runs `sync`, and judges; for every effect.
fn every_effect(args: &[&str], lost: Lost, prepare: impl Fn(&FakeAws, &Sandbox), allowed_new: bool) {
    for fault in FAULTS {
        for effect in 1.. {
            let aws = FakeAws::start();
            let sandbox = Sandbox::with(SECRETFILE).env(aws.env());
            prepare(&aws, &sandbox);
            let old = values(&aws, &sandbox);
            let (reached, first) = faulty(&aws, &sandbox, args, FaultPlan { effect, fault: fault.clone() });
            let between = values(&aws, &sandbox);
            if matches!(lost, Lost::LockAndJournal) {
                sandbox.remove(".gitsecrets.lock");
                sandbox.remove(".gitsecrets.lock.journal");
            }
            let case = format!("{fault:?} at effect {effect} of {args:?}, lost {lost:?}");
            let second = sandbox.run(&["sync", "--rate-limit", "off"]);
            assert_eq!(second.code, Some(0), "{case}: {}\nfirst run: {first:?}", second.stderr);
            let after = values(&aws, &sandbox);
            assert_converged(&after, &case);
            for (place, value) in &after {
                let secret = place.split(' ').next_back().unwrap();
                let held = old.iter().chain(&between).filter(|(place, _)| place.ends_with(secret));
                let known: BTreeSet<&String> = held.map(|(_, value)| value).collect();
                assert!(known.is_empty() || known.contains(value), "{case}: {place} was generated again");
                if !allowed_new && let Some(before) = between.get(place) {
                    assert_eq!(value, before, "{case}: {place} was replaced");
                }
            }
            let third = sandbox.expect(0, &["sync", "--rate-limit", "off"]);
            assert!(third.stdout.contains("Nothing to change"), "{case}: {}", third.stdout);
            if !reached {
                assert!(effect > 3, "{args:?} has effects to cut");
                break;
            }
        }
    }
}

#[test]
fn a_sync_survives_every_fault_at_every_effect() {
    every_effect(&["sync", "--rate-limit", "off"], Lost::Nothing, |_, _| {}, false);
}

#[test]
fn a_sync_survives_every_fault_even_when_lock_and_journal_are_lost() {
    every_effect(&["sync", "--rate-limit", "off"], Lost::LockAndJournal, |_, _| {}, false);
}

const ROTATE: [&str; 8] = ["rotate", "--force", "--secret", "first", "--secret", "second", "--rate-limit", "off"];

#[test]
fn a_rotation_survives_every_fault_at_every_effect() {
    let synced = |_: &FakeAws, sandbox: &Sandbox| drop(sandbox.expect(0, &["sync", "--rate-limit", "off"]));
    every_effect(&ROTATE, Lost::Nothing, synced, true);
}

#[test]
fn a_rotation_survives_every_fault_even_when_lock_and_journal_are_lost() {
    let synced = |_: &FakeAws, sandbox: &Sandbox| drop(sandbox.expect(0, &["sync", "--rate-limit", "off"]));
    every_effect(&ROTATE, Lost::LockAndJournal, synced, true);
}

#[test]
fn a_lost_target_is_filled_again_through_every_fault() {
    let prepare = |aws: &FakeAws, sandbox: &Sandbox| {
        sandbox.expect(0, &["sync", "--rate-limit", "off"]);
        aws.edit(|world| {
            let region = world.region(crate::fake::aws::REGION);
            region.secrets.remove("crash/first");
            region.parameters.remove("/crash/second");
        });
        sandbox.remove("pair.json");
        sandbox.remove(".gitsecrets.lock");
    };
    for lost in [Lost::Nothing, Lost::LockAndJournal] {
        for fault in FAULTS {
            let aws = FakeAws::start();
            let sandbox = Sandbox::with(SECRETFILE).env(aws.env());
            prepare(&aws, &sandbox);
            let old = values(&aws, &sandbox);
            for effect in 1..=3 {
                faulty(&aws, &sandbox, &["sync", "--rate-limit", "off"], FaultPlan { effect, fault: fault.clone() });
            }
            if matches!(lost, Lost::LockAndJournal) {
                sandbox.remove(".gitsecrets.lock");
            }
            sandbox.expect(0, &["sync", "--rate-limit", "off"]);
            let after = values(&aws, &sandbox);
            assert_converged(&after, &format!("{fault:?}"));
            assert!(old.iter().all(|(place, value)| after.get(place) == Some(value)), "{fault:?}: old values stay");
        }
    }
}

#[test]
fn a_place_with_a_new_name_gets_the_value_of_its_former_one() {
    let aws = FakeAws::start();
    let sandbox = Sandbox::with(SECRETFILE).env(aws.env());
    sandbox.expect(0, &["sync", "--rate-limit", "off"]);
    let old = aws.secret("crash/first").unwrap().versions.last().unwrap().value.clone();
    // All places of the secret move at once; only the lock still knows where its value is.
    let moved = SECRETFILE.replace("crash/first", "moved/first").replace("path: .env", "path: moved.env");
    sandbox.write("Secretfile.yml", &moved);
    sandbox.expect(0, &["sync", "--rate-limit", "off"]);
    assert_eq!(aws.secret("moved/first").unwrap().versions.last().unwrap().value, old);
    assert_eq!(aws.parameter("/moved/first").unwrap().value, old);
}
