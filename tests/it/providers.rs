//! The conformance suite, run against every provider there is, and the count of it.

use std::collections::BTreeMap;

use secretzero::manifest::ProviderKind;
use secretzero::provider::MarkOrder;
use secretzero::provider::memory::{MemoryProvider, Traits};
use secretzero::secret::Shape;
use secretzero::target::{
    ParameterTier, ParameterType, Place, SecretsManagerSettings, SsmParameterSettings, TargetKind, TargetSettings,
};

use crate::conformance::registry::{Run, runs};
use crate::conformance::{Subject, all};

const PROVIDERS: [ProviderKind; 5] =
    [ProviderKind::Local, ProviderKind::Aws, ProviderKind::Azure, ProviderKind::Vault, ProviderKind::Gcp];

/// Every run of a suite against a provider.
fn runs_of_all() -> Vec<Run> {
    let mut all = local::RUNS.to_vec();
    #[cfg(feature = "aws")]
    all.extend(aws::RUNS);
    #[cfg(feature = "azure")]
    all.extend(azure::RUNS);
    #[cfg(feature = "gcp")]
    all.extend(gcp::RUNS);
    #[cfg(feature = "vault")]
    all.extend(crate::vault::contract::RUNS);
    all
}

/// Whether a provider is part of this build.
fn is_built(provider: ProviderKind) -> bool {
    match provider {
        ProviderKind::Local => true,
        ProviderKind::Aws => cfg!(feature = "aws"),
        ProviderKind::Azure => cfg!(feature = "azure"),
        ProviderKind::Vault => cfg!(feature = "vault"),
        ProviderKind::Gcp => cfg!(feature = "gcp"),
    }
}

#[test]
fn every_kind_of_every_provider_that_is_built_keeps_the_contract_somewhere() {
    let runs = runs_of_all();
    let served: Vec<TargetKind> = PROVIDERS.iter().flat_map(|provider| provider.targets()).copied().collect();
    assert!(TargetKind::ALL.iter().all(|kind| served.contains(kind)), "a kind of target without a provider");
    for provider in PROVIDERS {
        for kind in provider.targets() {
            let count = runs.iter().filter(|run| run.provider == provider && run.kind == *kind).count();
            let what = format!("{} of {}", kind.as_str(), provider.as_str());
            if is_built(provider) {
                assert!(count > 0, "{what} has no run of the conformance suite: add one with `runs!`");
            }
        }
    }
    for run in &runs {
        assert!(run.provider.targets().contains(&run.kind), "{run:?}");
    }
}

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

/// Each order of marks, with and without what a store may lack.
#[tokio::test]
async fn the_reference_in_memory_keeps_the_contract_whichever_store_it_stands_for() {
    for mark_order in [MarkOrder::ValueFirst, MarkOrder::MarkFirst, MarkOrder::WithValue] {
        for lacks in 0..4 {
            let traits = Traits {
                mark_order,
                conditional_create: lacks & 1 == 0,
                write_token: mark_order == MarkOrder::ValueFirst,
                metadata_without_version: lacks & 2 == 0,
            };
            let provider = &MemoryProvider::with(traits);
            let prefix = String::new;
            all(&Subject { provider, kind: TargetKind::SecretsManager, place: secret, prefix: prefix() }).await;
            all(&Subject { provider, kind: TargetKind::SsmParameter, place: parameter, prefix: prefix() }).await;
        }
    }
}

mod local {
    use std::sync::Arc;

    use secretzero::clock::SystemEntropy;
    use secretzero::disk::SystemDisk;
    use secretzero::provider::local::LocalProvider;
    use secretzero::target::{FileFormat, FileSettings};

    use super::*;

    fn file(name: &str, extension: &str, format: FileFormat) -> Place {
        let settings = FileSettings { path: format!("{name}.{extension}"), format, merge: true, key: "VALUE".into() };
        Place { settings: TargetSettings::File(settings), shape: Shape::Single }
    }

