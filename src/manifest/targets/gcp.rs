//! `kind: secret_manager` of Google Cloud.
//!
//! Limits: <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets>.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::azure::when;
use super::{Config, TagRules, plain};
use crate::diagnostic::{Spanned, quote};
use crate::manifest::names::foreign_character;
use crate::manifest::node::Node;
use crate::manifest::read::{Fields, Text};
use crate::target::{ReplicaRegion, Replication, SecretManagerSettings, When};

/// Longest id of a secret.
const ID_CHARS_MAX: usize = 255;
/// Shortest time between two notifications, in seconds.
const ROTATION_SECONDS_MIN: u64 = 3600;
/// Shortest life of a secret, in seconds.
const TTL_SECONDS_MIN: i64 = 60;
/// Most topics.
const TOPICS_MAX: usize = 10;
/// Largest annotations in total, in bytes; ours takes up to 320.
const ANNOTATION_BYTES_MAX: usize = 16 * 1024 - 320;

const LABELS: TagRules = TagRules { noun: "label", count_max: 64, name_chars_max: 63, value_chars: 0..=63 };
const ANNOTATIONS: TagRules =
    TagRules { noun: "annotation", count_max: 1000, name_chars_max: 63, value_chars: 0..=16_384 };

/// Reads the settings.
pub(super) fn secret_manager(config: &Config) -> Option<SecretManagerSettings> {
    let fields = config.fields;
    let project_id = fields.text("project_id");
    let secret_id = fields.need_text("secret_id");
    let settings = SecretManagerSettings {
        project_id: None,
        secret_id: String::new(),
        labels: labels(config),
        annotations: annotations(config),
        replication: replication(config).unwrap_or(Replication::Automatic(None)),
        topics: topics(config),
        rotation_period_seconds: rotation(config),
        next_rotation_time: next_rotation(config),
        expire_time: end(config),
        keep_versions: fields.number("keep_versions", 1..=10_000).and_then(|n| u32::try_from(n).ok()),
    };
    together(config, &settings);
    let own_project =
        config.provider.is_some_and(|p| p.setting("project_id").is_some() || p.unresolved.contains_key("project_id"));
    if project_id.is_none() && config.provider.is_some() && !own_project {
        let message = "neither this target nor its provider has a `project_id`";
        config.error(fields.span, "missing-key", message, "add `project_id: …` to the provider's `auth.config`");
    }
    if let Some(project) = project_id.as_ref().filter(|project| !is_project(&project.value)) {
        let help =
            "use 6 to 30 lower-case letters, digits and hyphens, beginning with a letter, or the project's number";
        config.error(project.span, "bad-name", "`project_id` is no project id", help);
    }
    let secret_id = secret_id?;
    id(config, &secret_id);
    Some(SecretManagerSettings {
        project_id: project_id.map(|text| text.value),
        secret_id: secret_id.value,
        ..settings
    })
}

fn id(config: &Config, id: &Text) {
    let help = "use ASCII letters, digits, `_` and `-`";
    if let Some(c) = foreign_character(&id.value, "_-") {
        let message = format!("Secret Manager takes no {} in `secret_id`", quote(&c.to_string()));
        config.error(id.span, "bad-name", message, help);
    } else if !(1..=ID_CHARS_MAX).contains(&id.value.len()) {
        let message = format!("`secret_id` has {} characters, not 1 to {ID_CHARS_MAX}", id.value.len());
        config.error(id.span, "bad-name", message, help);
    }
}

pub(in crate::manifest) fn is_project(text: &str) -> bool {
    let number = text.bytes().all(|b| b.is_ascii_digit());
    let id = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b':' || b == b'.');
    !text.is_empty() && text.len() <= 63 && (number || id)
}

fn labels(config: &Config) -> BTreeMap<String, String> {
    let labels = config.tags("labels", &LABELS);
    let foreign = |text: &str| text.chars().find(|c| c.is_uppercase() || !(c.is_alphanumeric() || "_-".contains(*c)));
    for (name, value) in &labels {
        let help = "use lower-case letters, digits, `_` and `-`; other text goes into `annotations`";
        for (text, span) in [(&name.value, name.span), (&value.value, value.span)] {
            if let Some(c) = foreign(text) {
                let message =
                    format!("a label of Google Cloud takes no {} ({})", quote(&c.to_string()), quote(&name.value));
                config.error(span, "bad-tag", message, help);
            }
        }
        if !name.value.starts_with(char::is_alphabetic) {
            let message = format!("the name of the label {} does not begin with a letter", quote(&name.value));
            config.error(name.span, "bad-tag", message, help);
        }
    }
    plain(labels)
}

fn annotations(config: &Config) -> BTreeMap<String, String> {
    let annotations = plain(config.tags("annotations", &ANNOTATIONS));
    let bytes: usize = annotations.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ANNOTATION_BYTES_MAX {
        let message = format!(
            "the annotations have {bytes} bytes, more than the {ANNOTATION_BYTES_MAX} that leave room for ours"
        );
        config.error(config.fields.place("annotations"), "too-many-tags", message, "shorten them");
    }
    annotations
}

