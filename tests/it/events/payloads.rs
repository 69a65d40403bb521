//! Events as GitHub recorded them, through the whole program: what asks for nothing does nothing and
//! says so, and no `command` makes an event do more than it allows.

use serde_json::{Value, json};

use super::{outsider, synced};
use crate::sandbox::Ran;
use crate::stage::Stage;

macro_rules! recorded {
    ($file:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../fixtures/webhooks/github/", $file, ".json"))).unwrap()
    };
}

/// Everything that `command` takes.
const COMMANDS: [&str; 5] = ["auto", "plan", "sync", "rotate", "drift"];

/// Runs with stores that would need a write, so that whatever writes is seen.
fn tempted() -> (Stage, String) {
    let (stage, tip) = synced();
    stage.aws.edit(|world| world.region(crate::fake::aws::REGION).parameters.clear());
    (stage, tip)
}

#[track_caller]
fn writes_nothing(stage: &Stage, case: &str, ran: &Ran) {
    assert_eq!((ran.code, stage.aws.effects()), (Some(0), 0), "{case}: {ran:?}");
    assert_ne!(stage.output("changed"), "true", "{case}");
}

#[test]
fn events_that_ask_for_nothing_do_nothing_whatever_command_says() {
    let (stage, tip) = tempted();
    let branch_deleted = recorded!("push.branch_deleted");
    for (event, name, payload) in [
        ("a deleted tag", "push", recorded!("push.tag_deleted")),
        ("a deleted branch", "push", branch_deleted),
        ("a tag", "push", recorded!("push.tag")),
        ("another branch", "push", recorded!("push.branch")),
        ("a comment on an issue", "issue_comment", recorded!("issue_comment.created.issue")),
        ("an edited comment", "issue_comment", recorded!("issue_comment.edited")),
        ("a deleted comment", "issue_comment", recorded!("issue_comment.deleted")),
        ("a comment without a command", "issue_comment", recorded!("issue_comment.created")),
        ("an unknown event", "deployment_status", json!({})),
        ("a pull request's target", "pull_request_target", recorded!("pull_request.opened")),
    ] {
        for command in COMMANDS.into_iter().filter(|command| *command != "plan" || name != "push") {
            let case = format!("{event}, `command: {command}`");
            let ran = stage.job(name, &payload, &tip, &[("command", command)]);
            writes_nothing(&stage, &case, &ran);
            assert!(ran.stdout.contains("nothing was done"), "{case}: {}", ran.stdout);
            assert_eq!((stage.aws.total(), stage.output("result").as_str()), (0, "ok"), "{case}");
        }
    }
    assert!(stage.github.issues().is_empty());
}

/// A plan of another branch is allowed: it is offline and stands in the summary alone.
#[test]
fn another_branchs_push_is_planned_offline_where_the_workflow_asks_for_it() {
    let (mut stage, _) = tempted();
    let tip = stage.github.commit("feature", &[("README.md", b"x")]);
    stage.job.reference = "refs/heads/feature".into();
    let ran = stage.job("push", &recorded!("push.branch"), &tip, &[("command", "plan")]);
    writes_nothing(&stage, "another branch", &ran);
    assert_eq!(stage.aws.total(), 0);
    assert!(stage.sandbox.read("summary").contains("**Planned offline.**"));
}

#[test]
fn a_recorded_pull_request_never_does_more_than_plan() {
    let (stage, tip) = tempted();
    for (case, payload) in [
        ("its own", recorded!("pull_request.opened")),
        ("moved", recorded!("pull_request.synchronize")),
        ("a fork's", recorded!("pull_request.opened.fork")),
        ("a deleted fork's", recorded!("pull_request.opened.fork_deleted")),
        ("merged", recorded!("pull_request.closed.merged")),
    ] {
        for command in COMMANDS {
            let ran = stage.job("pull_request", &payload, &tip, &[("command", command), ("plan_mode", "online")]);
            writes_nothing(&stage, &format!("{case}, `command: {command}`"), &ran);
            assert_eq!(stage.aws.total(), 0, "{case}: they are not merged into `main`, are forks, or closed");
        }
    }
}

