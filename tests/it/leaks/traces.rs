//! Everything that a run leaves outside declared targets: output, files, and what it sent.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::canary::Canaries;
use crate::fake::aws::FakeAws;
use crate::fake::github::FakeGithub;
use crate::sandbox::{Ran, Sandbox};

/// Inputs of a run and declared targets, which hold values because they must.
const DECLARED: &[&str] =
    &["Secretfile.yml", "vars.yml", "event.json", ".env", "app.json", "app.yml", "damaged.json", "damaged.yml"];

/// The members of a request in which a value belongs.
const VALUE_MEMBERS: [&str; 3] = ["SecretString", "SecretBinary", "Value"];

/// What was left, by where.
#[derive(Default)]
pub(crate) struct Traces {
    texts: Vec<(String, String)>,
    aws_seen: usize,
    github_seen: usize,
}

impl Traces {
    fn add(&mut self, place: String, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.texts.push((place, text));
        }
    }

    /// Standard output and standard error.
    pub(crate) fn ran(&mut self, case: &str, ran: &Ran) {
        self.add(format!("{case}: stdout"), ran.stdout.as_str());
        self.add(format!("{case}: stderr"), ran.stderr.as_str());
    }

    /// Every file but declared ones, names included: lock, journal, marks, reports, temporary files.
    pub(crate) fn folder(&mut self, case: &str, sandbox: &Sandbox) {
        self.below(case, &sandbox.path("."));
    }

    fn below(&mut self, case: &str, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type().unwrap().is_dir() {
                self.below(case, &path);
            } else if case.starts_with("a cut run") && name.starts_with(".secretzero-") && name.ends_with(".tmp") {
                // A declared target on its way: private, ignored by git, gone with the next write.
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            } else if !DECLARED.contains(&name.as_str()) {
                let bytes = std::fs::read(&path).unwrap();
                self.add(format!("{case}: the file {name}"), format!("{name}\n{}", String::from_utf8_lossy(&bytes)));
            }
        }
    }

    /// Every new request to AWS without the members that carry a value, and the credentials' own headers.
    pub(crate) fn aws(&mut self, case: &str, aws: &FakeAws) {
        let requests = aws.requests();
        let start = if requests.len() < self.aws_seen { 0 } else { self.aws_seen };
        for request in &requests[start..] {
            let mut body = request.body.clone();
            if let Some(members) = body.as_object_mut() {
                members.retain(|name, _| !VALUE_MEMBERS.contains(&name.as_str()));
            }
            let mut text = format!("{}\n{body}\n{}\n", request.operation, strings(&body));
            for (name, value) in &request.headers {
                let value = match name.as_str() {
                    "x-amz-security-token" => "",
                    // Key id, scope, signed headers, signature: the key id belongs here.
                    "authorization" => value.split_once('/').map_or(value.as_str(), |(_, rest)| rest),
                    _ => value.as_str(),
                };
                text.push_str(&format!("{name}: {value}\n"));
            }
            self.add(format!("{case}: {} to AWS", request.operation), text);
        }
        self.aws_seen = requests.len();
    }

    /// Every new request to GitHub without its authorization, and all that stands there.
    pub(crate) fn github(&mut self, case: &str, github: &FakeGithub) {
        let requests = github.requests();
        for request in &requests[self.github_seen..] {
            let headers: Vec<String> = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let (headers, said) = (headers.join("\n"), strings(&request.body));
            let text = format!("{}?{}\n{headers}\n{}\n{said}", request.path, request.query, request.body);
            self.add(format!("{case}: {} {} to GitHub", request.method, request.path), text);
        }
        self.github_seen = requests.len();
        let comments = github.world().comments.clone();
        for comment in comments {
            self.add(format!("{case}: the comment"), comment.body);
        }
        for issue in github.issues() {
            self.add(format!("{case}: the issue"), [issue.title, issue.body].join("\n"));
        }
        for check in github.checks() {
            let annotations = strings(&json!(check.annotations));
            let text = [check.title, check.summary, check.text, check.external_id, annotations].join("\n");
            self.add(format!("{case}: the check"), text);
        }
        let state = github.file("refs/secretzero/v1/default", "Secretfile.yml.lock.json").unwrap_or_default();
        self.add(format!("{case}: the state ref"), String::from_utf8(state).unwrap());
    }

    /// How many texts of a place there are.
    pub(crate) fn count(&self, place: &str) -> usize {
        self.texts.iter().filter(|(known, _)| known.contains(place)).count()
    }

    /// Panics with every canary that left, where and in which dress; never with the text around it.
    #[track_caller]
    pub(crate) fn assert_hold_no(&self, canaries: &Canaries) {
        let leaks = |(place, text): &(String, String)| {
            let found = canaries.found_in(text);
            found.first().map(|first| format!("{place}: {first} and {} other dresses", found.len() - 1))
        };
        let leaks: Vec<String> = self.texts.iter().filter_map(leaks).collect();
        assert!(leaks.is_empty(), "values left the process:\n{}", leaks.join("\n"));
        let panics: Vec<&str> = self
            .texts
            .iter()
            .filter(|(_, text)| text.contains("panicked at") || text.contains("RUST_BACKTRACE"))
            .map(|(place, _)| place.as_str())
            .collect();
        assert!(panics.is_empty(), "panics: {panics:?}");
    }
}

/// Every text of a document as it is, without JSON's escapes.
fn strings(json: &Json) -> String {
    match json {
        Json::String(text) => format!("{text}\n"),
        Json::Array(items) => items.iter().map(strings).collect(),
        Json::Object(members) => members.iter().map(|(name, member)| format!("{name}\n{}", strings(member))).collect(),
        _ => String::new(),
    }
}
