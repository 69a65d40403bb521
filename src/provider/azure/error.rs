//! Turns what a vault says into what a person needs: kind, code, and what to do now.
//!
//! Decided by status and the vendor's codes alone, outer and inner
//! (<https://learn.microsoft.com/azure/key-vault/general/rest-error-codes>). The vendor's text is never
//! repeated.

use std::time::Duration;

use serde::Deserialize;

use crate::certificate::distrusted;
use crate::provider::{Error, ErrorKind};

/// Longest code that is believed to be one.
const CODE_CHARS_MAX: usize = 64;

/// What was tried, where, as whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    /// The right that it needs, as `secrets/list`.
    pub(super) action: &'static str,
    /// The object's name; empty for calls that concern none or many.
    pub(super) name: &'a str,
    pub(super) host: &'a str,
    pub(super) who: &'a str,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    error: Outer,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Outer {
    code: String,
    innererror: Option<Inner>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Inner {
    code: String,
}

/// The error of an answer that is no success.
pub(super) fn refusal(attempt: &Attempt<'_>, status: u16, body: &[u8], later: Option<Duration>) -> Error {
    let body: Body = serde_json::from_slice(body).unwrap_or_default();
    let (outer, inner) = (code(&body.error.code), body.error.innererror.map(|inner| code(&inner.code)));
    let inner = inner.unwrap_or_default();
    let shown = match (inner.as_str(), outer.as_str()) {
        ("", "") => format!("HTTP {status}"),
        ("", outer) => outer.to_owned(),
        (inner, _) => inner.to_owned(),
    };
    let kind = kind_of(status, &inner, later);
    Error::new(kind.clone(), attempt.said(&kind, &shown))
}

/// A code is a word; anything else is not repeated.
fn code(text: &str) -> String {
    let word = text.len() <= CODE_CHARS_MAX && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if word { text.to_owned() } else { String::new() }
}

/// The error of a request that got no answer.
pub(super) fn unanswered(attempt: &Attempt<'_>, error: &reqwest::Error) -> Error {
    if let Some(distrusted) = distrusted(error) {
        let message = format!("Azure cannot be reached for {}: {distrusted}", attempt.at());
        return Error::new(ErrorKind::Invalid, message);
    }
    if error.is_connect() || error.is_builder() {
        let message = format!(
            "Azure cannot be reached for {}; check the vault's name, the network, the proxy and the vault's firewall",
            attempt.at()
        );
        return Error::new(ErrorKind::Unavailable, message);
    }
    Error::new(ErrorKind::Indeterminate, format!("Azure gave no answer to {}", attempt.at()))
}

fn kind_of(status: u16, inner: &str, later: Option<Duration>) -> ErrorKind {
    match (status, inner) {
        (429, _) => ErrorKind::Throttled(later),
        (401, _) => ErrorKind::Unauthenticated,
        (403, "SecretDisabled" | "CertificateDisabled" | "SecretManagedByKeyVault") => ErrorKind::Invalid,
        (403, _) => ErrorKind::PermissionDenied,
        (404, _) => ErrorKind::NotFound,
        (409, "ObjectIsDeletedButRecoverable") => ErrorKind::PendingDeletion,
        // It passes by itself.
        (409, "ObjectIsBeingDeleted" | "ObjectIsBeingRecovered") => ErrorKind::Unavailable,
        (409, _) => ErrorKind::Conflict,
        (400..=499, _) => ErrorKind::Invalid,
        _ => ErrorKind::Indeterminate,
    }
}

/// The specification's advice, for a vault that does not know us.
const LOGIN: &str = "Try `az account show`; check that AZURE_TENANT_ID is the tenant that the vault belongs to";

