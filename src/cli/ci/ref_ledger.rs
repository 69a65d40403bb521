//! The journal and the lock in a git ref of the repository: one commit with all intents before the
//! first write, one at the end, all by compare-and-swap on the tip.
//!
//! The journal names its holder and an expiry, so it is the lease as well. Races and what is done:
//! - *A second run while the lease is good*: it waits a minute, then gives up ([`LedgerError::Busy`]).
//! - *Two runs that both saw no lease*: the tip lets one of them begin. The other finds the document
//!   changed since it looked, so its plan is of no use any more: it looks and plans again, or gives up
//!   as well. What a run that holds the lease planned, it planned while nobody else was writing.
//! - *A run that is stuck* (throttled, one slow call) renews its lease beside the work.
//! - *A run that died*: its lease ends and is taken over with its intents, because the stores' own
//!   marks tell what it did. A later attempt of the same CI run need not wait for that.
//! - *A run that was suspended beyond its lease*: it renews before the next write, or finds that
//!   another run took over, writes nothing more and gives up.
//! - *A lease that claims more than an hour* was forged, damaged or written by a clock gone wrong. It
//!   counts as one hour from when a writing run first sees it, and that is written down in the ref:
//!   from then on it is like any other, so it holds nobody up for longer.

mod document;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex as Plain, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

pub use document::normal;
use document::{Document, Lease, bytes, parse, sorted};

use crate::apply::{Intent, Ledger, LedgerError, Opened, Rest};
use crate::clock::{Clock, Sleep};
use crate::forge::{Forge, StateError};
use crate::lockfile::{LockError, Lockfile};

/// How long a lease lasts, in minutes; it is renewed long before.
const LEASE_MINUTES: i64 = 10;

/// Longest lease that is believed, in minutes.
const LEASE_MINUTES_MAX: i64 = 60;

/// A lease that ends this soon is renewed before anything more is written, in seconds: longer than
/// one call takes.
const LEASE_SECONDS_LEFT: i64 = 60;

/// How old a lease gets before it is renewed, in seconds.
const RENEW_AFTER_SECONDS: i64 = 180;

/// How often a run looks whether its lease must be renewed.
const RENEW_LOOK: Duration = Duration::from_secs(60);

/// How long a second run waits for the first, over all its looks at the lock.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// How often it looks meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often the lock is saved while a run goes on, in seconds.
const CHECKPOINT_SECONDS: i64 = 30;

/// How often a moved tip is followed.
const SWAPS_MAX: usize = 5;

/// Who this run is.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Run and attempt.
    pub id: String,
    /// Its page.
    pub url: String,
    /// The commit that it syncs; `None` if it does not sync.
    pub commit: Option<String>,
}

/// The ledger of one Secretfile in a ref.
pub struct RefLedger {
    forge: Arc<dyn Forge>,
    clock: Arc<dyn Clock>,
    sleep: Arc<dyn Sleep>,
    ref_name: String,
    file: String,
    holder: Holder,
    state: Mutex<Tip>,
    held: Plain<Held>,
}

/// Where the ref stands, as far as this run knows.
#[derive(Default)]
struct Tip {
    commit: Option<String>,
    files: BTreeMap<String, Vec<u8>>,
    document: Document,
    /// What the plan was made from.
    opened: Document,
    saved: Timestamp,
}

/// This run's lease, readable while the ref is being written.
#[derive(Default)]
struct Held {
    lease: Option<Lease>,
    /// Who holds it instead, once that is known.
    lost: Option<String>,
}

