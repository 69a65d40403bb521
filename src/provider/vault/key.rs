//! Keys of the transit engine: Vault makes them, and they never leave it. A key holds no value of ours.
//!
//! Vault answers 200 to the creation of a key that exists, and to settings that it silently keeps as
//! they are; so what can never change is an error before anything is done. Facts:
//! <https://developer.hashicorp.com/vault/api-docs/secret/transit>.

use serde_json::{Map, Value as Json, json};

use super::session::Session;
use super::wire::{Answer, Request};
use crate::limiter::{Repeat, quota};
use crate::provider::{Error, ErrorKind, Expect, Observed, Result, VersionId};
use crate::target::{Attributes, ROTATION, TRANSIT_KEY_TYPES, TransitKeySettings};

/// The engine that keys are asked of.
const ENGINE: &str = "transit";

/// What only the creation of a key decides.
const FIXED: [&str; 3] = ["key_type", "derived", "convergent_encryption"];

/// What can be turned on later and never off again.
const ONE_WAY: [&str; 2] = ["exportable", "allow_plaintext_backup"];

fn path(settings: &TransitKeySettings) -> String {
    format!("{}/keys/{}", settings.mount_point, settings.key_name)
}

/// What the settings ask for.
pub(super) fn desired(settings: &TransitKeySettings) -> Attributes {
    let mut attributes = Attributes::from([
        ("key_type".to_owned(), settings.key_type.clone()),
        ("derived".to_owned(), settings.derived.to_string()),
        ("convergent_encryption".to_owned(), settings.convergent_encryption.to_string()),
        ("exportable".to_owned(), settings.exportable.to_string()),
        ("allow_plaintext_backup".to_owned(), settings.allow_plaintext_backup.to_string()),
    ]);
    let period = settings.auto_rotate_period_seconds.map(|seconds| seconds.to_string());
    let deletion = settings.deletion_allowed.map(|allowed| allowed.to_string());
    let more = [("auto_rotate_period", period), ("deletion_allowed", deletion)];
    attributes.extend(more.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))));
    attributes
}

fn told(answer: &Answer) -> Attributes {
    let flag = |name: &str| answer.data(name).as_bool().unwrap_or(false).to_string();
    let flags = ["derived", "convergent_encryption", "exportable", "allow_plaintext_backup", "deletion_allowed"];
    let mut attributes: Attributes = flags.iter().map(|name| ((*name).to_owned(), flag(name))).collect();
    // Nothing but a type is shown: the word stands in plans.
    let known = TRANSIT_KEY_TYPES.iter().find(|known| answer.data("type").as_str() == Some(known));
    attributes.insert("key_type".into(), known.map_or("another type", |known| known).to_owned());
    let period = answer.data("auto_rotate_period").as_u64().unwrap_or(0);
    attributes.insert("auto_rotate_period".into(), period.to_string());
    attributes
}

async fn look(session: &Session, settings: &TransitKeySettings) -> Result<Option<(VersionId, Attributes)>> {
    let answer = session.find(Request::read(path(settings))).await?.filter(|answer| !answer.gone);
    let version = |answer: &Answer| answer.data("latest_version").as_u64().unwrap_or(0).to_string();
    Ok(answer.map(|answer| (version(&answer), told(&answer))))
}

/// What stands there; its version is that of the key in use.
pub(super) async fn observe(session: &Session, settings: &TransitKeySettings) -> Result<Option<Observed>> {
    session.check_engine(&settings.mount_point, ENGINE, "mount_point").await?;
    let Some((version, attributes)) = look(session, settings).await? else { return Ok(None) };
    changeable(settings, &attributes)?;
    Ok(Some(Observed { version, mark: None, attributes, pending_deletion: false, managed_by: None, from_list: false }))
}

