//! `kind: kv`, `kind: database_role` and `kind: transit_key` of HashiCorp Vault and OpenBao.
//!
//! Limits of custom metadata: <https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2>.

use super::{Config, TagRules, plain};
use crate::manifest::duration::time_to_live;
use crate::manifest::names::path_problem;
use crate::manifest::node::Node;
use crate::manifest::{GeneratorKind, Source};
use crate::target::{DatabaseRoleSettings, KvSettings, TRANSIT_KEY_TYPES, TransitKeySettings};

/// Shortest period of automatic rotation, in seconds.
const AUTO_ROTATE_SECONDS_MIN: u64 = 3600;
/// Vault takes 64 keys of custom metadata, one of which is ours.
const METADATA: TagRules = TagRules { noun: "metadata key", count_max: 63, name_chars_max: 128, value_chars: 1..=512 };

/// Reads the settings of a key-value entry.
pub(super) fn kv(config: &Config) -> Option<KvSettings> {
    let fields = config.fields;
    let path = segments(config, "path", None);
    let mount_point = segments(config, "mount_point", Some("secret"));
    let version = fields.number("version", 1..=2).map_or(2, |version| if version == 1 { 1 } else { 2 });
    let cas = cas(config);
    let metadata = plain(config.tags("metadata", &METADATA));
    for (key, present) in [("cas", cas.is_some()), ("metadata", !metadata.is_empty())] {
        if version == 1 && present {
            let message = format!("version 1 of the key-value store has no `{key}`");
            config.error(fields.place(key), "contradiction", message, format!("write `version: 2`, or remove `{key}`"));
        }
    }
    if metadata.iter().any(|(name, value)| name.chars().chain(value.chars()).any(char::is_control)) {
        config.error(fields.place("metadata"), "bad-tag", "metadata must be printable", "remove line breaks and tabs");
    }
    let key = key(config);
    Some(KvSettings { path: path?, mount_point: mount_point?, version, key, cas, metadata })
}

/// Check-and-set: only 0 makes sense as a constant, since any other version is there just once.
fn cas(config: &Config) -> Option<u64> {
    let text = config.fields.text("cas")?;
    if text.value != "0" {
        let message = "`cas` can only be 0: the first write must create, and every later one expects the version seen";
        config.error(text.span, "bad-value", message, "write `cas: 0`, or remove it");
    }
    Some(0)
}

/// The field that holds a single value.
fn key(config: &Config) -> String {
    let single = match &config.context.secret.source {
        Source::Single(generator) => Some(&generator.kind),
        Source::Template(_) => None,
    };
    let declared = config.fields.text("key");
    if let Some(declared) = &declared {
        if single.is_none() && config.context.known {
            let message = "a template stores each of its fields by name, so `key` does nothing";
            config.error(declared.span, "contradiction", message, "remove it");
        } else if declared.value.is_empty() || declared.value.chars().any(char::is_control) {
            config.error(declared.span, "bad-name", "`key` is no name", "write one word");
        }
    }
    let usual = if matches!(single, Some(GeneratorKind::Password(_))) { "password" } else { "value" };
    declared.map_or_else(|| usual.to_owned(), |key| key.value)
}

/// Reads the settings of a database role.
pub(super) fn database_role(config: &Config) -> Option<DatabaseRoleSettings> {
    let fields = config.fields;
    let database_mount = segments(config, "database_mount", Some("database"));
    let role_name = segments(config, "role_name", None);
    let db_name = segments(config, "db_name", None);
    let default_ttl_seconds = ttl(config, "default_ttl");
    let max_ttl_seconds = ttl(config, "max_ttl");
    if let (Some(usual), Some(most)) = (default_ttl_seconds, max_ttl_seconds)
        && most > 0
        && usual > most
    {
        let message = "`default_ttl` is longer than `max_ttl`";
        config.error(fields.place("default_ttl"), "contradiction", message, "shorten it, or lengthen `max_ttl`");
    }
    let creation_statements = statements(config);
    Some(DatabaseRoleSettings {
        database_mount: database_mount?,
        role_name: role_name?,
        db_name: db_name?,
        creation_statements,
        default_ttl_seconds,
        max_ttl_seconds,
    })
}

