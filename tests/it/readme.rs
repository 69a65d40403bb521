//! What the README shows is run: every snippet says in a comment before it how it is tested.
//!
//! `<!-- test: KIND -->` stands before each fence with a language; KIND is `workflow`, `secretfile`,
//! `gitlab` (a `.gitlab-ci.yml`; `gitlab.rs` runs it), `service` (the service's own tests run it), `json`,
//! `shell`, `terminal` (the two commands of the quick start), `output: COMMAND`, or `release` (what only a
//! release makes true: `tests/container` looks at it). Shell snippets and outputs run in a new folder with
//! the Secretfile marked `secretfile: terminal`, without an account.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::{action, layering, servers};

pub(crate) const README: &str = include_str!("../../README.md");
const COMMANDS: &[&str] = &[
    "validate",
    "policy",
    "test",
    "sync",
    "rotate",
    "refresh",
    "drift",
    "dr",
    "init",
    "import",
    "permissions",
    "trust generate",
    "trust lint",
    "doctor",
    "schema",
    "completions",
    "ci",
    "demo",
];

/// A fenced block, its kind and the line where it begins.
struct Snippet {
    kind: String,
    text: String,
    line: usize,
}

fn snippets() -> Vec<Snippet> {
    let mut found = Vec::new();
    let mut lines = README.lines().enumerate();
    let mut before = "";
    while let Some((number, line)) = lines.next() {
        if line == "```" {
            let _drawing = lines.by_ref().take_while(|(_, line)| *line != "```").count();
        } else if line.starts_with("```") {
            let kind = before.strip_prefix("<!-- test: ").and_then(|rest| rest.strip_suffix(" -->"));
            let kind = kind.unwrap_or_else(|| panic!("README.md:{}: no `<!-- test: … -->` before it", number + 1));
            let text: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            found.push(Snippet { kind: kind.to_owned(), text: text.join("\n") + "\n", line: number + 1 });
        }
        before = line;
    }
    found
}

fn of_kind(kind: &str) -> Vec<Snippet> {
    let found: Vec<_> = snippets().into_iter().filter(|snippet| snippet.kind.split(':').next() == Some(kind)).collect();
    assert!(!found.is_empty(), "the README has no snippet of kind {kind}");
    found
}

/// The workflows that it shows.
pub(crate) fn workflows() -> Vec<String> {
    of_kind("workflow").into_iter().map(|snippet| snippet.text).collect()
}

/// The `.gitlab-ci.yml` that it shows, and the Secretfile of the quick start.
#[cfg(all(feature = "aws", feature = "azure", feature = "gcp", feature = "vault"))]
pub(crate) fn of_gitlab() -> (String, String) {
    let first = |kind: &str| of_kind(kind).into_iter().next().unwrap().text;
    (first("gitlab"), first("secretfile"))
}

/// The Secretfile that the shell snippets work with.
fn secretfile_of_the_terminal() -> String {
    let mut found = of_kind("secretfile").into_iter().filter(|snippet| snippet.kind == "secretfile: terminal");
    found.next().unwrap().text
}

/// The rows of the first table under a heading, without its head.
pub(crate) fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let section = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading}")).1;
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.skip(2).map(cells).collect()
}

/// The program in a folder, with nothing of our environment.
fn secretzero(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_secretzero"));
    command.current_dir(folder).env_clear().env("HOME", folder);
    command
}

fn explain(output: &Output) -> String {
    let Output { status, stdout, stderr } = output;
    format!("{status}\n{}{}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr))
}

#[expect(clippy::disallowed_methods, reason = "a test lays out its own folder")]
fn folder_with(secretfile: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("Secretfile.yml"), secretfile).unwrap();
    folder
}

#[test]
fn every_secretfile_is_valid() {
    for snippet in of_kind("secretfile") {
        let folder = folder_with(&snippet.text);
        let output = secretzero(folder.path()).arg("validate").output().unwrap();
        let seen = explain(&output);
        assert!(
            output.status.success() && seen.contains("Configuration is valid"),
            "README.md:{}: {seen}",
            snippet.line
        );
    }
}

