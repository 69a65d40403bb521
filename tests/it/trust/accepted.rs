//! The generated role of Vault, at a real server that verifies tokens: each role takes the runs that it
//! is for and no others.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use secretzero::trust::{Account, Cloud, Forge, Phase, generate};
use serde_json::{Value as Json, json};

use super::trusted;
use crate::vault::Bao;

/// A server that trusts a key of ours as that of the forge, with the generated role of each phase.
async fn server(forge: Forge) -> (Bao, EncodingKey) {
    let bao = Bao::start().await;
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    bao.post("sys/auth/jwt", json!({ "type": "jwt" })).await;
    let keys = json!({ "jwt_validation_pubkeys": [pair.public_key_pem()], "bound_issuer": forge.public_issuer() });
    bao.post("auth/jwt/config", keys).await;
    for phase in Phase::ALL {
        let mut of = trusted(forge, phase);
        of.audience = Some("https://vault.corp".into());
        let generated = generate(Cloud::Vault, &of, &Account::default());
        let role: Json = serde_json::from_str(&generated.documents[0].text).unwrap();
        bao.post(&format!("auth/jwt/role/{}", phase.as_str()), role).await;
        bao.policy(&format!("secretzero-{}", phase.as_str()), &generated.documents[1].text).await;
    }
    (bao, EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap())
}

/// Which of the two roles take a token with these claims.
async fn takes(bao: &Bao, key: &EncodingKey, claims: &Json) -> Vec<&'static str> {
    let jwt = encode(&Header::new(Algorithm::ES256), claims, key).unwrap();
    let mut taken = Vec::new();
    for phase in Phase::ALL {
        let login = json!({ "jwt": jwt, "role": phase.as_str() });
        let (status, answer) = bao.call(Method::POST, "auth/jwt/login", Some(login)).await;
        if status == 200 {
            let token = answer["auth"]["client_token"].as_str().unwrap();
            assert!(bao.knows(token).await, "the token may look at itself");
            taken.push(phase.as_str());
        }
    }
    taken
}

/// Claims with some of them replaced.
fn with(claims: &Json, changes: Json) -> Json {
    let mut claims = claims.clone();
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims
}

#[tokio::test]
async fn the_generated_roles_of_vault_take_the_runs_that_they_are_for() {
    let (bao, key) = server(Forge::Github).await;
    let push = json!({
        "iss": Forge::Github.public_issuer(), "aud": "https://vault.corp", "exp": 4_102_444_800_u64, "iat": 1_700_000_000,
        "sub": "repo:octo/demo:ref:refs/heads/main", "repository_id": "1001", "repository_owner_id": "77",
        "ref": "refs/heads/main", "event_name": "push", "runner_environment": "github-hosted",
    });
    let pull = with(
        &push,
        json!({ "sub": "repo:octo@77/demo@1001:pull_request", "ref": "refs/pull/7/merge", "event_name": "pull_request" }),
    );
    assert_eq!(takes(&bao, &key, &push).await, ["sync"]);
    assert_eq!(takes(&bao, &key, &pull).await, ["plan"]);
    let ids = json!({ "sub": "repo:octo@77/demo@1001:ref:refs/heads/main" });
    assert_eq!(takes(&bao, &key, &with(&push, ids)).await, ["sync"], "either form of the subject");
    for (why, changes) in [
        ("another repository took the name over", json!({ "repository_id": "2002" })),
        ("another audience", json!({ "aud": "sts.amazonaws.com" })),
        ("another branch", json!({ "sub": "repo:octo/demo:ref:refs/heads/evil", "ref": "refs/heads/evil" })),
        ("the base branch's ref in a pull request's run", json!({ "event_name": "pull_request_target" })),
        ("expired", json!({ "exp": 1_700_000_100 })),
    ] {
        assert_eq!(takes(&bao, &key, &with(&push, changes)).await, Vec::<&str>::new(), "{why}");
    }
}

#[tokio::test]
async fn the_same_at_gitlab() {
    let (bao, key) = server(Forge::Gitlab).await;
    let push = json!({
        "iss": Forge::Gitlab.public_issuer(), "aud": "https://vault.corp", "exp": 4_102_444_800_u64, "iat": 1_700_000_000,
        "sub": "project_path:group/sub/demo:ref_type:branch:ref:main", "project_id": "1001", "namespace_id": "77",
        "ref": "main", "ref_type": "branch", "ref_protected": "true", "pipeline_source": "push",
    });
    let merge = with(
        &push,
        json!({ "sub": "project_path:group/sub/demo:ref_type:branch:ref:topic", "ref": "topic", "ref_protected": "false",
            "pipeline_source": "merge_request_event" }),
    );
    assert_eq!(takes(&bao, &key, &push).await, ["sync"]);
    assert_eq!(takes(&bao, &key, &merge).await, ["plan"]);
    assert_eq!(takes(&bao, &key, &with(&push, json!({ "ref_protected": "false" }))).await, Vec::<&str>::new());
    assert_eq!(takes(&bao, &key, &with(&merge, json!({ "project_id": "2002" }))).await, Vec::<&str>::new());
}
