//! The subject that a policy waits for: too wide, misspelt, by names that can be taken over, or of the
//! wrong phase.

use super::claims::{IDS, NAMES, is_pull};
use super::pattern::{Compared, glob, samples};
use super::spelling::misspelt;
use super::{Lint, Phase, Run};
use crate::diagnostic::{Severity, Span, Spanned, quote};

/// What else a policy asks for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beside {
    /// The id of the repository.
    pub(super) id: bool,
    /// The ref.
    pub(super) reference: bool,
    /// Anything that says which of its runs it is; whoever knows that judges it.
    pub(super) run: bool,
}

/// What a subject begins with.
const FORMS: [&str; 2] = ["repo:", "project_path:"];

/// Claims that a customised subject may be made of
/// (<https://docs.github.com/en/actions/reference/security/oidc#customizing-the-subject-claims-for-an-organization-or-repository>,
/// <https://docs.gitlab.com/ci/secrets/id_token_authentication>).
const KEYS: &[&str] = &[
    "repo",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "repository_visibility",
    "enterprise",
    "enterprise_id",
    "job_workflow_ref",
    "workflow",
    "workflow_ref",
    "environment",
    "ref",
    "ref_type",
    "ref_path",
    "ref_protected",
    "base_ref",
    "head_ref",
    "event_name",
    "actor",
    "actor_id",
    "runner_environment",
    "project_path",
    "project_id",
    "namespace_path",
    "namespace_id",
    "pipeline_source",
    "user_login",
    "user_id",
];

/// Those of them that say which run of a repository it is.
const RUN_KEYS: &[&str] =
    &["ref", "ref_path", "ref_protected", "environment", "job_workflow_ref", "event_name", "pipeline_source"];

/// Judges one subject of a policy.
pub(super) fn judge(lint: &mut Lint<'_>, subject: &Spanned<String>, compared: Compared, beside: Beside) {
    let span = subject.span;
    if compared == Compared::Exactly && subject.value.contains('*') {
        let message = format!(
            "{} is compared as a whole, so its `*` stands for itself and nothing matches",
            quote(&subject.value)
        );
        lint.error("literal-star", span, message, "write the exact subject");
        return;
    }
    let texts = match compared {
        Compared::Search | Compared::Regex => samples(lint, subject, compared),
        _ => vec![subject.value.clone()],
    };
    for text in texts {
        lint.facts.runs.push(Run { text: text.clone(), span, pull: false, branch: false });
        if misspelt(lint, &text, span) {
            continue;
        }
        let of = Subject { text: &text, wild: compared.wild(), span, beside };
        match split(&text) {
            Some((repository, context)) => {
                of.judge_repository(lint, repository);
                of.judge_context(lint, context);
            }
            None => of.without_repository(lint),
        }
    }
}

/// Whether a subject leaves open which run of the repository it is.
pub(super) fn is_open(subject: &str, compared: Compared) -> bool {
    let context = split(subject).map(|(_, context)| context);
    context.is_none_or(|context| context.contains(compared.wild()))
}

/// The repository and what follows it.
pub(super) fn split(subject: &str) -> Option<(&str, &str)> {
    let rest = FORMS.iter().find_map(|form| subject.strip_prefix(form))?;
    rest.split_once(':').filter(|(repository, context)| !repository.is_empty() && !context.is_empty())
}

/// A customised subject as its claims; nothing if it does not begin with one.
fn claims(text: &str) -> Option<Vec<(&str, String)>> {
    let mut claims: Vec<(&str, String)> = Vec::new();
    let mut wants_value = false;
    for part in text.split(':') {
        if wants_value {
            claims.last_mut()?.1 = part.to_owned();
            wants_value = false;
        } else if KEYS.contains(&part) {
            claims.push((part, String::new()));
            wants_value = true;
        } else if part == "pull_request" {
            claims.push(("event_name", part.to_owned()));
        } else {
            let (_, value) = claims.last_mut()?;
            value.push(':');
            value.push_str(part);
        }
    }
    Some(claims)
}

/// One subject and what stands beside it.
struct Subject<'a> {
    text: &'a str,
    wild: &'static [char],
    span: Span,
    beside: Beside,
}

