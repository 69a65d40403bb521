//! Credentials files, as Google's tools write them
//! (<https://cloud.google.com/docs/authentication/application-default-credentials>,
//! <https://google.aip.dev/auth/4110>).

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::origin;
use super::source::{Base, External, Found, Own, Subject};
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// Where a token is had when the file does not say
/// (<https://developers.google.com/identity/protocols/oauth2>).
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// A file of any type; what a type does not use is empty. No `Debug`: it holds keys.
#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    #[serde(rename = "type")]
    kind: String,
    project_id: String,
    quota_project_id: String,
    client_email: String,
    private_key: String,
    private_key_id: String,
    token_uri: String,
    client_id: String,
    client_secret: String,
    refresh_token: String,
    audience: String,
    subject_token_type: String,
    token_url: String,
    service_account_impersonation_url: String,
    credential_source: Source,
    source_credentials: Option<Box<File>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Source {
    file: String,
    url: String,
    headers: BTreeMap<String, String>,
    format: Format,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    subject_token_field_name: String,
}

/// Reads a credentials file; `hosts` of the result are those it names.
///
/// # Errors
/// [`ErrorKind::Unauthenticated`] with what is wrong with it, never with a part of it.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Found> {
    let file: File = serde_json::from_slice(bytes).map_err(|_| wrong(path, "it is no credentials file in JSON"))?;
    let project = [&file.project_id, &file.quota_project_id].into_iter().find(|text| !text.is_empty()).cloned();
    let found = read(file, path)?;
    Ok(Found { project, ..found })
}

fn read(file: File, path: &Path) -> Result<Found> {
    let or = |text: String, usual: &str| if text.is_empty() { usual.to_owned() } else { text };
    let (base, urls, lender) = match file.kind.as_str() {
        "service_account" => {
            let uri = or(file.token_uri, TOKEN_URI);
            let base = Base::Own(Own::ServiceAccount {
                email: need(file.client_email, "client_email", path)?,
                key: SecretValue::from(need(file.private_key, "private_key", path)?),
                key_id: file.private_key_id,
                token_uri: uri.clone(),
            });
            (base, vec![uri], String::new())
        }
        "authorized_user" => {
            let uri = or(file.token_uri, TOKEN_URI);
            let base = Base::Own(Own::User {
                client_id: need(file.client_id, "client_id", path)?,
                client_secret: SecretValue::from(file.client_secret),
                refresh_token: SecretValue::from(need(file.refresh_token, "refresh_token", path)?),
                token_uri: uri.clone(),
            });
            (base, vec![uri], String::new())
        }
        "external_account" => {
            let subject = subject(file.credential_source, path)?;
            let near = if let Subject::Url { url, .. } = &subject { Some(url.clone()) } else { None };
            let token_url = need(file.token_url, "token_url", path)?;
            let base = Base::External(External {
                audience: need(file.audience, "audience", path)?,
                token_type: file.subject_token_type,
                token_url: token_url.clone(),
                subject,
            });
            (base, near.into_iter().chain([token_url]).collect(), file.service_account_impersonation_url)
        }
        "impersonated_service_account" => {
            let inner = file.source_credentials.ok_or_else(|| wrong(path, "it has no `source_credentials`"))?;
            let lender = need(file.service_account_impersonation_url, "service_account_impersonation_url", path)?;
            let mut found = read(*inner, path)?;
            found.hosts.push(host(&lender));
            found.lenders.push(lender);
            return Ok(found);
        }
        _ => {
            let why = "its `type` is none of service_account, authorized_user, external_account, \
                       impersonated_service_account";
            return Err(wrong(path, why));
        }
    };
    let lenders: Vec<String> = Some(lender).filter(|url| !url.is_empty()).into_iter().collect();
    let hosts = urls.iter().chain(&lenders).map(|url| host(url)).collect();
    Ok(Found { base, lenders, project: None, hosts })
}

fn subject(source: Source, path: &Path) -> Result<Subject> {
    let field = (source.format.kind == "json").then_some(source.format.subject_token_field_name);
    match source {
        Source { file, .. } if !file.is_empty() => Ok(Subject::File { path: file.into(), field }),
        Source { url, headers, .. } if !url.is_empty() => {
            let headers = headers.into_iter().map(|(name, value)| (name, SecretValue::from(value))).collect();
            Ok(Subject::Url { url, headers, field })
        }
        _ => Err(wrong(path, "its `credential_source` is neither a file nor a url; others are not supported")),
    }
}

fn host(url: &str) -> String {
    let (scheme, authority) = origin(url);
    format!("{scheme}://{authority}")
}

fn need(text: String, name: &str, path: &Path) -> Result<String> {
    if text.is_empty() { Err(wrong(path, &format!("it has no `{name}`"))) } else { Ok(text) }
}

/// What is wrong with a file.
pub(super) fn wrong(path: &Path, why: &str) -> Error {
    let message = format!("the credentials file {} cannot be used: {why}", path.display());
    Error::new(ErrorKind::Unauthenticated, message)
}
