//! What secrets and certificates have in common: their versions, their recycle bin, their tags.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde::Serialize;

use super::model::{Collection, Item};
use super::wire::{Call, Wire, url_host};
use super::{Part, attributes, stamp};
use crate::limiter::{Repeat, quota};
use crate::locator::Locator;
use crate::mark::{MARK_KEY, Mark};
use crate::provider::{Error, ErrorKind, Expect, Result, VersionId, WriteOptions};
use crate::secret::SecretValue;

/// Longest wait until a recovered object can be used. Minutes are usual
/// (<https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview>).
const RECOVERY_MAX: Duration = Duration::from_secs(180);

/// First wait between two looks at an object that is being recovered; it doubles up to [`LOOK_MAX`].
const LOOK_FIRST: Duration = Duration::from_millis(250);

/// Longest wait between two looks.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// One name in one vault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object<'a> {
    pub(super) collection: Collection,
    pub(super) vault: &'a str,
    pub(super) name: &'a str,
}

impl Object<'_> {
    pub(super) fn locator(&self) -> Locator {
        Locator::key_vault(url_host(self.vault), self.collection.noun(), self.name)
    }

    pub(super) fn shown(&self) -> String {
        format!("{} `{}` in {}", self.collection.noun(), self.name, url_host(self.vault))
    }

    fn right(&self, of_secret: &'static str, of_certificate: &'static str) -> &'static str {
        match self.collection {
            Collection::Secrets => of_secret,
            Collection::Certificates => of_certificate,
        }
    }
}

