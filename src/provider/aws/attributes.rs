//! The normal form of AWS metadata: one spelling for what is declared and for what stands there.
//!
//! `description`, `kms_key_id`, `tag:<key>`, `replica:<region>`; of parameters also `type`, `tier`,
//! `data_type`, `policies`. Observed metadata holds what others set as well; since the declared side
//! does not name it, it is left alone.

use serde_json::{Map, Value as Json};

use crate::mark::MARK_KEY;
use crate::target::{Attributes, ParameterTier, ParameterType, SecretsManagerSettings, SsmParameterSettings};
use crate::target::{REPLICA, REPLICA_MESSAGE, REPLICA_STATUS};

/// The key that Secrets Manager uses when none is named.
const SECRETS_MANAGER_KEY: &str = "alias/aws/secretsmanager";

/// The key that SSM uses when none is named.
const SSM_KEY: &str = "alias/aws/ssm";

/// Most characters of a vendor's message that are shown.
const SAID_CHARS_MAX: usize = 300;

/// What a secret should look like.
pub(super) fn of_secret(settings: &SecretsManagerSettings) -> Attributes {
    let mut attributes = Attributes::new();
    text(&mut attributes, "description", settings.description.as_deref());
    if let Some(key) = &settings.kms_key_id {
        attributes.insert("kms_key_id".into(), key_name(key).to_owned());
    }
    for replica in &settings.replica_regions {
        let (name, key) = replica_attribute(&replica.region, replica.kms_key_id.as_deref());
        attributes.insert(name, key);
    }
    tags(&mut attributes, settings.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    attributes
}

/// What a parameter should look like; type, tier and data type are always part of it.
pub(super) fn of_parameter(settings: &SsmParameterSettings) -> Attributes {
    let mut attributes = Attributes::new();
    text(&mut attributes, "description", settings.description.as_deref());
    attributes.insert("type".into(), type_name(settings.parameter_type).into());
    // With Intelligent-Tiering, SSM answers the tier that it chose.
    if settings.tier != ParameterTier::IntelligentTiering {
        attributes.insert("tier".into(), tier_name(settings.tier).into());
    }
    attributes.insert("data_type".into(), settings.data_type.clone());
    if let Some(key) = &settings.kms_key_id
        && settings.parameter_type == ParameterType::SecureString
    {
        attributes.insert("kms_key_id".into(), key_name(key).to_owned());
    }
    if let Some(policies) = &settings.policies {
        attributes.insert("policies".into(), canonical_policies([policies.as_str()]));
    }
    tags(&mut attributes, settings.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    attributes
}

/// A text that counts only if there is one.
pub(super) fn text(attributes: &mut Attributes, name: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        attributes.insert(name.into(), value.into());
    }
}

/// Tags, without our mark and without AWS's own (`aws:…`, which nobody else may set:
/// <https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html>).
pub(super) fn tags<'a>(attributes: &mut Attributes, all: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (key, value) in all {
        if key != MARK_KEY && !key.starts_with("aws:") {
            attributes.insert(format!("tag:{key}"), value.into());
        }
    }
}

/// The key of a secret as the store tells it; the store's default when it tells none.
pub(super) fn secret_key(key: Option<&str>) -> String {
    key.map_or(SECRETS_MANAGER_KEY, key_name).to_owned()
}

/// The key of a `SecureString`, likewise.
pub(super) fn parameter_key(key: Option<&str>) -> String {
    key.map_or(SSM_KEY, key_name).to_owned()
}

/// A replica, named by its region; its key is empty when it is the region's default.
pub(super) fn replica_attribute(region: &str, key: Option<&str>) -> (String, String) {
    let key = key.map(key_name).filter(|key| *key != SECRETS_MANAGER_KEY);
    (format!("{REPLICA}{region}"), key.unwrap_or_default().to_owned())
}

/// The status of a replica that is not in sync.
pub(super) fn replica_status(region: &str) -> String {
    format!("{REPLICA_STATUS}{region}")
}

/// What the store says of a replica that failed.
pub(super) fn replica_message(region: &str) -> String {
    format!("{REPLICA_MESSAGE}{region}")
}

