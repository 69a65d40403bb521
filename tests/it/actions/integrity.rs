//! Values that not every store takes: bytes, sizes, and what was found that nobody may take over.

use super::{At, EVERYWHERE, Stage, secretfile};
use crate::fake::aws::REGION;

/// Not UTF-8, with a NUL: 00 01 ff fe.
const BYTES: &str = "AAH//g==";

#[test]
fn bytes_are_bytes_where_a_store_has_them_and_base64_elsewhere() {
    let declared = |value: &str| {
        let settings = format!("kind: static\nconfig: {{default: '{value}', encoding: base64}}");
        secretfile(&settings, &EVERYWHERE.map(|at| at.target("token")))
    };
    // As `base64` wraps it.
    let stage = Stage::with(&declared("AAH/\n\n  /g=="));
    stage.sync(&[]);
    let stored = stage.aws.secret("app/token").unwrap().versions.pop().unwrap();
    assert_eq!((stored.is_binary, stored.value.as_str()), (true, BYTES), "the wire has bytes in base64");
    assert_eq!((stage.value(At::Parameter, "token"), stage.value(At::File, "token")), (BYTES.into(), BYTES.into()));
    stage.is_settled();
    // A place that comes later gets the same from what was read back.
    stage.declare(&declared(BYTES).replace("token.env", "copy.env"));
    stage.sync(&[]);
    assert_eq!(stage.value(At::File, "copy"), BYTES);
    stage.is_settled();
    stage.declare(&declared("/w==").replace("token.env", "copy.env"));
    stage.sync(&[]);
    assert_eq!((stage.value(At::Secret, "token"), stage.value(At::Parameter, "token")), ("/w==".into(), "/w==".into()));
    stage.is_settled();
}

#[test]
fn bytes_that_stand_in_a_store_are_copied_as_base64() {
    let settings = "kind: external\nadopt: true\nconfig: {encoding: base64}";
    let stage = Stage::with(&secretfile(settings, &EVERYWHERE.map(|at| at.target("token"))));
    stage.occupy(At::Secret, "token", BYTES);
    stage.aws.edit(|world| {
        world.region(REGION).secrets.get_mut("app/token").unwrap().versions[0].is_binary = true;
    });
    stage.sync(&[]);
    assert_eq!((stage.value(At::Parameter, "token"), stage.value(At::File, "token")), (BYTES.into(), BYTES.into()));
    stage.is_settled();
}

