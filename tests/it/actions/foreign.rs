//! Objects that somebody else made: held, taken over, or replaced.

use super::{At, EVERYWHERE, IN_AWS, Stage, secretfile};

#[test]
fn a_foreign_object_is_held() {
    for at in EVERYWHERE {
        let stage = Stage::of(&[at.target("token")]);
        stage.occupy(at, "token", "theirs");
        let said = stage.plan_that_exits(8, &[]);
        assert!(said.contains("is not ours"), "{said}");
        stage.sync_that_exits(8, &[]);
        assert_eq!(stage.value(at, "token"), "theirs");
    }
}

/// By the flag.
#[test]
fn adopt() {
    let mut said = String::new();
    for at in EVERYWHERE {
        let stage = Stage::of(&[at.target("token")]);
        stage.occupy(at, "token", "theirs");
        said += &format!("{at:?}\n{}{}", stage.plan(&["--adopt"]), stage.sync(&["--adopt"]));
        assert_eq!(stage.value(at, "token"), "theirs");
        stage.is_settled();
    }
    insta::assert_snapshot!(said, @"
    File
    [DRY RUN] Would take over, keeping the value:
      ✓ token → Local file (token.env) — its value is kept and marked as ours
    ✓ Adopted local file: token.env (token)
    ✓ Updated .gitsecrets.lock
    Secret
    [DRY RUN] Would take over, keeping the value:
      ✓ token → AWS Secrets Manager (app/token) — its value is kept and marked as ours
    ✓ Adopted AWS Secrets Manager secret: app/token (token)
    ✓ Updated .gitsecrets.lock
    Parameter
    [DRY RUN] Would take over, keeping the value:
      ✓ token → AWS SSM Parameter (/app/token) — its value is kept and marked as ours
    ✓ Adopted AWS SSM Parameter: /app/token (token)
    ✓ Updated .gitsecrets.lock
    ");
}

/// By the file itself.
#[test]
fn adopt_as_the_file_says() {
    let mut said = String::new();
    for at in EVERYWHERE {
        let stage =
            Stage::with(&secretfile("kind: random_string\nadopt: true", &[at.target("token"), at.target("copy")]));
        stage.occupy(at, "token", "theirs");
        said += &format!("{at:?}\n{}{}", stage.plan(&[]), stage.sync(&[]));
        assert_eq!((stage.value(at, "token"), stage.value(at, "copy")), ("theirs".into(), "theirs".into()));
        stage.is_settled();
    }
    insta::assert_snapshot!(said, @"
    File
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → Local file (copy.env) — copied from Local file `token.env`
    [DRY RUN] Would take over, keeping the value:
      ✓ token → Local file (token.env) — its value is kept and marked as ours
    ✓ Adopted local file: token.env (token)
    ✓ Created local file: copy.env (token)
    ✓ Updated .gitsecrets.lock
    Secret
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → AWS Secrets Manager (app/copy) — copied from AWS Secrets Manager `app/token`
    [DRY RUN] Would take over, keeping the value:
      ✓ token → AWS Secrets Manager (app/token) — its value is kept and marked as ours
    ✓ Adopted AWS Secrets Manager secret: app/token (token)
    ✓ Created AWS Secrets Manager secret: app/copy (token)
    ✓ Updated .gitsecrets.lock
    Parameter
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → AWS SSM Parameter (/app/copy) — copied from AWS SSM Parameter `/app/token`
    [DRY RUN] Would take over, keeping the value:
      ✓ token → AWS SSM Parameter (/app/token) — its value is kept and marked as ours
    ✓ Adopted AWS SSM Parameter: /app/token (token)
    ✓ Created AWS SSM Parameter: /app/copy (token)
    ✓ Updated .gitsecrets.lock
    ");
}

/// Two foreign objects with two values: none is taken over before somebody names the one that counts.
#[test]
fn of_two_foreign_values_none_is_adopted_unasked() {
    for at in EVERYWHERE {
        let stage = Stage::of(&[at.target("token"), at.target("copy")]);
        stage.occupy(at, "token", "theirs");
        stage.occupy(at, "copy", "another");
        let said = stage.sync_that_exits(8, &["--adopt"]);
        assert!(said.contains("its targets hold 2 different values"), "{said}");
        let primary = at.target("copy").replace("{provider", "{primary: true, provider");
        stage.declare(&secretfile("", &[at.target("token"), primary]));
        let said = stage.sync_that_exits(8, &["--adopt"]);
        assert!(said.contains("it holds another value than the other targets"), "{said}");
        assert_eq!((stage.value(at, "token"), stage.value(at, "copy")), ("theirs".into(), "another".into()));
        stage.sync(&["--overwrite"]);
        assert_eq!((stage.value(at, "token"), stage.value(at, "copy")), ("another".into(), "another".into()));
        stage.is_settled();
    }
}

#[test]
fn overwrite() {
    let mut said = String::new();
    for at in EVERYWHERE {
        let stage = Stage::of(&[at.target("token")]);
        stage.occupy(at, "token", "theirs");
        said += &format!("{at:?}\n{}{}", stage.plan(&["--overwrite"]), stage.sync(&["--overwrite"]));
        assert_eq!(stage.value(at, "token").len(), 32);
        stage.is_settled();
    }
    insta::assert_snapshot!(said, @"
    File
    [DRY RUN] Would overwrite foreign objects:
      ✓ token → Local file (token.env) — asked for by --overwrite
    ✓ Generated token
    ✓ Overwrote local file: token.env
    ✓ Updated .gitsecrets.lock
    Secret
    [DRY RUN] Would overwrite foreign objects:
      ✓ token → AWS Secrets Manager (app/token) — asked for by --overwrite
    ✓ Generated token
    ✓ Overwrote AWS Secrets Manager secret: app/token
    ✓ Updated .gitsecrets.lock
    Parameter
    [DRY RUN] Would overwrite foreign objects:
      ✓ token → AWS SSM Parameter (/app/token) — asked for by --overwrite
    ✓ Generated token
    ✓ Overwrote AWS SSM Parameter: /app/token
    ✓ Updated .gitsecrets.lock
    ");
}

/// A stripped mark leaves a foreign object; the message says that the lock knows it.
#[test]
fn a_stripped_mark_is_told_and_adopt_sets_it_again() {
    for at in IN_AWS {
        let stage = Stage::synced(at);
        let value = stage.value(at, "token");
        stage.aws.edit(|world| {
            let region = world.region(super::REGION);
            region.secrets.values_mut().for_each(|secret| secret.tags.clear());
            region.parameters.values_mut().for_each(|parameter| parameter.tags.clear());
        });
        let said = stage.plan_that_exits(8, &[]);
        assert!(said.contains("the lock knows it, so its mark was stripped"), "{said}");
        stage.sync(&["--adopt"]);
        assert_eq!((stage.value(at, "token"), stage.versions(at, "token")), (value, 1));
        stage.is_settled();
    }
}

#[test]
fn a_foreign_object_that_is_scheduled_for_deletion_is_left_so() {
    let stage = Stage::of(&[At::Secret.target("token")]);
    stage.occupy(At::Secret, "token", "theirs");
    stage.schedule_deletion("token");
    stage.sync_that_exits(8, &[]);
    assert!(stage.aws.secret("app/token").unwrap().deleted);
    insta::assert_snapshot!(stage.plan(&["--adopt"]), @"
    [DRY RUN] Would take over, keeping the value:
      ✓ token → AWS Secrets Manager (app/token) — restored from its scheduled deletion; its value is kept and marked as ours
    ");
    stage.sync(&["--adopt"]);
    assert_eq!(stage.value(At::Secret, "token"), "theirs");
    stage.is_settled();
}
