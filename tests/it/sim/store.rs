//! Stores in memory that behave as Secrets Manager (value, then mark), SSM (mark, then value), Vault (mark,
//! then value, with check-and-set) and Key Vault (both in one call, which nothing guards) do, each call of
//! theirs a step on the wire.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use secretzero::locator::Locator;
use secretzero::mark::Generation;
use secretzero::provider::{
    Capabilities, Error, ErrorKind, Expect, Identity, MarkOrder, Observed, Probe, Provider, Reading, Result, Stored,
    VersionId, WriteOptions,
};
use secretzero::secret::{Shape, Value};
use secretzero::target::{Attributes, Place, TargetKind, TargetSettings};

use super::wire::Wire;

/// What stands at one place.
#[derive(Clone, Default)]
pub(crate) struct Object {
    /// Every version with its id; the last is the current one.
    pub(crate) versions: Vec<(VersionId, Value)>,
    pub(crate) mark: Option<String>,
    pub(crate) attributes: Attributes,
    pub(crate) pending_deletion: bool,
}

/// A name of everything that stands at a place, for comparisons.
pub(crate) type Snapshot = (Vec<(VersionId, String)>, Option<String>, Attributes, bool);

impl Object {
    fn version(&self) -> VersionId {
        self.versions.last().map(|(id, _)| id.clone()).unwrap_or_default()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let versions = self.versions.iter().map(|(id, value)| (id.clone(), text(value))).collect();
        (versions, self.mark.clone(), self.attributes.clone(), self.pending_deletion)
    }
}

/// The value as text, whatever the order of its fields.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Single(value) => value.expose_text().unwrap().to_owned(),
        Value::Fields(fields) => {
            let fields: BTreeMap<_, _> = fields.iter().map(|(n, v)| (n, v.expose_text().unwrap())).collect();
            format!("{fields:?}")
        }
    }
}

/// Every object of every kind, and every place that was ever asked for.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) objects: BTreeMap<Locator, Object>,
    pub(crate) places: BTreeMap<Locator, Place>,
    /// A counted version was stored twice by one request: what then stands there is not to be told
    /// from an outsider's value without reading it.
    pub(crate) doubled: bool,
    /// Every effect in its order, for whoever looks into a failure.
    pub(crate) log: Vec<String>,
}

/// Whatever outlives a run.
pub(crate) type Shared = Arc<Mutex<Contents>>;

/// One run's way to the stores.
pub(crate) struct SimStore {
    pub(crate) shared: Shared,
    pub(crate) wire: Arc<Wire>,
    pub(crate) kinds: &'static [TargetKind],
    /// A kind that cannot be reached in this run.
    pub(crate) down: Option<TargetKind>,
    /// Another run writes at the same time. Where nothing guards a write, two at once can only be told,
    /// so such a store refuses them here.
    pub(crate) rivals: bool,
}

const fn order(kind: TargetKind) -> MarkOrder {
    match kind {
        TargetKind::SecretsManager => MarkOrder::ValueFirst,
        TargetKind::SsmParameter | TargetKind::Kv => MarkOrder::MarkFirst,
        _ => MarkOrder::WithValue,
    }
}

/// Where a place is.
pub(crate) fn locator(place: &Place) -> Locator {
    let name = place.settings.name();
    match &place.settings {
        TargetSettings::File(file) => Locator::file(&file.path, &file.key),
        TargetSettings::SsmParameter(_) => Locator::ssm_parameter("1", "r", name),
        other => Locator::secrets_manager("1", other.kind().as_str(), name),
    }
}

fn desired(place: &Place) -> Attributes {
    let tags = place.settings.tags().into_iter().flatten();
    let mut attributes: Attributes = tags.map(|(name, value)| (format!("tag:{name}"), value.clone())).collect();
    if let TargetSettings::SsmParameter(settings) = &place.settings {
        attributes.extend(settings.description.clone().map(|text| ("description".to_owned(), text)));
    }
    attributes
}

fn mark(options: &WriteOptions, version: &str, carried: bool) -> String {
    if carried { options.carried_mark(version) } else { options.mark(version) }
}

fn conflict(why: &str) -> Error {
    Error::new(ErrorKind::Conflict, why)
}

impl SimStore {
    /// One call on one object.
    async fn on<T>(&self, place: &Place, writes: bool, act: impl Fn(&mut Option<Object>) -> Result<T>) -> Result<T> {
        let at = locator(place);
        if self.down == Some(place.settings.kind()) {
            return Err(Error::new(ErrorKind::Unavailable, "down"));
        }
        self.wire
            .step(writes, || {
                let mut contents = self.shared.lock().unwrap();
                let mut object = contents.objects.remove(&at);
                let result = match &object {
                    Some(object) if writes && object.pending_deletion => {
                        Err(Error::new(ErrorKind::PendingDeletion, "scheduled for deletion"))
                    }
                    _ => act(&mut object),
                };
                if writes {
                    let (versions, mark, ..) = object.as_ref().map(Object::snapshot).unwrap_or_default();
                    let said = result.as_ref().map_or_else(|error| error.message.clone(), |_| "done".into());
                    let line = format!("{} {at} {said}: {:?} {mark:?}", self.wire.name(), versions.last());
                    contents.log.push(line);
                }
                contents.objects.extend(object.map(|object| (at.clone(), object)));
                result
            })
            .await
    }

