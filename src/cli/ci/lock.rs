//! Which lock a job works with, and what it says of one that could not be saved.

use std::sync::Arc;
use std::time::Duration;

use super::Job;
use super::inputs::LockfileStore;
use super::ref_ledger::{Holder, NoLedger, RefLedger};
use super::sync::Kind;
use super::unit::Unit;
use crate::apply::{Ledger, LedgerError, Opened, Outcome};
use crate::cli::exit::Exit;
use crate::clock::{Sleep, SystemSleep};
use crate::forge::Forge;

impl Job<'_> {
    /// The lock of this Secretfile, without any intent to write it.
    pub(super) async fn opened(&self, unit: &Unit) -> Opened {
        match self.ledger(unit, None).await {
            Ok((_, opened)) => opened,
            Err(error) => {
                self.say.warning(&error.to_string());
                Opened::default()
            }
        }
    }

    /// The same for a run that means to write: while it has patience it waits for another run, and
    /// what it waited is taken off.
    pub(super) async fn ledger(
        &self,
        unit: &Unit,
        writer: Option<(Kind, &mut Duration)>,
    ) -> Result<(Box<dyn Ledger>, Opened), LedgerError> {
        let none = || Ok((Box::new(NoLedger) as Box<dyn Ledger>, Opened::default()));
        let Some(forge) = self.forge.clone().filter(|_| self.inputs.lockfile_store == LockfileStore::Ref) else {
            return none();
        };
        let ref_name = match &self.inputs.lock_ref {
            Some(branch) if !branch.starts_with("refs/") => format!("refs/heads/{branch}"),
            Some(name) => name.clone(),
            None => crate::forge::github::state_ref(unit.environment()),
        };
        // A ref of one's own choice serves all environments, so each needs a document of its own there.
        let file = match (&self.inputs.lock_ref, unit.environment()) {
            (Some(_), Some(environment)) => format!("{}@{environment}", unit.file),
            _ => unit.file.clone(),
        };
        let (kind, patience) = writer.unzip();
        let writes = patience.is_some();
        let holder = Holder {
            id: self.runner.run_id.clone(),
            url: self.runner.run_url.clone(),
            // A rotation brings no commit into force, so it must not pass for its sync.
            commit: (kind == Some(Kind::Sync)).then(|| self.runner.sha.clone()),
        };
        let forge: Arc<dyn Forge> = forge;
        let time = (Arc::clone(&self.session.clock), Arc::new(SystemSleep) as Arc<dyn Sleep>);
        match RefLedger::open(forge, time, ref_name, &file, holder, patience).await {
            Ok((ledger, opened)) => Ok((Box::new(ledger), opened)),
            Err(error @ LedgerError::Failed { .. }) if writes => Err(error),
            Err(error @ (LedgerError::Failed { .. } | LedgerError::Forbidden { .. })) => {
                self.say.notice(&format!("{error}; the stores are asked instead"));
                none()
            }
            Err(error) => Err(error),
        }
    }

    /// A lock that could not be saved after the writes costs exit 9, a missing permission a notice.
    pub(super) fn saved(&self, exit: Exit, outcome: &Outcome) -> Exit {
        match &outcome.saved {
            Some(Err(error @ LedgerError::Forbidden { .. })) => {
                self.say.notice(&format!("{error}; the stores are asked instead, each time"));
                exit
            }
            Some(Err(error @ LedgerError::Busy(_))) => {
                self.say.error(&format!("{error}; it took over, so this run stopped writing"));
                Exit::Locked
            }
            Some(Err(error)) => {
                self.say.error(&format!("{error}; what was written is safe, the next run reads it from the stores"));
                Exit::NotSaved
            }
            _ => exit,
        }
    }
}
