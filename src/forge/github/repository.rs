//! What the repository says about itself: pull requests, the default branch, files, who may do what.

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::Value;

use super::client::Github;
use super::identity::Account;
use crate::forge::{Comparison, Error, Permission, PullRequest, Relation, Result, Tip};

/// Pages of 100 pull requests of one commit.
const PAGES_MAX: u32 = 5;
/// Pages of 100 commits of one comparison.
const COMMIT_PAGES_MAX: u32 = 10;
const CONTENTS: &str = "contents: read";

#[derive(Debug, Deserialize)]
struct Pull {
    number: u64,
    state: String,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    merged: Option<bool>,
    #[serde(default)]
    merged_at: Option<String>,
    head: Side,
    base: Side,
    #[serde(default)]
    merge_commit_sha: Option<String>,
    #[serde(default)]
    mergeable: Option<bool>,
    #[serde(default)]
    user: Option<Account>,
}

#[derive(Debug, Deserialize)]
struct Side {
    sha: String,
    #[serde(rename = "ref", default)]
    branch: String,
    #[serde(default)]
    repo: Option<Numbered>,
}

#[derive(Debug, Deserialize)]
struct Numbered {
    id: u64,
}

impl Pull {
    fn told(self, what: &'static str) -> Result<PullRequest> {
        let base = self.base.repo.ok_or_else(|| Error::unreadable(what, "a pull request without a base repository"))?;
        Ok(PullRequest {
            number: self.number,
            open: self.state == "open",
            merged: self.merged.unwrap_or(self.merged_at.is_some()),
            draft: self.draft,
            head_sha: sha(&self.head.sha, what)?.to_owned(),
            head_repository_id: self.head.repo.map(|repository| repository.id),
            base_ref: self.base.branch,
            base_sha: sha(&self.base.sha, what)?.to_owned(),
            base_repository_id: base.id,
            merge_commit_sha: self.merge_commit_sha.filter(|text| sha(text, what).is_ok()),
            mergeable: self.mergeable,
            author: self.user.map(|user| user.login).unwrap_or_default(),
        })
    }
}

impl Github {
    pub(super) async fn read_pull(&self, number: u64) -> Result<PullRequest> {
        const WHAT: &str = "read the pull request";
        let pull: Pull = self.get(&format!("pulls/{number}"), WHAT, "pull-requests: read").await?.read(WHAT)?;
        pull.told(WHAT)
    }

    pub(super) async fn list_pulls_of(&self, commit: &str) -> Result<Vec<PullRequest>> {
        const WHAT: &str = "list the pull requests of the commit";
        let path = format!("commits/{}/pulls", sha(commit, WHAT)?);
        let pulls: Vec<Pull> = self.list(&path, PAGES_MAX, WHAT, "pull-requests: read").await?;
        pulls.into_iter().map(|pull| pull.told(WHAT)).collect()
    }

    pub(super) async fn read_tip(&self) -> Result<Tip> {
        #[derive(Deserialize)]
        struct Repository {
            id: u64,
            default_branch: String,
        }
        const WHAT: &str = "read the tip of the default branch";
        let repository: Repository = self.get("", WHAT, CONTENTS).await?.read(WHAT)?;
        let branch = repository.default_branch;
        let sha = self.ref_sha(&format!("refs/heads/{branch}"), WHAT).await?;
        let sha = sha.ok_or(Error::NotFound { what: WHAT, needs: CONTENTS })?;
        Ok(Tip { branch, sha, repository_id: repository.id })
    }

