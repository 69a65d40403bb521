//! Vault and OpenBao: key-value stores, database roles and transit keys of one server.
//!
//! A thin client of our own, because what is to be had hides `Retry-After` and prints tokens. Nothing
//! happens until the first call: then the certificates are read and a token is asked for. A token that
//! we asked for is revoked at the end ([`Provider::close`]); one that was given is left alone. API:
//! <https://developer.hashicorp.com/vault/api-docs>.

mod error;
mod key;
mod kv;
mod login;
mod rights;
mod role;
mod session;
mod tls;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::OnceCell;

use super::{
    Capabilities, Error, ErrorKind, Identity, Listed, MarkOrder, Observed, Probe, Provider, Reading, Result, Stored,
    VersionId, WriteOptions,
};
use crate::disk::Disk;
use crate::hosts::Hosts;
use crate::limiter::Limiter;
use crate::locator::Locator;
use crate::mark::Generation;
use crate::oidc::{TokenSource, Trades};
use crate::secret::{SecretValue, Shape, Value};
use crate::target::{Attributes, KvSettings, Place, TargetKind, TargetSettings};
use session::Session;

/// Most entries of one kind that a list tells of.
const LISTED_MAX: usize = 5000;

/// How to get a token.
#[derive(Clone, Default)]
pub enum Login {
    /// There is one; nobody here revokes it.
    Token(SecretValue),
    /// A role and its secret id.
    AppRole {
        /// Public part.
        role_id: String,
        /// Secret part.
        secret_id: SecretValue,
    },
    /// A token that somebody signed: CI, a cluster, or whoever wrote the file.
    Signed {
        /// The role to log in with; the mount's default when missing.
        role: Option<String>,
        /// Where it comes from.
        from: Signed,
    },
    /// Nothing was declared.
    #[default]
    None,
}

/// Where a signed token comes from.
#[derive(Clone)]
pub enum Signed {
    /// It was given.
    Given(SecretValue),
    /// A file that is read at each login, since whoever writes it renews it.
    File(PathBuf),
    /// Asked of whoever vouches for this run, for this audience.
    Run {
        /// Who is to accept it.
        audience: String,
    },
}

/// `auth` and `config` of a provider block, resolved.
#[derive(Clone, Default)]
pub struct VaultSettings {
    /// `https://host:8200`.
    pub url: String,
    /// Everything happens in it; the root namespace when missing.
    pub namespace: Option<String>,
    /// How to get a token.
    pub login: Login,
    /// Mount of the auth method below `auth/`.
    pub mount: String,
    /// PEM file of the only authorities that may have signed the server's certificate.
    pub ca_cert: Option<PathBuf>,
    /// PEM file of the certificate that we show.
    pub client_cert: Option<PathBuf>,
    /// PEM file of its key.
    pub client_key: Option<PathBuf>,
    /// The server's certificate is not checked.
    pub tls_skip_verify: bool,
    /// This run is in CI, where certificates are checked.
    pub in_ci: bool,
    /// Where the token may go beside `url`.
    pub hosts: Hosts,
}

/// What the Vaults of one run share.
#[derive(Clone)]
pub struct VaultShared {
    /// Paces and repeats the calls.
    pub limiter: Arc<Limiter>,
    /// Files of certificates and tokens.
    pub disk: Arc<dyn Disk>,
    /// Who vouches for this run.
    pub tokens: Option<Arc<dyn TokenSource>>,
    /// What the run is about to do, and where a refused token is kept, and who hides what is given.
    pub trades: Trades,
}

/// One namespace of one server, with one login.
pub struct VaultProvider {
    settings: VaultSettings,
    shared: VaultShared,
    session: OnceCell<Session>,
}

impl VaultProvider {
    /// One of several providers of a run.
    #[must_use]
    pub fn new(settings: VaultSettings, shared: VaultShared) -> Self {
        Self { settings, shared, session: OnceCell::new() }
    }

    async fn session(&self) -> Result<&Session> {
        let open = || async { Session::open(self.settings.clone(), self.shared.clone()) };
        self.session.get_or_try_init(open).await
    }
}

fn not_ours(kind: TargetKind) -> Error {
    Error::new(ErrorKind::Unsupported, format!("Vault has no targets of kind {}", kind.as_str()))
}

fn holds_no_value(kind: TargetKind) -> Error {
    Error::new(ErrorKind::Unsupported, format!("a {} holds no value", kind.title()))
}

const fn of_entries(version: u8) -> Capabilities {
    Capabilities {
        conditional_create: version == 2,
        write_token: false,
        mark_order: if version == 2 { MarkOrder::MarkFirst } else { MarkOrder::Unmarked },
        metadata_without_version: true,
        read_back: true,
        value_bytes_max: kv::VALUE_BYTES_MAX,
    }
}

#[async_trait]
impl Provider for VaultProvider {
    fn capabilities(&self, kind: TargetKind) -> Option<Capabilities> {
        match kind {
            TargetKind::Kv => Some(of_entries(2)),
            TargetKind::DatabaseRole | TargetKind::TransitKey => Some(Capabilities {
                conditional_create: false,
                write_token: false,
                mark_order: MarkOrder::Unmarked,
                metadata_without_version: true,
                read_back: false,
                value_bytes_max: 0,
            }),
            _ => None,
        }
    }

    fn capabilities_at(&self, place: &Place) -> Option<Capabilities> {
        match &place.settings {
            TargetSettings::Kv(settings) => Some(of_entries(settings.version)),
            other => self.capabilities(other.kind()),
        }
    }