/// Statements as written: their `{{name}}`, `{{password}}` and `$1` are Vault's and the database's.
fn statements(config: &Config) -> Vec<String> {
    let Some((key, node)) = config.fields.need("creation_statements") else { return Vec::new() };
    let raw = |node: &Node| match node {
        Node::Scalar(text) => Some(text.clone()),
        _ => None,
    };
    let statements: Option<Vec<String>> = match &node.value {
        Node::List(items) => items.iter().map(|item| raw(&item.value)).collect(),
        other => raw(other).map(|one| vec![one]),
    };
    match statements {
        Some(statements) if !statements.is_empty() => statements,
        Some(_) => {
            config.error(key.span, "missing-value", "the list of statements is empty", "list at least one");
            Vec::new()
        }
        None => {
            config.error(node.span, "wrong-type", "`creation_statements` is no list of texts", "quote each statement");
            Vec::new()
        }
    }
}

/// Reads the settings of a transit key.
pub(super) fn transit_key(config: &Config) -> Option<TransitKeySettings> {
    let fields = config.fields;
    let mount_point = segments(config, "mount_point", Some("transit"));
    let key_name = segments(config, "key_name", None);
    let words: Vec<(&str, &str)> = TRANSIT_KEY_TYPES.iter().map(|word| (*word, *word)).collect();
    let flag = |key| fields.flag(key).unwrap_or(false);
    let (derived, convergent_encryption) = (flag("derived"), flag("convergent_encryption"));
    if convergent_encryption && !derived {
        let message = "`convergent_encryption` needs `derived: true`";
        config.error(fields.place("convergent_encryption"), "contradiction", message, "add it");
    }
    let auto_rotate_period_seconds = ttl(config, "auto_rotate_period");
    if auto_rotate_period_seconds.is_some_and(|seconds| (1..AUTO_ROTATE_SECONDS_MIN).contains(&seconds)) {
        let message = "`auto_rotate_period` is shorter than an hour";
        config.error(fields.place("auto_rotate_period"), "out-of-range", message, "write `1h` or more, or 0 for never");
    }
    Some(TransitKeySettings {
        key_type: fields.word("key_type", &words).unwrap_or("aes256-gcm96").to_owned(),
        derived,
        convergent_encryption,
        exportable: flag("exportable"),
        allow_plaintext_backup: flag("allow_plaintext_backup"),
        auto_rotate_period_seconds,
        deletion_allowed: fields.flag("deletion_allowed"),
        mount_point: mount_point?,
        key_name: key_name?,
    })
}

fn ttl(config: &Config, key: &'static str) -> Option<u64> {
    let text = config.fields.text(key)?;
    let seconds = time_to_live(&text.value);
    if seconds.is_none() {
        let message = format!("`{key}` cannot be {}", text.quoted());
        config.error(text.span, "bad-duration", message, "write it as Vault does: `30m` (minutes), `1h`, `24h`, `7d`");
    }
    seconds
}

/// A mount, path or name; needed unless there is a usual one. A `/` at its end does not count.
fn segments(config: &Config, key: &'static str, usual: Option<&str>) -> Option<String> {
    let text = match usual {
        None => config.fields.need_text(key)?,
        Some(usual) => match config.fields.text(key) {
            Some(text) => text,
            None => return Some(usual.to_owned()),
        },
    };
    let path = text.value.strip_suffix('/').unwrap_or(&text.value);
    if let Some(problem) = path_problem(path) {
        let help = "write segments with one `/` between them, without one at the beginning";
        config.error(text.span, "bad-path", format!("`{key}` {problem}"), help);
    }
    Some(path.to_owned())
}