    pub(super) async fn read_parents(&self, commit: &str) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Commit {
            #[serde(default)]
            parents: Vec<Parent>,
        }
        #[derive(Deserialize)]
        struct Parent {
            sha: String,
        }
        const WHAT: &str = "read the parents of a commit";
        let path = format!("git/commits/{}", sha(commit, WHAT)?);
        let commit: Commit = self.get(&path, WHAT, CONTENTS).await?.read(WHAT)?;
        Ok(commit.parents.into_iter().map(|parent| parent.sha).collect())
    }

    pub(super) async fn read_comparison(&self, base: &str, head: &str) -> Result<Comparison> {
        #[derive(Deserialize)]
        struct Reply {
            status: String,
            #[serde(default)]
            total_commits: usize,
            #[serde(default)]
            commits: Vec<Commit>,
        }
        #[derive(Deserialize)]
        struct Commit {
            sha: String,
        }
        const WHAT: &str = "compare two commits";
        let path = format!("compare/{}...{}", sha(base, WHAT)?, sha(head, WHAT)?);
        let mut commits = Vec::new();
        for page in 1.. {
            let path = format!("{path}?per_page=100&page={page}");
            let reply: Reply = self.get(&path, WHAT, CONTENTS).await?.read(WHAT)?;
            let last = reply.commits.is_empty();
            commits.extend(reply.commits.into_iter().map(|commit| commit.sha));
            let complete = commits.len() >= reply.total_commits;
            if complete || last || page == COMMIT_PAGES_MAX {
                let relation = match reply.status.as_str() {
                    "identical" => Relation::Identical,
                    "ahead" => Relation::Ahead,
                    "behind" => Relation::Behind,
                    "diverged" => Relation::Diverged,
                    _ => break,
                };
                return Ok(Comparison { relation, commits, complete });
            }
        }
        Err(Error::unreadable(WHAT, "a comparison of a kind that GitHub does not document"))
    }

    pub(super) async fn read_file(&self, path: &str, reference: &str) -> Result<Option<Vec<u8>>> {
        const WHAT: &str = "read a file of the repository";
        let below = segments(path, WHAT)?;
        let answer = self.get(&format!("contents/{below}?ref={}", segment(reference)), WHAT, CONTENTS).await;
        let value: Value = match answer {
            Err(Error::NotFound { .. }) => return Ok(None),
            other => other?.read(WHAT)?,
        };
        let member = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        if member("type") != "file" {
            return Err(Error::refused(WHAT, format!("`{path}` is no plain file")));
        }
        // Above 1 MB the contents API leaves the content out and names the blob.
        match member("encoding") {
            "base64" => Ok(Some(base64(member("content"), WHAT)?)),
            _ => Ok(Some(self.blob(member("sha"), WHAT).await?)),
        }
    }

    pub(super) async fn read_branch(&self, branch: &str) -> Result<Option<String>> {
        self.ref_sha(&format!("refs/heads/{branch}"), "read a branch").await
    }

    pub(super) async fn read_paths(&self, commit: &str) -> Result<Option<Vec<String>>> {
        let tree = self.tree_of(commit, "read the files of a commit").await?;
        let files = tree.tree.into_iter().filter(|entry| entry.kind == "blob").map(|entry| entry.path);
        Ok((!tree.truncated).then(|| files.collect()))
    }

    /// The bytes of a blob.
    pub(super) async fn blob(&self, id: &str, what: &'static str) -> Result<Vec<u8>> {
        #[derive(Deserialize)]
        struct Blob {
            content: String,
            #[serde(default)]
            encoding: String,
        }
        let blob: Blob = self.get(&format!("git/blobs/{}", sha(id, what)?), what, CONTENTS).await?.read(what)?;
        if blob.encoding == "utf-8" { Ok(blob.content.into_bytes()) } else { base64(&blob.content, what) }
    }

    pub(super) async fn read_permission(&self, login: &str) -> Result<Permission> {
        #[derive(Deserialize)]
        struct Reply {
            #[serde(default)]
            permission: String,
            #[serde(default)]
            role_name: String,
        }
        const WHAT: &str = "ask what a user may do here";
        let path = format!("collaborators/{}/permission", segment(login));
        let reply: Reply = match self.get(&path, WHAT, "metadata: read").await {
            Err(Error::NotFound { .. }) => return Ok(Permission::None),
            other => other?.read(WHAT)?,
        };
        // `permission` knows four words; `role_name` has maintain and triage too, but may be a
        // custom role, of which `permission` then names the base.
        Ok(named(&reply.role_name).or_else(|| named(&reply.permission)).unwrap_or(Permission::None))
    }
}

fn named(word: &str) -> Option<Permission> {
    Some(match word {
        "admin" => Permission::Admin,
        "maintain" => Permission::Maintain,
        "write" => Permission::Write,
        "triage" => Permission::Triage,
        "read" => Permission::Read,
        "none" => Permission::None,
        _ => return None,
    })
}

/// A full commit, tree or blob id, so that nothing else gets into a path.
pub(super) fn sha<'a>(text: &'a str, what: &'static str) -> Result<&'a str> {
    if matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text)
    } else {
        Err(Error::refused(what, "a commit is named by its full hexadecimal id"))
    }
}

/// A plain relative path, percent-encoded segment by segment.
pub(super) fn segments(path: &str, what: &'static str) -> Result<String> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.chars().any(char::is_control);
    if !path.split('/').all(plain) {
        return Err(Error::refused(what, "the path must be relative, without empty parts, `.` or `..`"));
    }
    Ok(path.split('/').map(segment).collect::<Vec<_>>().join("/"))
}

/// One segment of a path, or one value of a query, percent-encoded.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Base64 as GitHub sends it, in lines.
fn base64(text: &str, what: &'static str) -> Result<Vec<u8>> {
    let joined: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(&joined).map_err(|_| Error::unreadable(what, "the content is no base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_its_place() {
        assert_eq!(segments("infra/Secret file.yml", "x"), Ok("infra/Secret%20file.yml".to_owned()));
        assert_eq!(segments("a?ref=b#c%2e", "x"), Ok("a%3Fref%3Db%23c%252e".to_owned()));
        for path in ["", "/etc", "a//b", "../a", "a/./b", "a\n"] {
            assert!(segments(path, "x").is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_commit_is_a_full_id() {
        assert!(sha(&"a".repeat(40), "x").is_ok());
        for text in ["main", "abc", "", &"g".repeat(40), "../../../user"] {
            assert!(sha(text, "x").is_err(), "{text}");
        }
    }

    #[test]
    fn roles_are_ordered_and_unknown_ones_are_none_here() {
        assert!(Permission::Maintain > Permission::Write && Permission::Write > Permission::Read);
        assert_eq!(named("release-manager"), None);
    }
}
