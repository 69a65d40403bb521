//! Every way to log in, and what becomes of the token.

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::post;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value as Json, json};

use super::Bao;
use super::proxy::{Fault, Proxy};
use super::sync::read_back;
use crate::sandbox::Sandbox;

const POLICY: &str = r#"path "secret/*" { capabilities = ["create", "read", "update", "patch", "list"] }"#;

fn secretfile(auth: &str) -> String {
    format!(
        "metadata: {{project: login}}
providers:
  vault:
    kind: vault
    auth: {{{auth}}}
secrets:
  - name: token
    kind: random_string
    targets:
      - {{provider: vault, kind: kv, config: {{path: login/token}}}}
"
    )
}

fn folder(auth: &str, proxy: &Proxy) -> Sandbox {
    Sandbox::with(&secretfile(&auth.replace("URL", proxy.url())))
}

struct Issuer {
    key: EncodingKey,
    public: String,
}

impl Issuer {
    fn new() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        Self { key: EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap(), public: pair.public_key_pem() }
    }

    fn mint(&self, claims: &Json) -> String {
        encode(&Header::new(Algorithm::ES256), claims, &self.key).unwrap()
    }
}

/// Far enough ahead for every run of this test.
const EXPIRES: i64 = 4_102_444_800;

fn claims(audience: &str, subject: &str) -> Json {
    json!({ "iss": "https://ci.example", "aud": audience, "sub": subject, "exp": EXPIRES, "iat": 1_700_000_000 })
}

async fn with_jwt(bao: &Bao) -> Issuer {
    let issuer = Issuer::new();
    bao.policy("sync", POLICY).await;
    bao.post("sys/auth/jwt", json!({ "type": "jwt" })).await;
    let config = json!({ "jwt_validation_pubkeys": [issuer.public], "bound_issuer": "https://ci.example" });
    bao.post("auth/jwt/config", config).await;
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "bound_subject": "repo:acme/shop",
        "token_policies": ["sync"], "token_ttl": "1h",
    });
    bao.post("auth/jwt/role/sync", role).await;
    issuer
}

#[tokio::test]
async fn a_signed_token_logs_in_and_the_vault_token_is_revoked_at_the_end() {
    let bao = Bao::start().await;
    let issuer = with_jwt(&bao).await;
    let proxy = bao.proxy();
    let jwt = issuer.mint(&claims("vault", "repo:acme/shop"));
    for given in [jwt.as_str(), "run/token.jwt"] {
        let auth = "kind: jwt, config: {url: URL, role: sync, jwt: '${CI_JWT}'}";
        let sandbox = folder(auth, &proxy).env([("CI_JWT", given)]);
        sandbox.write("run/token.jwt", &format!("{jwt}\n"));
        proxy.forget();
        sandbox.expect(0, &["sync"]);
        let token = proxy.token();
        assert!(!token.is_empty() && !bao.knows(&token).await, "the token outlived the run");
        let revocations = proxy.asked().iter().filter(|asked| asked.path == "auth/token/revoke-self").count();
        assert_eq!(revocations, 1);
        proxy.forget();
        sandbox.expect(0, &["test"]);
        assert!(!bao.knows(&proxy.token()).await, "`test` gives it back as well");
        proxy.forget();
        sandbox.run(&["sync", "--dry-run"]);
        assert!(!bao.knows(&proxy.token()).await);
    }
    assert_eq!(read_back(&bao, &["kv2 login/token"])["kv2 login/token"]["version"], 1);
}

