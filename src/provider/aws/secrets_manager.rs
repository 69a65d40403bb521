//! AWS Secrets Manager: the version id is our write token, so a repeated write is harmless by design.
//!
//! Facts: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/>; quotas:
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>.

pub(super) mod list;
pub(super) mod observe;
pub(super) mod replicas;
pub(super) mod write;

use std::collections::HashMap;

use aws_sdk_secretsmanager::types::{ApiErrorType, SecretValueEntry};
use futures_util::future::join_all;

use super::session::Session;
use crate::limiter::{Repeat, quota};
use crate::provider::{Error, ErrorKind, Result, Stored};
use crate::secret::{SecretValue, Shape, Value};

/// Largest value, in bytes.
pub(super) const VALUE_BYTES_MAX: usize = 65_536;

/// Secrets per `BatchGetSecretValue`.
const BATCH_MAX: usize = 20;

/// From so many on, values are read in batches.
const BATCH_FROM: usize = 3;

/// What one batch says of each name.
enum Batched {
    /// The current version and its value.
    Value(Box<SecretValueEntry>),
    /// There is no current version.
    Absent,
    /// Ask for this one by itself.
    Unclear,
}

/// The current values, in the order asked.
pub(super) async fn read(session: &Session, at: &[(&str, &Shape)]) -> Vec<Result<Stored>> {
    let names: Vec<&str> = at.iter().map(|(name, _)| *name).collect();
    let mut known = HashMap::new();
    if names.len() >= BATCH_FROM {
        known = batches(session, &names).await;
    }
    let reads = at.iter().map(|(name, shape)| {
        let batched = known.remove(*name);
        async move {
            match batched {
                Some(Batched::Value(entry)) => {
                    let bytes = entry.secret_binary.map(aws_smithy_types::Blob::into_inner);
                    stored(name, shape, entry.secret_string, bytes, entry.version_id)
                }
                Some(Batched::Absent) => Err(absent(session, name)),
                Some(Batched::Unclear) | None => read_one(session, name, shape).await,
            }
        }
    });
    // Collected first, since each takes its answer out of `known`.
    let reads: Vec<_> = reads.collect();
    join_all(reads).await
}

async fn read_one(session: &Session, name: &str, shape: &Shape) -> Result<Stored> {
    let request = session.secrets_manager.get_secret_value().secret_id(name);
    let attempt = session.attempt("secretsmanager:GetSecretValue", name);
    match session.call(&quota::SECRET_READ, Repeat::Read, &attempt, || request.clone().send()).await {
        // See `describe`: another secret may answer to this name.
        Ok(answer) if answer.name.as_deref() != Some(name) => Err(absent(session, name)),
        Ok(answer) => {
            let bytes = answer.secret_binary.map(aws_smithy_types::Blob::into_inner);
            stored(name, shape, answer.secret_string, bytes, answer.version_id)
        }
        Err(error) if error.kind == ErrorKind::PendingDeletion => {
            Err(observe::state(session, name).await.unwrap_or(error))
        }
        Err(error) => Err(error),
    }
}

fn stored(
    name: &str,
    shape: &Shape,
    text: Option<String>,
    bytes: Option<Vec<u8>>,
    version: Option<String>,
) -> Result<Stored> {
    let value = text.map(SecretValue::from).or_else(|| bytes.map(SecretValue::new));
    let (Some(value), Some(version)) = (value, version) else {
        return Err(Error::new(ErrorKind::NotFound, format!("{name} has no current value")));
    };
    let value = Value::from_text(value, shape)
        .map_err(|error| Error::new(ErrorKind::Invalid, format!("{name}: {error}; write it again or adopt it")))?;
    Ok(Stored { value, version })
}

fn absent(session: &Session, name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{name} does not exist in {} or has no value", session.region))
}

/// Asks for all names in batches. Nothing is known of a name that is missing in the answer: batches
/// may be forbidden, and one secret in a batch may be too.
async fn batches(session: &Session, names: &[&str]) -> HashMap<String, Batched> {
    let mut chunks = names.chunks(BATCH_MAX);
    let mut known = HashMap::new();
    // The first goes alone: where batches are forbidden, one refusal is enough.
    let Some(Ok(first)) = join_all(chunks.next().map(|names| batch(session, names))).await.pop() else { return known };
    known.extend(first);
    for answer in join_all(chunks.map(|names| batch(session, names))).await.into_iter().flatten() {
        known.extend(answer);
    }
    known
}

async fn batch(session: &Session, names: &[&str]) -> Result<HashMap<String, Batched>> {
    let ids = names.iter().map(|name| (*name).to_owned()).collect();
    let request = session.secrets_manager.batch_get_secret_value().set_secret_id_list(Some(ids));
    let attempt = session.attempt("secretsmanager:BatchGetSecretValue", "");
    let answer = session.call(&quota::SECRET_BATCH, Repeat::Read, &attempt, || request.clone().send()).await?;
    let refused = answer.errors.unwrap_or_default().into_iter().filter_map(|refusal: ApiErrorType| {
        let absent = refusal.error_code.as_deref() == Some("ResourceNotFoundException");
        Some((refusal.secret_id?, if absent { Batched::Absent } else { Batched::Unclear }))
    });
    let values = answer.secret_values.unwrap_or_default().into_iter();
    let values = values.filter_map(|entry| Some((entry.name.clone()?, Batched::Value(Box::new(entry)))));
    Ok(values.chain(refused).collect())
}
