//! What the workflow asks for: the action's inputs and the runner's own variables.

use std::path::PathBuf;

use crate::environment::Environment;
use crate::hosts::is_entry;
use crate::secret::SecretValue;

/// The action's inputs, read and checked.
#[derive(Clone)]
pub struct Inputs {
    /// What to do.
    pub command: Command,
    /// Paths of Secretfiles, relative to the workspace.
    pub files: Vec<String>,
    /// Name of the environment; empty without one.
    pub environment: String,
    /// What fails the job.
    pub fail_on: FailOn,
    /// When to comment.
    pub comment: When,
    /// Name of the check run.
    pub check_name: String,
    /// Token for the forge.
    pub github_token: Option<SecretValue>,
    /// Where the lock is kept.
    pub lockfile_store: LockfileStore,
    /// A ref for the lock instead of the usual one.
    pub lock_ref: Option<String>,
    /// Whether files of the runner are targets as well.
    pub local_files: bool,
    /// Take over foreign objects, keeping their value.
    pub adopt: bool,
    /// Most rotations in one unattended run.
    pub max_rotations: usize,
    /// Whether a pull request may ask the stores.
    pub plan_mode: PlanMode,
    /// Whether a sync does what no reviewed plan had shown.
    pub require_plan: RequirePlan,
    /// Branches beside the default one whose Secretfile counts as base for pull requests into them.
    pub base_branches: Vec<String>,
    /// Variables of the runner that a pull request may read.
    pub allow_env: Vec<String>,
    /// Hosts that a credential may be sent to beside its cloud's own.
    pub allowed_hosts: Vec<String>,
    /// Whether calls to stores are paced.
    pub paced: bool,
    /// How often one call to a store is tried.
    pub retry_max_attempts: u32,
    /// Whether the wait between two tries grows.
    pub backoff_grows: bool,
    /// Exit 2 when changes are pending.
    pub detailed_exitcode: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the input")]
pub enum Command {
    Auto,
    Plan,
    Sync,
    Rotate,
    Drift,
    Doctor,
}

/// What fails the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the input")]
pub enum FailOn {
    Error,
    Warning,
    Drift,
    None,
}

/// When to comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the input")]
pub enum When {
    Auto,
    Always,
    Never,
}

/// Where the lock is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of the input")]
pub enum LockfileStore {
    Ref,
    None,
}

/// Whether a pull request may ask the stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanMode {
    /// Only with credentials that are the plan's own.
    Auto,
    /// The workflow says that this job's credentials are the plan's own.
    Online,
    /// Never.
    Offline,
}

/// Whether a sync does what no reviewed plan had shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequirePlan {
    /// It does, and names it.
    Warn,
    /// It holds it.
    True,
}

/// An input with a word that it does not know.
#[derive(Debug, thiserror::Error)]
#[error("input `{name}` is `{value}`; it takes {known}")]
pub struct UnknownInput {
    name: &'static str,
    value: String,
    known: String,
}

fn one_of<T: Copy>(environment: &Environment, name: &'static str, known: &[(&str, T)]) -> Result<T, UnknownInput> {
    let words = || known.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let Some((_, first)) = known.first() else {
        return Err(UnknownInput { name, value: String::new(), known: words() });
    };
    let Some(value) = environment.input(name) else { return Ok(*first) };
    let found = known.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| UnknownInput { name, value: value.to_owned(), known: words() })
}

fn list(environment: &Environment, name: &str) -> Vec<String> {
    items(environment.input(name).unwrap_or_default())
}

