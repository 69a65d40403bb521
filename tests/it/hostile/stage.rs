//! The world that a hostile pull request meets, and everything that must still hold in it afterwards.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::case::Case;
use super::words;
use crate::canary::Canary;
use crate::fake::aws::FakeAws;
use crate::fake::github::{FakeGithub, Recorded, World};
use crate::job::Job;
use crate::sandbox::{Ran, Sandbox};

/// What the runner holds that no pull request may see or send.
const RUNNER: [(&str, &str); 4] = [
    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "id-token-request-canary-5f1c"),
    ("DEPLOY_KEY", "deploy-key-canary-77ab"),
    ("AWS_SESSION_TOKEN", "session-token-canary-90cd"),
    ("ACTIONS_RUNTIME_TOKEN", "runtime-token-canary-12ef"),
];

/// Operations that return a value.
const READS: &[&str] = &[
    "GetSecretValue",
    "BatchGetSecretValue",
    "GetParameter",
    "GetParameters",
    "GetParametersByPath",
    "GetParameterHistory",
];

/// The outputs that `action.yml` declares, and no others, may be set.
fn outputs() -> Vec<String> {
    crate::action::names("outputs")
}

pub(super) struct Stage {
    case: Case,
    github: FakeGithub,
    aws: FakeAws,
    sandbox: Sandbox,
    job: Job,
    elsewhere: Canary,
    identity: Canary,
    pull: u64,
    head: String,
}

impl Stage {
    /// The base is synced, the pull request is open and checked out.
    pub(super) fn of(mut case: Case) -> Self {
        let (github, aws) = (FakeGithub::start(), FakeAws::start());
        let (elsewhere, identity) = (Canary::start(), Canary::start());
        let rights = [("contents", "write"), ("pull-requests", "write"), ("checks", "write")];
        let job = Job::on(&github, github.workflow_token(&rights), aws.env());
        let sandbox = Sandbox::new();
        let there = |text: &str| text.replace("ELSEWHERE", &elsewhere.address());
        case.head = case.head.map(|bytes| match String::from_utf8(bytes) {
            Ok(text) => there(&text).into_bytes(),
            Err(error) => error.into_bytes(),
        });
        for text in case.files.values_mut() {
            *text = there(text);
        }
        let base = github.commit("main", &[("Secretfile.yml", case.base.as_bytes())]);
        let mut stage = Self { case, github, aws, sandbox, job, elsewhere, identity, pull: 0, head: String::new() };
        stage.sandbox.write("work/Secretfile.yml", &stage.case.base.clone());
        let synced = stage.go("push", &stage.job.push_event(&base).to_string(), &base, &BTreeMap::new());
        assert_eq!(synced.code, Some(0), "{}: the base is not synced: {synced:?}", stage.case.name);
        stage.open();
        stage
    }