#[tokio::test]
async fn a_refused_login_says_what_was_sent_and_what_the_role_lacks() {
    let bao = Bao::start().await;
    let issuer = with_jwt(&bao).await;
    let proxy = bao.proxy();
    for (claims, said) in [
        (claims("sts.amazonaws.com", "repo:acme/shop"), "`bound_audiences` must hold that `aud`"),
        (claims("vault", "repo:evil/shop"), "`bound_subject` must be that `sub`"),
    ] {
        let jwt = issuer.mint(&claims);
        let auth = "kind: jwt, config: {url: URL, role: sync, jwt: '${CI_JWT}'}";
        let ran = folder(auth, &proxy).env([("CI_JWT", jwt.as_str())]).expect(4, &["sync"]);
        let all = format!("{}{}", ran.stdout, ran.stderr);
        let sub = claims["sub"].as_str().unwrap();
        assert!(all.contains(said) && all.contains(sub) && all.contains("role `sync`"), "{all}");
        assert!(!all.contains(&jwt[jwt.len() - 20..]), "the signature is a credential");
    }
    let auth = "kind: jwt, config: {url: URL, role: nope, jwt: '${CI_JWT}'}";
    let jwt = issuer.mint(&claims("vault", "repo:acme/shop"));
    let ran = folder(auth, &proxy).env([("CI_JWT", jwt.as_str())]).expect(4, &["sync"]);
    assert!(format!("{ran:?}").contains("there is no such role"), "{ran:?}");
}

#[tokio::test]
async fn an_approle_logs_in_and_a_spent_secret_id_is_explained() {
    let bao = Bao::start().await;
    bao.policy("sync", POLICY).await;
    bao.post("sys/auth/approle", json!({ "type": "approle" })).await;
    bao.post("auth/approle/role/ci", json!({ "token_policies": ["sync"], "secret_id_num_uses": 1 })).await;
    let role_id = bao.get("auth/approle/role/ci/role-id").await["role_id"].as_str().unwrap().to_owned();
    let secret = bao.post("auth/approle/role/ci/secret-id", json!({})).await;
    let secret_id = secret["data"]["secret_id"].as_str().unwrap();
    let proxy = bao.proxy();
    let auth = "kind: approle, config: {url: URL, role_id: '${ROLE_ID}', secret_id: '${SECRET_ID}'}";
    let sandbox = folder(auth, &proxy).env([("ROLE_ID", role_id.as_str()), ("SECRET_ID", secret_id)]);
    sandbox.expect(0, &["sync"]);
    assert!(!bao.knows(&proxy.token()).await);
    let ran = sandbox.expect(4, &["sync"]);
    let all = format!("{}{}", ran.stdout, ran.stderr);
    assert!(all.contains("a secret id may have been used up"), "{all}");
    assert!(!all.contains(secret_id), "{all}");
}

