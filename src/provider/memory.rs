//! The reference of the contract: a store in memory that keeps every promise and shows its inside to tests.
//!
//! It serves every kind of target that holds a value, each by its name, and takes what such a place
//! takes ([`Takes`]). [`Traits`] say which kind of store it is: one whose versions are tokens, one that
//! counts them and marks first, or one whose marks come with the value; with or without a conditional
//! create, and with metadata that makes new versions or not.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{
    Capabilities, Error, ErrorKind, Expect, Identity, Listed, MarkOrder, Observed, Probe, Provider, Reading, Result,
    Stored, VersionId, WriteOptions,
};
use crate::locator::Locator;
use crate::mark::Generation;
use crate::secret::Value;
use crate::takes::Takes;
use crate::target::{Attributes, Place, TargetKind, TargetSettings};

/// Largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 65_536;

/// Which kind of store it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// How mark and value come together.
    pub mark_order: MarkOrder,
    /// A create over something is refused; otherwise it replaces what stands there.
    pub conditional_create: bool,
    /// Versions are named by the token of their write; otherwise they are counted.
    pub write_token: bool,
    /// A new description makes no new version.
    pub metadata_without_version: bool,
}

impl Default for Traits {
    fn default() -> Self {
        Self {
            mark_order: MarkOrder::WithValue,
            conditional_create: true,
            write_token: false,
            metadata_without_version: true,
        }
    }
}

/// A store that lives as long as this value does.
#[derive(Default)]
pub struct MemoryProvider {
    traits: Traits,
    objects: Mutex<BTreeMap<(TargetKind, String), Object>>,
}

/// What stands at one place.
#[derive(Clone, Default)]
pub struct Object {
    /// Every version with its id, the current one last.
    pub versions: Vec<(VersionId, Value)>,
    /// What describes it as it is.
    pub settings: Option<TargetSettings>,
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

    /// An empty store of another kind.
    #[must_use]
    pub fn with(traits: Traits) -> Self {
        Self { traits, ..Self::default() }
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
        self.versions.last().map(|(id, _)| id.clone()).unwrap_or_default()
    }

    /// Refuses unless this is what the writer expects.
    fn expected(&self, expect: &Expect, place: &Place) -> Result<()> {
        let name = place.settings.name();
        if self.pending_deletion {
            return Err(Error::new(ErrorKind::PendingDeletion, format!("{name} is scheduled for deletion")));
        }
        if *expect != Expect::Version(self.version()) {
            return Err(unexpected(place));
        }
        Ok(())
    }

    /// Adds a version and makes it current.
    fn push(&mut self, traits: Traits, value: Value, options: &WriteOptions) {
        let counted = || (self.versions.len() + 1).to_string();
        let id = if traits.write_token { options.token.to_string() } else { counted() };
        self.versions.push((id, value));
    }
}

fn unexpected(place: &Place) -> Error {
    Error::new(ErrorKind::Conflict, format!("{} is not what was expected", place.settings.name()))
}

impl MemoryProvider {
    /// What a token that was used before answers, if it was.
    fn repeated(
        &self,
        object: &Object,
        at: &Place,
        value: &Value,
        options: &WriteOptions,
    ) -> Option<Result<VersionId>> {
        let token = options.token.to_string();
        let (_, stored) = object.versions.iter().find(|(id, _)| self.traits.write_token && *id == token)?;
        let same = stored.matches(value) && object.version() == token;
        Some(if same { Ok(token) } else { Err(unexpected(at)) })
    }
}

#[async_trait]
impl Provider for MemoryProvider {
    fn capabilities(&self, kind: TargetKind) -> Option<Capabilities> {
        let Traits { mark_order, conditional_create, write_token, metadata_without_version } = self.traits;
        kind.holds_value().then_some(Capabilities {
            conditional_create,
            write_token,
            mark_order,
            metadata_without_version,
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
        let mut desired: Attributes = tags.map(|(name, value)| (format!("tag:{name}"), value.clone())).collect();
        let description = match &place.settings {
            TargetSettings::SecretsManager(settings) => settings.description.clone(),
            TargetSettings::SsmParameter(settings) => settings.description.clone(),
            _ => None,
        };
        desired.extend(description.map(|text| ("description".to_owned(), text)));
        desired
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
            let (version, value) = object.versions.last().cloned().ok_or_else(|| missing(place))?;
            Ok(Stored { value, version })
        };
        at.iter().map(read).collect()
    }

    async fn write(&self, at: &Place, value: &Value, options: &WriteOptions) -> Result<VersionId> {
        if let Some(unfit) = Takes::of(&at.settings).and_then(|takes| takes.refuses(value)) {
            return Err(Error::new(ErrorKind::Invalid, unfit.why));
        }
        let mut objects = self.lock();
        match objects.get(&key(at)) {
            Some(object) => {
                if let Some(answer) = self.repeated(object, at, value, options) {
                    return answer;
                }
                if self.traits.conditional_create || options.expect != Expect::Absent {
                    object.expected(&options.expect, at)?;
                }
            }
            None if options.expect == Expect::Absent => {}
            None => return Err(missing(at)),
        }
        let object = objects.entry(key(at)).or_default();
        if options.expect == Expect::Absent {
            object.attributes = self.desired(at, Some(&options.generation));
        }
        object.push(self.traits, value.clone(), options);
        object.mark = Some(options.mark(&object.version()));
        object.settings = Some(at.settings.clone());
        Ok(object.version())
    }

    async fn annotate(&self, at: &Place, changed: &[String], options: &WriteOptions) -> Result<VersionId> {
        let mut objects = self.lock();
        let object = objects.get_mut(&key(at)).ok_or_else(|| missing(at))?;
        object.expected(&options.expect, at)?;
        let desired = self.desired(at, Some(&options.generation));
        object.attributes.extend(desired.into_iter().filter(|(name, _)| changed.contains(name)));
        let tags = changed.iter().all(|name| name.starts_with("tag:"));
        let carried = !self.traits.metadata_without_version && !tags;
        if carried {
            let (_, value) = object.versions.last().cloned().ok_or_else(|| missing(at))?;
            object.push(self.traits, value, options);
        }
        let version = object.version();
        object.mark = Some(if carried { options.carried_mark(&version) } else { options.mark(&version) });
        object.settings = Some(at.settings.clone());
        Ok(object.version())
    }

    async fn restore(&self, at: &Place) -> Result<()> {
        let mut objects = self.lock();
        objects.get_mut(&key(at)).ok_or_else(|| missing(at))?.pending_deletion = false;
        Ok(())
    }

    async fn list(&self, kind: TargetKind, prefix: &str) -> Result<Vec<Listed>> {
        let objects = self.lock();
        let meant = |name: &str| name.trim_start_matches('/').starts_with(prefix.trim_start_matches('/'));
        let listed = objects.iter().filter(|((of, name), _)| *of == kind && meant(name)).filter_map(|(_, object)| {
            Some(Listed {
                settings: object.settings.clone()?,
                mark: object.mark.clone(),
                managed_by: object.managed_by.clone(),
                pending_deletion: object.pending_deletion,
                has_value: !object.versions.is_empty(),
            })
        });
        Ok(listed.collect())
    }
}
