//! Tokens: asked for by the declared method, renewed while the run goes on.
//!
//! <https://developer.hashicorp.com/vault/api-docs/auth>

use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::error::Sent;
use super::session::Session;
use super::wire::Request;
use super::{Login, Signed};
use crate::limiter::{Repeat, quota};
use crate::oidc::{Exchange, Heard, Refused};
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// Largest file that holds a signed token, in bytes.
const JWT_BYTES_MAX: u64 = 64 * 1024;

/// Longest life that is believed, in seconds; a token that lives longer is merely renewed too early.
const LIFE_SECONDS_MAX: u64 = 86_400;

/// A token and how long it lives.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) text: SecretValue,
    /// We asked for it, so we give it back.
    pub(super) ours: bool,
    renewable: bool,
    /// When two thirds of its life are over; never for one whose end nobody told.
    ending: Option<Instant>,
    /// When it is over.
    end: Option<Instant>,
}

impl Token {
    pub(super) fn is_ending(&self) -> bool {
        self.ending.is_some_and(|ending| Instant::now() >= ending)
    }

    pub(super) fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    fn granted(text: SecretValue, seconds: u64, renewable: bool) -> Self {
        let life = Duration::from_secs(seconds.min(LIFE_SECONDS_MAX));
        let after = |span: Duration| Instant::now().checked_add(span).filter(|_| seconds > 0);
        Self { text, ours: true, renewable, ending: after(life * 2 / 3), end: after(life) }
    }
}

/// Gets a token by the declared method.
pub(super) async fn log_in(session: &Session) -> Result<Token> {
    let mount = session.settings.mount.trim_matches('/');
    let path = format!("auth/{mount}/login");
    match &session.settings.login {
        Login::Token(text) => Ok(Token { text: text.clone(), ours: false, renewable: false, ending: None, end: None }),
        Login::AppRole { role_id, secret_id } => {
            let body = json!({ "role_id": role_id, "secret_id": secret_id.expose_text() });
            // A secret id may be good for one use.
            let sent = Sent { method: "approle", claims: format!("role_id `{role_id}`"), heard: Heard::default() };
            ask(session, path, body, Repeat::Once, &sent).await
        }
        Login::Signed { role, from } => {
            let exchange = Exchange::Vault {
                url: session.settings.url.trim_end_matches('/').to_owned(),
                mount: mount.to_owned(),
                role: role.clone().unwrap_or_else(|| "(default)".to_owned()),
            };
            let (mint, path) = (|| signed(session, from), &path);
            let ask = |jwt| async move { vouched(session, path, role.as_deref(), &jwt).await };
            session.shared.trades.trade(exchange, mint, ask).await
        }
        Login::None => Err(Error::new(ErrorKind::Unauthenticated, "the Vault provider is not told how to log in")),
    }
}

/// A login with a signed token.
async fn vouched(session: &Session, path: &str, role: Option<&str>, jwt: &SecretValue) -> Result<Token, Refused> {
    let mut body = json!({ "jwt": jwt.expose_text() });
    if let (Some(role), Some(body)) = (role, body.as_object_mut()) {
        body.insert("role".into(), role.into());
    }
    let role = role.map_or_else(|| "the default role".to_owned(), |role| format!("role `{role}`"));
    let sent = Sent { method: "signed token", claims: format!("{role}{}", claims(jwt)), heard: Heard::default() };
    let token = ask(session, path.to_owned(), body, Repeat::Safe, &sent).await;
    token.map_err(|error| sent.heard.refused(error, |code| code == "token is expired"))
}

async fn ask(session: &Session, path: String, body: Json, repeat: Repeat, sent: &Sent<'_>) -> Result<Token> {
    let request = Request::update(path, body);
    let answer = session.ask(repeat, &request, sent).await?;
    let text = answer.auth("client_token").as_str().filter(|token| !token.is_empty());
    let text = text.ok_or_else(|| {
        Error::new(
            ErrorKind::Unauthenticated,
            format!("the login at `{}` gave no token; it may need a second factor", request.path),
        )
    })?;
    let seconds = answer.auth("lease_duration").as_u64().unwrap_or(0);
    let renewable = answer.auth("renewable").as_bool().unwrap_or(false);
    let text = SecretValue::from(text);
    session.shared.trades.hide(&text);
    Ok(Token::granted(text, seconds, renewable))
}

/// Prolongs a token; false if another one is needed.
pub(super) async fn renew(session: &Session, token: &mut Token) -> bool {
    if !token.renewable || token.is_over() {
        return false;
    }
    let request = Request::update("auth/token/renew-self".into(), json!({}));
    match session.send(&quota::VAULT_LOGIN, Repeat::Safe, &request, Some(&token.text)).await {
        Ok(answer) => {
            let seconds = answer.auth("lease_duration").as_u64().unwrap_or(0);
            let before = token.ending;
            *token = Token { ours: token.ours, ..Token::granted(token.text.clone(), seconds, true) };
            // At the end of its longest life a token is renewed by less and less.
            token.ending > before.and_then(|before| before.checked_add(Duration::from_secs(1)))
        }
        Err(error) => {
            tracing::debug!("the token was not renewed: {error}");
            false
        }
    }
}

/// The signed token from wherever it comes.
async fn signed(session: &Session, from: &Signed) -> Result<SecretValue> {
    match from {
        Signed::Given(jwt) => Ok(jwt.clone()),
        Signed::File(path) => {
            let unusable = |why: String| {
                let message = format!("the signed token in {} cannot be used: {why}", path.display());
                Error::new(ErrorKind::Unauthenticated, message)
            };
            let bytes = match session.shared.disk.read(path, JWT_BYTES_MAX) {
                Ok(Some(bytes)) => SecretValue::new(bytes),
                Ok(None) => return Err(unusable("there is no such file; set `jwt` to where it is".into())),
                Err(error) => return Err(unusable(error.to_string())),
            };
            let text = bytes.expose_text().map(str::trim).filter(|text| !text.is_empty());
            text.map(SecretValue::from).ok_or_else(|| unusable("it holds no text".into()))
        }
        Signed::Run { audience } => match &session.shared.tokens {
            Some(tokens) => tokens.token(audience).await,
            None => Err(Error::new(
                ErrorKind::Unauthenticated,
                "nobody vouches for this run: set `jwt` to a signed token or to the path of one, or run in CI with \
                 permission to ask for tokens (GitHub: `id-token: write`)",
            )),
        },
    }
}

/// What a signed token claims, for a person whose trust policy does not fit it. Its signature, which
/// alone makes it a credential, is left out.
fn claims(jwt: &SecretValue) -> String {
    let payload = jwt.expose_text().and_then(|jwt| jwt.split('.').nth(1)).map(|part| part.trim_end_matches('='));
    let decoded = payload.and_then(|payload| data_encoding::BASE64URL_NOPAD.decode(payload.as_bytes()).ok());
    let Some(claims) = decoded.and_then(|bytes| serde_json::from_slice::<Json>(&bytes).ok()) else {
        return String::new();
    };
    let plain = |text: &str| text.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
    let shown: Vec<String> = ["iss", "sub", "aud"]
        .iter()
        .filter_map(|name| match claims.get(*name)? {
            Json::String(text) => Some(format!("`{name}` {}", plain(text))),
            other @ Json::Array(_) => Some(format!("`{name}` {}", plain(&other.to_string()))),
            _ => None,
        })
        .collect();
    if shown.is_empty() { String::new() } else { format!(", {}", shown.join(", ")) }
}
