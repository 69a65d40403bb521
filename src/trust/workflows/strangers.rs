//! A run with this repository's secrets that checks out what a stranger wrote.
//!
//! <https://securitylab.github.com/resources/github-actions-preventing-pwn-requests/>

use super::{Findings, Workflow, steps, uses};
use crate::diagnostic::{Severity, Spanned};
use crate::manifest::node::Node;
use crate::trust::lint::tree::{get, texts, texts_of};

/// Events whose runs have the secrets of the repository, and a stranger may cause.
const PRIVILEGED: &[&str] = &["pull_request_target", "workflow_run", "issue_comment"];

/// What names the head of a pull request.
const HEADS: &[&str] = &[
    "pull_request.head",
    "github.head_ref",
    "refs/pull/",
    "workflow_run.head",
    "workflow_run.pull_requests",
    "event.number",
    "event.issue.number",
    "pull_request.number",
    "merge_commit_sha",
    "head_sha",
    "head_ref",
    "head.sha",
];

/// Commands that bring foreign code into the workspace.
const BRINGS: &[&str] =
    &["git fetch", "git clone", "git pull", "git checkout", "git switch", "git reset", "git merge", "git worktree"];

/// How many variables may stand for one another.
const EXPANSIONS_MAX: usize = 3;

pub(super) fn check(workflow: &Workflow<'_>, findings: &mut Findings) {
    if !workflow.has(PRIVILEGED) {
        return;
    }
    for job in &workflow.jobs {
        for step in steps(job) {
            let variables = variables(&[workflow.root, job, step]);
            for place in checkouts(step, &variables) {
                findings.say(
                    Severity::Error,
                    "strangers-code",
                    place.span,
                    "a run with this repository's secrets checks out what a pull request brings: whoever opens one runs code with them",
                    "use the event `pull_request`; SecretZero plans the merge result without a checkout of the head",
                );
            }
        }
    }
}

/// The texts by which a step checks out a head.
fn checkouts(step: &Spanned<Node>, variables: &[(String, String)]) -> Vec<Spanned<String>> {
    let checks_out = uses(step).is_some_and(|uses| uses.value.to_ascii_lowercase().starts_with("actions/checkout@"));
    let with = get(step, "with").filter(|_| checks_out);
    let refs = with.map(|with| [texts_of(with, "ref"), texts_of(with, "repository")].concat()).unwrap_or_default();
    let is_head = |text: &str| {
        let text = expanded(text, variables).to_ascii_lowercase();
        HEADS.iter().any(|part| text.contains(part))
    };
    let brings = |run: &Spanned<String>| {
        let words = run.value.split_whitespace().collect::<Vec<_>>().join(" ");
        words.contains("gh pr checkout") || (BRINGS.iter().any(|one| words.contains(one)) && is_head(&run.value))
    };
    let runs = texts_of(step, "run").into_iter().filter(brings);
    refs.into_iter().filter(|text| is_head(&text.value)).chain(runs).collect()
}

/// The variables that a step sees, the inner ones last.
fn variables(places: &[&Spanned<Node>]) -> Vec<(String, String)> {
    let entries = places.iter().filter_map(|place| match get(place, "env").map(|env| &env.value) {
        Some(Node::Map(entries)) => Some(entries),
        _ => None,
    });
    let one = |(name, value): &(Spanned<String>, Spanned<Node>)| {
        Some((name.value.clone(), texts(value).into_iter().next()?.value))
    };
    entries.flatten().filter_map(one).collect()
}

/// A text with what its variables stand for behind it.
fn expanded(text: &str, variables: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for _ in 0..EXPANSIONS_MAX {
        for (name, value) in variables.iter().rev() {
            let forms = [format!("env.{name}"), format!("${name}"), format!("${{{name}}}"), format!("env['{name}']")];
            if forms.iter().any(|form| text.contains(form)) && !text.contains(value) {
                text.push(' ');
                text.push_str(value);
            }
        }
    }
    text
}
