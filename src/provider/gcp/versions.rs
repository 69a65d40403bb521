//! The versions of a secret: which is in force, which number comes next, which are too many.
//!
//! `latest` means the newest, even a disabled one, which nobody can read; what is in force is the
//! newest that is enabled (<https://cloud.google.com/secret-manager/docs/access-secret-version>).

use reqwest::Method;

use super::session::{At, Call, LIST_BYTES_MAX, Session};
use super::wire::{Accessed, State, Version, Versions, payload};
use crate::limiter::{Repeat, quota};
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// Versions per page, the most there can be
/// (<https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/list>).
const PAGE: &str = "25000";

/// Most pages of one list.
const PAGES_MAX: usize = 40;

/// What the versions of a secret come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing {
    /// The newest that is enabled.
    pub(super) enabled: Option<u64>,
    /// The newest of all; 0 without any.
    pub(super) newest: u64,
    /// The newest that is neither enabled nor destroyed: it holds a value that nobody can read.
    pub(super) disabled: Option<u64>,
}

/// What stands there; nothing if there is no such secret either.
pub(super) async fn standing(session: &Session, at: At<'_>) -> Result<Standing> {
    let latest: Result<Version> = session.call(&Call::get("versions.get", at, "/versions/latest")).await;
    let newest = match latest {
        Ok(version) => version,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(Standing::default()),
        Err(error) => return Err(error),
    };
    if newest.state == State::Enabled {
        return Ok(Standing { enabled: Some(newest.number()), newest: newest.number(), disabled: None });
    }
    let all = list(session, at, "").await?;
    let newest_of =
        |wanted: &dyn Fn(State) -> bool| all.iter().filter(|version| wanted(version.state)).map(Version::number).max();
    Ok(Standing {
        enabled: newest_of(&|state| state == State::Enabled),
        newest: newest.number().max(newest_of(&|_| true).unwrap_or_default()),
        disabled: newest_of(&|state| matches!(state, State::Disabled | State::Unknown)),
    })
}

/// Every version that a filter admits, the newest first.
pub(super) async fn list(session: &Session, at: At<'_>, filter: &str) -> Result<Vec<Version>> {
    let (mut found, mut token, mut bytes_left) = (Vec::new(), String::new(), LIST_BYTES_MAX);
    for _ in 0..PAGES_MAX {
        let mut call = Call::get("versions.list", at, "/versions").query("pageSize", PAGE);
        if !filter.is_empty() {
            call = call.query("filter", filter);
        }
        if !token.is_empty() {
            call = call.query("pageToken", token.clone());
        }
        let page: Versions = session.page(&call, &mut bytes_left).await?;
        found.extend(page.versions);
        // The end, or the same page over and over.
        if page.next_page_token.is_empty() || page.next_page_token == token {
            break;
        }
        token = page.next_page_token;
    }
    found.sort_by_key(|version| std::cmp::Reverse(version.number()));
    Ok(found)
}

/// The value of a version, verified; `latest` for the newest.
pub(super) async fn access(session: &Session, at: At<'_>, version: &str) -> Result<(u64, SecretValue)> {
    let call = Call::get("versions.access", at, format!("/versions/{version}:access"));
    let call = Call { class: &quota::GOOGLE_ACCESS, ..call };
    session.call::<Accessed>(&call).await?.verified()
}

/// Stores a value. There is no token and no condition, so a second call would store a second version.
pub(super) async fn add(session: &Session, at: At<'_>, value: &SecretValue) -> Result<u64> {
    let call = Call::write("versions.add", at, Method::POST, ":addVersion", payload(value), Repeat::Once);
    let version: Added = session.call(&call).await?;
    if version.client_specified_payload_checksum == Some(false) {
        let message = format!("Google did not check the checksum of what was written to {}; run again", at.id);
        return Err(Error::new(ErrorKind::Indeterminate, message));
    }
    Ok(version.version.number())
}

/// A version as its creation answers it.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Added {
    #[serde(flatten)]
    version: Version,
    /// Whether our checksum was seen and found right.
    client_specified_payload_checksum: Option<bool>,
}

/// Ends a version for good.
pub(super) async fn destroy(session: &Session, at: At<'_>, version: &Version) -> Result<()> {
    change(session, at, version, "versions.destroy", State::Destroyed).await
}

/// Disables or destroys a version as it was seen; one that changed meanwhile stays.
async fn change(
    session: &Session,
    at: At<'_>,
    version: &Version,
    permission: &'static str,
    wanted: State,
) -> Result<()> {
    let body = serde_json::json!({ "etag": version.etag }).to_string();
    let (number, verb) = (version.number(), permission.trim_start_matches("versions."));
    let below = format!("/versions/{number}:{verb}");
    let call = Call::write(permission, at, Method::POST, below, SecretValue::from(body), Repeat::Safe);
    let refused = match session.call::<Version>(&call).await {
        Err(error) if error.kind == ErrorKind::Invalid => error,
        other => return other.map(drop),
    };
    // A repetition meets the etag that the first call left.
    let now: Version = session.call(&Call::get("versions.get", at, format!("/versions/{number}"))).await?;
    if now.state == wanted { Ok(()) } else { Err(refused) }
}

/// Keeps so many versions: what is older is disabled, and destroyed the next time, so that there is
/// one rotation's time to go back. Versions in force or newer are never touched.
pub(super) async fn retire(session: &Session, at: At<'_>, keep: u32, in_force: u64) -> Result<()> {
    let all = list(session, at, "").await?;
    let alive = all.iter().filter(|version| version.state != State::Destroyed && version.number() <= in_force);
    for version in alive.skip(usize::try_from(keep.max(1)).unwrap_or(usize::MAX)) {
        match version.state {
            State::Enabled => change(session, at, version, "versions.disable", State::Disabled).await?,
            State::Disabled => destroy(session, at, version).await?,
            _ => {}
        }
    }
    Ok(())
}
