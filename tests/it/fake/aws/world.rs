//! The account: what stands in each region.

use std::collections::{BTreeMap, BTreeSet};

/// Everything there is.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) regions: BTreeMap<String, Region>,
    /// What lists show instead, if they lag.
    pub(crate) frozen: Option<BTreeMap<String, Region>>,
    /// The customer's keys by alias or id; any key is accepted when empty.
    pub(crate) keys: BTreeSet<String>,
    /// Regions in which a replica fails after it was accepted.
    pub(crate) failing_replicas: BTreeSet<String>,
    /// How many descriptions show a replica as under way before it is settled.
    pub(crate) replica_looks: usize,
    /// How lists come in pages.
    pub(crate) paging: Paging,
    /// What a role's trust policy asks for.
    pub(crate) external_id: Option<String>,
    /// Roles that trust an issuer.
    pub(crate) federation: super::web_identity::Federation,
    /// Assumed roles by key id.
    pub(super) sessions: BTreeMap<String, String>,
    /// Seconds since the epoch; moves with every change.
    pub(super) clock: u32,
}

/// One region.
#[derive(Debug, Clone, Default)]
pub(crate) struct Region {
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) parameters: BTreeMap<String, Parameter>,
}

/// A secret of Secrets Manager.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secret {
    /// Oldest first.
    pub(crate) versions: Vec<SecretVersion>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) replicas: BTreeMap<String, Replica>,
    /// Scheduled for deletion.
    pub(crate) deleted: bool,
    pub(crate) owning_service: Option<String>,
    pub(crate) rotation_enabled: bool,
    /// Another region than its own: it is a replica.
    pub(crate) primary_region: Option<String>,
    pub(crate) created: u32,
}

/// One version of a secret.
#[derive(Debug, Clone)]
pub(crate) struct SecretVersion {
    pub(crate) id: String,
    /// The text, or the base64 of bytes.
    pub(crate) value: String,
    pub(crate) is_binary: bool,
    pub(crate) stages: BTreeSet<String>,
}

/// What a primary knows of a replica.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    pub(crate) kms_key_id: Option<String>,
    /// `InProgress`, `InSync` or `Failed`.
    pub(crate) status: &'static str,
    pub(crate) message: &'static str,
    /// How many descriptions still show it as under way.
    pub(crate) looks: usize,
}

/// How lists come in pages. A page may hold fewer entries than asked for, even none, while there are
/// more (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeParameters.html>,
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Paging {
    /// Most entries of a page, if fewer than the service's own limit.
    pub(crate) size_max: Option<usize>,
    /// Before each page comes an empty one.
    pub(crate) empty: bool,
    /// The first page names itself as the next one.
    pub(crate) endless: bool,
}

/// A parameter of SSM.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameter {
    pub(crate) version: u64,
    pub(crate) value: String,
    pub(crate) kind: String,
    pub(crate) tier: String,
    pub(crate) data_type: String,
    pub(crate) description: Option<String>,
    pub(crate) key_id: Option<String>,
    pub(crate) policies: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) changed: u32,
}

impl World {
    /// A region, empty until something is stored there.
    pub(crate) fn region(&mut self, name: &str) -> &mut Region {
        self.regions.entry(name.to_owned()).or_default()
    }

    /// A region as lists show it.
    pub(super) fn listed(&self, name: &str) -> Region {
        self.frozen.as_ref().unwrap_or(&self.regions).get(name).cloned().unwrap_or_default()
    }

    pub(super) fn freeze(&mut self) {
        self.frozen = Some(self.regions.clone());
    }

    pub(super) fn tick(&mut self) -> u32 {
        self.clock += 1;
        1_700_000_000 + self.clock
    }
}

impl Secret {
    /// The version that is read when none is named.
    pub(crate) fn current(&self) -> Option<&SecretVersion> {
        self.versions.iter().find(|version| version.stages.contains("AWSCURRENT"))
    }

    /// The current text.
    pub(crate) fn value(&self) -> Option<&str> {
        self.current().map(|version| version.value.as_str())
    }

    /// Moves AWSCURRENT; the version that had it becomes AWSPREVIOUS
    /// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html>).
    pub(super) fn promote(&mut self, id: &str) {
        let holder = self.current().map(|version| version.id.clone());
        if holder.as_deref() == Some(id) {
            return;
        }
        for version in &mut self.versions {
            version.stages.remove("AWSPREVIOUS");
            if version.stages.remove("AWSCURRENT") {
                version.stages.insert("AWSPREVIOUS".into());
            }
            if version.id == id {
                version.stages = BTreeSet::from(["AWSCURRENT".to_owned()]);
            }
        }
    }
}
