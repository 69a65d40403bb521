//! Credentials for a token that vouches for this run: `AssumeRoleWithWebIdentity`
//! (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>).
//!
//! The SDK's own provider takes a token from a file alone; ours stays in memory and is minted for each
//! exchange. A refusal is final for the run and is told once, however many calls need credentials.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, Result as Provided, error::CredentialsError, future};
use aws_sdk_sts::types::PolicyDescriptorType;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::Timestamp;
use tokio::sync::Mutex;

use super::error::{Attempt, explain};
use crate::clock::Clock;
use crate::hosts;
use crate::limiter::{Limiter, Repeat, quota};
use crate::oidc::{Exchange, Heard, Phase, Refused, TokenSource, Trades};
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// What AWS's own action asks GitHub for
/// (<https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws>).
const AUDIENCE: &str = "sts.amazonaws.com";

/// How long before they expire credentials are renewed, or half of their life if that is less.
const MARGIN: Duration = Duration::from_secs(120);

/// How to log in with a token.
#[derive(Clone)]
pub struct WebIdentity {
    /// The role; without one every call is refused with what to set.
    pub role_arn: Option<String>,
    /// What the cloud's log calls the session.
    pub session_name: String,
    /// The token's audience; `sts.amazonaws.com` when missing.
    pub audience: Option<String>,
    /// 900 to 43,200; AWS gives 3,600 when missing.
    pub duration_seconds: Option<i32>,
    /// An inline policy that narrows the session down.
    pub session_policy: Option<String>,
    /// ARNs of policies that narrow it down.
    pub policy_arns: Vec<String>,
    /// Who vouches for this run.
    pub tokens: Arc<dyn TokenSource>,
    /// What the run is about to do, where a refusal is kept, and who hides the credentials.
    pub trades: Trades,
    /// Tells when they expire.
    pub clock: Arc<dyn Clock>,
}

/// The role's credentials, renewed before they expire.
pub(super) struct Login {
    with: WebIdentity,
    role_arn: String,
    sts: aws_sdk_sts::Client,
    limiter: Arc<Limiter>,
    region: String,
    held: Mutex<Option<Held>>,
}

#[derive(Clone)]
struct Held {
    credentials: Credentials,
    renew_at: Timestamp,
}

