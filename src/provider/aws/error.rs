//! Turns what the SDK says into what a person needs: kind, code, and what to do now.
//!
//! Decided by the vendor's code alone. The vendor's text is never repeated: a validation message of
//! SSM quotes the refused value.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::dns::ResolveDnsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::certificate::distrusted;
use crate::hosts::Refused;
use crate::provider::{Error, ErrorKind};

/// What was tried, where, as whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    /// The IAM action.
    pub(super) action: &'static str,
    /// The object's name; empty for calls that concern none or many.
    pub(super) name: &'a str,
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    pub(super) principal: &'a str,
}

/// The error of a call that failed.
pub(super) fn explain<E>(attempt: &Attempt<'_>, refusal: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    match refusal {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let retry_after = answer.raw().headers().get("retry-after").and_then(|text| text.parse().ok());
            from_code(attempt, answer.err().code().unwrap_or(""), status, retry_after.map(Duration::from_secs))
        }
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status().as_u16();
            let kind = if status == 429 { ErrorKind::Throttled(None) } else { ErrorKind::Indeterminate };
            Error::new(kind, format!("{} answered something unreadable (HTTP {status})", attempt.at()))
        }
        SdkError::ConstructionFailure(_) => unsent_or_lost(attempt, refusal, true),
        SdkError::DispatchFailure(failure) => unsent_or_lost(attempt, refusal, failure.is_user()),
        _ => unsent_or_lost(attempt, refusal, false),
    }
}

/// An error that came without an answer; `unsendable` if there was no request to send.
fn unsent_or_lost(attempt: &Attempt<'_>, refusal: &(dyn StdError + 'static), unsendable: bool) -> Error {
    if let Some(refused) = find::<Refused>(refusal) {
        return Error::new(ErrorKind::Invalid, refused.to_string());
    }
    if let Some(distrusted) = distrusted(refusal) {
        let message = format!("AWS cannot be reached for {}: {distrusted}", attempt.at());
        return Error::new(ErrorKind::Invalid, message);
    }
    // A login of our own says itself what is wrong.
    if let Some(error) = find::<Error>(refusal) {
        return error.clone();
    }
    if let Some(error) = find::<CredentialsError>(refusal) {
        return credentials(error);
    }
    if unsendable {
        let message = format!("no request can be made for {}; check `region` and AWS_ENDPOINT_URL", attempt.at());
        return Error::new(ErrorKind::Invalid, message);
    }
    if find::<ResolveDnsError>(refusal).is_some() || find::<io::Error>(refusal).is_some_and(never_sent) {
        let message = format!("AWS cannot be reached for {}; check the network, proxy and region", attempt.at());
        return Error::new(ErrorKind::Unavailable, message);
    }
    Error::new(ErrorKind::Indeterminate, format!("AWS gave no answer to {}", attempt.at()))
}

/// Whether a connection was never made.
fn never_sent(error: &io::Error) -> bool {
    use io::ErrorKind as Io;
    matches!(error.kind(), Io::ConnectionRefused | Io::HostUnreachable | Io::NetworkUnreachable | Io::AddrNotAvailable)
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn credentials(error: &CredentialsError) -> Error {
    let why = match error {
        CredentialsError::CredentialsNotLoaded(_) => "no credentials were found",
        CredentialsError::ProviderTimedOut(_) => "looking for credentials took too long",
        CredentialsError::InvalidConfiguration(_) => "the shared AWS configuration is not usable",
        _ => "the source of credentials refused (an expired SSO login, or a role that may not be assumed)",
    };
    Error::new(ErrorKind::Unauthenticated, format!("Unable to authenticate with AWS: {why}. {LOGIN}"))
}

/// The specification's advice.
const LOGIN: &str = "Try `aws sts get-caller-identity`; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
                     or AWS_PROFILE, or run where an IAM role is attached";

fn from_code(attempt: &Attempt<'_>, code: &str, status: u16, retry_after: Option<Duration>) -> Error {
    let kind = kind_of(code, status, retry_after);
    let at = attempt.at();
    let shown = if code.is_empty() { format!("HTTP {status}") } else { code.to_owned() };
    let message = match &kind {
        ErrorKind::PermissionDenied => attempt.denied(&shown),
        ErrorKind::Unauthenticated => format!("Unable to authenticate with AWS ({shown}) for {at}. {LOGIN}"),
        ErrorKind::Throttled(_) => format!("AWS throttles {at} ({shown}); it was not carried out"),
        ErrorKind::Indeterminate => format!("AWS failed at {at} ({shown}); it may or may not have been carried out"),
        ErrorKind::Conflict => format!("something else stands at {} than expected ({shown})", attempt.name),
        ErrorKind::NotFound => format!("{} does not exist in {} ({shown})", attempt.name, attempt.region),
        _ => format!("AWS refused {at} ({shown}): {}", advice(code)),
    };
    Error::new(kind, message)
}

fn kind_of(code: &str, status: u16, retry_after: Option<Duration>) -> ErrorKind {
    match code {
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" | "KMSAccessDeniedException" => {
            ErrorKind::PermissionDenied
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired" => ErrorKind::Unauthenticated,
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown" => ErrorKind::Throttled(retry_after),
        "ResourceNotFoundException" | "ParameterNotFound" | "InvalidResourceId" => ErrorKind::NotFound,
        // A second writer at the same parameter: look before trying again.
        "ResourceExistsException" | "ParameterAlreadyExists" | "TooManyUpdates" => ErrorKind::Conflict,
        // Scheduled for deletion, or owned by a service; the caller looks which.
        "InvalidRequestException" => ErrorKind::PendingDeletion,
        _ if status == 429 => ErrorKind::Throttled(retry_after),
        _ if status >= 500 => ErrorKind::Indeterminate,
        _ if status == 401 || status == 403 => ErrorKind::PermissionDenied,
        _ => ErrorKind::Invalid,
    }
}

/// What to do about a code, in our words; from the API models of both services.
fn advice(code: &str) -> &'static str {
    match code {
        "InvalidRequestException" => "its state does not allow this; look at it in the AWS console",
        "EncryptionFailure" | "DecryptionFailure" | "InvalidKeyId" => {
            "the KMS key does not exist, is disabled, or may not be used; check `kms_key_id`"
        }
        "LimitExceededException" => "a quota of Secrets Manager is used up (number of secrets, or versions too often)",
        "ParameterLimitExceeded" => "the account has as many parameters of this tier as it may; use `tier: Advanced`",
        "ParameterMaxVersionLimitExceeded" => "its oldest version has a label; remove the label",
        "HierarchyTypeMismatchException" => "its type cannot change; delete it and sync again",
        "HierarchyLevelLimitExceededException" => "its name has more than 15 levels",
        "PoliciesLimitExceededException"
        | "InvalidPolicyTypeException"
        | "InvalidPolicyAttributeException"
        | "IncompatiblePolicyException" => "check `policies` (at most ten, one Expiration, tier Advanced)",
        "UnsupportedParameterType" => "check `type`",
        "TooManyTagsError" => "it would have more than 50 tags",
        "PreconditionNotMetException" => "remove its replicas first",
        _ => "check name, description, tags and key against AWS's limits",
    }
}

