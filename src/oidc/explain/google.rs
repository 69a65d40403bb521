//! Google: the codes of its token service and the commands that set up a pool's provider
//! (<https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>,
//! <https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines>).

use super::{About, Claims};
use crate::trust::google::{SUBJECT_BYTES_MAX, cel_text};
use crate::trust::{shell_argument, shell_word};

/// The token was exchanged, and the service account lends nothing to whom it stands for.
pub(super) const LENDS_NOTHING: &str = "PERMISSION_DENIED";

pub(super) fn title(code: &str, provider: &str, service_account: Option<&str>) -> String {
    match service_account.filter(|_| matches!(code, LENDS_NOTHING | "NOT_FOUND")) {
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
        "invalid_target" => "there is no such pool or provider, or it is turned off; its name has the project's number",
        LENDS_NOTHING => "this run may not act as the service account: `roles/iam.workloadIdentityUser` is missing",
        _ => "Google does not take this token",
    }
}

pub(super) fn about(code: &str) -> About {
    match code {
        "invalid_grant" => About::Issuer,
        "invalid_grant, expired" => About::Times,
        "invalid_target" | "NOT_FOUND" => About::Else,
        _ => About::Claims,
    }
}

/// What the commands are called.
pub(super) fn policy_name(code: &str) -> &'static str {
    match code {
        LENDS_NOTHING => "A command that lets exactly this run act as the service account",
        _ => "Commands that admit exactly this run; the first replaces the provider's present condition",
    }
}

/// The provider's condition, and who may act as the service account. Where the provider took the token
/// already, its condition stays as it is.
pub(super) fn policy(code: &str, provider: &str, service_account: Option<&str>, claims: &Claims) -> String {
    let (pool_path, name) = provider.split_once("/providers/").unwrap_or((provider, "PROVIDER"));
    let pool = pool_path.rsplit('/').next().unwrap_or("POOL");
    let number = pool_path.split('/').skip_while(|part| *part != "projects").nth(1).unwrap_or("PROJECT_NUMBER");
    let condition = shell_word(&format!("assertion.sub == {}", cel_text(&claims.subject())));
    let (claim, subject) = identity(claims);
    let provider = format!(
        "gcloud iam workload-identity-pools providers update-oidc {} --project {} --location global \
         --workload-identity-pool {} --issuer-uri {} --allowed-audiences {} --attribute-mapping \
         google.subject=assertion.{claim} --attribute-condition {condition}\n",
        shell_argument(name),
        shell_argument(number),
        shell_argument(pool),
        shell_word(&claims.issuer()),
        shell_word(&claims.audiences().join(",")),
    );
    let mut commands = if code == LENDS_NOTHING { String::new() } else { provider };
    if let Some(account) = service_account {
        let member = shell_word(&format!("principal://iam.googleapis.com/{pool_path}/subject/{subject}"));
        commands.push_str(&format!(
            "gcloud iam service-accounts add-iam-policy-binding {} --role roles/iam.workloadIdentityUser --member \
             {member}\n",
            shell_argument(account)
        ));
    }
    commands
}

/// The claim that stands for the run at Google: its subject, or where that is too long its repository.
fn identity(claims: &Claims) -> (&'static str, String) {
    let subject = claims.subject();
    let repository = |claim: &'static str| claims.text(claim).map(|number| (claim, number));
    match subject.len() > SUBJECT_BYTES_MAX {
        true => repository("repository_id").or_else(|| repository("project_id")).unwrap_or(("sub", subject)),
        false => ("sub", subject),
    }
}
