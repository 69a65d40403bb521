//! Turns what Vault says into what a person needs: kind, status, and what to do now.
//!
//! Vault has no error codes, only sentences, and some of them repeat what was sent. They are looked
//! at for phrases that we know and never repeated.

use std::error::Error as _;
use std::time::Duration;

use crate::certificate::distrusted;
use crate::oidc::Heard;
use crate::provider::{Error, ErrorKind};

/// Links of a chain of causes that are looked at.
const CAUSES_MAX: usize = 16;

/// What was being tried.
pub(super) struct Attempt<'a> {
    /// As Vault's policies call it.
    pub(super) capability: &'static str,
    /// Below `v1/`.
    pub(super) path: &'a str,
    /// Host and port.
    pub(super) host: &'a str,
    /// The namespace, if one is set.
    pub(super) namespace: Option<&'a str>,
    /// Who we are, as far as known.
    pub(super) principal: &'a str,
    /// Over TLS without a certificate of our own.
    pub(super) anonymous: bool,
    /// Set if this is a login.
    pub(super) login: Option<&'a Sent<'a>>,
}

/// What a login was tried with, free of anything secret.
pub(super) struct Sent<'a> {
    /// Name of the method.
    pub(super) method: &'a str,
    /// The role, and what the token claims.
    pub(super) claims: String,
    /// What it was refused with: a phrase that we know, or the status.
    pub(super) heard: Heard,
}

/// What to do about the line.
const REACH: &str =
    "check `url` (VAULT_ADDR) and that a route leads there: `curl $VAULT_ADDR/v1/sys/health`, `vault status`";

impl Attempt<'_> {
    fn at(&self) -> String {
        let namespace = self.namespace.map(|name| format!(", namespace `{name}`")).unwrap_or_default();
        format!("{} of `{}` at {}{namespace}", self.capability, self.path, self.host)
    }

    /// The answer of something that is no Vault.
    pub(super) fn foreign(&self) -> Error {
        let message = format!("{} did not answer as Vault does; check `url` (VAULT_ADDR)", self.host);
        Error::new(ErrorKind::Unavailable, message)
    }

    fn denied(&self) -> String {
        let whom = if self.principal.is_empty() { "the token" } else { self.principal };
        let capability = if self.capability == "update" { "create\", \"update" } else { self.capability };
        format!(
            "Vault refused {} (403 permission denied). {whom} needs a policy with: path \"{}\" {{ capabilities = \
             [\"{capability}\"] }}; or the token has expired: try `vault token lookup`",
            self.at(),
            self.path,
        )
    }
}

/// An error of the line: nothing was answered, or not to the end.
pub(super) fn of_line(attempt: &Attempt<'_>, error: &reqwest::Error) -> Error {
    let host = attempt.host;
    if let Some(said) = distrusted(error) {
        let message = format!("Unable to connect to Vault at {host}: {said}, or `ca_cert` of the provider");
        return Error::new(ErrorKind::Unauthenticated, message);
    }
    let why = cause(error);
    // HTTP/2 keeps no more than the words of what broke the line.
    if let Some(alert) = why.strip_prefix("received fatal alert: ") {
        let message = format!(
            "Unable to connect to Vault at {host}: it refuses our side of the TLS handshake ({alert}); if it asks for \
             a client certificate, set `client_cert` and `client_key` to one that its CA signed"
        );
        return Error::new(ErrorKind::Unauthenticated, message);
    }
    if error.is_connect() || error.is_builder() {
        return Error::new(ErrorKind::Unavailable, format!("Unable to connect to Vault at {host}: {why}; {REACH}"));
    }
    // A server that asks for a certificate may hang up after the handshake.
    let hint =
        if attempt.anonymous { "; if it asks for client certificates, set `client_cert` and `client_key`" } else { "" };
    let message = format!("Vault gave no answer to {} ({why}){hint}", attempt.at());
    Error::new(ErrorKind::Indeterminate, message)
}

/// The innermost cause, in the words of the system.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timeout".into();
    }
    let mut last = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(deeper) = last.and_then(|here| here.source()) else { break };
        last = Some(deeper);
    }
    last.map_or_else(|| "no connection".to_owned(), ToString::to_string)
}

