//! Federated credentials and role definitions of Azure.
//!
//! <https://learn.microsoft.com/graph/api/resources/federatedidentitycredential>

use super::Lint;
use super::rights;
use super::subject::{Beside, Compared, judge};
use super::tree::{entry, get, head, texts, texts_of};
use super::verifier::issuer;
use crate::diagnostic::{Spanned, quote};
use crate::manifest::node::Node;

/// The audiences that Entra takes (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation>).
const AUDIENCES: &[&str] =
    &["api://AzureADTokenExchange", "api://AzureADTokenExchangeUSGov", "api://AzureADTokenExchangeChina"];

pub(super) fn look(lint: &mut Lint<'_>, map: &Spanned<Node>) {
    if let Some((_, actions)) = entry(map, &["DataActions"]) {
        lint.is("role of Azure");
        rights::other(lint, &texts(actions));
    }
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

/// `claims['sub'] matches 'repo:…'`
/// (<https://learn.microsoft.com/entra/workload-id/workload-identities-flexible-federated-identity-credentials>).
fn matching(lint: &mut Lint<'_>, expression: &Spanned<Node>) {
    let values = get(expression, "value").map_or_else(|| texts(expression), texts);
    let claim = regex::Regex::new(r"claims\['(\w+)'\]\s+(eq|matches)\s+'([^']*)'");
    for value in values {
        let found: Vec<(String, String, String)> = claim
            .iter()
            .flat_map(|claim| claim.captures_iter(&value.value))
            .map(|one| (one[1].to_owned(), one[2].to_owned(), one[3].to_owned()))
            .collect();
        let mut subjects = 0;
        for (claim, operator, text) in found {
            if claim == "sub" {
                subjects += 1;
                let compared = if operator == "eq" { Compared::Exactly } else { Compared::Glob };
                judge(lint, &Spanned::new(text, value.span), compared, Beside::default());
            }
        }
        if subjects == 0 {
            let help = "begin it with `claims['sub'] matches 'repo:OWNER/NAME:…'`";
            lint.error("no-subject", value.span, "the expression does not look at the subject", help);
        }
    }
}
