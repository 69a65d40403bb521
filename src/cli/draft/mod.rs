//! A Secretfile that is written rather than read: laid out for people, and read back before it is shown.

mod azure;
mod google;
pub(super) mod naming;
pub(super) mod scalar;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::diagnostic::{Severity, Source};
use crate::manifest::{Inputs, Manifest, load};
use crate::target::{FileSettings, ParameterTier, ParameterType, TargetKind, TargetSettings};
use scalar::{comment, scalar, value};

/// The parts of a Secretfile before its secrets.
pub(super) struct Head {
    /// Lines of comment.
    pub(super) notes: Vec<String>,
    /// `metadata` by key.
    pub(super) metadata: Vec<(&'static str, String)>,
    /// Alias, kind and region of the one provider.
    pub(super) provider: (String, &'static str, Option<String>),
}

impl Head {
    /// Everything before the list of secrets.
    pub(super) fn text(&self) -> String {
        let mut text: String = self.notes.iter().map(|note| format!("# {}\n", comment(note))).collect();
        text.push_str("version: \"1.0\"\nmetadata:\n");
        for (key, said) in &self.metadata {
            text.push_str(&format!("  {key}: {}\n", value(said)));
        }
        let (alias, kind, region) = &self.provider;
        text.push_str(&format!("\nproviders:\n  {}:\n    kind: {kind}\n", scalar(alias)));
        if let Some(region) = region {
            let region = value(region);
            text.push_str(&format!("    auth:\n      kind: ambient\n      config:\n        region: {region}\n"));
        }
        text
    }
}

/// An entry of `secrets:` for what exists already: external, to be adopted.
pub(super) fn entry(name: &str, note: Option<&str>, alias: &str, settings: &TargetSettings) -> String {
    let note = note.map(|note| format!("  # {}\n", comment(note))).unwrap_or_default();
    let mut text = format!("{note}  - name: {name}\n    kind: external\n    adopt: true\n    targets:\n");
    text.push_str(&format!("      - provider: {}\n        kind: {}\n", scalar(alias), settings.kind().as_str()));
    text.push_str("        config:\n");
    for (key, said) in config(settings) {
        text.push_str(&format!("          {key}:{said}\n"));
    }
    text
}

/// A mapping with what follows its colon; nothing if it is empty.
fn pairs(tags: &BTreeMap<String, String>) -> Option<String> {
    let tags = tags.iter().map(|(name, said)| format!("\n            {}: {}", scalar(name), value(said)));
    Some(tags.collect::<String>()).filter(|text| !text.is_empty())
}

/// The settings of a target with what follows their colon.
fn config(settings: &TargetSettings) -> Vec<(&'static str, String)> {
    let one = |text: &str| format!(" {}", value(text));
    let mut lines: Vec<(&'static str, Option<String>)> = Vec::new();
    match settings {
        TargetSettings::SecretsManager(s) => {
            let region = |replica: &crate::target::ReplicaRegion| {
                let key =
                    replica.kms_key_id.as_deref().map(|key| format!("\n              kms_key_id: {}", value(key)));
                format!("\n            - region: {}{}", value(&replica.region), key.unwrap_or_default())
            };
            let replicas: String = s.replica_regions.iter().map(region).collect();
            lines.push(("name", Some(one(&s.name))));
            lines.push(("description", s.description.as_deref().map(one)));
            lines.push(("kms_key_id", s.kms_key_id.as_deref().map(one)));
            lines.push(("replica_regions", (!replicas.is_empty()).then_some(replicas)));
        }
        TargetSettings::SsmParameter(s) => {
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
            lines.push(("name", Some(one(&s.name))));
            lines.push(("type", Some(one(kind))));
            lines.push(("tier", tier.map(one)));
            lines.push(("data_type", Some(s.data_type.as_str()).filter(|kind| *kind != "text").map(one)));
            lines.push(("policies", s.policies.as_deref().map(one)));
            lines.push(("description", s.description.as_deref().map(one)));
            lines.push(("kms_key_id", s.kms_key_id.as_deref().map(one)));
        }
        TargetSettings::File(FileSettings { path, key, .. }) => {
            lines.push(("path", Some(one(path))));
            lines.push(("format", Some(one("dotenv"))));
            lines.push(("merge", Some(" true".into())));
            lines.push(("key", Some(one(key))));
        }
        TargetSettings::KeyVault(s) => lines.extend(azure::lines(s)),
        TargetSettings::SecretManager(s) => {
            lines.push(("project_id", s.project_id.as_deref().map(one)));
            lines.push(("secret_id", Some(one(&s.secret_id))));
            lines.extend(google::lines(s));
            lines.push(("annotations", pairs(&s.annotations)));
        }
        _ => {}
    }
    let tags = if settings.kind() == TargetKind::SecretManager { "labels" } else { "tags" };
    lines.push((tags, settings.tags().and_then(pairs)));
    lines.into_iter().filter_map(|(key, said)| Some((key, said?))).collect()
}

/// Reads a draft as `validate` would.
///
/// # Errors
/// What is wrong with it, in one sentence.
pub(super) fn read_back(text: &str, now: Timestamp) -> Result<Manifest, String> {
    let nothing = |_: &str| None;
    let loaded = load(&Source::new("draft".to_owned(), text.to_owned()), &Inputs::new(&nothing, now));
    let error = loaded.diagnostics.into_iter().find(|finding| finding.severity == Severity::Error);
    match (loaded.manifest, error) {
        (Some(manifest), _) => Ok(manifest),
        (None, Some(error)) => Err(error.message),
        (None, None) => Err("it cannot be read".into()),
    }
}

/// Whether an entry, read back, says exactly what it was made from.
///
/// # Errors
/// Why it does not, in one sentence.
pub(super) fn sound(head: &Head, entry: &str, settings: &TargetSettings, now: Timestamp) -> Result<(), String> {
    let manifest = read_back(&format!("{}secrets:\n{entry}", head.text()), now)?;
    let target = manifest.secrets.first().and_then(|secret| secret.targets.first());
    let mut read = target.map(|target| target.settings.clone());
    if let Some(TargetSettings::SsmParameter(parameter)) = &mut read {
        // It is told by the policies.
        parameter.expires = None;
    }
    if read.as_ref() == Some(settings) { Ok(()) } else { Err("its settings cannot be written down as they are".into()) }
}

/// What a kind of place is called in a name, where two stores have an object of one name.
pub(super) const fn short(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::SsmParameter => "ssm",
        TargetKind::SecretsManager => "sm",
        _ => "",
    }
}
