//! Makes the stores hold what the plan says; the only code that writes to them.
//!
//! For each secret: the intent is journalled, the primary is written, then all other targets in
//! parallel. Secrets run beside each other. The primary's write is the commit point: from then on
//! every target gets that value, in this run or in the next one.
//!
//! Races and what is done about them:
//! - *Power cut before the primary's write*: nothing holds the generation; the next run starts anew.
//! - *Power cut after it*: the next run reads the value back from the primary and goes on.
//! - *Lost reply*: a write that may have happened is looked at ([`put`]) before it is tried again.
//! - *Another run was first*: the conditional create or the write token refuses ours; its value is
//!   read back and spread, ours is forgotten.
//! - *Another run rotates at the same time* (two machines without one lease): the token or the version
//!   refuses ours where a store can. Where it cannot, or where an older value was written late, each
//!   run looks back at the primary after its last write and follows whatever stands there
//!   (`crossing`); what is left after that, one more sync heals.
//! - *The lease was lost* ([`Ledger::hold`]): asked before each write, the run stops there.
//!
//! Without a lease a rival that announced itself at the same time and wrote first, where check-and-set
//! then refused this run, cannot be told from an operator: its value is left alone and told as drift.
//!
//! What such a crossing may leave if the power fails in it as well. With a lease none of this can
//! happen, and without a power cut none of it remains after one more sync:
//! - *A late value at an SSM parameter whose writer died before it set its mark*, or *a request to SSM
//!   that was delivered twice and whose writer died then* (this one also without another run): the
//!   version is one that no mark names. It is told as drift, never replaced unasked; `rotate --force`
//!   ends it.
//! - *A late mark at a primary whose writer died before it looked back*: told as drift in the same way.
//! - *Both runs died*, one after its value and before it looked back, the other after announcing
//!   itself at the same version of the same SSM parameter and before its value: that parameter holds
//!   the one's value under the other's mark, which no metadata can tell. The next rotation ends it.

pub mod adoption;
mod crossing;
pub mod ledger;
pub mod put;
pub mod recorder;
pub mod secret;
pub mod values;

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt as _};

pub use ledger::{FileLedger, Intent, Ledger, LedgerError, Opened, Rest, intents as journal_intents, journal_bytes};
pub use recorder::Recorder;

use crate::clock::{Clock, Entropy};
use crate::lockfile::Lockfile;
use crate::mark::Generation;
use crate::plan::{Action, Next, Plan, SecretPlan, SecretView, Stores};
use crate::provider::VersionId;
use crate::secret::Value;
use crate::target::TargetKind;

/// How many secrets are worked on at once; the limiter decides how many calls are on the way. It is
/// high, so that all writes to one local file come together.
pub const SECRETS_AT_ONCE: usize = 8_192;

/// Tells a person what happens while it happens; never with a value.
pub trait Progress: Send + Sync {
    /// One thing was done or could not be done.
    fn event(&self, event: &Event<'_>);
}

/// One thing that happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A new value was made.
    Generated(&'a str),
    /// A target was brought in line.
    Done {
        /// Name of the secret.
        secret: &'a str,
        /// What was done.
        action: Action,
        /// Kind of place.
        kind: TargetKind,
        /// Name of the place.
        name: &'a str,
    },
    /// A target could not be brought in line.
    Failed {
        /// Name of the secret.
        secret: &'a str,
        /// Kind of place.
        kind: TargetKind,
        /// Name of the place.
        name: &'a str,
        /// Why, and what to do.
        reason: &'a str,
    },
}

/// Everything a run needs.
pub struct Run<'a> {
    /// What was learned of each secret.
    pub views: &'a [SecretView<'a>],
    /// What to do, in the same order.
    pub plan: &'a Plan,
    /// Values that were read already, by position in `views`.
    pub values: BTreeMap<usize, Value>,
    /// Names of the changes that were allowed, by position of the secret and of its target; kept in
    /// the ledger until they are done, so that the next run may go on with them.
    pub allowed: BTreeMap<(usize, usize), String>,
    /// The connected stores.
    pub stores: &'a Stores,
    /// What was in force before.
    pub lock: Lockfile,
    /// Where the journal and the lock are kept.
    pub ledger: &'a dyn Ledger,
    /// The present moment.
    pub clock: &'a dyn Clock,
    /// Random bytes.
    pub entropy: &'a dyn Entropy,
    /// Who is told.
    pub progress: &'a dyn Progress,
}

/// What became of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It holds the generation in force at this version.
    InForce(VersionId),
    /// It was left as it is.
    Left,
    /// It could not be brought in line.
    Failed(String),
}

