//! Writes to Secrets Manager: every value under its token, the mark after it.
//!
//! The token is the version id and names the generation, so that a crash between value and mark
//! loses nothing: the version alone tells what was written.

use std::collections::BTreeMap;

use aws_sdk_secretsmanager::types::Tag;
use aws_smithy_types::Blob;

use super::super::session::Session;
use super::super::tagged;
use super::VALUE_BYTES_MAX;
use super::observe::{describe, state};
use super::replicas::{replica, replicate};
use crate::limiter::{Repeat, quota};
use crate::provider::{Error, ErrorKind, Expect, Observed, Result, VersionId, WriteOptions};
use crate::secret::{SecretValue, Value};
use crate::target::SecretsManagerSettings;

/// Stores a value and its mark.
pub(in super::super) async fn write(
    session: &Session,
    settings: &SecretsManagerSettings,
    value: &Value,
    options: &WriteOptions,
) -> Result<VersionId> {
    let bytes = value.to_text();
    if bytes.is_empty() || bytes.len() > VALUE_BYTES_MAX {
        let message = format!("{}: Secrets Manager takes values of 1 to {VALUE_BYTES_MAX} bytes", settings.name);
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let written = match &options.expect {
        Expect::Absent => create(session, settings, &bytes, options).await,
        Expect::Version(version) => put(session, settings, &bytes, version, options).await,
    };
    match written {
        Err(error) if error.kind == ErrorKind::PendingDeletion => {
            Err(state(session, &settings.name).await.unwrap_or(error))
        }
        other => other,
    }
}

async fn create(
    session: &Session,
    settings: &SecretsManagerSettings,
    value: &SecretValue,
    options: &WriteOptions,
) -> Result<VersionId> {
    let token = options.token.to_string();
    let replicas: Vec<_> = settings.replica_regions.iter().map(replica).collect();
    let request = session
        .secrets_manager
        .create_secret()
        .name(&settings.name)
        .client_request_token(&token)
        .set_description(settings.description.clone())
        .set_kms_key_id(settings.kms_key_id.clone())
        .set_add_replica_regions((!replicas.is_empty()).then_some(replicas))
        .set_tags(Some(tags(&settings.tags, None, &options.mark(&token))));
    let request = match value.expose_text() {
        Some(text) => request.secret_string(text),
        None => request.secret_binary(Blob::new(value.expose())),
    };
    let attempt = session.attempt("secretsmanager:CreateSecret", &settings.name);
    let answer = session.call(&quota::SECRET_CREATE, Repeat::Safe, &attempt, || request.clone().send()).await?;
    Ok(answer.version_id.unwrap_or(token))
}

async fn put(
    session: &Session,
    settings: &SecretsManagerSettings,
    value: &SecretValue,
    version: &VersionId,
    options: &WriteOptions,
) -> Result<VersionId> {
    let token = options.token.to_string();
    // The token refuses a second writer of this generation; any other writer is seen here.
    let current = describe(session, &settings.name).await?;
    let current = current.ok_or_else(|| unexpected(&settings.name, "nothing stands there any more"))?;
    if current.version != token {
        expected(&settings.name, &current, version)?;
    }
    let request = session.secrets_manager.put_secret_value().secret_id(&settings.name).client_request_token(&token);
    let request = match value.expose_text() {
        Some(text) => request.secret_string(text),
        None => request.secret_binary(Blob::new(value.expose())),
    };
    let attempt = session.attempt("secretsmanager:PutSecretValue", &settings.name);
    let answer = session.call(&quota::SECRET_WRITE, Repeat::Safe, &attempt, || request.clone().send()).await?;
    // A token that was used before and superseded since is accepted without becoming current.
    if answer.version_stages.is_some_and(|stages| !stages.iter().any(|stage| stage == "AWSCURRENT")) {
        return Err(unexpected(&settings.name, "this generation was written before and is no longer current"));
    }
    tag(session, settings, &[], options, &token).await.map_err(|error| {
        let message = format!("{}: the new value is stored, its mark is not yet: {error}", settings.name);
        Error::new(ErrorKind::Indeterminate, message)
    })?;
    Ok(token)
}

/// Sets the mark for the version that stands there, and what else of the metadata differs.
pub(in super::super) async fn annotate(
    session: &Session,
    settings: &SecretsManagerSettings,
    changed: &[String],
    options: &WriteOptions,
) -> Result<VersionId> {
    let Expect::Version(version) = &options.expect else {
        return Err(unexpected(&settings.name, "metadata needs an object"));
    };
    let current = describe(session, &settings.name).await?;
    let current = current.ok_or_else(|| unexpected(&settings.name, "nothing stands there any more"))?;
    expected(&settings.name, &current, version)?;
    let is_changed = |name: &str| changed.iter().any(|changed| changed == name);
    if is_changed("description") || is_changed("kms_key_id") {
        let request = session
            .secrets_manager
            .update_secret()
            .secret_id(&settings.name)
            .set_description(settings.description.clone().filter(|_| is_changed("description")))
            .set_kms_key_id(settings.kms_key_id.clone().filter(|_| is_changed("kms_key_id")));
        let attempt = session.attempt("secretsmanager:UpdateSecret", &settings.name);
        session.call(&quota::SECRET_WRITE, Repeat::Safe, &attempt, || request.clone().send()).await?;
    }
    replicate(session, settings, &current, &is_changed).await?;
    let mark_differs = current.mark.as_deref() != Some(options.mark(version).as_str());
    if mark_differs || changed.iter().any(|name| name.starts_with("tag:")) {
        tag(session, settings, changed, options, version).await?;
    }
    Ok(version.clone())
}

/// Sets the mark and the tags named in `changed`; leaves all others alone.
async fn tag(
    session: &Session,
    settings: &SecretsManagerSettings,
    changed: &[String],
    options: &WriteOptions,
    version: &str,
) -> Result<()> {
    let tags = tags(&settings.tags, Some(changed), &options.mark(version));
    let request = session.secrets_manager.tag_resource().secret_id(&settings.name).set_tags(Some(tags));
    let attempt = session.attempt("secretsmanager:TagResource", &settings.name);
    session.call(&quota::SECRET_TAG, Repeat::Safe, &attempt, || request.clone().send()).await?;
    Ok(())
}

/// Takes back a scheduled deletion.
pub(in super::super) async fn restore(session: &Session, settings: &SecretsManagerSettings) -> Result<()> {
    let request = session.secrets_manager.restore_secret().secret_id(&settings.name);
    let attempt = session.attempt("secretsmanager:RestoreSecret", &settings.name);
    session.call(&quota::SECRET_RESTORE, Repeat::Safe, &attempt, || request.clone().send()).await?;
    Ok(())
}

/// The mark and the declared tags, or those of them that changed.
fn tags(declared: &BTreeMap<String, String>, changed: Option<&[String]>, mark: &str) -> Vec<Tag> {
    tagged(declared, changed, mark).map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

fn expected(name: &str, current: &Observed, version: &str) -> Result<()> {
    if current.pending_deletion {
        return Err(Error::new(ErrorKind::PendingDeletion, format!("{name} is scheduled for deletion")));
    }
    if current.version != version {
        return Err(unexpected(name, "its current version is another one"));
    }
    Ok(())
}

fn unexpected(name: &str, why: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("something else stands at {name} than expected: {why}"))
}
