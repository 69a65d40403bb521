//! The schema for editors against a validator that is not ours, and against the reader of Secretfiles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use secretzero::diagnostic::Source;
use secretzero::manifest::{Inputs, load, schema};
use serde_json::Value as Json;

use crate::sandbox::Sandbox;
use crate::servers::exported;

/// Bad Secretfiles that the schema lets pass, and what `validate` knows beyond it.
const BEYOND: &[(&str, &str)] = &[
    ("alias-to-itself.yml", "no document comes of it: the validator's own reader ends in a recursion"),
    ("azure-case.yml", "two targets side by side"),
    ("azure-host.yml", "`allowed_hosts` may name other hosts"),
    ("azure-http.yml", "`allowed_hosts` may name a host of this machine"),
    ("azure-labels.yml", "`allowed_hosts` may name other hosts"),
    ("bad-variable.yml", "the syntax of variables inside any text"),
    ("base64-wrong.yml", "a text that is to be base64"),
    ("certificate-field.yml", "a target needs to know the secret's template"),
    ("class-excluded.yml", "sets of characters compared"),
    ("duplicate-across.yml", "two targets side by side"),
    ("duplicate-secret.yml", "two secrets side by side"),
    ("duplicate-target.yml", "two targets side by side"),
    ("encoding-field.yml", "a setting that only whole values have"),
    ("environment-defaults-key.yml", "which settings there are depends on the targets of that provider"),
    ("environment-defaults-provider.yml", "the names that the file gives its providers"),
    ("environment-defaults-value.yml", "which settings there are depends on the targets of that provider"),
    ("environment-none.yml", "what the command line chooses"),
    ("environment-one-lock.yml", "two environments side by side"),
    ("environment-own-file.yml", "a target beside the files of its environment"),
    ("environment-own-lock.yml", "a target beside the lock of its environment"),
    ("field-cycle.yml", "fields that name one another"),
    ("file-collision.yml", "two targets side by side"),
    ("file-self.yml", "the name of the file itself"),
    ("file-two-formats.yml", "two targets side by side"),
    ("foreign-replica.yml", "two targets side by side"),
    ("gcp-project.yml", "a target needs to know its provider"),
    ("gcp-ttl.yml", "two keys of one meaning"),
    ("github-expression.yml", "the syntax of variables inside any text"),
    ("length-short.yml", "a length compared with the number of classes"),
    ("missing-var-braces.yml", "which variables there are"),
    ("missing-variable-static.yml", "which variables there are"),
    ("missing-variable.yml", "which variables there are"),
    ("moved-circle.yml", "moves that lead to one another"),
    ("moved-from-exists.yml", "a name that stands elsewhere"),
    ("moved-unknown.yml", "a name that stands elsewhere"),
    ("nested-default.yml", "the syntax of variables inside any text"),
    ("policy-provider.yml", "a name that stands elsewhere"),
    ("provider-both-configs.yml", "one setting in two places"),
    ("provider-token-unset.yml", "which variables there are"),
    ("replica-primary.yml", "two targets side by side"),
    ("sm-empty.yml", "a target needs to know the secret's value"),
    ("sm-replica-own.yml", "a target needs to know its provider"),
    ("ssm-braces.yml", "a target needs to know the secret's generator"),
    ("ssm-policies-json.yml", "JSON inside a text"),
    ("ssm-size.yml", "a target needs to know the secret's generator"),
    ("static-field.yml", "which texts name a field"),
    ("template-twice.yml", "two secrets side by side"),
    ("two-primaries.yml", "two targets side by side"),
    ("unknown-field.yml", "a name that stands elsewhere"),
    ("unknown-provider.yml", "a name that stands elsewhere"),
    ("unknown-template.yml", "a name that stands elsewhere"),
    ("validation-fails.yml", "a value compared with a pattern"),
    ("validation-regex.yml", "a regular expression inside a text"),
    ("value-nul.yml", "a target needs to know the secret's value"),
    ("value-object.yml", "a target needs to know the secret's generator"),
    ("value-widest.yml", "a target needs to know the secret's generator"),
    ("wrong-provider.yml", "a target needs to know its provider"),
];

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    files
}

