//! Whether the forge says of a pull request what its event said: a payload is a hint, never authority.

use super::Job;
use crate::forge::github::event::PullRequestEvent;
use crate::forge::{Error, PullRequest};

impl Job<'_> {
    /// Why the event is not believed, so that no store may be asked. A token that may not read pull
    /// requests leaves the word of the runner, which wrote the payload.
    pub(super) async fn disbelieved(&self, event: &PullRequestEvent) -> Option<String> {
        match self.forge.as_ref()?.pull(event.number).await {
            Ok(pull) => contradiction(event, &pull),
            Err(Error::Forbidden { .. }) => None,
            Err(error) => Some(format!("The pull request could not be read again: {error}.")),
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
