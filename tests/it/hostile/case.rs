//! One hostile pull request, as its file says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value as Json;

/// The synced Secretfile of the default branch.
pub(super) const BASE: &str = include_str!("../../fixtures/hostile/base/Secretfile.yml");

/// What the pull request brings and what must come of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Case {
    /// The file's name.
    pub(super) name: String,
    /// The first line.
    pub(super) reason: String,
    /// The default branch's Secretfile.
    pub(super) base: String,
    /// The pull request's Secretfile; `None` if it has none.
    pub(super) head: Option<Vec<u8>>,
    /// Other files that it brings.
    pub(super) files: BTreeMap<String, String>,
    /// Files that an earlier step of the job left in the workspace.
    pub(super) untracked: BTreeMap<String, String>,
    /// Symbolic links that it brings.
    pub(super) links: BTreeMap<String, String>,
    /// Name of the event.
    pub(super) event: String,
    /// What is merged into the usual payload.
    pub(super) payload: Json,
    /// The payload as text, instead.
    pub(super) raw_payload: Option<String>,
    /// Whether the API says that the head is a fork's.
    pub(super) fork: bool,
    /// The branch that the API says it is merged into.
    pub(super) base_branch: String,
    /// Comments that stand there before: who and what.
    pub(super) comments: Vec<(String, String)>,
    /// Inputs of the workflow.
    pub(super) inputs: BTreeMap<String, String>,
    /// Variables of the runner.
    pub(super) environment: BTreeMap<String, String>,
    /// What must come of it.
    pub(super) expect: Expect,
}

/// What must come of a case beside what holds for all.
#[derive(Debug, Clone, Default)]
pub(super) struct Expect {
    /// Exit code.
    pub(super) exit: i32,
    /// Whether stores are asked at all.
    pub(super) asks_stores: Option<bool>,
    /// Conclusion of the check, if one must be there.
    pub(super) check: Option<String>,
    /// What comment, summary or log must say.
    pub(super) says: Vec<String>,
    /// What none of them may say.
    pub(super) never: Vec<String>,
}

impl Case {
    pub(super) fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(path).unwrap();
        let reason = text.lines().next().and_then(|line| line.strip_prefix("# reason: "));
        let reason = reason.unwrap_or_else(|| panic!("{name} begins with no `# reason: …`")).to_owned();
        let file: Json = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let known = [
            "base",
            "head",
            "edit",
            "append",
            "repeat",
            "bytes",
            "files",
            "links",
            "untracked",
            "event",
            "payload",
            "raw_payload",
            "fork",
            "base_branch",
            "comments",
            "inputs",
            "environment",
            "expect",
        ];
        let keys = file.as_object().unwrap().keys();
        let unknown: Vec<_> = keys.filter(|key| !known.contains(&key.as_str())).collect();
        assert!(unknown.is_empty(), "{name}: unknown {unknown:?}");
        let text = |key: &str| file[key].as_str().map(str::to_owned);
        let base = edited(&name, text("base").unwrap_or_else(|| BASE.to_owned()), &Json::Null);
        let map = |key: &str| -> BTreeMap<String, String> {
            let entries = file[key].as_object().into_iter().flatten();
            entries
                .map(|(name, value)| {
                    (name.clone(), value.as_str().unwrap_or_else(|| panic!("{name} is no text")).to_owned())
                })
                .collect()
        };
        let comments = file["comments"].as_array().into_iter().flatten();
        let comments =
            comments.map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned()));
        let mut inputs = BTreeMap::from([("plan_mode".to_owned(), "online".to_owned())]);
        inputs.extend(map("inputs"));
        Self {
            head: head(&name, &base, &file),
            base,
            files: map("files"),
            untracked: map("untracked"),
            links: map("links"),
            event: text("event").unwrap_or_else(|| "pull_request".into()),
            payload: file["payload"].clone(),
            raw_payload: text("raw_payload"),
            fork: file["fork"] == true,
            base_branch: text("base_branch").unwrap_or_else(|| "main".into()),
            comments: comments.collect(),
            inputs,
            environment: map("environment"),
            expect: Expect::read(&name, &file["expect"]),
            name,
            reason,
        }
    }
}

/// The head's Secretfile: the base, edited, or a text of its own.
fn head(name: &str, base: &str, file: &Json) -> Option<Vec<u8>> {
    if let Some(bytes) = file["bytes"].as_str() {
        return Some(data_encoding::HEXLOWER.decode(bytes.as_bytes()).unwrap());
    }
    if file["head"] == "none" {
        return None;
    }
    let text = file["head"].as_str().unwrap_or(base).to_owned();
    let mut text = edited(name, text, &file["edit"]);
    text.push_str(file["append"].as_str().unwrap_or_default());
    if let Some(line) = file["repeat"]["text"].as_str() {
        for n in 0..file["repeat"]["times"].as_u64().unwrap() {
            text.push_str(&line.replace("NUMBER", &n.to_string()));
        }
    }
    Some(text.into_bytes())
}

fn edited(name: &str, mut text: String, edits: &Json) -> String {
    for edit in edits.as_array().into_iter().flatten() {
        let (from, to) = (edit[0].as_str().unwrap(), edit[1].as_str().unwrap());
        assert!(text.contains(from), "{name}: the base has no {from}");
        text = text.replace(from, to);
    }
    text
}

impl Expect {
    fn read(name: &str, expect: &Json) -> Self {
        let list = |key: &str| -> Vec<String> {
            expect[key].as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let exit = expect["exit"].as_i64().unwrap_or_else(|| panic!("{name} expects no exit code"));
        Self {
            exit: i32::try_from(exit).unwrap(),
            asks_stores: expect["asks_stores"].as_bool(),
            check: expect["check"].as_str().map(str::to_owned),
            says: list("says"),
            never: list("never"),
        }
    }
}
