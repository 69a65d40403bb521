//! Custom roles with exact data actions, and their assignments, for vaults with Azure RBAC.
//!
//! <https://learn.microsoft.com/azure/role-based-access-control/permissions/security#microsoftkeyvault>,
//! <https://learn.microsoft.com/azure/key-vault/general/rbac-guide>,
//! <https://learn.microsoft.com/azure/key-vault/general/rbac-abac> (which call needs which)

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value as Json, json};

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
/// A sync's role for the names of certificates.
const NAMES_ROLE: &str = "SecretZero names";

/// What a Secretfile has, by vault: each as `secrets/db`.
#[derive(Default)]
struct Objects<'m> {
    secrets: BTreeSet<(&'m str, String)>,
    certificates: BTreeSet<(&'m str, String)>,
    /// The secrets that have the names of certificates. A certificate needs its name for a secret of its own
    /// (<https://learn.microsoft.com/azure/key-vault/certificates/about-certificates>), so whatever has it is
    /// looked at; but its value is the private key, which no phase reads.
    names: BTreeSet<(&'m str, String)>,
}

impl<'m> Objects<'m> {
    fn of(uses: &[Use<'m>]) -> Self {
        let mut objects = Self::default();
        for one in uses {
            match one.settings {
                TargetSettings::KeyVault(secret) => {
                    let vault = vault_name(&secret.vault_url);
                    objects.secrets.insert((vault, format!("secrets/{}", secret.secret_name)));
                }
                TargetSettings::KeyVaultCertificate(certificate) => {
                    let (vault, name) = (vault_name(&certificate.vault_url), &certificate.certificate_name);
                    objects.certificates.insert((vault, format!("certificates/{name}")));
                    objects.names.insert((vault, format!("secrets/{name}")));
                }
                _ => {}
            }
        }
        objects
    }

    /// The data actions of the phase's own role.
    fn actions(&self, phase: Phase) -> Vec<&'static str> {
        let (secrets, certificates) = (!self.secrets.is_empty(), !self.certificates.is_empty());
        let plan = phase == Phase::Plan;
        let groups = [
            (secrets || plan && certificates, SECRET_PLAN),
            (certificates, CERTIFICATE_PLAN),
            (secrets && !plan, SECRET_SYNC),
            (certificates && !plan, CERTIFICATE_SYNC),
        ];
        groups.into_iter().filter(|(needed, _)| *needed).flat_map(|(_, actions)| actions).copied().collect()
    }
}

pub(super) fn permissions(uses: &[Use<'_>], phase: Phase, account: &Account) -> Generated {
    let objects = Objects::of(uses);
    let subscription = account.azure_subscription.as_deref().unwrap_or("SUBSCRIPTION_ID");
    let group = account.azure_group.as_deref().unwrap_or("RESOURCE_GROUP");
    let mut generated = Generated::default();
    let own = format!("SecretZero {}", phase.as_str());
    let description = match phase {
        Phase::Plan => "Reads versions and tags, no values",
        Phase::Sync => "Writes secrets and certificates, and reads secrets back",
    };
    let file = format!("azure-{}-role.json", phase.as_str());
    define(&mut generated, file, role(&own, description, &objects.actions(phase), subscription));
    let mut names = own.as_str();
    if phase == Phase::Sync && !objects.names.is_empty() {
        names = NAMES_ROLE;
        let description = "Sees whether a secret has the name of a certificate, no values";
        define(&mut generated, "azure-names-role.json".into(), role(names, description, SECRET_PLAN, subscription));
    }
    let group = format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults");
    let whole = objects.secrets.iter().chain(&objects.certificates).map(|object| (object, own.as_str()));
    // By vault.
    let assigned: BTreeMap<_, _> = objects.names.iter().map(|object| (object, names)).chain(whole).collect();
    generated.documents.push(assignments(&assigned, phase, &group));
    // <https://learn.microsoft.com/azure/key-vault/general/assign-access-policy>
    generated.say("the vaults must use Azure RBAC (`az keyvault update --enable-rbac-authorization true`); an access policy opens all that a vault holds");
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

fn role(name: &str, description: &str, actions: &[&str], subscription: &str) -> Json {
    json!({
        "Name": name,
        "IsCustom": true,
        "Description": description,
        "Actions": [],
        "NotActions": [],
        "DataActions": actions,
        "NotDataActions": [],
        "AssignableScopes": [format!("/subscriptions/{subscription}")],
    })
}

fn define(generated: &mut Generated, file: String, role: Json) {
    let text = format!("{}\n", serde_json::to_string_pretty(&role).unwrap_or_default());
    generated.steps.push(format!("az role definition create --role-definition @{file}"));
    generated.documents.push(Document { name: file, text });
}

/// One for each object: a list would need the whole vault, and without one each object is read by itself.
fn assignments(assigned: &BTreeMap<&(&str, String), &str>, phase: Phase, vaults: &str) -> Document {
    let mut text = String::new();
    for ((vault, object), role) in assigned {
        let _ = write!(
            text,
            "az role assignment create --role '{role}' \\\n  --assignee-object-id \"$PRINCIPAL_ID\" \
             --assignee-principal-type ServicePrincipal \\\n  --scope {}\n",
            shell_argument(&format!("{vaults}/{vault}/{object}"))
        );
    }
    Document { name: format!("azure-{}-assignments.sh", phase.as_str()), text }
}

/// The first label of the host.
fn vault_name(url: &str) -> &str {
    let host = url.trim_start_matches("https://");
    host.split(['.', '/', ':']).next().unwrap_or(host)
}
