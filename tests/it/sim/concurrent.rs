//! Two runs at a time on two machines, interleaved at every effect by a seeded scheduler: with the
//! lease that CI has, and with nothing but the stores' own conditions.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use secretzero::plan::Options;
use secretzero::secret::{SecretValue, Value};

use super::chance::Chance;
use super::every_interleaving;
use super::model::{Model, Source};
use super::run::{Job, World, both};
use super::store::{Object, Snapshot};
use super::wire::LONGER_THAN_A_LEASE;

/// How often something came about in all seeds, to see that nothing was proven of nothing.
#[derive(Default)]
struct Times(AtomicUsize);

impl Times {
    fn add(&self, came: bool) {
        self.0.fetch_add(usize::from(came), Ordering::Relaxed);
    }

    fn assert_some(&self, what: &str) {
        let enough = super::from_environment("SECRETZERO_SIM_SEEDS", super::INTERLEAVINGS) >= super::INTERLEAVINGS;
        let times = self.0.load(Ordering::Relaxed);
        assert!(times >= 5 || !enough, "only {times} times {what}");
    }
}

/// Two machines, one Secretfile, and what stands in the stores that is nobody's business.
struct Stage {
    chance: Chance,
    model: Model,
    text: String,
    worlds: [World; 2],
    foreign: Vec<(String, Snapshot)>,
}

impl Stage {
    fn new(seed: u64, lease: bool) -> Self {
        let chance = Chance::new(seed);
        let mut model = Model::new(&chance, false);
        let text = model.text();
        let mut world = World::default();
        world.kept = lease.then(Default::default);
        let mut foreign = Vec::new();
        // Somebody else's object has the name of one of ours: that secret is held, and it stays.
        if model.secrets.len() > 1 && chance.one_in(3) {
            let manifest = world.manifest(&text);
            let last = manifest.secrets.last().unwrap();
            let at = super::store::locator(&secretzero::plan::observe::place(last, &last.targets[0]));
            let value = Value::Single(SecretValue::from("somebody else's"));
            let object = Object { versions: vec![("7".into(), value)], ..Object::default() };
            foreign.push((at.to_string(), object.snapshot()));
            world.shared.lock().unwrap().objects.insert(at, object);
            model.secrets.pop();
        }
        Self { chance, model, text, worlds: [world.beside(), world], foreign }
    }

    /// With a value in force.
    fn synced(seed: u64, lease: bool) -> Self {
        let mut stage = Self::new(seed, lease);
        let text = stage.text.clone();
        stage.worlds[1].run(&text, &Job::default());
        stage
    }

    fn job(&self, force: bool) -> Job {
        let options = Options { force, attended: force, ..Options::default() };
        Job { seed: self.chance.next(), turns: 4, options, ..Job::default() }
    }

    fn both(&mut self, jobs: &[Job; 2]) {
        let before: Vec<usize> = self.model.secrets.iter().map(|secret| self.ever(&secret.first).len()).collect();
        both(&mut self.worlds, &self.text, jobs);
        let forced = jobs.iter().filter(|job| job.options.force).count();
        for (secret, before) in self.model.secrets.iter().zip(before) {
            let drawn = !matches!(secret.source, Source::Static(_));
            let most = if drawn { before.max(1) + forced } else { 1 };
            let ever = self.ever(&secret.first).len();
            assert!(ever <= most, "{}: {ever} values where at most {most} are called for", secret.first);
        }
    }

    /// Every value that any version of a secret anywhere ever was.
    fn ever(&self, first: &str) -> BTreeSet<String> {
        let places: BTreeSet<String> = self.worlds[1].values(first).into_keys().collect();
        let snapshots = self.worlds[1].snapshots().into_iter().filter(|(at, _)| places.contains(at));
        snapshots.flat_map(|(_, snapshot)| snapshot.0.into_iter().map(|(_, value)| value)).collect()
    }

    fn said(&self, what: &str) -> bool {
        self.worlds.iter().flat_map(|world| &world.said).any(|said| said.contains(what))
    }

    fn deaths(&self) -> usize {
        self.worlds.iter().filter(|world| world.said.iter().any(|said| said == "it died")).count()
    }

