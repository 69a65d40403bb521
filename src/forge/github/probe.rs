//! What a token may do, asked without doing anything: each request is one that GitHub refuses as
//! incomplete (422) where the token has the right, and as forbidden (403) where it has not.

use http::Method;
use serde_json::json;

use super::client::{Again, Call, Github};
use crate::forge::{Error, Result};

const WHAT: &str = "look what the token may do";

/// A right of a workflow's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Comment on the pull request of this number.
    Comment(u64),
    /// Make check runs.
    Checks,
    /// Move refs: the lock.
    Refs,
    /// Open issues: drift.
    Issues,
}

impl Right {
    /// The permission of the workflow.
    #[must_use]
    pub const fn permission(self) -> &'static str {
        match self {
            Self::Comment(_) => "pull-requests: write",
            Self::Checks => "checks: write",
            Self::Refs => "contents: write",
            Self::Issues => "issues: write",
        }
    }
}

impl Github {
    /// How many seconds our clock is ahead of GitHub's; `None` if the answer bears no date. A date
    /// counts whole seconds, and the way of the answer counts as ours.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such repository, or the token may not see it.
    pub async fn skew_seconds(&self) -> Result<Option<i64>> {
        let answer = self.get("", "look at the repository", "metadata: read").await?;
        let date = answer.date().and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        Ok(date.map(|date| self.world.clock.now().as_second() - date.timestamp().as_second()))
    }

    /// The newest pull request, whatever its state.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the token may not read pull requests.
    pub async fn newest_pull(&self) -> Result<Option<u64>> {
        let answer = self.get("pulls?state=all&per_page=1", "look for a pull request", "pull-requests: read").await?;
        let pulls: Vec<serde_json::Value> = answer.read(WHAT)?;
        Ok(pulls.first().and_then(|pull| pull.get("number")?.as_u64()))
    }

    /// Whether the token has a right. Nothing is written.
    ///
    /// # Errors
    /// The forge's, if it cannot be told.
    pub async fn may(&self, right: Right) -> Result<bool> {
        let rest = match right {
            Right::Comment(pull) => format!("issues/{pull}/comments"),
            Right::Checks => "check-runs".to_owned(),
            Right::Refs => "git/refs".to_owned(),
            Right::Issues => "issues".to_owned(),
        };
        let call = Call {
            method: Method::POST,
            path: self.path(&rest),
            body: Some(json!({})),
            what: WHAT,
            needs: right.permission(),
            again: Again::LookFirst,
        };
        match self.send(&call).await {
            Ok(_) | Err(Error::Invalid { .. }) => Ok(true),
            Err(Error::Forbidden { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }
}
