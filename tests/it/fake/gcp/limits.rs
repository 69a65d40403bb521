//! What the API accepts. Patterns and sizes:
//! <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets> and
//! <https://cloud.google.com/secret-manager/quotas>.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use secretzero::clock::{Clock as _, SystemClock};
use serde_json::{Map, Value as Json};

use super::Refusal;

/// Fields of a secret that a client may send.
const INPUT: &[&str] = &[
    "annotations",
    "etag",
    "expireTime",
    "labels",
    "name",
    "replication",
    "rotation",
    "topics",
    "ttl",
    "versionAliases",
    "versionDestroyTtl",
];

/// Fields that a mask may name.
const MASKED: &[&str] =
    &["annotations", "expireTime", "labels", "replication", "rotation", "topics", "ttl", "versionAliases"];

pub(super) fn need(right: bool) -> Result<(), Refusal> {
    if right { Ok(()) } else { Err(Refusal::new(400, "INVALID_ARGUMENT")) }
}

/// 1–255 letters, digits, `-` and `_`.
pub(super) fn secret_id(id: &str) -> Result<(), Refusal> {
    need((1..=255).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)))
}

/// The body of a request as an object with known fields only: JSON of protocol buffers refuses others.
pub(super) fn fields(body: &[u8], known: &[&str]) -> Result<Map<String, Json>, Refusal> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    let parsed: Map<String, Json> = serde_json::from_slice(body).map_err(|_| Refusal::new(400, "INVALID_ARGUMENT"))?;
    need(parsed.keys().all(|key| known.contains(&key.as_str())))?;
    Ok(parsed)
}

/// A secret as a client sends it, with `ttl` turned into `expireTime`, which is the only one answered.
pub(super) fn secret(body: &[u8]) -> Result<Map<String, Json>, Refusal> {
    let mut fields = fields(body, INPUT)?;
    labels(fields.get("labels"))?;
    annotations(fields.get("annotations"))?;
    topics(fields.get("topics"))?;
    rotation(fields.get("rotation"))?;
    need(!(fields.contains_key("ttl") && fields.contains_key("expireTime")))?;
    if let Some(ttl) = fields.shift_remove("ttl") {
        let ends = duration(&ttl).and_then(|ttl| SystemClock.now().checked_add(ttl).ok());
        fields.insert("expireTime".into(), ends.map(|at| at.to_string()).into());
    }
    if let Some(at) = fields.get("expireTime") {
        need(time(at).is_some_and(|at| at > SystemClock.now()))?;
    }
    Ok(fields)
}

/// The fields that a mask names, which must not be empty.
pub(super) fn mask(text: Option<&str>) -> Result<BTreeSet<String>, Refusal> {
    let camel = |path: &str| {
        let mut parts = path.split('.').next().unwrap_or_default().split('_');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |name, part| name + &part[..1].to_ascii_uppercase() + &part[1..])
    };
    let paths: BTreeSet<String> =
        text.unwrap_or_default().split(',').filter(|path| !path.is_empty()).map(camel).collect();
    need(!paths.is_empty() && paths.iter().all(|path| MASKED.contains(&path.as_str())))?;
    Ok(paths)
}

fn texts(json: Option<&Json>) -> Result<Vec<(String, String)>, Refusal> {
    let Some(json) = json else { return Ok(Vec::new()) };
    let pairs =
        json.as_object().map(|map| map.iter().map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect());
    pairs.flatten().ok_or_else(|| Refusal::new(400, "INVALID_ARGUMENT"))
}

/// At most 64; keys `[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}`, values likewise without the first rule.
fn labels(json: Option<&Json>) -> Result<(), Refusal> {
    let labels = texts(json)?;
    let fits = |text: &str| {
        text.chars().count() <= 63
            && text.len() <= 128
            && text.chars().all(|c| (c.is_alphanumeric() && !c.is_uppercase()) || "_-".contains(c))
    };
    let first = |text: &str| text.chars().next().is_some_and(|c| c.is_alphabetic() && !c.is_uppercase());
    need(labels.len() <= 64 && labels.iter().all(|(key, value)| fits(key) && first(key) && fits(value)))
}

