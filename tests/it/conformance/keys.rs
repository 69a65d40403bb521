//! The reference of places that hold no value: transit keys in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use secretzero::locator::Locator;
use secretzero::mark::Generation;
use secretzero::provider::{
    Capabilities, Error, ErrorKind, Expect, Identity, MarkOrder, Observed, Probe, Provider, Reading, Result, Stored,
    VersionId, WriteOptions,
};
use secretzero::secret::{Shape, Value};
use secretzero::target::{Attributes, Place, TargetKind, TargetSettings, TransitKeySettings};

/// Keys by name, with what was said of each when it was made.
#[derive(Default)]
pub(crate) struct Keys(Mutex<BTreeMap<String, Attributes>>);

/// A key, one setting that may change and one that may not.
pub(crate) fn key(exportable: bool, derived: bool) -> Place {
    let settings = TransitKeySettings {
        mount_point: "transit".into(),
        key_name: "key".into(),
        key_type: "aes256-gcm96".into(),
        derived,
        convergent_encryption: false,
        exportable,
        allow_plaintext_backup: false,
        auto_rotate_period_seconds: None,
        deletion_allowed: None,
    };
    Place { settings: TargetSettings::TransitKey(settings), shape: Shape::Single }
}

fn none<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "a key holds no value"))
}

#[async_trait]
impl Provider for Keys {
    fn capabilities(&self, kind: TargetKind) -> Option<Capabilities> {
        (kind == TargetKind::TransitKey).then_some(Capabilities {
            conditional_create: false,
            write_token: false,
            mark_order: MarkOrder::WithValue,
            metadata_without_version: true,
            read_back: false,
            value_bytes_max: 0,
        })
    }

    async fn identity(&self) -> Result<Identity> {
        Ok(Identity { account: "memory".into(), principal: "test".into(), region: None })
    }

    async fn locator(&self, place: &Place) -> Result<Locator> {
        Ok(Locator::secrets_manager("memory", "transit", place.settings.name()))
    }

    fn desired(&self, place: &Place, _: Option<&Generation>) -> Attributes {
        let TargetSettings::TransitKey(key) = &place.settings else { return Attributes::new() };
        [("exportable", key.exportable), ("derived", key.derived)].map(|(n, v)| (n.into(), v.to_string())).into()
    }

    async fn observe(&self, at: &[Probe<'_>], _: Reading) -> Vec<Result<Option<Observed>>> {
        let keys = self.0.lock().unwrap();
        let look = |probe: &Probe<'_>| {
            keys.get(probe.place.settings.name()).map(|attributes| Observed {
                version: "1".into(),
                mark: None,
                attributes: attributes.clone(),
                pending_deletion: false,
                managed_by: None,
                from_list: false,
            })
        };
        at.iter().map(|probe| Ok(look(probe))).collect()
    }

    async fn read(&self, at: &[&Place]) -> Vec<Result<Stored>> {
        at.iter().map(|_| none()).collect()
    }

    async fn write(&self, _: &Place, _: &Value, _: &WriteOptions) -> Result<VersionId> {
        none()
    }

    async fn annotate(&self, at: &Place, changed: &[String], options: &WriteOptions) -> Result<VersionId> {
        if changed.iter().any(|name| name == "derived") {
            return Err(Error::new(ErrorKind::Invalid, "`derived` is fixed when a key is made"));
        }
        let desired = self.desired(at, None);
        let wanted = |(name, _): &(String, String)| options.expect == Expect::Absent || changed.contains(name);
        let mut keys = self.0.lock().unwrap();
        keys.entry(at.settings.name().to_owned()).or_default().extend(desired.into_iter().filter(wanted));
        Ok("1".into())
    }

    async fn restore(&self, _: &Place) -> Result<()> {
        Ok(())
    }
}
