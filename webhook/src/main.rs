//! The companion service of `SecretZero`: says what it will be, and that it is not built yet.

use std::io::{self, Write as _};
use std::process::ExitCode;

const HELP: &str = "\
secretzero-webhook: the companion service of SecretZero (not built yet)

It will receive the webhooks of GitHub and GitLab, store each before it answers, comment on pull and
merge requests, sync on a push to the default branch and rotate what is due: no CI minutes, and no
long-lived cloud key, since it will be an OIDC issuer that AWS, Azure, Google Cloud and Vault trust.

Until a later release brings it, the action and `secretzero ci` do the same within a CI job.

Usage: secretzero-webhook [--help | --version]
";

const NOT_BUILT: &str = "\
error: secretzero-webhook is not built yet; it comes with a later release
help: use the action, or `secretzero ci` in a CI job; `secretzero-webhook --help` says what is planned
";

/// What is printed, and whether that is what was asked for.
fn answer(argument: Option<&str>) -> (String, bool) {
    match argument {
        Some("--help" | "-h") => (HELP.to_owned(), true),
        Some("--version" | "-V") => (format!("secretzero-webhook {}\n", env!("CARGO_PKG_VERSION")), true),
        _ => (NOT_BUILT.to_owned(), false),
    }
}

fn main() -> ExitCode {
    let argument = std::env::args_os().nth(1);
    let (text, asked_for) = answer(argument.as_deref().and_then(|argument| argument.to_str()));
    let written =
        if asked_for { io::stdout().write_all(text.as_bytes()) } else { io::stderr().write_all(text.as_bytes()) };
    if written.is_ok() && asked_for { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_pretends_to_run() {
        for argument in [None, Some("serve"), Some("")] {
            let (text, asked_for) = answer(argument);
            assert!(!asked_for && text.contains("not built yet") && text.contains("help:"));
        }
    }

    #[test]
    fn it_says_what_it_will_be() {
        let (text, asked_for) = answer(Some("--help"));
        assert!(asked_for && text.contains("not built yet"));
        assert!(answer(Some("--version")).0.ends_with(concat!(env!("CARGO_PKG_VERSION"), "\n")));
    }
}
