//! The `secretzero` command.

use std::process::ExitCode;

use clap::Parser as _;
use secretzero::cli::{args::Cli, run};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    init_tracing(cli.common.verbose);
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(cli)).into(),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Logs go to standard error. Other crates never log below warnings unless `RUST_LOG` asks for it:
/// what they print of requests is theirs to choose.
fn init_tracing(verbose: u8) {
    let ours = match verbose {
        0 => "warn,secretzero::throttle=info",
        1 => "warn,secretzero=info",
        _ => "warn,secretzero=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(ours));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .init();
}
