//! `command: doctor` of the action: the same table in the log and in the summary, within what the event
//! allows.

use serde_json::json;

use crate::fake::actions::Answer;
use crate::fake::github::FakeGithub;
use crate::oidc::{BOTH, PLAN_ROLE, SYNC_ROLE, Stage};
use crate::sandbox::Ran;
use crate::stage::BASE;

/// The inputs of a workflow with both roles.
fn inputs<'i>(more: &[(&'i str, &'i str)]) -> Vec<(&'i str, &'i str)> {
    [BOTH, &[("command", "doctor")], more].concat()
}

fn output(stage: &Stage, name: &str) -> String {
    let text = stage.sandbox.read("output");
    let mut lines = text.lines().skip_while(|line| !line.starts_with(&format!("{name}<<")));
    lines.nth(1).unwrap_or_default().to_owned()
}

/// The table as the log has it, between the marks that make it inert.
fn table(ran: &Ran) -> &str {
    let (before, rest) = ran.stdout.split_once("::stop-commands::").unwrap();
    assert!(before.lines().all(|line| line.starts_with("::add-mask::")), "masks come first: {before}");
    let (end, rest) = rest.split_once('\n').unwrap();
    rest.split_once(&format!("::{end}::")).unwrap().0
}

#[test]
fn on_the_default_branch_it_comes_as_the_sync() {
    let stage = Stage::new();
    let ran = stage.push_of(BASE, &inputs(&[]));
    assert_eq!((ran.code, output(&stage, "result").as_str()), (Some(0), "ok"), "{ran:?}");
    assert_eq!(output(&stage, "failure_reason"), "");
    assert_eq!(stage.roles(), [SYNC_ROLE]);
    let summary = stage.sandbox.read("summary");
    for said in ["may ask for tokens", "lives 300 s", &format!("shown by: aws, to {SYNC_ROLE} (sync)"), "aws: answers"]
    {
        assert!(table(&ran).contains(said), "{said}: {}", ran.stdout);
        let escaped = said.replace('_', "\\_");
        assert!(summary.contains(&escaped), "{escaped}: {summary}");
    }
    assert!(summary.starts_with("### SecretZero · doctor\n\n**Nothing is wrong.**\n"), "{summary}");
    for token in stage.actions.minted() {
        assert!(!summary.contains(&token) && !table(&ran).contains(&token));
        assert!(ran.stdout.contains(&format!("::add-mask::{token}\n")));
    }
    assert_eq!(stage.aws.effects(), 0);
    assert!(stage.github.comments(1).is_empty() && stage.github.checks().is_empty(), "it writes nothing");
}

#[test]
fn in_a_pull_request_it_comes_as_the_plan_and_by_the_bases_word() {
    let (stage, pull, head) = Stage::opened();
    let before = stage.actions.requests();
    let ran = stage.pull_request(pull, &head, &inputs(&[]));
    assert_eq!((ran.code, stage.asked_since(before)), (Some(0), 2), "{ran:?}");
    assert_eq!(stage.roles(), [PLAN_ROLE]);
    assert!(table(&ran).contains(&format!("to {PLAN_ROLE} (plan)")), "{}", ran.stdout);
    assert!(stage.github.comments(pull).is_empty(), "it comments on nothing");

    // One that changes where credentials go is not believed.
    let changed = BASE.replace("kind: ambient", "kind: oidc");
    assert_ne!(changed, BASE);
    let head = stage.github.commit("change", &[("Secretfile.yml", changed.as_bytes())]);
    stage.sandbox.write("Secretfile.yml", &changed);
    let (before, logins) = (stage.actions.requests(), stage.logins().len());
    let ran = stage.pull_request(pull, &head, &inputs(&[]));
    assert_eq!((stage.asked_since(before), stage.logins().len()), (0, logins), "{ran:?}");
    assert!(table(&ran).contains("This pull request changes provider blocks"), "{}", ran.stdout);
}

#[test]
fn an_environment_in_a_job_that_plans_is_told() {
    let (stage, pull, head) = Stage::opened();
    let named = json!({ "sub": "repo:octo/demo:environment:production", "environment": "production" });
    stage.actions.next([Answer::With(named.clone())]);
    let ran = stage.pull_request(pull, &head, &inputs(&[]));
    assert!(table(&ran).contains("this job plans and names the environment `production`"), "{}", ran.stdout);
    let ran = stage.pull_request(pull, &head, &inputs(&[]));
    assert!(!table(&ran).contains("names the environment"), "{}", ran.stdout);
    // The sync may.
    stage.actions.next([Answer::With(named)]);
    let ran = stage.push_of(BASE, &inputs(&[]));
    assert!(table(&ran).contains("environment:production (by names)"), "{}", ran.stdout);
    assert!(!table(&ran).contains("names the environment"), "{}", ran.stdout);
}

