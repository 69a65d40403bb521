//! Microsoft Entra: its codes and a federated credential
//! (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>,
//! <https://learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust>).

use super::{About, Claims, Phase, role_of};
use crate::trust::azure::credential;
use crate::trust::pretty;

pub(super) fn meaning(code: &str) -> &'static str {
    match code.trim_start_matches("AADSTS") {
        "70021" => "no federated credential of the application has this issuer, subject and audience",
        "700211" => "no federated credential of the application has this issuer",
        "700212" => "no federated credential of the application has this audience",
        "700213" => "no federated credential of the application has exactly this subject; letters count in their case",
        "700024" => "the token had expired, or is not good yet; clocks differ",
        "700016" => "there is no such application in this directory: check `client_id` and `tenant_id`",
        "90002" => "there is no such directory: check `tenant_id`",
        "50013" | "700027" => "the signature or the issuer of the token cannot be checked",
        _ => "Entra does not take this token",
    }
}

pub(super) fn about(code: &str) -> About {
    match code.trim_start_matches("AADSTS") {
        "700211" | "700212" | "50013" | "700027" => About::Issuer,
        "700024" => About::Times,
        "700016" | "90002" => About::Else,
        _ => About::Claims,
    }
}

/// One exact subject.
pub(super) fn policy(claims: &Claims, phase: Phase) -> String {
    let name = format!("secretzero-{}", role_of(phase).as_str());
    pretty(&credential(&name, &claims.issuer(), &claims.subject(), &claims.audiences()))
}
