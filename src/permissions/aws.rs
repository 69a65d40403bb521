//! An IAM policy: the calls of `provider::aws`, on the ARNs of the Secretfile's objects.
//!
//! Which call needs which right, and on what:
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html>,
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html>; keys:
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html>,
//! <https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-securestring.html>.

mod keys;

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use self::keys::Keys;
use super::{Account, Use, aliases, file_name};
use crate::manifest::ProviderBlock;
use crate::target::{ParameterType, SecretsManagerSettings, SsmParameterSettings, TargetSettings};
use crate::trust::{Document, Generated, Phase, shell_argument};

/// Longest managed policy, in characters that are not blank
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
const POLICY_CHARACTERS_MAX: usize = 6144;

/// What a plan calls on a secret.
const SECRET_PLAN: &[&str] = &["secretsmanager:DescribeSecret"];
/// What a sync calls on it beside that.
const SECRET_SYNC: &[&str] = &[
    "secretsmanager:CreateSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:RestoreSecret",
    "secretsmanager:TagResource",
    "secretsmanager:UpdateSecret",
];
/// What a plan calls on a parameter.
const PARAMETER_PLAN: &[&str] = &["ssm:ListTagsForResource"];
/// What a sync calls on it beside that.
const PARAMETER_SYNC: &[&str] = &["ssm:AddTagsToResource", "ssm:GetParameter", "ssm:GetParameters", "ssm:PutParameter"];