impl Attempt<'_> {
    fn at(&self) -> String {
        let Self { action, name, region, .. } = self;
        if name.is_empty() { format!("{action} in {region}") } else { format!("{action} on {name} in {region}") }
    }

    /// Which action is missing, for whom, on what.
    fn denied(&self, code: &str) -> String {
        let whom = if self.principal.is_empty() { "this identity" } else { self.principal };
        let key = if self.encrypts() { " (an own KMS key's policy must allow it too)" } else { "" };
        format!("AWS refused {} ({code}). Allow it to {whom} on {}{key}", self.at(), self.resource())
    }

    /// Whether the action uses the object's KMS key, whose refusal has the same code.
    fn encrypts(&self) -> bool {
        let (_, operation) = self.action.split_once(':').unwrap_or_default();
        matches!(operation, "CreateSecret" | "PutSecretValue" | "GetSecretValue" | "UpdateSecret")
            || matches!(operation, "PutParameter" | "GetParameter")
    }

    /// The resource as an IAM policy names it.
    fn resource(&self) -> String {
        let Self { region, account, name, .. } = self;
        // arn:aws, arn:aws-cn, arn:aws-us-gov: as in our own ARN.
        let partition = self.principal.split(':').nth(1).unwrap_or("aws");
        match self.action.split(':').next() {
            _ if name.is_empty() => "*".into(),
            Some("ssm") => format!("arn:{partition}:ssm:{region}:{account}:parameter/{}", name.trim_start_matches('/')),
            _ => format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-??????"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(action: &'static str, name: &'static str) -> Attempt<'static> {
        let principal = "arn:aws-us-gov:iam::123456789012:role/deploy";
        Attempt { action, name, region: "us-gov-west-1", account: "123456789012", principal }
    }

    fn said(action: &'static str, name: &'static str, code: &str, status: u16) -> String {
        from_code(&attempt(action, name), code, status, None).to_string()
    }

    #[test]
    fn a_refusal_names_the_missing_action_and_the_resource() {
        insta::assert_snapshot!(said("secretsmanager:CreateSecret", "app/db", "AccessDeniedException", 400), @"AWS refused secretsmanager:CreateSecret on app/db in us-gov-west-1 (AccessDeniedException). Allow it to arn:aws-us-gov:iam::123456789012:role/deploy on arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:app/db-?????? (an own KMS key's policy must allow it too)");
        insta::assert_snapshot!(said("ssm:PutParameter", "/app/db", "AccessDeniedException", 400), @"AWS refused ssm:PutParameter on /app/db in us-gov-west-1 (AccessDeniedException). Allow it to arn:aws-us-gov:iam::123456789012:role/deploy on arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/app/db (an own KMS key's policy must allow it too)");
        insta::assert_snapshot!(said("ssm:DescribeParameters", "", "AccessDeniedException", 400), @"AWS refused ssm:DescribeParameters in us-gov-west-1 (AccessDeniedException). Allow it to arn:aws-us-gov:iam::123456789012:role/deploy on *");
    }

    #[test]
    fn a_login_that_fails_comes_with_the_specified_advice() {
        insta::assert_snapshot!(said("sts:GetCallerIdentity", "", "ExpiredToken", 403), @"Unable to authenticate with AWS (ExpiredToken) for sts:GetCallerIdentity in us-gov-west-1. Try `aws sts get-caller-identity`; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where an IAM role is attached");
        let missing = credentials(&CredentialsError::not_loaded_no_source());
        insta::assert_snapshot!(missing, @"Unable to authenticate with AWS: no credentials were found. Try `aws sts get-caller-identity`; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where an IAM role is attached");
    }

    #[test]
    fn a_server_that_breaks_leaves_the_outcome_open() {
        for code in ["InternalServiceError", "InternalServerError", ""] {
            assert_eq!(kind_of(code, 500, None), ErrorKind::Indeterminate, "{code}");
        }
        let later = Some(Duration::from_secs(4));
        assert_eq!(kind_of("ThrottlingException", 400, later), ErrorKind::Throttled(later));
        assert_eq!(kind_of("", 429, later), ErrorKind::Throttled(later));
        assert_eq!(kind_of("ValidationException", 400, None), ErrorKind::Invalid);
    }
}
