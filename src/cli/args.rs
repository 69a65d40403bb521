//! The command line: every command and flag, and nothing of what they do.

mod trust;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use trust::{Cloud, DoctorArgs, Forge, GenerateArgs, LintArgs, PermissionsArgs, Phase, SubjectForm, TrustCommand};

/// Keeps the secrets of a Secretfile in the stores it names, without ever showing one.
#[derive(Debug, Parser)]
#[command(name = "secretzero", version, max_term_width = 100, disable_help_flag = true)]
#[command(after_help = "Begin with `secretzero demo`, or write a Secretfile.yml and run `secretzero validate`.")]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Flags of every command")]
pub struct Common {
    /// The Secretfile
    #[arg(short = 'f', long = "file", global = true, default_value = "Secretfile.yml", value_name = "PATH")]
    #[arg(display_order = 100)]
    pub file: PathBuf,
    /// Which of the Secretfile's environments; a file without any takes any name
    #[arg(long, global = true, value_name = "NAME", display_order = 101)]
    pub environment: Option<String>,
    /// A YAML file of variables that win over those of the Secretfile; may be repeated
    #[arg(long, global = true, value_name = "PATH", display_order = 102)]
    pub var_file: Vec<PathBuf>,
    /// Where the lock is kept [default: .gitsecrets.lock beside the Secretfile]
    #[arg(long, global = true, value_name = "PATH", display_order = 103)]
    pub lockfile: Option<PathBuf>,
    /// How to print the result
    #[arg(long, global = true, value_enum, default_value_t = Format::Human, display_order = 104)]
    pub format: Format,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    #[arg(display_order = 105)]
    pub color: Color,
    /// Say more; up to three times. Never a value
    #[arg(short, long, global = true, action = clap::ArgAction::Count, display_order = 106)]
    pub verbose: u8,
    /// Show this help
    #[arg(short, long, global = true, action = clap::ArgAction::HelpShort, display_order = 107)]
    pub help: Option<bool>,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON document on standard output.
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the Secretfile; needs no network and no credential
    Validate(Strictness),
    /// Connect to every provider and show who we are there
    Test(StoreArgs),
    /// Check the Secretfile against its policies; needs no network and no credential
    Policy(Strictness),
    /// Bring every store in line with the Secretfile
    Sync(SyncArgs),
    /// Make new values for what is due, and store them
    Rotate(RotateArgs),
    /// Rebuild the lock from the marks in the stores; writes to no store
    Refresh(StoreArgs),
    /// Show what stands in the stores differently from what SecretZero left there; writes nothing
    Drift(DriftArgs),
    /// Show which store and region holds which generation, and what is behind; heal it with `--heal`
    Dr(DrArgs),
    /// Write a first Secretfile with the names in `.env` files, never their values
    Init,
    /// Write what exists in a store already as a part of a Secretfile; reads no value
    Import(ImportArgs),
    /// Print the least rights that the Secretfile needs in each cloud; needs no network
    Permissions(PermissionsArgs),
    /// Print or check what a cloud must be told to trust the runs of this repository
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Look for what keeps a run from working: logins, rights, clock, workflows, stores
    Doctor(DoctorArgs),
    /// Print the JSON Schema of the Secretfile, for editors
    Schema,
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Do what the event of a CI job asks for (the entry point of the action)
    Ci,
    /// Run the main job on an embedded sample: a pull request, then its merge; needs no account
    Demo,
}

/// How strict to be.
#[derive(Debug, Clone, Args)]
pub struct Strictness {
    /// Fail on warnings as well
    #[arg(long)]
    pub fail_on_warning: bool,
}

/// Which targets, and how to talk to their stores.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// Only targets of this provider, by alias or kind; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "Which targets")]
    pub provider: Vec<String>,
    /// Only this secret; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "Which targets")]
    pub secret: Vec<String>,
    /// Only targets of this kind, such as `ssm_parameter`; may be repeated
    #[arg(long, value_name = "KIND", help_heading = "Which targets")]
    pub target_type: Vec<String>,
    /// How its stores are called.
    #[command(flatten)]
    pub calls: CallArgs,
    /// Hosts that a credential may be sent to beside its cloud's own; the action's input
    #[arg(skip)]
    pub allowed_hosts: Vec<String>,
}

