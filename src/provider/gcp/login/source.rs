//! Where a token comes from: a key, a person's login, a token of somebody whom Google trusts, or the
//! machine itself; and how each is found.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::file::{parse, wrong};
use super::{Granted, Wire, jwt, metadata, missing, origin, wire};
use crate::disk::Disk;
use crate::oidc::{Phase, TokenSource};
use crate::provider::gcp::session::segment;
use crate::provider::gcp::{AuthKind, GcpSettings, GcpShared};
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// Largest credentials file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>
const STS: &str = "https://sts.googleapis.com";
/// <https://cloud.google.com/iam/docs/reference/credentials/rest>
const IAM_CREDENTIALS: &str = "https://iamcredentials.googleapis.com";

/// The type of a token that a CI system issues.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// The first identity, before any service account lends its own.
pub(super) enum Base {
    /// Of Google's own.
    Own(Own),
    /// Of somebody whom a workload identity pool trusts.
    External(External),
}

/// An identity that Google itself gave.
pub(super) enum Own {
    /// A key.
    ServiceAccount { email: String, key: SecretValue, key_id: String, token_uri: String },
    /// A person who logged in with gcloud.
    User { client_id: String, client_secret: SecretValue, refresh_token: SecretValue, token_uri: String },
    /// The machine.
    Metadata { host: String },
}

/// A token of somebody else, and where it is exchanged.
pub(super) struct External {
    /// The pool's provider.
    pub(super) audience: String,
    pub(super) token_type: String,
    pub(super) token_url: String,
    pub(super) subject: Subject,
}

/// Where the token comes from that the pool trusts.
pub(super) enum Subject {
    /// A file that somebody keeps fresh, with the name of the field if it is JSON.
    File { path: PathBuf, field: Option<String> },
    /// An address that issues one.
    Url { url: String, headers: Vec<(String, SecretValue)>, field: Option<String> },
    /// Whoever vouches for this run.
    Run { tokens: Arc<dyn TokenSource>, audience: String },
}

/// Credentials that were found.
pub(in super::super) struct Found {
    pub(super) base: Base,
    /// Where service accounts lend their tokens, in turn.
    pub(super) lenders: Vec<String>,
    /// The project that the credentials name.
    pub(super) project: Option<String>,
    /// Where they lead, if whoever named them may say so.
    pub(super) hosts: Vec<String>,
}

/// The credentials that the settings mean.
pub(super) async fn find(settings: &GcpSettings, shared: &GcpShared, wire: &Wire) -> Result<Found> {
    let mut found = match settings.auth_kind {
        AuthKind::Oidc => federated(settings, shared)?,
        AuthKind::CredentialsFile | AuthKind::Ambient | AuthKind::Impersonation => match &settings.credentials_file {
            Some(path) => named(settings, shared, path, wire)?,
            None if settings.auth_kind == AuthKind::CredentialsFile => {
                return Err(missing("`auth.kind: credentials_file` needs `credentials_file` under `auth.config`"));
            }
            None => ambient(settings, shared, wire).await?,
        },
    };
    if let Some(email) = &settings.service_account {
        let endpoint = override_of(settings, "IAMCREDENTIALS").unwrap_or_else(|| IAM_CREDENTIALS.to_owned());
        let endpoint = endpoint.trim_end_matches('/');
        found.lenders.push(lender(endpoint, email));
    }
    found.hosts.extend(["STS", "IAMCREDENTIALS"].iter().filter_map(|service| override_of(settings, service)));
    Ok(found)
}

/// An address that the environment gives in place of Google's own, as gcloud reads it
/// (<https://cloud.google.com/sdk/gcloud/reference/config/set#api_endpoint_overrides>).
pub(in super::super) fn override_of(settings: &GcpSettings, service: &str) -> Option<String> {
    let name = format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}");
    settings.environment.filled(&name).map(|url| url.trim_end_matches('/').to_owned())
}

/// Where a service account lends its token; whatever the account's name is, it leads nowhere else. An
/// `@` may stand in a segment as it is (RFC 3986 §3.3).
fn lender(endpoint: &str, email: &str) -> String {
    let email: Vec<String> = email.split('@').map(segment).collect();
    format!("{endpoint}/v1/projects/-/serviceAccounts/{}:generateAccessToken", email.join("@"))
}

