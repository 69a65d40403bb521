//! A plan comes as the plan's role and a sync as the sync's, and what may not log in asks for nothing.

use serde_json::json;

use super::{BOTH, LOGIN, MAIN, MORE, PLAN_ROLE, PULL_REQUEST, SYNC_ROLE, Stage, with_auth};
use crate::stage::BASE;

#[test]
fn a_plan_has_the_plans_role_and_a_sync_the_syncs() {
    let (stage, pull, head) = Stage::opened();
    let ran = stage.pull_request(pull, &head, BOTH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stage.roles(), [PLAN_ROLE]);
    assert_eq!(stage.logins()[0].body["RoleSessionName"], "secretzero-plan-77");
    assert!(stage.logins()[0].headers.iter().all(|(name, _)| name != "authorization"), "the login is unsigned");
    assert_eq!(stage.aws.effects(), 0, "a plan writes nothing");
    assert!(stage.aws.count("DescribeSecret") > 0, "it was planned online");
    let comment = stage.comment(pull);
    assert!(!comment.contains("Planned offline") && comment.contains("shop/more"), "{comment}");

    let merged = stage.github.merge_pull(pull);
    stage.actions.subject(MAIN);
    stage.aws.forget_requests();
    let ran = stage.job.push(&stage.sandbox, &merged, BOTH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stage.roles(), [SYNC_ROLE]);
    assert_eq!(stage.logins()[0].body["RoleSessionName"], "secretzero-sync-77");
    assert!(stage.aws.secret("shop/more").is_some());
    assert_eq!(stage.actions.audiences(), ["sts.amazonaws.com"; 3]);
}