impl RefLedger {
    /// Reads the ref. A run that means to write has `patience`: it waits so long for another run's
    /// lease to end, and what it waited is taken off.
    ///
    /// # Errors
    /// [`LedgerError::Busy`] if the other run does not end in time.
    pub async fn open(
        forge: Arc<dyn Forge>,
        (clock, sleep): (Arc<dyn Clock>, Arc<dyn Sleep>),
        ref_name: String,
        secretfile: &str,
        holder: Holder,
        mut patience: Option<&mut Duration>,
    ) -> Result<(Self, Opened), LedgerError> {
        let file = format!("{secretfile}.lock.json");
        let (state, held) = (Mutex::new(Tip::default()), Plain::default());
        let ledger = Self { forge, clock, sleep, ref_name, file, holder, state, held };
        loop {
            let mut tip = ledger.state.lock().await;
            let warning = ledger.read(&mut tip).await?;
            if patience.is_some() {
                ledger.shorten(&mut tip).await?;
            }
            let other = ledger.other(&tip.document);
            let Some((other, patience)) = other.zip(patience.as_deref_mut()) else {
                tip.opened = tip.document.clone();
                let opened = opened(&tip.document, warning);
                drop(tip);
                return Ok((ledger, opened));
            };
            let busy = ledger.busy(&other.run);
            drop(tip);
            if patience.is_zero() {
                return Err(busy);
            }
            ledger.sleep.sleep(LOOK_EVERY).await;
            *patience = patience.saturating_sub(LOOK_EVERY);
        }
    }

    /// The commit that was synced last, if any run said so; untrusted as all of the ref.
    pub async fn last_synced(&self) -> Option<String> {
        self.state.lock().await.opened.last_synced.clone().filter(|commit| is_commit(commit))
    }

