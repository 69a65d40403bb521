//! The settings of a target as lines of YAML, for every kind that can be listed.

use super::scalar::{scalar, value};
use crate::target::{
    FileSettings, KeyVaultSettings, ParameterTier, ParameterType, ReplicaRegion, Replication, SecretManagerSettings,
    SecretsManagerSettings, SsmParameterSettings, TargetSettings, When,
};

/// A key with what follows its colon; left out if there is nothing.
type Line = (&'static str, Option<String>);

/// The settings of a target, each key with what follows its colon.
pub(super) fn config(settings: &TargetSettings) -> Vec<(&'static str, String)> {
    let mut lines: Vec<Line> = match settings {
        TargetSettings::SecretsManager(s) => secrets_manager(s),
        TargetSettings::SsmParameter(s) => ssm_parameter(s),
        TargetSettings::File(s) => file(s),
        TargetSettings::KeyVault(s) => key_vault(s),
        TargetSettings::KeyVaultCertificate(s) => vec![
            ("vault_url", one(&s.vault_url)),
            ("certificate_name", one(&s.certificate_name)),
            ("content_type", one(&s.content_type)),
        ],
        TargetSettings::Kv(s) => vec![
            ("path", one(&s.path)),
            ("mount_point", one(&s.mount_point)),
            ("version", (s.version != 2).then(|| " 1".to_owned())),
            ("key", one(&s.key)),
        ],
        TargetSettings::SecretManager(s) => secret_manager(s),
        // They hold no value, so nothing of them is taken over.
        TargetSettings::DatabaseRole(_) | TargetSettings::TransitKey(_) => Vec::new(),
    };
    let key = match settings {
        TargetSettings::Kv(_) => "metadata",
        TargetSettings::SecretManager(_) => "labels",
        _ => "tags",
    };
    let tags = settings.tags().into_iter().flatten();
    lines.push((key, map(tags)));
    lines.into_iter().filter_map(|(key, said)| Some((key, said?))).collect()
}

fn one(text: &str) -> Option<String> {
    Some(format!(" {}", value(text)))
}

fn map<'m>(entries: impl Iterator<Item = (&'m String, &'m String)>) -> Option<String> {
    let lines: String =
        entries.map(|(name, said)| format!("\n            {}: {}", scalar(name), value(said))).collect();
    (!lines.is_empty()).then_some(lines)
}

fn list<'l>(items: impl Iterator<Item = &'l str>) -> Option<String> {
    let lines: String = items.map(|item| format!("\n            - {}", value(item))).collect();
    (!lines.is_empty()).then_some(lines)
}

/// Regions, each with its own key if it has one.
fn regions(regions: &[ReplicaRegion], name: &str, key: &str, indent: &str) -> Option<String> {
    let region = |replica: &ReplicaRegion| {
        let own = replica.kms_key_id.as_deref().map(|id| format!("\n{indent}  {key}: {}", value(id)));
        format!("\n{indent}- {name}: {}{}", value(&replica.region), own.unwrap_or_default())
    };
    let lines: String = regions.iter().map(region).collect();
    (!lines.is_empty()).then_some(lines)
}

/// A moment that is fixed; one that counts from a generation stands in no store.
fn when(when: Option<When>) -> Option<String> {
    match when? {
        When::At(at) => one(&at.to_string()),
        When::After(_) => None,
    }
}

fn secrets_manager(s: &SecretsManagerSettings) -> Vec<Line> {
    vec![
        ("name", one(&s.name)),
        ("description", s.description.as_deref().and_then(one)),
        ("kms_key_id", s.kms_key_id.as_deref().and_then(one)),
        ("replica_regions", regions(&s.replica_regions, "region", "kms_key_id", "            ")),
    ]
}

fn ssm_parameter(s: &SsmParameterSettings) -> Vec<Line> {
    let kind = match s.parameter_type {
        ParameterType::String => "String",
        ParameterType::StringList => "StringList",
        ParameterType::SecureString => "SecureString",
    };
    let tier = match s.tier {
        ParameterTier::Standard => None,
        ParameterTier::Advanced => Some("Advanced"),
        ParameterTier::IntelligentTiering => Some("Intelligent-Tiering"),
    };
    vec![
        ("name", one(&s.name)),
        ("type", one(kind)),
        ("tier", tier.and_then(one)),
        ("data_type", Some(s.data_type.as_str()).filter(|kind| *kind != "text").and_then(one)),
        ("policies", s.policies.as_deref().and_then(one)),
        ("description", s.description.as_deref().and_then(one)),
        ("kms_key_id", s.kms_key_id.as_deref().and_then(one)),
    ]
}

fn file(s: &FileSettings) -> Vec<Line> {
    vec![("path", one(&s.path)), ("format", one("dotenv")), ("merge", Some(" true".into())), ("key", one(&s.key))]
}

fn key_vault(s: &KeyVaultSettings) -> Vec<Line> {
    vec![
        ("vault_url", one(&s.vault_url)),
        ("secret_name", one(&s.secret_name)),
        ("content_type", s.content_type.as_deref().and_then(one)),
        ("enabled", s.enabled.map(|enabled| format!(" {enabled}"))),
        ("expires_on", when(s.expires_on)),
        ("not_before", when(s.not_before)),
    ]
}

fn secret_manager(s: &SecretManagerSettings) -> Vec<Line> {
    let nested = "                ";
    let replication = match &s.replication {
        Replication::Automatic(None) => None,
        Replication::Automatic(Some(key)) => {
            Some(format!("\n            automatic:\n              kms_key: {}", value(key)))
        }
        Replication::UserManaged(locations) => regions(locations, "location", "kms_key", nested)
            .map(|locations| format!("\n            user_managed:{locations}")),
    };
    vec![
        ("project_id", s.project_id.as_deref().and_then(one)),
        ("secret_id", one(&s.secret_id)),
        ("annotations", map(s.annotations.iter())),
        ("replication", replication),
        ("topics", list(s.topics.iter().map(String::as_str))),
        ("rotation_period", s.rotation_period_seconds.and_then(period)),
        ("next_rotation_time", s.next_rotation_time.and_then(|at| one(&at.to_string()))),
        ("expire_time", when(s.expire_time)),
        ("keep_versions", s.keep_versions.map(|count| format!(" {count}"))),
    ]
}

/// Whole hours; another period cannot be written down.
fn period(seconds: u64) -> Option<String> {
    seconds.is_multiple_of(3600).then(|| format!(" {}h", seconds / 3600))
}
