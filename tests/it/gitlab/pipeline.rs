//! A project at GitLab that includes the component, read by gitlab-ci-local
//! (<https://github.com/firecow/gitlab-ci-local>): it checks and fills in the inputs, resolves `extends`,
//! judges the rules and checks GitLab's schema. What it cannot do, make ID tokens and run a job without
//! rsync, is done here.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};

use serde_json::{Value as Json, json};

use super::TEMPLATE;
use crate::sandbox::Sandbox;
use crate::servers::exported;

/// Where the component stands in the project.
pub(super) const PATH: &str = "templates/secretzero/template.yml";

/// What started a pipeline, as the predefined variables tell it
/// (<https://docs.gitlab.com/ci/variables/predefined_variables/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    /// `CI_PIPELINE_SOURCE`.
    pub(super) source: &'static str,
    /// `CI_COMMIT_BRANCH`; a merge request's pipeline has none.
    pub(super) branch: Option<&'static str>,
    /// `CI_COMMIT_REF_PROTECTED`.
    pub(super) protected: bool,
}

impl Event {
    pub(super) const PUSH: Self = Self { source: "push", branch: Some("main"), protected: true };
    pub(super) const SCHEDULE: Self = Self { source: "schedule", ..Self::PUSH };
    pub(super) const MERGE_REQUEST: Self = Self { source: "merge_request_event", branch: None, protected: true };

    /// The predefined variables that rules and the program look at.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        let mut pairs = vec![
            ("CI", "true"),
            ("GITLAB_CI", "true"),
            ("CI_PIPELINE_SOURCE", self.source),
            ("CI_COMMIT_REF_PROTECTED", if self.protected { "true" } else { "false" }),
            ("CI_DEFAULT_BRANCH", "main"),
            ("CI_PROJECT_PATH", "octo/demo"),
            ("CI_SERVER_URL", super::clouds::ISSUER),
            ("CI_JOB_ID", "77"),
        ];
        pairs.extend(self.branch.map(|branch| ("CI_COMMIT_BRANCH", branch)));
        if self.branch.is_none() {
            pairs.extend([("CI_MERGE_REQUEST_IID", "3")]);
        }
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// A project with the component included.
pub(super) struct Pipeline {
    project: Sandbox,
    jobs: Json,
}

/// A job as GitLab hands it to a runner, its tokens aside.
#[derive(Debug)]
pub(super) struct Job(Json);

impl Pipeline {
    /// With this `.gitlab-ci.yml`.
    pub(super) fn of(configuration: &str) -> Self {
        let project = project(configuration);
        let output = engine(&project, &["--preview"]);
        assert!(output.status.success(), "{}", told(&output));
        let jobs = serde_saphyr::from_str(&String::from_utf8(output.stdout).unwrap()).unwrap();
        Self { project, jobs }
    }

    /// With these inputs.
    pub(super) fn with(inputs: &Json) -> Self {
        Self::of(&including(inputs))
    }

    /// What is said of inputs that do not fit.
    pub(super) fn refusal(inputs: &Json) -> String {
        let output = engine(&project(&including(inputs)), &["--preview"]);
        assert!(!output.status.success(), "{inputs} were taken: {}", told(&output));
        told(&output)
    }

    /// Every job, whatever its rules.
    pub(super) fn names(&self) -> BTreeSet<String> {
        let jobs = self.jobs.as_object().unwrap().iter().filter(|(_, job)| job.get("script").is_some());
        jobs.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn job(&self, name: &str) -> Job {
        let job = self.jobs.get(name).unwrap_or_else(|| panic!("no job {name}"));
        Job(job.clone())
    }

    /// The jobs that an event has.
    pub(super) fn jobs_of(&self, event: Event) -> BTreeSet<String> {
        let mut arguments = vec!["--list-csv".to_owned(), "--ignore-predefined-vars".into()];
        let variables = event.variables();
        arguments.push(variables.keys().map(String::as_str).collect::<Vec<_>>().join(","));
        arguments.extend(variables.iter().flat_map(|(name, value)| ["--variable".into(), format!("{name}={value}")]));
        if event.branch.is_none() {
            arguments.extend(["--unset-variable".into(), "CI_COMMIT_BRANCH".into()]);
        }
        let output = engine(&self.project, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.status.success(), "{}", told(&output));
        let stdout = String::from_utf8(output.stdout).unwrap();
        let rows = stdout.lines().skip_while(|line| !line.starts_with("name;stage;")).skip(1);
        rows.filter_map(|row| row.split(';').next()).map(|name| name.trim_matches('"').to_owned()).collect()
    }
}

impl Job {
    pub(super) fn get(&self, keyword: &str) -> &Json {
        &self.0[keyword]
    }

    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        let variables = self.0["variables"].as_object().unwrap().iter();
        variables.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
    }

    /// The audience of each declared token.
    pub(super) fn audiences(&self) -> BTreeMap<String, Json> {
        let tokens = self.0.get("id_tokens").and_then(Json::as_object).cloned().unwrap_or_default();
        tokens.into_iter().map(|(name, token)| (name, token["aud"].clone())).collect()
    }

    /// As the runner puts it together: one shell that stops at the first failure
    /// (<https://docs.gitlab.com/runner/shells/>).
    pub(super) fn script(&self) -> String {
        let lines = self.0["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
        format!("set -e\n{}\n", lines.collect::<Vec<_>>().join("\n"))
    }
}

fn including(inputs: &Json) -> String {
    json!({ "include": [{ "local": PATH, "inputs": inputs }] }).to_string()
}

/// A checkout at `main`, without which the runner does not start.
fn project(configuration: &str) -> Sandbox {
    let project = Sandbox::new();
    project.write(PATH, TEMPLATE);
    project.write(".gitlab-ci.yml", configuration);
    for args in [
        &["init", "--quiet", "--initial-branch", "main"][..],
        &["remote", "add", "origin", "git@gitlab.example:octo/demo.git"],
        &["add", "."],
        &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message", "all"],
    ] {
        let output = clean("git", &project).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", told(&output));
    }
    project
}

/// A program in the project's folder that meets nothing of ours.
fn clean(program: &str, project: &Sandbox) -> Command {
    let mut command = Command::new(program);
    command.current_dir(project.path(".")).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.env("HOME", project.path(".git/home")).env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}

fn engine(project: &Sandbox, arguments: &[&str]) -> Output {
    let mut command = clean(&exported("NODE"), project);
    command.arg(format!("{}/gitlab-ci-local/dist/index.js", exported("NODE_MODULES")));
    command.args(arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