    /// Another run's lease that is still good.
    fn other<'d>(&self, document: &'d Document) -> Option<&'d Lease> {
        let lease = document.lease.as_ref().filter(|lease| lease.expires > self.clock.now())?;
        (!is_earlier_attempt(&lease.holder, &self.holder.id)).then_some(lease)
    }

    /// A lease that claims more than an hour counts as one hour from now, for everybody.
    async fn shorten(&self, tip: &mut Tip) -> Result<(), LedgerError> {
        let end = self.after(SignedDuration::from_mins(LEASE_MINUTES_MAX));
        for _ in 0..SWAPS_MAX {
            let Some(lease) = tip.document.lease.clone().filter(|lease| lease.expires > end) else { return Ok(()) };
            let document = Document { lease: Some(Lease { expires: end, ..lease }), ..tip.document.clone() };
            match self.write(tip, "Shorten a lease", document).await {
                // Whoever may not write the ref cannot hold a lease in it either, nor wait for one.
                Err(StateError::Forbidden(_)) => {
                    tip.document.lease = None;
                    return Ok(());
                }
                Err(StateError::Moved) => drop(self.read(tip).await?),
                Err(error) => return Err(self.failed("saved", &error.to_string())),
                Ok(()) => return Ok(()),
            }
        }
        Err(self.failed("saved", "it moved each time; run again"))
    }

    async fn read(&self, tip: &mut Tip) -> Result<Option<String>, LedgerError> {
        let state = self.forge.read_state(&self.ref_name, &self.file).await.map_err(|error| {
            let (place, reason) = (self.ref_name.clone(), error.to_string());
            if error.is_forbidden() {
                LedgerError::Forbidden { place, reason }
            } else {
                LedgerError::Failed { place, what: "read", reason }
            }
        })?;
        let Some(state) = state else {
            (tip.commit, tip.files, tip.document) = (None, BTreeMap::new(), Document::default());
            return Ok(None);
        };
        let (document, warning) = match state.files.get(&self.file).map(|bytes| parse(bytes)) {
            None => (Document::default(), None),
            Some(Ok(document)) => (document, None),
            Some(Err(error @ LockError::Newer(_))) => return Err(error.into()),
            Some(Err(error)) => (Document::default(), Some(format!("{}: {error}", self.ref_name))),
        };
        (tip.commit, tip.files, tip.document) = (Some(state.commit_sha), state.files, document);
        Ok(warning)
    }

    async fn write(&self, tip: &mut Tip, message: &str, document: Document) -> Result<(), StateError> {
        let mut files = tip.files.clone();
        files.insert(self.file.clone(), bytes(&document));
        let message = format!("{message}: {}", self.file);
        let commit = self.forge.write_state(&self.ref_name, tip.commit.as_deref(), &files, &message).await?;
        (tip.commit, tip.files, tip.document, tip.saved) = (Some(commit), files, document, self.clock.now());
        Ok(())
    }

    /// Writes what `change` makes of the document; follows a tip that moved, as long as what stands
    /// there is still this run's.
    async fn swap(
        &self,
        tip: &mut Tip,
        message: &str,
        change: impl Fn(&Document) -> Document,
    ) -> Result<bool, LedgerError> {
        for _ in 0..SWAPS_MAX {
            self.still_ours(tip)?;
            let document = change(&tip.document);
            if document == tip.document {
                return Ok(false);
            }
            let lock_changed = document.lock != tip.document.lock;
            match self.write(tip, message, document).await {
                Ok(()) => return Ok(lock_changed),
                Err(StateError::Moved) => drop(self.read(tip).await?),
                Err(StateError::Forbidden(error)) => {
                    return Err(LedgerError::Forbidden { place: self.ref_name.clone(), reason: error.to_string() });
                }
                Err(error) => return Err(self.failed("saved", &error.to_string())),
            }
        }
        Err(self.failed("saved", "it moved each time; run again"))
    }

    /// Before it begins, a run needs the document it planned from; later, its own lease in it.
    fn still_ours(&self, tip: &Tip) -> Result<(), LedgerError> {
        let mut held = self.held();
        let there = tip.document.lease.as_ref();
        let ours = match &held.lease {
            Some(lease) => there.is_some_and(|there| there.is(lease)),
            None => tip.document == tip.opened,
        };
        if ours && held.lost.is_none() {
            return Ok(());
        }
        let by = there.map_or_else(|| "a run that ended meanwhile".to_owned(), |lease| lease.run.clone());
        Err(self.busy(held.lost.get_or_insert(by)))
    }

    /// Takes the lease, or makes it longer.
    async fn renew(&self, tip: &mut Tip) -> Result<(), LedgerError> {
        let Some(lease) = self.held().lease.clone() else { return Ok(()) };
        let lease = Lease { expires: self.after(SignedDuration::from_mins(LEASE_MINUTES)), ..lease };
        let change = |old: &Document| Document { lease: Some(lease.clone()), ..old.clone() };
        self.swap(tip, "Renew", change).await?;
        self.held().lease = Some(lease);
        Ok(())
    }

    /// Whether this run's lease ends within so many seconds.
    fn ends_within(&self, seconds: i64) -> bool {
        let horizon = self.after(SignedDuration::from_secs(seconds));
        self.held().lease.as_ref().is_some_and(|lease| lease.expires <= horizon)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn after(&self, duration: SignedDuration) -> Timestamp {
        let now = self.clock.now();
        now.checked_add(duration).unwrap_or(now)
    }

    /// Seconds since this run last wrote the ref.
    fn age(&self, tip: &Tip) -> i64 {
        self.clock.now().duration_since(tip.saved).as_secs()
    }

    fn busy(&self, run: &str) -> LedgerError {
        LedgerError::Busy(format!("the lock in {} ({run})", self.ref_name))
    }

    fn failed(&self, what: &'static str, reason: &str) -> LedgerError {
        LedgerError::Failed { place: self.ref_name.clone(), what, reason: reason.to_owned() }
    }
}

/// What a run starts from.
fn opened(document: &Document, warning: Option<String>) -> Opened {
    Opened {
        lock: document.lock.clone(),
        intents: document.intents.iter().filter(|intent| intent.is_believable()).cloned().collect(),
        begun: document.begun.clone(),
        last_synced: document.last_synced.clone().filter(|commit| is_commit(commit)),
        last_complete: document.last_complete.clone().filter(|commit| is_commit(commit)),
        warning,
    }
}