    async fn create(&self, at: &Place, value: &Value, options: &WriteOptions) -> Result<VersionId> {
        let id =
            if order(at.settings.kind()) == MarkOrder::ValueFirst { options.token.to_string() } else { "1".into() };
        self.on(at, true, |slot| match slot {
            // The same token with the same value is the same request.
            Some(object)
                if object.version() == options.token.to_string()
                    && object.versions.last().is_some_and(|(_, stored)| stored.matches(value)) =>
            {
                Ok(id.clone())
            }
            Some(_) => Err(conflict("it exists")),
            None => {
                *slot = Some(Object {
                    versions: vec![(id.clone(), value.clone())],
                    mark: Some(mark(options, &id, false)),
                    attributes: desired(at),
                    pending_deletion: false,
                });
                Ok(id.clone())
            }
        })
        .await
    }

    /// What stands there, if it is the version that is expected.
    async fn current(&self, at: &Place, options: &WriteOptions, or_token: bool) -> Result<Object> {
        self.on(at, false, |slot| {
            let object = slot.as_ref().ok_or_else(|| conflict("it is gone"))?;
            let is_ours = or_token && object.version() == options.token.to_string();
            if !is_ours && options.expect != Expect::Version(object.version()) {
                return Err(conflict("it is another version"));
            }
            Ok(object.clone())
        })
        .await
    }

    async fn tag(&self, at: &Place, mark: &str, changed: &[String]) -> Result<()> {
        let wanted = desired(at);
        self.on(at, true, |slot| {
            let object = slot.as_mut().ok_or_else(|| Error::new(ErrorKind::NotFound, "it is gone"))?;
            object.mark = Some(mark.to_owned());
            let wanted = wanted.iter().filter(|(name, _)| changed.contains(name));
            object.attributes.extend(wanted.map(|(name, value)| (name.clone(), value.clone())));
            Ok(())
        })
        .await
    }

    async fn token_then_tag(&self, at: &Place, value: &Value, options: &WriteOptions) -> Result<VersionId> {
        self.current(at, options, true).await?;
        let token = options.token.to_string();
        self.on(at, true, |slot| {
            let object = slot.as_mut().ok_or_else(|| Error::new(ErrorKind::NotFound, "it is gone"))?;
            match object.versions.iter().find(|(id, _)| *id == token) {
                Some((_, stored)) if !stored.matches(value) => Err(conflict("another value under this token")),
                Some(_) if object.version() != token => Err(conflict("superseded")),
                Some(_) => Ok(()),
                None => {
                    object.versions.push((token.clone(), value.clone()));
                    Ok(())
                }
            }
        })
        .await?;
        let tagged = self.tag(at, &mark(options, &token, false), &[]).await;
        tagged.map_err(|error| Error::new(ErrorKind::Indeterminate, error.message))?;
        Ok(token)
    }

    /// Marks the version to come, then counts it.
    async fn tag_then_count(
        &self,
        at: &Place,
        value: Option<&Value>,
        changed: &[String],
        options: &WriteOptions,
    ) -> Result<VersionId> {
        let object = self.current(at, options, false).await?;
        let before: u64 = object.version().parse().unwrap();
        let next = (before + 1).to_string();
        let value = value.unwrap_or(&object.versions.last().unwrap().1).clone();
        let tags: Vec<String> = changed.iter().filter(|name| name.starts_with("tag:")).cloned().collect();
        self.tag(at, &mark(options, &next, !changed.is_empty()), &tags).await?;
        let described = desired(at).remove("description");
        let doubled = AtomicBool::new(false);
        let written = self
            .on(at, true, |slot| {
                let object = slot.as_mut().ok_or_else(|| Error::new(ErrorKind::NotFound, "it is gone"))?;
                if at.settings.kind() == TargetKind::Kv && object.version() != before.to_string() {
                    return Err(conflict("check-and-set parameter did not match the current version"));
                }
                let id = (object.version().parse::<u64>().unwrap() + 1).to_string();
                object.versions.push((id.clone(), value.clone()));
                doubled.store(id != next, Ordering::Relaxed);
                // Put always carries every setting.
                object.attributes.extend(described.clone().map(|text| ("description".to_owned(), text)));
                Ok(id)
            })
            .await;
        self.shared.lock().unwrap().doubled |= doubled.load(Ordering::Relaxed);
        let written = written?;
        if written == next { Ok(next) } else { Err(conflict("somebody else wrote at the same time")) }
    }