/// A refusal by its status and the phrases in it.
pub(super) fn of_status(attempt: &Attempt<'_>, status: u16, asked: Option<Duration>, errors: &[&str]) -> Error {
    let error = refused(attempt, status, asked, errors);
    match attempt.login {
        Some(sent) if matches!(error.kind, ErrorKind::Invalid | ErrorKind::PermissionDenied | ErrorKind::NotFound) => {
            of_login(attempt, sent, status, errors)
        }
        _ => error,
    }
}

fn refused(attempt: &Attempt<'_>, status: u16, asked: Option<Duration>, errors: &[&str]) -> Error {
    let says = |phrase: &str| errors.iter().any(|error| error.to_ascii_lowercase().contains(phrase));
    let (at, host) = (attempt.at(), attempt.host);
    let of = |kind: ErrorKind, message: String| Error::new(kind, message);
    match status {
        429 => of(ErrorKind::Throttled(asked), format!("Vault refused {at} (429): a rate limit is reached")),
        // A node that has not seen our last write yet
        // (<https://developer.hashicorp.com/vault/docs/enterprise/consistency>); nothing was done.
        412 => of(ErrorKind::Unavailable, format!("Vault could not answer {at} yet (412): its replicas lag behind")),
        503 if says("sealed") => {
            let help = "unseal it (`vault operator unseal`), then run again";
            of(ErrorKind::Unavailable, format!("Vault at {host} is sealed (503); {help}"))
        }
        501 => of(ErrorKind::Unavailable, format!("Vault at {host} is not initialised (501): `vault operator init`")),
        400 if says("upgrading from non-versioned") => {
            of(ErrorKind::Unavailable, format!("Vault is upgrading the mount of `{}` to version 2", attempt.path))
        }
        400 if says("check-and-set parameter did not match") => {
            let message = format!("something else stands at `{}` than expected (check-and-set)", attempt.path);
            of(ErrorKind::Conflict, message)
        }
        403 if says("namespace") => of(ErrorKind::PermissionDenied, no_namespace(attempt)),
        403 => of(ErrorKind::PermissionDenied, attempt.denied()),
        404 if says("namespace") => of(ErrorKind::Invalid, no_namespace(attempt)),
        404 if says("no handler for route") || says("route entry not found") => {
            let message = format!(
                "nothing is mounted at {host} where `{}` leads; check `mount_point`, or enable the engine with \
                 `vault secrets enable`",
                attempt.path
            );
            of(ErrorKind::Invalid, message)
        }
        404 => of(ErrorKind::NotFound, format!("nothing is stored at `{}` of {host}", attempt.path)),
        405 => of(ErrorKind::Unsupported, format!("Vault at {host} does not know {at} (405); it may be too old")),
        300..400 => {
            let help = "give `url` the address of the active node or of a load balancer that finds it";
            of(ErrorKind::Invalid, format!("{host} redirects {at} ({status}), which is never followed; {help}"))
        }
        500.. => of(ErrorKind::Indeterminate, format!("Vault failed at {at} ({status}); `vault status` tells more")),
        _ => of(ErrorKind::Invalid, format!("Vault refused {at} ({status}): {}", advice(&says))),
    }
}

fn no_namespace(attempt: &Attempt<'_>) -> String {
    let name = attempt.namespace.unwrap_or_default();
    format!("Vault at {} has no namespace `{name}`; check `namespace` of the provider", attempt.host)
}

/// What to do about a request that is refused for good, in our words.
fn advice(says: &dyn Fn(&str) -> bool) -> &'static str {
    let known = [
        ("invalid path for a versioned", "this mount is of version 2; write `version: 2`"),
        ("custom_metadata", "custom metadata takes 64 keys of at most 128 bytes, with values of 1 to 512"),
        ("custom metadata", "custom metadata takes 64 keys of at most 128 bytes, with values of 1 to 512"),
        ("no data provided", "the value is empty"),
        ("missing data fields", "the value is empty"),
        ("too large", "the value is larger than its storage takes"),
        ("max_ttl", "`default_ttl` is longer than `max_ttl`"),
        ("not an allowed role", "the connection's `allowed_roles` lacks it"),
        ("unknown key type", "it does not know this `key_type`"),
        ("auto rotate period", "`auto_rotate_period` must be 0 or at least an hour"),
        ("requires derivation", "`convergent_encryption` needs `derived: true`"),
    ];
    known.iter().find(|(phrase, _)| says(phrase)).map_or("check the settings of the target", |(_, advice)| advice)
}

