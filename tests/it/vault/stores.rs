//! The contract of every store, kept by the key-value stores of OpenBao.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secretzero::disk::SystemDisk;
use secretzero::limiter::{Limiter, RateLimit, RetryPolicy};
use secretzero::oidc::Trades;
use secretzero::provider::vault::{Login, VaultProvider, VaultSettings, VaultShared};
use secretzero::provider::{ErrorKind, Expect, Provider, Reading};
use secretzero::secret::{SecretValue, Shape};
use secretzero::target::{KvSettings, Place, TargetKind, TargetSettings};
use serde_json::json;

use super::Bao;
use super::proxy::Fault;
use crate::conformance::{look, options, text, value, write};

/// An entry, its metadata being what the suite calls tags.
pub(super) fn entry(name: &str, metadata: BTreeMap<String, String>) -> Place {
    place(2, name, metadata)
}

pub(super) fn old_entry(name: &str, metadata: BTreeMap<String, String>) -> Place {
    place(1, name, metadata)
}

fn place(version: u8, name: &str, metadata: BTreeMap<String, String>) -> Place {
    let mount_point = if version == 1 { "kv1" } else { "secret" }.to_owned();
    let settings =
        KvSettings { path: format!("app/{name}"), mount_point, version, key: "value".into(), cas: None, metadata };
    Place { settings: TargetSettings::Kv(settings), shape: Shape::Single }
}

/// Unpaced and impatient.
pub(super) fn provider(url: &str, namespace: &str, token: &str) -> VaultProvider {
    let settings = VaultSettings {
        url: url.to_owned(),
        namespace: Some(namespace.to_owned()),
        login: Login::Token(SecretValue::from(token)),
        ..VaultSettings::default()
    };
    let retry = RetryPolicy { first_delay: Duration::from_millis(1), ..RetryPolicy::default() };
    let limiter = Arc::new(Limiter::new(retry, RateLimit::Off));
    let (disk, trades) = (Arc::new(SystemDisk), Trades::default());
    VaultProvider::new(settings, VaultShared { limiter, disk, tokens: None, trades })
}

#[tokio::test]
async fn a_mount_of_another_version_is_told_before_anything_is_written() {
    let bao = Bao::start().await;
    bao.mount("kv1", "kv", json!({ "version": "1" })).await;
    let provider = provider(bao.url(), &bao.namespace, "root");
    let mut place = entry("x", BTreeMap::new());
    let TargetSettings::Kv(settings) = &mut place.settings else { unreachable!() };
    settings.mount_point = "kv1".into();
    let refused = write(&provider, &place, &text("v"), 1, Expect::Absent).await;
    assert_eq!(refused, Err(ErrorKind::Invalid));
    assert_eq!(bao.call(reqwest::Method::GET, "kv1/?list=true", None).await.0, 404, "nothing was written");
}

/// A token that may not patch metadata merges it by itself, and nothing of others is lost.
#[tokio::test]
async fn metadata_of_others_survives_without_the_right_to_patch() {
    let bao = Bao::start().await;
    let token = bao
        .token(
            r#"path "secret/*" { capabilities = ["create", "read", "update"] }
               path "auth/token/lookup-self" { capabilities = ["read"] }"#,
        )
        .await;
    let tagged = |value: &str| entry("merged", BTreeMap::from([("team".to_owned(), value.to_owned())]));
    let provider = provider(bao.url(), &bao.namespace, &token);
    let version = write(&provider, &tagged("core"), &text("v"), 1, Expect::Absent).await.unwrap();
    let patch = json!({ "custom_metadata": { "theirs": "1" } });
    bao.call(reqwest::Method::PATCH, "secret/metadata/app/merged", Some(patch)).await;
    let options = options(&provider, &tagged("edge"), 1, Expect::Version(version)).await;
    provider.annotate(&tagged("edge"), &["tag:team".into()], &options).await.unwrap();
    let custom = bao.get("secret/metadata/app/merged").await["custom_metadata"].clone();
    assert_eq!((&custom["theirs"], &custom["team"]), (&json!("1"), &json!("edge")));
}

