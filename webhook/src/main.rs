//! The companion service of `SecretZero`.

use std::process::ExitCode;

fn main() -> ExitCode {
    secretzero_webhook::cli::main()
}
