//! Roles, settings and policies of Vault and OpenBao.
//!
//! <https://developer.hashicorp.com/vault/api-docs/auth/jwt>

use super::claims::{self, Test};
use super::pattern::Compared;
use super::subject::any_runner;
use super::tree::{entry, get, head, texts, texts_of};
use super::verifier::{algorithms, issuer};
use super::{Lint, rights};
use crate::diagnostic::{Span, Spanned};
use crate::manifest::node::Node;

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
    if let Some(value) = texts_of(role, "verbose_oidc_logging").first().filter(|value| value.value == "true") {
        let message = "the server writes tokens and claims into its log";
        lint.error("token-logged", value.span, message, "set `verbose_oidc_logging` to false");
    }
    if is_for_people(role) {
        lint.is("role of Vault for people");
        return;
    }
    lint.is("role of Vault");
    let place = head(lint.source, role);
    if texts_of(role, "bound_audiences").is_empty() {
        let message = "no `bound_audiences`: a token that was made for another service does as well, or Vault refuses every one that has an audience";
        lint.error("no-audience", place, message, "add `\"bound_audiences\": [\"…\"]`");
    }
    let tests = tests(role);
    let bound = entry(role, &["bound_claims"]).map_or(place, |(key, _)| key.span);
    if !claims::judge(lint, bound, &tests) {
        let help = "add `\"bound_claims\": {\"sub\": \"…\", \"repository_id\": \"…\"}`; `secretzero trust generate --cloud vault` prints it";
        lint.error("no-subject", bound, "nothing says which repository is trusted", help);
    }
    // Our own service's tokens name no runner.
    let of_service = tests
        .iter()
        .any(|test| test.claim == "sub" && test.values.iter().all(|subject| subject.value.starts_with("secretzero:")));
    if !of_service && !tests.iter().any(|test| test.claim == "runner_environment") {
        any_runner(lint, place);
    }
    leeways(lint, role, place);
}

/// Whether people log in by it in a browser, whose claims are other ones.
fn is_for_people(role: &Spanned<Node>) -> bool {
    let kind = texts_of(role, "role_type").into_iter().next();
    kind.as_ref().is_some_and(|kind| kind.value == "oidc")
        || (kind.is_none() && entry(role, &["allowed_redirect_uris"]).is_some())
}

/// What a role asks of a token.
fn tests(role: &Spanned<Node>) -> Vec<Test> {
    let glob = texts_of(role, "bound_claims_type").iter().any(|kind| kind.value == "glob");
    let compared = if glob { Compared::Stars } else { Compared::Exactly };
    let claims: &[_] = match get(role, "bound_claims").map(|claims| &claims.value) {
        Some(Node::Map(entries)) => entries,
        _ => &[],
    };
    let test = |claim: &str, compared, values: Vec<Spanned<String>>| Test { claim: claim.to_owned(), compared, values };
    // A key may be a JSON pointer (`/repository_id`).
    let claims = claims.iter().map(|(claim, value)| test(claim.value.trim_start_matches('/'), compared, texts(value)));
    let subject = test("sub", Compared::Exactly, texts_of(role, "bound_subject"));
    claims.chain([subject]).filter(|test| !test.values.is_empty()).collect()
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
            if has(&["deny"]).is_some() {
                continue;
            }
            let own = path.value.starts_with("auth/token/") && path.value.ends_with("-self");
            let reads = has(&["read", "sudo"]).filter(|_| !own && !is_metadata(&path.value));
            let writes = has(&["create", "update", "patch", "delete", "sudo"]).filter(|_| !own);
            rights::note(lint, reads, writes);
        }
    }
}

/// Whether nothing below a path is a value: who may read any other one may read the secrets of version 1
/// of KV, exported keys and made-up credentials
/// (<https://developer.hashicorp.com/vault/api-docs/secret>, `/transit`, `/databases`, `/pki`).
fn is_metadata(path: &str) -> bool {
    const HARMLESS: &[&str] = &[
        "auth/",
        "identity/",
        "sys/auth",
        "sys/capabilities-self",
        "sys/health",
        "sys/internal/ui/",
        "sys/mounts",
        "sys/policies/",
        "sys/policy",
        "sys/seal-status",
    ];
    const BELOW_MOUNT: &[&str] = &[
        "ca",
        "ca_chain",
        "cert",
        "certs",
        "config",
        "crl",
        "issuer",
        "issuers",
        "keys",
        "role",
        "roles",
        "static-roles",
    ];
    if HARMLESS.iter().any(|known| path.starts_with(known)) {
        return true;
    }
    let mut parts = path.split('/');
    let mount = parts.next().unwrap_or_default();
    // A mount may have several parts; what comes first tells version 2 of KV.
    let versioned = parts.clone().find(|part| matches!(*part, "data" | "metadata" | "subkeys"));
    let is_store = mount.starts_with("secret") || mount.starts_with("kv");
    versioned.is_some_and(|part| part != "data")
        || (!is_store && mount != "sys" && parts.next().is_some_and(|part| BELOW_MOUNT.contains(&part)))
}
