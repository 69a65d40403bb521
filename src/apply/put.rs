//! One write, carried through lost replies, repeated deliveries and rivals.
//!
//! A write that was refused or whose reply was lost is looked at: the mark that stands there tells
//! whether it was ours, whether it never happened, or whether a rival was first.

use uuid::Uuid;

use super::ledger::Ledger;
use crate::mark::Generation;
use crate::plan::standing::{Standing, fork_token, judge};
use crate::plan::{Action, SecretPlan, TargetPlan};
use crate::provider::error::Disposition;
use crate::provider::{
    Error, ErrorKind, Expect, MarkOrder, Observed, Probe, Provider, Reading, Result, VersionId, WriteOptions,
};
use crate::secret::Value;
use crate::target::Place;

/// How often one write is tried before the secret is left to the next run.
pub const TRIES_MAX: usize = 4;

/// How a write ended.
#[derive(Debug)]
pub enum Put {
    /// Our value stands there, as this version.
    Ours(VersionId),
    /// A rival's generation stands there; ours is forgotten.
    Theirs {
        /// The rival's.
        generation: Generation,
        /// Its version.
        version: VersionId,
    },
}

/// What is written where.
pub struct Write<'a> {
    /// Whoever says whether this run may still write.
    pub ledger: &'a dyn Ledger,
    /// The store.
    pub store: &'a dyn Provider,
    /// The place.
    pub place: &'a Place,
    /// The secret's plan, for whose it is.
    pub plan: &'a SecretPlan,
    /// The target's plan, for what stands there.
    pub target: &'a TargetPlan,
    /// The value.
    pub value: &'a Value,
    /// The generation it is.
    pub generation: &'a Generation,
}

