//! What any verifier of tokens may get wrong: the issuer, the algorithm, the clocks, patterns.

use super::Lint;
use super::pattern::Compared;
use super::subject::{Beside, judge};
use super::tree::{get, texts, texts_of};
use crate::diagnostic::{Span, Spanned, quote};
use crate::manifest::node::Node;

/// Most seconds that clocks may differ.
const SKEW_SECONDS_MAX: f64 = 60.0;

pub(super) fn look(lint: &mut Lint<'_>, map: &Spanned<Node>) {
    let Node::Map(entries) = &map.value else { return };
    // A rule of octo-sts that names its subject as a whole.
    let is_map = |value: &Spanned<Node>| matches!(value.value, Node::Map(_));
    if get(map, "issuer").is_some() && get(map, "permissions").is_some_and(is_map) {
        lint.is("rule of octo-sts");
        texts_of(map, "issuer").iter().for_each(|one| issuer(lint, one));
        texts_of(map, "subject").iter().for_each(|one| judge(lint, one, Compared::Exactly, Beside::default()));
    }
    for (key, value) in entries {
        let name = key.value.to_ascii_lowercase().replace('-', "_");
        let values = texts(value);
        match name.as_str() {
            "issuer_pattern" => issuer_pattern(lint, &values),
            "subject_pattern" => {
                lint.is("rule of octo-sts");
                values.iter().for_each(|one| judge(lint, one, Compared::Regex, Beside::default()));
            }
            "algorithms" | "signing_algorithms" | "id_token_signing_alg_values_supported" => {
                algorithms(lint, key.span, &values)
            }
            _ if ["leeway", "skew", "clock_tolerance"].iter().any(|word| name.contains(word)) => {
                values.iter().for_each(|one| skew(lint, one));
            }
            _ => {}
        }
    }
}

/// The address of an issuer: exact, https, without a `/` at the end.
pub(super) fn issuer(lint: &mut Lint<'_>, value: &Spanned<String>) {
    let text = &value.value;
    let host = text.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if !text.starts_with("https://") {
        let message = format!("{} is not https: whoever sits on the line signs what they like", quote(text));
        lint.error("issuer", value.span, message, "write it with `https://`");
    } else if text.ends_with('/') || host.chars().any(|c| c.is_ascii_uppercase()) || text.trim() != text {
        let message = format!("{} is compared letter by letter, and no token has it", quote(text));
        let right = text.trim().trim_end_matches('/').replacen(host, &host.to_ascii_lowercase(), 1);
        lint.error("case-or-slash", value.span, message, format!("write `{right}`"));
    }
}

/// A pattern of issuers: any host that fits may sign.
fn issuer_pattern(lint: &mut Lint<'_>, values: &[Spanned<String>]) {
    lint.is("rule of octo-sts");
    for value in values {
        let escaped = value.value.replace(r"\.", "");
        if escaped.contains('.') || escaped.contains("[^") {
            let message = format!(
                "{} lets more than one host sign, and its keys are fetched from wherever the token says",
                quote(&value.value)
            );
            lint.error("any-issuer", value.span, message, "name the issuer itself: `issuer: https://…`");
        }
    }
}

/// An algorithm without a signature, or with a key that both sides hold.
pub(super) fn algorithms(lint: &mut Lint<'_>, place: Span, values: &[Spanned<String>]) {
    for value in values.iter().flat_map(|value| value.value.split(',').map(|one| Spanned::new(one.trim(), value.span)))
    {
        let upper = value.value.to_ascii_uppercase();
        if upper == "NONE" || upper.starts_with("HS") {
            let message = match upper.as_str() {
                "NONE" => "`none` accepts tokens without a signature".to_owned(),
                _ => format!(
                    "{} takes the issuer's public key for a shared secret, so anybody can sign",
                    quote(value.value)
                ),
            };
            lint.error(
                "weak-algorithm",
                value.span,
                message,
                "accept `RS256` or `ES256`, whichever the issuer signs with",
            );
        }
    }
    if values.is_empty() {
        lint.warning(
            "weak-algorithm",
            place,
            "no algorithm is named",
            "accept `RS256` or `ES256`, whichever the issuer signs with",
        );
    }
}

/// A number of seconds, bare or with a unit.
fn skew(lint: &mut Lint<'_>, value: &Spanned<String>) {
    let text = value.value.trim();
    let (number, factor) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (
            number,
            if text.ends_with('m') {
                60.0
            } else if text.ends_with('h') {
                3600.0
            } else {
                1.0
            },
        ),
        None => (text, 1.0),
    };
    let seconds = number.parse::<f64>().map(|number| number * factor);
    if seconds.is_ok_and(|seconds| seconds > SKEW_SECONDS_MAX) {
        let message = format!("{} lets a token count for more than a minute before or after its time", quote(text));
        lint.error("skew", value.span, message, "allow 60 seconds at most");
    }
}
