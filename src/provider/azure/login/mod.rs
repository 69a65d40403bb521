//! Who we are for Azure: finds a login, exchanges it for tokens, renews them in time.
//!
//! Sources are tried in the order of Microsoft's `DefaultAzureCredential`
//! (<https://learn.microsoft.com/azure/developer/python/sdk/authentication/credential-chains>). A source
//! that is not there is passed over; one that is there and refuses ends the search, so that nobody is
//! logged in as somebody else than was meant.

mod claims;
mod cli;
mod entra;
mod machine;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::wire::Http;
use super::{AuthKind, AzureSettings};
use crate::environment::Environment;
use crate::hosts::Hosts;
use crate::limiter::Limiter;
use crate::oidc::{Exchange, TokenSource, Trades};
use crate::provider::{Error, ErrorKind, Identity, Result};
use crate::secret::SecretValue;
use claims::Claims;

/// How long before its end a token is renewed; a shorter-lived one at half its life.
const RENEWED_BEFORE: Duration = Duration::from_secs(300);

/// No token is kept for longer, whatever its answer says; Microsoft's own live a day at most
/// (<https://learn.microsoft.com/entra/identity-platform/access-tokens>).
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Largest answer or file with a token that is read, in bytes.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// Where Entra is asked unless something else is said.
const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";

/// One of Azure's clouds.
struct Cloud {
    /// How the host of a vault ends.
    vaults: &'static str,
    /// The hosts of its Entra.
    logins: &'static [&'static str],
    /// What its tokens are for.
    resource: &'static str,
    /// What the tokens that a federated credential takes are for
    /// (<https://learn.microsoft.com/graph/api/resources/federatedidentitycredential>).
    audience: &'static str,
}

/// The public cloud, which is meant where nothing is said.
const PUBLIC: Cloud = Cloud {
    vaults: ".vault.azure.net",
    logins: &["login.microsoftonline.com"],
    resource: "https://vault.azure.net",
    audience: "api://AzureADTokenExchange",
};

/// All of them (<https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates>).
const CLOUDS: &[Cloud] = &[
    PUBLIC,
    Cloud {
        vaults: ".vault.usgovcloudapi.net",
        logins: &["login.microsoftonline.us"],
        resource: "https://vault.usgovcloudapi.net",
        audience: "api://AzureADTokenExchangeUSGov",
    },
    Cloud {
        vaults: ".vault.azure.cn",
        logins: &["login.chinacloudapi.cn", "login.partner.microsoftonline.cn"],
        resource: "https://vault.azure.cn",
        audience: "api://AzureADTokenExchangeChina",
    },
];

/// The specification's advice.
const ADVICE: &str = "Try `az account show`; set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, run \
                      `az login`, or run where a managed identity is attached";

/// A token for one resource, and for whom.
pub(super) struct Token {
    pub(super) value: SecretValue,
    /// Who we are, for messages.
    pub(super) who: String,
    renew_at: Instant,
    claims: Claims,
}

impl Token {
    fn new(value: SecretValue, lifetime: Duration) -> Self {
        let claims = Claims::of(&value);
        let lifetime = lifetime.min(LIFETIME_MAX);
        let usable = lifetime.saturating_sub(RENEWED_BEFORE).max(lifetime / 2);
        let now = Instant::now();
        Self { value, who: claims.principal(), renew_at: now.checked_add(usable).unwrap_or(now), claims }
    }
}

