//! AWS: the codes of `AssumeRoleWithWebIdentity` and the trust policy of a role
//! (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html>).

use super::{About, Claims};
use crate::trust::aws::Admitted;

/// The claim that bears tags of the session.
const TAGS: &str = "https://aws.amazon.com/tags";

pub(super) fn meaning(code: &str, claims: &Claims) -> &'static str {
    match code {
        "AccessDenied" | "AccessDeniedException" => {
            "the role's trust policy does not admit this subject, audience or issuer, or there is no such role"
        }
        "InvalidIdentityToken" | "InvalidIdentityTokenException" if claims.audiences().is_empty() => {
            "the token names no audience"
        }
        "InvalidIdentityToken" | "InvalidIdentityTokenException" => {
            "the account has no OIDC identity provider with exactly this issuer, or that provider does not list this \
             audience, or the signature does not fit its keys"
        }
        "IDPRejectedClaim" | "IDPRejectedClaimException" => "the issuer rejected the token, or it was revoked",
        "ExpiredTokenException" | "ExpiredToken" if claims.is_gitlab() => "the token had expired when AWS looked at it",
        "ExpiredTokenException" | "ExpiredToken" => {
            "the token had expired when AWS looked at it, although a fresh one was asked for; clocks differ"
        }
        _ => "AWS does not take this token",
    }
}

pub(super) fn about(code: &str) -> About {
    match code {
        "InvalidIdentityToken" | "InvalidIdentityTokenException" => About::Issuer,
        "ExpiredTokenException" | "ExpiredToken" => About::Times,
        "IDPRejectedClaim" | "IDPRejectedClaimException" => About::Else,
        _ => About::Claims,
    }
}

/// The trust policy, with the identity provider of the role's own account.
pub(super) fn policy(role_arn: &str, claims: &Claims) -> String {
    let mut parts = role_arn.split(':');
    let (partition, account) = (parts.nth(1).unwrap_or("aws"), parts.nth(2).unwrap_or("ACCOUNT_ID"));
    let (issuer, audiences, subjects) = (&claims.issuer(), &claims.audiences(), &[claims.subject()]);
    let tags_session = claims.text(TAGS).is_some();
    let (is_pattern, repository_id) = (false, None);
    Admitted { partition, account, issuer, audiences, subjects, is_pattern, repository_id, tags_session }.policy()
}