/// The current version of an object: the newest. `None` if the name holds none. Needs no right to read
/// values. A version's place in the list says nothing about its age.
pub(super) async fn current(wire: &Wire, object: Object<'_>) -> Result<Option<Item>> {
    let Object { collection, vault, name } = object;
    let path = [collection.path(), name, "versions"];
    let call = Call::get(object.right("secrets/list", "certificates/list"), vault, name, &path);
    let versions = match wire.all(&call).await {
        Ok(versions) => versions,
        Err(error) if error.kind == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    // Dates are whole seconds: of two versions of one second, the one with the later generation of ours.
    let generation =
        |item: &Item| item.mark().and_then(|mark| Mark::parse(mark).ok()).map_or(0, |mark| mark.generation.number);
    Ok(versions
        .into_iter()
        .filter(|item| item.version().is_some())
        .max_by_key(|item| (item.attributes.created, generation(item), item.attributes.updated)))
}

/// An object in the recycle bin, by one read.
pub(super) async fn deleted(wire: &Wire, object: Object<'_>) -> Result<Option<Item>> {
    let Object { collection, vault, name } = object;
    let path = [collection.deleted(), name];
    let call = Call::get(object.right("secrets/get", "certificates/get"), vault, name, &path);
    match wire.send::<Item>(&quota::KEY_VAULT_OTHER, Repeat::Read, &call).await {
        Ok(item) => Ok(Some(item)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Everything in the recycle bin.
pub(super) async fn all_deleted(wire: &Wire, collection: Collection, vault: &str) -> Result<Vec<Item>> {
    let object = Object { collection, vault, name: "" };
    let path = [collection.deleted()];
    wire.all(&Call::get(object.right("secrets/list", "certificates/list"), vault, "", &path)).await
}

/// Takes an object back from the recycle bin and waits until it can be used.
pub(super) async fn recover(wire: &Wire, object: Object<'_>) -> Result<()> {
    let Object { collection, vault, name } = object;
    let path = [collection.deleted(), name, "recover"];
    let action = object.right("secrets/recover", "certificates/recover");
    let call = Call { method: Method::POST, ..Call::get(action, vault, name, &path) };
    match wire.send::<Item>(&quota::KEY_VAULT_OTHER, Repeat::Safe, &call).await {
        Ok(_) => {}
        // Somebody else, or a first attempt whose answer was lost, has done it.
        Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Conflict) => {}
        Err(error) if error.kind == ErrorKind::PermissionDenied => {
            let kept = deleted(wire, object).await.ok().flatten().map_or_else(String::new, |item| kept(&item));
            return Err(Error::new(error.kind, format!("{}{kept}", error.message)));
        }
        Err(error) => return Err(error),
    }
    let (mut waited, mut wait) = (Duration::ZERO, LOOK_FIRST);
    while current(wire, object).await?.is_none() {
        if waited >= RECOVERY_MAX {
            let message = format!("the {} is still being recovered; run again in some minutes", object.shown());
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        tokio::time::sleep(wait).await;
        waited += wait;
        wait = (wait * 2).min(LOOK_MAX);
    }
    Ok(())
}

/// Why the name cannot simply be freed, for whoever may not recover it.
fn kept(item: &Item) -> String {
    let until = item.scheduled_purge_date.and_then(|second| jiff::Timestamp::from_second(second).ok());
    let until = until.map_or_else(String::new, |at| format!(" before {}", at.strftime("%Y-%m-%d")));
    let purgeable = item.attributes.recovery_level.as_deref().is_none_or(|level| level.contains("Purgeable"));
    if purgeable {
        return format!("; until then its name is taken{until}, unless somebody purges it");
    }
    format!("; the vault has purge protection, so nobody can free its name{until}: recover it, or choose another name")
}

/// Refuses what somebody disabled, unless the file says what shall become of it: whoever disabled a
/// secret, perhaps because it leaked, must not find it in use again after the next sync.
pub(super) fn enabled(part: Part<'_>, item: &Item) -> Result<()> {
    let Part::Secret(settings) = part else { return Ok(()) };
    if settings.enabled.is_some() || item.managed || item.attributes.enabled.unwrap_or(true) {
        return Ok(());
    }
    let object = part.object();
    let (vault, name) = (object.vault, object.name);
    let message = format!(
        "the {} is disabled: ask whoever disabled it; then enable it with `az keyvault secret set-attributes \
         --enabled true --id {vault}/secrets/{name}`, or declare `enabled: true` or `enabled: false`, and run again",
        object.shown()
    );
    Err(Error::new(ErrorKind::Invalid, message))
}

/// The version that must stand there, or [`ErrorKind::Conflict`].
pub(super) fn expected(object: Object<'_>, current: Option<&Item>, expect: &Expect) -> Result<()> {
    let version = current.and_then(Item::version);
    let met = match expect {
        Expect::Absent => version.is_none(),
        Expect::Version(expected) => version == Some(expected.as_str()),
    };
    if met {
        return Ok(());
    }
    let why = match (expect, version) {
        (Expect::Absent, _) => "something stands there already",
        (_, None) => "nothing stands there any more",
        _ => "its newest version is another one",
    };
    let message = format!("something else than expected is the {}: {why}", object.shown());
    Err(Error::new(ErrorKind::Conflict, message))
}

/// The text of our tag for a version.
pub(super) fn mark(options: &WriteOptions, version: String) -> String {
    options.mark(&version)
}

/// The tags of a new version: those of the one before, for they may be others' and a version has its
/// own; the declared ones; ours.
pub(super) fn tags(
    before: Option<&Item>,
    declared: &BTreeMap<String, String>,
    mark: String,
) -> BTreeMap<String, String> {
    let mut tags = before.and_then(|item| item.tags.clone()).unwrap_or_default();
    tags.extend(declared.clone());
    tags.insert(MARK_KEY.into(), mark);
    tags
}

/// Dates and state of a version, as far as they are to be set; dates are seconds.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub(super) struct NewAttributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exp: Option<i64>,
}

/// The body of a PATCH: what is not in it stays.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Patch {
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<NewAttributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
}

/// Completes the mark of a version that was just made with the version's name. A mark that stays as it
/// was announced says nearly as much, so a failure here is none of the write.
pub(super) async fn settle(wire: &Wire, object: Object<'_>, made: &Item, options: &WriteOptions) -> Result<VersionId> {
    let Some(version) = made.version() else {
        let message = format!("Azure does not say which version the {} has now", object.shown());
        return Err(Error::new(ErrorKind::Indeterminate, message));
    };
    let mark = mark(options, stamp::settled(version, made.attributes.created));
    let tags = tags(Some(made), &BTreeMap::new(), mark);
    let patch = Patch { tags, attributes: None, content_type: None };
    if let Err(error) = update(wire, object, version, &patch).await {
        tracing::debug!("the mark of {} names no version yet: {error}", object.shown());
    }
    Ok(version.to_owned())
}

/// Brings metadata in line at the version that stands there; makes no new one.
pub(super) async fn annotate(
    wire: &Wire,
    part: Part<'_>,
    changed: &[String],
    options: &WriteOptions,
) -> Result<VersionId> {
    let object = part.object();
    let current = current(wire, object).await?;
    expected(object, current.as_ref(), &options.expect)?;
    let Some((item, version)) = current.as_ref().and_then(|item| Some((item, item.version()?))) else {
        return Err(Error::new(ErrorKind::Conflict, format!("there is no {}", object.shown())));
    };
    let is_changed = |name: &str| changed.iter().any(|changed| changed == name);
    let declared = match part {
        Part::Secret(settings) => &settings.tags,
        Part::Certificate(settings) => &settings.tags,
    };
    let declared = declared.iter().filter(|(key, _)| is_changed(&format!("tag:{key}")));
    let declared = declared.map(|(key, value)| (key.clone(), value.clone())).collect();
    let mark = mark(options, stamp::settled(version, item.attributes.created));
    let mut patch = Patch { tags: tags(Some(item), &declared, mark), attributes: None, content_type: None };
    if let Part::Secret(settings) = part {
        let date = |name: &str, when| -> Option<i64> {
            attributes::seconds(Option::filter(when, |_| is_changed(name))?, &options.generation)
        };
        let new = NewAttributes {
            enabled: settings.enabled.filter(|_| is_changed("enabled")),
            nbf: date("not_before", settings.not_before),
            exp: date("expires_on", settings.expires_on),
        };
        patch.attributes = Some(new).filter(|new| *new != NewAttributes::default());
        patch.content_type = settings.content_type.clone().filter(|_| is_changed("content_type"));
    }
    update(wire, object, version, &patch).await?;
    Ok(version.to_owned())
}

async fn update(wire: &Wire, object: Object<'_>, version: &str, patch: &Patch) -> Result<()> {
    let Object { collection, vault, name } = object;
    let path = [collection.path(), name, version];
    let action = object.right("secrets/set", "certificates/update");
    let body = Some(body(object, patch)?);
    let call = Call { method: Method::PATCH, body, ..Call::get(action, vault, name, &path) };
    wire.send::<Item>(&quota::KEY_VAULT_OTHER, Repeat::Safe, &call).await?;
    Ok(())
}

/// The bytes of a request.
pub(super) fn body(object: Object<'_>, of: &impl Serialize) -> Result<SecretValue> {
    let bytes = serde_json::to_vec(of)
        .map_err(|_| Error::new(ErrorKind::Invalid, format!("no request can be made for the {}", object.shown())))?;
    Ok(SecretValue::new(bytes))
}
