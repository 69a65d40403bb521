//! A name that is scheduled for deletion: taken back by the run that needs it, never by a plan.

use super::{At, REGION, Stage, secretfile};

fn is_deleted(stage: &Stage, name: &str) -> bool {
    stage.aws.secret(&format!("app/{name}")).unwrap().deleted
}

#[test]
fn restore() {
    let stage = Stage::synced(At::Secret);
    let value = stage.value(At::Secret, "token");
    stage.schedule_deletion("token");
    insta::assert_snapshot!(stage.plan(&[]), @"
    [DRY RUN] Would restore:
      ✓ token → AWS Secrets Manager (app/token) — restored from its scheduled deletion
    ");
    assert!(is_deleted(&stage, "token"));
    stage.aws.forget_requests();
    insta::assert_snapshot!(stage.sync(&[]), @"✓ Restored AWS Secrets Manager secret: app/token (token)");
    assert!(!is_deleted(&stage, "token"));
    assert_eq!((stage.value(At::Secret, "token"), stage.versions(At::Secret, "token")), (value, 1));
    assert_eq!(stage.aws.effects(), 1, "to take it back is all there is to do");
    stage.is_settled();
}

#[test]
fn restore_and_change_its_metadata() {
    let stage = Stage::synced(At::Secret);
    stage.schedule_deletion("token");
    stage.declare(&secretfile("", &[At::Secret.target_with("token", ", tags: {Team: core}")]));
    insta::assert_snapshot!(stage.plan(&[]), @"
    [DRY RUN] Would restore:
      ✓ token → AWS Secrets Manager (app/token) — tag:Team; restored from its scheduled deletion
    ");
    stage.sync(&[]);
    assert_eq!(stage.aws.secret("app/token").unwrap().tags["Team"], "core");
    stage.is_settled();
}

#[test]
fn a_new_place_is_filled_from_one_that_is_restored() {
    let stage = Stage::synced(At::Secret);
    let value = stage.value(At::Secret, "token");
    stage.schedule_deletion("token");
    stage.declare(&secretfile(
        "",
        &[At::Secret.target("token"), At::Parameter.target("token"), At::File.target("token")],
    ));
    insta::assert_snapshot!(stage.plan(&[]), @"
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → AWS SSM Parameter (/app/token) — copied from AWS Secrets Manager `app/token`
      ✓ token → Local file (token.env) — copied from AWS Secrets Manager `app/token`
    [DRY RUN] Would restore:
      ✓ token → AWS Secrets Manager (app/token) — restored from its scheduled deletion
    ");
    stage.sync(&[]);
    for at in super::EVERYWHERE {
        assert_eq!(stage.value(at, "token"), value, "{at:?}");
    }
    stage.is_settled();
}

/// An edited declared value is compared once it can be read: by the run after.
#[test]
fn a_declared_value_that_was_edited_meanwhile_is_replaced_by_the_next_run() {
    let declared =
        |value: &str| secretfile(&format!("kind: static\nconfig: {{default: {value}}}"), &[At::Secret.target("token")]);
    let stage = Stage::with(&declared("one"));
    stage.sync(&[]);
    stage.schedule_deletion("token");
    stage.declare(&declared("two"));
    // The lock knows that it was edited.
    assert!(stage.plan(&[]).contains("restored from its scheduled deletion; the declared value was edited"));
    stage.sandbox.remove(super::LOCK);
    insta::assert_snapshot!(stage.sync_that_exits(8, &[]), @"
    ✓ Restored AWS Secrets Manager secret: app/token (token)
    ✓ Updated .gitsecrets.lock
    --- stderr
    ✗ token → AWS Secrets Manager (app/token): it is restored, and its declared value was edited meanwhile; run again to replace it
    ! 1 target not brought in line; the next run goes on with the same values
    ");
    stage.sync(&[]);
    assert_eq!(stage.value(At::Secret, "token"), "two");
    stage.is_settled();
}

#[test]
fn a_rotation_restores_what_it_writes() {
    let stage = Stage::synced(At::Secret);
    let value = stage.value(At::Secret, "token");
    stage.schedule_deletion("token");
    insta::assert_snapshot!(stage.plan(&["--force"]), @"
    [DRY RUN] Would rotate:
      ✓ token → AWS Secrets Manager (app/token) — restored from its scheduled deletion; asked for
    ");
    stage.sync(&["--force"]);
    assert_ne!(stage.value(At::Secret, "token"), value);
    stage.is_settled();
}

/// The only copy of a value that moved before it was scheduled for deletion: it is restored to be
/// copied, and stays.
#[test]
fn a_former_place_is_restored_if_its_value_is_needed() {
    let stage = Stage::synced(At::Secret);
    let value = stage.value(At::Secret, "token");
    stage.schedule_deletion("token");
    stage.declare(&secretfile("", &[At::Parameter.target("copy")]));
    insta::assert_snapshot!(stage.plan(&[]), @"
    [DRY RUN] Would copy the value in force to new places:
      ✓ token → AWS SSM Parameter (/app/copy) — copied from its former place, AWS Secrets Manager `app/token` in us-east-1, which is restored from its scheduled deletion first
    --- stderr
    ! token: its former place aws-sm://123456789012/us-east-1/app/token is no longer declared; nothing is deleted there
    ");
    insta::assert_snapshot!(stage.sync(&[]), @"
    ✓ Created AWS SSM Parameter: /app/copy (token)
    ✓ Updated .gitsecrets.lock
    --- stderr
    ! token: its former place aws-sm://123456789012/us-east-1/app/token is no longer declared; nothing is deleted there
    ");
    assert_eq!(stage.value(At::Parameter, "copy"), value);
    assert!(!is_deleted(&stage, "token"));
    // From now on it is not needed: whoever deletes it again is not contradicted.
    stage.schedule_deletion("token");
    stage.sync(&[]);
    assert!(is_deleted(&stage, "token"));
}

/// What may not be written is not taken back either.
#[test]
fn a_held_secret_is_not_restored() {
    let stage = Stage::of(&[At::Secret.target("token"), At::Parameter.target("token")]);
    stage.sync(&[]);
    stage.schedule_deletion("token");
    stage.aws.edit(|world| world.region(REGION).parameters.get_mut("/app/token").unwrap().tags.clear());
    let said = stage.plan_that_exits(8, &[]);
    assert!(said.contains("is not ours"), "{said}");
    stage.aws.forget_requests();
    stage.sync_that_exits(8, &[]);
    assert!(is_deleted(&stage, "token"));
    assert_eq!(stage.aws.effects(), 0);
}

#[test]
fn a_filtered_target_is_not_restored() {
    let stage = Stage::of(&[At::Secret.target("token"), At::Parameter.target("token")]);
    stage.sync(&[]);
    stage.schedule_deletion("token");
    stage.sync(&["--target-type", "ssm_parameter"]);
    assert!(is_deleted(&stage, "token"));
}

#[test]
fn a_refused_restore_fails_that_target_alone() {
    let stage = Stage::of(&[At::Secret.target("token"), At::Parameter.target("token")]);
    stage.sync(&[]);
    let value = stage.value(At::Parameter, "token");
    stage.schedule_deletion("token");
    stage.lose(At::Parameter, "token");
    stage.declare(&secretfile(
        "",
        &[At::Secret.target("token"), At::Secret.target("copy"), At::Parameter.target("token")],
    ));
    stage.aws.edit(|world| {
        let secret = world.region(REGION).secrets["app/token"].clone();
        world.region(REGION).secrets.insert("app/other".into(), secret);
    });
    stage.aws.deny("RestoreSecret");
    insta::assert_snapshot!(stage.sync_that_exits(8, &[]), @"
    --- stderr
    ✗ token → AWS Secrets Manager (app/token): AWS refused secretsmanager:RestoreSecret on app/token in us-east-1 (AccessDeniedException). Allow it to arn:aws:iam::123456789012:user/test on arn:aws:secretsmanager:us-east-1:123456789012:secret:app/token-??????
    ✗ token → AWS Secrets Manager (app/copy): the value in force could not be read, so it was not copied here; run again
    ✗ token → AWS SSM Parameter (/app/token): the value in force could not be read, so it was not copied here; run again
    ! 3 targets not brought in line; the next run goes on with the same values
    ");
    stage.aws.allow_all();
    stage.sync(&[]);
    assert_eq!(stage.value(At::Parameter, "token"), value);
    stage.is_settled();
}
