//! One secret from plan to done: the primary, then all other targets in parallel.

mod configure;
mod copies;
mod fit;
mod restore;

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::put::{Put, Write, may_write};
use super::values::read_one;
use super::{Done, Event, Recorder, Run, SecretOutcome};
use crate::generate::{generate, is_valid};
use crate::lockfile::{LockedSecret, LockedTarget};
use crate::mark::Generation;
use crate::plan::observe::place_at;
use crate::plan::{Action, Next, SecretPlan, SecretView, Seen, TargetPlan};
use crate::provider::{Error, ErrorKind, Expect, Provider, Result, WriteOptions};
use crate::secret::Value;
use crate::target::{Place, TargetKind};

/// Works on one secret and notes the result in the lock.
pub async fn apply_secret(
    run: &Run<'_>,
    recorder: &Recorder<'_>,
    position: usize,
    view: &SecretView<'_>,
    plan: &SecretPlan,
    new: Option<&Generation>,
) -> SecretOutcome {
    let carried = run.values.get(&position).cloned();
    let mut job = Job { run, view, plan, carried, stuck: BTreeMap::new(), outdated: false };
    job.restore().await;
    let mut outcome = job.run(new).await;
    if let Some(entry) = job.entry(&outcome) {
        recorder.record(entry).await;
    }
    job.tell_outdated(&mut outcome);
    job.await_copies(&mut outcome).await;
    outcome
}

pub(super) struct Job<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) view: &'a SecretView<'a>,
    pub(super) plan: &'a SecretPlan,
    carried: Option<Value>,
    /// Places that could not be taken back from their scheduled deletion.
    stuck: BTreeMap<usize, Error>,
    /// The value in force was taken back and is not what the declaration says now.
    outdated: bool,
}

/// The value that every target is to hold, and the target that holds it already.
pub(super) struct Settled {
    pub(super) value: Value,
    pub(super) generation: Generation,
    generated: bool,
    pub(super) written: Option<(usize, Done)>,
}

