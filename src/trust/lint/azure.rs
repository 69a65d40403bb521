//! Federated credentials and role definitions of Azure.
//!
//! <https://learn.microsoft.com/graph/api/resources/federatedidentitycredential>

use super::Lint;
use super::claims::{self, Test};
use super::pattern::Compared;
use super::rights;
use super::subject::{Beside, judge};
use super::tree::{entry, get, head, texts, texts_of};
use super::verifier::issuer;
use crate::diagnostic::{Span, Spanned, quote};
use crate::manifest::node::Node;

/// The audiences that Entra takes (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation>).
const AUDIENCES: &[&str] =
    &["api://AzureADTokenExchange", "api://AzureADTokenExchangeUSGov", "api://AzureADTokenExchangeChina"];

pub(super) fn look(lint: &mut Lint<'_>, map: &Spanned<Node>) {
    if entry(map, &["DataActions", "AssignableScopes"]).is_some() {
        lint.is("role of Azure");
        for (given, taken) in [("Actions", "NotActions"), ("DataActions", "NotDataActions")] {
            rights::other(lint, &texts_of(map, given), &texts_of(map, taken));
        }
    }
    assignment(lint, map);
    let expression = get(map, "claimsMatchingExpression");
    let has = |name: &str| get(map, name).is_some();
    let credential = has("issuer") && (has("subject") || has("audiences") || expression.is_some());
    // A provider block of another kind may have these names too; rules of octo-sts have no audiences.
    if !credential || has("permissions") {
        return;
    }
    lint.is("federated credential of Azure");
    let place = head(lint.source, map);
    for value in texts_of(map, "issuer") {
        issuer(lint, &value);
    }
    let audiences = texts_of(map, "audiences");
    match audiences.as_slice() {
        [] => lint.error(
            "no-audience",
            place,
            "the credential names no audience",
            format!("add `\"audiences\": [\"{}\"]`", AUDIENCES[0]),
        ),
        [one] if AUDIENCES.contains(&one.value.as_str()) => {}
        [one] => {
            let message = format!("{} is none of the audiences that Entra takes", quote(&one.value));
            lint.warning("audience", one.span, message, format!("`{}` is the public cloud's", AUDIENCES[0]));
        }
        [_, second, ..] => {
            lint.error("audience", second.span, "a credential takes one audience", "leave the others out");
        }
    }
    match (texts_of(map, "subject").as_slice(), expression) {
        ([], None) => {
            let help = "add `\"subject\": \"repo:OWNER/NAME:…\"`; `secretzero trust generate --cloud azure` prints it";
            lint.error("no-subject", place, "the credential names no subject", help);
        }
        ([], Some(expression)) => matching(lint, expression),
        (subjects, _) => {
            for subject in subjects {
                judge(lint, subject, Compared::Exactly, Beside::default());
            }
        }
    }
}

/// `az role assignment create --role …`, or the same in Terraform.
fn assignment(lint: &mut Lint<'_>, map: &Spanned<Node>) {
    let is_command = texts_of(map, "command").iter().any(|text| text.value.starts_with("az role assignment create"));
    let named = entry(map, &["role_definition_name", "role_definition_id"]);
    let roles = if is_command { texts_of(map, "role") } else { named.map(|(_, role)| texts(role)).unwrap_or_default() };
    if is_command || named.is_some() {
        lint.is("assignment of Azure");
    }
    roles.iter().for_each(|role| rights::predefined(lint, role));
}

/// `claims['sub'] matches 'repo:…' and claims['job_workflow_ref'] eq '…'`
/// (<https://learn.microsoft.com/entra/workload-id/workload-identities-flexible-federated-identity-credentials>).
fn matching(lint: &mut Lint<'_>, expression: &Spanned<Node>) {
    let values = get(expression, "value").map_or_else(|| texts(expression), texts);
    for value in values {
        let tests: Option<Vec<Test>> = value.value.split(" and ").map(|term| test(term, value.span)).collect();
        match tests {
            Some(tests) if tests.iter().any(|test| test.claim == "sub") => {
                claims::judge(lint, value.span, &tests);
            }
            Some(_) => {
                let help = "begin it with `claims['sub'] matches 'repo:OWNER/NAME:…'`";
                lint.error("no-subject", value.span, "the expression does not look at the subject", help);
            }
            None => {
                let message = "this expression cannot be read here, so whom it trusts is not known";
                let help = "write it as `claims['sub'] matches 'repo:OWNER/NAME:…'`, with `and` between several";
                lint.error("not-understood", value.span, message, help);
            }
        }
    }
}

fn test(term: &str, span: Span) -> Option<Test> {
    let form = regex::Regex::new(r"^\s*claims\['(\w+)'\]\s+(eq|matches)\s+'([^']*)'\s*$").ok()?;
    let found = form.captures(term)?;
    let compared = if &found[2] == "eq" { Compared::Exactly } else { Compared::Glob };
    Some(Test { claim: found[1].to_owned(), compared, values: vec![Spanned::new(found[3].to_owned(), span)] })
}
