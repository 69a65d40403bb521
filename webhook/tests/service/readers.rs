//! Verifiers that others wrote: a Vault-compatible server by discovery, and `PyJWT` by the key set.

use std::process::Command;

use secretzero::oidc::Phase;
use secretzero::secret::SecretValue;
use secretzero::trust::{Account, Cloud, Forge, Form, Repository, Trusted, generate};
use serde_json::{Value as Json, json};

use crate::servers::exported;
use crate::vault::bao::Bao;
use crate::{Service, run, subject, token};

/// What `trust generate` prints for a phase of this service.
fn role(service: &Service, phase: secretzero::trust::Phase) -> Json {
    let trusted = Trusted {
        forge: Forge::Service,
        issuer: service.url.clone(),
        host: "github.com".into(),
        repository: Repository { path: "acme/shop".into(), id: Some("42".into()), owner_id: None },
        branch: "main".into(),
        environment: Some("production".into()),
        phase,
        audience: Some("https://vault.example".into()),
        form: Form::Both,
        hardened: false,
    };
    serde_json::from_str(&generate(Cloud::Vault, &trusted, &Account::default()).documents[0].text).unwrap()
}

/// A server that knows the issuer by its address alone, with the printed roles.
async fn trusting(service: &Service) -> Bao {
    let bao = Bao::start().await;
    bao.post("sys/auth/jwt", json!({ "type": "jwt" })).await;
    let config = json!({
        "oidc_discovery_url": service.url, "bound_issuer": service.url, "jwt_supported_algs": ["RS256"],
    });
    bao.post("auth/jwt/config", config).await;
    for phase in secretzero::trust::Phase::ALL {
        bao.post(&format!("auth/jwt/role/{}", phase.as_str()), role(service, phase)).await;
    }
    bao
}

async fn logs_in(bao: &Bao, role: &str, jwt: &SecretValue) -> bool {
    let body = json!({ "role": role, "jwt": jwt.expose_text().unwrap() });
    bao.call(reqwest::Method::POST, "auth/jwt/login", Some(body)).await.0 == 200
}

#[tokio::test]
async fn a_server_that_reads_our_discovery_admits_each_phase_to_its_role_alone() {
    let service = Service::start();
    let (bao, issuer) = (trusting(&service).await, service.issuer());
    for (phase, plan, sync) in [(Phase::Plan, true, false), (Phase::Sync, false, true), (Phase::Rotate, false, true)] {
        let source = issuer.source(run(phase));
        let jwt = token(&source, "https://vault.example").await;
        assert_eq!((logs_in(&bao, "plan", &jwt).await, logs_in(&bao, "sync", &jwt).await), (plan, sync), "{phase:?}");
        let elsewhere = token(&source, "sts.amazonaws.com").await;
        assert!(!logs_in(&bao, "plan", &elsewhere).await && !logs_in(&bao, "sync", &elsewhere).await);
    }
    let mut other = run(Phase::Sync);
    other.repository_id = 43;
    let jwt = token(&issuer.source(other), "https://vault.example").await;
    assert!(!logs_in(&bao, "sync", &jwt).await, "another repository's");
}

const PYTHON: &str = "
import json, sys, jwt
url, audience = sys.argv[1:]
token = sys.stdin.read()
key = jwt.PyJWKClient(url + '/.well-known/jwks.json').get_signing_key_from_jwt(token)
required = {'require': ['iss', 'sub', 'aud', 'iat', 'nbf', 'exp', 'jti']}
claims = jwt.decode(token, key.key, algorithms=['RS256'], audience=audience, issuer=url, options=required)
print(json.dumps([jwt.get_unverified_header(token), claims]))
";

#[tokio::test]
async fn anothers_reader_finds_the_token_sound() {
    let service = Service::start();
    let jwt = token(&service.issuer().source(run(Phase::Sync)), "sts.amazonaws.com").await;
    let mut python = Command::new(exported("PYTHON"))
        .args(["-c", PYTHON, &service.url, "sts.amazonaws.com"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut python.stdin.take().unwrap(), jwt.expose()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let said: Json = serde_json::from_slice(&output.stdout).unwrap();
    let (header, claims) = (&said[0], &said[1]);
    assert_eq!((&header["alg"], &claims["sub"]), (&json!("RS256"), &json!(subject(Phase::Sync))));
    assert_eq!(header["kid"], service.issuer().ring().unwrap().entries[0].id.as_str());
    assert_eq!(claims["https://aws.amazon.com/tags"]["principal_tags"]["phase"], json!(["sync"]));
}
