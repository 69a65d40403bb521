//! Everything in Secrets Manager whose name begins with a prefix: metadata alone, page by page.
//!
//! A list does not tell where a secret is replicated to, only that it is; those are described one by
//! one (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>).

use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, SecretListEntry};
use futures_util::future::join_all;

use super::super::attributes::secret_key;
use super::super::session::Session;
use super::super::{LISTED_MAX, bounded};
use super::observe::{Facts, PAGE, describe};
use crate::limiter::Repeat;
use crate::limiter::quota::SECRET_LIST;
use crate::mark::MARK_KEY;
use crate::provider::{Listed, Result};
use crate::target::{ReplicaRegion, SecretsManagerSettings, TargetSettings};

/// What exists, by name; `prefixes` are alternatives, none means everything.
pub(in super::super) async fn list(session: &Session, prefixes: &[String]) -> Result<Vec<Listed>> {
    let entries = bounded(entries(session, prefixes).await?)?;
    let listed = join_all(entries.into_iter().map(|entry| listed(session, entry))).await;
    let mut listed: Vec<Listed> = listed.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    listed.sort_by(|a, b| a.settings.name().cmp(b.settings.name()));
    Ok(listed)
}

async fn entries(session: &Session, prefixes: &[String]) -> Result<Vec<SecretListEntry>> {
    let filter = (!prefixes.is_empty())
        .then(|| Filter::builder().key(FilterNameStringType::Name).set_values(Some(prefixes.to_vec())).build());
    let request = session.secrets_manager.list_secrets().max_results(PAGE).include_planned_deletion(true);
    let request = request.set_filters(filter.map(|filter| vec![filter]));
    let attempt = session.attempt("secretsmanager:ListSecrets", "");
    // The store's filter splits names at `/`; what it finds beside the prefix is not meant.
    let meant = |name: &str| prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix));
    let (mut found, mut token) = (Vec::new(), None);
    while found.len() <= LISTED_MAX {
        let next = || request.clone().set_next_token(token.clone()).send();
        let page = session.call(&SECRET_LIST, Repeat::Read, &attempt, next).await?;
        let entries = page.secret_list.unwrap_or_default().into_iter();
        found.extend(entries.filter(|entry| entry.name.as_deref().is_some_and(meant)));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok(found)
}

/// One entry; nothing if it is gone meanwhile.
async fn listed(session: &Session, entry: SecretListEntry) -> Result<Option<Listed>> {
    let Some(name) = entry.name.clone() else { return Ok(None) };
    let tags = entry.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default())));
    let ours = |key: &str| key == MARK_KEY || key.starts_with("aws:");
    let mut settings = SecretsManagerSettings {
        description: entry.description.clone().filter(|text| !text.is_empty()),
        kms_key_id: entry.kms_key_id.clone().filter(|key| secret_key(Some(key)) != secret_key(None)),
        tags: tags.filter(|(key, _)| !ours(key)).map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        replica_regions: Vec::new(),
        name,
    };
    // The primary of a replicated secret names its own region as the primary's.
    let replicated = entry.primary_region.as_deref() == Some(session.region.as_str());
    let observed = if replicated {
        match describe(session, &settings.name).await? {
            Some(observed) => observed,
            None => return Ok(None),
        }
    } else {
        Facts::from(entry).observed(session, true)
    };
    let replicas = observed.attributes.iter().filter_map(|(name, key)| Some((name.strip_prefix("replica:")?, key)));
    settings.replica_regions = replicas
        .map(|(region, key)| ReplicaRegion {
            region: region.to_owned(),
            kms_key_id: Some(key.clone()).filter(|key| !key.is_empty()),
        })
        .collect();
    Ok(Some(Listed {
        settings: TargetSettings::SecretsManager(settings),
        mark: observed.mark,
        managed_by: observed.managed_by,
        pending_deletion: observed.pending_deletion,
        has_value: !observed.version.is_empty(),
    }))
}