#[test]
fn a_fork_and_every_other_event_obtain_nothing() {
    let (stage, pull, head) = Stage::opened();
    let before = stage.actions.requests();
    let repository = json!({ "id": 1, "full_name": FakeGithub::REPOSITORY, "default_branch": "main" });
    let comment = json!({
        "action": "created", "repository": repository, "issue": { "number": pull, "pull_request": {} },
        "comment": { "id": 1, "body": "/secretzero plan", "user": { "login": "mona" }, "created_at": "x", "updated_at": "x" }
    });
    let group = json!({ "action": "checks_requested", "merge_group": { "head_sha": head, "base_sha": head } });
    let fork = stage.job.pull_request_event(4711, pull, &head);
    let inputs = inputs(&[("plan_mode", "online")]);
    for (event, payload, why) in [
        ("pull_request", &fork, "comes from a fork"),
        ("pull_request", &json!(7), "gets no credentials here"),
        ("merge_group", &group, "the event `merge_group` gets no credentials here"),
        ("issue_comment", &comment, "the event `issue_comment` gets no credentials here"),
        ("pull_request_target", &fork, "the event `pull_request_target` gets no credentials here"),
        ("workflow_run", &json!({}), "the event `workflow_run` gets no credentials here"),
    ] {
        let ran = stage.run(event, payload, &head, &inputs);
        assert_eq!((stage.asked_since(before), stage.logins().len()), (0, 0), "{event}: {ran:?}");
        assert!(ran.stdout.contains(why) && ran.stdout.contains("none is asked for"), "{event}: {ran:?}");
    }
    // Nor does an old commit of the default branch, or another branch.
    let ran = stage.job.push(&stage.sandbox, &head, &inputs);
    assert_eq!(stage.asked_since(before), 0, "{ran:?}");
    assert!(ran.stdout.contains("`main` has moved on"), "{ran:?}");
}

#[test]
fn what_is_wrong_fails_the_job_as_fail_on_says() {
    let stage = Stage::new();
    let sha = stage.github.commit("main", &[("Secretfile.yml", b"secrets: 7\n")]);
    stage.sandbox.write("Secretfile.yml", "secrets: 7\n");
    let ran = stage.job.push(&stage.sandbox, &sha, &inputs(&[]));
    assert_eq!((ran.code, output(&stage, "result").as_str()), (Some(1), "failed"), "{ran:?}");
    assert_eq!(output(&stage, "failure_reason"), "error");
    assert!(table(&ran).contains("✗ Secretfile  Secretfile.yml:1: "), "{}", ran.stdout);
    let ran = stage.job.push(&stage.sandbox, &sha, &inputs(&[("fail_on", "none")]));
    assert_eq!((ran.code, output(&stage, "result").as_str()), (Some(0), "failed"), "{ran:?}");
    let one_role = [BOTH[0], ("command", "doctor")];
    let ran = stage.push_of(BASE, &one_role);
    assert!(ran.code == Some(0) && table(&ran).contains("to look at: 1"), "{ran:?}");
    let ran = stage.push_of(BASE, &[&one_role[..], &[("fail_on", "warning")]].concat());
    assert_eq!((ran.code, output(&stage, "result").as_str()), (Some(1), "failed"), "{ran:?}");

    // A token that is refused by the forge keeps nobody from the table.
    let mut stage = Stage::new();
    stage.job.token = "ghs_unknown".into();
    let ran = stage.push_of(BASE, &inputs(&[]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(table(&ran).contains("does not accept the token (401)"), "{}", ran.stdout);
    assert!(table(&ran).contains("whether this is the newest commit is not known"), "{}", ran.stdout);
}

#[test]
fn a_dispatch_may_ask_for_it() {
    let stage = Stage::new();
    let sha = stage.github.commit("main", &[("Secretfile.yml", BASE.as_bytes())]);
    stage.sandbox.write("Secretfile.yml", BASE);
    let repository = json!({ "id": 1, "full_name": FakeGithub::REPOSITORY, "default_branch": "main" });
    let payload = json!({ "ref": "refs/heads/main", "inputs": { "command": "doctor" }, "repository": repository });
    let ran = stage.run("workflow_dispatch", &payload, &sha, BOTH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(table(&ran).contains("aws: answers"), "{}", ran.stdout);
}

#[test]
fn a_link_among_the_workflows_is_not_followed() {
    let stage = Stage::new();
    stage.sandbox.write("runner/secret.yml", "on: {schedule: [{cron: 'canary-of-the-runner'}]}\n");
    stage.sandbox.write(".github/workflows/ci.yml", "on: push\n");
    let link = stage.sandbox.path(".github/workflows/link.yml");
    std::os::unix::fs::symlink(stage.sandbox.path("runner/secret.yml"), link).unwrap();
    let ran = stage.push_of(BASE, &inputs(&[]));
    assert!(table(&ran).contains(".github/workflows/link.yml is a link"), "{}", ran.stdout);
    assert!(!format!("{}{}", ran.stdout, stage.sandbox.read("summary")).contains("canary-of"), "{ran:?}");
}