impl Subject<'_> {
    /// A subject without a whole repository, or with one and nothing behind it.
    fn without_repository(&self, lint: &mut Lint<'_>) {
        let repository = FORMS.iter().find_map(|form| self.text.strip_prefix(form));
        let wild = self.text.find(self.wild);
        // Of another issuer, ours for one, if it is made of no claims.
        let claims = claims(self.text).filter(|_| repository.is_none());
        let names = |claim: &&str| IDS.contains(claim) || NAMES.contains(claim);
        let is_named = |claims: &Vec<(&str, String)>| {
            claims.iter().all(|(claim, value)| !names(claim) || !value.contains(self.wild))
        };
        match (repository, wild, claims) {
            (_, _, Some(claims)) if is_named(&claims) => self.customised(lint, &claims),
            (Some(rest), Some(_), _) if !self.beside.id => {
                self.wide(lint, rest.split(self.wild).next().unwrap_or_default());
            }
            (_, Some(at), _) if could_be_ours(&self.text[..at]) => self.wild_repository(lint),
            (_, Some(_), _) => crosses(lint, self.text, self.span, Severity::Error),
            (Some(_), None, _) => self.no_context(lint),
            (None, None, _) => self.of_service(lint),
        }
    }

    /// Our own service's subject ends with the phase of the run.
    fn of_service(&self, lint: &mut Lint<'_>) {
        let phase = self.text.starts_with("secretzero:").then(|| self.text.rsplit_once(":phase:")).flatten();
        if let Some((_, phase)) = phase {
            lint.trusts(phase == "plan", phase != "plan");
            if phase == "plan" {
                pull_request(lint, self.span);
            }
        }
    }

    /// A wildcard before the repository has ended.
    fn wild_repository(&self, lint: &mut Lint<'_>) {
        if !self.beside.id {
            let message = format!(
                "{} trusts every repository whose subject ends so: a wildcard stands for the owner and the name as well",
                quote(self.text)
            );
            lint.error(
                "wide-subject",
                self.span,
                message,
                "write the exact subject; `secretzero trust generate` prints it",
            );
        } else if !self.beside.run {
            let tail = self.text.rsplit(self.wild).next().unwrap_or_default();
            self.judge_context(lint, tail.strip_prefix(':').filter(|tail| !tail.is_empty()).unwrap_or("*"));
        }
    }

    fn no_context(&self, lint: &mut Lint<'_>) {
        if self.beside.run {
            return;
        }
        let message = format!(
            "{} ends with the repository: no token has it, unless the subject was customised and says no more",
            quote(self.text)
        );
        let help = "name the context as well: `:pull_request`, `:ref:refs/heads/main` or `:environment:NAME`";
        lint.error("no-context", self.span, message, help);
    }

    /// A subject that was made of other claims than the repository's name.
    fn customised(&self, lint: &mut Lint<'_>, claims: &[(&str, String)]) {
        let find = |names: &[&str]| claims.iter().find(|(claim, value)| names.contains(claim) && !value.is_empty());
        let (id, name) = (find(IDS).is_some() || self.beside.id, find(NAMES));
        if !id && name.is_none() {
            let message = format!("{} names no repository: each that has the same is trusted", quote(self.text));
            let help = "let the subject begin with `repo` (`include_claim_keys: [repo, context]`), and trust that";
            lint.error("wide-subject", self.span, message, help);
            return;
        }
        if let Some((_, name)) = name.filter(|_| !id) {
            self.judge_repository(lint, name);
        }
        match find(RUN_KEYS) {
            Some((claim, value)) => self.judge_context(lint, &format!("{claim}:{value}")),
            None if self.beside.run => {}
            None => {
                let message = format!(
                    "{} says which repository it is, and not which of its runs: pull requests and every branch are trusted",
                    quote(self.text)
                );
                let help =
                    "put `context` into `include_claim_keys`, and trust `…:ref:refs/heads/main` or `…:pull_request`";
                lint.error("no-context", self.span, message, help);
            }
        }
    }

    fn wide(&self, lint: &mut Lint<'_>, owner: &str) {
        let who = match owner.split_once('/') {
            Some((_, "")) => {
                format!("every repository of `{}`, also one that is made tomorrow", owner.trim_end_matches('/'))
            }
            Some(_) => {
                format!("every repository whose name begins with `{owner}`, in all its branches and pull requests")
            }
            None if owner.is_empty() => "every repository of the forge".to_owned(),
            None => format!("every owner whose name begins with `{owner}`"),
        };
        let help = "write the exact subject; `secretzero trust generate` prints it";
        lint.error("wide-subject", self.span, format!("{} trusts {who}", quote(self.text)), help);
    }

    fn judge_repository(&self, lint: &mut Lint<'_>, repository: &str) {
        if let Some(at) = repository.find(self.wild) {
            if !self.beside.id {
                self.wide(lint, &repository[..at]);
            }
            return;
        }
        let plain: Vec<&str> = repository.split('/').map(|part| part.split('@').next().unwrap_or(part)).collect();
        if !repository.contains('@') && !self.beside.id {
            let help = if self.text.starts_with("project_path:") {
                "subjects of GitLab have no ids: trust the claim `project_id` as well where the cloud sees it"
            } else {
                "trust the form with ids (`repo:OWNER@ID/NAME@ID:…`) where tokens have it, or the claim `repository_id` as well"
            };
            let message = format!(
                "{} trusts a name: whoever takes it over after a rename or a deletion is trusted",
                quote(self.text)
            );
            lint.warning("names-not-ids", self.span, message, help);
        }
        let Some(own) = &lint.known.repository else { return };
        let named = plain.join("/");
        if named != *own && named.eq_ignore_ascii_case(own) {
            let message = format!("the repository is spelt {}, and subjects are compared letter by letter", quote(own));
            lint.error("case-or-slash", self.span, message, "spell it as the forge does");
        }
    }

    fn judge_context(&self, lint: &mut Lint<'_>, context: &str) {
        let wild = context.find(self.wild);
        if wild.is_some() && self.beside.run {
            return;
        }
        let claims = claims(context).unwrap_or_default();
        let by_event =
            |(claim, value): &(&str, String)| matches!(*claim, "event_name" | "pipeline_source") && is_pull(value);
        if claims.iter().any(by_event) {
            lint.trusts(true, false);
            pull_request(lint, self.span);
            return;
        }
        if context == "ref_type:branch:ref:*" && lint.known.phase != Some(Phase::Sync) {
            lint.trusts(true, false);
            let message = format!("{} trusts every branch of the project", quote(self.text));
            let help = "merge requests need that; give the role no right but to read metadata";
            lint.note("any-branch", self.span, message, help);
            return;
        }
        if !claims.is_empty() && !claims.iter().any(|(claim, _)| RUN_KEYS.contains(claim)) {
            self.no_context(lint);
            return;
        }
        let pull = wild.is_some() && glob(context, "pull_request");
        lint.trusts(pull, true);
        if let Some(at) = wild {
            open_run(lint, self.text, &context[..at], self.span);
        } else if context.starts_with("environment:") && !self.beside.reference {
            let message = format!(
                "{} trusts whatever branch may deploy to the environment, which no file shows",
                quote(self.text)
            );
            let help = "allow only the default branch to deploy there (Settings, Environments, Deployment branches)";
            lint.note("environment-needs-branch-rule", self.span, message, help);
        }
    }
}

