//! What is sent to make or change a secret, and which fields of it count.
//!
//! Labels and annotations are replaced as a whole, so those that others set are sent along
//! (<https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/patch>).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::super::attributes::{expiry, moment, next_ahead};
use super::super::wire::Secret;
use crate::mark::MARK_KEY;
use crate::provider::WriteOptions;
use crate::secret::SecretValue;
use crate::target::{REPLICA, Replication, SecretManagerSettings, When};

/// The fields of a secret that are written.
#[derive(Default)]
pub(super) struct Body {
    fields: Map<String, Json>,
    labels: Option<BTreeMap<String, String>>,
    annotations: BTreeMap<String, String>,
    /// The annotation is taken away.
    unmarked: bool,
}

impl Body {
    /// Everything that is declared, for a secret that is made.
    pub(super) fn whole(settings: &SecretManagerSettings, options: &WriteOptions, mark: &str, now: Timestamp) -> Self {
        let mut body = Self::mark(Some(mark));
        body.annotations.extend(settings.annotations.clone());
        body.labels = (!settings.labels.is_empty()).then(|| settings.labels.clone());
        body.fields.insert("replication".into(), replication(settings));
        if !settings.topics.is_empty() {
            body.fields.insert("topics".into(), topics(settings));
        }
        body.rotates(settings, now);
        body.expires(settings, options);
        body
    }

    /// What a new value brings along: the mark, and an end that counts from it.
    pub(super) fn rotation(settings: &SecretManagerSettings, options: &WriteOptions, mark: &str) -> Self {
        let mut body = Self::mark(Some(mark));
        if let Some(When::After(_)) = settings.expire_time {
            body.expires(settings, options);
        }
        body
    }

    /// The mark, and the attributes that differ.
    pub(super) fn changed(
        settings: &SecretManagerSettings,
        options: &WriteOptions,
        changed: &[String],
        mark: &str,
        now: Timestamp,
    ) -> Self {
        let mut body = Self::mark(Some(mark));
        let mut labels = BTreeMap::new();
        for name in changed {
            if let Some(label) = name.strip_prefix("tag:") {
                labels.extend(settings.labels.get_key_value(label).map(|(name, value)| (name.clone(), value.clone())));
            } else if let Some(name) = name.strip_prefix("annotation:") {
                let entry = settings.annotations.get_key_value(name);
                body.annotations.extend(entry.map(|(name, value)| (name.clone(), value.clone())));
            } else if name == "kms_key_id" || name.starts_with(REPLICA) {
                body.fields.insert("replication".into(), replication(settings));
            } else if name == "topics" {
                body.fields.insert("topics".into(), topics(settings));
            } else if name == "expire_time" {
                body.expires(settings, options);
            } else {
                body.rotates(settings, now);
            }
        }
        body.labels = (!labels.is_empty()).then_some(labels);
        body
    }

    /// The mark alone; none takes it away.
    pub(super) fn mark(mark: Option<&str>) -> Self {
        let annotations = mark.map(|mark| (MARK_KEY.to_owned(), mark.to_owned()));
        Self { annotations: annotations.into_iter().collect(), unmarked: mark.is_none(), ..Self::default() }
    }

    fn rotates(&mut self, settings: &SecretManagerSettings, now: Timestamp) {
        let mut rotation = Map::new();
        if let Some(at) = settings.next_rotation_time {
            let at = next_ahead(at, settings.rotation_period_seconds, now);
            rotation.insert("nextRotationTime".into(), moment(at).into());
        }
        if let Some(seconds) = settings.rotation_period_seconds {
            rotation.insert("rotationPeriod".into(), format!("{seconds}s").into());
        }
        if !rotation.is_empty() {
            self.fields.insert("rotation".into(), rotation.into());
        }
    }

    fn expires(&mut self, settings: &SecretManagerSettings, options: &WriteOptions) {
        if let Some(at) = expiry(settings, &options.generation) {
            self.fields.insert("expireTime".into(), moment(at).into());
        }
    }

    /// For a secret that stands there: with what others set, and without what never changes.
    pub(super) fn beside(mut self, secret: &Secret) -> Self {
        let mut annotations = secret.annotations.clone();
        if self.unmarked {
            annotations.remove(MARK_KEY);
        }
        annotations.append(&mut self.annotations);
        self.annotations = annotations;
        if let Some(ours) = &mut self.labels {
            let mut labels = secret.labels.clone();
            labels.append(ours);
            *ours = labels;
        }
        self
    }

    /// Which fields count, as `updateMask` names them.
    pub(super) fn mask(&self) -> String {
        let labels = self.labels.iter().map(|_| "labels");
        let names = std::iter::once("annotations").chain(labels).chain(self.fields.keys().map(String::as_str));
        names.collect::<Vec<_>>().join(",")
    }

    /// The JSON; with an etag for a change.
    pub(super) fn json(&self, etag: Option<&str>) -> SecretValue {
        let mut body = self.fields.clone();
        body.insert("annotations".into(), json!(self.annotations));
        if let Some(labels) = &self.labels {
            body.insert("labels".into(), json!(labels));
        }
        if let Some(etag) = etag {
            body.insert("etag".into(), etag.into());
        }
        SecretValue::from(Json::Object(body).to_string())
    }
}

fn topics(settings: &SecretManagerSettings) -> Json {
    settings.topics.iter().map(|topic| json!({ "name": topic })).collect()
}

fn replication(settings: &SecretManagerSettings) -> Json {
    let encryption = |key: Option<&String>| match key {
        Some(key) => json!({ "customerManagedEncryption": { "kmsKeyName": key } }),
        None => json!({}),
    };
    match &settings.replication {
        Replication::Automatic(key) => json!({ "automatic": encryption(key.as_ref()) }),
        Replication::UserManaged(locations) => {
            let replicas = locations.iter().map(|replica| {
                let mut body = encryption(replica.kms_key_id.as_ref());
                body["location"] = replica.region.clone().into();
                body
            });
            json!({ "userManaged": { "replicas": replicas.collect::<Vec<_>>() } })
        }
    }
}
