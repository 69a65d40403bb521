//! What a target is: the kind of place and its settings, resolved, free of YAML and of any client.
//!
//! The manifest produces these, the providers obey them, the planner compares their [`Attributes`]
//! with what a store holds.

use std::collections::BTreeMap;

use crate::secret::Shape;

/// What can be seen of a place without its value, by attribute name: `description`, `kms_key_id`,
/// `tag:Environment`, `replica:us-west-2`. Both sides, desired and observed, use the same names and
/// the same normal form, so that a plain comparison tells what differs.
pub type Attributes = BTreeMap<String, String>;

/// Attribute of a place that has a copy in a region: `replica:<region>`, its key. A copy that failed does
/// not count, so that it is asked for again.
pub const REPLICA: &str = "replica:";
/// Attribute of a copy that is not in sync: `replica_status:<region>`, the store's word for it.
pub const REPLICA_STATUS: &str = "replica_status:";
/// The store's word for a copy that could not be made.
pub const REPLICA_FAILED: &str = "Failed";
/// Attribute of a copy that failed: `replica_message:<region>`, why.
pub const REPLICA_MESSAGE: &str = "replica_message:";
/// Attribute of a copy, or of a place that has some: the region of the one that is written.
pub const PRIMARY_REGION: &str = "primary_region";

/// What a place that holds no value is asked for with its rotation: a new key of the store's own making.
pub const ROTATION: &str = "rotation";

/// Every kind of place the specification knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    /// A key in a local file.
    File,
    /// AWS Secrets Manager.
    SecretsManager,
    /// AWS Systems Manager Parameter Store.
    SsmParameter,
    /// A secret in Azure Key Vault.
    KeyVault,
    /// A certificate in Azure Key Vault.
    KeyVaultCertificate,
    /// Vault's key-value store.
    Kv,
    /// A role of Vault's database engine.
    DatabaseRole,
    /// A key of Vault's transit engine.
    TransitKey,
    /// Google Secret Manager.
    SecretManager,
}

impl TargetKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::File,
        Self::SecretsManager,
        Self::SsmParameter,
        Self::KeyVault,
        Self::KeyVaultCertificate,
        Self::Kv,
        Self::DatabaseRole,
        Self::TransitKey,
        Self::SecretManager,
    ];

    /// The word of the Secretfile.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::SecretsManager => "secrets_manager",
            Self::SsmParameter => "ssm_parameter",
            Self::KeyVault => "key_vault",
            Self::KeyVaultCertificate => "key_vault_certificate",
            Self::Kv => "kv",
            Self::DatabaseRole => "database_role",
            Self::TransitKey => "transit_key",
            Self::SecretManager => "secret_manager",
        }
    }

    /// What a person calls it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::File => "Local file",
            Self::SecretsManager => "AWS Secrets Manager",
            Self::SsmParameter => "AWS SSM Parameter",
            Self::KeyVault => "Azure Key Vault",
            Self::KeyVaultCertificate => "Azure Key Vault certificate",
            Self::Kv => "Vault KV",
            Self::DatabaseRole => "Vault database role",
            Self::TransitKey => "Vault transit key",
            Self::SecretManager => "Google Secret Manager",
        }
    }

    /// Whether the place holds the secret's value (a role or a transit key does not).
    #[must_use]
    pub const fn holds_value(self) -> bool {
        !matches!(self, Self::DatabaseRole | Self::TransitKey)
    }

    /// The rank when a primary is chosen: stores with a conditional create first, then Google,
    /// then Azure, then a file; kinds that hold no value cannot be one.
    #[must_use]
    pub const fn primary_rank(self) -> Option<u8> {
        match self {
            Self::SecretsManager | Self::SsmParameter | Self::Kv => Some(0),
            Self::SecretManager => Some(1),
            Self::KeyVault | Self::KeyVaultCertificate => Some(2),
            Self::File => Some(3),
            Self::DatabaseRole | Self::TransitKey => None,
        }
    }
}

/// One place that a secret must be stored in, with everything resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where and how.
    pub settings: TargetSettings,
    /// How the secret's value is built.
    pub shape: Shape,
}

/// The settings of each kind; a variant per [`TargetKind`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the settings of the kind of the same name")]
pub enum TargetSettings {
    File(FileSettings),
    SecretsManager(SecretsManagerSettings),
    SsmParameter(SsmParameterSettings),
    KeyVault(KeyVaultSettings),
    KeyVaultCertificate(KeyVaultCertificateSettings),
    Kv(KvSettings),
    DatabaseRole(DatabaseRoleSettings),
    TransitKey(TransitKeySettings),
    SecretManager(SecretManagerSettings),
}

