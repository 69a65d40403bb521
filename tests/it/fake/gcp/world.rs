//! What stands in a project: secrets, versions, and the clock that stamps them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secretzero::clock::{Clock as _, SystemClock};
use serde_json::{Map, Value as Json, json};

/// The number of every project, by which answers name it even if it was asked for by id
/// (seen in recorded traffic of Google's clients).
pub(crate) const NUMBER: &str = "442211009988";

/// Everything there is.
#[derive(Default)]
pub(crate) struct World {
    /// By id.
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// What lists show, if it is not the truth.
    pub(crate) frozen: Option<BTreeMap<String, Secret>>,
    /// At most so many objects per page.
    pub(crate) page_max: Option<usize>,
    stamp: u64,
}

/// A secret: its fields as the API writes them, and its versions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secret {
    pub(crate) fields: Map<String, Json>,
    pub(crate) versions: Vec<Version>,
}

/// A version.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) state: &'static str,
    pub(crate) data: Vec<u8>,
    create_time: String,
    destroy_time: Option<String>,
    etag: String,
    /// Whether the client sent a checksum.
    checked: bool,
}

impl World {
    /// Another etag each time, with its quotes (<https://cloud.google.com/secret-manager/docs/etags>).
    pub(crate) fn etag(&mut self) -> String {
        self.stamp += 1;
        format!("\"{:x}\"", 0x0016_20b6_2f86_0000_u64 + self.stamp)
    }

    /// Now, with microseconds, as recorded.
    fn time(&mut self) -> String {
        self.stamp += 1;
        let micros = SystemClock.now().as_second() * 1_000_000 + i64::try_from(self.stamp % 1_000_000).unwrap();
        format!("{:.6}", Timestamp::from_microsecond(micros).unwrap())
    }

    /// A new secret with the fields of the request.
    pub(crate) fn create(&mut self, id: &str, mut fields: Map<String, Json>) {
        fields.insert("createTime".into(), self.time().into());
        fields.insert("etag".into(), self.etag().into());
        self.secrets.insert(id.to_owned(), Secret { fields, versions: Vec::new() });
    }

    /// Adds a version behind everybody's back, or on request.
    pub(crate) fn add(&mut self, id: &str, data: &[u8], checked: bool) -> u64 {
        let (create_time, etag) = (self.time(), self.etag());
        let secret = self.secrets.get_mut(id).unwrap();
        let number = secret.versions.last().map_or(0, |version| version.number) + 1;
        let data = data.to_vec();
        secret.versions.push(Version {
            number,
            state: "ENABLED",
            data,
            create_time,
            destroy_time: None,
            etag,
            checked,
        });
        number
    }

    /// Sets a version's state; a destroyed one loses its value.
    pub(crate) fn set_state(&mut self, id: &str, number: u64, state: &'static str) {
        let (time, etag) = (self.time(), self.etag());
        let version = self.secrets.get_mut(id).unwrap().versions.iter_mut().find(|v| v.number == number).unwrap();
        (version.state, version.etag) = (state, etag);
        if state == "DESTROYED" {
            version.data.clear();
            version.destroy_time = Some(time);
        }
    }

    /// Sets or removes an annotation, as another client would.
    pub(crate) fn annotate(&mut self, id: &str, name: &str, value: Option<&str>) {
        let etag = self.etag();
        let fields = &mut self.secrets.get_mut(id).unwrap().fields;
        let annotations = fields.entry("annotations").or_insert_with(|| json!({})).as_object_mut().unwrap();
        match value {
            Some(value) => drop(annotations.insert(name.to_owned(), value.into())),
            None => drop(annotations.shift_remove(name)),
        }
        fields.insert("etag".into(), etag.into());
    }

    /// What lists show.
    pub(super) fn listed(&self) -> &BTreeMap<String, Secret> {
        self.frozen.as_ref().unwrap_or(&self.secrets)
    }
}

impl Secret {
    pub(super) fn name(id: &str) -> String {
        format!("projects/{NUMBER}/secrets/{id}")
    }

    /// As the API writes it. Empty maps and lists are left out, as JSON of protocol buffers has it.
    pub(super) fn render(&self, id: &str) -> Json {
        let mut out = Map::new();
        out.insert("name".into(), Self::name(id).into());
        let empty = |json: &Json| {
            json.as_object().is_some_and(Map::is_empty) || json.as_array().is_some_and(Vec::is_empty) || json.is_null()
        };
        out.extend(self.fields.iter().filter(|(_, value)| !empty(value)).map(|(n, v)| (n.clone(), v.clone())));
        out.into()
    }

    /// The text of an annotation.
    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.fields.get("annotations")?.get(name)?.as_str()
    }

    /// Number and text of every enabled version.
    pub(crate) fn enabled(&self) -> Vec<(u64, String)> {
        let enabled = self.versions.iter().filter(|version| version.state == "ENABLED");
        enabled.map(|version| (version.number, String::from_utf8_lossy(&version.data).into_owned())).collect()
    }

    /// The states of all versions, the oldest first.
    pub(crate) fn states(&self) -> Vec<&'static str> {
        self.versions.iter().map(|version| version.state).collect()
    }
}

impl Version {
    pub(super) fn etag(&self) -> &str {
        &self.etag
    }

    /// As the API writes it, never with its value.
    pub(super) fn render(&self, id: &str, replication: &Json) -> Json {
        let mut out = json!({
            "name": format!("{}/versions/{}", Secret::name(id), self.number),
            "createTime": self.create_time,
            "state": self.state,
            "etag": self.etag,
            "replicationStatus": status(replication),
        });
        if let Some(time) = &self.destroy_time {
            out["destroyTime"] = time.clone().into();
        }
        if self.checked {
            out["clientSpecifiedPayloadChecksum"] = true.into();
        }
        out
    }
}

/// Where a version is kept.
fn status(replication: &Json) -> Json {
    match replication.get("userManaged").and_then(|managed| managed.get("replicas")).and_then(Json::as_array) {
        Some(replicas) => {
            let places: Vec<Json> = replicas.iter().map(|replica| json!({ "location": replica["location"] })).collect();
            json!({ "userManaged": { "replicas": places } })
        }
        None => json!({ "automatic": {} }),
    }
}
