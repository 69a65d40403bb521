//! What stands in SSM, without its values.
//!
//! `DescribeParameters` tells everything but tags, and may be minutes old; `ListTagsForResource`
//! tells nothing but tags, one parameter at a time, and is certain of existence. A list can be
//! filtered by tags, though: asked for parameters with one of fifty expected marks and the declared
//! tags, it answers fifty unchanged parameters in one request. Whatever it does not answer is read
//! the long way.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_ssm::types::{ParameterMetadata, ParameterStringFilter, ResourceTypeForTagging};
use futures_util::future::join_all;

use super::super::attributes;
use super::super::session::Session;
use super::{batches, get};
use crate::limiter::{Repeat, quota};
use crate::mark::{MARK_KEY, Mark};
use crate::provider::{ErrorKind, Observed, Reading, Result};
use crate::target::{Attributes, ParameterType, SsmParameterSettings};

/// Parameters per page, and values per filter, of `DescribeParameters`.
const FILTER_VALUES_MAX: usize = 50;

/// More declared tags than this are not filtered by.
const FILTERS_MAX: usize = 10;

/// Pages of one filtered list; a page may be nearly empty.
const PAGES_MAX: usize = 100;

pub(super) type Tags = BTreeMap<String, String>;
type Wanted<'a> = (&'a SsmParameterSettings, Option<&'a str>);

/// What stands at each place, in the order asked; with each the text of the mark expected there.
pub(in super::super) async fn observe(
    session: &Session,
    at: &[Wanted<'_>],
    reading: Reading,
) -> Vec<Result<Option<Observed>>> {
    let expected = if reading == Reading::List { as_expected(session, at).await } else { HashMap::new() };
    let rest: Vec<&SsmParameterSettings> =
        at.iter().map(|(settings, _)| *settings).filter(|s| !expected.contains_key(s.name.as_str())).collect();
    let names: Vec<&str> = rest.iter().map(|settings| settings.name.as_str()).collect();
    let certain = certain(session, &names, reading).await;
    let is_absent = |name: &&str| certain.as_ref().is_some_and(|certain| matches!(certain.get(*name), Some(None)));
    let names: Vec<&str> = names.into_iter().filter(|name| !is_absent(name)).collect();
    let described = by_name(session, &names).await;
    let rest = rest.iter().map(|settings| look(session, settings, reading, certain.as_ref(), &described));
    let mut rest = join_all(rest).await.into_iter();
    let answers = at.iter().map(|(settings, _)| match expected.get(settings.name.as_str()) {
        Some(observed) => Some(Ok(Some(observed.clone()))),
        None => rest.next(),
    });
    answers.flatten().collect()
}

/// What one parameter is, from all that was learned of it.
async fn look(
    session: &Session,
    settings: &SsmParameterSettings,
    reading: Reading,
    certain: Option<&HashMap<String, Option<Certain>>>,
    described: &Result<HashMap<String, ParameterMetadata>>,
) -> Result<Option<Observed>> {
    let certain = certain.and_then(|certain| certain.get(&settings.name));
    if matches!(certain, Some(None)) {
        return Ok(None);
    }
    let certain = certain.and_then(Option::as_ref);
    let metadata = described.as_ref().ok().and_then(|described| described.get(&settings.name));
    if reading == Reading::List && described.is_ok() && metadata.is_none() {
        return Ok(None);
    }
    match (list_tags(session, &settings.name).await, described) {
        (Ok(Some(tags)), _) => Ok(Some(observed(settings, reading, certain, metadata, tags))),
        (Ok(None), _) => Ok(None),
        // Both are forbidden; the first is what a plan needs most.
        (Err(error), Err(denied)) if error.kind == ErrorKind::PermissionDenied => Err(denied.clone()),
        (Err(error), _) => Err(error),
    }
}

/// The parameters that carry the expected mark and every declared tag.
async fn as_expected<'a>(session: &Session, at: &[Wanted<'a>]) -> HashMap<&'a str, Observed> {
    let mut alike: BTreeMap<&Tags, Vec<(&'a SsmParameterSettings, &'a str)>> = BTreeMap::new();
    for (settings, mark) in at {
        let filterable = settings.tags.len() < FILTERS_MAX && settings.tags.values().all(|value| !value.is_empty());
        if let Some(mark) = mark.filter(|_| filterable) {
            alike.entry(&settings.tags).or_default().push((settings, mark));
        }
    }
    let chunks: Vec<_> = alike
        .into_iter()
        .flat_map(|(tags, wanted)| wanted.chunks(FILTER_VALUES_MAX).map(|w| (tags, w.to_vec())).collect::<Vec<_>>())
        .collect();
    let query = |(tags, wanted): (&'a Tags, Vec<(&'a SsmParameterSettings, &'a str)>)| async move {
        let mut marks: Vec<String> = wanted.iter().map(|(_, mark)| (*mark).to_owned()).collect();
        marks.sort_unstable();
        marks.dedup();
        let mut filters = vec![filter(&format!("tag:{MARK_KEY}"), marks)];
        filters.extend(tags.iter().map(|(key, value)| filter(&format!("tag:{key}"), vec![value.clone()])));
        (wanted, describe(session, filters).await)
    };
    let mut chunks = chunks.into_iter();
    // The first goes alone: where lists are forbidden, one refusal is enough.
    let mut answers = join_all(chunks.next().map(query)).await;
    if answers.iter().all(|(_, answer)| !matches!(answer, Err(error) if error.kind == ErrorKind::PermissionDenied)) {
        answers.extend(join_all(chunks.map(query)).await);
    }
    let mut known = HashMap::new();
    for (wanted, answer) in answers {
        let metadata: HashMap<String, ParameterMetadata> = match answer {
            Ok(metadata) => metadata,
            Err(error) => {
                tracing::debug!("no list by marks: {error}");
                continue;
            }
        };
        for (settings, mark) in wanted {
            if let Some(metadata) = metadata.get(&settings.name) {
                let mut tags = settings.tags.clone();
                tags.insert(MARK_KEY.into(), (*mark).to_owned());
                let observed = observed(settings, Reading::List, None, Some(metadata), tags);
                known.insert(settings.name.as_str(), observed);
            }
        }
    }
    known
}

