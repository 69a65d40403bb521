//! The flags of `trust`, `permissions` and `doctor`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Strictness;
use crate::trust;

/// Where a run logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the vendors' own names")]
pub enum Cloud {
    Aws,
    Azure,
    Gcp,
    Vault,
}

impl From<Cloud> for trust::Cloud {
    fn from(cloud: Cloud) -> Self {
        match cloud {
            Cloud::Aws => Self::Aws,
            Cloud::Azure => Self::Azure,
            Cloud::Gcp => Self::Gcp,
            Cloud::Vault => Self::Vault,
        }
    }
}

/// What a run may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    /// Look at metadata.
    Plan,
    /// Write, and read back.
    Sync,
}

impl From<Phase> for trust::Phase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Plan => Self::Plan,
            Phase::Sync => Self::Sync,
        }
    }
}

/// Whose CI it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Forge {
    /// GitHub Actions
    Github,
    /// GitLab CI
    Gitlab,
    /// Our own service, as the issuer of its runs' tokens
    Secretzero,
}

/// Which forms of GitHub's subject are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SubjectForm {
    /// `repo:OWNER/NAME:…`
    Names,
    /// `repo:OWNER@ID/NAME@ID:…`
    Ids,
    /// Whichever comes.
    Both,
}

/// `trust`.
#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Print what a cloud must be told to trust exactly the runs of this repository
    Generate(GenerateArgs),
    /// Find what is wrong with trust policies, roles and rights; needs no network
    Lint(LintArgs),
}

/// `trust generate`.
#[derive(Debug, Clone, Args)]
pub struct GenerateArgs {
    /// For which cloud
    #[arg(long, value_enum, value_name = "CLOUD")]
    pub cloud: Cloud,
    /// What the runs may do [default: both, a text for each]
    #[arg(long, value_enum, value_name = "PHASE")]
    pub phase: Option<Phase>,
    /// The repository, as `owner/name` [default: that of the CI job or of git]
    #[arg(long, value_name = "NAME", help_heading = "Which runs")]
    pub repository: Option<String>,
    /// The repository's number [default: the CI job's]
    #[arg(long, value_name = "ID", help_heading = "Which runs")]
    pub repository_id: Option<String>,
    /// The number of its owner [default: the CI job's]
    #[arg(long, value_name = "ID", help_heading = "Which runs")]
    pub owner_id: Option<String>,
    /// The default branch [default: that of the CI job or of git, else main]
    #[arg(long, value_name = "NAME", help_heading = "Which runs")]
    pub branch: Option<String>,
    /// Whose CI it is [default: told by the repository's address]
    #[arg(long, value_enum, value_name = "FORGE", help_heading = "Which runs")]
    pub forge: Option<Forge>,
    /// Of the service: the host that the repository is on [default: that of the CI job, else github.com]
    #[arg(long, value_name = "HOST", help_heading = "Which runs")]
    pub host: Option<String>,
    /// Who signs the tokens [default: the forge]
    #[arg(long, value_name = "URL", help_heading = "Which runs")]
    pub issuer: Option<String>,
    /// What the tokens are made for [default: the cloud's usual one]
    #[arg(long, value_name = "TEXT", help_heading = "Which runs")]
    pub audience: Option<String>,
    /// Which forms of GitHub's subject are trusted
    #[arg(long, value_enum, value_name = "FORM", default_value_t = SubjectForm::Both, help_heading = "Which runs")]
    pub subject_form: SubjectForm,
    /// Also ask for claims beyond subject and audience: the repository's id, the forge's own runners
    #[arg(long, help_heading = "Which runs")]
    pub harden: bool,
    /// AWS: the number of the account; Google: the id of the project
    #[arg(long, value_name = "ID", help_heading = "Where")]
    pub account: Option<String>,
    /// Google: the number of the project
    #[arg(long, value_name = "NUMBER", help_heading = "Where")]
    pub project_number: Option<String>,
    /// Vault: where the JWT method is mounted [default: jwt]
    #[arg(long, value_name = "PATH", help_heading = "Where")]
    pub mount: Option<String>,
}

/// `trust lint`.
#[derive(Debug, Clone, Args)]
pub struct LintArgs {
    /// The files: JSON, YAML, HCL or shell. Two that trust somebody are taken for the roles of plan and sync
    #[arg(required = true, value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// What the role is for [default: told by whom it trusts]
    #[arg(long, value_enum, value_name = "PHASE")]
    pub phase: Option<Phase>,
    /// The repository, as `owner/name`, to compare its spelling [default: that of the CI job or of git]
    #[arg(long, value_name = "NAME")]
    pub repository: Option<String>,
    /// How strict to be.
    #[command(flatten)]
    pub strictness: Strictness,
}

/// `permissions`.
#[derive(Debug, Clone, Args)]
pub struct PermissionsArgs {
    /// What the runs may do [default: both, texts for each]
    #[arg(long, value_enum, value_name = "PHASE")]
    pub phase: Option<Phase>,
    /// For which cloud [default: each that the Secretfile uses]
    #[arg(long, value_enum, value_name = "CLOUD")]
    pub cloud: Option<Cloud>,
    /// AWS: the number of the account, where no role of the Secretfile tells it
    #[arg(long, value_name = "ID", help_heading = "Where")]
    pub account: Option<String>,
    /// Google: the number of the project
    #[arg(long, value_name = "NUMBER", help_heading = "Where")]
    pub project_number: Option<String>,
    /// Azure: the id of the subscription
    #[arg(long, value_name = "ID", help_heading = "Where")]
    pub subscription: Option<String>,
    /// Azure: the resource group of the vaults
    #[arg(long, value_name = "NAME", help_heading = "Where")]
    pub resource_group: Option<String>,
}

/// `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Ask neither the forge nor any store
    #[arg(long)]
    pub offline: bool,
}
