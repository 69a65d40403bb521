//! Everything in a vault whose name begins with a prefix, without values.
//!
//! A provider block names no vault, so the prefix does (`https://<vault>.vault.azure.net/<prefix>`), or
//! the variable that the specification's own programs read.

use super::model::{Collection, Item};
use super::objects;
use super::wire::{Call, Wire};
use crate::hosts::Cloud;
use crate::mark::MARK_KEY;
use crate::provider::{Error, ErrorKind, Listed, Result};
use crate::target::{KeyVaultCertificateSettings, KeyVaultSettings, TargetSettings, When};

/// Most objects of one kind that a list tells of.
const LISTED_MAX: usize = 5_000;

/// The variable that names a vault where the prefix does not.
pub(super) const VAULT_VARIABLE: &str = "AZURE_KEYVAULT_URL";

/// What exists, by name.
pub(super) async fn list(wire: &Wire, collection: Collection, prefix: &str) -> Result<Vec<Listed>> {
    let (vault, prefix) = vault(wire, prefix)?;
    let path = [collection.path()];
    let right = if collection == Collection::Secrets { "secrets/list" } else { "certificates/list" };
    let meant = |item: &Item| item.name().to_ascii_lowercase().starts_with(&prefix.to_ascii_lowercase());
    let mut found = Vec::new();
    wire.pages(&Call::get(right, &vault, "", &path), |page| {
        found.extend(page.into_iter().filter(meant));
        found.len() > LISTED_MAX
    })
    .await?;
    if found.len() > LISTED_MAX {
        let message = format!("more than {LISTED_MAX} objects have such a name; choose a longer prefix");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let mut listed: Vec<Listed> = found.iter().map(|item| described(collection, &vault, item, false)).collect();
    match objects::all_deleted(wire, collection, &vault).await {
        Ok(items) => {
            listed.extend(items.iter().filter(|item| meant(item)).map(|i| described(collection, &vault, i, true)));
        }
        Err(error) => tracing::debug!("what is soft-deleted is not listed: {error}"),
    }
    listed.sort_by(|a, b| a.settings.name().cmp(b.settings.name()));
    Ok(listed)
}

/// The vault and the prefix of the names in it.
fn vault(wire: &Wire, prefix: &str) -> Result<(String, String)> {
    let named = |url: &str| {
        let url = url.trim_end_matches('/').to_ascii_lowercase();
        if wire.hosts.admits(Cloud::Azure, &url) {
            return Ok(url);
        }
        let message = "no credential is sent there: that is no address of a Key Vault; write \
                       `https://<vault>.vault.azure.net`";
        Err(Error::new(ErrorKind::Invalid, message))
    };
    if let Some(rest) = prefix.strip_prefix("https://") {
        let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        return Ok((named(&format!("https://{host}"))?, prefix.to_owned()));
    }
    match wire.login.variable(VAULT_VARIABLE) {
        Some(url) => Ok((named(url)?, prefix.to_owned())),
        None => {
            let message = format!(
                "which vault is meant is not said; give it in the prefix (`--prefix \
                 https://<vault>.vault.azure.net/{prefix}`) or set {VAULT_VARIABLE}"
            );
            Err(Error::new(ErrorKind::Invalid, message))
        }
    }
}

fn described(collection: Collection, vault: &str, item: &Item, pending_deletion: bool) -> Listed {
    let tags = item.tags.iter().flatten().filter(|(key, _)| *key != MARK_KEY);
    let tags = tags.map(|(key, value)| (key.clone(), value.clone())).collect();
    let (vault_url, name) = (vault.to_owned(), item.name().to_owned());
    let when = |second: Option<i64>| Some(When::At(jiff::Timestamp::from_second(second?).ok()?));
    let settings = match collection {
        Collection::Secrets => TargetSettings::KeyVault(KeyVaultSettings {
            vault_url,
            secret_name: name,
            content_type: item.content_type.clone().filter(|text| !text.is_empty()),
            enabled: item.attributes.enabled.filter(|enabled| !enabled),
            expires_on: when(item.attributes.exp),
            not_before: when(item.attributes.nbf),
            tags,
        }),
        Collection::Certificates => TargetSettings::KeyVaultCertificate(KeyVaultCertificateSettings {
            tags,
            ..super::certificate::named(vault_url, &name)
        }),
    };
    Listed {
        mark: super::stamp::read(item.mark(), item.attributes.created, item.version()).mark,
        managed_by: match collection {
            Collection::Secrets => item.managed.then(|| "it belongs to the certificate of the same name".into()),
            Collection::Certificates => {
                Some("it does not come back as it was imported; declare it with its value".into())
            }
        },
        pending_deletion,
        has_value: true,
        settings,
    }
}
