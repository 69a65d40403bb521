//! One repository on the fake GitHub with its cloud on the fake AWS, and the real binary between them.

use crate::fake::aws::FakeAws;
use crate::fake::github::FakeGithub;
use crate::job::Job;
use crate::sandbox::{Ran, Sandbox};

pub(crate) const BASE: &str = include_str!("../fixtures/flow/base.yml");
pub(crate) const CHANGE: &str = include_str!("../fixtures/flow/change.yml");
pub(crate) const LOCK_REF: &str = "refs/secretzero/v1/default";

/// What a job of the action may do with the workflow's own token.
const PERMISSIONS: [(&str, &str); 3] = [("contents", "write"), ("pull-requests", "write"), ("checks", "write")];

/// One repository with its cloud.
pub(crate) struct Stage {
    pub(crate) github: FakeGithub,
    pub(crate) aws: FakeAws,
    pub(crate) sandbox: Sandbox,
    pub(crate) job: Job,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with_permissions(&PERMISSIONS)
    }

    pub(crate) fn with_permissions(permissions: &[(&str, &str)]) -> Self {
        let (github, aws) = (FakeGithub::start(), FakeAws::start());
        let job = Job::on(&github, github.workflow_token(permissions), aws.env());
        Self { aws, sandbox: Sandbox::new(), job, github }
    }

    pub(crate) fn job(&self, event: &str, payload: &serde_json::Value, sha: &str, inputs: &[(&str, &str)]) -> Ran {
        self.job.run(&self.sandbox, event, payload, sha, inputs)
    }

    pub(crate) fn pull_request(&self, number: u64, head: &str, inputs: &[(&str, &str)]) -> Ran {
        self.job.pull_request(&self.sandbox, number, head, inputs)
    }

    pub(crate) fn push(&self, sha: &str, inputs: &[(&str, &str)]) -> Ran {
        self.job.push(&self.sandbox, sha, inputs)
    }

    /// Checks a text out, as `actions/checkout` would.
    pub(crate) fn checkout(&self, secretfile: &str) {
        self.sandbox.write("Secretfile.yml", secretfile);
    }

    pub(crate) fn comment(&self, pull: u64) -> String {
        let comments = self.github.comments(pull);
        assert_eq!(comments.len(), 1, "one comment: {comments:?}");
        comments.into_iter().next().unwrap().body
    }

    pub(crate) fn output(&self, name: &str) -> String {
        let text = self.sandbox.read("output");
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.strip_prefix(name).is_some_and(|rest| rest.starts_with("<<")) {
                return lines.next().unwrap_or_default().to_owned();
            }
        }
        String::new()
    }

    pub(crate) fn lock(&self) -> Option<String> {
        let bytes = self.github.file(LOCK_REF, "Secretfile.yml.lock.json");
        bytes.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    pub(crate) fn effects(&self) -> usize {
        self.aws.effects()
    }
}

/// Commits and versions differ from run to run.
pub(crate) fn stable(text: &str) -> String {
    let hex = |c: char| c.is_ascii_hexdigit() && !c.is_ascii_uppercase();
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\u{0}']) {
        if hex(c) {
            word.push(c);
            continue;
        }
        let digits = word.bytes().any(|b| b.is_ascii_digit());
        out.push_str(if word.len() >= 40 || (word.len() == 7 && digits) { "COMMIT" } else { &word });
        word.clear();
        out.push(c);
    }
    out.trim_end_matches('\u{0}').replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

/// A synced base and an open pull request that adds two secrets.
pub(crate) fn opened() -> (Stage, u64, String) {
    let stage = Stage::new();
    let base = stage.github.commit("main", &[("Secretfile.yml", BASE.as_bytes())]);
    stage.checkout(BASE);
    assert_eq!(stage.push(&base, &[]).code, Some(0));
    let text = format!("{BASE}{CHANGE}");
    let head = stage.github.commit("change", &[("Secretfile.yml", text.as_bytes())]);
    let pull = stage.github.open_pull("change", "main");
    stage.checkout(&text);
    stage.aws.forget_requests();
    (stage, pull, head)
}
