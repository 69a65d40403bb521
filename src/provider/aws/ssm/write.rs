//! Writes to SSM: created with value and mark in one call; later the mark for the version to come, then the value.
//!
//! A mark that is one version ahead therefore describes a write that never happened. SSM keeps no
//! metadata beside a version: to change a description is to store the value again.

use std::collections::BTreeMap;

use aws_sdk_ssm::operation::put_parameter::builders::PutParameterFluentBuilder;
use aws_sdk_ssm::types::{
    ParameterMetadata, ParameterTier as Tier, ParameterType as Type, ResourceTypeForTagging, Tag,
};

use super::super::attributes::{tier_name, type_name};
use super::super::session::Session;
use super::super::tagged;
use super::observe::metadata;
use super::{ADVANCED_BYTES_MAX, STANDARD_BYTES_MAX, get};
use crate::limiter::{Repeat, quota};
use crate::provider::{Error, ErrorKind, Expect, Result, VersionId, WriteOptions};
use crate::secret::{SecretValue, Value};
use crate::target::{ParameterTier, ParameterType, SsmParameterSettings};

/// Stores a value and its mark.
pub(in super::super) async fn write(
    session: &Session,
    settings: &SsmParameterSettings,
    value: &Value,
    options: &WriteOptions,
) -> Result<VersionId> {
    let value = value.to_text();
    let text = acceptable(settings, &value)?;
    match &options.expect {
        Expect::Absent => create(session, settings, text, options).await,
        Expect::Version(version) => {
            let version = current(session, settings, version).await?;
            let mark = options.mark(&version.saturating_add(1).to_string());
            overwrite(session, settings, text, version, &[], &mark).await
        }
    }
}

/// The value as SSM takes it.
fn acceptable<'v>(settings: &SsmParameterSettings, value: &'v SecretValue) -> Result<&'v str> {
    let refuse = |why: String| Err(Error::new(ErrorKind::Invalid, format!("{}: {why}", settings.name)));
    let Some(text) = value.expose_text() else {
        return refuse("SSM stores text only, and the value is not UTF-8; encode it, for example as base64".into());
    };
    // <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html>
    if text.contains("{{") {
        return refuse(
            "the value contains `{{`, which SSM takes for a reference to another parameter; add `{` to `exclude_characters`".into(),
        );
    }
    let (bytes_max, tier) = match settings.tier {
        ParameterTier::Standard => (STANDARD_BYTES_MAX, "Standard"),
        ParameterTier::Advanced | ParameterTier::IntelligentTiering => (ADVANCED_BYTES_MAX, tier_name(settings.tier)),
    };
    if text.is_empty() || text.len() > bytes_max {
        let hint = if settings.tier == ParameterTier::Standard { " (`tier: Advanced` takes 8192)" } else { "" };
        return refuse(format!("tier {tier} takes values of 1 to {bytes_max} bytes{hint}"));
    }
    Ok(text)
}

async fn create(
    session: &Session,
    settings: &SsmParameterSettings,
    text: &str,
    options: &WriteOptions,
) -> Result<VersionId> {
    let tags = tags(&settings.tags, None, &options.mark("1"));
    let request = put(session, settings, text, None).overwrite(false).set_tags(Some(tags));
    let attempt = session.attempt("ssm:PutParameter", &settings.name);
    let answer = session.call(&quota::PARAMETER_WRITE, Repeat::Once, &attempt, || request.clone().send()).await?;
    Ok(answer.version.to_string())
}

/// Marks the version to come, stores it, and checks that it is the one.
async fn overwrite(
    session: &Session,
    settings: &SsmParameterSettings,
    text: &str,
    version: i64,
    changed: &[String],
    mark: &str,
) -> Result<VersionId> {
    // What is not declared must survive: without a key SSM would encrypt with the account's default.
    let kept = match metadata(session, &settings.name).await {
        Ok(kept) => kept,
        Err(error) if error.kind == ErrorKind::PermissionDenied => None,
        Err(error) => return Err(error),
    };
    let next = version.saturating_add(1);
    tag(session, settings, changed, mark).await?;
    let request = put(session, settings, text, kept.as_ref()).overwrite(true);
    let attempt = session.attempt("ssm:PutParameter", &settings.name);
    let answer = session.call(&quota::PARAMETER_WRITE, Repeat::Once, &attempt, || request.clone().send()).await?;
    if answer.version == next {
        return Ok(next.to_string());
    }
    let why = format!("somebody else wrote it at the same time (version {} instead of {next})", answer.version);
    Err(Error::new(ErrorKind::Conflict, format!("something else stands at {} than expected: {why}", settings.name)))
}

