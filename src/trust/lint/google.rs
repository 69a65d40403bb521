//! Providers of Google's workload identity pools: their condition above all.
//!
//! <https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines>

use super::cel::{self, Operator, Term};
use super::claims::{self, IDS, NAMES, Test};
use super::pattern::Compared;
use super::subject::any_runner;
use super::tree::{entry, get, head, texts, texts_of};
use super::verifier::issuer;
use super::{Lint, rights};
use crate::diagnostic::{Span, Spanned, quote};
use crate::manifest::node::Node;

pub(super) fn look(lint: &mut Lint<'_>, map: &Spanned<Node>) {
    if let Some((_, permissions)) = entry(map, &["includedPermissions", "permissions"])
        && texts(permissions).iter().any(|one| one.value.starts_with("secretmanager."))
    {
        lint.is("role of Google");
        // `gcloud iam roles create --permissions=a,b`
        let all = texts(permissions).into_iter();
        let each: Vec<Spanned<String>> = all
            .flat_map(|one| {
                one.value.split(',').map(|name| Spanned::new(name.trim().to_owned(), one.span)).collect::<Vec<_>>()
            })
            .collect();
        rights::other(lint, &each, &[]);
    }
    binding(lint, map);
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
        Some(text) => condition(lint, map, text),
        None => {
            let message = "no attribute condition: every repository of the forge is trusted";
            let help = "add one on `assertion.repository_id`; `secretzero trust generate --cloud gcp` prints it";
            lint.error("no-subject", head(lint.source, map), message, help);
        }
    }
}

/// Who has a role: `gcloud … add-iam-policy-binding`, or an entry of `bindings`.
fn binding(lint: &mut Lint<'_>, map: &Spanned<Node>) {
    let command = texts_of(map, "command");
    let binds = command.iter().any(|text| text.value.contains("add-iam-policy-binding"));
    let roles = texts_of(map, "role");
    let has_members = entry(map, &["member", "members"]).is_some();
    if !(binds || (has_members && roles.iter().any(|role| role.value.contains("roles/")))) {
        return;
    }
    lint.is("binding of Google");
    roles.iter().for_each(|role| rights::predefined(lint, role));
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

/// A condition: each of its alternatives lets somebody in.
fn condition(lint: &mut Lint<'_>, map: &Spanned<Node>, text: &Spanned<String>) {
    let Some(alternatives) = cel::alternatives(&text.value) else {
        let message = "this condition cannot be read here, so whom it trusts is not known";
        let help =
            "write it with `==`, `in`, `&&`, `||`, `!` and `matches`, as `secretzero trust generate --cloud gcp` does";
        lint.error("not-understood", text.span, message, help);
        return;
    };
    let mapping = Mapping::of(map);
    for terms in &alternatives {
        alternative(lint, &mapping, text.span, terms);
    }
}

/// What must be true together.
fn alternative(lint: &mut Lint<'_>, mapping: &Mapping, span: Span, terms: &[Term]) {
    let mut unknown = terms.contains(&Term::Unknown);
    let mut tests = Vec::new();
    for term in terms {
        let Term::Test { claim, operator, values } = term else { continue };
        match mapping.claim(claim) {
            Some(claim) => tests.push(test(claim, *operator, values, span)),
            None => unknown = true,
        }
    }
    let asks = |names: &[&str]| tests.iter().any(|test| names.contains(&test.claim.as_str()));
    let enough = asks(&["sub"])
        || ((asks(IDS) || asks(NAMES))
            && asks(&["ref", "ref_path", "environment", "event_name", "pipeline_source", "phase"]));
    if unknown {
        let help = "compare claims with texts; `secretzero trust generate --cloud gcp` prints such a condition";
        if !enough {
            let message = "a part of the condition cannot be read here, and the rest of it does not say whom to trust";
            lint.error("not-understood", span, message, help);
            return;
        }
        let message = "a part of the condition cannot be read here, and is taken for no restriction";
        lint.warning("not-understood", span, message, help);
    }
    if !claims::judge(lint, span, &tests) {
        let message = "the condition, or one of its alternatives, names no repository: it trusts every one of the owner or the forge";
        let help = "ask for `assertion.repository_id == 'ID'` in each alternative of `||`; `!=` names nobody";
        lint.error("wide-subject", span, message, help);
    }
    // Our own service's tokens name a phase and no runner.
    if !asks(&["runner_environment"]) && !asks(&["phase"]) {
        any_runner(lint, span);
    }
}

fn test(claim: String, operator: Operator, values: &[String], span: Span) -> Test {
    let (compared, before, behind) = match operator {
        Operator::Is => (Compared::Exactly, "", ""),
        Operator::Matches => (Compared::Search, "", ""),
        Operator::StartsWith => (Compared::Glob, "", "*"),
        Operator::EndsWith => (Compared::Glob, "*", ""),
        Operator::Contains => (Compared::Glob, "*", "*"),
    };
    let values = values.iter().map(|value| Spanned::new(format!("{before}{value}{behind}"), span)).collect();
    Test { claim, compared, values }
}

/// Which claims of the token its attributes are.
struct Mapping(Option<Vec<(String, String)>>);

impl Mapping {
    fn of(map: &Spanned<Node>) -> Self {
        let pairs = match get(map, "attributeMapping").map(|mapping| &mapping.value) {
            Some(Node::Map(entries)) => entries
                .iter()
                .filter_map(|(key, value)| Some((key.value.clone(), texts(value).into_iter().next()?.value)))
                .collect(),
            Some(Node::Scalar(text)) => text
                .split(',')
                .filter_map(|pair| pair.split_once('='))
                .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
                .collect(),
            _ => return Self(None),
        };
        Self(Some(pairs))
    }

    /// The claim that is meant: itself, or what it is made of; nothing if that is more than a claim.
    fn claim(&self, name: &str) -> Option<String> {
        if let Some(claim) = name.strip_prefix("assertion.") {
            return Some(claim.to_owned());
        }
        let same = || match name {
            "google.subject" => Some("sub".to_owned()),
            _ => name.strip_prefix("attribute.").map(str::to_owned),
        };
        let Some(pairs) = &self.0 else { return same() };
        match pairs.iter().find(|(key, _)| key == name) {
            Some((_, value)) => {
                let claim = value.strip_prefix("assertion.")?;
                claim.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then(|| claim.to_owned())
            }
            None => same(),
        }
    }
}
