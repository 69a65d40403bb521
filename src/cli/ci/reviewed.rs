//! What merged pull requests had shown: the plans that their checks keep, since the last commit whose
//! sync left nothing undone.
//!
//! A check counts only if it was made by the identity of this very token: anybody with some right to
//! the repository may set a check of any name. What cannot be read counts as not reviewed.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};

use super::Job;
use super::unit::Unit;
use crate::apply::Opened;
use crate::forge::{Forge, PullRequest, Relation};
use crate::plan::digest::PlanDigest;
use crate::plan::review::Approved;

/// Most commits that are looked at for the pull requests they came from, newest first.
const COMMITS_MAX: usize = 100;

/// Requests under way at a time.
const AT_ONCE: usize = 8;

/// What was reviewed, and by whom it was merged.
#[derive(Default)]
pub(super) struct Reviewed {
    /// What may be done.
    pub approved: Approved,
    /// The merged pull requests, by number.
    pub pulls: Vec<PullRequest>,
    /// What a reader should know about the review as a whole.
    pub note: Option<String>,
}

impl Job<'_> {
    /// Reads what was reviewed since the last complete sync, or `before` if there was none.
    pub(super) async fn reviewed(&self, unit: &Unit, opened: &Opened, before: Option<&str>) -> Reviewed {
        let mut reviewed = Reviewed::default();
        reviewed.approved.resume(&opened.begun);
        let Some(forge) = self.forge.as_deref() else {
            reviewed.note = Some("there is no token to ask which pull requests were merged".into());
            return reviewed;
        };
        let since = opened.last_complete.as_deref().or(before);
        let (commits, cut) = self.commits(forge, since).await;
        let (pulls, failed) = self.pulls(forge, &commits).await;
        let mut silent = Vec::new();
        for (pull, plan) in self.plans(forge, unit, pulls).await {
            match plan {
                Some(plan) => reviewed.approved.add(&plan),
                None => silent.push(format!("#{}", pull.number)),
            }
            reviewed.pulls.push(pull);
        }
        let mut notes = Vec::new();
        if let Some(reason) = failed {
            notes.push(format!("which pull requests were merged is not fully known: {reason}"));
        } else if reviewed.pulls.is_empty() {
            notes.push("it came by a direct push, not by a pull request".into());
        }
        if !silent.is_empty() {
            notes.push(format!("{} had no plan that this token's own identity made", silent.join(", ")));
        }
        notes.extend(cut);
        reviewed.note = (!notes.is_empty()).then(|| notes.join("; "));
        reviewed
    }

    /// The commits since then, newest first, this one among them; and why some are missing.
    async fn commits(&self, forge: &dyn Forge, since: Option<&str>) -> (Vec<String>, Option<String>) {
        let here = self.runner.sha.clone();
        let Some(since) = since.filter(|since| *since != here) else { return (vec![here], None) };
        match forge.compare(since, &here).await {
            Ok(range) if range.relation == Relation::Ahead => {
                let mut commits: Vec<String> = range.commits.into_iter().rev().collect();
                if !commits.contains(&here) {
                    commits.insert(0, here);
                }
                let cut = (commits.len() > COMMITS_MAX || !range.complete)
                    .then(|| format!("only the newest {COMMITS_MAX} commits were looked at"));
                commits.truncate(COMMITS_MAX);
                (commits, cut)
            }
            Ok(_) => (vec![here], None),
            Err(error) => (vec![here], Some(format!("the commits since the last sync are not known: {error}"))),
        }
    }

    async fn pulls(&self, forge: &dyn Forge, commits: &[String]) -> (Vec<PullRequest>, Option<String>) {
        let asked = commits.iter().map(|commit| forge.pulls_of_commit(commit));
        let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
        let (mut pulls, mut failed) = (BTreeMap::new(), None);
        for answer in answers {
            match answer {
                Ok(found) => pulls.extend(found.into_iter().filter(|p| self.is_merged(p)).map(|p| (p.number, p))),
                Err(error) => failed = Some(error.to_string()),
            }
        }
        (pulls.into_values().collect(), failed)
    }

    fn is_merged(&self, pull: &PullRequest) -> bool {
        pull.merged && self.runner.git_ref == format!("refs/heads/{}", pull.base_ref)
    }

    async fn plans(
        &self,
        forge: &dyn Forge,
        unit: &Unit,
        pulls: Vec<PullRequest>,
    ) -> Vec<(PullRequest, Option<PlanDigest>)> {
        let name = self.check_name(unit);
        let asked = pulls.into_iter().map(|pull| {
            let name = &name;
            async move {
                // A check that cannot be read is one that is not there.
                let checks = forge.checks(&pull.head_sha, name).await.unwrap_or_default();
                let ours = checks.into_iter().filter(|check| check.ours && check.completed);
                let plan = ours.filter_map(|check| PlanDigest::from_text(&check.text)).next();
                (pull, plan)
            }
        });
        stream::iter(asked).buffered(AT_ONCE).collect().await
    }

    /// Why this commit must not be synced, if a newer one was.
    pub(super) async fn backwards(&self, opened: &Opened) -> Option<String> {
        let last = opened.last_synced.as_deref().filter(|last| *last != self.runner.sha)?;
        let Some(forge) = self.forge.as_deref() else {
            return Some(format!(
                "{last} was synced before, and without a token nobody knows how this commit stands to it"
            ));
        };
        match forge.compare(last, &self.runner.sha).await {
            Ok(range) if range.relation == Relation::Behind => {
                Some(format!("{last} was synced before and is newer than this commit"))
            }
            Ok(range) if range.relation == Relation::Diverged => {
                self.say.warning(&format!(
                    "{last} was synced before and is no ancestor of this commit: the branch was rewritten"
                ));
                None
            }
            Ok(_) => None,
            Err(error) => {
                self.say.warning(&format!("how this commit stands to the last synced one is not known: {error}"));
                None
            }
        }
    }
}
