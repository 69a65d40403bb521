//! Tokens that end while calls wait, lives that nobody can count, and folders without end: told by a
//! server that does what OpenBao cannot be made to do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use secretzero::disk::SystemDisk;
use secretzero::limiter::{Limiter, RateLimit, RetryPolicy};
use secretzero::provider::vault::{Login, VaultProvider, VaultSettings, VaultShared};
use secretzero::provider::{ErrorKind, Probe, Provider, Reading};
use secretzero::secret::SecretValue;
use secretzero::target::TargetKind;
use serde_json::{Value as Json, json};

use super::stores::entry;

/// A server in memory.
#[derive(Clone)]
struct Odd {
    /// Seconds that a token lives.
    life: u64,
    /// What the first token meets after its end.
    first: StatusCode,
    /// What each folder holds.
    folder: fn(&str) -> Vec<String>,
    /// Path and token of each request.
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Odd {
    fn new(life: u64, first: StatusCode) -> Self {
        Self { life, first, folder: |_| Vec::new(), asked: Arc::default() }
    }

    async fn provider(&self) -> VaultProvider {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let login = Login::AppRole { role_id: "r".into(), secret_id: SecretValue::from("s") };
        let settings = VaultSettings { url, login, mount: "approle".into(), ..VaultSettings::default() };
        let retry = RetryPolicy { first_delay: Duration::from_millis(1), ..RetryPolicy::default() };
        let limiter = Arc::new(Limiter::new(retry, RateLimit::Off));
        VaultProvider::new(
            settings,
            VaultShared {
                limiter,
                disk: Arc::new(SystemDisk),
                tokens: None,
                trades: secretzero::oidc::Trades::default(),
            },
        )
    }

    /// The tokens that were shown at paths that begin so.
    fn tokens(&self, path: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(asked, _)| asked.starts_with(path)).map(|(_, token)| token.clone()).collect()
    }
}

async fn answer(State(odd): State<Odd>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches("/v1/").to_owned();
    let token = headers.get("x-vault-token").map_or("", |token| token.to_str().unwrap()).to_owned();
    let logins = {
        let mut asked = odd.asked.lock().unwrap();
        asked.push((path.clone(), token.clone()));
        asked.iter().filter(|(path, _)| path == "auth/approle/login").count()
    };
    let found = |data: Json| axum::Json(json!({ "data": data })).into_response();
    if path == "auth/approle/login" {
        let auth = json!({ "client_token": format!("t{logins}"), "lease_duration": odd.life, "renewable": false });
        return axum::Json(json!({ "auth": auth })).into_response();
    }
    if path == "sys/internal/ui/mounts" {
        return found(json!({ "secret": { "secret/": { "type": "kv", "options": { "version": "1" } } } }));
    }
    if uri.query().is_some_and(|query| query.contains("list")) {
        return found(json!({ "keys": (odd.folder)(&path) }));
    }
    if odd.first != StatusCode::OK && token == "t1" {
        tokio::time::sleep(Duration::from_secs(odd.life) + Duration::from_millis(100)).await;
        return (odd.first, axum::Json(json!({ "errors": ["permission denied"] }))).into_response();
    }
    found(json!({ "current_version": 1, "versions": { "1": {} }, "custom_metadata": null }))
}

/// Far more calls than connections: those that wait show the next token, those that were refused too.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_while_calls_wait_is_replaced_and_they_are_repeated() {
    for first in [StatusCode::FORBIDDEN, StatusCode::PRECONDITION_FAILED] {
        let odd = Odd::new(1, first);
        let provider = odd.provider().await;
        let places: Vec<_> = (0..100).map(|n| entry(&format!("n{n}"), BTreeMap::new())).collect();
        let probes: Vec<_> = places.iter().map(|place| Probe { place, expected_mark: None }).collect();
        for seen in provider.observe(&probes, Reading::Each).await {
            assert_eq!(seen.unwrap().unwrap().version, "1");
        }
        let shown = odd.tokens("secret/metadata/app/");
        assert!(shown.iter().filter(|token| *token == "t1").count() < 100, "some waited and showed the next");
        assert_eq!(odd.tokens("auth/token/revoke-self"), Vec::<String>::new(), "calls may still show it");
        provider.close().await;
        assert!(!odd.tokens("auth/token/revoke-self").contains(&"t1".to_owned()), "it ended by itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_longer_than_any_clock_counts_is_no_reason_to_fall() {
    let odd = Odd::new(u64::MAX, StatusCode::OK);
    let provider = odd.provider().await;
    let place = entry("x", BTreeMap::new());
    let seen = provider.observe(&[Probe { place: &place, expected_mark: None }], Reading::Each).await.pop().unwrap();
    assert_eq!(seen.unwrap().unwrap().version, "1");
    provider.close().await;
    assert_eq!(odd.tokens("auth/token/revoke-self"), ["t1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_without_end_are_left_after_so_many_and_others_not_entered() {
    let mut odd = Odd::new(3600, StatusCode::OK);
    odd.folder = |_| (0..100).map(|n| format!("f{n}/")).collect();
    let provider = odd.provider().await;
    let error = provider.list(TargetKind::Kv, "").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains("more than 5000 folders would have to be looked into"), "{error}");
    assert_eq!(odd.tokens("secret").len(), 101);

    odd.folder = |path| match path {
        "secret/prod" => vec!["db".into(), "db/".into(), "other/".into(), "other".into()],
        "secret/prod/db" => vec!["main".into()],
        _ => panic!("{path} was not asked for"),
    };
    odd.asked = Arc::default();
    let found = odd.provider().await.list(TargetKind::Kv, "prod/db").await.unwrap();
    let names: Vec<&str> = found.iter().map(|listed| listed.settings.name()).collect();
    assert_eq!(names, ["prod/db", "prod/db/main"]);
    assert_eq!(odd.tokens("secret").len(), 2);
}
