//! Custom roles with exact data actions, and their assignments, for vaults with Azure RBAC.
//!
//! <https://learn.microsoft.com/azure/role-based-access-control/permissions/security#microsoftkeyvault>,
//! <https://learn.microsoft.com/azure/key-vault/general/rbac-guide>

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::json;

use super::{Account, Use};
use crate::target::TargetSettings;
use crate::trust::{Document, Generated, Phase, shell_argument};

/// Versions and tags of a secret, without the value.
const SECRET_PLAN: &[&str] = &["Microsoft.KeyVault/vaults/secrets/readMetadata/action"];
/// Beside those what a sync does: reads a value back, writes one, changes tags, undoes a deletion.
const SECRET_SYNC: &[&str] = &[
    "Microsoft.KeyVault/vaults/secrets/getSecret/action",
    "Microsoft.KeyVault/vaults/secrets/recover/action",
    "Microsoft.KeyVault/vaults/secrets/setSecret/action",
    "Microsoft.KeyVault/vaults/secrets/update/action",
];
/// The public half of a certificate.
const CERTIFICATE_PLAN: &[&str] = &["Microsoft.KeyVault/vaults/certificates/read"];
/// Beside it what a sync does.
const CERTIFICATE_SYNC: &[&str] = &[
    "Microsoft.KeyVault/vaults/certificates/import/action",
    "Microsoft.KeyVault/vaults/certificates/recover/action",
    "Microsoft.KeyVault/vaults/certificates/update/action",
];

pub(super) fn permissions(uses: &[Use<'_>], phase: Phase, account: &Account) -> Generated {
    let mut vaults: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let (mut secrets, mut certificates) = (false, false);
    for one in uses {
        let (url, object) = match one.settings {
            TargetSettings::KeyVault(secret) => {
                secrets = true;
                (&secret.vault_url, format!("secrets/{}", secret.secret_name))
            }
            TargetSettings::KeyVaultCertificate(certificate) => {
                certificates = true;
                (&certificate.vault_url, format!("certificates/{}", certificate.certificate_name))
            }
            _ => continue,
        };
        vaults.entry(vault_name(url)).or_default().insert(object);
    }
    let subscription = account.azure_subscription.as_deref().unwrap_or("SUBSCRIPTION_ID");
    let group = account.azure_group.as_deref().unwrap_or("RESOURCE_GROUP");
    let mut generated = Generated::default();
    let mut actions = data_actions(secrets, SECRET_PLAN, certificates, CERTIFICATE_PLAN);
    if phase == Phase::Sync {
        actions.extend(data_actions(secrets, SECRET_SYNC, certificates, CERTIFICATE_SYNC));
    }
    let role = json!({
        "Name": format!("SecretZero {}", phase.as_str()),
        "IsCustom": true,
        "Description": match phase {
            Phase::Plan => "Reads versions and tags, no values",
            Phase::Sync => "Writes secrets and certificates, and reads secrets back",
        },
        "Actions": [],
        "NotActions": [],
        "DataActions": actions,
        "NotDataActions": [],
        "AssignableScopes": [format!("/subscriptions/{subscription}")],
    });
    let name = format!("azure-{}-role.json", phase.as_str());
    let text = format!("{}\n", serde_json::to_string_pretty(&role).unwrap_or_default());
    generated.steps.push(format!("az role definition create --role-definition @{name}"));
    generated.documents.push(Document { name, text });
    let group = format!("/subscriptions/{subscription}/resourceGroups/{group}");
    generated.documents.push(assignments(&vaults, phase, &group));
    generated.say("the vaults must use Azure RBAC (`az keyvault update --enable-rbac-authorization true`); access policies know no metadata alone");
    generated.say("an assignment to the vault itself instead lets it be listed: fewer requests, and the names of all that it holds");
    generated.say(match phase {
        Phase::Plan => "the built-in role `Key Vault Reader` would do as well; it reads the vaults' settings beside",
        Phase::Sync => {
            "the built-in roles `Key Vault Secrets Officer` and `Key Vault Certificates Officer` would do as well, and \
             also delete and purge"
        }
    });
    generated
}

fn data_actions(
    secrets: bool,
    of_secrets: &[&'static str],
    certificates: bool,
    of_certificates: &[&'static str],
) -> Vec<&'static str> {
    let both = [(secrets, of_secrets), (certificates, of_certificates)];
    both.into_iter().filter(|(used, _)| *used).flat_map(|(_, actions)| actions.iter().copied()).collect()
}

/// One for each object: a list would need the whole vault, and without one each object is read by itself.
fn assignments(vaults: &BTreeMap<&str, BTreeSet<String>>, phase: Phase, group: &str) -> Document {
    let phase = phase.as_str();
    let mut text = String::new();
    for (vault, object) in vaults.iter().flat_map(|(vault, objects)| objects.iter().map(move |object| (vault, object)))
    {
        let _ = write!(
            text,
            "az role assignment create --role 'SecretZero {phase}' \\\n  --assignee-object-id \"$PRINCIPAL_ID\" \
             --assignee-principal-type ServicePrincipal \\\n  --scope {}\n",
            shell_argument(&format!("{group}/providers/Microsoft.KeyVault/vaults/{vault}/{object}"))
        );
    }
    Document { name: format!("azure-{phase}-assignments.sh"), text }
}

/// The first label of the host.
fn vault_name(url: &str) -> &str {
    let host = url.trim_start_matches("https://");
    host.split(['.', '/', ':']).next().unwrap_or(host)
}
