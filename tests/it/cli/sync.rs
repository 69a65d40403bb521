//! `sync` where nothing is in the way: it makes, keeps, changes and moves what the file declares.

use super::{PAIR, SHOP, Stage};

#[test]
fn a_dry_run_shows_what_a_sync_does_and_a_second_sync_does_nothing() {
    let stage = Stage::with(SHOP);
    insta::assert_snapshot!(stage.told(0, &["sync", "--dry-run"]), @"
    [DRY RUN] Would create:
      ✓ database_password → Local file (.env)
      ✓ database_password → AWS Secrets Manager (production/myapp/database/password)
      ✓ database_password → AWS SSM Parameter (/production/myapp/database/password)
      ✓ external_api_key → AWS Secrets Manager (production/myapp/api-key)
      ✓ service_account → AWS Secrets Manager (production/myapp/service-account)
      ✓ service_account → Local file (.service-account.json)
    ≈ $1.20 more a month · about 1 s under the documented quotas
    ");
    stage.told(2, &["sync", "--dry-run", "--detailed-exitcode"]);
    assert_eq!((stage.aws.effects(), stage.sandbox.read(".gitsecrets.lock")), (0, String::new()));

    insta::assert_snapshot!(stage.told(0, &["sync"]), @"
    ✓ Generated database_password
    ✓ Created local file: .env
    ✓ Created AWS Secrets Manager secret: production/myapp/database/password
    ✓ Created AWS SSM Parameter: /production/myapp/database/password
    ✓ Generated external_api_key
    ✓ Created AWS Secrets Manager secret: production/myapp/api-key
    ✓ Generated service_account
    ✓ Created AWS Secrets Manager secret: production/myapp/service-account
    ✓ Created local file: .service-account.json
    ✓ Updated .gitsecrets.lock
    ");
    let (effects, lock) = (stage.aws.effects(), stage.sandbox.read(".gitsecrets.lock"));
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"✓ Nothing to change; 6 targets as declared");
    insta::assert_snapshot!(stage.told(0, &["sync", "--dry-run", "--detailed-exitcode"]), @"✓ Nothing to change; 6 targets as declared");
    assert_eq!((stage.aws.effects(), stage.sandbox.read(".gitsecrets.lock")), (effects, lock));
}

#[test]
fn the_same_value_stands_everywhere() {
    let stage = Stage::with(SHOP);
    stage.told(0, &["sync"]);
    let value = stage.value("production/myapp/database/password");
    assert_eq!(stage.aws.parameter("/production/myapp/database/password").unwrap().value, value);
    assert!(stage.sandbox.read(".env").contains("DATABASE_PASSWORD="));
    assert_eq!(stage.value("production/myapp/api-key").len(), 32);
    let account: serde_json::Value = serde_json::from_str(&stage.value("production/myapp/service-account")).unwrap();
    assert_eq!(account["username"], "svc_myapp");
}

#[test]
fn an_edited_tag_changes_metadata_and_no_version() {
    let stage = Stage::with(SHOP);
    stage.told(0, &["sync"]);
    let name = "production/myapp/database/password";
    stage.aws.edit(|world| {
        let secret = world.region("us-east-1").secrets.get_mut(name).unwrap();
        secret.tags.insert("CostCentre".into(), "42".into());
    });
    stage.edit("Environment: ${environment}", "Environment: ${environment}\n            Team: payments");
    insta::assert_snapshot!(stage.told(0, &["sync", "--dry-run"]), @"
    [DRY RUN] Would change metadata:
      ✓ database_password → AWS Secrets Manager (production/myapp/database/password) — tag:Team
    5 targets already as declared
    about 1 s under the documented quotas
    ");
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"✓ Updated metadata of AWS Secrets Manager secret: production/myapp/database/password (database_password)");
    let secret = stage.aws.secret(name).unwrap();
    assert_eq!((secret.versions.len(), &*secret.tags["Team"], &*secret.tags["CostCentre"]), (1, "payments", "42"));
}

/// Somebody else may rely on a tag, even on one that we once set.
#[test]
fn a_tag_that_is_no_longer_declared_stays() {
    let stage = Stage::with(SHOP);
    stage.told(0, &["sync"]);
    stage.edit("          tags:\n            Environment: ${environment}\n", "");
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"✓ Nothing to change; 6 targets as declared");
    assert!(stage.aws.secret("production/myapp/database/password").unwrap().tags.contains_key("Environment"));
}

