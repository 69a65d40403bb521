//! A forge in memory that keeps one ref by compare-and-swap, a clock that all machines share, and
//! waits that pass it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use secretzero::clock::{Clock, Sleep};
use secretzero::forge::{
    CheckRun, CheckSeen, CommentSeen, Comparison, Forge, Issue, Marker, Permission, Posted, PullRequest, Result, State,
    StateError, Tip,
};

use super::wire::{Time, Wire};

/// Where the ref stands.
pub(crate) type Ref = Arc<Mutex<Option<State>>>;

/// One run's way to it.
pub(crate) struct RefForge {
    pub(crate) kept: Ref,
    pub(crate) wire: Arc<Wire>,
}

/// The time of the simulation.
pub(crate) struct SimClock(pub(crate) Time);

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Short waits make the time pass, long ones wait until it has.
pub(crate) struct SimSleep {
    pub(crate) time: Time,
    pub(crate) wire: Arc<Wire>,
}

#[async_trait]
impl Sleep for SimSleep {
    async fn sleep(&self, duration: Duration) {
        let seconds = i64::try_from(duration.as_secs()).unwrap();
        if seconds < 60 {
            self.time.fetch_add(seconds, Ordering::SeqCst);
            return self.wire.turn().await;
        }
        let end = self.time.load(Ordering::SeqCst) + seconds;
        while self.time.load(Ordering::SeqCst) < end {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Forge for RefForge {
    async fn read_state(&self, _: &str, _: &str) -> Result<Option<State>> {
        Ok(self.wire.ask(|| self.kept.lock().unwrap().clone()).await)
    }

    async fn write_state(
        &self,
        _: &str,
        parent: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        _: &str,
    ) -> std::result::Result<String, StateError> {
        let swap = || {
            let mut kept = self.kept.lock().unwrap();
            if kept.as_ref().map(|state| state.commit_sha.as_str()) != parent {
                return Err(StateError::Moved);
            }
            let count: u64 = parent.map_or(0, |sha| sha.parse().unwrap());
            let commit_sha = (count + 1).to_string();
            *kept = Some(State { commit_sha: commit_sha.clone(), files: files.clone() });
            Ok(commit_sha)
        };
        self.wire.ask(swap).await
    }

    async fn find_comment(&self, _: u64, _: &Marker) -> Result<Option<Posted>> {
        unreachable!("a ledger has no comments")
    }

    async fn upsert_comment(&self, _: u64, _: &Marker, _: &str) -> Result<Posted> {
        unreachable!("a ledger has no comments")
    }

    async fn set_check(&self, _: &str, _: &CheckRun) -> Result<u64> {
        unreachable!("a ledger has no checks")
    }

    async fn checks(&self, _: &str, _: &str) -> Result<Vec<CheckSeen>> {
        unreachable!("a ledger has no checks")
    }

    async fn branch_tip(&self, _: &str) -> Result<Option<String>> {
        unreachable!("a ledger has no branches")
    }

    async fn paths_at(&self, _: &str) -> Result<Option<Vec<String>>> {
        unreachable!("a ledger asks for no files")
    }

    async fn pull(&self, _: u64) -> Result<PullRequest> {
        unreachable!("a ledger has no pull requests")
    }

    async fn pulls_of_commit(&self, _: &str) -> Result<Vec<PullRequest>> {
        unreachable!("a ledger has no pull requests")
    }

    async fn default_branch_tip(&self) -> Result<Tip> {
        unreachable!("a ledger has no branches")
    }

    async fn compare(&self, _: &str, _: &str) -> Result<Comparison> {
        unreachable!("a ledger has no branches")
    }

    async fn file_at(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>> {
        unreachable!("a ledger reads only its ref")
    }

    async fn permission(&self, _: &str) -> Result<Permission> {
        unreachable!("a ledger knows nobody")
    }

    async fn comment(&self, _: u64) -> Result<Option<CommentSeen>> {
        unreachable!("a ledger has no comments")
    }

    async fn find_issue(&self, _: &Marker) -> Result<Option<Issue>> {
        unreachable!("a ledger has no issues")
    }

    async fn upsert_issue(&self, _: &Marker, _: &str, _: &str) -> Result<Posted> {
        unreachable!("a ledger has no issues")
    }

    async fn close_issue(&self, _: u64, _: &str) -> Result<()> {
        unreachable!("a ledger has no issues")
    }

    async fn parents(&self, _: &str) -> Result<Vec<String>> {
        unreachable!("a ledger has no branches")
    }
}
