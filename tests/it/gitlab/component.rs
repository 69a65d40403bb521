//! What the component declares: jobs, inputs, tokens, and that each name means what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value as Json, json};

use super::clouds::inputs;
use super::pipeline::{Event, Pipeline};
use super::{TEMPLATE, declared};
use crate::layering;
use crate::readme::table;

const README: &str = include_str!("../../../gitlab/README.md");

fn set<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn only_image() -> Json {
    json!({ "image": "registry.example/secretzero:1" })
}

#[test]
fn each_event_has_its_jobs() {
    let pipeline = Pipeline::with(&inputs());
    let branch = Event { branch: Some("change"), protected: false, ..Event::PUSH };
    let unprotected = Event { protected: false, ..Event::PUSH };
    for (event, jobs) in [
        (Event::MERGE_REQUEST, set(["secretzero"])),
        (Event::PUSH, set(["secretzero", "secretzero-sync"])),
        (Event { source: "web", ..Event::PUSH }, set(["secretzero", "secretzero-sync"])),
        (Event::SCHEDULE, set(["secretzero", "secretzero-rotate", "secretzero-drift"])),
        (branch, set([])),
        (Event { protected: true, ..branch }, set([])),
        (Event { source: "schedule", ..branch }, set([])),
        (unprotected, set(["secretzero"])),
        (Event { source: "schedule", ..unprotected }, set(["secretzero"])),
        (Event { source: "external_pull_request_event", branch: None, protected: false }, set([])),
        (Event { source: "trigger", ..Event::PUSH }, set(["secretzero"])),
    ] {
        assert_eq!(pipeline.jobs_of(event), jobs, "{event:?}");
    }
    // Without `sync: true` it only checks.
    let pipeline = Pipeline::with(&only_image());
    for event in [Event::PUSH, Event::SCHEDULE, Event::MERGE_REQUEST] {
        assert_eq!(pipeline.jobs_of(event), set(["secretzero"]), "{event:?}");
    }
}

#[test]
fn what_checks_has_no_token_and_what_logs_in_runs_one_at_a_time() {
    let pipeline = Pipeline::with(&inputs());
    let check = pipeline.job("secretzero");
    assert_eq!((check.audiences(), check.get("interruptible")), (BTreeMap::new(), &json!(true)));
    for name in ["secretzero-sync", "secretzero-rotate", "secretzero-drift"] {
        let job = pipeline.job(name);
        assert_eq!(job.get("resource_group"), "secretzero", "{name}");
        assert_eq!((job.get("interruptible"), job.audiences().len()), (&json!(false), 4), "{name}");
        let distinct: BTreeSet<String> = job.audiences().values().map(Json::to_string).collect();
        assert_eq!(distinct.len(), 4, "each token is for one cloud");
    }
    for name in pipeline.names() {
        let job = pipeline.job(&name);
        // Nobody else's script, cache, artifact or token gets in.
        assert_eq!(job.get("inherit"), &json!({ "default": ["tags"] }), "{name}");
        assert_eq!((job.get("cache"), job.get("dependencies")), (&json!([]), &json!([])), "{name}");
        assert_eq!(job.get("image")["entrypoint"], json!([""]), "{name}");
    }
    assert_eq!(pipeline.job("secretzero-drift").get("allow_failure"), &json!({ "exit_codes": 2 }));
}

/// GitLab refuses an `aud` that is empty.
#[test]
fn what_is_not_used_has_a_token_that_nobody_takes() {
    let job = Pipeline::with(&only_image()).job("secretzero-sync");
    let audiences = job.audiences();
    let expected = [
        ("SECRETZERO_AWS_ID_TOKEN", "sts.amazonaws.com"),
        ("SECRETZERO_AZURE_ID_TOKEN", "api://AzureADTokenExchange"),
        ("SECRETZERO_GCP_ID_TOKEN", "https://iam.googleapis.com/"),
        ("SECRETZERO_VAULT_ID_TOKEN", "secretzero"),
    ];
    assert_eq!(audiences, expected.map(|(name, aud)| (name.to_owned(), json!(aud))).into());
}

#[test]
fn a_second_secretfile_has_jobs_of_its_own() {
    let mut inputs = inputs();
    inputs["name"] = json!("billing");
    let pipeline = Pipeline::with(&inputs);
    assert_eq!(pipeline.names(), set(["billing", "billing-sync", "billing-rotate", "billing-drift"]));
    assert_eq!(pipeline.job("billing-sync").get("resource_group"), "billing");
    inputs["name"] = json!("a b; c");
    assert!(Pipeline::refusal(&inputs).contains("name"));
    inputs["name"] = json!("billing");
    inputs["sync"] = json!("perhaps");
    assert!(Pipeline::refusal(&inputs).contains("sync"));
    assert!(Pipeline::refusal(&json!({})).contains("image"), "an image must be named");
}

