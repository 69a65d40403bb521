//! What must change, and why: computed from the Secretfile, what stands in the stores, and the lock.
//!
//! [`mod@observe`] is the only part that reads; [`standing`] and [`diff`] are pure functions. A plan holds
//! names, versions and generations, never values, so it can be shown to anybody.

mod configured;
pub mod cost;
pub mod diff;
pub mod digest;
pub mod drift;
pub mod duration;
mod hold;
pub mod observe;
pub mod recovery;
mod replica;
pub mod review;
pub mod standing;

use jiff::Timestamp;

pub use diff::{Options, Revision, SecretView, plan_secret};
pub use observe::{Identities, Scope, Stores, observe};
pub use standing::Standing;

use crate::diagnostic::Span;
use crate::locator::Locator;
use crate::lockfile::Declaration;
use crate::mark::{Generation, Owner};
use crate::provider::{Capabilities, Error, Observed, Result, VersionId};
use crate::target::{Attributes, TargetKind};

/// How long before its due date a rotation is announced, in days.
pub const DUE_SOON_DAYS: i64 = 14;

/// Everything a run would do.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// One entry for each selected secret, in the order of the Secretfile.
    pub secrets: Vec<SecretPlan>,
    /// Secrets of the lock that the Secretfile no longer declares; nothing is deleted.
    pub orphans: Vec<String>,
    /// Whether the stores were not asked; existing objects are then taken from the lock.
    pub offline: bool,
}

/// What would happen to one secret.
#[derive(Debug, Clone)]
pub struct SecretPlan {
    /// Index into the manifest's secrets.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Whose its objects are.
    pub owner: Owner,
    /// Where it is declared.
    pub span: Span,
    /// Index of the target that is written first, unless none can be.
    pub primary: Option<usize>,
    /// The place that holds the generation in force: an index into the targets, and past their end
    /// into the former places.
    pub source: Option<usize>,
    /// The generation in force.
    pub generation: Option<Generation>,
    /// What happens to the value.
    pub next: Next,
    /// Why nothing may be written for this secret.
    pub hold: Option<Hold>,
    /// Its targets, in the order of the Secretfile.
    pub targets: Vec<TargetPlan>,
    /// When its rotation is due, if it has a period and a generation.
    pub due: Option<Due>,
    /// Its value is made elsewhere, so that no command here rotates it.
    pub external: bool,
    /// Its declared parts are not those of the value in force.
    pub edited: bool,
    /// What else a reviewer should know.
    pub notes: Vec<String>,
    /// Hashes of the declaration, for the lock.
    pub declaration: Declaration,
}

/// What happens to a secret's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The generation in force stays.
    Keep,
    /// A first value is generated, as this generation number.
    Create(u64),
    /// A new value replaces the old one, as this generation number.
    Rotate(u64),
    /// Declared parts are taken anew, generated ones carried over, as this generation number.
    Revise(u64),
    /// The value that stands at the source is taken over, as this generation number.
    Adopt(u64),
}

/// Why a secret is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What is in the way.
    pub reason: String,
    /// What to do now.
    pub help: String,
    /// Where the target in the way is declared.
    pub span: Span,
    /// The kind of trouble decides the exit code.
    pub cause: Cause,
}

/// What kind of trouble holds a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Someone must decide: a foreign object, another repository, a filtered primary.
    Decision,
    /// No plan that was reviewed had shown it.
    Review,
    /// The store cannot be reached or refuses us.
    Store,
    /// The kind of target is not built yet.
    NotBuilt,
    /// The Secretfile asks for what cannot be done.
    Invalid,
}

/// When a rotation is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The moment.
    pub at: Timestamp,
    /// Whether it has passed.
    pub overdue: bool,
    /// Whether `rotate` may do it unattended.
    pub unattended: bool,
}

/// What would happen to one target.
#[derive(Debug, Clone)]
pub struct TargetPlan {
    /// Index into the secret's targets.
    pub index: usize,
    /// Kind of place.
    pub kind: TargetKind,
    /// Alias of its provider.
    pub provider: String,
    /// Name within its store.
    pub name: String,
    /// Canonical URI, when the provider could tell it.
    pub locator: Option<Locator>,
    /// Where it is declared.
    pub span: Span,
    /// What would happen.
    pub action: Action,
    /// Why, for a person.
    pub why: String,
    /// Attributes that differ.
    pub changes: Vec<String>,
    /// The version that stands there now.
    pub version: Option<VersionId>,
    /// The generation that stands there now, if the mark tells.
    pub generation: Option<Generation>,
    /// The value was changed outside since the mark was set.
    pub drifted: bool,
    /// The action begins with taking the object back from its scheduled deletion.
    pub restore: bool,
    /// What the store can do, for the applier.
    pub capabilities: Option<Capabilities>,
}

