//! A refused login is explained: which claims were sent, what the code means, and what would admit
//! exactly this run.

use super::{AUDIENCE, BOTH, MORE, NEWER, SYNC_ROLE, Stage};
use crate::fake::actions::ISSUER;
use crate::stage::BASE;

/// What a run says of its refused login, with what changes from run to run left out.
fn said(ran: &crate::sandbox::Ran) -> String {
    explained(ran, "AWS refused this run's ID token for the role")
}

/// The same from a beginning on.
pub(super) fn explained(ran: &crate::sandbox::Ran, beginning: &str) -> String {
    let from = ran.stdout.find(beginning).unwrap_or_else(|| panic!("{ran:?}"));
    let text = &ran.stdout[from..];
    // The block ends with the runner's command that lets commands work again.
    let text = text.split("\n::").next().unwrap();
    regex::Regex::new(r"(iat|nbf|exp): \d+").unwrap().replace_all(text, "$1: SECONDS").into_owned()
}

/// The policy at the end of an explanation, if it is JSON.
pub(super) fn policy(text: &str) -> serde_json::Value {
    serde_json::from_str(&text[text.find("\n    {").unwrap()..]).unwrap()
}

/// The runner is told to hide each of these, and is told nothing else of them.
pub(super) fn stand_in_their_masks_alone<S: AsRef<str>>(
    ran: &crate::sandbox::Ran,
    secrets: impl IntoIterator<Item = S>,
) {
    for secret in secrets {
        let secret = secret.as_ref();
        let masked = format!("::add-mask::{secret}");
        assert_eq!(ran.stdout.matches(secret).count(), 1, "{secret} stands in its mask alone");
        assert!(ran.stdout.lines().any(|line| line == masked), "{secret}");
        assert!(!ran.stderr.contains(secret), "{secret}");
    }
}

/// The summary tells of the refusal as well, and nothing that is printed holds a token's signature.
pub(super) fn is_told_without_a_token(stage: &Stage, ran: &crate::sandbox::Ran, said: &[&str]) {
    let summary = stage.sandbox.read("summary");
    assert!(summary.contains("a login was refused"), "{summary}");
    let unescaped = summary.replace('\\', "");
    for part in said {
        assert!(unescaped.contains(part), "{part}: {summary}");
    }
    let minted = stage.actions.minted();
    assert!(!minted.is_empty());
    for text in [&summary, &ran.stdout, &ran.stderr] {
        let bare = text.lines().filter(|line| !line.starts_with("::add-mask::")).collect::<String>();
        for signature in minted.iter().map(|token| token.rsplit('.').next().unwrap()) {
            assert!(!bare.contains(signature), "the signature stands in its mask alone");
        }
    }
}

#[test]
fn a_role_that_trusts_the_older_form_of_the_subject() {
    let stage = Stage::new();
    stage.actions.subject(NEWER);
    let ran = stage.push_of(&format!("{BASE}{MORE}"), BOTH);
    assert_ne!(ran.code, Some(0));
    insta::assert_snapshot!("older_form", said(&ran));
    is_told_without_a_token(&stage, &ran, &["octo@501/demo@1001"]);
}

#[test]
fn the_policy_that_is_shown_admits_exactly_this_run() {
    let stage = Stage::new();
    stage.actions.subject(NEWER);
    let ran = stage.push_of(&format!("{BASE}{MORE}"), BOTH);
    let text = said(&ran);
    let policy = policy(&text);
    let statement = &policy["Statement"][0];
    let host = ISSUER.trim_start_matches("https://");
    assert_eq!(statement["Principal"]["Federated"], format!("arn:aws:iam::123456789012:oidc-provider/{host}"));
    let conditions = &statement["Condition"]["StringEquals"];
    stage.aws.edit(|world| {
        let role = world.federation.roles.get_mut(SYNC_ROLE).unwrap();
        role.audience = conditions[format!("{host}:aud")].as_str().unwrap().to_owned();
        role.subjects = vec![conditions[format!("{host}:sub")].as_str().unwrap().to_owned()];
    });
    let ran = stage.push_of(&format!("{BASE}{MORE}"), BOTH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn an_account_that_does_not_know_the_issuer_or_the_audience() {
    let stage = Stage::new();
    stage.aws.edit(|world| world.federation.issuers.clear());
    let ran = stage.push_of(&format!("{BASE}{MORE}"), BOTH);
    insta::assert_snapshot!("unknown_issuer", said(&ran));

    let stage = Stage::new();
    let other = [BOTH, &[("aws_audience", "https://elsewhere.example")]].concat();
    let ran = stage.push_of(&format!("{BASE}{MORE}"), &other);
    assert!(said(&ran).contains("aud: https://elsewhere.example"), "{ran:?}");
    assert_eq!(stage.actions.audiences(), ["https://elsewhere.example"], "{AUDIENCE} was not asked for");
}

#[test]
fn a_pull_request_that_is_refused_says_so_in_its_comment() {
    let (stage, pull, head) = Stage::opened();
    stage.actions.subject("repo:octo/demo:environment:production");
    let ran = stage.pull_request(pull, &head, BOTH);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(said(&ran).contains("take it out of that job"), "{ran:?}");
    let comment = stage.comment(pull);
    assert!(comment.contains("AccessDenied") && !comment.contains("Principal"), "{comment}");
}
