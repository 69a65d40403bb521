//! `action.yml` says what the README says, and holds no expression that could carry foreign text.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value as Json;

use crate::readme::{README, table};

const ACTION: &str = include_str!("../../action.yml");
const DOCKERFILE: &str = include_str!("../../Dockerfile");

/// `action.yml` as data.
pub(crate) fn action() -> Json {
    serde_saphyr::from_str(ACTION).unwrap()
}

/// The names under a key of `action.yml`, in its order.
pub(crate) fn names(of: &str) -> Vec<String> {
    action()[of].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_input_stands_in_the_readme_with_its_default() {
    let documented: BTreeMap<String, String> =
        table(README, "### Inputs").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let action = action();
    for (name, input) in action["inputs"].as_object().unwrap() {
        let default = input["default"].as_str().unwrap();
        let in_readme = documented.get(&format!("`{name}`")).unwrap_or_else(|| panic!("the README lacks input {name}"));
        let wanted = match default {
            "" => String::new(),
            "${{ github.token }}" => "the workflow's token".to_owned(),
            other => format!("`{other}`"),
        };
        assert_eq!(in_readme, &wanted, "default of {name}");
    }
    assert_eq!(documented.len(), names("inputs").len(), "the README has inputs that action.yml has not");
}

/// An input that the program does not read would be a lie, one that is not declared a secret.
#[test]
fn the_program_reads_every_input_and_no_other() {
    let read = |path: &str| fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let source = read("src/cli/ci/inputs.rs") + &read("src/connect/federation.rs");
    let read = regex::Regex::new(r#"(?:input\(|environment,\s*|number\()"([a-z_]+)""#).unwrap();
    let read: BTreeSet<String> = read.captures_iter(&source).map(|found| found[1].to_owned()).collect();
    assert_eq!(read, names("inputs").into_iter().collect());
}

#[test]
fn every_output_stands_in_the_readme() {
    let documented: Vec<String> = table(README, "### Outputs").into_iter().map(|row| row[0].clone()).collect();
    let declared: Vec<String> = names("outputs").into_iter().map(|name| format!("`{name}`")).collect();
    assert_eq!(documented, declared);
}

#[test]
fn names_are_snake_case_so_that_every_shell_keeps_them() {
    for name in names("inputs").into_iter().chain(names("outputs")) {
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()), "{name}");
    }
}

#[test]
fn the_only_expression_is_the_token() {
    let expressions: Vec<&str> =
        ACTION.split("${{").skip(1).map(|rest| rest.split("}}").next().unwrap().trim()).collect();
    assert_eq!(expressions, ["github.token"]);
}

#[test]
fn it_is_a_docker_action_without_a_shell_in_between() {
    let action = action();
    assert_eq!(action["runs"]["using"], "docker");
    for key in ["entrypoint", "args", "pre-entrypoint", "post-entrypoint", "env"] {
        assert!(action["runs"].get(key).is_none(), "`runs.{key}` would stand between the inputs and the program");
    }
    let last_stage = DOCKERFILE.rsplit("\nFROM ").next().unwrap();
    assert!(last_stage.starts_with("scratch AS action\n"), "the action is built from the last stage");
    assert!(last_stage.contains(r#"ENTRYPOINT ["/secretzero", "ci"]"#));
    // https://docs.github.com/en/actions/reference/workflows-and-actions/dockerfile-support#user
    assert!(!last_stage.contains("\nUSER"), "GitHub's runner needs root to write its own files");
}
