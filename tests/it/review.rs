//! What was reviewed is what runs: a sync holds or names what no merged pull request's plan had shown.

use crate::fake::github::Fault;
use crate::stage::{BASE, CHANGE, LOCK_REF, Stage, opened};

const STRICT: [(&str, &str); 1] = [("require_plan", "true")];
const ONLINE: [(&str, &str); 1] = [("plan_mode", "online")];

fn account() -> &'static str {
    "production/myapp/service-account"
}

#[test]
fn a_reviewed_change_is_synced_and_nothing_is_said_of_its_review() {
    let (stage, pull, head) = opened();
    assert_eq!(stage.pull_request(pull, &head, &ONLINE).code, Some(0));
    let merged = stage.github.merge_pull(pull);
    let ran = stage.push(&merged, &STRICT);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.aws.secret(account()).is_some());
    assert_eq!(stage.output("unreviewed"), "0");
    assert!(!stage.comment(pull).contains("Review:") && !stage.comment(pull).contains("not shown"));
}

#[test]
fn a_direct_push_is_held_where_a_plan_is_required_and_named_where_not() {
    let (stage, _, _) = opened();
    let text = format!("{BASE}{CHANGE}");
    let sha = stage.github.commit("main", &[("Secretfile.yml", text.as_bytes())]);
    let ran = stage.push(&sha, &STRICT);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(stage.aws.secret(account()).is_none(), "nothing was written");
    assert_eq!((stage.output("failure_reason"), stage.output("unreviewed")), ("stale_plan".into(), "3".into()));
    insta::assert_snapshot!("summary_of_a_held_push", crate::stage::stable(&stage.sandbox.read("summary")));

    let ran = stage.push(&sha, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.aws.secret(account()).is_some());
    insta::assert_snapshot!("summary_of_a_named_push", crate::stage::stable(&stage.sandbox.read("summary")));
}

#[test]
fn what_changed_between_review_and_merge_is_held_and_the_rest_goes_on() {
    let (stage, pull, head) = opened();
    assert_eq!(stage.pull_request(pull, &head, &ONLINE).code, Some(0));
    stage.github.merge_pull(pull);
    // Somebody pushes over it: the service account now goes to another place than was shown.
    let text = format!("{BASE}{CHANGE}").replace("${app_name}/service-account", "${app_name}/elsewhere");
    let sha = stage.github.commit("main", &[("Secretfile.yml", text.as_bytes())]);
    stage.checkout(&text);
    let ran = stage.push(&sha, &STRICT);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(stage.aws.secret("production/myapp/elsewhere").is_none());
    assert!(stage.aws.secret("production/myapp/database/password").is_some(), "what was shown is done");
    let comment = stage.comment(pull);
    assert!(comment.contains("no merged pull request showed that it would create"), "{comment}");
}

#[test]
fn an_offline_plan_approves_new_objects_and_nothing_riskier() {
    let (stage, pull, head) = opened();
    assert_eq!(stage.pull_request(pull, &head, &[("plan_mode", "offline")]).code, Some(0));
    let merged = stage.github.merge_pull(pull);
    assert_eq!(stage.push(&merged, &STRICT).code, Some(0), "creations were shown");

    // A second place for a value that exists is a copy, which an offline plan cannot tell.
    let copy = "      - provider: aws\n        kind: ssm_parameter\n        config:\n          name: /copy/service\n          type: SecureString\n";
    let text = format!("{BASE}{CHANGE}{copy}");
    let head = stage.github.commit("copy", &[("Secretfile.yml", text.as_bytes())]);
    let pull = stage.github.open_pull("copy", "main");
    stage.checkout(&text);
    assert_eq!(stage.pull_request(pull, &head, &[("plan_mode", "offline")]).code, Some(0));
    let merged = stage.github.merge_pull(pull);
    let ran = stage.push(&merged, &STRICT);
    assert_eq!((ran.code, stage.aws.parameter("/copy/service").is_some()), (Some(6), false), "{ran:?}");
}

