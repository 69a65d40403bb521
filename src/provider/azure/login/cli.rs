//! Whoever is logged in with `az login`, asked through the Azure CLI itself
//! (<https://learn.microsoft.com/cli/azure/account#az-account-get-access-token>).

use std::ffi::OsString;
use std::path::{Path, PathBuf, absolute};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use super::{Failure, Token};
use crate::clock::{Clock as _, SystemClock};
use crate::environment::Environment;
use crate::oidc::Phase;
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// Longest wait for the CLI, which may ask Entra.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What the CLI prints; no `Debug` on purpose.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    access_token: String,
    /// Seconds since 1970; older versions print local time under another name alone.
    #[serde(rename = "expires_on")]
    expires_on: Option<i64>,
}

/// A token of the CLI's login. The CLI stands in no checkout when it starts, since it would look there
/// for modules and settings; and for a pull request it is not looked for in one.
pub(super) async fn token(
    tenant: Option<&str>,
    scope: &str,
    environment: &Environment,
    phase: Phase,
) -> Result<Token, Failure> {
    let mut command = Command::new(if cfg!(windows) { "az.cmd" } else { "az" });
    command.current_dir("/");
    if let Some(folder) = environment.filled("AZURE_CONFIG_DIR").and_then(|folder| absolute(folder).ok()) {
        command.env("AZURE_CONFIG_DIR", folder);
    }
    if phase == Phase::Plan {
        command.env("PATH", outside_of_checkouts(environment));
    }
    command.args(["account", "get-access-token", "--output", "json", "--scope", scope]);
    if let Some(tenant) = tenant {
        command.arg(format!("--tenant={tenant}"));
    }
    command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let output = match tokio::time::timeout(ANSWER_TIMEOUT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(_)) => return Err(Failure::Absent("the Azure CLI (`az`) is not installed".into())),
        Err(_) => return Err(Failure::Absent("the Azure CLI (`az`) did not answer".into())),
    };
    if !output.status.success() {
        return Err(Failure::Absent("the Azure CLI has no login for it; run `az login`".into()));
    }
    let printed: Printed = serde_json::from_slice(&output.stdout).map_err(|_| {
        Error::new(ErrorKind::Unauthenticated, "the Azure CLI printed no token; update it and run `az login`")
    })?;
    let left = printed.expires_on.map_or(0, |end| end.saturating_sub(SystemClock.now().as_second()));
    Ok(Token::new(SecretValue::from(printed.access_token), Duration::from_secs(u64::try_from(left).unwrap_or(0))))
}

/// Variables that name the folder of a checkout.
const CHECKOUTS: [&str; 2] = ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"];

/// The folders of `PATH` that lie in no checkout, wherever their links lead. Relative ones count from a
/// checkout, where a job starts.
fn outside_of_checkouts(environment: &Environment) -> OsString {
    let named = CHECKOUTS.iter().filter_map(|name| environment.filled(name));
    let checkouts: Vec<PathBuf> = named.chain(["."]).filter_map(|path| Path::new(path).canonicalize().ok()).collect();
    let is_outside = |folder: &PathBuf| {
        let real = folder.canonicalize().ok().filter(|_| folder.is_absolute());
        real.is_some_and(|real| !checkouts.iter().any(|top| top.parent().is_some() && real.starts_with(top)))
    };
    let folders = std::env::split_paths(environment.get("PATH").unwrap_or_default());
    std::env::join_paths(folders.filter(is_outside)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn no_program_is_looked_for_in_a_checkout() {
        let (checkout, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let inside = checkout.path().join("bin");
        std::fs::create_dir(&inside).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let path = format!("{}:.:bin::{}:/does/not/exist", text(&inside), text(tools.path()));
        let pairs = [("PATH".to_owned(), path), ("GITHUB_WORKSPACE".to_owned(), text(checkout.path()))];
        assert_eq!(outside_of_checkouts(&Environment::of(pairs)), OsString::from(tools.path()));
        assert!(outside_of_checkouts(&Environment::of([])).is_empty());
    }
}
