//! Azure Key Vault: secrets and certificates in any number of vaults, with one identity.
//!
//! Requests are our own, a dozen of them. Microsoft's crates would read the process's environment by
//! themselves, have no chain of logins, ask every vault once without a token, and keep values in plain
//! strings. Nothing happens until the first call.
//!
//! A vault has no conditional write, and tags belong to a version. So every write looks first, the mark
//! comes with the value ([`MarkOrder::WithValue`]), and once the store has named the version the mark
//! is completed with that name (`stamp`).

mod attributes;
mod certificate;
mod error;
mod list;
mod login;
mod model;
mod objects;
mod observe;
mod pkcs12;
mod secret;
mod stamp;
mod thumbprint;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Capabilities, Error, ErrorKind, Identity, Listed, MarkOrder, Observed, Probe, Provider, Reading, Result, Stored,
    VersionId, WriteOptions,
};
use crate::environment::Environment;
use crate::hosts::{Cloud, Hosts};
use crate::limiter::Limiter;
use crate::locator::Locator;
use crate::mark::Generation;
use crate::oidc::{TokenSource, Trades};
use crate::secret::{SecretValue, Shape, Value};
use crate::target::{Attributes, KeyVaultCertificateSettings, KeyVaultSettings, Place, TargetKind, TargetSettings};
use model::Collection;
use objects::Object;
use wire::Wire;

/// Largest value, in bytes
/// (<https://learn.microsoft.com/azure/key-vault/secrets/about-secrets>).
pub const VALUE_BYTES_MAX: usize = 25 * 1024;

/// How to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthKind {
    /// What the machine offers, in the order of Microsoft's `DefaultAzureCredential`: a service
    /// principal or workload identity from the environment, the CI system's token, a managed identity,
    /// the Azure CLI.
    #[default]
    Default,
    /// A client id and its secret.
    ServicePrincipal,
    /// The identity of the machine.
    ManagedIdentity,
    /// Whoever is logged in with `az login`.
    Cli,
    /// A token of the CI system, which a federated credential trusts.
    Oidc,
}

/// `auth` and `config` of a provider block, resolved, and what the run adds.
#[derive(Clone, Default)]
pub struct AzureSettings {
    /// How to log in.
    pub auth_kind: AuthKind,
    /// Tenant id or domain; else `AZURE_TENANT_ID`.
    pub tenant_id: Option<String>,
    /// Client id of the application or of the managed identity; else `AZURE_CLIENT_ID`.
    pub client_id: Option<String>,
    /// Secret of the application.
    pub client_secret: Option<SecretValue>,
    /// Where Entra is asked; else `AZURE_AUTHORITY_HOST`, else the public cloud.
    pub authority_host: Option<String>,
    /// The audience that the CI system's token is made for; that of the login's cloud when missing, such as
    /// `api://AzureADTokenExchange`.
    pub audience: Option<String>,
    /// Where requests for every vault go instead of the vault itself.
    pub endpoint_url: Option<String>,
    /// Where credentials may go beside Azure itself.
    pub hosts: Hosts,
    /// The variables of the run.
    pub environment: Environment,
    /// Who vouches for this run.
    pub tokens: Option<Arc<dyn TokenSource>>,
    /// What the run is about to do, and where a refused token is kept, and who hides what is given.
    pub trades: Trades,
}

/// What the Azure providers of one run share: quotas and connections.
#[derive(Clone)]
pub struct AzureShared {
    limiter: Arc<Limiter>,
    http: wire::Http,
}

impl AzureShared {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(limiter: Arc<Limiter>) -> Self {
        Self { limiter, http: wire::Http::default() }
    }

    /// Through this client, for tests that have a CA and addresses of their own.
    #[must_use]
    pub fn with_client(self, client: reqwest::Client) -> Self {
        Self { http: wire::Http::of(client), ..self }
    }
}

/// Secrets and certificates, one identity.
pub struct AzureProvider {
    wire: Wire,
}

impl AzureProvider {
    /// One of several providers of a run.
    #[must_use]
    pub fn sharing(settings: AzureSettings, shared: AzureShared) -> Self {
        Self { wire: Wire::new(settings, shared) }
    }

    /// The two kinds of a place in a vault.
    fn part(place: &Place) -> Result<Part<'_>> {
        match &place.settings {
            TargetSettings::KeyVault(settings) => Ok(Part::Secret(settings)),
            TargetSettings::KeyVaultCertificate(settings) => Ok(Part::Certificate(settings)),
            other => Err(not_ours(other.kind())),
        }
    }
}

