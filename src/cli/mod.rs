//! The command line: holds both ends, the Secretfile and the stores, and tells people what happens.

mod advice;
pub mod args;
mod check;
pub mod ci;
pub mod console;
mod demo;
mod doctor;
mod dr;
mod draft;
mod drift;
pub mod exit;
mod import;
mod init;
mod permissions;
mod progress;
mod reach;
mod report;
mod repository;
pub mod session;
mod show;
mod signal;
mod sync;
mod test;
mod trust;
mod trusted;
pub mod variables;

use std::sync::Arc;

use args::{Cli, Command};
use clap::{CommandFactory as _, Parser as _};
use console::{Console, Tone};
use exit::{Ended, Exit};
use session::{Connected, Masks, Session};

use crate::clock::{SystemClock, SystemEntropy};
use crate::disk::SystemDisk;
use crate::environment::Environment;

/// Reads the command line; shows help, or what is wrong with it.
///
/// # Errors
/// How the process ends instead: [`Exit::Error`] for a mistake, since 2 means that changes are pending.
pub fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Cli, Exit> {
    Cli::try_parse_from(arguments).map_err(|error| {
        let exit = if error.use_stderr() { Exit::Error } else { Exit::Done };
        // A closed pipe is the reader's choice.
        drop(error.print());
        exit
    })
}

/// Runs one command in this process's world. A signal ends it where it stands, as a power cut would,
/// except that what was borrowed of stores is given back.
pub async fn run(cli: Cli) -> Ended {
    let environment = Environment::of_process();
    let console = Console::new(cli.common.color, cli.common.format, &environment);
    let masks = match cli.command {
        Command::Ci if environment.filled("GITHUB_ACTIONS").is_some() => Masks::Output,
        // What it mints is nowhere else to be seen, and its table may be kept in a file.
        Command::Doctor(_) if environment.filled("GITHUB_ACTIONS").is_some() => Masks::Errors,
        _ => Masks::Nowhere,
    };
    let session = Session {
        masks,
        denials: Arc::default(),
        environment,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        disk: Arc::new(SystemDisk),
        console,
        common: cli.common,
        connected: Connected::default(),
    };
    cache_ttl(&session);
    let ended = tokio::select! {
        result = command(&session, cli.command) => Ended::Exit(result.unwrap_or_else(|exit| exit)),
        signal = signal::received() => {
            session.complain(&format!("stopped by {}", signal.name()), "what was begun is finished by the next run");
            Ended::Signal(signal)
        }
    };
    session.connected.close().await;
    session.tell_denials();
    ended
}

async fn command(session: &Session, command: Command) -> Result<Exit, Exit> {
    match command {
        Command::Validate(args) => check::validate(session, &args),
        Command::Policy(args) => check::policy(session, &args),
        Command::Test(args) => test::test(session, &args).await,
        Command::Sync(args) => sync::sync(session, &args).await,
        Command::Rotate(args) => sync::rotate(session, &args).await,
        Command::Refresh(args) => sync::refresh(session, &args).await,
        Command::Drift(args) => drift::drift(session, &args).await,
        Command::Dr(args) => dr::dr(session, &args).await,
        Command::Init => init::init(session),
        Command::Import(args) => import::import(session, &args).await,
        Command::Permissions(args) => permissions::permissions(session, &args),
        Command::Trust(args) => trust::trust(session, &args),
        Command::Doctor(args) => doctor::doctor(session, &args).await,
        Command::Schema => {
            session.console.raw(&pretty(&crate::manifest::schema()));
            Ok(Exit::Done)
        }
        Command::Completions(args) => {
            session.console.raw(&completions(args.shell));
            Ok(Exit::Done)
        }
        Command::Ci => ci::run(session).await,
        Command::Demo => demo::demo(session).await,
    }
}

fn pretty(document: &serde_json::Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}

/// The script that makes a shell complete our commands and flags.
fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "secretzero", &mut script);
    String::from_utf8_lossy(&script).trim_end().to_owned()
}

/// `SECRETZERO_CACHE_TTL` is the specification's: how many seconds metadata may be reused. A run reads
/// it once and is over, so any number is obeyed; anything else is told.
fn cache_ttl(session: &Session) {
    let seconds = session.environment.filled("SECRETZERO_CACHE_TTL");
    if seconds.is_some_and(|seconds| seconds.trim().parse::<u64>().is_err()) {
        let mark = session.console.paint(Tone::Warn, "!");
        let text = "SECRETZERO_CACHE_TTL is no whole number of seconds and is ignored";
        session.console.note(&format!("{mark} {text}; within one run metadata is read once in any case"));
    }
}
