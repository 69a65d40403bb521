//! `policies:`, the rules a Secretfile sets itself.

use super::duration::period;
use super::node::Entry;
use super::read::{Fields, Reader};
use super::{AccessList, Period, Policy, ProviderKind, Rule};
use crate::diagnostic::{Severity, Spanned};
use crate::target::TargetKind;

/// Severities by their words.
pub(super) const SEVERITIES: &[(&str, Severity)] =
    &[("error", Severity::Error), ("warning", Severity::Warning), ("info", Severity::Info)];

/// The kinds of policy.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Rotation,
    Audit,
    Encryption,
    Access,
    Complexity,
}

/// The words for them.
pub(super) const KINDS: &[(&str, Kind)] = &[
    ("rotation", Kind::Rotation),
    ("audit", Kind::Audit),
    ("encryption", Kind::Encryption),
    ("access", Kind::Access),
    ("complexity", Kind::Complexity),
];

/// Reads `policies:`.
pub(super) fn policies(reader: &Reader, entry: Option<&Entry>, aliases: &[&str]) -> Vec<Policy> {
    let fields = entry.and_then(|(key, node)| Fields::of(reader, node, key.span, "`policies`"));
    let entries = fields.map(|fields| fields.entries).unwrap_or_default();
    entries.iter().filter_map(|entry| policy(reader, entry, aliases)).collect()
}

fn policy(reader: &Reader, (name, node): &Entry, aliases: &[&str]) -> Option<Policy> {
    let fields = Fields::of(reader, node, name.span, "this policy")?;
    fields.need("kind")?;
    let kind = fields.word("kind", KINDS)?;
    let severity = fields.word("severity", SEVERITIES).unwrap_or(Severity::Error);
    let enabled = fields.flag("enabled").unwrap_or(true);
    fields.get("description");
    let rule = rule(&fields, kind, aliases);
    fields.finish();
    Some(Policy { name: name.clone(), rule, severity, enabled })
}

fn rule(fields: &Fields, kind: Kind, aliases: &[&str]) -> Rule {
    let flag = |key| fields.flag(key).unwrap_or(false);
    match kind {
        Kind::Rotation => Rule::Rotation {
            require_rotation_period: flag("require_rotation_period"),
            max_age: period_of(fields, "max_age").map(|period| period.value),
        },
        Kind::Audit => Rule::Audit {
            require_tags: flag("require_tags"),
            required_tags: fields.texts("required_tags").into_iter().map(|text| text.value).collect(),
        },
        Kind::Encryption => Rule::Encryption { require_kms: flag("require_kms") },
        Kind::Access => Rule::Access {
            allowed: AccessList {
                providers: providers(fields, "allowed_providers", aliases),
                regions: texts(fields, "allowed_regions"),
                kinds: kinds(fields, "allowed_kinds"),
            },
            denied: AccessList {
                providers: providers(fields, "denied_providers", aliases),
                regions: texts(fields, "denied_regions"),
                kinds: kinds(fields, "denied_kinds"),
            },
        },
        Kind::Complexity => {
            let small = |key, range| fields.number(key, range).and_then(|n| u32::try_from(n).ok());
            Rule::Complexity { min_length: small("min_length", 1..=4096), min_classes: small("min_classes", 1..=4) }
        }
    }
}

/// A period, told as an error if it is none.
pub(super) fn period_of(fields: &Fields, key: &'static str) -> Option<Spanned<Period>> {
    let text = fields.text(key)?;
    if let Some(period) = period(&text.value) {
        return Some(Spanned::new(period, text.span));
    }
    let message = format!("`{key}` cannot be {}", text.quoted());
    let help = "write a number and a unit: `12h`, `90d`, `2w`, `6m` (months of 30 days) or `1y`";
    fields.reader.error("bad-duration", text.span, message, help);
    None
}

fn texts(fields: &Fields, key: &'static str) -> Vec<String> {
    fields.texts(key).into_iter().map(|text| text.value).collect()
}

/// Aliases or kinds of providers; a name that does not exist would allow or deny nothing, silently.
fn providers(fields: &Fields, key: &'static str, aliases: &[&str]) -> Vec<String> {
    let kinds = PROVIDER_KINDS.iter().map(|(word, _)| *word);
    let words: Vec<(&str, &str)> = aliases.iter().copied().chain(kinds).map(|word| (word, word)).collect();
    let known = |text| fields.reader.word_of(&text, key, &words).map(str::to_owned);
    fields.texts(key).into_iter().filter_map(known).collect()
}

/// Kinds of target; a kind that does not exist would allow or deny nothing, silently.
fn kinds(fields: &Fields, key: &'static str) -> Vec<String> {
    let words: Vec<(&str, &str)> = TargetKind::ALL.iter().map(|kind| (kind.as_str(), kind.as_str())).collect();
    let known = |text| fields.reader.word_of(&text, key, &words).map(str::to_owned);
    fields.texts(key).into_iter().filter_map(known).collect()
}

/// Provider kinds by their words.
pub(super) const PROVIDER_KINDS: &[(&str, ProviderKind)] = &[
    ("local", ProviderKind::Local),
    ("aws", ProviderKind::Aws),
    ("azure", ProviderKind::Azure),
    ("vault", ProviderKind::Vault),
    ("gcp", ProviderKind::Gcp),
];