/// Words of a vendor, fit for a line: nothing but text, and not too much of it.
pub(super) fn said(text: &str) -> String {
    let text: String = text.chars().take(SAID_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.trim().trim_end_matches('.').to_owned()
}

/// `alias/x` or the key's id, whether written as such or as an ARN.
fn key_name(key: &str) -> &str {
    let resource = if key.starts_with("arn:") { key.rsplit(':').next().unwrap_or(key) } else { key };
    resource.strip_prefix("key/").unwrap_or(resource)
}

pub(super) const fn type_name(parameter_type: ParameterType) -> &'static str {
    match parameter_type {
        ParameterType::String => "String",
        ParameterType::StringList => "StringList",
        ParameterType::SecureString => "SecureString",
    }
}

pub(super) const fn tier_name(tier: ParameterTier) -> &'static str {
    match tier {
        ParameterTier::Standard => "Standard",
        ParameterTier::Advanced => "Advanced",
        ParameterTier::IntelligentTiering => "Intelligent-Tiering",
    }
}

/// Policies as one JSON array with sorted keys and elements; each text is an array or one policy.
/// What is no JSON stays as it is, so that it differs from everything.
pub(super) fn canonical_policies<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut policies = Vec::new();
    for text in texts {
        match serde_json::from_str(text) {
            Ok(Json::Array(several)) => policies.extend(several.into_iter().map(|policy| sorted(policy).to_string())),
            Ok(one) => policies.push(sorted(one).to_string()),
            Err(_) => policies.push(text.to_owned()),
        }
    }
    policies.sort();
    format!("[{}]", policies.join(","))
}

fn sorted(json: Json) -> Json {
    match json {
        Json::Object(members) => {
            let mut members: Vec<_> = members.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Json::Object(members.into_iter().collect::<Map<_, _>>())
        }
        Json::Array(elements) => Json::Array(elements.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::ReplicaRegion;

    #[test]
    fn a_key_is_the_same_as_alias_id_or_arn() {
        assert_eq!(key_name("arn:aws:kms:us-east-1:123456789012:alias/app"), "alias/app");
        assert_eq!(key_name("arn:aws:kms:us-east-1:123456789012:key/1234-ab"), "1234-ab");
        assert_eq!((key_name("alias/app"), key_name("1234-ab")), ("alias/app", "1234-ab"));
        assert_eq!(secret_key(None), secret_key(Some("alias/aws/secretsmanager")));
        assert_eq!(parameter_key(None), parameter_key(Some("arn:aws:kms:eu-west-1:1:alias/aws/ssm")));
        let default = replica_attribute("eu-west-1", Some("alias/aws/secretsmanager"));
        assert_eq!(default, replica_attribute("eu-west-1", None));
    }

    #[test]
    fn only_what_is_declared_is_desired() {
        let plain = SecretsManagerSettings { name: "a".into(), ..SecretsManagerSettings::default() };
        assert_eq!(of_secret(&plain), Attributes::new());
        let replica_regions = vec![ReplicaRegion { region: "eu-west-1".into(), kms_key_id: None }];
        let replicated = SecretsManagerSettings { replica_regions, ..plain };
        assert_eq!(of_secret(&replicated), Attributes::from([("replica:eu-west-1".into(), String::new())]));
    }

    #[test]
    fn policies_are_compared_as_json() {
        let declared = r#"[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"Unit":"Days","After":"20"}},
                           {"Version":"1.0","Type":"Expiration","Attributes":{"Timestamp":"2030-01-01T00:00:00.000Z"}}]"#;
        let observed = [
            r#"{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2030-01-01T00:00:00.000Z"}}"#,
            r#"{"Version":"1.0","Type":"NoChangeNotification","Attributes":{"After":"20","Unit":"Days"}}"#,
        ];
        assert_eq!(canonical_policies([declared]), canonical_policies(observed));
        assert_eq!(canonical_policies([]), "[]");
    }

    #[test]
    fn tags_of_aws_and_our_mark_are_no_metadata() {
        let mut attributes = Attributes::new();
        tags(&mut attributes, [("aws:cloudformation:stack-name", "x"), ("secretzero", "1:"), ("Team", "core")]);
        assert_eq!(attributes, Attributes::from([("tag:Team".into(), "core".into())]));
    }
}