/// Without `encoding` nobody knows what a store of text should make of bytes.
#[test]
fn bytes_that_were_not_declared_are_written_nowhere_else() {
    let targets = EVERYWHERE.map(|at| at.target("token"));
    let stage = Stage::with(&secretfile("kind: external\nadopt: true", &targets));
    stage.occupy(At::Secret, "token", BYTES);
    stage.aws.edit(|world| {
        world.region(REGION).secrets.get_mut("app/token").unwrap().versions[0].is_binary = true;
    });
    let said = stage.sync_that_exits(8, &[]);
    insta::assert_snapshot!(said, @"
    --- stderr
    ✗ token → AWS Secrets Manager (app/token): Local file `token.env` (line 12): the value is not UTF-8 text, and a local file holds nothing else; declare it in base64 with `encoding: base64`; nothing was written anywhere
    ! 1 target not brought in line; the next run goes on with the same values
    ");
    assert!(stage.aws.parameter("/app/token").is_none() && stage.sandbox.read("token.env").is_empty());
    assert!(stage.aws.secret("app/token").unwrap().tags.is_empty(), "not even a mark was set");
}

/// The strictest target decides before anything is written: at once if the value is known.
#[test]
fn a_value_that_one_target_cannot_hold_is_written_to_none() {
    let long = "x".repeat(5000);
    let settings = format!("kind: static\nconfig: {{default: '{long}'}}");
    let stage = Stage::with(&secretfile(&settings, &EVERYWHERE.map(|at| at.target("token"))));
    let said = stage.sync_that_exits(3, &[]);
    assert!(said.contains("the value has 5000 bytes, more than the 4096 that this tier of SSM takes"), "{said}");
    assert_eq!((stage.aws.effects(), stage.sandbox.read("token.env")), (0, String::new()));

    // One that nobody knew before it was found: filters make no difference.
    let stage = Stage::with(&secretfile("kind: external\nadopt: true", &EVERYWHERE.map(|at| at.target("token"))));
    stage.occupy(At::Secret, "token", &long);
    for args in [&[][..], &["--provider", "local"], &["--target-type", "secrets_manager"]] {
        stage.sync_that_exits(8, args);
        assert_eq!((stage.aws.effects(), stage.sandbox.read("token.env")), (0, String::new()), "{args:?}");
    }
    insta::assert_snapshot!(stage.sync_that_exits(8, &[]), @"
    --- stderr
    ✗ token → AWS Secrets Manager (app/token): AWS SSM Parameter `/app/token` (line 14): the value has 5000 bytes, more than the 4096 that this tier of SSM takes; shorten it, or choose another store; nothing was written anywhere
    ! 1 target not brought in line; the next run goes on with the same values
    ");
}

/// The value in force fits where it stands; a new target that cannot hold it is told, the rest goes on.
#[test]
fn a_new_target_that_cannot_hold_the_value_in_force_is_left_out() {
    let settings = "kind: external\nadopt: true";
    let stage = Stage::with(&secretfile(settings, &[At::Secret.target("token")]));
    stage.occupy(At::Secret, "token", "a{{b");
    stage.sync(&[]);
    stage.declare(&secretfile(settings, &[At::Secret, At::Parameter, At::File].map(|at| at.target("token"))));
    insta::assert_snapshot!(stage.sync_that_exits(8, &[]), @"
    ✓ Created local file: token.env (token)
    ✓ Updated .gitsecrets.lock
    --- stderr
    ✗ token → AWS SSM Parameter (/app/token): the value contains `{{`, which this tier of SSM takes for one of its own expressions; leave `{{` out of the value, or choose another store
    ! 1 target not brought in line; the next run goes on with the same values
    ");
    assert!(stage.aws.parameter("/app/token").is_none());
    assert_eq!(stage.value(At::File, "token"), "a{{b");
}

#[test]
fn what_breaks_the_validation_is_not_taken_over() {
    let settings = "kind: external\nadopt: true\nconfig: {validation: 'sk_live_[a-z]+'}";
    let mut said = String::new();
    for at in EVERYWHERE {
        let stage = Stage::with(&secretfile(settings, &[at.target("token")]));
        stage.occupy(at, "token", "canary_wrong");
        let before = stage.everything();
        let refused = stage.sync_that_exits(8, &[]);
        assert!(!refused.contains("canary"), "{refused}");
        said += &refused;
        assert_eq!((stage.everything(), stage.aws.effects()), (before, 0), "nothing was touched");
        stage.occupy(at, "token", "sk_live_right");
        stage.sync(&[]);
        stage.is_settled();
    }
    insta::assert_snapshot!(said, @"
    --- stderr
    ✗ token: what Local file `token.env` holds is not taken over: the value does not match its `validation` pattern as a whole; correct the value or the pattern (Secretfile.yml:13)
      help: nothing was written for this secret; mend one of the two and run again
    ! 1 secret held
    --- stderr
    ✗ token: what AWS Secrets Manager `app/token` holds is not taken over: the value does not match its `validation` pattern as a whole; correct the value or the pattern (Secretfile.yml:13)
      help: nothing was written for this secret; mend one of the two and run again
    ! 1 secret held
    --- stderr
    ✗ token: what AWS SSM Parameter `/app/token` holds is not taken over: the value does not match its `validation` pattern as a whole; correct the value or the pattern (Secretfile.yml:13)
      help: nothing was written for this secret; mend one of the two and run again
    ! 1 secret held
    ");
}

/// A declared value is compared as well: the sync that adopts would replace it at once.
#[test]
fn targets_that_disagree_are_listed_until_somebody_names_the_one_that_counts() {
    let settings = "kind: external\nadopt: true";
    let targets = [At::File.target("copy"), At::Secret.target("token"), At::Parameter.target("token")];
    let stage = Stage::with(&secretfile(settings, &targets));
    stage.occupy(At::File, "copy", "canary_one");
    stage.occupy(At::Secret, "token", "canary_two");
    stage.occupy(At::Parameter, "token", "canary_one");
    let before = stage.everything();
    let said = stage.sync_that_exits(8, &[]);
    assert!(!said.contains("canary"), "{said}");
    insta::assert_snapshot!(said, @"
    --- stderr
    ✗ token: its targets hold 2 different values, so none is taken over: AWS Secrets Manager `app/token` (line 13); another in Local file `copy.env` (line 12) and AWS SSM Parameter `/app/token` (line 14) (Secretfile.yml:13)
      help: name the one that counts with `primary: true`; its value is then taken over, and `--overwrite` replaces the others
    ! 1 secret held
    ");
    assert_eq!((stage.everything(), stage.aws.effects()), (before, 0), "nothing was touched");

    // Named: its value counts, and the other that holds another is replaced only when that is said too.
    let named = targets[2].replace("provider: aws", "primary: true, provider: aws");
    stage.declare(&secretfile(settings, &[targets[0].clone(), targets[1].clone(), named]));
    let said = stage.sync_that_exits(8, &[]);
    assert!(said.contains("it holds another value than the other targets"), "{said}");
    assert_eq!(stage.value(At::Secret, "token"), "canary_two");
    stage.sync(&["--overwrite"]);
    assert_eq!(stage.value(At::Secret, "token"), "canary_one");
    stage.is_settled();
}
