//! Commands other than `ci` in a job that a pull request steers: its Secretfile says where credentials
//! go, so no store is asked, no role is taken and no token is minted.

use std::collections::BTreeMap;

use super::{MAIN, PLAN_ROLE, SYNC_ROLE, Stage};
use crate::canary::Canary;
use crate::stage::BASE;

/// Every command that connects.
const COMMANDS: [&[&str]; 10] = [
    &["test"],
    &["test", "--format", "json"],
    &["doctor"],
    &["sync", "--dry-run"],
    &["sync"],
    &["rotate"],
    &["refresh"],
    &["drift"],
    &["dr"],
    &["import", "--provider", "evil"],
];

const TOKEN: &str = "hvs.vault-token-canary-41";

/// The base with a target more, in a store that its author chose.
fn secretfile(elsewhere: &Canary) -> String {
    let evil = format!(
        "  evil:\n    kind: vault\n    auth:\n      kind: token\n      config: {{url: 'http://{}', token: '${{VAULT_TOKEN}}'}}\n  local:\n",
        elsewhere.address()
    );
    let target = "\n  - name: bait\n    kind: random_string\n    targets:\n      - {provider: evil, kind: kv, config: {path: bait}}\n";
    let text = BASE.replace("  local:\n", &evil);
    assert!(text.contains("  evil:"), "the base has changed");
    format!("{text}{target}")
}

struct Bait {
    stage: Stage,
    elsewhere: Canary,
}

impl Bait {
    fn new() -> Self {
        let (stage, elsewhere) = (Stage::new(), Canary::start());
        stage.sandbox.write("Secretfile.yml", &secretfile(&elsewhere));
        stage.actions.subject(MAIN);
        Self { stage, elsewhere }
    }

    /// The world of a job that holds everything it could.
    fn environment(&self, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let mut environment = self.stage.job.cloud.clone();
        let all = [("SECRETZERO_AWS_ROLE", SYNC_ROLE), ("SECRETZERO_AWS_PLAN_ROLE", PLAN_ROLE), ("VAULT_TOKEN", TOKEN)];
        environment.extend(all.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        environment
    }

    fn asked(&self) -> (usize, usize, usize) {
        (self.elsewhere.count(), self.stage.aws.total(), self.stage.actions.requests())
    }

    fn nothing_leaves(&self, what: &str, environment: &BTreeMap<String, String>) {
        for command in COMMANDS {
            let ran = self.stage.sandbox.run_with(command, environment);
            assert_eq!(self.asked(), (0, 0, 0), "{what}: {command:?}: {ran:?}");
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(
                command[0] == "dr" || (said.contains("decides where") && said.contains("secretzero ci")),
                "{what}: {command:?}: {ran:?}"
            );
            assert!(!said.contains(TOKEN), "{command:?}");
            if command[0] == "sync" || command[0] == "drift" {
                assert_ne!(ran.code, Some(0), "{what}: {command:?}: nobody knows what stands there");
            }
        }
    }
}

#[test]
fn no_event_of_a_pull_request_lets_a_command_reach_a_store() {
    let bait = Bait::new();
    for event in ["pull_request", "pull_request_target", "workflow_run", "issue_comment"] {
        let environment = bait.environment(&[("GITHUB_EVENT_NAME", event), ("GITHUB_REF", "refs/heads/main")]);
        bait.nothing_leaves(event, &environment);
    }
    let environment = bait.environment(&[("GITHUB_EVENT_NAME", "push"), ("GITHUB_REF", "refs/pull/7/merge")]);
    bait.nothing_leaves("a ref of a pull request", &environment);
}

/// A branch that somebody pushed is no more reviewed than a pull request.
#[test]
fn nor_does_a_push_a_dispatch_or_a_schedule_on_another_branch() {
    let bait = Bait::new();
    for (event, git_ref) in [
        ("push", "refs/heads/feature"),
        ("push", "refs/tags/v1"),
        ("push", "refs/heads/gh-readonly-queue/main/pr-1-0123"),
        ("workflow_dispatch", "refs/heads/feature"),
        ("schedule", "refs/heads/feature"),
    ] {
        let environment = bait.environment(&[("GITHUB_EVENT_NAME", event), ("GITHUB_REF", git_ref)]);
        bait.nothing_leaves(git_ref, &environment);
    }
    let mut untold = bait.environment(&[]);
    untold.remove("GITHUB_EVENT_PATH");
    bait.nothing_leaves("no payload", &untold);
}

#[test]
fn nor_does_a_merge_request_of_gitlab_or_a_branch_that_is_not_the_default_one() {
    let bait = Bait::new();
    let (protected, push) = (("CI_COMMIT_REF_PROTECTED", "true"), ("CI_PIPELINE_SOURCE", "push"));
    let (main, default) = (("CI_COMMIT_BRANCH", "main"), ("CI_DEFAULT_BRANCH", "main"));
    for (what, pairs) in [
        ("merge request", [protected, ("CI_PIPELINE_SOURCE", "merge_request_event"), main, default]),
        ("unprotected", [("CI_COMMIT_REF_PROTECTED", "false"), push, main, default]),
        ("another branch", [protected, push, ("CI_COMMIT_BRANCH", "release"), default]),
        ("a tag", [protected, push, ("CI_COMMIT_TAG", "v1"), default]),
    ] {
        let mut environment = bait.environment(&pairs);
        environment.retain(|name, _| !name.starts_with("GITHUB_") && !name.starts_with("ACTIONS_"));
        environment.insert("GITLAB_CI".into(), "true".into());
        environment.insert("SECRETZERO_ID_TOKEN".into(), "e30.e30.e30".into());
        bait.nothing_leaves(what, &environment);
    }
}

#[test]
fn nor_does_a_build_that_another_system_makes_of_a_pull_request() {
    let bait = Bait::new();
    let mut environment = bait.environment(&[("CI", "true"), ("BUILDKITE_PULL_REQUEST", "7")]);
    environment.retain(|name, _| !name.starts_with("GITHUB_") && !name.starts_with("ACTIONS_"));
    bait.nothing_leaves("Buildkite", &environment);
}

#[test]
fn what_was_merged_is_connected_and_so_is_the_machine_of_a_person() {
    let bait = Bait::new();
    let push = bait.environment(&[("GITHUB_EVENT_NAME", "push"), ("GITHUB_REF", "refs/heads/main")]);
    bait.stage.sandbox.run_with(&["test"], &push);
    let (elsewhere, aws, tokens) = bait.asked();
    assert!(elsewhere > 0 && aws > 0 && tokens > 0, "{elsewhere} {aws} {tokens}");
    assert_eq!(bait.stage.roles(), [SYNC_ROLE]);

    let bait = Bait::new();
    let mut own = bait.environment(&[("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "x")]);
    own.retain(|name, _| !name.starts_with("GITHUB_") && !name.starts_with("ACTIONS_"));
    bait.stage.sandbox.run_with(&["test"], &own);
    assert!(bait.elsewhere.count() > 0);
}
