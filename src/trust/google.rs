//! A workload identity pool with one provider, and a service account that its runs may use.
//!
//! A pool for each phase: what a binding names (`principalSet://…/attribute.…`) counts for every provider of
//! its pool, so in a shared one a plan's token would do for the sync.
//! <https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines>

use super::{
    Account, Document, Forge, Generated, Phase, Trusted, or_placeholder, shell_argument, shell_word, subjects,
};

/// Longest `google.subject`, in bytes (<https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers>).
pub(crate) const SUBJECT_BYTES_MAX: usize = 127;

/// The events on which a sync runs; `pull_request_target` bears the default branch's ref as well.
const SYNC_EVENTS: &str = r#"["push", "schedule", "workflow_dispatch", "issue_comment"]"#;

pub(super) fn generate(trusted: &Trusted, account: &Account) -> Generated {
    let phase = trusted.phase.as_str();
    let (project, number) =
        (or_placeholder(account.id.as_ref(), "PROJECT_ID"), or_placeholder(account.number.as_ref(), "PROJECT_NUMBER"));
    let pool = format!("secretzero-{phase}");
    let place = format!("--project={} --location=global", shell_word(&project));
    let (attribute, value) = repository_attribute(trusted);
    let long = subjects(trusted).iter().any(|subject| subject.text.len() > SUBJECT_BYTES_MAX)
        || trusted.forge == Forge::Gitlab;
    let subject = if long { format!("assertion.{attribute}") } else { "assertion.sub".to_owned() };
    let mapping = format!("google.subject={subject},attribute.{attribute}=assertion.{attribute}");
    let member = format!(
        "principalSet://iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/{pool}/attribute.{attribute}/{value}"
    );
    let email = format!("secretzero-{phase}@{project}.iam.gserviceaccount.com");
    let audiences =
        trusted.audience.as_ref().map(|audience| format!("  --allowed-audiences={} \\\n", shell_word(audience)));
    let text = format!(
        "gcloud iam workload-identity-pools create {pool} {place} --display-name={title}\n\
         gcloud iam workload-identity-pools providers create-oidc {provider} \\\n  {place} --workload-identity-pool={pool} \\\n  \
         --issuer-uri={issuer} \\\n{audiences}  --attribute-mapping={mapping} \\\n  --attribute-condition={condition}\n\
         gcloud iam service-accounts create secretzero-{phase} --project={project_word}\n\
         gcloud iam service-accounts add-iam-policy-binding {email_word} --project={project_word} \\\n  \
         --role=roles/iam.workloadIdentityUser \\\n  --member={member}\n",
        title = shell_word(&format!("SecretZero {phase}")),
        provider = trusted.forge.as_str(),
        issuer = shell_word(&trusted.issuer),
        audiences = audiences.unwrap_or_default(),
        mapping = shell_word(&mapping),
        condition = shell_word(&condition(trusted)),
        project_word = shell_word(&project),
        member = shell_word(&member),
        email_word = shell_argument(&email),
    );
    let mut generated = Generated::default();
    generated.documents.push(Document { name: format!("gcp-{phase}-trust.sh"), text });
    generated
        .steps
        .push(format!("secretzero permissions --cloud gcp --phase {phase}  # prints what {} may do", one_line(&email)));
    if account.number.is_none() {
        generated.say(
            "`gcloud projects describe PROJECT_ID --format='value(projectNumber)'` tells the number of the project",
        );
    }
    if long && trusted.forge == Forge::Github {
        generated.say("the subject is longer than the 127 bytes that Google takes, so the repository stands for it");
    }
    generated.say("a change of IAM takes some five minutes until it counts everywhere");
    generated
}

/// The claim that a binding names, and its value.
fn repository_attribute(trusted: &Trusted) -> (&'static str, &str) {
    let repository = &trusted.repository;
    match (trusted.forge, &repository.id) {
        (Forge::Github | Forge::Service, Some(id)) => ("repository_id", id),
        (Forge::Github | Forge::Service, None) => ("repository", &repository.path),
        (Forge::Gitlab, Some(id)) => ("project_id", id),
        (Forge::Gitlab, None) => ("project_path", &repository.path),
    }
}

/// What a token must say, in Google's CEL.
fn condition(trusted: &Trusted) -> String {
    let is = |claim: &str, value: &str| format!("assertion.{claim} == {}", cel_text(value));
    let (attribute, value) = repository_attribute(trusted);
    let mut terms = vec![is(attribute, value)];
    let owner = match trusted.forge {
        Forge::Github => Some("repository_owner_id"),
        Forge::Gitlab => Some("namespace_id"),
        Forge::Service => None,
    };
    terms.extend(owner.zip(trusted.repository.owner_id.as_ref()).map(|(owner, id)| is(owner, id)));
    match (trusted.forge, trusted.phase) {
        (Forge::Github, Phase::Plan) => terms.push(is("event_name", "pull_request")),
        (Forge::Github, Phase::Sync) => {
            terms.push(is("ref", &format!("refs/heads/{}", trusted.branch)));
            terms.push(format!("assertion.event_name in {SYNC_EVENTS}"));
        }
        (Forge::Service, phase) => {
            terms.push(is("forge", &trusted.host));
            terms.push(is("environment", trusted.environment.as_deref().unwrap_or("default")));
            terms.push(match phase {
                Phase::Plan => is("phase", "plan"),
                Phase::Sync => r#"assertion.phase in ["sync", "rotate"]"#.to_owned(),
            });
        }
        (Forge::Gitlab, Phase::Plan) => terms.push(is("pipeline_source", "merge_request_event")),
        (Forge::Gitlab, Phase::Sync) => {
            terms.push(is("ref_type", "branch"));
            terms.push(is("ref", &trusted.branch));
            terms.push(is("ref_protected", "true"));
        }
    }
    let told = trusted.phase == Phase::Sync && trusted.forge != Forge::Service;
    if let Some(environment) = trusted.environment.as_ref().filter(|_| told) {
        terms.push(is("environment", environment));
    }
    if trusted.asks_for_hosted() {
        let hosted = if trusted.forge == Forge::Github { "github-hosted" } else { "gitlab-hosted" };
        terms.push(is("runner_environment", hosted));
    }
    terms.join(" && ")
}

/// A text for a comment of a shell, which a line end would end.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

pub(crate) fn cel_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#))
}
