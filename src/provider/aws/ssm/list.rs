//! Every parameter whose name begins with a prefix: metadata page by page, tags one by one, since no
//! list tells them (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeParameters.html>).

use aws_sdk_ssm::types::{ParameterMetadata, ParameterStringFilter};
use futures_util::future::join_all;

use super::super::attributes::{canonical_policies, parameter_key};
use super::super::session::Session;
use super::super::{LISTED_MAX, bounded};
use super::observe::{Tags, list_tags};
use crate::limiter::Repeat;
use crate::limiter::quota::PARAMETER_LIST;
use crate::mark::MARK_KEY;
use crate::provider::{Listed, Result};
use crate::target::{ParameterTier, ParameterType, SsmParameterSettings, TargetSettings};

/// Parameters per page.
const PAGE: i32 = 50;

/// What exists, by name; `prefixes` are alternatives, none means everything.
pub(in super::super) async fn list(session: &Session, prefixes: &[String]) -> Result<Vec<Listed>> {
    let mut entries = bounded(entries(session, prefixes).await?)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let tags =
        join_all(entries.iter().map(|entry| list_tags(session, entry.name.as_deref().unwrap_or_default()))).await;
    let mut listed = Vec::new();
    for (entry, tags) in entries.into_iter().zip(tags) {
        // Without tags it is gone meanwhile.
        listed.extend(tags?.and_then(|tags| self::listed(entry, tags)));
    }
    Ok(listed)
}

async fn entries(session: &Session, prefixes: &[String]) -> Result<Vec<ParameterMetadata>> {
    let named = || {
        let filter = ParameterStringFilter::builder().key("Name").option("BeginsWith");
        filter.set_values(Some(prefixes.to_vec())).build().ok()
    };
    let filters = if prefixes.is_empty() { None } else { named().map(|filter| vec![filter]) };
    let request = session.ssm.describe_parameters().max_results(PAGE).set_parameter_filters(filters);
    let attempt = session.attempt("ssm:DescribeParameters", "");
    let (mut found, mut token) = (Vec::new(), None);
    while found.len() <= LISTED_MAX {
        let next = || request.clone().set_next_token(token.clone()).send();
        let page = session.call(&PARAMETER_LIST, Repeat::Read, &attempt, next).await?;
        found.extend(page.parameters.unwrap_or_default());
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok(found)
}

fn listed(entry: ParameterMetadata, mut tags: Tags) -> Option<Listed> {
    let mark = tags.remove(MARK_KEY);
    tags.retain(|key, _| !key.starts_with("aws:"));
    let policies = canonical_policies(entry.policies().iter().filter_map(|policy| policy.policy_text()));
    let parameter_type = match entry.r#type().map(|kind| kind.as_str()) {
        Some("String") => ParameterType::String,
        Some("StringList") => ParameterType::StringList,
        _ => ParameterType::SecureString,
    };
    let encrypted = parameter_type == ParameterType::SecureString;
    let settings = SsmParameterSettings {
        parameter_type,
        tier: match entry.tier().map(|tier| tier.as_str()) {
            Some("Advanced") => ParameterTier::Advanced,
            Some("Intelligent-Tiering") => ParameterTier::IntelligentTiering,
            _ => ParameterTier::Standard,
        },
        data_type: entry.data_type.unwrap_or_else(|| "text".into()),
        policies: (policies != "[]").then_some(policies),
        description: entry.description.filter(|text| !text.is_empty()),
        kms_key_id: entry.key_id.filter(|key| encrypted && parameter_key(Some(key)) != parameter_key(None)),
        tags,
        ..SsmParameterSettings::named(entry.name?)
    };
    let settings = TargetSettings::SsmParameter(settings);
    Some(Listed { settings, mark, managed_by: None, pending_deletion: false, has_value: true })
}
