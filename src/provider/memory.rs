//! The reference of the contract: a store in memory that keeps every promise and shows its inside to tests.
//!
//! Value, mark and metadata come in one call ([`MarkOrder::WithValue`]). It serves every kind of
//! target that holds a value, each by its name.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{
    Capabilities, Error, ErrorKind, Expect, Identity, MarkOrder, Observed, Probe, Provider, Reading, Result, Stored,
    VersionId, WriteOptions,
};
use crate::locator::Locator;
use crate::mark::Generation;
use crate::secret::Value;
use crate::target::{Attributes, Place, TargetKind, TargetSettings};

/// Largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 65_536;

/// A store that lives as long as this value does.
#[derive(Default)]
pub struct MemoryProvider {
    objects: Mutex<BTreeMap<(TargetKind, String), Object>>,
}

/// What stands at one place.
#[derive(Clone, Default)]
pub struct Object {
    /// Every version, the current one last.
    pub versions: Vec<Value>,
    /// The text of the tag `secretzero`.
    pub mark: Option<String>,
    /// Metadata.
    pub attributes: Attributes,
    /// Scheduled for deletion.
    pub pending_deletion: bool,
    /// Who owns it instead of us.
    pub managed_by: Option<String>,
}

impl MemoryProvider {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What stands at a place now, values included.
    #[must_use]
    pub fn object(&self, place: &Place) -> Option<Object> {
        self.lock().get(&key(place)).cloned()
    }

    /// Puts something there as if somebody else had, or takes it away.
    pub fn set(&self, place: &Place, object: Option<Object>) {
        let mut objects = self.lock();
        match object {
            Some(object) => drop(objects.insert(key(place), object)),
            None => drop(objects.remove(&key(place))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(TargetKind, String), Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(place: &Place) -> (TargetKind, String) {
    (place.settings.kind(), place.settings.name().to_owned())
}

fn missing(place: &Place) -> Error {
    Error::new(ErrorKind::NotFound, format!("nothing is stored at {}", place.settings.name()))
}

impl Object {
    fn version(&self) -> VersionId {
        if self.versions.is_empty() { String::new() } else { self.versions.len().to_string() }
    }

    /// Refuses unless this is what the writer expects.
    fn expected(&self, expect: &Expect, place: &Place) -> Result<()> {
        let name = place.settings.name();
        if self.pending_deletion {
            return Err(Error::new(ErrorKind::PendingDeletion, format!("{name} is scheduled for deletion")));
        }
        if *expect != Expect::Version(self.version()) {
            return Err(Error::new(ErrorKind::Conflict, format!("{name} is not what was expected")));
        }
        Ok(())
    }
}

#[async_trait]
impl Provider for MemoryProvider {
    fn capabilities(&self, kind: TargetKind) -> Option<Capabilities> {
        kind.holds_value().then_some(Capabilities {
            conditional_create: true,
            write_token: false,
            mark_order: MarkOrder::WithValue,
            metadata_without_version: true,
            read_back: true,
            value_bytes_max: VALUE_BYTES_MAX,
        })
    }

    async fn identity(&self) -> Result<Identity> {
        Ok(Identity { account: "memory".into(), principal: "test".into(), region: None })
    }

    async fn locator(&self, place: &Place) -> Result<Locator> {
        let name = place.settings.name();
        Ok(match &place.settings {
            TargetSettings::File(file) => Locator::file(&file.path, &file.key),
            TargetSettings::SsmParameter(_) => Locator::ssm_parameter("memory", "local", name),
            other => Locator::secrets_manager("memory", other.kind().as_str(), name),
        })
    }

    fn desired(&self, place: &Place, _generation: Option<&Generation>) -> Attributes {
        let tags = place.settings.tags().into_iter().flatten();
        tags.map(|(name, value)| (format!("tag:{name}"), value.clone())).collect()
    }

    async fn observe(&self, at: &[Probe<'_>], _reading: Reading) -> Vec<Result<Option<Observed>>> {
        let objects = self.lock();
        let look = |probe: &Probe<'_>| {
            let object = objects.get(&key(probe.place))?;
            Some(Observed {
                version: object.version(),
                mark: object.mark.clone(),
                attributes: object.attributes.clone(),
                pending_deletion: object.pending_deletion,
                managed_by: object.managed_by.clone(),
                from_list: false,
            })
        };
        at.iter().map(|probe| Ok(look(probe))).collect()
    }

    async fn read(&self, at: &[&Place]) -> Vec<Result<Stored>> {
        let objects = self.lock();
        let read = |place: &&Place| {
            let object = objects.get(&key(place)).ok_or_else(|| missing(place))?;
            object.expected(&Expect::Version(object.version()), place)?;
            let value = object.versions.last().ok_or_else(|| missing(place))?;
            Ok(Stored { value: value.clone(), version: object.version() })
        };
        at.iter().map(read).collect()
    }

    async fn write(&self, at: &Place, value: &Value, options: &WriteOptions) -> Result<VersionId> {
        if value.to_text().len() > VALUE_BYTES_MAX {
            return Err(Error::new(ErrorKind::Invalid, format!("the value is larger than {VALUE_BYTES_MAX} bytes")));
        }
        let mut objects = self.lock();
        match objects.get(&key(at)) {
            Some(object) => object.expected(&options.expect, at)?,
            None if options.expect == Expect::Absent => {}
            None => return Err(missing(at)),
        }
        let object = objects.entry(key(at)).or_default();
        if options.expect == Expect::Absent {
            object.attributes = self.desired(at, Some(&options.generation));
        }
        object.versions.push(value.clone());
        object.mark = Some(options.mark(&object.version()));
        Ok(object.version())
    }

    async fn annotate(&self, at: &Place, changed: &[String], options: &WriteOptions) -> Result<VersionId> {
        let mut objects = self.lock();
        let object = objects.get_mut(&key(at)).ok_or_else(|| missing(at))?;
        object.expected(&options.expect, at)?;
        let desired = self.desired(at, Some(&options.generation));
        object.attributes.extend(desired.into_iter().filter(|(name, _)| changed.contains(name)));
        object.mark = Some(options.mark(&object.version()));
        Ok(object.version())
    }

    async fn restore(&self, at: &Place) -> Result<()> {
        let mut objects = self.lock();
        objects.get_mut(&key(at)).ok_or_else(|| missing(at))?.pending_deletion = false;
        Ok(())
    }
}
