//! Who we are to Google: finds credentials and keeps one access token, fresh as long as it is used.
//!
//! Every kind ends in a token for `cloud-platform`; the rights are the identity's. Whatever the kind,
//! a service account may be put on top, which lends its own token
//! (<https://cloud.google.com/iam/docs/service-account-impersonation>). Google's answers are never
//! repeated: a refused exchange quotes what was sent.

mod file;
mod jwt;
mod metadata;
mod source;
mod wire;

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub(super) use source::{audience, override_of};
pub(super) use wire::origin;

use super::{GcpSettings, GcpShared};
use crate::oidc::claims::Claims;
use crate::oidc::{Exchange, Refused, Trades};
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;
use source::{Base, External, Found};
use wire::Wire;

/// The scope that all rights of an identity are under.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// A token is renewed so long before it ends, or at half its life if that is later.
const MARGIN: Duration = Duration::from_secs(300);

/// No token is kept for longer, whatever its answer says; Google's own live half a day at most
/// (<https://cloud.google.com/docs/authentication/token-types>).
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a lent token is asked to live; longer needs an organisation's leave.
const LIFETIME: &str = "3600s";

/// An identity, and the token it holds now.
pub(super) struct Login {
    wire: Wire,
    base: Base,
    /// Where each service account that is put on top lends its token, in turn.
    lenders: Vec<String>,
    trades: Trades,
    held: Mutex<Option<Held>>,
    principal: OnceLock<String>,
}

/// A token and when to renew it.
struct Held {
    token: SecretValue,
    until: Instant,
}

/// A token as an exchange answers it.
pub(super) struct Granted {
    token: SecretValue,
    lives: Duration,
}

impl Login {
    /// Finds the credentials; asks nobody for a token yet.
    pub(super) async fn open(settings: &GcpSettings, shared: &GcpShared) -> Result<(Self, Option<String>)> {
        let wire = Wire::new(settings.hosts.clone(), shared)?;
        let Found { base, lenders, project, hosts } = source::find(settings, shared, &wire).await?;
        let wire = wire.naming(hosts);
        let (trades, held) = (shared.trades.clone(), Mutex::new(None));
        let login = Self { wire, base, lenders, trades, held, principal: OnceLock::new() };
        Ok((login, project))
    }

    /// The client that the API shares.
    pub(super) fn http(&self) -> &reqwest::Client {
        self.wire.http()
    }

    /// The token that is in force.
    pub(super) async fn token(&self) -> Result<SecretValue> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.until) {
            return Ok(held.token.clone());
        }
        let (granted, who) = match &self.base {
            Base::Own(own) => self.lent_all(own.token(&self.wire).await?).await?,
            Base::External(external) => self.traded(external).await?,
        };
        // Set by whoever was first; it never changes.
        let _ = self.principal.set(who);
        *held = Some(Held { token: granted.token.clone(), until: renewal(granted.lives) });
        Ok(granted.token)
    }

    /// Exchanges somebody else's token and borrows with what it gives; both are one trade, since the
    /// claims decide about both.
    async fn traded(&self, external: &External) -> Result<(Granted, String)> {
        let provider = external.audience.trim_start_matches("//iam.googleapis.com/").to_owned();
        let service_account = self.lenders.last().map(|lender| source::email_of(lender).to_owned());
        let ask = |token: SecretValue| async move {
            let traded = async { self.lent_all(external.exchange(&self.wire, &token).await?).await };
            traded.await.map_err(|error| self.refused(error, &token))
        };
        let exchange = Exchange::Google { provider, service_account };
        self.trades.trade(exchange, || external.mint(&self.wire), ask).await
    }

    /// Google has one code for a token that is too old and for one of an unknown issuer; its end tells.
    fn refused(&self, error: Error, token: &SecretValue) -> Refused {
        let code = self.wire.heard();
        let end = Claims::of(token).ok().and_then(|claims| claims.seconds("exp"));
        let expired = code == "invalid_grant" && end.is_some_and(|end| end <= self.wire.now().as_second());
        Refused { error, code: if expired { format!("{code}, expired") } else { code }, expired }
    }

    /// The token of the last service account in turn, each borrowed with the one before.
    async fn lent_all(&self, first: (Granted, String)) -> Result<(Granted, String)> {
        let (mut granted, mut who) = first;
        self.trades.hide(&granted.token);
        for lender in &self.lenders {
            let email = source::email_of(lender).to_owned();
            granted = self.lent(lender, &granted.token, &who, &email).await?;
            self.trades.hide(&granted.token);
            who = email;
        }
        Ok((granted, who))
    }

    /// Forgets a token that was refused.
    pub(super) async fn forget(&self) {
        *self.held.lock().await = None;
    }

    /// Who we are, once a token was obtained.
    pub(super) fn principal(&self) -> &str {
        self.principal.get().map_or("", String::as_str)
    }

    /// <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>
    async fn lent(&self, url: &str, token: &SecretValue, who: &str, email: &str) -> Result<Granted> {
        let body = json!({ "scope": [SCOPE], "lifetime": LIFETIME });
        let what = format!("lending a token of {email}");
        let advice = format!(
            "grant {who} `roles/iam.workloadIdentityUser` (a federated identity) or \
             `roles/iam.serviceAccountTokenCreator` on {email}, and enable iamcredentials.googleapis.com"
        );
        let answer = self.wire.json(&what, &advice, url, &body, Some(token)).await?;
        let token = answer.get("accessToken").and_then(|token| token.as_str());
        let end = answer.get("expireTime").and_then(|end| end.as_str()).and_then(|end| end.parse::<Timestamp>().ok());
        let token = token.ok_or_else(|| unreadable(&what))?;
        let seconds = end.map_or(0, |end| end.as_second() - self.wire.now().as_second());
        Ok(Granted {
            token: SecretValue::from(token),
            lives: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        })
    }
}

/// When a token is renewed that is said to live so long from now.
fn renewal(lives: Duration) -> Instant {
    let lives = lives.min(LIFETIME_MAX);
    let now = Instant::now();
    now.checked_add(lives.saturating_sub(MARGIN).max(lives / 2)).unwrap_or(now)
}

fn unreadable(what: &str) -> Error {
    let message = format!("Unable to authenticate with Google Cloud: {what} was answered with something unreadable");
    Error::new(ErrorKind::Unauthenticated, message)
}

/// A login without any credential.
fn missing(why: &str) -> Error {
    let message = format!(
        "Unable to authenticate with Google Cloud: {why}. Run `gcloud auth application-default login`, or set \
         GOOGLE_APPLICATION_CREDENTIALS to a credentials file, or run where a service account is attached"
    );
    Error::new(ErrorKind::Unauthenticated, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_said_to_live_for_ever_is_renewed_within_a_day() {
        let kept = renewal(Duration::from_secs(u64::MAX)).duration_since(Instant::now());
        assert!(kept > LIFETIME_MAX / 2 && kept < LIFETIME_MAX, "{kept:?}");
    }
}
