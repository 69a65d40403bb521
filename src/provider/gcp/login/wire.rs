//! The requests that lead to a token: each only to a host that may have what is sent, none followed
//! elsewhere, and no answer repeated to anybody.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::{Granted, unreadable};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::hosts::{Cloud, Hosts};
use crate::http::Unread;
use crate::limiter::{Limiter, Repeat, quota};
use crate::oidc::Heard;
use crate::provider::gcp::GcpShared;
use crate::provider::gcp::error::{Codes, unanswered};
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Longest wait for a server on this machine or its link.
const LOCAL_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a login is counted: all share it.
const SCOPE: &str = "gcp/login";

/// The codes of an OAuth error (RFC 6749 §5.2, RFC 8693 §2.2.2); nothing else of one is shown.
const OAUTH_CODES: &[&str] = &[
    "access_denied",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "unauthorized_client",
    "unsupported_grant_type",
];

/// Clients, hosts and clock of one login.
pub(in super::super) struct Wire {
    http: reqwest::Client,
    /// For this machine and its link: no proxy stands between. Made when it is needed.
    near: OnceLock<reqwest::Client>,
    hosts: Hosts,
    limiter: Arc<Limiter>,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    /// The code of the latest answer.
    heard: Heard,
}

/// Scheme and authority of an address.
pub(in super::super) fn origin(url: &str) -> (&str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    (scheme, rest.split(['/', '?', '#']).next().unwrap_or_default())
}

impl Wire {
    pub(super) fn new(hosts: Hosts, shared: &GcpShared) -> Result<Self> {
        let (limiter, clock, disk) = (Arc::clone(&shared.limiter), Arc::clone(&shared.clock), Arc::clone(&shared.disk));
        let http = crate::http::builder().build().map_err(|error| unanswered("the login", &error))?;
        Ok(Self { http, near: OnceLock::new(), hosts, limiter, clock, disk, heard: Heard::default() })
    }

    /// The client, which loads the CA roots once for login and API.
    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    fn near(&self) -> Result<&reqwest::Client> {
        if let Some(near) = self.near.get() {
            return Ok(near);
        }
        // Plain http: no roots are loaded.
        let near = crate::http::builder().no_proxy().tls_certs_only([]);
        let near = near.connect_timeout(LOCAL_TIMEOUT).timeout(LOCAL_TIMEOUT).build();
        let near = near.map_err(|error| unanswered("the metadata server", &error))?;
        Ok(self.near.get_or_init(|| near))
    }

