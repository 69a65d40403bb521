//! Whether this run is for the default branch's newest commit.

use super::Job;
use crate::cli::exit::Exit;

impl Job<'_> {
    /// Why this commit is not synced: only the default branch's newest one is, so that nothing ever
    /// goes backwards.
    pub(super) async fn not_the_tip(&self) -> Result<Option<String>, Exit> {
        let Some(forge) = self.forge.as_ref() else {
            self.say.error(
                "whether this is the default branch's newest commit cannot be asked without a token, so no store is \
                 asked and nothing is written; leave the input `github_token` at the workflow's own",
            );
            self.say.output("changed", false);
            self.say.result("failed", Some(Exit::Error));
            return Err(Exit::Error);
        };
        let tip = match forge.default_branch_tip().await {
            Ok(tip) => tip,
            Err(error) => {
                self.say
                    .error(&format!("whether this is the newest commit is not known, so nothing is written: {error}"));
                self.say.result("failed", Some(Exit::Error));
                return Err(Exit::Error);
            }
        };
        if self.runner.git_ref != format!("refs/heads/{}", tip.branch) {
            let here = &self.runner.git_ref;
            return Ok(Some(format!("only `{}` is synced, this is {here}: nothing was done", tip.branch)));
        }
        let newer = tip.sha != self.runner.sha;
        Ok(newer.then(|| format!("`{}` has moved on to {}: its own run syncs", tip.branch, tip.sha)))
    }
}
