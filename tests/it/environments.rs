//! A Secretfile with several environments in the job: one comment, one check, one lock and marks of
//! its own for each.

use crate::stage::Stage;

const FILE: &str = "
metadata:
  project: shop
environments:
  production:
    var_files: [environments/production.yml]
  staging:
    variables:
      region: us-east-1
providers:
  aws:
    kind: aws
    auth:
      kind: ambient
      config:
        region: ${region}
secrets:
  - name: api_key
    kind: random_password
    targets:
      - provider: aws
        kind: secrets_manager
        config:
          name: ${stage}/api-key
variables:
  stage: staging
";
const PRODUCTION: &str = "stage: production\nregion: us-east-1\n";
const VAR_FILE: &str = "environments/production.yml";

fn checkout(stage: &Stage, file: &str, variables: &str) {
    stage.checkout(file);
    stage.sandbox.write(VAR_FILE, variables);
}

fn commit(stage: &Stage, branch: &str, file: &str, variables: &str) -> String {
    checkout(stage, file, variables);
    stage.github.commit(branch, &[("Secretfile.yml", file.as_bytes()), (VAR_FILE, variables.as_bytes())])
}

/// The comments of a pull request by environment.
fn comments(stage: &Stage, pull: u64) -> (String, String) {
    let of = |name: &str| {
        let own = format!(" environment={name} -->");
        let mut found = stage.github.comments(pull).into_iter().filter(|comment| comment.body.contains(&own));
        let body = found.next().map(|comment| comment.body).unwrap_or_default();
        assert!(found.next().is_none(), "one comment for {name}");
        body
    };
    (of("production"), of("staging"))
}

/// A synced base.
fn synced() -> Stage {
    let stage = Stage::new();
    let sha = commit(&stage, "main", FILE, PRODUCTION);
    let ran = stage.push(&sha, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    stage
}

#[test]
fn each_environment_is_synced_with_a_lock_a_check_and_marks_of_its_own() {
    let stage = synced();
    let mark = |name: &str| stage.aws.secret(name).unwrap().tags["secretzero"].clone();
    let (production, staging) = (mark("production/api-key"), mark("staging/api-key"));
    let environment = |mark: &str| mark.split(':').find(|part| part.starts_with("e=")).unwrap().to_owned();
    assert_ne!(environment(&production), environment(&staging));
    let locks: Vec<String> =
        stage.github.world().refs.keys().filter(|name| name.starts_with("refs/secretzero/")).cloned().collect();
    assert_eq!(locks.len(), 2, "{locks:?}");
    let names: Vec<String> = stage.github.checks().into_iter().map(|check| check.name).collect();
    assert_eq!(names, ["SecretZero (production)", "SecretZero (staging)"]);
}

#[test]
fn a_job_that_names_one_environment_leaves_the_others_alone() {
    let stage = Stage::new();
    let sha = commit(&stage, "main", FILE, PRODUCTION);
    assert_eq!(stage.push(&sha, &[("environment", "staging")]).code, Some(0));
    assert!(stage.aws.secret("staging/api-key").is_some() && stage.aws.secret("production/api-key").is_none());
    let ran = stage.push(&sha, &[("environment", "stagin")]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stdout.contains("staging"), "it names the nearest: {}", ran.stdout);
}

#[test]
fn a_pull_request_that_changes_a_file_of_variables_touches_that_environment_alone() {
    let stage = synced();
    let moved = PRODUCTION.replace("stage: production", "stage: live");
    let head = commit(&stage, "change", FILE, &moved);
    let pull = stage.github.open_pull("change", "main");
    let ran = stage.pull_request(pull, &head, &[("plan_mode", "online")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let (production, staging) = comments(&stage, pull);
    assert!(production.contains("`live/api-key`"), "{production}");
    assert_eq!(staging, "", "nothing changes there");

    let merged = stage.github.merge_pull(pull);
    let ran = stage.push(&merged, &[("require_plan", "true")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.aws.secret("live/api-key").is_some());
}

#[test]
fn a_provider_that_a_changed_file_of_variables_steers_is_never_connected() {
    let stage = synced();
    let elsewhere = PRODUCTION.replace("us-east-1", "eu-west-1");
    let head = commit(&stage, "change", FILE, &elsewhere);
    let pull = stage.github.open_pull("change", "main");
    stage.aws.forget_requests();
    let ran = stage.pull_request(pull, &head, &[("plan_mode", "online")]);
    assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{ran:?}");
    assert!(comments(&stage, pull).0.contains("changes provider blocks or the variables they use"));
}

#[test]
fn a_bad_file_of_variables_is_told_at_the_line_that_names_it() {
    let stage = synced();
    let head = commit(&stage, "change", FILE, "stage: production\nregion: [us-east-1]\n");
    let pull = stage.github.open_pull("change", "main");
    let ran = stage.pull_request(pull, &head, &[]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let (production, staging) = comments(&stage, pull);
    assert!(production.contains("`environments/production.yml`, line 2: "), "{production}");
    assert!(production.contains("[line 6]("), "{production}");
    assert_eq!(staging, "");
}
