//! One small contract for every place a secret can live.
//!
//! A provider stores versions of a value at a [`Place`]. It knows nothing of plans, of pull requests,
//! or of why a value changes. Whatever a store cannot do it says in [`Capabilities`], so the planner
//! refuses early instead of the applier failing late. Reads come in batches; how many requests they
//! take is the provider's business. Retries and the limiter live below this line.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "azure")]
pub mod azure;
pub mod error;
#[cfg(feature = "gcp")]
pub mod gcp;
pub mod local;
pub mod memory;
pub mod unset;
#[cfg(feature = "vault")]
pub mod vault;

use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

pub use error::{Error, ErrorKind, Result};

use crate::locator::Locator;
use crate::mark::{Generation, Mark, Owner};
use crate::secret::{Shape, Value};
use crate::target::{Attributes, Place, TargetKind, TargetSettings};

/// How a mark and the value it describes get into a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkOrder {
    /// The version id is the write token, which names the generation by itself: value, then mark.
    ValueFirst,
    /// Versions are counted: the mark (for the version to come), then the value. A mark whose
    /// version is one ahead describes a write that never happened.
    MarkFirst,
    /// The mark belongs to the version, both come in one call.
    WithValue,
    /// The store keeps no mark: what it holds is ours if the lock says so, the one place where its word
    /// counts.
    Unmarked,
}

/// What a store can promise for one kind of target; constant for the provider's lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// A create that fails if something stands there already.
    pub conditional_create: bool,
    /// The same token never stores a second version, and another value under it is refused.
    pub write_token: bool,
    /// How mark and value come together.
    pub mark_order: MarkOrder,
    /// Every kind of metadata changes without a new version.
    pub metadata_without_version: bool,
    /// Values can be read back.
    pub read_back: bool,
    /// Largest value in bytes.
    pub value_bytes_max: usize,
}

/// The store's own name for one version of a value.
pub type VersionId = String;

/// How sure a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Lists are welcome; they may be minutes old and may be forbidden. Needs no right to read values.
    List,
    /// Each object is read by itself, without any right to read values.
    Each,
    /// Presence and version only need be certain; batch calls that return values may be used, and
    /// what they return of values is dropped at once. Falls back to `Each` where they are forbidden.
    Batch,
}

/// What stands at a place now. Never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The current version; empty if the object has none.
    pub version: VersionId,
    /// The text of the tag `secretzero`, if there is one.
    pub mark: Option<String>,
    /// Metadata in the normal form of [`Provider::desired`].
    pub attributes: Attributes,
    /// The object is scheduled for deletion and its value unreadable until it is restored.
    pub pending_deletion: bool,
    /// Who rotates or owns it instead of us, if the store says so.
    pub managed_by: Option<String>,
    /// Whether a list, which may be minutes old, is all that says so.
    pub from_list: bool,
}

/// One question of [`Provider::observe`].
#[derive(Debug, Clone)]
pub struct Probe<'a> {
    /// Where to look.
    pub place: &'a Place,
    /// The text of the mark that the caller believes to stand there; a hint that may be wrong or
    /// missing. Stores whose lists show no tags but can be asked for them answer a right guess in
    /// far fewer requests; a wrong one only costs the request.
    pub expected_mark: Option<String>,
}

/// What must stand at a place for a write to go ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Absent,
    /// This version.
    Version(VersionId),
}

/// Everything a write needs beside the value.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// Whose object it is; goes into the mark.
    pub owner: Owner,
    /// The generation that the value is; goes into the mark.
    pub generation: Generation,
    /// The write token of this generation at this place ([`Owner::write_token`]).
    pub token: Uuid,
    /// What must stand there now.
    pub expect: Expect,
    /// What stands there now was put there by somebody else over a value of ours; goes into the mark of
    /// a store that marks first, so that a cut between mark and value does not make it ours.
    pub over_drift: bool,
    /// What stands there now is not what this generation announced, so the mark takes that back.
    pub withdrawn: bool,
}

impl WriteOptions {
    /// The mark for a version that holds the new value.
    #[must_use]
    pub fn mark(&self, version: &str) -> String {
        self.whole_mark(version, false).to_string()
    }

    /// The mark for a version that only new metadata makes necessary: the value is the one before.
    #[must_use]
    pub fn carried_mark(&self, version: &str) -> String {
        self.whole_mark(version, true).to_string()
    }

    fn whole_mark(&self, version: &str, carried: bool) -> Mark {
        let (owner, generation) = (self.owner.clone(), self.generation.clone());
        Mark {
            owner,
            generation,
            version: version.to_owned(),
            carried,
            over_drift: self.over_drift,
            withdrawn: self.withdrawn,
        }
    }
}

/// A value read back, with the version it is.
pub struct Stored {
    /// The value.
    pub value: Value,
    /// Its version.
    pub version: VersionId,
}

