//! A forge with one repository and one pull request, in memory; what the demo shows is what it holds.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::forge::{
    CheckRun, CheckSeen, CommentSeen, Comparison, Forge, Issue, Marker, Permission, Posted, PullRequest, Relation,
    Result, State, StateError, Tip,
};

/// The number of the only pull request.
pub(super) const PULL: u64 = 1;

/// The repository.
pub(super) struct DemoForge {
    state: Mutex<Repository>,
}

struct Repository {
    tip: String,
    /// The newest commit of the pull request.
    head: String,
    secretfile: String,
    merged: bool,
    comment: Option<String>,
    kept: Option<State>,
    writes: u64,
}

impl DemoForge {
    /// A repository whose default branch has this Secretfile.
    pub(super) fn new(secretfile: &str) -> Self {
        let state = Repository {
            tip: String::new(),
            head: String::new(),
            secretfile: secretfile.to_owned(),
            merged: false,
            comment: None,
            kept: None,
            writes: 0,
        };
        Self { state: Mutex::new(state) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Repository) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Moves the branch of the pull request.
    pub(super) fn propose(&self, sha: &str) {
        self.with(|repository| sha.clone_into(&mut repository.head));
    }

    /// Moves the default branch.
    pub(super) fn merge(&self, sha: &str, secretfile: &str) {
        self.with(|repository| {
            // The first push comes before there is any pull request.
            repository.merged = !repository.tip.is_empty();
            sha.clone_into(&mut repository.tip);
            secretfile.clone_into(&mut repository.secretfile);
        });
    }

    /// The default branch's newest commit.
    pub(super) fn tip(&self) -> String {
        self.with(|repository| repository.tip.clone())
    }

    /// The comment as it reads now.
    pub(super) fn comment(&self) -> String {
        self.with(|repository| repository.comment.clone().unwrap_or_default())
    }
}

#[async_trait]
impl Forge for DemoForge {
    async fn find_comment(&self, pull: u64, _: &Marker) -> Result<Option<Posted>> {
        let known = self.with(|repository| repository.comment.is_some());
        Ok(known.then(|| Posted { id: pull, url: String::new(), created: false }))
    }

    async fn upsert_comment(&self, pull: u64, marker: &Marker, body: &str) -> Result<Posted> {
        let created = self.with(|repository| repository.comment.replace(marker.head(body)).is_none());
        Ok(Posted { id: pull, url: String::new(), created })
    }

    async fn comment(&self, _: u64) -> Result<Option<CommentSeen>> {
        Ok(None)
    }

    async fn find_issue(&self, _: &Marker) -> Result<Option<Issue>> {
        Ok(None)
    }

    async fn upsert_issue(&self, _: &Marker, _: &str, _: &str) -> Result<Posted> {
        Ok(Posted { id: 2, url: String::new(), created: true })
    }

    async fn close_issue(&self, _: u64, _: &str) -> Result<()> {
        Ok(())
    }

    async fn parents(&self, _: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn set_check(&self, _: &str, _: &CheckRun) -> Result<u64> {
        Ok(1)
    }

    async fn checks(&self, _: &str, _: &str) -> Result<Vec<CheckSeen>> {
        Ok(Vec::new())
    }

    async fn pull(&self, number: u64) -> Result<PullRequest> {
        Ok(self.with(|repository| PullRequest {
            number,
            open: !repository.merged,
            merged: repository.merged,
            draft: false,
            head_sha: repository.head.clone(),
            head_repository_id: Some(1),
            base_ref: "main".into(),
            base_sha: repository.tip.clone(),
            base_repository_id: 1,
            merge_commit_sha: Some(repository.tip.clone()),
            mergeable: Some(true),
            author: "you".into(),
        }))
    }

    async fn pulls_of_commit(&self, _: &str) -> Result<Vec<PullRequest>> {
        Ok(vec![self.pull(PULL).await?])
    }

    async fn default_branch_tip(&self) -> Result<Tip> {
        Ok(Tip { branch: "main".into(), sha: self.tip(), repository_id: 1 })
    }

    async fn compare(&self, base_sha: &str, head_sha: &str) -> Result<Comparison> {
        let relation = if base_sha == head_sha { Relation::Identical } else { Relation::Ahead };
        Ok(Comparison { relation, commits: Vec::new(), complete: true })
    }

    async fn file_at(&self, _: &str, _: &str) -> Result<Option<Vec<u8>>> {
        Ok(Some(self.with(|repository| repository.secretfile.clone().into_bytes())))
    }

    async fn branch_tip(&self, _: &str) -> Result<Option<String>> {
        Ok(Some(self.tip()))
    }

    async fn paths_at(&self, _: &str) -> Result<Option<Vec<String>>> {
        Ok(Some(vec!["Secretfile.yml".into()]))
    }

    async fn permission(&self, _: &str) -> Result<Permission> {
        Ok(Permission::Admin)
    }

    async fn read_state(&self, _: &str, _: &str) -> Result<Option<State>> {
        Ok(self.with(|repository| repository.kept.clone()))
    }

    async fn write_state(
        &self,
        _: &str,
        parent: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        _: &str,
    ) -> Result<String, StateError> {
        self.with(|repository| {
            if repository.kept.as_ref().map(|kept| kept.commit_sha.as_str()) != parent {
                return Err(StateError::Moved);
            }
            repository.writes += 1;
            let commit_sha = repository.writes.to_string();
            repository.kept = Some(State { commit_sha: commit_sha.clone(), files: files.clone() });
            Ok(commit_sha)
        })
    }
}
