//! Whether the forge says of a pull request what its event said: a payload is a hint, never authority.

use super::Job;
use crate::forge::github::event::PullRequestEvent;
use crate::forge::{Error, PullRequest};

/// What the forge says of it now.
pub(super) enum Seen {
    /// The same as its event.
    Open,
    /// It was merged or closed: a plan made now would pass for what was reviewed before.
    Closed,
    /// Why the event is not believed, so that no store may be asked.
    Otherwise(String),
}

impl Job<'_> {
    /// Asks the forge. A token that may not read pull requests leaves the word of the runner, which
    /// wrote the payload; so does a job without one, which asks no store.
    pub(super) async fn seen_again(&self, event: &PullRequestEvent) -> Seen {
        let Some(forge) = &self.forge else { return Seen::Open };
        match forge.pull(event.number).await {
            Ok(pull) if !pull.open => Seen::Closed,
            Ok(pull) => contradiction(event, &pull).map_or(Seen::Open, Seen::Otherwise),
            Err(Error::Forbidden { .. }) => Seen::Open,
            Err(error) => Seen::Otherwise(format!("The pull request could not be read again: {error}.")),
        }
    }
}

/// In what the event and the forge differ.
fn contradiction(event: &PullRequestEvent, pull: &PullRequest) -> Option<String> {
    if pull.head_repository_id != Some(pull.base_repository_id) {
        return Some("This pull request comes from a fork, which gets no credentials.".into());
    }
    if pull.base_ref != event.base_ref {
        return Some(format!("This pull request is merged into `{}`, not where its event says.", pull.base_ref));
    }
    if pull.head_sha != event.head_sha {
        return Some("This pull request has another head than its event says; the job of that one plans it.".into());
    }
    None
}
