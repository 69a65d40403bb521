//! Stands between the program and OpenBao: counts what is asked, puts everything into one namespace,
//! and lets chosen requests go wrong.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Below `/v1/`.
    pub(crate) path: String,
    pub(crate) token: String,
}

impl Asked {
    /// Whether it is meant to change something; logins and revocations are not.
    fn changes(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "LIST") && !self.path.starts_with("auth/")
    }
}

/// How a request goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It acts, and its answer is lost.
    LostReply,
    /// It does not act; this status is answered, with `Retry-After` in seconds if any.
    Status(u16, Option<u64>),
    /// It does not act and is not answered.
    Stall,
    /// The program dies before it acts ([`Proxy::victim`]); nothing is answered until [`Proxy::revive`].
    CutBefore,
    /// The program dies after it acted, without hearing so.
    CutAfter,
    /// It acts twice; the second answer is heard.
    Twice,
    /// Somebody writes `theirs` to the same entry just before it acts.
    Overtaken,
}

struct Rule {
    method: &'static str,
    path: String,
    /// Requests that it meets before it is spent.
    times: usize,
    fault: Fault,
}

#[derive(Default)]
struct Shared {
    asked: Vec<Asked>,
    rules: Vec<Rule>,
    /// The write, counted from 1, that goes wrong.
    nth: Option<(usize, Fault)>,
    victim: Option<u32>,
    dead: bool,
}

#[derive(Clone)]
struct Inner {
    upstream: String,
    namespace: String,
    http: reqwest::Client,
    shared: Arc<Mutex<Shared>>,
}

pub(crate) struct Proxy {
    url: String,
    shared: Arc<Mutex<Shared>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Proxy {
    pub(crate) fn start(upstream: &str, namespace: &str) -> Self {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (bound, address) = std::sync::mpsc::channel();
        let inner = Inner {
            upstream: upstream.to_owned(),
            namespace: namespace.to_owned(),
            http: reqwest::Client::new(),
            shared: Arc::clone(&shared),
        };
        let serve = async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            bound.send(listener.local_addr().unwrap()).unwrap();
            let server = axum::serve(listener, Router::new().fallback(handle).with_state(inner));
            tokio::select! {
                served = server => served.unwrap(),
                _ = stopped => {}
            }
        };
        let thread = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(serve);
        });
        let url = format!("http://{}", address.recv().unwrap());
        Self { url, shared, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next so many requests whose path begins so go wrong.
    pub(crate) fn fail(&self, method: &'static str, path: &str, times: usize, fault: Fault) {
        self.shared.lock().unwrap().rules.push(Rule { method, path: path.to_owned(), times, fault });
    }

    /// Nothing goes wrong any more.
    pub(crate) fn mend(&self) {
        self.shared.lock().unwrap().rules.clear();
    }

    /// Lets the write with that number, counted from now and from 1, go wrong.
    pub(crate) fn fault(&self, nth: usize, fault: Fault) {
        let mut shared = self.shared.lock().unwrap();
        shared.asked.clear();
        shared.nth = Some((nth, fault));
    }

    /// The process that a cut kills.
    pub(crate) fn victim(&self, process_id: u32) {
        self.shared.lock().unwrap().victim = Some(process_id);
    }

    /// Power is back, no fault is planned.
    pub(crate) fn revive(&self) {
        let mut shared = self.shared.lock().unwrap();
        (shared.dead, shared.victim, shared.nth) = (false, None, None);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.lock().unwrap().asked.clone()
    }

    pub(crate) fn forget(&self) {
        self.shared.lock().unwrap().asked.clear();
    }

    /// Every request that was meant to change something, logins and revocations aside.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.asked().iter().filter(|asked| asked.changes()).map(|a| format!("{} {}", a.method, a.path)).collect()
    }

    /// The last token that was shown.
    pub(crate) fn token(&self) -> String {
        self.asked().iter().rev().find(|asked| !asked.token.is_empty()).unwrap().token.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).unwrap_or_default();
        }
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}

async fn handle(State(inner): State<Inner>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let fault = note(&inner, &method, &uri, &headers);
    match fault {
        Some(Fault::Status(status, retry_after)) => {
            let status = StatusCode::from_u16(status).unwrap();
            let said =
                if status == StatusCode::SERVICE_UNAVAILABLE { "Vault is sealed" } else { "refused by the proxy" };
            let mut response = (status, json!({ "errors": [said] }).to_string()).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert("retry-after", seconds.into());
            }
            return response;
        }
        Some(Fault::Stall) => std::future::pending::<()>().await,
        Some(Fault::CutBefore) => return cut(&inner),
        Some(Fault::Twice) => drop(forward(&inner, method.clone(), &uri, &headers, body.clone()).await),
        Some(Fault::Overtaken) => {
            let theirs = json!({ "data": { "password": "theirs" } }).to_string();
            drop(forward(&inner, method.clone(), &uri, &headers, theirs.into()).await);
        }
        Some(Fault::LostReply | Fault::CutAfter) | None => {}
    }
    let answer = forward(&inner, method, &uri, &headers, body).await;
    if matches!(fault, Some(Fault::CutAfter)) {
        return cut(&inner);
    }
    if matches!(fault, Some(Fault::LostReply)) {
        let broken = futures_util::stream::once(async { Err::<Bytes, _>(io::Error::other("the line went dead")) });
        return Body::from_stream(broken).into_response();
    }
    answer.unwrap_or_else(|never| match never {})
}

/// Takes the program's power.
fn cut(inner: &Inner) -> Response {
    let mut shared = inner.shared.lock().unwrap();
    if !std::mem::replace(&mut shared.dead, true) {
        shared.victim.into_iter().for_each(crate::fake::azure::kill);
    }
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

fn note(inner: &Inner, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Fault> {
    let path = uri.path().strip_prefix("/v1/").unwrap_or(uri.path()).to_owned();
    let token = headers.get("x-vault-token").map_or_else(String::new, |token| token.to_str().unwrap().to_owned());
    let mut shared = inner.shared.lock().unwrap();
    let rule =
        shared.rules.iter_mut().find(|r| r.times > 0 && r.method == method.as_str() && path.starts_with(&r.path));
    let fault = rule.map(|rule| {
        rule.times -= 1;
        rule.fault
    });
    let asked = Asked { method: method.to_string(), path, token };
    let changes = asked.changes();
    shared.asked.push(asked);
    if shared.dead {
        return Some(Fault::CutBefore);
    }
    let count = shared.asked.iter().filter(|asked| asked.changes()).count();
    let due = changes.then_some(()).and_then(|()| shared.nth.take_if(|(nth, _)| *nth == count));
    fault.or(due.map(|(_, fault)| fault))
}

async fn forward(
    inner: &Inner,
    method: Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response, Infallible> {
    let address = format!("{}{uri}", inner.upstream);
    let mut request = inner.http.request(method, address).body(body);
    for name in ["x-vault-token", "x-vault-request", "content-type"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let named = headers.get("x-vault-namespace").map(|name| name.to_str().unwrap().to_owned());
    let namespace = named.unwrap_or_else(|| inner.namespace.clone());
    let answer = request.header("x-vault-namespace", namespace).send().await.unwrap();
    let status = answer.status();
    let headers = answer.headers().clone();
    let mut response = (status, answer.bytes().await.unwrap()).into_response();
    for name in ["content-type", "retry-after", "date"] {
        if let Some(value) = headers.get(name) {
            response.headers_mut().insert(axum::http::HeaderName::from_static(name), value.clone());
        }
    }
    Ok(response)
}