/// Why a source gave no token.
enum Failure {
    /// It is not there; the next one may be.
    Absent(String),
    /// It is there and refuses.
    Refused(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// One way to get a token.
enum Source {
    Secret {
        tenant: String,
        client: String,
        secret: SecretValue,
    },
    File {
        tenant: String,
        client: String,
        path: String,
    },
    Federated {
        tenant: String,
        client: String,
        audience: String,
        tokens: Arc<dyn TokenSource>,
    },
    Machine {
        client: Option<String>,
    },
    Cli {
        tenant: Option<String>,
    },
    /// What is missing to log in as declared.
    Incomplete(String),
}

/// The login of one provider block.
pub(super) struct Login {
    sources: Vec<Source>,
    authority: String,
    environment: Environment,
    hosts: Hosts,
    http: Http,
    limiter: Arc<Limiter>,
    trades: Trades,
    /// By scope; whoever finds none fetches it while the others wait.
    tokens: Mutex<HashMap<String, Arc<Token>>>,
}

impl Login {
    pub(super) fn new(settings: AzureSettings, http: Http, limiter: Arc<Limiter>) -> Self {
        let named = settings.authority_host.as_deref().or_else(|| settings.environment.filled("AZURE_AUTHORITY_HOST"));
        let authority = named.unwrap_or(PUBLIC_AUTHORITY).trim_end_matches('/');
        let schemeless = !authority.contains("://");
        let authority = if schemeless { format!("https://{authority}") } else { authority.to_owned() };
        let mut hosts = settings.hosts.clone().naming(&authority);
        for name in machine::ADDRESS_VARIABLES {
            hosts = settings.environment.filled(name).into_iter().fold(hosts, Hosts::naming);
        }
        let (environment, trades) = (settings.environment.clone(), settings.trades.clone());
        let tokens = Mutex::default();
        Self { sources: sources(settings, &authority), authority, environment, hosts, http, limiter, trades, tokens }
    }

    /// A variable of the run.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.filled(name)
    }

    /// The scope of tokens for a vault. A vault of another cloud than our Entra would refuse every
    /// token, so none is sent there.
    pub(super) fn scope(&self, vault_host: &str) -> Result<String> {
        let ours = of_logins(&self.authority);
        let its = CLOUDS.iter().find(|cloud| vault_host.ends_with(cloud.vaults));
        if let (Some(ours), Some(its)) = (ours, its)
            && ours.resource != its.resource
        {
            let entra = its.logins.first().copied().unwrap_or_default();
            let message = format!(
                "the vault {vault_host} is in another cloud than the login at {}; declare `authority_host: \
                 https://{entra}` under the provider's `auth.config`, or set AZURE_AUTHORITY_HOST",
                self.authority
            );
            return Err(Error::new(ErrorKind::Unauthenticated, message));
        }
        Ok(format!("{}/.default", its.or(ours).unwrap_or(&PUBLIC).resource))
    }

    fn authority_host(&self) -> &str {
        super::wire::url_host(&self.authority)
    }

    /// Who we are; the token that tells is used for the first vault as well.
    pub(super) async fn identity(&self) -> Result<Identity> {
        let token = self.token(&self.scope("")?).await?;
        let account = token.claims.tenant.clone().unwrap_or_default();
        Ok(Identity { account, principal: token.who.clone(), region: None })
    }

    /// A token that is good for some minutes at least.
    pub(super) async fn token(&self, scope: &str) -> Result<Arc<Token>> {
        let mut tokens = self.tokens.lock().await;
        if let Some(token) = tokens.get(scope).filter(|token| Instant::now() < token.renew_at) {
            return Ok(Arc::clone(token));
        }
        let token = Arc::new(self.fetch(scope).await?);
        tokens.insert(scope.to_owned(), Arc::clone(&token));
        Ok(token)
    }

    /// Forgets a token that was refused; false if there is none to forget.
    pub(super) async fn forget(&self, scope: &str) -> bool {
        self.tokens.lock().await.remove(scope).is_some()
    }

    async fn fetch(&self, scope: &str) -> Result<Token> {
        let mut absent = Vec::new();
        for source in &self.sources {
            match self.ask(source, scope).await {
                Ok(token) => {
                    self.trades.hide(&token.value);
                    return Ok(token);
                }
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Absent(why)) => absent.push(why),
            }
        }
        let why = absent.join("; ");
        Err(Error::new(ErrorKind::Unauthenticated, format!("Azure authentication failed: {why}. {ADVICE}")))
    }

    async fn ask(&self, source: &Source, scope: &str) -> Result<Token, Failure> {
        match source {
            Source::Secret { tenant, client, secret } => {
                let granted = self.exchange(tenant, client, scope, &entra::Proof::Secret(secret)).await;
                Ok(granted.map_err(|refused| refused.error)?)
            }
            Source::File { tenant, client, path } => {
                Ok(self.vouched(tenant, client, scope, || entra::assertion_in(path)).await?)
            }
            Source::Federated { tenant, client, audience, tokens } => {
                Ok(self.vouched(tenant, client, scope, || tokens.token(audience)).await?)
            }
            Source::Machine { client } => self.of_machine(client.as_deref(), scope).await,
            Source::Cli { tenant } => cli::token(tenant.as_deref(), scope).await,
            Source::Incomplete(lack) => Err(Error::new(ErrorKind::Unauthenticated, lack.clone()).into()),
        }
    }

