//! One login at one server: finds a token, keeps it alive, makes every call, gives it back.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::Value as Json;

use super::error::{Attempt, Sent};
use super::login::{Token, log_in, renew};
use super::wire::{Answer, Request, exchange};
use super::{Login, VaultSettings, VaultShared, tls};
use crate::hosts::{Cloud, Hosts, Url};
use crate::limiter::{ApiClass, Repeat, quota};
use crate::provider::{Error, ErrorKind, Identity, Result};
use crate::secret::SecretValue;

/// Longest wait for a token to be revoked; it also ends by itself.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Tokens that one call tries before it gives up.
const TOKENS_MAX: usize = 3;

/// One namespace of one server.
pub(super) struct Session {
    pub(super) settings: VaultSettings,
    pub(super) shared: VaultShared,
    /// Host and port, then the namespace, as locators name it.
    pub(super) server: String,
    host: String,
    base: String,
    http: Client,
    hosts: Hosts,
    scope: String,
    /// The token in use. Never held over a call: whoever waits for it may occupy the connection that a
    /// login needs.
    token: Mutex<Option<Token>>,
    /// One login at a time.
    login: tokio::sync::Mutex<()>,
    /// Tokens that another one replaced; calls under way may still show them, so they are revoked at the end.
    replaced: Mutex<Vec<Token>>,
    /// Who we are, for messages.
    who: Mutex<Option<Identity>>,
    /// The version of each mount that was asked for.
    mounts: tokio::sync::Mutex<BTreeMap<String, Option<u8>>>,
    /// The engine of each mount that was asked for.
    engines: tokio::sync::Mutex<BTreeMap<String, String>>,
}