/// What `TokenReview` of Kubernetes answers
/// (<https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/>).
async fn review() -> axum::Json<Json> {
    let user =
        json!({ "username": "system:serviceaccount:prod:app", "uid": "u1", "groups": ["system:serviceaccounts"] });
    axum::Json(json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "status": { "authenticated": true, "user": user },
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_logs_in_with_the_token_of_its_service_account() {
    let bao = Bao::start().await;
    bao.policy("sync", POLICY).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cluster = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/apis/authentication.k8s.io/v1/tokenreviews", post(review));
    tokio::spawn(async move { axum::serve(listener, router).await });
    bao.post("sys/auth/pods", json!({ "type": "kubernetes" })).await;
    let issuer = Issuer::new();
    let claims = json!({
        "iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:prod:app", "exp": EXPIRES, "nbf": 1_700_000_000,
        "kubernetes.io/serviceaccount/namespace": "prod",
        "kubernetes.io/serviceaccount/service-account.name": "app",
        "kubernetes.io/serviceaccount/service-account.uid": "u1",
        "kubernetes.io/serviceaccount/secret.name": "app-token",
    });
    let jwt = issuer.mint(&claims);
    let ca = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem();
    let config = json!({
        "kubernetes_host": cluster, "token_reviewer_jwt": jwt, "disable_local_ca_jwt": true, "kubernetes_ca_cert": ca,
    });
    bao.post("auth/pods/config", config).await;
    let role = json!({
        "bound_service_account_names": ["app"], "bound_service_account_namespaces": ["prod"], "token_policies": ["sync"],
    });
    bao.post("auth/pods/role/app", role).await;
    let proxy = bao.proxy();
    let sandbox = folder("kind: kubernetes, config: {url: URL, role: app, mount: pods, jwt: pod/token}", &proxy);
    sandbox.write("pod/token", &jwt);
    sandbox.expect(0, &["sync"]);
    assert!(!bao.knows(&proxy.token()).await);
}

#[tokio::test]
async fn a_token_that_was_given_is_left_alone() {
    let bao = Bao::start().await;
    let token = bao.token(&format!("{POLICY}\npath \"auth/token/lookup-self\" {{ capabilities = [\"read\"] }}")).await;
    let proxy = bao.proxy();
    let auth = "kind: token, config: {url: URL, token: '${VAULT_TOKEN}'}";
    folder(auth, &proxy).env([("VAULT_TOKEN", token.as_str())]).expect(0, &["sync"]);
    assert!(bao.knows(&token).await);
}

#[cfg(unix)]
#[tokio::test]
async fn a_run_that_is_cancelled_revokes_its_token() {
    let bao = Bao::start().await;
    let issuer = with_jwt(&bao).await;
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let proxy = bao.proxy();
        let jwt = issuer.mint(&claims("vault", "repo:acme/shop"));
        let auth = "kind: jwt, config: {url: URL, role: sync, jwt: '${CI_JWT}'}";
        let sandbox = folder(auth, &proxy).env(BTreeMap::from([("CI_JWT", jwt.as_str())]));
        proxy.fail("GET", "secret/metadata", 99, Fault::Stall);
        let mut child = sandbox.spawn(&["sync"]);
        while !proxy.asked().iter().any(|asked| asked.path.starts_with("secret/metadata")) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let token = proxy.token();
        assert!(bao.knows(&token).await);
        let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(!bao.knows(&token).await, "the token outlived {signal}");
    }
}

/// A namespace is part of the login, of every request, and of what a place is called.
#[tokio::test]
async fn a_namespace_of_the_file_is_where_everything_happens() {
    let bao = Bao::start().await;
    let root = Proxy::start(bao.url(), "");
    let auth = format!("kind: token, config: {{url: URL, token: root, namespace: {}}}", bao.namespace);
    let sandbox = folder(&auth, &root);
    sandbox.expect(0, &["sync"]);
    assert_eq!(read_back(&bao, &["kv2 login/token"])["kv2 login/token"]["version"], 1);
    assert!(sandbox.read(".gitsecrets.lock").contains(&format!("/{}/secret/login/token", bao.namespace)));
    let auth = "kind: token, config: {url: URL, token: root, namespace: nowhere}";
    let ran = folder(auth, &root).run(&["sync"]);
    assert!(format!("{ran:?}").contains("has no namespace `nowhere`"), "{ran:?}");
}

/// The method knows the role `plan` alone, so whoever comes as another is refused.
#[tokio::test]
async fn a_signed_token_of_its_own_is_shown_as_the_role_of_a_sync_and_in_a_pull_request_not_at_all() {
    let bao = Bao::start().await;
    let issuer = with_jwt(&bao).await;
    let role = bao.get("auth/jwt/role/sync").await;
    let plan = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": role["bound_audiences"], "token_policies": ["sync"],
    });
    bao.post("auth/jwt/role/plan", plan).await;
    bao.call(reqwest::Method::DELETE, "auth/jwt/role/sync", None).await;
    let proxy = bao.proxy();
    let jwt = issuer.mint(&claims("vault", "repo:acme/shop"));
    let doctor = |roles: &str, event: &str| {
        let auth = format!("kind: oidc, config: {{url: URL, {roles}, jwt: '${{CI_JWT}}'}}");
        let job = [("GITHUB_REF", "refs/heads/main"), ("GITHUB_EVENT_PATH", crate::sandbox::PUSH)];
        let sandbox = folder(&auth, &proxy).env([("CI_JWT", jwt.as_str()), ("GITHUB_EVENT_NAME", event)]).env(job);
        let ran = sandbox.run(&["doctor"]);
        format!("{}{}", ran.stdout, ran.stderr)
    };
    let said = doctor("role: plan, plan_role: sync", "push");
    assert!(said.contains("vault: answers, as ") && said.contains("jwt-repo:acme/shop at"), "{said}");
    let said = doctor("role: sync, plan_role: plan", "push");
    assert!(said.contains("role `sync`"), "{said}");
    proxy.forget();
    let said = doctor("role: plan, plan_role: plan", "pull_request");
    assert!(!said.contains("vault: answers") && proxy.asked().is_empty(), "{said}");
}