/// The service account at the end of a lender's address.
pub(super) fn email_of(lender: &str) -> &str {
    let last = lender.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

/// A file that a provider block names.
fn named(settings: &GcpSettings, shared: &GcpShared, path: &Path, wire: &Wire) -> Result<Found> {
    let bytes = read(shared.disk.as_ref(), path)?;
    confined(parse(&bytes, path)?, settings, wire)
}

/// A file that the environment names: whoever starts the run may lead it elsewhere, a pull request not.
fn given(settings: &GcpSettings, shared: &GcpShared, path: &Path, bytes: &[u8], wire: &Wire) -> Result<Found> {
    let found = parse(bytes, path)?;
    if shared.trades.phase() == Phase::Plan { confined(found, settings, wire) } else { Ok(found) }
}

/// What was found may lead to Google and to `allowed_hosts` only.
fn confined(mut found: Found, settings: &GcpSettings, wire: &Wire) -> Result<Found> {
    found.hosts.clear();
    if let Base::External(External { subject: Subject::Url { url, .. }, .. }) = &found.base {
        // The issuer of GitHub's tokens is named by the runner's own environment.
        let runner = settings.environment.filled("ACTIONS_ID_TOKEN_REQUEST_URL").map(origin);
        if runner != Some(origin(url)) {
            wire.check(url)?;
        }
    }
    Ok(found)
}

/// As Google's own libraries look (<https://cloud.google.com/docs/authentication/application-default-credentials>):
/// the file of the environment, gcloud's, the machine.
async fn ambient(settings: &GcpSettings, shared: &GcpShared, wire: &Wire) -> Result<Found> {
    let environment = &settings.environment;
    if let Some(path) = environment.filled("GOOGLE_APPLICATION_CREDENTIALS") {
        let path = Path::new(path);
        return given(settings, shared, path, &read(shared.disk.as_ref(), path)?, wire);
    }
    if let Some(path) = well_known(settings)
        && let Ok(Some(bytes)) = shared.disk.read(&path, FILE_BYTES_MAX)
    {
        return given(settings, shared, &path, &bytes, wire);
    }
    let host = environment.filled("GCE_METADATA_HOST").unwrap_or(metadata::HOST).to_owned();
    let project = metadata::project(wire, &host).await;
    if project.is_none() && metadata::email(wire, &host).await.is_empty() {
        return Err(missing("no credentials were found"));
    }
    Ok(Found { base: Base::Own(Own::Metadata { host }), lenders: Vec::new(), project, hosts: Vec::new() })
}

fn well_known(settings: &GcpSettings) -> Option<PathBuf> {
    let environment = &settings.environment;
    let folder = match environment.filled("CLOUDSDK_CONFIG") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(environment.filled("HOME")?).join(".config/gcloud"),
    };
    Some(folder.join("application_default_credentials.json"))
}

/// What the token of a run is made for, if a pool is to trust it.
pub(in super::super) fn audience(settings: &GcpSettings) -> Option<String> {
    let provider = pool_provider(settings).ok().filter(|_| settings.auth_kind == AuthKind::Oidc)?;
    Some(settings.audience.clone().unwrap_or_else(|| own_audience(provider)))
}

/// What Google takes where a pool's provider names no audience
/// (<https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines>).
fn own_audience(provider: &str) -> String {
    format!("https://iam.googleapis.com/{provider}")
}

/// The full name of a pool's provider.
fn pool_provider(settings: &GcpSettings) -> Result<&str> {
    let provider = settings.workload_identity_provider.as_deref();
    let provider = provider.ok_or_else(|| missing("`auth.kind: oidc` needs `workload_identity_provider`"))?;
    let provider = provider.trim_start_matches("https:").trim_start_matches("//iam.googleapis.com/");
    let parts: Vec<&str> = provider.split('/').collect();
    let right = matches!(parts[..], ["projects", number, "locations", "global", "workloadIdentityPools", _, "providers", _]
        if number.bytes().all(|b| b.is_ascii_digit()));
    if !right {
        return Err(missing(
            "`workload_identity_provider` is not \
             `projects/<number>/locations/global/workloadIdentityPools/<pool>/providers/<provider>`, with the \
             project's number",
        ));
    }
    Ok(provider)
}

/// A pool that trusts whoever vouches for this run.
fn federated(settings: &GcpSettings, shared: &GcpShared) -> Result<Found> {
    let provider = pool_provider(settings)?;
    let tokens = shared
        .tokens
        .clone()
        .ok_or_else(|| missing("`auth.kind: oidc` works where a CI system vouches for the run, and none does here"))?;
    let endpoint = override_of(settings, "STS").unwrap_or_else(|| STS.to_owned());
    let base = Base::External(External {
        audience: format!("//iam.googleapis.com/{provider}"),
        token_type: JWT.into(),
        token_url: format!("{endpoint}/v1/token"),
        subject: Subject::Run { tokens, audience: settings.audience.clone().unwrap_or_else(|| own_audience(provider)) },
    });
    Ok(Found { base, lenders: Vec::new(), project: None, hosts: Vec::new() })
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>> {
    match disk.read(path, FILE_BYTES_MAX) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(wrong(path, "there is none; check the path")),
        Err(error) => Err(wrong(path, &error.kind().to_string())),
    }
}

