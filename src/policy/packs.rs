//! `metadata.compliance`: the few things that a standard asks for and a Secretfile can show.
//!
//! A pack never weighs more than a warning and claims no compliance: none of the three standards fixes
//! a period for the secrets of applications, and what they ask for is judged by an assessor, not here.
//!
//! | rule | control | severity |
//! |---|---|---|
//! | `pack-rotation-period` | PCI DSS 4.0.1 8.6.3 (changed periodically, at a frequency the entity sets) | warning |
//! | | ISO/IEC 27001:2022 A.5.17, SOC 2 CC6.1 (management of authentication information, access) | info |
//! | `pack-plaintext-parameter` | PCI DSS 8.3.2, ISO A.8.24, SOC 2 CC6.1 (stored encrypted) | warning |
//! | `pack-password-length` | PCI DSS 8.3.6 (12 characters; written for user accounts) | warning |
//! | `pack-owner` | ISO A.5.9 (assets have owners), SOC 2 CC6.1 (an inventory of them) | info |
//!
//! Sources: <https://www.pcisecuritystandards.org/document_library/>, <https://www.iso.org/standard/27001>,
//! <https://www.aicpa-cima.com/topic/audit-assurance/audit-and-assurance-greater-than-soc-2>.

use super::{Finding, place, quoted};
use crate::diagnostic::{Severity, Span};
use crate::manifest::{Compliance, GeneratorKind, Manifest, Metadata, PasswordSettings, Secret, Source};
use crate::target::{ParameterType, TargetSettings};

/// Fewest characters of a user's password, PCI DSS 4.0.1 8.3.6.
const PCI_PASSWORD_CHARS_MIN: u32 = 12;

/// What the packs say of one secret.
pub(super) fn secret(metadata: &Metadata, secret: &Secret) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(rotation_period(metadata, secret));
    findings.extend(password_length(metadata, secret));
    findings.extend(plaintext_parameters(metadata, secret));
    findings
}

/// What the packs say of the file as a whole.
pub(super) fn file(manifest: &Manifest) -> Vec<Finding> {
    let Some(pack) = Asked::by(&manifest.metadata, &[(Compliance::Iso27001, "A.5.9"), (Compliance::Soc2, "CC6.1")])
    else {
        return Vec::new();
    };
    let ownerless = manifest.secrets.iter().filter(|secret| secret.owners.is_empty());
    let names: Vec<&str> = ownerless.map(|secret| secret.name.value.as_str()).collect();
    if manifest.metadata.owner.is_some() || names.is_empty() {
        return Vec::new();
    }
    let message = format!("nobody is named as the owner of {}", quoted(names));
    let help = "set `metadata.owner`, or `owners:` of each secret";
    vec![pack.finding("pack-owner", Severity::Info, message, help, pack.span)]
}

fn rotation_period(metadata: &Metadata, secret: &Secret) -> Option<Finding> {
    let controls = [(Compliance::PciDss, "8.6.3"), (Compliance::Iso27001, "A.5.17"), (Compliance::Soc2, "CC6.1")];
    let pack = Asked::by(metadata, &controls).filter(|_| secret.rotation_period.is_none())?;
    // Only PCI DSS asks for a periodic change in so many words.
    let strict = has(metadata, Compliance::PciDss);
    let severity = if strict { Severity::Warning } else { Severity::Info };
    let message = format!("`{}` declares no rotation_period", secret.name.value);
    let help = "add a rotation_period that your risk analysis supports, such as `90d`";
    Some(pack.finding("pack-rotation-period", severity, message, help, secret.name.span).about(secret, None))
}

fn password_length(metadata: &Metadata, secret: &Secret) -> Vec<Finding> {
    let Some(pack) = Asked::by(metadata, &[(Compliance::PciDss, "8.3.6")]) else { return Vec::new() };
    let generators = match &secret.source {
        Source::Single(generator) => vec![generator],
        Source::Template(fields) => fields.iter().map(|field| &field.generator).collect(),
    };
    let short = generators.into_iter().filter(|generator| {
        matches!(&generator.kind, GeneratorKind::Password(PasswordSettings { length, .. })
            if *length < PCI_PASSWORD_CHARS_MIN)
    });
    let findings = short.map(|generator| {
        let message =
            format!("`{}` has a password of fewer than {PCI_PASSWORD_CHARS_MIN} characters", secret.name.value);
        let help = "set `length: 12` or more, unless the system cannot take as many";
        pack.finding("pack-password-length", Severity::Warning, message, help, generator.span).about(secret, None)
    });
    findings.collect()
}

fn plaintext_parameters(metadata: &Metadata, secret: &Secret) -> Vec<Finding> {
    let controls = [(Compliance::PciDss, "8.3.2"), (Compliance::Iso27001, "A.8.24"), (Compliance::Soc2, "CC6.1")];
    let Some(pack) = Asked::by(metadata, &controls) else { return Vec::new() };
    let plain = secret.targets.iter().enumerate().filter(|(_, target)| {
        matches!(&target.settings, TargetSettings::SsmParameter(s) if s.parameter_type != ParameterType::SecureString)
    });
    let findings = plain.map(|(index, target)| {
        let message = format!("{} is stored without encryption by a key of KMS", place(secret, target));
        let help = "set `type: SecureString`";
        pack.finding("pack-plaintext-parameter", Severity::Warning, message, help, target.span)
            .about(secret, Some(index))
    });
    findings.collect()
}

/// The packs in force that ask for one thing, with the controls that do.
struct Asked {
    policy: String,
    controls: String,
    span: Span,
}

impl Asked {
    /// `None` if no pack in force asks.
    fn by(metadata: &Metadata, controls: &[(Compliance, &str)]) -> Option<Self> {
        let asking: Vec<_> = controls.iter().filter(|(pack, _)| has(metadata, *pack)).collect();
        let first = asking.first()?.0;
        let span = metadata.compliance.iter().find(|entry| entry.value == first)?.span;
        let join = |texts: Vec<String>| texts.join(", ");
        Some(Self {
            policy: join(asking.iter().map(|(pack, _)| name(*pack).to_owned()).collect()),
            controls: join(asking.iter().map(|(pack, control)| format!("{} {control}", title(*pack))).collect()),
            span,
        })
    }

    fn finding(&self, rule: &'static str, severity: Severity, message: String, help: &str, span: Span) -> Finding {
        Finding {
            policy: self.policy.clone(),
            rule,
            severity,
            message: format!("{message} ({})", self.controls),
            help: Some(help.to_owned()),
            span,
            secret: None,
            target: None,
        }
    }
}

impl Finding {
    fn about(self, secret: &Secret, target: Option<usize>) -> Self {
        Self { secret: Some(secret.name.value.clone()), target, ..self }
    }
}

fn has(metadata: &Metadata, pack: Compliance) -> bool {
    metadata.compliance.iter().any(|entry| entry.value == pack)
}

/// The word of the Secretfile.
const fn name(pack: Compliance) -> &'static str {
    match pack {
        Compliance::Soc2 => "soc2",
        Compliance::Iso27001 => "iso27001",
        Compliance::PciDss => "pci-dss",
    }
}

/// What a person calls it.
const fn title(pack: Compliance) -> &'static str {
    match pack {
        Compliance::Soc2 => "SOC 2",
        Compliance::Iso27001 => "ISO/IEC 27001",
        Compliance::PciDss => "PCI DSS",
    }
}
