//! What our token may read, as the server tells every token of itself.
//!
//! <https://developer.hashicorp.com/vault/api-docs/system/capabilities-self>; the policy `default` grants it.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::kv::{v1, v2};
use super::session::Session;
use super::wire::Request;
use crate::limiter::{Repeat, quota};
use crate::provider::{ErrorKind, Result};
use crate::target::{Place, TargetSettings};

/// Most paths of one question.
const PATHS_MAX: usize = 200;

/// Capabilities that give a value away.
const READING: [&str; 2] = ["read", "root"];

/// Whether the token could read the value of each place; `None` where there is none, or if the token may
/// not even ask that.
pub(super) async fn could_read(session: &Session, at: &[&Place]) -> Result<Vec<Option<bool>>> {
    let paths: Vec<Option<String>> = at.iter().map(|place| value_path(place)).collect();
    let unique: BTreeSet<&String> = paths.iter().flatten().collect();
    let unique: Vec<&String> = unique.into_iter().collect();
    let mut readable: BTreeSet<&String> = BTreeSet::new();
    for some in unique.chunks(PATHS_MAX) {
        let request = Request::update("sys/capabilities-self".into(), json!({ "paths": some }));
        let answer = match session.call(&quota::VAULT_READ, Repeat::Read, request).await {
            Err(error) if error.kind == ErrorKind::PermissionDenied => return Ok(vec![None; at.len()]),
            answer => answer?,
        };
        let reads = |path: &&&String| {
            let capabilities = answer.data(path).as_array().into_iter().flatten();
            capabilities.filter_map(Json::as_str).any(|capability| READING.contains(&capability))
        };
        readable.extend(some.iter().filter(reads));
    }
    Ok(paths.iter().map(|path| path.as_ref().map(|path| readable.contains(path))).collect())
}

/// Where the value of a place is read. That of a database role is made by the reading.
fn value_path(place: &Place) -> Option<String> {
    match &place.settings {
        TargetSettings::Kv(kv) if kv.version == 1 => Some(v1::path(kv)),
        TargetSettings::Kv(kv) => Some(v2::data(kv)),
        TargetSettings::DatabaseRole(role) => Some(format!("{}/creds/{}", role.database_mount, role.role_name)),
        _ => None,
    }
}
