//! Google Secret Manager, reached with one identity: any project that it may use.
//!
//! Nothing happens until the first call: then credentials are found and one token is obtained. The API
//! is ten small JSON calls, made here; every request is checked against the hosts that may have a
//! token of Google, none follows a redirect, and no answer of Google is repeated in an error.
//! <https://cloud.google.com/secret-manager/docs/reference/rest>

mod attributes;
mod crc32c;
mod error;
mod list;
mod login;
mod observe;
mod rights;
mod session;
mod versions;
mod wire;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::OnceCell;

use super::{
    Capabilities, Error, ErrorKind, Identity, Listed, MarkOrder, Observed, Probe, Provider, Reading, Result, Stored,
    VersionId, WriteOptions,
};
use crate::clock::Clock;
use crate::disk::Disk;
use crate::environment::Environment;
use crate::hosts::Hosts;
use crate::limiter::Limiter;
use crate::locator::Locator;
use crate::mark::Generation;
use crate::oidc::{TokenSource, Trades};
use crate::secret::{Shape, Value};
use crate::target::{Attributes, Place, Replication, SecretManagerSettings, TargetKind, TargetSettings};
use session::{At, Session};
use write::{VALUE_BYTES_MAX, Writer};

/// How to find credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthKind {
    /// What the environment names, else gcloud's login, else the machine's service account.
    #[default]
    Ambient,
    /// A credentials file.
    CredentialsFile,
    /// A service account that lends its token to what is found otherwise.
    Impersonation,
    /// A pool that trusts whoever vouches for this run.
    Oidc,
}

/// `auth` and `config` of a provider block, resolved, with what a login reads beside them.
#[derive(Clone, Default)]
pub struct GcpSettings {
    /// How to find credentials.
    pub auth_kind: AuthKind,
    /// Project of targets that name none.
    pub project_id: Option<String>,
    /// A credentials file of any type, used in place of what is found.
    pub credentials_file: Option<PathBuf>,
    /// Address of the service account that lends its token.
    pub service_account: Option<String>,
    /// `projects/<number>/locations/global/workloadIdentityPools/<pool>/providers/<provider>`.
    pub workload_identity_provider: Option<String>,
    /// What the run's token is issued for; the provider's own address when missing.
    pub audience: Option<String>,
    /// Another address of the API; else `CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER`.
    pub endpoint_url: Option<String>,
    /// Where credentials may go beside Google itself and `endpoint_url`.
    pub hosts: Hosts,
    /// The variables of the run.
    pub environment: Environment,
}

/// What the stores of one run share.
#[derive(Clone)]
pub struct GcpShared {
    /// Quotas.
    pub limiter: Arc<Limiter>,
    /// Credentials files.
    pub disk: Arc<dyn Disk>,
    /// The time that is signed, and that rotations count from.
    pub clock: Arc<dyn Clock>,
    /// Who vouches for this run.
    pub tokens: Option<Arc<dyn TokenSource>>,
    /// What the run is about to do, and where a refused token is kept, and who hides what is given.
    pub trades: Trades,
}

/// Secret Manager with one identity.
pub struct GcpProvider {
    settings: GcpSettings,
    shared: GcpShared,
    session: OnceCell<Session>,
}

impl GcpProvider {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(settings: GcpSettings, shared: GcpShared) -> Self {
        Self { settings, shared, session: OnceCell::new() }
    }

    async fn session(&self) -> Result<&Session> {
        self.session.get_or_try_init(|| Session::open(&self.settings, &self.shared)).await
    }
}

