//! Why a cloud refused this run, and the text that would make it accept exactly this run. Pure.
//!
//! What is shown are claims of the token, never the token: without its signature it is worth nothing.

mod aws;
mod azure;
mod google;
mod vault;

use super::claims::{Claims, GithubSubject};
use super::{Denial, Exchange, Phase};
use crate::trust::{self, shell_word};

/// What a person reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Who refused what.
    pub title: String,
    /// What the vendor's code means.
    pub meaning: String,
    /// What it most likely comes from.
    pub cause: String,
    /// The claims that were sent, one a line.
    pub claims: String,
    /// What the policy is called.
    pub policy_name: String,
    /// A policy that admits exactly this run.
    pub policy: String,
}

/// What a code is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// Subject or other claims: the policy.
    Claims,
    /// Issuer, audience or keys, which the cloud must be told of once.
    Issuer,
    /// When the token was good.
    Times,
    /// Something that the claims do not decide.
    Else,
}

const TIMES: &str = "the clock of the issuer, of this machine or of the cloud is wrong, or the job ran longer than its token \
     was good for";

/// GitLab signs for as long as the job may run, and only when it starts.
const GITLAB_TIMES: &str = "the job's `timeout` was over, which is how long GitLab makes its tokens good for, or a clock is wrong; \
     a token of GitLab's cannot be renewed, so run the job again, with a longer `timeout` if that was too short";

/// Explains a refusal.
#[must_use]
pub fn explain(denial: &Denial) -> Explanation {
    let Denial { exchange, code, claims, phase } = denial;
    let shown = claims.shown();
    let (title, meaning, policy_name, policy) = match exchange {
        Exchange::Aws { role_arn } => (
            format!("AWS refused this run's ID token for the role {role_arn} ({code})"),
            aws::meaning(code, claims),
            "A trust policy for the role that admits exactly this run",
            aws::policy(role_arn, claims),
        ),
        Exchange::Azure { tenant_id, client_id } => (
            format!("Microsoft Entra refused this run's ID token for {client_id} in {tenant_id} ({code})"),
            azure::meaning(code),
            "A federated credential for the application that admits exactly this run",
            azure::policy(claims, *phase),
        ),
        Exchange::Google { provider, service_account } => (
            google::title(code, provider, service_account.as_deref()),
            google::meaning(code),
            google::policy_name(code),
            google::policy(code, provider, service_account.as_deref(), claims),
        ),
        Exchange::Vault { url, mount, role } => (
            format!("Vault at {url} refused this run's ID token for the role {role} of `{mount}` ({code})"),
            vault::meaning(code),
            "A role that admits exactly this run",
            vault::policy(claims, *phase),
        ),
    };
    let meaning = meaning.to_owned();
    let policy_name = match claims.github().filter(|_| *phase != Phase::Plan) {
        // A role that writes must not get it, so it is not offered as the remedy.
        Some(subject) if subject.context == "pull_request" => {
            "What would admit exactly this run, for a role that only plans".to_owned()
        }
        _ => policy_name.to_owned(),
    };
    let about = match exchange {
        Exchange::Aws { .. } => aws::about(code),
        Exchange::Azure { .. } => azure::about(code),
        Exchange::Google { .. } => google::about(code),
        Exchange::Vault { .. } => vault::about(code),
    };
    let cause = match about {
        About::Claims if matches!(exchange, Exchange::Google { .. }) => {
            google::cause(code, claims, || cause(claims, *phase))
        }
        About::Claims => cause(claims, *phase),
        About::Issuer => issuer(exchange, claims),
        About::Times if claims.is_gitlab() => GITLAB_TIMES.to_owned(),
        About::Times => TIMES.to_owned(),
        About::Else => "a name or a setting of this login; compare it with the cloud's console".to_owned(),
    };
    Explanation { title, meaning, cause, claims: shown, policy_name, policy }
}