impl Login {
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] if there is no role, [`ErrorKind::Invalid`] if it is of another
    /// partition than the region.
    pub(super) fn new(
        with: &WebIdentity,
        sts: aws_sdk_sts::Client,
        limiter: &Arc<Limiter>,
        region: &str,
    ) -> Result<Self> {
        let role_arn = with.role_arn.clone().ok_or_else(|| no_role(with.trades.phase()))?;
        let (of_role, of_region) = (role_arn.split(':').nth(1).unwrap_or_default(), hosts::aws_partition(region));
        if of_role != of_region {
            let message = format!(
                "the role {role_arn} is of the partition `{of_role}`, and the region {region} of `{of_region}`: choose a \
                 region of the role's partition"
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let (limiter, region) = (Arc::clone(limiter), region.to_owned());
        Ok(Self { with: with.clone(), role_arn, sts, limiter, region, held: Mutex::new(None) })
    }

    /// Credentials that are good for a while.
    ///
    /// # Errors
    /// What the source of tokens lacks, or what AWS refuses.
    pub(super) async fn credentials(&self) -> Result<Credentials> {
        let mut held = self.held.lock().await;
        let now = self.with.clock.now();
        if let Some(held) = held.as_ref().filter(|held| now < held.renew_at) {
            return Ok(held.credentials.clone());
        }
        let fresh = self.exchange().await?;
        Ok(held.insert(fresh).credentials.clone())
    }

    async fn exchange(&self) -> Result<Held> {
        let audience = self.with.audience.as_deref().unwrap_or(AUDIENCE);
        let exchange = Exchange::Aws { role_arn: self.role_arn.clone() };
        let mint = || self.with.tokens.token(audience);
        let ask = |token| self.assume(token);
        self.with.trades.trade(exchange, mint, ask).await
    }

    async fn assume(&self, token: SecretValue) -> Result<Held, Refused> {
        let attempt = Attempt {
            action: "sts:AssumeRoleWithWebIdentity",
            name: &self.role_arn,
            region: &self.region,
            account: "",
            principal: "",
        };
        let heard = Heard::default();
        let once = || {
            let (request, attempt, heard) = (self.request(&token), &attempt, &heard);
            async move {
                request.send().await.map_err(|refusal| {
                    let seen = code_of(&refusal);
                    let error = of_exchange(explain(attempt, &refusal), &seen, &self.role_arn);
                    heard.note(seen);
                    error
                })
            }
        };
        let answer = self.limiter.run("aws", &quota::WEB_IDENTITY, Repeat::Read, once).await;
        let given = answer.map_err(|error| heard.refused(error, is_expired))?;
        let given = given.credentials.ok_or_else(|| {
            let message = "AWS answered a login without credentials; run again";
            heard.refused(Error::new(ErrorKind::Unavailable, message), |_| false)
        })?;
        for secret in [&given.secret_access_key, &given.session_token] {
            self.with.trades.hide(&SecretValue::from(secret.as_str()));
        }
        let expires = SystemTime::try_from(given.expiration).ok();
        let now = self.with.clock.now();
        let renew_at = expires.and_then(|at| Timestamp::try_from(at).ok()).map_or(now, |at| renewal(now, at));
        let credentials =
            Credentials::new(given.access_key_id, given.secret_access_key, Some(given.session_token), expires, "oidc");
        Ok(Held { credentials, renew_at })
    }

    fn request(
        &self,
        token: &SecretValue,
    ) -> aws_sdk_sts::operation::assume_role_with_web_identity::builders::AssumeRoleWithWebIdentityFluentBuilder {
        let policies = self.with.policy_arns.iter().map(|arn| PolicyDescriptorType::builder().arn(arn).build());
        let policies: Vec<_> = policies.collect();
        self.sts
            .assume_role_with_web_identity()
            .role_arn(&self.role_arn)
            .role_session_name(&self.with.session_name)
            .web_identity_token(token.expose_text().unwrap_or_default())
            .set_duration_seconds(self.with.duration_seconds)
            .set_policy(self.with.session_policy.clone())
            .set_policy_arns((!policies.is_empty()).then_some(policies))
    }
}

/// What the SDK asks before it signs.
#[derive(Clone)]
pub(super) struct Credentialed(pub(super) Arc<Login>);

impl std::fmt::Debug for Credentialed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentialed").field("role_arn", &self.0.role_arn).finish_non_exhaustive()
    }
}

impl ProvideCredentials for Credentialed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let answer = async {
            let given: Provided = self.0.credentials().await.map_err(CredentialsError::provider_error);
            given
        };
        future::ProvideCredentials::new(answer)
    }
}

/// Another source of credentials, whose every answer is hidden.
pub(super) struct Hiding<P> {
    pub(super) from: P,
    pub(super) trades: Trades,
}

impl<P: std::fmt::Debug> std::fmt::Debug for Hiding<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hiding").field("from", &self.from).finish_non_exhaustive()
    }
}

impl<P: ProvideCredentials> ProvideCredentials for Hiding<P> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let given = self.from.provide_credentials().await?;
            for secret in [Some(given.secret_access_key()), given.session_token()].into_iter().flatten() {
                self.trades.hide(&SecretValue::from(secret));
            }
            Ok(given)
        })
    }
}

/// When credentials are renewed.
fn renewal(now: Timestamp, expires: Timestamp) -> Timestamp {
    let life = Duration::try_from(expires.duration_since(now)).unwrap_or_default();
    expires.checked_sub(MARGIN.min(life / 2)).unwrap_or(now)
}