fn items(text: &str) -> Vec<String> {
    text.split(['\n', ',']).map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Variables of the runner that a pull request may use: an input of the action, elsewhere a variable.
pub(in crate::cli) fn allow_env(environment: &Environment) -> Vec<String> {
    let text = environment.input("allow_env").or_else(|| environment.filled("SECRETZERO_ALLOW_ENV"));
    items(text.unwrap_or_default())
}

/// What `command` takes, here and as an input of a dispatch.
const COMMANDS: &[(&str, Command)] = &[
    ("auto", Command::Auto),
    ("plan", Command::Plan),
    ("sync", Command::Sync),
    ("rotate", Command::Rotate),
    ("drift", Command::Drift),
    ("doctor", Command::Doctor),
];

impl Command {
    /// A command by its word.
    ///
    /// # Errors
    /// [`UnknownInput`], naming what there is.
    pub fn named(word: &str) -> Result<Self, UnknownInput> {
        let known = || COMMANDS.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let found = COMMANDS.iter().find(|(known, _)| *known == word).map(|(_, command)| *command);
        found.ok_or_else(|| UnknownInput { name: "command", value: word.to_owned(), known: known() })
    }
}

/// The entries of `allowed_hosts`, each of which must be one.
fn hosts(entries: Vec<String>) -> Result<Vec<String>, UnknownInput> {
    match entries.iter().find(|entry| !is_entry(entry)) {
        None => Ok(entries),
        Some(entry) => {
            let known =
                "hosts, one a line, such as `vault.example.com` or `proxy.example.com:8443`, without `https://`";
            Err(UnknownInput { name: "allowed_hosts", value: entry.clone(), known: known.to_owned() })
        }
    }
}

const SWITCH: &[(&str, bool)] = &[("false", false), ("true", true)];

impl Inputs {
    /// Reads `INPUT_*`.
    ///
    /// # Errors
    /// [`UnknownInput`], naming what the input takes.
    pub fn read(environment: &Environment) -> Result<Self, UnknownInput> {
        let number = |name: &'static str, default: usize| match environment.input(name) {
            None => Ok(default),
            Some(text) => {
                text.parse().map_err(|_| UnknownInput { name, value: text.to_owned(), known: "a whole number".into() })
            }
        };
        let mut files = list(environment, "files");
        if files.is_empty() {
            files.push("Secretfile.yml".into());
        }
        let token = environment.input("github_token").or_else(|| environment.filled("GITHUB_TOKEN"));
        Ok(Self {
            command: one_of(environment, "command", COMMANDS)?,
            files,
            environment: environment.input("environment").unwrap_or_default().to_owned(),
            fail_on: one_of(
                environment,
                "fail_on",
                &[
                    ("error", FailOn::Error),
                    ("warning", FailOn::Warning),
                    ("drift", FailOn::Drift),
                    ("none", FailOn::None),
                ],
            )?,
            comment: one_of(
                environment,
                "comment",
                &[("auto", When::Auto), ("always", When::Always), ("never", When::Never)],
            )?,
            check_name: environment.input("check_name").unwrap_or("SecretZero").to_owned(),
            github_token: token.map(SecretValue::from),
            lockfile_store: one_of(
                environment,
                "lockfile_store",
                &[("ref", LockfileStore::Ref), ("none", LockfileStore::None)],
            )?,
            lock_ref: environment.input("lock_ref").map(str::to_owned),
            local_files: one_of(environment, "local_files", SWITCH)?,
            adopt: one_of(environment, "adopt", SWITCH)?,
            max_rotations: number("max_rotations", 5)?,
            plan_mode: one_of(
                environment,
                "plan_mode",
                &[("auto", PlanMode::Auto), ("online", PlanMode::Online), ("offline", PlanMode::Offline)],
            )?,
            require_plan: one_of(
                environment,
                "require_plan",
                &[("warn", RequirePlan::Warn), ("true", RequirePlan::True)],
            )?,
            base_branches: list(environment, "base_branches"),
            allow_env: allow_env(environment),
            allowed_hosts: hosts(list(environment, "allowed_hosts"))?,
            paced: one_of(environment, "rate_limit", &[("auto", true), ("off", false)])?,
            retry_max_attempts: u32::try_from(number("retry_max_attempts", 5)?).unwrap_or(100).clamp(1, 100),
            backoff_grows: one_of(environment, "retry_backoff", &[("exponential", true), ("constant", false)])?,
            detailed_exitcode: one_of(environment, "detailed_exitcode", SWITCH)?,
        })
    }
}

/// What the runner tells of itself.
pub struct Runner {
    /// `owner/name`.
    pub repository: String,
    /// Numeric id of the repository.
    pub repository_id: String,
    /// Base of the API.
    pub api_url: String,
    /// Base of the web pages.
    pub server_url: String,
    /// Name of the event.
    pub event_name: String,
    /// The event's payload.
    pub event_path: Option<PathBuf>,
    /// The commit that was checked out.
    pub sha: String,
    /// The ref that was checked out.
    pub git_ref: String,
    /// Where the repository stands.
    pub workspace: PathBuf,
    /// This run's page.
    pub run_url: String,
    /// This run and attempt, unique in the repository.
    pub run_id: String,
    /// The runner's own temporary folder.
    pub temporary: Option<PathBuf>,
}

impl Runner {
    /// Reads `GITHUB_*` and `RUNNER_*`.
    #[must_use]
    pub fn read(environment: &Environment) -> Self {
        let text = |name: &str, default: &str| environment.filled(name).unwrap_or(default).to_owned();
        let server_url = text("GITHUB_SERVER_URL", "https://github.com");
        let repository = text("GITHUB_REPOSITORY", "");
        let run = text("GITHUB_RUN_ID", "");
        let run_url =
            if run.is_empty() { String::new() } else { format!("{server_url}/{repository}/actions/runs/{run}") };
        Self {
            repository_id: text("GITHUB_REPOSITORY_ID", ""),
            api_url: text("GITHUB_API_URL", "https://api.github.com"),
            event_name: text("GITHUB_EVENT_NAME", ""),
            event_path: environment.filled("GITHUB_EVENT_PATH").map(PathBuf::from),
            sha: text("GITHUB_SHA", ""),
            git_ref: text("GITHUB_REF", ""),
            workspace: PathBuf::from(text("GITHUB_WORKSPACE", ".")),
            run_id: format!("{run}.{}", text("GITHUB_RUN_ATTEMPT", "1")),
            temporary: environment.filled("RUNNER_TEMP").map(PathBuf::from),
            run_url,
            server_url,
            repository,
        }
    }

    /// Forge key and repository id for the mark, such as `github.com/123`.
    #[must_use]
    pub fn repository_key(&self) -> Option<String> {
        let host = self.server_url.split("://").nth(1)?.trim_end_matches('/');
        let host: String =
            host.chars().map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' }).collect();
        let id = &self.repository_id;
        (!id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())).then(|| format!("{host}/{id}"))
    }

    /// Where a file of a commit is shown, without the path.
    #[must_use]
    pub fn blob_url(&self, sha: &str) -> String {
        if self.repository.is_empty() || sha.is_empty() {
            return String::new();
        }
        format!("{}/{}/blob/{sha}", self.server_url, self.repository)
    }
}