/// What a list tells of each name.
async fn by_name(session: &Session, names: &[&str]) -> Result<HashMap<String, ParameterMetadata>> {
    let named = |names: &[&str]| vec![filter("Name", names.iter().map(|name| (*name).to_owned()).collect())];
    let mut chunks = names.chunks(FILTER_VALUES_MAX);
    // The first goes alone: where lists are forbidden, one refusal is enough.
    let mut known = match chunks.next() {
        Some(names) => describe(session, named(names)).await?,
        None => HashMap::new(),
    };
    for answer in join_all(chunks.map(|names| describe(session, named(names)))).await {
        known.extend(answer?);
    }
    Ok(known)
}

/// A filter for any of these values; building one fails only without a key.
fn filter(key: &str, values: Vec<String>) -> Option<ParameterStringFilter> {
    ParameterStringFilter::builder().key(key).option("Equals").set_values(Some(values)).build().ok()
}

/// All pages of a filtered list, by name.
async fn describe(
    session: &Session,
    filters: Vec<Option<ParameterStringFilter>>,
) -> Result<HashMap<String, ParameterMetadata>> {
    let filters = filters.into_iter().flatten().collect();
    let request = session.ssm.describe_parameters().max_results(50).set_parameter_filters(Some(filters));
    let attempt = session.attempt("ssm:DescribeParameters", "");
    let (mut known, mut token) = (HashMap::new(), None::<String>);
    for _ in 0..PAGES_MAX {
        let next = || request.clone().set_next_token(token.clone()).send();
        let page = session.call(&quota::PARAMETER_LIST, Repeat::Read, &attempt, next).await?;
        let parameters = page.parameters.unwrap_or_default().into_iter();
        known.extend(parameters.filter_map(|metadata| Some((metadata.name.clone()?, metadata))));
        // The end, or the same page over and over.
        if page.next_token.is_none() || page.next_token == token {
            break;
        }
        token = page.next_token;
    }
    Ok(known)
}

/// What the list tells of one parameter.
pub(super) async fn metadata(session: &Session, name: &str) -> Result<Option<ParameterMetadata>> {
    Ok(by_name(session, &[name]).await?.remove(name))
}

