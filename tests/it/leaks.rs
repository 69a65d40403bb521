//! No value leaves the process except to a declared target: every command of the real binary is run
//! with canary values, and everything that it left anywhere else is searched for each of them.

mod bad_lines;
mod canary;
mod garbage;
mod job;
mod traces;

use std::collections::BTreeMap;

use canary::Canaries;
use serde_json::Value as Json;
use traces::Traces;

use crate::fake::aws::{FakeAws, Fault, FaultPlan, Parameter, REGION, Secret};
use crate::sandbox::{Ran, Sandbox};

/// A value in the file itself, with every character that some format escapes.
const LITERAL: &str = "l!teral \"<&>' Canary\\ 1%A {{";
/// A value in a variable of the file.
const VARIABLE: &str = "variable <Canary> & co. 2";
/// A value in a default.
const DEFAULT: &str = "default/Canary+3=\"<>";
/// A value in a file of variables.
const FROM_FILE: &str = "from file: <Canary> & 'co' 4";
/// A value in the environment.
const FROM_ENVIRONMENT: &str = "sk_live_<Canary>&\"'%42_5";
/// The same, edited.
const EDITED: &str = "sk_live_edited<Canary>&\"'_6";
const KEYED_ID: &str = "AKIDKEYEDq8ZxW3nTcV5";
const KEYED_SECRET: &str = "keyed/secret+Canary<7>&=";
const KEYED_SESSION: &str = "keyedSession<Canary>&token/8==";

/// Variables of the environment that hold a value.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("STRIPE_KEY", FROM_ENVIRONMENT),
    ("AWS_ACCESS_KEY_ID", "AKIDAMBIENTm4RtY7uPq"),
    ("AWS_SECRET_ACCESS_KEY", "ambient/secret+Canary<9>&="),
    ("AWS_SESSION_TOKEN", "ambientSession<Canary>&token/10=="),
];

const SECRETFILE: &str = r"
metadata:
  project: leaks
variables:
  region: us-east-1
  token: VARIABLE
providers:
  aws:
    kind: aws
    auth: {kind: ambient, config: {region: '${region}'}}
  keyed:
    kind: aws
    auth:
      kind: static
      config: {region: us-east-1, access_key_id: KEYED_ID, secret_access_key: KEYED_SECRET, session_token: KEYED_SESSION}
  local:
    kind: local
policies:
  tags: {kind: audit, require_tags: true, required_tags: [Team], severity: warning}
secrets:
  - name: drawn
    kind: random_password
    rotation_period: 90d
    config: {length: 40, special: true}
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: leaks/drawn, description: a password}}
      - {provider: aws, kind: ssm_parameter, config: {name: /leaks/drawn, tags: {Team: a}}}
      - {provider: local, kind: file, config: {path: .env, format: dotenv, merge: true}}
  - name: literal
    kind: static
    config:
      default: LITERAL
      validation: '.*'
    targets:
      - {provider: keyed, kind: secrets_manager, config: {name: leaks/literal, tags: {Team: a}}}
      - {provider: local, kind: file, config: {path: app.json, format: json}}
  - name: environment
    kind: static
    config: {default: '${STRIPE_KEY}', validation: 'sk_live_.*'}
    targets:
      - {provider: aws, kind: ssm_parameter, config: {name: /leaks/environment, type: SecureString}}
      - {provider: keyed, kind: secrets_manager, config: {name: leaks/environment}}
      - {provider: local, kind: file, config: {path: .env, format: dotenv, merge: true}}
  - name: others
    kind: templates.others
  - name: account
    kind: templates.account
templates:
  others:
    fields:
      variable: {generator: {kind: static, config: {default: '{{var.token}}'}}}
      default: {generator: {kind: static, config: {default: 'DEFAULT'}}}
      from_file: {generator: {kind: static, config: {default: '${from_file}'}}}
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: leaks/others}}
      - {provider: local, kind: file, config: {path: app.yml, format: yaml}}
  account:
    fields:
      user: {generator: {kind: static, config: {default: user-of-the-Canary-11}}}
      pass: {generator: {kind: random_string, config: {length: 24}}}
      dsn: {generator: {kind: static, config: {default: 'postgres://user-of-the-Canary-11:{{pass}}@db/app'}}}
    targets:
      - {provider: aws, kind: ssm_parameter, primary: true, config: {name: /leaks/account}}
      - {provider: aws, kind: secrets_manager, config: {name: leaks/account}}
";

