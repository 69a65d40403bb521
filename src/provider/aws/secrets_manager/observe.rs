//! What stands in Secrets Manager, without its values: a list where that is cheaper, else one read each.

use std::collections::{HashMap, HashSet};

use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, ReplicationStatusType, SecretListEntry, Tag};
use futures_util::future::join_all;

use super::super::attributes;
use super::super::session::Session;
use super::{Batched, batches};
use crate::limiter::{Repeat, quota};
use crate::mark::MARK_KEY;
use crate::provider::{Error, ErrorKind, Observed, Reading, Result};
use crate::target::{Attributes, PRIMARY_REGION, REPLICA_FAILED, SecretsManagerSettings};

/// Secrets per page of a list.
pub(super) const PAGE: i32 = 100;

/// Values that one filter of a list takes.
const FILTER_VALUES_MAX: usize = 10;

/// Fewer places than this are read one by one.
const LIST_FROM: usize = 4;

/// What stands at each place, in the order asked.
pub(in super::super) async fn observe(
    session: &Session,
    at: &[&SecretsManagerSettings],
    reading: Reading,
) -> Vec<Result<Option<Observed>>> {
    let known = match reading {
        // A list does not tell of replicas.
        Reading::List => listed(session, at.iter().filter(|s| s.replica_regions.is_empty())).await,
        Reading::Batch => confirmed_absent(session, at).await,
        Reading::Each => HashMap::new(),
    };
    let answers = at.iter().map(|settings| {
        let known = known.get(settings.name.as_str()).cloned();
        async move {
            match known {
                Some(observed) => Ok(observed),
                None => describe(session, &settings.name).await,
            }
        }
    });
    join_all(answers).await
}

/// What a list tells; a name is missing if the list tells nothing of it, be it too long or forbidden.
async fn listed<'a>(
    session: &Session,
    at: impl Iterator<Item = &'a &'a SecretsManagerSettings>,
) -> HashMap<String, Option<Observed>> {
    let names: Vec<&str> = at.map(|settings| settings.name.as_str()).collect();
    if names.len() < LIST_FROM {
        return HashMap::new();
    }
    let wanted: HashSet<&str> = names.iter().copied().collect();
    let mut known = HashMap::new();
    match list(session, &names, |entry| wanted.contains(entry)).await {
        Ok((entries, complete)) => {
            if complete {
                known.extend(names.iter().map(|name| ((*name).to_owned(), None)));
            }
            let entries = entries.into_iter().filter_map(|entry| entry.name.clone().map(|name| (name, entry)));
            known.extend(entries.map(|(name, entry)| (name, Some(Facts::from(entry).observed(session, true)))));
        }
        Err(error) => tracing::debug!("no list, one read each instead: {error}"),
    }
    known
}

/// The entries with a wanted name, and whether the list was read to its end: in a crowded account
/// one read each is cheaper than many pages of other people's secrets.
async fn list(
    session: &Session,
    names: &[&str],
    wanted: impl Fn(&str) -> bool,
) -> Result<(Vec<SecretListEntry>, bool)> {
    let pages_max = 2 + names.len() / 4;
    let prefixes = prefixes(names);
    let filter = (!prefixes.is_empty())
        .then(|| Filter::builder().key(FilterNameStringType::Name).set_values(Some(prefixes)).build());
    let request = session.secrets_manager.list_secrets().max_results(PAGE).include_planned_deletion(true);
    let request = request.set_filters(filter.map(|filter| vec![filter]));
    let attempt = session.attempt("secretsmanager:ListSecrets", "");
    let (mut found, mut token) = (Vec::new(), None::<String>);
    for _ in 0..pages_max {
        let next = || request.clone().set_next_token(token.clone()).send();
        let page = session.call(&quota::SECRET_LIST, Repeat::Read, &attempt, next).await?;
        let entries = page.secret_list.unwrap_or_default().into_iter();
        found.extend(entries.filter(|entry| entry.name.as_deref().is_some_and(&wanted)));
        // The end, or the same page over and over.
        let end = page.next_token.is_none();
        if end || page.next_token == token {
            return Ok((found, end));
        }
        token = page.next_token;
    }
    Ok((found, false))
}

/// At most ten beginnings that cover every name: the names themselves, else their first segments
/// after what all have in common, else that.
fn prefixes(names: &[&str]) -> Vec<String> {
    if names.len() <= FILTER_VALUES_MAX {
        return names.iter().map(|name| (*name).to_owned()).collect();
    }
    let common = names.iter().skip(1).fold(names.first().copied().unwrap_or_default(), |common, name| {
        let length = common.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        common.get(..length).unwrap_or_default()
    });
    let segment = |name: &&str| {
        let rest = name.get(common.len()..).unwrap_or_default();
        let end = rest.find('/').map_or(name.len(), |slash| common.len() + slash + 1);
        name.get(..end).unwrap_or(name).to_owned()
    };
    let segments: HashSet<String> = names.iter().map(segment).collect();
    if segments.len() <= FILTER_VALUES_MAX {
        let mut segments: Vec<_> = segments.into_iter().collect();
        segments.sort();
        segments
    } else if common.is_empty() {
        Vec::new()
    } else {
        vec![common.to_owned()]
    }
}

/// The names of which a batch says for certain that they have no value. (A secret without any
/// version counts: to create it will fail, and only then does it matter.)
async fn confirmed_absent(session: &Session, at: &[&SecretsManagerSettings]) -> HashMap<String, Option<Observed>> {
    let names: Vec<&str> = at.iter().map(|settings| settings.name.as_str()).collect();
    let known = batches(session, &names).await.into_iter();
    known.filter(|(_, said)| matches!(said, Batched::Absent)).map(|(name, _)| (name, None)).collect()
}

