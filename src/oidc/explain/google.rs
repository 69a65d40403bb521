//! Google: the codes of its token service and the commands that set up a pool's provider
//! (<https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>,
//! <https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines>).

use super::{About, Claims};
use crate::trust::google::{SUBJECT_BYTES_MAX, cel_text};
use crate::trust::{shell_argument, shell_word};

/// The token was exchanged, and the service account lends nothing to whom it stands for.
pub(super) const LENDS_NOTHING: &str = "PERMISSION_DENIED";

/// The service that lends is turned off in the service account's project.
const TURNED_OFF: &str = "SERVICE_DISABLED";

/// There is no such pool or provider.
const NO_PROVIDER: &str = "invalid_target";

/// The token cannot be mapped, most often since its subject is too long.
const NOT_MAPPED: &str = "invalid_request";

pub(super) fn title(code: &str, provider: &str, service_account: Option<&str>) -> String {
    match service_account.filter(|_| matches!(code, LENDS_NOTHING | TURNED_OFF | "NOT_FOUND")) {
        Some(account) => format!("Google took this run's ID token and does not let it act as {account} ({code})"),
        None => format!("Google refused this run's ID token at {provider} ({code})"),
    }
}

pub(super) fn meaning(code: &str) -> &'static str {
    match code {
        "invalid_grant" => "the token had expired, or the provider knows neither its issuer nor its audience",
        "invalid_grant, expired" => "the token had expired; clocks differ",
        "NOT_FOUND" => "there is no such service account",
        "unauthorized_client" => "the provider's attribute condition does not admit this run",
        NO_PROVIDER => "there is no such pool or provider, or it is turned off; its name has the project's number",
        NOT_MAPPED => "the provider's attribute mapping cannot take this token",
        LENDS_NOTHING => "this run may not act as the service account: `roles/iam.workloadIdentityUser` is missing",
        TURNED_OFF => "the IAM Service Account Credentials API is turned off in the project",
        _ => "Google does not take this token",
    }
}

/// What a refusal most likely comes from, where the claims alone do not tell.
pub(super) fn cause(code: &str, claims: &Claims, otherwise: impl FnOnce() -> String) -> String {
    let subject = claims.subject();
    match code {
        LENDS_NOTHING => format!(
            "the service account has no such binding, or one for another subject than `{subject}`; {}",
            otherwise()
        ),
        NOT_MAPPED if subject.len() > SUBJECT_BYTES_MAX => format!(
            "the subject has {} bytes, and Google takes {SUBJECT_BYTES_MAX} in `google.subject`; map another claim to it",
            subject.len()
        ),
        NOT_MAPPED => "the mapping names a claim that this token does not have".to_owned(),
        _ => otherwise(),
    }
}

pub(super) fn about(code: &str) -> About {
    match code {
        "invalid_grant" => About::Issuer,
        "invalid_grant, expired" => About::Times,
        NO_PROVIDER | TURNED_OFF | "NOT_FOUND" => About::Else,
        _ => About::Claims,
    }
}

/// What the commands are called.
pub(super) fn policy_name(code: &str) -> &'static str {
    match code {
        LENDS_NOTHING => "A command that lets exactly this run act as the service account",
        TURNED_OFF => "A command that turns it on",
        NO_PROVIDER => "Commands that make a provider which admits exactly this run",
        _ => "Commands that admit exactly this run; the first replaces the provider's present condition and mapping",
    }
}

/// The provider's condition, and who may act as the service account. Where the provider took the token
/// already, it stays as it is.
pub(super) fn policy(code: &str, provider: &str, service_account: Option<&str>, claims: &Claims) -> String {
    let (pool_path, name) = provider.split_once("/providers/").unwrap_or((provider, "PROVIDER"));
    let pool = shell_argument(pool_path.rsplit('/').next().unwrap_or("POOL"));
    let number = pool_path.split('/').skip_while(|part| *part != "projects").nth(1).unwrap_or("PROJECT_NUMBER");
    let place = format!("--project {} --location global", shell_argument(number));
    if code == TURNED_OFF {
        let project = service_account.and_then(|account| account.split(['@', '.']).nth(1)).unwrap_or(number);
        return format!("gcloud services enable iamcredentials.googleapis.com --project {}\n", shell_argument(project));
    }
    let (claim, subject) = identity(claims);
    let attribute = repository(claims);
    let mut mapping = format!("google.subject=assertion.{claim}");
    attribute.iter().for_each(|(claim, _)| mapping.push_str(&format!(",attribute.{claim}=assertion.{claim}")));
    let verb = if code == NO_PROVIDER { "create-oidc" } else { "update-oidc" };
    let provider = format!(
        "gcloud iam workload-identity-pools providers {verb} {} {place} --workload-identity-pool {pool} --issuer-uri {} \
         --allowed-audiences {} --attribute-mapping {} --attribute-condition {}\n",
        shell_argument(name),
        shell_word(&claims.issuer()),
        shell_word(&claims.audiences().join(",")),
        shell_argument(&mapping),
        shell_word(&format!("assertion.sub == {}", cel_text(&claims.subject()))),
    );
    let mut commands = if code == LENDS_NOTHING { String::new() } else { provider };
    if code == NO_PROVIDER {
        commands.insert_str(0, &format!("gcloud iam workload-identity-pools create {pool} {place}\n"));
    }
    if let Some(account) = service_account {
        let bind = |member: &str| {
            format!(
                "gcloud iam service-accounts add-iam-policy-binding {} --role roles/iam.workloadIdentityUser --member {}\n",
                shell_argument(account),
                shell_word(member)
            )
        };
        commands.push_str(&bind(&format!("principal://iam.googleapis.com/{pool_path}/subject/{subject}")));
        // What `trust generate` makes for GitLab has the project for its subject.
        if let Some((claim @ "project_id", id)) = attribute.filter(|_| code == LENDS_NOTHING) {
            commands.push_str("# or, where the provider maps another claim to google.subject:\n");
            commands.push_str(&bind(&format!("principalSet://iam.googleapis.com/{pool_path}/attribute.{claim}/{id}")));
        }
    }
    commands
}

/// The number of the run's repository, and the claim that has it.
fn repository(claims: &Claims) -> Option<(&'static str, String)> {
    ["repository_id", "project_id"].into_iter().find_map(|claim| Some((claim, claims.text(claim)?)))
}

/// The claim that stands for the run at Google: its subject, or where that is too long its repository.
fn identity(claims: &Claims) -> (&'static str, String) {
    let subject = claims.subject();
    match subject.len() > SUBJECT_BYTES_MAX {
        true => repository(claims).unwrap_or(("sub", subject)),
        false => ("sub", subject),
    }
}
