//! The service from the outside: its real binary, and its tokens before a real Vault-compatible server,
//! another's reader of tokens and our fakes of the clouds, which check what the real ones check.

#![expect(clippy::unwrap_used, reason = "tests")]

mod clouds;
mod commands;
mod readers;

#[expect(dead_code, unused_imports, reason = "the fakes serve the tests of the program as well")]
mod fake;
#[path = "../../../tests/it/servers.rs"]
mod servers;
#[expect(dead_code, reason = "the server serves the tests of the program as well")]
mod vault;

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use secretzero::clock::{SystemClock, SystemEntropy};
use secretzero::disk::SystemDisk;
use secretzero::oidc::{Phase, TokenSource};
use secretzero::secret::SecretValue;
use secretzero_webhook::issuer::{Cleared, Issuer, Run, Schedule, Trigger, World};
use serde_json::Value as Json;

/// The service, running, and its keys.
pub(crate) struct Service {
    pub(crate) url: String,
    pub(crate) folder: tempfile::TempDir,
    child: Child,
}

impl Service {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Another process may take the port first: then once more.
        for _ in 0..3 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let url = format!("http://127.0.0.1:{port}");
            let keys = folder.path().join("keys");
            let mut child = program(&["serve", "--issuer", &url, "--listen", &url["http://".len()..], "--keys"])
                .arg(&keys)
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
            if lines.next().is_some_and(|line| line.unwrap().contains(" listens on ")) {
                return Self { url, folder, child };
            }
            child.wait().unwrap();
        }
        panic!("the service does not start");
    }

    /// The same keys, as the service holds them.
    pub(crate) fn issuer(&self) -> Arc<Issuer> {
        open(&self.url, &self.folder.path().join("keys"))
    }

    /// What it answers, with its `Cache-Control`.
    pub(crate) async fn get(&self, path: &str) -> (u16, String, Json) {
        let answer = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        let cached = answer.headers().get("cache-control").map_or("", |value| value.to_str().unwrap()).to_owned();
        let status = answer.status().as_u16();
        (status, cached, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn open(url: &str, keys: &Path) -> Arc<Issuer> {
    let world = World { disk: Arc::new(SystemDisk), clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) };
    Arc::new(Issuer::open(url, keys, Schedule::default(), world).unwrap())
}

pub(crate) fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_secretzero-webhook"));
    command.args(args);
    command
}

/// A run of the repository 42 in production.
pub(crate) fn run(phase: Phase) -> Run {
    let trigger = match phase {
        Phase::Plan => Trigger::PullRequest { number: 5, from_fork: false },
        Phase::Sync => Trigger::DefaultBranch,
        Phase::Rotate => Trigger::Schedule,
    };
    Run {
        forge: "github.com".into(),
        repository_id: 42,
        repository: "acme/shop".into(),
        environment: "production".into(),
        phase,
        trigger,
        cleared: Cleared { tip_confirmed: true, reviewed: true, policy_passed: true, lease_held: true },
        sha: "0a1b2c".into(),
        actor_id: Some(7),
        plan_digest: None,
    }
}

pub(crate) fn subject(phase: Phase) -> String {
    format!("secretzero:github.com:42:env:production:phase:{}", phase.as_str())
}

/// A token for tests that look at it.
pub(crate) async fn token(source: &Arc<dyn TokenSource>, audience: &str) -> SecretValue {
    source.token(audience).await.unwrap()
}