/// Everything of a `PutParameter` but overwrite and tags.
fn put(
    session: &Session,
    settings: &SsmParameterSettings,
    text: &str,
    kept: Option<&ParameterMetadata>,
) -> PutParameterFluentBuilder {
    let keep = |of: fn(&ParameterMetadata) -> Option<&str>| kept.and_then(of).map(str::to_owned);
    let key = settings.kms_key_id.clone().or_else(|| keep(ParameterMetadata::key_id));
    session
        .ssm
        .put_parameter()
        .name(&settings.name)
        .value(text)
        .r#type(Type::from(type_name(settings.parameter_type)))
        .tier(Tier::from(tier_name(settings.tier)))
        .data_type(&settings.data_type)
        .set_policies(settings.policies.clone())
        .set_description(settings.description.clone().or_else(|| keep(ParameterMetadata::description)))
        .set_key_id(key.filter(|_| settings.parameter_type == ParameterType::SecureString))
        .set_allowed_pattern(keep(ParameterMetadata::allowed_pattern))
}

/// Sets the mark for the version that stands there, and what else of the metadata differs.
pub(in super::super) async fn annotate(
    session: &Session,
    settings: &SsmParameterSettings,
    changed: &[String],
    options: &WriteOptions,
) -> Result<VersionId> {
    let Expect::Version(version) = &options.expect else {
        return Err(unexpected(settings, "metadata needs an object"));
    };
    fixed(settings, changed)?;
    if changed.iter().all(|name| name.starts_with("tag:")) {
        let version = current(session, settings, version).await?;
        tag(session, settings, changed, &options.mark(&version.to_string())).await?;
        return Ok(version.to_string());
    }
    let parameter = get(session, &settings.name, true).await?;
    if parameter.version.to_string() != *version {
        return Err(unexpected(settings, "its current version is another one"));
    }
    let value = SecretValue::from(parameter.value.unwrap_or_default());
    let text = acceptable(settings, &value)?;
    let mark = options.carried_mark(&parameter.version.saturating_add(1).to_string());
    overwrite(session, settings, text, parameter.version, changed, &mark).await
}

/// What SSM never changes.
fn fixed(settings: &SsmParameterSettings, changed: &[String]) -> Result<()> {
    let is_changed = |name: &str| changed.iter().any(|changed| changed == name);
    let name = &settings.name;
    if is_changed("type") {
        let message = format!(
            "{name}: SSM cannot change a parameter's type (HierarchyTypeMismatch); delete it, wait 30 s, and sync again"
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    if is_changed("tier") && settings.tier == ParameterTier::Standard {
        let message = format!(
            "{name}: SSM cannot take a parameter from tier Advanced back to Standard; declare `tier: Advanced`, \
             or delete it, wait 30 s, and sync again"
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(())
}

/// The version that stands there, if it is the one expected.
async fn current(session: &Session, settings: &SsmParameterSettings, expected: &str) -> Result<i64> {
    let parameter = get(session, &settings.name, false).await.map_err(|error| match error.kind {
        ErrorKind::NotFound => unexpected(settings, "nothing stands there any more"),
        _ => error,
    })?;
    if parameter.version.to_string() == expected {
        Ok(parameter.version)
    } else {
        Err(unexpected(settings, "its current version is another one"))
    }
}

/// Sets the mark for a version and the tags named in `changed`; leaves all others alone.
async fn tag(session: &Session, settings: &SsmParameterSettings, changed: &[String], mark: &str) -> Result<()> {
    let tags = tags(&settings.tags, Some(changed), mark);
    let kind = ResourceTypeForTagging::Parameter;
    let request = session.ssm.add_tags_to_resource().resource_type(kind).resource_id(&settings.name);
    let request = request.set_tags(Some(tags));
    let attempt = session.attempt("ssm:AddTagsToResource", &settings.name);
    session.call(&quota::PARAMETER_TAG, Repeat::Safe, &attempt, || request.clone().send()).await?;
    Ok(())
}

/// The mark and the declared tags, or those of them that changed.
fn tags(declared: &BTreeMap<String, String>, changed: Option<&[String]>, mark: &str) -> Vec<Tag> {
    // A tag fails to build only without key or value; both are here.
    let tags = tagged(declared, changed, mark);
    tags.filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok()).collect()
}

fn unexpected(settings: &SsmParameterSettings, why: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("something else stands at {} than expected: {why}", settings.name))
}