impl Attempt<'_> {
    pub(super) fn at(&self) -> String {
        let Self { action, name, host, .. } = self;
        if name.is_empty() { format!("{action} in {host}") } else { format!("{action} on `{name}` in {host}") }
    }

    fn said(&self, kind: &ErrorKind, code: &str) -> String {
        let at = self.at();
        match kind {
            ErrorKind::PermissionDenied => self.denied(code),
            ErrorKind::Unauthenticated => format!("Azure does not accept our token ({code}) for {at}. {LOGIN}"),
            ErrorKind::Throttled(_) => format!("Azure throttles {at} ({code}); it was not carried out"),
            ErrorKind::Indeterminate => {
                format!("Azure failed at {at} ({code}); it may or may not have been carried out")
            }
            ErrorKind::Unavailable => format!("{at}: the name is not free yet ({code}); run again in a minute"),
            ErrorKind::Conflict => format!("something else stands at {at} than expected ({code})"),
            ErrorKind::NotFound => format!("`{}` does not exist in {} ({code})", self.name, self.host),
            ErrorKind::PendingDeletion => format!(
                "`{}` in {} is soft-deleted and keeps its name ({code}); run again, and it is recovered first",
                self.name, self.host
            ),
            _ => format!("Azure refused {at} ({code}): {}", advice(code)),
        }
    }

    /// Which right is missing, for whom, by role and by access policy.
    fn denied(&self, code: &str) -> String {
        let at = self.at();
        if matches!(code, "ForbiddenByFirewall" | "ForbiddenByConnection") {
            return format!(
                "Azure refused {at} ({code}): the vault's firewall does not admit this address; add it to the vault's \
                 network rules, or run where a private endpoint leads to it"
            );
        }
        let (what, right) = self.action.split_once('/').unwrap_or((self.action, ""));
        let role = match (what, right) {
            (_, "list") => "Key Vault Reader",
            ("secrets", "get") => "Key Vault Secrets User",
            ("secrets", _) => "Key Vault Secrets Officer",
            _ => "Key Vault Certificates Officer",
        };
        let whom = if self.who.is_empty() { "this identity" } else { self.who };
        format!(
            "Azure refused {at} ({code}). Give {whom} the role `{role}` on the vault, or `{right}` for {what} in its \
             access policy"
        )
    }
}

/// What to do about a code, in our words.
fn advice(code: &str) -> &'static str {
    match code {
        "SecretDisabled" => "its newest version is disabled; enable it, or declare `enabled: true` and sync again",
        "CertificateDisabled" => "its newest version is disabled; enable it in the vault",
        "SecretManagedByKeyVault" => "it belongs to the certificate of the same name; choose another `secret_name`",
        _ => "check name, tags, dates and the value against Key Vault's limits",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(action: &'static str, status: u16, outer: &str, inner: &str) -> Error {
        let attempt = Attempt { action, name: "db", host: "kv-a.vault.azure.net", who: "application 1234" };
        let body = format!(
            "{{\"error\":{{\"code\":\"{outer}\",\"message\":\"hunter2\",\"innererror\":{{\"code\":\"{inner}\"}}}}}}"
        );
        let error = refusal(&attempt, status, body.as_bytes(), None);
        assert!(!error.message.contains("hunter2"), "{error}");
        error
    }

    #[test]
    fn a_refusal_names_the_role_and_the_right() {
        insta::assert_snapshot!(said("secrets/set", 403, "Forbidden", "ForbiddenByRbac"), @"Azure refused secrets/set on `db` in kv-a.vault.azure.net (ForbiddenByRbac). Give application 1234 the role `Key Vault Secrets Officer` on the vault, or `set` for secrets in its access policy");
        insta::assert_snapshot!(said("secrets/list", 403, "Forbidden", "AccessDenied"), @"Azure refused secrets/list on `db` in kv-a.vault.azure.net (AccessDenied). Give application 1234 the role `Key Vault Reader` on the vault, or `list` for secrets in its access policy");
        insta::assert_snapshot!(said("certificates/import", 403, "Forbidden", "ForbiddenByFirewall"), @"Azure refused certificates/import on `db` in kv-a.vault.azure.net (ForbiddenByFirewall): the vault's firewall does not admit this address; add it to the vault's network rules, or run where a private endpoint leads to it");
    }

    #[test]
    fn states_of_a_name_are_told_apart() {
        for (inner, kind) in [
            ("ObjectIsDeletedButRecoverable", ErrorKind::PendingDeletion),
            ("ObjectIsBeingDeleted", ErrorKind::Unavailable),
            ("", ErrorKind::Conflict),
        ] {
            assert_eq!(said("secrets/set", 409, "Conflict", inner).kind, kind, "{inner}");
        }
        assert_eq!(said("secrets/get", 403, "Forbidden", "SecretDisabled").kind, ErrorKind::Invalid);
        assert_eq!(said("secrets/set", 500, "", "").kind, ErrorKind::Indeterminate);
    }

    #[test]
    fn what_is_no_code_is_not_repeated() {
        let error = said("secrets/set", 400, "a secret value with spaces", "");
        assert!(error.message.contains("HTTP 400") && !error.message.contains("spaces"), "{error}");
    }
}
