//! What is said on a pull request, and what the forge says about it: comments, checks, commits, state.
//!
//! A forge knows no secrets, plans or Secretfiles: it receives rendered text and opaque files, and it
//! hands back facts (who may steer, which commit is the tip). Every operation here is small, bounded,
//! and safe to call again after a lost reply. [`github`] speaks to GitHub; its event and workflow
//! parts need no network client and are always compiled.

mod error;
pub mod github;
mod marker;
mod text;

use std::collections::BTreeMap;

use async_trait::async_trait;

pub use error::{Error, Result, StateError};
pub use marker::Marker;
pub use text::{COMMENT_UNITS_MAX, cut, cut_bytes, utf16_units, visible};

/// One code forge, for one repository and one identity.
///
/// Writes are serial: an implementation never has two of them in flight.
#[async_trait]
pub trait Forge: Send + Sync {
    /// Our comment with this marker, if there is one.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the token may not read comments.
    async fn find_comment(&self, pull: u64, marker: &Marker) -> Result<Option<Posted>>;

    /// Makes our comment with this marker read `body`: edits the one there, else creates it.
    ///
    /// Only a comment that starts with the marker **and** was written by our own identity counts as
    /// ours. Of duplicates (two racing writers) the oldest stays and the rest is deleted. A body
    /// that stands there already costs no write; one above [`COMMENT_UNITS_MAX`] is cut, visibly.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the token may not comment: fall back to the summary and a notice.
    async fn upsert_comment(&self, pull: u64, marker: &Marker, body: &str) -> Result<Posted>;

    /// A comment on an issue or pull request as it reads now; `None` if it is gone.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the token may not read comments.
    async fn comment(&self, id: u64) -> Result<Option<CommentSeen>>;

    /// Our issue with this marker: an open one, else the one that was closed last.
    ///
    /// Only an issue that starts with the marker **and** was opened by our own identity is ours.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the token may not read issues, [`Error::NotFound`] if there are none here.
    async fn find_issue(&self, marker: &Marker) -> Result<Option<Issue>>;

    /// Makes our open issue with this marker read so: edits the one there, else opens it.
    ///
    /// Of duplicates (two racing writers) the oldest stays open. What stands there already costs no
    /// write; a body above [`COMMENT_UNITS_MAX`] is cut, visibly.
    ///
    /// # Errors
    /// As [`Forge::find_issue`], for writing.
    async fn upsert_issue(&self, marker: &Marker, title: &str, body: &str) -> Result<Posted>;

    /// Closes an issue as completed, with a last comment; closing it again does no harm.
    ///
    /// # Errors
    /// As [`Forge::find_issue`], for writing.
    async fn close_issue(&self, number: u64, comment: &str) -> Result<()>;

    /// Sets a check on a commit and returns its id.
    ///
    /// An unfinished check of ours with the same name and external id is updated, else a new one is
    /// made; the newest of a name is the one that counts. Annotations go out in batches.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the token may not write checks: fall back to workflow annotations.
    async fn set_check(&self, head_sha: &str, check: &CheckRun) -> Result<u64>;

    /// The latest checks of this name on a commit, whoever made them.
    ///
    /// # Errors
    /// The forge's; never for a commit without checks.
    async fn checks(&self, head_sha: &str, name: &str) -> Result<Vec<CheckSeen>>;

    /// A pull request as it stands now.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none of this number, or the token may not see it.
    async fn pull(&self, number: u64) -> Result<PullRequest>;

    /// The pull requests that a commit belongs to, merged ones included.
    ///
    /// # Errors
    /// The forge's; never for a commit without pull requests.
    async fn pulls_of_commit(&self, sha: &str) -> Result<Vec<PullRequest>>;

    /// The default branch and its newest commit, as the API tells it now.
    ///
    /// # Errors
    /// The forge's.
    async fn default_branch_tip(&self) -> Result<Tip>;

    /// The commits that a commit was made on, in its own order.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such commit.
    async fn parents(&self, sha: &str) -> Result<Vec<String>>;

    /// How one commit stands to another, and what came in between.
    ///
    /// # Errors
    /// [`Error::NotFound`] if either commit is unknown or they have no common history.
    async fn compare(&self, base_sha: &str, head_sha: &str) -> Result<Comparison>;

    /// The bytes of a file at a commit, branch or tag; `None` if it is not there.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the path is a folder or no plain relative path.
    async fn file_at(&self, path: &str, reference: &str) -> Result<Option<Vec<u8>>>;

    /// The newest commit of a branch; `None` if there is no such branch.
    ///
    /// # Errors
    /// The forge's.
    async fn branch_tip(&self, branch: &str) -> Result<Option<String>>;

    /// The paths of all files at a commit; `None` if they are more than the forge tells.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the commit is unknown.
    async fn paths_at(&self, sha: &str) -> Result<Option<Vec<String>>>;

    /// What a user may do in this repository.
    ///
    /// # Errors
    /// The forge's; an unknown user has [`Permission::None`].
    async fn permission(&self, login: &str) -> Result<Permission>;

    /// The files kept under a ref, with the commit that holds them; `None` if the ref is not there.
    ///
    /// Of a state above the bounds, which no writer of ours made, only the file `own` is read, if it is
    /// there and within them itself; the next write leaves the rest out.
    ///
    /// # Errors
    /// The forge's.
    async fn read_state(&self, ref_name: &str, own: &str) -> Result<Option<State>>;

    /// Replaces the files under a ref, if the ref still stands where `parent` says (`None`: nowhere).
    ///
    /// Returns the new commit. A reply that was lost is looked after, so that our own write is never
    /// taken for somebody else's.
    ///
    /// # Errors
    /// [`StateError::Moved`] if another writer was first: read again, decide again.
    async fn write_state(
        &self,
        ref_name: &str,
        parent: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
    ) -> Result<String, StateError>;
}