/// A text as a scalar of YAML.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The Secretfile with its canaries.
fn secretfile() -> String {
    let canaries = [
        ("KEYED_ID", KEYED_ID),
        ("KEYED_SECRET", KEYED_SECRET),
        ("KEYED_SESSION", KEYED_SESSION),
        ("LITERAL", LITERAL),
        ("VARIABLE", VARIABLE),
    ];
    let text = SECRETFILE.replace("'DEFAULT'", &quoted(&format!("${{UNSET:-{DEFAULT}}}")));
    canaries
        .iter()
        .fold(text, |text, (name, value)| text.replace(&format!(": {name}"), &format!(": {}", quoted(value))))
}

/// A cloud, a folder with the Secretfile, and all that is known of what happened.
struct Stage {
    aws: FakeAws,
    sandbox: Sandbox,
    canaries: Canaries,
    traces: Traces,
    flags: &'static [&'static str],
}

impl Stage {
    fn new(flags: &'static [&'static str]) -> Self {
        let aws = FakeAws::start();
        let sandbox = Sandbox::with(&secretfile()).env(aws.env()).env(ENVIRONMENT);
        let sandbox = sandbox.env([("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full"), ("RUST_LIB_BACKTRACE", "1")]);
        sandbox.write("vars.yml", &format!("from_file: {}\n", quoted(FROM_FILE)));
        let mut canaries = Canaries::default();
        for value in [LITERAL, VARIABLE, DEFAULT, FROM_FILE, EDITED, KEYED_ID, KEYED_SECRET, KEYED_SESSION] {
            canaries.add(&format!("`{value}`"), value);
        }
        for (name, value) in ENVIRONMENT {
            canaries.add(name, value);
        }
        Self { aws, sandbox, canaries, traces: Traces::default(), flags }
    }

    /// Runs a command to an exit code and notes everything that it left.
    #[track_caller]
    fn go(&mut self, code: i32, args: &[&str]) -> Ran {
        self.go_with(code, args, &[])
    }

    #[track_caller]
    fn go_with(&mut self, code: i32, args: &[&str], environment: &[(&str, &str)]) -> Ran {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let ran = self.sandbox.run_with(&self.args(args), &environment.collect());
        assert_eq!(ran.code, Some(code), "{args:?}\n{}\n{}", ran.stdout, ran.stderr);
        self.note(&args.join(" "), &ran);
        ran
    }

    fn args<'a>(&self, args: &[&'a str]) -> Vec<&'a str> {
        let calls = !["validate", "policy", "demo"].contains(&args[0]);
        let stores: &[&str] = if calls { &["--rate-limit", "off", "--retry-max-attempts", "1"] } else { &[] };
        [args, &["--var-file", "vars.yml"], self.flags, stores].concat()
    }

    fn note(&mut self, case: &str, ran: &Ran) {
        learn(&mut self.canaries, &self.aws);
        self.traces.ran(case, ran);
        self.traces.folder(case, &self.sandbox);
        self.traces.aws(case, &self.aws);
    }

    /// Kills a run right after one of its writes.
    fn cut(&mut self, effect: usize, args: &[&str]) {
        self.aws.fault(FaultPlan { effect, fault: Fault::CutAfter });
        let child = self.sandbox.spawn(&self.args(args));
        self.aws.victim(child.id());
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, None, "it was killed");
        self.aws.revive();
        self.note("a cut run", &ran);
    }
}

/// Learns every value that stands in the cloud, the fields of a template one by one.
fn learn(canaries: &mut Canaries, aws: &FakeAws) {
    let values: Vec<(String, String)> = aws.edit(|world| {
        let region = world.region(REGION);
        let versions = |(name, secret): (&String, &Secret)| {
            secret.versions.iter().map(|version| (name.clone(), version.value.clone())).collect::<Vec<_>>()
        };
        let secrets = region.secrets.iter().flat_map(versions);
        secrets.chain(region.parameters.iter().map(|(name, one)| (name.clone(), one.value.clone()))).collect()
    });
    for (place, value) in values {
        let fields: BTreeMap<String, Json> = serde_json::from_str(&value).unwrap_or_default();
        for (name, field) in fields {
            canaries.add(&format!("the field {name} of {place}"), field.as_str().unwrap());
        }
        canaries.add(&format!("the value of {place}"), &value);
    }
}

