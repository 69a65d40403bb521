//! Turns an answer of Google into what a person needs: kind, code, and what to do now.
//!
//! Decided by status and codes alone; Google's text is never repeated, since it may quote the request
//! (<https://cloud.google.com/apis/design/errors>).

use std::time::Duration;

use serde::Deserialize;

use crate::certificate::distrusted;
use crate::provider::{Error, ErrorKind};

/// What was tried, where, as whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    /// The IAM permission without its service, such as `secrets.get`.
    pub(super) permission: &'static str,
    /// Project id or number.
    pub(super) project: &'a str,
    /// Id of the secret; empty for calls that concern none or many.
    pub(super) secret: &'a str,
    /// Who we are.
    pub(super) principal: &'a str,
}

/// The body of an error.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    error: Status,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    status: String,
    details: Vec<Detail>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Detail {
    reason: String,
    retry_delay: String,
}

/// The codes of an error's body: those that are constants of Google and nothing else.
pub(super) struct Codes {
    /// `NOT_FOUND`, …
    pub(super) status: String,
    /// `SERVICE_DISABLED`, …
    pub(super) reason: String,
    /// How long to wait.
    retry: Option<Duration>,
}

impl Codes {
    /// Reads a body, which may be anything.
    pub(super) fn of(body: &[u8]) -> Self {
        let Body { error } = serde_json::from_slice(body).unwrap_or_default();
        let retry = error.details.iter().find_map(|detail| seconds(&detail.retry_delay));
        let reason = error.details.iter().map(|detail| constant(&detail.reason)).find(|reason| !reason.is_empty());
        Self { status: constant(&error.status), reason: reason.unwrap_or_default(), retry }
    }
}

/// A text that can only be a constant; all others are dropped.
fn constant(text: &str) -> String {
    let fits = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if fits { text.to_owned() } else { String::new() }
}

/// `3.5s`.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The error of a request that was refused.
pub(super) fn refused(attempt: &Attempt<'_>, status: u16, codes: &Codes, retry_after: Option<Duration>) -> Error {
    let kind = kind_of(status, &codes.status, retry_after.or(codes.retry));
    let at = attempt.at();
    let shown = if codes.status.is_empty() { format!("HTTP {status}") } else { codes.status.clone() };
    let message = match &kind {
        ErrorKind::PermissionDenied if codes.reason == "SERVICE_DISABLED" => format!(
            "the Secret Manager API is not enabled in {}; run `gcloud services enable secretmanager.googleapis.com \
             --project={}`",
            attempt.project, attempt.project
        ),
        ErrorKind::PermissionDenied => attempt.denied(&shown),
        ErrorKind::Unauthenticated => format!(
            "Unable to authenticate with Google Cloud ({shown}) for {at}. Try `gcloud auth application-default login`, \
             or set GOOGLE_APPLICATION_CREDENTIALS"
        ),
        ErrorKind::Throttled(_) => format!("Google throttles {at} ({shown}); it was not carried out"),
        ErrorKind::Indeterminate => format!("Google failed at {at} ({shown}); it may or may not have been carried out"),
        ErrorKind::Conflict => format!("something else stands at {} than expected ({shown})", attempt.secret),
        ErrorKind::NotFound => format!("{} does not exist in {} ({shown})", attempt.secret, attempt.project),
        _ if codes.status == "FAILED_PRECONDITION" => {
            format!("Google refused {at} ({shown}): its state does not allow this")
        }
        _ => format!("Google refused {at} ({shown}): {ADVICE}"),
    };
    Error::new(kind, message)
}

const ADVICE: &str = "check project, labels, annotations, replication, keys, topics and times against its limits \
                      (https://cloud.google.com/secret-manager/quotas); Secret Manager's service agent needs \
                      `roles/pubsub.publisher` on topics and `roles/cloudkms.cryptoKeyEncrypterDecrypter` on keys";

/// <https://cloud.google.com/apis/design/errors#handling_errors>; a mismatched etag is
/// `FAILED_PRECONDITION` (<https://cloud.google.com/secret-manager/docs/etags>), which the caller knows.
fn kind_of(status: u16, code: &str, retry: Option<Duration>) -> ErrorKind {
    match (status, code) {
        (429, _) | (_, "RESOURCE_EXHAUSTED") => ErrorKind::Throttled(retry),
        (409, _) => ErrorKind::Conflict,
        (404, _) => ErrorKind::NotFound,
        (403, _) => ErrorKind::PermissionDenied,
        (401, _) => ErrorKind::Unauthenticated,
        (500.., _) => ErrorKind::Indeterminate,
        _ => ErrorKind::Invalid,
    }
}