pub(super) fn permissions(uses: &[Use<'_>], phase: Phase, account: &Account) -> Generated {
    // Blocks that log in as one role share its policy.
    let mut roles: Vec<(Option<&str>, Vec<&Use<'_>>)> = Vec::new();
    for one in uses {
        let role = one.block.setting("role_arn");
        match roles.iter_mut().find(|(known, _)| *known == role) {
            Some((_, of_role)) => of_role.push(one),
            None => roles.push((role, vec![one])),
        }
    }
    let several = roles.len() > 1;
    let mut generated = Generated::default();
    for (index, (role, uses)) in roles.into_iter().enumerate() {
        let (text, notes) = policy(&uses, phase, role, account);
        let name = file_name(&format!("aws-{}-rights", phase.as_str()), index, "json");
        let blocks: Vec<&ProviderBlock> = uses.iter().map(|one| one.block).collect();
        // A plan has a role of its own, whichever the provider block names.
        let named = role.and_then(|role| role.rsplit('/').next()).filter(|_| phase == Phase::Sync);
        let role_name = named.map_or_else(|| format!("secretzero-{}", phase.as_str()), shell_argument);
        let whose = if several { format!("  # for {}", aliases(&blocks)) } else { String::new() };
        generated.steps.push(format!(
            "aws iam put-role-policy --role-name {role_name} --policy-name secretzero --policy-document file://{name}{whose}"
        ));
        generated.documents.push(Document { name, text });
        notes.into_iter().for_each(|note| generated.say(note));
    }
    generated
}

/// What the objects of one role are.
#[derive(Default)]
struct Objects {
    /// Secrets that are written in a sync, and those that are only looked at.
    secrets: BTreeSet<String>,
    copies: BTreeSet<String>,
    /// Of the secrets those with replicas.
    replicated: BTreeSet<String>,
    parameters: BTreeSet<String>,
    keys: Keys,
    notes: BTreeSet<String>,
}

fn policy(uses: &[&Use<'_>], phase: Phase, role: Option<&str>, account: &Account) -> (String, Vec<String>) {
    let mut objects = Objects::default();
    for one in uses {
        let place = Place::of(one.block, role, account);
        if place.region == Place::ANY_REGION {
            objects.notes.insert(format!(
                "provider {} names no region, so every region is meant: set `region` there, or AWS_REGION here",
                one.block.alias.value
            ));
        }
        match one.settings {
            TargetSettings::SecretsManager(secret) => objects.secret(&place, secret, one.is_copy),
            TargetSettings::SsmParameter(parameter) => objects.parameter(&place, parameter),
            _ => {}
        }
    }
    let document = json!({ "Version": "2012-10-17", "Statement": objects.statements(phase) });
    let text = format!("{}\n", serde_json::to_string_pretty(&document).unwrap_or_default());
    let mut notes: Vec<String> = objects.notes.into_iter().collect();
    if text.contains("ACCOUNT_ID") {
        notes.push("put the account's number for ACCOUNT_ID, or give it with `--account`".into());
    }
    if text.chars().filter(|c| !c.is_whitespace()).count() > POLICY_CHARACTERS_MAX {
        notes.push(format!(
            "longer than the {POLICY_CHARACTERS_MAX} characters of a managed policy: as an inline policy a role takes 10,240, \
             else give each half of the statements a policy of its own"
        ));
    }
    if !objects.secrets.is_empty() {
        notes.push(
            "`secretsmanager:ListSecrets` on `*` would save requests from four secrets on, and shows the names of all \
             secrets of the account; it is left out"
                .into(),
        );
    }
    (text, notes)
}

/// The beginning of ARNs.
struct Place {
    partition: &'static str,
    region: String,
    account: String,
}

impl Place {
    /// Stands for a region that nobody named.
    const ANY_REGION: &str = "*";

    fn of(block: &ProviderBlock, role: Option<&str>, account: &Account) -> Self {
        let region = block.setting("region").map(str::to_owned).or_else(|| account.aws_region.clone());
        let region = region.unwrap_or_else(|| Self::ANY_REGION.to_owned());
        let of_role = role.and_then(|role| role.split(':').nth(4)).filter(|number| !number.is_empty());
        let number = of_role.map(str::to_owned).or_else(|| account.aws.clone());
        Self::at(&region, &number.unwrap_or_else(|| "ACCOUNT_ID".to_owned()))
    }

    fn at(region: &str, account: &str) -> Self {
        let partition = match region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        Self { partition, region: region.to_owned(), account: account.to_owned() }
    }

    fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{rest}", self.partition, self.region, self.account)
    }
}

impl Objects {
    fn secret(&mut self, place: &Place, secret: &SecretsManagerSettings, is_copy: bool) {
        // Six characters that AWS draws end the ARN of a secret.
        let arn = place.arn("secretsmanager", &format!("secret:{}-??????", secret.name));
        if is_copy {
            self.copies.insert(arn);
            return;
        }
        self.keys.of_secret(place, secret);
        if !secret.replica_regions.is_empty() {
            self.replicated.insert(arn.clone());
        }
        self.secrets.insert(arn);
    }

    fn parameter(&mut self, place: &Place, parameter: &SsmParameterSettings) {
        self.parameters.insert(place.arn("ssm", &format!("parameter/{}", parameter.name.trim_start_matches('/'))));
        if parameter.parameter_type == ParameterType::SecureString {
            self.keys.of_parameter(place, parameter);
        }
    }

    fn statements(&self, phase: Phase) -> Vec<Json> {
        let mut statements = Vec::new();
        let mut allow = |sid: &str, actions: &[&str], resources: Vec<String>| {
            if !resources.is_empty() {
                statements.push(json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources }));
            }
        };
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
        allow("LookAtSecrets", SECRET_PLAN, self.secrets.union(&self.copies).cloned().collect());
        allow("LookAtParameters", PARAMETER_PLAN, list(&self.parameters));
        // These know no resources.
        let any = |needed: bool| if needed { vec!["*".to_owned()] } else { Vec::new() };
        allow("ListParameters", &["ssm:DescribeParameters"], any(!self.parameters.is_empty()));
        if phase == Phase::Sync {
            allow("WriteSecrets", SECRET_SYNC, list(&self.secrets));
            allow("ReadSecretsInBatches", &["secretsmanager:BatchGetSecretValue"], any(!self.secrets.is_empty()));
            allow("ReplicateSecrets", &["secretsmanager:ReplicateSecretToRegions"], list(&self.replicated));
            allow("WriteParameters", PARAMETER_SYNC, list(&self.parameters));
            statements.extend(self.keys.statements());
        }
        statements
    }
}