#[test]
fn the_prices_of_the_readme_are_understood() {
    let secretfile = secretfile_of_the_terminal();
    for snippet in of_kind("costs") {
        let folder = folder_with(&format!("{secretfile}{}", snippet.text));
        let output = secretzero(folder.path()).arg("validate").output().unwrap();
        assert!(output.status.success(), "README.md:{}: {}", snippet.line, explain(&output));
    }
}

#[test]
fn every_shell_command_does_what_it_says() {
    let secretfile = secretfile_of_the_terminal();
    for snippet in of_kind("shell") {
        // The others begin without a Secretfile, and have their own tests below.
        if snippet.kind != "shell" {
            continue;
        }
        let folder = folder_with(&secretfile);
        for line in snippet.text.lines().map(|line| line.split(" #").next().unwrap().trim()) {
            let mut words = line.split_whitespace();
            match words.next() {
                None | Some("#") => {}
                Some("secretzero") => {
                    let output = secretzero(folder.path()).args(words).output().unwrap();
                    let spoke = output.status.success() && !output.stdout.is_empty();
                    assert!(spoke, "README.md:{}: {line}: {}", snippet.line, explain(&output));
                }
                Some(other) => panic!("README.md:{}: how is `{other}` to be tested?", snippet.line),
            }
        }
    }
}

/// The commands of a snippet that begins in a folder without a Secretfile.
#[expect(clippy::disallowed_methods, reason = "a test lays out its own folder")]
fn commands_of_the_first_day(kind: &str, environment: &[(&str, String)]) {
    let snippet = of_kind("shell").into_iter().find(|snippet| snippet.kind == kind).unwrap();
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(".env"), "API_TOKEN=canary\nPORT=1\n").unwrap();
    for line in snippet.text.lines().map(|line| line.split(" #").next().unwrap().trim()) {
        let words = line.strip_prefix("secretzero ").unwrap().split_whitespace();
        let mut command = secretzero(folder.path());
        let output = command.args(words).envs(environment.iter().cloned()).output().unwrap();
        let seen = explain(&output);
        assert!(output.status.success() && !seen.contains("canary"), "README.md:{}: {line}: {seen}", snippet.line);
    }
    assert!(folder.path().join("Secretfile.yml").exists());
}

#[test]
fn the_first_day_with_env_files_goes_as_told() {
    commands_of_the_first_day("shell: init", &[]);
}

#[cfg(all(feature = "aws", feature = "github"))]
#[test]
fn the_first_day_with_aws_goes_as_told() {
    use crate::fake::aws::{FakeAws, REGION};
    let aws = FakeAws::start();
    aws.edit(|world| {
        let region = world.region(REGION);
        region.secrets.insert("shop/database".into(), crate::adoption::secret(1));
        region.parameters.insert("/shop/database".into(), crate::adoption::parameter(1));
    });
    commands_of_the_first_day("shell: day one", &aws.env().into_iter().collect::<Vec<_>>());
}

#[test]
fn every_json_is_json() {
    for snippet in of_kind("json") {
        let parsed: Result<Json, _> = serde_json::from_str(&snippet.text);
        assert!(parsed.is_ok(), "README.md:{}", snippet.line);
    }
}

#[test]
fn every_output_is_what_one_sees() {
    let secretfile = secretfile_of_the_terminal();
    for snippet in of_kind("output") {
        let folder = folder_with(&secretfile);
        let command = snippet.kind.strip_prefix("output: secretzero ").unwrap();
        let output = secretzero(folder.path()).args(command.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "README.md:{}: {}", snippet.line, explain(&output));
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), snippet.text.trim(), "README.md:{}", snippet.line);
    }
}

#[test]
fn the_two_commands_of_the_quick_start_work() {
    for snippet in of_kind("terminal") {
        for line in snippet.text.lines() {
            let command = line.split(" #").next().unwrap().trim();
            if let Some(arguments) = command.strip_prefix("cargo run --release --locked -- ") {
                let folder = TempDir::new().unwrap();
                let output = secretzero(folder.path()).args(arguments.split_whitespace()).output().unwrap();
                assert!(output.status.success() && !output.stdout.is_empty(), "{command}: {}", explain(&output));
            } else {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(command);
                let mode =
                    fs::metadata(&script).unwrap_or_else(|error| panic!("{command}: {error}")).permissions().mode();
                assert!(mode & 0o111 != 0, "{command} is not executable");
            }
        }
    }
}

