//! What stands in the vaults and who may log in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::rights::Rbac;

/// The tenant that everything belongs to.
pub(crate) const TENANT: &str = "11111111-2222-3333-4444-555555555555";

/// Everything there is.
#[derive(Default)]
pub(crate) struct World {
    /// By host. A host that nobody made is no vault.
    pub(crate) vaults: BTreeMap<String, Vault>,
    /// By client id.
    pub(crate) applications: BTreeMap<String, Application>,
    /// Public keys by issuer and key id: what its JWKS would tell.
    pub(crate) issuers: BTreeMap<(String, String), jsonwebtoken::DecodingKey>,
    /// The machine's identity, if it has one: its client id.
    pub(crate) machine: Option<String>,
    /// Given tokens: whose, and for which resource.
    pub(crate) tokens: BTreeMap<String, (String, String)>,
    /// What the next requests for tokens are answered instead: status and code, 0 for none.
    pub(crate) logins: VecDeque<(u16, u64)>,
    /// How long tokens live, seconds.
    pub(crate) token_seconds: i64,
    /// How many looks an object is neither here nor there while it is deleted or recovered.
    pub(crate) transition_looks: usize,
    /// Lists have empty pages with a successor.
    pub(crate) empty_pages: bool,
    /// The versions of a name that does not exist: 404, not an empty list.
    pub(crate) strict_versions: bool,
    /// Roles, and who has them.
    pub(crate) rbac: Rbac,
    /// Seconds since 1970; moves with every change unless it is held.
    pub(crate) clock: i64,
    pub(crate) clock_held: bool,
    pub(super) counter: u64,
}

/// One vault.
#[derive(Clone, Default)]
pub(crate) struct Vault {
    /// By lower-case name.
    pub(crate) secrets: BTreeMap<String, Object>,
    pub(crate) certificates: BTreeMap<String, Object>,
    /// Nothing in the recycle bin can be removed before its time.
    pub(crate) purge_protection: bool,
    /// Its id in Resource Manager, if its data is governed by Azure RBAC and not by access policies.
    pub(crate) id: Option<String>,
}

/// A secret or a certificate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object {
    /// As it was written first: names have no case, and the first spelling stays.
    pub(crate) name: String,
    /// Oldest first.
    pub(crate) versions: Vec<Version>,
    pub(crate) state: State,
}

/// Where an object is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Live,
    /// For so many looks more.
    Deleting(usize),
    Deleted,
    /// For so many looks more.
    Recovering(usize),
}

/// One version.
#[derive(Debug, Clone, Default)]
pub(crate) struct Version {
    pub(crate) id: String,
    /// Of a certificate: what its secret holds.
    pub(crate) value: String,
    pub(crate) content_type: Option<String>,
    pub(crate) enabled: bool,
    pub(crate) exp: Option<i64>,
    pub(crate) nbf: Option<i64>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    /// It belongs to a certificate.
    pub(crate) managed: bool,
    pub(crate) x5t: Option<String>,
    pub(crate) cer: Option<String>,
}

/// A registered application.
#[derive(Debug, Clone, Default)]
pub(crate) struct Application {
    pub(crate) secret: Option<String>,
    /// Issuer, subject and audience of each federated credential.
    pub(crate) federated: Vec<[String; 3]>,
    /// Rights that it lacks, such as `secrets/list`, or `secrets/get db` for one object.
    pub(crate) denied: BTreeSet<String>,
}

impl Object {
    /// The newest version: what an unversioned read returns.
    pub(crate) fn current(&self) -> &Version {
        self.versions.last().unwrap()
    }

    /// One look has passed.
    pub(super) fn looked_at(&mut self) {
        self.state = match self.state {
            State::Deleting(0) => State::Deleted,
            State::Deleting(looks) => State::Deleting(looks - 1),
            State::Recovering(0) => State::Live,
            State::Recovering(looks) => State::Recovering(looks - 1),
            settled => settled,
        };
    }
}

impl Vault {
    pub(super) fn shelf(&mut self, collection: &str) -> &mut BTreeMap<String, Object> {
        if collection.ends_with("certificates") { &mut self.certificates } else { &mut self.secrets }
    }
}

impl World {
    pub(super) fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the fake has a clock of its own")]
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        Self { clock: i64::try_from(now).unwrap(), token_seconds: 3599, ..Self::default() }
    }

    /// Adds a vault.
    pub(crate) fn vault(&mut self, host: &str) -> &mut Vault {
        self.vaults.entry(host.to_owned()).or_default()
    }

    /// Puts a vault under Azure RBAC; tells its id in Resource Manager.
    pub(crate) fn govern(&mut self, host: &str, subscription: &str, group: &str) -> String {
        let name = host.split('.').next().unwrap_or_default();
        let group = format!("/subscriptions/{subscription}/resourceGroups/{group}");
        let id = format!("{group}/providers/Microsoft.KeyVault/vaults/{name}");
        self.vault(host).id = Some(id.clone());
        id
    }

    /// The time of a change.
    pub(super) fn tick(&mut self) -> i64 {
        if !self.clock_held {
            self.clock += 1;
        }
        self.clock
    }

    /// A name for a version: 32 hexadecimal digits without order.
    pub(super) fn version_id(&mut self) -> String {
        self.counter += 1;
        let digest = Sha256::digest(format!("version {}", self.counter));
        data_encoding::HEXLOWER.encode(&digest[..16])
    }

    /// A new version as if somebody else had written it.
    pub(crate) fn put(&mut self, host: &str, name: &str, value: &str, tags: &[(&str, &str)]) -> String {
        let (id, created) = (self.version_id(), self.tick());
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let (id_, value) = (id.clone(), value.to_owned());
        let version = Version { id, value, enabled: true, tags, created, updated: created, ..Version::default() };
        let object = self.vault(host).secrets.entry(name.to_ascii_lowercase()).or_default();
        object.name = name.to_owned();
        object.versions.push(version);
        id_
    }
}

/// What a list or an answer without value shows of a version
/// (<https://learn.microsoft.com/rest/api/keyvault/secrets/get-secrets>).
pub(super) fn item(
    host: &str,
    collection: &str,
    object: &Object,
    version: &Version,
    versioned: bool,
) -> Map<String, Json> {
    let live = if collection.ends_with("certificates") { "certificates" } else { "secrets" };
    let end = if versioned { format!("/{}", version.id) } else { String::new() };
    let mut attributes = json!({
        "enabled": version.enabled, "created": version.created, "updated": version.updated,
        "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90,
    });
    for (name, date) in [("exp", version.exp), ("nbf", version.nbf)] {
        if let Some(date) = date {
            attributes[name] = json!(date);
        }
    }
    let mut item = Map::new();
    item.insert("id".into(), json!(format!("https://{host}/{live}/{}{end}", object.name)));
    item.insert("attributes".into(), attributes);
    if !version.tags.is_empty() {
        item.insert("tags".into(), json!(version.tags));
    }
    if live == "secrets" {
        if let Some(text) = &version.content_type {
            item.insert("contentType".into(), json!(text));
        }
        if version.managed {
            item.insert("managed".into(), json!(true));
            item.insert("kid".into(), json!(format!("https://{host}/keys/{}/{}", object.name, version.id)));
        }
    } else if let Some(x5t) = &version.x5t {
        item.insert("x5t".into(), json!(x5t));
    }
    item
}
