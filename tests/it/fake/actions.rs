//! GitHub's endpoint for ID tokens, as a runner with `id-token: write` names it
//! (<https://docs.github.com/en/actions/reference/security/oidc>): it wants the job's own bearer and
//! signs what was set for this job, for the audience asked for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json as Body, Router, routing::get};
use serde_json::{Value as Json, json};

use super::jwt::{Issuer, Key, now};

/// The issuer of github.com.
pub(crate) const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// The job's bearer for this endpoint, and for nothing else.
pub(crate) const BEARER: &str = "canary-id-token-request-token";

/// What becomes of one request, instead of a good token.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// This status.
    Status(u16),
    /// A redirect to this address.
    Redirect(String),
    /// A token with these claims changed.
    With(Json),
}

/// A running endpoint.
pub(crate) struct FakeActions {
    url: String,
    key: Arc<Key>,
    state: Arc<Mutex<Inner>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Inner {
    claims: Json,
    answers: VecDeque<Answer>,
    minted: Vec<String>,
    audiences: Vec<String>,
    requests: usize,
    headers: Vec<String>,
}

impl FakeActions {
    /// For a job of `octo/demo` with this subject.
    pub(crate) fn start(subject: &str) -> Self {
        let key = Arc::new(Key::new("actions"));
        let state = Arc::new(Mutex::new(Inner { claims: claims(subject), ..Inner::default() }));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (bound, address) = std::sync::mpsc::channel();
        let router = Router::new()
            .route("/idtoken/77", get(mint))
            .fallback(|| async { StatusCode::NOT_FOUND })
            .with_state((Arc::clone(&state), Arc::clone(&key)));
        let serve = async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            bound.send(listener.local_addr().expect("an address")).expect("somebody waits");
            tokio::select! {
                served = async { axum::serve(listener, router).await } => served.expect("served"),
                _ = stopped => {}
            }
        };
        let thread = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(serve);
        });
        let url = format!("http://{}", address.recv().expect("it started"));
        Self { url, key, state, stop: Some(stop), thread: Some(thread) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the runner puts into a job with `id-token: write`, after a push to the default branch.
    pub(crate) fn env(&self) -> BTreeMap<String, String> {
        let pairs = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_EVENT_NAME", "push".to_owned()),
            ("GITHUB_EVENT_PATH", crate::sandbox::PUSH.to_owned()),
            ("GITHUB_REF", "refs/heads/main".to_owned()),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/idtoken/77?api-version=2.0", self.url)),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", BEARER.to_owned()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// What a cloud that trusts it knows.
    pub(crate) fn issuer(&self, audience: &str) -> Issuer {
        Issuer { jwks: self.key.jwks(), audiences: vec![audience.to_owned()] }
    }

    /// Its public key as a PEM.
    pub(crate) fn pem(&self) -> &str {
        self.key.pem()
    }

    /// The next job runs for another subject.
    pub(crate) fn subject(&self, subject: &str) {
        self.lock().claims = claims(subject);
    }

    /// The next requests go like this.
    pub(crate) fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.lock().answers.extend(answers);
    }

    /// Every token that was given out.
    pub(crate) fn minted(&self) -> Vec<String> {
        self.lock().minted.clone()
    }

    /// The audience of each request that had the right bearer.
    pub(crate) fn audiences(&self) -> Vec<String> {
        self.lock().audiences.clone()
    }

    /// How often it was asked, rightly or not.
    pub(crate) fn requests(&self) -> usize {
        self.lock().requests
    }

    /// All headers that it was sent.
    pub(crate) fn headers(&self) -> Vec<String> {
        self.lock().headers.clone()
    }
}

impl Drop for FakeActions {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What GitHub says of a job, its times and audience aside.
fn claims(subject: &str) -> Json {
    let event = if subject.ends_with(":pull_request") { "pull_request" } else { "push" };
    json!({
        "iss": ISSUER, "sub": subject, "repository": "octo/demo", "repository_id": "1001",
        "repository_owner": "octo", "repository_owner_id": "501", "event_name": event,
        "ref": if event == "push" { "refs/heads/main" } else { "refs/pull/1/merge" }, "ref_type": "branch",
        "runner_environment": "github-hosted", "actor": "mona", "actor_id": "9",
        "job_workflow_ref": "octo/demo/.github/workflows/secretzero.yml@refs/heads/main",
    })
}

async fn mint(
    State((state, key)): State<(Arc<Mutex<Inner>>, Arc<Key>)>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.requests += 1;
    state.headers.extend(headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or_default())));
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if bearer != format!("Bearer {BEARER}") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Some(audience) = query.get("audience").filter(|_| query.contains_key("api-version")) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    state.audiences.push(audience.clone());
    let mut claims = state.claims.clone();
    let number = state.audiences.len();
    let at = now();
    let times = json!({ "aud": audience, "jti": format!("jti-{number}"), "iat": at, "nbf": at - 5, "exp": at + 300 });
    merge(&mut claims, &times);
    let token = match state.answers.pop_front() {
        Some(Answer::Status(status)) => {
            return StatusCode::from_u16(status).expect("a status").into_response();
        }
        Some(Answer::Redirect(to)) => return (StatusCode::FOUND, [("location", to)]).into_response(),
        Some(Answer::With(changed)) => {
            merge(&mut claims, &changed);
            key.sign(&claims)
        }
        None => key.sign(&claims),
    };
    state.minted.push(token.clone());
    Body(json!({ "count": token.len(), "value": token })).into_response()
}

fn merge(into: &mut Json, changed: &Json) {
    for (name, value) in changed.as_object().into_iter().flatten() {
        match value {
            Json::Null => drop(into.as_object_mut().and_then(|members| members.remove(name))),
            value => into[name] = value.clone(),
        }
    }
}
