//! Two runs at a time on two machines, without a lease: the stores' own conditions are all there is.

use std::collections::BTreeSet;

use secretzero::plan::Options;

use super::chance::Chance;
use super::every_seed;
use super::model::{Model, Source};
use super::run::{Job, World, both};

fn values(world: &World, first: &str) -> BTreeSet<String> {
    world.values(first).into_values().collect()
}

/// Every value that any version anywhere ever was.
fn ever(world: &World, first: &str) -> BTreeSet<String> {
    let places: BTreeSet<String> = world.values(first).into_keys().collect();
    let snapshots = world.snapshots().into_iter().filter(|(at, _)| places.contains(at));
    snapshots.flat_map(|(_, snapshot)| snapshot.0.into_iter().map(|(_, value)| value)).collect()
}

fn job(chance: &Chance, rate: usize, force: bool) -> Job {
    let options = Options { force, attended: force, ..Options::default() };
    Job { seed: chance.next(), turns: 4, rate, options, ..Job::default() }
}

fn assert_settles(mut worlds: [World; 2], text: &str, model: &Model, may_drift: bool) {
    worlds[0].run(text, &Job::default());
    assert!(worlds[0].said.is_empty(), "one more sync failed: {:?}", worlds[0].said);
    // A late write of an older value, a mark that the other run set back, or a request that was
    // delivered twice looks like an outsider's doing: it is told, never
    // replaced unasked (an operator may have rolled back on purpose), and a rotation ends it.
    if worlds[0].drifted {
        assert!(may_drift || worlds[0].shared.lock().unwrap().doubled, "a target drifted: {:?}", worlds[0].done);
        worlds[0].run(text, &job(&Chance::new(0), 0, true));
        assert!(worlds[0].said.is_empty(), "the rotation after a drift failed: {:?}", worlds[0].said);
    }
    for secret in &model.secrets {
        let held = values(&worlds[0], &secret.first);
        assert_eq!(held.len(), 1, "{}: still forked", secret.first);
    }
    worlds[1].run(text, &Job::default());
    assert!(!worlds[1].changed, "the other machine had something to do: {:?}", worlds[1].done);
}

#[test]
fn two_first_syncs_at_once_make_one_value_of_each_secret() {
    every_seed(|seed| {
        let chance = Chance::new(seed);
        let model = Model::new(&chance, false);
        let text = model.text();
        let world = World::default();
        let mut worlds = [world.beside(), world];
        both(&mut worlds, &text, &[job(&chance, 0, false), job(&chance, 0, false)]);
        for secret in &model.secrets {
            assert_eq!(ever(&worlds[0], &secret.first).len(), 1, "{}: it was generated twice", secret.first);
        }
        assert_settles(worlds, &text, &model, false);
    });
}

#[test]
fn a_sync_and_a_rotation_at_once_make_one_new_value_even_through_faults() {
    every_seed(|seed| {
        let chance = Chance::new(seed);
        let model = Model::new(&chance, false);
        let text = model.text();
        let mut world = World::default();
        world.run(&text, &Job::default());
        let mut worlds = [world.beside(), world];
        let rate = *chance.pick(&[0, 20, 50]);
        both(&mut worlds, &text, &[job(&chance, rate, true), job(&chance, rate, false)]);
        for secret in &model.secrets {
            let most = if matches!(secret.source, Source::Static(_)) { 1 } else { 2 };
            assert!(ever(&worlds[0], &secret.first).len() <= most, "{}: more than one new value", secret.first);
        }
        assert_settles(worlds, &text, &model, true);
    });
}

#[test]
fn two_rotations_at_once_end_with_one_value_everywhere_or_say_where_not() {
    every_seed(|seed| {
        let chance = Chance::new(seed);
        let model = Model::new(&chance, false);
        let text = model.text();
        let mut world = World::default();
        world.run(&text, &Job::default());
        let mut worlds = [world.beside(), world];
        both(&mut worlds, &text, &[job(&chance, 0, true), job(&chance, 0, true)]);
        assert_settles(worlds, &text, &model, true);
    });
}