#[test]
fn an_edited_static_field_is_a_new_value_that_keeps_the_generated_ones() {
    let stage = Stage::with(SHOP);
    stage.told(0, &["sync"]);
    let field = |name: &str| -> String {
        let value: serde_json::Value = serde_json::from_str(&stage.value("production/myapp/service-account")).unwrap();
        value[name].as_str().unwrap().to_owned()
    };
    let password = field("password");
    stage.edit("svc_${app_name}", "service_${app_name}");
    insta::assert_snapshot!(stage.told(0, &["sync", "--dry-run"]), @"
    [DRY RUN] Would replace an edited value:
      ✓ service_account → AWS Secrets Manager (production/myapp/service-account) — the declared value was edited
      ✓ service_account → Local file (.service-account.json) — the declared value was edited
    4 targets already as declared
    about 1 s under the documented quotas
    ");
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"
    ✓ Generated service_account
    ✓ Updated AWS Secrets Manager secret: production/myapp/service-account
    ✓ Updated local file: .service-account.json
    ✓ Updated .gitsecrets.lock
    ");
    assert_eq!((field("username"), field("password")), ("service_myapp".into(), password));
}

#[test]
fn an_edited_length_counts_from_the_next_rotation() {
    let stage = Stage::with(PAIR);
    stage.told(0, &["sync"]);
    let value = stage.value("pair/token");
    stage.edit("rotation_period", "config: {length: 48}\n    rotation_period");
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"
    ✓ Nothing to change; 2 targets as declared
    --- stderr
    ! token: its generator was edited; the new settings count from the next rotation
    ");
    assert_eq!(stage.value("pair/token"), value);
}

#[test]
fn a_new_target_gets_the_value_in_force() {
    let stage = Stage::with(PAIR);
    stage.told(0, &["sync"]);
    let value = stage.value("pair/token");
    stage.edit(
        "      - {provider: aws, kind: ssm_parameter",
        "      - {provider: aws, kind: secrets_manager, config: {name: pair/copy}}\n      - {provider: aws, kind: ssm_parameter",
    );
    insta::assert_snapshot!(stage.told(0, &["sync", "--dry-run"]), @"
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → AWS Secrets Manager (pair/copy) — copied from AWS Secrets Manager `pair/token`
    2 targets already as declared
    ≈ $0.40 more a month (0.40 → 0.80) · about 1 s under the documented quotas
    ");
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"
    ✓ Created AWS Secrets Manager secret: pair/copy (token)
    ✓ Updated .gitsecrets.lock
    ");
    assert_eq!(stage.value("pair/copy"), value);
}

#[test]
fn a_rename_that_is_declared_keeps_the_value() {
    let stage = Stage::with(PAIR);
    stage.told(0, &["sync"]);
    let value = stage.value("pair/token");
    stage.edit("name: token", "name: api_token");
    stage.edit("secrets:\n", "moved:\n  - {from: token, to: api_token}\nsecrets:\n");
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"
    ✓ Nothing to change; 2 targets as declared
    ✓ Updated .gitsecrets.lock
    ");
    assert_eq!(stage.value("pair/token"), value);
}

#[test]
fn a_secret_that_is_no_longer_declared_is_told_and_left() {
    let stage = Stage::with(SHOP);
    stage.told(0, &["sync"]);
    let text = stage.sandbox.read("Secretfile.yml");
    let (head, tail) = text.split_once("  - name: external_api_key").unwrap();
    let (_, tail) = tail.split_once("  - name: service_account").unwrap();
    stage.sandbox.write("Secretfile.yml", &format!("{head}  - name: service_account{tail}"));
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"
    ✓ Nothing to change; 5 targets as declared
    --- stderr
    ! external_api_key: no longer declared; what is stored stays where it is
    ");
    assert!(stage.aws.secret("production/myapp/api-key").is_some());
}

/// Drift: it is told, and left as it is, since the change may have been right.
#[test]
fn a_value_that_was_changed_by_hand_is_told_and_not_touched() {
    let stage = Stage::with(PAIR);
    stage.told(0, &["sync"]);
    stage.aws.edit(|world| {
        let parameter = world.region("us-east-1").parameters.get_mut("/pair/token").unwrap();
        (parameter.value, parameter.version) = ("by hand".into(), parameter.version + 1);
    });
    let effects = stage.aws.effects();
    insta::assert_snapshot!(stage.told(0, &["sync", "--dry-run"]), @"
    ✓ Nothing to change; 1 target as declared
    --- stderr
    ! token → AWS SSM Parameter (/pair/token): its value was changed outside after generation 1; `secretzero rotate --force --secret token` makes a new one
    ");
    insta::assert_snapshot!(stage.told(0, &["sync"]), @"
    ✓ Nothing to change; 1 target as declared
    --- stderr
    ! token → AWS SSM Parameter (/pair/token): its value was changed outside after generation 1; `secretzero rotate --force --secret token` makes a new one
    ");
    assert_eq!((stage.aws.effects(), stage.aws.parameter("/pair/token").unwrap().value), (effects, "by hand".into()));
    stage.told(0, &["rotate", "--force", "--secret", "token"]);
    assert_eq!(stage.aws.parameter("/pair/token").unwrap().value, stage.value("pair/token"));
}

#[test]
fn force_makes_a_new_value_for_the_secret_that_is_named() {
    let stage = Stage::with(SHOP);
    stage.told(0, &["sync"]);
    let (key, account) = (stage.value("production/myapp/api-key"), stage.value("production/myapp/service-account"));
    insta::assert_snapshot!(stage.told(0, &["sync", "--force", "--secret", "external_api_key"]), @"
    ✓ Generated external_api_key
    ✓ Updated AWS Secrets Manager secret: production/myapp/api-key
    ✓ Updated .gitsecrets.lock
    ");
    assert_ne!(stage.value("production/myapp/api-key"), key);
    assert_eq!(stage.value("production/myapp/service-account"), account);
}

#[test]
fn what_stays_is_told_to_those_who_ask() {
    let stage = Stage::with(SHOP);
    stage.told(0, &["sync"]);
    insta::assert_snapshot!(stage.told(0, &["sync", "-v", "--provider", "aws"]), @"
    · database_password → Local file (.env): filtered out
    · database_password → AWS Secrets Manager (production/myapp/database/password): as declared
    · database_password → AWS SSM Parameter (/production/myapp/database/password): as declared
    · external_api_key → AWS Secrets Manager (production/myapp/api-key): as declared
    · service_account → AWS Secrets Manager (production/myapp/service-account): as declared
    · service_account → Local file (.service-account.json): filtered out
    ✓ Nothing to change; 4 targets as declared
    ");
}
