//! One repository of GitHub, one identity, one request at a time for writes.
//!
//! octocrab signs (a workflow's token, or a GitHub App's installation token, renewed on time) and
//! this module decides: what is waited for, what is sent again, and what must be looked at first.
//! octocrab's own retries and redirects are left out on purpose: it would repeat a POST whose reply
//! was lost, and resend the body of a 307 to another host.
//!
//! Races and their decisions: two of our own writes never run at a time (`writing`); writers of other
//! runs are met by look-again in `comments`, `checks` and by compare-and-swap in `state`.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, Method, Uri};
use http_body_util::{BodyExt as _, Limited};
use octocrab::Octocrab;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::access::{Access, base, configuration, signed_by};
use super::identity::Identity;
use super::limits::{Answered, TRIES_MAX, Verdict, WAIT_TOTAL_MAX, backoff, judge};
use crate::certificate::distrusted;
use crate::clock::{Clock, Sleep};
use crate::forge::text::{cut, visible};
use crate::forge::{Error, Result};
use crate::secret::SecretValue;

/// The largest answer read.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The largest part of GitHub's own message that an error repeats, in UTF-16 code units.
const SAID_UNITS_MAX: usize = 300;
/// Redirects followed for one GET (a renamed repository).
const REDIRECTS_MAX: u32 = 3;
/// Writes of one client after which a second is left between them, as GitHub asks of many writes
/// (<https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>).
const WRITES_AT_ONCE_MAX: u32 = 20;

/// Time, as the client sees it.
#[derive(Clone)]
pub struct World {
    /// Tells when a rate limit resets.
    pub clock: Arc<dyn Clock>,
    /// Waits for it.
    pub sleep: Arc<dyn Sleep>,
}

/// GitHub, for one repository and one identity. Implements [`crate::forge::Forge`].
pub struct Github {
    pub(super) access: Access,
    pub(super) base: Uri,
    /// `owner/name`.
    repository: String,
    /// The newest token, so that it can be struck from whatever is said.
    token: Mutex<Option<SecretValue>>,
    pub(super) world: World,
    pub(super) identity: OnceCell<Identity>,
    writing: tokio::sync::Mutex<u32>,
    waited: Mutex<Duration>,
}

/// One request.
pub(super) struct Call {
    pub(super) method: Method,
    /// Path and query below the API's address.
    pub(super) path: String,
    pub(super) body: Option<Value>,
    /// Completes "could not …".
    pub(super) what: &'static str,
    /// The workflow permission it needs.
    pub(super) needs: &'static str,
    pub(super) again: Again,
}

/// Whether a request may be sent again after a reply was lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It does no more the second time.
    Harmless,
    /// It might act twice: the caller must look.
    LookFirst,
}

/// Why there is no answer.
enum Trouble {
    /// The server's certificate is not trusted, so nothing was sent.
    Distrusted(String),
    /// Anything else; the request may have arrived.
    Lost(String),
}

/// An answer below 400.
pub(super) struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// When GitHub answered, as it writes it.
    pub(super) fn date(&self) -> Option<&str> {
        self.headers.get(http::header::DATE).and_then(|value| value.to_str().ok())
    }

    /// The body as one of our small types.
    pub(super) fn read<T: DeserializeOwned>(&self, what: &'static str) -> Result<T> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::unreadable(what, format!("the answer is not what GitHub documents: {error}")))
    }
}

impl Github {
    /// A client that speaks with a token: a workflow's, or anyone's.
    ///
    /// `api_url` is `GITHUB_API_URL`, `repository` is `GITHUB_REPOSITORY` (`owner/name`).
    ///
    /// # Errors
    /// [`Error::Configuration`] if address, name or token cannot be right.
    pub fn with_token(api_url: &str, repository: &str, token: SecretValue, world: World) -> Result<Self> {
        let text = token.expose_text().map(str::trim).unwrap_or_default();
        let base = base(api_url)?;
        let crab = signed_by(text, &base)?;
        let client = Self::assemble(Access::Token(crab), base, repository, world)?;
        client.know(SecretValue::from(text));
        Ok(client)
    }