/// Refuses what Vault would accept and not do.
fn changeable(settings: &TransitKeySettings, seen: &Attributes) -> Result<()> {
    let (desired, name) = (desired(settings), &settings.key_name);
    let of = |attributes: &Attributes, name: &str| attributes.get(name).cloned().unwrap_or_default();
    for setting in FIXED.iter().chain(&ONE_WAY) {
        let (there, wanted) = (of(seen, setting), of(&desired, setting));
        let turned_on = ONE_WAY.contains(setting) && wanted == "true";
        if there != wanted && !turned_on {
            let why =
                if FIXED.contains(setting) { "is fixed when a key is made" } else { "cannot be turned off again" };
            let message = format!(
                "the transit key `{name}` has `{setting}: {there}`, which {why}; declare it so, or declare another key"
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
    }
    Ok(())
}

/// Makes the key, changes its configuration, or gives it a new version; returns the version in use.
pub(super) async fn configure(
    session: &Session,
    settings: &TransitKeySettings,
    changed: &[String],
    expect: &Expect,
) -> Result<VersionId> {
    session.check_engine(&settings.mount_point, ENGINE, "mount_point").await?;
    let desired = desired(settings);
    let mut pending: Vec<&str> = changed.iter().map(String::as_str).filter(|name| *name != ROTATION).collect();
    if *expect == Expect::Absent {
        create(session, settings).await?;
        pending =
            settings.deletion_allowed.filter(|allowed| *allowed).map(|_| "deletion_allowed").into_iter().collect();
    }
    if !pending.is_empty() {
        let mut body = Map::new();
        for name in pending {
            let text = desired.get(name).map_or("", String::as_str);
            let setting = match name {
                "auto_rotate_period" => json!(format!("{text}s")),
                _ => Json::Bool(text == "true"),
            };
            body.insert(name.to_owned(), setting);
        }
        let request = Request::update(format!("{}/config", path(settings)), Json::Object(body));
        session.call(&quota::VAULT_WRITE, Repeat::Safe, request).await?;
    }
    if changed.iter().any(|name| name == ROTATION) {
        rotate(session, settings, expect).await?;
    }
    let (version, _) = look(session, settings).await?.ok_or_else(|| gone(settings))?;
    Ok(version)
}

async fn create(session: &Session, settings: &TransitKeySettings) -> Result<()> {
    let mut body = json!({
        "type": settings.key_type,
        "derived": settings.derived,
        "convergent_encryption": settings.convergent_encryption,
        "exportable": settings.exportable,
        "allow_plaintext_backup": settings.allow_plaintext_backup,
    });
    if let (Some(seconds), Some(body)) = (settings.auto_rotate_period_seconds, body.as_object_mut()) {
        body.insert("auto_rotate_period".into(), json!(format!("{seconds}s")));
    }
    session.call(&quota::VAULT_WRITE, Repeat::Safe, Request::update(path(settings), body)).await?;
    // If another run was first, the key may be another one.
    let (_, seen) = look(session, settings).await?.ok_or_else(|| gone(settings))?;
    changeable(settings, &seen)
}

/// A new version, made once: a lost reply is looked at, not repeated.
async fn rotate(session: &Session, settings: &TransitKeySettings, expect: &Expect) -> Result<()> {
    let current = look(session, settings).await?.map(|(version, _)| version);
    let Expect::Version(planned) = expect else { return Ok(()) };
    if current.as_ref() != Some(planned) {
        let message = format!("the transit key `{}` was rotated meanwhile; run again", settings.key_name);
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    let request = Request::update(format!("{}/rotate", path(settings)), json!({}));
    match session.call(&quota::VAULT_WRITE, Repeat::Once, request).await {
        Err(error) if error.kind == ErrorKind::Indeterminate => {
            let now = look(session, settings).await?.map(|(version, _)| version);
            if now == current { Err(error) } else { Ok(()) }
        }
        other => other.map(|_| ()),
    }
}

fn gone(settings: &TransitKeySettings) -> Error {
    Error::new(ErrorKind::Conflict, format!("the transit key `{}` was removed meanwhile; run again", settings.key_name))
}