impl TargetSettings {
    /// The kind that these settings belong to.
    #[must_use]
    pub const fn kind(&self) -> TargetKind {
        match self {
            Self::File(_) => TargetKind::File,
            Self::SecretsManager(_) => TargetKind::SecretsManager,
            Self::SsmParameter(_) => TargetKind::SsmParameter,
            Self::KeyVault(_) => TargetKind::KeyVault,
            Self::KeyVaultCertificate(_) => TargetKind::KeyVaultCertificate,
            Self::Kv(_) => TargetKind::Kv,
            Self::DatabaseRole(_) => TargetKind::DatabaseRole,
            Self::TransitKey(_) => TargetKind::TransitKey,
            Self::SecretManager(_) => TargetKind::SecretManager,
        }
    }

    /// The name within its store, as a person would look it up there.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::File(s) => &s.path,
            Self::SecretsManager(s) => &s.name,
            Self::SsmParameter(s) => &s.name,
            Self::KeyVault(s) => &s.secret_name,
            Self::KeyVaultCertificate(s) => &s.certificate_name,
            Self::Kv(s) => &s.path,
            Self::DatabaseRole(s) => &s.role_name,
            Self::TransitKey(s) => &s.key_name,
            Self::SecretManager(s) => &s.secret_id,
        }
    }

    /// The tags, labels or custom metadata that a policy may require.
    #[must_use]
    pub fn tags(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::SecretsManager(s) => Some(&s.tags),
            Self::SsmParameter(s) => Some(&s.tags),
            Self::KeyVault(s) => Some(&s.tags),
            Self::KeyVaultCertificate(s) => Some(&s.tags),
            Self::Kv(s) => Some(&s.metadata),
            Self::SecretManager(s) => Some(&s.labels),
            Self::File(_) | Self::DatabaseRole(_) | Self::TransitKey(_) => None,
        }
    }
}

/// The syntax of a local file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// `KEY=value` lines.
    Dotenv,
    /// One JSON object.
    Json,
    /// One YAML mapping.
    Yaml,
}

/// `kind: file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSettings {
    /// Path relative to the folder of the Secretfile, with `/` and without `..`.
    pub path: String,
    /// Syntax.
    pub format: FileFormat,
    /// Keep what else stands in the file; without it the file holds nothing but ours.
    pub merge: bool,
    /// The key: the secret's name (in upper case with `_` for `-` in dotenv), unless declared.
    pub key: String,
}

/// A region that Secrets Manager copies a secret to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaRegion {
    /// Name of the region.
    pub region: String,
    /// Key in that region; the store's default when missing.
    pub kms_key_id: Option<String>,
}

/// `kind: secrets_manager`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecretsManagerSettings {
    /// 1–512 characters of `A-Za-z0-9/_+=.@-`.
    pub name: String,
    /// At most 2,048 characters.
    pub description: Option<String>,
    /// Key id, alias or ARN; the store's default when missing.
    pub kms_key_id: Option<String>,
    /// Regions with a read-only copy.
    pub replica_regions: Vec<ReplicaRegion>,
    /// At most 49, one is ours.
    pub tags: BTreeMap<String, String>,
}

/// Type of an SSM parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the vendor's own words")]
pub enum ParameterType {
    String,
    StringList,
    SecureString,
}

/// Tier of an SSM parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the vendor's own words")]
pub enum ParameterTier {
    Standard,
    Advanced,
    IntelligentTiering,
}

/// `kind: ssm_parameter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SsmParameterSettings {
    /// At most 1,011 characters with the ARN prefix, at most 15 levels.
    pub name: String,
    /// `SecureString` when missing.
    pub parameter_type: ParameterType,
    /// `Standard` when missing.
    pub tier: ParameterTier,
    /// `text` when missing.
    pub data_type: String,
    /// A JSON array of policies in canonical form.
    pub policies: Option<String>,
    /// When an Expiration policy deletes the parameter, the earliest if there are several; a moment in
    /// the past would delete it at once.
    pub expires: Option<jiff::Timestamp>,
    /// At most 1,024 characters.
    pub description: Option<String>,
    /// Key id, alias or ARN; the account's `alias/aws/ssm` when missing.
    pub kms_key_id: Option<String>,
    /// At most 49, one is ours.
    pub tags: BTreeMap<String, String>,
}

impl SsmParameterSettings {
    /// A parameter of which only the name is known.
    #[must_use]
    pub fn named(name: String) -> Self {
        Self {
            name,
            parameter_type: ParameterType::SecureString,
            tier: ParameterTier::Standard,
            data_type: "text".into(),
            policies: None,
            expires: None,
            description: None,
            kms_key_id: None,
            tags: BTreeMap::new(),
        }
    }
}

