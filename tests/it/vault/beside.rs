//! An entry that others share: their fields stay, whatever becomes of ours.

use std::collections::BTreeMap;

use secretzero::provider::{ErrorKind, Expect, Provider, Reading};
use serde_json::json;

use super::Bao;
use super::stores::{entry, old_entry, provider};
use super::sync::{read_back, sandbox};
use crate::conformance::{look, options, text, value, write};

const SHARED: &str = r#"
metadata: {project: beside}
providers:
  vault:
    kind: vault
    auth: {kind: token, config: {token: "${VAULT_TOKEN}", url: "${VAULT_ADDR}"}}
secrets:
  - name: single
    kind: random_password
    adopt: true
    targets:
      - {provider: vault, kind: kv, config: {path: shop/single}}
  - name: old
    kind: random_password
    adopt: true
    targets:
      - {provider: vault, kind: kv, config: {path: shop/old, version: 1, mount_point: kv1}}
  - name: fields
    kind: templates.account
    adopt: true
    targets:
      - {provider: vault, kind: kv, config: {path: shop/fields}}
templates:
  account:
    fields:
      user: {generator: {kind: static, config: {default: app}}}
      password: {generator: {kind: random_password, config: {length: 32}}}
"#;

#[tokio::test]
async fn what_is_adopted_and_rotated_keeps_the_fields_of_others() {
    let bao = Bao::start().await;
    bao.mount("kv1", "kv", json!({ "version": "1" })).await;
    let proxy = bao.proxy();
    let first = "Canary-0123456789-abcdefghij-XYZ";
    let theirs = json!({ "password": first, "host": "db.corp", "user": "app", "ports": [1, 2] });
    for path in ["secret/data/shop/single", "secret/data/shop/fields"] {
        bao.post(path, json!({ "data": theirs })).await;
    }
    bao.post("kv1/shop/old", theirs.clone()).await;
    let sandbox = sandbox(SHARED, &proxy);
    sandbox.expect(0, &["sync"]);
    let asked = ["kv2 shop/single", "kv2 shop/fields", "kv1 shop/old"];
    let adopted = read_back(&bao, &asked);
    for name in ["single", "fields", "old"] {
        sandbox.expect(0, &["rotate", "--force", "--secret", name]);
    }
    let rotated = read_back(&bao, &asked);
    for path in asked {
        let data = |stored: &serde_json::Value| stored[path].get("data").unwrap_or(&stored[path]).clone();
        let (before, mut after) = (data(&adopted), data(&rotated));
        assert_eq!(before, theirs, "{path}");
        assert_ne!(after["password"], first, "{path}");
        after["password"] = json!(first);
        assert_eq!(after, theirs, "{path}");
    }
    proxy.forget();
    sandbox.expect(0, &["sync"]);
    assert_eq!(proxy.writes(), Vec::<String>::new());
}

/// The server merges what may not be read; where it may not either, nothing is written.
#[tokio::test]
async fn fields_that_may_not_be_read_are_merged_by_the_server_or_left_alone() {
    let bao = Bao::start().await;
    bao.post("secret/data/app/shared", json!({ "data": { "value": "first", "host": "db.corp" } })).await;
    for (capabilities, written) in [(r#""create", "update", "patch""#, Ok("2")), (r#""create", "update""#, Err(()))] {
        let policy = format!(
            "path \"secret/data/*\" {{ capabilities = [{capabilities}] }}
             path \"secret/metadata/*\" {{ capabilities = [\"create\", \"read\", \"update\", \"patch\"] }}
             path \"auth/token/lookup-self\" {{ capabilities = [\"read\"] }}"
        );
        let provider = provider(bao.url(), &bao.namespace, &bao.token(&policy).await);
        let at = entry("shared", BTreeMap::new());
        let version = look(&provider, &at, Reading::Each).await.unwrap().version;
        let options = options(&provider, &at, 1, Expect::Version(version)).await;
        let answer = provider.write(&at, &text("second"), &options).await;
        match written {
            Ok(version) => assert_eq!(answer.as_deref(), Ok(version)),
            Err(()) => {
                let error = answer.unwrap_err();
                assert_eq!(error.kind, ErrorKind::PermissionDenied);
                assert!(error.message.contains("secret/app/shared: `value` cannot be written"), "{error}");
            }
        }
        let stored = bao.get("secret/data/app/shared").await["data"].clone();
        assert_eq!(stored, json!({ "value": "second", "host": "db.corp" }));
    }
}

#[tokio::test]
async fn an_old_entry_whose_folder_may_not_be_listed_is_never_fetched_for_a_plan() {
    let bao = Bao::start().await;
    bao.mount("kv1", "kv", json!({ "version": "1" })).await;
    bao.post("kv1/app/x", json!({ "value": "canary", "host": "db.corp" })).await;
    let at = old_entry("x", BTreeMap::new());
    let policy = |rights: &str| format!("path \"kv1/*\" {{ capabilities = [{rights}] }}");
    let proxy = bao.proxy();
    let blind = provider(proxy.url(), &bao.namespace, &bao.token(&policy(r#""read""#)).await);
    let probe = secretzero::provider::Probe { place: &at, expected_mark: None };
    let error = blind.observe(&[probe], Reading::Each).await.pop().unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::PermissionDenied);
    assert!(error.message.contains("grant `list` on `kv1/app/`"), "{error}");
    assert!(proxy.asked().iter().all(|asked| asked.path != "kv1/app/x"), "{:?}", proxy.asked());
    // Who sees the names and not the fields would lose them.
    let rights = r#""list", "create", "update""#;
    let token = format!("{}\npath \"auth/token/lookup-self\" {{ capabilities = [\"read\"] }}", policy(rights));
    let writer = provider(bao.url(), &bao.namespace, &bao.token(&token).await);
    let refused = write(&writer, &at, &text("second"), 2, Expect::Version(String::new())).await;
    assert_eq!(refused, Err(ErrorKind::PermissionDenied));
    let root = provider(bao.url(), &bao.namespace, "root");
    write(&root, &at, &text("second"), 2, Expect::Version(String::new())).await.unwrap();
    assert_eq!(value(&root, &at).await.as_deref(), Ok("second"));
    assert_eq!(bao.get("kv1/app/x").await["host"], "db.corp");
}