#[test]
fn a_sync_whose_run_was_dropped_is_reviewed_by_every_pull_request_since() {
    let (stage, pull, head) = opened();
    assert_eq!(stage.pull_request(pull, &head, &ONLINE).code, Some(0));
    stage.github.merge_pull(pull);
    // The queue dropped the run of that merge; another pull request comes in before the next.
    let docs = stage.github.commit("docs", &[("README.md", b"hello")]);
    let other = stage.github.open_pull("docs", "main");
    assert_eq!(stage.pull_request(other, &docs, &ONLINE).code, Some(0));
    let merged = stage.github.merge_pull(other);
    let ran = stage.push(&merged, &STRICT);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.comment(pull).contains("**Synced: 3 targets written.**"), "both are told");
}

#[test]
fn what_an_earlier_sync_had_begun_is_finished_without_a_new_review() {
    let (stage, pull, head) = opened();
    assert_eq!(stage.pull_request(pull, &head, &[("plan_mode", "offline")]).code, Some(0));
    let merged = stage.github.merge_pull(pull);
    stage.aws.deny("PutParameter");
    let ran = stage.push(&merged, &[("require_plan", "true"), ("retry_max_attempts", "1")]);
    assert_eq!(ran.code, Some(8), "{ran:?}");
    stage.aws.allow_all();
    let ran = stage.push(&merged, &STRICT);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.aws.parameter("/production/myapp/database/password").is_some());
}

#[test]
fn a_rotation_does_not_pass_for_the_sync_of_its_commit() {
    let (stage, pull, head) = opened();
    assert_eq!(stage.pull_request(pull, &head, &ONLINE).code, Some(0));
    let merged = stage.github.merge_pull(pull);
    // The run of the merge was dropped, a schedule comes first, and then a push that changes nothing.
    let schedule = serde_json::json!({ "schedule": "0 3 * * *" });
    assert_eq!(stage.job("schedule", &schedule, &merged, &[("max_rotations", "0")]).code, Some(0));
    let docs = stage.github.commit("main", &[("README.md", b"hello")]);
    let ran = stage.push(&docs, &STRICT);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.aws.secret(account()).is_some(), "the pull request still counts");
}

/// Everything was made long ago, so all that has a period is due.
fn all_is_due(stage: &Stage) {
    stage.aws.edit(|world| {
        let region = world.region(crate::fake::aws::REGION);
        let secrets = region.secrets.values_mut().map(|secret| &mut secret.tags);
        let parameters = region.parameters.values_mut().map(|parameter| &mut parameter.tags);
        for tags in secrets.chain(parameters) {
            let mark = tags.get_mut("secretzero").unwrap();
            *mark = format!("{}:t=1700000000", mark.split_once(":t=").unwrap().0);
        }
    });
}

#[test]
fn a_rotation_brings_nothing_along_that_was_not_reviewed() {
    let (stage, _, _) = opened();
    let copy = "      - {provider: aws, kind: ssm_parameter, config: {name: /copy/key, type: SecureString}}\n";
    let text = BASE.replace("    targets:\n", &format!("    targets:\n{copy}"));
    let sha = stage.github.commit("main", &[("Secretfile.yml", text.as_bytes())]);
    stage.checkout(&text);
    assert_eq!(stage.push(&sha, &STRICT).code, Some(6), "a new place was pushed past review");
    all_is_due(&stage);
    let before = stage.aws.secret("production/myapp/api-key").unwrap().value().unwrap().to_owned();
    let schedule = serde_json::json!({ "schedule": "0 3 * * *" });
    let ran = stage.job("schedule", &schedule, &sha, &STRICT);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(stage.aws.parameter("/copy/key").is_none(), "{ran:?}");
    assert_eq!(stage.aws.secret("production/myapp/api-key").unwrap().value().unwrap(), before);

    // Without the new place it rotates as ever.
    let sha = stage.github.commit("main", &[("Secretfile.yml", BASE.as_bytes())]);
    stage.checkout(BASE);
    let ran = stage.job("schedule", &schedule, &sha, &STRICT);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_ne!(stage.aws.secret("production/myapp/api-key").unwrap().value().unwrap(), before);
}