/// What would happen to a target, most dangerous first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// A foreign object's value is replaced.
    Overwrite,
    /// An existing value is copied to a new place.
    Spread,
    /// A new generated value replaces the old one.
    Rotate,
    /// An edited declaration makes a new value.
    Revise,
    /// A target that is behind gets the value in force.
    Heal,
    /// An object that is scheduled for deletion is taken back with its value.
    Restore,
    /// A foreign object is taken over with its value.
    Adopt,
    /// Something new is made.
    Create,
    /// Metadata changes, the value stays.
    Metadata,
    /// A copy kept by the store itself is checked.
    ReplicaCheck,
    /// Nothing.
    Keep,
    /// Nothing may be done.
    Held,
    /// Not looked at: filtered out, or a local file in CI.
    LeftOut,
}

impl Action {
    /// What a reader is shown, most dangerous first.
    pub const BY_RISK: [Self; 10] = [
        Self::Overwrite,
        Self::Spread,
        Self::Rotate,
        Self::Revise,
        Self::Heal,
        Self::Restore,
        Self::Adopt,
        Self::Create,
        Self::Metadata,
        Self::ReplicaCheck,
    ];

    /// The word that people and machines read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overwrite => "overwrite",
            Self::Spread => "spread",
            Self::Rotate => "rotate",
            Self::Revise => "revise",
            Self::Heal => "heal",
            Self::Restore => "restore",
            Self::Adopt => "adopt",
            Self::Create => "create",
            Self::Metadata => "metadata",
            Self::ReplicaCheck => "replica check",
            Self::Keep => "keep",
            Self::Held => "held",
            Self::LeftOut => "left out",
        }
    }

    /// What is done to the target, as in "2 to copy".
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Spread => "copy",
            Self::Revise => "replace",
            Self::Heal => "bring up to date",
            Self::Metadata => "change metadata of",
            Self::ReplicaCheck => "check",
            other => other.as_str(),
        }
    }

    /// Whether something in a store would change.
    #[must_use]
    pub const fn is_change(self) -> bool {
        !matches!(self, Self::ReplicaCheck | Self::Keep | Self::Held | Self::LeftOut)
    }
}

/// What was learned of one target before planning.
#[derive(Debug, Clone)]
pub struct TargetView {
    /// Index into the secret's targets.
    pub index: usize,
    /// Kind of place.
    pub kind: TargetKind,
    /// Alias of its provider.
    pub provider: String,
    /// Name within its store.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// Declared as the primary.
    pub primary: bool,
    /// Where, when the provider could tell.
    pub locator: Option<Locator>,
    /// Metadata that the settings ask for.
    pub desired: Attributes,
    /// What the store can do.
    pub capabilities: Option<Capabilities>,
    /// What stands there.
    pub seen: Seen,
    /// What stands at the place of a [`Seen::Replica`], if it was asked.
    pub copy: Option<Result<Option<Observed>>>,
    /// Whether a read of the object itself says so, not only a list.
    pub confirmed: bool,
    /// Whether filters allow to write it.
    pub selected: bool,
    /// A reason in the Secretfile itself why it may not be written.
    pub refused: Option<(String, String)>,
}

/// What was seen at one place.
#[derive(Debug, Clone)]
pub enum Seen {
    /// Nothing stands there.
    Absent,
    /// Something does.
    Present(Observed),
    /// The store could not tell.
    Failed(Error),
    /// This program cannot reach that kind of store yet.
    NotBuilt,
    /// Not to be looked at here, for this reason.
    LeftOut(String),
    /// The explicit target is a copy that the store itself keeps for another target; what stands there
    /// is in [`TargetView::copy`].
    Replica,
    /// Not asked; the lock says something is there.
    Assumed,
}

impl Plan {
    /// How many targets would see each action.
    #[must_use]
    pub fn count(&self, action: Action) -> usize {
        self.targets().filter(|(_, target)| target.action == action).count()
    }

    /// Every target with its secret.
    pub fn targets(&self) -> impl Iterator<Item = (&SecretPlan, &TargetPlan)> {
        self.secrets.iter().flat_map(|secret| secret.targets.iter().map(move |target| (secret, target)))
    }

    /// Whether anything would change.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.targets().any(|(_, target)| target.action.is_change())
    }

    /// The secrets that may not be written.
    pub fn held(&self) -> impl Iterator<Item = (&SecretPlan, &Hold)> {
        self.secrets.iter().filter_map(|secret| secret.hold.as_ref().map(|hold| (secret, hold)))
    }
}