fn no_role(phase: Phase) -> Error {
    let message = match phase {
        Phase::Plan => {
            "pull requests have no role of their own at AWS: set the input `aws_plan_role`, or `plan_role_arn` under the \
             provider's `auth.config`"
        }
        Phase::Sync | Phase::Rotate => {
            "no role at AWS is named: set the input `aws_role`, or `role_arn` under the provider's `auth.config`"
        }
    };
    Error::new(ErrorKind::Unauthenticated, message)
}

fn code_of<E: ProvideErrorMetadata>(refusal: &SdkError<E, HttpResponse>) -> String {
    match refusal {
        SdkError::ServiceError(answer) => answer.err().code().unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

fn is_expired(code: &str) -> bool {
    matches!(code, "ExpiredTokenException" | "ExpiredToken")
}

/// What a code of this call means; the same codes mean other things elsewhere.
fn of_exchange(error: Error, code: &str, role_arn: &str) -> Error {
    let refused = |what: &str| {
        let message = format!("AWS refused this run's ID token for the role {role_arn} ({code}): {what}");
        Error::new(ErrorKind::Unauthenticated, message)
    };
    match code {
        "AccessDenied" | "AccessDeniedException" => refused(
            "its trust policy does not admit this run, or there is no such role; the claims and a trust policy that \
             admits exactly this run stand in the log",
        ),
        "InvalidIdentityToken" | "InvalidIdentityTokenException" => refused(
            "the account has no OIDC identity provider for its issuer, or not with its audience; the log says which",
        ),
        "IDPRejectedClaim" | "IDPRejectedClaimException" => {
            refused("the identity provider rejected the token; the claims stand in the log")
        }
        _ if is_expired(code) => refused("the token had expired; check the clock of the runner"),
        "IDPCommunicationError" | "IDPCommunicationErrorException" => Error::new(
            ErrorKind::Unavailable,
            format!("AWS could not reach the issuer of this run's ID token for the role {role_arn} ({code})"),
        ),
        "MalformedPolicyDocument"
        | "MalformedPolicyDocumentException"
        | "PackedPolicyTooLarge"
        | "PackedPolicyTooLargeException" => Error::new(
            ErrorKind::Invalid,
            format!(
                "AWS refused the session of the role {role_arn} ({code}): check `session_policy` and `policy_arns`"
            ),
        ),
        "RegionDisabledException" => Error::new(
            ErrorKind::Invalid,
            format!(
                "AWS refused the role {role_arn} ({code}): its account has STS turned off in this region; turn it on \
                 under IAM, Account settings, or choose another region"
            ),
        ),
        "ValidationError" => Error::new(
            ErrorKind::Invalid,
            format!(
                "AWS refused the login as {role_arn} ({code}): check `duration_seconds` against the role's maximum \
                 session duration, and `session_name`"
            ),
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn credentials_are_renewed_well_before_they_expire() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        assert_eq!(renewal(at(0), at(3600)), at(3480));
        assert_eq!(renewal(at(0), at(10)), at(5));
        assert!(renewal(at(10), at(0)) <= at(10), "what has expired is renewed at once");
    }

    #[test]
    fn only_an_outage_of_the_issuer_is_tried_again() {
        let other = || Error::new(ErrorKind::Unavailable, "other");
        for (code, kind) in [
            ("AccessDenied", ErrorKind::Unauthenticated),
            ("InvalidIdentityToken", ErrorKind::Unauthenticated),
            ("IDPRejectedClaim", ErrorKind::Unauthenticated),
            ("ExpiredTokenException", ErrorKind::Unauthenticated),
            ("MalformedPolicyDocument", ErrorKind::Invalid),
            ("PackedPolicyTooLarge", ErrorKind::Invalid),
            ("RegionDisabledException", ErrorKind::Invalid),
            ("IDPCommunicationError", ErrorKind::Unavailable),
        ] {
            assert_eq!(of_exchange(other(), code, "r").kind, kind, "{code}");
        }
        assert_eq!(of_exchange(other(), "", "r"), other());
    }
}