impl Explanation {
    /// All of it as plain text.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { title, meaning, cause, claims, policy_name, policy } = self;
        let (claims, policy) = (indented(claims), indented(policy));
        format!(
            "{title}\n  It means: {meaning}.\n  Most likely: {cause}.\n  What was said of this run (the token itself is \
             not shown):\n{claims}  {policy_name}:\n{policy}"
        )
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// What a refusal most likely comes from, as far as the claims tell.
fn cause(claims: &Claims, phase: Phase) -> String {
    let subject = claims.subject();
    if subject.is_empty() {
        return "the token names no subject, so no policy can admit it".to_owned();
    }
    let Some(github) = claims.github() else {
        return match subject.starts_with("repo:") {
            true => "the subject is of a form of its own, as a customised one is; the policy must name it in full, \
                     letter for letter"
                .to_owned(),
            false if claims.is_gitlab() => format!(
                "the policy names another project or branch than `{subject}`, or letters in another case, or another \
                 audience or issuer; if this is not the default branch, rather run there than admit it"
            ),
            false => format!("the policy names another subject than `{subject}`, or another audience or issuer"),
        };
    };
    in_phase(&github, phase).unwrap_or_else(|| forms(&github, claims))
}

/// The cloud does not know the issuer, or not with this audience.
fn issuer(exchange: &Exchange, claims: &Claims) -> String {
    let (issuer, audiences) = (claims.issuer(), claims.audiences().join(","));
    match exchange {
        Exchange::Aws { .. } => format!(
            "the account was never told of this issuer, or of another audience: `aws iam create-open-id-connect-provider \
             --url {} --client-id-list {}`",
            shell_word(&issuer),
            shell_word(&audiences)
        ),
        _ => format!("its side was told of another issuer than `{issuer}`, or of another audience than `{audiences}`"),
    }
}

/// A subject that does not fit what the run is about to do.
fn in_phase(subject: &GithubSubject, phase: Phase) -> Option<String> {
    let context = subject.context.as_str();
    match (phase, context) {
        (Phase::Sync | Phase::Rotate, "pull_request") => Some(
            "this is the token of a pull request, which a role that may write must not admit; give pull requests a role \
             of their own"
                .to_owned(),
        ),
        (Phase::Plan, "pull_request") => None,
        (Phase::Plan, context) if context.starts_with("environment:") => Some(
            "the job that plans names an `environment:`, so its subject is the environment and not `pull_request`; take \
             it out of that job"
                .to_owned(),
        ),
        (Phase::Plan, _) => Some(
            "a job that a comment starts runs on the default branch, so its subject is the branch and not \
             `pull_request`; the plan's role must admit it as well, or such plans stay with the pull request's own job"
                .to_owned(),
        ),
        _ => None,
    }
}

/// GitHub has two forms of the same subject, and a policy with the other one does not match.
fn forms(subject: &GithubSubject, claims: &Claims) -> String {
    let (owner, id) = (claims.text("repository_owner_id"), claims.text("repository_id"));
    let ids = owner.as_deref().zip(id.as_deref());
    match (&subject.ids, ids) {
        (Some(_), ids) => format!(
            "the policy has the older form of the subject, `{}`; repositories created, renamed or moved since 15 July \
             2026 have the one with ids",
            subject.other_form(ids.unwrap_or_default())
        ),
        (None, Some(ids)) => format!(
            "the policy names another branch or environment, or letters in another case, or the form with ids, `{}`, \
             which this repository does not have",
            subject.other_form(ids)
        ),
        (None, None) => "the policy names another branch or environment, or letters in another case".to_owned(),
    }
}

/// Whose role it is: what rotates comes as whoever syncs.
const fn role_of(phase: Phase) -> trust::Phase {
    match phase {
        Phase::Plan => trust::Phase::Plan,
        Phase::Sync | Phase::Rotate => trust::Phase::Sync,
    }
}

#[cfg(test)]
mod tests;
