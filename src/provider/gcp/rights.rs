//! What we may read, as Google tells everybody of themselves; it needs no right.
//!
//! <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/testIamPermissions>

use futures_util::future::join_all;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::session::{At, Call, Session};
use super::{at, ours};
use crate::provider::Result;
use crate::secret::SecretValue;
use crate::target::Place;

/// What reads a value.
const ACCESS: &str = "secretmanager.versions.access";

/// What a plan has, so that one secret that exists is told from one that does not.
const LOOK: &str = "secretmanager.secrets.get";

/// Most secrets that are asked about: a project takes ten reads a second, and rights seldom differ.
const SECRETS_MAX: usize = 30;

#[derive(Deserialize)]
struct Held {
    #[serde(default)]
    permissions: Vec<String>,
}

/// Whether we could read the value of each place. Nothing is told of a secret that does not exist yet,
/// nor of those beyond the first.
pub(super) async fn could_read(session: &Session, places: &[&Place]) -> Result<Vec<Option<bool>>> {
    let asked =
        places.iter().take(SECRETS_MAX).map(|place| async move { one(session, at(session, ours(place)?)?).await });
    let told: Result<Vec<Option<bool>>> = join_all(asked).await.into_iter().collect();
    let mut told = told?;
    told.resize(places.len(), None);
    Ok(told)
}

async fn one(session: &Session, at: At<'_>) -> Result<Option<bool>> {
    let body = SecretValue::from(json!({ "permissions": [ACCESS, LOOK] }).to_string());
    let call = Call { method: Method::POST, body: Some(body), ..Call::get("secrets.get", at, ":testIamPermissions") };
    let held: Held = session.call(&call).await?;
    let has = |permission: &str| held.permissions.iter().any(|held| held == permission);
    Ok(match (has(ACCESS), has(LOOK)) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    })
}
