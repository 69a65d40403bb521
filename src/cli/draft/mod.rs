//! A Secretfile that is written rather than read: laid out for people, and read back before it is shown.

pub(super) mod naming;
pub(super) mod scalar;
mod settings;

use jiff::Timestamp;

use crate::diagnostic::{Severity, Source};
use crate::manifest::{Credentials, Inputs, Manifest, load};
use crate::target::{TargetKind, TargetSettings};
use scalar::{comment, scalar, value};
use settings::config;

/// The parts of a Secretfile before its secrets.
pub(super) struct Head {
    /// Lines of comment.
    pub(super) notes: Vec<String>,
    /// `metadata` by key.
    pub(super) metadata: Vec<(&'static str, String)>,
    /// The one provider.
    pub(super) provider: Login,
}

/// A provider block that is written down.
pub(super) struct Login {
    /// The name that targets use.
    pub(super) alias: String,
    /// The kind of provider.
    pub(super) kind: &'static str,
    /// How to log in; counts only beside settings, being the usual way of that kind.
    pub(super) auth: &'static str,
    /// The settings of the login; a variable such as `${VAULT_TOKEN}` stays one.
    pub(super) settings: Vec<(&'static str, String)>,
}

impl Head {
    /// Everything before the list of secrets.
    pub(super) fn text(&self) -> String {
        let mut text: String = self.notes.iter().map(|note| format!("# {}\n", comment(note))).collect();
        text.push_str("version: \"1.0\"\nmetadata:\n");
        for (key, said) in &self.metadata {
            text.push_str(&format!("  {key}: {}\n", value(said)));
        }
        let Login { alias, kind, auth, settings } = &self.provider;
        text.push_str(&format!("\nproviders:\n  {}:\n    kind: {kind}\n", scalar(alias)));
        if !settings.is_empty() {
            text.push_str(&format!("    auth:\n      kind: {auth}\n      config:\n"));
        }
        for (key, said) in settings {
            let said = if said.starts_with("${") { said.clone() } else { value(said) };
            text.push_str(&format!("        {key}: {said}\n"));
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

/// Reads a draft as `validate` would.
///
/// # Errors
/// What is wrong with it, in one sentence.
pub(super) fn read_back(text: &str, now: Timestamp) -> Result<Manifest, String> {
    let nothing = |_: &str| None;
    let inputs = Inputs { credentials: Credentials::Leave, ..Inputs::new(&nothing, now) };
    let loaded = load(&Source::new("draft".to_owned(), text.to_owned()), &inputs);
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
        TargetKind::KeyVaultCertificate => "certificate",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
