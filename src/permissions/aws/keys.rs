//! The KMS keys that a Secretfile names, each usable through its store alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use super::Place;
use crate::target::{ParameterTier, SecretsManagerSettings, SsmParameterSettings};

/// The ARN of a key, or of any key with this alias.
type Key = (String, Option<String>);
/// What is done with it, and by which services.
type Usage = (BTreeSet<&'static str>, BTreeSet<String>);

/// Keys with the actions needed and the services that may use them.
#[derive(Default)]
pub(super) struct Keys(BTreeMap<Key, Usage>);

impl Keys {
    /// A change of key encrypts anew (`UpdateSecret`), and so does a copy in another region.
    pub(super) fn of_secret(&mut self, place: &Place, secret: &SecretsManagerSettings) {
        let actions = &["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"];
        self.add(place, secret.kms_key_id.as_deref(), "secretsmanager", actions);
        for replica in &secret.replica_regions {
            let there = place.in_region(&replica.region);
            self.add(&there, replica.kms_key_id.as_deref(), "secretsmanager", &["kms:Encrypt", "kms:GenerateDataKey"]);
        }
    }

    /// Tier Standard encrypts with the key itself, Advanced with a data key.
    pub(super) fn of_parameter(&mut self, place: &Place, parameter: &SsmParameterSettings) {
        let actions: &[&str] = match parameter.tier {
            ParameterTier::Standard => &["kms:Decrypt", "kms:Encrypt"],
            ParameterTier::Advanced => &["kms:Decrypt", "kms:GenerateDataKey"],
            ParameterTier::IntelligentTiering => &["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"],
        };
        self.add(place, parameter.kms_key_id.as_deref(), "ssm", actions);
    }

    fn add(&mut self, place: &Place, key: Option<&str>, service: &str, actions: &[&'static str]) {
        // A store's own key is usable by whoever may use the store.
        let Some(key) = key.filter(|key| !key.contains("alias/aws/")) else { return };
        // A policy cannot name an alias as a resource
        // (<https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html>).
        let (resource, alias) = match (key.strip_prefix("arn:"), key.split_once("alias/")) {
            (Some(_), Some((before, name))) => (format!("{before}key/*"), Some(format!("alias/{name}"))),
            (Some(_), None) => (key.to_owned(), None),
            (None, Some((_, name))) => (place.arn("kms", "key/*"), Some(format!("alias/{name}"))),
            (None, None) => (place.arn("kms", &format!("key/{key}")), None),
        };
        let (known, via) = self.0.entry((resource, alias)).or_default();
        known.extend(actions);
        via.insert(place.service(service));
    }

    pub(super) fn statements(&self) -> Vec<Json> {
        let statement = |(index, ((resource, alias), (actions, via))): (usize, (&Key, &Usage))| {
            let operator = if via.iter().any(|service| service.contains('*')) { "StringLike" } else { "StringEquals" };
            let mut condition = Map::new();
            condition.insert(operator.into(), json!({ "kms:ViaService": via }));
            if let Some(alias) = alias {
                condition.insert("ForAnyValue:StringEquals".into(), json!({ "kms:ResourceAliases": alias }));
            }
            json!({ "Sid": format!("UseKey{}", index + 1), "Effect": "Allow", "Action": actions, "Resource": resource,
                "Condition": condition })
        };
        self.0.iter().enumerate().map(statement).collect()
    }
}
