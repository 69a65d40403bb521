//! What stands in Secret Manager, without its values.
//!
//! A list tells all metadata of up to 25,000 secrets at once, the mark included, but nothing of
//! versions; one small read per secret tells which is in force. Where lists are forbidden, each
//! secret is asked for by itself.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;

use super::attributes::{observed as attributes, same_places};
use super::session::{At, Call, Session};
use super::versions::{Standing, standing};
use super::wire::{Secret, Secrets};
use crate::mark::Mark;
use crate::provider::{Error, ErrorKind, Observed, Reading, Result};
use crate::target::SecretManagerSettings;

/// Secrets per page, the most there can be
/// (<https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/list>).
const PAGE: &str = "25000";

/// Most pages of one list.
const PAGES_MAX: usize = 40;

/// So few secrets of a project are asked for one by one: a list would tell of all others as well.
const EACH_MAX: usize = 3;

/// A place, or why it is none.
pub(super) type Wanted<'a> = Result<(At<'a>, &'a SecretManagerSettings)>;

/// What stands at each place, in the order asked.
pub(super) async fn observe(
    session: &Session,
    wanted: &[Wanted<'_>],
    reading: Reading,
) -> Vec<Result<Option<Observed>>> {
    let listed = if reading == Reading::List { listed(session, wanted).await } else { BTreeMap::new() };
    join_all(wanted.iter().map(|wanted| async {
        let (at, settings) = wanted.as_ref().map_err(Clone::clone)?;
        match listed.get(at.project) {
            Some(secrets) => match secrets.get(at.id) {
                Some(secret) => look(session, *at, settings, secret, true).await,
                None => Ok(None),
            },
            None => match get(session, *at).await? {
                Some(secret) => look(session, *at, settings, &secret, false).await,
                None => Ok(None),
            },
        }
    }))
    .await
}

/// The secrets of each project of which many are wanted and which may be listed.
async fn listed<'a>(session: &Session, wanted: &[Wanted<'a>]) -> BTreeMap<&'a str, HashMap<String, Secret>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, _) in wanted.iter().flatten() {
        *counts.entry(at.project).or_default() += 1;
    }
    let many = counts.into_iter().filter(|(_, count)| *count > EACH_MAX);
    let answers = join_all(many.map(|(project, _)| async move { (project, list(session, project, "").await) })).await;
    let mut known = BTreeMap::new();
    for (project, answer) in answers {
        match answer {
            Ok(secrets) => {
                known.insert(project, secrets.into_iter().map(|secret| (secret.id().to_owned(), secret)).collect());
            }
            // Each secret is asked for, and says by itself what is wrong.
            Err(error) => tracing::debug!("no list of secrets: {error}"),
        }
    }
    known
}

/// Every secret of a project that a filter admits.
pub(super) async fn list(session: &Session, project: &str, filter: &str) -> Result<Vec<Secret>> {
    let (mut found, mut token) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let mut call = Call::get("secrets.list", At { project, id: "" }, "").query("pageSize", PAGE);
        if !filter.is_empty() {
            call = call.query("filter", filter);
        }
        if !token.is_empty() {
            call = call.query("pageToken", token.clone());
        }
        let page: Secrets = session.call(&call).await?;
        found.extend(page.secrets);
        // The end, or the same page over and over.
        if page.next_page_token.is_empty() || page.next_page_token == token {
            break;
        }
        token = page.next_page_token;
    }
    Ok(found)
}

/// One secret, if it exists.
pub(super) async fn get(session: &Session, at: At<'_>) -> Result<Option<Secret>> {
    match session.call(&Call::get("secrets.get", at, "")).await {
        Ok(secret) => Ok(Some(secret)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a secret comes to with its versions.
async fn look(
    session: &Session,
    at: At<'_>,
    settings: &SecretManagerSettings,
    secret: &Secret,
    from_list: bool,
) -> Result<Option<Observed>> {
    same_places(settings, secret)?;
    let versions = standing(session, at).await?;
    if let (None, Some(disabled)) = (versions.enabled, versions.disabled) {
        return Err(unreadable(at, disabled));
    }
    let mark = secret.mark().map(|text| counted(text, versions));
    let ours = secret.mark().is_some_and(|text| Mark::parse(text).is_ok());
    if versions.enabled.is_none() && ours {
        // Announced and never written, or destroyed: no value stands there, and whoever claims it may
        // write one.
        return Ok(None);
    }
    Ok(Some(Observed {
        version: versions.enabled.map_or_else(String::new, |number| number.to_string()),
        mark,
        attributes: attributes(settings, secret),
        pending_deletion: false,
        managed_by: None,
        from_list,
    }))
}

/// Nothing may be generated where a value stands that only needs enabling.
fn unreadable(at: At<'_>, version: u64) -> Error {
    let At { project, id } = at;
    let message = format!(
        "{id} has no enabled version, but version {version} is disabled: enable it with `gcloud secrets versions enable \
         {version} --secret={id} --project={project}`, or destroy it, and run again"
    );
    Error::new(ErrorKind::Invalid, message)
}

/// The mark as the contract counts: what was announced and never written is one ahead of what is in
/// force, even if versions between were disabled or destroyed. A version that the mark describes and
/// that somebody took out of force is none of ours any more.
fn counted(text: &str, versions: Standing) -> String {
    let (Ok(mark), Some(enabled)) = (Mark::parse(text), versions.enabled) else { return text.to_owned() };
    let Ok(described) = mark.version.parse::<u64>() else { return text.to_owned() };
    let version = if described > versions.newest {
        enabled.saturating_add(1).to_string()
    } else if described > enabled {
        format!("{described}-disabled")
    } else {
        return text.to_owned();
    };
    Mark { version, ..mark }.to_string()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::mark::{Generation, Owner, ShortId};

    fn seen(described: u64, enabled: u64, newest: u64) -> String {
        let id = ShortId::of("x");
        let owner = Owner { project: id.clone(), secret: id.clone(), environment: id, repository: None };
        let created = jiff::Timestamp::UNIX_EPOCH;
        let generation = Generation { number: 2, id: "u".into(), created, adopted: false };
        let mark = Mark {
            owner,
            generation,
            version: described.to_string(),
            carried: false,
            over_drift: false,
            withdrawn: false,
        };
        let versions = Standing { enabled: Some(enabled), newest, disabled: None };
        Mark::parse(&counted(&mark.to_string(), versions)).unwrap().version
    }

    #[test]
    fn an_announcement_is_one_ahead_whatever_lies_between() {
        assert_eq!(seen(3, 3, 3), "3");
        assert_eq!(seen(4, 3, 3), "4");
        assert_eq!(seen(6, 3, 5), "4", "versions 4 and 5 are destroyed");
        assert_eq!(seen(4, 3, 4), "4-disabled", "it was written and taken out of force");
        assert_eq!(seen(2, 3, 3), "2");
    }
}
