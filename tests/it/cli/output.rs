//! How results are printed: JSON, colours, a bar on a terminal, and the demo.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value as Json;

use crate::sandbox::{BINARY, Sandbox};
use crate::servers;

use super::{SHOP, Stage, stable};

/// The names in a document, nested ones by their path; lists count by their first entry.
fn keys(json: &Json) -> String {
    fn walk(json: &Json, path: &str, out: &mut Vec<String>) {
        match json {
            Json::Object(map) => {
                for (name, value) in map {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(value, &path, out);
                }
            }
            Json::Array(list) if list.first().is_some_and(Json::is_object) => {
                walk(&list[0], &format!("{path}[]"), out);
            }
            _ => out.push(path.to_owned()),
        }
    }
    let mut out = Vec::new();
    walk(json, "", &mut out);
    out.join("\n")
}

impl Stage {
    /// The one document on standard output.
    #[track_caller]
    fn json(&self, code: i32, args: &[&str]) -> Json {
        let ran = self.sandbox.expect(code, &[args, &["--format", "json"]].concat());
        let json: Json = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}\n{}", ran.stdout));
        if args != ["test"] {
            assert_eq!(json["exit_code"], code, "{json}");
        }
        json
    }
}

#[test]
fn every_command_prints_one_document() {
    let stage = Stage::with(SHOP);
    insta::assert_snapshot!(keys(&stage.json(0, &["validate"])), @"
    valid
    providers
    secrets
    targets
    environments
    unset
    findings
    hints
    exit_code
    ");
    insta::assert_snapshot!(keys(&stage.json(0, &["policy"])), @"
    passed
    errors
    warnings
    findings
    exit_code
    ");
    insta::assert_snapshot!(keys(&stage.json(0, &["test"])), @"
    ok
    providers[].provider
    providers[].kind
    providers[].ok
    providers[].account
    providers[].principal
    providers[].region
    providers[].milliseconds
    ");
}

#[test]
fn a_plan_and_its_result_are_documents() {
    let stage = Stage::with(SHOP);
    insta::assert_snapshot!(keys(&stage.json(0, &["sync", "--dry-run"])), @"
    dry_run
    plan.changes
    plan.offline
    plan.orphans
    plan.secrets[].name
    plan.secrets[].generation
    plan.secrets[].next
    plan.secrets[].due
    plan.secrets[].held
    plan.secrets[].notes
    plan.secrets[].targets[].provider
    plan.secrets[].targets[].kind
    plan.secrets[].targets[].name
    plan.secrets[].targets[].locator
    plan.secrets[].targets[].action
    plan.secrets[].targets[].why
    plan.secrets[].targets[].changes
    plan.secrets[].targets[].drifted
    plan.secrets[].targets[].line
    estimate.currency
    estimate.monthly_before
    estimate.monthly_after
    estimate.monthly_difference
    estimate.prices_as_of
    estimate.seconds
    exit_code
    ");
    insta::assert_snapshot!(keys(&stage.json(0, &["sync"])), @"
    dry_run
    plan.changes
    plan.offline
    plan.orphans
    plan.secrets[].name
    plan.secrets[].generation
    plan.secrets[].next
    plan.secrets[].due
    plan.secrets[].held
    plan.secrets[].notes
    plan.secrets[].targets[].provider
    plan.secrets[].targets[].kind
    plan.secrets[].targets[].name
    plan.secrets[].targets[].locator
    plan.secrets[].targets[].action
    plan.secrets[].targets[].why
    plan.secrets[].targets[].changes
    plan.secrets[].targets[].drifted
    plan.secrets[].targets[].line
    result.failures
    result.secrets[].name
    result.secrets[].generation
    result.secrets[].generated
    result.secrets[].failure
    result.secrets[].targets[].kind
    result.secrets[].targets[].name
    result.secrets[].targets[].state
    result.secrets[].targets[].reason
    exit_code
    ");
    let rotated = stage.json(0, &["rotate", "--force", "--secret", "external_api_key"]);
    assert_eq!(rotated["result"]["secrets"][0]["generation"], 2);
    let refreshed = stage.json(0, &["refresh"]);
    assert_eq!(refreshed["plan"]["changes"], false);
}

#[test]
fn a_failure_is_a_document_as_well() {
    let stage = Stage::with(SHOP);
    insta::assert_snapshot!(stage.json(1, &["sync", "--secret", "nope"]), @r#"{"error":"there is no secret `nope` in the Secretfile","help":"known are: database_password, external_api_key, service_account","exit_code":1}"#);
    insta::assert_snapshot!(stage.json(3, &["sync", "-f", "none.yml"]), @r#"{"valid":false,"findings":[{"code":"no-secretfile","severity":"error","message":"there is no Secretfile at none.yml","help":"name it with `-f PATH`; `secretzero demo` shows one at work","file":"none.yml","line":null,"column":null,"secret":null}],"exit_code":3}"#);
    stage.edit("length: 32", "lenght: 32");
    insta::assert_snapshot!(keys(&stage.json(3, &["validate"])), @"
    valid
    findings[].code
    findings[].severity
    findings[].message
    findings[].help
    findings[].file
    findings[].line
    findings[].column
    findings[].secret
    exit_code
    ");
    insta::assert_snapshot!(keys(&stage.json(3, &["sync"])), @"
    valid
    findings[].code
    findings[].severity
    findings[].message
    findings[].help
    findings[].file
    findings[].line
    findings[].column
    findings[].secret
    exit_code
    ");
}

#[test]
fn no_value_is_printed_however_much_is_asked_for() {
    let stage = Stage::with(SHOP);
    let loud = stage.sandbox.expect(0, &["sync", "-vvv"]);
    let json = stage.sandbox.expect(0, &["sync", "-vvv", "--format", "json", "--force"]);
    let printed = format!("{}{}{}{}", loud.stdout, loud.stderr, json.stdout, json.stderr);
    for name in ["production/myapp/api-key", "production/myapp/database/password"] {
        let secret = stage.aws.secret(name).unwrap();
        assert_eq!(secret.versions.len(), 2);
        assert!(secret.versions.iter().all(|version| !printed.contains(&version.value)), "{name}");
    }
}

#[test]
fn colours_are_for_terminals_and_for_those_who_ask() {
    let coloured = |args: &[&str], environment: &[(&str, &str)]| {
        let environment: BTreeMap<String, String> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let ran = Sandbox::with(SHOP).run_with(&[&["validate"], args].concat(), &environment);
        assert_eq!(ran.code, Some(0));
        ran.stdout.contains('\u{1b}')
    };
    assert!(!coloured(&[], &[]));
    assert!(!coloured(&["--color", "never"], &[]));
    assert!(coloured(&["--color", "always"], &[]));
    // Who says so on the command line means it.
    assert!(coloured(&["--color", "always"], &[("NO_COLOR", "1")]));
}

/// What a person sees: everything that is printed on a terminal of its own.
fn on_a_terminal(stage: &Stage, args: &[&str], environment: &[(&str, &str)]) -> String {
    const SPAWN: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut command = Command::new(servers::exported("PYTHON"));
    command.args(["-c", SPAWN, BINARY]).args(args).current_dir(stage.sandbox.path("."));
    command.env_clear().envs(stage.aws.env()).env("HOME", stage.sandbox.path(".")).env("TERM", "xterm");
    let output = command.envs(environment.iter().copied()).stdin(std::process::Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn a_terminal_shows_a_bar_and_takes_it_away() {
    let stage = Stage::with(SHOP);
    stage.aws.delay(std::time::Duration::from_millis(20));
    let seen = on_a_terminal(&stage, &["sync"], &[]);
    let (before, after) = seen.rsplit_once("/6 targets").unwrap_or_else(|| panic!("no bar in {seen:?}"));
    assert!(before.contains("looking at the stores"), "{seen:?}");
    assert!(after.contains("\u{1b}[2K"), "the bar stays in {seen:?}");
    assert!(after.contains("Updated .gitsecrets.lock"), "{seen:?}");
    assert!(seen.contains("\u{1b}[32m✓"), "{seen:?}");
}

#[test]
fn a_terminal_without_colours_has_none() {
    let stage = Stage::with(SHOP);
    for environment in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let seen = on_a_terminal(&stage, &["sync"], &[environment]);
        assert!(!seen.contains("\u{1b}[32m") && seen.contains('✓'), "{environment:?}: {seen:?}");
    }
}

#[test]
fn lines_are_plain_where_nobody_looks() {
    let stage = Stage::with(SHOP);
    let ran = stage.sandbox.expect(0, &["sync"]);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(['\u{1b}', '\r']), "{ran:?}");
}

/// Without the comments, which have tests of their own. Secrets are written beside each other: lines
/// that follow one another in any order are sorted.
fn ordered(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("  │")).collect();
    for block in lines.chunk_by_mut(|a, b| a.starts_with('✓') && b.starts_with('✓')) {
        block.sort_unstable();
    }
    lines.join("\n")
}

#[test]
fn the_demo_plays_the_main_job() {
    let sandbox = Sandbox::new();
    let ran = sandbox.expect(0, &["demo"]);
    insta::assert_snapshot!("demo", ordered(&stable(&ran.stdout)).replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    assert!(ran.stdout.contains("### SecretZero · `Secretfile.yml`"), "the comments are not shown");
    assert!(!ran.stdout.contains("Planned offline"), "the plan that everybody gets is shown: {}", ran.stdout);
    assert_eq!(ran.stderr, "");
    assert_eq!(std::fs::read_dir(sandbox.path(".")).unwrap().count(), 0, "it leaves something behind");
}
