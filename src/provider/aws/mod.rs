//! AWS Secrets Manager and SSM Parameter Store, in one region with one identity.
//!
//! Nothing happens until the first call: then the configuration is read, `GetCallerIdentity` asked
//! once, and both stores share one HTTP client. The SDK's own retries are off; [`crate::limiter`]
//! paces and repeats.

mod attributes;
mod error;
mod gate;
mod secrets_manager;
mod session;
mod ssm;
mod web_identity;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::{
    Capabilities, Error, ErrorKind, Identity, Listed, MarkOrder, Observed, Probe, Provider, Reading, Result, Stored,
    VersionId, WriteOptions,
};
use crate::hosts::Hosts;
use crate::limiter::{Limiter, RateLimit, RetryPolicy};
use crate::locator::Locator;
use crate::mark::{Generation, MARK_KEY};
use crate::secret::{SecretValue, Shape, Value};
use crate::target::{Attributes, Place, SecretsManagerSettings, SsmParameterSettings, TargetKind, TargetSettings};
use session::Session;
pub use web_identity::WebIdentity;

/// Most objects of one kind that a list tells of.
const LISTED_MAX: usize = 5000;

/// How to find credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthKind {
    /// The SDK's own chain: environment, profile, web identity, container, instance.
    #[default]
    Ambient,
    /// A profile of the shared configuration, whatever the environment holds.
    Profile,
    /// A role, assumed with the keys of the settings, of `profile`, or what the chain finds.
    AssumeRole,
    /// Keys from the settings.
    Static,
    /// A role for a token that vouches for this run.
    Oidc,
}

/// `auth` and `config` of a provider block, resolved.
#[derive(Clone, Default)]
pub struct AwsSettings {
    /// How to find credentials.
    pub auth_kind: AuthKind,
    /// The region; else `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile's.
    pub region: Option<String>,
    /// A profile of the shared configuration.
    pub profile: Option<String>,
    /// ARN of the role to assume.
    pub role_arn: Option<String>,
    /// What the role's trust policy may ask for.
    pub external_id: Option<String>,
    /// Name of the session; `secretzero` when missing.
    pub session_name: Option<String>,
    /// Access key; goes before everything else.
    pub access_key_id: Option<SecretValue>,
    /// Its secret.
    pub secret_access_key: Option<SecretValue>,
    /// Its session token, if it is temporary.
    pub session_token: Option<SecretValue>,
    /// Another endpoint for every service; else `AWS_ENDPOINT_URL`.
    pub endpoint_url: Option<String>,
    /// A login with a token: for [`AuthKind::Oidc`], and instead of what the chain finds.
    pub web_identity: Option<WebIdentity>,
    /// Where credentials may go beside AWS itself and `endpoint_url`.
    pub hosts: Hosts,
    /// Whether a pull request steers the run: then a profile names no host and starts no program.
    pub steered: bool,
}

/// What the AWS providers of one run share: quotas and connections.
#[derive(Clone)]
pub struct AwsShared {
    limiter: Arc<Limiter>,
    http: session::Http,
}

impl AwsShared {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(limiter: Arc<Limiter>) -> Self {
        Self { limiter, http: session::Http::default() }
    }
}

/// Both stores, one region, one identity.
pub struct AwsProvider {
    settings: AwsSettings,
    shared: AwsShared,
    session: OnceCell<Session>,
}

impl AwsProvider {
    /// A provider on its own.
    #[must_use]
    pub fn new(settings: AwsSettings, retry: RetryPolicy, rate_limit: RateLimit) -> Self {
        Self::sharing(settings, AwsShared::new(Arc::new(Limiter::new(retry, rate_limit))))
    }

    /// One of several providers of a run.
    #[must_use]
    pub fn sharing(settings: AwsSettings, shared: AwsShared) -> Self {
        Self { settings, shared, session: OnceCell::new() }
    }

    async fn session(&self) -> Result<&Session> {
        self.session.get_or_try_init(|| Session::open(&self.settings, &self.shared)).await
    }
}

/// The mark and the declared tags, or those of them that `changed` names, as names and values.
fn tagged<'t>(
    declared: &'t BTreeMap<String, String>,
    changed: Option<&'t [String]>,
    mark: &'t str,
) -> impl Iterator<Item = (&'t str, &'t str)> {
    let wanted = move |key: &str| {
        changed.is_none_or(|changed| changed.iter().any(|name| name.strip_prefix("tag:") == Some(key)))
    };
    let theirs = declared.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    std::iter::once((MARK_KEY, mark)).chain(theirs.filter(move |(key, _)| wanted(key)))
}

