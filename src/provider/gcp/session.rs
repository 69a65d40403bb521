//! One identity: makes every call of the API, each only to a host that may have our token.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde::de::DeserializeOwned;

use super::error::{Attempt, Codes, refused, unanswered};
use super::login::{Login, origin, override_of};
use super::{GcpSettings, GcpShared};
use crate::clock::Clock;
use crate::hosts::{Cloud, Hosts};
use crate::http::Unread;
use crate::limiter::{ApiClass, Limiter, Repeat, quota};
use crate::provider::{Error, ErrorKind, Identity, Result};
use crate::secret::SecretValue;

/// Where the API is.
const ENDPOINT: &str = "https://secretmanager.googleapis.com";

/// Largest answer that is read, in bytes: a full page of secrets has about ten megabytes.
const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Largest list that is kept, in bytes over all its pages.
pub(super) const LIST_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Client, identity and quotas.
pub(super) struct Session {
    http: reqwest::Client,
    endpoint: String,
    hosts: Hosts,
    login: Login,
    limiter: Arc<Limiter>,
    pub(super) clock: Arc<dyn Clock>,
    /// Where targets without a project of their own lie.
    pub(super) project: Option<String>,
}

/// A secret by project and id.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) project: &'a str,
    /// Empty for the project as a whole.
    pub(super) id: &'a str,
}

impl At<'_> {
    /// The secret, or the collection that it is in, below the root of the API.
    fn path(&self) -> String {
        let Self { project, id } = self;
        let id = if id.is_empty() { String::new() } else { format!("/{}", segment(id)) };
        format!("/v1/projects/{}/secrets{id}", segment(project))
    }
}

/// One request of the API.
pub(super) struct Call<'a> {
    /// The IAM permission that it needs, without its service.
    pub(super) permission: &'static str,
    pub(super) at: At<'a>,
    /// What follows the secret in the path: `/versions/3:access`.
    pub(super) below: String,
    pub(super) method: Method,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<SecretValue>,
    pub(super) class: &'static ApiClass,
    pub(super) repeat: Repeat,
}

impl<'a> Call<'a> {
    /// A read.
    pub(super) fn get(permission: &'static str, at: At<'a>, below: impl Into<String>) -> Self {
        Self {
            permission,
            at,
            below: below.into(),
            method: Method::GET,
            query: Vec::new(),
            body: None,
            class: &quota::GOOGLE_READ,
            repeat: Repeat::Read,
        }
    }

