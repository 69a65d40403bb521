//! What every command starts from: the world it runs in and the Secretfile it was given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{Backoff, Common, RateLimit, StoreArgs};
use super::console::{Console, Tone};
use super::exit::Exit;
use crate::apply::{FileLedger, LedgerError};
use crate::clock::{Clock, Entropy};
use crate::connect::Connect;
use crate::diagnostic::{Diagnostic, Severity, Source, Span, nearest, render};
use crate::disk::Disk;
use crate::environment::Environment;
use crate::limiter;
use crate::lockfile::LOCKFILE_NAME;
use crate::manifest::{Credentials, Inputs, Manifest, Statics, load};
use crate::plan::{Scope, Stores};
use crate::target::TargetKind;

/// Largest file of variables, in bytes.
const VAR_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Largest Secretfile, in bytes.
const SECRETFILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The world a command runs in.
pub struct Session {
    /// The process environment.
    pub environment: Environment,
    /// The present moment.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// The machine's files.
    pub disk: Arc<dyn Disk>,
    /// Standard output and standard error.
    pub console: Console,
    /// Flags of every command.
    pub common: Common,
}

/// A Secretfile that was read and found valid.
pub struct Workspace {
    /// Its text.
    pub source: Source,
    /// Its meaning.
    pub manifest: Manifest,
    /// Warnings about it.
    pub warnings: Vec<Diagnostic>,
    /// The folder it stands in.
    pub folder: PathBuf,
}

/// How a Secretfile is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Depth {
    /// What happens to variables inside static values.
    pub statics: Statics,
    /// What happens to missing variables of provider blocks.
    pub credentials: Credentials,
}

impl Depth {
    /// Everything must be there.
    pub const FULL: Self = Self { statics: Statics::Resolve, credentials: Credentials::Require };
    /// What `validate` and `policy` need.
    pub const CHECK: Self = Self { statics: Statics::Resolve, credentials: Credentials::Leave };
}

impl Session {
    /// Reads the Secretfile; tells what is wrong with it.
    ///
    /// # Errors
    /// [`Exit::Invalid`], or [`Exit::Error`] if it cannot be read; both were told already.
    pub fn open(&self, depth: Depth) -> Result<Workspace, Exit> {
        let path = &self.common.file;
        let name = path.display().to_string();
        let source = self.source(path, &name).map_err(|finding| {
            self.findings(&Source::new(name, ""), &[finding]);
            Exit::Invalid
        })?;
        let loaded = self.read(&source, depth)?;
        match loaded.manifest {
            Some(manifest) => {
                let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
                Ok(Workspace { source, manifest, warnings: loaded.diagnostics, folder })
            }
            None => {
                self.findings(&source, &loaded.diagnostics);
                Err(Exit::Invalid)
            }
        }
    }

