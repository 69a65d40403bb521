//! What AWS or somebody else looks after is never written; the plan names its line.

use super::{At, REGION, Stage};

fn stage(change: impl FnOnce(&mut crate::fake::aws::Secret)) -> Stage {
    let stage = Stage::of(&[At::Parameter.target("token"), At::Secret.target("token")]);
    stage.sync(&[]);
    stage.aws.edit(|world| change(world.region(REGION).secrets.get_mut("app/token").unwrap()));
    stage.aws.forget_requests();
    stage
}

#[test]
fn a_secret_with_rotation_by_aws_is_refused_with_its_line() {
    let stage = stage(|secret| secret.rotation_enabled = true);
    insta::assert_snapshot!(stage.plan_that_exits(8, &[]), @"
    --- stderr
    ✗ token: AWS Secrets Manager `app/token` cannot be written: AWS rotates it by itself (Secretfile.yml:12)
      help: remove the target, or end the other management first
    ! 1 secret held
    ");
    for args in [&["--force"][..], &["--overwrite"], &["--adopt"]] {
        stage.sync_that_exits(8, args);
    }
    assert_eq!(stage.aws.effects(), 0);
}

#[test]
fn a_secret_that_a_service_owns_is_refused_with_its_line() {
    let stage = stage(|secret| secret.owning_service = Some("rds".into()));
    insta::assert_snapshot!(stage.plan_that_exits(8, &[]), @"
    --- stderr
    ✗ token: AWS Secrets Manager `app/token` cannot be written: the service rds owns it (Secretfile.yml:12)
      help: remove the target, or end the other management first
    ! 1 secret held
    ");
    for args in [&["--force"][..], &["--overwrite"], &["--adopt"]] {
        stage.sync_that_exits(8, args);
    }
    assert_eq!(stage.aws.effects(), 0);
}
