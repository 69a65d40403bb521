//! Files as the real binary writes them, read by the programs of others: bash, python-dotenv, `PyYAML`
//! and Python's json, Node's dotenv, JSON and YAML 1.2, serde-saphyr. What differs is exactly what the table in
//! `src/provider/local/dotenv.rs` says.

use std::collections::BTreeMap;
use std::process::Command;

use crate::sandbox::Sandbox;
use crate::servers::exported;

/// What a reader found, by name.
type Read = BTreeMap<String, String>;

const PYTHON: &str = "
import json, sys, dotenv, yaml
load = {
  '.env': lambda: {k: v for k, v in dotenv.dotenv_values('.env').items() if v is not None},
  'app.yml': lambda: yaml.safe_load(open('app.yml', encoding='utf-8')),
  'app.json': lambda: json.load(open('app.json', encoding='utf-8')),
}
json.dump(load[sys.argv[1]](), sys.stdout)
";

const NODE: &str = "
const [file, modules] = process.argv.slice(1);
const text = require('fs').readFileSync(file, 'utf8');
const parse = {
  '.env': () => require(`${modules}/dotenv`).parse(text),
  'app.json': () => JSON.parse(text),
  // The test servers bring this parser of YAML 1.2 with them.
  'app.yml': () => require(`${modules}/yaml`).parse(text, { version: '1.2', strict: true }),
};
process.stdout.write(JSON.stringify(parse[file]()));
";

/// Values that trip over quoting, escaping, line ends, or a format's own words.
const HOSTILE: &[&str] = &[
    "plain",
    "",
    " ",
    "a b",
    "#a",
    "a #b",
    "$HOME",
    "${HOME}",
    "`id`",
    "$(id)",
    "!x",
    "~",
    "a\\nb",
    "\\",
    "a\\",
    "\\\\",
    "a\\\\",
    "'",
    "\"",
    "'\"",
    "it's",
    "it's $5",
    "it's `x`",
    "it's \\",
    "\"'\\$`",
    "a\nb",
    "\n",
    "'\n\"\n$",
    "é€🔑",
    "\u{85}\u{2028}\u{feff}",
    "\t",
    "\r",
    "a\r\nb",
    "export X=1",
    "=",
    "a'\nB='b",
    "{a,b}",
    "*",
    "a;id",
    "&",
    "  both sides  ",
    "trailing \n",
    "\n\n leading",
    "{{ x }}",
    "${A:-b}",
    "a${b",
    "{\"a\": [1, '2']}",
    "\u{1}\u{1b}\u{7f}",
    "- a",
    "? a",
    "a: b",
    ": ",
    "---",
    "...\n---\n",
    "null",
    "yes",
    "0x1f",
    "1e3",
    "1_000",
    "2001-01-01",
    "<<",
    "%TAG",
    "@x",
    "!tag x",
    "*alias",
    "| text",
    "a sentence that is longer than eighty characters, so that a writer of YAML may well want to fold it somewhere",
];

fn hostile() -> Vec<String> {
    let mut values: Vec<String> = HOSTILE.iter().map(|value| (*value).to_owned()).collect();
    // Long enough to meet every buffer, with quotes and line ends all over it.
    values.push("it's \"long\" & has: lines #\n".repeat(2_000));
    values.push("x".repeat(100_000));
    // Every order of four special characters.
    let special = ['\'', '"', '\\', '$'];
    for n in 0..256_usize {
        values.push((0..4).map(|position| special[n >> (2 * position) & 3]).collect());
    }
    values
}

/// Writes values by their place in the list: `V_0`, `V_1`, …
fn written(values: &[String]) -> Sandbox {
    let target = |path: &str, format: &str| {
        format!("      - {{provider: local, kind: file, config: {{path: {path}, format: {format}, merge: true}}}}\n")
    };
    let targets = [target(".env", "dotenv"), target("app.json", "json"), target("app.yml", "yaml")].concat();
    let secret = |n: usize| {
        format!("  - name: V_{n}\n    kind: static\n    config: {{default: '${{VALUE_{n}}}'}}\n    targets:\n{targets}")
    };
    let secrets: String = (0..values.len()).map(secret).collect();
    let secretfile =
        format!("metadata: {{project: readers}}\nproviders: {{local: {{kind: local}}}}\nsecrets:\n{secrets}");
    let environment = values.iter().enumerate().map(|(n, value)| (format!("VALUE_{n}"), value.as_str()));
    let sandbox = Sandbox::with(&secretfile).env(environment);
    sandbox.expect(0, &["sync"]);
    sandbox
}