    /// The token of a service principal, for an assertion that is minted for it.
    async fn vouched<M>(
        &self,
        tenant: &str,
        client: &str,
        scope: &str,
        mint: impl Fn() -> M + Send + Sync,
    ) -> Result<Token>
    where
        M: Future<Output = Result<SecretValue>> + Send,
    {
        let exchange = Exchange::Azure { tenant_id: tenant.to_owned(), client_id: client.to_owned() };
        let ask = |assertion: SecretValue| async move {
            self.exchange(tenant, client, scope, &entra::Proof::Assertion(&assertion)).await
        };
        self.trades.trade(exchange, mint, ask).await
    }
}

/// The cloud whose Entra this is.
fn of_logins(authority: &str) -> Option<&'static Cloud> {
    let host = super::wire::url_host(authority);
    CLOUDS.iter().find(|cloud| cloud.logins.contains(&host))
}

/// The sources that the settings and the environment offer, in the order in which they are tried.
fn sources(settings: AzureSettings, authority: &str) -> Vec<Source> {
    let variable = |name: &str| settings.environment.filled(name).map(str::to_owned);
    let tenant = settings.tenant_id.clone().or_else(|| variable("AZURE_TENANT_ID"));
    let client = settings.client_id.clone().or_else(|| variable("AZURE_CLIENT_ID"));
    let secret = settings.client_secret.clone().or_else(|| variable("AZURE_CLIENT_SECRET").map(SecretValue::from));
    let file = variable("AZURE_FEDERATED_TOKEN_FILE");
    let audience = settings.audience.clone().unwrap_or_else(|| of_logins(authority).unwrap_or(&PUBLIC).audience.into());
    let lacks = |kind: &str, what: &str| {
        vec![Source::Incomplete(format!("the Azure provider's `auth.kind: {kind}` needs {what}"))]
    };
    let principal = tenant.clone().zip(client.clone());
    match settings.auth_kind {
        AuthKind::ServicePrincipal => match principal.zip(secret) {
            Some(((tenant, client), secret)) => vec![Source::Secret { tenant, client, secret }],
            None => lacks("service_principal", "`tenant_id`, `client_id` and `client_secret`"),
        },
        AuthKind::Oidc => match (principal, settings.tokens) {
            (Some((tenant, client)), Some(tokens)) => {
                vec![Source::Federated { tenant, client, audience, tokens }]
            }
            (None, _) => lacks("oidc", "`tenant_id` and `client_id`, or AZURE_TENANT_ID and AZURE_CLIENT_ID"),
            (_, None) => lacks("oidc", "a CI system that vouches for this run; outside CI use `default` or `cli`"),
        },
        AuthKind::ManagedIdentity => vec![Source::Machine { client }],
        AuthKind::Cli => vec![Source::Cli { tenant }],
        AuthKind::Default => {
            let mut sources = Vec::new();
            if let Some((tenant, client)) = principal {
                let (tenant, client) = (tenant.clone(), client.clone());
                if let Some(secret) = secret {
                    sources.push(Source::Secret { tenant, client, secret });
                } else if let Some(path) = file {
                    sources.push(Source::File { tenant, client, path });
                } else if let Some(tokens) = settings.tokens {
                    sources.push(Source::Federated { tenant, client, audience, tokens });
                }
            }
            sources.push(Source::Machine { client });
            sources.push(Source::Cli { tenant });
            sources
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_said_to_live_for_ever_is_renewed_within_a_day() {
        let token = Token::new(SecretValue::from("x"), Duration::from_secs(u64::MAX));
        let kept = token.renew_at.duration_since(Instant::now());
        assert!(kept > LIFETIME_MAX / 2 && kept < LIFETIME_MAX, "{kept:?}");
    }
}
