//! Each row of the recovery table (what is seen at the start, what it means, what is done), reached by
//! cutting the power at the effect before it.

use std::collections::BTreeSet;

use secretzero::mark::Mark;

use super::faulty;
use crate::fake::aws::{FakeAws, Fault, FaultPlan, REGION, Secret, SecretVersion};
use crate::sandbox::Sandbox;

const LOCK: &str = ".gitsecrets.lock";
const JOURNAL: &str = ".gitsecrets.lock.journal";
const SYNC: [&str; 3] = ["sync", "--rate-limit", "off"];
const ROTATE: [&str; 6] = ["rotate", "--force", "--secret", "token", "--rate-limit", "off"];

const SECRETFILE: &str = "metadata: {project: rows}
providers:
  aws: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
secrets:
  - name: token
    kind: random_string
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: rows/a}}
      - {provider: aws, kind: ssm_parameter, config: {name: /rows/b}}
      - {provider: aws, kind: secrets_manager, config: {name: rows/c}}
";

struct Stage {
    aws: FakeAws,
    sandbox: Sandbox,
}

impl Stage {
    /// Generation 1 everywhere.
    fn synced() -> Self {
        let aws = FakeAws::start();
        let sandbox = Sandbox::with(SECRETFILE).env(aws.env());
        sandbox.expect(0, &SYNC);
        Self { aws, sandbox }
    }

    /// A rotation whose power is cut at this effect.
    fn cut(&self, effect: usize, fault: Fault) {
        let (reached, ran) = faulty(&self.aws, &self.sandbox, &ROTATE, FaultPlan { effect, fault });
        assert!(reached && ran.code.is_none(), "{ran:?}");
    }

    /// Value and generation at each of the three places, the primary first.
    fn held(&self) -> [(String, u64); 3] {
        let secret = |name: &str| {
            let secret = self.aws.secret(name).unwrap();
            let Mark { generation, version, .. } = Mark::parse(&secret.tags["secretzero"]).unwrap();
            // Its version is a token, which names the generation by itself: the mark may lag behind.
            let lags = u64::from(secret.current().unwrap().id != version);
            (secret.value().unwrap().to_owned(), generation.number + lags)
        };
        let parameter = self.aws.parameter("/rows/b").unwrap();
        let mark = Mark::parse(&parameter.tags["secretzero"]).unwrap();
        // A mark that is one ahead announces what was never written.
        let ahead = u64::from(mark.version != parameter.version.to_string());
        [secret("rows/a"), (parameter.value, mark.generation.number - ahead), secret("rows/c")]
    }

    fn id_at_primary(&self) -> String {
        Mark::parse(&self.aws.secret("rows/a").unwrap().tags["secretzero"]).unwrap().generation.id
    }

    fn everything(&self) -> String {
        self.aws.edit(|world| format!("{:?}", world.regions))
    }

    /// The rest is done with this value, and then there is nothing left to do.
    fn assert_settles_on(&self, value: &str, generation: u64) {
        self.sandbox.expect(0, &SYNC);
        assert!(self.held().iter().all(|held| *held == (value.to_owned(), generation)), "{:?}", self.held());
        assert!(self.sandbox.expect(0, &SYNC).stdout.contains("Nothing to change"));
    }
}

fn intended_id(sandbox: &Sandbox) -> String {
    let intent: serde_json::Value = serde_json::from_str(sandbox.read(JOURNAL).lines().next().unwrap()).unwrap();
    intent["gid"].as_str().unwrap().to_owned()
}

#[test]
fn lock_intended_primary_lacks_the_generation_it_never_happened() {
    let stage = Stage::synced();
    let [(old, _), ..] = stage.held();
    stage.cut(1, Fault::CutBefore);
    let id = intended_id(&stage.sandbox);
    assert!(stage.held().iter().all(|held| *held == (old.clone(), 1)), "the row is reached");
    stage.assert_settles_on(&old, 1);
    stage.sandbox.expect(0, &ROTATE);
    let [(new, generation), ..] = stage.held();
    assert!(new != old && generation == 2 && stage.id_at_primary() != id, "the id is dropped with its intent");
}

#[test]
fn lock_intended_primary_has_the_id_the_fan_out_goes_on() {
    let stage = Stage::synced();
    let [(old, _), ..] = stage.held();
    stage.cut(1, Fault::CutAfter);
    let id = intended_id(&stage.sandbox);
    let [(new, primary), (b, _), (c, _)] = stage.held();
    assert!(primary == 2 && new != old && b == old && c == old, "the row is reached");
    stage.assert_settles_on(&new, 2);
    assert_eq!(stage.id_at_primary(), id, "the dead run's intent names its generation");
}

