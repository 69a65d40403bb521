//! What the key-value stores of a server hold, by name, without a value.

use futures_util::future::{BoxFuture, FutureExt as _, join_all, try_join_all};
use serde_json::Value as Json;

use super::super::LISTED_MAX;
use super::super::session::{Session, version_of};
use super::super::wire::Request;
use super::v2::{State, about};
use crate::mark::MARK_KEY;
use crate::provider::{Error, ErrorKind, Listed, Result};
use crate::target::{KvSettings, TargetSettings};

/// Folders within folders that are looked into.
const DEPTH_MAX: usize = 64;

/// Every entry whose path begins with the prefix, in every key-value mount that the token may see.
pub(in super::super) async fn list(session: &Session, prefix: &str) -> Result<Vec<Listed>> {
    let mounts = session.find(Request::read("sys/internal/ui/mounts".into())).await?;
    let mounts: Vec<(String, u8)> = mounts
        .iter()
        .flat_map(|answer| answer.data("secret").as_object().into_iter().flatten())
        .filter_map(|(path, mount)| Some((path.trim_end_matches('/').to_owned(), version_of(mount)?)))
        .collect();
    let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    for (mount, version) in &mounts {
        let names = match below(session, mount, *version, folder.to_owned(), DEPTH_MAX).await {
            Ok(names) => names,
            // A mount that the token may see but not list is somebody else's.
            Err(error) if error.kind == ErrorKind::PermissionDenied && mounts.len() > 1 => continue,
            Err(error) => return Err(error),
        };
        let names: Vec<String> = names.into_iter().filter(|name| name.starts_with(prefix)).collect();
        if found.len() + names.len() > LISTED_MAX {
            let message = format!("more than {LISTED_MAX} entries have such a name; choose a longer prefix");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        for listed in join_all(names.into_iter().map(|path| entry(session, mount, *version, path))).await {
            found.extend(listed?);
        }
    }
    found.sort_by(|a, b| a.settings.name().cmp(b.settings.name()));
    Ok(found)
}

/// The paths of all entries in a folder and below.
fn below<'s>(
    session: &'s Session,
    mount: &'s str,
    version: u8,
    folder: String,
    depth: usize,
) -> BoxFuture<'s, Result<Vec<String>>> {
    async move {
        let area = if version == 2 { format!("{mount}/metadata") } else { mount.to_owned() };
        let whole = if folder.is_empty() { area } else { format!("{area}/{folder}") };
        let Some(answer) = session.find(Request::list(whole)).await? else { return Ok(Vec::new()) };
        let inside = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let (folders, entries): (Vec<&str>, Vec<&str>) = answer.keys().partition(|name| name.ends_with('/'));
        let mut found: Vec<String> = entries.into_iter().map(inside).collect();
        if depth > 0 {
            let deeper = folders.iter().map(|name| inside(name.trim_end_matches('/')));
            let deeper = deeper.map(|folder| below(session, mount, version, folder, depth - 1));
            found.extend(try_join_all(deeper).await?.into_iter().flatten());
        }
        Ok(found)
    }
    .boxed()
}

async fn entry(session: &Session, mount: &str, version: u8, path: String) -> Result<Option<Listed>> {
    let mut settings = KvSettings {
        path,
        mount_point: mount.to_owned(),
        version,
        // Without reading the value nobody knows its fields.
        key: "value".into(),
        cas: None,
        metadata: Default::default(),
    };
    let (mut mark, mut pending_deletion, mut has_value) = (None, false, true);
    if version == 2 {
        let Some(about) = about(session, &settings).await? else { return Ok(None) };
        mark = about.custom.get(MARK_KEY).and_then(Json::as_str).map(str::to_owned);
        let texts = about.custom.iter().filter(|(name, _)| *name != MARK_KEY);
        settings.metadata =
            texts.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect();
        pending_deletion = about.state == State::Deleted;
        has_value = about.version > 0 && about.state != State::Destroyed;
    }
    Ok(Some(Listed { settings: TargetSettings::Kv(settings), mark, managed_by: None, pending_deletion, has_value }))
}