/// The files that the validator refuses, each with its reason.
fn refused(files: &[PathBuf]) -> BTreeMap<String, String> {
    let sandbox = Sandbox::new();
    let printed = sandbox.expect(0, &["schema"]).stdout;
    sandbox.write("secretfile.schema.json", &printed);
    let mut check = Command::new(exported("PYTHON"));
    check.args(["-m", "check_jsonschema", "-o", "json", "--schemafile"]).arg(sandbox.path("secretfile.schema.json"));
    let output = check.args(files).output().unwrap();
    let said: Json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&output.stderr)));
    let problems = ["errors", "parse_errors"].into_iter().filter_map(|kind| said[kind].as_array()).flatten();
    let name = |problem: &Json| {
        let path = problem["filename"].as_str().unwrap();
        Path::new(path).file_name().unwrap().to_string_lossy().into_owned()
    };
    problems.map(|problem| (name(problem), problem.to_string())).collect()
}

#[test]
fn every_secretfile_that_is_valid_fits_the_schema() {
    let mut files: Vec<PathBuf> =
        ["examples", "manifests/good", "cli", "flow"].into_iter().flat_map(fixtures).collect();
    // A half of a file, and an example that is no YAML.
    files.retain(|path| !path.ends_with("change.yml") && !path.ends_with("04-vault-specific.yml"));
    assert!(files.len() > 15, "{files:?}");
    assert_eq!(refused(&files), BTreeMap::new());
}

#[test]
fn every_bad_secretfile_is_refused_by_the_schema_or_listed_with_what_is_beyond_it() {
    let files = fixtures("manifests/bad");
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let all: BTreeSet<String> = files.iter().map(name).collect();
    let judged: Vec<PathBuf> = files.into_iter().filter(|path| !path.ends_with("alias-to-itself.yml")).collect();
    let refused: BTreeSet<String> = refused(&judged).into_keys().collect();
    let passed: Vec<&str> = all.difference(&refused).map(String::as_str).collect();
    let beyond: Vec<&str> = BEYOND.iter().map(|(name, _)| *name).collect();
    assert_eq!(passed, beyond, "what passes the schema, and what may");
    assert!(refused.len() > 90, "{} of {} are refused", refused.len(), all.len());
}

/// Asks the reader which keys it knows: an unknown one is answered with all of them.
fn known(secretfile: &str) -> BTreeSet<String> {
    let text = secretfile.replace("PROBE", "zzzzzzzzzzzz: 1");
    let nothing = |_: &str| None;
    let now = "2026-06-01T00:00:00Z".parse().unwrap();
    let loaded = load(&Source::new("Secretfile.yml", text.clone()), &Inputs::new(&nothing, now));
    let finding = loaded.diagnostics.iter().find(|f| f.code == "unknown-key" && f.message.contains("zzzzzzzzzzzz"));
    let help =
        finding.unwrap_or_else(|| panic!("no unknown key\n{text}\n{:?}", loaded.diagnostics)).help.clone().unwrap();
    if help == "it has no keys at all" {
        return BTreeSet::new();
    }
    help.strip_prefix("known are: ")
        .unwrap_or_else(|| panic!("{help}\n{text}"))
        .split(", ")
        .map(str::to_owned)
        .collect()
}

/// The keys of a part of the schema.
fn keys(schema: &Json, pointer: &str) -> BTreeSet<String> {
    let part = schema.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"));
    part["properties"].as_object().unwrap().keys().cloned().collect()
}

fn secret(more: &str) -> String {
    let targets = "targets: [{provider: l, kind: file, config: {path: .env}}]";
    format!("providers: {{l: {{kind: local}}}}\nsecrets: [{{name: a, {more}, {targets}}}]\n")
}

