//! The command line: holds both ends, the Secretfile and the stores, and tells people what happens.

pub mod args;
mod check;
pub mod ci;
pub mod console;
mod demo;
pub mod exit;
mod report;
pub mod session;
mod show;
mod sync;
mod test;

use std::sync::Arc;

use args::{Cli, Command};
use console::Console;
use exit::Exit;
use session::Session;

use crate::clock::{SystemClock, SystemEntropy};
use crate::disk::SystemDisk;
use crate::environment::Environment;

/// Runs one command in this process's world.
pub async fn run(cli: Cli) -> Exit {
    let environment = Environment::of_process();
    let console = Console::new(cli.common.color, cli.common.format, &environment);
    let session = Session {
        environment,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        disk: Arc::new(SystemDisk),
        console,
        common: cli.common,
    };
    let result = match cli.command {
        Command::Validate(args) => check::validate(&session, &args),
        Command::Policy(args) => check::policy(&session, &args),
        Command::Test(args) => test::test(&session, &args).await,
        Command::Sync(args) => sync::sync(&session, &args).await,
        Command::Rotate(args) => sync::rotate(&session, &args).await,
        Command::Refresh(args) => sync::refresh(&session, &args).await,
        Command::Ci => ci::run(&session).await,
        Command::Demo => demo::demo(&session).await,
    };
    result.unwrap_or_else(|exit| exit)
}
