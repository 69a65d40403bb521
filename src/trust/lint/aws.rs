//! Policies of AWS: whom a role trusts, and what it may do.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>

use super::Lint;
use super::claims;
use super::pattern::{Compared, glob};
use super::rights;
use super::subject::any_runner;
use super::tree::{entry, get, head, items, texts, texts_of};
use crate::diagnostic::{Span, Spanned, quote};
use crate::manifest::node::Node;

/// One test of a condition.
struct Test<'n> {
    /// Without `ForAnyValue:` and `IfExists`, in lower case.
    operator: String,
    /// Whether it also passes where the token lacks the claim.
    optional: bool,
    /// The claim, in lower case.
    claim: String,
    /// The key as written.
    key: &'n Spanned<String>,
    values: Vec<Spanned<String>>,
}

impl Test<'_> {
    fn compared(&self) -> Option<Compared> {
        match self.operator.as_str() {
            "stringequals" | "stringequalsignorecase" | "arnequals" => Some(Compared::Exactly),
            "stringlike" | "arnlike" => Some(Compared::Glob),
            _ => None,
        }
    }

    /// The same for any cloud, if it says what the claim may be.
    fn asked(&self) -> Option<claims::Test> {
        let compared = self.compared()?;
        Some(claims::Test { claim: self.claim.clone(), compared, values: self.values.clone() })
    }
}

/// The call by which a token of a forge becomes a role.
const WEB_IDENTITY: &str = "sts:assumerolewithwebidentity";

pub(super) fn look(lint: &mut Lint<'_>, map: &Spanned<Node>) {
    let Some(statements) = get(map, "Statement") else { return };
    for statement in items(statements) {
        let allows = texts_of(statement, "Effect").first().is_none_or(|effect| effect.value == "Allow");
        let actions = texts_of(statement, "Action");
        let excepted = texts_of(statement, "NotAction");
        if !allows || (actions.is_empty() && excepted.is_empty()) {
            continue;
        }
        let web = actions.iter().any(|action| glob(&action.value.to_ascii_lowercase(), WEB_IDENTITY))
            || (!excepted.is_empty()
                && !excepted.iter().any(|one| glob(&one.value.to_ascii_lowercase(), WEB_IDENTITY)));
        match get(statement, "Principal") {
            Some(principal) if web => trust(lint, statement, principal),
            Some(_) => {}
            None => {
                lint.is("rights policy of AWS");
                rights::aws(lint, &actions);
                rights::aws_all_but(lint, &excepted);
            }
        }
    }
}

fn trust(lint: &mut Lint<'_>, statement: &Spanned<Node>, principal: &Spanned<Node>) {
    lint.is("trust policy of AWS");
    let federated = texts_of(principal, "Federated");
    let anyone = texts(principal).iter().chain(&federated).any(|who| who.value == "*");
    if anyone {
        let message = "`Principal: *` trusts every issuer of tokens";
        lint.error(
            "any-issuer",
            principal.span,
            message,
            "name the identity provider: `{\"Federated\": \"arn:aws:iam::…\"}`",
        );
    }
    let host =
        federated.first().and_then(|arn| Some((arn.value.split_once(":oidc-provider/")?.1.to_owned(), arn.span)));
    if let Some((host, span)) = &host {
        issuer(lint, host, *span);
    }
    let spelt = host.as_ref().map(|(host, _)| spelling(host));
    let tests = tests(lint, statement, spelt.as_deref());
    let place = entry(statement, &["Condition"]).map_or_else(|| head(lint.source, statement), |(key, _)| key.span);
    audience(lint, &tests, place);
    subject(lint, &tests, place);
    let github = host.is_none_or(|(host, _)| host.contains("githubusercontent"));
    if github && !tests.iter().any(|test| test.claim == "runner_environment") {
        any_runner(lint, place);
    }
}

