//! What stands in the stores differently from what SecretZero left there: pure, and metadata alone.
//!
//! The evidence is each object's own mark and version. The lock is believed in one thing only: that
//! something of ours stood at a place, which turns "absent" into "gone" and "foreign" into "its mark
//! was stripped". What could not be looked at is told apart, so that silence never passes for health.

use super::diff::{self, differing, observed};
use super::{Plan, SecretPlan, SecretView, Seen, Standing, TargetView};
use super::{configured, standing};
use crate::lockfile::LockedTarget;
use crate::mark::{Mark, ShortId};
use crate::target::TargetKind;

/// What one look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// What is not as SecretZero left it, in the order of the Secretfile.
    pub found: Vec<Finding>,
    /// What could not be looked at, and why.
    pub unknown: Vec<Unknown>,
    /// How many of the targets hold something of ours, or held it.
    pub ours: usize,
}

/// One target that is not as SecretZero left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Position of its secret in the plan.
    pub secret: usize,
    /// Index into the secret's targets.
    pub target: usize,
    /// In what way.
    pub kind: DriftKind,
    /// What happened, for a person.
    pub said: String,
    /// What to do now.
    pub help: String,
}

/// One target that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Position of its secret in the plan.
    pub secret: usize,
    /// Index into the secret's targets.
    pub target: usize,
    /// Why.
    pub reason: String,
}

/// In what way a target differs, the most dangerous first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DriftKind {
    /// Another value was written there.
    Value,
    /// What stands there is not ours and never was.
    Foreign,
    /// It is ours by the lock, and its mark is gone.
    Unmarked,
    /// Another repository has marked it.
    OtherRepository,
    /// Somebody else rotates or owns it now.
    Managed,
    /// It is gone.
    Missing,
    /// It is scheduled for deletion.
    Deletion,
    /// Its metadata is not what the Secretfile says.
    Metadata,
}

impl DriftKind {
    /// The word for machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Foreign => "foreign",
            Self::Unmarked => "unmarked",
            Self::OtherRepository => "other_repository",
            Self::Managed => "managed",
            Self::Missing => "missing",
            Self::Deletion => "deletion",
            Self::Metadata => "metadata",
        }
    }

    /// The words for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Value => "value changed",
            Self::Foreign => "not ours",
            Self::Unmarked => "mark stripped",
            Self::OtherRepository => "another repository's",
            Self::Managed => "managed elsewhere",
            Self::Missing => "gone",
            Self::Deletion => "to be deleted",
            Self::Metadata => "metadata changed",
        }
    }
}

impl Drift {
    /// Judges every target that was looked at; `views` and the plan's secrets go together.
    #[must_use]
    pub fn of(views: &[SecretView<'_>], plan: &Plan) -> Self {
        let mut drift = Self::default();
        for (secret, (view, planned)) in views.iter().zip(&plan.secrets).enumerate() {
            for (index, target) in view.targets.iter().enumerate().filter(|(_, target)| target.selected) {
                if let Seen::Failed(error) = &target.seen {
                    drift.unknown.push(Unknown { secret, target: index, reason: error.to_string() });
                    continue;
                }
                let judged = judge(view, target, planned);
                let generation = planned.targets.get(index).and_then(|target| target.generation.as_ref());
                drift.ours += usize::from(judged.is_some() || generation.is_some());
                if let Some((kind, said)) = judged {
                    let help = help(kind, view, target, planned);
                    drift.found.push(Finding { secret, target: index, kind, said, help });
                }
            }
        }
        drift
    }

    /// One word that is the same as long as the same targets differ in the same way.
    #[must_use]
    pub fn fingerprint(&self, plan: &Plan) -> String {
        let line = |finding: &Finding| {
            let secret = plan.secrets.get(finding.secret);
            let target = secret.and_then(|secret| secret.targets.get(finding.target));
            let place =
                target.map_or_else(String::new, |target| format!("{}\u{0}{}", target.kind.as_str(), target.name));
            format!("{}\u{0}{place}\u{0}{}", secret.map_or("", |secret| &secret.name), finding.kind.as_str())
        };
        let mut lines: Vec<String> = self.found.iter().map(line).collect();
        lines.sort();
        ShortId::of(&lines.join("\n")).as_str().to_owned()
    }
}

/// The generation that the lock says was written at a place.
fn written(view: &SecretView<'_>, target: &TargetView) -> Option<u64> {
    let locked = view.locked?;
    let known = locked.targets.iter().find(|known| Some(&known.locator) == target.locator.as_ref())?;
    Some(known.generation.unwrap_or(locked.generation))
}

/// What the lock says was written there, if somebody else's value stands there without any mark.
fn replaced<'v>(view: &SecretView<'v>, target: &TargetView) -> Option<&'v LockedTarget> {
    standing::replaced(view.locked, target.locator.as_ref()?, target.capabilities?.mark_order, observed(target)?)
}

