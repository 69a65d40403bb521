//! `rotate`: new values for what is due, or for what is named.

use super::{PAIR, SHOP, Stage};

const KEY: &str = "production/myapp/api-key";
const PASSWORD: &str = "production/myapp/database/password";

#[test]
fn what_is_not_due_is_left() {
    let stage = Stage::with(SHOP);
    stage.told(0, &["sync"]);
    let (key, effects) = (stage.value(KEY), stage.aws.effects());
    insta::assert_snapshot!(stage.told(0, &["rotate"]), @"✓ Nothing is due; the next is external_api_key on DATE");
    insta::assert_snapshot!(stage.told(0, &["rotate", "--secret", "database_password"]), @"✓ Nothing is due; the next is database_password on DATE");
    insta::assert_snapshot!(stage.told(0, &["rotate", "--secret", "service_account"]), @"✓ Nothing is due");
    stage.told(0, &["rotate", "--dry-run", "--detailed-exitcode"]);
    assert_eq!((stage.value(KEY), stage.aws.effects()), (key, effects));
}

#[test]
fn what_is_due_is_told_by_sync_and_done_by_rotate() {
    let stage = Stage::with(SHOP);
    stage.told(0, &["sync"]);
    let (key, password) = (stage.value(KEY), stage.value(PASSWORD));
    stage.age(KEY, 31);
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"
    ✓ Nothing to change; 6 targets as declared
    ✓ Updated .gitsecrets.lock
    --- stderr
    ! external_api_key: its rotation is due since DATE; run `secretzero rotate`
    ");
    insta::assert_snapshot!(stage.told(2, &["rotate", "--dry-run", "--detailed-exitcode"]), @"
    [DRY RUN] Would rotate:
      ✓ external_api_key → AWS Secrets Manager (production/myapp/api-key) — due since DATE
    about 1 s under the documented quotas
    ");
    assert_eq!(stage.value(KEY), key);
    insta::assert_snapshot!(stage.told(0, &["rotate"]), @"
    ✓ Generated external_api_key
    ✓ Updated AWS Secrets Manager secret: production/myapp/api-key
    ✓ Updated .gitsecrets.lock
    ");
    assert_ne!(stage.value(KEY), key);
    assert_eq!(stage.value(PASSWORD), password);
    insta::assert_snapshot!(stage.told(0, &["rotate"]), @"✓ Nothing is due; the next is external_api_key on DATE");
}

#[test]
fn the_longest_due_come_first_if_not_all_may() {
    let stage = Stage::with(SHOP);
    stage.told(0, &["sync"]);
    let password = stage.value(PASSWORD);
    stage.age(KEY, 31);
    stage.age(PASSWORD, 200);
    insta::assert_snapshot!(stage.told(0, &["rotate", "--max-rotations", "1"]), @"
    ✓ Generated database_password
    ✓ Updated local file: .env
    ✓ Updated AWS Secrets Manager secret: production/myapp/database/password
    ✓ Updated AWS SSM Parameter: /production/myapp/database/password
    ✓ Updated .gitsecrets.lock
    --- stderr
    ! still due, but more than `--max-rotations` allows in one run: external_api_key
    ");
    assert_ne!(stage.value(PASSWORD), password);
    insta::assert_snapshot!(stage.told(0, &["rotate", "--max-rotations", "1"]), @"
    ✓ Generated external_api_key
    ✓ Updated AWS Secrets Manager secret: production/myapp/api-key
    ✓ Updated .gitsecrets.lock
    ");
}

#[test]
fn force_rotates_what_is_named() {
    let stage = Stage::with(PAIR);
    stage.told(0, &["sync"]);
    let value = stage.value("pair/token");
    insta::assert_snapshot!(stage.told(0, &["rotate", "--force", "--secret", "token", "--dry-run"]), @"
    [DRY RUN] Would rotate:
      ✓ token → AWS Secrets Manager (pair/token) — asked for
      ✓ token → AWS SSM Parameter (/pair/token) — asked for
    about 1 s under the documented quotas
    ");
    assert_eq!(stage.value("pair/token"), value);
    insta::assert_snapshot!(stage.told(0, &["rotate", "--force", "--secret", "token"]), @"
    ✓ Generated token
    ✓ Updated AWS Secrets Manager secret: pair/token
    ✓ Updated AWS SSM Parameter: /pair/token
    ✓ Updated .gitsecrets.lock
    ");
    assert_ne!(stage.value("pair/token"), value);
    assert_eq!(stage.aws.parameter("/pair/token").unwrap().value, stage.value("pair/token"));
}

#[test]
fn a_rotation_that_was_cut_short_is_finished_with_the_same_value() {
    let stage = Stage::with(PAIR);
    stage.told(0, &["sync"]);
    stage.aws.deny("PutParameter");
    insta::assert_snapshot!(stage.told(8, &["rotate", "--force", "--secret", "token"]), @"
    ✓ Generated token
    ✓ Updated AWS Secrets Manager secret: pair/token
    ✓ Updated .gitsecrets.lock
    --- stderr
    ✗ token → AWS SSM Parameter (/pair/token): AWS refused ssm:PutParameter on /pair/token in us-east-1 (AccessDeniedException). Allow it to arn:aws:iam::123456789012:user/test on arn:aws:ssm:us-east-1:123456789012:parameter/pair/token (an own KMS key's policy must allow it too)
    ! 1 target not brought in line; the next run goes on with the same values
    ");
    let value = stage.value("pair/token");
    stage.aws.allow_all();
    insta::assert_snapshot!(stage.told(0, &["rotate"]), @"
    ✓ Updated AWS SSM Parameter: /pair/token (token)
    ✓ Updated .gitsecrets.lock
    ");
    assert_eq!(stage.value("pair/token"), value);
    assert_eq!(stage.aws.parameter("/pair/token").unwrap().value, value);
}

/// A secret that is due and held must not look as if nothing were due.
#[test]
fn what_is_due_and_cannot_be_rotated_is_told() {
    let stage = Stage::with(PAIR);
    stage.told(0, &["sync"]);
    stage.age("pair/token", 100);
    stage.aws.edit(|world| {
        world.region("us-east-1").secrets.get_mut("pair/token").unwrap().rotation_enabled = true;
    });
    insta::assert_snapshot!(stage.told(8, &["rotate"]), @"
    --- stderr
    ✗ token: AWS Secrets Manager `pair/token` cannot be written: AWS rotates it by itself (Secretfile.yml:9)
      help: remove the target, or end the other management first
    ! 1 secret held
    ");
}

/// What a person asks for and a primary that cannot be asked prevents is no success.
#[test]
fn what_is_forced_and_cannot_be_rotated_is_told() {
    let stage = Stage::with(PAIR);
    stage.told(0, &["sync"]);
    let value = stage.value("pair/token");
    ["ListSecrets", "DescribeSecret"].iter().for_each(|operation| stage.aws.deny(operation));
    insta::assert_snapshot!(stage.told(8, &["rotate", "--force", "--secret", "token"]), @"
    --- stderr
    ✗ token → AWS Secrets Manager (pair/token): AWS refused secretsmanager:DescribeSecret on pair/token in us-east-1 (AccessDeniedException). Allow it to arn:aws:iam::123456789012:user/test on arn:aws:secretsmanager:us-east-1:123456789012:secret:pair/token-??????
    ! 1 target not brought in line; the next run goes on with the same values
    ");
    stage.aws.allow_all();
    assert_eq!(stage.value("pair/token"), value);
}

/// `one_time` means once, until a person says otherwise.
#[test]
fn a_one_time_secret_is_rotated_only_by_name() {
    let stage = Stage::with(&PAIR.replace("kind: random_string", "kind: random_string\n    one_time: true"));
    stage.told(0, &["sync"]);
    let value = stage.value("pair/token");
    stage.age("pair/token", 100);
    insta::assert_snapshot!(stage.told(0, &["rotate"]), @"
    ✓ Nothing is due
    ✓ Updated .gitsecrets.lock
    --- stderr
    ! 1 warning about Secretfile.yml; `secretzero validate` shows it
    ! token: its rotation is due since DATE; run `secretzero rotate --secret token`
    ");
    assert_eq!(stage.value("pair/token"), value);
    stage.told(0, &["rotate", "--secret", "token"]);
    assert_ne!(stage.value("pair/token"), value);
}
