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
//! - *Another run rotates at the same time*: the token or the version refuses ours; the secret is
//!   left to that run and told as unfinished.

pub mod ledger;
pub mod put;
pub mod recorder;
pub mod secret;
pub mod values;

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};

pub use ledger::{FileLedger, Intent, Ledger, LedgerError, Opened, intents as journal_intents, journal_bytes};
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
        run.ledger.begin(&intents).await?;
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
    let mut done: Vec<(usize, SecretOutcome)> = stream::iter(jobs).buffer_unordered(SECRETS_AT_ONCE).collect().await;
    done.sort_by_key(|(position, _)| *position);
    let lock = recorder.into_lock();
    let saved = Some(run.ledger.finish(&lock).await);
    Ok(Outcome { secrets: done.into_iter().map(|(_, outcome)| outcome).collect(), lock, saved })
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
