//! What is synced is what the default branch's newest commit has: without a token nobody can tell which
//! one that is, and a workflow may check out any other.

use serde_json::{Value, json};

use crate::sandbox::Ran;
use crate::stage::{BASE, Stage, opened};

/// A synced repository, its tip, and a branch that nobody has reviewed.
fn synced(text: &str, more: &[(&str, &[u8])]) -> (Stage, String) {
    let stage = Stage::new();
    let tip = stage.github.commit("main", &[&[("Secretfile.yml", text.as_bytes())], more].concat());
    for (path, bytes) in more {
        stage.sandbox.write_bytes(path, bytes);
    }
    stage.checkout(text);
    let ran = stage.push(&tip, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    stage.aws.forget_requests();
    (stage, tip)
}

/// Another place than the base's.
fn other() -> String {
    BASE.replace("${app_name}/api-key", "${app_name}/elsewhere")
}

fn dispatch(command: &str) -> Value {
    let repository = json!({ "default_branch": "main" });
    json!({ "ref": "refs/heads/main", "inputs": { "command": command }, "repository": repository })
}

/// Every event that may write or look as whoever syncs.
fn all(stage: &Stage, sha: &str) -> Vec<(&'static str, Ran)> {
    let schedule = json!({ "schedule": "17 4 * * *" });
    vec![
        ("push", stage.push(sha, &[])),
        ("schedule", stage.job("schedule", &schedule, sha, &[])),
        ("schedule, sync", stage.job("schedule", &schedule, sha, &[("command", "sync")])),
        ("schedule, drift", stage.job("schedule", &schedule, sha, &[("command", "drift")])),
        ("dispatch of a sync", stage.job("workflow_dispatch", &dispatch("sync"), sha, &[])),
        ("dispatch of a rotation", stage.job("workflow_dispatch", &dispatch("rotate"), sha, &[])),
        ("dispatch of drift", stage.job("workflow_dispatch", &dispatch(""), sha, &[("command", "drift")])),
    ]
}

fn nobody_was_asked(stage: &Stage, sha: &str, says: &str) {
    for (what, ran) in all(stage, sha) {
        assert_eq!((ran.code, stage.aws.total()), (Some(1), 0), "{what}: {ran:?}");
        assert!(ran.stdout.contains(says), "{what}: {ran:?}");
    }
}

#[test]
fn without_a_token_nothing_is_synced_rotated_or_looked_at() {
    let (mut stage, tip) = synced(BASE, &[]);
    stage.job.token = String::new();
    nobody_was_asked(&stage, &tip, "cannot be asked without a token");
    assert_eq!((stage.output("result"), stage.output("changed")), ("failed".into(), "false".into()));
    stage.job.reference = "refs/heads/feature".to_owned();
    let sha = stage.github.commit("feature", &[("Secretfile.yml", other().as_bytes())]);
    stage.checkout(&other());
    let schedule = json!({ "schedule": "17 4 * * *" });
    let ran = stage.job("schedule", &schedule, &sha, &[]);
    assert_eq!((ran.code, stage.aws.total()), (Some(1), 0), "{ran:?}");
}

#[test]
fn a_plan_without_a_token_asks_no_store() {
    let (mut stage, tip) = synced(BASE, &[]);
    let planned = |stage: &Stage| {
        let ran = stage.job("workflow_dispatch", &dispatch("plan"), &tip, &[]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        stage.aws.total()
    };
    assert!(planned(&stage) > 0, "with one it is planned online");
    stage.aws.forget_requests();
    stage.job.token = String::new();
    assert_eq!(planned(&stage), 0);
    let summary = stage.sandbox.read("summary");
    assert!(summary.contains("There is no token to ask which commit is the newest one"), "{summary}");
}

#[test]
fn what_another_commit_has_is_not_synced_as_the_tips() {
    let (stage, tip) = synced(BASE, &[]);
    stage.checkout(&other());
    nobody_was_asked(&stage, &tip, "is not that of");
    assert!(stage.sandbox.read("summary").is_empty(), "drift tells an error alone");
    stage.push(&tip, &[]);
    let summary = stage.sandbox.read("summary");
    assert!(summary.contains("Not synced: another checkout") && summary.contains("actions/checkout"), "{summary}");

    let ran = stage.job("workflow_dispatch", &dispatch("plan"), &tip, &[("plan_mode", "online")]);
    assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{ran:?}");
    assert!(stage.sandbox.read("summary").contains("is not that of"));

    // Lines that end otherwise mean the same.
    stage.checkout(&BASE.replace('\n', "\r\n"));
    assert_eq!(stage.push(&tip, &[]).code, Some(0));
    assert!(stage.aws.total() > 0);
}

#[test]
fn a_secretfile_that_the_tip_does_not_have_is_not_synced() {
    let (stage, tip) = synced(BASE, &[]);
    stage.sandbox.write("more/Secretfile.yml", &other());
    let ran = stage.push(&tip, &[("files", "more/Secretfile.yml")]);
    assert_eq!((ran.code, stage.aws.total()), (Some(1), 0), "{ran:?}");
    assert!(ran.stdout.contains("has no such file"), "{ran:?}");
}

#[test]
fn the_files_of_variables_are_the_tips_as_well() {
    let text = BASE.replace("providers:\n", "environments:\n  prod:\n    var_files: [prod.yml]\nproviders:\n");
    let (stage, tip) = synced(&text, &[("prod.yml", b"app_name: shop\n")]);
    stage.sandbox.write("prod.yml", "app_name: elsewhere\n");
    nobody_was_asked(&stage, &tip, "is not that of");
    stage.sandbox.write("prod.yml", "app_name: shop\n");
    assert_eq!(stage.push(&tip, &[]).code, Some(0));
}

#[test]
fn a_file_that_a_login_reads_is_the_tips_or_the_jobs_own() {
    let block = "  more: {kind: vault, auth: {kind: token, config: {url: 'https://vault.example.com', token: x, ca_cert: ca.pem}}}\n  local:\n";
    let text = BASE.replace("  local:\n", block);
    let (mut stage, tip) = synced(&text, &[("ca.pem", b"ours")]);
    stage.sandbox.write("ca.pem", "of another commit");
    nobody_was_asked(&stage, &tip, "names a file of the checkout that is not that of");
    stage.sandbox.write("ca.pem", "ours");
    assert_eq!(stage.push(&tip, &[]).code, Some(0));

    // An earlier step wrote it; no commit has such a file.
    stage.job.cloud.insert("AWS_CONFIG_FILE".to_owned(), "own-config".to_owned());
    stage.sandbox.write("own-config", "[default]\nregion = us-east-1\n");
    stage.aws.forget_requests();
    assert_eq!(stage.push(&tip, &[]).code, Some(0));
    assert!(stage.aws.total() > 0);
}

#[test]
fn a_job_of_a_pull_request_that_was_merged_since_is_not_run_again() {
    let (stage, pull, head) = opened();
    let online = [("plan_mode", "online")];
    stage.github.merge_pull(pull);
    let checks = stage.github.checks().len();
    let ran = stage.pull_request(pull, &head, &online);
    assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{ran:?}");
    assert!(ran.stdout.contains("was closed since"), "{ran:?}");
    assert_eq!((stage.github.checks().len(), stage.github.comments(pull).len()), (checks, 0));
}
