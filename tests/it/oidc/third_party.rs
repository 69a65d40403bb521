//! Tokens that somebody else's issuer made (oauth2-mock-server), sound and spoiled, as a job of another
//! CI presents them in a variable.

use super::{AUDIENCE, SYNC_ROLE, Stage, keyless};
use crate::fake::aws::web_identity::Role;
use crate::fake::jwt::Issuer;
use crate::servers;
use crate::stage::BASE;

const SUBJECT: &str = "project_path:group/project:ref_type:branch:ref:main";

fn get(url: &str) -> String {
    let answer = async { reqwest::get(url).await.unwrap().text().await.unwrap() };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(answer)
}

/// An account that trusts the issuer for one subject, and what a login with a token of a kind says.
fn login(kind: &str, audience: &str) -> (Stage, crate::sandbox::Ran) {
    let stage = Stage::new();
    let url = servers::exported("ISSUER_URL");
    let discovered: serde_json::Value =
        serde_json::from_str(&get(&format!("{url}/.well-known/openid-configuration"))).unwrap();
    let issuer = discovered["issuer"].as_str().unwrap().to_owned();
    let jwks = serde_json::from_str(&get(&format!("{url}/jwks"))).unwrap();
    stage.aws.edit(|world| {
        let federation = &mut world.federation;
        federation.issuers.insert(issuer.clone(), Issuer { jwks, audiences: vec![AUDIENCE.into()] });
        let (audience, subjects) = (AUDIENCE.into(), vec![SUBJECT.into()]);
        federation.roles.insert(SYNC_ROLE.into(), Role { issuer, audience, subjects, ..Role::default() });
    });
    let token = get(&format!("{url}/mint?kind={kind}&sub={SUBJECT}&aud={audience}"));
    stage.sandbox.write("Secretfile.yml", BASE);
    let mut environment = keyless(&stage.aws);
    environment.insert("SECRETZERO_AWS_ROLE".into(), SYNC_ROLE.into());
    environment.insert("SECRETZERO_AWS_ID_TOKEN".into(), token);
    let ran = stage.sandbox.run_with(&["test"], &environment);
    (stage, ran)
}

#[test]
fn a_sound_token_logs_in() {
    let (stage, ran) = login("good", AUDIENCE);
    assert_eq!((ran.code, stage.aws.count(super::LOGIN)), (Some(0), 1), "{ran:?}");
}

#[test]
fn each_spoiled_one_is_refused_once_and_explained() {
    for (kind, code) in [
        ("expired", "ExpiredTokenException"),
        ("future", "InvalidIdentityToken"),
        ("wrong-iss", "InvalidIdentityToken"),
        ("no-sub", "InvalidIdentityToken"),
        ("bad-signature", "InvalidIdentityToken"),
        ("none", "InvalidIdentityToken"),
    ] {
        let (stage, ran) = login(kind, AUDIENCE);
        assert_eq!((ran.code, stage.aws.total()), (Some(4), 1), "{kind}: {ran:?}");
        assert!(ran.stdout.contains(code) && ran.stderr.contains("It means:"), "{kind}: {ran:?}");
    }
}

#[test]
fn a_token_for_another_audience_does_not_even_leave() {
    for (kind, audience) in [("wrong-aud", AUDIENCE), ("good", "https://vault.example")] {
        let (stage, ran) = login(kind, audience);
        assert_eq!((ran.code, stage.aws.total()), (Some(4), 0), "{kind}: {ran:?}");
    }
}