#[test]
fn a_weaker_generator_and_another_provider_are_not_what_was_reviewed() {
    for (what, was, now) in [
        (
            "generator",
            "length: 32\n      special: true\n      exclude",
            "length: 8\n      special: false\n      exclude",
        ),
        ("provider", "aws_region: us-east-1", "aws_region: eu-west-1"),
    ] {
        let (stage, pull, head) = opened();
        assert_eq!(stage.pull_request(pull, &head, &ONLINE).code, Some(0));
        stage.github.merge_pull(pull);
        let text = format!("{BASE}{CHANGE}").replacen(was, now, 1);
        assert_ne!(text, format!("{BASE}{CHANGE}"), "{what}: the fixture has changed");
        let sha = stage.github.commit("main", &[("Secretfile.yml", text.as_bytes())]);
        stage.checkout(&text);
        let ran = stage.push(&sha, &STRICT);
        assert_eq!(ran.code, Some(6), "{what}: {ran:?}");
    }
}

#[test]
fn the_plan_job_of_a_merged_pull_request_does_not_erase_its_review() {
    let (stage, pull, head) = opened();
    assert_eq!(stage.pull_request(pull, &head, &ONLINE).code, Some(0));
    let merged = stage.github.merge_pull(pull);
    assert_eq!(stage.pull_request(pull, &head, &ONLINE).code, Some(0), "somebody runs it again");
    let ran = stage.push(&merged, &STRICT);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_rotation_leaves_what_a_sync_had_begun_to_the_next_sync() {
    let (stage, pull, head) = opened();
    assert_eq!(stage.pull_request(pull, &head, &[("plan_mode", "offline")]).code, Some(0));
    let merged = stage.github.merge_pull(pull);
    stage.aws.deny("PutParameter");
    assert_eq!(stage.push(&merged, &[("require_plan", "true"), ("retry_max_attempts", "1")]).code, Some(8));
    stage.aws.allow_all();
    let schedule = serde_json::json!({ "schedule": "0 3 * * *" });
    stage.job("schedule", &schedule, &merged, &STRICT);
    let ran = stage.push(&merged, &STRICT);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.aws.parameter("/production/myapp/database/password").is_some());
}

#[test]
fn what_ran_without_a_review_is_not_reviewed_by_having_begun() {
    let (stage, _, _) = opened();
    let text = format!("{BASE}{CHANGE}");
    let sha = stage.github.commit("main", &[("Secretfile.yml", text.as_bytes())]);
    stage.aws.deny("PutParameter");
    assert_eq!(stage.push(&sha, &[("retry_max_attempts", "1")]).code, Some(8), "warn lets it run");
    stage.aws.allow_all();
    let ran = stage.push(&sha, &STRICT);
    assert_eq!(ran.code, Some(6), "{ran:?}");
}

