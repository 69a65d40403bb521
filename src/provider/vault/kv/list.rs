//! What the key-value stores of a server hold, by name, without a value.

use futures_util::future::{join_all, try_join_all};
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
    let mut walk = Walk { prefix, names: 0, requests: 0 };
    let mut found = Vec::new();
    for (mount, version) in &mounts {
        let names = match walk.below(session, mount, *version, folder.to_owned()).await {
            Ok(names) => names,
            // A mount that the token may see but not list is somebody else's.
            Err(error) if error.kind == ErrorKind::PermissionDenied && mounts.len() > 1 => continue,
            Err(error) => return Err(error),
        };
        for listed in join_all(names.into_iter().map(|path| entry(session, mount, *version, path))).await {
            found.extend(listed?);
        }
    }
    found.sort_by(|a, b| a.settings.name().cmp(b.settings.name()));
    Ok(found)
}

/// A walk through folders, and how far it went in all mounts together.
struct Walk<'p> {
    prefix: &'p str,
    names: usize,
    requests: usize,
}

impl Walk<'_> {
    /// The wanted paths in a folder and below, one level after the other.
    async fn below(&mut self, session: &Session, mount: &str, version: u8, folder: String) -> Result<Vec<String>> {
        let (mut found, mut level) = (Vec::new(), vec![folder]);
        for _ in 0..=DEPTH_MAX {
            if level.is_empty() {
                return Ok(found);
            }
            self.requests = self.requests.saturating_add(level.len());
            within(self.requests, "folders would have to be looked into")?;
            let listed = try_join_all(level.iter().map(|folder| names(session, mount, version, folder))).await?;
            let (folders, entries): (Vec<String>, Vec<String>) =
                listed.into_iter().flatten().filter(|path| self.wants(path)).partition(|path| path.ends_with('/'));
            self.names = self.names.saturating_add(entries.len());
            within(self.names, "entries have such a name")?;
            found.extend(entries);
            level = folders.iter().map(|path| path.trim_end_matches('/').to_owned()).collect();
        }
        let message = format!("the folders of `{mount}` go deeper than {DEPTH_MAX}; choose a longer prefix");
        Err(Error::new(ErrorKind::Invalid, message))
    }

    /// Whether an entry has the prefix, or anything in a folder may have it.
    fn wants(&self, path: &str) -> bool {
        path.starts_with(self.prefix) || (path.ends_with('/') && self.prefix.starts_with(path))
    }
}

fn within(count: usize, what: &str) -> Result<()> {
    if count <= LISTED_MAX {
        return Ok(());
    }
    let message = format!("more than {LISTED_MAX} {what}; choose a longer prefix");
    Err(Error::new(ErrorKind::Invalid, message))
}

/// What a folder holds, by whole path; that of a folder ends with a slash.
async fn names(session: &Session, mount: &str, version: u8, folder: &str) -> Result<Vec<String>> {
    let area = if version == 2 { format!("{mount}/metadata") } else { mount.to_owned() };
    let whole = if folder.is_empty() { area } else { format!("{area}/{folder}") };
    let Some(answer) = session.find(Request::list(whole)).await? else { return Ok(Vec::new()) };
    let inside = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    Ok(answer.keys().map(inside).collect())
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