    /// One more sync puts everything right. `may_drift` if a late write may look like an outsider's:
    /// that is told, never replaced unasked, and a rotation ends it.
    fn assert_settles(mut self, may_drift: bool) {
        let both_died = self.deaths() == 2;
        // A rival that was first where check-and-set refused looks like an operator.
        let left_alone = self.said("was left alone");
        self.worlds[0].tell();
        let time = &self.worlds[0].time;
        time.fetch_add(LONGER_THAN_A_LEASE, Ordering::SeqCst);
        let doubled = self.worlds[0].shared.lock().unwrap().doubled;
        self.sync(&Job::default());
        if self.worlds[0].drifted {
            assert!(may_drift || doubled || left_alone, "a target drifted: {:?}", self.worlds[0].done);
            let rotation = Job { turns: 0, ..self.job(true) };
            self.sync(&rotation);
        }
        if both_died && may_drift && self.forked() {
            // One died before it looked back at a parameter, the other between its mark and its value.
            let rotation = Job { turns: 0, ..self.job(true) };
            self.sync(&rotation);
        }
        for secret in &self.model.secrets {
            let held: BTreeSet<String> = self.worlds[0].values(&secret.first).into_values().collect();
            assert_eq!(held.len(), 1, "{}: still forked", secret.first);
        }
        self.worlds[1].run(&self.text, &Job::default());
        assert!(!self.worlds[1].changed, "the other machine had something to do: {:?}", self.worlds[1].done);
        for (at, snapshot) in &self.foreign {
            assert_eq!(self.worlds[0].snapshot(at).as_ref(), Some(snapshot), "{at} is somebody else's");
        }
    }

    fn forked(&self) -> bool {
        let held = |first: &str| self.worlds[0].values(first).into_values().collect::<BTreeSet<_>>().len();
        self.model.secrets.iter().any(|secret| held(&secret.first) > 1)
    }

    fn sync(&mut self, job: &Job) {
        let [world, _] = &mut self.worlds;
        world.run(&self.text, job);
        let held = |said: &&String| self.foreign.is_empty() || !said.contains("is held");
        let wrong: Vec<&String> = world.said.iter().filter(held).collect();
        assert!(wrong.is_empty(), "one more run failed: {wrong:?}");
    }
}

#[test]
fn two_first_syncs_at_once_make_one_value_of_each_secret() {
    every_interleaving(|seed| {
        let mut stage = Stage::new(seed, false);
        stage.both(&[stage.job(false), stage.job(false)]);
        stage.assert_settles(false);
    });
}

#[test]
fn two_runs_without_a_lease_converge_after_one_sync() {
    let times = Times::default();
    every_interleaving(|seed| {
        let mut stage = Stage::synced(seed, false);
        let rate = *stage.chance.pick(&[0, 0, 20, 50]);
        let rotates = stage.chance.one_in(2);
        let jobs = [true, rotates].map(|force| Job { rate, steady: true, ..stage.job(force) });
        stage.both(&jobs);
        times.add(stage.worlds.iter().all(|world| world.changed));
        stage.assert_settles(false);
    });
    times.assert_some("both had something to write");
}

#[test]
fn two_runs_without_a_lease_and_with_power_cuts_converge_or_tell_where_not() {
    every_interleaving(|seed| {
        let mut stage = Stage::synced(seed, false);
        let rate = *stage.chance.pick(&[15, 30, 50]);
        let rotates = stage.chance.one_in(2);
        let jobs = [true, rotates].map(|force| Job { rate, ..stage.job(force) });
        stage.both(&jobs);
        let died = stage.deaths() > 0;
        stage.assert_settles(died);
    });
}

#[test]
fn two_runs_with_a_lease_never_cross_even_through_power_cuts() {
    let times = Times::default();
    every_interleaving(|seed| {
        let first = Chance::new(seed).one_in(4);
        let mut stage = if first { Stage::new(seed, true) } else { Stage::synced(seed, true) };
        let rate = *stage.chance.pick(&[0, 20, 50]);
        let jobs = [!first, !first && stage.chance.one_in(2)].map(|force| Job { rate, ..stage.job(force) });
        stage.both(&jobs);
        times.add(stage.said("another run holds the lock"));
        stage.assert_settles(false);
    });
    times.assert_some("one run kept away from the other");
}

#[test]
fn a_lease_that_ends_in_the_middle_of_a_run_is_taken_over() {
    let times = Times::default();
    every_interleaving(|seed| {
        let mut stage = Stage::synced(seed, true);
        let rate = *stage.chance.pick(&[0, 0, 30]);
        let rotates = stage.chance.one_in(2);
        let jobs = [true, rotates].map(|force| Job { rate, stalls: 12, ..stage.job(force) });
        stage.both(&jobs);
        times.add(stage.said("another run holds the lock"));
        let died = stage.deaths() > 0;
        stage.assert_settles(died);
    });
    times.assert_some("one run lost its lease or kept away");
}
