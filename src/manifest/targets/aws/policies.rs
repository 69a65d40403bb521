//! The `policies` of an SSM parameter: when it expires, and when somebody is told
//! (<https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policies.html>).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::super::Config;
use crate::diagnostic::Span;
use crate::manifest::node::Node;

/// Most policies of one parameter.
const COUNT_MAX: usize = 10;
/// Longest JSON of all policies.
const CHARS_MAX: usize = 4096;

/// Policies in the form that the API takes.
pub(super) struct Policies {
    /// A JSON array with sorted keys.
    pub(super) json: String,
    /// The earliest expiration.
    pub(super) expires: Option<Timestamp>,
}

/// Reads `policies`: JSON text or YAML, one policy or a list.
pub(super) fn read(config: &Config) -> Option<Policies> {
    let (key, node) = config.fields.get("policies")?;
    let json = match &node.value {
        Node::Scalar(_) => {
            let text = config.context.reader.text_of(node, "policies")?;
            serde_json::from_str(&text.value).ok()
        }
        other => json(config, other),
    };
    let Some(json) = json else {
        let help =
            "write a list of policies: `[{\"Type\": \"Expiration\", \"Version\": \"1.0\", \"Attributes\": {…}}]`";
        config.error(node.span, "bad-policies", "`policies` is no JSON", help);
        return None;
    };
    let policies = match json {
        Json::Array(policies) => policies,
        single => {
            let message = "SSM takes a list of policies; this single one is sent as a list of one";
            config.warning(key.span, "policies-wrapped", message, "write `[…]` around it");
            vec![single]
        }
    };
    if policies.is_empty() || policies.len() > COUNT_MAX {
        let message = format!("{} policies are not 1 to {COUNT_MAX}", policies.len());
        config.error(
            key.span,
            "bad-policies",
            message,
            "SSM keeps what it has unless told otherwise; list what should count",
        );
    }
    let mut expirations = Vec::new();
    for policy in &policies {
        match check(policy) {
            Ok(expires) => expirations.extend(expires),
            Err((message, help)) => config.error(key.span, "bad-policies", message, help),
        }
    }
    if expirations.len() > 1 {
        config.error(key.span, "bad-policies", "SSM takes one Expiration only", "remove the others");
    }
    let expires = expirations.into_iter().min();
    past(config, key.span, expires);
    let json = Json::Array(policies.iter().map(sorted).collect()).to_string();
    if json.chars().count() > CHARS_MAX {
        let message = format!("the policies are longer than {CHARS_MAX} characters");
        config.error(key.span, "bad-policies", message, "shorten them");
    }
    Some(Policies { json, expires })
}

fn past(config: &Config, span: Span, expires: Option<Timestamp>) {
    if expires.is_some_and(|expires| expires <= config.context.reader.now()) {
        let message = "the Expiration lies in the past: SSM would delete the parameter as soon as it is written";
        config.warning(span, "expired", message, "choose a later Timestamp; until then this target is not written");
    }
}

/// One policy: its expiration if it is one, or what is wrong and what to do.
fn check(policy: &Json) -> Result<Option<Timestamp>, (&'static str, &'static str)> {
    let text = |name: &str| policy.get(name).and_then(Json::as_str);
    let attribute = |name: &str| policy.get("Attributes").and_then(|all| all.get(name)).and_then(Json::as_str);
    if text("Version") != Some("1.0") {
        return Err(("a policy has another Version than \"1.0\", or none", "write `\"Version\": \"1.0\"`"));
    }
    match text("Type") {
        Some("Expiration") => match attribute("Timestamp").and_then(|text| text.parse().ok()) {
            Some(timestamp) => Ok(Some(timestamp)),
            None => Err((
                "the Expiration has no Timestamp",
                "write `\"Attributes\": {\"Timestamp\": \"2030-12-31T23:59:59Z\"}`",
            )),
        },
        Some("ExpirationNotification") => count(&attribute, "Before"),
        Some("NoChangeNotification") => count(&attribute, "After"),
        _ => Err((
            "a policy has an unknown Type, or none",
            "known are: Expiration, ExpirationNotification, NoChangeNotification",
        )),
    }
}

fn count<'j>(
    attribute: &dyn Fn(&str) -> Option<&'j str>,
    name: &str,
) -> Result<Option<Timestamp>, (&'static str, &'static str)> {
    let number = attribute(name).is_some_and(|text| text.parse::<u32>().is_ok_and(|n| n > 0));
    if number && matches!(attribute("Unit"), Some("Days" | "Hours")) {
        return Ok(None);
    }
    Err((
        "a notification does not say when",
        "write `\"Attributes\": {\"Before\": \"15\", \"Unit\": \"Days\"}`, with `After` for a NoChangeNotification",
    ))
}

fn json(config: &Config, node: &Node) -> Option<Json> {
    Some(match node {
        Node::Null => return None,
        Node::Scalar(text) => Json::String(config.context.reader.expand(text, config.fields.place("policies"))?.value),
        Node::List(items) => Json::Array(items.iter().map(|item| json(config, &item.value)).collect::<Option<_>>()?),
        Node::Map(entries) => {
            let members = entries.iter().map(|(key, node)| Some((key.value.clone(), json(config, &node.value)?)));
            Json::Object(members.collect::<Option<_>>()?)
        }
    })
}

fn sorted(json: &Json) -> Json {
    match json {
        Json::Object(members) => {
            let sorted: BTreeMap<&String, &Json> = members.iter().collect();
            sorted.into_iter().map(|(name, member)| (name.clone(), self::sorted(member))).collect()
        }
        Json::Array(items) => items.iter().map(self::sorted).collect(),
        other => other.clone(),
    }
}
