//! `kind: audit`: targets carry the tags that an auditor looks for.

use super::{Breach, place, quoted};
use crate::manifest::{Secret, Target};
use crate::target::TargetSettings;

/// A target without tags, or without some that are required (whether or not `require_tags` is set).
/// Local files, roles and transit keys can carry none and are exempt.
pub(super) fn check(secret: &Secret, target: &Target, require_tags: bool, required: &[String]) -> Vec<Breach> {
    let Some(tags) = target.settings.tags() else { return Vec::new() };
    let plural = word(&target.settings);
    let word = plural;
    let present: Vec<String> = tags.keys().map(|key| folded(key)).collect();
    let missing: Vec<&str> =
        required.iter().map(String::as_str).filter(|tag| !present.contains(&folded(tag))).collect();
    if !missing.is_empty() {
        let word = if missing.len() == 1 { word.trim_end_matches('s') } else { word };
        let missing = quoted(missing);
        return vec![Breach {
            rule: "audit-required-tags",
            message: format!("{} lacks the required {word} {missing}", place(secret, target)),
            help: format!("add {missing} under `{plural}` (case, `-` and `_` do not count)"),
        }];
    }
    if require_tags && tags.is_empty() {
        return vec![Breach {
            rule: "audit-tags",
            message: format!("{} has no {word}", place(secret, target)),
            help: format!("add at least one entry under `{word}`, such as `owner`"),
        }];
    }
    Vec::new()
}

/// What tags are called in the settings of a kind.
const fn word(settings: &TargetSettings) -> &'static str {
    match settings {
        TargetSettings::Kv(_) => "metadata",
        TargetSettings::SecretManager(_) => "labels",
        _ => "tags",
    }
}

/// `DataClassification`, `data-classification` and `data_classification` are one.
pub(super) fn folded(tag: &str) -> String {
    tag.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}