/// A moment that is fixed or counted from the generation's creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A fixed moment.
    At(jiff::Timestamp),
    /// So many seconds after the generation was made.
    After(i64),
}

/// `kind: key_vault`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyVaultSettings {
    /// `https://<vault>.vault.azure.net` or a sovereign suffix.
    pub vault_url: String,
    /// 1–127 characters of `A-Za-z0-9-`; its case does not count.
    pub secret_name: String,
    /// At most 255 characters.
    pub content_type: Option<String>,
    /// When missing, a new secret is enabled, and one that somebody disabled stays so.
    pub enabled: Option<bool>,
    /// Informational end of validity.
    pub expires_on: Option<When>,
    /// Informational start of validity.
    pub not_before: Option<When>,
    /// At most 14, one is ours.
    pub tags: BTreeMap<String, String>,
}

/// `kind: key_vault_certificate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyVaultCertificateSettings {
    /// `https://<vault>.vault.azure.net` or a sovereign suffix.
    pub vault_url: String,
    /// 1–127 characters of `A-Za-z0-9-`.
    pub certificate_name: String,
    /// `application/x-pkcs12` or `application/x-pem-file`.
    pub content_type: String,
    /// At most 14, one is ours.
    pub tags: BTreeMap<String, String>,
}

/// `kind: kv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvSettings {
    /// Path below the mount.
    pub path: String,
    /// `secret` when missing.
    pub mount_point: String,
    /// 1 or 2; 2 when missing.
    pub version: u8,
    /// Field that holds a single value.
    pub key: String,
    /// `Some(0)`: the first write must create.
    pub cas: Option<u64>,
    /// Custom metadata (version 2 only), at most 63 keys, one is ours.
    pub metadata: BTreeMap<String, String>,
}

/// `kind: database_role`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseRoleSettings {
    /// `database` when missing.
    pub database_mount: String,
    /// Name of the role.
    pub role_name: String,
    /// Name of the connection.
    pub db_name: String,
    /// Passed through untouched.
    pub creation_statements: Vec<String>,
    /// Seconds.
    pub default_ttl_seconds: Option<u64>,
    /// Seconds.
    pub max_ttl_seconds: Option<u64>,
}

/// Types of transit keys (<https://developer.hashicorp.com/vault/api-docs/secret/transit>).
pub const TRANSIT_KEY_TYPES: &[&str] = &[
    "aes128-gcm96",
    "aes256-gcm96",
    "chacha20-poly1305",
    "xchacha20-poly1305",
    "ed25519",
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "rsa-2048",
    "rsa-3072",
    "rsa-4096",
    "hmac",
    "aes128-cmac",
    "aes192-cmac",
    "aes256-cmac",
    "ml-dsa",
    "slh-dsa",
    "hybrid",
    "managed_key",
];

/// `kind: transit_key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransitKeySettings {
    /// `transit` when missing.
    pub mount_point: String,
    /// Name of the key.
    pub key_name: String,
    /// `aes256-gcm96` when missing.
    pub key_type: String,
    /// Fixed at creation.
    pub derived: bool,
    /// Fixed at creation.
    pub convergent_encryption: bool,
    /// One way: false to true.
    pub exportable: bool,
    /// One way: false to true.
    pub allow_plaintext_backup: bool,
    /// Seconds; 0 turns it off.
    pub auto_rotate_period_seconds: Option<u64>,
    /// Left alone when missing.
    pub deletion_allowed: Option<bool>,
}

/// Where Google keeps the copies of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replication {
    /// Google decides; with an optional global key.
    Automatic(Option<String>),
    /// These locations, each with an optional key.
    UserManaged(Vec<ReplicaRegion>),
}

/// `kind: secret_manager`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretManagerSettings {
    /// Project id; the provider's when missing.
    pub project_id: Option<String>,
    /// 1–255 characters of `A-Za-z0-9_-`.
    pub secret_id: String,
    /// At most 64.
    pub labels: BTreeMap<String, String>,
    /// Free text beside ours.
    pub annotations: BTreeMap<String, String>,
    /// Fixed at creation.
    pub replication: Replication,
    /// Topics to notify, at most 10.
    pub topics: Vec<String>,
    /// Seconds between two notifications, at least 3,600.
    pub rotation_period_seconds: Option<u64>,
    /// First notification.
    pub next_rotation_time: Option<jiff::Timestamp>,
    /// When the secret is deleted.
    pub expire_time: Option<When>,
    /// How many versions stay; all when missing.
    pub keep_versions: Option<u32>,
}