/// All tags, or `None` if the parameter does not exist.
pub(super) async fn list_tags(session: &Session, name: &str) -> Result<Option<Tags>> {
    let kind = ResourceTypeForTagging::Parameter;
    let request = session.ssm.list_tags_for_resource().resource_type(kind).resource_id(name);
    let attempt = session.attempt("ssm:ListTagsForResource", name);
    match session.call(&quota::PARAMETER_TAG, Repeat::Read, &attempt, || request.clone().send()).await {
        Ok(answer) => {
            let tags = answer.tag_list.unwrap_or_default().into_iter();
            Ok(Some(tags.map(|tag| (tag.key, tag.value)).collect()))
        }
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What only a read of the parameter itself can tell for certain; its value is dropped at once.
struct Certain {
    version: i64,
    parameter_type: Option<String>,
    data_type: Option<String>,
}

/// Presence and version of each name, if asked to be certain and allowed to.
async fn certain(session: &Session, names: &[&str], reading: Reading) -> Option<HashMap<String, Option<Certain>>> {
    if reading != Reading::Batch {
        return None;
    }
    let certainty = |parameter: aws_sdk_ssm::types::Parameter| Certain {
        version: parameter.version,
        parameter_type: parameter.r#type.map(|kind| kind.as_str().to_owned()),
        data_type: parameter.data_type,
    };
    match batches(session, names, false).await {
        Ok(known) => Some(known.into_iter().map(|(name, found)| (name, found.map(certainty))).collect()),
        Err(error) if error.kind == ErrorKind::PermissionDenied => {
            // The specification's policy grants GetParameter alone.
            let each = names.iter().map(|name| async move { (*name, get(session, name, false).await) });
            let known = join_all(each).await.into_iter().filter_map(|(name, answer)| match answer {
                Ok(parameter) => Some((name.to_owned(), Some(certainty(parameter)))),
                Err(error) if error.kind == ErrorKind::NotFound => Some((name.to_owned(), None)),
                Err(_) => None,
            });
            Some(known.collect())
        }
        Err(_) => None,
    }
}

/// Puts together what was learned. What nobody told is taken to be as declared, so that a missing
/// permission does not look like a difference.
fn observed(
    settings: &SsmParameterSettings,
    reading: Reading,
    certain: Option<&Certain>,
    metadata: Option<&ParameterMetadata>,
    tags: Tags,
) -> Observed {
    let mark = tags.get(MARK_KEY).cloned();
    let marked = mark.as_deref().and_then(|mark| Mark::parse(mark).ok()).and_then(|mark| mark.version.parse().ok());
    let listed = metadata.map(|metadata| metadata.version);
    // A list that agrees with the mark is no rumour any more.
    let agreed = reading != Reading::List && listed.is_some() && listed == marked;
    let version = certain.map(|certain| certain.version).or(listed).or(marked);
    // Asked again, what a list tells of a version before the mark's is not what stands there.
    let newest = certain.map(|certain| certain.version).or(listed.max(marked));
    let metadata = metadata.filter(|metadata| reading == Reading::List || Some(metadata.version) >= newest);
    let mut attributes = match metadata {
        Some(metadata) => told(metadata),
        None => attributes::of_parameter(&SsmParameterSettings { tags: BTreeMap::new(), ..settings.clone() }),
    };
    if let Some(Certain { parameter_type: Some(kind), data_type, .. }) = certain {
        attributes.insert("type".into(), kind.clone());
        attributes.insert("data_type".into(), data_type.clone().unwrap_or_else(|| "text".into()));
    }
    attributes::tags(&mut attributes, tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let from_list = certain.is_none() && !agreed;
    let version = version.map_or_else(String::new, |version: i64| version.to_string());
    Observed { version, mark, attributes, pending_deletion: false, managed_by: None, from_list }
}

fn told(metadata: &ParameterMetadata) -> Attributes {
    let mut attributes = Attributes::new();
    attributes::text(&mut attributes, "description", metadata.description());
    let kind = metadata.r#type().map_or("", |kind| kind.as_str());
    attributes.insert("type".into(), kind.to_owned());
    attributes.insert("tier".into(), metadata.tier().map_or("Standard", |tier| tier.as_str()).to_owned());
    attributes.insert("data_type".into(), metadata.data_type().unwrap_or("text").to_owned());
    if kind == attributes::type_name(ParameterType::SecureString) {
        attributes.insert("kms_key_id".into(), attributes::parameter_key(metadata.key_id()));
    }
    let policies = metadata.policies().iter().filter_map(|policy| policy.policy_text());
    attributes.insert("policies".into(), attributes::canonical_policies(policies));
    attributes
}
