//! Tells which secrets and targets break the policies of a Secretfile; from the file alone, purely.
//!
//! Every enabled entry of `policies:` is checked with its own severity. Beside them stand what the
//! program always says ([`ONE_TIME`]) and the packs of `metadata.compliance` (`packs.rs`), which never
//! weigh more than a warning, because a standard cannot be judged from one file.

mod access;
mod audit;
mod complexity;
mod encryption;
mod packs;
mod rotation;

use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::manifest::{Manifest, Policy, Rule, Secret, Target};

/// The name under which the contradiction of `one_time` and `rotation_period` is reported.
pub const ONE_TIME: &str = "one-time";

/// One breach of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the policy, of a pack (`pci-dss`), or [`ONE_TIME`].
    pub policy: String,
    /// Stable kebab-case name of the rule, such as `rotation-max-age`.
    pub rule: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do now.
    pub help: Option<String>,
    /// Where.
    pub span: Span,
    /// The secret it is about, if any.
    pub secret: Option<String>,
    /// The target it is about, as an index into the secret's targets.
    pub target: Option<usize>,
}

impl From<Finding> for Diagnostic {
    fn from(finding: Finding) -> Self {
        let Finding { rule, severity, message, help, span, secret, .. } = finding;
        Self { code: rule, severity, message, span, help, secret }
    }
}

/// Every breach, secret by secret in the order of the file, and then about the file as a whole.
#[must_use]
pub fn check(manifest: &Manifest) -> Vec<Finding> {
    let enabled: Vec<&Policy> = manifest.policies.iter().filter(|policy| policy.enabled).collect();
    let mut findings = Vec::new();
    for secret in &manifest.secrets {
        findings.extend(rotation::one_time(secret));
        for policy in &enabled {
            findings.extend(breaches(manifest, policy, secret));
        }
        findings.extend(packs::secret(&manifest.metadata, secret));
    }
    findings.extend(packs::file(manifest));
    findings
}

/// What one secret breaks of one policy.
fn breaches(manifest: &Manifest, policy: &Policy, secret: &Secret) -> Vec<Finding> {
    let at = |target: Option<usize>, span: Span, breach: Breach| Finding {
        policy: policy.name.value.clone(),
        rule: breach.rule,
        severity: policy.severity,
        message: format!("{} (policy `{}`)", breach.message, policy.name.value),
        help: Some(breach.help),
        span,
        secret: Some(secret.name.value.clone()),
        target,
    };
    let of_secret = |breaches: Vec<(Span, Breach)>| {
        breaches.into_iter().map(|(span, breach)| at(None, span, breach)).collect::<Vec<_>>()
    };
    let of_targets = |check: &dyn Fn(&Target) -> Vec<Breach>| {
        let targets = secret.targets.iter().enumerate();
        let found = targets
            .flat_map(|(index, target)| check(target).into_iter().map(move |breach| (index, target.span, breach)));
        found.map(|(index, span, breach)| at(Some(index), span, breach)).collect::<Vec<_>>()
    };
    match &policy.rule {
        Rule::Rotation { require_rotation_period, max_age } => {
            of_secret(rotation::check(secret, *require_rotation_period, max_age.as_ref()))
        }
        Rule::Complexity { min_length, min_classes } => of_secret(complexity::check(secret, *min_length, *min_classes)),
        Rule::Audit { require_tags, required_tags } => {
            of_targets(&|target| audit::check(secret, target, *require_tags, required_tags))
        }
        Rule::Encryption { require_kms } => of_targets(&|target| encryption::check(secret, target, *require_kms)),
        Rule::Access { allowed, denied } => {
            of_targets(&|target| access::check(manifest, secret, target, allowed, denied))
        }
    }
}

/// What a rule finds, before it is known which policy asked and where it stands.
struct Breach {
    rule: &'static str,
    message: String,
    help: String,
}

/// A target as a sentence names it: "`database_password` in AWS Secrets Manager `app/db`".
fn place(secret: &Secret, target: &Target) -> String {
    format!("`{}` in {} `{}`", secret.name.value, target.settings.kind().title(), target.settings.name())
}

/// "`a`, `b`".
fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
