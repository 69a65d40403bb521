//! Providers of Google's workload identity pools: their condition above all.
//!
//! <https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines>

use regex::Regex;

use super::rights;
use super::subject::{Beside, Compared, any_runner, judge};
use super::tree::{entry, get, head, texts, texts_of};
use super::verifier::issuer;
use super::{Lint, Phase};
use crate::diagnostic::{Span, Spanned, quote};
use crate::manifest::node::Node;

/// One test of a condition: `assertion.CLAIM OPERATOR 'VALUE'`.
struct Test {
    claim: String,
    operator: String,
    values: Vec<String>,
}

pub(super) fn look(lint: &mut Lint<'_>, map: &Spanned<Node>) {
    if let Some((_, permissions)) = entry(map, &["includedPermissions", "permissions"])
        && texts(permissions).iter().any(|one| one.value.starts_with("secretmanager."))
    {
        lint.is("role of Google");
        rights::other(lint, &texts(permissions));
    }
    for member in texts_of(map, "member").iter().chain(&texts_of(map, "members")) {
        principal(lint, member);
    }
    let command = texts_of(map, "command")
        .into_iter()
        .any(|text| text.value.contains("providers create-oidc") || text.value.contains("providers update-oidc"));
    let has = |name: &str| get(map, name).is_some();
    if !command && !has("attributeCondition") && !has("attributeMapping") {
        return;
    }
    lint.is("provider of Google");
    let oidc = get(map, "oidc").unwrap_or(map);
    for value in texts_of(oidc, "issuerUri") {
        issuer(lint, &value);
    }
    if let Some((key, _)) = entry(oidc, &["jwksJson", "jwk-json-path"]) {
        let message = "the issuer's keys are kept here, so its next key is refused until somebody uploads it";
        lint.note("static-keys", key.span, message, "leave them out where Google can reach the issuer");
    }
    let conditions = texts_of(map, "attributeCondition");
    match conditions.first().filter(|text| !text.value.trim().is_empty()) {
        Some(text) => condition(lint, text),
        None => {
            let message = "no attribute condition: every repository of the forge is trusted";
            let help = "add one on `assertion.repository_id`; `secretzero trust generate --cloud gcp` prints it";
            lint.error("no-subject", head(lint.source, map), message, help);
        }
    }
}

/// A member of a binding.
fn principal(lint: &mut Lint<'_>, member: &Spanned<String>) {
    let Some((_, rest)) = member.value.split_once("workloadIdentityPools/") else { return };
    lint.is("binding of Google");
    let attribute = rest.split_once("/attribute.").map(|(_, attribute)| attribute);
    let wide = match attribute {
        None => rest.ends_with("/*"),
        Some(attribute) => attribute.starts_with("repository_owner") || attribute.starts_with("namespace"),
    };
    if wide {
        let message = format!("{} trusts every repository that the pool knows", quote(rest));
        lint.error("wide-subject", member.span, message, "bind `attribute.repository_id/ID`");
    }
}

fn condition(lint: &mut Lint<'_>, text: &Spanned<String>) {
    let tests = tests(&text.value);
    let alternatives = text.value.split("||").count();
    if alternatives > 1
        && tests.iter().any(|test| test.claim == "repository_owner" || test.claim == "repository_owner_id")
    {
        let message = "one of the alternatives may trust every repository of an owner";
        lint.warning(
            "wide-subject",
            text.span,
            message,
            "say `&&` for what must be true together, and bind each repository by itself",
        );
    }
    let find = |names: &[&str]| tests.iter().find(|test| names.contains(&test.claim.as_str()));
    let id = find(&["repository_id", "project_id"]);
    let beside = Beside { id: id.is_some(), reference: find(&["ref", "ref_path"]).is_some() };
    let subject = find(&["sub", "google.subject"]);
    if let Some(subject) = subject {
        judge_subject(lint, text.span, subject, beside);
    }
    for test in tests.iter().filter(|test| test.operator == "matches" && test.claim != "sub") {
        unanchored(lint, text.span, test);
    }
    let name = find(&["repository", "project_path"]);
    if id.is_none() && subject.is_none() {
        match name {
            Some(test) => named(lint, text.span, test),
            None => {
                let message = "the condition names no repository: it trusts every one of the owner or the forge";
                lint.error("wide-subject", text.span, message, "ask for `assertion.repository_id == 'ID'`");
            }
        }
    }
    if subject.is_none() {
        event(lint, text.span, &tests);
    }
    if find(&["runner_environment"]).is_none() {
        any_runner(lint, text.span);
    }
    if let Some(path) = name.and_then(|test| test.values.first()) {
        spelling(lint, text.span, path);
    }
}