impl Job<'_> {
    async fn run(&self, new: Option<&Generation>) -> SecretOutcome {
        let left = SecretOutcome {
            generation: self.plan.generation.clone(),
            generated: false,
            targets: vec![Done::Left; self.plan.targets.len()],
            failure: None,
        };
        if self.plan.hold.is_some() {
            return left;
        }
        if !self.plan.targets.iter().any(|target| target.kind.holds_value()) {
            return self.configure_all(left, new).await;
        }
        let settled = match (&self.plan.next, new) {
            (Next::Keep, _) => return self.keep(left).await,
            (Next::Adopt(_), Some(new)) => return self.adopt(left, new).await,
            (_, Some(new)) => self.commit(new).await,
            (_, None) => Err(Error::new(ErrorKind::Unavailable, crate::clock::NoEntropy.to_string())),
        };
        match settled {
            Ok(settled) => self.fan_out(settled).await,
            Err(error) => self.failed(left, &error),
        }
    }

    fn failed(&self, left: SecretOutcome, error: &Error) -> SecretOutcome {
        let primary = self.plan.primary.and_then(|primary| self.plan.targets.get(primary));
        if let Some(primary) = primary {
            self.tell_failure(primary, &error.message);
        }
        SecretOutcome { failure: Some(error.to_string()), ..left }
    }

    /// Makes the new value and writes the primary: the commit point.
    async fn commit(&self, new: &Generation) -> Result<Settled> {
        let carried = self.carried.as_ref().filter(|_| matches!(self.plan.next, Next::Revise(_)));
        let value = generate(&self.view.secret.source, carried, self.run.entropy)
            .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))?;
        self.fits_everywhere(&value)?;
        let primary = self.plan.primary.and_then(|primary| self.plan.targets.get(primary));
        let primary =
            primary.ok_or_else(|| Error::new(ErrorKind::Invalid, "it has no target that can be written first"))?;
        match self.put(primary, &value, new).await? {
            Put::Ours(version) => {
                self.run.progress.event(&Event::Generated(&self.plan.name));
                self.tell(primary);
                let written = Some((primary.index, Done::InForce(version)));
                Ok(Settled { value, generation: new.clone(), generated: true, written })
            }
            Put::Theirs { generation, version } => {
                let (store, place) = self.place(primary.index)?;
                let stored = read_one(&self.view.secret.source, store, &place).await?;
                if stored.version != version {
                    return Err(Error::new(ErrorKind::Conflict, "another run is writing it at this moment; run again"));
                }
                let written = Some((primary.index, Done::InForce(version)));
                Ok(Settled { value: stored.value, generation, generated: false, written })
            }
        }
    }

    /// The generation in force stays: bring every target to it.
    async fn keep(&self, left: SecretOutcome) -> SecretOutcome {
        let Some(generation) = self.plan.generation.clone() else { return left };
        let generation = self.identified(generation);
        match &self.carried {
            Some(value) => {
                let settled = Settled { value: value.clone(), generation, generated: false, written: None };
                self.fan_out(settled).await
            }
            None => {
                let targets =
                    join_all(self.plan.targets.iter().map(|target| self.without_value(target, &generation))).await;
                SecretOutcome { generation: Some(generation), targets, ..left }
            }
        }
    }

    /// A generation whose random id nobody knows any more gets another one.
    fn identified(&self, generation: Generation) -> Generation {
        if !generation.id.is_empty() {
            return generation;
        }
        let fresh = Generation::new(generation.number, generation.created, self.run.entropy);
        fresh.unwrap_or(generation)
    }

    /// Takes over what stands at the source, then marks or writes the rest.
    async fn adopt(&self, left: SecretOutcome, new: &Generation) -> SecretOutcome {
        let source = self.plan.source.and_then(|source| self.plan.targets.get(source));
        let (Some(source), Some(value)) = (source, &self.carried) else {
            return self.failed(left, &Error::new(ErrorKind::Unavailable, "the value to take over could not be read"));
        };
        let valid = is_valid(&self.view.secret.source, value);
        let valid = valid.map_err(|error| Error::new(ErrorKind::Invalid, format!("it is not taken over: {error}")));
        if let Err(error) = valid.and_then(|()| self.fits_everywhere(value)) {
            return self.failed(left, &error);
        }
        match self.annotate(source, new).await {
            Ok(version) => {
                self.tell(source);
                let written = Some((source.index, Done::InForce(version)));
                let settled = Settled { value: value.clone(), generation: new.clone(), generated: false, written };
                self.fan_out(settled).await
            }
            Err(error) => self.failed(left, &error),
        }
    }

    async fn fan_out(&self, settled: Settled) -> SecretOutcome {
        let targets = join_all(self.plan.targets.iter().map(|target| async {
            match &settled.written {
                Some((index, done)) if *index == target.index => done.clone(),
                _ => self.bring(target, &settled).await,
            }
        }))
        .await;
        let mut outcome = SecretOutcome {
            generation: Some(settled.generation.clone()),
            generated: settled.generated,
            targets,
            failure: None,
        };
        // Attributes of the primary that the write did not carry along.
        if let Some((index, Done::InForce(version))) = &settled.written
            && let Some(target) = self.plan.targets.get(*index)
            && target.action != Action::Adopt
            && !target.changes.is_empty()
        {
            let target = TargetPlan { version: Some(version.clone()), ..target.clone() };
            // Its value was told already, so only a failure is news.
            let done = self.annotate(&target, &settled.generation).await.map(Done::InForce);
            let done = self.ended(&target, done);
            if let Some(slot) = outcome.targets.get_mut(*index) {
                *slot = done;
            }
        }
        self.look_back(settled, outcome).await
    }

    /// Brings one target to the settled value.
    async fn bring(&self, target: &TargetPlan, settled: &Settled) -> Done {
        if !target.kind.holds_value() {
            return self.configure(target, &settled.generation).await;
        }
        let result = match target.action {
            Action::Create | Action::Spread | Action::Rotate | Action::Revise | Action::Heal | Action::Overwrite => {
                self.write(target, settled).await
            }
            Action::Adopt => self.adopt_equal(target, settled).await,
            _ => return self.without_value(target, &settled.generation).await,
        };
        self.told(target, result)
    }

    pub(super) fn told(&self, target: &TargetPlan, result: Result<Done>) -> Done {
        if result.is_ok() {
            self.tell(target);
        }
        self.ended(target, result)
    }

    pub(super) fn ended(&self, target: &TargetPlan, result: Result<Done>) -> Done {
        result.unwrap_or_else(|error| {
            self.tell_failure(target, &error.message);
            Done::Failed(error.message)
        })
    }

    async fn write(&self, target: &TargetPlan, settled: &Settled) -> Result<Done> {
        match self.put(target, &settled.value, &settled.generation).await? {
            Put::Ours(version) if target.changes.is_empty() => Ok(Done::InForce(version)),
            Put::Ours(version) => {
                let target = TargetPlan { version: Some(version), ..target.clone() };
                self.annotate(&target, &settled.generation).await.map(Done::InForce)
            }
            Put::Theirs { generation, version } if generation == settled.generation => Ok(Done::InForce(version)),
            Put::Theirs { generation, .. } => Err(Error::new(
                ErrorKind::Conflict,
                format!("another run wrote generation {} there; run again", generation.number),
            )),
        }
    }

    /// A foreign object beside a value in force is taken over only if it holds the same.
    async fn adopt_equal(&self, target: &TargetPlan, settled: &Settled) -> Result<Done> {
        let (store, place) = self.place(target.index)?;
        let equal = match read_one(&self.view.secret.source, store, &place).await {
            Ok(stored) => stored.value.matches(&settled.value),
            Err(error) if error.kind == ErrorKind::Unsupported => {
                store.holds(&place, &settled.value).await?.ok_or(error)?
            }
            Err(error) => return Err(error),
        };
        if !equal {
            let reason = "it holds another value than the other targets; replace it with `--overwrite`";
            return Err(Error::new(ErrorKind::Conflict, reason));
        }
        self.annotate(target, &settled.generation).await.map(Done::InForce)
    }

    /// What needs no value: metadata, or nothing at all.
    async fn without_value(&self, target: &TargetPlan, generation: &Generation) -> Done {
        if !target.kind.holds_value() && target.action != Action::Held {
            return self.configure(target, generation).await;
        }
        match target.action {
            Action::Metadata => self.metadata(target, generation).await,
            Action::Restore => self.taken_back(target, generation).await,
            Action::Keep if target.generation.is_some() && !target.drifted => {
                target.version.clone().map_or(Done::Left, Done::InForce)
            }
            Action::Spread | Action::Heal | Action::Overwrite | Action::Adopt => {
                let reason = "the value in force could not be read, so it was not copied here; run again";
                self.tell_failure(target, reason);
                Done::Failed(reason.into())
            }
            Action::Held => {
                self.tell_failure(target, &target.why);
                Done::Failed(target.why.clone())
            }
            _ => Done::Left,
        }
    }

    async fn metadata(&self, target: &TargetPlan, generation: &Generation) -> Done {
        let done = match self.annotate(target, generation).await {
            Ok(version) => self.not_announced(target, version).await.map(Done::InForce),
            Err(error) => Err(error),
        };
        self.told(target, done)
    }

    pub(super) async fn annotate(&self, target: &TargetPlan, generation: &Generation) -> Result<String> {
        may_write(self.run.ledger).await?;
        let (store, place) = self.place(target.index)?;
        let version = target.version.clone().unwrap_or_default();
        let locator = target.locator.as_ref().ok_or_else(no_answer)?;
        let options = WriteOptions {
            owner: self.plan.owner.clone(),
            generation: generation.clone(),
            token: self.plan.owner.write_token(locator, generation.number),
            expect: Expect::Version(version),
            over_drift: false,
            withdrawn: false,
        };
        let changed: Vec<String> = target.changes.iter().filter(|name| *name != "mark").cloned().collect();
        store.annotate(&place, &changed, &options).await
    }

    pub(super) async fn put(&self, target: &TargetPlan, value: &Value, generation: &Generation) -> Result<Put> {
        let (store, place) = self.place(target.index)?;
        let ledger = self.run.ledger;
        let value = self.held(target, value)?;
        Write { ledger, store, place: &place, plan: self.plan, target, value: &value, generation }.run().await
    }

    pub(super) fn place(&self, index: usize) -> Result<(&dyn Provider, Place)> {
        if let Some(error) = self.stuck.get(&index) {
            return Err(error.clone());
        }
        let (provider, place) = place_at(self.view, self.run.stores, index).ok_or_else(no_answer)?;
        let store = self.run.stores.get(provider).and_then(Option::as_ref).ok_or_else(no_answer)?;
        Ok((store.as_ref(), place))
    }

    fn tell(&self, target: &TargetPlan) {
        let (secret, name) = (self.plan.name.as_str(), target.name.as_str());
        self.run.progress.event(&Event::Done { secret, action: target.action, kind: target.kind, name });
    }

    fn tell_failure(&self, target: &TargetPlan, reason: &str) {
        let (secret, name) = (self.plan.name.as_str(), target.name.as_str());
        self.run.progress.event(&Event::Failed { secret, kind: target.kind, name, reason });
    }

    /// What the lock says of the secret now; nothing if it was left alone and is unknown.
    fn entry(&self, outcome: &SecretOutcome) -> Option<LockedSecret> {
        let generation = outcome.generation.as_ref()?;
        if self.plan.hold.is_some() || outcome.failure.is_some() || generation.id.is_empty() {
            return None;
        }
        // A store that did not even tell who we are says nothing about its places: the entry stays.
        let unknown = |t: &TargetPlan| t.locator.is_none() && t.capabilities.is_some() && t.kind != TargetKind::File;
        if self.plan.targets.iter().any(unknown) {
            return None;
        }
        let first = self.plan.targets.first().filter(|target| !target.kind.holds_value()).map(|first| first.index);
        let primary = self.plan.primary.or(self.plan.source).or(first)?;
        let mut targets = Vec::new();
        for (target, done) in self.plan.targets.iter().zip(&outcome.targets) {
            // A copy that the store keeps is no place of ours to know.
            let is_copy = self.view.targets.get(target.index).is_some_and(|view| matches!(view.seen, Seen::Replica));
            let Some(locator) = target.locator.as_ref().filter(|_| !is_copy) else { continue };
            let known = self.view.locked.and_then(|locked| locked.targets.iter().find(|t| t.locator == *locator));
            match done {
                Done::InForce(version) => targets.push(LockedTarget {
                    locator: locator.clone(),
                    version: version.clone(),
                    generation: None,
                    created: generation.created,
                }),
                _ => targets.extend(known.map(|known| self.behind(known, generation))),
            }
        }
        (!targets.is_empty()).then(|| LockedSecret {
            name: self.plan.name.clone(),
            id: self.plan.owner.secret.as_str().to_owned(),
            generation: generation.number,
            generation_id: generation.id.clone(),
            primary: self
                .plan
                .targets
                .get(primary)
                .and_then(|t| t.locator.clone())
                .unwrap_or_else(|| targets[0].locator.clone()),
            targets,
            declaration: self.declaration(outcome),
        })
    }

    /// A target that was not brought along keeps its old entry, with the generation it is of.
    fn behind(&self, known: &LockedTarget, generation: &Generation) -> LockedTarget {
        let locked = self.view.locked.map(|locked| locked.generation);
        let held = known.generation.or(locked).filter(|held| *held != generation.number);
        LockedTarget { generation: held, ..known.clone() }
    }

    /// Edited generator settings stay pending until a new value is generated.
    fn declaration(&self, outcome: &SecretOutcome) -> crate::lockfile::Declaration {
        let mut declaration = self.plan.declaration.clone();
        if self.outdated {
            declaration.fixed = self.view.locked.map_or_else(String::new, |locked| locked.declaration.fixed.clone());
        }
        let old = self.view.locked.filter(|locked| !locked.declaration.generated.is_empty());
        let fresh = outcome.generated && !matches!(self.plan.next, Next::Revise(_));
        if let Some(old) = old.filter(|_| !fresh) {
            declaration.generated.clone_from(&old.declaration.generated);
        }
        declaration
    }
}

pub(super) fn no_answer() -> Error {
    Error::new(ErrorKind::Unavailable, "the store gave no answer; run again")
}
