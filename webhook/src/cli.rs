//! The command line of the service.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use secretzero::clock::{SystemClock, SystemEntropy};
use secretzero::disk::SystemDisk;
use tokio::net::TcpListener;

use crate::issuer::{Error, Issuer, Schedule, World};
use crate::serve::serve;

/// The companion service of SecretZero: so far an OIDC issuer whose tokens say which repository,
/// environment and phase a run is of. Webhooks and jobs come with a later release.
#[derive(Debug, Parser)]
#[command(name = "secretzero-webhook", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish the issuer's address and keys, and change the keys on time
    Serve {
        #[command(flatten)]
        of: Of,
        /// Where to listen; put a proxy with TLS before it
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
    },
    /// Look at the issuer's keys and change them
    #[command(subcommand)]
    Issuer(Keys),
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Print the keys, their states and since when
    Status(Of),
    /// Make the next key now; it signs a day later, when verifiers know it
    Rotate(Of),
    /// Forget all keys and sign with a new one, for when a key was stolen. Tokens on their way are refused;
    /// verifiers believe the old key and do not know the new one until they read the keys again
    RevokeNow {
        #[command(flatten)]
        of: Of,
        /// Yes, I know that runs fail until verifiers have read the keys again
        #[arg(long)]
        yes: bool,
    },
    /// Print the public keys as a JSON Web Key Set, to upload where the issuer cannot be reached
    ExportJwks(Of),
}

#[derive(Debug, Args)]
struct Of {
    /// The issuer's address, as tokens name it
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The folder of the keys; made when missing
    #[arg(long, value_name = "PATH")]
    keys: PathBuf,
}

impl Of {
    fn open(&self) -> Result<Arc<Issuer>, Error> {
        let world =
            World { disk: Arc::new(SystemDisk), clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) };
        Issuer::open(&self.issuer, &self.keys, Schedule::default(), world).map(Arc::new)
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
            return if error.print().is_ok() { code } else { ExitCode::FAILURE };
        }
    };
    match run(cli.command) {
        Ok(text) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(reason) => {
            tell(&format!("error: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<String, String> {
    let said = |error: Error| error.to_string();
    match command {
        Command::Serve { of, listen } => listening(&of, listen).map(|()| String::new()),
        Command::Issuer(Keys::Status(of)) => of.open().and_then(|issuer| status(&issuer)).map_err(said),
        Command::Issuer(Keys::ExportJwks(of)) => {
            let issuer = of.open().map_err(said)?;
            Ok(format!("{:#}\n", issuer.key_set().map_err(said)?))
        }
        Command::Issuer(Keys::Rotate(of)) => {
            let issuer = of.open().map_err(said)?;
            issuer.rotate().map_err(said)?;
            status(&issuer).map_err(said)
        }
        Command::Issuer(Keys::RevokeNow { yes: false, .. }) => {
            Err("this makes runs fail until every verifier has read the keys again; add `--yes` if a key was stolen"
                .into())
        }
        Command::Issuer(Keys::RevokeNow { of, yes: true }) => {
            let issuer = of.open().map_err(said)?;
            issuer.revoke_now().map_err(said)?;
            status(&issuer).map_err(said)
        }
    }
}

fn status(issuer: &Issuer) -> Result<String, Error> {
    let line =
        |entry: &crate::issuer::Entry| format!("{:8}  since {:.0}  {}\n", entry.state.as_str(), entry.since, entry.id);
    Ok(issuer.ring()?.entries.iter().map(line).collect())
}

fn listening(of: &Of, listen: SocketAddr) -> Result<(), String> {
    let issuer = of.open().map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.map_err(|error| format!("{listen}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        tell(&format!("{} listens on http://{address}", issuer.url()));
        serve(&issuer, listener, stopped(), tell).await.map_err(|error| error.to_string())
    })
}

/// Ends with Ctrl-C, or as a container is stopped.
async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    // Without a signal to wait for it serves until it is killed.
    let _ = tokio::signal::ctrl_c().await;
}

/// A line for whoever reads the log; where nobody does, nothing is lost.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
