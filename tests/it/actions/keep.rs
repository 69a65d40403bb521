//! What stays as it is: in line, or no longer declared.

use super::{At, EVERYWHERE, LOCK, Stage, secretfile};

#[test]
fn keep() {
    let stage = Stage::of(&EVERYWHERE.map(|at| at.target("token")));
    stage.sync(&[]);
    insta::assert_snapshot!(stage.plan(&["-v"]), @"
    · token → Local file (token.env): as declared
    · token → AWS Secrets Manager (app/token): as declared
    · token → AWS SSM Parameter (/app/token): as declared
    ✓ Nothing to change; 3 targets as declared
    ");
    stage.is_settled();
}

/// Removed from the file: told, never pending, never deleted, and the lock still knows it.
#[test]
fn orphan() {
    let mut said = String::new();
    for at in EVERYWHERE {
        let two = |text: String| text + &format!("  - {{name: gone, kind: uuid, targets: [{}]}}\n", at.target("other"));
        let stage = Stage::with(&two(secretfile("", &[at.target("token")])));
        stage.sync(&[]);
        let before = stage.everything();
        stage.declare(&secretfile("", &[at.target("token")]));
        said += &format!("{at:?}\n{}", stage.plan(&["--detailed-exitcode"]));
        let lock = stage.sandbox.read(LOCK);
        stage.sync(&[]);
        assert_eq!(stage.everything(), before, "nothing is deleted");
        assert_eq!(stage.sandbox.read(LOCK), lock, "and the lock keeps it in mind");
        assert!(lock.contains("\"gone\""));
        stage.is_settled();
        // It comes back with the value that it had.
        stage.declare(&two(secretfile("", &[at.target("token")])));
        stage.sync(&[]);
        assert_eq!(stage.everything(), before);
    }
    insta::assert_snapshot!(said, @"
    File
    ✓ Nothing to change; 1 target as declared
    --- stderr
    ! gone: no longer declared; what is stored stays where it is
    Secret
    ✓ Nothing to change; 1 target as declared
    --- stderr
    ! gone: no longer declared; what is stored stays where it is
    Parameter
    ✓ Nothing to change; 1 target as declared
    --- stderr
    ! gone: no longer declared; what is stored stays where it is
    ");
}

/// A target that is removed, its secret not: what stands there stays.
#[test]
fn a_place_that_is_no_longer_declared_is_left() {
    for at in EVERYWHERE {
        let stage = Stage::of(&[At::Secret.target("other"), at.target("token")]);
        stage.sync(&[]);
        let before = stage.everything();
        stage.declare(&secretfile("", &[At::Secret.target("other")]));
        let said = stage.plan(&["--detailed-exitcode"]);
        assert!(said.contains("is no longer declared; nothing is deleted there"), "{said}");
        stage.sync(&[]);
        assert_eq!(stage.everything(), before);
        stage.is_settled();
    }
}
