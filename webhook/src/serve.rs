//! The addresses of the service: so far what verifiers of its tokens read, and whether it is well. None
//! of them signs anything.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::issuer::{Issuer, KEYS_KEPT_SECONDS};

/// How often the keys are looked at.
const TENDED_EVERY: Duration = Duration::from_secs(600);

/// How long requests that are under way may take when the service is stopped.
const DRAINED_WITHIN: Duration = Duration::from_secs(5);

/// The router of an issuer, below its path if its address has one.
pub fn router(issuer: &Arc<Issuer>) -> Router {
    let below = issuer.url().splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default();
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route(&format!("{below}/.well-known/openid-configuration"), get(discovery))
        .route(&format!("{below}/.well-known/jwks.json"), get(key_set))
        .with_state(Arc::clone(issuer))
}

/// Answers until `stop` ends; keys change on time meanwhile.
///
/// # Errors
/// The listener's.
pub async fn serve(
    issuer: &Arc<Issuer>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
    told: impl Fn(&str) + Send + 'static,
) -> std::io::Result<()> {
    let tended = Arc::clone(issuer);
    let tending = tokio::spawn(async move {
        loop {
            tokio::time::sleep(TENDED_EVERY).await;
            if let Err(error) = tended.tend() {
                told(&format!("the keys were not changed: {error}"));
            }
        }
    });
    let (stopping, mut stopped) = tokio::sync::watch::channel(false);
    let stop = async move {
        stop.await;
        // Whoever waits has gone only if the service has.
        let _ = stopping.send(true);
    };
    let served = axum::serve(listener, router(issuer)).with_graceful_shutdown(stop);
    // A client that never ends its request must not keep the service.
    let drained = async {
        let _ = stopped.wait_for(|stopped| *stopped).await;
        tokio::time::sleep(DRAINED_WITHIN).await;
    };
    let served = tokio::select! {
        served = served => served,
        () = drained => Ok(()),
    };
    tending.abort();
    served
}

async fn ready(State(issuer): State<Arc<Issuer>>) -> (StatusCode, &'static str) {
    match issuer.ring() {
        Ok(ring) if ring.active().is_some() => (StatusCode::OK, "ready\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "no key signs\n"),
    }
}

async fn discovery(State(issuer): State<Arc<Issuer>>) -> impl IntoResponse {
    (cached(), Json(issuer.discovery()))
}

async fn key_set(State(issuer): State<Arc<Issuer>>) -> Response {
    match issuer.key_set() {
        Ok(keys) => ([(CONTENT_TYPE, "application/jwk-set+json")], cached(), keys.to_string()).into_response(),
        // What is wrong with the keys is for the log alone.
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the keys cannot be read\n").into_response(),
    }
}

fn cached() -> [(HeaderName, String); 1] {
    [(CACHE_CONTROL, format!("public, max-age={KEYS_KEPT_SECONDS}"))]
}
