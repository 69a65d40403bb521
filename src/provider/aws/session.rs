//! One identity in one region: finds credentials, learns who we are, makes every call.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider};
use aws_config::identity::IdentityCache;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{self, ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_smithy_http_client::{Builder as HttpBuilder, ConnectorBuilder, proxy::ProxyConfig, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::origin::Origin;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::service_config::ServiceConfigKey;

use super::error::{Attempt, explain};
use super::gate::Gate;
use super::web_identity::{Credentialed, Hiding, Login, WebIdentity};
use super::{AuthKind, AwsSettings, AwsShared};
use crate::limiter::{ApiClass, Limiter, Repeat, quota};
use crate::provider::{Error, ErrorKind, Identity, Result};
use crate::secret::SecretValue;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for the answer of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// One HTTP client for all services and regions, built when first needed: it loads the CA roots.
#[derive(Clone, Default)]
pub(super) struct Http(Arc<OnceLock<SharedHttpClient>>);

impl Http {
    fn client(&self) -> SharedHttpClient {
        let build = || {
            HttpBuilder::new().build_with_connector_fn(|settings, components| {
                let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
                let mut connector = ConnectorBuilder::default().tls_provider(provider);
                connector.set_connector_settings(settings.cloned());
                connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
                connector.set_proxy_config(Some(ProxyConfig::from_env()));
                connector.build()
            })
        };
        self.0.get_or_init(build).clone()
    }
}

/// Clients of both stores, and who we are.
pub(super) struct Session {
    pub(super) secrets_manager: aws_sdk_secretsmanager::Client,
    pub(super) ssm: aws_sdk_ssm::Client,
    pub(super) region: String,
    pub(super) account: String,
    pub(super) principal: String,
    limiter: Arc<Limiter>,
    /// Who shares our quotas.
    scope: String,
}

impl Session {
    pub(super) async fn open(settings: &AwsSettings, shared: &AwsShared) -> Result<Self> {
        let region = region(settings).await?;
        let gate = Gate::new(settings.endpoint_url.iter().fold(settings.hosts.clone(), |hosts, url| hosts.naming(url)));
        let config = configure(settings, shared, &region, &gate).await?;
        let sts = aws_sdk_sts::Client::new(&addressed(&config, "STS"));
        let mut session = Self {
            secrets_manager: aws_sdk_secretsmanager::Client::new(&addressed(&config, "Secrets Manager")),
            ssm: aws_sdk_ssm::Client::new(&addressed(&config, "SSM")),
            region: region.to_string(),
            account: String::new(),
            principal: String::new(),
            limiter: Arc::clone(&shared.limiter),
            scope: "aws".into(),
        };
        let attempt = session.attempt("sts:GetCallerIdentity", "");
        let caller =
            session.call(&quota::IDENTITY, Repeat::Read, &attempt, || sts.get_caller_identity().send()).await?;
        session.account = caller.account.unwrap_or_default();
        session.principal = caller.arn.unwrap_or_default();
        session.scope = format!("aws/{}/{region}", session.account);
        Ok(session)
    }

    pub(super) fn identity(&self) -> Identity {
        Identity { account: self.account.clone(), principal: self.principal.clone(), region: Some(self.region.clone()) }
    }

    /// What is about to be tried, for the error message.
    pub(super) fn attempt<'a>(&'a self, action: &'static str, name: &'a str) -> Attempt<'a> {
        Attempt { action, name, region: &self.region, account: &self.account, principal: &self.principal }
    }

    /// One call through the limiter, its error explained.
    pub(super) async fn call<T, E, F, Fut>(
        &self,
        class: &ApiClass,
        repeat: Repeat,
        attempt: &Attempt<'_>,
        mut send: F,
    ) -> Result<T>
    where
        F: FnMut() -> Fut + Send,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        T: Send,
    {
        let once = || {
            let sent = send();
            async move { sent.await.map_err(|refusal| explain(attempt, &refusal)) }
        };
        self.limiter.run(&self.scope, class, repeat, once).await
    }
}

/// From the settings, the environment or the profile; never from the instance, which takes seconds to be missing.
async fn region(settings: &AwsSettings) -> Result<Region> {
    if let Some(region) = &settings.region {
        return Ok(Region::new(region.clone()));
    }
    if settings.profile.is_none()
        && let Some(region) = EnvironmentVariableRegionProvider::new().region().await
    {
        return Ok(region);
    }
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = &settings.profile {
        profile = profile.profile_name(name);
    }
    if let Some(region) = profile.build().region().await {
        return Ok(region);
    }
    Err(Error::new(
        ErrorKind::Unauthenticated,
        "no AWS region is set; add `region` under the provider's `auth.config`, or set AWS_REGION",
    ))
}

