//! What every command starts from: the world it runs in and the Secretfile it was given.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;

use super::args::{Common, StoreArgs};
use super::ci::inputs::allow_env;
use super::console::{Console, Tone};
use super::exit::Exit;
use super::show::plural;
use super::trusted::may_sync;
use crate::apply::{FileLedger, LedgerError};
use crate::clock::{Clock, Entropy};
use crate::diagnostic::{Diagnostic, Severity, Source, Span, Spanned, nearest, quote, render};
use crate::disk::{Disk, make_folder};
use crate::environment::Environment;
use crate::lockfile::LOCKFILE_NAME;
use crate::manifest::{Credentials, Inputs, Loaded, Manifest, Statics, Target, load, lock_name};
use crate::oidc::Denials;
use crate::plan::Scope;
use crate::provider::Provider;
use crate::target::TargetKind;

/// Whether targets of kind `file` are meant; other than `true` leaves them out.
const LOCAL_FILES: &str = "SECRETZERO_LOCAL_FILES";

/// Why local files are not looked at in a job.
pub(super) const LOCAL_LEFT_OUT: &str =
    "local files belong to the machine one stands on; `local_files: true` includes the runner's";

/// Most names listed where one was not found.
const KNOWN_MAX: usize = 12;

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
    /// Where a runner is told what to hide.
    pub masks: Masks,
    /// Refused logins, explained at the end.
    pub denials: Arc<Denials>,
    /// What was connected, so that whatever ends the run what was borrowed is given back.
    pub connected: Connected,
}

/// Where a runner reads what we print and hides what it is told to hide. It reads both streams
/// (<https://github.com/actions/runner/blob/main/src/Runner.Worker/Handlers/ScriptHandler.cs>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Masks {
    /// Nobody reads.
    Nowhere,
    /// On standard output, among all that the job says.
    Output,
    /// On standard error, since standard output may go to a file, which must not hold a credential.
    Errors,
}

/// The stores that were connected in a run.
#[derive(Default)]
pub struct Connected(Mutex<Vec<Arc<dyn Provider>>>);

impl Connected {
    /// Remembers a store until the end of the run.
    pub(super) fn add(&self, store: &Arc<dyn Provider>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(store));
    }

    /// Closes every store; one that was closed before has nothing to give back any more.
    pub(super) async fn close(&self) {
        let stores = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        join_all(stores.iter().map(|store| store.close())).await;
    }
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
    /// What a run needs that may write; [`Session::reach`] asks for the credentials of what is selected.
    pub const VALUES: Self = Self { statics: Statics::Resolve, credentials: Credentials::Leave };
    /// What a command needs that never touches a value.
    pub const NAMES: Self = Self { statics: Statics::Leave, credentials: Credentials::Leave };
}

impl Session {
    /// Reads the Secretfile; tells what is wrong with it.
    ///
    /// # Errors
    /// [`Exit::Invalid`], or [`Exit::Error`] if it cannot be read; both were told already.
    pub fn open(&self, depth: Depth) -> Result<Workspace, Exit> {
        let source = self.secretfile()?;
        // A value of a pull request is nothing to write anywhere, so it is not put together either.
        let depth = if self.is_steered() { Depth { statics: Statics::Leave, ..depth } } else { depth };
        let loaded = self.read(&source, depth, self.environment_name())?;
        self.accept(source, loaded)
    }

    /// The text of the Secretfile that the flags name.
    ///
    /// # Errors
    /// [`Exit::Invalid`] if it cannot be read; it was told already.
    pub fn secretfile(&self) -> Result<Source, Exit> {
        let name = self.common.file.display().to_string();
        self.source(&self.common.file, &name).map_err(|finding| {
            self.findings(&Source::new(name, ""), &[finding]);
            Exit::Invalid
        })
    }

