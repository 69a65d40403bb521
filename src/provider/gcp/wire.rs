//! Secrets and versions as the REST API writes them; what we do not use is left out.
//!
//! <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets>. No type that
//! holds a payload has a `Debug`.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::crc32c::crc32c;
use crate::mark::MARK_KEY;
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// A secret: everything but its values.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) replication: Replication,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) topics: Vec<Topic>,
    pub(super) rotation: Option<Rotation>,
    pub(super) expire_time: Option<String>,
    pub(super) etag: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Replication {
    pub(super) automatic: Option<Automatic>,
    pub(super) user_managed: Option<UserManaged>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Automatic {
    pub(super) customer_managed_encryption: Option<Encryption>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct UserManaged {
    pub(super) replicas: Vec<Replica>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Replica {
    pub(super) location: String,
    pub(super) customer_managed_encryption: Option<Encryption>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Encryption {
    pub(super) kms_key_name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Topic {
    pub(super) name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Rotation {
    pub(super) next_rotation_time: Option<String>,
    pub(super) rotation_period: Option<String>,
}

impl Secret {
    /// The last part of its name: the project's number stands before it, even if asked by id.
    pub(super) fn id(&self) -> &str {
        last(&self.name)
    }

    /// The text of our mark, if there is one.
    pub(super) fn mark(&self) -> Option<&str> {
        self.annotations.get(MARK_KEY).map(String::as_str)
    }
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

/// What can be done with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(super) enum State {
    #[serde(rename = "ENABLED")]
    Enabled,
    #[serde(rename = "DISABLED")]
    Disabled,
    #[serde(rename = "DESTROYED")]
    Destroyed,
    #[default]
    #[serde(other)]
    Unknown,
}

/// A version, without its payload.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) state: State,
    pub(super) etag: String,
}

impl Version {
    /// Versions are counted from 1, and no number is used twice.
    pub(super) fn number(&self) -> u64 {
        last(&self.name).parse().unwrap_or_default()
    }
}

/// One page of secrets.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Secrets {
    pub(super) secrets: Vec<Secret>,
    pub(super) next_page_token: String,
}

/// One page of versions.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Versions {
    pub(super) versions: Vec<Version>,
    pub(super) next_page_token: String,
}

/// The answer to an access.
#[derive(Deserialize)]
pub(super) struct Accessed {
    pub(super) name: String,
    pub(super) payload: Payload,
}

/// A value on the wire.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payload {
    #[serde(default)]
    data: String,
    /// A 64-bit number, which JSON carries as text.
    #[serde(default)]
    data_crc32c: Json,
}

impl Accessed {
    /// The number of the version, and its bytes if they arrived whole.
    pub(super) fn verified(self) -> Result<(u64, SecretValue)> {
        let damaged = || {
            let message = format!("what Google sent of {} does not fit its checksum; run again", self.name);
            Error::new(ErrorKind::Unavailable, message)
        };
        let bytes = BASE64.decode(self.payload.data.as_bytes()).map_err(|_| damaged())?;
        let value = SecretValue::new(bytes);
        let sum = match &self.payload.data_crc32c {
            Json::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        if sum.is_some_and(|sum| sum != u64::from(crc32c(value.expose()))) {
            return Err(damaged());
        }
        Ok((last(&self.name).parse().unwrap_or_default(), value))
    }
}

/// The body that stores a value, with its checksum.
pub(super) fn payload(value: &SecretValue) -> SecretValue {
    let sum = crc32c(value.expose()).to_string();
    let body = json!({ "payload": { "data": BASE64.encode(value.expose()), "dataCrc32c": sum } });
    SecretValue::from(body.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn accessed(sum: Json) -> Result<(u64, SecretValue)> {
        let body = json!({"name": "projects/1/secrets/a/versions/7", "payload": {"data": "aGk=", "dataCrc32c": sum}});
        serde_json::from_value::<Accessed>(body).unwrap().verified()
    }

    #[test]
    fn a_damaged_payload_is_refused() {
        let sum = crc32c(b"hi");
        for good in [json!(sum.to_string()), json!(sum), Json::Null] {
            let (number, value) = accessed(good).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!((number, value.expose()), (7, b"hi".as_slice()));
        }
        assert!(accessed(json!("1")).is_err_and(|error| error.kind == ErrorKind::Unavailable));
    }

    #[test]
    fn states_of_tomorrow_are_unknown() {
        let version: Version = serde_json::from_value(json!({"name": "a/versions/3", "state": "FROZEN"})).unwrap();
        assert_eq!((version.number(), version.state), (3, State::Unknown));
    }
}