/// What became of one secret.
#[derive(Debug, Clone)]
pub struct SecretOutcome {
    /// The generation in force now, if any.
    pub generation: Option<Generation>,
    /// Whether a new value was made in this run.
    pub generated: bool,
    /// What became of each target.
    pub targets: Vec<Done>,
    /// Why the secret as a whole could not be worked on.
    pub failure: Option<String>,
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One for each secret of the plan, in its order.
    pub secrets: Vec<SecretOutcome>,
    /// The lock as it is now.
    pub lock: Lockfile,
    /// Whether the lock changed, or why it could not be saved.
    pub saved: Option<Result<bool, LedgerError>>,
}

impl Outcome {
    /// How many targets could not be brought in line.
    #[must_use]
    pub fn failures(&self) -> usize {
        let failed = |secret: &SecretOutcome| {
            let targets = secret.targets.iter().filter(|done| matches!(done, Done::Failed(_))).count();
            targets.max(usize::from(secret.failure.is_some()))
        };
        self.secrets.iter().map(failed).sum()
    }
}

/// Does what the plan says.
///
/// # Errors
/// [`LedgerError`] if the intents cannot be journalled; nothing was written to any store then.
pub async fn apply(run: Run<'_>) -> Result<Outcome, LedgerError> {
    let new = generations(&run);
    let intents = intents(&run, &new);
    if run.plan.has_changes() {
        let begun: Vec<String> = run.allowed.values().cloned().collect();
        run.ledger.begin(&intents, &begun).await?;
    }
    let recorder = Recorder::new(run.lock.clone(), run.ledger);
    let jobs = run.views.iter().zip(&run.plan.secrets).enumerate().map(|(position, (view, plan))| {
        let generation = new.get(&position);
        let (run, recorder) = (&run, &recorder);
        async move {
            let outcome = secret::apply_secret(run, recorder, position, view, plan, generation).await;
            (position, outcome)
        }
    });
    let work = stream::iter(jobs).buffer_unordered(SECRETS_AT_ONCE).collect();
    let mut done: Vec<(usize, SecretOutcome)> = beside(work, run.ledger.keep()).await;
    done.sort_by_key(|(position, _)| *position);
    let (lock, secrets) = (recorder.into_lock(), done.into_iter().map(|(_, outcome)| outcome).collect());
    let mut outcome = Outcome { secrets, lock, saved: None };
    outcome.saved = Some(run.ledger.finish(&outcome.lock, &rest(&run, &outcome)).await);
    Ok(outcome)
}

/// What the next run need not look after.
fn rest(run: &Run<'_>, outcome: &Outcome) -> Rest {
    let done = |(secret, target): &(usize, usize)| {
        let secret = outcome.secrets.get(*secret);
        matches!(secret.and_then(|secret| secret.targets.get(*target)), Some(Done::InForce(_)))
    };
    let done = run.allowed.iter().filter(|(at, _)| done(at)).map(|(_, name)| name.clone()).collect();
    let held = run.plan.targets().any(|(_, target)| target.action == Action::Held);
    Rest { done, complete: !held && outcome.failures() == 0 && run.plan.held().next().is_none() }
}

/// Does the work to its end while the lease is kept; one that is lost stops the next write, not
/// the one that is on its way.
async fn beside<T>(work: impl Future<Output = T>, keep: impl Future<Output = ()>) -> T {
    match select(pin!(work), pin!(keep)).await {
        Either::Left((done, _)) => done,
        Either::Right(((), work)) => work.await,
    }
}

/// The new generation of each secret that gets one; without entropy there is none.
fn generations(run: &Run<'_>) -> BTreeMap<usize, Generation> {
    let number = |plan: &SecretPlan| match plan.next {
        Next::Create(number) | Next::Rotate(number) | Next::Revise(number) => Some((number, false)),
        Next::Adopt(number) => Some((number, true)),
        Next::Keep => None,
    };
    let plans = run.plan.secrets.iter().enumerate();
    plans
        .filter_map(|(position, plan)| {
            let (number, adopted) = number(plan)?;
            let generation = Generation::new(number, run.clock.now(), run.entropy).ok()?;
            Some((position, Generation { adopted, ..generation }))
        })
        .collect()
}

fn intents(run: &Run<'_>, new: &BTreeMap<usize, Generation>) -> Vec<Intent> {
    let intent = |position: &usize, generation: &Generation| {
        let plan = run.plan.secrets.get(*position)?;
        let primary = plan.primary.and_then(|primary| plan.targets.get(primary));
        Some(Intent {
            id: plan.owner.secret.as_str().to_owned(),
            generation: generation.number,
            generation_id: generation.id.clone(),
            created: generation.created,
            primary: primary.and_then(|primary| primary.locator.clone()),
        })
    };
    new.iter().filter_map(|(position, generation)| intent(position, generation)).collect()
}