/// One object that exists in a store, as [`Provider::list`] tells it. Never a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The settings that describe it as it is: name, tags, description, key, replicas.
    pub settings: TargetSettings,
    /// The text of the tag `secretzero`, if there is one.
    pub mark: Option<String>,
    /// Who rotates or owns it instead of us, if the store says so.
    pub managed_by: Option<String>,
    /// It is scheduled for deletion.
    pub pending_deletion: bool,
    /// It has a current version.
    pub has_value: bool,
}

/// Who the store takes us for, as far as it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Account, host or folder.
    pub account: String,
    /// The principal, such as an ARN.
    pub principal: String,
    /// Region, if the store has such.
    pub region: Option<String>,
}

/// A store, or several of one vendor, reached with one identity.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What this store can promise for a kind of target it has; `None` for a kind it does not serve.
    fn capabilities(&self, kind: TargetKind) -> Option<Capabilities>;

    /// The same for one place, where a kind has several sorts.
    fn capabilities_at(&self, place: &Place) -> Option<Capabilities> {
        self.capabilities(place.settings.kind())
    }

    /// Learns who we are; one cheap call, made once and remembered. [`Provider::locator`] needs it.
    async fn identity(&self) -> Result<Identity>;

    /// The canonical URI of a place.
    async fn locator(&self, place: &Place) -> Result<Locator>;

    /// The place that a locator of the lock names, if it lies in this store and account; with it an
    /// earlier place is asked before a value is generated. Call [`Provider::identity`] before.
    fn recall(&self, _at: &Locator, _shape: &Shape) -> Option<Place> {
        None
    }

    /// The metadata that the settings ask for, in the same normal form as [`Observed::attributes`];
    /// only what is declared is in it.
    fn desired(&self, place: &Place, generation: Option<&Generation>) -> Attributes;

    /// What stands at each place now, in the order asked; `Ok(None)` is absent. Never touches a value.
    async fn observe(&self, at: &[Probe<'_>], reading: Reading) -> Vec<Result<Option<Observed>>>;

    /// The current value of each place, in the order asked; absent is [`ErrorKind::NotFound`].
    async fn read(&self, at: &[&Place]) -> Vec<Result<Stored>>;

    /// Whether the value that stands at a place is this one. A store that gives no values back may
    /// know one by something else, such as a certificate's thumbprint; `None` if it cannot tell.
    async fn holds(&self, at: &Place, value: &Value) -> Result<Option<bool>> {
        let stored = self.read(&[at]).await.pop();
        let stored = stored.unwrap_or_else(|| Err(Error::new(ErrorKind::Unavailable, "the store gave no answer")))?;
        Ok(Some(stored.value.matches(value)))
    }

    /// Stores a new version with its mark and makes it current. On a create, metadata goes along in
    /// the same call where the store allows it.
    ///
    /// [`ErrorKind::Conflict`] if something else stands there than expected.
    async fn write(&self, at: &Place, value: &Value, options: &WriteOptions) -> Result<VersionId>;

    /// Brings metadata in line, `changed` naming the attributes that differ, and sets the mark for
    /// the version that stands there (`version`); writes no new version unless the store has no
    /// other way. Tags that others set are left alone. Returns the version that is current then.
    ///
    /// A place that holds no value ([`TargetKind::holds_value`]) is made this way too, if it is to be
    /// absent; [`crate::target::ROTATION`] among `changed` gives it a new key of the store's own making.
    async fn annotate(&self, at: &Place, changed: &[String], options: &WriteOptions) -> Result<VersionId>;

    /// Makes an object that is scheduled for deletion usable again.
    async fn restore(&self, at: &Place) -> Result<()>;

    /// Waits until the copies that the store keeps of this place by itself (replicas in other regions)
    /// hold what stands here; tells of each that does not, by region, what it does: `failed (…)`. Every store bounds the wait.
    async fn await_copies(&self, _at: &Place) -> Result<BTreeMap<String, String>> {
        Ok(BTreeMap::new())
    }

    /// What exists of a kind whose name begins with a prefix (a `/` before it does not count), by name;
    /// never a value. [`ErrorKind::Unsupported`] where a store cannot be listed.
    async fn list(&self, kind: TargetKind, _prefix: &str) -> Result<Vec<Listed>> {
        let message = format!("a store of kind `{}` cannot be asked for what it holds", kind.as_str());
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// The audience of the ID token of this run that a login would ask for; `None` for a login without
    /// one. Nothing is called.
    fn audience(&self) -> Option<String> {
        None
    }

    /// Whether this login could read the value of each place, in the order asked, as the store tells it
    /// without any value being read; `None` where it does not tell, or only those who may ask for
    /// everybody's rights.
    async fn could_read(&self, at: &[&Place]) -> Result<Vec<Option<bool>>> {
        Ok(vec![None; at.len()])
    }

    /// Lets go of what was borrowed (a token that can be revoked); called once at the end.
    async fn close(&self) {}
}
