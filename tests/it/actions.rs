//! Every action of a plan, at every kind of place where it applies: what the plan says, what then stands
//! in the store, and that a second run does nothing.
//!
//! All of it through the real program. Each plan is also held to read no value and to change nothing.

mod comment;
mod foreign;
mod integrity;
mod keep;
mod lists;
mod moved;
mod refused;
mod replicas;
mod restore;
mod values;

use crate::fake::aws::{FakeAws, REGION, Secret};
use crate::sandbox::{Ran, Sandbox};

const LOCK: &str = ".gitsecrets.lock";

/// What reads a value, be it encrypted
/// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html>,
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Operations.html>).
const VALUE_READS: [&str; 6] = [
    "GetSecretValue",
    "BatchGetSecretValue",
    "GetParameter",
    "GetParameters",
    "GetParametersByPath",
    "GetParameterHistory",
];

/// The kinds of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    File,
    Secret,
    Parameter,
}

const EVERYWHERE: [At; 3] = [At::File, At::Secret, At::Parameter];
const IN_AWS: [At; 2] = [At::Secret, At::Parameter];

impl At {
    /// A target of that kind and name.
    fn target(self, name: &str) -> String {
        self.target_with(name, "")
    }

    /// A target with more settings, such as `, tags: {Team: core}`.
    fn target_with(self, name: &str, more: &str) -> String {
        match self {
            Self::File => format!("{{provider: local, kind: file, config: {{path: {name}.env, merge: true{more}}}}}"),
            Self::Secret => format!("{{provider: aws, kind: secrets_manager, config: {{name: app/{name}{more}}}}}"),
            Self::Parameter => format!("{{provider: aws, kind: ssm_parameter, config: {{name: /app/{name}{more}}}}}"),
        }
    }
}

/// A Secretfile with one secret `token`; `settings` are lines of it, such as `kind: uuid`.
fn secretfile(settings: &str, targets: &[String]) -> String {
    let mut text = "metadata: {project: actions}\nproviders:\n  local: {kind: local}\n".to_owned();
    for (alias, region) in [("aws", REGION), ("west", "us-west-2"), ("eu", "eu-west-1")] {
        text.push_str(&format!("  {alias}: {{kind: aws, auth: {{kind: ambient, config: {{region: {region}}}}}}}\n"));
    }
    text.push_str("secrets:\n  - name: token\n");
    let settings = if settings.is_empty() { "kind: random_string" } else { settings };
    settings.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
    text.push_str("    targets:\n");
    targets.iter().for_each(|target| text.push_str(&format!("      - {target}\n")));
    text
}

/// A folder with a Secretfile, and an account.
struct Stage {
    aws: FakeAws,
    sandbox: Sandbox,
}

impl Stage {
    /// With one secret `token` of random text.
    fn of(targets: &[String]) -> Self {
        Self::with(&secretfile("", targets))
    }

    fn with(text: &str) -> Self {
        let aws = FakeAws::start();
        Self { sandbox: Sandbox::with(text).env(aws.env()), aws }
    }

    /// With one secret `token` at one place, synced.
    fn synced(at: At) -> Self {
        let stage = Self::of(&[at.target("token")]);
        stage.sync(&[]);
        stage
    }

    fn declare(&self, text: &str) {
        self.sandbox.write("Secretfile.yml", text);
    }

    /// What a plan says: it reads no value and changes nothing.
    #[track_caller]
    fn plan_that_exits(&self, code: i32, args: &[&str]) -> String {
        self.aws.forget_requests();
        let before = self.everything();
        let ran = self.sandbox.expect(code, &[&["sync", "--dry-run", "--rate-limit", "off"], args].concat());
        self.no_value_was_read();
        assert_eq!((self.aws.effects(), self.everything()), (0, before), "a plan changes nothing");
        // What it costs and how long it takes has tests of its own.
        let estimate = regex::Regex::new(r"(?m)^(≈|about \d).* under the documented quotas\n").unwrap();
        estimate.replace_all(&told(&ran), "").into_owned()
    }

    #[track_caller]
    fn plan(&self, args: &[&str]) -> String {
        self.plan_that_exits(0, args)
    }

    #[track_caller]
    fn no_value_was_read(&self) {
        for operation in VALUE_READS {
            assert_eq!(self.aws.count(operation), 0, "a plan asked for {operation}");
        }
    }

    /// What a sync says.
    #[track_caller]
    fn sync_that_exits(&self, code: i32, args: &[&str]) -> String {
        told(&self.sandbox.expect(code, &[&["sync", "--rate-limit", "off"], args].concat()))
    }

    #[track_caller]
    fn sync(&self, args: &[&str]) -> String {
        self.sync_that_exits(0, args)
    }

