//! The subject that a policy waits for: too wide, misspelt, by names that can be taken over, or of the
//! wrong phase.

use super::{Lint, Phase};
use crate::diagnostic::{Severity, Span, Spanned, quote};

/// How a subject is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// As a whole.
    Exactly,
    /// With `*` for any text and `?` for any character, `/` and `:` included.
    Glob,
    /// As a regular expression that need not match from end to end.
    Search,
    /// As a regular expression from end to end.
    Regex,
}

/// What else a policy asks for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beside {
    /// The id of the repository.
    pub(super) id: bool,
    /// The ref or the event.
    pub(super) reference: bool,
}

/// Judges one subject of a policy.
pub(super) fn judge(lint: &mut Lint<'_>, subject: &Spanned<String>, compared: Compared, beside: Beside) {
    lint.linted.facts.subjects.push(subject.clone());
    let span = subject.span;
    let text = match compared {
        Compared::Search | Compared::Regex => match regex(lint, subject, compared) {
            Some(text) => text,
            None => return,
        },
        _ => subject.value.clone(),
    };
    if compared == Compared::Exactly && text.contains('*') {
        lint.error(
            "literal-star",
            span,
            format!("{} is compared as a whole, so its `*` stands for itself and nothing matches", quote(&text)),
            "write the exact subject",
        );
        return;
    }
    if misspelt(lint, &text, span) {
        return;
    }
    let Some((repository, context)) = split(&text) else {
        wide_or_unknown(lint, &text, span);
        return;
    };
    judge_repository(lint, &text, repository, span, beside);
    judge_context(lint, &text, context, span, beside);
}

/// The repository and what follows it.
fn split(subject: &str) -> Option<(&str, &str)> {
    let rest = subject.strip_prefix("repo:").or_else(|| subject.strip_prefix("project_path:"))?;
    rest.split_once(':').filter(|(repository, context)| !repository.is_empty() && !context.is_empty())
}

/// A subject without a repository, or with one and nothing behind it.
fn wide_or_unknown(lint: &mut Lint<'_>, text: &str, span: Span) {
    let repository = text.strip_prefix("repo:").or_else(|| text.strip_prefix("project_path:"));
    match repository {
        Some(rest) if rest.contains('*') => wide(lint, text, span, rest.split('*').next().unwrap_or_default()),
        Some(_) => lint.error(
            "no-context",
            span,
            format!(
                "{} ends with the repository: no token has it, unless the subject was customised and says no more",
                quote(text)
            ),
            "name the context as well: `:pull_request`, `:ref:refs/heads/main` or `:environment:NAME`",
        ),
        None if text.contains('*') && text.trim_matches(['*', ':']).len() < 8 => wide(lint, text, span, ""),
        // Another issuer's, ours for one.
        None => {}
    }
}

fn wide(lint: &mut Lint<'_>, text: &str, span: Span, owner: &str) {
    let who = match owner.split_once('/') {
        Some((_, "")) => {
            format!("every repository of `{}`, also one that is made tomorrow", owner.trim_end_matches('/'))
        }
        Some(_) => format!("every repository whose name begins with `{owner}`, in all its branches and pull requests"),
        None if owner.is_empty() => "every repository of the forge".to_owned(),
        None => format!("every owner whose name begins with `{owner}`"),
    };
    lint.error(
        "wide-subject",
        span,
        format!("{} trusts {who}", quote(text)),
        "write the exact subject; `secretzero trust generate` prints it",
    );
}

/// Case, blanks, slashes, and words that are nearly the right ones.
fn misspelt(lint: &mut Lint<'_>, text: &str, span: Span) -> bool {
    const FORMS: [(&str, &str); 3] = [("repo:", "repo:"), ("repo/", "repo:"), ("project_path:", "project_path:")];
    let lower = text.to_ascii_lowercase();
    let wrong = |right: &str| {
        format!("subjects are compared letter by letter, and {} is none; did you mean `{right}`?", quote(text))
    };
    let form = FORMS.iter().find(|(form, right)| lower.starts_with(form) && !text.starts_with(right));
    let right = if let Some((form, right)) = form {
        Some(format!("{right}{}", &text[form.len()..]))
    } else if text.trim() != text || text.ends_with('/') {
        Some(text.trim().trim_end_matches('/').to_owned())
    } else if text.starts_with("repo:/") {
        Some(text.replacen("repo:/", "repo:", 1))
    } else {
        split(text).and_then(|(_, context)| Some(text.replace(context, &corrected(context)?)))
    };
    if let Some(right) = &right {
        lint.error(
            "case-or-slash",
            span,
            wrong(right),
            "the forge writes it so in every token; nobody matches this one",
        );
    }
    right.is_some()
}

/// The context that was probably meant, if it is none of GitHub's or GitLab's.
fn corrected(context: &str) -> Option<String> {
    let lower = context.to_ascii_lowercase();
    let known =
        ["ref:refs/heads/", "ref:refs/tags/", "ref:refs/pull/", "environment:", "ref_type:", "job_workflow_ref:"];
    if known.iter().any(|known| context.starts_with(known)) || context == "pull_request" || context.contains('*') {
        return None;
    }
    let branch = |name: &str| format!("ref:refs/heads/{name}");
    if let Some(name) = lower.strip_prefix("ref:refs/heads/").or_else(|| lower.strip_prefix("ref:/refs/heads/")) {
        return Some(branch(&context[context.len() - name.len()..]));
    }
    if let Some(rest) = context.strip_prefix("refs/") {
        return Some(format!("ref:refs/{rest}"));
    }
    if let Some(name) = context.strip_prefix("ref:") {
        return Some(branch(name.trim_start_matches("heads/")));
    }
    if lower.starts_with("pull") {
        return Some("pull_request".to_owned());
    }
    let name = lower.strip_prefix("environment:").or_else(|| lower.strip_prefix("env:"));
    name.map(|name| format!("environment:{}", &context[context.len() - name.len()..]))
}

