//! Vault and `OpenBao`: a role of the JWT method
//! (<https://developer.hashicorp.com/vault/api-docs/auth/jwt>).

use serde_json::json;

use super::{About, Claims, Phase, role_of};
use crate::trust::pretty;
use crate::trust::vault::role;

pub(super) fn meaning(code: &str) -> &'static str {
    match code {
        "HTTP 400" => {
            "the role does not admit this subject, audience or claim, there is no such role, or the signature, issuer or \
             times of the token do not fit the method's configuration"
        }
        "invalid subject" => "the role's `bound_subject` is not the subject of this run",
        "invalid audience" | "audience claim found in jwt but no audiences bound" => {
            "the role's `bound_audiences` do not hold the audience of the token"
        }
        "does not match any associated bound claim" => "the role's `bound_claims` do not hold the claims of this run",
        "invalid issuer" => "the method's `bound_issuer` is not the issuer of the token",
        "no known key successfully validated" => "the method knows another key than the one that signed the token",
        "token is expired" | "not yet valid" => "the token had expired, or is not good yet; clocks differ",
        "could not be found" | "invalid role name" | "missing role" => "the method has no such role",
        "no handler for route" | "route entry not found" => "no auth method is mounted there",
        "namespace" => "there is no such namespace",
        "HTTP 403" => "the method is not mounted there, or the namespace is another one",
        _ => "Vault does not take this token",
    }
}

pub(super) fn about(code: &str) -> About {
    match code {
        "invalid audience"
        | "audience claim found in jwt but no audiences bound"
        | "invalid issuer"
        | "no known key successfully validated" => About::Issuer,
        "token is expired" | "not yet valid" => About::Times,
        "could not be found"
        | "invalid role name"
        | "missing role"
        | "no handler for route"
        | "route entry not found"
        | "namespace"
        | "HTTP 403" => About::Else,
        _ => About::Claims,
    }
}

/// For `vault write auth/jwt/role/NAME @FILE`, which keeps what the role has and the file has not: so its
/// subject is told in both ways in which a role can be bound to one.
pub(super) fn policy(claims: &Claims, phase: Phase) -> String {
    let subject = claims.subject();
    let mut role = role(role_of(phase).as_str(), &claims.audiences(), json!({ "sub": subject }));
    role["bound_subject"] = json!(subject);
    pretty(&role)
}
