//! The command line from the outside: the real program against a fake AWS and local files, and what a
//! person or a script reads of it.

mod auth;
mod check;
#[cfg(feature = "github")]
mod day_one;
mod dr;
mod environments;
mod filters;
mod held;
mod help;
mod lock;
mod login;
mod output;
mod rotate;
mod sync;

use crate::fake::aws::FakeAws;
use crate::sandbox::{Ran, Sandbox};

/// The specification's first Secretfile, without the stores that are not built yet.
const SHOP: &str = include_str!("../fixtures/cli/shop.yml");

/// One secret in two stores.
const PAIR: &str = "metadata: {project: pair}
providers:
  aws: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
secrets:
  - name: token
    kind: random_string
    rotation_period: 90d
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: pair/token}}
      - {provider: aws, kind: ssm_parameter, config: {name: /pair/token}}
";

/// A folder with a Secretfile, and an account.
struct Stage {
    aws: FakeAws,
    sandbox: Sandbox,
}

impl Stage {
    fn with(secretfile: &str) -> Self {
        let aws = FakeAws::start();
        Self { sandbox: Sandbox::with(secretfile).env(aws.env()), aws }
    }

    /// Runs, insists on the exit code and gives what was told.
    #[track_caller]
    fn told(&self, code: i32, args: &[&str]) -> String {
        told(&self.sandbox.expect(code, args))
    }

    fn edit(&self, from: &str, to: &str) {
        let text = self.sandbox.read("Secretfile.yml");
        assert!(text.contains(from), "{from} is not in\n{text}");
        self.sandbox.write("Secretfile.yml", &text.replace(from, to));
    }

    /// The value of a secret in Secrets Manager.
    #[track_caller]
    fn value(&self, name: &str) -> String {
        self.aws.secret(name).unwrap().value().unwrap().to_owned()
    }

    /// Makes a generation in Secrets Manager as old as that.
    fn age(&self, name: &str, days: i64) {
        let mark = regex::Regex::new(r"t=(\d+)").unwrap();
        self.aws.edit(|world| {
            let secret = world.region(crate::fake::aws::REGION).secrets.get_mut(name).unwrap();
            let tag = secret.tags.get_mut("secretzero").unwrap();
            let created: i64 = mark.captures(tag).unwrap()[1].parse().unwrap();
            *tag = mark.replace(tag, format!("t={}", created - days * 86_400)).into_owned();
        });
    }
}

/// What a run printed, with what differs from run to run replaced; standard error after standard output.
fn told(ran: &Ran) -> String {
    let stderr = if ran.stderr.is_empty() { String::new() } else { format!("--- stderr\n{}", ran.stderr) };
    stable(&format!("{}{stderr}", ran.stdout))
}

fn stable(text: &str) -> String {
    let patterns = [(r"in \d+ ms", "in N ms"), (r"\d{4}-\d\d-\d\d\b", "DATE"), (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT")];
    let mut text = text.to_owned();
    for (pattern, with) in patterns {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    text
}

/// The README's table and the program mean the same by a number.
#[test]
fn the_readme_lists_every_exit_code() {
    use secretzero::cli::exit::Exit;
    let codes = [
        (Exit::Done, "done"),
        (Exit::Error, "error"),
        (Exit::Pending, "pending"),
        (Exit::Invalid, "invalid"),
        (Exit::Provider, "login"),
        (Exit::Policy, "policy"),
        (Exit::Stale, "stale"),
        (Exit::Locked, "lock"),
        (Exit::Partial, "partial"),
        (Exit::NotSaved, "saved"),
    ];
    let rows = crate::readme::table(crate::readme::README, "### Exit codes");
    assert_eq!(rows.len(), codes.len());
    for (row, (exit, word)) in rows.iter().zip(codes) {
        assert_eq!(row[0], (exit as u8).to_string());
        assert!(row[1].contains(word), "{row:?} does not speak of {word}");
    }
}
