//! Subjects that nobody has: case, blanks, slashes, and words that are nearly the right ones.

use super::Lint;
use super::subject::split;
use crate::diagnostic::{Span, quote};

/// Case, blanks, slashes, and words that are nearly the right ones.
pub(super) fn misspelt(lint: &mut Lint<'_>, text: &str, span: Span) -> bool {
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
    if known.iter().any(|known| context.starts_with(known)) || context == "pull_request" || context.contains(['*', '?'])
    {
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