#[test]
fn a_lock_ref_of_ones_own_keeps_environments_apart() {
    let stage = Stage::new();
    for (environment, app) in [("production", "myapp"), ("staging", "staged")] {
        let text = BASE.replace("app_name: myapp", &format!("app_name: {app}"));
        let sha = stage.github.commit("main", &[("Secretfile.yml", text.as_bytes())]);
        stage.checkout(&text);
        let ran = stage.push(&sha, &[("environment", environment), ("lock_ref", "locks")]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    for environment in ["production", "staging"] {
        let file = format!("Secretfile.yml@{environment}.lock.json");
        assert!(stage.github.file("refs/heads/locks", &file).is_some(), "{file}");
    }
    let names: Vec<String> = stage.github.checks().into_iter().map(|check| check.name).collect();
    assert_eq!(names, ["SecretZero (production)", "SecretZero (staging)"], "and their checks too");
}

#[test]
fn policies_of_the_base_decide_whatever_environment_or_variable_is_missing() {
    let stage = Stage::new();
    let environments = "environments: {prod: {variables: {x: a}}}\n";
    let strict = format!("{environments}{}", BASE.replace("severity: warning", "severity: error"));
    let sha = stage.github.commit("main", &[("Secretfile.yml", strict.as_bytes())]);
    stage.checkout(&strict);
    assert_eq!(stage.push(&sha, &[]).code, Some(0));
    let loose = format!("{}{CHANGE}", strict.replace("prod:", "produ:").replace("enabled: true", "enabled: false"));
    let (policies, secrets) = (loose.find("policies:").unwrap(), loose.find("secrets:").unwrap());
    let loose = format!("{}{}", &loose[..policies], &loose[secrets..]);
    let head = stage.github.commit("change", &[("Secretfile.yml", loose.as_bytes())]);
    let pull = stage.github.open_pull("change", "main");
    stage.checkout(&loose);
    let ran = stage.pull_request(pull, &head, &ONLINE);
    assert_eq!(ran.code, Some(5), "a renamed environment shakes no policy off: {ran:?}");

    // The base uses a variable that this job does not have.
    let stage = Stage::new();
    let text = |project: &str| BASE.replace("severity: warning", "severity: error").replace("aws_region}", project);
    let base = text("REGION_OF_THE_OTHER_JOB}");
    stage.github.commit("main", &[("Secretfile.yml", base.as_bytes())]);
    let loose = format!("{BASE}{CHANGE}");
    let (policies, secrets) = (loose.find("policies:").unwrap(), loose.find("secrets:").unwrap());
    let loose = format!("{}{}", &loose[..policies], &loose[secrets..]);
    let head = stage.github.commit("change", &[("Secretfile.yml", loose.as_bytes())]);
    let pull = stage.github.open_pull("change", "main");
    stage.checkout(&loose);
    assert_eq!(stage.pull_request(pull, &head, &ONLINE).code, Some(5));
}

#[test]
fn a_check_that_somebody_else_made_approves_nothing() {
    let (stage, pull, head) = opened();
    assert_eq!(stage.pull_request(pull, &head, &ONLINE).code, Some(0));
    for check in &mut stage.github.world().checks {
        check.app = "another-app".into();
    }
    let merged = stage.github.merge_pull(pull);
    let ran = stage.push(&merged, &STRICT);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(stage.sandbox.read("summary").contains("had no plan that this token's own identity made"));
}

#[test]
fn a_review_that_cannot_be_read_counts_as_none() {
    let (stage, pull, head) = opened();
    assert_eq!(stage.pull_request(pull, &head, &ONLINE).code, Some(0));
    let merged = stage.github.merge_pull(pull);
    stage.github.fault("GET", "/check-runs", 100, Fault::Refuse(500, Vec::new(), "down".into()));
    let ran = stage.push(&merged, &STRICT);
    assert_eq!((ran.code, stage.aws.secret(account()).is_none()), (Some(6), true), "{ran:?}");
}

#[test]
fn a_branch_that_was_set_back_is_not_synced_backwards() {
    let (stage, pull, head) = opened();
    assert_eq!(stage.pull_request(pull, &head, &ONLINE).code, Some(0));
    let before = stage.github.ref_sha("refs/heads/main").unwrap();
    let merged = stage.github.merge_pull(pull);
    assert_eq!(stage.push(&merged, &[]).code, Some(0));
    stage.github.world().refs.insert("refs/heads/main".into(), before.clone());
    stage.checkout(BASE);
    let effects = stage.effects();
    let ran = stage.push(&before, &[]);
    assert_eq!((ran.code, stage.effects()), (Some(1), effects), "{ran:?}");
    assert!(ran.stdout.contains("was synced before and is newer than this commit"), "{}", ran.stdout);

    // The lock may be thrown away: then the stores are asked, and nothing is lost.
    stage.github.world().refs.remove(LOCK_REF);
    assert_eq!(stage.push(&before, &[]).code, Some(0));
}

#[test]
fn a_pull_request_into_another_branch_is_offline_unless_that_branch_is_a_base() {
    let stage = Stage::new();
    let strict = BASE.replace("severity: warning", "severity: error");
    let base = stage.github.commit("main", &[("Secretfile.yml", strict.as_bytes())]);
    stage.github.commit("release", &[("Secretfile.yml", BASE.as_bytes())]);
    stage.checkout(&strict);
    assert_eq!(stage.push(&base, &[]).code, Some(0));
    let text = format!("{BASE}{CHANGE}");
    let head = stage.github.commit("change", &[("Secretfile.yml", text.as_bytes())]);
    let pull = stage.github.open_pull("change", "release");
    stage.checkout(&text);
    stage.aws.forget_requests();
    let mut payload = stage.job.pull_request_event(1001, pull, &head);
    payload["pull_request"]["base"]["ref"] = "release".into();
    let ran = stage.job.run(&stage.sandbox, "pull_request", &payload, &head, &ONLINE);
    assert_eq!((ran.code, stage.aws.total()), (Some(5), 0), "the default branch's policies decide: {ran:?}");
    assert!(stage.comment(pull).contains("neither the default branch nor named by `base_branches`"));

    let inputs = [("plan_mode", "online"), ("base_branches", "release")];
    let ran = stage.job.run(&stage.sandbox, "pull_request", &payload, &head, &inputs);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.aws.total() > 0, "it was planned online");
}

#[test]
fn a_base_that_cannot_be_asked_never_passes() {
    let (stage, pull, head) = opened();
    stage.github.fault("GET", "/contents/", 100, Fault::Refuse(500, Vec::new(), "down".into()));
    let ran = stage.pull_request(pull, &head, &ONLINE);
    assert_eq!((ran.code, stage.aws.total()), (Some(1), 0), "{ran:?}");
    assert_eq!(stage.github.checks().pop().unwrap().conclusion.as_deref(), Some("failure"));
}

#[test]
fn patterns_find_secretfiles_and_each_has_its_own_comment_check_and_lock() {
    let stage = Stage::new();
    let files = ["services/a/Secretfile.yml", "services/b/Secretfile.yml"];
    let text = |name: &str| BASE.replace("app_name: myapp", &format!("app_name: {name}"));
    let commit: Vec<(&str, Vec<u8>)> =
        files.iter().zip(["a", "b"]).map(|(file, name)| (*file, text(name).into_bytes())).collect();
    let base: Vec<(&str, &[u8])> = commit.iter().map(|(file, bytes)| (*file, bytes.as_slice())).collect();
    let sha = stage.github.commit("main", &base);
    for (file, name) in files.iter().zip(["a", "b"]) {
        stage.sandbox.write(file, &text(name));
    }
    stage.sandbox.write(".git/Secretfile.yml", "not: one");
    let inputs = [("files", "services/*/Secretfile.yml")];
    let ran = stage.push(&sha, &inputs);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for (file, name) in files.iter().zip(["a", "b"]) {
        assert!(stage.aws.secret(&format!("production/{name}/api-key")).is_some());
        assert!(stage.github.file(LOCK_REF, &format!("{file}.lock.json")).is_some(), "{file} has its own lock");
    }
    let names: Vec<String> = stage.github.checks().into_iter().map(|check| check.name).collect();
    assert_eq!(names, files.map(|file| format!("SecretZero ({file})")));

    stage.sandbox.write("services/c\n::error::spoken/Secretfile.yml", &text("c"));
    let ran = stage.push(&sha, &inputs);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(!ran.stdout.contains("\n::error::spoken"), "{}", ran.stdout);
    stage.sandbox.remove("services/c\n::error::spoken/Secretfile.yml");

    let ran = stage.push(&sha, &[("files", "nothing/**")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("no Secretfile matches"), "{}", ran.stdout);
    assert_eq!(stage.push(&sha, &[("files", "a[")]).code, Some(1), "a pattern that is none");
}
