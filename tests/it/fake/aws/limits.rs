//! Patterns and sizes of both services, from their API models
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>,
//! <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>).

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::Refusal;
use super::world::{Paging, World};

/// A text member of a request.
pub(super) fn text<'j>(body: &'j Json, name: &str) -> Option<&'j str> {
    body.get(name).and_then(Json::as_str)
}

/// The elements of a list member.
pub(super) fn list<'j>(body: &'j Json, name: &str) -> &'j [Json] {
    body.get(name).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// A list of texts.
pub(super) fn texts<'j>(body: &'j Json, name: &str) -> Vec<&'j str> {
    list(body, name).iter().filter_map(Json::as_str).collect()
}

pub(super) fn refuse_unless(right: bool, code: &str) -> Result<(), Refusal> {
    if right { Ok(()) } else { Err(Refusal::new(code)) }
}

/// `Tags: [{Key, Value}]`, at most 50, keys of 1–128 and values of 0–256 characters, never `aws:…`.
pub(super) fn tags(body: &Json) -> Result<BTreeMap<String, String>, Refusal> {
    let mut tags = BTreeMap::new();
    for tag in list(body, "Tags") {
        let (key, value) = (text(tag, "Key").unwrap_or_default(), text(tag, "Value").unwrap_or_default());
        let sizes = (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256;
        refuse_unless(sizes && !key.starts_with("aws:"), "InvalidParameterException")?;
        tags.insert(key.to_owned(), value.to_owned());
    }
    refuse_unless(tags.len() <= 50, "InvalidParameterException")?;
    Ok(tags)
}

/// SSM's tags are narrower: `^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`
/// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Tag.html>).
pub(super) fn parameter_tags(body: &Json) -> Result<BTreeMap<String, String>, Refusal> {
    let tags = tags(body).map_err(|_| Refusal::new("ValidationException"))?;
    let allowed = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c));
    refuse_unless(tags.iter().all(|(key, value)| allowed(key) && allowed(value)), "ValidationException")?;
    Ok(tags)
}

/// 1–512 of `A-Za-z0-9/_+=.@-`.
pub(super) fn secret_name(name: &str) -> Result<(), Refusal> {
    let allowed = name.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c));
    refuse_unless(allowed && (1..=512).contains(&name.len()), "ValidationException")
}

/// `a-zA-Z0-9_.-/`, with its ARN at most 1,011 characters, at most 15 levels, not `aws…` or `ssm…`
/// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html>).
pub(super) fn parameter_name(name: &str) -> Result<(), Refusal> {
    let allowed = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/".contains(c));
    let bare = name.trim_start_matches('/').to_ascii_lowercase();
    let reserved = bare.starts_with("aws") || bare.starts_with("ssm");
    let absolute = name.starts_with('/') || !name.contains('/');
    let arn_length = "arn:aws:ssm:us-east-1:123456789012:parameter".len();
    let fits = !name.is_empty() && name.len() + arn_length <= 1011;
    refuse_unless(allowed && !reserved && absolute && fits, "ValidationException")?;
    refuse_unless(bare.matches('/').count() < 15, "HierarchyLevelLimitExceededException")
}

/// A key that is AWS's own, or known.
pub(super) fn key(world: &World, key: Option<&str>, code: &str) -> Result<(), Refusal> {
    let known = key.is_none_or(|key| key.contains("alias/aws/") || world.keys.is_empty() || world.keys.contains(key));
    refuse_unless(known, code)
}

/// An array of at most ten policies in at most 4,096 characters, of three types, one Expiration.
pub(super) fn policies(text: &str) -> Result<Vec<Json>, Refusal> {
    let parsed: Vec<Json> = serde_json::from_str(text).map_err(|_| Refusal::new("InvalidPolicyAttributeException"))?;
    refuse_unless(text.len() <= 4096, "ValidationException")?;
    refuse_unless(parsed.len() <= 10, "PoliciesLimitExceededException")?;
    let kinds: Vec<&str> = parsed.iter().filter_map(|policy| policy.get("Type").and_then(Json::as_str)).collect();
    let known = ["Expiration", "ExpirationNotification", "NoChangeNotification"];
    refuse_unless(
        kinds.len() == parsed.len() && kinds.iter().all(|kind| known.contains(kind)),
        "InvalidPolicyTypeException",
    )?;
    let expirations = kinds.iter().filter(|kind| **kind == "Expiration").count();
    refuse_unless(expirations <= 1, "IncompatiblePolicyException")?;
    Ok(parsed)
}

/// One page of a list: the items, and the token of the next page.
pub(super) fn page<T>(
    items: Vec<T>,
    body: &Json,
    size_max: usize,
    paging: Paging,
) -> Result<(Vec<T>, Option<String>), Refusal> {
    let asked = body.get("MaxResults").and_then(Json::as_u64).and_then(|n| usize::try_from(n).ok());
    let size = asked.unwrap_or(size_max);
    refuse_unless((1..=size_max).contains(&size), "ValidationException")?;
    let size = paging.size_max.map_or(size, |most| size.min(most));
    let token = text(body, "NextToken");
    let (full, start) = token.map_or((!paging.empty, "0"), |token| {
        token.strip_prefix("full:").map_or((!paging.empty, token), |start| (true, start))
    });
    let start: usize = start.parse().map_err(|_| Refusal::new("InvalidNextTokenException"))?;
    if !full {
        return Ok((Vec::new(), Some(format!("full:{start}"))));
    }
    if paging.endless {
        return Ok((items.into_iter().take(size).collect(), Some(token.unwrap_or("0").to_owned())));
    }
    let next = (start + size < items.len()).then(|| (start + size).to_string());
    Ok((items.into_iter().skip(start).take(size).collect(), next))
}