#[test]
fn every_workflow_is_valid_and_uses_inputs_that_exist() {
    let inputs: BTreeSet<String> = action::names("inputs").into_iter().collect();
    for snippet in of_kind("workflow") {
        let folder = folder_with(&snippet.text);
        let mut check = Command::new(servers::exported("PYTHON"));
        check.args(["-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]);
        let output = check.arg(folder.path().join("Secretfile.yml")).output().unwrap();
        assert!(output.status.success(), "README.md:{}: {}", snippet.line, explain(&output));

        let workflow: Json = serde_saphyr::from_str(&snippet.text).unwrap();
        let jobs = workflow["jobs"].as_object().unwrap();
        let steps: Vec<&Json> = jobs.values().flat_map(|job| job["steps"].as_array().unwrap()).collect();
        let ours = |step: &&&Json| step["uses"].as_str().is_some_and(|uses| uses.starts_with("secretzero/action@"));
        let step = steps.iter().find(ours).unwrap_or_else(|| panic!("README.md:{}: no step of ours", snippet.line));
        for input in step.get("with").and_then(Json::as_object).into_iter().flat_map(|with| with.keys()) {
            assert!(inputs.contains(input), "README.md:{}: action.yml has no input {input}", snippet.line);
        }
        // Only what syncs writes the lock.
        let contents = if workflow["on"] == "pull_request" { "read" } else { "write" };
        for (permission, right) in [("contents", contents), ("pull-requests", "write"), ("checks", "write")] {
            assert_eq!(workflow["permissions"][permission], right, "README.md:{}: {permission}", snippet.line);
        }
    }
}

/// Both ways: no flag of the README that the program refuses, none of the program that it hides.
#[test]
fn the_readme_and_the_program_know_the_same_flags() {
    let flag = regex::Regex::new(r"--[a-z][a-z-]+").unwrap();
    let flags = |text: &str| -> BTreeSet<String> { flag.find_iter(text).map(|f| f.as_str().to_owned()).collect() };
    let folder = TempDir::new().unwrap();
    let help = |command: &str| {
        let output = secretzero(folder.path()).args(command.split(' ')).arg("--help").output().unwrap();
        assert!(output.status.success(), "{command} --help: {}", explain(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let program: BTreeSet<String> = COMMANDS.iter().flat_map(|command| flags(&help(command))).collect();
    let documented = flags(&table(README, "### Flags").concat().concat());
    let undocumented: Vec<_> =
        program.difference(&documented).filter(|f| *f != "--help" && *f != "--version").collect();
    assert!(undocumented.is_empty(), "the README lacks {undocumented:?}");
    let unknown: Vec<_> = documented.difference(&program).collect();
    assert!(unknown.is_empty(), "the program lacks {unknown:?}");
}

#[test]
fn every_command_of_the_readme_exists() {
    let documented: Vec<String> = table(README, "### Commands").into_iter().map(|row| row[0].clone()).collect();
    let known: Vec<String> = COMMANDS.iter().map(|command| format!("`{command}`")).collect();
    assert_eq!(documented, known);
}

/// Every call names the right it needs, for the message when it is refused; the table lists them.
#[test]
fn the_rights_of_the_readme_are_those_that_the_calls_need() {
    let right = regex::Regex::new(r"\b(?:sts|ssm|secretsmanager):[A-Z][A-Za-z]+").unwrap();
    let rights = |text: &str| -> BTreeSet<String> { right.find_iter(text).map(|f| f.as_str().to_owned()).collect() };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/provider/aws");
    let sources = layering::rust_files(&source).into_iter().map(|file| fs::read_to_string(file).unwrap());
    let used: BTreeSet<String> = sources.flat_map(|text| rights(&text)).collect();
    assert_eq!(rights(&table(README, "#### Rights in AWS").concat().concat()), used);
}

#[test]
fn every_file_that_the_readme_links_to_exists() {
    let link = regex::Regex::new(r"\]\(([^)#]+)[^)]*\)").unwrap();
    let mut local = 0;
    for target in link.captures_iter(README).map(|found| found[1].to_owned()) {
        if !target.starts_with("https://") {
            local += 1;
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&target).exists(), "README.md links to {target}");
        }
    }
    assert!(local > 0, "the README links to no file of the repository");
}
