//! The same inputs at a real Vault-compatible server, which checks GitHub's token itself: a plan logs
//! in as the plan's role and a sync as the sync's, and a Secretfile with `token` need not change.

use serde_json::json;

use super::refused::{explained, is_told_without_a_token, policy, stand_in_their_masks_alone};
use super::{ISSUER, MAIN, NEWER, PULL_REQUEST, Stage, expired};
use crate::vault::{Bao, Proxy, ProxyFault};

pub(super) const INPUTS: &[(&str, &str)] =
    &[("vault_role", "sync"), ("vault_plan_role", "plan"), ("vault_audience", "https://vault.example")];

/// Metadata and nothing else.
const PLAN: &str = r#"path "secret/metadata/*" { capabilities = ["read", "list"] }"#;
const SYNC: &str = r#"path "secret/*" { capabilities = ["create", "read", "update", "patch", "list"] }"#;

pub(super) fn secretfile(url: &str, names: &[&str]) -> String {
    let secrets = names.iter().map(|name| {
        format!(
            "  - name: {name}\n    kind: random_string\n    targets:\n      - provider: vault\n        kind: kv\n        \
             config: {{path: shop/{name}}}\n"
        )
    });
    let secrets: String = secrets.collect();
    format!(
        "metadata: {{project: federated}}\nproviders:\n  vault:\n    kind: vault\n    auth:\n      kind: token\n      \
         config: {{url: '{url}', token: '${{VAULT_TOKEN}}'}}\nsecrets:\n{secrets}"
    )
}

async fn trusting(bao: &Bao, stage: &Stage) {
    bao.post("sys/auth/jwt", json!({ "type": "jwt" })).await;
    trusting_key(bao, stage).await;
    roles(bao).await;
}

pub(super) async fn roles(bao: &Bao) {
    for (name, policy, subject) in [("plan", PLAN, PULL_REQUEST), ("sync", SYNC, MAIN)] {
        bao.policy(name, policy).await;
        let role = json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["https://vault.example"],
            "bound_subject": subject, "token_policies": [name], "token_ttl": "10m",
        });
        bao.post(&format!("auth/jwt/role/{name}"), role).await;
    }
}

pub(super) async fn trusting_key(bao: &Bao, stage: &Stage) {
    let config = json!({ "jwt_validation_pubkeys": [stage.actions.pem()], "bound_issuer": ISSUER });
    bao.post("auth/jwt/config", config).await;
}

