//! By which right we speak: a token that was given, or an installation's that is fetched and renewed.
//!
//! The exchange is our own: octocrab's model of the answer demands fields of each repository that a
//! GHES may leave out, and ours obeys the same limits and waits as every other request.

use std::time::Duration;

use http::{Method, Uri};
use jiff::Timestamp;
use octocrab::Octocrab;
use octocrab::models::AppId;
use serde::Deserialize;
use serde_json::json;

use super::client::{Again, Call, Github, World, causes};
use crate::forge::{Error, Result};
use crate::secret::SecretValue;

const WHAT: &str = "get a token of the GitHub App's installation";
const NEEDS: &str = "the installation of the App on this repository";
/// Time to connect, and for one whole request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// A token lives an hour and is renewed this long before its end: longer than any wait of one request.
const RENEW_BEFORE_SECONDS: i64 = 20 * 60;

/// A GitHub App's own key.
pub struct AppKey {
    /// Its number.
    pub id: u64,
    /// RSA private key, PEM.
    pub private_key: SecretValue,
}

/// Who signs our requests.
pub(super) enum Access {
    /// A token that was given.
    Token(Octocrab),
    /// A GitHub App, installed on the repository's owner.
    Installation(Box<Installation>),
}

/// A GitHub App that speaks for one installation.
pub(super) struct Installation {
    /// The App itself, which may ask for its name and for tokens, and nothing else.
    pub(super) app: Octocrab,
    /// The installation's number.
    id: u64,
    /// Our repository's name, to which tokens are confined.
    repository: String,
    /// The token in use.
    minted: tokio::sync::Mutex<Option<Minted>>,
}

/// A token of an installation, ready to sign.
struct Minted {
    crab: Octocrab,
    expires: Timestamp,
}

impl Github {
    /// A client that speaks as the installation of a GitHub App, with tokens for this repository only.
    ///
    /// # Errors
    /// [`Error::Configuration`] if address, name or key cannot be right.
    pub fn with_installation(
        api_url: &str,
        repository: &str,
        key: &AppKey,
        installation_id: u64,
        world: World,
    ) -> Result<Self> {
        let base = base(api_url)?;
        let builder = octocrab::OctocrabBuilder::new()
            .app_from_rsa_pem(AppId(key.id), key.private_key.expose())
            .map_err(|_| configuration("the GitHub App's private key is no RSA key in PEM; download it again"))?;
        let app = built(builder, &base)?;
        let name = repository.split_once('/').map_or(repository, |(_, name)| name).to_owned();
        let minted = tokio::sync::Mutex::default();
        let access =
            Access::Installation(Box::new(Installation { app, id: installation_id, repository: name, minted }));
        Self::assemble(access, base, repository, world)
    }

    /// Whatever signs our next request.
    pub(super) async fn crab(&self) -> Result<Octocrab> {
        let Installation { app, id, repository, minted } = match &self.access {
            Access::Token(crab) => return Ok(crab.clone()),
            Access::Installation(installation) => installation.as_ref(),
        };
        let mut minted = minted.lock().await;
        let now = self.world.clock.now().as_second();
        if let Some(minted) = minted.as_ref().filter(|minted| minted.expires.as_second() - now > RENEW_BEFORE_SECONDS) {
            return Ok(minted.crab.clone());
        }
        #[derive(Deserialize)]
        struct Reply {
            token: String,
            expires_at: Timestamp,
        }
        let call = Call {
            method: Method::POST,
            path: format!("/app/installations/{id}/access_tokens"),
            body: Some(json!({ "repositories": [repository] })),
            what: WHAT,
            needs: NEEDS,
            again: Again::Harmless,
        };
        let reply: Reply = self.send_as(app, &call).await?.read(WHAT)?;
        let crab = signed_by(&reply.token, &self.base)?;
        self.know(SecretValue::from(reply.token));
        *minted = Some(Minted { crab: crab.clone(), expires: reply.expires_at });
        Ok(crab)
    }
}

pub(super) fn configuration(said: &str) -> Error {
    Error::Configuration { said: said.to_owned() }
}

/// The API's address: https, or http on loopback; no user, no query.
pub(super) fn base(api_url: &str) -> Result<Uri> {
    let wrong =
        || configuration("GITHUB_API_URL must read https://host or https://host/api/v3 (http on loopback only)");
    let uri: Uri = api_url.trim().trim_end_matches('/').parse().map_err(|_| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    let loopback = matches!(authority.host(), "127.0.0.1" | "localhost" | "[::1]");
    let safe = uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && loopback);
    if !safe || authority.as_str().contains('@') || uri.query().is_some() {
        return Err(wrong());
    }
    Ok(uri)
}

type Builder = octocrab::OctocrabBuilder<
    octocrab::NoSvc,
    octocrab::DefaultOctocrabBuilderConfig,
    octocrab::NoAuth,
    octocrab::NotLayerReady,
>;

/// A client that signs with a token. octocrab would panic over one that fits no header.
pub(super) fn signed_by(token: &str, base: &Uri) -> Result<Octocrab> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(configuration(
            "the GitHub token is empty or holds characters that no token has; set `github_token`",
        ));
    }
    built(octocrab::OctocrabBuilder::new().personal_token(token.to_owned()), base)
}

fn built(builder: Builder, base: &Uri) -> Result<Octocrab> {
    if tokio::runtime::Handle::try_current().is_err() {
        // octocrab spawns its queue at once, and would panic.
        return Err(configuration("the GitHub client needs a running Tokio runtime"));
    }
    // reqwest honours HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE, which hyper's bare client does not.
    let http = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("secretzero/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| configuration(&format!("no HTTPS client: {}", causes(&error))))?;
    builder
        .base_uri(base.clone())
        .and_then(|builder| builder.build_with_reqwest(http))
        .map_err(|_| configuration("GITHUB_API_URL cannot be used"))
}
