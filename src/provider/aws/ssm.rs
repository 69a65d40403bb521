//! AWS SSM Parameter Store: versions are counted, and the mark goes before the value it describes.
//!
//! There is no write token and no compare-and-swap, so a parameter is created only where none stands
//! (`Overwrite=false`), and an overwrite checks before and after which version it made. Facts:
//! <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>; rates:
//! <https://docs.aws.amazon.com/general/latest/gr/ssm.html>.

pub(super) mod list;
pub(super) mod observe;
pub(super) mod write;

use std::collections::HashMap;

use aws_sdk_ssm::types::Parameter;
use futures_util::future::join_all;

use super::session::Session;
use crate::limiter::{Repeat, quota};
use crate::provider::{Error, ErrorKind, Result, Stored};
use crate::secret::{SecretValue, Shape, Value};

/// Largest value of tier Standard, in bytes.
pub(super) const STANDARD_BYTES_MAX: usize = 4096;

/// Largest value of tier Advanced, in bytes.
pub(super) const ADVANCED_BYTES_MAX: usize = 8192;

/// Names per `GetParameters`.
const BATCH_MAX: usize = 10;

/// The current values, in the order asked.
pub(super) async fn read(session: &Session, at: &[(&str, &Shape)]) -> Vec<Result<Stored>> {
    let names: Vec<&str> = at.iter().map(|(name, _)| *name).collect();
    let mut known = batches(session, &names, true).await.unwrap_or_default();
    let reads = at.iter().map(|(name, shape)| {
        let batched = known.remove(*name);
        async move {
            let parameter = match batched {
                Some(Some(parameter)) => parameter,
                Some(None) => return Err(absent(session, name)),
                None => get(session, name, true).await?,
            };
            stored(name, shape, parameter)
        }
    });
    // Collected first, since each takes its answer out of `known`.
    let reads: Vec<_> = reads.collect();
    join_all(reads).await
}

fn stored(name: &str, shape: &Shape, parameter: Parameter) -> Result<Stored> {
    let Some(value) = parameter.value else {
        return Err(Error::new(ErrorKind::NotFound, format!("{name} has no value")));
    };
    let value = Value::from_text(SecretValue::from(value), shape)
        .map_err(|error| Error::new(ErrorKind::Invalid, format!("{name}: {error}; write it again or adopt it")))?;
    Ok(Stored { value, version: parameter.version.to_string() })
}

fn absent(session: &Session, name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{name} does not exist in {}", session.region))
}

/// One parameter; encrypted unless `decrypted`.
async fn get(session: &Session, name: &str, decrypted: bool) -> Result<Parameter> {
    let request = session.ssm.get_parameter().name(name).with_decryption(decrypted);
    let attempt = session.attempt("ssm:GetParameter", name);
    let answer = session.call(&quota::PARAMETER_READ, Repeat::Read, &attempt, || request.clone().send()).await?;
    answer.parameter.ok_or_else(|| absent(session, name))
}

/// Every parameter by its name, `None` being absent; a name is missing if its batch failed.
///
/// # Errors
/// The first batch's: it goes alone, so that where batches are forbidden one refusal is enough.
async fn batches(session: &Session, names: &[&str], decrypted: bool) -> Result<HashMap<String, Option<Parameter>>> {
    let mut chunks = names.chunks(BATCH_MAX);
    let mut known = match chunks.next() {
        Some(names) => batch(session, names, decrypted).await?,
        None => HashMap::new(),
    };
    for answer in join_all(chunks.map(|names| batch(session, names, decrypted))).await.into_iter().flatten() {
        known.extend(answer);
    }
    Ok(known)
}

async fn batch(session: &Session, names: &[&str], decrypted: bool) -> Result<HashMap<String, Option<Parameter>>> {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let request = session.ssm.get_parameters().set_names(Some(names)).with_decryption(decrypted);
    let attempt = session.attempt("ssm:GetParameters", "");
    let answer = session.call(&quota::PARAMETER_READ, Repeat::Read, &attempt, || request.clone().send()).await?;
    let absent = answer.invalid_parameters.unwrap_or_default().into_iter().map(|name| (name, None));
    let present = answer.parameters.unwrap_or_default().into_iter();
    let present = present.filter_map(|parameter| Some((parameter.name.clone()?, Some(parameter))));
    Ok(absent.chain(present).collect())
}