/// The settings of a place of ours.
fn ours(place: &Place) -> Result<&SecretManagerSettings> {
    match &place.settings {
        TargetSettings::SecretManager(settings) => Ok(settings),
        other => {
            let message = format!("Google Cloud has no targets of kind {}", other.kind().as_str());
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}

/// Project and id of a place.
fn at<'a>(session: &'a Session, settings: &'a SecretManagerSettings) -> Result<At<'a>> {
    let project = settings.project_id.as_deref().or(session.project.as_deref());
    let project = project.ok_or_else(|| {
        let message = format!(
            "no project is known for {}; add `project_id` under the provider's `auth.config`",
            settings.secret_id
        );
        Error::new(ErrorKind::Invalid, message)
    })?;
    Ok(At { project, id: &settings.secret_id })
}

/// The value in force: the newest version in one call, unless that one is disabled.
async fn read(session: &Session, place: &Place) -> Result<Stored> {
    let settings = ours(place)?;
    let at = at(session, settings)?;
    let nothing = || Error::new(ErrorKind::NotFound, format!("{} has no value in {}", at.id, at.project));
    let newest = match versions::access(session, at, "latest").await {
        // Disabled or destroyed.
        Err(error) if error.kind == ErrorKind::Invalid => {
            let enabled = versions::standing(session, at).await?.enabled.ok_or_else(nothing)?;
            versions::access(session, at, &enabled.to_string()).await
        }
        other => other,
    };
    let (number, bytes) = newest?;
    let value = Value::from_text(bytes, &place.shape)
        .map_err(|error| Error::new(ErrorKind::Invalid, format!("{}: {error}; write it again or adopt it", at.id)))?;
    Ok(Stored { value, version: number.to_string() })
}

#[async_trait]
impl Provider for GcpProvider {
    fn capabilities(&self, kind: TargetKind) -> Option<Capabilities> {
        (kind == TargetKind::SecretManager).then_some(Capabilities {
            conditional_create: true,
            write_token: false,
            mark_order: MarkOrder::MarkFirst,
            metadata_without_version: true,
            read_back: true,
            value_bytes_max: VALUE_BYTES_MAX,
        })
    }

    fn audience(&self) -> Option<String> {
        login::audience(&self.settings)
    }

    async fn could_read(&self, at: &[&Place]) -> Result<Vec<Option<bool>>> {
        rights::could_read(self.session().await?, at).await
    }

    async fn identity(&self) -> Result<Identity> {
        Ok(self.session().await?.identity())
    }

    async fn locator(&self, place: &Place) -> Result<Locator> {
        let At { project, id } = at(self.session().await?, ours(place)?)?;
        Ok(Locator::secret_manager(project, id))
    }

    fn recall(&self, at: &Locator, shape: &Shape) -> Option<Place> {
        let here = self.session.get()?.project.as_deref()?;
        let (project, id) = at.google_secret().filter(|(project, _)| *project == here)?;
        let settings = SecretManagerSettings {
            project_id: Some(project.to_owned()),
            secret_id: id.to_owned(),
            labels: Default::default(),
            annotations: Default::default(),
            // No location: wherever it is kept.
            replication: Replication::UserManaged(Vec::new()),
            topics: Vec::new(),
            rotation_period_seconds: None,
            next_rotation_time: None,
            expire_time: None,
            keep_versions: None,
        };
        Some(Place { settings: TargetSettings::SecretManager(settings), shape: shape.clone() })
    }

    fn desired(&self, place: &Place, _generation: Option<&Generation>) -> Attributes {
        ours(place).map(attributes::desired).unwrap_or_default()
    }

    async fn observe(&self, probes: &[Probe<'_>], reading: Reading) -> Vec<Result<Option<Observed>>> {
        let session = match self.session().await {
            Ok(session) => session,
            Err(error) => return probes.iter().map(|_| Err(error.clone())).collect(),
        };
        let wanted: Vec<observe::Wanted<'_>> = probes
            .iter()
            .map(|probe| {
                let settings = ours(probe.place)?;
                Ok((at(session, settings)?, settings))
            })
            .collect();
        observe::observe(session, &wanted, reading).await
    }

    async fn read(&self, places: &[&Place]) -> Vec<Result<Stored>> {
        match self.session().await {
            Ok(session) => join_all(places.iter().map(|place| read(session, place))).await,
            Err(error) => places.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn write(&self, place: &Place, value: &Value, options: &WriteOptions) -> Result<VersionId> {
        let (session, settings) = (self.session().await?, ours(place)?);
        Writer { session, at: at(session, settings)?, settings, options }.write(value).await
    }

    async fn annotate(&self, place: &Place, changed: &[String], options: &WriteOptions) -> Result<VersionId> {
        let (session, settings) = (self.session().await?, ours(place)?);
        Writer { session, at: at(session, settings)?, settings, options }.annotate(changed).await
    }

    async fn restore(&self, place: &Place) -> Result<()> {
        let message =
            format!("Google deletes at once, so {} cannot be restored; create it again", place.settings.name());
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    async fn list(&self, kind: TargetKind, prefix: &str) -> Result<Vec<Listed>> {
        if kind != TargetKind::SecretManager {
            let message = format!("Google Cloud has no targets of kind {}", kind.as_str());
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        list::list(self.session().await?, prefix).await
    }
}
