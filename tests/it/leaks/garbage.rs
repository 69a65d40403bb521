//! Garbage wherever a command reads something: it says so, without a panic and without repeating it.

use super::Stage;
use super::canary::Canaries;
use super::traces::Traces;
use crate::sandbox::{Ran, Sandbox};

const VALUE: &str = "garbageWithA<Canary>&20";

/// Every command that reads a Secretfile.
const COMMANDS: [&[&str]; 10] = [
    &["validate"],
    &["policy"],
    &["test"],
    &["sync", "--dry-run"],
    &["sync"],
    &["sync", "--force"],
    &["rotate"],
    &["rotate", "--force", "--secret", "drawn"],
    &["refresh"],
    &["drift"],
];

/// What they read.
const FILES: [&str; 6] =
    ["Secretfile.yml", "vars.yml", ".gitsecrets.lock", ".gitsecrets.lock.journal", ".secretzero.json", ".env"];

/// What nobody meant to write.
fn garbage() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        ["", "\u{0}", "{", "[[[", "- - -", "null", "{\"format\": 1}", "{\"format\": 99}", "\u{feff}"]
            .iter()
            .map(|text| format!("{text}{VALUE}\n").into_bytes())
            .collect();
    all.push([b"\xff\xfe\x00".as_slice(), VALUE.as_bytes(), b"\xc3\x28"].concat());
    all.push(format!("{{\"format\": 1, \"secrets\": [{{\"gid\": \"{VALUE}\", \"gen\": \"{VALUE}\"}}]}}").into_bytes());
    all.push(format!("\"{VALUE}\"").into_bytes());
    all
}

#[track_caller]
fn assert_ended(what: &str, ran: &Ran) {
    assert!(ran.code.is_some_and(|code| (0..=9).contains(&code)), "{what}: {ran:?}");
}

#[test]
fn garbage_in_a_file_is_told_without_a_panic_and_without_repeating_it() {
    let mut stage = Stage::new(&[]);
    stage.canaries.add("the garbage", VALUE);
    stage.go(0, &["sync"]);
    for file in FILES {
        let before = stage.sandbox.read(file);
        for (turn, bytes) in garbage().into_iter().enumerate() {
            stage.flags = super::FLAGS[turn % 2];
            // All of them read the Secretfile; the other files have one reader.
            let start = if file == "Secretfile.yml" { 0 } else { COMMANDS.len() - 1 - turn % 6 };
            for command in COMMANDS.iter().skip(start).take(if start == 0 { COMMANDS.len() } else { 2 }) {
                stage.sandbox.write_bytes(file, &bytes);
                let ran = stage.sandbox.run(&stage.args(command));
                assert_ended(&format!("{command:?} with {file}"), &ran);
                stage.traces.ran(&format!("{command:?} with garbage in {file}"), &ran);
            }
        }
        if before.is_empty() { stage.sandbox.remove(file) } else { stage.sandbox.write(file, &before) }
    }
    stage.traces.assert_hold_no(&stage.canaries);
}

#[test]
fn garbage_in_the_environment_of_a_job_is_told_without_a_panic_and_without_repeating_it() {
    let (mut canaries, mut traces) = (Canaries::default(), Traces::default());
    canaries.add("the garbage", VALUE);
    let address = format!("https://user:{VALUE}@127.0.0.1:1/{VALUE}");
    let event = format!("{{\"pull_request\": \"{VALUE}\", {VALUE}");
    let names = [
        ("INPUT_GITHUB_TOKEN", format!("{VALUE}\n{VALUE}")),
        ("INPUT_GITHUB_TOKEN", format!("{VALUE} ü")),
        ("GITHUB_API_URL", address.clone()),
        ("GITHUB_API_URL", VALUE.to_owned()),
        ("AWS_ENDPOINT_URL", address),
        ("GITHUB_EVENT_NAME", "push".to_owned()),
        ("GITHUB_EVENT_NAME", "schedule".to_owned()),
        ("GITHUB_EVENT_NAME", "workflow_dispatch".to_owned()),
        ("GITHUB_EVENT_NAME", "merge_group".to_owned()),
        ("GITHUB_REPOSITORY", "x".to_owned()),
    ];
    for (name, value) in names {
        let sandbox = Sandbox::with(&super::secretfile()).env(super::ENVIRONMENT);
        sandbox.write("event.json", &event);
        let path = |name: &str| sandbox.path(name).display().to_string();
        let environment = [
            ("GITHUB_EVENT_NAME", "pull_request".to_owned()),
            ("GITHUB_EVENT_PATH", path("event.json")),
            ("GITHUB_API_URL", "http://127.0.0.1:1".to_owned()),
            ("GITHUB_REPOSITORY", "octo/demo".to_owned()),
            ("GITHUB_WORKSPACE", path(".")),
            ("GITHUB_OUTPUT", path("output")),
            ("GITHUB_STEP_SUMMARY", path("summary")),
            ("RUNNER_TEMP", path(".")),
            ("INPUT_RETRY_MAX_ATTEMPTS", "1".to_owned()),
            (name, value),
        ];
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let ran = sandbox.run_with(&["ci", "-vvv"], &environment);
        assert_ended(name, &ran);
        traces.ran(&format!("ci with garbage in {name}"), &ran);
        traces.folder(name, &sandbox);
    }
    traces.assert_hold_no(&canaries);
}