#[tokio::test]
async fn a_plan_and_a_sync_log_in_at_vault_as_themselves() {
    let (bao, stage) = (Bao::start().await, Stage::new());
    trusting(&bao, &stage).await;
    let proxy = bao.proxy();
    let ran = stage.push_of(&secretfile(proxy.url(), &["one"]), INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!bao.knows(&proxy.token()).await, "the token outlived the run");
    stand_in_their_masks_alone(&ran, [proxy.token()]);
    assert_eq!(stage.actions.audiences(), ["https://vault.example"]);

    let (pull, head) = stage.pull(&secretfile(proxy.url(), &["one", "two"]));
    proxy.forget();
    let ran = stage.pull_request(pull, &head, INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let comment = stage.comment(pull);
    assert!(!comment.contains("Planned offline") && comment.contains("shop/two"), "{comment}");
    let asked: Vec<String> = proxy.asked().into_iter().map(|asked| asked.path).collect();
    assert!(asked.iter().any(|path| path.starts_with("secret/metadata/")), "{asked:?}");
    assert!(!asked.iter().any(|path| path.starts_with("secret/data/")), "a plan reads no value: {asked:?}");

    // The token of the pull request is good for the plan's role only.
    proxy.forget();
    let ran = stage.pull_request(pull, &head, &[("vault_plan_role", "sync"), INPUTS[2]]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    // And that role cannot write.
    let mut environment = stage.job.cloud.clone();
    environment.insert("SECRETZERO_VAULT_ROLE".into(), "plan".into());
    environment.insert("SECRETZERO_VAULT_AUDIENCE".into(), "https://vault.example".into());
    let ran = stage.sandbox.run_with(&["sync"], &environment);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    let (status, _) = bao.call(reqwest::Method::GET, "secret/metadata/shop/two", None).await;
    assert_eq!(status, 404, "nothing was written");
}

#[tokio::test]
async fn with_one_role_only_vault_is_not_asked_for_a_pull_request() {
    let (bao, stage) = (Bao::start().await, Stage::new());
    trusting(&bao, &stage).await;
    let proxy = bao.proxy();
    let one = secretfile(proxy.url(), &["one"]);
    assert_eq!(stage.push_of(&one, INPUTS).code, Some(0));
    let (pull, head) = stage.pull(&secretfile(proxy.url(), &["one", "two"]));
    proxy.forget();
    let ran = stage.pull_request(pull, &head, &[INPUTS[0], INPUTS[2]]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.comment(pull).contains("`vault_plan_role`"));
    assert!(proxy.asked().is_empty());
}

/// How often a login was asked for.
pub(super) fn logins(proxy: &Proxy) -> usize {
    proxy.asked().iter().filter(|asked| asked.path == "auth/jwt/login").count()
}

#[tokio::test]
async fn a_role_that_is_bound_to_the_older_form_of_the_subject() {
    let (bao, stage) = (Bao::start().await, Stage::new());
    trusting(&bao, &stage).await;
    let proxy = bao.proxy();
    let text = secretfile(proxy.url(), &["one", "two"]);
    stage.actions.subject(NEWER);
    let ran = stage.push_of(&text, INPUTS);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!((stage.actions.requests(), logins(&proxy)), (1, 1), "what is final is asked once");
    let said = explained(&ran, "Vault at");
    insta::assert_snapshot!("vault", said.replace(proxy.url(), "https://vault.example:8200"));
    is_told_without_a_token(&stage, &ran, &["invalid subject", "octo@501/demo@1001"]);

    // What is shown admits exactly this run.
    bao.post("auth/jwt/role/sync", policy(&said)).await;
    let own = r#"path "auth/token/*" { capabilities = ["read", "update"] }"#;
    bao.policy("secretzero-sync", &format!("{SYNC}\n{own}")).await;
    let ran = stage.push_of(&text, INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test]
async fn a_token_that_expired_on_its_way_to_vault_is_minted_once_again() {
    let (bao, stage) = (Bao::start().await, Stage::new());
    trusting(&bao, &stage).await;
    let proxy = bao.proxy();
    let text = secretfile(proxy.url(), &["one", "two"]);
    stage.actions.next([expired()]);
    let ran = stage.push_of(&text, INPUTS);
    assert_eq!((ran.code, stage.actions.requests(), logins(&proxy)), (Some(0), 2, 2), "{ran:?}");

    let stage = Stage::new();
    trusting_key(&bao, &stage).await;
    proxy.forget();
    stage.actions.next([expired(), expired(), expired()]);
    let ran = stage.push_of(&text, INPUTS);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!((stage.actions.requests(), logins(&proxy)), (2, 2), "once, not for ever");
    assert!(explained(&ran, "Vault at").contains("clocks differ"), "{ran:?}");
}

/// A token that some other step of the job asked for.
async fn asked_for_before(stage: &Stage) -> String {
    let variable = |name: &str| stage.job.cloud[name].clone();
    let url = format!("{}&audience=https://vault.example", variable("ACTIONS_ID_TOKEN_REQUEST_URL"));
    let request = reqwest::Client::new().get(url).bearer_auth(variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
    let answer: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    answer["value"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_that_the_block_names_logs_in_as_the_role_of_the_phase() {
    let (bao, mut stage) = (Bao::start().await, Stage::new());
    trusting(&bao, &stage).await;
    let proxy = bao.proxy();
    let named = |roles: &str, names: &[&str]| {
        let auth = format!("kind: oidc\n      config: {{url: '{}', {roles}, jwt: '${{CI_JWT}}'}}", proxy.url());
        let old = format!("kind: token\n      config: {{url: '{}', token: '${{VAULT_TOKEN}}'}}", proxy.url());
        let text = secretfile(proxy.url(), names);
        assert!(text.contains(&old));
        text.replace(&old, &auth)
    };
    let (both, one) = ("role: sync, plan_role: plan", "role: sync");
    let jwt = asked_for_before(&stage).await;
    stage.job.cloud.insert("CI_JWT".into(), jwt);
    let ran = stage.push_of(&named(both, &["one"]), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");

    // Only the plan's role takes the token of a pull request.
    let (pull, head) = stage.pull(&named(both, &["one", "two"]));
    let jwt = asked_for_before(&stage).await;
    stage.job.cloud.insert("CI_JWT".into(), jwt);
    proxy.forget();
    let ran = stage.pull_request(pull, &head, &[]);
    assert_eq!((ran.code, logins(&proxy)), (Some(0), 1), "{ran:?}");
    assert!(!stage.comment(pull).contains("Planned offline"), "{}", stage.comment(pull));
    assert!(!proxy.asked().iter().any(|asked| asked.path.starts_with("secret/data/")), "a plan reads no value");

    // With the sync's role alone nobody is asked, whatever token there is.
    stage.github.commit("main", &[("Secretfile.yml", named(one, &["one"]).as_bytes())]);
    let (pull, head) = stage.pull(&named(one, &["one", "two"]));
    proxy.forget();
    let ran = stage.pull_request(pull, &head, &[]);
    assert_eq!((ran.code, proxy.asked().len()), (Some(0), 0), "{ran:?}");
    assert!(stage.comment(pull).contains("Planned offline"));
}

#[tokio::test]
async fn a_long_run_logs_in_again_with_a_new_token() {
    let (bao, stage) = (Bao::start().await, Stage::new());
    trusting(&bao, &stage).await;
    let short = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["https://vault.example"], "bound_subject": MAIN,
        "token_policies": ["sync"], "token_ttl": "1s", "token_max_ttl": "1s",
    });
    bao.post("auth/jwt/role/sync", short).await;
    let proxy = bao.proxy();
    // The server asks to wait for longer than the token lives.
    proxy.fail("POST", "secret/data/shop/one", 1, ProxyFault::Status(429, Some(2)));
    let ran = stage.push_of(&secretfile(proxy.url(), &["one", "two"]), INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(logins(&proxy) > 1, "{:?}", proxy.asked());
    assert_eq!(stage.actions.requests(), logins(&proxy), "a token is good for one exchange");
}