    /// A Secretfile that was read, if it is valid; tells what is wrong with it.
    ///
    /// # Errors
    /// [`Exit::Invalid`]; it was told already.
    pub fn accept(&self, source: Source, loaded: Loaded) -> Result<Workspace, Exit> {
        match loaded.manifest {
            Some(manifest) => {
                let folder = self.common.file.parent().map(Path::to_path_buf).unwrap_or_default();
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
            Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => {
                Err(problem("unreadable", format!("{name} is a folder"), "name the file in it with `-f PATH`"))
            }
            Err(error) => Err(problem(
                "unreadable",
                format!("{name} cannot be read: {error}"),
                "check the path and its permissions",
            )),
        }
    }

    /// Whether a pull request may have written the Secretfile, as far as the environment tells.
    pub(super) fn is_steered(&self) -> bool {
        !may_sync(&self.environment)
    }

    /// Resolves a Secretfile's text for one of its environments, with the variables of this run: of the
    /// environment's only what `allow_env` names where a pull request may have written the text.
    ///
    /// # Errors
    /// [`Exit::Invalid`] if a file of variables cannot be used; it was told already.
    pub fn read(&self, source: &Source, depth: Depth, chosen: Option<&str>) -> Result<Loaded, Exit> {
        let withheld = self.is_steered();
        let allowed = allow_env(&self.environment);
        let environment = |name: &str| {
            let open = !withheld || allowed.iter().any(|allowed| allowed == name);
            self.environment.get(name).filter(|_| open).map(str::to_owned)
        };
        let inputs = Inputs {
            withheld,
            var_overrides: self.given_variables()?,
            environment_name: chosen.map(str::to_owned),
            environment_variables: self.environment_variables(source, chosen)?,
            statics: depth.statics,
            credentials: depth.credentials,
            ..Inputs::new(&environment, self.clock.now())
        };
        Ok(load(source, &inputs))
    }

    /// Shows findings about a file on standard error.
    pub fn findings(&self, source: &Source, findings: &[Diagnostic]) {
        // A file that could not be read has no line to show.
        let (whole, placed): (Vec<_>, Vec<_>) = findings.iter().cloned().partition(|finding| finding.span.line == 0);
        for finding in &whole {
            self.complain(&finding.message, finding.help.as_deref().unwrap_or_default());
        }
        if !placed.is_empty() {
            self.console.note(render(source, &placed, self.console.color()).trim_end());
        }
        if self.console.is_json() && findings.iter().any(|finding| finding.severity == Severity::Error) {
            self.console.json(&serde_json::json!({
                "valid": false,
                "findings": super::report::findings(&source.name, findings),
                "exit_code": Exit::Invalid as u8,
            }));
        }
    }

    /// Tells how many warnings there are about a Secretfile; all of them with `--verbose`.
    pub fn warned(&self, workspace: &Workspace) {
        let Workspace { source, warnings, .. } = workspace;
        if self.common.verbose > 0 {
            self.findings(source, warnings);
        } else if !warnings.is_empty() {
            let (mark, count) = (self.console.paint(Tone::Warn, "!"), plural(warnings.len(), "warning"));
            let (name, them) = (&source.name, if warnings.len() == 1 { "it" } else { "them" });
            self.console.note(&format!("{mark} {count} about {name}; `secretzero validate` shows {them}"));
        }
    }

    /// Tells an error and what to do now.
    pub fn fail(&self, exit: Exit, reason: &str, help: &str) -> Exit {
        self.complain(reason, help);
        if self.console.is_json() {
            self.console.json(&serde_json::json!({ "error": reason, "help": help, "exit_code": exit as u8 }));
        }
        exit
    }

    /// An error and what to do now, for people.
    pub fn complain(&self, reason: &str, help: &str) {
        self.console.note(&format!("{} {reason}", self.console.paint(Tone::Bad, "error:")));
        if !help.is_empty() {
            self.console.note(&format!("  {} {help}", self.console.paint(Tone::Dim, "help:")));
        }
    }

    /// The lock's path.
    #[must_use]
    pub fn lock_path(&self, workspace: &Workspace) -> PathBuf {
        let declared = workspace.manifest.environment.as_ref().map(crate::manifest::Environment::lock_path);
        let named = || self.environment_name().map_or_else(|| LOCKFILE_NAME.to_owned(), lock_name);
        self.common.lockfile.clone().unwrap_or_else(|| workspace.folder.join(declared.unwrap_or_else(named)))
    }

    /// The lock as a file, kept from other runs if something is to be written.
    ///
    /// # Errors
    /// [`Exit::Locked`] if another run holds it; it was told already.
    pub fn ledger(&self, workspace: &Workspace, writes: bool) -> Result<FileLedger, Exit> {
        let path = self.lock_path(workspace);
        let ledger = FileLedger::new(Arc::clone(&self.disk), path.clone());
        if !writes {
            return Ok(ledger);
        }
        // The folder that the Secretfile names may be new; one that a flag names is probably misspelt.
        let folder = path.parent().filter(|folder| self.common.lockfile.is_none() && !folder.as_os_str().is_empty());
        if let Some(Err(error)) = folder.map(make_folder) {
            let reason = format!("the folder of the lock cannot be made: {error}");
            return Err(self.fail(Exit::Error, &reason, "check the path of the lock, its folder and its permissions"));
        }
        ledger.guarded().map_err(|error| self.ledger_failed(&error))
    }

    /// Tells why the lock or the journal could not be used.
    pub fn ledger_failed(&self, error: &LedgerError) -> Exit {
        let (exit, help) = match error {
            LedgerError::Busy(_) => (Exit::Locked, ""),
            LedgerError::Failed { .. } => (Exit::Error, "check the path of the lock, its folder and its permissions"),
            _ => (Exit::Error, ""),
        };
        self.fail(exit, &error.to_string(), help)
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
        self.known("provider", " in the Secretfile", &args.provider, &aliases)?;
        self.known("secret", " in the Secretfile", &args.secret, &secrets)?;
        self.known("target type", "", &args.target_type, &kinds)?;
        let selected = |kind: &&TargetKind| args.target_type.iter().any(|name| name == kind.as_str());
        Ok(Scope {
            secrets: args.secret.clone(),
            providers: args.provider.clone(),
            kinds: TargetKind::ALL.iter().filter(selected).copied().collect(),
            local_left_out: self.local_left_out(),
            offline: false,
        })
    }

    /// Why local files are not looked at, where a job says so.
    fn local_left_out(&self) -> Option<String> {
        let left_out = self.environment.filled(LOCAL_FILES).is_some_and(|wanted| wanted != "true");
        left_out.then(|| LOCAL_LEFT_OUT.to_owned())
    }

    fn known(&self, what: &str, place: &str, asked: &[String], known: &[&str]) -> Result<(), Exit> {
        let Some(unknown) = asked.iter().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
        let mut names: Vec<&str> = Vec::new();
        for name in known {
            if !names.contains(name) {
                names.push(name);
            }
        }
        let list = || match names.get(KNOWN_MAX..) {
            Some(more) if !more.is_empty() => {
                format!("known are: {} and {} more", names.get(..KNOWN_MAX).unwrap_or_default().join(", "), more.len())
            }
            _ => format!("known are: {}", names.join(", ")),
        };
        let help = nearest(unknown, known.iter().copied()).map_or_else(list, |near| format!("did you mean `{near}`?"));
        Err(self.fail(Exit::Error, &format!("there is no {what} {}{place}", quote(unknown)), &help))
    }
}

/// Whether the flags select a target, its secret aside.
pub(super) fn selects(manifest: &Manifest, scope: &Scope, target: &Target) -> bool {
    let block = manifest.providers.get(target.provider);
    let named = |name: &String| block.is_some_and(|b| *name == b.alias.value || name == b.kind.as_str());
    (scope.providers.is_empty() || scope.providers.iter().any(named))
        && (scope.kinds.is_empty() || scope.kinds.contains(&target.settings.kind()))
}

/// A setting whose variable has no value, at its place.
pub(super) fn missing(lack: Spanned<String>) -> Diagnostic {
    Diagnostic {
        code: "missing-variable",
        severity: Severity::Error,
        message: lack.value,
        span: lack.span,
        help: Some("set it in the environment, or select other targets with `--provider`".into()),
        secret: None,
    }
}
