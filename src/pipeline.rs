//! From a resolved Secretfile and connected stores to a plan that may be shown or applied.
//!
//! A plan for reading asks for metadata alone. A plan that will be applied confirms absence in
//! batches and reads the values that it compares or copies.

use std::collections::BTreeMap;

use crate::apply::values::{compared, is_declared, is_needed, is_taken_back, read, revision};
use crate::apply::{Opened, adoption};
use crate::clock::{Clock, Entropy};
use crate::lockfile::Lockfile;
use crate::manifest::Manifest;
use crate::plan::Revision;
use crate::plan::observe::confirm;
use crate::plan::{
    Action, Cause, Hold, Identities, Next, Options, Plan, Scope, SecretPlan, SecretView, Stores, observe, plan_secret,
};
use crate::provider::{ErrorKind, Reading};
use crate::secret::Value;

/// How often what was learned may put more in doubt; each look makes certain what it asks for.
const LOOKS_MAX: usize = 8;

/// How deep to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Metadata only; needs no right to read a value.
    Plan,
    /// The same, but what a list that lags may be wrong about is asked of the objects themselves, by calls
    /// that may return values, which are dropped at once ([`Reading::Batch`]).
    Certain,
    /// Everything that applying needs.
    Apply,
}

/// What a plan is made for.
pub struct Request<'a> {
    /// The Secretfile.
    pub manifest: &'a Manifest,
    /// The connected stores.
    pub stores: &'a Stores,
    /// Whose objects.
    pub identities: &'a Identities,
    /// The lock and what a dead run left.
    pub opened: &'a Opened,
    /// What to look at.
    pub scope: &'a Scope,
    /// What was asked for.
    pub options: Options,
    /// The present moment.
    pub clock: &'a dyn Clock,
    /// Random bytes, to compare declared parts of values.
    pub entropy: &'a dyn Entropy,
}

/// A plan with what it was made from.
pub struct Prepared<'a> {
    /// What was learned of each secret.
    pub views: Vec<SecretView<'a>>,
    /// What to do about it.
    pub plan: Plan,
    /// Values that were read, by position in the plan.
    pub values: BTreeMap<usize, Value>,
}

impl Prepared<'_> {
    /// Leaves only some secrets in the plan.
    pub fn retain(&mut self, wanted: impl FnMut(&SecretPlan) -> bool) {
        let keep: Vec<bool> = self.plan.secrets.iter().map(wanted).collect();
        let positions = keep.iter().enumerate().filter(|(_, keep)| **keep).map(|(old, _)| old);
        self.values = positions.enumerate().filter_map(|(new, old)| Some((new, self.values.remove(&old)?))).collect();
        let mut flags = keep.iter();
        self.views.retain(|_| flags.next().copied().unwrap_or(false));
        let mut flags = keep.iter();
        self.plan.secrets.retain(|_| flags.next().copied().unwrap_or(false));
    }

    /// Leaves only the first so many rotations in the plan, those that are due longest first.
    pub fn limit_rotations(&mut self, most: usize) {
        let mut due: Vec<(Option<jiff::Timestamp>, usize)> = self
            .plan
            .secrets
            .iter()
            .enumerate()
            .filter(|(_, secret)| matches!(secret.next, Next::Rotate(_)))
            .map(|(position, secret)| (secret.due.map(|due| due.at), position))
            .collect();
        due.sort();
        let later: Vec<usize> = due.into_iter().skip(most).map(|(_, position)| position).collect();
        let mut position = 0;
        let keep: Vec<bool> = self.plan.secrets.iter().enumerate().map(|(at, _)| !later.contains(&at)).collect();
        self.retain(|_| {
            position += 1;
            keep.get(position - 1).copied().unwrap_or(true)
        });
    }
}

