//! Roles, settings and policies of Vault and OpenBao.
//!
//! <https://developer.hashicorp.com/vault/api-docs/auth/jwt>

use super::rights;
use super::subject::{Beside, Compared, any_runner, judge};
use super::tree::{entry, get, head, texts, texts_of};
use super::verifier::{algorithms, issuer};
use super::{Lint, Phase};
use crate::diagnostic::{Span, Spanned, quote};
use crate::manifest::node::Node;

/// Claims that say which repository it is, and survive a rename.
const IDS: &[&str] = &["repository_id", "project_id"];
/// Claims that say it by a name.
const NAMES: &[&str] = &["repository", "project_path"];
/// Claims that say which of its runs it is.
const RUNS: &[&str] =
    &["ref", "ref_path", "environment", "job_workflow_ref", "ref_protected", "event_name", "pipeline_source"];

pub(super) fn look(lint: &mut Lint<'_>, map: &Spanned<Node>) {
    let has = |names: &[&str]| entry(map, names).is_some();
    if has(&["bound_audiences", "bound_claims", "bound_subject"]) {
        role(lint, map);
    } else if has(&["oidc_discovery_url", "jwks_url", "jwt_validation_pubkeys", "jwks_pairs"]) {
        settings(lint, map);
    }
    if let Some(paths) = get(map, "path") {
        policy(lint, map, paths);
    }
}

fn role(lint: &mut Lint<'_>, role: &Spanned<Node>) {
    lint.is("role of Vault");
    let place = head(lint.source, role);
    let audiences = texts_of(role, "bound_audiences");
    if audiences.is_empty() {
        let message = "no `bound_audiences`: a token that was made for another service does as well, or Vault refuses every one that has an audience";
        lint.error("no-audience", place, message, "add `\"bound_audiences\": [\"…\"]`");
    }
    let claims = get(role, "bound_claims");
    let claim = |name: &str| claims.map(|claims| texts_of(claims, name)).unwrap_or_default();
    let any = |names: &[&str]| names.iter().any(|name| !claim(name).is_empty());
    let glob = texts_of(role, "bound_claims_type").iter().any(|kind| kind.value == "glob");
    let compared = if glob { Compared::Glob } else { Compared::Exactly };
    let beside = Beside { id: any(IDS), reference: any(&["ref", "ref_path"]) };
    let subjects: Vec<Spanned<String>> = claim("sub");
    for subject in &subjects {
        judge(lint, subject, compared, beside);
    }
    let bound = texts_of(role, "bound_subject");
    for subject in &bound {
        judge(lint, subject, Compared::Exactly, beside);
    }
    if subjects.is_empty() && bound.is_empty() {
        let place = entry(role, &["bound_claims"]).map_or(place, |(key, _)| key.span);
        by_claims(lint, place, &claim, compared);
    } else {
        by_event(lint, &claim);
    }
    if let Some(value) = texts_of(role, "verbose_oidc_logging").first().filter(|value| value.value == "true") {
        let message = "the server writes tokens and claims into its log";
        lint.error("token-logged", value.span, message, "set `verbose_oidc_logging` to false");
    }
    if !any(&["runner_environment"]) {
        any_runner(lint, place);
    }
    leeways(lint, role, place);
}

/// A role without a subject.
fn by_claims(lint: &mut Lint<'_>, place: Span, claim: &dyn Fn(&str) -> Vec<Spanned<String>>, compared: Compared) {
    let any = |names: &[&str]| names.iter().any(|name| !claim(name).is_empty());
    if !any(IDS) && !any(NAMES) {
        let help = "add `\"bound_claims\": {\"sub\": \"…\", \"repository_id\": \"…\"}`; `secretzero trust generate --cloud vault` prints it";
        lint.error("no-subject", place, "nothing says which repository is trusted", help);
        return;
    }
    if !any(IDS) {
        let message = "the role trusts a name: whoever takes it over after a rename or a deletion is trusted";
        lint.warning("names-not-ids", place, message, "bind `repository_id` (GitLab: `project_id`) as well");
    }
    for value in NAMES.iter().flat_map(|name| claim(name)) {
        if compared == Compared::Glob && value.value.contains('*') {
            let message = format!("{} trusts more than one repository", quote(&value.value));
            lint.error("wide-subject", value.span, message, "write the exact name, and its id");
        }
        let own = lint.known.repository.clone().unwrap_or_else(|| value.value.clone());
        if value.value != own && value.value.trim_end_matches('/').eq_ignore_ascii_case(&own) {
            let message = format!("the repository is spelt {}, and claims are compared letter by letter", quote(&own));
            lint.error("case-or-slash", value.span, message, "spell it as the forge does");
        }
    }
    if any(RUNS) {
        by_event(lint, claim);
        return;
    }
    let message = "every run of the repository is trusted, pull requests and every branch among them";
    lint.error("wide-subject", place, message, "bind `sub`, or `ref` and `event_name`, as well");
}