#[test]
fn no_lock_all_targets_the_same_generation_the_lock_is_made_again() {
    let stage = Stage::synced();
    stage.sandbox.expect(0, &ROTATE);
    let (lock, everything) = (stage.sandbox.read(LOCK), stage.everything());
    stage.sandbox.remove(LOCK);
    assert!(stage.sandbox.expect(0, &SYNC).stdout.contains("Nothing to change"));
    assert_eq!((stage.sandbox.read(LOCK), stage.everything()), (lock, everything));
}

#[test]
fn no_lock_generations_differ_the_primarys_wins_and_heals_the_others() {
    let stage = Stage::synced();
    for effect in 2.. {
        // The targets are written beside each other: cut until one is done and one is not.
        let before = stage.held();
        stage.cut(effect, Fault::CutAfter);
        let after = stage.held();
        let done = after[1..].iter().filter(|held| held.1 == after[0].1).count();
        if done == 1 {
            assert!(after[0].1 == before[0].1 + 1, "the row is reached: {after:?}");
            stage.sandbox.remove(LOCK);
            stage.sandbox.remove(JOURNAL);
            return stage.assert_settles_on(&after[0].0, after[0].1);
        }
        stage.sandbox.expect(0, &SYNC);
    }
}

#[test]
fn lock_behind_a_target_of_ours_a_runner_died_after_the_write_it_goes_on() {
    let stage = Stage::synced();
    let before = stage.aws.effects();
    stage.sandbox.expect(0, &ROTATE);
    let effects = stage.aws.effects() - before;
    let lock = stage.sandbox.read(LOCK);
    stage.cut(effects, Fault::CutAfter);
    let held = stage.held();
    let values: BTreeSet<&str> = held.iter().map(|(value, _)| value.as_str()).collect();
    assert!(values.len() == 1 && held[0].1 == 3 && stage.sandbox.read(LOCK) == lock, "the row is reached: {held:?}");
    let everything = stage.everything();
    assert!(stage.sandbox.expect(0, &SYNC).stdout.contains("Nothing to change"));
    assert_eq!(stage.everything(), everything);
    assert_ne!(stage.sandbox.read(LOCK), lock, "the lock follows");
}

#[test]
fn a_version_that_moved_without_us_is_drift_and_told_even_after_a_power_cut() {
    let stage = Stage::synced();
    stage.cut(1, Fault::CutBefore);
    stage.aws.edit(|world| {
        let Secret { versions, .. } = world.region(REGION).secrets.get_mut("rows/c").unwrap();
        versions.iter_mut().for_each(|version| version.stages.clear());
        let (id, stages) = ("an-operators-version-0000000000000000".into(), ["AWSCURRENT".to_owned()].into());
        versions.push(SecretVersion { id, value: "by hand".into(), is_binary: false, stages });
    });
    let everything = stage.everything();
    let ran = stage.sandbox.run(&SYNC);
    assert!(ran.stdout.contains("changed outside") || ran.stderr.contains("changed outside"), "{ran:?}");
    assert_eq!(stage.everything(), everything, "nothing is replaced unasked");
    stage.sandbox.expect(0, &ROTATE);
    let held = stage.held();
    assert!(held.iter().all(|other| other.0 == held[0].0 && other.0 != "by hand"), "a rotation ends it");
}

#[test]
fn primary_unreachable_nothing_is_generated_even_when_lock_and_journal_are_gone() {
    let stage = Stage::synced();
    stage.cut(1, Fault::CutAfter);
    let [(new, _), ..] = stage.held();
    stage.sandbox.remove(LOCK);
    stage.sandbox.remove(JOURNAL);
    let everything = stage.everything();
    for operation in ["DescribeSecret", "ListSecrets", "GetSecretValue", "BatchGetSecretValue"] {
        stage.aws.deny(operation);
    }
    let ran = stage.sandbox.run(&SYNC);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stage.everything(), everything, "nothing is written");
    stage.aws.allow_all();
    stage.assert_settles_on(&new, 2);
}

#[test]
fn a_value_that_can_be_read_nowhere_is_not_copied_and_not_generated_again() {
    let stage = Stage::synced();
    let [(old, _), ..] = stage.held();
    stage.cut(1, Fault::CutAfter);
    let everything = stage.everything();
    for operation in ["GetSecretValue", "BatchGetSecretValue"] {
        stage.aws.deny(operation);
    }
    let ran = stage.sandbox.run(&SYNC);
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(ran.stderr.contains("could not be read"), "it says why: {ran:?}");
    assert_eq!(stage.everything(), everything);
    stage.aws.allow_all();
    let [(new, _), ..] = stage.held();
    assert_ne!(new, old);
    stage.assert_settles_on(&new, 2);
}