/// Whether a subject of a forge may begin so.
fn could_be_ours(head: &str) -> bool {
    let begins = |form: &str| form.starts_with(head) || head.starts_with(form);
    FORMS.iter().any(|form| begins(form)) || KEYS.iter().any(|key| begins(&format!("{key}:")))
}

fn crosses(lint: &mut Lint<'_>, text: &str, span: Span, severity: Severity) {
    let message = format!("in {} a `*` stands for `/` and `:` as well", quote(text));
    lint.say(severity, "pattern-crosses", span, message, "write the exact subject");
}

/// Pull requests: nothing for a role that writes.
pub(super) fn pull_request(lint: &mut Lint<'_>, span: Span) {
    if lint.known.phase == Some(Phase::Sync) {
        lint.error(
            "pull-request-may-write",
            span,
            "a role that may write trusts pull requests: whoever opens one has it",
            "trust `ref:refs/heads/main` or `environment:NAME`, and give pull requests a role that reads metadata",
        );
    }
}

/// What a pattern lets through whose literal part is `head`, such as `ref:refs/heads/`.
pub(super) fn open_run(lint: &mut Lint<'_>, text: &str, head: &str, span: Span) {
    let severity = if lint.known.phase == Some(Phase::Plan) { Severity::Warning } else { Severity::Error };
    let what = if head.is_empty() {
        "every branch, tag, environment and pull request"
    } else if head.ends_with("refs/heads/") || head.ends_with("ref:") {
        "every branch: whoever may push one"
    } else if head.ends_with("refs/") {
        "every branch and tag"
    } else if head.ends_with("environment:") {
        "every environment, also one that a workflow makes up"
    } else {
        crosses(lint, text, span, severity);
        return;
    };
    lint.say(severity, "wide-subject", span, format!("{} trusts {what}", quote(text)), "write the exact subject");
}

/// Says that machines of one's own have the same subject as the forge's.
pub(super) fn any_runner(lint: &mut Lint<'_>, span: Span) {
    lint.note(
        "any-runner",
        span,
        "self-hosted runners have the same subject as the forge's own, so whoever controls one has this role",
        "where the cloud sees the claim, ask for `runner_environment` as well; else keep self-hosted runners away from this repository",
    );
}