/// The error of a request that got no answer; `what` says what was tried, for a person.
pub(super) fn unanswered(what: &str, error: &reqwest::Error) -> Error {
    if let Some(distrusted) = distrusted(error) {
        return Error::new(ErrorKind::Invalid, format!("Google cannot be reached for {what}: {distrusted}"));
    }
    if error.is_connect() {
        let message = format!("Google cannot be reached for {what}; check the network and the proxy");
        return Error::new(ErrorKind::Unavailable, message);
    }
    if error.is_builder() {
        return Error::new(ErrorKind::Invalid, format!("no request can be made for {what}; check `endpoint_url`"));
    }
    Error::new(ErrorKind::Indeterminate, format!("Google gave no answer to {what}"))
}

impl Attempt<'_> {
    /// The permission and its object.
    pub(super) fn at(&self) -> String {
        format!("secretmanager.{} on {}", self.permission, self.resource())
    }

    fn resource(&self) -> String {
        match self.secret {
            "" => format!("projects/{}", self.project),
            secret => format!("projects/{}/secrets/{secret}", self.project),
        }
    }

    /// Which permission is missing, for whom, and which role has it.
    fn denied(&self, code: &str) -> String {
        // <https://cloud.google.com/secret-manager/docs/access-control>
        let role = match self.permission {
            "versions.access" => "secretAccessor",
            "versions.add" => "secretVersionAdder",
            "versions.disable" | "versions.destroy" => "secretVersionManager",
            "secrets.create" | "secrets.update" => "admin",
            _ => "viewer",
        };
        let whom = if self.principal.is_empty() { "this identity" } else { self.principal };
        let Self { project, .. } = self;
        format!(
            "Google refused {} ({code}), or there is no such project. Allow it to {whom} in {project}, for example with \
             roles/secretmanager.{role}",
            self.at()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Attempt<'static> = Attempt {
        permission: "versions.add",
        project: "shop-prod",
        secret: "db",
        principal: "deploy@shop-prod.iam.gserviceaccount.com",
    };

    fn said(status: u16, body: &str) -> Error {
        refused(&AT, status, &Codes::of(body.as_bytes()), None)
    }

    #[test]
    fn a_refusal_names_permission_identity_and_role() {
        let error = said(403, r#"{"error":{"code":403,"message":"canary","status":"PERMISSION_DENIED"}}"#);
        insta::assert_snapshot!(error, @"Google refused secretmanager.versions.add on projects/shop-prod/secrets/db (PERMISSION_DENIED), or there is no such project. Allow it to deploy@shop-prod.iam.gserviceaccount.com in shop-prod, for example with roles/secretmanager.secretVersionAdder");
        let disabled = r#"{"error":{"status":"PERMISSION_DENIED","details":[{"reason":"SERVICE_DISABLED"}]}}"#;
        insta::assert_snapshot!(said(403, disabled), @"the Secret Manager API is not enabled in shop-prod; run `gcloud services enable secretmanager.googleapis.com --project=shop-prod`");
    }

    #[test]
    fn what_google_says_beside_its_codes_is_dropped() {
        for body in [r#"{"error":{"status":"my canary","message":"canary"}}"#, "canary", r#"{"error":"canary"}"#] {
            let error = said(400, body);
            assert!(!error.message.contains("canary") && error.message.contains("HTTP 400"), "{error}");
        }
    }

    #[test]
    fn a_wait_is_taken_from_the_details_or_the_header() {
        let body = r#"{"error":{"status":"RESOURCE_EXHAUSTED","details":[{"@type":"x","retryDelay":"1.5s"}]}}"#;
        assert_eq!(said(429, body).kind, ErrorKind::Throttled(Some(Duration::from_millis(1500))));
        let header = Some(Duration::from_secs(4));
        assert_eq!(refused(&AT, 429, &Codes::of(b""), header).kind, ErrorKind::Throttled(header));
        assert_eq!(said(503, "").kind, ErrorKind::Indeterminate);
    }
}