/// A place in a vault.
#[derive(Clone, Copy)]
enum Part<'p> {
    Secret(&'p KeyVaultSettings),
    Certificate(&'p KeyVaultCertificateSettings),
}

impl<'p> Part<'p> {
    fn object(self) -> Object<'p> {
        match self {
            Self::Secret(s) => Object { collection: Collection::Secrets, vault: &s.vault_url, name: &s.secret_name },
            Self::Certificate(s) => {
                Object { collection: Collection::Certificates, vault: &s.vault_url, name: &s.certificate_name }
            }
        }
    }
}

fn not_ours(kind: TargetKind) -> Error {
    Error::new(ErrorKind::Unsupported, format!("Azure has no targets of kind {}", kind.as_str()))
}

#[async_trait]
impl Provider for AzureProvider {
    fn capabilities(&self, kind: TargetKind) -> Option<Capabilities> {
        let read_back = match kind {
            TargetKind::KeyVault => true,
            // What is imported comes back as another file without its password.
            TargetKind::KeyVaultCertificate => false,
            _ => return None,
        };
        Some(Capabilities {
            conditional_create: false,
            write_token: false,
            mark_order: MarkOrder::WithValue,
            metadata_without_version: true,
            read_back,
            value_bytes_max: VALUE_BYTES_MAX,
        })
    }

    async fn identity(&self) -> Result<Identity> {
        self.wire.login.identity().await
    }

    async fn locator(&self, place: &Place) -> Result<Locator> {
        Ok(Self::part(place)?.object().locator())
    }

    fn recall(&self, at: &Locator, shape: &Shape) -> Option<Place> {
        let (host, what, name) = at.key_vault_parts()?;
        let vault_url = format!("https://{host}");
        // A lock may say anything: what is no vault's address is asked for nothing.
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !plain || !self.wire.hosts.admits(Cloud::Azure, &vault_url) {
            return None;
        }
        let settings = match what {
            "secret" => TargetSettings::KeyVault(secret::named(vault_url, name)),
            "certificate" => TargetSettings::KeyVaultCertificate(certificate::named(vault_url, name)),
            _ => return None,
        };
        Some(Place { settings, shape: shape.clone() })
    }

    fn desired(&self, place: &Place, _generation: Option<&Generation>) -> Attributes {
        Self::part(place).map(attributes::desired).unwrap_or_default()
    }

    async fn observe(&self, at: &[Probe<'_>], reading: Reading) -> Vec<Result<Option<Observed>>> {
        let parts: Vec<Result<Part<'_>>> = at.iter().map(|probe| Self::part(probe.place)).collect();
        observe::observe(&self.wire, &parts, reading).await
    }

    async fn read(&self, at: &[&Place]) -> Vec<Result<Stored>> {
        let reads = at.iter().map(|place| async move {
            match Self::part(place)? {
                Part::Secret(settings) => secret::read(&self.wire, settings, &place.shape).await,
                Part::Certificate(settings) => Err(certificate::unreadable(settings)),
            }
        });
        futures_util::future::join_all(reads).await
    }

    async fn holds(&self, at: &Place, value: &Value) -> Result<Option<bool>> {
        match Self::part(at)? {
            Part::Certificate(settings) => certificate::holds(&self.wire, settings, value).await,
            Part::Secret(settings) => {
                Ok(Some(secret::read(&self.wire, settings, &at.shape).await?.value.matches(value)))
            }
        }
    }

    async fn write(&self, at: &Place, value: &Value, options: &WriteOptions) -> Result<VersionId> {
        match Self::part(at)? {
            Part::Secret(settings) => secret::write(&self.wire, settings, value, options).await,
            Part::Certificate(settings) => certificate::write(&self.wire, settings, value, options).await,
        }
    }

    async fn annotate(&self, at: &Place, changed: &[String], options: &WriteOptions) -> Result<VersionId> {
        let part = Self::part(at)?;
        objects::annotate(&self.wire, part, changed, options).await
    }

    async fn restore(&self, at: &Place) -> Result<()> {
        objects::recover(&self.wire, Self::part(at)?.object()).await
    }

    async fn list(&self, kind: TargetKind, prefix: &str) -> Result<Vec<Listed>> {
        match kind {
            TargetKind::KeyVault => list::list(&self.wire, Collection::Secrets, prefix).await,
            TargetKind::KeyVaultCertificate => list::list(&self.wire, Collection::Certificates, prefix).await,
            other => Err(not_ours(other)),
        }
    }
}
