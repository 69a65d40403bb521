//! GitHub: its API for one repository, the events of its workflows, and its workflow commands.
//!
//! [`event`], [`workflow`] and [`limits`] are pure and always compiled; the client needs the feature
//! `github`. Works against github.com, GHES (`https://host/api/v3`) and data residency (`*.ghe.com`).

#[cfg(feature = "github")]
mod access;
#[cfg(feature = "github")]
mod checks;
#[cfg(feature = "github")]
mod client;
#[cfg(feature = "github")]
mod comments;
pub mod event;
#[cfg(feature = "github")]
mod identity;
#[cfg(feature = "github")]
mod issues;
pub mod limits;
#[cfg(feature = "github")]
mod probe;
#[cfg(feature = "github")]
mod repository;
#[cfg(feature = "github")]
mod state;
pub mod workflow;

#[cfg(feature = "github")]
pub use access::AppKey;
#[cfg(feature = "github")]
pub use client::{Github, World};
#[cfg(feature = "github")]
pub use probe::Right;

use data_encoding::BASE32_NOPAD;

#[cfg(feature = "github")]
use crate::forge;

/// The ref that holds the state of one environment: `refs/secretzero/v1/<base32, or default>`.
///
/// Base32 in lower case keeps any environment's name a valid ref, one to one; no name's base32 reads
/// `default`.
#[must_use]
pub fn state_ref(environment: Option<&str>) -> String {
    let name = match environment {
        Some(environment) if !environment.is_empty() => BASE32_NOPAD.encode(environment.as_bytes()).to_lowercase(),
        _ => "default".to_owned(),
    };
    format!("refs/secretzero/v1/{name}")
}

#[cfg(feature = "github")]
#[async_trait::async_trait]
impl forge::Forge for Github {
    async fn find_comment(&self, pull: u64, marker: &forge::Marker) -> forge::Result<Option<forge::Posted>> {
        self.oldest(pull, marker).await
    }

    async fn upsert_comment(&self, pull: u64, marker: &forge::Marker, body: &str) -> forge::Result<forge::Posted> {
        self.upsert(pull, marker, body).await
    }

    async fn set_check(&self, head_sha: &str, check: &forge::CheckRun) -> forge::Result<u64> {
        self.put_check(head_sha, check).await
    }

    async fn comment(&self, id: u64) -> forge::Result<Option<forge::CommentSeen>> {
        self.read_comment(id).await
    }

    async fn find_issue(&self, marker: &forge::Marker) -> forge::Result<Option<forge::Issue>> {
        self.known_issue(marker).await
    }

    async fn upsert_issue(&self, marker: &forge::Marker, title: &str, body: &str) -> forge::Result<forge::Posted> {
        self.put_issue(marker, title, body).await
    }

    async fn close_issue(&self, number: u64, comment: &str) -> forge::Result<()> {
        self.end_issue(number, comment).await
    }

    async fn parents(&self, sha: &str) -> forge::Result<Vec<String>> {
        self.read_parents(sha).await
    }

    async fn checks(&self, head_sha: &str, name: &str) -> forge::Result<Vec<forge::CheckSeen>> {
        self.list_checks(head_sha, name).await
    }

    async fn pull(&self, number: u64) -> forge::Result<forge::PullRequest> {
        self.read_pull(number).await
    }

    async fn pulls_of_commit(&self, sha: &str) -> forge::Result<Vec<forge::PullRequest>> {
        self.list_pulls_of(sha).await
    }

    async fn default_branch_tip(&self) -> forge::Result<forge::Tip> {
        self.read_tip().await
    }

    async fn compare(&self, base_sha: &str, head_sha: &str) -> forge::Result<forge::Comparison> {
        self.read_comparison(base_sha, head_sha).await
    }

    async fn file_at(&self, path: &str, reference: &str) -> forge::Result<Option<Vec<u8>>> {
        self.read_file(path, reference).await
    }

    async fn branch_tip(&self, branch: &str) -> forge::Result<Option<String>> {
        self.read_branch(branch).await
    }

    async fn paths_at(&self, sha: &str) -> forge::Result<Option<Vec<String>>> {
        self.read_paths(sha).await
    }

    async fn permission(&self, login: &str) -> forge::Result<forge::Permission> {
        self.read_permission(login).await
    }

    async fn read_state(&self, ref_name: &str, own: &str) -> forge::Result<Option<forge::State>> {
        self.load(ref_name, own).await
    }

    async fn write_state(
        &self,
        ref_name: &str,
        parent: Option<&str>,
        files: &std::collections::BTreeMap<String, Vec<u8>>,
        message: &str,
    ) -> forge::Result<String, forge::StateError> {
        self.store(ref_name, parent, files, message).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_environment_has_a_ref_of_its_own() {
        assert_eq!(state_ref(None), "refs/secretzero/v1/default");
        assert_eq!(state_ref(Some("")), "refs/secretzero/v1/default");
        assert_eq!(state_ref(Some("prod")), "refs/secretzero/v1/obzg6za");
        assert_eq!(state_ref(Some("a/../b ~^:")), "refs/secretzero/v1/mexs4lrpmiqh4xr2");
    }

    #[test]
    fn no_environment_can_be_named_onto_the_default_ref() {
        // `default` is no base32 of anything: its last character has bits that would not be zero.
        assert!(BASE32_NOPAD.decode(b"DEFAULT").is_err());
    }
}