    fn audience(&self) -> Option<String> {
        match &self.settings.login {
            Login::Signed { from: Signed::Run { audience }, .. } if !audience.is_empty() => Some(audience.clone()),
            _ => None,
        }
    }

    async fn could_read(&self, at: &[&Place]) -> Result<Vec<Option<bool>>> {
        rights::could_read(self.session().await?, at).await
    }

    async fn identity(&self) -> Result<Identity> {
        self.session().await?.identity().await
    }

    async fn locator(&self, place: &Place) -> Result<Locator> {
        let server = &self.session().await?.server;
        match &place.settings {
            TargetSettings::Kv(s) => Ok(Locator::vault_kv(server, s.version, &s.mount_point, &s.path)),
            TargetSettings::DatabaseRole(s) => Ok(Locator::vault_role(server, &s.database_mount, &s.role_name)),
            TargetSettings::TransitKey(s) => Ok(Locator::vault_key(server, &s.mount_point, &s.key_name)),
            other => Err(not_ours(other.kind())),
        }
    }

    fn recall(&self, at: &Locator, shape: &Shape) -> Option<Place> {
        // A server that has not told who we are says nothing of its places.
        let session = self.session.get().filter(|session| session.is_known())?;
        let (version, mount_point, path) = at.vault_entry(&session.server)?;
        // A field that nobody names is the only one.
        let key = String::new();
        let settings = KvSettings { path, mount_point, version, key, cas: None, metadata: Default::default() };
        Some(Place { settings: TargetSettings::Kv(settings), shape: shape.clone() })
    }

    fn desired(&self, place: &Place, _generation: Option<&Generation>) -> Attributes {
        match &place.settings {
            TargetSettings::Kv(settings) => kv::desired(settings),
            TargetSettings::DatabaseRole(settings) => role::desired(settings),
            TargetSettings::TransitKey(settings) => key::desired(settings),
            _ => Attributes::new(),
        }
    }

    async fn observe(&self, at: &[Probe<'_>], _reading: Reading) -> Vec<Result<Option<Observed>>> {
        let session = match self.session().await {
            Ok(session) => session,
            Err(error) => return at.iter().map(|_| Err(error.clone())).collect(),
        };
        let places: Vec<&Place> = at.iter().map(|probe| probe.place).collect();
        let folders = kv::v1::Folders::of(&places);
        join_all(places.iter().map(|place| async {
            match &place.settings {
                TargetSettings::Kv(settings) if settings.version == 1 => {
                    kv::v1::observe(session, settings, &folders).await
                }
                TargetSettings::Kv(settings) => kv::v2::observe(session, settings).await,
                TargetSettings::DatabaseRole(settings) => role::observe(session, settings).await,
                TargetSettings::TransitKey(settings) => key::observe(session, settings).await,
                other => Err(not_ours(other.kind())),
            }
        }))
        .await
    }

    async fn read(&self, at: &[&Place]) -> Vec<Result<Stored>> {
        let session = match self.session().await {
            Ok(session) => session,
            Err(error) => return at.iter().map(|_| Err(error.clone())).collect(),
        };
        join_all(at.iter().map(|place| async {
            match &place.settings {
                TargetSettings::Kv(settings) if settings.version == 1 => {
                    kv::v1::read(session, settings, &place.shape).await
                }
                TargetSettings::Kv(settings) => kv::v2::read(session, settings, &place.shape).await,
                other => Err(holds_no_value(other.kind())),
            }
        }))
        .await
    }

    async fn write(&self, at: &Place, value: &Value, options: &WriteOptions) -> Result<VersionId> {
        let session = self.session().await?;
        match &at.settings {
            TargetSettings::Kv(s) if s.version == 1 => kv::v1::write(session, s, value, options).await,
            TargetSettings::Kv(s) => kv::v2::write(session, s, value, options).await,
            other => Err(holds_no_value(other.kind())),
        }
    }

    async fn annotate(&self, at: &Place, changed: &[String], options: &WriteOptions) -> Result<VersionId> {
        let session = self.session().await?;
        match &at.settings {
            TargetSettings::Kv(s) if s.version == 1 => kv::v1::annotate(session, s).await,
            TargetSettings::Kv(s) => kv::v2::annotate(session, s, changed, options).await,
            TargetSettings::DatabaseRole(s) => role::configure(session, s).await,
            TargetSettings::TransitKey(s) => key::configure(session, s, changed, &options.expect).await,
            other => Err(not_ours(other.kind())),
        }
    }

    async fn restore(&self, at: &Place) -> Result<()> {
        let session = self.session().await?;
        match &at.settings {
            TargetSettings::Kv(s) if s.version == 2 => kv::v2::restore(session, s).await,
            other => {
                let message = format!("what is deleted in a {} is gone; sync again", other.kind().title());
                Err(Error::new(ErrorKind::Unsupported, message))
            }
        }
    }

    async fn list(&self, kind: TargetKind, prefix: &str) -> Result<Vec<Listed>> {
        match kind {
            TargetKind::Kv => kv::list::list(self.session().await?, prefix.trim_start_matches('/')).await,
            // They hold no value that could be taken over.
            TargetKind::DatabaseRole | TargetKind::TransitKey => Ok(Vec::new()),
            other => Err(not_ours(other)),
        }
    }

    async fn close(&self) {
        if let Some(session) = self.session.get() {
            session.close().await;
        }
    }
}
