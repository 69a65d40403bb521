//! A Secretfile as typed values, every one of them with the place where it was written.
//!
//! Bytes become a spanned tree, the tree becomes these types with variables and templates resolved,
//! and all problems are told at once. Nothing here reads a file, the network, the clock or the
//! environment: what is needed of them is handed in.

mod check;
mod costs;
mod duration;
mod environments;
mod excerpt;
mod generators;
mod law;
mod load;
mod metadata;
mod moved;
mod names;
pub(crate) mod node;
mod policies;
mod providers;
mod read;
mod schema;
mod secrets;
mod statics;
mod targets;
mod templates;
mod values;
mod variables;

use std::collections::BTreeMap;

pub use environments::{environments, lock_name, variables_file};
pub use law::{Law, law, secret_names};
pub use load::{Credentials, Inputs, Loaded, Statics, load};
pub use names::is_secret_name;
pub use schema::schema;

use crate::diagnostic::{Severity, Span, Spanned};
use crate::secret::{Encoding, SecretValue, Shape};
use crate::target::{TargetKind, TargetSettings};

/// A whole Secretfile, resolved.
#[derive(Clone)]
pub struct Manifest {
    /// `metadata:`.
    pub metadata: Metadata,
    /// `providers:` in the order of the file.
    pub providers: Vec<ProviderBlock>,
    /// `policies:` in the order of the file.
    pub policies: Vec<Policy>,
    /// `costs:`.
    pub costs: Costs,
    /// `secrets:` in the order of the file.
    pub secrets: Vec<Secret>,
    /// The chosen one of `environments:`; `None` for a file that declares none.
    pub environment: Option<Environment>,
}

/// One of `environments:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its name: `[a-z0-9][a-z0-9-]*`, at most 32 characters.
    pub name: Spanned<String>,
    /// Files of variables, relative to the folder of the Secretfile; a later one wins over an earlier.
    /// They climb out of it by no `..`, but links are for the reader of files to refuse.
    pub var_files: Vec<Spanned<String>>,
    /// Where its lock is kept, relative to that folder, if it says so.
    pub lockfile: Option<Spanned<String>>,
}

impl Environment {
    /// Where its lock is kept, relative to the folder of the Secretfile.
    #[must_use]
    pub fn lock_path(&self) -> String {
        self.lockfile.as_ref().map_or_else(|| lock_name(&self.name.value), |lockfile| lockfile.value.clone())
    }
}

/// `metadata:`; free text but for the ids and the compliance packs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Name of the project.
    pub project: Option<Spanned<String>>,
    /// Identity that survives a rename of the project.
    pub project_id: Option<Spanned<String>>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Free text.
    pub classification: Option<String>,
    /// Built-in policy packs to turn on.
    pub compliance: Vec<Spanned<Compliance>>,
}

/// A built-in policy pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the standards' own names")]
pub enum Compliance {
    Soc2,
    Iso27001,
    PciDss,
}

/// `costs:`: what a team pays, where that is not the list price.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Costs {
    /// Three letters; that of the list prices when missing. With another one every price is given.
    pub currency: Option<String>,
    /// What one object costs a month, in ten-thousandths of the currency.
    pub prices: BTreeMap<Priced, u64>,
}

impl Costs {
    /// The currency of the list prices.
    pub const LIST_CURRENCY: &str = "USD";

    /// The currency of every price.
    #[must_use]
    pub fn currency(&self) -> &str {
        self.currency.as_deref().unwrap_or(Self::LIST_CURRENCY)
    }
}

/// What has a price for each month that it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priced {
    /// A secret or a replica in Secrets Manager.
    SecretsManager,
    /// A parameter of SSM's tier Advanced.
    SsmAdvanced,
}

impl Priced {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::SecretsManager, Self::SsmAdvanced];

    /// The word of the Secretfile.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecretsManager => "secrets_manager",
            Self::SsmAdvanced => "ssm_advanced",
        }
    }
}

/// What a provider block connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the vendors' own names")]
pub enum ProviderKind {
    Local,
    Aws,
    Azure,
    Vault,
    Gcp,
}