/// What the program reads of its environment: literal names, and one for each input of a login.
fn read_by_the_program() -> (BTreeSet<String>, BTreeSet<String>) {
    let literal = regex::Regex::new(r#""(SECRETZERO_[A-Z_]+)""#).unwrap();
    let input = regex::Regex::new(r#"given\.input\("([a-z_]+)"\)"#).unwrap();
    let files = layering::rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let found = |pattern: &regex::Regex| -> BTreeSet<String> {
        texts.iter().flat_map(|text| pattern.captures_iter(text).map(|found| found[1].to_owned())).collect()
    };
    (found(&literal), found(&input))
}

#[test]
fn every_input_reaches_the_program_and_every_name_is_one_that_it_reads() {
    let (literals, logins) = read_by_the_program();
    assert!(literals.contains("SECRETZERO_LOCAL_FILES") && logins.contains("aws_role"), "the reader is broken");
    let known = |name: &str| {
        let input = name.strip_prefix("SECRETZERO_").map(str::to_ascii_lowercase);
        literals.contains(name) || input.is_some_and(|input| logins.contains(&input))
    };
    let pipeline = Pipeline::with(&inputs());
    let scripts: String = pipeline.names().iter().map(|name| pipeline.job(name).script()).collect();
    let mut passed = BTreeSet::new();
    for name in pipeline.names() {
        let job = pipeline.job(&name);
        for variable in job.variables().into_keys().filter(|variable| variable != "GIT_DEPTH") {
            let used = scripts.contains(&format!("\"${variable}\""));
            assert!(used || known(&variable), "{name}: nobody reads {variable}");
            passed.insert(variable);
        }
        assert!(job.audiences().keys().all(|token| known(token)), "{name}");
    }
    // A variable takes the input of its name, and nothing else of the template takes an input but places
    // where GitLab itself reads it.
    let body = TEMPLATE.split_once("\n---\n").unwrap().1;
    for variable in &passed {
        let input = variable.strip_prefix("SECRETZERO_").unwrap().to_ascii_lowercase();
        assert!(body.contains(&format!("{variable}: \"$[[ inputs.{input} ]]\"\n")), "{variable}");
    }
    let plans = |input: &&String| input.contains("_plan_");
    for login in logins.iter().filter(|input| !plans(input)) {
        let variable = format!("SECRETZERO_{}", login.to_ascii_uppercase());
        assert!(passed.contains(&variable), "the component has no input {login}");
    }
    let declared: BTreeSet<String> = declared().as_object().unwrap().keys().cloned().collect();
    let for_gitlab = ["image", "name", "stage", "sync", "sync_stage", "gitlab_environment", "azure_audience"];
    let of_variables: BTreeSet<String> =
        passed.iter().map(|variable| variable.strip_prefix("SECRETZERO_").unwrap().to_ascii_lowercase()).collect();
    assert_eq!(declared, of_variables.into_iter().chain(for_gitlab.map(str::to_owned)).collect());
    assert!(for_gitlab.iter().all(|input| body.contains(&format!("$[[ inputs.{input} ]]"))));
}

/// A script is the same whatever the inputs are.
#[test]
fn no_input_is_part_of_a_script() {
    let (few, all) = (Pipeline::with(&only_image()), Pipeline::with(&inputs()));
    for name in all.names() {
        assert_eq!(all.job(&name).script(), few.job(&name).script(), "{name}");
    }
    let mut hostile = inputs();
    hostile["file"] = json!("$(touch pwned)");
    assert_eq!(Pipeline::with(&hostile).job("secretzero").script(), few.job("secretzero").script());
}

#[test]
fn the_readme_lists_the_inputs_with_their_defaults() {
    let rows: BTreeMap<String, String> =
        table(README, "## Inputs").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let declared = declared();
    let shown = |input: &Json| match &input["default"] {
        Json::String(text) if text.is_empty() => String::new(),
        Json::String(text) => format!("`{text}`"),
        Json::Null => "must be named".to_owned(),
        other => format!("`{other}`"),
    };
    let expected = declared.as_object().unwrap().iter().map(|(name, input)| (format!("`{name}`"), shown(input)));
    assert_eq!(rows, expected.collect());
}
