//! Drift in the nightly run: one issue, opened, edited, closed.

use super::{outsider, schedule, secretfile, synced, synced_with};
use crate::fake::aws::REGION;
use crate::stage::{Stage, stable};

const API_KEY: &str = "production/myapp/api-key";
const DATABASE: &str = "production/myapp/database/password";
const PARAMETER: &str = "/production/myapp/database/password";
const ACCOUNT: &str = "production/myapp/service-account";

/// Version ids differ from run to run.
fn told(text: &str) -> String {
    let version = regex::Regex::new(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
    let text = version.replace_all(text, |found: &regex::Captures<'_>| match &found[0] {
        typed @ "11111111-2222-4333-8444-555555555555" => typed.to_owned(),
        _ => "OUR-VERSION".to_owned(),
    });
    let seal = regex::Regex::new(r"secretzero-drift: \w+").unwrap();
    seal.replace(&stable(&text), "secretzero-drift: SEAL").into_owned()
}

fn strip_mark(stage: &Stage, name: &str) -> String {
    stage.aws.edit(|world| world.region(REGION).secrets.get_mut(name).unwrap().tags.remove("secretzero").unwrap())
}

#[test]
fn drift_opens_one_issue_which_is_edited_and_closed_when_it_is_healed() {
    let (stage, tip) = synced();
    assert_eq!(schedule(&stage, &tip, &[]).code, Some(0));
    assert!(stage.github.issues().is_empty(), "nothing drifted");
    assert_eq!(stage.output("drifted"), "0");

    let before = stage.aws.edit(|world| world.clone());
    outsider(&stage, API_KEY);
    let mark = strip_mark(&stage, ACCOUNT);
    stage.aws.edit(|world| world.region(REGION).parameters.remove(PARAMETER));
    let ran = schedule(&stage, &tip, &[]);
    // The mark that is gone holds its secret, as in any run.
    assert_eq!(ran.code, Some(8), "{ran:?}");
    let issues = stage.github.issues();
    assert_eq!((issues.len(), stage.output("drifted").as_str()), (1, "3"));
    insta::assert_snapshot!(issues[0].title, @"SecretZero: drift of 3 targets (Secretfile.yml)");
    insta::assert_snapshot!("issue_of_drift", told(&issues[0].body));
    assert!(stage.sandbox.read("summary").contains("3 targets of 3 secrets are not as SecretZero left them"));

    // More of it: the same issue.
    stage.aws.edit(|world| {
        let secret = world.region(REGION).secrets.get_mut(DATABASE).unwrap();
        secret.tags.insert("Environment".into(), "staging".into());
    });
    assert_eq!(schedule(&stage, &tip, &[]).code, Some(8));
    let edited = stage.github.issues();
    assert_eq!((edited.len(), edited[0].number, edited[0].open), (1, issues[0].number, true));
    assert!(edited[0].body.contains("metadata&nbsp;changed"), "{}", edited[0].body);

    // The same again costs no write.
    let writes = stage.github.count("PATCH", "/issues/");
    assert_eq!(schedule(&stage, &tip, &[]).code, Some(8));
    assert_eq!(stage.github.count("PATCH", "/issues/"), writes);

    // All is put right: it is closed, with a last word.
    stage.aws.edit(|world| *world = before);
    assert!(!mark.is_empty());
    assert_eq!(schedule(&stage, &tip, &[]).code, Some(0));
    let closed = stage.github.issues();
    assert_eq!((closed.len(), closed[0].open, closed[0].reason.as_deref()), (1, false, Some("completed")));
    let comments = stage.github.comments(closed[0].number);
    assert_eq!(comments.len(), 1);
    insta::assert_snapshot!(stable(&comments[0].body), @"
    **Healed.** Every target is as SecretZero left it again.

    <sub>Compared with `COMMIT` · [run](https://github.com/octo/demo/actions/runs/77) · names and versions only · SecretZero VERSION</sub>
    ");
    assert_eq!(schedule(&stage, &tip, &[]).code, Some(0));
    assert_eq!(stage.github.comments(closed[0].number).len(), 1, "it is closed once");

    // What drifts later is news, and so a new issue.
    outsider(&stage, API_KEY);
    assert_eq!(schedule(&stage, &tip, &[]).code, Some(0));
    let issues = stage.github.issues();
    assert_eq!(issues.iter().map(|issue| issue.open).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn drift_alone_fails_a_job_only_where_the_workflow_says_so() {
    let (stage, tip) = synced();
    outsider(&stage, API_KEY);
    stage.aws.forget_requests();
    let ran = schedule(&stage, &tip, &[("command", "drift")]);
    for read in ["GetSecretValue", "BatchGetSecretValue", "GetParameter", "GetParameters"] {
        assert_eq!(stage.aws.count(read), 0, "{read}: looking reads no value");
    }
    assert_eq!((ran.code, stage.output("failure_reason").as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!((stage.output("result").as_str(), stage.output("drifted").as_str()), ("ok", "1"));

    let ran = schedule(&stage, &tip, &[("command", "drift"), ("fail_on", "drift")]);
    assert_eq!((ran.code, stage.output("failure_reason").as_str()), (Some(1), "drift"), "{ran:?}");
    assert_eq!((stage.output("result").as_str(), stage.output("changed").as_str()), ("failed", "false"));
    let ran = schedule(&stage, &tip, &[("fail_on", "drift")]);
    assert_eq!((ran.code, stage.output("failure_reason").as_str()), (Some(1), "drift"), "{ran:?}");
    let ran = schedule(&stage, &tip, &[("command", "drift"), ("detailed_exitcode", "true")]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(stage.aws.effects(), 0, "looking changes nothing");
    let report: serde_json::Value = serde_json::from_str(&stage.sandbox.read("secretzero-report.json")).unwrap();
    assert_eq!(report["files"][0]["drift"]["drifted"][0]["drift"], "value");
}

#[test]
fn without_the_right_to_write_issues_the_summary_has_to_do() {
    let (stage, tip) = synced_with(&super::PERMISSIONS[..3]);
    outsider(&stage, API_KEY);
    let ran = schedule(&stage, &tip, &[]);
    assert_eq!((ran.code, stage.output("drifted").as_str()), (Some(0), "1"), "{ran:?}");
    assert!(ran.stdout.contains("add `issues: write`"), "{}", ran.stdout);
    assert!(stage.sandbox.read("summary").contains("version `11111111-2222-4333-8444-555555555555` stands there"));

    let (stage, tip) = synced();
    stage.github.world().has_issues = false;
    outsider(&stage, API_KEY);
    assert_eq!(schedule(&stage, &tip, &[]).code, Some(0), "a repository may have no issues");
}

#[test]
fn a_drift_that_someone_closed_as_not_planned_is_not_told_again() {
    let (stage, tip) = synced();
    outsider(&stage, API_KEY);
    schedule(&stage, &tip, &[]);
    let number = stage.github.issues()[0].number;
    let end = |reason: &str| {
        let mut world = stage.github.world();
        let issue = world.issues.get_mut(&number).unwrap();
        (issue.open, issue.reason) = (false, Some(reason.to_owned()));
    };
    end("not_planned");
    let ran = schedule(&stage, &tip, &[]);
    assert!(ran.stdout.contains("was closed as not planned"), "{}", ran.stdout);
    assert_eq!(stage.github.issues().len(), 1);

    stage.aws.edit(|world| world.region(REGION).parameters.remove(PARAMETER));
    schedule(&stage, &tip, &[]);
    assert_eq!(stage.github.issues().len(), 2, "another drift is news");
}

#[test]
fn an_issue_of_somebody_else_with_our_marker_is_left_alone() {
    let (stage, tip) = synced();
    outsider(&stage, API_KEY);
    schedule(&stage, &tip, &[]);
    let body = stage.github.issues()[0].body.clone();
    let number = stage.github.issues()[0].number;
    stage.github.world().issues.get_mut(&number).unwrap().login = "mallory".into();
    schedule(&stage, &tip, &[]);
    let issues = stage.github.issues();
    assert_eq!((issues.len(), issues[0].body.as_str(), issues[1].open), (2, body.as_str(), true));
}

#[test]
fn a_store_that_cannot_be_looked_at_closes_no_issue() {
    let (stage, tip) = synced();
    let before = stage.aws.edit(|world| world.clone());
    outsider(&stage, API_KEY);
    schedule(&stage, &tip, &[]);
    stage.aws.edit(|world| *world = before);
    for operation in ["ListSecrets", "DescribeSecret"] {
        stage.aws.deny(operation);
    }
    let ran = schedule(&stage, &tip, &[("command", "drift"), ("retry_max_attempts", "1")]);
    assert_eq!((ran.code, stage.output("failure_reason").as_str()), (Some(4), "provider"), "{ran:?}");
    assert!(stage.github.issues()[0].open, "nobody knows whether it is healed");
    assert!(stage.sandbox.read("summary").contains("Not looked at, so nobody knows"));
}

#[test]
fn an_older_commit_and_another_branch_look_for_no_drift() {
    let (stage, tip) = synced();
    outsider(&stage, API_KEY);
    stage.github.commit("main", &[("README.md", b"newer")]);
    let ran = schedule(&stage, &tip, &[("command", "drift")]);
    assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{ran:?}");
    assert!(ran.stdout.contains("has moved on"), "{}", ran.stdout);
}

#[test]
fn the_command_line_tells_the_same() {
    let stage = Stage::with_permissions(&[]);
    let sandbox = crate::sandbox::Sandbox::with(&secretfile()).env(stage.aws.env());
    sandbox.expect(0, &["sync", "--rate-limit", "off"]);
    let drift = |code, more: &[&str]| {
        let args: Vec<&str> = ["drift", "--rate-limit", "off"].iter().chain(more).copied().collect();
        told(&sandbox.expect(code, &args).stdout)
    };
    insta::assert_snapshot!(drift(0, &["--detailed-exitcode"]), @"✓ No drift; 6 targets as SecretZero left them");
    outsider(&stage, API_KEY);
    let mark = strip_mark(&stage, ACCOUNT);
    assert!(mark.starts_with("1:"));
    stage.aws.edit(|world| {
        let region = world.region(REGION);
        region.secrets.get_mut(DATABASE).unwrap().deleted = true;
        region.parameters.get_mut(PARAMETER).unwrap().tags.insert("Environment".into(), "staging".into());
    });
    sandbox.remove(".env");
    insta::assert_snapshot!(drift(0, &[]), @"
    ! external_api_key → AWS Secrets Manager (production/myapp/api-key): its value was changed outside after generation 1: version `11111111-2222-4333-8444-555555555555` stands there, SecretZero wrote `OUR-VERSION` (Secretfile.yml:34)
      help: make a new value for all its targets with `secretzero rotate --force --secret external_api_key`, or roll back by moving `AWSCURRENT` to version `OUR-VERSION`
    ! database_password → Local file (.env): it is gone; generation 1 was written there (Secretfile.yml:52)
      help: `secretzero sync --secret database_password` copies the value in force there again
    ! database_password → AWS Secrets Manager (production/myapp/database/password): it is scheduled for deletion (Secretfile.yml:58)
      help: `secretzero sync --secret database_password` restores it
    ! database_password → AWS SSM Parameter (/production/myapp/database/password): not as the Secretfile says: `tag:Environment` (Secretfile.yml:67)
      help: `secretzero sync --secret database_password` sets it back, or declare in the Secretfile what it is to be
    ! service_account → AWS Secrets Manager (production/myapp/service-account): it carries no mark of SecretZero; the lock knows it, so its mark was stripped (Secretfile.yml:99)
      help: keep its value with `secretzero sync --adopt --secret service_account` (`adopt: true` in the Secretfile or the workflow), or replace it with `--overwrite`
    5 targets of 6 not as SecretZero left them
    ");
    drift(2, &["--detailed-exitcode"]);
    assert!(drift(0, &["--provider", "local"]).contains("1 target of 2"));
    let json: serde_json::Value = serde_json::from_str(&drift(0, &["--format", "json"])).unwrap();
    let kinds: Vec<&str> =
        json["drifted"].as_array().unwrap().iter().map(|one| one["drift"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["value", "missing", "deletion", "metadata", "unmarked"]);
    let lock = sandbox.read(".gitsecrets.lock");
    assert!(!lock.is_empty());
    stage.aws.deny("GetCallerIdentity");
    drift(4, &["--retry-max-attempts", "1"]);
    assert_eq!(sandbox.read(".gitsecrets.lock"), lock, "looking writes no lock");
}
