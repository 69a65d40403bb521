//! Exchanges a client's secret, or a token that somebody else vouches with, for a token of Entra
//! (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).
//!
//! What Entra says is known by its number alone
//! (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>).

use std::io::ErrorKind as ErrorOf;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

use super::claims::Claims;
use super::{Login, TOKEN_BYTES_MAX, Token};
use crate::certificate::distrusted;
use crate::hosts::Cloud;
use crate::http::Unread;
use crate::limiter::{Repeat, quota};
use crate::oidc::{Heard, Refused};
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// What proves that we are the client.
pub(super) enum Proof<'a> {
    Secret(&'a SecretValue),
    Assertion(&'a SecretValue),
}

/// An answer with a token; no `Debug` on purpose. Some of Azure's servers write the number as a text.
#[derive(Deserialize)]
pub(super) struct Granted {
    access_token: String,
    expires_in: serde_json::Value,
}

impl Granted {
    pub(super) fn token(self) -> Token {
        let seconds = self.expires_in.as_u64().or_else(|| self.expires_in.as_str()?.parse().ok()).unwrap_or_default();
        Token::new(SecretValue::from(self.access_token), Duration::from_secs(seconds))
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    error_codes: Vec<u64>,
}

/// The assertion that a file holds. Whoever keeps the file renews it, so it is read for each exchange.
pub(super) async fn assertion_in(path: &str) -> Result<SecretValue> {
    let bytes = small_file(path).await.map_err(|error| {
        let why = if error.kind() == ErrorOf::FileTooLarge { "is too large" } else { "cannot be read" };
        let message = format!("AZURE_FEDERATED_TOKEN_FILE names `{path}`, which {why}");
        Error::new(ErrorKind::Unauthenticated, message)
    })?;
    Ok(SecretValue::new(bytes.trim_ascii().to_vec()))
}

/// Codes that pass, whatever status they come with
/// (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>).
const THROTTLED_OF_TENANT: u64 = 90_055;
const LOOP_DETECTED: u64 = 50_196;
const BUDGET_EXCEEDED: u64 = 90_024;
const DIRECTORY_UNAVAILABLE: u64 = 90_033;

/// Whether the code says that an assertion was too old, or not good yet.
fn is_expired(code: &str) -> bool {
    code == "AADSTS700024"
}

impl Login {
    /// The token of a service principal.
    pub(super) async fn exchange(
        &self,
        tenant: &str,
        client: &str,
        scope: &str,
        proof: &Proof<'_>,
    ) -> Result<Token, Refused> {
        let heard = Heard::default();
        let who = Asked { host: self.authority_host(), tenant, client, proof, heard: &heard };
        self.granted(&who, scope).await.map_err(|error| heard.refused(error, is_expired))
    }

    async fn granted(&self, who: &Asked<'_>, scope: &str) -> Result<Token> {
        let Asked { host, tenant, .. } = *who;
        let plain = !tenant.is_empty() && tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
        if !plain {
            let message = "the tenant of the Azure login is neither an id nor a domain; check `tenant_id`";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let url = format!("{}/{tenant}/oauth2/v2.0/token", self.authority);
        let (scheme, _) = self.authority.split_once("://").unwrap_or_default();
        let authority = self.authority.split_once("://").map_or("", |(_, rest)| rest);
        let checked = self.hosts.check(Cloud::Entra, scheme, authority.split('/').next().unwrap_or_default());
        checked.map_err(|refused| Error::new(ErrorKind::Invalid, refused.to_string()))?;
        let form = who.form(scope);
        let http = self.http.client()?;
        let once = || {
            let request = http.post(&url).form(&form);
            async {
                who.heard.note("");
                let answer = request.send().await.map_err(|error| unanswered(host, &error))?;
                let status = answer.status().as_u16();
                let later = answer.headers().get("retry-after").and_then(|text| text.to_str().ok()?.parse().ok());
                let body = crate::http::body(answer, TOKEN_BYTES_MAX).await.map_err(|unread| match unread {
                    Unread::Lost(error) => unanswered(host, &error),
                    Unread::TooLarge => unreadable(host, status),
                })?;
                if status == 200 {
                    let granted: Granted = serde_json::from_slice(&body).map_err(|_| unreadable(host, status))?;
                    return Ok(granted.token());
                }
                Err(who.refused(status, &body, later.map(Duration::from_secs)))
            }
        };
        self.limiter.run(&format!("entra/{host}"), &quota::ENTRA_TOKEN, Repeat::Read, once).await
    }
}

/// A file that may hold a token; one without an end is left where it is.
async fn small_file(path: &str) -> std::io::Result<Vec<u8>> {
    let file = tokio::fs::File::open(path).await?;
    let mut bytes = Vec::new();
    file.take(TOKEN_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await?;
    if bytes.len() > TOKEN_BYTES_MAX { Err(ErrorOf::FileTooLarge.into()) } else { Ok(bytes) }
}

pub(super) fn unreadable(host: &str, status: u16) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{host} answered something unreadable (HTTP {status})"))
}

fn unanswered(host: &str, error: &reqwest::Error) -> Error {
    match distrusted(error) {
        Some(distrusted) => Error::new(ErrorKind::Invalid, format!("{host} cannot be reached: {distrusted}")),
        None => {
            Error::new(ErrorKind::Unavailable, format!("{host} cannot be reached; check the network and the proxy"))
        }
    }
}

/// Who asked for a token, and how.
struct Asked<'a> {
    host: &'a str,
    tenant: &'a str,
    client: &'a str,
    proof: &'a Proof<'a>,
    /// The code of the latest answer.
    heard: &'a Heard,
}

impl Asked<'_> {
    fn form(&self, scope: &str) -> Vec<(&'static str, String)> {
        let text = |value: &SecretValue| value.expose_text().unwrap_or_default().to_owned();
        let mut form = vec![
            ("client_id", self.client.to_owned()),
            ("scope", scope.to_owned()),
            ("grant_type", "client_credentials".to_owned()),
        ];
        match self.proof {
            Proof::Secret(secret) => form.push(("client_secret", text(secret))),
            Proof::Assertion(assertion) => {
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                form.push(("client_assertion_type", kind.to_owned()));
                form.push(("client_assertion", text(assertion)));
            }
        }
        form
    }

    fn refused(&self, status: u16, body: &[u8], later: Option<Duration>) -> Error {
        let codes = serde_json::from_slice::<Body>(body).unwrap_or_default().error_codes;
        let code = codes.first().copied();
        let shown = code.map_or_else(|| format!("HTTP {status}"), |code| format!("AADSTS{code}"));
        // An outage has a code as well, so the status goes first.
        match (status, code) {
            (429, _) | (_, Some(THROTTLED_OF_TENANT | LOOP_DETECTED)) => {
                Error::new(ErrorKind::Throttled(later), format!("{} throttles logins ({shown})", self.host))
            }
            (500.., _) | (_, Some(BUDGET_EXCEEDED | DIRECTORY_UNAVAILABLE)) => {
                Error::new(ErrorKind::Unavailable, format!("{} failed for the moment ({shown})", self.host))
            }
            (_, None) => self.denied(&shown, "check `tenant_id`, `client_id` and `authority_host`"),
            (_, Some(code)) => self.denied(&shown, &self.advice(code)),
        }
    }

    fn denied(&self, code: &str, advice: &str) -> Error {
        let Self { tenant, client, .. } = self;
        self.heard.note(code);
        let message = format!(
            "Azure authentication failed ({code}) for the application {client} in the tenant {tenant}: {advice}"
        );
        Error::new(ErrorKind::Unauthenticated, message)
    }

    fn advice(&self, code: u64) -> String {
        match code {
            7_000_215 => "the client secret is wrong; the secret's value is needed, not its id".into(),
            7_000_222 => "the client secret has expired; make a new one, or use a federated credential".into(),
            700_016 => "no such application there; check `client_id` and `tenant_id`".into(),
            90_002 | 900_023 | 900_021 => "there is no such tenant; check `tenant_id` and `authority_host`".into(),
            500_011 => {
                "the tenant does not know Key Vault in this cloud; check `authority_host` and `tenant_id`".into()
            }
            70_021 | 700_211 | 700_212 | 700_213 | 7_002_138 => format!(
                "no federated credential of the application matches the token{}; add one with exactly this issuer, \
                 subject and audience, case included, and wait some minutes after that",
                self.sent()
            ),
            700_024 => {
                format!("the token that vouches for us has expired or is not valid yet{}; run again", self.sent())
            }
            50_013 | 5_002_738 | 700_027 => format!(
                "the signature of the token that vouches for us could not be checked{}; its issuer must be reachable \
                 for Entra and sign with RS256",
                self.sent()
            ),
            700_003 | 7_000_112 => "the application or its device is disabled".into(),
            53_003 => "a conditional access policy forbids it; allow this application or this network".into(),
            _ => "see https://login.microsoftonline.com/error for what the code means".into(),
        }
    }

    /// The claims that we sent, which a trust policy must repeat.
    fn sent(&self) -> String {
        let Proof::Assertion(assertion) = self.proof else { return String::new() };
        let claims = Claims::of(assertion);
        let shown = |claim: &Option<String>| claim.clone().unwrap_or_else(|| "none".into());
        let (issuer, subject, audience) = (shown(&claims.issuer), shown(&claims.subject), shown(&claims.audience));
        format!(" (issuer `{issuer}`, subject `{subject}`, audience `{audience}`)")
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64URL_NOPAD;

    use super::*;

    fn said(code: u64) -> String {
        let claims = br#"{"iss":"https://token.actions.githubusercontent.com","sub":"repo:o/r:pull_request","aud":"api://AzureADTokenExchange"}"#;
        let token = SecretValue::from(format!("h.{}.s", BASE64URL_NOPAD.encode(claims)));
        let proof = Proof::Assertion(&token);
        let heard = Heard::default();
        let asked = Asked { host: "login.microsoftonline.com", tenant: "t", client: "c", proof: &proof, heard: &heard };
        let body = format!("{{\"error_description\":\"hunter2\",\"error_codes\":[{code}]}}");
        asked.refused(400, body.as_bytes(), None).message
    }

    #[test]
    fn a_login_that_fails_says_what_the_trust_must_contain() {
        insta::assert_snapshot!(said(700_213), @"Azure authentication failed (AADSTS700213) for the application c in the tenant t: no federated credential of the application matches the token (issuer `https://token.actions.githubusercontent.com`, subject `repo:o/r:pull_request`, audience `api://AzureADTokenExchange`); add one with exactly this issuer, subject and audience, case included, and wait some minutes after that");
        insta::assert_snapshot!(said(7_000_215), @"Azure authentication failed (AADSTS7000215) for the application c in the tenant t: the client secret is wrong; the secret's value is needed, not its id");
        insta::assert_snapshot!(said(1), @"Azure authentication failed (AADSTS1) for the application c in the tenant t: see https://login.microsoftonline.com/error for what the code means");
    }
}
