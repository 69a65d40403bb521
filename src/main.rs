//! The `secretzero` command.

use std::process::ExitCode;

use secretzero::cli::console::Log;
use secretzero::cli::{parse, run};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::{fmt, util::SubscriberInitExt as _};

fn main() -> ExitCode {
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    init_tracing(cli.common.verbose);
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(cli)).into(),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Logs go to standard error, and only ours: what other crates would print of a request (its body, its
/// headers) is theirs to choose, so no variable or flag can turn them on below warnings.
fn init_tracing(verbose: u8) {
    let ours = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = Targets::new()
        .with_default(LevelFilter::ERROR)
        .with_target("secretzero", ours)
        .with_target("secretzero::throttle", ours.max(LevelFilter::INFO));
    let lines = fmt::layer().with_writer(|| Log).without_time().with_target(false);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}