#[test]
fn the_token_of_a_pull_request_can_neither_write_nor_become_who_can() {
    let (stage, pull, head) = Stage::opened();
    // A workflow that a pull request changed names the other role.
    let ran = stage.pull_request(pull, &head, &[("aws_plan_role", SYNC_ROLE)]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_eq!(stage.roles(), [SYNC_ROLE]);
    assert_eq!(stage.aws.count("DescribeSecret"), 0);
    // Or it runs what writes, as the plan's role.
    let cloud: Vec<(String, String)> = stage.job.cloud.clone().into_iter().collect();
    let cloud = cloud.into_iter().chain([("SECRETZERO_AWS_ROLE".to_owned(), PLAN_ROLE.to_owned())]);
    let ran = stage.sandbox.run_with(&["sync"], &cloud.collect());
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(stage.aws.count("CreateSecret") + stage.aws.count("GetSecretValue") > 0, "it tried: {ran:?}");
    assert!(stage.aws.secret("shop/more").is_none());
    assert!(ran.stdout.contains("AccessDenied") || ran.stderr.contains("AccessDenied"), "{ran:?}");
}

#[test]
fn with_one_role_only_a_pull_request_asks_for_no_token() {
    let (stage, pull, head) = Stage::opened();
    let before = stage.actions.requests();
    for mode in ["auto", "online"] {
        let ran = stage.pull_request(pull, &head, &[("aws_role", SYNC_ROLE), ("plan_mode", mode)]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let comment = stage.comment(pull);
        assert!(comment.contains("Planned offline") && comment.contains("aws_plan_role"), "{comment}");
    }
    let ran = stage.pull_request(pull, &head, &[("aws_plan_role", PLAN_ROLE), ("plan_mode", "offline")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!((stage.asked_since(before), stage.aws.total()), (0, 0));
}

#[test]
fn who_is_no_pull_request_of_this_repository_asks_for_no_token() {
    let (stage, pull, head) = Stage::opened();
    let before = stage.actions.requests();
    let event = stage.job.pull_request_event(2002, pull, &head);
    stage.run("pull_request", &event, &head, BOTH);
    let merge_group = json!({
        "action": "checks_requested",
        "merge_group": { "head_sha": head, "base_sha": head, "base_ref": "refs/heads/main" },
        "repository": event["repository"],
    });
    stage.run("merge_group", &merge_group, &head, BOTH);
    let run = json!({ "action": "completed", "workflow_run": { "head_sha": head }, "repository": event["repository"] });
    stage.run("workflow_run", &run, &head, BOTH);
    stage.run("pull_request_target", &event, &head, BOTH);
    stage.run("pull_request", &json!({ "garbage": true }), &head, BOTH);
    assert_eq!((stage.asked_since(before), stage.aws.total()), (0, 0));
}

#[test]
fn an_old_run_that_is_run_again_asks_for_no_token() {
    let (stage, _, _) = Stage::opened();
    let old = stage.github.commit("main", &[("other", b"1")]);
    stage.github.commit("main", &[("other", b"2")]);
    stage.actions.subject(MAIN);
    let before = stage.actions.requests();
    let ran = stage.job.push(&stage.sandbox, &old, BOTH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!((stage.asked_since(before), stage.aws.total()), (0, 0));
}

#[test]
fn a_change_of_providers_is_planned_without_a_token() {
    let (stage, pull, _) = Stage::opened();
    let text = format!("{BASE}{MORE}").replace("region: ${aws_region}", "region: eu-west-1");
    let head = stage.github.commit("change", &[("Secretfile.yml", text.as_bytes())]);
    stage.sandbox.write("Secretfile.yml", &text);
    let before = stage.actions.requests();
    let ran = stage.pull_request(pull, &head, BOTH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.comment(pull).contains("changes provider blocks"));
    assert_eq!((stage.asked_since(before), stage.aws.total()), (0, 0));
}

#[test]
fn dependabots_pull_request_has_no_token_and_is_planned_offline() {
    let (mut stage, pull, head) = Stage::opened();
    stage.job.cloud.retain(|name, _| !name.starts_with("ACTIONS_"));
    let ran = stage.pull_request(pull, &head, BOTH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let comment = stage.comment(pull);
    assert!(comment.contains("Planned offline") && comment.contains("Dependabot"), "{comment}");
    assert_eq!(stage.aws.total(), 0);
}

#[test]
fn a_store_without_a_role_for_plans_takes_the_whole_plan_offline() {
    let stage = Stage::new();
    let keys = "  keys:\n    kind: aws\n    auth:\n      kind: static\n      config:\n        region: us-east-1\n        \
                access_key_id: AKIA\n        secret_access_key: ${KEY}\n  local:\n";
    let second = MORE.replace("provider: aws", "provider: keys");
    let text = format!("{BASE}{second}").replace("  local:\n", keys);
    stage.github.commit("main", &[("Secretfile.yml", text.as_bytes())]);
    let (pull, head) = stage.pull(&format!("{text}{}", MORE.replace("more", "again")));
    let ran = stage.pull_request(pull, &head, BOTH);
    let comment = stage.comment(pull);
    assert!(comment.contains("`keys` has no role for pull requests"), "{ran:?} {comment}");
    assert_eq!((stage.actions.requests(), stage.aws.total()), (0, 0));
}

#[test]
fn a_provider_of_kind_oidc_says_its_roles_itself() {
    let auth = format!(
        "    auth:\n      kind: oidc\n      config:\n        region: us-east-1\n        role_arn: {SYNC_ROLE}\n        \
         plan_role_arn: {PLAN_ROLE}\n        session_name: from-the-file\n"
    );
    let (stage, base) = (Stage::new(), with_auth(&auth));
    let ran = stage.push_of(&base, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let (pull, head) = stage.pull(&format!("{base}{MORE}"));
    let ran = stage.pull_request(pull, &head, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stage.roles(), [PLAN_ROLE]);
    assert_eq!(stage.logins()[0].body["RoleSessionName"], "from-the-file");
}

#[test]
fn a_command_in_a_comment_plans_as_the_plans_role() {
    let (stage, pull, _) = Stage::opened();
    stage.github.collaborator("mona", "write");
    stage.github.world().test_merge(pull);
    let id = stage.github.comment_as("mona", pull, "/secretzero plan");
    let tip = stage.github.ref_sha("refs/heads/main").unwrap();
    let at = "2026-01-01T00:00:00Z";
    let event = json!({
        "action": "created",
        "issue": { "number": pull, "pull_request": { "url": "https://api.github.com/" } },
        "comment": { "id": id, "body": "/secretzero plan", "user": { "login": "mona" }, "created_at": at,
            "updated_at": at, "author_association": "OWNER" },
    });
    // Such a job runs on the default branch, and its token says so.
    stage.actions.subject(MAIN);
    let ran = stage.run("issue_comment", &event, &tip, BOTH);
    assert_eq!(stage.roles(), [PLAN_ROLE], "{ran:?}");
    assert_eq!(stage.aws.count(LOGIN), 1);
    assert!(ran.stdout.contains("a job that a comment starts runs on the default branch"), "{ran:?}");
    // Once the role admits both, it is planned.
    stage.aws.edit(|world| {
        let role = world.federation.roles.get_mut(PLAN_ROLE).unwrap();
        role.subjects = vec![PULL_REQUEST.into(), MAIN.into()];
    });
    let ran = stage.run("issue_comment", &event, &tip, BOTH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.aws.count("DescribeSecret") > 0 && stage.aws.effects() == 0, "{ran:?}");
}
