//! The main job from the outside: a pull request is planned and commented, a fix edits the same
//! comment, the merge is synced, a second run changes nothing, a lost lock costs nothing.

use serde_json::json;

use crate::fake::github::Fault;
use crate::job::Job;
use crate::stage::{BASE, CHANGE, LOCK_REF, Stage, opened, stable};

#[test]
fn a_pull_request_is_planned_commented_fixed_merged_and_synced() {
    let stage = Stage::new();
    let local = [("local_files", "true")];

    // The default branch has one secret, and it is synced.
    let base = stage.github.commit("main", &[("Secretfile.yml", BASE.as_bytes())]);
    stage.checkout(BASE);
    let ran = stage.push(&base, &local);
    assert_eq!(ran.code, Some(0), "{ran:?}");

    // A pull request with a slip of the finger.
    let slip = format!("{BASE}{}", CHANGE.replace("length: 32\n      special", "lenght: 32\n      special"));
    let head = stage.github.commit("change", &[("Secretfile.yml", slip.as_bytes())]);
    let pull = stage.github.open_pull("change", "main");
    stage.checkout(&slip);
    let ran = stage.pull_request(pull, &head, &[("plan_mode", "online")]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    insta::assert_snapshot!("comment_of_a_slip", stable(&stage.comment(pull)));
    let first = stage.github.comments(pull)[0].id;
    let check = stage.github.checks().pop().unwrap();
    assert_eq!((check.conclusion.as_deref(), check.head_sha.as_str()), (Some("failure"), head.as_str()));
    assert_eq!(stage.output("failure_reason"), "secretfile");

    // The fix: the same comment, now with the plan.
    let fixed = format!("{BASE}{CHANGE}");
    let head = stage.github.commit("change", &[("Secretfile.yml", fixed.as_bytes())]);
    stage.checkout(&fixed);
    stage.aws.forget_requests();
    let ran = stage.pull_request(pull, &head, &[("plan_mode", "online")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stage.github.comments(pull)[0].id, first, "edited in place");
    assert_eq!(stage.effects(), 0, "a plan writes nothing");
    assert!(stage.aws.total() > 0, "it was planned online");
    for read in ["GetSecretValue", "BatchGetSecretValue", "GetParameter", "GetParameters"] {
        assert_eq!(stage.aws.count(read), 0, "a plan reads no value");
    }
    insta::assert_snapshot!("comment_of_a_plan", stable(&stage.comment(pull)));
    let check = stage.github.checks().pop().unwrap();
    let said = format!("{} / {:?} / {}", check.name, check.conclusion, check.title);
    insta::assert_snapshot!(said, @r#"SecretZero / Some("success") / Merging changes 3 targets of 2 secrets"#);
    assert_eq!(stage.output("to_create"), "3");

    // The merge.
    let merged = stage.github.merge_pull(pull);
    let ran = stage.push(&merged, &local);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    insta::assert_snapshot!("comment_of_a_sync", stable(&stage.comment(pull)));
    let value = |name: &str| {
        let secret = stage.aws.secret(name).unwrap();
        secret.versions.iter().find(|version| version.stages.contains("AWSCURRENT")).unwrap().value.clone()
    };
    let password = value("production/myapp/database/password");
    assert_eq!(stage.aws.parameter("/production/myapp/database/password").unwrap().value, password);
    assert!(stage.sandbox.read(".env").contains(&password), "the file holds the same value");
    let account: serde_json::Value = serde_json::from_str(&value("production/myapp/service-account")).unwrap();
    let names: Vec<&String> = account.as_object().unwrap().keys().collect();
    assert_eq!(names, ["username", "password", "api_endpoint"]);
    let file: serde_json::Value = serde_json::from_str(&stage.sandbox.read(".service-account.json")).unwrap();
    assert_eq!(file["service_account"], account);

    // Once more: nothing to do, nothing written, the same lock to the byte, and the comment stays.
    let (lock, comment, effects) = (stage.lock().unwrap(), stage.comment(pull), stage.effects());
    let tip = stage.github.ref_sha(LOCK_REF);
    let ran = stage.push(&merged, &local);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("nothing to change"), "{}", ran.stdout);
    assert_eq!((stage.effects(), stage.lock().unwrap(), stage.comment(pull)), (effects, lock.clone(), comment));
    assert_eq!(stage.github.ref_sha(LOCK_REF), tip, "the ref was not written");

    // The lock is lost: nothing is generated again, and the lock comes back as it was.
    stage.github.world().refs.remove(LOCK_REF);
    let ran = stage.push(&merged, &local);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!((stage.effects(), stage.lock().unwrap()), (effects, lock));
    assert_eq!(value("production/myapp/database/password"), password);
}

#[test]
fn a_fork_is_planned_without_asking_any_store() {
    let (stage, pull, head) = opened();
    let ran = stage.job.pull_request_from(&stage.sandbox, 555, pull, &head, &[("plan_mode", "online")]);
    assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{ran:?}");
    let comment = stage.comment(pull);
    assert!(comment.contains("**Planned offline.** This pull request comes from a fork"), "{comment}");
    assert!(comment.contains("**create** | `database_password`"), "{comment}");
    assert!(comment.contains("1 target unchanged"), "what the lock knows is not new: {comment}");
}

#[test]
fn a_pull_request_that_leaves_the_secretfile_alone_passes_at_once() {
    let (stage, pull, head) = opened();
    stage.pull_request(pull, &head, &[("plan_mode", "online")]);
    assert!(stage.comment(pull).contains("Merging changes 3 targets"));

    // It takes its change back: the comment from before is set right.
    let head = stage.github.commit("change", &[("Secretfile.yml", BASE.as_bytes())]);
    stage.checkout(BASE);
    stage.aws.forget_requests();
    assert_eq!(stage.pull_request(pull, &head, &[("plan_mode", "online")]).code, Some(0));
    assert_eq!(stage.aws.total(), 0);
    assert!(stage.comment(pull).contains("Not touched by this pull request"));
    assert_eq!(stage.github.checks().pop().unwrap().conclusion.as_deref(), Some("success"));

    // One that never touched it is not commented at all.
    let head = stage.github.commit("docs", &[("README.md", b"hello")]);
    let docs = stage.github.open_pull("docs", "main");
    assert_eq!(stage.pull_request(docs, &head, &[]).code, Some(0));
    assert!(stage.github.comments(docs).is_empty());
}

#[test]
fn without_word_from_the_workflow_a_pull_request_asks_no_store() {
    let (stage, pull, head) = opened();
    assert_eq!(stage.pull_request(pull, &head, &[]).code, Some(0));
    assert_eq!(stage.aws.total(), 0);
    assert!(stage.comment(pull).contains("`plan_mode: online`"));
}

#[test]
fn a_changed_provider_block_is_never_connected() {
    let (stage, pull, _) = opened();
    let text = format!("{BASE}{CHANGE}").replace("aws_region: us-east-1", "aws_region: eu-west-1");
    let head = stage.github.commit("change", &[("Secretfile.yml", text.as_bytes())]);
    stage.checkout(&text);
    assert_eq!(stage.pull_request(pull, &head, &[("plan_mode", "online")]).code, Some(0));
    assert_eq!(stage.aws.total(), 0, "its credentials went nowhere");
    assert!(stage.comment(pull).contains("changes provider blocks or the variables they use"));
}

#[test]
fn a_switched_off_policy_still_decides() {
    let (stage, pull, _) = opened();
    let strict = BASE.replace("severity: warning", "severity: error");
    stage.github.commit("main", &[("Secretfile.yml", strict.as_bytes())]);
    let loose = format!("{}{CHANGE}", strict.replace("severity: error", "severity: error\n    enabled: false"));
    let head = stage.github.commit("change", &[("Secretfile.yml", loose.as_bytes())]);
    stage.checkout(&loose);
    let ran = stage.pull_request(pull, &head, &[("plan_mode", "online")]);
    assert_eq!((ran.code, stage.aws.total()), (Some(5), 0), "{ran:?}");
    assert!(stage.comment(pull).contains("those of the base branch decide"));
}

#[test]
fn an_event_that_cannot_be_read_is_a_strangers() {
    let (stage, pull, head) = opened();
    let ran = stage.job("pull_request", &json!({ "pull_request": 7 }), &head, &[("plan_mode", "online")]);
    assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{ran:?}");
    assert!(stage.github.comments(pull).is_empty());
    assert!(stage.sandbox.read("summary").contains("Planned offline"));
}

#[test]
fn without_the_right_to_comment_the_summary_and_a_notice_have_to_do() {
    let (stage, pull, head) = opened();
    let token = stage.github.workflow_token(&[("contents", "read")]);
    let stage = Stage { job: Job { token, ..stage.job }, ..stage };
    let ran = stage.pull_request(pull, &head, &[("plan_mode", "online")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.github.comments(pull).is_empty());
    assert!(ran.stdout.contains("::notice::The comment stands in the job summary only"), "{}", ran.stdout);
    assert!(ran.stdout.contains("pull-requests: write"), "{}", ran.stdout);
    assert!(stage.sandbox.read("summary").contains("Merging changes 3 targets"));
}

#[test]
fn without_contents_write_the_stores_are_asked_each_time() {
    let stage = Stage::with_permissions(&[("contents", "read"), ("pull-requests", "write"), ("checks", "write")]);
    let base = stage.github.commit("main", &[("Secretfile.yml", BASE.as_bytes())]);
    stage.checkout(BASE);
    let ran = stage.push(&base, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.matches("contents: write").count(), 1, "said once: {}", ran.stdout);
    assert!(stage.aws.secret("production/myapp/api-key").is_some());
    stage.aws.forget_requests();
    assert_eq!(stage.push(&base, &[]).code, Some(0));
    assert_eq!((stage.effects(), stage.lock()), (0, None));
}

#[test]
fn an_older_commit_is_never_synced_after_a_newer_one() {
    let (stage, _, _) = opened();
    let old = stage.github.ref_sha("refs/heads/main").unwrap();
    let newer = stage.github.commit("main", &[("README.md", b"hello")]);
    let ran = stage.push(&old, &[]);
    assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{ran:?}");
    assert!(ran.stdout.contains(&format!("has moved on to {newer}")), "{}", ran.stdout);
}

#[test]
fn a_broken_policy_stops_a_sync_before_any_store_is_asked() {
    let stage = Stage::new();
    let text = format!("{}{CHANGE}", BASE.replace("severity: warning", "severity: error"));
    let sha = stage.github.commit("main", &[("Secretfile.yml", text.as_bytes())]);
    stage.checkout(&text);
    let ran = stage.push(&sha, &[]);
    assert_eq!((ran.code, stage.aws.total()), (Some(5), 0), "{ran:?}");
    assert!(ran.stdout.contains("::error file=Secretfile.yml,line=98"), "{}", ran.stdout);
    assert_eq!(stage.output("failure_reason"), "policy");
}

#[test]
fn a_foreign_object_holds_its_secret_and_the_rest_goes_on() {
    let (stage, pull, head) = opened();
    let name = "production/myapp/database/password";
    let foreign = crate::fake::aws::Parameter {
        value: "theirs".into(),
        version: 3,
        kind: "SecureString".into(),
        tier: "Standard".into(),
        data_type: "text".into(),
        ..Default::default()
    };
    stage.aws.edit(|world| {
        let region = world.region(crate::fake::aws::REGION);
        region.parameters.insert(format!("/{name}"), foreign);
    });
    assert_eq!(stage.pull_request(pull, &head, &[("plan_mode", "online")]).code, Some(0));
    let comment = stage.comment(pull);
    assert!(comment.contains("**Held: nothing is written for these until someone decides.**"), "{comment}");
    let merged = stage.github.merge_pull(pull);
    let ran = stage.push(&merged, &[]);
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(stage.aws.secret(name).is_none(), "nothing was generated for it");
    assert!(stage.aws.secret("production/myapp/service-account").is_some());
    assert_eq!(stage.aws.parameter(&format!("/{name}")).unwrap().value, "theirs");
    assert_eq!(stage.output("result"), "partial");

    // With `adopt` its value is kept and spread.
    let ran = stage.push(&merged, &[("adopt", "true")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let secret = stage.aws.secret(name).unwrap();
    assert_eq!(secret.versions.last().unwrap().value, "theirs");
}

#[test]
fn a_schedule_rotates_what_is_due_and_no_more_than_it_may() {
    let stage = Stage::new();
    let hourly = format!("{BASE}{CHANGE}").replace("rotation_period: 90d", "rotation_period: 1h");
    let sha = stage.github.commit("main", &[("Secretfile.yml", hourly.as_bytes())]);
    stage.checkout(&hourly);
    assert_eq!(stage.push(&sha, &[]).code, Some(0));
    let values = || {
        ["api-key", "database/password"].map(|name| {
            let secret = stage.aws.secret(&format!("production/myapp/{name}")).unwrap();
            secret.versions.iter().find(|version| version.stages.contains("AWSCURRENT")).unwrap().value.clone()
        })
    };
    let fresh = values();
    let payload = json!({ "schedule": "0 3 * * *" });
    assert_eq!(stage.job("schedule", &payload, &sha, &[]).code, Some(0));
    assert_eq!(values(), fresh, "nothing is due yet");

    // The marks say that both were made long ago.
    stage.aws.edit(|world| {
        let region = world.region(crate::fake::aws::REGION);
        let secrets = region.secrets.values_mut().map(|secret| &mut secret.tags);
        let parameters = region.parameters.values_mut().map(|parameter| &mut parameter.tags);
        for tags in secrets.chain(parameters) {
            let mark = tags.get_mut("secretzero").unwrap();
            let (before, after) = mark.split_once(":t=").unwrap();
            let rest = after.split_once(':').map(|(_, rest)| format!(":{rest}")).unwrap_or_default();
            *mark = format!("{before}:t=1700000000{rest}");
        }
    });
    let ran = stage.job("schedule", &payload, &sha, &[("max_rotations", "1")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let changed = values().iter().zip(&fresh).filter(|(now, old)| now != old).count();
    assert_eq!(changed, 1, "one at a time: {ran:?}");
    assert_eq!(stage.job("schedule", &payload, &sha, &[]).code, Some(0));
    let now = values();
    assert!(now.iter().zip(&fresh).all(|(now, old)| now != old));
    assert_eq!(stage.aws.parameter("/production/myapp/database/password").unwrap().value, now[1]);
}

#[test]
fn a_rotation_that_cannot_reach_its_store_is_not_green() {
    let (stage, _, _) = opened();
    stage.checkout(&BASE.replace("rotation_period: 90d", "rotation_period: 1h"));
    let sha = stage.github.ref_sha("refs/heads/main").unwrap();
    stage.aws.deny("DescribeSecret");
    stage.aws.deny("ListSecrets");
    let ran = stage.job("schedule", &json!({ "schedule": "0 3 * * *" }), &sha, &[("retry_max_attempts", "1")]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_ne!(stage.output("result"), "ok");
}

#[test]
fn a_merge_that_is_refused_tells_its_pull_request() {
    let (stage, _, _) = opened();
    let strict = format!("{BASE}{CHANGE}").replace("severity: warning", "severity: error");
    stage.github.commit("strict", &[("Secretfile.yml", strict.as_bytes())]);
    let pull = stage.github.open_pull("strict", "main");
    let merged = stage.github.merge_pull(pull);
    stage.checkout(&strict);
    assert_eq!(stage.push(&merged, &[]).code, Some(5));
    let comment = stage.comment(pull);
    assert!(comment.contains("**Not synced: a policy is broken; nothing was written.**"), "{comment}");
}

#[test]
fn each_of_several_secretfiles_has_a_check_of_its_own_and_outputs_count_them_all() {
    let (stage, pull, _) = opened();
    let slip = BASE.replace("charset: alphanumeric", "charset: alfanumeric");
    let text = format!("{BASE}{CHANGE}");
    let files = [("Secretfile.yml", text.as_bytes()), ("bad.yml", slip.as_bytes()), ("also.yml", text.as_bytes())];
    let head = stage.github.commit("change", &files);
    stage.checkout(&text);
    stage.sandbox.write("bad.yml", &slip);
    stage.sandbox.write("also.yml", &text);
    let inputs = [("plan_mode", "online"), ("files", "bad.yml\nSecretfile.yml,also.yml")];
    assert_eq!(stage.pull_request(pull, &head, &inputs).code, Some(3));
    let checks = stage.github.checks().into_iter().filter(|check| check.head_sha == head);
    let said: Vec<_> = checks.map(|check| (check.name, check.conclusion.unwrap())).collect();
    let expected = [("bad.yml", "failure"), ("Secretfile.yml", "success"), ("also.yml", "success")];
    assert_eq!(said, expected.map(|(file, end)| (format!("SecretZero ({file})"), end.to_owned())));
    assert_eq!(stage.github.comments(pull).len(), 3, "one comment each");
    // The second has no base version, so it is planned offline, and everything in it is new.
    assert_eq!(stage.output("to_create"), "7");
    let report: serde_json::Value = serde_json::from_str(&stage.sandbox.read("secretzero-report.json")).unwrap();
    assert_eq!(report["files"].as_array().unwrap().len(), 3);
}

#[test]
fn a_secretfile_that_is_a_link_to_a_file_of_the_runner_is_not_read() {
    let (stage, pull, head) = opened();
    stage.sandbox.write("runner/credentials", "hunter2_as_a_key: 1\n");
    stage.sandbox.remove("Secretfile.yml");
    std::os::unix::fs::symlink(stage.sandbox.path("runner/credentials"), stage.sandbox.path("Secretfile.yml")).unwrap();
    let ran = stage.pull_request(pull, &head, &[("plan_mode", "online")]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let comment = stage.comment(pull);
    assert!(comment.contains("through a symbolic link"), "{comment}");
    assert!(!comment.contains("hunter2") && !ran.stdout.contains("hunter2"), "{ran:?}");
}

#[test]
fn a_second_run_keeps_away_from_a_lease_and_takes_over_an_expired_one() {
    let (stage, _, _) = opened();
    let sha = stage.github.ref_sha("refs/heads/main").unwrap();
    let write = |expires: &str| {
        let mut document: serde_json::Value = serde_json::from_str(&stage.lock().unwrap()).unwrap();
        document["lease"] = json!({ "holder": "1.1", "run": "https://example.test/run", "expires": expires });
        let bytes = document.to_string();
        let branch = LOCK_REF.trim_start_matches("refs/heads/");
        let mut world = stage.github.world();
        let commit = world.commit_on("scratch", &[("Secretfile.yml.lock.json", bytes.as_bytes())]);
        world.refs.insert(branch.to_owned(), commit);
    };
    write("2020-01-01T00:00:00Z");
    stage.checkout(BASE);
    assert_eq!(stage.push(&sha, &[]).code, Some(0), "an expired lease holds nobody up");
    let document: serde_json::Value = serde_json::from_str(&stage.lock().unwrap()).unwrap();
    assert_eq!((&document["lease"], &document["last_synced"]), (&json!(null), &json!(sha)));
}

/// The second move of the ref, which is the end of a run, meets this.
fn at_the_end(stage: &Stage, act: impl FnOnce(&mut crate::fake::github::World) + Send + 'static) {
    stage.github.before("PATCH", "/git/refs/", |_| ());
    stage.github.before("PATCH", "/git/refs/", act);
}

#[test]
fn a_run_whose_lease_was_taken_over_exits_7_and_leaves_the_lock_to_the_other() {
    let (stage, pull, _) = opened();
    let merged = stage.github.merge_pull(pull);
    let mut theirs: serde_json::Value = serde_json::from_str(&stage.lock().unwrap()).unwrap();
    theirs["lease"] = json!({ "holder": "9.1", "run": "https://example.test/9", "expires": "2099-01-01T00:00:00Z" });
    let bytes = theirs.to_string();
    at_the_end(&stage, move |world| {
        let commit = world.commit_on("scratch", &[("Secretfile.yml.lock.json", bytes.as_bytes())]);
        world.refs.insert(LOCK_REF.to_owned(), commit);
    });
    let ran = stage.push(&merged, &[]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert!(ran.stdout.contains("https://example.test/9"), "it names the other run: {ran:?}");
    assert_eq!(stage.lock(), Some(theirs.to_string()), "the other run's lock stays");
}

#[test]
fn a_lock_that_cannot_be_saved_at_the_end_exits_9_and_the_next_run_recovers() {
    let (stage, pull, _) = opened();
    let merged = stage.github.merge_pull(pull);
    let refused = Fault::Refuse(422, Vec::new(), "Reference cannot be updated".into());
    at_the_end(&stage, move |world| world.faults.push(("PATCH".into(), "/git/refs/".into(), 1, refused)));
    let ran = stage.push(&merged, &[]);
    assert_eq!(ran.code, Some(9), "{ran:?}");
    let contents = stage.aws.edit(|world| format!("{:?}", world.regions));
    let document: serde_json::Value = serde_json::from_str(&stage.lock().unwrap()).unwrap();
    assert!(document["lease"]["expires"].is_string(), "the dead lease stands: {document}");
    assert!(!document["intents"].as_array().unwrap().is_empty(), "so do its intents: {document}");
    // The same CI run, attempted again, need not wait for its own lease.
    let again = stage.job.push_again(&stage.sandbox, &merged, 2);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(stage.aws.edit(|world| format!("{:?}", world.regions)), contents, "nothing was written again");
    let document: serde_json::Value = serde_json::from_str(&stage.lock().unwrap()).unwrap();
    assert_eq!((&document["lease"], &document["intents"]), (&json!(null), &json!(null)));
    assert_eq!(document["lock"]["secrets"].as_array().unwrap().len(), 3);
}

#[test]
fn the_readme_shows_the_comment_as_it_is() {
    let readme = include_str!("../../README.md");
    let (_, after) = readme.split_once("<!-- comment sample: begin -->\n").unwrap();
    let (shown, _) = after.split_once("\n<!-- comment sample: end -->").unwrap();
    let shown: Vec<&str> = shown.lines().map(|line| line.strip_prefix("> ").unwrap_or(&line[1..])).collect();
    let snapshot = include_str!("snapshots/it__flow__comment_of_a_plan.snap");
    let (_, comment) = snapshot.split_once("---\n<!--").unwrap();
    let comment: Vec<&str> = comment.lines().skip(1).collect();
    assert_eq!(shown, comment);
}