    async fn keeps_the_contract(place: fn(&str, BTreeMap<String, String>) -> Place) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_path_buf();
        let provider = &LocalProvider::new(root, Arc::new(SystemDisk), Arc::new(SystemEntropy));
        all(&Subject { provider, kind: TargetKind::File, place, prefix: String::new() }).await;
    }

    runs! {
        dotenv_keeps_the_contract_on_the_disk (Local, File, "the disk") {
            keeps_the_contract(|name, _| file(name, "env", FileFormat::Dotenv)).await;
        }
        json_keeps_the_contract_on_the_disk (Local, File, "the disk") {
            keeps_the_contract(|name, _| file(name, "json", FileFormat::Json)).await;
        }
        yaml_keeps_the_contract_on_the_disk (Local, File, "the disk") {
            keeps_the_contract(|name, _| file(name, "yml", FileFormat::Yaml)).await;
        }
    }
}

#[cfg(feature = "aws")]
mod aws {
    use secretzero::limiter::{RateLimit, RetryPolicy};
    use secretzero::provider::aws::{AuthKind, AwsProvider, AwsSettings};

    use super::*;
    use crate::aws::provider;
    use crate::fake::aws::FakeAws;

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

    runs! {
        secrets_manager_keeps_the_contract_against_the_fake (Aws, SecretsManager, "our fake") {
            let fake = FakeAws::start();
            let provider = &provider(&fake);
            let (kind, place) = (TargetKind::SecretsManager, secret as fn(&str, _) -> Place);
            all(&Subject { provider, kind, place, prefix: String::new() }).await;
        }
        ssm_keeps_the_contract_against_the_fake (Aws, SsmParameter, "our fake") {
            let fake = FakeAws::start();
            let provider = &provider(&fake);
            let (kind, place) = (TargetKind::SsmParameter, parameter as fn(&str, _) -> Place);
            all(&Subject { provider, kind, place, prefix: String::new() }).await;
        }
        secrets_manager_keeps_the_contract_against_moto (Aws, SecretsManager, "moto") {
            let (kind, place) = (TargetKind::SecretsManager, secret as fn(&str, _) -> Place);
            all(&Subject { provider: &moto(), kind, place, prefix: run() }).await;
        }
        ssm_keeps_the_contract_against_moto (Aws, SsmParameter, "moto") {
            let (kind, place) = (TargetKind::SsmParameter, parameter as fn(&str, _) -> Place);
            all(&Subject { provider: &moto(), kind, place, prefix: run() }).await;
        }
    }
}

#[cfg(feature = "azure")]
mod azure {
    use super::*;
    use crate::azure::certificates::certificate;
    use crate::azure::{provider, secret};
    use crate::fake::azure::FakeAzure;

    runs! {
        key_vault_keeps_the_contract_against_the_fake (Azure, KeyVault, "our fake") {
            let fake = FakeAzure::start();
            let place = |name: &str, tags| secret(name, |settings| settings.tags = tags);
            let provider = &provider(&fake);
            all(&Subject { provider, kind: TargetKind::KeyVault, place, prefix: String::new() }).await;
        }
        key_vault_certificates_keep_the_contract_against_the_fake (Azure, KeyVaultCertificate, "our fake") {
            let fake = FakeAzure::start();
            let place = |name: &str, tags| certificate(name, |settings| settings.tags = tags);
            let (provider, kind) = (&provider(&fake), TargetKind::KeyVaultCertificate);
            all(&Subject { provider, kind, place, prefix: String::new() }).await;
        }
    }
}

#[cfg(feature = "gcp")]
mod gcp {
    use super::*;
    use crate::fake::gcp::FakeGcp;
    use crate::gcp::{labelled, provider};

    runs! {
        google_secret_manager_keeps_the_contract_against_the_fake (Gcp, SecretManager, "our fake") {
            let fake = FakeGcp::start();
            let (provider, place) = (&provider(&fake), labelled as fn(&str, _) -> Place);
            all(&Subject { provider, kind: TargetKind::SecretManager, place, prefix: String::new() }).await;
        }
    }
}