/// Replaces the current value of a secret, as someone else would.
fn outsider(aws: &FakeAws, name: &str, value: &str) {
    aws.edit(|world| {
        let secret = world.region(REGION).secrets.get_mut(name).unwrap();
        let mut version = secret.current().unwrap().clone();
        for old in &mut secret.versions {
            old.stages.clear();
        }
        version.id = "11111111-2222-4333-8444-555555555555".into();
        version.value = value.to_owned();
        secret.versions.push(version);
    });
}

const FLAGS: [&[&str]; 2] = [&[], &["-vvv", "--format", "json"]];

#[test]
fn no_command_lets_a_value_out_while_all_goes_well() {
    for flags in FLAGS {
        let mut stage = Stage::new(flags);
        stage.go(0, &["validate"]);
        stage.go(0, &["policy"]);
        stage.go(5, &["policy", "--fail-on-warning"]);
        stage.go(0, &["test"]);
        stage.go(2, &["sync", "--dry-run", "--detailed-exitcode"]);
        stage.cut(3, &["sync"]);
        assert!(stage.traces.count("a cut run: the file .gitsecrets.lock.journal") > 0, "there is a journal");
        stage.go(0, &["sync"]);
        stage.go(0, &["sync"]);
        stage.go(0, &["refresh"]);
        stage.go(0, &["drift"]);
        stage.go(0, &["rotate"]);
        stage.go(0, &["rotate", "--force", "--secret", "drawn", "--secret", "account"]);
        stage.cut(2, &["rotate", "--force", "--secret", "drawn"]);
        stage.go(0, &["sync"]);
        stage.go(0, &["sync", "--force"]);
        let edited = [("STRIPE_KEY", EDITED)];
        stage.go_with(0, &["sync", "--dry-run"], &edited);
        stage.go_with(0, &["sync"], &edited);
        stage.go(0, &["demo"]);
        for name in [".gitsecrets.lock", ".secretzero.json"] {
            assert!(stage.traces.count(&format!("the file {name}")) > 0, "{name} was searched");
        }
        for operation in ["CreateSecret", "PutSecretValue", "PutParameter", "DescribeSecret", "GetCallerIdentity"] {
            assert!(stage.traces.count(&format!("{operation} to AWS")) > 0, "{operation} was searched");
        }
        // Every declared value did arrive where it belongs, so there was something to leak.
        for value in [LITERAL, FROM_ENVIRONMENT, EDITED, VARIABLE, DEFAULT, FROM_FILE, "user-of-the-Canary-11"] {
            assert!(stage.canaries.knows(value));
        }
        assert!(stage.sandbox.read(".env").contains("DRAWN="));
        let drawn = stage.aws.secret("leaks/drawn").unwrap();
        assert!(drawn.versions.len() > 3 && drawn.versions.iter().all(|one| stage.canaries.knows(&one.value)));
        let account = stage.aws.parameter("/leaks/account").unwrap().value;
        assert!(!stage.canaries.found_in(&account).is_empty(), "the search finds what a store holds");
        stage.traces.assert_hold_no(&stage.canaries);
    }
}

#[test]
fn no_command_lets_a_value_out_while_the_stores_refuse() {
    for flags in FLAGS {
        let mut stage = Stage::new(flags);
        stage.aws.deny("GetCallerIdentity");
        stage.go(4, &["test"]);
        stage.go(4, &["sync"]);
        stage.aws.allow_all();
        stage.aws.deny("CreateSecret");
        stage.aws.deny("PutParameter");
        stage.go(8, &["sync"]);
        stage.aws.allow_all();
        // How much of a run that ends depends on which of its writes comes second.
        for (status, code) in
            [(400, "ValidationException"), (500, "InternalServiceError"), (400, "LimitExceededException")]
        {
            stage.aws.fault(FaultPlan { effect: 2, fault: Fault::Status(status, code) });
            let args = stage.args(&["sync", "--force"]);
            let ran = stage.sandbox.run(&args);
            assert!(matches!(ran.code, Some(0 | 8)) && stage.aws.effects() >= 2, "{code} was answered: {ran:?}");
            stage.aws.revive();
            stage.note(&format!("sync against {code}"), &ran);
        }
        stage.go(0, &["sync"]);
        for operation in ["PutSecretValue", "GetSecretValue", "BatchGetSecretValue", "GetParameter", "GetParameters"] {
            stage.aws.deny(operation);
        }
        stage.aws.edit(|world| world.region(REGION).parameters.clear());
        stage.go(8, &["sync"]);
        stage.go(8, &["rotate", "--force", "--secret", "drawn"]);
        stage.aws.deny("DescribeSecret");
        stage.aws.deny("DescribeParameters");
        stage.go(8, &["sync"]);
        stage.go(8, &["refresh"]);
        stage.go(4, &["drift"]);
        stage.aws.allow_all();
        let proxy = "http://proxy-user:proxyPassword-Canary-12@127.0.0.1:1";
        stage.canaries.add("the password of the proxy", "proxyPassword-Canary-12");
        stage.go_with(4, &["test"], &[("HTTP_PROXY", proxy), ("http_proxy", proxy), ("HTTPS_PROXY", proxy)]);
        stage.traces.assert_hold_no(&stage.canaries);
    }
}

