//! Entries of key-value stores: a JSON object of fields each, in version 2 with metadata and versions.

pub(super) mod list;
pub(super) mod v1;
pub(super) mod v2;

use serde_json::{Map, Value as Json};

use crate::mark::MARK_KEY;
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::{SecretValue, Shape, Value};
use crate::target::{Attributes, KvSettings};

/// Largest entry of the usual storage, in bytes
/// (<https://developer.hashicorp.com/vault/docs/internals/limits#storage-entry-size>).
pub(super) const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// The metadata that the settings ask for.
pub(super) fn desired(settings: &KvSettings) -> Attributes {
    settings.metadata.iter().map(|(name, value)| (format!("tag:{name}"), value.clone())).collect()
}

/// Custom metadata as attributes, without the mark.
fn attributes(custom: &Map<String, Json>) -> Attributes {
    let texts = custom.iter().filter(|(name, _)| *name != MARK_KEY);
    texts.filter_map(|(name, value)| Some((format!("tag:{name}"), value.as_str()?.to_owned()))).collect()
}

/// The place as a person knows it.
fn at(settings: &KvSettings) -> String {
    format!("{}/{}", settings.mount_point, settings.path)
}

/// The fields that stand for a value.
fn fields(settings: &KvSettings, value: &Value) -> Result<Map<String, Json>> {
    let refuse = |why: String| Error::new(ErrorKind::Invalid, format!("{}: {why}", at(settings)));
    if value.to_text().len() > VALUE_BYTES_MAX {
        return Err(refuse(format!("Vault takes values of at most {VALUE_BYTES_MAX} bytes")));
    }
    let text = |value: &SecretValue| {
        let why = "Vault stores JSON, and the value is not UTF-8; encode it, for example as base64";
        value.expose_text().map(|text| Json::String(text.to_owned())).ok_or_else(|| refuse(why.into()))
    };
    let mut object = Map::new();
    match value {
        Value::Single(value) => drop(object.insert(settings.key.clone(), text(value)?)),
        Value::Fields(fields) => {
            for (name, value) in fields {
                object.insert(name.clone(), text(value)?);
            }
        }
    }
    Ok(object)
}

/// What stands there with our fields in place of those of the same names; the others are somebody
/// else's and stay.
fn merged(settings: &KvSettings, stored: &Json, ours: Map<String, Json>) -> Result<Map<String, Json>> {
    let mut whole = match stored {
        Json::Object(object) => object.clone(),
        Json::Null => Map::new(),
        _ => return Err(no_object(settings)),
    };
    whole.extend(ours);
    Ok(whole)
}

fn no_object(settings: &KvSettings) -> Error {
    Error::new(ErrorKind::Invalid, format!("{}: what stands there is no object of fields", at(settings)))
}

/// Nothing is written over fields that nobody here may see.
fn would_lose(settings: &KvSettings, ours: &Map<String, Json>, error: &Error) -> Error {
    let names: Vec<String> = ours.keys().map(|name| format!("`{name}`")).collect();
    let message = format!(
        "{}: {} cannot be written without losing the fields of others that may stand beside: {}",
        at(settings),
        names.join(", "),
        error.message
    );
    Error::new(ErrorKind::PermissionDenied, message)
}

/// The value that an object of fields stands for; what is no text keeps its JSON. Fields that are not
/// declared are somebody else's and no part of it.
fn value(settings: &KvSettings, shape: &Shape, stored: &Json) -> Result<Value> {
    let refuse = |why: String| Error::new(ErrorKind::Invalid, format!("{}: {why}", at(settings)));
    let Some(object) = stored.as_object() else { return Err(no_object(settings)) };
    let text = |member: &Json| match member {
        Json::String(text) => SecretValue::from(text.as_str()),
        other => SecretValue::from(other.to_string()),
    };
    if let Shape::Fields(names) = shape {
        let ours = names.iter().filter_map(|name| Some((name.clone(), text(object.get(name)?))));
        return Ok(Value::Fields(ours.collect()));
    }
    // A former place does not tell its field: the only one, or a usual one.
    let usual =
        || if object.len() == 1 { object.values().next() } else { object.get("password").or(object.get("value")) };
    let member = if settings.key.is_empty() { usual() } else { object.get(&settings.key) };
    let key = if settings.key.is_empty() { "value" } else { &settings.key };
    let count = object.len();
    let lacks =
        || refuse(format!("it has no field `{key}` among its {count}; name the field that holds it with `key:`"));
    Ok(Value::Single(text(member.ok_or_else(lacks)?)))
}