impl Write<'_> {
    /// Writes, whatever it takes within [`TRIES_MAX`].
    ///
    /// # Errors
    /// The store's refusal, or [`ErrorKind::Conflict`] if someone changed the place meanwhile.
    pub async fn run(&self) -> Result<Put> {
        let mut options = self.options()?;
        let mut last = Error::new(ErrorKind::Conflict, "it changed while it was written; run again");
        for _ in 0..TRIES_MAX {
            may_write(self.ledger).await?;
            let error = match self.store.write(self.place, self.value, &options).await {
                Ok(version) => return Ok(Put::Ours(version)),
                Err(error) => error,
            };
            if error.kind.disposition() != Disposition::Observe {
                return Err(error);
            }
            let seen = self.look().await?;
            match self.verdict(seen.as_ref(), &options, &error).await? {
                Verdict::Done(put) => return Ok(put),
                Verdict::Again(expect) => options.expect = expect,
                Verdict::Anew(expect, token) => (options.expect, options.token) = (expect, token),
            }
            last = error;
        }
        Err(last)
    }

    fn options(&self) -> Result<WriteOptions> {
        let locator = self.target.locator.as_ref();
        let locator = locator.ok_or_else(|| Error::new(ErrorKind::Invalid, "its place is not known"))?;
        let expect = self.target.version.clone().map_or(Expect::Absent, Expect::Version);
        // Another value may have been stored under this number, and so under this number's token: a
        // fork's, or one of an overwrite that died before its mark.
        let plain = self.plan.owner.write_token(locator, self.generation.number);
        // So it may where a late run's value is replaced by the newer one that stood there before.
        let held = self.target.generation.as_ref();
        let late = |held: &Generation| self.target.action == Action::Heal && held.id.is_empty();
        let fork = self.target.action == Action::Overwrite
            || held.is_some_and(|held| held.number == self.generation.number || late(held));
        let token = if fork { fork_token(&self.plan.owner, locator, self.generation) } else { plain };
        let (owner, generation) = (self.plan.owner.clone(), self.generation.clone());
        Ok(WriteOptions { owner, generation, token, expect, over_drift: self.target.drifted, withdrawn: false })
    }

    async fn look(&self) -> Result<Option<Observed>> {
        let probe = Probe { place: self.place, expected_mark: None };
        // A list that lags may show the version before: what was written must be certain.
        let mut seen = self.store.observe(&[probe], Reading::Batch).await;
        seen.pop().unwrap_or_else(|| Err(Error::new(ErrorKind::Unavailable, "the store gave no answer")))
    }

    async fn verdict(&self, seen: Option<&Observed>, options: &WriteOptions, error: &Error) -> Result<Verdict> {
        let Some(seen) = seen else {
            return Ok(Verdict::Again(Expect::Absent));
        };
        let (Some(locator), Some(capabilities)) = (&self.target.locator, self.target.capabilities) else {
            return Err(error.clone());
        };
        if capabilities.mark_order == MarkOrder::Unmarked {
            return self.unmarked(seen, options, error).await;
        }
        let unchanged = options.expect == Expect::Version(seen.version.clone());
        let creating = options.expect == Expect::Absent && error.kind == ErrorKind::Conflict;
        let superseded = self.target.action == Action::Heal && capabilities.mark_order == MarkOrder::ValueFirst;
        match judge(&self.plan.owner, locator, capabilities.mark_order, seen) {
            // Where marks come first, a rival's value may stand under the mark that announced ours, and
            // a rival's announcement over our value.
            Standing::Ours { generation, .. }
                if capabilities.mark_order == MarkOrder::MarkFirst
                    && !unchanged
                    && generation.number >= self.generation.number =>
            {
                let announced = generation.id == self.generation.id;
                let theirs = Verdict::Done(Put::Theirs { generation, version: seen.version.clone() });
                match self.mine(seen, options).await? {
                    Some(mine) => Ok(mine),
                    // The first value is another run's, and soon its mark too: it must not be replaced.
                    None if announced && creating => {
                        Err(Error::new(ErrorKind::Conflict, "another run is creating it at this moment; run again"))
                    }
                    None if announced => self.withdraw(seen, options).await,
                    None => Ok(theirs),
                }
            }
            Standing::Ours { generation, .. } if generation.id == self.generation.id => {
                Ok(Verdict::Done(Put::Ours(seen.version.clone())))
            }
            // The value is at our token and the mark lags: the same token decides whose value it is.
            Standing::Ours { marked: false, .. } if seen.version == options.token.to_string() => {
                Ok(Verdict::Again(Expect::Version(seen.version.clone())))
            }
            Standing::Ours { generation, .. } if generation.number >= self.generation.number => {
                Ok(Verdict::Done(Put::Theirs { generation, version: seen.version.clone() }))
            }
            _ if unchanged && error.kind == ErrorKind::Indeterminate => {
                Ok(Verdict::Again(Expect::Version(seen.version.clone())))
            }
            // Two rotations crossed: the newer value was stored here and replaced by the older one, and
            // its token cannot make it current again.
            Standing::Ours { .. } if unchanged && superseded => {
                let token = fork_token(&self.plan.owner, locator, self.generation);
                Ok(Verdict::Anew(Expect::Version(seen.version.clone()), token))
            }
            // An older value of ours, written or marked by another run since it was planned.
            Standing::Ours { .. } => Ok(Verdict::Again(Expect::Version(seen.version.clone()))),
            // A write that arrived twice counts two versions, as one that crossed another does.
            Standing::Drifted { .. } if capabilities.mark_order == MarkOrder::MarkFirst => {
                let conflict = "its value was changed while it was written; run again";
                self.mine(seen, options).await?.ok_or_else(|| Error::new(ErrorKind::Conflict, conflict))
            }
            _ => Err(error.clone()),
        }
    }

    /// Where no mark tells whose value it is, the value itself must.
    async fn unmarked(&self, seen: &Observed, options: &WriteOptions, error: &Error) -> Result<Verdict> {
        match self.mine(seen, options).await? {
            Some(mine) => Ok(mine),
            None if error.kind == ErrorKind::Indeterminate => Ok(Verdict::Again(Expect::Version(seen.version.clone()))),
            None => Err(error.clone()),
        }
    }

    /// Somebody wrote a value between our announcement and our own: the mark must not make it ours, and
    /// it is nothing to replace unasked. Another run of ours marks it again when it looks back.
    async fn withdraw(&self, seen: &Observed, options: &WriteOptions) -> Result<Verdict> {
        may_write(self.ledger).await?;
        let expect = Expect::Version(seen.version.clone());
        let options = WriteOptions { expect, withdrawn: true, ..options.clone() };
        self.store.annotate(self.place, &[], &options).await?;
        Err(Error::new(ErrorKind::Conflict, "its value was changed while it was written and was left alone; run again"))
    }

    /// If the value that stands there is ours, the mark follows.
    async fn mine(&self, seen: &Observed, options: &WriteOptions) -> Result<Option<Verdict>> {
        let stored = self.store.read(&[self.place]).await.pop();
        let stored = stored.unwrap_or_else(|| Err(Error::new(ErrorKind::Unavailable, "the store gave no answer")))?;
        if !stored.value.matches(self.value) || stored.version != seen.version {
            return Ok(None);
        }
        may_write(self.ledger).await?;
        let options = WriteOptions { expect: Expect::Version(seen.version.clone()), ..options.clone() };
        let version = self.store.annotate(self.place, &[], &options).await?;
        Ok(Some(Verdict::Done(Put::Ours(version))))
    }
}

/// Whether this run still holds what it writes under.
pub(super) async fn may_write(ledger: &dyn Ledger) -> Result<()> {
    ledger.hold().await.map_err(|error| Error::new(ErrorKind::Unavailable, error.to_string()))
}

enum Verdict {
    Done(Put),
    Again(Expect),
    Anew(Expect, Uuid),
}
