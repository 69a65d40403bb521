//! Refusals and lost replies: nothing is written twice, and nobody is left without an explanation.

use std::collections::BTreeMap;

use secretzero::provider::{ErrorKind, Expect, Provider};
use serde_json::json;

use super::Bao;
use super::proxy::{Fault, Proxy};
use super::stores::{entry, provider};
use super::sync::{read_back, sandbox};
use crate::conformance::{text, value, write};
use crate::sandbox::Sandbox;

const ONE: &str = r#"
metadata: {project: faults}
providers:
  vault:
    kind: vault
    auth: {kind: token, config: {token: "${VAULT_TOKEN}", url: "${VAULT_ADDR}"}}
secrets:
  - name: token
    kind: random_string
    targets:
      - {provider: vault, kind: kv, config: {path: faults/token, cas: 0}}
"#;

const ROTATE: &[&str] = &["rotate", "--force", "--secret", "token"];

async fn stage() -> (Bao, Proxy, Sandbox) {
    let bao = Bao::start().await;
    let proxy = bao.proxy();
    let sandbox = sandbox(ONE, &proxy);
    (bao, proxy, sandbox)
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_is_looked_at_and_never_doubled() {
    let (bao, proxy, sandbox) = stage().await;
    for (count, args) in [(1, &["sync"][..]), (2, ROTATE)] {
        proxy.fail("POST", "secret/data/", 1, Fault::LostReply);
        sandbox.expect(0, args);
        let entry = &read_back(&bao, &["kv2 faults/token"])["kv2 faults/token"];
        assert_eq!(entry["version"], count);
        let mark = entry["metadata"]["secretzero"].as_str().unwrap();
        assert!(mark.contains(&format!(":g={count}:")) && mark.contains(&format!(":v={count}:")), "{mark}");
    }
    proxy.forget();
    sandbox.expect(0, &["sync"]);
    assert_eq!(proxy.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn metadata_whose_reply_is_lost_is_sent_again() {
    let (bao, proxy, sandbox) = stage().await;
    proxy.fail("POST", "secret/metadata/", 1, Fault::LostReply);
    sandbox.expect(0, &["sync"]);
    proxy.fail("PATCH", "secret/metadata/", 1, Fault::LostReply);
    sandbox.expect(0, ROTATE);
    assert_eq!(read_back(&bao, &["kv2 faults/token"])["kv2 faults/token"]["version"], 2);
}

#[tokio::test]
async fn a_run_that_died_between_mark_and_value_is_finished_by_the_next() {
    let (bao, proxy, sandbox) = stage().await;
    sandbox.expect(0, &["sync"]);
    let first = read_back(&bao, &["kv2 faults/token"])["kv2 faults/token"]["data"].clone();
    proxy.fail("POST", "secret/data/", 9, Fault::Status(400, None));
    sandbox.expect(8, ROTATE);
    assert_eq!(read_back(&bao, &["kv2 faults/token"])["kv2 faults/token"]["data"], first);
    let healthy = bao.proxy();
    let next = super::sync::sandbox(ONE, &healthy);
    next.expect(0, &["sync"]);
    let entry = &read_back(&bao, &["kv2 faults/token"])["kv2 faults/token"];
    assert_eq!((&entry["data"], &entry["version"]), (&first, &json!(1)), "the value stays, its mark is set right");
    assert!(entry["metadata"]["secretzero"].as_str().unwrap().contains(":v=1:"));
}

#[tokio::test]
async fn a_refusal_for_its_rate_is_outwaited_as_long_as_the_server_asks() {
    let (bao, proxy, sandbox) = stage().await;
    proxy.fail("GET", "secret/metadata/", 1, Fault::Status(429, Some(1)));
    proxy.fail("POST", "secret/data/", 1, Fault::Status(429, Some(1)));
    let ran = sandbox.expect(0, &["sync"]);
    assert!(ran.stderr.contains("throttled, waiting 1."), "{}", ran.stderr);
    assert_eq!(read_back(&bao, &["kv2 faults/token"])["kv2 faults/token"]["version"], 1);
}

/// A real limit of the server, with the header that it sends only when told to.
#[tokio::test]
async fn a_rate_limit_of_the_server_itself_is_obeyed() {
    let bao = Bao::start().await;
    let provider = provider(bao.url(), &bao.namespace, "root");
    let root = Bao::at(bao.url().to_owned(), "root", "", reqwest::Client::new());
    root.post("sys/quotas/config", json!({ "enable_rate_limit_response_headers": true })).await;
    let quota = json!({ "path": format!("{}/secret", bao.namespace), "rate": 5, "interval": "1s" });
    root.post(&format!("sys/quotas/rate-limit/{}", bao.namespace), quota).await;
    for number in 0..8 {
        let at = entry(&format!("limited{number}"), BTreeMap::new());
        write(&provider, &at, &text("v"), 1, Expect::Absent).await.unwrap();
        assert_eq!(value(&provider, &at).await.as_deref(), Ok("v"));
    }
    root.call(reqwest::Method::DELETE, &format!("sys/quotas/rate-limit/{}", bao.namespace), None).await;
}

#[tokio::test]
async fn a_replica_that_lags_and_a_server_that_is_sealed_are_told_apart() {
    let (_bao, proxy, sandbox) = stage().await;
    proxy.fail("GET", "secret/metadata/", 2, Fault::Status(412, None));
    sandbox.expect(0, &["sync"]);
    proxy.fail("GET", "auth/token/lookup-self", 99, Fault::Status(503, None));
    let ran = sandbox.expect(4, &["sync", "--retry-max-attempts", "2", "--retry-backoff", "constant"]);
    assert!(format!("{ran:?}").contains("is sealed (503); unseal it"), "{ran:?}");
}

/// Two runs create one entry: check-and-set lets one win, and the other must not write over it.
#[tokio::test]
async fn of_two_runs_that_create_one_entry_the_first_keeps_its_value() {
    let bao = Bao::start().await;
    let (one, other) = (provider(bao.url(), &bao.namespace, "root"), provider(bao.url(), &bao.namespace, "root"));
    let at = entry("raced", BTreeMap::new());
    let (first, second) = (text("first"), text("second"));
    let (a, b) = futures_util::future::join(
        write(&one, &at, &first, 1, Expect::Absent),
        write(&other, &at, &second, 1, Expect::Absent),
    )
    .await;
    let won = if a.is_ok() { "first" } else { "second" };
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    assert_eq!(a.err().or(b.err()), Some(ErrorKind::Conflict));
    assert_eq!(value(&one, &at).await.as_deref(), Ok(won));
    one.close().await;
}

#[tokio::test]
async fn a_value_that_somebody_writes_between_mark_and_value_stays_theirs() {
    let bao = Bao::start().await;
    let proxy = bao.proxy();
    let sandbox = sandbox(
        "metadata: {project: p}
providers:
  vault: {kind: vault, auth: {kind: token, config: {url: '${VAULT_ADDR}', token: '${VAULT_TOKEN}'}}}
secrets:
  - name: one
    kind: random_password
    targets:
      - {provider: vault, kind: kv, config: {path: one}}
      - {provider: vault, kind: kv, config: {path: two}}
",
        &proxy,
    );
    sandbox.expect(0, &["sync"]);
    let ours = bao.get("secret/data/two").await["data"]["password"].clone();
    proxy.fail("POST", "secret/data/one", 1, Fault::Overtaken);
    let ran = sandbox.expect(8, &["rotate", "--force", "--secret", "one"]);
    assert!(ran.stderr.contains("was left alone"), "{ran:?}");
    assert_eq!(bao.get("secret/data/one").await["data"]["password"], "theirs");
    // Their value is told as a change from outside, and spread nowhere.
    sandbox.expect(0, &["sync"]);
    assert_eq!(bao.get("secret/data/one").await["data"]["password"], "theirs");
    assert_eq!(bao.get("secret/data/two").await["data"]["password"], ours);
    let drift = sandbox.run(&["drift"]);
    assert!(drift.stdout.contains("one"), "{drift:?}");
}
