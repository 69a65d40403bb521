//! Looks back after values were written over others: whether another run, somewhere without the same
//! lease, went by meanwhile, and puts right what the two of them did to each other.
//!
//! The primary decides: whatever stands there in the end goes to every target. Each run looks only
//! after its own last write, so of two runs that cross the later one sees what both did. Creating
//! needs no look, since it fails where something stands. Stores that mark first (SSM) refuse nobody:
//! there a rival may have announced itself over our value, or set an older mark over ours, and the
//! version we were given tells that the value is ours.

use futures_util::future::join_all;

use super::put::Put;
use super::secret::{Job, Settled, no_answer};
use super::values::read_one;
use super::{Done, SecretOutcome};
use crate::mark::{Generation, Mark};
use crate::plan::standing::{Standing, judge, superseded, unless_claimed};
use crate::plan::{Action, Seen, TargetPlan};
use crate::provider::{Error, ErrorKind, MarkOrder, Observed, Probe, Reading, Result, VersionId};
use crate::secret::Value;

/// How often a run that finds itself overtaken follows.
const LOOKS_MAX: usize = 3;

impl Job<'_> {
    /// Looks back, and follows whoever overtook this run.
    pub(super) async fn look_back(&self, settled: Settled, mut outcome: SecretOutcome) -> SecretOutcome {
        let Settled { mut generation, written, .. } = settled;
        let over: Vec<&TargetPlan> = self.plan.targets.iter().filter(|target| is_overwritten(target)).collect();
        for _ in 0..LOOKS_MAX {
            if over.is_empty() {
                break;
            }
            join_all(over.iter().map(|target| self.mark_again(target, &generation, &outcome))).await;
            let Some((newer, version, value)) = self.overtaken(&generation, written.as_ref()).await else { break };
            generation = newer;
            let primary = self.plan.primary;
            if let Some(slot) = primary.and_then(|primary| outcome.targets.get_mut(primary)) {
                *slot = Done::InForce(version);
            }
            let followers = over.iter().filter(|target| Some(target.index) != primary);
            let done = join_all(followers.map(|target| self.follow(target, &value, &generation))).await;
            for (index, done) in done {
                if let Some(slot) = outcome.targets.get_mut(index) {
                    *slot = done;
                }
            }
            (outcome.generation, outcome.generated) = (Some(generation.clone()), false);
        }
        outcome
    }

    /// Where the version is still the one that this run wrote, the mark must be ours too.
    async fn mark_again(&self, target: &TargetPlan, generation: &Generation, outcome: &SecretOutcome) {
        let first = target.capabilities.is_some_and(|can| can.mark_order == MarkOrder::MarkFirst);
        let Some(Done::InForce(version)) = outcome.targets.get(target.index).filter(|_| first) else { return };
        let Ok(Some((seen, standing))) = self.stands(target).await else { return };
        let ours = match &standing {
            // Announced for the version after ours: that run goes on from here.
            Standing::Ours { generation: there, marked } => there.id == generation.id || !marked,
            Standing::Drifted { .. } => false,
            _ => true,
        };
        if seen.version == *version && !ours {
            let target = TargetPlan { version: Some(seen.version), changes: Vec::new(), ..target.clone() };
            // If it fails, the next run tells of it.
            drop(self.annotate(&target, generation).await);
        }
    }

    /// The generation and value at the primary, if they are another run's.
    async fn overtaken(
        &self,
        generation: &Generation,
        written: Option<&(usize, Done)>,
    ) -> Option<(Generation, VersionId, Value)> {
        let primary = self.plan.targets.get(self.plan.primary?)?;
        let (seen, standing) = self.stands(primary).await.ok()??;
        let Standing::Ours { generation: there, marked: true } = standing else { return None };
        let is_newer =
            there.number > generation.number || (there.number == generation.number && there.id != generation.id);
        let is_mine = written.is_some_and(|(_, done)| *done == Done::InForce(seen.version.clone()));
        if !is_newer || is_mine {
            return None;
        }
        let (store, place) = self.place(primary.index).ok()?;
        let stored = read_one(&self.view.secret.source, store, &place).await.ok()?;
        (stored.version == seen.version).then_some((there, seen.version, stored.value))
    }

    /// Brings a target that this run wrote to what overtook it.
    async fn follow(&self, target: &TargetPlan, value: &Value, generation: &Generation) -> (usize, Done) {
        let done = self.followed(target, value, generation).await;
        (target.index, self.ended(target, done))
    }

    async fn followed(&self, target: &TargetPlan, value: &Value, generation: &Generation) -> Result<Done> {
        let (seen, standing) = self.stands(target).await?.ok_or_else(no_answer)?;
        let held = match standing {
            Standing::Ours { generation: there, .. } if there == *generation => return Ok(Done::InForce(seen.version)),
            Standing::Ours { generation: there, .. } => there,
            Standing::Drifted { generation: marked } => {
                let at = target.locator.as_ref().ok_or_else(no_answer)?;
                let number = superseded(&self.plan.owner, at, &marked, &seen.version).ok_or_else(changed)?;
                Generation { number, id: String::new(), ..marked }
            }
            _ => return Err(changed()),
        };
        let target = TargetPlan {
            action: Action::Heal,
            version: Some(seen.version),
            generation: Some(held),
            changes: Vec::new(),
            ..target.clone()
        };
        match self.put(&target, value, generation).await? {
            Put::Ours(version) => Ok(Done::InForce(version)),
            Put::Theirs { generation: there, version } if there == *generation => Ok(Done::InForce(version)),
            Put::Theirs { .. } => Err(changed()),
        }
    }

    /// A mark was set for the version that was planned. If a write that was announced then came after
    /// all, its mark is put back.
    pub(super) async fn not_announced(&self, target: &TargetPlan, version: String) -> Result<String> {
        let first = target.capabilities.is_some_and(|can| can.mark_order == MarkOrder::MarkFirst);
        if !first || !target.changes.iter().any(|name| name == "mark") {
            return Ok(version);
        }
        let planned = match self.view.targets.get(target.index).map(|target| &target.seen) {
            Some(Seen::Present(seen)) => seen.mark.as_deref().and_then(|text| Mark::parse(text).ok()),
            _ => None,
        };
        let Some((seen, _)) = self.stands(target).await? else { return Ok(version) };
        if seen.version == version {
            return Ok(version);
        }
        if let Some(announced) = planned.filter(|mark| mark.version == seen.version) {
            let target = TargetPlan { version: Some(seen.version), changes: Vec::new(), ..target.clone() };
            self.annotate(&target, &announced.generation).await?;
        }
        Err(changed())
    }

    async fn stands(&self, target: &TargetPlan) -> Result<Option<(Observed, Standing)>> {
        let (store, place) = self.place(target.index)?;
        let probe = Probe { place: &place, expected_mark: None };
        let seen = store.observe(&[probe], Reading::Each).await.pop().unwrap_or_else(|| Err(no_answer()))?;
        let (at, can) = target.locator.as_ref().zip(target.capabilities).ok_or_else(no_answer)?;
        Ok(unless_claimed(&self.plan.owner, seen).map(|seen| {
            let standing = judge(&self.plan.owner, at, can.mark_order, &seen);
            (seen, standing)
        }))
    }
}

fn is_overwritten(target: &TargetPlan) -> bool {
    let writes = matches!(target.action, Action::Rotate | Action::Revise | Action::Heal | Action::Overwrite);
    writes && target.version.is_some() && target.kind.holds_value()
}

fn changed() -> Error {
    Error::new(ErrorKind::Conflict, "another run writes it at the same time; run again")
}