/// What a condition tests; a key of another issuer than the principal's is told.
fn tests<'n>(lint: &mut Lint<'_>, statement: &'n Spanned<Node>, host: Option<&str>) -> Vec<Test<'n>> {
    let mut tests = Vec::new();
    let Some(Node::Map(operators)) = get(statement, "Condition").map(|condition| &condition.value) else {
        return tests;
    };
    for (operator, keys) in operators {
        let lower = operator.value.to_ascii_lowercase();
        let bare = lower.trim_start_matches("foranyvalue:").trim_start_matches("forallvalues:");
        let optional = bare.ends_with("ifexists") || lower.starts_with("forallvalues:");
        let Node::Map(keys) = &keys.value else { continue };
        for (key, values) in keys {
            let Some((of, claim)) = key.value.rsplit_once(':') else { continue };
            let is_known = !of.contains("${") && !of.eq_ignore_ascii_case("aws");
            if is_known && host.is_some_and(|host| !host.contains("${") && !of.eq_ignore_ascii_case(host)) {
                let message =
                    format!("{} names another issuer than the principal, so the token never has it", quote(&key.value));
                lint.error("case-or-slash", key.span, message, format!("write `{}:{claim}`", host.unwrap_or_default()));
            }
            let (operator, claim) = (bare.trim_end_matches("ifexists").to_owned(), claim.to_ascii_lowercase());
            tests.push(Test { operator, optional, claim, key, values: texts(values) });
        }
    }
    tests
}

fn audience(lint: &mut Lint<'_>, tests: &[Test<'_>], place: Span) {
    let help = "add `\"StringEquals\": {\"ISSUER:aud\": \"sts.amazonaws.com\"}`";
    let found: Vec<&Test<'_>> = tests.iter().filter(|test| test.claim == "aud" && test.compared().is_some()).collect();
    if found.is_empty() {
        let message = "no condition on the audience: a token that was made for another service does as well";
        lint.error("no-audience", place, message, help);
    }
    for test in found {
        optional(lint, test);
        let compared = test.compared().unwrap_or(Compared::Exactly);
        if let Some(wide) = test.values.iter().find(|value| value.value.contains(compared.wild())) {
            let every = if wide.value == "*" { "every audience" } else { "every audience that looks so" };
            lint.error("no-audience", wide.span, format!("{} accepts {every}", quote(&wide.value)), help);
        }
    }
}

fn subject(lint: &mut Lint<'_>, tests: &[Test<'_>], place: Span) {
    let found: Vec<&Test<'_>> = tests.iter().filter(|test| test.claim == "sub" && test.compared().is_some()).collect();
    if found.is_empty() {
        lint.error(
            "no-subject",
            place,
            "no condition on the subject: every repository of the forge is trusted",
            "add `\"StringEquals\": {\"ISSUER:sub\": \"repo:OWNER/NAME:…\"}`; `secretzero trust generate --cloud aws` prints it",
        );
        return;
    }
    for test in found {
        optional(lint, test);
        if test.operator == "stringequalsignorecase" {
            let message = "the case of the subject is not looked at";
            lint.warning("case-or-slash", test.key.span, message, "use `StringEquals`");
        }
    }
    let sure = tests.iter().filter(|test| !test.optional || test.claim == "sub");
    let asked: Vec<claims::Test> = sure.filter_map(Test::asked).collect();
    claims::judge(lint, place, &asked);
}

fn optional(lint: &mut Lint<'_>, test: &Test<'_>) {
    if test.optional {
        let message = format!("{} also passes where the token has no such claim", quote(&test.key.value));
        lint.error(
            "optional-condition",
            test.key.span,
            message,
            "use the operator without `IfExists` and `ForAllValues`",
        );
    }
}

/// An issuer as it is written without its scheme.
fn issuer(lint: &mut Lint<'_>, host: &str, span: Span) {
    let right = spelling(host);
    if host != right {
        let message = format!("{} is no issuer: the name is compared letter by letter", quote(host));
        lint.error("case-or-slash", span, message, format!("write `{right}`"));
    }
}

/// An issuer without a scheme, in lower case, without a `/` at the end.
fn spelling(host: &str) -> String {
    let bare = host.trim_start_matches("https://").trim_end_matches('/');
    let name = bare.split('/').next().unwrap_or(bare);
    bare.replacen(name, &name.to_ascii_lowercase(), 1)
}
