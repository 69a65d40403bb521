//! Version 2 of the key-value store: counted versions, and metadata that is read and changed by itself.
//!
//! The mark goes first, for the version to come; then the data, always with check-and-set, so that a
//! mark one version ahead describes a write that never happened. Of two runs that create one entry
//! check-and-set lets one win; if the other's mark came later, it names that run's generation, and the
//! next sync heals the other targets with the same value. A write over an entry keeps the fields of
//! others: what stands there is read and sent again, or the server merges where it may not be read. Facts:
//! <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2>.

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::super::session::Session;
use super::super::wire::{Answer, Request};
use super::{at, attributes, fields, merged, value, would_lose};
use crate::limiter::{Repeat, quota};
use crate::mark::MARK_KEY;
use crate::provider::{Error, ErrorKind, Expect, Observed, Result, Stored, VersionId, WriteOptions};
use crate::secret::{Shape, Value};
use crate::target::KvSettings;

/// What the metadata of an entry tells.
pub(super) struct About {
    /// 0 if it has metadata and no version yet.
    pub(super) version: u64,
    pub(super) custom: Map<String, Json>,
    pub(super) state: State,
}

/// What became of the current version.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Live,
    /// It can be taken back.
    Deleted,
    /// It cannot.
    Destroyed,
}

fn metadata(settings: &KvSettings) -> String {
    format!("{}/metadata/{}", settings.mount_point, settings.path)
}

/// Where its value stands.
pub(in super::super) fn data(settings: &KvSettings) -> String {
    format!("{}/data/{}", settings.mount_point, settings.path)
}

/// The metadata of an entry, if it has any.
pub(super) async fn about(session: &Session, settings: &KvSettings) -> Result<Option<About>> {
    let answer = session.find(Request::read(metadata(settings))).await?;
    Ok(answer.filter(|answer| !answer.gone).map(|answer| of(&answer)))
}