    /// A change; what a second one would do says `repeat`.
    pub(super) fn write(
        permission: &'static str,
        at: At<'a>,
        method: Method,
        below: impl Into<String>,
        body: SecretValue,
        repeat: Repeat,
    ) -> Self {
        let class = &quota::GOOGLE_WRITE;
        Self { method, body: Some(body), class, repeat, ..Self::get(permission, at, below) }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Whether the secret has a quota of its own for it.
    fn is_counted_per_secret(&self) -> bool {
        matches!(self.permission, "versions.add" | "secrets.update")
    }
}

impl Session {
    pub(super) async fn open(settings: &GcpSettings, shared: &GcpShared) -> Result<Self> {
        let given = override_of(settings, "SECRETMANAGER");
        let endpoint = settings.endpoint_url.clone().or(given).unwrap_or_else(|| ENDPOINT.to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let (login, project) = Login::open(settings, shared).await?;
        let environment = settings.environment.filled("GOOGLE_CLOUD_PROJECT").map(str::to_owned);
        let session = Self {
            http: login.http().clone(),
            hosts: settings.hosts.clone().naming(&endpoint),
            endpoint,
            login,
            limiter: Arc::clone(&shared.limiter),
            clock: Arc::clone(&shared.clock),
            project: settings.project_id.clone().or(environment).or(project),
        };
        session.login.token().await?;
        Ok(session)
    }

    pub(super) fn identity(&self) -> Identity {
        let account = self.project.clone().unwrap_or_default();
        Identity { account, principal: self.login.principal().to_owned(), region: None }
    }

    /// One call through the limiter, its error explained.
    pub(super) async fn call<T: DeserializeOwned + Send>(&self, call: &Call<'_>) -> Result<T> {
        self.sized(call).await.map(|(answer, _)| answer)
    }

    /// One page of a list, which takes its bytes from what is left for all of the list.
    pub(super) async fn page<T: DeserializeOwned + Send>(&self, call: &Call<'_>, bytes_left: &mut usize) -> Result<T> {
        let (page, bytes) = self.sized(call).await?;
        *bytes_left = bytes_left.checked_sub(bytes).ok_or_else(|| too_large(&self.attempt(call).at()))?;
        Ok(page)
    }

    async fn sized<T: DeserializeOwned + Send>(&self, call: &Call<'_>) -> Result<(T, usize)> {
        let scope = format!("gcp/{}", call.at.project);
        let paced = || self.limiter.run(&scope, call.class, call.repeat, || self.send(call));
        let body = if call.is_counted_per_secret() {
            // The outer lane only paces: what went wrong was repeated by the inner one already.
            let own = format!("{scope}/{}", call.at.id);
            self.limiter.run(&own, &quota::GOOGLE_SECRET, Repeat::Once, || async { Ok(paced().await) }).await?
        } else {
            paced().await
        }?;
        let parsed = serde_json::from_slice(&body).map_err(|_| {
            let at = self.attempt(call).at();
            let kind = if call.repeat == Repeat::Read { ErrorKind::Unavailable } else { ErrorKind::Indeterminate };
            Error::new(kind, format!("Google answered something unreadable to {at}"))
        })?;
        Ok((parsed, body.len()))
    }

    fn attempt<'a>(&'a self, call: &Call<'a>) -> Attempt<'a> {
        let principal = self.login.principal();
        Attempt { permission: call.permission, project: call.at.project, secret: call.at.id, principal }
    }

    async fn send(&self, call: &Call<'_>) -> Result<Vec<u8>> {
        let (scheme, authority) = origin(&self.endpoint);
        let refusal = |refused: crate::hosts::Refused| Error::new(ErrorKind::Invalid, refused.to_string());
        self.hosts.check(Cloud::Google, scheme, authority).map_err(refusal)?;
        let token = self.login.token().await?;
        let url = format!("{}{}{}", self.endpoint, call.at.path(), call.below);
        let mut request = self.http.request(call.method.clone(), url).query(&call.query);
        request = request.bearer_auth(token.expose_text().unwrap_or_default());
        if let Some(body) = &call.body {
            request = request.header("content-type", "application/json").body(body.expose().to_vec());
        }
        let attempt = self.attempt(call);
        let lost = |error: reqwest::Error| unanswered(&attempt.at(), &error.without_url());
        let answer = request.send().await.map_err(lost)?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get("retry-after").and_then(|text| text.to_str().ok()?.parse().ok());
        let body = crate::http::body(answer, ANSWER_BYTES_MAX).await.map_err(|unread| match unread {
            Unread::Lost(error) => lost(error),
            Unread::TooLarge => too_large(&attempt.at()),
        })?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        if status == 401 {
            self.login.forget().await;
        }
        Err(refused(&attempt, status, &Codes::of(&body), retry_after.map(Duration::from_secs)))
    }
}

fn too_large(at: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("Google's answer to {at} is too large"))
}

/// One segment of a path, percent-encoded but for what needs none (RFC 3986 §2.3).
pub(super) fn segment(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment() {
        let at = At { project: "a.b:c", id: "../x?y" };
        assert_eq!(at.path(), "/v1/projects/a.b%3Ac/secrets/..%2Fx%3Fy");
        assert_eq!(At { id: "", ..at }.path(), "/v1/projects/a.b%3Ac/secrets");
    }
}