/// Pull requests, as the claim of the event tells them.
fn by_event(lint: &mut Lint<'_>, claim: &dyn Fn(&str) -> Vec<Spanned<String>>) {
    let events = claim("event_name").into_iter().chain(claim("pipeline_source"));
    let pull = events.map(|event| (matches!(event.value.as_str(), "pull_request" | "merge_request_event"), event.span));
    let pull = pull.into_iter().find(|(is_pull, _)| *is_pull);
    let branch = claim("ref").into_iter().chain(claim("environment")).chain(claim("ref_protected")).next();
    let facts = &mut lint.linted.facts;
    facts.trusts_branch = facts.trusts_branch.or(branch.map(|value| value.span));
    if let Some((_, span)) = pull {
        facts.trusts_pull_request = facts.trusts_pull_request.or(Some(span));
        if lint.known.phase == Some(Phase::Sync) {
            let message = "a role that may write trusts pull requests: whoever opens one has it";
            lint.error("pull-request-may-write", span, message, "bind the default branch's `ref` and its events");
        }
    }
}

/// Vault allows up to 150 seconds where nothing is said.
fn leeways(lint: &mut Lint<'_>, role: &Spanned<Node>, place: Span) {
    let missing = ["expiration_leeway", "not_before_leeway"].iter().find(|name| texts_of(role, name).is_empty());
    if let Some(name) = missing {
        let message = format!("`{name}` is 150 seconds where it is not set: an expired token still does");
        lint.note("skew", place, message, "set both to 60 or less");
    }
}

/// The settings of a mount: whose tokens are looked at at all.
fn settings(lint: &mut Lint<'_>, map: &Spanned<Node>) {
    lint.is("settings of Vault");
    let place = head(lint.source, map);
    for value in texts_of(map, "oidc_discovery_url")
        .iter()
        .chain(&texts_of(map, "jwks_url"))
        .chain(&texts_of(map, "bound_issuer"))
    {
        issuer(lint, value);
    }
    if texts_of(map, "bound_issuer").is_empty() {
        let message = "no `bound_issuer`: whoever has a key of the set may name any issuer";
        lint.error("no-issuer", place, message, "set it to the exact `iss` of the tokens");
    }
    match entry(map, &["jwt_supported_algs"]) {
        Some((key, value)) => algorithms(lint, key.span, &texts(value)),
        None => {
            let message = "no `jwt_supported_algs`: every algorithm that Vault knows is accepted";
            lint.warning("weak-algorithm", place, message, "set it to `RS256`, or to what the issuer signs with");
        }
    }
    if let Some((key, _)) = entry(map, &["jwt_validation_pubkeys"]) {
        let message = "the issuer's keys are kept here, so its next key is refused until somebody writes it";
        lint.note("static-keys", key.span, message, "use `oidc_discovery_url` where Vault can reach the issuer");
    }
}

/// A policy: what its paths allow.
fn policy(lint: &mut Lint<'_>, map: &Spanned<Node>, first: &Spanned<Node>) {
    // Each block is an entry `path` of its own.
    let Node::Map(entries) = &map.value else { return };
    let blocks = entries.iter().filter(|(key, _)| key.value == "path").map(|(_, block)| block);
    let has_capabilities = |block: &Spanned<Node>| match &block.value {
        Node::Map(paths) => paths.iter().any(|(_, rules)| get(rules, "capabilities").is_some()),
        _ => false,
    };
    if !has_capabilities(first) {
        return;
    }
    lint.is("policy of Vault");
    for block in blocks {
        let Node::Map(paths) = &block.value else { continue };
        for (path, rules) in paths {
            let capabilities = texts_of(rules, "capabilities");
            let has = |names: &[&str]| {
                capabilities.iter().find(|one| names.contains(&one.value.as_str())).map(|one| one.span)
            };
            let own = path.value.starts_with("auth/token/");
            let values = path.value.contains("/data/") || path.value.ends_with('*') || path.value.contains("/creds/");
            let reads = has(&["read", "sudo"]).filter(|_| values && !path.value.contains("/metadata/"));
            let writes = has(&["create", "update", "patch", "delete", "sudo"]).filter(|_| !own);
            rights::note(lint, reads, writes);
        }
    }
}
