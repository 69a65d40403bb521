//! Random Secretfiles, edits, faults and losses against stores in memory: whatever happens, the
//! promises hold, and one run without faults puts everything right.
//!
//! `SECRETZERO_SIM_SEEDS` sets how many seeds are tried, `SECRETZERO_SIM_FIRST` the first of them.

mod chance;
mod concurrent;
mod disk;
mod lease;
mod ledger;
mod model;
mod run;
mod store;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use secretzero::lockfile::Lockfile;
use secretzero::mark::{Mark, ShortId};
use secretzero::plan::Options;
use secretzero::secret::{SecretValue, Value};
use secretzero::target::TargetKind;

use self::chance::Chance;
use self::model::{Model, Secret, Source};
use self::run::{Job, LOCK, World};
use self::store::{Object, Snapshot, locator};

/// Seeds of a usual run; a few seconds.
const SEEDS: u64 = 250;

/// Seeds of each test with two runs.
const INTERLEAVINGS: u64 = 100;

fn from_environment(name: &str, default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "an option of the test itself")]
    let set = std::env::var(name).ok().and_then(|text| text.parse().ok());
    set.unwrap_or(default)
}

/// Runs one seed after the other; a panic names the seed.
fn every_seed(test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    seeds(SEEDS, test);
}

/// The same for two runs at a time.
fn every_interleaving(test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    seeds(INTERLEAVINGS, test);
}

fn seeds(usual: u64, test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let first = from_environment("SECRETZERO_SIM_FIRST", 0);
    let mut failed = Vec::new();
    for seed in first..first + from_environment("SECRETZERO_SIM_SEEDS", usual) {
        if std::panic::catch_unwind(|| test(seed)).is_err() {
            failed.push(seed);
        }
    }
    assert!(
        failed.is_empty(),
        "{} seeds failed; repeat with SECRETZERO_SIM_FIRST={} SECRETZERO_SIM_SEEDS=1: {failed:?}",
        failed.len(),
        failed[0]
    );
}

