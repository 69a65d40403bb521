//! OpenBao as its operator sees it.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value as Json, json};

use super::proxy::Proxy;
use crate::servers::exported;

/// A namespace of its own at the server that `tests/run` started.
pub(crate) struct Bao {
    pub(crate) namespace: String,
    url: String,
    http: reqwest::Client,
    token: String,
}

impl Bao {
    /// An empty namespace with a key-value store of version 2 at `secret`.
    pub(crate) async fn start() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        // A second run against the same server starts empty as well.
        let namespace = format!("t{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let root = Self::at(exported("OPENBAO_URL"), "root", "", reqwest::Client::new());
        root.post(&format!("sys/namespaces/{namespace}"), json!({})).await;
        let bao = Self { namespace, ..root };
        bao.mount("secret", "kv", json!({ "version": "2" })).await;
        // A new store says for a moment that it is being upgraded from version 1.
        while bao.call(Method::GET, "secret/config", None).await.0 != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        bao
    }

    /// Any server, with this token.
    pub(crate) fn at(url: String, token: &str, namespace: &str, http: reqwest::Client) -> Self {
        Self { namespace: namespace.to_owned(), url, http, token: token.to_owned() }
    }

    /// The same namespace with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self::at(self.url.clone(), token, &self.namespace, self.http.clone())
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What stands between the program and this namespace.
    pub(crate) fn proxy(&self) -> Proxy {
        Proxy::start(&self.url, &self.namespace)
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Json>) -> (u16, Json) {
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let request = self.http.request(method, format!("{}/v1/{path}", self.url));
        let request = request.header("X-Vault-Token", &self.token).header("X-Vault-Namespace", &self.namespace);
        let request = request.header("content-type", kind).body(body.map_or_else(String::new, |body| body.to_string()));
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Json::Null))
    }

    /// Reads what must be there.
    pub(crate) async fn get(&self, path: &str) -> Json {
        let (status, answer) = self.call(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer["data"].clone()
    }

    /// Writes, and insists that it works.
    pub(crate) async fn post(&self, path: &str, body: Json) -> Json {
        let (status, answer) = self.call(Method::POST, path, Some(body)).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    pub(crate) async fn mount(&self, path: &str, kind: &str, options: Json) {
        self.post(&format!("sys/mounts/{path}"), json!({ "type": kind, "options": options })).await;
    }

    /// A token that may do what the policy says.
    pub(crate) async fn token(&self, policy: &str) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("p{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.policy(&name, policy).await;
        let body = json!({ "policies": [name], "ttl": "1h" });
        self.post("auth/token/create", body).await["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn policy(&self, name: &str, policy: &str) {
        self.post(&format!("sys/policies/acl/{name}"), json!({ "policy": policy })).await;
    }

    /// Mounts a database engine with a connection that nobody opens, and a transit engine.
    pub(crate) async fn engines(&self) {
        self.mount("transit", "transit", json!({})).await;
        self.mount("database", "database", json!({})).await;
        let connection = json!({
            "plugin_name": "postgresql-database-plugin",
            "connection_url": "postgresql://{{username}}:{{password}}@127.0.0.1:1/postgres",
            "allowed_roles": "*", "username": "u", "password": "p", "verify_connection": false,
        });
        self.post("database/config/postgres-prod", connection).await;
    }

    /// Whether a token is still good.
    pub(crate) async fn knows(&self, token: &str) -> bool {
        self.with_token(token).call(Method::GET, "auth/token/lookup-self", None).await.0 == 200
    }
}
