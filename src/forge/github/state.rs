//! Files kept under a ref, replaced by compare-and-swap on its tip.
//!
//! Each write is a commit whose only parent is the tip that was read, and the ref is moved with
//! `force: false`. A writer in between makes ours no fast-forward, which GitHub refuses (422): moved.
//! What a refusal or a lost reply means is never read from text; we look where the ref stands now.
//! Blobs, trees and commits that no ref reaches are garbage that GitHub collects.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Again, Answer, Call, Github};
use super::repository::{segments, sha};
use crate::forge::{Error, Result, State, StateError};

const READ: &str = "read the state ref";
const WRITE: &str = "write the state ref";
const NEEDS: &str = "contents: write";
/// Files of one state, and their bytes together.
const FILES_MAX: usize = 1_000;
const BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Debug, Deserialize)]
struct Object {
    sha: String,
}

#[derive(Debug, Deserialize)]
struct Reference {
    object: Object,
}

#[derive(Debug, Deserialize)]
struct Commit {
    tree: Object,
}

/// The files and folders of a commit.
#[derive(Debug, Deserialize)]
pub(super) struct Tree {
    pub(super) tree: Vec<Entry>,
    /// There are more than GitHub lists.
    #[serde(default)]
    pub(super) truncated: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) path: String,
    /// `blob` for a file.
    #[serde(rename = "type")]
    pub(super) kind: String,
    sha: String,
    #[serde(default)]
    size: usize,
}

impl Github {
    /// Where a ref stands, if it is there.
    pub(super) async fn ref_sha(&self, ref_name: &str, what: &'static str) -> Result<Option<String>> {
        let path = format!("git/ref/{}", below_refs(ref_name, what)?);
        let reference: Reference = match self.get(&path, what, "contents: read").await {
            // 409 is an empty repository.
            Err(Error::NotFound { .. } | Error::Invalid { status: 409, .. }) => return Ok(None),
            other => other?.read(what)?,
        };
        Ok(Some(sha(&reference.object.sha, what)?.to_owned()))
    }

    pub(super) async fn load(&self, ref_name: &str, own: &str) -> Result<Option<State>> {
        let Some(commit_sha) = self.ref_sha(ref_name, READ).await? else { return Ok(None) };
        let tree = self.tree_of(&commit_sha, READ).await?;
        let mut blobs: Vec<Entry> = tree.tree.into_iter().filter(|entry| entry.kind == "blob").collect();
        let bytes = blobs.iter().fold(0_usize, |sum, entry| sum.saturating_add(entry.size));
        if tree.truncated || blobs.len() > FILES_MAX || bytes > BYTES_MAX {
            // Anybody with `contents: write` can push such a ref; to stop here would stop every sync.
            tracing::warn!("{ref_name} holds more than a lock can; all but `{own}` is left out of it from now on");
            blobs.retain(|entry| entry.path == own && entry.size <= BYTES_MAX);
        }
        let mut files = BTreeMap::new();
        for entry in blobs {
            files.insert(entry.path, self.blob(&entry.sha, READ).await?);
        }
        Ok(Some(State { commit_sha, files }))
    }

    /// Everything that a commit holds.
    pub(super) async fn tree_of(&self, commit: &str, what: &'static str) -> Result<Tree> {
        let needs = "contents: read";
        let path = format!("git/commits/{}", sha(commit, what)?);
        let commit: Commit = self.get(&path, what, needs).await?.read(what)?;
        let path = format!("git/trees/{}?recursive=1", sha(&commit.tree.sha, what)?);
        self.get(&path, what, needs).await?.read(what)
    }

    pub(super) async fn store(
        &self,
        ref_name: &str,
        parent: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
    ) -> Result<String, StateError> {
        let below = below_refs(ref_name, WRITE)?;
        let parents: Vec<&str> = parent.map(|parent| sha(parent, WRITE)).transpose()?.into_iter().collect();
        let tree = self.make_tree(files).await?;
        let commit = json!({ "message": message, "tree": tree, "parents": parents });
        let commit = self.make("git/commits", commit).await?;
        let moved = match parent {
            Some(_) => {
                let body = json!({ "sha": commit, "force": false });
                self.state_call(Method::PATCH, &format!("git/refs/{below}"), body).await
            }
            None => self.state_call(Method::POST, "git/refs", json!({ "ref": ref_name, "sha": commit })).await,
        };
        let Err(error) = moved else { return Ok(commit) };
        // Refused, gone, or the reply was lost: where the ref stands now tells which.
        if !matches!(
            error,
            Error::Invalid { .. } | Error::NotFound { .. } | Error::Indeterminate { .. } | Error::Unavailable { .. }
        ) {
            return Err(error.into());
        }
        match self.ref_sha(ref_name, WRITE).await? {
            Some(now) if now == commit => Ok(commit),
            now if now.as_deref() != parent => Err(StateError::Moved),
            _ => Err(error.into()),
        }
    }

    async fn make_tree(&self, files: &BTreeMap<String, Vec<u8>>) -> Result<String> {
        let bytes: usize = files.values().map(Vec::len).sum();
        if files.is_empty() || files.len() > FILES_MAX || bytes > BYTES_MAX {
            return Err(Error::refused(WRITE, "a state holds 1 to 1,000 files, 16 MiB together"));
        }
        let mut entries = Vec::with_capacity(files.len());
        for (path, bytes) in files {
            segments(path, WRITE)?;
            let mut entry = json!({ "path": path, "mode": "100644", "type": "blob" });
            match std::str::from_utf8(bytes) {
                Ok(text) => entry["content"] = json!(text),
                Err(_) => {
                    let blob = json!({ "content": BASE64.encode(bytes), "encoding": "base64" });
                    entry["sha"] = json!(self.make("git/blobs", blob).await?);
                }
            }
            entries.push(entry);
        }
        self.make("git/trees", json!({ "tree": entries })).await
    }

    /// Makes a git object; made twice it is the same one, or garbage.
    async fn make(&self, kind: &str, body: Value) -> Result<String> {
        let object: Object = self.state_call(Method::POST, kind, body).await?.read(WRITE)?;
        Ok(sha(&object.sha, WRITE)?.to_owned())
    }

    async fn state_call(&self, method: Method, rest: &str, body: Value) -> Result<Answer> {
        let path = self.path(rest);
        let call = Call { method, path, body: Some(body), what: WRITE, needs: NEEDS, again: Again::Harmless };
        self.send(&call).await
    }
}

/// The part of a full ref's name that the API wants in its path.
fn below_refs(ref_name: &str, what: &'static str) -> Result<String> {
    let Some(below) = ref_name.strip_prefix("refs/") else {
        return Err(Error::refused(what, "a ref is named in full, from `refs/` on"));
    };
    segments(below, what)
}