/// What the runs of all seeds did, by action, to see that nothing was proven of nothing.
#[derive(Default)]
struct Tally(Mutex<BTreeMap<&'static str, usize>>);

impl Tally {
    fn add(&self, world: &World) {
        let mut counts = self.0.lock().unwrap();
        for (action, count) in &world.tally {
            *counts.entry(action).or_default() += count;
        }
    }

    fn assert_every_action(&self) {
        let counts = self.0.lock().unwrap();
        let actions =
            ["create", "metadata", "revise", "rotate", "adopt", "spread", "heal", "overwrite", "held", "left out"];
        for action in actions {
            assert!(counts.get(action).is_some_and(|count| *count >= 5), "too few runs had to {action}: {counts:?}");
        }
    }
}

/// The part of a value that was drawn at random; nothing of a static value.
fn drawn(source: Source, value: &str) -> Option<String> {
    match source {
        Source::Static(_) => None,
        Source::Random => Some(value.to_owned()),
        Source::Template { .. } => value.split("\"pass\": ").nth(1)?.split('"').nth(1).map(str::to_owned),
    }
}

/// What is known of one secret beside what the program knows.
#[derive(Default)]
struct Truth {
    /// Drawn parts in the order in which they were first stored.
    drawn: Vec<String>,
}

struct Sim {
    seed: u64,
    chance: Chance,
    world: World,
    model: Model,
    truths: BTreeMap<String, Truth>,
    /// Places that an outsider made or changed, with what stood there then.
    outsiders: BTreeMap<String, Snapshot>,
    drifted: bool,
    /// Places where a write over an outsider's value may have been cut between mark and value.
    unsettled: BTreeSet<String>,
    /// The lock is what the last run left.
    lock_intact: bool,
}

/// What a run was, as far as it decides what may change.
struct Allowed {
    new_values: bool,
    foreign: bool,
}

impl Sim {
    fn new(seed: u64) -> Self {
        let chance = Chance::new(seed);
        let model = Model::new(&chance, true);
        let world = World::default();
        let (truths, outsiders) = (BTreeMap::new(), BTreeMap::new());
        Self {
            seed,
            chance,
            world,
            model,
            truths,
            outsiders,
            drifted: false,
            unsettled: BTreeSet::new(),
            lock_intact: true,
        }
    }

    /// Every value by secret and place.
    fn held(&self) -> BTreeMap<(String, String), String> {
        let mut held = BTreeMap::new();
        for secret in &self.model.secrets {
            for (at, value) in self.world.values(&secret.first) {
                held.insert((secret.first.clone(), at), value);
            }
        }
        held
    }

    fn declared(&self, secret: &Secret) -> BTreeSet<String> {
        let manifest = self.world.manifest(&self.model.text());
        let declared = manifest.secrets.iter().find(|s| s.first_name == secret.first).unwrap();
        let place = |target| secretzero::plan::observe::place(declared, target);
        declared.targets.iter().map(|target| locator(&place(target)).to_string()).collect()
    }

    /// Whether a value of ours stands where a run must find it.
    fn must_be_found(&self, secret: &Secret, held: &BTreeMap<(String, String), String>) -> bool {
        let mut places = self.declared(secret);
        if self.lock_intact {
            let lock = Lockfile::parse(&self.world.file(LOCK).unwrap_or_default()).unwrap_or_default();
            let known = lock.secret(ShortId::of(&secret.first).as_str()).map(|known| known.targets.clone());
            places.extend(known.into_iter().flatten().map(|target| target.locator.to_string()));
        }
        places.iter().any(|at| self.is_ours(secret, at, held))
    }

    fn is_ours(&self, secret: &Secret, at: &str, held: &BTreeMap<(String, String), String>) -> bool {
        let value = held.get(&(secret.first.clone(), at.to_owned()));
        let announced = value.is_some_and(|value| self.unsettled.contains(at) && value.starts_with("outsider"));
        let unmarked = self.world.snapshot(at).is_some_and(|(_, mark, ..)| mark.is_none());
        value.is_some() && !unmarked && !announced && !self.outsiders.contains_key(at)
    }

    /// Something happens to the Secretfile, the lock or the stores between two runs.
    fn disturb(&mut self) {
        for _ in 0..self.chance.below(4) {
            self.model.edit(&self.chance, true);
        }
        match self.chance.below(7) {
            0 => {
                self.world.remove(LOCK);
                self.lock_intact = false;
            }
            1 => self.forge(),
            2 | 3 => self.outsider(),
            _ => {}
        }
        if self.chance.one_in(4) {
            self.world.remove(".gitsecrets.lock.journal");
        }
    }

    /// The lock is cut short or tells lies.
    fn forge(&mut self) {
        let Some(bytes) = self.world.file(LOCK) else { return };
        self.lock_intact = false;
        if self.chance.one_in(3) {
            return self.world.write(LOCK, &bytes[..self.chance.below(bytes.len())]);
        }
        let Ok(mut lock) = Lockfile::parse(&bytes) else { return };
        let places: Vec<_> = lock.secrets.iter().flat_map(|s| s.targets.iter().map(|t| t.locator.clone())).collect();
        for secret in &mut lock.secrets {
            match self.chance.below(6) {
                0 => secret.generation = *self.chance.pick(&[0, 1, 2, 7, u64::MAX]),
                1 => secret.generation_id = "forged".into(),
                2 => secret.declaration.fixed = "forged".into(),
                3 => secret.targets.iter_mut().for_each(|target| target.version = "9".into()),
                4 => secret.targets.iter_mut().for_each(|target| target.locator = self.chance.pick(&places).clone()),
                _ => {}
            }
        }
        self.world.write(LOCK, &lock.to_bytes());
    }

    /// Somebody else changes, deletes or makes an object.
    fn outsider(&mut self) {
        let secret = self.chance.pick(&self.model.secrets).clone();
        let declared: Vec<String> = self.declared(&secret).into_iter().filter(|at| at.starts_with("aws-")).collect();
        if declared.is_empty() {
            return;
        }
        let at = self.chance.pick(&declared).clone();
        let value = Value::Single(SecretValue::from(format!("outsider {}", self.chance.next()).as_str()));
        let held = self.held();
        let elsewhere = declared.iter().filter(|other| **other != at && self.is_ours(&secret, other, &held)).count();
        let mut contents = self.world.shared.lock().unwrap();
        let slot = contents.objects.iter_mut().find(|(known, _)| known.as_str() == at).map(|(_, object)| object);
        match slot {
            Some(object) if self.chance.one_in(3) && at.starts_with("aws-sm://1/secrets_manager") => {
                object.pending_deletion = true;
                if let Some(known) = self.outsiders.get_mut(&at) {
                    *known = object.snapshot();
                }
            }
            Some(_) if self.chance.one_in(2) && elsewhere > 0 => {
                contents.objects.retain(|known, _| known.as_str() != at);
                self.outsiders.remove(&at);
            }
            Some(object) if secret.source == Source::Random && !object.pending_deletion => {
                let id = object.versions.len() + 100;
                object.versions.push((id.to_string(), value));
                if at.contains("/key_vault/") {
                    // The mark belongs to the version.
                    object.mark = None;
                }
                self.outsiders.insert(at, object.snapshot());
                self.drifted = true;
            }
            None if secret.source == Source::Random => {
                let object = Object { versions: vec![("1".into(), value)], ..Object::default() };
                self.outsiders.insert(at.clone(), object.snapshot());
                let known = contents.places.keys().find(|known| known.as_str() == at).cloned();
                contents.objects.extend(known.map(|known| (known, object)));
            }
            _ => {}
        }
    }

    /// All copies of a secret are deleted but those in one kind of store, which is down in that run.
    fn disaster(&mut self, job: &mut Job) {
        let secret = self.chance.pick(&self.model.secrets).clone();
        let down = *self.chance.pick(&[
            TargetKind::SecretsManager,
            TargetKind::SsmParameter,
            TargetKind::KeyVault,
            TargetKind::Kv,
        ]);
        let (declared, held) = (self.declared(&secret), self.held());
        let ours = |at: &&String| self.world.is_kind(at, down) && self.is_ours(&secret, at, &held);
        if !declared.iter().any(|at| ours(&at)) {
            return;
        }
        job.down = Some(down);
        let lost: Vec<String> = declared.into_iter().filter(|at| !self.world.is_kind(at, down)).collect();
        for at in lost.iter().filter(|at| at.starts_with("aws-")) {
            self.world.delete(at);
            self.outsiders.remove(at);
        }
        self.world.remove(LOCK);
        self.lock_intact = false;
    }

    /// A random run; returns what it may change.
    fn job(&self) -> (Job, Allowed) {
        let rate = *self.chance.pick(&[0, 6, 12, 25, 60]);
        let mut job = Job { seed: self.chance.next(), rate, ..Job::default() };
        // Who finds somebody else's object soon decides about it.
        let found = !self.outsiders.is_empty() && self.chance.one_in(3);
        match if found { 1 + self.chance.below(2) } else { self.chance.below(8) } {
            0 => job.options = Options { force: true, rotate_due: true, attended: true, ..Options::default() },
            1 => job.options.overwrite = true,
            2 => job.options.adopt = true,
            3 => job.refresh = true,
            _ => {}
        }
        if self.chance.one_in(3) {
            let kinds = [TargetKind::SecretsManager, TargetKind::SsmParameter, TargetKind::KeyVault, TargetKind::Kv];
            job.down = Some(*self.chance.pick(&kinds));
        }
        if self.chance.one_in(5) {
            let kinds = [
                TargetKind::SecretsManager,
                TargetKind::SsmParameter,
                TargetKind::KeyVault,
                TargetKind::Kv,
                TargetKind::File,
            ];
            job.kinds = kinds.into_iter().filter(|_| self.chance.one_in(2)).collect();
        }
        let foreign = job.options.overwrite || job.options.adopt;
        let allowed = Allowed { new_values: job.options.force, foreign };
        (job, allowed)
    }

    /// Runs and compares before and after.
    fn run(&mut self, job: &Job, allowed: &Allowed) {
        let before = self.held();
        let objects = self.world.snapshots();
        let found: BTreeMap<String, bool> =
            self.model.secrets.iter().map(|s| (s.first.clone(), self.must_be_found(s, &before))).collect();
        self.world.run(&self.model.text(), job);
        self.lock_intact |= self.world.saved;
        let after = self.held();
        for (at, old) in &objects {
            let now = self.world.snapshot(at);
            assert!(now.is_some(), "{at} was deleted");
            if self.outsiders.get(at) == Some(old) && now.as_ref() != Some(old) {
                assert!(allowed.foreign || allowed.new_values, "{at} is an outsider's and was touched by {job:?}");
                self.outsiders.remove(at);
                // An overwrite that marked it and died before the value: it may now count as the
                // generation before, since only a look at the value could tell. A rotation over a
                // changed value says in its mark what was there.
                if let Some(now) = now.filter(|now| now.0.last() == old.0.last()) {
                    match old.1 {
                        None => drop(self.unsettled.insert(at.clone())),
                        Some(_) => drop(self.outsiders.insert(at.clone(), now)),
                    }
                }
            }
            if !job.kinds.is_empty() && !job.kinds.iter().any(|kind| self.world.is_kind(at, *kind)) {
                let restored = self.world.snapshot(at).map(|now| (now.0, now.1, now.2, old.3));
                assert_eq!(restored.as_ref(), Some(old), "{at} was filtered out and touched by {job:?}");
            }
        }
        for secret in self.model.secrets.clone() {
            self.judge(&secret, &before, &after, found[&secret.first], job, allowed);
        }
    }

    fn judge(
        &mut self,
        secret: &Secret,
        before: &BTreeMap<(String, String), String>,
        after: &BTreeMap<(String, String), String>,
        found: bool,
        job: &Job,
        allowed: &Allowed,
    ) {
        let truth = self.truths.entry(secret.first.clone()).or_default();
        let mine = |held: &BTreeMap<(String, String), String>| -> Vec<(String, String)> {
            let mine = held.iter().filter(|((of, _), _)| *of == secret.first);
            mine.map(|((_, at), value)| (at.clone(), value.clone())).collect()
        };
        let known = truth.drawn.len();
        for (at, value) in mine(after) {
            let Some(part) = drawn(secret.source, &value).filter(|_| !self.outsiders.contains_key(&at)) else {
                continue;
            };
            let adopted = value.starts_with("outsider") && (allowed.foreign || self.unsettled.contains(&at));
            if !truth.drawn.contains(&part) {
                assert!(!found || allowed.new_values || adopted, "{at}: a new value was generated by {job:?}");
                assert!(!value.starts_with("outsider") || adopted, "{at}: an outsider's value became ours by {job:?}");
                truth.drawn.push(part.clone());
            }
            let index = truth.drawn.iter().position(|known| *known == part).unwrap();
            let old = before.get(&(secret.first.clone(), at.clone())).and_then(|old| drawn(secret.source, old));
            let old = old.and_then(|old| truth.drawn.iter().position(|known| *known == old));
            assert!(
                old.is_none_or(|old| old <= index || allowed.foreign || self.unsettled.contains(&at)),
                "{at}: an older value came back by {job:?}"
            );
        }
        assert!(
            truth.drawn.len() <= known + 1 || allowed.foreign,
            "{}: more than one new value by {job:?}",
            secret.first
        );
        let usable = mine(after).iter().any(|(at, _)| !self.outsiders.contains_key(at));
        let was = mine(before).iter().any(|(at, _)| !self.outsiders.contains_key(at));
        assert!(usable || !was, "{}: no target holds a value any more", secret.first);
    }

    /// Without faults everything comes in line, and then nothing changes any more.
    fn converge(&mut self) {
        self.take_back_deletions();
        let unmarked = self.world.snapshots().values().any(|(_, mark, ..)| mark.is_none());
        let overwrite = unmarked || !self.unsettled.is_empty();
        if self.drifted || self.world.shared.lock().unwrap().doubled {
            let options = Options { force: true, attended: true, overwrite, ..Options::default() };
            self.run(&Job { options, ..Job::default() }, &Allowed { new_values: true, foreign: overwrite });
        }
        let options = Options { overwrite, ..Options::default() };
        if self.world.snapshots().values().any(|(.., pending_deletion)| *pending_deletion) {
            // What is declared is compared only once it can be read again: the first run takes it back.
            self.run(&Job { options, ..Job::default() }, &Allowed { new_values: false, foreign: options.overwrite });
        }
        self.run(&Job { options, ..Job::default() }, &Allowed { new_values: false, foreign: options.overwrite });
        assert!(self.world.said.is_empty(), "the sync without faults failed: {:?}", self.world.said);
        let held = self.held();
        for secret in &self.model.secrets {
            let values: BTreeSet<Option<&String>> =
                self.declared(secret).into_iter().map(|at| held.get(&(secret.first.clone(), at))).collect();
            assert_eq!(values.len(), 1, "{}: targets differ: {values:?}", secret.first);
            assert!(values.first().unwrap().is_some(), "{}: no target holds it", secret.first);
        }
        self.marks_tell_the_truth();
        let (objects, files) = (self.world.snapshots(), self.world.files.lock().unwrap().clone());
        self.world.run(&self.model.text(), &Job::default());
        assert!(self.world.said.is_empty(), "the last sync failed: {:?}", self.world.said);
        assert!(!self.world.changed, "the last sync had something to do: {:?}", self.world.done);
        assert_eq!(self.world.snapshots(), objects, "the last sync changed a store");
        assert_eq!(*self.world.files.lock().unwrap(), files, "the last sync changed a file");
    }

    /// What is scheduled for deletion at a place that is no longer declared is not ours to restore.
    fn take_back_deletions(&self) {
        let declared: BTreeSet<String> = self.model.secrets.iter().flat_map(|secret| self.declared(secret)).collect();
        let mut contents = self.world.shared.lock().unwrap();
        let former = contents.objects.iter_mut().filter(|(at, _)| !declared.contains(at.as_str()));
        former.for_each(|(_, object)| object.pending_deletion = false);
    }

    fn marks_tell_the_truth(&self) {
        let lock = Lockfile::parse(&self.world.file(LOCK).unwrap()).unwrap();
        for secret in &self.model.secrets {
            let locked = lock.secret(ShortId::of(&secret.first).as_str()).unwrap();
            for at in self.declared(secret) {
                let target = locked.targets.iter().find(|target| target.locator.as_str() == at).unwrap();
                assert_eq!(target.generation, None, "{at}");
                let Some((versions, mark, ..)) = self.world.snapshot(&at) else { continue };
                let mark = Mark::parse(&mark.unwrap()).unwrap();
                let version = versions.last().unwrap().0.clone();
                assert_eq!((&mark.version, &target.version), (&version, &version), "{at}");
                assert_eq!(
                    (mark.generation.number, &mark.generation.id),
                    (locked.generation, &locked.generation_id),
                    "{at}"
                );
            }
        }
    }
}

#[test]
fn whatever_happens_no_value_is_lost_or_forked_and_one_run_puts_everything_right() {
    let tally = Tally::default();
    every_seed(|seed| {
        let mut sim = Sim::new(seed);
        for _ in 0..2 + sim.chance.below(6) {
            sim.disturb();
            let (mut job, allowed) = sim.job();
            if sim.chance.one_in(5) {
                sim.disaster(&mut job);
            }
            sim.run(&job, &allowed);
        }
        assert_eq!(sim.seed, seed);
        sim.converge();
        tally.add(&sim.world);
    });
    if from_environment("SECRETZERO_SIM_SEEDS", SEEDS) >= SEEDS {
        tally.assert_every_action();
    }
}
