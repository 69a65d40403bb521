//! A place or a name that changes: the value goes along.

use super::{At, EVERYWHERE, IN_AWS, REGION, Stage, secretfile};

/// The Secretfile with the secret's new name.
fn renamed(text: &str) -> String {
    text.replace("secrets:\n  - name: token", "moved:\n  - {from: token, to: api_token}\nsecrets:\n  - name: api_token")
}

/// A file's key is made of the name, so it is declared to stay.
fn pinned(at: At, name: &str) -> String {
    let more = if at == At::File { ", key: TOKEN" } else { "" };
    at.target_with(name, more)
}

#[test]
fn a_new_name_in_the_store_gets_the_value_of_the_former_one() {
    let mut said = String::new();
    for at in EVERYWHERE {
        let stage = Stage::synced(at);
        let value = stage.value(at, "token");
        stage.declare(&secretfile("", &[at.target("copy")]));
        said += &format!("{at:?}\n{}{}", stage.plan(&[]), stage.sync(&[]));
        assert_eq!((stage.value(at, "copy"), stage.value(at, "token")), (value.clone(), value), "{at:?}");
        stage.is_settled();
    }
    insta::assert_snapshot!(said, @"
    File
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → Local file (copy.env) — copied from its former place, Local file `token.env`
    --- stderr
    ! token: its former place file:token.env#TOKEN is no longer declared; nothing is deleted there
    ✓ Created local file: copy.env (token)
    ✓ Updated .gitsecrets.lock
    --- stderr
    ! token: its former place file:token.env#TOKEN is no longer declared; nothing is deleted there
    Secret
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → AWS Secrets Manager (app/copy) — copied from its former place, AWS Secrets Manager `app/token` in us-east-1
    --- stderr
    ! token: its former place aws-sm://123456789012/us-east-1/app/token is no longer declared; nothing is deleted there
    ✓ Created AWS Secrets Manager secret: app/copy (token)
    ✓ Updated .gitsecrets.lock
    --- stderr
    ! token: its former place aws-sm://123456789012/us-east-1/app/token is no longer declared; nothing is deleted there
    Parameter
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → AWS SSM Parameter (/app/copy) — copied from its former place, AWS SSM Parameter `/app/token` in us-east-1
    --- stderr
    ! token: its former place aws-ssm://123456789012/us-east-1/app/token is no longer declared; nothing is deleted there
    ✓ Created AWS SSM Parameter: /app/copy (token)
    ✓ Updated .gitsecrets.lock
    --- stderr
    ! token: its former place aws-ssm://123456789012/us-east-1/app/token is no longer declared; nothing is deleted there
    ");
}

#[test]
fn a_new_region_gets_the_value_of_the_former_one() {
    let mut said = String::new();
    for at in IN_AWS {
        let stage = Stage::synced(at);
        let value = stage.value(at, "token");
        stage.declare(&secretfile("", &[at.target("token").replace("provider: aws", "provider: west")]));
        said += &format!("{at:?}\n{}{}", stage.plan(&[]), stage.sync(&[]));
        assert_eq!(stage.value_in("us-west-2", at, "token"), value);
        assert_eq!(stage.value_in(REGION, at, "token"), value);
        stage.is_settled();
    }
    insta::assert_snapshot!(said, @"
    Secret
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → AWS Secrets Manager (app/token) — copied from its former place, AWS Secrets Manager `app/token` in us-east-1
    --- stderr
    ! token: its former place aws-sm://123456789012/us-east-1/app/token is no longer declared; nothing is deleted there
    ✓ Created AWS Secrets Manager secret: app/token (token)
    ✓ Updated .gitsecrets.lock
    --- stderr
    ! token: its former place aws-sm://123456789012/us-east-1/app/token is no longer declared; nothing is deleted there
    Parameter
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → AWS SSM Parameter (/app/token) — copied from its former place, AWS SSM Parameter `/app/token` in us-east-1
    --- stderr
    ! token: its former place aws-ssm://123456789012/us-east-1/app/token is no longer declared; nothing is deleted there
    ✓ Created AWS SSM Parameter: /app/token (token)
    ✓ Updated .gitsecrets.lock
    --- stderr
    ! token: its former place aws-ssm://123456789012/us-east-1/app/token is no longer declared; nothing is deleted there
    ");
}

/// From one kind of store to every other.
#[test]
fn a_new_store_gets_the_value_of_the_former_one() {
    for from in EVERYWHERE {
        for to in EVERYWHERE {
            let stage = Stage::synced(from);
            let value = stage.value(from, "token");
            stage.declare(&secretfile("", &[to.target("copy")]));
            stage.sync(&[]);
            assert_eq!(stage.value(to, "copy"), value, "{from:?} to {to:?}");
            stage.is_settled();
        }
    }
}

#[test]
fn moved() {
    let mut said = String::new();
    for at in EVERYWHERE {
        let stage = Stage::of(&[pinned(at, "token")]);
        stage.sync(&[]);
        let before = stage.everything();
        stage.declare(&renamed(&secretfile("", &[pinned(at, "token")])));
        said += &format!("{at:?}\n{}{}", stage.plan(&["--detailed-exitcode"]), stage.sync(&[]));
        assert_eq!(stage.everything(), before, "a rename changes nothing in a store");
        assert!(stage.sandbox.read(super::LOCK).contains("\"api_token\""));
        stage.is_settled();
    }
    insta::assert_snapshot!(said, @"
    File
    ✓ Nothing to change; 1 target as declared
    ✓ Nothing to change; 1 target as declared
    ✓ Updated .gitsecrets.lock
    Secret
    ✓ Nothing to change; 1 target as declared
    ✓ Nothing to change; 1 target as declared
    ✓ Updated .gitsecrets.lock
    Parameter
    ✓ Nothing to change; 1 target as declared
    ✓ Nothing to change; 1 target as declared
    ✓ Updated .gitsecrets.lock
    ");
}

/// A new name in the file and a new place in the store at once.
#[test]
fn moved_with_a_new_place() {
    let mut said = String::new();
    for at in EVERYWHERE {
        let stage = Stage::of(&[pinned(at, "token")]);
        stage.sync(&[]);
        let value = stage.value(at, "token");
        stage.declare(&renamed(&secretfile("", &[pinned(at, "copy")])));
        said += &format!("{at:?}\n{}", stage.plan(&[]));
        stage.sync(&[]);
        assert_eq!(stage.value(at, "copy"), value);
        stage.is_settled();
    }
    insta::assert_snapshot!(said, @"
    File
    [DRY RUN] Would copy the value in force to new places:
      ✓ api_token → Local file (copy.env) — copied from its former place, Local file `token.env`
    --- stderr
    ! api_token: its former place file:token.env#TOKEN is no longer declared; nothing is deleted there
    Secret
    [DRY RUN] Would copy the value in force to new places:
      ✓ api_token → AWS Secrets Manager (app/copy) — copied from its former place, AWS Secrets Manager `app/token` in us-east-1
    --- stderr
    ! api_token: its former place aws-sm://123456789012/us-east-1/app/token is no longer declared; nothing is deleted there
    Parameter
    [DRY RUN] Would copy the value in force to new places:
      ✓ api_token → AWS SSM Parameter (/app/copy) — copied from its former place, AWS SSM Parameter `/app/token` in us-east-1
    --- stderr
    ! api_token: its former place aws-ssm://123456789012/us-east-1/app/token is no longer declared; nothing is deleted there
    ");
}

/// A lock of the time when a hierarchical parameter had two slashes.
#[test]
fn a_lock_with_locators_of_the_older_form_still_counts() {
    let stage = Stage::synced(At::Parameter);
    let (lock, value) = (stage.sandbox.read(super::LOCK), stage.value(At::Parameter, "token"));
    assert!(lock.contains("aws-ssm://123456789012/us-east-1/app/token\""), "{lock}");
    stage.sandbox.write(super::LOCK, &lock.replace("us-east-1/app/token", "us-east-1//app/token"));
    stage.declare(&secretfile("", &[At::Parameter.target("copy")]));
    stage.sync(&[]);
    assert_eq!(stage.value(At::Parameter, "copy"), value);
    stage.is_settled();
}

#[test]
fn one_parameter_with_and_without_its_slash_is_one_place() {
    let parameter = |name: &str| format!("{{provider: aws, kind: ssm_parameter, config: {{name: {name}}}}}");
    let stage = Stage::of(&[parameter("token"), parameter("/token")]);
    let said = stage.sync_that_exits(3, &[]);
    assert!(said.contains("is claimed a second time"), "{said}");
}
