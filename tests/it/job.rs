//! The action's entry point, started as a runner starts it: inputs, event, file commands, and nothing
//! else in its environment.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fake::github::{FakeGithub, World};
use crate::sandbox::{Ran, Sandbox};

/// Where a job runs.
pub(crate) struct Job {
    pub(crate) api_url: String,
    /// Where the pages are.
    pub(crate) server_url: String,
    /// The ref that is checked out.
    pub(crate) reference: String,
    pub(crate) repository: String,
    pub(crate) repository_id: u64,
    pub(crate) token: String,
    /// The cloud's variables.
    pub(crate) cloud: BTreeMap<String, String>,
}

impl Job {
    /// On the default branch of the fake's repository.
    pub(crate) fn on<K: Into<String>>(
        github: &FakeGithub,
        token: String,
        cloud: impl IntoIterator<Item = (K, String)>,
    ) -> Self {
        Self {
            api_url: github.url(),
            server_url: "https://github.com".into(),
            reference: "refs/heads/main".into(),
            repository: FakeGithub::REPOSITORY.into(),
            repository_id: World::REPOSITORY_ID,
            token,
            cloud: cloud.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        }
    }

    /// Runs for an event, with inputs.
    pub(crate) fn run(&self, at: &Sandbox, event: &str, payload: &Value, sha: &str, inputs: &[(&str, &str)]) -> Ran {
        at.run_with(&["ci"], &self.environment(at, event, payload, sha, inputs))
    }

    /// The environment of such a run; what it names is made ready.
    pub(crate) fn environment(
        &self,
        at: &Sandbox,
        event: &str,
        payload: &Value,
        sha: &str,
        inputs: &[(&str, &str)],
    ) -> BTreeMap<String, String> {
        at.write("event.json", &payload.to_string());
        for file in ["output", "summary"] {
            at.write(file, "");
        }
        let path = |name: &str| at.path(name).display().to_string();
        let pairs = [
            ("GITHUB_API_URL", self.api_url.clone()),
            ("GITHUB_SERVER_URL", self.server_url.clone()),
            ("GITHUB_REPOSITORY", self.repository.clone()),
            ("GITHUB_REPOSITORY_ID", self.repository_id.to_string()),
            ("GITHUB_EVENT_NAME", event.into()),
            ("GITHUB_EVENT_PATH", path("event.json")),
            ("GITHUB_SHA", sha.into()),
            ("GITHUB_REF", self.reference.clone()),
            ("GITHUB_RUN_ID", "77".into()),
            ("GITHUB_WORKSPACE", path(".")),
            ("GITHUB_OUTPUT", path("output")),
            ("GITHUB_STEP_SUMMARY", path("summary")),
            ("RUNNER_TEMP", path(".")),
            ("INPUT_GITHUB_TOKEN", self.token.clone()),
            ("INPUT_RATE_LIMIT", "off".into()),
        ];
        let mut environment = self.cloud.clone();
        environment.extend(pairs.map(|(name, value)| (name.to_owned(), value)));
        let input = |(name, value): &(&str, &str)| (format!("INPUT_{}", name.to_uppercase()), (*value).to_owned());
        environment.extend(inputs.iter().map(input));
        environment
    }

    /// Runs for a pull request whose head is in this repository.
    pub(crate) fn pull_request(&self, at: &Sandbox, number: u64, head: &str, inputs: &[(&str, &str)]) -> Ran {
        self.pull_request_from(at, self.repository_id, number, head, inputs)
    }

    /// Runs for a pull request whose head is in that repository.
    pub(crate) fn pull_request_from(
        &self,
        at: &Sandbox,
        head_repository: u64,
        number: u64,
        head: &str,
        inputs: &[(&str, &str)],
    ) -> Ran {
        self.run(at, "pull_request", &self.pull_request_event(head_repository, number, head), head, inputs)
    }

    /// The event of a pull request whose head is in that repository.
    pub(crate) fn pull_request_event(&self, head_repository: u64, number: u64, head: &str) -> Value {
        let ours = json!({ "id": self.repository_id, "full_name": self.repository, "default_branch": "main" });
        json!({
            "action": "synchronize",
            "number": number,
            "pull_request": {
                "number": number,
                "head": { "sha": head, "ref": "change", "repo": { "id": head_repository, "full_name": "x/y" } },
                "base": { "sha": head, "ref": "main", "repo": ours },
                "merged": false, "draft": false, "user": { "login": "mona" }
            },
            "repository": ours
        })
    }

    /// Runs for a push to the default branch.
    pub(crate) fn push(&self, at: &Sandbox, sha: &str, inputs: &[(&str, &str)]) -> Ran {
        self.run(at, "push", &self.push_event(sha), sha, inputs)
    }

    /// Runs for the same push in another attempt of the same run.
    pub(crate) fn push_again(&self, at: &Sandbox, sha: &str, attempt: u32) -> Ran {
        let mut environment = self.environment(at, "push", &self.push_event(sha), sha, &[]);
        environment.insert("GITHUB_RUN_ATTEMPT".to_owned(), attempt.to_string());
        at.run_with(&["ci"], &environment)
    }

    /// The event of a push to the default branch.
    pub(crate) fn push_event(&self, sha: &str) -> Value {
        json!({
            "ref": "refs/heads/main", "before": sha, "after": sha, "deleted": false, "forced": false,
            "repository": { "id": self.repository_id, "full_name": self.repository, "default_branch": "main" }
        })
    }
}
