//! What is in the way of a sync: it is told with its place and what to do, and the rest goes on.

use std::path::Path;

use crate::fake::aws::REGION;

use super::{PAIR, SHOP, Stage};

/// Puts a secret there that is not ours.
fn occupy(stage: &Stage, name: &str, value: &str) {
    let foreign = Stage::with(PAIR);
    foreign.told(0, &["sync"]);
    let mut secret = foreign.aws.secret("pair/token").unwrap();
    secret.tags.clear();
    for version in &mut secret.versions {
        version.value = value.into();
    }
    stage.aws.edit(|world| world.region(REGION).secrets.insert(name.into(), secret));
}

#[test]
fn a_foreign_object_holds_its_secret_and_the_rest_goes_on() {
    let stage = Stage::with(SHOP);
    occupy(&stage, "production/myapp/api-key", "theirs");
    insta::assert_snapshot!(stage.told(8, &["sync", "--dry-run"]), @"
    [DRY RUN] Would create:
      ✓ database_password → Local file (.env)
      ✓ database_password → AWS Secrets Manager (production/myapp/database/password)
      ✓ database_password → AWS SSM Parameter (/production/myapp/database/password)
      ✓ service_account → AWS Secrets Manager (production/myapp/service-account)
      ✓ service_account → Local file (.service-account.json)
    ≈ $0.80 more a month (0.40 → 1.20) · about 1 s under the documented quotas
    --- stderr
    ✗ external_api_key: AWS Secrets Manager `production/myapp/api-key` is not ours: it carries no mark of SecretZero (Secretfile.yml:54)
      help: keep its value with `--adopt` or `adopt: true`, or replace it with `--overwrite`
    ! 1 secret held
    ");
    insta::assert_snapshot!(stage.told(8, &["sync"]), @"
    ✓ Generated database_password
    ✓ Created local file: .env
    ✓ Created AWS Secrets Manager secret: production/myapp/database/password
    ✓ Created AWS SSM Parameter: /production/myapp/database/password
    ✓ Generated service_account
    ✓ Created AWS Secrets Manager secret: production/myapp/service-account
    ✓ Created local file: .service-account.json
    ✓ Updated .gitsecrets.lock
    --- stderr
    ✗ external_api_key: AWS Secrets Manager `production/myapp/api-key` is not ours: it carries no mark of SecretZero (Secretfile.yml:54)
      help: keep its value with `--adopt` or `adopt: true`, or replace it with `--overwrite`
    ! 1 secret held
    ");
    assert_eq!(stage.value("production/myapp/api-key"), "theirs");
    insta::assert_snapshot!(stage.told(8, &["sync"]), @"
    --- stderr
    ✗ external_api_key: AWS Secrets Manager `production/myapp/api-key` is not ours: it carries no mark of SecretZero (Secretfile.yml:54)
      help: keep its value with `--adopt` or `adopt: true`, or replace it with `--overwrite`
    ! 1 secret held
    ");
}

#[test]
fn adopt_keeps_the_value_of_a_foreign_object() {
    let stage = Stage::with(SHOP);
    occupy(&stage, "production/myapp/database/password", "theirs");
    insta::assert_snapshot!(stage.told(0, &["sync", "--dry-run", "--adopt"]), @"
    [DRY RUN] Would copy the value in force to new places:
      ✓ database_password → Local file (.env) — copied from AWS Secrets Manager `production/myapp/database/password`
      ✓ database_password → AWS SSM Parameter (/production/myapp/database/password) — copied from AWS Secrets Manager `production/myapp/database/password`
    [DRY RUN] Would take over, keeping the value:
      ✓ database_password → AWS Secrets Manager (production/myapp/database/password) — its value is kept and marked as ours
    [DRY RUN] Would create:
      ✓ external_api_key → AWS Secrets Manager (production/myapp/api-key)
      ✓ service_account → AWS Secrets Manager (production/myapp/service-account)
      ✓ service_account → Local file (.service-account.json)
    ≈ $0.80 more a month (0.40 → 1.20) · about 1 s under the documented quotas
    ");
    insta::assert_snapshot!(stage.told(0, &["sync", "--adopt"]), @"
    ✓ Created local file: .env (database_password)
    ✓ Adopted AWS Secrets Manager secret: production/myapp/database/password (database_password)
    ✓ Created AWS SSM Parameter: /production/myapp/database/password (database_password)
    ✓ Generated external_api_key
    ✓ Created AWS Secrets Manager secret: production/myapp/api-key
    ✓ Generated service_account
    ✓ Created AWS Secrets Manager secret: production/myapp/service-account
    ✓ Created local file: .service-account.json
    ✓ Updated .gitsecrets.lock
    ");
    assert_eq!(stage.value("production/myapp/database/password"), "theirs");
    assert_eq!(stage.aws.parameter("/production/myapp/database/password").unwrap().value, "theirs");
    stage.told(0, &["sync", "--detailed-exitcode"]);
}

#[test]
fn overwrite_replaces_the_value_of_a_foreign_object() {
    let stage = Stage::with(SHOP);
    occupy(&stage, "production/myapp/database/password", "theirs");
    insta::assert_snapshot!(stage.told(0, &["sync", "--dry-run", "--overwrite"]), @"
    [DRY RUN] Would overwrite foreign objects:
      ✓ database_password → AWS Secrets Manager (production/myapp/database/password) — asked for by --overwrite
    [DRY RUN] Would create:
      ✓ database_password → Local file (.env)
      ✓ database_password → AWS SSM Parameter (/production/myapp/database/password)
      ✓ external_api_key → AWS Secrets Manager (production/myapp/api-key)
      ✓ service_account → AWS Secrets Manager (production/myapp/service-account)
      ✓ service_account → Local file (.service-account.json)
    ≈ $0.80 more a month (0.40 → 1.20) · about 1 s under the documented quotas
    ");
    insta::assert_snapshot!(stage.told(0, &["sync", "--overwrite"]), @"
    ✓ Generated database_password
    ✓ Created local file: .env
    ✓ Overwrote AWS Secrets Manager secret: production/myapp/database/password
    ✓ Created AWS SSM Parameter: /production/myapp/database/password
    ✓ Generated external_api_key
    ✓ Created AWS Secrets Manager secret: production/myapp/api-key
    ✓ Generated service_account
    ✓ Created AWS Secrets Manager secret: production/myapp/service-account
    ✓ Created local file: .service-account.json
    ✓ Updated .gitsecrets.lock
    ");
    let value = stage.value("production/myapp/database/password");
    assert_ne!(value, "theirs");
    assert_eq!(stage.aws.parameter("/production/myapp/database/password").unwrap().value, value);
}

#[test]
fn a_refused_write_is_finished_by_the_next_run_with_the_same_value() {
    let stage = Stage::with(SHOP);
    stage.aws.deny("PutParameter");
    insta::assert_snapshot!(stage.told(8, &["sync"]), @"
    ✓ Generated database_password
    ✓ Created local file: .env
    ✓ Created AWS Secrets Manager secret: production/myapp/database/password
    ✓ Generated external_api_key
    ✓ Created AWS Secrets Manager secret: production/myapp/api-key
    ✓ Generated service_account
    ✓ Created AWS Secrets Manager secret: production/myapp/service-account
    ✓ Created local file: .service-account.json
    ✓ Updated .gitsecrets.lock
    --- stderr
    ✗ database_password → AWS SSM Parameter (/production/myapp/database/password): AWS refused ssm:PutParameter on /production/myapp/database/password in us-east-1 (AccessDeniedException). Allow it to arn:aws:iam::123456789012:user/test on arn:aws:ssm:us-east-1:123456789012:parameter/production/myapp/database/password (an own KMS key's policy must allow it too)
    ! 1 target not brought in line; the next run goes on with the same values
    ");
    let value = stage.value("production/myapp/database/password");
    stage.aws.allow_all();
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"
    ✓ Created AWS SSM Parameter: /production/myapp/database/password (database_password)
    ✓ Updated .gitsecrets.lock
    ");
    assert_eq!(stage.value("production/myapp/database/password"), value);
    assert_eq!(stage.aws.parameter("/production/myapp/database/password").unwrap().value, value);
}

#[test]
fn a_store_that_cannot_be_read_holds_what_is_new_there() {
    let stage = Stage::with(SHOP);
    for operation in ["DescribeParameters", "ListTagsForResource", "GetParameter", "GetParameters"] {
        stage.aws.deny(operation);
    }
    insta::assert_snapshot!(stage.told(8, &["sync"]), @"
    ✓ Generated external_api_key
    ✓ Created AWS Secrets Manager secret: production/myapp/api-key
    ✓ Generated service_account
    ✓ Created AWS Secrets Manager secret: production/myapp/service-account
    ✓ Created local file: .service-account.json
    ✓ Updated .gitsecrets.lock
    --- stderr
    ✗ database_password: AWS SSM Parameter `/production/myapp/database/password` cannot be read: AWS refused ssm:DescribeParameters in us-east-1 (AccessDeniedException). Allow it to arn:aws:iam::123456789012:user/test on * (Secretfile.yml:41)
      help: nothing is generated until every target can be read; mend this and run again
    ! 1 secret held
    ");
    assert!(stage.aws.secret("production/myapp/database/password").is_none());
    stage.aws.allow_all();
    stage.told(0, &["sync"]);
    let value = stage.value("production/myapp/database/password");
    assert_eq!(stage.aws.parameter("/production/myapp/database/password").unwrap().value, value);
}

#[test]
fn an_expired_parameter_is_refused_and_the_rest_goes_on() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/examples/02-aws-specific.yml");
    let stage = Stage::with(&std::fs::read_to_string(path).unwrap());
    let warned = stage.sandbox.expect(0, &["validate"]).stderr;
    assert!(warned.contains("warning[expired]"), "{warned}");
    insta::assert_snapshot!(stage.told(1, &["sync", "--dry-run"]), @"
    [DRY RUN] Would create:
      ✓ rds_master_password → AWS Secrets Manager (/production/rds/master-password)
      ✓ multi_region_secret → AWS Secrets Manager (/production/multi-region-secret)
    ≈ $2.80 more a month · about 1 s under the documented quotas
    --- stderr
    ! 4 warnings about Secretfile.yml; `secretzero validate` shows them
    ✗ app_config_param: the Expiration policy of `/production/app/config/secret-key` lies in the past (2025-12-31T23:59:59Z), so writing it would delete it (Secretfile.yml:36)
      help: move the Timestamp into the future or remove the policy
    ! 1 secret held
    ");
    insta::assert_snapshot!(stage.told(1, &["sync"]), @"
    ✓ Generated rds_master_password
    ✓ Created AWS Secrets Manager secret: /production/rds/master-password
    ✓ Generated multi_region_secret
    ✓ Created AWS Secrets Manager secret: /production/multi-region-secret
    ✓ Updated .gitsecrets.lock
    --- stderr
    ! 4 warnings about Secretfile.yml; `secretzero validate` shows them
    ✗ app_config_param: the Expiration policy of `/production/app/config/secret-key` lies in the past (2025-12-31T23:59:59Z), so writing it would delete it (Secretfile.yml:36)
      help: move the Timestamp into the future or remove the policy
    ! 1 secret held
    ");
    assert!(stage.aws.parameter("/production/app/config/secret-key").is_none());
    assert!(stage.aws.secret("/production/rds/master-password").is_some());
}

#[test]
fn an_object_of_another_project_is_not_ours() {
    let stage = Stage::with(PAIR);
    stage.told(0, &["sync"]);
    stage.edit("project: pair", "project: other");
    stage.sandbox.remove(".gitsecrets.lock");
    insta::assert_snapshot!(stage.told(8, &["sync"]), @"
    --- stderr
    ✗ token: AWS Secrets Manager `pair/token` is not ours: its mark belongs to another project, environment or secret (Secretfile.yml:9)
      help: keep its value with `--adopt` or `adopt: true`, or replace it with `--overwrite`
    ! 1 secret held
    ");
}

#[test]
fn a_file_that_git_tracks_gets_no_value_and_marks_are_ignored_by_git() {
    let file = "{provider: local, kind: file, config: {path: .env, format: dotenv, merge: true}}";
    let text = format!(
        "metadata: {{project: tracked}}\nproviders:\n  local: {{kind: local}}\nsecrets:\n  - name: token\n    \
         kind: random_string\n    targets:\n      - {file}\n"
    );
    let stage = Stage::with(&text);
    let git = |arguments: &[&str]| {
        let ran = std::process::Command::new("git").current_dir(stage.sandbox.path(".")).args(arguments).output();
        assert!(ran.unwrap().status.success());
    };
    stage.sandbox.write(".env", "A=1\n");
    git(&["init", "-q"]);
    git(&["add", "-f", ".env"]);
    assert!(stage.told(4, &["sync"]).contains("git tracks `.env`"));
    assert_eq!(stage.sandbox.read(".env"), "A=1\n");
    git(&["rm", "-q", "--cached", ".env"]);
    stage.told(0, &["sync"]);
    git(&["check-ignore", "-q", ".secretzero.json"]);
}