/// What stands at one name.
pub(super) async fn describe(session: &Session, name: &str) -> Result<Option<Observed>> {
    let request = session.secrets_manager.describe_secret().secret_id(name);
    let attempt = session.attempt("secretsmanager:DescribeSecret", name);
    match session.call(&quota::SECRET_READ, Repeat::Read, &attempt, || request.clone().send()).await {
        // A name that ends like an ARN may find the secret whose ARN it ends
        // (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html#ARN_secretnamehyphen>).
        Ok(answer) if answer.name.as_deref() != Some(name) => Ok(None),
        Ok(answer) => Ok(Some(Facts::from(answer).observed(session, false))),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why a secret's state refuses a call (`InvalidRequestException` stands for several reasons).
pub(super) async fn state(session: &Session, name: &str) -> Option<Error> {
    let observed = describe(session, name).await.ok()??;
    if observed.pending_deletion {
        let message =
            format!("{name} is scheduled for deletion; restore it first (`aws secretsmanager restore-secret`)");
        return Some(Error::new(ErrorKind::PendingDeletion, message));
    }
    let why = observed.managed_by.map_or_else(
        || format!("Secrets Manager refuses this in the state that {name} is in; look at it in the AWS console"),
        |why| format!("{name} cannot be changed from here: {why}"),
    );
    Some(Error::new(ErrorKind::Invalid, why))
}

/// What both a list and a description tell.
pub(super) struct Facts {
    version: Option<String>,
    description: Option<String>,
    kms_key_id: Option<String>,
    tags: Vec<Tag>,
    replicas: Vec<ReplicationStatusType>,
    deleted: bool,
    owner: Option<String>,
    rotated: bool,
    primary_region: Option<String>,
}

impl From<DescribeSecretOutput> for Facts {
    fn from(answer: DescribeSecretOutput) -> Self {
        Self {
            version: current(answer.version_ids_to_stages),
            description: answer.description,
            kms_key_id: answer.kms_key_id,
            tags: answer.tags.unwrap_or_default(),
            replicas: answer.replication_status.unwrap_or_default(),
            deleted: answer.deleted_date.is_some(),
            owner: answer.owning_service,
            rotated: answer.rotation_enabled == Some(true),
            primary_region: answer.primary_region,
        }
    }
}

impl From<SecretListEntry> for Facts {
    fn from(entry: SecretListEntry) -> Self {
        Self {
            version: current(entry.secret_versions_to_stages),
            description: entry.description,
            kms_key_id: entry.kms_key_id,
            tags: entry.tags.unwrap_or_default(),
            replicas: Vec::new(),
            deleted: entry.deleted_date.is_some(),
            owner: entry.owning_service,
            rotated: entry.rotation_enabled == Some(true),
            primary_region: entry.primary_region,
        }
    }
}

fn current(versions: Option<HashMap<String, Vec<String>>>) -> Option<String> {
    let mut versions = versions.unwrap_or_default().into_iter();
    versions.find(|(_, stages)| stages.iter().any(|stage| stage == "AWSCURRENT")).map(|(version, _)| version)
}

impl Facts {
    pub(super) fn observed(self, session: &Session, from_list: bool) -> Observed {
        let tags = self.tags.iter().filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default())));
        let mut attributes = Attributes::new();
        attributes::text(&mut attributes, "description", self.description.as_deref());
        attributes.insert("kms_key_id".into(), attributes::secret_key(self.kms_key_id.as_deref()));
        attributes::tags(&mut attributes, tags.clone());
        for replica in &self.replicas {
            let region = replica.region().unwrap_or_default();
            // Replication is asynchronous: an accepted replica may fail later.
            let status = replica.status().map_or("InSync", |status| status.as_str());
            if status != "InSync" {
                attributes.insert(attributes::replica_status(region), status.to_owned());
            }
            if status == REPLICA_FAILED {
                let why = attributes::said(replica.status_message().unwrap_or_default());
                attributes.insert(attributes::replica_message(region), why);
            } else {
                attributes.extend([attributes::replica_attribute(region, replica.kms_key_id())]);
            }
        }
        attributes.extend(self.primary_region.clone().map(|primary| (PRIMARY_REGION.to_owned(), primary)));
        let replica_of = self.primary_region.filter(|primary| *primary != session.region);
        let mark = tags.into_iter().find(|(key, _)| *key == MARK_KEY).map(|(_, text)| text.to_owned());
        Observed {
            version: self.version.unwrap_or_default(),
            mark,
            attributes,
            pending_deletion: self.deleted,
            managed_by: self
                .owner
                .map(|service| format!("the service {service} owns it"))
                .or_else(|| replica_of.map(|primary| format!("it is a replica of {primary}")))
                .or_else(|| self.rotated.then(|| "AWS rotates it by itself".to_owned())),
            from_list,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_names_are_asked_for_and_many_by_what_they_have_in_common() {
        assert_eq!(prefixes(&["b", "a"]), ["b", "a"]);
        let numbered: Vec<String> = (0..20).map(|n| format!("production/bench/s{n:02}")).collect();
        let names: Vec<&str> = numbered.iter().map(String::as_str).collect();
        assert_eq!(prefixes(&names), ["production/bench/s"]);
        let mut two = names.clone();
        two.push("staging/x");
        assert_eq!(prefixes(&two), ["production/", "staging/"]);
        let unrelated: Vec<String> = ('a'..='z').map(|c| format!("{c}x")).collect();
        assert_eq!(prefixes(&unrelated.iter().map(String::as_str).collect::<Vec<_>>()), Vec::<String>::new());
    }
}
