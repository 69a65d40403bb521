//! The conformance suite, run against every provider there is.

use std::collections::BTreeMap;

use secretzero::provider::memory::MemoryProvider;
use secretzero::secret::Shape;
use secretzero::target::{
    ParameterTier, ParameterType, Place, SecretsManagerSettings, SsmParameterSettings, TargetKind, TargetSettings,
};

use crate::conformance::{Subject, all};

pub(crate) fn secret(name: &str, tags: BTreeMap<String, String>) -> Place {
    let settings = SecretsManagerSettings { name: name.to_owned(), tags, ..SecretsManagerSettings::default() };
    Place { settings: TargetSettings::SecretsManager(settings), shape: Shape::Single }
}

pub(crate) fn parameter(name: &str, tags: BTreeMap<String, String>) -> Place {
    Place { settings: TargetSettings::SsmParameter(parameter_settings(name, tags)), shape: Shape::Single }
}

pub(crate) fn parameter_settings(name: &str, tags: BTreeMap<String, String>) -> SsmParameterSettings {
    SsmParameterSettings {
        name: format!("/app/{name}"),
        parameter_type: ParameterType::SecureString,
        tier: ParameterTier::Standard,
        data_type: "text".into(),
        policies: None,
        expires: None,
        description: None,
        kms_key_id: None,
        tags,
    }
}

#[tokio::test]
async fn the_reference_in_memory_keeps_the_contract() {
    let provider = MemoryProvider::new();
    all(&Subject { provider: &provider, kind: TargetKind::SecretsManager, place: secret, prefix: String::new() }).await;
    all(&Subject { provider: &provider, kind: TargetKind::SsmParameter, place: parameter, prefix: String::new() })
        .await;
}

#[cfg(feature = "aws")]
mod aws {
    use secretzero::limiter::{RateLimit, RetryPolicy};
    use secretzero::provider::aws::{AuthKind, AwsProvider, AwsSettings};

    use super::*;
    use crate::aws::provider;
    use crate::fake::aws::FakeAws;

    #[tokio::test]
    async fn secrets_manager_keeps_the_contract_against_the_fake() {
        let fake = FakeAws::start();
        all(&Subject {
            provider: &provider(&fake),
            kind: TargetKind::SecretsManager,
            place: secret,
            prefix: String::new(),
        })
        .await;
    }

    #[tokio::test]
    async fn ssm_keeps_the_contract_against_the_fake() {
        let fake = FakeAws::start();
        all(&Subject {
            provider: &provider(&fake),
            kind: TargetKind::SsmParameter,
            place: parameter,
            prefix: String::new(),
        })
        .await;
    }

    /// moto (<https://docs.getmoto.org>) knows nothing of our fake: what both accept is probably right.
    #[expect(clippy::disallowed_methods, reason = "the harness tells its servers' addresses this way")]
    fn moto() -> AwsProvider {
        let url = std::env::var("MOTO_URL").unwrap_or_default();
        assert!(!url.is_empty(), "MOTO_URL is not set: this test needs a moto server; run tests/run");
        let settings = AwsSettings {
            auth_kind: AuthKind::Static,
            region: Some("eu-west-1".into()),
            access_key_id: Some("test".into()),
            secret_access_key: Some("test".into()),
            endpoint_url: Some(url),
            ..AwsSettings::default()
        };
        AwsProvider::new(settings, RetryPolicy::default(), RateLimit::Off)
    }

    /// A second run against the same server starts empty as well.
    fn run() -> String {
        format!("run{}-", std::process::id())
    }

    #[tokio::test]
    async fn secrets_manager_keeps_the_contract_against_moto() {
        let prefix = run();
        all(&Subject { provider: &moto(), kind: TargetKind::SecretsManager, place: secret, prefix }).await;
    }

    #[tokio::test]
    async fn ssm_keeps_the_contract_against_moto() {
        let prefix = run();
        all(&Subject { provider: &moto(), kind: TargetKind::SsmParameter, place: parameter, prefix }).await;
    }
}

#[cfg(feature = "azure")]
mod azure {
    use super::*;
    use crate::azure::certificates::certificate;
    use crate::azure::{provider, secret};
    use crate::fake::azure::FakeAzure;

    #[tokio::test]
    async fn key_vault_keeps_the_contract_against_the_fake() {
        let fake = FakeAzure::start();
        let place = |name: &str, tags| secret(name, |settings| settings.tags = tags);
        all(&Subject { provider: &provider(&fake), kind: TargetKind::KeyVault, place, prefix: String::new() }).await;
    }

    #[tokio::test]
    async fn key_vault_certificates_keep_the_contract_against_the_fake() {
        let fake = FakeAzure::start();
        let place = |name: &str, tags| certificate(name, |settings| settings.tags = tags);
        let kind = TargetKind::KeyVaultCertificate;
        all(&Subject { provider: &provider(&fake), kind, place, prefix: String::new() }).await;
    }
}

#[cfg(feature = "gcp")]
#[tokio::test]
async fn google_secret_manager_keeps_the_contract_against_the_fake() {
    let fake = crate::fake::gcp::FakeGcp::start();
    let (provider, place) = (crate::gcp::provider(&fake), crate::gcp::labelled);
    all(&Subject { provider: &provider, kind: TargetKind::SecretManager, place, prefix: String::new() }).await;
}