/// A check that a queue requires must report, or nothing is merged any more.
#[test]
fn a_merge_queue_gets_its_check_offline_whatever_happens() {
    let (mut stage, _) = tempted();
    let head =
        stage.github.commit("gh-readonly-queue/main/pr-1", &[("Secretfile.yml", super::secretfile().as_bytes())]);
    stage.job.reference = "refs/heads/gh-readonly-queue/main/pr-1".into();
    let mut payload = recorded!("merge_group.checks_requested");
    payload["merge_group"]["head_sha"] = json!(head);
    for command in COMMANDS {
        let ran = stage.job("merge_group", &payload, &head, &[("command", command), ("plan_mode", "online")]);
        writes_nothing(&stage, command, &ran);
    }
    assert_eq!(stage.aws.total(), 0, "no store is asked, so no credential is needed");
    let check = stage.github.checks().pop().unwrap();
    assert_eq!((check.head_sha.as_str(), check.conclusion.as_deref()), (head.as_str(), Some("success")));
    assert!(stage.github.comments(1).is_empty());

    // An unreadable event is no reason to leave the queue waiting.
    let before = stage.github.checks().len();
    let ran = stage.job("merge_group", &json!({ "merge_group": 7 }), &head, &[]);
    writes_nothing(&stage, "unreadable", &ran);
    let checks = stage.github.checks();
    assert_eq!((checks.len(), checks[before].head_sha.as_str()), (before + 1, head.as_str()));

    // A Secretfile that is broken fails there too.
    stage.sandbox.write("Secretfile.yml", "secrets: 7\n");
    assert_eq!(stage.job("merge_group", &payload, &head, &[]).code, Some(3));
    assert_eq!(stage.github.checks().pop().unwrap().conclusion.as_deref(), Some("failure"));
}

#[test]
fn a_dispatch_does_what_its_input_says() {
    let (stage, tip) = tempted();
    let dispatch = |command: Value| json!({ "ref": "refs/heads/main", "inputs": { "command": command } });
    let plain = json!({ "ref": "refs/heads/main", "inputs": null });
    writes_nothing(&stage, "auto", &stage.job("workflow_dispatch", &plain, &tip, &[]));
    assert_eq!(stage.output("result"), "pending", "it plans");
    for word in ["plan", "auto", "drift"] {
        writes_nothing(&stage, word, &stage.job("workflow_dispatch", &dispatch(json!(word)), &tip, &[]));
    }
    assert_eq!(stage.output("drifted"), "1");
    let ran = stage.job("workflow_dispatch", &dispatch(json!("destroy")), &tip, &[]);
    assert_eq!((ran.code, stage.aws.effects()), (Some(1), 0), "{ran:?}");
    assert!(ran.stdout.contains("`command` is `destroy`; it takes `auto`, `plan`, `sync`"), "{}", ran.stdout);
    // What the workflow says counts before what the person at the button says.
    let ran = stage.job("workflow_dispatch", &dispatch(json!("sync")), &tip, &[("command", "plan")]);
    writes_nothing(&stage, "plan", &ran);

    let ran = stage.job("workflow_dispatch", &dispatch(json!("sync")), &tip, &[]);
    assert_eq!((ran.code, stage.output("changed").as_str()), (Some(0), "true"), "{ran:?}");
    let ran = stage.job("workflow_dispatch", &recorded!("workflow_dispatch"), &tip, &[]);
    assert_eq!((ran.code, stage.output("changed").as_str()), (Some(0), "false"), "nothing is due: {ran:?}");
}

#[test]
fn a_dispatch_on_another_branch_writes_nothing() {
    let (mut stage, _) = tempted();
    let head = stage.github.commit("feature", &[("README.md", b"x")]);
    stage.job.reference = "refs/heads/feature".into();
    for command in ["sync", "rotate", "drift"] {
        let payload = json!({ "ref": "refs/heads/feature", "inputs": {} });
        let ran = stage.job("workflow_dispatch", &payload, &head, &[("command", command)]);
        writes_nothing(&stage, command, &ran);
        assert!(ran.stdout.contains("only `main` is synced"), "{command}: {}", ran.stdout);
        assert_eq!(stage.aws.total(), 0);
    }
}

#[test]
fn a_schedule_rotates_what_is_due_and_then_looks_for_drift() {
    let (stage, tip) = tempted();
    outsider(&stage, "production/myapp/service-account");
    let ran = stage.job("schedule", &recorded!("schedule"), &tip, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stage.output("drifted"), "2");
}
