//! A secret of a vault: a text of at most 25 KB with tags, dates and a content type of its own in each
//! version (<https://learn.microsoft.com/azure/key-vault/secrets/about-secrets>).

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Serialize;

use super::model::{Bundle, Collection, Item};
use super::objects::{self, NewAttributes, Object};
use super::wire::{Call, Wire};
use super::{Part, VALUE_BYTES_MAX, attributes, stamp};
use crate::clock::{Clock as _, SystemClock};
use crate::limiter::{Repeat, quota};
use crate::provider::{Error, ErrorKind, Expect, Result, Stored, VersionId, WriteOptions};
use crate::secret::{SecretValue, Shape, Value};
use crate::target::KeyVaultSettings;

/// The body of a PUT; no `Debug`, it holds a value.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Put<'v> {
    value: &'v str,
    tags: BTreeMap<String, String>,
    attributes: NewAttributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
}

/// A secret of which only the name is known.
pub(super) fn named(vault_url: String, name: &str) -> KeyVaultSettings {
    KeyVaultSettings {
        vault_url,
        secret_name: name.to_owned(),
        content_type: None,
        enabled: None,
        expires_on: None,
        not_before: None,
        tags: BTreeMap::new(),
    }
}

/// The newest version's value.
pub(super) async fn read(wire: &Wire, settings: &KeyVaultSettings, shape: &Shape) -> Result<Stored> {
    let object = Part::Secret(settings).object();
    let path = [Collection::Secrets.path(), object.name];
    let call = Call::get("secrets/get", object.vault, object.name, &path);
    let bundle: Bundle = match wire.send(&quota::KEY_VAULT_OTHER, Repeat::Read, &call).await {
        Ok(bundle) => bundle,
        Err(error) if error.kind == ErrorKind::NotFound => return Err(absent(wire, object, error).await),
        Err(error) => return Err(error),
    };
    let version = Item { id: bundle.id, ..Item::default() }.version().map(str::to_owned);
    let (Some(text), Some(version)) = (bundle.value, version) else {
        return Err(Error::new(ErrorKind::NotFound, format!("the {} has no value", object.shown())));
    };
    let value = Value::from_text(SecretValue::from(text), shape).map_err(|error| {
        let message = format!("{}: {error}; write it again or adopt it", object.shown());
        Error::new(ErrorKind::Invalid, message)
    })?;
    Ok(Stored { value, version })
}

/// Absent, or in the recycle bin.
async fn absent(wire: &Wire, object: Object<'_>, error: Error) -> Error {
    match objects::deleted(wire, object).await {
        Ok(Some(_)) => {
            let message = format!("the {} is soft-deleted; a sync recovers it", object.shown());
            Error::new(ErrorKind::PendingDeletion, message)
        }
        _ => error,
    }
}

/// Stores a new version with everything that is declared. The vault offers no condition, so what stands
/// there is looked at first; a second writer within that moment is seen by whoever looks back.
pub(super) async fn write(
    wire: &Wire,
    settings: &KeyVaultSettings,
    value: &Value,
    options: &WriteOptions,
) -> Result<VersionId> {
    let object = Part::Secret(settings).object();
    let text = value.to_text();
    let text = acceptable(object, &text)?;
    let current = objects::current(wire, object).await?;
    objects::expected(object, current.as_ref(), &options.expect)?;
    if let Some(item) = &current {
        objects::enabled(Part::Secret(settings), item)?;
    }
    let date = |when: Option<_>| when.and_then(|when| attributes::seconds(when, &options.generation));
    let mark = objects::mark(options, stamp::announced(SystemClock.now().as_second()));
    let kept = current.as_ref().and_then(|item| item.content_type.clone());
    let put = Put {
        value: text,
        tags: objects::tags(current.as_ref(), &settings.tags, mark),
        attributes: NewAttributes {
            enabled: Some(settings.enabled.unwrap_or(true)),
            nbf: date(settings.not_before),
            exp: date(settings.expires_on),
        },
        content_type: settings.content_type.clone().or(kept),
    };
    let path = [Collection::Secrets.path(), object.name];
    let body = Some(objects::body(object, &put)?);
    let call = Call { method: Method::PUT, body, ..Call::get("secrets/set", object.vault, object.name, &path) };
    let made: Item = wire.send(&quota::KEY_VAULT_CREATE, Repeat::Once, &call).await?;
    if options.expect == Expect::Absent {
        not_overtaken(wire, object, &made).await?;
    }
    objects::settle(wire, object, &made, options).await
}

/// Two runs may both have seen nothing and both created: the newer version counts for both of them, if
/// the older one's writer sees it.
async fn not_overtaken(wire: &Wire, object: Object<'_>, made: &Item) -> Result<()> {
    match objects::current(wire, object).await {
        Ok(Some(newest)) if newest.version() != made.version() => {
            let message = format!("another run created the {} at the same moment", object.shown());
            Err(Error::new(ErrorKind::Conflict, message))
        }
        // The value is written; whoever looks next sees the rest.
        _ => Ok(()),
    }
}

/// The value as a vault takes it: a text within its limit.
fn acceptable<'v>(object: Object<'_>, value: &'v SecretValue) -> Result<&'v str> {
    let refuse = |why: String| Error::new(ErrorKind::Invalid, format!("{}: {why}", object.shown()));
    if value.len() > VALUE_BYTES_MAX {
        let bytes = value.len();
        return Err(refuse(format!(
            "the value has {bytes} bytes, more than the {VALUE_BYTES_MAX} that Key Vault takes"
        )));
    }
    value.expose_text().ok_or_else(|| refuse("the value is no UTF-8 text, and Key Vault takes nothing else".into()))
}
