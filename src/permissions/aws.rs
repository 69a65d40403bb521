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
use crate::hosts::{aws_domain, aws_partition};
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

/// Longest inline policies of a role together, counted likewise.
const INLINE_CHARACTERS_MAX: usize = 10_240;

pub(super) fn permissions(uses: &[Use<'_>], phase: Phase, account: &Account) -> Generated {
    let roles = roles(uses, phase, account);
    let several = roles.len() > 1;
    let mut generated = Generated::default();
    let mut count = 0;
    for (role, uses) in roles {
        let (statements, notes) = statements(&uses, phase, account);
        let blocks: Vec<&ProviderBlock> = uses.iter().map(|one| one.block).collect();
        let named = role.named.as_deref().and_then(|arn| arn.rsplit('/').next());
        let role_name = named.map_or_else(|| format!("secretzero-{}", phase.as_str()), shell_argument);
        let whose = if several { format!("  # for {}", aliases(&blocks)) } else { String::new() };
        let whole = document(&statements);
        let documents = if characters(&whole) > INLINE_CHARACTERS_MAX { split(statements) } else { vec![whole] };
        let is_inline = documents.len() == 1;
        for (part, text) in documents.into_iter().enumerate() {
            let name = file_name(&format!("aws-{}-rights", phase.as_str()), count, "json");
            count += 1;
            generated.steps.push(if is_inline {
                format!(
                    "aws iam put-role-policy --role-name {role_name} --policy-name secretzero --policy-document file://{name}{whose}"
                )
            } else {
                attached(&role_name, &role, part + 1, &name, &whose)
            });
            generated.documents.push(Document { name, text });
        }
        notes.into_iter().for_each(|note| generated.say(note));
    }
    generated
}

/// The step for one of several managed policies.
fn attached(role_name: &str, role: &Role, number: usize, file: &str, whose: &str) -> String {
    let policy = format!("{role_name}-{number}");
    let account = role.account.as_deref().unwrap_or("ACCOUNT_ID");
    let arn = format!("arn:{}:iam::{account}:policy/{policy}", role.partition);
    format!(
        "aws iam create-policy --policy-name {policy} --policy-document file://{file} && aws iam attach-role-policy \
         --role-name {role_name} --policy-arn {arn}{whose}"
    )
}

/// Whose rights they are.
#[derive(PartialEq, Eq)]
struct Role {
    /// The role that the Secretfile names for this phase.
    named: Option<String>,
    /// Where it is, as far as a role tells it: a policy counts in one account alone.
    account: Option<String>,
    partition: String,
}

impl Role {
    fn of(block: &ProviderBlock, phase: Phase, account: &Account) -> Self {
        let (plan, sync) = (block.setting("plan_role_arn"), block.setting("role_arn"));
        let named = if phase == Phase::Plan { plan } else { sync };
        let known = named.or(sync).or(plan);
        let part = |index| known.and_then(|arn| arn.split(':').nth(index)).filter(|part: &&str| !part.is_empty());
        let region = block.setting("region").or(account.aws_region.as_deref()).unwrap_or_default();
        Self {
            named: named.map(str::to_owned),
            account: part(4).map(str::to_owned).or_else(|| account.aws.clone()),
            partition: part(1).unwrap_or_else(|| aws_partition(region)).to_owned(),
        }
    }
}

/// The roles of a phase, each with what it is used for; blocks that log in as one share its policy.
fn roles<'u, 'm>(uses: &'u [Use<'m>], phase: Phase, account: &Account) -> Vec<(Role, Vec<&'u Use<'m>>)> {
    let mut roles: Vec<(Role, Vec<&Use<'_>>)> = Vec::new();
    for one in uses {
        let role = Role::of(one.block, phase, account);
        match roles.iter_mut().find(|(known, _)| *known == role) {
            Some((_, of_role)) => of_role.push(one),
            None => roles.push((role, vec![one])),
        }
    }
    roles
}

/// A policy as text.
fn document(statements: &[Json]) -> String {
    let document = json!({ "Version": "2012-10-17", "Statement": statements });
    format!("{}\n", serde_json::to_string_pretty(&document).unwrap_or_default())
}

fn characters(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

/// The same rights as several policies, each as long as a managed one may be: a statement's resources are
/// dealt out over as many as are needed.
fn split(statements: Vec<Json>) -> Vec<String> {
    let mut policies: Vec<Vec<Json>> = vec![Vec::new()];
    for statement in statements {
        let resources = match &statement["Resource"] {
            Json::Array(resources) => resources.clone(),
            one => vec![one.clone()],
        };
        for resource in resources {
            let mut alone = statement.clone();
            alone["Resource"] = json!([resource]);
            if !joined(&mut policies, &alone, &resource) {
                policies.push(vec![alone]);
            }
        }
    }
    policies.iter().map(|statements| document(statements)).collect()
}

/// Adds one resource of a statement to the last policy; false if it has no room for it.
fn joined(policies: &mut [Vec<Json>], statement: &Json, resource: &Json) -> bool {
    let Some(last) = policies.last_mut() else { return false };
    let mut with = last.clone();
    match with.iter_mut().find(|one| one["Sid"] == statement["Sid"]).and_then(|one| one["Resource"].as_array_mut()) {
        Some(resources) => resources.push(resource.clone()),
        None => with.push(statement.clone()),
    }
    let fits = characters(&document(&with)) <= POLICY_CHARACTERS_MAX;
    if fits {
        *last = with;
    }
    fits
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

fn statements(uses: &[&Use<'_>], phase: Phase, account: &Account) -> (Vec<Json>, Vec<String>) {
    let mut objects = Objects::default();
    for one in uses {
        let place = Place::of(one.block, phase, account);
        if place.region == Place::ANY_REGION {
            objects.notes.insert(format!(
                "provider {} names no region, so every region is meant: set `region` there, or AWS_REGION here",
                one.block.alias.value
            ));
        }
        if place.account == Place::ANY_ACCOUNT {
            objects.notes.insert("put the account's number for ACCOUNT_ID, or give it with `--account`".into());
        }
        match one.settings {
            TargetSettings::SecretsManager(secret) => objects.secret(&place, secret, one.is_copy),
            TargetSettings::SsmParameter(parameter) => objects.parameter(&place, parameter),
            _ => {}
        }
    }
    if !objects.secrets.is_empty() {
        objects.notes.insert(
            "`secretsmanager:ListSecrets` on `*` would save requests from four secrets on, and shows the names of all \
             secrets of the account; it is left out"
                .into(),
        );
    }
    (objects.statements(phase), objects.notes.into_iter().collect())
}

/// The beginning of ARNs.
struct Place {
    partition: String,
    region: String,
    account: String,
}

impl Place {
    /// Stands for a region that nobody named.
    const ANY_REGION: &str = "*";
    /// Stands for an account that nobody named.
    const ANY_ACCOUNT: &str = "ACCOUNT_ID";

    fn of(block: &ProviderBlock, phase: Phase, account: &Account) -> Self {
        let region = block.setting("region").map(str::to_owned).or_else(|| account.aws_region.clone());
        let Role { account, partition, .. } = Role::of(block, phase, account);
        let account = account.unwrap_or_else(|| Self::ANY_ACCOUNT.to_owned());
        Self { partition, region: region.unwrap_or_else(|| Self::ANY_REGION.to_owned()), account }
    }

    /// Another region of the same account.
    fn in_region(&self, region: &str) -> Self {
        Self { partition: self.partition.clone(), region: region.to_owned(), account: self.account.clone() }
    }

    fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{rest}", self.partition, self.region, self.account)
    }

    /// A service as conditions name it.
    fn service(&self, name: &str) -> String {
        format!("{name}.{}.{}", self.region, aws_domain(&self.partition))
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