impl Session {
    /// Reads the certificates; sends nothing yet.
    pub(super) fn open(settings: VaultSettings, shared: VaultShared) -> Result<Self> {
        let http = tls::client(&settings, shared.disk.as_ref())?;
        let base = settings.url.trim_end_matches('/').to_owned();
        let url =
            Url::parse(&base).ok_or_else(|| Error::new(ErrorKind::Invalid, "`url` of the provider is no address"))?;
        let port = url.port.map(|port| format!(":{port}")).unwrap_or_default();
        let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.to_ascii_lowercase() };
        let host = format!("{host}{port}");
        let namespace = settings.namespace.as_deref().map_or("root", |name| name.trim_matches('/'));
        let server = format!("{host}/{}", namespace.replace('/', "%2F"));
        Ok(Self {
            scope: format!("vault/{server}"),
            hosts: settings.hosts.clone().naming(&base),
            who: Mutex::new(None),
            token: Mutex::new(None),
            login: tokio::sync::Mutex::default(),
            replaced: Mutex::default(),
            mounts: tokio::sync::Mutex::default(),
            engines: tokio::sync::Mutex::default(),
            settings,
            shared,
            server,
            host,
            base,
            http,
        })
    }

    /// What is about to be tried, for the error message.
    fn attempt<'a>(&'a self, request: &'a Request, principal: &'a str, login: Option<&'a Sent<'a>>) -> Attempt<'a> {
        Attempt {
            capability: request.capability,
            path: &request.path,
            host: &self.host,
            namespace: self.namespace(),
            principal,
            anonymous: self.base.starts_with("https://") && self.settings.client_cert.is_none(),
            login,
        }
    }

    fn namespace(&self) -> Option<&str> {
        self.settings.namespace.as_deref().map(|name| name.trim_matches('/'))
    }

    /// One call with the token that is good when its turn comes, through the limiter, its error
    /// explained. A refusal of a token that ended or was replaced meanwhile is no answer.
    pub(super) async fn call(&self, class: &ApiClass, repeat: Repeat, request: Request) -> Result<Answer> {
        let mut last = None;
        for _ in 0..TOKENS_MAX {
            self.ready().await?;
            let shown = Mutex::new(None);
            match self.in_turn(class, repeat, &request, &shown).await {
                Ok(Some(answer)) => return Ok(answer),
                // It ended while the call waited for its turn, and nothing was sent.
                Ok(None) => {}
                // A refused call did nothing, so it may go out again.
                Err(error) if error.kind == ErrorKind::PermissionDenied && self.is_stale(&shown) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            let message =
                format!("each token of {} ended before its turn came; give its role a longer life", self.host);
            Error::new(ErrorKind::Unavailable, message)
        }))
    }

    /// The call, if there is a token when its turn comes; tells which one was shown.
    async fn in_turn(
        &self,
        class: &ApiClass,
        repeat: Repeat,
        request: &Request,
        shown: &Mutex<Option<SecretValue>>,
    ) -> Result<Option<Answer>> {
        self.admit()?;
        let principal = self.principal();
        let attempt = &self.attempt(request, &principal, None);
        let once = || async move {
            let Some(token) = locked(&self.token).clone().filter(|token| !token.is_over()) else { return Ok(None) };
            *locked(shown) = Some(token.text.clone());
            let answer = exchange(&self.http, &self.base, self.namespace(), Some(&token.text), request, attempt).await;
            answer.map(Some)
        };
        self.shared.limiter.run(&self.scope, class, repeat, once).await
    }

    /// Whether the token that was shown is over, or no longer the one in use.
    fn is_stale(&self, shown: &Mutex<Option<SecretValue>>) -> bool {
        let (shown, held) = (locked(shown), locked(&self.token));
        match (shown.as_ref(), held.as_ref()) {
            (Some(shown), Some(held)) => held.is_over() || !held.text.matches(shown),
            _ => true,
        }
    }

    /// The same for what may not exist.
    pub(super) async fn find(&self, request: Request) -> Result<Option<Answer>> {
        let class = if request.capability == "list" { &quota::VAULT_LIST } else { &quota::VAULT_READ };
        match self.call(class, Repeat::Read, request).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One call with this token, or none.
    pub(super) async fn send(
        &self,
        class: &ApiClass,
        repeat: Repeat,
        request: &Request,
        token: Option<&SecretValue>,
    ) -> Result<Answer> {
        let principal = self.principal();
        self.checked(class, repeat, request, token, &self.attempt(request, &principal, None)).await
    }

    /// A login, which has no token yet.
    pub(super) async fn ask(&self, repeat: Repeat, request: &Request, sent: &Sent<'_>) -> Result<Answer> {
        let attempt = self.attempt(request, "", Some(sent));
        self.checked(&quota::VAULT_LOGIN, repeat, request, None, &attempt).await
    }

    async fn checked(
        &self,
        class: &ApiClass,
        repeat: Repeat,
        request: &Request,
        token: Option<&SecretValue>,
        attempt: &Attempt<'_>,
    ) -> Result<Answer> {
        self.admit()?;
        let once = || exchange(&self.http, &self.base, self.namespace(), token, request, attempt);
        self.shared.limiter.run(&self.scope, class, repeat, once).await
    }

    /// Refuses to send a credential where none may go.
    fn admit(&self) -> Result<()> {
        let (scheme, rest) = self.base.split_once("://").unwrap_or_default();
        let authority = rest.split('/').next().unwrap_or_default();
        let admitted = self.hosts.check(Cloud::Vault, scheme, authority);
        admitted.map_err(|refused| Error::new(ErrorKind::Invalid, refused.to_string()))
    }

    /// Whether the server told who we are.
    pub(super) fn is_known(&self) -> bool {
        locked(&self.who).is_some()
    }

    fn principal(&self) -> String {
        let who = locked(&self.who);
        who.as_ref().map_or_else(String::new, |who| who.principal.clone())
    }

    /// Makes sure of a token that lives on for a while; one login at a time. It holds no connection, which
    /// the login needs.
    async fn ready(&self) -> Result<()> {
        let lives = |held: &Option<Token>| held.as_ref().is_some_and(|token| !token.is_ending() || !token.ours);
        if lives(&locked(&self.token)) {
            return Ok(());
        }
        let _one = self.login.lock().await;
        let held = locked(&self.token).clone();
        if lives(&held) {
            return Ok(());
        }
        if let Some(mut token) = held
            && renew(self, &mut token).await
        {
            *locked(&self.token) = Some(token);
            return Ok(());
        }
        let token = log_in(self).await?;
        let before = locked(&self.token).replace(token);
        locked(&self.replaced).extend(before);
        Ok(())
    }

    /// Who the server takes us for; asked once.
    pub(super) async fn identity(&self) -> Result<Identity> {
        if let Some(known) = locked(&self.who).clone() {
            return Ok(known);
        }
        let answer = self.call(&quota::VAULT_READ, Repeat::Read, Request::read("auth/token/lookup-self".into())).await;
        let answer = answer.map_err(|error| match error.kind {
            ErrorKind::PermissionDenied => self.unknown(),
            _ => error,
        })?;
        let name = answer.data("display_name").as_str().unwrap_or("token");
        let lists = ["policies", "identity_policies"].map(|list| answer.data(list).as_array());
        let policies: Vec<&str> = lists.into_iter().flatten().flatten().filter_map(Json::as_str).collect();
        let policies = if policies.is_empty() { "none".to_owned() } else { policies.join(", ") };
        let namespace = self.namespace().map(|name| format!(" namespace {name}")).unwrap_or_default();
        let identity = Identity {
            account: format!("{}{namespace}", self.host),
            principal: format!("{name} at {}{namespace} (policies: {policies})", self.host),
            region: None,
        };
        *locked(&self.who) = Some(identity.clone());
        Ok(identity)
    }

    /// The token may not even look at itself.
    fn unknown(&self) -> Error {
        let given = matches!(self.settings.login, Login::Token(_));
        let what =
            if given { "the token (VAULT_TOKEN) is wrong, revoked or expired" } else { "the new token was refused" };
        let message = format!(
            "Unable to authenticate with Vault at {}: {what}, or its policies lack read on `auth/token/lookup-self`, which \
             the policy `default` grants. Try `vault token lookup`",
            self.host
        );
        Error::new(ErrorKind::Unauthenticated, message)
    }

    /// Refuses to go on in a mount of another version than declared; where that cannot be asked, nothing
    /// is said (<https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts>).
    pub(super) async fn check_mount(&self, mount: &str, version: u8) -> Result<()> {
        let mut mounts = self.mounts.lock().await;
        let known = match mounts.get(mount) {
            Some(known) => *known,
            None => {
                let asked = self.find(Request::read(format!("sys/internal/ui/mounts/{mount}"))).await;
                let found = asked.ok().flatten().and_then(|answer| version_of(answer.whole()));
                *mounts.entry(mount.to_owned()).or_insert(found)
            }
        };
        match known.filter(|known| *known != version) {
            Some(known) => Err(Error::new(
                ErrorKind::Invalid,
                format!("the mount `{mount}` of {} is of version {known}; write `version: {known}`", self.host),
            )),
            None => Ok(()),
        }
    }

    /// Refuses a mount of another engine than this before anything is read there: the path of a key or a
    /// role is that of a value elsewhere. Where it cannot be told, nothing is read either. Whoever has any
    /// right below a mount may ask
    /// (<https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts>).
    pub(super) async fn check_engine(&self, mount: &str, engine: &str, setting: &str) -> Result<()> {
        let mount = mount.trim_matches('/');
        let mut engines = self.engines.lock().await;
        let known = match engines.get(mount) {
            Some(known) => known.clone(),
            None => {
                let asked = self.find(Request::read(format!("sys/internal/ui/mounts/{mount}"))).await;
                let told = asked.map_err(|error| match error.kind {
                    ErrorKind::PermissionDenied => self.untold(mount, engine, setting),
                    _ => error,
                })?;
                let found = told.and_then(|answer| engine_of(answer.whole(), mount));
                let found = found.ok_or_else(|| self.untold(mount, engine, setting))?;
                engines.entry(mount.to_owned()).or_insert(found).clone()
            }
        };
        if known == engine {
            return Ok(());
        }
        let message = format!(
            "`{setting}`: `{mount}` of {} is an engine of type `{known}` and not `{engine}`, so nothing was read there",
            self.host
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }

    fn untold(&self, mount: &str, engine: &str, setting: &str) -> Error {
        let message = format!(
            "`{setting}`: Vault does not tell what is mounted at `{mount}` of {}, so nothing was read there: enable the \
             engine with `vault secrets enable -path={mount} {engine}`, or give the token a right below it",
            self.host
        );
        Error::new(ErrorKind::PermissionDenied, message)
    }

    async fn revoke(&self, token: &Token) {
        let request = Request::update("auth/token/revoke-self".into(), Json::Object(Default::default()));
        let revoked = self.send(&quota::VAULT_LOGIN, Repeat::Safe, &request, Some(&token.text));
        match tokio::time::timeout(CLOSE_TIMEOUT, revoked).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!("the token was not revoked and ends by itself: {error}"),
            Err(_) => tracing::debug!("the token was not revoked in time and ends by itself"),
        }
    }

    /// Gives back the tokens that we asked for.
    pub(super) async fn close(&self) {
        let mut tokens = std::mem::take(&mut *locked(&self.replaced));
        tokens.extend(locked(&self.token).take());
        // What is over ended by itself.
        let live = tokens.iter().filter(|token| token.ours && !token.is_over());
        join_all(live.map(|token| self.revoke(token))).await;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The engine of a mount, if it is mounted at just this path: an answer for a path below a mount is the
/// mount's.
fn engine_of(told: &Json, mount: &str) -> Option<String> {
    let path = told.get("path").and_then(Json::as_str)?;
    let engine = told.get("type").and_then(Json::as_str)?;
    match path.trim_matches('/') == mount {
        true => Some(engine.to_owned()),
        false => Some(format!("{engine}, mounted at {path}")),
    }
}

/// The version of a mount as `sys/internal/ui/mounts` tells it; `None` for other engines.
pub(super) fn version_of(mount: &Json) -> Option<u8> {
    let engine = mount.get("type").and_then(Json::as_str)?;
    let version = mount.get("options").and_then(|options| options.get("version")).and_then(Json::as_str);
    matches!(engine, "kv" | "generic").then(|| if version == Some("2") { 2 } else { 1 })
}