/// Whether `holder` is an attempt of the CI run `id` before it: a run is attempted again only when
/// it has ended (docs.github.com/actions/managing-workflow-runs/re-running-workflows-and-jobs).
fn is_earlier_attempt(holder: &str, id: &str) -> bool {
    let parts = |id: &str| {
        let (run, attempt) = id.rsplit_once('.')?;
        Some((run.to_owned(), attempt.parse::<u32>().ok()?))
    };
    matches!((parts(holder), parts(id)), (Some((a, earlier)), Some((b, later))) if a == b && earlier < later)
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[async_trait]
impl Ledger for RefLedger {
    async fn begin(&self, intents: &[Intent], begun: &[String]) -> Result<(), LedgerError> {
        let mut tip = self.state.lock().await;
        let lease = Lease {
            holder: self.holder.id.clone(),
            run: self.holder.url.clone(),
            since: Some(self.clock.now()),
            expires: self.after(SignedDuration::from_mins(LEASE_MINUTES)),
        };
        let change = |old: &Document| {
            let mut all = intents.to_vec();
            // What a dead run meant stays known until its secrets were worked on again.
            let left = old.intents.iter().filter(|old| intents.iter().all(|new| new.id != old.id));
            all.extend(left.cloned());
            let begun: BTreeSet<String> = old.begun.iter().chain(begun).cloned().collect();
            let begun = begun.into_iter().collect();
            Document { lease: Some(lease.clone()), intents: all, begun, ..old.clone() }
        };
        self.swap(&mut tip, "Begin", change).await?;
        self.held().lease = Some(lease);
        Ok(())
    }

    async fn checkpoint(&self, lock: &Lockfile) -> Result<(), LedgerError> {
        let mut tip = self.state.lock().await;
        if self.age(&tip) < CHECKPOINT_SECONDS {
            return Ok(());
        }
        self.swap(&mut tip, "Checkpoint", |old| Document { lock: sorted(lock), ..old.clone() }).await.map(|_| ())
    }

    async fn keep(&self) {
        loop {
            self.sleep.sleep(RENEW_LOOK).await;
            if !self.ends_within(LEASE_MINUTES * 60 - RENEW_AFTER_SECONDS) {
                continue;
            }
            let mut tip = self.state.lock().await;
            match self.renew(&mut tip).await {
                Err(LedgerError::Busy(_)) => return,
                // There are some more tries before it ends, and then no more writes.
                Err(error) => tracing::warn!("the lease was not renewed: {error}"),
                Ok(()) => {}
            }
        }
    }

    async fn hold(&self) -> Result<(), LedgerError> {
        if let Some(run) = &self.held().lost {
            return Err(self.busy(run));
        }
        if !self.ends_within(LEASE_SECONDS_LEFT) {
            return Ok(());
        }
        let mut tip = self.state.lock().await;
        if !self.ends_within(LEASE_SECONDS_LEFT) {
            return Ok(());
        }
        self.renew(&mut tip).await
    }

    async fn finish(&self, lock: &Lockfile, rest: &Rest) -> Result<bool, LedgerError> {
        let mut tip = self.state.lock().await;
        let began = self.held().lease.is_some();
        let change = |old: &Document| {
            // A rotation looks at a part of the secrets only: what another run had begun is not done by it.
            let whole = rest.complete && self.holder.commit.is_some();
            let mut merged = lock.clone();
            merged.merge(&old.lock);
            Document {
                last_synced: self.holder.commit.clone().or_else(|| old.last_synced.clone()),
                last_complete: self
                    .holder
                    .commit
                    .clone()
                    .filter(|_| rest.complete)
                    .or_else(|| old.last_complete.clone()),
                lease: None,
                intents: Vec::new(),
                begun: old.begun.iter().filter(|name| !whole && !rest.done.contains(name)).cloned().collect(),
                lock: sorted(&merged),
            }
        };
        let saved = self.swap(&mut tip, "Finish", change).await;
        match saved {
            // A run that wrote nothing has nothing to say where another one was meanwhile.
            Err(LedgerError::Busy(_)) if !began => Ok(false),
            saved => saved,
        }
    }

    fn name(&self) -> String {
        self.ref_name.clone()
    }
}

/// No lock at all: the stores are asked each time.
pub struct NoLedger;

#[async_trait]
impl Ledger for NoLedger {
    async fn begin(&self, _: &[Intent], _: &[String]) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn checkpoint(&self, _: &Lockfile) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn finish(&self, _: &Lockfile, _: &Rest) -> Result<bool, LedgerError> {
        Ok(false)
    }

    fn name(&self) -> String {
        "no lock".into()
    }
}