    /// With the hosts of a file that the environment of the run names.
    pub(super) fn naming(mut self, origins: Vec<String>) -> Self {
        self.hosts = origins.iter().fold(self.hosts, |hosts, origin| hosts.naming(origin));
        self
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The code of the latest answer; empty if it was none or good.
    pub(super) fn heard(&self) -> String {
        self.heard.code()
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    /// Whether a credential of Google may be sent to an address.
    pub(super) fn check(&self, url: &str) -> Result<()> {
        let (scheme, authority) = origin(url);
        let refused = |refused: crate::hosts::Refused| Error::new(ErrorKind::Invalid, refused.to_string());
        self.hosts.check(Cloud::Google, scheme, authority).map_err(refused)
    }

    /// An exchange of OAuth: a form, answered with a token.
    pub(super) async fn form(&self, what: &str, advice: &str, url: &str, form: &[(&str, &str)]) -> Result<Granted> {
        self.check(url)?;
        let answer = self.send(what, advice, || self.http.post(url).form(form)).await?;
        granted(what, &answer)
    }

    /// A request in JSON with what it answers.
    pub(super) async fn json(
        &self,
        what: &str,
        advice: &str,
        url: &str,
        body: &Json,
        token: Option<&SecretValue>,
    ) -> Result<Json> {
        self.check(url)?;
        let request = || {
            let request = self.http.post(url).json(body);
            match token.and_then(SecretValue::expose_text) {
                Some(token) => request.bearer_auth(token),
                None => request,
            }
        };
        let answer = self.send(what, advice, request).await?;
        serde_json::from_slice(&answer).map_err(|_| unreadable(what))
    }

    /// Asks somebody near for a text: a metadata server, or whoever vouches for this run.
    pub(super) async fn get(&self, what: &str, url: &str, headers: &[(String, String)], near: bool) -> Result<Vec<u8>> {
        let client = if near { self.near()? } else { &self.http };
        let request = || headers.iter().fold(client.get(url), |request, (name, value)| request.header(name, value));
        self.send(what, "check the credentials file", request).await
    }

    /// A text from Google's metadata server, which says of itself that it is one.
    pub(super) async fn metadata(&self, url: &str) -> Result<Vec<u8>> {
        let what = "a question to the metadata server";
        let sent = self.near()?.get(url).header("metadata-flavor", "Google").send().await;
        let answer = sent.map_err(|error| unanswered(what, &error))?;
        let google = answer.headers().get("metadata-flavor").is_some_and(|flavor| flavor == "Google");
        if !google || !answer.status().is_success() {
            let status = answer.status().as_u16();
            let kind = if status >= 500 || status == 429 { ErrorKind::Unavailable } else { ErrorKind::Unauthenticated };
            let message = format!("the metadata server answered HTTP {status}; is a service account attached?");
            return Err(Error::new(kind, message));
        }
        bounded(what, answer).await
    }

    async fn send(
        &self,
        what: &str,
        advice: &str,
        request: impl Fn() -> reqwest::RequestBuilder + Send + Sync,
    ) -> Result<Vec<u8>> {
        let request = &request;
        let once = || async move {
            self.heard.note("");
            let answer = request().send().await.map_err(|error| unanswered(what, &error))?;
            let status = answer.status().as_u16();
            let body = bounded(what, answer).await?;
            if status < 300 {
                return Ok(body);
            }
            let code = code_of(status, &body);
            self.heard.note(code.as_str());
            Err(refused(what, advice, status, &code))
        };
        self.limiter.run(SCOPE, &quota::GOOGLE_LOGIN, Repeat::Read, once).await
    }
}

/// The whole body, if it is as small as such answers are.
async fn bounded(what: &str, answer: reqwest::Response) -> Result<Vec<u8>> {
    crate::http::body(answer, ANSWER_BYTES_MAX).await.map_err(|unread| match unread {
        Unread::Lost(error) => unanswered(what, &error),
        Unread::TooLarge => unreadable(what),
    })
}

/// `access_token` and `expires_in`, which is an hour when missing.
pub(super) fn granted(what: &str, body: &[u8]) -> Result<Granted> {
    let answer: Json = serde_json::from_slice(body).map_err(|_| unreadable(what))?;
    let token = answer.get("access_token").and_then(Json::as_str).ok_or_else(|| unreadable(what))?;
    let seconds = answer.get("expires_in").and_then(Json::as_u64).unwrap_or(3600);
    Ok(Granted { token: SecretValue::from(token), lives: Duration::from_secs(seconds) })
}

/// The code of a refusal, if it is one of Google's or of OAuth; else its status.
fn code_of(status: u16, body: &[u8]) -> String {
    let codes = Codes::of(body);
    let oauth = serde_json::from_slice::<Json>(body).ok();
    let oauth = oauth.as_ref().and_then(|body| body.get("error")).and_then(Json::as_str);
    let oauth = oauth.and_then(|code| OAUTH_CODES.iter().find(|known| **known == code)).copied();
    match (oauth, codes.status.as_str()) {
        (Some(code), _) => code.to_owned(),
        // A service that is turned off answers like one that forbids; only the reason tells.
        (None, _) if codes.reason == "SERVICE_DISABLED" => codes.reason,
        (None, "") => format!("HTTP {status}"),
        (None, code) => code.to_owned(),
    }
}

fn refused(what: &str, advice: &str, status: u16, shown: &str) -> Error {
    if status == 429 {
        return Error::new(ErrorKind::Throttled(None), format!("Google throttles {what} ({shown})"));
    }
    if status >= 500 {
        return Error::new(ErrorKind::Unavailable, format!("Google failed at {what} ({shown}); run again"));
    }
    let message = format!("Unable to authenticate with Google Cloud: {what} was refused ({shown}); {advice}");
    Error::new(ErrorKind::Unauthenticated, message)
}