impl ProviderKind {
    /// The word of the Secretfile.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Vault => "vault",
            Self::Gcp => "gcp",
        }
    }

    /// The kinds of target it serves.
    #[must_use]
    pub const fn targets(self) -> &'static [TargetKind] {
        match self {
            Self::Local => &[TargetKind::File],
            Self::Aws => &[TargetKind::SecretsManager, TargetKind::SsmParameter],
            Self::Azure => &[TargetKind::KeyVault, TargetKind::KeyVaultCertificate],
            Self::Vault => &[TargetKind::Kv, TargetKind::DatabaseRole, TargetKind::TransitKey],
            Self::Gcp => &[TargetKind::SecretManager],
        }
    }
}

/// One entry of `providers:`.
#[derive(Clone)]
pub struct ProviderBlock {
    /// The name that targets use.
    pub alias: Spanned<String>,
    /// What it connects to.
    pub kind: ProviderKind,
    /// How to log in: `ambient`, `profile`, `default`, `token`, `oidc`, …; checked against the kind.
    pub auth_kind: String,
    /// `auth.config` (and `config`) with variables resolved. Values may be credentials.
    pub config: BTreeMap<String, Spanned<SecretValue>>,
    /// Settings left out of `config` because an environment variable they need is not set here, with
    /// that variable's name; only with [`Credentials::Leave`].
    pub unresolved: BTreeMap<String, Spanned<String>>,
    /// The whole block.
    pub span: Span,
}

impl ProviderBlock {
    /// A setting as text.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.config.get(name).and_then(|value| value.value.expose_text())
    }
}

/// One entry of `secrets:`.
#[derive(Clone)]
pub struct Secret {
    /// Its name.
    pub name: Spanned<String>,
    /// The name its identity is made from: the first it had, told by `moved: {from}`.
    pub first_name: String,
    /// How its value is made.
    pub source: Source,
    /// How often a new value is due.
    pub rotation_period: Option<Spanned<Period>>,
    /// Generated once and never rotated by schedule.
    pub one_time: bool,
    /// Take over objects that stand at its targets already, keeping their value.
    pub adopt: bool,
    /// Who answers for it; free text.
    pub owners: Vec<String>,
    /// Who reads it; free text.
    pub consumers: Vec<String>,
    /// Free text.
    pub description: Option<String>,
    /// Where it goes, in the order of the file.
    pub targets: Vec<Target>,
}

/// How the value of a secret is made.
#[derive(Clone)]
pub enum Source {
    /// By one generator.
    Single(Generator),
    /// By a template: a name and a generator for each field.
    Template(Vec<Field>),
}

impl Source {
    /// Whether the value is made elsewhere, so that nothing here may ever generate it.
    #[must_use]
    pub const fn is_external(&self) -> bool {
        matches!(self, Self::Single(Generator { kind: GeneratorKind::External(_), .. }))
    }

    /// What the declared text of the value stands for; fields are always text.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        match self {
            Self::Single(Generator { kind: GeneratorKind::Static(settings), .. }) => settings.encoding,
            Self::Single(Generator { kind: GeneratorKind::External(settings), .. }) => settings.encoding,
            Self::Single(_) | Self::Template(_) => Encoding::Text,
        }
    }

    /// What the value as a whole must match, if that is declared; fields have patterns of their own.
    #[must_use]
    pub fn validation(&self) -> Option<&Spanned<String>> {
        match self {
            Self::Single(Generator { kind: GeneratorKind::Static(settings), .. }) => settings.validation.as_ref(),
            Self::Single(Generator { kind: GeneratorKind::External(settings), .. }) => settings.validation.as_ref(),
            Self::Single(_) | Self::Template(_) => None,
        }
    }

    /// How the value is built.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match self {
            Self::Single(_) => Shape::Single,
            Self::Template(fields) => Shape::Fields(fields.iter().map(|f| f.name.value.clone()).collect()),
        }
    }
}

/// One field of a template.
#[derive(Clone)]
pub struct Field {
    /// Its name.
    pub name: Spanned<String>,
    /// How its value is made.
    pub generator: Generator,
}

/// Makes one text.
#[derive(Clone)]
pub struct Generator {
    /// What it makes.
    pub kind: GeneratorKind,
    /// Its declaration before variables were resolved, in a canonical one-line form; the lock keeps
    /// a hash of it, to see that it was edited.
    pub declaration: String,
    /// Where it was declared.
    pub span: Span,
}