/// A refused login by the phrases in it.
fn of_login(attempt: &Attempt<'_>, sent: &Sent<'_>, status: u16, errors: &[&str]) -> Error {
    let says = |phrase: &str| errors.iter().any(|error| error.to_ascii_lowercase().contains(phrase));
    let known = [
        ("no handler for route", "no auth method is mounted there; check `mount` of the provider"),
        ("route entry not found", "no auth method is mounted there; check `mount` of the provider"),
        ("could not be found", "there is no such role; check `role`"),
        ("invalid role name", "there is no such role; check `role`"),
        ("audience claim found in jwt but no audiences bound", "give the role `bound_audiences` with that `aud`"),
        (
            "invalid audience",
            "the role's `bound_audiences` must hold that `aud`, or set `audience` to one that it holds",
        ),
        ("invalid subject", "the role's `bound_subject` must be that `sub`"),
        ("does not match any associated bound claim", "the role's `bound_claims` must hold the token's claims"),
        ("invalid issuer", "the method's `bound_issuer` must be that `iss`"),
        ("token is expired", "the token has expired; ask for a new one, or compare the clocks"),
        ("not yet valid", "the token is not valid yet; compare the clocks"),
        (
            "no known key successfully validated",
            "the method knows another key; check its `jwks_url` or `oidc_discovery_url`",
        ),
        ("invalid role or secret id", "check `role_id` and `secret_id`; a secret id may have been used up or expired"),
        ("invalid secret id", "check `secret_id`; it may have been used up or expired"),
        ("missing role", "set `role`, or `default_role` at the method"),
        ("namespace", "check `namespace` of the provider"),
    ];
    let found = known.iter().find(|(phrase, _)| says(phrase));
    let advice = found.map_or("check the method and its role", |(_, advice)| advice);
    let Sent { method, claims, heard } = sent;
    heard.note(found.map_or_else(|| format!("HTTP {status}"), |(phrase, _)| (*phrase).to_owned()));
    let message = format!(
        "Vault at {} refused the login by {method} at `{}` with {claims}: {advice}",
        attempt.host, attempt.path
    );
    Error::new(ErrorKind::Unauthenticated, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, errors: &[&str]) -> (ErrorKind, String) {
        let attempt = Attempt {
            capability: "read",
            path: "secret/metadata/app/db",
            host: "vault.corp:8200",
            namespace: Some("team"),
            principal: "approle",
            anonymous: false,
            login: None,
        };
        let error = of_status(&attempt, status, Some(Duration::from_secs(3)), errors);
        assert!(!errors.iter().any(|said| error.message.contains(said)), "{error}");
        (error.kind, error.message)
    }

    #[test]
    fn what_did_nothing_may_be_tried_again_and_what_may_have_acted_is_looked_at() {
        assert_eq!(said(429, &[]).0, ErrorKind::Throttled(Some(Duration::from_secs(3))));
        assert_eq!(said(412, &[]).0, ErrorKind::Unavailable);
        assert_eq!(said(503, &["Vault is sealed"]).0, ErrorKind::Unavailable);
        assert_eq!(said(503, &[]).0, ErrorKind::Indeterminate);
        assert_eq!(said(400, &["Upgrading from non-versioned to versioned data."]).0, ErrorKind::Unavailable);
        let mismatch = "check-and-set parameter did not match the current version";
        assert_eq!(said(400, &[mismatch]).0, ErrorKind::Conflict);
        assert_eq!(said(404, &[]).0, ErrorKind::NotFound);
    }

    #[test]
    fn a_refusal_says_what_the_policy_lacks() {
        insta::assert_snapshot!(said(403, &["1 error occurred: * permission denied"]).1, @r#"Vault refused read of `secret/metadata/app/db` at vault.corp:8200, namespace `team` (403 permission denied). approle needs a policy with: path "secret/metadata/app/db" { capabilities = ["read"] }; or the token has expired: try `vault token lookup`"#);
        insta::assert_snapshot!(said(404, &["no handler for route \"x\". route entry not found."]).1, @"nothing is mounted at vault.corp:8200 where `secret/metadata/app/db` leads; check `mount_point`, or enable the engine with `vault secrets enable`");
        insta::assert_snapshot!(said(503, &["Vault is sealed"]).1, @"Vault at vault.corp:8200 is sealed (503); unseal it (`vault operator unseal`), then run again");
    }
}
