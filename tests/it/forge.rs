//! The GitHub client against a stateful GitHub on loopback.

#![expect(clippy::unwrap_used, reason = "tests")]

mod checks;
mod client;
mod comments;
mod state;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use secretzero::clock::{Clock, Sleep};
use secretzero::forge::github::{Github, World};
use secretzero::secret::SecretValue;

use crate::fake::github::{FakeGithub, Fault};

/// All that a sync job is given.
const ALL: &[(&str, &str)] = &[("contents", "write"), ("pull-requests", "write"), ("checks", "write")];

/// A clock that starts at the epoch's second 1,000 and stands still, and a sleep that only writes down
/// what it was asked for.
#[derive(Clone, Default)]
struct Asleep {
    slept: Arc<Mutex<Vec<u64>>>,
    passed: Arc<AtomicI64>,
}

impl Asleep {
    fn seconds(&self) -> Vec<u64> {
        self.slept.lock().unwrap().clone()
    }

    fn pass(&self, seconds: i64) {
        self.passed.fetch_add(seconds, Ordering::SeqCst);
    }

    fn world(&self) -> World {
        World { clock: Arc::new(self.clone()), sleep: Arc::new(self.clone()) }
    }
}

impl Clock for Asleep {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_000 + self.passed.load(Ordering::SeqCst)).unwrap()
    }
}

#[async_trait]
impl Sleep for Asleep {
    async fn sleep(&self, duration: Duration) {
        self.slept.lock().unwrap().push(duration.as_secs());
    }
}

fn client(github: &FakeGithub, token: &str) -> Github {
    client_that_sleeps(github, token, &Asleep::default())
}

fn client_that_sleeps(github: &FakeGithub, token: &str, asleep: &Asleep) -> Github {
    Github::with_token(&github.url(), FakeGithub::REPOSITORY, SecretValue::from(token), asleep.world()).unwrap()
}

/// A repository with one pull request, and a client that may do everything.
fn with_pull() -> (FakeGithub, Github, u64) {
    let github = FakeGithub::start();
    github.commit("feature", &[("Secretfile.yml", b"secrets: []\n")]);
    let pull = github.open_pull("feature", "main");
    let forge = client(&github, &github.workflow_token(ALL));
    (github, forge, pull)
}

fn refusal(status: u16, headers: &[(&'static str, &str)], message: &str) -> Fault {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Fault::Refuse(status, headers, message.to_owned())
}

/// The key of the App that `tests/servers/github-seed.yml` describes; it opens nothing.
pub(crate) fn private_key() -> String {
    let seed = include_str!("../servers/github-seed.yml");
    let from = seed.find("-----BEGIN").unwrap();
    let end = "-----END RSA PRIVATE KEY-----";
    let until = seed.find(end).unwrap() + end.len();
    seed[from..until].lines().map(str::trim).collect::<Vec<_>>().join("\n")
}