fn words(schema: &Json, pointer: &str) -> Vec<String> {
    let words = schema.pointer(pointer).and_then(Json::as_array).unwrap_or_else(|| panic!("no {pointer}"));
    words.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// Each place of a Secretfile that has keys, with the part of the schema that is about it.
fn places(schema: &Json) -> Vec<(String, String)> {
    let definition = |name: &str| format!("/definitions/{name}");
    let one = |text: &str, pointer: &str| (text.to_owned(), pointer.to_owned());
    let mut places = vec![
        one("PROBE", ""),
        one("metadata: {PROBE}", "/properties/metadata"),
        one("moved: [{PROBE}]", "/properties/moved/items"),
        one("providers: {a: {kind: aws, PROBE}}", "/definitions/provider"),
        one("providers: {a: {kind: aws, auth: {PROBE}}}", "/definitions/provider/properties/auth"),
        one("templates: {t: {PROBE}}", "/definitions/template"),
        one("environments: {e: {PROBE}}", "/definitions/environment"),
        one("costs: {PROBE}", "/properties/costs"),
        one("costs: {aws: {PROBE}}", "/properties/costs/properties/aws"),
        one("templates: {t: {fields: {f: {PROBE}}}}", "/definitions/template/properties/fields/additionalProperties"),
        one(
            "templates: {t: {fields: {f: {generator: {PROBE}}}}}",
            "/definitions/template/properties/fields/additionalProperties/properties/generator",
        ),
        (secret("kind: uuid, PROBE"), definition("secret")),
        one(
            "secrets: [{name: a, kind: uuid, targets: [{provider: l, kind: file, PROBE, config: {path: .env}}]}]",
            "/definitions/target",
        ),
        one(
            "secrets: [{name: a, kind: uuid, targets: [{provider: l, kind: secrets_manager, config: {name: a, replica_regions: [{region: eu-west-1, PROBE}]}}]}]",
            "/definitions/target_secrets_manager/properties/replica_regions/items/anyOf/1",
        ),
        one(
            "secrets: [{name: a, kind: uuid, targets: [{provider: l, kind: secret_manager, config: {secret_id: a, replication: {PROBE}}}]}]",
            "/definitions/target_secret_manager/properties/replication/anyOf/1",
        ),
    ];
    for word in words(schema, "/definitions/secret/properties/kind/anyOf/0/enum") {
        places.push((secret(&format!("kind: {word}, config: {{PROBE}}")), definition(&format!("generator_{word}"))));
    }
    for word in words(schema, "/definitions/target/properties/kind/anyOf/0/enum") {
        let target = format!("{{provider: l, kind: {word}, config: {{PROBE}}}}");
        places.push((
            format!("secrets: [{{name: a, kind: uuid, targets: [{target}]}}]"),
            definition(&format!("target_{word}")),
        ));
    }
    for word in words(schema, "/definitions/policy/properties/kind/anyOf/0/enum") {
        places.push((format!("policies: {{p: {{kind: {word}, PROBE}}}}"), definition(&format!("policy_{word}"))));
    }
    for word in words(schema, "/definitions/provider/properties/kind/anyOf/0/enum") {
        if word != "local" {
            let text = format!("providers: {{p: {{kind: {word}, config: {{PROBE}}}}}}");
            places.push((text, definition(&format!("provider_{word}"))));
        }
    }
    places
}

#[test]
fn the_schema_and_the_reader_know_the_same_keys() {
    let schema = schema();
    let places = places(&schema);
    assert!(places.len() > 30, "{} places", places.len());
    for (secretfile, pointer) in places {
        assert_eq!(
            keys(&schema, &pointer),
            known(&secretfile),
            "{pointer}: the schema's, then the reader's\n{secretfile}"
        );
    }
}

/// Every word that the schema offers is one that the reader takes, and the other way round.
#[test]
fn the_schema_offers_every_word_that_the_reader_takes() {
    let schema = schema();
    let offered = |pointer: &str| words(&schema, pointer).into_iter().collect::<BTreeSet<String>>();
    let taken = |secretfile: String, code: &str| {
        let nothing = |_: &str| None;
        let loaded = load(
            &Source::new("Secretfile.yml", secretfile.replace("WORD", "zzzzzzzzzzzz")),
            &Inputs::new(&nothing, "2026-06-01T00:00:00Z".parse().unwrap()),
        );
        let finding =
            loaded.diagnostics.iter().find(|f| f.code == code).unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        let help = finding.help.clone().unwrap();
        let list = help.split_once("known are: ").unwrap_or_else(|| panic!("{help}")).1;
        let list = list.split_once(" The characters").map_or(list, |(list, _)| list);
        list.split(", ").map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let target = |kind: &str, more: &str| {
        format!("secrets: [{{name: a, kind: uuid, targets: [{{provider: l, kind: {kind}, config: {{{more}}}}}]}}]")
    };
    let generator = secret("kind: WORD");
    assert_eq!(offered("/definitions/secret/properties/kind/anyOf/0/enum"), taken(generator, "unknown-kind"));
    for (pointer, secretfile) in [
        ("generator_random_string/properties/charset", secret("kind: random_string, config: {charset: WORD}")),
        ("target_ssm_parameter/properties/type", target("ssm_parameter", "name: a, type: WORD")),
        ("target_ssm_parameter/properties/tier", target("ssm_parameter", "name: a, tier: WORD")),
        ("target_ssm_parameter/properties/data_type", target("ssm_parameter", "name: a, data_type: WORD")),
        ("target_transit_key/properties/key_type", target("transit_key", "key_name: a, key_type: WORD")),
        ("target_file/properties/format", target("file", "path: a, format: WORD")),
        ("provider/properties/kind", "providers: {p: {kind: WORD}}".into()),
        ("policy/properties/kind", "policies: {p: {kind: WORD}}".into()),
        ("policy_audit/properties/severity", "policies: {p: {kind: audit, severity: WORD}}".into()),
    ] {
        let code = if pointer.ends_with("charset") { "unknown-charset" } else { "unknown-word" };
        assert_eq!(offered(&format!("/definitions/{pointer}/anyOf/0/enum")), taken(secretfile, code), "{pointer}");
    }
}

#[test]
fn every_key_tells_an_editor_what_it_is() {
    fn walk(at: &str, part: &Json, silent: &mut Vec<String>, seen: &mut usize) {
        match part {
            Json::Object(members) => {
                for (key, shape) in members.get("properties").and_then(Json::as_object).into_iter().flatten() {
                    // Conditions repeat keys that were described already.
                    let described =
                        shape.get("description").and_then(Json::as_str).is_some_and(|text| !text.is_empty());
                    let elsewhere = shape.get("$ref").is_some()
                        || at.contains("/allOf/")
                        || at.contains("/if")
                        || at.contains("/not");
                    *seen += 1;
                    if !described && !elsewhere {
                        silent.push(format!("{at}/{key}"));
                    }
                }
                members.iter().for_each(|(key, part)| walk(&format!("{at}/{key}"), part, silent, seen));
            }
            Json::Array(parts) => {
                parts.iter().enumerate().for_each(|(index, part)| walk(&format!("{at}/{index}"), part, silent, seen));
            }
            _ => {}
        }
    }
    let (mut silent, mut seen) = (Vec::new(), 0);
    walk("", &schema(), &mut silent, &mut seen);
    // The members of SSM's policies are Amazon's.
    silent.retain(|at| !at.contains("/policies/"));
    assert_eq!(silent, Vec::<String>::new());
    assert!(seen > 150, "{seen} keys");
}
