//! The printed policies on OpenBao, which evaluates paths and capabilities: a plan and every step of a
//! sync work with exactly these, and without any capability that a call needs some step does not.

use serde_json::json;

use super::documents;
use crate::sandbox::{Ran, Sandbox};
use crate::vault::Bao;

/// Each kind of target; a second place comes later, so that the value must be read back.
fn secretfile(step: usize) -> String {
    let (team, ttl, deletion) = if step == 0 { ("core", "1h", "true") } else { ("edge", "2h", "false") };
    let copy = if step < 2 { "" } else { "\n      - {provider: vault, kind: kv, config: {path: app/copy}}" };
    format!(
        r#"metadata: {{project: rights}}
providers:
  vault: {{kind: vault, auth: {{kind: token, config: {{token: "${{VAULT_TOKEN}}", url: "${{VAULT_ADDR}}"}}}}}}
secrets:
  - name: account
    kind: random_string
    targets:
      - {{provider: vault, kind: kv, primary: true, config: {{path: app/account, metadata: {{team: {team}}}}}}}
      - {{provider: vault, kind: kv, config: {{path: app/account, version: 1, mount_point: kv1}}}}{copy}
  - name: readers
    kind: static
    config: {{default: none}}
    targets:
      - provider: vault
        kind: database_role
        config: {{role_name: readers, db_name: postgres-prod, creation_statements: ["CREATE ROLE x;"], default_ttl: {ttl}}}
  - name: signing
    kind: static
    config: {{default: none}}
    targets:
      - {{provider: vault, kind: transit_key, config: {{key_name: signing, deletion_allowed: {deletion}}}}}
"#
    )
}

/// What every step needs; the rest is spared by another right, such as `update` of metadata by `patch`.
const NEEDED: &[(&str, &str)] = &[
    ("auth/token/lookup-self", "read"),
    ("database/roles/readers", "create"),
    ("database/roles/readers", "read"),
    ("database/roles/readers", "update"),
    ("kv1/app/account", "create"),
    ("kv1/app/account", "update"),
    ("secret/data/app/account", "read"),
    ("secret/data/app/account", "update"),
    ("secret/data/app/copy", "update"),
    ("secret/metadata/app/copy", "create"),
    ("secret/metadata/app/account", "create"),
    ("secret/metadata/app/account", "read"),
    ("secret/undelete/app/account", "update"),
    ("transit/keys/signing", "read"),
    ("transit/keys/signing", "update"),
    ("transit/keys/signing/config", "update"),
    ("transit/keys/signing/rotate", "update"),
];

fn printed(phase: &str) -> String {
    let documents = documents(&secretfile(2), &["--phase", phase, "--cloud", "vault"]);
    let [(_, text)] = &documents[..] else { panic!("one policy") };
    text.clone()
}

/// The policy without one capability on one path.
fn without(policy: &str, path: &str, capability: &str) -> String {
    let head = format!("path \"{path}\" {{\n");
    let (before, rest) = policy.split_once(&head).unwrap_or_else(|| panic!("no path {path} in\n{policy}"));
    let (line, after) = rest.split_once('\n').unwrap();
    let word = format!("\"{capability}\"");
    assert!(line.contains(&word), "no {capability} on {path} in\n{policy}");
    let line = line.replace(&format!("{word}, "), "").replace(&format!(", {word}"), "").replace(&word, "\"deny\"");
    format!("{before}{head}{line}\n{after}")
}

/// A namespace with every engine, and somebody who may do what a policy says, and nothing by default.
async fn actor(policy: &str) -> (Bao, String, Sandbox) {
    let bao = Bao::start().await;
    bao.engines().await;
    bao.mount("kv1", "kv", json!({ "version": "1" })).await;
    let token = token(&bao, policy).await;
    let sandbox = Sandbox::new();
    (bao, token, sandbox)
}