    pub(super) fn assemble(access: Access, base: Uri, repository: &str, world: World) -> Result<Self> {
        let named = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        if !repository.split_once('/').is_some_and(|(owner, name)| named(owner) && named(name)) {
            return Err(configuration("the repository must read `owner/name`, as GITHUB_REPOSITORY does"));
        }
        Ok(Self {
            access,
            base,
            repository: repository.to_owned(),
            token: Mutex::new(None),
            world,
            identity: OnceCell::new(),
            writing: tokio::sync::Mutex::new(0),
            waited: Mutex::new(Duration::ZERO),
        })
    }

    /// A path below this repository.
    pub(super) fn path(&self, rest: &str) -> String {
        if rest.is_empty() {
            format!("/repos/{}", self.repository)
        } else {
            format!("/repos/{}/{rest}", self.repository)
        }
    }

    /// A read below this repository.
    pub(super) async fn get(&self, rest: &str, what: &'static str, needs: &'static str) -> Result<Answer> {
        let path = self.path(rest);
        self.send(&Call { method: Method::GET, path, body: None, what, needs, again: Again::Harmless }).await
    }

    /// Every page of a list below this repository, up to `pages_max` pages of 100.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        rest: &str,
        pages_max: u32,
        what: &'static str,
        needs: &'static str,
    ) -> Result<Vec<T>> {
        let join = if rest.contains('?') { '&' } else { '?' };
        let mut all = Vec::new();
        for page in 1..=pages_max {
            let answer = self.get(&format!("{rest}{join}per_page=100&page={page}"), what, needs).await?;
            let items: Vec<T> = answer.read(what)?;
            let last = items.len() < 100;
            all.extend(items);
            if last {
                return Ok(all);
            }
        }
        Err(Error::unreadable(what, format!("the list has more than {} entries", pages_max * 100)))
    }

    /// Remembers a token, to strike it from whatever is said.
    pub(super) fn know(&self, token: SecretValue) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
    }

    /// Sends as ourselves until there is an answer, waiting as GitHub asks, within [`WAIT_TOTAL_MAX`].
    pub(super) async fn send(&self, call: &Call) -> Result<Answer> {
        let crab = self.crab().await?;
        self.send_as(&crab, call).await
    }

    /// As [`Github::send`], signed by another: the App itself.
    pub(super) async fn send_as(&self, crab: &Octocrab, call: &Call) -> Result<Answer> {
        let mut written = if call.method == Method::GET { None } else { Some(self.writing.lock().await) };
        if let Some(written) = written.as_deref_mut() {
            *written = written.saturating_add(1);
            if *written > WRITES_AT_ONCE_MAX {
                self.wait(Duration::from_secs(1), call.what).await?;
            }
        }
        let (mut refusals, mut failures, mut redirects) = (0, 0, 0);
        let mut path = call.path.clone();
        loop {
            let trouble = match self.once(crab, call, &path).await {
                Ok(answer) => match self.judge(&answer, refusals) {
                    Verdict::Wait(duration) => {
                        self.wait(duration, call.what).await?;
                        refusals += 1;
                        continue;
                    }
                    Verdict::Final => match self.redirect(call, &answer)? {
                        Some(elsewhere) if redirects < REDIRECTS_MAX => {
                            redirects += 1;
                            path = elsewhere;
                            continue;
                        }
                        Some(_) => return Err(Error::unreadable(call.what, "too many redirects")),
                        None => return self.accept(call, answer),
                    },
                    Verdict::Failed => format!("GitHub answers {}", answer.status),
                },
                // Nothing was sent, and the next time is no better.
                Err(Trouble::Distrusted(said)) => return Err(Error::Unavailable { what: call.what, said }),
                Err(Trouble::Lost(said)) => said,
            };
            failures += 1;
            if call.again == Again::LookFirst {
                return Err(Error::Indeterminate { what: call.what, said: trouble });
            }
            if failures >= TRIES_MAX {
                return Err(Error::Unavailable { what: call.what, said: trouble });
            }
            tracing::debug!(what = call.what, failures, "GitHub failed, trying again");
            self.wait(backoff(failures), call.what).await?;
        }
    }

    async fn once(&self, crab: &Octocrab, call: &Call, path: &str) -> Result<Answer, Trouble> {
        let builder = http::Request::builder().method(call.method.clone()).uri(path);
        let builder = builder.header(http::header::ACCEPT, "application/vnd.github+json");
        let request = crab.build_request(builder, call.body.as_ref());
        let request = request.map_err(|error| Trouble::Lost(self.said(&error.to_string())))?;
        let response = crab.execute(request).await.map_err(|error| match distrusted(&error) {
            Some(said) => Trouble::Distrusted(said),
            None => Trouble::Lost(self.said(&causes(&error))),
        })?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| Trouble::Lost(self.said(&format!("the answer broke off: {error}"))))?;
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.to_bytes().to_vec() })
    }

    fn judge(&self, answer: &Answer, refusals: u32) -> Verdict {
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
        let answered = Answered {
            status: answer.status,
            retry_after_seconds: header("retry-after").and_then(|text| text.trim().parse().ok()),
            remaining: header("x-ratelimit-remaining").and_then(|text| text.parse().ok()),
            reset: header("x-ratelimit-reset").and_then(|text| text.parse().ok()),
            message: &message(&answer.body),
        };
        judge(&answered, self.world.clock.now().as_second(), refusals)
    }

    /// Where a GET is sent on to: the same scheme, host and port, else nowhere.
    fn redirect(&self, call: &Call, answer: &Answer) -> Result<Option<String>> {
        if !matches!(answer.status, 301 | 302 | 307 | 308) {
            return Ok(None);
        }
        let refused =
            |said: &str| Err(Error::Invalid { what: call.what, status: answer.status, said: said.to_owned() });
        if call.method != Method::GET {
            return refused("the repository has moved; run again under its new name");
        }
        let location = answer.headers.get(http::header::LOCATION).and_then(|value| value.to_str().ok());
        let Some(uri) = location.and_then(|location| location.parse::<Uri>().ok()) else {
            return refused("a redirect to nowhere");
        };
        let same = uri.scheme() == self.base.scheme() && uri.authority() == self.base.authority();
        if uri.authority().is_some() && !same {
            return refused("GitHub redirects to another host, where no token is sent");
        }
        Ok(uri.path_and_query().map(ToString::to_string))
    }

    fn accept(&self, call: &Call, answer: Answer) -> Result<Answer> {
        let (what, needs) = (call.what, call.needs);
        let said = || self.said(&message(&answer.body));
        match answer.status {
            200..=299 => Ok(answer),
            401 => Err(Error::Unauthenticated { what }),
            403 => Err(Error::Forbidden { what, needs, said: said() }),
            404 | 410 => Err(Error::NotFound { what, needs }),
            status => Err(Error::Invalid { what, status, said: said() }),
        }
    }

    /// What GitHub or the transport said, short, printable, and without the token should it come back.
    fn said(&self, text: &str) -> String {
        let text = {
            let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
            match token.as_ref().and_then(SecretValue::expose_text) {
                Some(token) => text.replace(token, "***"),
                None => text.to_owned(),
            }
        };
        let text = visible(text.trim()).replace('\n', " ");
        cut(&text, SAID_UNITS_MAX, "…").into_owned()
    }

    /// Waits before a lost write is tried again.
    pub(super) async fn back_off(&self, failures: u32, what: &'static str) -> Result<()> {
        self.wait(backoff(failures), what).await
    }

    async fn wait(&self, duration: Duration, what: &'static str) -> Result<()> {
        {
            let mut waited = self.waited.lock().unwrap_or_else(PoisonError::into_inner);
            let total = waited.saturating_add(duration);
            if total > WAIT_TOTAL_MAX {
                return Err(Error::RateLimited { what, seconds: duration.as_secs() });
            }
            *waited = total;
        }
        if duration >= Duration::from_secs(5) {
            tracing::info!(seconds = duration.as_secs(), what, "GitHub asks us to wait");
        }
        self.world.sleep.sleep(duration).await;
        Ok(())
    }
}

impl fmt::Debug for Github {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Github")
            .field("base", &self.base.to_string())
            .field("repository", &self.repository)
            .finish_non_exhaustive()
    }
}

/// The `message` of an error body, or nothing.
fn message(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut said = value.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    for error in value.get("errors").and_then(Value::as_array).into_iter().flatten().take(3) {
        if let Some(text) = error.as_str().or_else(|| error.get("message").and_then(Value::as_str)) {
            said.push_str(": ");
            said.push_str(text);
        }
    }
    said
}

/// An error with what caused it: transport errors keep the interesting part at the bottom.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    for _ in 0..8 {
        let Some(inner) = cause else { break };
        let text = inner.to_string();
        if !said.contains(&text) {
            said.push_str(": ");
            said.push_str(&text);
        }
        cause = inner.source();
    }
    said
}