/// Observes and plans.
pub async fn prepare<'a>(request: &Request<'a>, depth: Depth) -> Prepared<'a> {
    let Request { manifest, stores, identities, opened, scope, .. } = request;
    let mut views = observe(manifest, stores, identities, &opened.lock, scope, request.clock.now()).await;
    for view in &mut views {
        let intent = opened.intents.iter().find(|intent| intent.id == view.owner.secret.as_str());
        view.intended = intent.map(crate::apply::Intent::generation);
    }
    let mut plan = plan_all(request, &views);
    let reading = if depth == Depth::Plan { Reading::Each } else { Reading::Batch };
    for _ in 0..LOOKS_MAX {
        if scope.offline || !confirm(&mut views, &plan.secrets, stores, reading).await {
            break;
        }
        plan = plan_all(request, &views);
    }
    let mut values = BTreeMap::new();
    if depth == Depth::Apply {
        values = read_values(request, &mut views, &mut plan).await;
    }
    Prepared { views, plan, values }
}

fn plan_all(request: &Request<'_>, views: &[SecretView<'_>]) -> Plan {
    let now = request.clock.now();
    Plan {
        secrets: views.iter().map(|view| plan_secret(view, request.options, now)).collect(),
        orphans: orphans(&request.opened.lock, request.manifest, request.identities),
        offline: request.scope.offline,
    }
}

fn orphans(lock: &Lockfile, manifest: &Manifest, identities: &Identities) -> Vec<String> {
    let declared: Vec<String> =
        manifest.secrets.iter().map(|secret| identities.owner(secret).secret.as_str().to_owned()).collect();
    lock.secrets.iter().filter(|locked| !declared.contains(&locked.id)).map(|locked| locked.name.clone()).collect()
}

/// Reads what must be compared or copied; a declared part that differs changes the plan.
async fn read_values(request: &Request<'_>, views: &mut [SecretView<'_>], plan: &mut Plan) -> BTreeMap<usize, Value> {
    let wanted = |view: &SecretView<'_>, plan: &crate::plan::SecretPlan| {
        let wanted =
            is_needed(plan) || (plan.hold.is_none() && plan.source.is_some() && is_declared(&view.secret.source));
        // What is taken back first is read after that, by the run.
        wanted && !is_taken_back(view, plan)
    };
    let read = read(views, plan, request.stores, wanted).await;
    let mut values = BTreeMap::new();
    let mut failed = Vec::new();
    for (position, result) in read {
        let Some(view) = views.get_mut(position) else { continue };
        match result {
            Ok(stored) => {
                if is_declared(&view.secret.source) {
                    view.revision = revision(&view.secret.source, &stored.value, request.entropy);
                }
                values.insert(position, stored.value);
            }
            Err(error) if error.kind == ErrorKind::Unsupported => {
                let compared = match plan.secrets.get(position) {
                    Some(secret) => compared(view, secret, request.stores, request.entropy).await,
                    None => None,
                };
                match compared {
                    Some((revision, declared)) => {
                        view.revision = revision;
                        // What the store was told to hold is the value in force, if it does hold it.
                        if revision == Revision::Same {
                            values.insert(position, declared);
                        }
                    }
                    None => failed.push((position, error)),
                }
            }
            Err(error) => failed.push((position, error)),
        }
    }
    *plan = plan_all(request, views);
    for (position, error) in failed {
        let Some(secret) = plan.secrets.get_mut(position) else { continue };
        if !is_needed(secret) && error.kind != ErrorKind::Unavailable {
            continue;
        }
        let reason = format!("its value could not be read: {error}");
        let help = "nothing was written for this secret; mend this and run again".to_owned();
        let hold = Hold { reason, help, span: secret.span, cause: Cause::Store };
        held(secret, hold);
    }
    for (position, hold) in adoption::refused(views, plan, request.stores, &values).await {
        if let Some(secret) = plan.secrets.get_mut(position) {
            held(secret, hold);
        }
    }
    values
}

/// Leaves a secret as it is.
fn held(secret: &mut SecretPlan, hold: Hold) {
    for target in secret.targets.iter_mut().filter(|target| target.action.is_change()) {
        target.action = Action::Held;
        target.why.clone_from(&hold.reason);
    }
    secret.hold = Some(hold);
    secret.next = Next::Keep;
}
