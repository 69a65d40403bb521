//! GitHub's issuer: one request for each token, to the address that the runner names and no other
//! (<https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token>).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Response, StatusCode};

use super::{Mask, TokenSource};
use crate::certificate::distrusted;
use crate::hosts::Url;
use crate::http::{self, Unread};
use crate::limiter::{Limiter, Repeat, quota};
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// Largest answer, in bytes; a token has about two thousand.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// A job with `id-token: write`.
pub(super) struct Github {
    url: String,
    bearer: SecretValue,
    client: OnceLock<Client>,
    limiter: Arc<Limiter>,
    mask: Mask,
}

impl Github {
    pub(super) fn new(url: &str, bearer: &str, limiter: Arc<Limiter>, mask: Mask) -> Self {
        let (url, bearer) = (url.trim().to_owned(), SecretValue::from(bearer.trim()));
        Self { url, bearer, client: OnceLock::new(), limiter, mask }
    }

    fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let bare = self.url.split('?').next().unwrap_or_default();
        if Url::parse(bare).is_none() {
            let message = "ACTIONS_ID_TOKEN_REQUEST_URL is no https address, so no ID token is asked for there";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let client = http::builder().build().map_err(|_| {
            Error::new(ErrorKind::Invalid, "no HTTPS client can be made to ask for an ID token; check SSL_CERT_FILE")
        })?;
        Ok(self.client.get_or_init(|| client))
    }

    async fn ask(&self, client: &Client, audience: &str) -> Result<SecretValue> {
        let bearer = self.bearer.expose_text().unwrap_or_default();
        let request = client.get(&self.url).query(&[("audience", audience)]).bearer_auth(bearer);
        let response = request.header("accept", "application/json").send().await.map_err(|error| lost(&error))?;
        match response.status() {
            StatusCode::OK => read(response).await,
            refused => Err(refusal(refused, response.headers().get("retry-after"))),
        }
    }
}

#[async_trait]
impl TokenSource for Github {
    async fn token(&self, audience: &str) -> Result<SecretValue> {
        let client = self.client()?;
        let token = self.limiter.run("github", &quota::ID_TOKEN, Repeat::Read, || self.ask(client, audience)).await?;
        (self.mask)(&token);
        Ok(token)
    }
}

/// A request without an answer. The error's own text would name the address.
fn lost(error: &reqwest::Error) -> Error {
    if let Some(distrusted) = distrusted(error) {
        return Error::new(ErrorKind::Invalid, format!("GitHub's token issuer cannot be reached: {distrusted}"));
    }
    Error::new(ErrorKind::Unavailable, "GitHub's token issuer gave no answer; check the network and the proxy")
}

fn refusal(status: StatusCode, retry_after: Option<&reqwest::header::HeaderValue>) -> Error {
    let code = status.as_u16();
    if code == 429 {
        let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let kind = ErrorKind::Throttled(seconds.map(Duration::from_secs));
        return Error::new(kind, "GitHub's token issuer asks to wait (HTTP 429)");
    }
    if status.is_server_error() {
        return Error::new(ErrorKind::Unavailable, format!("GitHub's token issuer fails (HTTP {code})"));
    }
    if status.is_redirection() {
        let message = format!("GitHub's token issuer points elsewhere (HTTP {code}); a credential does not follow");
        return Error::new(ErrorKind::Invalid, message);
    }
    let message = format!(
        "GitHub gives this job no ID token (HTTP {code}): check `permissions: id-token: write` and the `audience`; the \
         right ends with the job"
    );
    Error::new(ErrorKind::Unauthenticated, message)
}

/// The member `value` of the answer.
async fn read(response: Response) -> Result<SecretValue> {
    let unreadable = || Error::new(ErrorKind::Unavailable, "GitHub's token issuer answered something unreadable");
    let answer = http::body(response, ANSWER_BYTES_MAX).await.map(SecretValue::new).map_err(|unread| match unread {
        Unread::Lost(error) => lost(&error),
        Unread::TooLarge => unreadable(),
    })?;
    let answer: Answer = serde_json::from_slice(answer.expose()).map_err(|_| unreadable())?;
    Ok(SecretValue::from(answer.value)).and_then(|token| if token.is_empty() { Err(unreadable()) } else { Ok(token) })
}

#[derive(serde::Deserialize)]
struct Answer {
    value: String,
}