async fn token(bao: &Bao, policy: &str) -> String {
    bao.policy("printed", policy).await;
    let body = json!({ "policies": ["printed"], "no_default_policy": true, "ttl": "1h" });
    bao.post("auth/token/create", body).await["auth"]["client_token"].as_str().unwrap().to_owned()
}

fn run(sandbox: &Sandbox, url: &str, token: &str, step: usize, args: &[&str]) -> Ran {
    sandbox.write("Secretfile.yml", &secretfile(step));
    let environment = [("VAULT_ADDR", url), ("VAULT_TOKEN", token)];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    sandbox.run_with(&[args, &["--rate-limit", "off", "--retry-max-attempts", "1"]].concat(), &environment)
}

/// What a Secretfile goes through, up to the first step that fails.
async fn life(bao: &Bao, token: &str, sandbox: &Sandbox) -> Result<(), Ran> {
    let proxy = bao.proxy();
    let done = |ran: Ran| if ran.code == Some(0) { Ok(()) } else { Err(ran) };
    let step = |step: usize, args: &[&str]| done(run(sandbox, proxy.url(), token, step, args));
    step(0, &["sync"])?;
    step(1, &["sync"])?;
    step(1, &["rotate", "--force", "--secret", "account"])?;
    step(1, &["rotate", "--force", "--secret", "signing"])?;
    step(2, &["sync"])?;
    bao.call(reqwest::Method::DELETE, "secret/data/app/account", None).await;
    step(2, &["sync"])
}

#[tokio::test]
async fn a_sync_at_vault_works_with_exactly_the_printed_policy() {
    let policy = printed("sync");
    let (bao, token, sandbox) = actor(&policy).await;
    life(&bao, &token, &sandbox).await.unwrap_or_else(|ran| panic!("the printed policy does not do: {ran:?}"));
    let mut needless = Vec::new();
    for (path, capability) in NEEDED {
        let (bao, token, sandbox) = actor(&without(&policy, path, capability)).await;
        match life(&bao, &token, &sandbox).await {
            Ok(()) => needless.push((path, capability)),
            Err(ran) => {
                let said = format!("{ran:?}");
                let told = said.contains("403 permission denied") || said.contains(path);
                assert!(told, "{capability} on {path}: {said}");
            }
        }
    }
    assert!(needless.is_empty(), "everything works without {needless:?}");
}

#[tokio::test]
async fn a_plan_at_vault_works_with_exactly_the_printed_policy_and_reads_no_value() {
    let (bao, token, sandbox) = actor(&printed("plan")).await;
    let proxy = bao.proxy();
    let ran = run(&sandbox, proxy.url(), &token, 2, &["sync", "--dry-run"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("Would create"), "{ran:?}");
    let ran = run(&sandbox, proxy.url(), &token, 0, &["sync"]);
    assert_ne!(ran.code, Some(0), "a plan's policy writes nothing: {ran:?}");
    let root = Sandbox::new();
    let ran = run(&root, proxy.url(), "root", 1, &["sync"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = run(&root, proxy.url(), &token, 2, &["sync", "--dry-run"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("app/copy"), "{ran:?}");
    for path in ["secret/data/app/account", "kv1/app/account", "transit/export/encryption-key/signing"] {
        let (status, answer) = bao.with_token(&token).call(reqwest::Method::GET, path, None).await;
        assert_eq!(status, 403, "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_plus_within_a_segment_stands_for_itself() {
    let bao = Bao::start().await;
    let token = bao.token("path \"secret/data/lang/c++\" { capabilities = [\"read\"] }").await;
    for name in ["c++", "cab", "c+++"] {
        bao.post(&format!("secret/data/lang/{name}"), serde_json::json!({ "data": { "value": "x" } })).await;
        let (status, _) =
            bao.with_token(&token).call(reqwest::Method::GET, &format!("secret/data/lang/{name}"), None).await;
        assert_eq!(status == 200, name == "c++", "{name}: {status}");
    }
}