    async fn both_at_once(&self, at: &Place, value: &Value, options: &WriteOptions) -> Result<VersionId> {
        if !self.rivals {
            self.current(at, options, false).await?;
        }
        self.on(at, true, |slot| {
            let object = slot.as_mut().ok_or_else(|| conflict("it is gone"))?;
            if self.rivals && options.expect != Expect::Version(object.version()) {
                return Err(conflict("it is another version"));
            }
            let id = (object.version().parse::<u64>().unwrap() + 1).to_string();
            object.versions.push((id.clone(), value.clone()));
            object.mark = Some(mark(options, &id, false));
            Ok(id)
        })
        .await
    }
}

#[async_trait]
impl Provider for SimStore {
    fn capabilities(&self, kind: TargetKind) -> Option<Capabilities> {
        self.kinds.contains(&kind).then_some(Capabilities {
            conditional_create: true,
            write_token: kind == TargetKind::SecretsManager,
            mark_order: order(kind),
            metadata_without_version: kind != TargetKind::SsmParameter,
            read_back: true,
            value_bytes_max: 65_536,
        })
    }

    async fn identity(&self) -> Result<Identity> {
        let identity = Identity { account: "1".into(), principal: "sim".into(), region: None };
        self.wire.step(false, || Ok(identity.clone())).await
    }

    async fn locator(&self, place: &Place) -> Result<Locator> {
        let at = locator(place);
        self.shared.lock().unwrap().places.insert(at.clone(), place.clone());
        Ok(at)
    }

    fn recall(&self, at: &Locator, shape: &Shape) -> Option<Place> {
        let contents = self.shared.lock().unwrap();
        let place = contents.places.get(at).filter(|place| self.kinds.contains(&place.settings.kind()))?;
        Some(Place { shape: shape.clone(), ..place.clone() })
    }

    fn desired(&self, place: &Place, _generation: Option<&Generation>) -> Attributes {
        desired(place)
    }

    async fn observe(&self, at: &[Probe<'_>], _reading: Reading) -> Vec<Result<Option<Observed>>> {
        let mut answers = Vec::new();
        for probe in at {
            let look = |slot: &mut Option<Object>| {
                Ok(slot.as_ref().map(|object| Observed {
                    version: object.version(),
                    mark: object.mark.clone(),
                    attributes: object.attributes.clone(),
                    pending_deletion: object.pending_deletion,
                    managed_by: None,
                    from_list: false,
                }))
            };
            answers.push(self.on(probe.place, false, look).await);
        }
        answers
    }

    async fn read(&self, at: &[&Place]) -> Vec<Result<Stored>> {
        let mut answers = Vec::new();
        for place in at {
            let read = |slot: &mut Option<Object>| {
                let object = slot.as_ref().ok_or_else(|| Error::new(ErrorKind::NotFound, "nothing is there"))?;
                if object.pending_deletion {
                    return Err(Error::new(ErrorKind::PendingDeletion, "scheduled for deletion"));
                }
                let (version, value) = object.versions.last().unwrap().clone();
                Ok(Stored { value, version })
            };
            answers.push(self.on(place, false, read).await);
        }
        answers
    }

    async fn write(&self, at: &Place, value: &Value, options: &WriteOptions) -> Result<VersionId> {
        match (&options.expect, order(at.settings.kind())) {
            (Expect::Absent, _) => self.create(at, value, options).await,
            (_, MarkOrder::ValueFirst) => self.token_then_tag(at, value, options).await,
            (_, MarkOrder::MarkFirst) => self.tag_then_count(at, Some(value), &[], options).await,
            (_, MarkOrder::WithValue | MarkOrder::Unmarked) => self.both_at_once(at, value, options).await,
        }
    }

    async fn annotate(&self, at: &Place, changed: &[String], options: &WriteOptions) -> Result<VersionId> {
        if at.settings.kind() == TargetKind::SsmParameter && changed.iter().any(|name| !name.starts_with("tag:")) {
            return self.tag_then_count(at, None, changed, options).await;
        }
        let version = self.current(at, options, false).await?.version();
        self.tag(at, &mark(options, &version, false), changed).await?;
        Ok(version)
    }

    async fn restore(&self, at: &Place) -> Result<()> {
        let at = locator(at);
        let shared = &self.shared;
        self.wire
            .step(true, || {
                let mut contents = shared.lock().unwrap();
                let object = contents.objects.get_mut(&at);
                object.ok_or_else(|| Error::new(ErrorKind::NotFound, "it is gone"))?.pending_deletion = false;
                Ok(())
            })
            .await
    }
}