impl Own {
    /// A fresh token, and who it makes us.
    pub(super) async fn token(&self, wire: &Wire) -> Result<(Granted, String)> {
        match self {
            Self::ServiceAccount { email, key, key_id, token_uri } => {
                let assertion = jwt::assertion(email, key, key_id, token_uri, wire.now())?;
                let form = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", assertion.expose_text().unwrap_or_default()),
                ];
                let what = format!("the key of {email}");
                let advice = "check that the key was not deleted, the account not disabled, and the clock right";
                Ok((wire.form(&what, advice, token_uri, &form).await?, email.clone()))
            }
            Self::User { client_id, client_secret, refresh_token, token_uri } => {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", client_id),
                    ("client_secret", client_secret.expose_text().unwrap_or_default()),
                    ("refresh_token", refresh_token.expose_text().unwrap_or_default()),
                ];
                let advice = "run `gcloud auth application-default login` again";
                let granted = wire.form("the login of gcloud", advice, token_uri, &form).await?;
                Ok((granted, "the user who is logged in with gcloud".into()))
            }
            Self::Metadata { host } => Ok((metadata::token(wire, host).await?, metadata::email(wire, host).await)),
        }
    }
}

impl External {
    /// A fresh token of theirs.
    pub(super) async fn mint(&self, wire: &Wire) -> Result<SecretValue> {
        self.subject.token(wire).await
    }

    /// Exchanges one, and who it makes us
    /// (<https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>).
    pub(super) async fn exchange(&self, wire: &Wire, token: &SecretValue) -> Result<(Granted, String)> {
        let audience = &self.audience;
        let body = json!({
            "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
            "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
            "audience": audience,
            "scope": super::SCOPE,
            "subjectTokenType": self.token_type,
            "subjectToken": token.expose_text().unwrap_or_default(),
        });
        let sent = |name: &str| jwt::claim(token, name).unwrap_or_else(|| "?".into());
        let advice = format!(
            "we sent iss={}, sub={}, aud={}: the provider {audience} must have this issuer, allow this audience, and \
             its attribute condition must be true for these claims",
            sent("iss"),
            sent("sub"),
            sent("aud")
        );
        let what = "the exchange of this run's token";
        let answer = wire.json(what, &advice, &self.token_url, &body, None).await?;
        Ok((wire::granted(what, answer.to_string().as_bytes())?, principal(audience, token)))
    }
}

/// The member of the pool that a token makes us, when the pool maps `google.subject` to `sub`
/// (<https://cloud.google.com/iam/docs/principal-identifiers>).
fn principal(audience: &str, token: &SecretValue) -> String {
    let pool = audience.split("/providers/").next().unwrap_or(audience);
    match jwt::claim(token, "sub") {
        Some(subject) => format!("principal:{pool}/subject/{subject}"),
        None => format!("principalSet:{pool}/*"),
    }
}

impl Subject {
    async fn token(&self, wire: &Wire) -> Result<SecretValue> {
        let (body, field) = match self {
            Self::Run { tokens, audience } => return tokens.token(audience).await,
            Self::File { path, field } => (read(wire.disk(), path)?, field),
            Self::Url { url, headers, field } => {
                let text = |value: &SecretValue| value.expose_text().unwrap_or_default().to_owned();
                let headers: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
                let near = origin(url).0 == "http";
                (wire.get("this run's token", url, &headers, near).await?, field)
            }
        };
        let text = String::from_utf8(body).ok().and_then(|text| match field {
            None => Some(text.trim().to_owned()),
            Some(field) => serde_json::from_str::<Json>(&text).ok()?.get(field)?.as_str().map(str::to_owned),
        });
        text.filter(|text| !text.is_empty()).map(SecretValue::from).ok_or_else(|| {
            let message = "Unable to authenticate with Google Cloud: no token stands where the credentials file's \
                           `credential_source` says";
            Error::new(ErrorKind::Unauthenticated, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_is_one_segment() {
        let good = lender(IAM_CREDENTIALS, "ci@shop.iam.gserviceaccount.com");
        assert!(good.ends_with("/serviceAccounts/ci@shop.iam.gserviceaccount.com:generateAccessToken"), "{good}");
        assert_eq!(email_of(&good), "ci@shop.iam.gserviceaccount.com");
        let bad = lender(IAM_CREDENTIALS, "../../x?y#z:w@a");
        assert!(bad.ends_with("/serviceAccounts/..%2F..%2Fx%3Fy%23z%3Aw@a:generateAccessToken"), "{bad}");
    }
}