fn of(answer: &Answer) -> About {
    let version = answer.data("current_version").as_u64().unwrap_or(0);
    let current = answer.data("versions").get(version.to_string()).unwrap_or(&Json::Null);
    let destroyed = current.get("destroyed").and_then(Json::as_bool).unwrap_or(false);
    let deletion = current.get("deletion_time").and_then(Json::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    // `delete_version_after` sets a moment that may be still to come, by the server's clock.
    let deleted = deletion.is_some_and(|at| answer.sent.is_none_or(|now| at <= now));
    let state = match (destroyed, deleted) {
        (true, _) => State::Destroyed,
        (false, true) => State::Deleted,
        (false, false) => State::Live,
    };
    About { version, custom: answer.data("custom_metadata").as_object().cloned().unwrap_or_default(), state }
}

/// What stands there, without its value.
pub(in super::super) async fn observe(session: &Session, settings: &KvSettings) -> Result<Option<Observed>> {
    let Some(about) = about(session, settings).await?.filter(|about| about.version > 0) else {
        session.check_mount(&settings.mount_point, 2).await?;
        return Ok(None);
    };
    if about.state == State::Destroyed {
        let message = format!(
            "version {} of {} was destroyed, so its value is gone; remove what is left with `vault kv metadata delete \
             -mount={} {}`, then sync again",
            about.version,
            at(settings),
            settings.mount_point,
            settings.path
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(Some(Observed {
        version: about.version.to_string(),
        mark: about.custom.get(MARK_KEY).and_then(Json::as_str).map(str::to_owned),
        attributes: attributes(&about.custom),
        pending_deletion: about.state == State::Deleted,
        managed_by: None,
        from_list: false,
    }))
}

/// The current value.
pub(in super::super) async fn read(session: &Session, settings: &KvSettings, shape: &Shape) -> Result<Stored> {
    let answer = session.call(&quota::VAULT_READ, Repeat::Read, Request::read(data(settings))).await?;
    if answer.gone {
        return Err(deleted(settings));
    }
    let version = answer.data("metadata").get("version").and_then(Json::as_u64).unwrap_or(0);
    Ok(Stored { value: value(settings, shape, answer.data("data"))?, version: version.to_string() })
}

/// Announces the version to come, then stores it.
pub(in super::super) async fn write(
    session: &Session,
    settings: &KvSettings,
    value: &Value,
    options: &WriteOptions,
) -> Result<VersionId> {
    let fields = fields(settings, value)?;
    let about = about(session, settings).await?;
    let version = expected(settings, about.as_ref(), &options.expect)?;
    let next = version.saturating_add(1).to_string();
    let request = replacement(session, settings, version, &fields).await?;
    let mut entries = Map::new();
    if options.expect == Expect::Absent {
        session.check_mount(&settings.mount_point, 2).await?;
        entries.extend(settings.metadata.iter().map(|(name, text)| (name.clone(), Json::String(text.clone()))));
    }
    entries.insert(MARK_KEY.into(), Json::String(options.mark(&next)));
    annotate_with(session, settings, about.as_ref(), entries).await?;
    let merges = request.capability == "patch";
    let answer = session.call(&quota::VAULT_WRITE, Repeat::Once, request).await;
    let answer = answer.map_err(|error| match error.kind {
        ErrorKind::PermissionDenied | ErrorKind::Unsupported if merges => would_lose(settings, &fields, &error),
        ErrorKind::NotFound => unexpected(settings, "it was removed meanwhile"),
        _ => error,
    })?;
    let stored = answer.data("version").as_u64().map(|version| version.to_string());
    // Check-and-set leaves no other.
    Ok(stored.unwrap_or(next))
}

/// The request that puts our fields over this version and leaves the others of it as they are.
async fn replacement(
    session: &Session,
    settings: &KvSettings,
    version: u64,
    ours: &Map<String, Json>,
) -> Result<Request> {
    let body = |fields: &Map<String, Json>| json!({ "options": { "cas": version }, "data": fields });
    if version == 0 {
        return Ok(Request::update(data(settings), body(ours)));
    }
    let stored = match session.find(Request::read(data(settings))).await {
        Ok(stored) => stored.filter(|answer| !answer.gone),
        // The server can do what we may not see
        // (<https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#patch-secret>).
        Err(error) if error.kind == ErrorKind::PermissionDenied => {
            return Ok(Request::patch(data(settings), body(ours)));
        }
        Err(error) => return Err(error),
    };
    let stored = stored.ok_or_else(|| unexpected(settings, "it was removed meanwhile"))?;
    // A replica may still show the version before.
    if stored.data("metadata").get("version").and_then(Json::as_u64) != Some(version) {
        return Err(unexpected(settings, "its current version is another one"));
    }
    Ok(Request::update(data(settings), body(&merged(settings, stored.data("data"), ours.clone())?)))
}

/// Sets the mark for the version that stands there, and what else of the metadata differs.
pub(in super::super) async fn annotate(
    session: &Session,
    settings: &KvSettings,
    changed: &[String],
    options: &WriteOptions,
) -> Result<VersionId> {
    let about = about(session, settings).await?;
    let version = match &options.expect {
        Expect::Version(_) => expected(settings, about.as_ref(), &options.expect)?.to_string(),
        Expect::Absent => return Err(unexpected(settings, "metadata needs an entry")),
    };
    let wanted = |name: &str| changed.iter().any(|changed| changed.strip_prefix("tag:") == Some(name));
    let mut entries = Map::new();
    let differing = settings.metadata.iter().filter(|(name, _)| wanted(name));
    entries.extend(differing.map(|(name, text)| (name.clone(), Json::String(text.clone()))));
    entries.insert(MARK_KEY.into(), Json::String(options.mark(&version)));
    annotate_with(session, settings, about.as_ref(), entries).await?;
    Ok(version)
}

/// Takes the current version back from its deletion.
pub(in super::super) async fn restore(session: &Session, settings: &KvSettings) -> Result<()> {
    let about = about(session, settings).await?.filter(|about| about.version > 0);
    let about = about.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("nothing is left of {}", at(settings))))?;
    let body = json!({ "versions": [about.version] });
    let path = format!("{}/undelete/{}", settings.mount_point, settings.path);
    session.call(&quota::VAULT_WRITE, Repeat::Safe, Request::update(path, body)).await.map(|_| ())
}

/// The version that check-and-set names, if what stands there is what the writer expects.
fn expected(settings: &KvSettings, about: Option<&About>, expect: &Expect) -> Result<u64> {
    match (expect, about) {
        (_, Some(about)) if about.version > 0 && about.state == State::Deleted => Err(deleted(settings)),
        (Expect::Absent, None) => Ok(0),
        (Expect::Absent, Some(about)) if about.version == 0 => Ok(0),
        (Expect::Absent, Some(_)) => Err(unexpected(settings, "an entry of this name exists already")),
        (Expect::Version(version), Some(about)) if about.version.to_string() == *version => Ok(about.version),
        (Expect::Version(_), Some(_)) => Err(unexpected(settings, "its current version is another one")),
        (Expect::Version(_), None) => Err(unexpected(settings, "nothing stands there any more")),
    }
}

/// Adds entries to the metadata and leaves those of others alone: merged by the server where the token
/// may patch, else by us.
async fn annotate_with(
    session: &Session,
    settings: &KvSettings,
    about: Option<&About>,
    entries: Map<String, Json>,
) -> Result<()> {
    let body = |custom: &Map<String, Json>| json!({ "custom_metadata": custom });
    let Some(about) = about else {
        let request = Request::update(metadata(settings), body(&entries));
        return session.call(&quota::VAULT_WRITE, Repeat::Safe, request).await.map(|_| ());
    };
    let request = Request::patch(metadata(settings), body(&entries));
    match session.call(&quota::VAULT_WRITE, Repeat::Safe, request).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind == ErrorKind::NotFound => Err(unexpected(settings, "it was removed meanwhile")),
        // Older servers and policies do not know `patch`.
        Err(error) if matches!(error.kind, ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
            let mut merged = about.custom.clone();
            merged.extend(entries);
            let request = Request::update(metadata(settings), body(&merged));
            session.call(&quota::VAULT_WRITE, Repeat::Safe, request).await.map(|_| ())
        }
        Err(error) => Err(error),
    }
}

fn deleted(settings: &KvSettings) -> Error {
    Error::new(ErrorKind::PendingDeletion, format!("the current version of {} is deleted", at(settings)))
}

fn unexpected(settings: &KvSettings, why: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("something else stands at {} than expected: {why}", at(settings)))
}