/// A prefix with and without the `/` that begins the names of SSM's hierarchies; none for everything.
fn spellings(prefix: &str) -> Vec<String> {
    match prefix.trim_start_matches('/') {
        "" => Vec::new(),
        bare => vec![bare.to_owned(), format!("/{bare}")],
    }
}

/// Refuses to go on with more objects than anybody reads.
fn bounded<T>(found: Vec<T>) -> Result<Vec<T>> {
    if found.len() <= LISTED_MAX {
        return Ok(found);
    }
    let message = format!("more than {LISTED_MAX} objects have such a name; choose a longer prefix");
    Err(Error::new(ErrorKind::Invalid, message))
}

fn not_ours(kind: TargetKind) -> Error {
    Error::new(ErrorKind::Unsupported, format!("AWS has no targets of kind {}", kind.as_str()))
}

/// The places of each store with their positions.
struct Split<'p> {
    secrets: Vec<(usize, &'p SecretsManagerSettings, &'p Shape)>,
    parameters: Vec<(usize, &'p SsmParameterSettings, &'p Shape)>,
}

impl<'p> Split<'p> {
    fn of(places: impl Iterator<Item = &'p Place>) -> Self {
        let mut split = Self { secrets: Vec::new(), parameters: Vec::new() };
        for (index, place) in places.enumerate() {
            match &place.settings {
                TargetSettings::SecretsManager(settings) => split.secrets.push((index, settings, &place.shape)),
                TargetSettings::SsmParameter(settings) => split.parameters.push((index, settings, &place.shape)),
                _ => {}
            }
        }
        split
    }

    /// The answers of both stores, back in the order asked.
    fn merge<T>(&self, length: usize, secrets: Vec<Result<T>>, parameters: Vec<Result<T>>) -> Vec<Result<T>> {
        let mut slots: Vec<Option<Result<T>>> = std::iter::repeat_with(|| None).take(length).collect();
        let secrets = self.secrets.iter().map(|(index, ..)| *index).zip(secrets);
        let parameters = self.parameters.iter().map(|(index, ..)| *index).zip(parameters);
        for (index, answer) in secrets.chain(parameters) {
            if let Some(slot) = slots.get_mut(index) {
                *slot = Some(answer);
            }
        }
        let foreign = || Err(Error::new(ErrorKind::Unsupported, "AWS has no targets of this kind"));
        slots.into_iter().map(|slot| slot.unwrap_or_else(foreign)).collect()
    }
}

#[async_trait]
impl Provider for AwsProvider {
    fn capabilities(&self, kind: TargetKind) -> Option<Capabilities> {
        match kind {
            TargetKind::SecretsManager => Some(Capabilities {
                conditional_create: true,
                write_token: true,
                mark_order: MarkOrder::ValueFirst,
                metadata_without_version: true,
                read_back: true,
                value_bytes_max: secrets_manager::VALUE_BYTES_MAX,
            }),
            TargetKind::SsmParameter => Some(Capabilities {
                conditional_create: true,
                write_token: false,
                mark_order: MarkOrder::MarkFirst,
                metadata_without_version: false,
                read_back: true,
                value_bytes_max: ssm::ADVANCED_BYTES_MAX,
            }),
            _ => None,
        }
    }

    fn audience(&self) -> Option<String> {
        let login = self.settings.web_identity.as_ref().filter(|login| login.role_arn.is_some())?;
        Some(login.audience().to_owned())
    }

    async fn identity(&self) -> Result<Identity> {
        Ok(self.session().await?.identity())
    }

    async fn locator(&self, place: &Place) -> Result<Locator> {
        let session = self.session().await?;
        let (account, region) = (&session.account, &session.region);
        match &place.settings {
            TargetSettings::SecretsManager(s) => Ok(Locator::secrets_manager(account, region, &s.name)),
            TargetSettings::SsmParameter(s) => Ok(Locator::ssm_parameter(account, region, &s.name)),
            other => Err(not_ours(other.kind())),
        }
    }