    fn open(&mut self) {
        let Case { head, files, links, base_branch, .. } = &self.case;
        if base_branch != "main" {
            self.github.commit(base_branch, &[("RELEASE", b"1")]);
        }
        let mut tree: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
        tree.extend(head.as_deref().map(|bytes| ("Secretfile.yml", bytes)));
        self.head = self.github.commit("change", &tree);
        let owner = if self.case.fork { World::REPOSITORY_ID + 1 } else { World::REPOSITORY_ID };
        self.pull = self.github.world().open_pull("change", base_branch, Some(owner));
        for (login, body) in &self.case.comments {
            self.github.comment_as(login, self.pull, body);
        }
        self.sandbox.remove("work/Secretfile.yml");
        for (path, bytes) in tree {
            self.sandbox.write_bytes(&format!("work/{path}"), bytes);
        }
        for (path, target) in links {
            let at = self.sandbox.path(&format!("work/{path}"));
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target.replace("OUTSIDE", &self.path("outside")), at).unwrap();
        }
        for (path, text) in &self.case.untracked {
            self.sandbox.write(&format!("work/{path}"), text);
        }
        self.sandbox.write("outside/keep", "of the runner");
        self.sandbox.write("outside/.env", "OWN=runner-file-canary-3b\n");
    }

    fn path(&self, name: &str) -> String {
        self.sandbox.path(name).display().to_string()
    }

    fn go(&self, event: &str, payload: &str, sha: &str, more: &BTreeMap<String, String>) -> Ran {
        let mut environment = self.job.environment(&self.sandbox, event, &Json::Null, sha, &[]);
        self.sandbox.write("temp/event.json", payload);
        self.sandbox.write("temp/output", "");
        self.sandbox.write("temp/summary", "");
        for (name, at) in [
            ("GITHUB_WORKSPACE", "work"),
            ("RUNNER_TEMP", "temp"),
            ("GITHUB_EVENT_PATH", "temp/event.json"),
            ("GITHUB_OUTPUT", "temp/output"),
            ("GITHUB_STEP_SUMMARY", "temp/summary"),
        ] {
            environment.insert(name.into(), self.path(at));
        }
        let identity = format!("http://{}/token?api-version=2", self.identity.address());
        environment.insert("ACTIONS_ID_TOKEN_REQUEST_URL".into(), identity);
        environment.extend(RUNNER.map(|(name, value)| (name.to_owned(), value.to_owned())));
        environment.extend(more.clone());
        self.sandbox.run_with(&["ci"], &environment)
    }

    fn payload(&self) -> String {
        if let Some(raw) = &self.case.raw_payload {
            return raw.clone();
        }
        let owner = if self.case.fork { World::REPOSITORY_ID + 1 } else { World::REPOSITORY_ID };
        let mut payload = match self.case.event.as_str() {
            "push" => self.job.push_event(&self.head),
            _ => self.job.pull_request_event(owner, self.pull, &self.head),
        };
        payload["pull_request"]["base"]["ref"] = json!(self.case.base_branch);
        merge(&mut payload, &self.case.payload);
        payload.to_string().replace("HEAD_SHA", &self.head)
    }

    /// Runs it; what went wrong.
    pub(super) fn judge(&self) -> Vec<String> {
        self.aws.forget_requests();
        let values = self.values();
        let (regions, refs) = (self.regions(), self.github.world().refs.clone());
        let objects = self.github.world().objects.len();
        let asked = self.github.requests().len();
        let others = self.comments_of_others();
        let before = files(&self.path("."));
        let mut more = self.case.environment.clone();
        more.extend(
            self.case.inputs.iter().map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), value.clone())),
        );
        let ran = self.go(&self.case.event, &self.payload(), &self.head, &more);

        let mut found = Vec::new();
        let mut must = |holds: bool, what: String| {
            if !holds {
                found.push(what);
            }
        };
        let Ran { code, stdout, stderr } = &ran;
        let expect = &self.case.expect;
        must(*code == Some(expect.exit), format!("exit {code:?}, not {}: {stdout}{stderr}", expect.exit));
        must(self.identity.count() == 0, "an identity token was asked for".into());
        must(self.elsewhere.count() == 0, format!("another host was called: {}", self.elsewhere.heard()));
        for read in READS.iter().chain(&["AssumeRole", "AssumeRoleWithWebIdentity"]) {
            must(self.aws.count(read) == 0, format!("{read} was called"));
        }
        must(self.aws.effects() == 0 && self.regions() == regions, "a store was written".into());
        let asks = self.aws.total() > 0;
        must(expect.asks_stores.is_none_or(|asked| asked == asks), format!("stores were asked: {asks}; {stdout}"));
        must(self.github.world().refs == refs, "a ref was written".into());
        must(self.github.world().objects.len() == objects, "a git object was written".into());
        must(self.comments_of_others() == others, "somebody else's comment was changed".into());
        let after = files(&self.path("."));
        must(after == before, format!("files changed: {:?}", differing(&before, &after)));
        let said = self.said(&ran);
        for text in &expect.says {
            must(said.iter().any(|(_, one)| one.contains(text)), format!("nobody says {text:?}: {said:#?}"));
        }
        for text in &expect.never {
            must(!said.iter().any(|(_, one)| one.contains(text)), format!("somebody says {text:?}"));
        }
        if let Some(conclusion) = &expect.check {
            let check = self.github.checks().pop().filter(|check| check.head_sha == self.head);
            must(check.is_some_and(|check| check.conclusion.as_ref() == Some(conclusion)), "the check differs".into());
        }
        let sent: Vec<_> = self.github.requests().into_iter().skip(asked).collect();
        for request in &sent {
            let path = &request.path;
            let writes = request.method != "GET" && !path.contains("/comments") && !path.contains("/check-runs");
            must(!writes || path.contains("graphql"), format!("{} {path}", request.method));
            let token = format!("Bearer {}", self.job.token);
            must(request.authorization == token, format!("another token went to {path}"));
        }
        let sent: String =
            sent.iter().map(|request| format!("{} {} {}\n", request.path, request.query, request.body)).collect();
        for secret in values.iter().map(String::as_str).chain(RUNNER.map(|(_, value)| value)).chain(KEYS) {
            must(!sent.contains(secret), "a secret was sent to GitHub".into());
            must(!said.iter().any(|(_, one)| one.contains(secret)), "a secret was said".into());
        }
        found.extend(self.manners(&said, &ran));
        found
    }

    /// Runs `command: doctor` on it, which comments on nothing; what went wrong.
    pub(super) fn examine(&self) -> Vec<String> {
        self.aws.forget_requests();
        let values = self.values();
        let refs = self.github.world().refs.clone();
        let asked = self.github.requests().len();
        let before = files(&self.path("."));
        let mut more = self.case.environment.clone();
        let inputs =
            self.case.inputs.iter().map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), value.clone()));
        more.extend(inputs);
        more.insert("INPUT_COMMAND".into(), "doctor".into());
        more.insert("GITHUB_ACTIONS".into(), "true".into());
        let ran = self.go(&self.case.event, &self.payload(), &self.head, &more);

        let mut found = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                found.push(format!("doctor: {what}"));
            }
        };
        must(matches!(ran.code, Some(0 | 1)), "it ended badly");
        must(self.identity.count() == 0, "an identity token was asked for");
        must(self.elsewhere.count() == 0, "another host was called");
        // Who it is there is all that it asks of a store.
        must(self.aws.count("GetCallerIdentity") == self.aws.total(), "a store was asked for more");
        let asks = self.aws.total() > 0;
        must(self.case.expect.asks_stores.is_none_or(|asked| asked == asks), "stores are asked where a plan asks them");
        must(self.github.world().refs == refs, "a ref was written");
        // A right is found out by a request that says nothing, which creates nothing.
        let writes = |one: &Recorded| one.method != "GET" && one.body != json!({});
        must(!self.github.requests().iter().skip(asked).any(writes), "the forge was written to");
        let after = files(&self.path("."));
        must(after == before, &format!("files changed: {:?}", differing(&before, &after)));
        let summary = self.sandbox.read("temp/summary");
        for secret in values.iter().map(String::as_str).chain(RUNNER.map(|(_, value)| value)).chain(KEYS) {
            must(!format!("{}{}{summary}", ran.stdout, ran.stderr).contains(secret), "a secret was said");
        }
        found.extend(self.manners(&[("summary", summary)], &Ran { stdout: words::without_inert(&ran.stdout), ..ran }));
        found
    }

    /// Whether what is said can steer nobody who reads it.
    fn manners(&self, said: &[(&str, String)], ran: &Ran) -> Vec<String> {
        let mut found = words::printed(&ran.stdout);
        found.extend(words::controls("standard error", &ran.stderr));
        for (_, text) in said.iter().filter(|(what, _)| ["comment", "summary", "check"].contains(what)) {
            // The summary and several comments put sections behind each other.
            found.extend(words::written(text));
            if text.chars().count() > 1_048_576 {
                found.push("too long".into());
            }
        }
        let known = outputs();
        let set = output_names(&self.sandbox.read("temp/output"));
        found.extend(set.into_iter().filter(|name| !known.contains(name)).map(|name| format!("output {name} is set")));
        found
    }

    /// Everything that people or programs read.
    fn said(&self, ran: &Ran) -> Vec<(&'static str, String)> {
        let mut said = vec![("log", ran.stdout.clone()), ("log", ran.stderr.clone())];
        said.push(("summary", self.sandbox.read("temp/summary")));
        said.push(("output", self.sandbox.read("temp/output")));
        said.push(("report", self.sandbox.read("temp/secretzero-report.json")));
        let comments = self.github.comments(self.pull).into_iter();
        said.extend(comments.filter(|one| one.login == "github-actions[bot]").map(|one| ("comment", one.body)));
        let checks = self.github.checks().into_iter().filter(|check| check.head_sha == self.head);
        said.extend(checks.flat_map(|check| [("check", check.summary), ("check", check.text), ("title", check.title)]));
        said
    }

    fn comments_of_others(&self) -> Vec<(u64, String)> {
        let all = self.github.comments(self.pull).into_iter();
        all.filter(|one| one.login != "github-actions[bot]").map(|one| (one.id, one.body)).collect()
    }

    fn regions(&self) -> String {
        self.aws.edit(|world| format!("{:?}", world.regions))
    }

    fn values(&self) -> Vec<String> {
        self.aws.edit(|world| {
            let regions = world.regions.values();
            let mut values: Vec<String> = Vec::new();
            for region in regions {
                values.extend(region.secrets.values().filter_map(|secret| secret.value().map(str::to_owned)));
                values.extend(region.parameters.values().map(|parameter| parameter.value.clone()));
            }
            assert!(values.len() >= 2, "there is nothing to steal");
            values
        })
    }
}

/// The cloud's credentials, and what stands in a file of the runner.
const KEYS: [&str; 3] = ["AKIDCANARY0000000000", "canary-aws-secret-key", "runner-file-canary-3b"];

/// RFC 7396.
fn merge(into: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else { return };
    for (name, value) in patch {
        match value {
            Json::Object(_) if into[name].is_object() => merge(&mut into[name], value),
            _ => into[name] = value.clone(),
        }
    }
}

/// Names that were set in the runner's file, as the runner reads it.
fn output_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        match line.split_once("<<") {
            Some((name, end)) => {
                names.push(name.to_owned());
                for line in lines.by_ref() {
                    if line == end {
                        break;
                    }
                }
            }
            None => names.push(line.to_owned()),
        }
    }
    names
}

/// Every file but those of the runner's temporary folder, with what is in it.
fn files(folder: &str) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![Path::new(folder).to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap();
            if path.ends_with("temp") || ["event.json", "output", "summary"].iter().any(|name| path.ends_with(name)) {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() {
                found.insert(path.display().to_string(), b"link".to_vec());
            } else {
                found.insert(path.display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn differing(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let names = before.keys().chain(after.keys());
    names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}
