//! A value that somebody else makes: it is followed, and never made here.

use super::*;

#[test]
fn an_external_value_is_taken_over_and_copied_but_never_made() {
    let says = |given: Given| given.declared(EXTERNAL).says();
    let kept = |given: Given| given.declared(EXTERNAL_ADOPTED).says();
    insta::assert_snapshot!(kept(given([sm(Absent), ssm(Absent)])), @"keep: held, held; Decision: it is external, so its value is made elsewhere, and no target holds it yet");
    insta::assert_snapshot!(says(given([sm(Absent)]).force()), @"keep: held; Decision: it is external, so its value is made elsewhere, and no target holds it yet");
    insta::assert_snapshot!(says(given([sm(Foreign)])), @"keep: held; Decision: AWS Secrets Manager `0` is not ours: it carries no mark of SecretZero");
    insta::assert_snapshot!(says(given([sm(Foreign), ssm(Absent)]).overwrite()), @"keep: held, held; Decision: it is external, so there is no value to overwrite anything with");
    insta::assert_snapshot!(kept(given([sm(Foreign), ssm(Absent)])), @"adopt 1: adopt, spread");
    insta::assert_snapshot!(kept(given([sm(Adopted(1)), ssm(Absent)])), @"keep: keep, spread");
    insta::assert_snapshot!(kept(given([sm(Gen(1))]).aged(99).attended().force()), @"keep: keep");
    insta::assert_snapshot!(says(given([sm(Down)])), @"keep: held; Store: AWS Secrets Manager `0` cannot be read: 503");
}

#[test]
fn a_value_that_was_put_there_from_outside_is_the_next_one_of_an_external_secret() {
    let says = |given: Given| given.declared(EXTERNAL).says();
    let kept = |given: Given| given.declared(EXTERNAL_ADOPTED).says();
    insta::assert_snapshot!(says(given([sm(Drifted(1)), ssm(Gen(1))])), @"keep: keep, keep");
    insta::assert_snapshot!(kept(given([sm(Drifted(1)), ssm(Gen(1))])), @"adopt 2: adopt, heal");
    insta::assert_snapshot!(kept(given([sm(Gen(1)), ssm(Drifted(1)), file(Absent)])), @"adopt 2: heal, adopt, spread");
    insta::assert_snapshot!(kept(given([sm(Drifted(1)), ssm(Drifted(1))])), @"adopt 2: adopt, adopt");
    insta::assert_snapshot!(kept(given([sm(Drifted(1)).filtered(), ssm(Gen(1))])), @"keep: left out, keep");
    let due = given([sm(Drifted(1)), ssm(Gen(1))]).declared(EXTERNAL_ADOPTED).aged(99).plan().due;
    assert_eq!(due, None, "the new value is what the reminder was for");
}