    fn recall(&self, at: &Locator, shape: &Shape) -> Option<Place> {
        let session = self.session.get()?;
        let here = format!("aws-sm://{}/{}/", session.account, session.region);
        let secret = at.as_str().strip_prefix(&here).filter(|name| !name.is_empty()).map(|name| {
            let name = name.to_owned();
            TargetSettings::SecretsManager(SecretsManagerSettings { name, ..SecretsManagerSettings::default() })
        });
        let parameter = || {
            let name = at.parameter_name(&session.account, &session.region)?;
            Some(TargetSettings::SsmParameter(SsmParameterSettings::named(name)))
        };
        Some(Place { settings: secret.or_else(parameter)?, shape: shape.clone() })
    }

    fn desired(&self, place: &Place, _generation: Option<&Generation>) -> Attributes {
        match &place.settings {
            TargetSettings::SecretsManager(settings) => attributes::of_secret(settings),
            TargetSettings::SsmParameter(settings) => attributes::of_parameter(settings),
            _ => Attributes::new(),
        }
    }

    async fn observe(&self, at: &[Probe<'_>], reading: Reading) -> Vec<Result<Option<Observed>>> {
        let session = match self.session().await {
            Ok(session) => session,
            Err(error) => return at.iter().map(|_| Err(error.clone())).collect(),
        };
        let split = Split::of(at.iter().map(|probe| probe.place));
        let secrets: Vec<_> = split.secrets.iter().map(|(_, settings, _)| *settings).collect();
        let hint = |index: usize| at.get(index).and_then(|probe| probe.expected_mark.as_deref());
        let parameters =
            split.parameters.iter().map(|(index, settings, _)| (*settings, hint(*index))).collect::<Vec<_>>();
        let (secrets, parameters) = futures_util::future::join(
            secrets_manager::observe::observe(session, &secrets, reading),
            ssm::observe::observe(session, &parameters, reading),
        )
        .await;
        split.merge(at.len(), secrets, parameters)
    }

    async fn read(&self, at: &[&Place]) -> Vec<Result<Stored>> {
        let session = match self.session().await {
            Ok(session) => session,
            Err(error) => return at.iter().map(|_| Err(error.clone())).collect(),
        };
        let split = Split::of(at.iter().copied());
        let secrets: Vec<_> =
            split.secrets.iter().map(|(_, settings, shape)| (settings.name.as_str(), *shape)).collect();
        let parameters: Vec<_> = split.parameters.iter().map(|(_, s, shape)| (s.name.as_str(), *shape)).collect();
        let (secrets, parameters) =
            futures_util::future::join(secrets_manager::read(session, &secrets), ssm::read(session, &parameters)).await;
        split.merge(at.len(), secrets, parameters)
    }

    async fn write(&self, at: &Place, value: &Value, options: &WriteOptions) -> Result<VersionId> {
        let session = self.session().await?;
        match &at.settings {
            TargetSettings::SecretsManager(s) => secrets_manager::write::write(session, s, value, options).await,
            TargetSettings::SsmParameter(s) => ssm::write::write(session, s, value, options).await,
            other => Err(not_ours(other.kind())),
        }
    }

    async fn annotate(&self, at: &Place, changed: &[String], options: &WriteOptions) -> Result<VersionId> {
        let session = self.session().await?;
        match &at.settings {
            TargetSettings::SecretsManager(s) => secrets_manager::write::annotate(session, s, changed, options).await,
            TargetSettings::SsmParameter(s) => ssm::write::annotate(session, s, changed, options).await,
            other => Err(not_ours(other.kind())),
        }
    }

    async fn list(&self, kind: TargetKind, prefix: &str) -> Result<Vec<Listed>> {
        let session = self.session().await?;
        match kind {
            TargetKind::SecretsManager => secrets_manager::list::list(session, &spellings(prefix)).await,
            TargetKind::SsmParameter => ssm::list::list(session, &spellings(prefix)).await,
            other => Err(not_ours(other)),
        }
    }

    async fn restore(&self, at: &Place) -> Result<()> {
        let session = self.session().await?;
        match &at.settings {
            TargetSettings::SecretsManager(s) => secrets_manager::write::restore(session, s).await,
            TargetSettings::SsmParameter(s) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("SSM deletes at once, so {} cannot be restored; create it again", s.name),
            )),
            other => Err(not_ours(other.kind())),
        }
    }

    async fn await_copies(&self, at: &Place) -> Result<BTreeMap<String, String>> {
        match &at.settings {
            TargetSettings::SecretsManager(s) if !s.replica_regions.is_empty() => {
                secrets_manager::replicas::wait(self.session().await?, s).await
            }
            _ => Ok(BTreeMap::new()),
        }
    }
}
