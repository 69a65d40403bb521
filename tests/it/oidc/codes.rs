//! Each code that Entra, Google and Vault refuse a token with: what passes is tried again, what will not
//! change is asked once, and each is explained as what it is.

use serde_json::{Value as Json, json};

use super::refused::explained;
use super::{Stage, azure, google, vault};
use crate::sandbox::Ran;
use crate::vault::{Bao, ProxyFault};

/// A store with one secret whose login is answered so; how often it asked to log in.
fn run(logins: impl Fn() -> usize, push: impl FnOnce() -> Ran) -> (Ran, usize) {
    let before = logins();
    let ran = push();
    (ran, logins() - before)
}

#[test]
fn what_passes_at_entra_is_tried_again_with_the_same_token() {
    // An outage bears a code as often as not.
    for (status, code) in
        [(503, 90_024), (500, 50_000), (429, 90_055), (400, 90_033), (401, 50_196), (503, 0), (429, 0)]
    {
        let (fake, stage) = azure::stage();
        fake.edit(|world| world.logins = [(status, code), (status, code)].into());
        let (ran, asked) = run(|| azure::logins(&fake), || stage.push_of(&azure::text(&["one"]), azure::INPUTS));
        assert_eq!((ran.code, asked, stage.actions.requests()), (Some(0), 3, 1), "{status} {code}: {ran:?}");
    }
}

#[test]
fn what_will_not_change_at_entra_is_asked_once_and_told() {
    for (code, said) in [
        (70_021, "no federated credential of the application has this issuer, subject and audience"),
        (700_211, "another issuer than `https://token.actions.githubusercontent.com`"),
        (700_212, "another audience than `api://AzureADTokenExchange`"),
        (700_213, "exactly this subject"),
        (700_016, "no such application in this directory"),
        (90_002, "no such directory"),
        (50_013, "the signature or the issuer of the token cannot be checked"),
        (7_000_112, "Entra does not take this token"),
    ] {
        let (fake, stage) = azure::stage();
        fake.edit(|world| world.logins = [(401, code), (401, code)].into());
        let (ran, asked) = run(|| azure::logins(&fake), || stage.push_of(&azure::text(&["one", "two"]), azure::INPUTS));
        assert_ne!(ran.code, Some(0), "{code}");
        assert_eq!((asked, stage.actions.requests()), (1, 1), "{code}");
        let text = explained(&ran, azure::REFUSED);
        assert!(text.contains(&format!("AADSTS{code}")) && text.contains(said), "{text}");
    }
}

fn oauth(code: &str) -> Json {
    json!({ "error": code, "error_description": "The request quotes what was sent." })
}

fn google_error(status: &str, reason: &str) -> Json {
    let details = json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason }]);
    json!({ "error": { "code": 403, "status": status, "message": "quotes", "details": details } })
}

const EXCHANGE: &str = "/v1/token";
const LOAN: &str = ":generateAccessToken";

#[test]
fn what_passes_at_google_is_tried_again_with_the_same_token() {
    for (at, status, body) in [
        (EXCHANGE, 503, Json::Null),
        (EXCHANGE, 500, oauth("internal_failure")),
        (EXCHANGE, 429, google_error("RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED")),
        (LOAN, 503, google_error("UNAVAILABLE", "")),
        (LOAN, 429, google_error("RESOURCE_EXHAUSTED", "")),
    ] {
        let (fake, stage) = google::stage();
        fake.trust(|sign_in| sign_in.answers = [(at, status, body.clone()), (at, status, body.clone())].into());
        let count = || fake.trust(|sign_in| if at == LOAN { sign_in.loans } else { sign_in.exchanges });
        let (ran, asked) = run(count, || stage.push_of(&google::text(&["one"]), google::INPUTS));
        assert_eq!((ran.code, asked, stage.actions.requests()), (Some(0), 3, 1), "{at} {status}: {ran:?}");
    }
}

#[test]
fn what_will_not_change_at_google_is_asked_once_and_told() {
    let long = format!("repo:octo/demo:ref:refs/heads/{}", "x".repeat(120));
    for (at, status, body, subject, said) in [
        (EXCHANGE, 400, oauth("invalid_target"), None, "there is no such pool or provider"),
        (EXCHANGE, 400, oauth("invalid_target"), None, "providers create-oidc github"),
        (EXCHANGE, 400, oauth("invalid_request"), Some(long.as_str()), "Google takes 127 in `google.subject`"),
        (EXCHANGE, 400, oauth("invalid_grant"), None, "another issuer than"),
        (EXCHANGE, 401, oauth("unauthorized_client"), None, "attribute condition does not admit this run"),
        (LOAN, 403, google_error("PERMISSION_DENIED", "IAM_PERMISSION_DENIED"), None, "has no such binding"),
        (
            LOAN,
            403,
            google_error("PERMISSION_DENIED", "SERVICE_DISABLED"),
            None,
            "enable iamcredentials.googleapis.com",
        ),
        (LOAN, 404, google_error("NOT_FOUND", ""), None, "there is no such service account"),
    ] {
        let (fake, stage) = google::stage();
        subject.into_iter().for_each(|subject| stage.actions.subject(subject));
        fake.trust(|sign_in| sign_in.answers = [(at, status, body.clone()), (at, status, body.clone())].into());
        let count = || fake.trust(|sign_in| if at == LOAN { sign_in.loans } else { sign_in.exchanges });
        let (ran, asked) = run(count, || stage.push_of(&google::text(&["one", "two"]), google::INPUTS));
        assert_ne!(ran.code, Some(0), "{body}");
        assert_eq!((asked, stage.actions.requests()), (1, 1), "{body}");
        let text = explained(&ran, "Google ");
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[tokio::test]
async fn what_passes_at_vault_is_tried_again_with_the_same_token() {
    let bao = Bao::start().await;
    bao.post("sys/auth/jwt", json!({ "type": "jwt" })).await;
    for status in [500, 502, 503, 429, 412] {
        let stage = Stage::new();
        vault::trusting_key(&bao, &stage).await;
        vault::roles(&bao).await;
        let proxy = bao.proxy();
        proxy.fail("POST", "auth/jwt/login", 2, ProxyFault::Status(status, None));
        let ran = stage.push_of(&vault::secretfile(proxy.url(), &["one"]), vault::INPUTS);
        let asked = (ran.code, vault::logins(&proxy), stage.actions.requests());
        assert_eq!(asked, (Some(0), 3, 1), "{status}: {ran:?}");
    }
}