/// A comment that now reads as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The forge's id.
    pub id: u64,
    /// Where a person reads it.
    pub url: String,
    /// Whether it is new.
    pub created: bool,
}

/// A comment as the forge tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommentSeen {
    /// The issue or pull request it stands on.
    pub issue: u64,
    /// The text, untrusted.
    pub body: String,
    /// Who wrote it.
    pub author: String,
    /// Whether a program wrote it, under its own name or a person's.
    pub automated: bool,
    /// Whether it was changed after it was written, or that is not known: its author is then not
    /// certainly who wrote what it says.
    pub edited: bool,
    /// Where a person reads it.
    pub url: String,
}

/// An issue of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Its number.
    pub number: u64,
    /// Where a person reads it.
    pub url: String,
    /// Whether it is open.
    pub open: bool,
    /// Whether someone closed it as not planned.
    pub dismissed: bool,
    /// Its text.
    pub body: String,
}

/// A check as we want it to stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRun {
    /// What a branch rule may require.
    pub name: String,
    /// Where the work stands.
    pub status: CheckStatus,
    /// One line.
    pub title: String,
    /// Markdown, cut at 65,535 bytes.
    pub summary: String,
    /// More Markdown, cut at 65,535 bytes.
    pub text: Option<String>,
    /// Findings at lines; at most [`ANNOTATIONS_MAX`] are sent.
    pub annotations: Vec<Annotation>,
    /// Our own key, such as a plan digest; at most 20 KB.
    pub external_id: String,
    /// Where the full report is.
    pub details_url: Option<String>,
}

/// Findings that one check may carry; further ones are left to the summary.
pub const ANNOTATIONS_MAX: usize = 1_000;

/// Where a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStatus {
    /// Not begun.
    Queued,
    /// At work.
    InProgress,
    /// Done, with this result.
    Completed(Conclusion),
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// All is well.
    Success,
    /// Must be mended.
    Failure,
    /// Neither good nor bad.
    Neutral,
    /// Someone has to act.
    ActionRequired,
    /// Stopped by a person.
    Cancelled,
    /// Not relevant.
    Skipped,
}

impl Conclusion {
    /// The word of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Neutral => "neutral",
            Self::ActionRequired => "action_required",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

/// A finding at lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Path from the root of the repository.
    pub path: String,
    /// First line, one-based.
    pub line: u32,
    /// Last line; the same as `line` for most.
    pub line_end: u32,
    /// One-based column; shown only where both lines are one.
    pub column: Option<u32>,
    /// How much it weighs.
    pub level: Level,
    /// One line, at most 255 characters.
    pub title: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// How much an annotation weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing.
    Notice,
    /// Probably a mistake.
    Warning,
    /// Must be mended.
    Failure,
}

/// A check as it stands on the forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckSeen {
    /// The forge's id.
    pub id: u64,
    /// Our own key.
    pub external_id: String,
    /// Whether it has ended.
    pub completed: bool,
    /// The word of the API, once ended.
    pub conclusion: Option<String>,
    /// The program that made it, such as `github-actions`.
    pub app: Option<String>,
    /// Whether that program is we: anybody may set a check of any name.
    pub ours: bool,
    /// Markdown.
    pub summary: String,
    /// More Markdown.
    pub text: String,
    /// How many annotations it holds.
    pub annotations: u64,
}

/// A pull request as the forge tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Whether it is open.
    pub open: bool,
    /// Whether it was merged.
    pub merged: bool,
    /// Whether it is a draft.
    pub draft: bool,
    /// The newest commit of the branch to be merged.
    pub head_sha: String,
    /// The repository of that branch; `None` if it was deleted: treat it as a fork.
    pub head_repository_id: Option<u64>,
    /// The branch merged into, without `refs/heads/`.
    pub base_ref: String,
    /// That branch's commit when the pull request was last moved.
    pub base_sha: String,
    /// The repository merged into.
    pub base_repository_id: u64,
    /// The test merge while open (may be out of date), the merge itself afterwards.
    pub merge_commit_sha: Option<String>,
    /// Whether it merges without conflict, if that is known already.
    pub mergeable: Option<bool>,
    /// Who opened it.
    pub author: String,
}

impl PullRequest {
    /// Whether the branch comes from elsewhere; one without a known repository does.
    #[must_use]
    pub fn from_fork(&self) -> bool {
        self.head_repository_id != Some(self.base_repository_id)
    }
}

/// A branch and its newest commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// Its newest commit.
    pub sha: String,
    /// The forge's number for the repository, which survives a rename.
    pub repository_id: u64,
}

/// How a head stands to a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Which is ahead.
    pub relation: Relation,
    /// The commits of the head that the base does not have, oldest first.
    pub commits: Vec<String>,
    /// Whether `commits` holds all of them; the forge lists a bounded number.
    pub complete: bool,
}

/// Which of two commits is ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They are one.
    Identical,
    /// The base is an ancestor of the head.
    Ahead,
    /// The head is an ancestor of the base: going there would be going backwards.
    Behind,
    /// Neither is an ancestor of the other.
    Diverged,
}

/// What a user may do in a repository, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Nothing.
    None,
    /// Read.
    Read,
    /// Triage: label and close.
    Triage,
    /// Push.
    Write,
    /// Manage, without the dangerous settings.
    Maintain,
    /// Everything.
    Admin,
}

/// The files kept under a ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The commit that holds them; the `parent` of the next write.
    pub commit_sha: String,
    /// Path to bytes.
    pub files: BTreeMap<String, Vec<u8>>,
}
