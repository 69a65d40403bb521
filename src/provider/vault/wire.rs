//! One request and one answer, as they go over the line.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response};
use serde_json::Value as Json;

use super::error::{self, Attempt};
use crate::http::Unread;
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// Largest answer read, in bytes; Vault takes requests of 32 MiB
/// (<https://developer.hashicorp.com/vault/docs/configuration/listener/tcp#max_request_size>).
const ANSWER_BYTES_MAX: usize = 33 * 1024 * 1024;

/// What is asked.
pub(super) struct Request {
    /// As Vault's policies call it: `read`, `create`, `update`, `patch` or `list`.
    pub(super) capability: &'static str,
    /// Below `v1/`, not yet encoded.
    pub(super) path: String,
    pub(super) body: Option<Json>,
}

impl Request {
    pub(super) fn read(path: String) -> Self {
        Self { capability: "read", path, body: None }
    }

    pub(super) fn list(path: String) -> Self {
        Self { capability: "list", path, body: None }
    }

    pub(super) fn update(path: String, body: Json) -> Self {
        Self { capability: "update", path, body: Some(body) }
    }

    pub(super) fn patch(path: String, body: Json) -> Self {
        Self { capability: "patch", path, body: Some(body) }
    }

    fn method(&self) -> Method {
        match self.capability {
            "read" | "list" => Method::GET,
            "patch" => Method::PATCH,
            _ => Method::POST,
        }
    }

    /// The whole address below the server's.
    pub(super) fn address(&self, base: &str) -> String {
        let list = if self.capability == "list" { "?list=true" } else { "" };
        format!("{base}/v1/{}{list}", encoded(&self.path))
    }
}

/// A path with each segment percent-encoded
/// (<https://www.rfc-editor.org/rfc/rfc3986#section-2.3> names what needs it not).
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What came back: `data` or `auth` of the answer, which may hold a value.
pub(super) struct Answer {
    body: Json,
    /// Nothing is there any more, and the answer says what was.
    pub(super) gone: bool,
    /// When the server sent it, by its own clock.
    pub(super) sent: Option<Timestamp>,
}

impl Answer {
    /// A member of `data`.
    pub(super) fn data(&self, name: &str) -> &Json {
        self.body.get("data").and_then(|data| data.get(name)).unwrap_or(&Json::Null)
    }

    /// All of `data`.
    pub(super) fn whole(&self) -> &Json {
        self.body.get("data").unwrap_or(&Json::Null)
    }

    /// A member of `auth`.
    pub(super) fn auth(&self, name: &str) -> &Json {
        self.body.get("auth").and_then(|auth| auth.get(name)).unwrap_or(&Json::Null)
    }

    /// The names that a list tells.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.data("keys").as_array().into_iter().flatten().filter_map(Json::as_str)
    }
}

/// Sends one request and reads its answer.
///
/// # Errors
/// What the server or the line refused, explained, without any part of a body.
pub(super) async fn exchange(
    http: &reqwest::Client,
    base: &str,
    namespace: Option<&str>,
    token: Option<&SecretValue>,
    request: &Request,
    attempt: &Attempt<'_>,
) -> Result<Answer> {
    let mut builder = http.request(request.method(), request.address(base)).header("X-Vault-Request", "true");
    if let Some(namespace) = namespace {
        builder = builder.header("X-Vault-Namespace", namespace);
    }
    if let Some(token) = token {
        let value = HeaderValue::from_bytes(token.expose());
        let mut value = value.map_err(|_| {
            let message = "the token of the Vault provider holds a line break or another character that none has";
            Error::new(ErrorKind::Unauthenticated, message)
        })?;
        value.set_sensitive(true);
        builder = builder.header("X-Vault-Token", value);
    }
    if let Some(body) = &request.body {
        let merge = request.capability == "patch";
        let kind = if merge { "application/merge-patch+json" } else { "application/json" };
        builder = builder.header(CONTENT_TYPE, kind).body(body.to_string());
    }
    let response = builder.send().await.map_err(|error| error::of_line(attempt, &error))?;
    answer(response, attempt).await
}

async fn answer(response: Response, attempt: &Attempt<'_>) -> Result<Answer> {
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    // Nought says only that it is less than a second.
    let retry_after = header(RETRY_AFTER).and_then(|text| text.trim().parse().ok()).filter(|seconds| *seconds > 0);
    let retry_after = retry_after.map(Duration::from_secs);
    let sent = header(DATE).and_then(|text| jiff::fmt::rfc2822::parse(text).ok()).map(|sent| sent.timestamp());
    let body = body(response, attempt).await?;
    if (200..300).contains(&status) && body.is_empty() {
        return Ok(Answer { body: Json::Null, gone: false, sent });
    }
    let parsed = serde_json::from_slice::<Json>(&body);
    match (status, parsed) {
        (200..300, Ok(body)) => Ok(Answer { body, gone: false, sent }),
        (200..300, Err(_)) => Err(attempt.foreign()),
        (404, Ok(body)) if body.get("data").is_some_and(Json::is_object) => Ok(Answer { body, gone: true, sent }),
        (status, parsed) => {
            let said = parsed.unwrap_or(Json::Null);
            let errors = said.get("errors").and_then(Json::as_array).into_iter().flatten();
            let errors: Vec<&str> = errors.filter_map(Json::as_str).collect();
            Err(error::of_status(attempt, status, retry_after, &errors))
        }
    }
}

async fn body(response: Response, attempt: &Attempt<'_>) -> Result<Vec<u8>> {
    crate::http::body(response, ANSWER_BYTES_MAX).await.map_err(|unread| match unread {
        Unread::Lost(error) => error::of_line(attempt, &error),
        Unread::TooLarge => attempt.foreign(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_its_segments_and_nothing_else() {
        let address = Request::read("secret/data/a b/ü?x=1#%2e".into()).address("https://vault:8200");
        assert_eq!(address, "https://vault:8200/v1/secret/data/a%20b/%C3%BC%3Fx%3D1%23%252e");
        let address = Request::list("secret/metadata/a".into()).address("https://vault:8200");
        assert_eq!(address, "https://vault:8200/v1/secret/metadata/a?list=true");
    }
}