    /// The text of a Secretfile.
    ///
    /// # Errors
    /// A finding that says why it cannot be read.
    pub fn source(&self, path: &Path, name: &str) -> Result<Source, Diagnostic> {
        let problem = |code, message: String, help: &str| Diagnostic {
            code,
            severity: Severity::Error,
            message,
            span: Span::default(),
            help: Some(help.to_owned()),
            secret: None,
        };
        match self.disk.read(path, SECRETFILE_BYTES_MAX) {
            Ok(Some(bytes)) => Source::from_bytes(name, bytes),
            Ok(None) => {
                let help = "name it with `-f PATH`; `secretzero demo` shows one at work";
                Err(problem("no-secretfile", format!("there is no Secretfile at {name}"), help))
            }
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                Err(problem("too-large", format!("{name} is larger than 4 MiB"), "split it into several Secretfiles"))
            }
            Err(error) => Err(problem(
                "unreadable",
                format!("{name} cannot be read: {error}"),
                "check the path and its permissions",
            )),
        }
    }

    /// Resolves a Secretfile's text with this session's variables.
    ///
    /// # Errors
    /// [`Exit::Invalid`] if a file of variables cannot be used; it was told already.
    pub fn read(&self, source: &Source, depth: Depth) -> Result<crate::manifest::Loaded, Exit> {
        let environment = |name: &str| self.environment.get(name).map(str::to_owned);
        let inputs = Inputs {
            var_overrides: self.variables()?,
            statics: depth.statics,
            credentials: depth.credentials,
            ..Inputs::new(&environment, self.clock.now())
        };
        Ok(load(source, &inputs))
    }

    fn variables(&self) -> Result<BTreeMap<String, String>, Exit> {
        let mut variables = BTreeMap::new();
        for path in &self.common.var_file {
            let text = match self.disk.read(path, VAR_FILE_BYTES_MAX) {
                Ok(Some(bytes)) => String::from_utf8(bytes).unwrap_or_default(),
                Ok(None) => {
                    let reason = format!("there is no file of variables at {}", path.display());
                    return Err(self.fail(Exit::Invalid, &reason, "check `--var-file`"));
                }
                Err(error) => {
                    let reason = format!("{} cannot be read: {error}", path.display());
                    return Err(self.fail(Exit::Invalid, &reason, "check `--var-file`"));
                }
            };
            let parsed: Result<BTreeMap<String, String>, _> = serde_saphyr::from_str(&text);
            let Ok(parsed) = parsed else {
                let reason = format!("{} is not a mapping of names to text", path.display());
                return Err(self.fail(Exit::Invalid, &reason, "write one `name: value` a line"));
            };
            variables.extend(parsed);
        }
        Ok(variables)
    }

    /// Shows findings about a file on standard error.
    pub fn findings(&self, source: &Source, findings: &[Diagnostic]) {
        if !findings.is_empty() {
            self.console.note(render(source, findings, self.console.color()).trim_end());
        }
        if self.console.is_json() && findings.iter().any(|finding| finding.severity == Severity::Error) {
            self.console.json(&serde_json::json!({
                "valid": false,
                "findings": super::report::findings(&source.name, findings),
            }));
        }
    }

    /// Tells an error and what to do now.
    pub fn fail(&self, exit: Exit, reason: &str, help: &str) -> Exit {
        self.console.note(&format!("{} {reason}", self.console.paint(Tone::Bad, "error:")));
        if !help.is_empty() {
            self.console.note(&format!("  {} {help}", self.console.paint(Tone::Dim, "help:")));
        }
        exit
    }

    /// The lock's path.
    #[must_use]
    pub fn lock_path(&self, workspace: &Workspace) -> PathBuf {
        self.common.lockfile.clone().unwrap_or_else(|| workspace.folder.join(LOCKFILE_NAME))
    }

    /// The lock as a file, kept from other runs if something is to be written.
    ///
    /// # Errors
    /// [`Exit::Locked`] if another run holds it; it was told already.
    pub fn ledger(&self, workspace: &Workspace, writes: bool) -> Result<FileLedger, Exit> {
        let ledger = FileLedger::new(Arc::clone(&self.disk), self.lock_path(workspace));
        if !writes {
            return Ok(ledger);
        }
        ledger.guarded().map_err(|error| self.ledger_failed(&error))
    }

    /// Tells why the lock or the journal could not be used.
    pub fn ledger_failed(&self, error: &LedgerError) -> Exit {
        let exit = if matches!(error, LedgerError::Busy(_)) { Exit::Locked } else { Exit::Error };
        self.fail(exit, &error.to_string(), "")
    }

    /// What the flags select.
    ///
    /// # Errors
    /// [`Exit::Error`] for an unknown provider, secret or kind; it was told already.
    pub fn scope(&self, manifest: &Manifest, args: &StoreArgs) -> Result<Scope, Exit> {
        let kinds: Vec<&str> = TargetKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let aliases: Vec<&str> =
            manifest.providers.iter().flat_map(|block| [block.alias.value.as_str(), block.kind.as_str()]).collect();
        let secrets: Vec<&str> = manifest.secrets.iter().map(|secret| secret.name.value.as_str()).collect();
        self.known("provider", &args.provider, &aliases)?;
        self.known("secret", &args.secret, &secrets)?;
        self.known("target type", &args.target_type, &kinds)?;
        let selected = |kind: &&TargetKind| args.target_type.iter().any(|name| name == kind.as_str());
        Ok(Scope {
            secrets: args.secret.clone(),
            providers: args.provider.clone(),
            kinds: TargetKind::ALL.iter().filter(selected).copied().collect(),
            local_left_out: None,
            offline: false,
        })
    }

    fn known(&self, what: &str, asked: &[String], known: &[&str]) -> Result<(), Exit> {
        let Some(unknown) = asked.iter().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
        let help = nearest(unknown, known.iter().copied())
            .map_or_else(|| format!("known are: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
        Err(self.fail(Exit::Error, &format!("there is no {what} `{unknown}` in the Secretfile"), &help))
    }

    /// Connects every provider block.
    #[must_use]
    pub fn connect(&self, workspace: &Workspace, args: &StoreArgs) -> Stores {
        let retry = limiter::RetryPolicy {
            attempts_max: args.retry_max_attempts,
            backoff: match args.retry_backoff {
                Backoff::Exponential => limiter::Backoff::Exponential,
                Backoff::Constant => limiter::Backoff::Constant,
            },
            ..limiter::RetryPolicy::default()
        };
        let rate_limit = match args.rate_limit {
            RateLimit::Auto => limiter::RateLimit::Auto,
            RateLimit::Off => limiter::RateLimit::Off,
        };
        let (folder, disk, entropy) = (&workspace.folder, &self.disk, &self.entropy);
        Connect { folder, disk, entropy, retry, rate_limit }.all(&workspace.manifest)
    }
}