/// Only a name.
fn named(lint: &mut Lint<'_>, span: Span, test: &Test) {
    let value = test.values.first().map(String::as_str).unwrap_or_default();
    if test.operator == "startsWith" {
        let message = format!("every repository whose name begins with {} is trusted", quote(value));
        lint.error("pattern-crosses", span, message, "compare with `==`");
    } else {
        let message = "the condition trusts a name: whoever takes it over after a rename or a deletion is trusted";
        lint.warning("names-not-ids", span, message, "ask for `assertion.repository_id` as well");
    }
}

fn spelling(lint: &mut Lint<'_>, span: Span, path: &str) {
    let Some(own) = lint.known.repository.clone() else { return };
    if path != own && path.trim_end_matches('/').eq_ignore_ascii_case(&own) {
        let message = format!("the repository is spelt {}, and claims are compared letter by letter", quote(&own));
        lint.error("case-or-slash", span, message, "spell it as the forge does");
    }
}

fn judge_subject(lint: &mut Lint<'_>, span: Span, test: &Test, beside: Beside) {
    for value in &test.values {
        let (text, compared) = match test.operator.as_str() {
            "matches" => (value.clone(), Compared::Search),
            "startsWith" => (format!("{value}*"), Compared::Glob),
            "endsWith" => (format!("*{value}"), Compared::Glob),
            "contains" => (format!("*{value}*"), Compared::Glob),
            _ => (value.clone(), Compared::Exactly),
        };
        judge(lint, &Spanned::new(text, span), compared, beside);
    }
}

fn unanchored(lint: &mut Lint<'_>, span: Span, test: &Test) {
    for value in test.values.iter().filter(|value| !(value.starts_with('^') && value.ends_with('$'))) {
        let message = format!("{} matches anywhere in `{}`", quote(value), test.claim);
        lint.error("unanchored-pattern", span, message, "begin it with `^` and end it with `$`, or compare with `==`");
    }
}

/// Which runs of the repository are trusted.
fn event(lint: &mut Lint<'_>, span: Span, tests: &[Test]) {
    let of = |names: &[&str]| tests.iter().filter(|test| names.contains(&test.claim.as_str())).collect::<Vec<_>>();
    let events = of(&["event_name", "pipeline_source"]);
    let pulls = events.iter().any(|test| {
        test.operator != "!="
            && test.values.iter().any(|value| value == "pull_request" || value == "merge_request_event")
    });
    let bound = of(&["ref", "ref_path", "environment", "job_workflow_ref", "ref_protected"]);
    let facts = &mut lint.linted.facts;
    if pulls {
        facts.trusts_pull_request = facts.trusts_pull_request.or(Some(span));
        if lint.known.phase == Some(Phase::Sync) {
            let message = "a role that may write trusts pull requests: whoever opens one has it";
            lint.error("pull-request-may-write", span, message, "ask for `assertion.ref == 'refs/heads/main'` instead");
        }
        return;
    }
    if bound.is_empty() {
        let message = "every run of the repository is trusted, pull requests and every branch among them";
        lint.error(
            "wide-subject",
            span,
            message,
            "ask for `assertion.ref`, `assertion.environment` or `assertion.event_name` as well",
        );
        return;
    }
    facts.trusts_branch = facts.trusts_branch.or(Some(span));
    if bound.iter().all(|test| test.claim == "environment") {
        let message = "whatever branch may deploy to the environment is trusted, which no file shows";
        let help = "ask for `assertion.ref` as well, or allow only the default branch to deploy there";
        lint.note("environment-needs-branch-rule", span, message, help);
    }
}

/// The tests of a condition in CEL, in its order.
fn tests(condition: &str) -> Vec<Test> {
    let pattern = concat!(
        r#"(?:assertion|attribute)\.(\w+)\s*(==|!=|in)\s*(\[[^\]]*\]|'[^']*'|"[^"]*")"#,
        r#"|(?:assertion|attribute)\.(\w+)\.(matches|startsWith|endsWith|contains)\(\s*r?('[^']*'|"[^"]*")"#,
        r#"|(google\.subject)\s*(==)\s*('[^']*'|"[^"]*")"#,
    );
    let (Ok(pattern), Ok(text)) = (Regex::new(pattern), Regex::new(r#"'([^']*)'|"([^"]*)""#)) else {
        return Vec::new();
    };
    let one = |found: regex::Captures<'_>| {
        let groups: Vec<&str> = found.iter().skip(1).flatten().map(|group| group.as_str()).collect();
        let [claim, operator, values] = groups[..] else { return None };
        let values = text.captures_iter(values).filter_map(|value| value.get(1).or(value.get(2)));
        let values = values.map(|value| value.as_str().to_owned()).collect();
        Some(Test { claim: claim.to_owned(), operator: operator.to_owned(), values })
    };
    pattern.captures_iter(condition).filter_map(one).collect()
}