/// Keys of 1–63 characters that begin and end alphanumeric, with `-`, `_` and `.` between; 16 KiB in all.
fn annotations(json: Option<&Json>) -> Result<(), Refusal> {
    let annotations = texts(json)?;
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let key = |key: &str| {
        (1..=63).contains(&key.len())
            && edge(key.chars().next())
            && edge(key.chars().next_back())
            && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let size: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    need(annotations.iter().all(|(name, _)| key(name)) && size < 16 * 1024)
}

/// At most ten of `projects/*/topics/*`.
fn topics(json: Option<&Json>) -> Result<(), Refusal> {
    let topics = json.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let fits = |topic: &Json| {
        let parts: Vec<&str> = topic.get("name").and_then(Json::as_str).unwrap_or_default().split('/').collect();
        matches!(parts[..], ["projects", project, "topics", name] if !project.is_empty() && !name.is_empty())
    };
    need(topics.len() <= 10 && topics.iter().all(fits))
}

/// A period of an hour to a hundred years, which needs a next time at least five minutes ahead.
fn rotation(json: Option<&Json>) -> Result<(), Refusal> {
    let Some(json) = json else { return Ok(()) };
    let period = json.get("rotationPeriod").map(|period| duration(period).map_or(0, |period| period.as_secs()));
    let next = json.get("nextRotationTime");
    let ahead = |at: &Json| time(at).is_some_and(|at| at >= SystemClock.now() + SignedDuration::from_secs(300));
    need(period.is_none_or(|seconds| (3600..=3_153_600_000).contains(&seconds) && next.is_some()))?;
    need(next.is_none_or(ahead))
}

/// After a change or creation: who rotates must have somebody to notify
/// (<https://cloud.google.com/secret-manager/docs/secret-rotation>).
pub(super) fn together(fields: &Map<String, Json>) -> Result<(), Refusal> {
    let topics = fields.get("topics").and_then(Json::as_array).is_some_and(|topics| !topics.is_empty());
    need(!fields.contains_key("rotation") || topics)
}

/// Exactly one policy; the key of an automatic one is global, that of a location lies in it
/// (<https://cloud.google.com/secret-manager/docs/cmek>).
pub(super) fn replication(json: Option<&Json>) -> Result<(), Refusal> {
    let json = json.and_then(Json::as_object).ok_or_else(|| Refusal::new(400, "INVALID_ARGUMENT"))?;
    need(json.len() == 1)?;
    if let Some(automatic) = json.get("automatic") {
        return need(key_fits(automatic, "global"));
    }
    let replicas = json.get("userManaged").and_then(|managed| managed.get("replicas")).and_then(Json::as_array);
    let replicas = replicas.ok_or_else(|| Refusal::new(400, "INVALID_ARGUMENT"))?;
    let places = places(replicas);
    need(!replicas.is_empty() && places.len() == replicas.len() && places.iter().all(|place| !place.is_empty()))?;
    need(replicas.iter().all(|replica| key_fits(replica, replica["location"].as_str().unwrap_or_default())))
}

fn places(replicas: &[Json]) -> BTreeSet<String> {
    replicas.iter().map(|replica| replica["location"].as_str().unwrap_or_default().to_owned()).collect()
}

fn key_fits(of: &Json, location: &str) -> bool {
    let Some(key) = of.get("customerManagedEncryption").map(|key| key["kmsKeyName"].as_str().unwrap_or_default())
    else {
        return true;
    };
    let parts: Vec<&str> = key.split('/').collect();
    matches!(parts[..], ["projects", _, "locations", at, "keyRings", _, "cryptoKeys", _] if at == location)
}

/// Replication is immutable but for its keys.
pub(super) fn same_places(old: &Json, new: &Json) -> Result<(), Refusal> {
    let of = |json: &Json| json["userManaged"]["replicas"].as_array().map(|replicas| places(replicas));
    need(of(old) == of(new))
}

fn time(json: &Json) -> Option<Timestamp> {
    json.as_str()?.parse().ok()
}

fn duration(json: &Json) -> Option<SignedDuration> {
    json.as_str()?.strip_suffix('s')?.parse().ok().map(SignedDuration::from_secs)
}