#[test]
fn no_command_lets_out_what_others_wrote() {
    for flags in FLAGS {
        let mut stage = Stage::new(flags);
        let theirs = [
            ("a foreign parameter", "theirs: <Canary> & 13"),
            ("a foreign line", "line-of-theirs-Canary-14"),
            ("a damaged file", "damaged-file-Canary-15"),
            ("an edited secret", "edited by hand <Canary> 16"),
            ("an edited line", "edited-by-hand-Canary-17"),
            ("an edited template", "no-JSON-at-all-Canary-18"),
        ];
        for (name, value) in theirs {
            stage.canaries.add(name, value);
        }
        let [parameter, line, damaged, secret, edited, template] = theirs.map(|(_, value)| value);
        let foreign = Parameter {
            value: parameter.into(),
            version: 3,
            kind: "SecureString".into(),
            tier: "Standard".into(),
            data_type: "text".into(),
            ..Parameter::default()
        };
        stage.aws.edit(|world| world.region(REGION).parameters.insert("/leaks/drawn".into(), foreign));
        stage.sandbox.write(".env", &format!("ENVIRONMENT={line}\n"));
        stage.sandbox.write("app.json", &format!("{{\"a\": \"{damaged}\", {damaged}: [}}\n"));
        stage.sandbox.write("app.yml", &format!("a: &{damaged} *{damaged}\n - !{damaged} \"{damaged}\n"));
        stage.go(8, &["sync", "--dry-run"]);
        stage.go(8, &["sync"]);
        stage.go(8, &["sync", "--adopt"]);
        stage.go(8, &["sync", "--overwrite"]);
        stage.sandbox.write("app.json", &format!("\"{damaged}\"\n"));
        stage.sandbox.write("app.yml", &format!("- {damaged}\n"));
        stage.go(8, &["sync"]);
        stage.sandbox.remove("app.json");
        stage.sandbox.remove("app.yml");
        stage.go(0, &["sync", "--overwrite"]);

        outsider(&stage.aws, "leaks/drawn", secret);
        outsider(&stage.aws, "leaks/account", template);
        let file = stage.sandbox.read(".env");
        let lines =
            file.lines().map(|line| if line.starts_with("DRAWN=") { format!("DRAWN={edited}") } else { line.into() });
        stage.sandbox.write(".env", &lines.collect::<Vec<String>>().join("\n"));
        stage.aws.edit(|world| world.region(REGION).parameters.clear());
        stage.go(8, &["sync", "--dry-run"]);
        stage.go(8, &["sync"]);
        stage.go(8, &["sync", "--adopt"]);
        stage.go(0, &["refresh"]);
        stage.go(0, &["drift"]);
        stage.traces.assert_hold_no(&stage.canaries);
    }
}

#[test]
fn no_command_lets_out_a_value_that_fails_its_validation() {
    for flags in FLAGS {
        let mut stage = Stage::new(flags);
        let wrong = [("STRIPE_KEY", "pk_wrong<Canary>&\"'%42_19")];
        stage.canaries.add("a value that is not valid", wrong[0].1);
        for command in [&["validate"][..], &["policy"], &["sync"], &["sync", "--force"], &["rotate"]] {
            let ran = stage.go_with(3, command, &wrong);
            assert!(ran.stderr.contains("validation-failed"), "{}", ran.stderr);
        }
        // These never look at a value.
        stage.go_with(0, &["test"], &wrong);
        stage.go_with(0, &["refresh"], &wrong);
        stage.go_with(0, &["drift"], &wrong);
        // The value of a field is known only when it was generated.
        let text = secretfile().replace("@db/app'}", "@db/app', validation: 'mysql://.*'}");
        assert_ne!(text, secretfile());
        stage.sandbox.write("Secretfile.yml", &text);
        let ran = stage.go(8, &["sync"]);
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains("validation"), "{ran:?}");
        stage.traces.assert_hold_no(&stage.canaries);
    }
}