fn judge_repository(lint: &mut Lint<'_>, text: &str, repository: &str, span: Span, beside: Beside) {
    if let Some(at) = repository.find(['*', '?']) {
        wide(lint, text, span, &repository[..at]);
        return;
    }
    let plain: Vec<&str> = repository.split('/').map(|part| part.split('@').next().unwrap_or(part)).collect();
    let has_ids = repository.contains('@');
    if !has_ids && !beside.id {
        lint.warning(
            "names-not-ids",
            span,
            format!("{} trusts a name: whoever takes it over after a rename or a deletion is trusted", quote(text)),
            "trust the form with ids (`repo:OWNER@ID/NAME@ID:…`) where tokens have it, or the claim `repository_id` as well",
        );
    }
    let Some(own) = &lint.known.repository else { return };
    let named = plain.join("/");
    if named != *own && named.eq_ignore_ascii_case(own) {
        let message = format!("the repository is spelt {}, and subjects are compared letter by letter", quote(own));
        lint.error("case-or-slash", span, message, "spell it as the forge does");
    }
}

fn judge_context(lint: &mut Lint<'_>, text: &str, context: &str, span: Span, beside: Beside) {
    let facts = &mut lint.linted.facts;
    let phase = lint.known.phase;
    if context == "pull_request" {
        facts.trusts_pull_request = facts.trusts_pull_request.or(Some(span));
        if phase == Some(Phase::Sync) {
            lint.error(
                "pull-request-may-write",
                span,
                "a role that may write trusts pull requests: whoever opens one has it",
                "trust `ref:refs/heads/main` or `environment:NAME`, and give pull requests a role that reads metadata",
            );
        }
        return;
    }
    let gitlab_plan = context == "ref_type:branch:ref:*" && phase != Some(Phase::Sync);
    if gitlab_plan {
        facts.trusts_pull_request = facts.trusts_pull_request.or(Some(span));
        let message = format!("{} trusts every branch of the project", quote(text));
        let help = "merge requests need that; give the role no right but to read metadata";
        lint.note("any-branch", span, message, help);
        return;
    }
    facts.trusts_branch = facts.trusts_branch.or(Some(span));
    if let Some(at) = context.find(['*', '?']) {
        judge_pattern(lint, text, context, at, span);
    } else if context.starts_with("environment:") && !beside.reference {
        lint.note(
            "environment-needs-branch-rule",
            span,
            format!("{} trusts whatever branch may deploy to the environment, which no file shows", quote(text)),
            "allow only the default branch to deploy there (Settings, Environments, Deployment branches)",
        );
    }
}

fn judge_pattern(lint: &mut Lint<'_>, text: &str, context: &str, at: usize, span: Span) {
    let head = &context[..at];
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
        let message = format!("in {} a `*` stands for `/` and `:` as well", quote(text));
        lint.say(severity, "pattern-crosses", span, message, "write the exact subject");
        return;
    };
    lint.say(severity, "wide-subject", span, format!("{} trusts {what}", quote(text)), "write the exact subject");
    if head.is_empty() {
        let facts = &mut lint.linted.facts;
        facts.trusts_pull_request = facts.trusts_pull_request.or(Some(span));
    }
}

/// A regular expression as one of the subjects that it matches, or nothing if it could not be one of subjects.
fn regex(lint: &mut Lint<'_>, subject: &Spanned<String>, compared: Compared) -> Option<String> {
    let text = subject.value.as_str();
    if compared == Compared::Search && !(text.starts_with('^') && text.ends_with('$')) {
        lint.error(
            "unanchored-pattern",
            subject.span,
            format!("{} matches anywhere in the subject, so `repo:evil/x:environment:` before it, or more behind it, does no harm to it", quote(text)),
            "begin it with `^` and end it with `$`, or compare with `==`",
        );
    }
    let bare = text.trim_start_matches('^').trim_end_matches('$');
    let escaped = bare.replace(r"\.", "\u{0}").replace(r"\/", "/");
    let crossing = regex::Regex::new(r"\.|\[\^[^\]/:]*\][*+]")
        .ok()
        .and_then(|wild| wild.find(&escaped).map(|found| found.start()));
    if crossing.is_some() {
        lint.error(
            "pattern-crosses",
            subject.span,
            format!("in {} a `.` stands for any character, `/` and `:` among them", quote(text)),
            "write `[^/:]` for what must not cross into the next part, and `\\.` for a dot",
        );
        return None;
    }
    Some(escaped.replace('\u{0}', ".").replace("[^/:]+", "x").replace("[^/:]*", "x").replace('\\', ""))
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

/// Whether a token could have a subject that both wait for.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    one == other || glob(one, other) || glob(other, one)
}

/// Whether a pattern with `*` and `?` matches a text.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}