/// The kinds of generator, with their settings.
#[derive(Clone)]
pub enum GeneratorKind {
    /// `random_password`.
    Password(PasswordSettings),
    /// `random_string`.
    Text(TextSettings),
    /// `static`.
    Static(StaticSettings),
    /// `uuid`, version 4.
    Uuid,
    /// `external`: made elsewhere; it is taken over and copied, never generated.
    External(ExternalSettings),
}

/// `external`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExternalSettings {
    /// What the whole value must match, anchored at both ends, before it is taken over.
    pub validation: Option<Spanned<String>>,
    /// What stores of text hold of it; stores of bytes hold it as it is.
    pub encoding: Encoding,
}

/// `random_password`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordSettings {
    /// Characters; 32 when missing.
    pub length: u32,
    /// The enabled classes after exclusions, each with at least one character and no duplicates;
    /// at least one of each ends up in the value.
    pub classes: Vec<String>,
}

/// `random_string`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextSettings {
    /// Characters; 32 when missing.
    pub length: u32,
    /// The characters to draw from, no duplicates.
    pub alphabet: String,
}

/// `static`.
#[derive(Clone)]
pub struct StaticSettings {
    /// The value, unless an environment variable in it was left unresolved (a plan needs none).
    pub value: Option<Vec<Part>>,
    /// What the whole declared text must match, anchored at both ends.
    pub validation: Option<Spanned<String>>,
    /// What the text stands for.
    pub encoding: Encoding,
}

/// A piece of a static value.
#[derive(Clone)]
pub enum Part {
    /// Text with variables resolved.
    Text(SecretValue),
    /// `{{field}}`: the value of that field in the same generation.
    Field(String),
}

/// One target of a secret.
#[derive(Clone)]
pub struct Target {
    /// Index into [`Manifest::providers`].
    pub provider: usize,
    /// What is written where.
    pub settings: TargetSettings,
    /// Declared as the primary.
    pub primary: bool,
    /// This place is only a copy that another target of the same secret replicates to (its index in
    /// [`Secret::targets`]): it is checked, never written.
    pub replica_of: Option<usize>,
    /// The place of the list entry.
    pub span: Span,
    /// The places of the settings by name (`name`, `tags`, `policies`, …), for findings.
    pub spans: BTreeMap<String, Span>,
}

impl Target {
    /// Where a setting stands, or the target itself.
    #[must_use]
    pub fn span_of(&self, setting: &str) -> Span {
        self.spans.get(setting).copied().unwrap_or(self.span)
    }
}

/// A span of time as written (`90d`), in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// As written.
    pub text: String,
    /// Length in seconds; a month counts 30 days, a year 365.
    pub seconds: i64,
}

/// One entry of `policies:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: Spanned<String>,
    /// What it demands.
    pub rule: Rule,
    /// How much a breach weighs; an error when missing.
    pub severity: Severity,
    /// Counts only when enabled; true when missing.
    pub enabled: bool,
}

/// What a policy demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// `kind: rotation`.
    Rotation {
        /// Every secret declares a period.
        require_rotation_period: bool,
        /// No period is longer.
        max_age: Option<Period>,
    },
    /// `kind: audit`.
    Audit {
        /// Every target carries tags.
        require_tags: bool,
        /// Tags that must be there; case, `-` and `_` do not count.
        required_tags: Vec<String>,
    },
    /// `kind: encryption`.
    Encryption {
        /// Stores that let a key be chosen have one chosen.
        require_kms: bool,
    },
    /// `kind: access`.
    Access {
        /// What may be used.
        allowed: AccessList,
        /// What may not.
        denied: AccessList,
    },
    /// `kind: complexity`.
    Complexity {
        /// Fewest characters.
        min_length: Option<u32>,
        /// Fewest character classes.
        min_classes: Option<u32>,
    },
}

/// What an access policy lists; an empty list says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessList {
    /// Provider aliases or kinds.
    pub providers: Vec<String>,
    /// Regions.
    pub regions: Vec<String>,
    /// Kinds of target.
    pub kinds: Vec<String>,
}
