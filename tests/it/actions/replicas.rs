//! Copies that Secrets Manager keeps in other regions: asked for, waited for, told apart.

use super::{At, REGION, Stage, secretfile};

const WEST: &str = "us-west-2";

fn replicated() -> String {
    At::Secret.target_with("token", ", replica_regions: [us-west-2]")
}

/// The same name, declared in the replica's region as well.
fn explicit() -> String {
    At::Secret.target("token").replace("provider: aws", "provider: west")
}

fn in_west(stage: &Stage) -> Option<crate::fake::aws::Secret> {
    stage.aws.edit(|world| world.region(WEST).secrets.get("app/token").cloned())
}

/// How many looks at the primary a new replica needs.
fn slow(stage: &Stage, looks: usize) {
    stage.aws.edit(|world| world.replica_looks = looks);
}

#[test]
fn replica_check() {
    let stage = Stage::of(&[replicated(), explicit()]);
    slow(&stage, 3);
    insta::assert_snapshot!(stage.plan(&[]), @"
    [DRY RUN] Would create:
      ✓ token → AWS Secrets Manager (app/token)
    [DRY RUN] Would check the replica:
      ✓ token → AWS Secrets Manager (app/token) — the store makes the copy in us-west-2 together with its primary in us-east-1
    --- stderr
    ! 1 warning about Secretfile.yml; `secretzero validate` shows it
    ");
    stage.aws.forget_requests();
    insta::assert_snapshot!(stage.sync(&[]), @"
    ✓ Generated token
    ✓ Created AWS Secrets Manager secret: app/token
    ✓ Updated .gitsecrets.lock
    --- stderr
    ! 1 warning about Secretfile.yml; `secretzero validate` shows it
    ");
    assert!(stage.aws.count("DescribeSecret") >= 4, "it was waited for");
    let copy = in_west(&stage).unwrap();
    assert_eq!(
        (copy.value().unwrap(), copy.primary_region.as_deref()),
        (&*stage.value(At::Secret, "token"), Some(REGION))
    );
    insta::assert_snapshot!(stage.plan(&["-v"]), @"
    · token → AWS Secrets Manager (app/token): as declared
    · token → AWS Secrets Manager (app/token): the copy in us-west-2, in sync with us-east-1
    ✓ Nothing to change; 2 targets as declared
    --- stderr
    warning[replica-check]: the target in line 11 replicates to this region, and a replica cannot be written
      --> Secretfile.yml:12:9 (secret `token`)
       |
    12 |       - {provider: west, kind: secrets_manager, config: {name: app/token}}
       |         ^
       = help: this target is only checked to be there; remove it, or the region from `replica_regions`
    ");
    assert!(!stage.sandbox.read(super::LOCK).contains(WEST), "a copy is no place of ours");
    stage.is_settled();
}

/// A new secret's replicas are waited for, declared or not as targets.
#[test]
fn a_replica_that_fails_late_is_a_failure() {
    let stage = Stage::of(&[replicated()]);
    slow(&stage, 2);
    stage.aws.edit(|world| world.failing_replicas.insert(WEST.into()));
    insta::assert_snapshot!(stage.sync_that_exits(8, &[]), @"
    ✓ Generated token
    ✓ Created AWS Secrets Manager secret: app/token
    ✓ Updated .gitsecrets.lock
    --- stderr
    ✗ token → AWS Secrets Manager (app/token): its copy in us-west-2 failed (Replication failed: KMS key is disabled); mend this, and the next run asks for it again
    ! 1 target not brought in line; the next run goes on with the same values
    ");
    let value = stage.value(At::Secret, "token");
    assert!(stage.sandbox.read(super::LOCK).contains("app/token"), "the lock knows what was written");
    insta::assert_snapshot!(stage.plan(&[]), @"
    [DRY RUN] Would change metadata:
      ✓ token → AWS Secrets Manager (app/token) — replica:us-west-2
    ");
    stage.sync_that_exits(8, &[]);
    stage.aws.edit(|world| world.failing_replicas.clear());
    insta::assert_snapshot!(stage.sync(&[]), @"✓ Updated metadata of AWS Secrets Manager secret: app/token (token)");
    assert_eq!((in_west(&stage).unwrap().value().unwrap(), stage.value(At::Secret, "token")), (&*value, value.clone()));
    stage.is_settled();
}

#[test]
fn a_replica_that_fails_late_is_told_at_its_own_target() {
    let stage = Stage::of(&[replicated(), explicit()]);
    slow(&stage, 1);
    stage.aws.edit(|world| world.failing_replicas.insert(WEST.into()));
    insta::assert_snapshot!(stage.sync_that_exits(8, &[]), @"
    ✓ Generated token
    ✓ Created AWS Secrets Manager secret: app/token
    ✓ Updated .gitsecrets.lock
    --- stderr
    ! 1 warning about Secretfile.yml; `secretzero validate` shows it
    ✗ token → AWS Secrets Manager (app/token): its copy in us-west-2 failed (Replication failed: KMS key is disabled); mend this, and the next run asks for it again
    ! 1 target not brought in line; the next run goes on with the same values
    ");
    insta::assert_snapshot!(stage.plan(&[]), @"
    [DRY RUN] Would change metadata:
      ✓ token → AWS Secrets Manager (app/token) — replica:us-west-2
    [DRY RUN] Would check the replica:
      ✓ token → AWS Secrets Manager (app/token) — the copy in us-west-2 failed (Replication failed: KMS key is disabled); us-east-1 is asked for it again
    --- stderr
    ! 1 warning about Secretfile.yml; `secretzero validate` shows it
    ");
}

/// A replica that was declared later, or removed by hand.
#[test]
fn a_missing_replica_is_asked_for_at_the_primary() {
    let stage = Stage::synced(At::Secret);
    let value = stage.value(At::Secret, "token");
    slow(&stage, 2);
    stage.declare(&secretfile("", &[replicated(), explicit()]));
    insta::assert_snapshot!(stage.plan(&[]), @"
    [DRY RUN] Would change metadata:
      ✓ token → AWS Secrets Manager (app/token) — replica:us-west-2
    [DRY RUN] Would check the replica:
      ✓ token → AWS Secrets Manager (app/token) — there is no copy in us-west-2 yet; us-east-1 is asked for it
    --- stderr
    ! 1 warning about Secretfile.yml; `secretzero validate` shows it
    ");
    stage.aws.forget_requests();
    insta::assert_snapshot!(stage.sync(&[]), @"
    ✓ Updated metadata of AWS Secrets Manager secret: app/token (token)
    --- stderr
    ! 1 warning about Secretfile.yml; `secretzero validate` shows it
    ");
    assert_eq!(stage.aws.count("ReplicateSecretToRegions"), 1);
    assert_eq!(in_west(&stage).unwrap().value(), Some(&*value));
    stage.is_settled();
}

/// Under way when a run begins: a plan shows it and does not wait, a sync waits.
#[test]
fn a_replica_that_is_under_way_is_waited_for_by_a_sync_only() {
    let stage = Stage::of(&[replicated(), explicit()]);
    stage.sync(&[]);
    stage.aws.edit(|world| {
        let secret = world.region(REGION).secrets.get_mut("app/token").unwrap();
        let replica = secret.replicas.get_mut(WEST).unwrap();
        (replica.status, replica.looks) = ("InProgress", 5);
        world.region(WEST).secrets.clear();
    });
    insta::assert_snapshot!(stage.plan(&[]), @"
    [DRY RUN] Would check the replica:
      ✓ token → AWS Secrets Manager (app/token) — the copy in us-west-2 is not in sync yet (InProgress)
    ✓ Nothing to change; 1 target as declared
    --- stderr
    ! 1 warning about Secretfile.yml; `secretzero validate` shows it
    ");
    assert_eq!(stage.aws.count("DescribeSecret"), 2, "a plan does not wait");
    stage.sync(&[]);
    assert!(in_west(&stage).is_some());
    stage.is_settled();
}

#[test]
fn a_secret_of_its_own_in_the_replicas_region_is_told_apart() {
    let stage = Stage::of(&[replicated(), explicit()]);
    stage.sync(&[]);
    stage.aws.edit(|world| world.region(WEST).secrets.get_mut("app/token").unwrap().primary_region = None);
    insta::assert_snapshot!(stage.plan_that_exits(8, &[]), @"
    --- stderr
    ! 1 warning about Secretfile.yml; `secretzero validate` shows it
    ✗ token → AWS Secrets Manager (app/token): a secret of its own stands in us-west-2, so us-east-1 cannot replicate to it; remove it, or this target and `us-west-2` from `replica_regions`
    ");
    stage.aws.forget_requests();
    stage.sync_that_exits(8, &[]);
    assert_eq!(stage.aws.effects(), 0);
}

#[test]
fn a_replica_of_another_primary_is_told_apart() {
    let stage = Stage::of(&[replicated(), explicit()]);
    stage.sync(&[]);
    stage.aws.edit(|world| {
        world.region(WEST).secrets.get_mut("app/token").unwrap().primary_region = Some("eu-west-1".into());
    });
    insta::assert_snapshot!(stage.plan_that_exits(8, &[]), @"
    --- stderr
    ! 1 warning about Secretfile.yml; `secretzero validate` shows it
    ✗ token → AWS Secrets Manager (app/token): what stands in us-west-2 is a replica of eu-west-1, not of us-east-1; remove it, or this target and `us-west-2` from `replica_regions`
    ");
}

/// Something else has the name there before: the store refuses the copy, late.
#[test]
fn a_name_that_is_taken_in_the_replicas_region_fails_late() {
    let stage = Stage::of(&[replicated()]);
    stage
        .aws
        .edit(|world| drop(world.region(WEST).secrets.insert("app/token".into(), crate::fake::aws::Secret::default())));
    insta::assert_snapshot!(stage.sync_that_exits(8, &[]), @"
    ✓ Generated token
    ✓ Created AWS Secrets Manager secret: app/token
    ✓ Updated .gitsecrets.lock
    --- stderr
    ✗ token → AWS Secrets Manager (app/token): its copy in us-west-2 failed (Replication failed: Secret name already exists in this region); mend this, and the next run asks for it again
    ! 1 target not brought in line; the next run goes on with the same values
    ");
    assert_eq!(in_west(&stage).unwrap().value(), None, "what stands there is left alone");
}

/// A rotation reaches the copy through its primary.
#[test]
fn a_rotation_is_copied_by_the_store() {
    let stage = Stage::of(&[replicated(), explicit()]);
    stage.sync(&[]);
    let value = stage.value(At::Secret, "token");
    insta::assert_snapshot!(stage.plan(&["--force"]), @"
    [DRY RUN] Would rotate:
      ✓ token → AWS Secrets Manager (app/token) — asked for
    1 target already as declared
    --- stderr
    ! 1 warning about Secretfile.yml; `secretzero validate` shows it
    ");
    stage.sync(&["--force"]);
    assert_ne!(stage.value(At::Secret, "token"), value);
    assert_eq!(in_west(&stage).unwrap().value().unwrap(), stage.value(At::Secret, "token"));
    stage.is_settled();
}