    /// A second run finds nothing to do and does nothing, with its lock and without.
    #[track_caller]
    fn is_settled(&self) {
        let before = self.everything();
        for lost in [false, true] {
            let lock = self.sandbox.read(LOCK);
            if lost {
                self.sandbox.remove(LOCK);
            }
            self.aws.forget_requests();
            let planned = self.plan(&["--detailed-exitcode"]);
            assert!(planned.contains("✓ Nothing to change"), "{planned}");
            let said = self.sync(&[]);
            assert!(said.contains("✓ Nothing to change"), "{said}");
            assert_eq!((self.aws.effects(), self.everything()), (0, before.clone()), "a second run does nothing");
            if !lost {
                assert_eq!(self.sandbox.read(LOCK), lock, "the lock stays byte for byte");
            }
        }
    }

    /// Everything that stands anywhere.
    fn everything(&self) -> String {
        let files: Vec<String> =
            ["token", "copy", "other"].map(|name| self.sandbox.read(&format!("{name}.env"))).into();
        let mut regions = self.aws.edit(|world| world.regions.clone());
        regions.retain(|_, region| !region.secrets.is_empty() || !region.parameters.is_empty());
        for secret in regions.values_mut().flat_map(|region| region.secrets.values_mut()) {
            // To look at a primary brings its replicas forward.
            secret.replicas.clear();
        }
        format!("{files:?} {regions:#?}")
    }

    /// The value at a place of a region.
    #[track_caller]
    fn value_in(&self, region: &str, at: At, name: &str) -> String {
        match at {
            At::File => {
                let text = self.sandbox.read(&format!("{name}.env"));
                let line = text.lines().find_map(|line| line.strip_prefix("TOKEN=")).unwrap_or_default();
                line.trim_matches(['"', '\'']).to_owned()
            }
            At::Secret => self.aws.edit(|world| {
                let secret = world.region(region).secrets.get(&format!("app/{name}")).cloned();
                secret.unwrap().value().unwrap().to_owned()
            }),
            At::Parameter => self.aws.edit(|world| {
                let parameter = world.region(region).parameters.get(&format!("/app/{name}")).cloned();
                parameter.unwrap().value
            }),
        }
    }

    #[track_caller]
    fn value(&self, at: At, name: &str) -> String {
        let value = self.value_in(REGION, at, name);
        assert!(!value.is_empty(), "{at:?} {name} holds nothing");
        value
    }

    /// How many versions a place had.
    fn versions(&self, at: At, name: &str) -> u64 {
        match at {
            At::File => u64::from(!self.sandbox.read(&format!("{name}.env")).is_empty()),
            At::Secret => self.aws.secret(&format!("app/{name}")).unwrap().versions.len() as u64,
            At::Parameter => self.aws.parameter(&format!("/app/{name}")).unwrap().version,
        }
    }

    /// Puts there what somebody else made.
    fn occupy(&self, at: At, name: &str, value: &str) {
        match at {
            At::File => self.sandbox.write(&format!("{name}.env"), &format!("TOKEN={value}\n")),
            At::Secret => self.aws.edit(|world| {
                let stages = ["AWSCURRENT".to_owned()].into();
                let (id, value) = ("11111111-2222-4333-8444-555555555555".into(), value.to_owned());
                let version = crate::fake::aws::world::SecretVersion { id, value, is_binary: false, stages };
                let secret = Secret { versions: vec![version], ..Secret::default() };
                world.region(REGION).secrets.insert(format!("app/{name}"), secret);
            }),
            At::Parameter => self.aws.edit(|world| {
                let parameter = crate::fake::aws::Parameter {
                    version: 7,
                    value: value.to_owned(),
                    kind: "SecureString".into(),
                    tier: "Standard".into(),
                    data_type: "text".into(),
                    ..crate::fake::aws::Parameter::default()
                };
                world.region(REGION).parameters.insert(format!("/app/{name}"), parameter);
            }),
        }
    }

    /// Removes what stands there behind the program's back.
    fn lose(&self, at: At, name: &str) {
        match at {
            At::File => self.sandbox.remove(&format!("{name}.env")),
            At::Secret => self.aws.edit(|world| drop(world.region(REGION).secrets.remove(&format!("app/{name}")))),
            At::Parameter => {
                self.aws.edit(|world| drop(world.region(REGION).parameters.remove(&format!("/app/{name}"))));
            }
        }
    }

    /// Schedules a secret of Secrets Manager for deletion.
    fn schedule_deletion(&self, name: &str) {
        self.aws.edit(|world| {
            world.region(REGION).secrets.get_mut(&format!("app/{name}")).unwrap().deleted = true;
        });
    }
}

/// What a run printed; what it warned of comes last.
fn told(ran: &Ran) -> String {
    let stderr = if ran.stderr.is_empty() { String::new() } else { format!("--- stderr\n{}", ran.stderr) };
    let text = format!("{}{stderr}", ran.stdout);
    regex::Regex::new(r"\d{4}-\d\d-\d\d\b").unwrap().replace_all(&text, "DATE").into_owned()
}
