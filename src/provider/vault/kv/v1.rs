//! Version 1 of the key-value store: one value, no version, no metadata, no check-and-set.
//!
//! Nothing there can carry a mark, so the lock tells what is ours. Whether something stands there is
//! told by the list of its folder and by nothing else, so that a plan never fetches a value. A write
//! takes along the fields of others, which it reads before.
//! Facts: <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v1>.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};
use tokio::sync::OnceCell;

use super::super::session::Session;
use super::super::wire::Request;
use super::{at, fields, merged, value, would_lose};
use crate::limiter::{Repeat, quota};
use crate::provider::{Error, ErrorKind, Expect, Observed, Result, Stored, VersionId, WriteOptions};
use crate::secret::{Shape, Value};
use crate::target::{Attributes, KvSettings, Place, TargetSettings};

/// Where its value stands.
pub(in super::super) fn path(settings: &KvSettings) -> String {
    format!("{}/{}", settings.mount_point, settings.path)
}

/// The folder of an entry, and its name in it.
fn parts(settings: &KvSettings) -> (String, &str) {
    match settings.path.rsplit_once('/') {
        Some((folder, name)) => (format!("{}/{folder}", settings.mount_point), name),
        None => (settings.mount_point.clone(), &settings.path),
    }
}

/// The names in each folder that is asked about, listed once.
pub(in super::super) struct Folders(BTreeMap<String, OnceCell<Result<BTreeSet<String>>>>);

impl Folders {
    pub(in super::super) fn of(places: &[&Place]) -> Self {
        let folders = places.iter().filter_map(|place| match &place.settings {
            TargetSettings::Kv(settings) if settings.version == 1 => Some((parts(settings).0, OnceCell::new())),
            _ => None,
        });
        Self(folders.collect())
    }

    async fn holds(&self, session: &Session, settings: &KvSettings) -> Result<bool> {
        let (folder, name) = parts(settings);
        let list = || async {
            let answer = session.find(Request::list(folder.clone())).await?;
            Ok(answer.iter().flat_map(|answer| answer.keys()).map(str::to_owned).collect())
        };
        match self.0.get(&folder) {
            Some(listed) => {
                listed.get_or_init(list).await.as_ref().map(|names| names.contains(name)).map_err(Clone::clone)
            }
            None => list().await.map(|names: BTreeSet<String>| names.contains(name)),
        }
    }
}

/// Whether something stands there, as the list of its folder tells; the value is never fetched.
pub(in super::super) async fn observe(
    session: &Session,
    settings: &KvSettings,
    folders: &Folders,
) -> Result<Option<Observed>> {
    let holds = folders.holds(session, settings).await.map_err(|error| match error.kind {
        ErrorKind::PermissionDenied => unlisted(settings, &error),
        _ => error,
    });
    if !holds? {
        session.check_mount(&settings.mount_point, 1).await?;
        return Ok(None);
    }
    Ok(Some(Observed {
        version: String::new(),
        mark: None,
        attributes: Attributes::new(),
        pending_deletion: false,
        managed_by: None,
        from_list: false,
    }))
}

fn unlisted(settings: &KvSettings, error: &Error) -> Error {
    let message = format!(
        "whether {} exists is told by the list of its folder alone, since nothing else in a mount of version 1 tells it \
         without the value; grant `list` on `{}/`. {}",
        at(settings),
        parts(settings).0,
        error.message
    );
    Error::new(ErrorKind::PermissionDenied, message)
}

/// The value.
pub(in super::super) async fn read(session: &Session, settings: &KvSettings, shape: &Shape) -> Result<Stored> {
    let answer = session.call(&quota::VAULT_READ, Repeat::Read, Request::read(path(settings))).await?;
    Ok(Stored { value: value(settings, shape, answer.whole())?, version: String::new() })
}

/// Stores a value and leaves the fields of others beside it. What stands there is looked at first;
/// nothing prevents a rival in between.
pub(in super::super) async fn write(
    session: &Session,
    settings: &KvSettings,
    value: &Value,
    options: &WriteOptions,
) -> Result<VersionId> {
    let fields = fields(settings, value)?;
    let there = observe(session, settings, &Folders::of(&[])).await?.is_some();
    let wanted = matches!(options.expect, Expect::Version(_));
    if there != wanted {
        let why = if there { "an entry of this name exists already" } else { "nothing stands there any more" };
        return Err(Error::new(
            ErrorKind::Conflict,
            format!("something else stands at {} than expected: {why}", at(settings)),
        ));
    }
    let whole = if there { beside(session, settings, fields).await? } else { fields };
    let request = Request::update(path(settings), Json::Object(whole));
    session.call(&quota::VAULT_WRITE, Repeat::Safe, request).await?;
    Ok(String::new())
}

/// Our fields with those of others that stand there.
async fn beside(session: &Session, settings: &KvSettings, ours: Map<String, Json>) -> Result<Map<String, Json>> {
    match session.find(Request::read(path(settings))).await {
        Ok(Some(answer)) => merged(settings, answer.whole(), ours),
        Ok(None) => Ok(ours),
        Err(error) if error.kind == ErrorKind::PermissionDenied => Err(would_lose(settings, &ours, &error)),
        Err(error) => Err(error),
    }
}

/// There is nothing to mark; only that something stands there is made sure of.
pub(in super::super) async fn annotate(session: &Session, settings: &KvSettings) -> Result<VersionId> {
    match observe(session, settings, &Folders::of(&[])).await? {
        Some(seen) => Ok(seen.version),
        None => Err(Error::new(ErrorKind::Conflict, format!("nothing stands at {} any more", at(settings)))),
    }
}