/// Lets a program read a file of the sandbox and tell it as JSON.
fn read(sandbox: &Sandbox, program: &str, args: &[&str]) -> Read {
    let mut command = Command::new(exported(program));
    command.args(args).current_dir(sandbox.path(".")).env_clear().env("HOME", "/home/of-the-reader");
    let output = command.env("LC_ALL", "C.UTF-8").output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn python(sandbox: &Sandbox, file: &str) -> Read {
    read(sandbox, "PYTHON", &["-c", PYTHON, file])
}

fn node(sandbox: &Sandbox, file: &str) -> Read {
    read(sandbox, "NODE", &["-e", NODE, "--", file, &exported("NODE_MODULES")])
}

/// Every value as it was, and nothing else.
#[track_caller]
fn assert_all(reader: &str, read: &Read, values: &[String]) {
    assert_eq!(read.len(), values.len(), "{reader}");
    for (n, value) in values.iter().enumerate() {
        assert_eq!(read.get(&format!("V_{n}")), Some(value), "{reader}");
    }
}

#[test]
fn a_shell_that_sources_the_file_sees_every_value_as_it_was() {
    let values = hostile();
    let sandbox = written(&values);
    let script = "set -e; . ./.env; for ((n = 0; n < $1; n++)); do name=V_$n; printf '%s\\0' \"${!name}\"; done";
    let exported = "set -ea; . ./.env; set +a; for ((n = 0; n < $1; n++)); do printenv -0 V_$n; done";
    let count = values.len().to_string();
    for script in [script, exported] {
        assert_eq!(sourced(&sandbox, script, &count), values);
    }
}

/// What bash prints, NUL after each value.
fn sourced(sandbox: &Sandbox, script: &str, count: &str) -> Vec<String> {
    let output =
        Command::new("bash").args(["-c", script, "bash", count]).current_dir(sandbox.path(".")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// No environment variable can hold one; the other formats can.
#[test]
fn a_nul_byte_is_refused_in_dotenv_alone() {
    let file = |path: &str| {
        format!(
            "metadata: {{project: readers}}\nproviders: {{local: {{kind: local}}}}\nsecrets:\n  - name: V_0\n    kind: static\n    config: {{default: \"a\\0b\"}}\n    targets: [{{provider: local, kind: file, config: {{path: {path}}}}}]\n"
        )
    };
    let refused = Sandbox::with(&file(".env"));
    let ran = refused.run(&["sync"]);
    assert!(ran.code != Some(0) && format!("{}{}", ran.stdout, ran.stderr).contains("NUL"), "{ran:?}");
    assert_eq!(refused.read(".env"), "");
    let values = ["a\0b".to_owned()];
    for path in ["app.json", "app.yml"] {
        let sandbox = Sandbox::with(&file(path));
        sandbox.expect(0, &["sync"]);
        assert_all(path, &node(&sandbox, path), &values);
    }
}

#[test]
fn local_json_and_yaml_are_read_alike_by_everyone() {
    let values = hostile();
    let sandbox = written(&values);
    assert_all("Python's json", &python(&sandbox, "app.json"), &values);
    assert_all("Node's JSON", &node(&sandbox, "app.json"), &values);
    assert_all("npm's yaml, which is YAML 1.2", &node(&sandbox, "app.yml"), &values);
    assert_all("PyYAML", &python(&sandbox, "app.yml"), &values);
    let saphyr: Read = serde_saphyr::from_str(&sandbox.read("app.yml")).unwrap();
    assert_all("serde-saphyr", &saphyr, &values);
}

#[test]
fn a_block_of_yaml_that_is_replaced_leaves_nothing_of_itself() {
    for block in ["V_0: |\n  old\n  lines\n", "V_0: >-\n  old\n\n  lines\n", "V_0: | # old\n  old"] {
        let sandbox = Sandbox::with(
            "metadata: {project: readers}\nproviders: {local: {kind: local}}\nsecrets:\n  - {name: V_0, kind: static, config: {default: 'a new: one'}, targets: [{provider: local, kind: file, config: {path: app.yml, merge: true}}]}\n",
        );
        sandbox.write("app.yml", &format!("W: one\n{block}"));
        sandbox.expect(0, &["sync", "--overwrite"]);
        let read = |from: &dyn Fn(&Sandbox, &str) -> Read| from(&sandbox, "app.yml").remove("V_0");
        assert_eq!(read(&node).as_deref(), Some("a new: one"), "{block}");
        assert_eq!(read(&python).as_deref(), Some("a new: one"), "{block}");
    }
}

/// What the table says that python-dotenv reads otherwise.
fn python_differs(value: &str) -> bool {
    let (single, expands) = (!value.contains('\''), value.contains(['$', '`']));
    let variable = value.find("${").is_some_and(|at| value[at..].contains('}'));
    value.ends_with('\\') || variable || value.contains('\r') || (expands && (!single || value.contains(r"\\")))
}

/// What the table says that Node's dotenv reads otherwise.
fn node_differs(value: &str) -> bool {
    let quoted_single = !value.contains('\'') && (!value.contains(r"\\") || value.contains(['$', '`']));
    value.ends_with('\\') || value.contains('\r') || (!quoted_single && value.contains(['"', '\\', '$', '`']))
}

/// Exactly the known values differ, and none of them disturbs another.
#[track_caller]
fn assert_differs_as_known(reader: &str, read: &Read, values: &[String], differs: fn(&str) -> bool) {
    let mut wrong = Vec::new();
    for (n, value) in values.iter().enumerate() {
        let got = read.get(&format!("V_{n}"));
        if (got != Some(value)) != differs(value) {
            wrong.push(format!("{value:?} was read as {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{reader} is not as the table says:\n{}", wrong.join("\n"));
    let known =
        |name: &String| name.strip_prefix("V_").and_then(|n| n.parse().ok()).is_some_and(|n: usize| n < values.len());
    assert!(read.keys().all(known), "{reader} sees no other names: {:?}", read.keys());
    let same = values.iter().filter(|value| !differs(value)).count();
    assert!(same > 50 && same < values.len(), "{reader}: both kinds are there");
}

#[test]
fn local_dotenv_differs_for_other_readers_exactly_as_its_table_says() {
    let values = hostile();
    let sandbox = written(&values);
    assert_differs_as_known("python-dotenv", &python(&sandbox, ".env"), &values, python_differs);
    assert_differs_as_known("Node's dotenv", &node(&sandbox, ".env"), &values, node_differs);
}
