//! Whoever is logged in with `az login`, asked through the Azure CLI itself
//! (<https://learn.microsoft.com/cli/azure/account#az-account-get-access-token>).

use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use super::{Failure, Token};
use crate::clock::{Clock as _, SystemClock};
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

/// A token of the CLI's login.
pub(super) async fn token(tenant: Option<&str>, scope: &str) -> Result<Token, Failure> {
    let mut command = Command::new(if cfg!(windows) { "az.cmd" } else { "az" });
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