fn judge(view: &SecretView<'_>, target: &TargetView, planned: &SecretPlan) -> Option<(DriftKind, String)> {
    let written = written(view, target);
    let Some(seen) = observed(target) else {
        let gone = matches!(target.seen, Seen::Absent);
        return written
            .filter(|_| gone)
            .map(|number| (DriftKind::Missing, format!("it is gone; generation {number} was written there")));
    };
    // Lag does not look like drift, so no moment is too soon.
    let standing = diff::standing(view, target, jiff::Timestamp::MAX).or_else(|| configured::standing(view, target))?;
    let ours = matches!(standing, Standing::Ours { .. } | Standing::Drifted { .. });
    if seen.pending_deletion && (ours || written.is_some()) {
        return Some((DriftKind::Deletion, "it is scheduled for deletion".into()));
    }
    match standing {
        // A fork that was healed under its own token is not drift: the plan knows.
        Standing::Drifted { generation } if planned.targets.get(target.index).is_some_and(|t| t.drifted) => {
            let ours = seen.mark.as_deref().and_then(|mark| Mark::parse(mark).ok()).map(|mark| mark.version);
            let ours = ours.map_or_else(String::new, |version| format!(", SecretZero wrote `{version}`"));
            let said = format!(
                "its value was changed outside after generation {}: version `{}` stands there{ours}",
                generation.number, seen.version
            );
            Some((DriftKind::Value, said))
        }
        Standing::Foreign(_) if replaced(view, target).is_some() => {
            let versions = replaced(view, target).filter(|_| target.kind != TargetKind::File).map(|known| {
                format!(
                    ": version `{}` stands there without our mark, SecretZero wrote `{}`",
                    seen.version, known.version
                )
            });
            Some((DriftKind::Value, format!("its value was changed outside{}", versions.unwrap_or_default())))
        }
        Standing::Foreign(why) if written.is_some() => {
            Some((DriftKind::Unmarked, format!("{why}; the lock knows it, so its mark was stripped")))
        }
        Standing::Foreign(_) if view.secret.adopt => None,
        Standing::Foreign(why) => Some((DriftKind::Foreign, format!("what stands there is not ours: {why}"))),
        Standing::OtherRepository(repository) => {
            Some((DriftKind::OtherRepository, format!("it belongs to repository {repository}")))
        }
        Standing::Managed(by) => Some((DriftKind::Managed, format!("it cannot be written: {by}"))),
        Standing::Ours { .. } | Standing::Drifted { .. } => {
            let changes = differing(&target.desired, &seen.attributes);
            let names: Vec<String> = changes.iter().map(|name| format!("`{name}`")).collect();
            (!names.is_empty())
                .then(|| (DriftKind::Metadata, format!("not as the Secretfile says: {}", names.join(", "))))
        }
    }
}

/// What to do about it: the command, as one would type it.
fn help(kind: DriftKind, view: &SecretView<'_>, target: &TargetView, planned: &SecretPlan) -> String {
    let name = &view.secret.name.value;
    match kind {
        DriftKind::Value if replaced(view, target).is_some() => adopt_or_overwrite(name),
        DriftKind::Value => {
            let back = observed(target)
                .and_then(|seen| Mark::parse(seen.mark.as_deref()?).ok())
                .filter(|_| target.kind == TargetKind::SecretsManager)
                .map(|mark| format!(", or roll back by moving `AWSCURRENT` to version `{}`", mark.version));
            let back = back.unwrap_or_default();
            format!("make a new value for all its targets with `secretzero rotate --force --secret {name}`{back}")
        }
        DriftKind::Foreign | DriftKind::Unmarked if !target.kind.holds_value() => format!(
            "change it to what the Secretfile says with `secretzero sync --adopt --secret {name}`, or the Secretfile"
        ),
        DriftKind::Foreign | DriftKind::Unmarked => adopt_or_overwrite(name),
        DriftKind::OtherRepository => "give one of the two another `metadata.project_id`".into(),
        DriftKind::Managed => "remove the target, or end the other management first".into(),
        DriftKind::Missing if !target.kind.holds_value() => {
            format!("`secretzero sync --secret {name}` makes it again as the Secretfile says")
        }
        DriftKind::Missing if planned.source.is_none() => {
            format!("no place holds its value any more: `secretzero sync --secret {name}` makes a new one")
        }
        DriftKind::Missing => format!("`secretzero sync --secret {name}` copies the value in force there again"),
        DriftKind::Deletion => format!("`secretzero sync --secret {name}` restores it"),
        DriftKind::Metadata => {
            format!("`secretzero sync --secret {name}` sets it back, or declare in the Secretfile what it is to be")
        }
    }
}

fn adopt_or_overwrite(name: &str) -> String {
    format!(
        "keep its value with `secretzero sync --adopt --secret {name}` (`adopt: true` in the Secretfile or the \
         workflow), or replace it with `--overwrite`"
    )
}