async fn configure(settings: &AwsSettings, shared: &AwsShared, region: &Region, gate: &Gate) -> Result<SdkConfig> {
    let http = gate.before(shared.http.client());
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .region(region.clone())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        // Answers are a few kilobytes; the attempt's timeout covers them.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if settings.steered && is_by_profile(settings).await {
        refuse_programs(settings).await?;
    }
    if settings.web_identity.is_some() {
        loader = loader.no_credentials();
    } else if settings.auth_kind == AuthKind::Static || settings.access_key_id.is_some() {
        loader = loader.credentials_provider(fixed(settings)?);
    } else if let Some(profile) = &settings.profile {
        let provider = ProviderConfig::without_region().with_region(Some(region.clone())).with_http_client(http);
        let provider = ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(profile).build();
        loader = loader.profile_name(profile).credentials_provider(provider);
    } else if settings.auth_kind == AuthKind::Profile {
        return Err(missing("profile", "profile"));
    } else if settings.auth_kind == AuthKind::Oidc {
        return Err(missing("role_arn", "oidc"));
    }
    let mut config = loader.load().await;
    // An address of the environment is known already; what is left comes from a profile.
    if let Some(url) = config.endpoint_url().filter(|_| !settings.steered) {
        gate.name(url);
    }
    if let Some(with) = &settings.web_identity {
        config = vouched(config, with, shared, region).await?;
    }
    if settings.auth_kind != AuthKind::AssumeRole {
        return Ok(config);
    }
    let role = settings.role_arn.as_ref().ok_or_else(|| missing("role_arn", "assume_role"))?;
    let mut provider = AssumeRoleProvider::builder(role)
        .configure(&config)
        .session_name(settings.session_name.as_deref().unwrap_or("secretzero"));
    if let Some(external_id) = &settings.external_id {
        provider = provider.external_id(external_id);
    }
    let from = provider.build().await;
    let provider = match &settings.web_identity {
        Some(with) => SharedCredentialsProvider::new(Hiding { from, trades: with.trades.clone() }),
        None => SharedCredentialsProvider::new(from),
    };
    // A login of our own needs no cache of the SDK's, but the role that it assumes does.
    let cache = IdentityCache::lazy().build();
    Ok(config.into_builder().credentials_provider(provider).identity_cache(cache).build())
}

/// Whether the credentials may come from a profile, where the SDK looks after the environment
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>).
async fn is_by_profile(settings: &AwsSettings) -> bool {
    let given =
        settings.web_identity.is_some() || settings.auth_kind == AuthKind::Static || settings.access_key_id.is_some();
    let environment = EnvironmentVariableCredentialsProvider::new();
    !given && (settings.profile.is_some() || environment.provide_credentials().await.is_err())
}

/// Most profiles that one may go through.
const PROFILES_MAX: usize = 20;

/// A profile may start a program for its keys
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>); none is started
/// for a pull request.
async fn refuse_programs(settings: &AwsSettings) -> Result<()> {
    let (fs, env) = (Fs::real(), Env::real());
    let chosen = settings.profile.clone().map(Cow::Owned);
    // Files that cannot be read give no credentials either.
    let Ok(profiles) = profile::load(&fs, &env, &Default::default(), chosen).await else { return Ok(()) };
    let mut next = Some(profiles.selected_profile());
    for _ in 0..PROFILES_MAX {
        let Some(profile) = next.and_then(|name| profiles.get_profile(name)) else { return Ok(()) };
        if profile.get("credential_process").is_some() {
            let message = format!(
                "the profile `{}` has a `credential_process`, and for a pull request no program is started; give the \
                 job a role for plans (`aws_plan_role`) or keys in its environment",
                profile.name()
            );
            return Err(Error::new(ErrorKind::Unauthenticated, message));
        }
        next = profile.get("source_profile").filter(|source| *source != profile.name());
    }
    Ok(())
}

/// With the credentials that a token is exchanged for. Asked for here, so that a refusal is told as it
/// came; our own login holds them, so the SDK need not.
async fn vouched(config: SdkConfig, with: &WebIdentity, shared: &AwsShared, region: &Region) -> Result<SdkConfig> {
    let sts = aws_sdk_sts::Client::new(&addressed(&config, "STS"));
    let login = Login::new(with, sts, &shared.limiter, region.as_ref())?;
    login.credentials().await?;
    let provider = SharedCredentialsProvider::new(Credentialed(Arc::new(login)));
    Ok(config.into_builder().credentials_provider(provider).identity_cache(IdentityCache::no_cache()).build())
}

/// The configuration for one service. A workflow sets a variable that is missing to nothing, and over
/// an empty address the SDK panics; so an empty one counts as none.
fn addressed(config: &SdkConfig, service: &str) -> SdkConfig {
    let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let url = config.service_config().zip(key.ok()).and_then(|(source, key)| source.load_config(key));
    if url.is_none_or(|url| !url.is_empty()) {
        return config.clone();
    }
    let mut builder = config.to_builder();
    builder.set_endpoint_url(config.endpoint_url().filter(|url| !url.is_empty()).map(str::to_owned));
    // Or the client would look the variable up by itself.
    builder.insert_origin("endpoint_url", Origin::shared_config());
    builder.build()
}

fn missing(setting: &str, kind: &str) -> Error {
    let message = format!("the AWS provider's `auth.kind: {kind}` needs `{setting}` under `auth.config`");
    Error::new(ErrorKind::Unauthenticated, message)
}

fn fixed(settings: &AwsSettings) -> Result<Credentials> {
    let text = |value: &Option<SecretValue>| value.as_ref().and_then(|v| v.expose_text()).map(str::to_owned);
    let id = text(&settings.access_key_id).ok_or_else(|| missing("access_key_id", "static"))?;
    let key = text(&settings.secret_access_key).ok_or_else(|| missing("secret_access_key", "static"))?;
    Ok(Credentials::new(id, key, text(&settings.session_token), None, "secretzero"))
}