/// How stores are called.
#[derive(Debug, Clone, Copy, Args)]
pub struct CallArgs {
    /// Pace calls to what the stores allow, or not at all (emulators and tests)
    #[arg(long, value_enum, default_value_t = RateLimit::Auto, value_name = "MODE")]
    #[arg(help_heading = "How stores are called")]
    pub rate_limit: RateLimit,
    /// How often one call is tried
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    #[arg(help_heading = "How stores are called")]
    pub retry_max_attempts: u32,
    /// How the wait between two tries grows
    #[arg(long, value_enum, default_value_t = Backoff::Exponential, value_name = "KIND")]
    #[arg(help_heading = "How stores are called")]
    pub retry_backoff: Backoff,
}

/// Whether calls are paced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RateLimit {
    /// Just below the rate at which a store starts to refuse.
    Auto,
    /// As fast as the store answers.
    Off,
}

/// How the wait between two tries grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backoff {
    /// It doubles.
    Exponential,
    /// It stays.
    Constant,
}

/// `sync`.
#[derive(Debug, Clone, Args)]
pub struct SyncArgs {
    /// Which targets.
    #[command(flatten)]
    pub stores: StoreArgs,
    /// Show what would happen, write nothing and read no value
    #[arg(long)]
    pub dry_run: bool,
    /// Make new values, due or not
    #[arg(long)]
    pub force: bool,
    /// Take over existing objects that are not ours, keeping their value
    #[arg(long, conflicts_with = "overwrite")]
    pub adopt: bool,
    /// Replace the value of existing objects that are not ours
    #[arg(long)]
    pub overwrite: bool,
    /// Exit 2 when changes are pending
    #[arg(long)]
    pub detailed_exitcode: bool,
}

/// `rotate`.
#[derive(Debug, Clone, Args)]
pub struct RotateArgs {
    /// Which targets.
    #[command(flatten)]
    pub stores: StoreArgs,
    /// Show what would happen, write nothing and read no value
    #[arg(long)]
    pub dry_run: bool,
    /// Rotate the secrets named by `--secret`, due or not
    #[arg(long, requires = "secret")]
    pub force: bool,
    /// Exit 2 when changes are pending
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Most rotations in one run [default: all that are due]
    #[arg(long, value_name = "N")]
    pub max_rotations: Option<usize>,
}

/// `drift`.
#[derive(Debug, Clone, Args)]
pub struct DriftArgs {
    /// Which targets.
    #[command(flatten)]
    pub stores: StoreArgs,
    /// Exit 2 when there is drift
    #[arg(long)]
    pub detailed_exitcode: bool,
}

/// `dr`.
#[derive(Debug, Clone, Args)]
pub struct DrArgs {
    /// Which targets.
    #[command(flatten)]
    pub stores: StoreArgs,
    /// Bring up to date what is behind, from a place that holds the value in force; makes no new value
    #[arg(long)]
    pub heal: bool,
    /// Heal with this target as the primary, while the declared one cannot be reached: the alias of a
    /// provider, a region, or the name of a place
    #[arg(long, value_name = "TARGET")]
    pub promote_primary: Option<String>,
}

/// `import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// Where to look: the alias of a provider of the Secretfile or, without one, `aws`, `azure`, `vault` or `gcp`
    #[arg(long, value_name = "NAME", help_heading = "What to look for")]
    pub provider: String,
    /// Only objects whose name begins like this; a `/` before it does not count
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, help_heading = "What to look for")]
    pub prefix: String,
    /// Another region than the provider's
    #[arg(long, value_name = "NAME", help_heading = "What to look for")]
    pub region: Option<String>,
    /// Only targets of this kind, such as `ssm_parameter`; may be repeated
    #[arg(long, value_name = "KIND", help_heading = "What to look for")]
    pub target_type: Vec<String>,
    /// A new file to write, or `-` for standard output
    #[arg(long, value_name = "PATH", default_value = "-")]
    pub output: PathBuf,
    /// How its stores are called.
    #[command(flatten)]
    pub calls: CallArgs,
}

/// `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}
