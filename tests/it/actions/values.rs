//! What makes, copies or replaces a value.

use super::{At, EVERYWHERE, IN_AWS, Stage, secretfile};

/// Runs one action at each kind of place and gives what the plans and the syncs said.
fn everywhere(places: &[At], act: impl Fn(At) -> String) -> String {
    places.iter().map(|at| format!("{at:?}\n{}", act(*at))).collect()
}

#[test]
fn create() {
    let said = everywhere(&EVERYWHERE, |at| {
        let stage = Stage::of(&[at.target("token")]);
        let said = stage.plan(&[]) + &stage.sync(&[]);
        assert_eq!(stage.value(at, "token").len(), 32);
        stage.is_settled();
        said
    });
    insta::assert_snapshot!(said, @"
    File
    [DRY RUN] Would create:
      ✓ token → Local file (token.env)
    ✓ Generated token
    ✓ Created local file: token.env
    ✓ Updated .gitsecrets.lock
    Secret
    [DRY RUN] Would create:
      ✓ token → AWS Secrets Manager (app/token)
    ✓ Generated token
    ✓ Created AWS Secrets Manager secret: app/token
    ✓ Updated .gitsecrets.lock
    Parameter
    [DRY RUN] Would create:
      ✓ token → AWS SSM Parameter (/app/token)
    ✓ Generated token
    ✓ Created AWS SSM Parameter: /app/token
    ✓ Updated .gitsecrets.lock
    ");
}

#[test]
fn metadata() {
    let said = everywhere(&IN_AWS, |at| {
        let stage = Stage::synced(at);
        let value = stage.value(at, "token");
        stage.declare(&secretfile("", &[at.target_with("token", ", description: New, tags: {Team: core}")]));
        let said = stage.plan(&[]) + &stage.sync(&[]);
        assert_eq!(stage.value(at, "token"), value);
        stage.is_settled();
        said
    });
    insta::assert_snapshot!(said, @"
    Secret
    [DRY RUN] Would change metadata:
      ✓ token → AWS Secrets Manager (app/token) — description, tag:Team
    ✓ Updated metadata of AWS Secrets Manager secret: app/token (token)
    Parameter
    [DRY RUN] Would change metadata:
      ✓ token → AWS SSM Parameter (/app/token) — description, tag:Team
    ✓ Updated metadata of AWS SSM Parameter: /app/token (token)
    ✓ Updated .gitsecrets.lock
    ");
}

#[test]
fn revise() {
    let said = everywhere(&EVERYWHERE, |at| {
        let declared =
            |value: &str| secretfile(&format!("kind: static\nconfig: {{default: {value}}}"), &[at.target("token")]);
        let stage = Stage::with(&declared("one"));
        stage.sync(&[]);
        assert_eq!(stage.value(at, "token"), "one");
        stage.declare(&declared("two"));
        let said = stage.plan(&[]) + &stage.sync(&[]);
        assert_eq!(stage.value(at, "token"), "two");
        stage.is_settled();
        said
    });
    insta::assert_snapshot!(said, @"
    File
    [DRY RUN] Would replace an edited value:
      ✓ token → Local file (token.env) — the declared value was edited
    ✓ Generated token
    ✓ Updated local file: token.env
    ✓ Updated .gitsecrets.lock
    Secret
    [DRY RUN] Would replace an edited value:
      ✓ token → AWS Secrets Manager (app/token) — the declared value was edited
    ✓ Generated token
    ✓ Updated AWS Secrets Manager secret: app/token
    ✓ Updated .gitsecrets.lock
    Parameter
    [DRY RUN] Would replace an edited value:
      ✓ token → AWS SSM Parameter (/app/token) — the declared value was edited
    ✓ Generated token
    ✓ Updated AWS SSM Parameter: /app/token
    ✓ Updated .gitsecrets.lock
    ");
}

#[test]
fn rotate() {
    let said = everywhere(&EVERYWHERE, |at| {
        let stage = Stage::synced(at);
        let value = stage.value(at, "token");
        let said = stage.plan(&["--force"]) + &stage.sync(&["--force"]);
        assert_ne!(stage.value(at, "token"), value);
        stage.is_settled();
        said
    });
    insta::assert_snapshot!(said, @"
    File
    [DRY RUN] Would rotate:
      ✓ token → Local file (token.env) — asked for
    ✓ Generated token
    ✓ Updated local file: token.env
    ✓ Updated .gitsecrets.lock
    Secret
    [DRY RUN] Would rotate:
      ✓ token → AWS Secrets Manager (app/token) — asked for
    ✓ Generated token
    ✓ Updated AWS Secrets Manager secret: app/token
    ✓ Updated .gitsecrets.lock
    Parameter
    [DRY RUN] Would rotate:
      ✓ token → AWS SSM Parameter (/app/token) — asked for
    ✓ Generated token
    ✓ Updated AWS SSM Parameter: /app/token
    ✓ Updated .gitsecrets.lock
    ");
}

/// Edited settings of a generator wait for the rotation, and so long they are told.
#[test]
fn edited_settings_of_a_generator_are_pending_until_the_rotation() {
    for at in EVERYWHERE {
        let stage = Stage::synced(at);
        let value = stage.value(at, "token");
        stage.declare(&secretfile("kind: random_string\nconfig: {length: 48}", &[at.target("token")]));
        for _ in 0..2 {
            insta::allow_duplicates! {
                insta::assert_snapshot!(stage.plan(&["--detailed-exitcode"]), @"
                ✓ Nothing to change; 1 target as declared
                --- stderr
                ! token: its generator was edited; the new settings count from the next rotation
                ");
            }
            stage.sync(&[]);
            assert_eq!(stage.value(at, "token"), value);
        }
        stage.sync(&["--force"]);
        assert_eq!(stage.value(at, "token").len(), 48);
        assert!(!stage.plan(&[]).contains("generator was edited"));
        stage.is_settled();
    }
}

#[test]
fn spread() {
    let said = everywhere(&EVERYWHERE, |at| {
        let stage = Stage::synced(at);
        let value = stage.value(at, "token");
        let targets: Vec<String> =
            [at.target("token")].into_iter().chain(EVERYWHERE.map(|at| at.target("copy"))).collect();
        stage.declare(&secretfile("", &targets));
        let said = stage.plan(&[]) + &stage.sync(&[]);
        for copy in EVERYWHERE {
            assert_eq!(stage.value(copy, "copy"), value, "{at:?} to {copy:?}");
        }
        assert_eq!(stage.versions(at, "token"), 1);
        stage.is_settled();
        said
    });
    insta::assert_snapshot!(said, @"
    File
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → Local file (copy.env) — copied from Local file `token.env`
      ✓ token → AWS Secrets Manager (app/copy) — copied from Local file `token.env`
      ✓ token → AWS SSM Parameter (/app/copy) — copied from Local file `token.env`
    1 target already as declared
    ✓ Created local file: copy.env (token)
    ✓ Created AWS Secrets Manager secret: app/copy (token)
    ✓ Created AWS SSM Parameter: /app/copy (token)
    ✓ Updated .gitsecrets.lock
    Secret
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → Local file (copy.env) — copied from AWS Secrets Manager `app/token`
      ✓ token → AWS Secrets Manager (app/copy) — copied from AWS Secrets Manager `app/token`
      ✓ token → AWS SSM Parameter (/app/copy) — copied from AWS Secrets Manager `app/token`
    1 target already as declared
    ✓ Created local file: copy.env (token)
    ✓ Created AWS Secrets Manager secret: app/copy (token)
    ✓ Created AWS SSM Parameter: /app/copy (token)
    ✓ Updated .gitsecrets.lock
    Parameter
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → Local file (copy.env) — copied from AWS SSM Parameter `/app/token`
      ✓ token → AWS Secrets Manager (app/copy) — copied from AWS SSM Parameter `/app/token`
      ✓ token → AWS SSM Parameter (/app/copy) — copied from AWS SSM Parameter `/app/token`
    1 target already as declared
    ✓ Created local file: copy.env (token)
    ✓ Created AWS Secrets Manager secret: app/copy (token)
    ✓ Created AWS SSM Parameter: /app/copy (token)
    ✓ Updated .gitsecrets.lock
    ");
}

/// A copy that was lost comes back from the others, whichever it is.
#[test]
fn a_lost_copy_is_filled_from_the_others() {
    for lost in EVERYWHERE {
        let stage = Stage::of(&EVERYWHERE.map(|at| at.target("token")));
        stage.sync(&[]);
        let value = stage.value(lost, "token");
        stage.lose(lost, "token");
        let said = stage.plan(&[]);
        assert!(said.contains("Would copy the value in force to new places"), "{said}");
        stage.sync(&[]);
        assert_eq!(stage.value(lost, "token"), value, "{lost:?}");
        stage.is_settled();
    }
}

#[test]
fn heal() {
    let said = everywhere(&IN_AWS, |at| {
        let stage = Stage::of(&[At::File.target("token"), At::Secret.target("other"), at.target("token")]);
        stage.sync(&[]);
        // A rotation that reaches all but this one.
        let refused = if at == At::Secret { "PutSecretValue" } else { "PutParameter" };
        stage.aws.deny_on(refused, if at == At::Secret { "app/token" } else { "/app/token" });
        stage.sync_that_exits(8, &["--force"]);
        stage.aws.allow_all();
        assert_ne!(stage.value(at, "token"), stage.value(At::Secret, "other"));
        let said = stage.plan(&[]) + &stage.sync(&[]);
        assert_eq!(stage.value(at, "token"), stage.value(At::Secret, "other"));
        stage.is_settled();
        said
    });
    insta::assert_snapshot!(said, @"
    Secret
    [DRY RUN] Would bring up to date:
      ✓ token → AWS Secrets Manager (app/token) — it holds generation 1, generation 2 is in force
    2 targets already as declared
    ✓ Updated AWS Secrets Manager secret: app/token (token)
    ✓ Updated .gitsecrets.lock
    Parameter
    ✓ Nothing to change; 3 targets as declared
    ✓ Updated AWS SSM Parameter: /app/token (token)
    ✓ Updated .gitsecrets.lock
    ");
}
