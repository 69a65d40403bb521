//! Vault and `OpenBao`: a role of the JWT method
//! (<https://developer.hashicorp.com/vault/api-docs/auth/jwt>).

use serde_json::json;

use super::{Claims, Phase, pretty};

pub(super) fn meaning(code: &str) -> &'static str {
    match code {
        "HTTP 400" => {
            "the role does not admit this subject, audience or claim, there is no such role, or the signature, issuer or \
             times of the token do not fit the method's configuration"
        }
        "HTTP 403" => "the method is not mounted there, or the namespace is another one",
        _ => "Vault does not take this token",
    }
}

/// For `vault write auth/jwt/role/NAME @FILE`.
pub(super) fn policy(claims: &Claims, phase: Phase) -> String {
    pretty(&json!({
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": claims.audiences(),
        "bound_subject": claims.subject(),
        "token_policies": [format!("secretzero-{}", phase.as_str())],
        "token_ttl": "10m",
    }))
}