/// `automatic`, or a mapping `automatic: {kms_key}` or `user_managed: [locations]`.
fn replication(config: &Config) -> Option<Replication> {
    let (key, node) = config.fields.get("replication")?;
    let reader = config.context.reader;
    if let Node::Scalar(_) = node.value {
        let text = reader.text_of(node, "replication")?;
        return reader.word_of(&text, "replication", &[("automatic", ())]).map(|()| Replication::Automatic(None));
    }
    let fields = Fields::of(reader, node, key.span, "this replication")?;
    let locations = fields.list("user_managed");
    let automatic = fields.get("automatic").and_then(|(key, node)| {
        let inner = Fields::of(reader, node, key.span, "this replication")?;
        let kms_key = inner.text("kms_key").map(|text| text.value);
        inner.finish();
        Some(Replication::Automatic(kms_key))
    });
    fields.finish();
    let Some(locations) = locations else { return automatic };
    if automatic.is_some() || locations.is_empty() {
        let message = "a secret is replicated either automatically or to at least one location";
        config.error(key.span, "contradiction", message, "keep `automatic` or `user_managed: [europe-west1, …]`");
    }
    Some(Replication::UserManaged(locations.iter().filter_map(|item| location(config, item)).collect()))
}

fn location(config: &Config, item: &Spanned<Node>) -> Option<ReplicaRegion> {
    let reader = config.context.reader;
    let (region, kms_key_id) = if let Node::Scalar(_) = item.value {
        (reader.text_of(item, "user_managed")?, None)
    } else {
        let fields = Fields::of(reader, item, item.span, "this location")?;
        let (location, key) = (fields.need_text("location"), fields.text("kms_key"));
        fields.finish();
        (location?, key.map(|text| text.value))
    };
    if region.value.is_empty() || foreign_character(&region.value, "-").is_some() {
        config.error(
            region.span,
            "bad-region",
            format!("{} is no location of Google Cloud", region.quoted()),
            "write one like `europe-west1`",
        );
    }
    Some(ReplicaRegion { region: region.value, kms_key_id })
}

fn topics(config: &Config) -> Vec<String> {
    let topics = config.fields.texts("topics");
    if topics.len() > TOPICS_MAX {
        let message = format!("{} topics are more than {TOPICS_MAX}", topics.len());
        config.error(config.fields.place("topics"), "out-of-range", message, "remove some");
    }
    for topic in &topics {
        let parts: Vec<&str> = topic.value.split('/').collect();
        if !matches!(parts[..], ["projects", project, "topics", name] if !project.is_empty() && !name.is_empty()) {
            config.error(topic.span, "bad-value", "this is no topic", "write `projects/<project>/topics/<topic>`");
        }
    }
    topics.into_iter().map(|topic| topic.value).collect()
}

/// How often Google notifies; it rotates nothing by itself.
fn rotation(config: &Config) -> Option<u64> {
    let text = config.fields.text("rotation_period")?;
    let seconds = crate::manifest::duration::period(&text.value).and_then(|period| u64::try_from(period.seconds).ok());
    if seconds.is_none_or(|seconds| seconds < ROTATION_SECONDS_MIN) {
        let message = format!("`rotation_period` cannot be {}", text.quoted());
        config.error(text.span, "bad-duration", message, "write `1h` or more: `12h`, `90d`, `2w`, `6m`, `1y`");
    }
    seconds
}

/// When the secret ends: `expire_time`, or `ttl` after the value was made, so that a second sync does
/// not put it off. Google itself knows the same two
/// (<https://cloud.google.com/secret-manager/docs/secret-expiration>).
fn end(config: &Config) -> Option<When> {
    let fixed = when(config, "expire_time");
    let Some(text) = config.fields.text("ttl") else { return fixed };
    if config.fields.get("expire_time").is_some() {
        config.error(text.span, "both-given", "`ttl` stands beside `expire_time`", "remove one of the two");
    }
    let seconds = crate::manifest::duration::time_to_live(&text.value).and_then(|seconds| i64::try_from(seconds).ok());
    if seconds.is_none_or(|seconds| seconds < TTL_SECONDS_MIN) {
        let message = format!("`ttl` cannot be {}", text.quoted());
        config.error(text.span, "bad-duration", message, "write 60 seconds or more: `12h`, `90d`, `7776000s`");
    }
    seconds.map(When::After)
}

fn next_rotation(config: &Config) -> Option<Timestamp> {
    match when(config, "next_rotation_time")? {
        When::At(at) => Some(at),
        When::After(_) => {
            let span = config.fields.place("next_rotation_time");
            config.error(
                span,
                "bad-date",
                "`next_rotation_time` must be a fixed moment",
                "write `\"2030-12-31T23:59:59Z\"`",
            );
            None
        }
    }
}

fn together(config: &Config, settings: &SecretManagerSettings) {
    let fields = config.fields;
    let rotates = settings.rotation_period_seconds.is_some();
    if rotates && (settings.next_rotation_time.is_none() || settings.topics.is_empty()) {
        let message = "`rotation_period` needs `next_rotation_time` and `topics` beside it";
        config.error(
            fields.place("rotation_period"),
            "missing-key",
            message,
            "add both; Google only notifies these topics",
        );
    }
    if let Some(When::At(at)) = settings.expire_time
        && at <= config.context.reader.now()
    {
        let message = "`expire_time` lies in the past: Google would delete the secret for good";
        config.error(fields.place("expire_time"), "expired", message, "choose a later moment");
    }
}
