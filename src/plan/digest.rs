//! What a reviewer approved: one hash for each target's action and desired configuration.
//!
//! In it: action, configuration, provider account and host (all of the locator), declaration of
//! static values. Not in it: times, versions, generations, local targets, due rotations. So the same
//! review stands as long as the same thing would be done.

use sha2::{Digest, Sha256};

use super::{Action, Plan, SecretPlan, TargetPlan};
use crate::target::TargetKind;

/// Entries that one check has room for: 12 characters each of its 65,535.
pub const ENTRIES_MAX: usize = 5_400;

/// How a plan was made: what it may approve depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The stores were asked.
    Online,
    /// They were not: it approves nothing riskier than a new object and its metadata.
    #[default]
    Offline,
}

impl Mode {
    /// The word that is kept.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

/// The hash of a whole plan and of its entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanDigest {
    /// How the plan was made.
    pub mode: Mode,
    /// Sorted entry hashes of 64 bits, each 11 characters of base64url.
    pub entries: Vec<String>,
}

impl PlanDigest {
    /// The digest of a plan; `subject` tells several Secretfiles and environments apart.
    #[must_use]
    pub fn of(plan: &Plan, subject: &Subject<'_>) -> Self {
        let mode = if plan.offline { Mode::Offline } else { Mode::Online };
        let mut entries: Vec<String> = plan
            .targets()
            .filter(|(secret, target)| counts(secret, target))
            .filter_map(|(secret, target)| match mode {
                Mode::Offline => subject.unseen(secret, target).or_else(|| changed(subject, secret, target)),
                Mode::Online => changed(subject, secret, target),
            })
            .collect();
        entries.sort();
        Self { mode, entries }
    }

    /// One hash over all entries.
    #[must_use]
    pub fn total(&self) -> String {
        hash(&[&self.entries.join(",")])
    }
}

fn changed(subject: &Subject<'_>, secret: &SecretPlan, target: &TargetPlan) -> Option<String> {
    target.action.is_change().then(|| subject.entry(secret, target))
}

/// Whether a review is about this target at all: a rotation that is no more than that is due by the
/// Secretfile, and local files belong to the machine one stands on.
#[must_use]
pub fn counts(secret: &SecretPlan, target: &TargetPlan) -> bool {
    target.kind != TargetKind::File && !(target.action == Action::Rotate && is_plain(secret, target))
}

/// Whether a rotation changes a value and nothing else: it stands there already, and is generated.
fn is_plain(secret: &SecretPlan, target: &TargetPlan) -> bool {
    target.generation.is_some() && !secret.edited
}

/// The settings of a target as text, by index of its secret and of the target within it.
pub type Desired<'a> = dyn Fn(usize, usize) -> String + Sync + 'a;

/// One Secretfile in one environment, which a plan is about.
pub struct Subject<'a> {
    /// Path of the Secretfile in the repository.
    pub file: &'a str,
    /// Name of the environment; empty without one.
    pub environment: &'a str,
    /// The settings that a target is to have.
    pub desired: &'a Desired<'a>,
}

impl Subject<'_> {
    /// What would be done at this target, as planned with the stores asked.
    #[must_use]
    pub fn entry(&self, secret: &SecretPlan, target: &TargetPlan) -> String {
        let place = target.locator.as_ref().map_or(target.name.as_str(), |locator| locator.as_str());
        let generated = matches!(target.action, Action::Create).then_some(secret.declaration.generated.as_str());
        self.hash(&[target.action.as_str(), generated.unwrap_or_default()], secret, target, place)
    }

    /// What stands in for a rotation's entry where more than a value changes: the place is new to the
    /// secret, or its declared parts were edited.
    #[must_use]
    pub fn beside_rotation(&self, secret: &SecretPlan, target: &TargetPlan) -> Vec<String> {
        let place = target.locator.as_ref().map_or(target.name.as_str(), |locator| locator.as_str());
        let verbs: &[Action] = if secret.edited { &[Action::Revise] } else { &[Action::Spread, Action::Restore] };
        verbs.iter().map(|verb| self.hash(&[verb.as_str(), ""], secret, target, place)).collect()
    }

    /// What an offline plan says of this target, if that is no more than a new object, metadata or
    /// nothing; such a plan knows no account, and a lock that lags tells `keep` from `create` wrongly.
    #[must_use]
    pub fn unseen(&self, secret: &SecretPlan, target: &TargetPlan) -> Option<String> {
        let mild = matches!(target.action, Action::Create | Action::Metadata | Action::Keep);
        mild.then(|| self.hash(&["offline", &secret.declaration.generated], secret, target, &target.name))
    }

    /// The target as declared, whatever is done there: what a run that did not end goes on with.
    #[must_use]
    pub fn place(&self, secret: &SecretPlan, target: &TargetPlan) -> String {
        let place = target.locator.as_ref().map_or(target.name.as_str(), |locator| locator.as_str());
        self.hash(&["resume", ""], secret, target, place)
    }

    fn hash(&self, [verb, generated]: &[&str; 2], secret: &SecretPlan, target: &TargetPlan, place: &str) -> String {
        let desired = (self.desired)(secret.index, target.index);
        let fixed = &secret.declaration.fixed;
        hash(&[self.file, self.environment, &secret.name, verb, generated, &target.provider, place, &desired, fixed])
    }
}

/// 64 bits of SHA-256 over parts that are told apart by their lengths.
fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part.as_bytes());
    }
    data_encoding::BASE64URL_NOPAD.encode(&hasher.finalize()[..8])
}

/// How the kept form begins; a reader refuses another number.
const HEAD: &str = "<!-- secretzero-plan:1 ";

impl PlanDigest {
    /// The form that is kept in a check: hidden in Markdown, at most [`ENTRIES_MAX`] entries. What
    /// does not fit counts as not reviewed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}{}", self.mode.as_str());
        for entry in self.entries.iter().take(ENTRIES_MAX) {
            text.push(' ');
            text.push_str(entry);
        }
        text.push_str(" -->");
        text
    }

    /// How many entries the kept form has no room for.
    #[must_use]
    pub const fn left_out(&self) -> usize {
        self.entries.len().saturating_sub(ENTRIES_MAX)
    }

    /// Reads the kept form; `None` for anything else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (inside, _) = text.strip_prefix(HEAD)?.split_once(" -->")?;
        let mut words = inside.split(' ');
        let mode = words.next()?;
        let mode = [Mode::Online, Mode::Offline].into_iter().find(|known| known.as_str() == mode)?;
        let entries: Vec<String> = words.take(ENTRIES_MAX).map(str::to_owned).collect();
        entries.iter().all(|entry| entry.len() == 11).then_some(Self { mode, entries })
    }
}
