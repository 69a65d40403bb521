//! Whether this run is for the default branch's newest commit, and whether that is what is checked out: a
//! workflow may check out any other, and then a Secretfile that nobody merged would say where credentials
//! go.

use super::Job;
use super::planted::Expected;
use super::read::Read;
use super::unit::Unit;
use crate::cli::exit::Exit;
use crate::manifest::ProviderBlock;

/// What to do about it.
const HELP: &str = "check out this run's own commit (`actions/checkout` without `ref`) and run the job again";

impl Job<'_> {
    /// Why this commit is not synced: only the default branch's newest one is, so that nothing ever
    /// goes backwards.
    pub(super) async fn not_the_tip(&self) -> Result<Option<String>, Exit> {
        self.behind_the_tip().await.map_err(|why| {
            self.say.error(&why);
            self.say.output("changed", false);
            self.say.result("failed", Some(Exit::Error));
            Exit::Error
        })
    }

    /// The same, and why it cannot be told.
    pub(super) async fn behind_the_tip(&self) -> Result<Option<String>, String> {
        let Some(forge) = self.forge.as_ref() else {
            return Err(
                "whether this is the default branch's newest commit cannot be asked without a token, so no store \
                 is asked and nothing is written; leave the input `github_token` at the workflow's own"
                    .to_owned(),
            );
        };
        let tip = forge.default_branch_tip().await.map_err(|error| {
            format!("whether this is the newest commit is not known, so nothing is written: {error}")
        })?;
        if self.runner.git_ref != format!("refs/heads/{}", tip.branch) {
            let here = &self.runner.git_ref;
            return Ok(Some(format!("only `{}` is synced, this is {here}: nothing was done", tip.branch)));
        }
        let newer = tip.sha != self.runner.sha;
        Ok(newer.then(|| format!("`{}` has moved on to {}: its own run syncs", tip.branch, tip.sha)))
    }

    /// Why a Secretfile of the checkout, its files of variables among it, is not that of this run's
    /// commit.
    pub(super) async fn another_checkout(&self, unit: &Unit, read: &Read) -> Option<String> {
        let (file, sha) = (&unit.file, &self.runner.sha);
        let Some(forge) = &self.forge else {
            return Some(format!("whether `{file}` is that of {sha} cannot be asked without a token"));
        };
        match self.read_at(forge.as_ref(), unit, sha).await {
            Ok(Some(Ok(there))) if there.read.is(read) => None,
            Ok(None) => Some(format!("`{file}` is checked out, and {sha} has no such file; {HELP}")),
            Ok(Some(_)) => Some(format!("`{file}`, as it is checked out, is not that of {sha}; {HELP}")),
            Err(error) => Some(format!("whether `{file}` is that of {sha} is not known: {error}")),
        }
    }

    /// Why a login would read what is not this run's commit's, nor written by the job itself.
    pub(super) async fn planted_beside(&self, unit: &Unit, providers: &[ProviderBlock]) -> Option<String> {
        let sha = &self.runner.sha;
        let planted = self.planted(unit, &Expected { at: sha, others: &[], strict: false }, providers).await?;
        Some(format!(
            "{planted} that is not that of {sha} or stands behind a link, so whoever made it would decide what a login \
             trusts; {HELP}"
        ))
    }
}