#[tokio::test]
async fn what_was_deleted_softly_is_not_absent_and_comes_back() {
    let bao = Bao::start().await;
    let provider = provider(bao.url(), &bao.namespace, "root");
    let at = entry("soft", BTreeMap::new());
    write(&provider, &at, &text("first"), 1, Expect::Absent).await.unwrap();
    bao.call(reqwest::Method::DELETE, "secret/data/app/soft", None).await;
    let seen = look(&provider, &at, Reading::Each).await.unwrap();
    assert!(seen.pending_deletion && seen.version == "1");
    assert_eq!(value(&provider, &at).await, Err(ErrorKind::PendingDeletion));
    let refused = write(&provider, &at, &text("second"), 2, Expect::Version("1".into())).await;
    assert_eq!(refused, Err(ErrorKind::PendingDeletion));
    provider.restore(&at).await.unwrap();
    assert_eq!(value(&provider, &at).await.as_deref(), Ok("first"));
    assert!(!look(&provider, &at, Reading::Each).await.unwrap().pending_deletion);
}

#[tokio::test]
async fn a_version_that_will_be_deleted_some_day_stands_until_then() {
    let bao = Bao::start().await;
    let provider = provider(bao.url(), &bao.namespace, "root");
    bao.post("secret/config", json!({ "delete_version_after": "1h" })).await;
    let at = entry("fading", BTreeMap::new());
    write(&provider, &at, &text("first"), 1, Expect::Absent).await.unwrap();
    assert!(!look(&provider, &at, Reading::Each).await.unwrap().pending_deletion);
}

/// The mark went first and the value never came: that is no entry yet, and the next run makes one.
#[tokio::test]
async fn an_announcement_without_a_value_is_absent() {
    let bao = Bao::start().await;
    let proxy = bao.proxy();
    let provider = provider(proxy.url(), &bao.namespace, "root");
    let at = entry("announced", BTreeMap::new());
    proxy.fail("POST", "secret/data/", 9, Fault::Status(400, None));
    assert_eq!(write(&provider, &at, &text("lost"), 1, Expect::Absent).await, Err(ErrorKind::Invalid));
    assert!(bao.get("secret/metadata/app/announced").await["custom_metadata"]["secretzero"].is_string());
    let again = super::stores::provider(bao.url(), &bao.namespace, "root");
    assert_eq!(look(&again, &at, Reading::Each).await, None);
    write(&again, &at, &text("second"), 1, Expect::Absent).await.unwrap();
    assert_eq!(value(&again, &at).await.as_deref(), Ok("second"));
}

#[tokio::test]
async fn a_list_tells_every_entry_by_its_path_and_no_value() {
    let bao = Bao::start().await;
    bao.mount("team/kv", "kv", json!({ "version": "1" })).await;
    let provider = provider(bao.url(), &bao.namespace, "root");
    for path in ["a", "prod/db/main", "prod/db/spare", "prod/key"] {
        bao.post(&format!("secret/data/{path}"), json!({ "data": { "value": "canary" } })).await;
    }
    bao.post("secret/metadata/prod/key", json!({ "custom_metadata": { "team": "core" } })).await;
    bao.post("team/kv/prod/db/old", json!({ "value": "canary" })).await;
    let found = provider.list(TargetKind::Kv, "prod/db").await.unwrap();
    let names: Vec<&str> = found.iter().map(|listed| listed.settings.name()).collect();
    assert_eq!(names, ["prod/db/main", "prod/db/old", "prod/db/spare"]);
    let all = provider.list(TargetKind::Kv, "").await.unwrap();
    assert_eq!(all.len(), 5);
    let key = all.iter().find(|listed| listed.settings.name() == "prod/key").unwrap();
    assert_eq!(key.settings.tags().unwrap().get("team").map(String::as_str), Some("core"));
    assert!(all.iter().all(|listed| listed.has_value && !listed.pending_deletion));
}
