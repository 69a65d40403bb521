//! The main job from the outside: a pull request is planned and commented, a fix edits the same
//! comment, the merge is synced, a second run changes nothing, a lost lock costs nothing.

use std::collections::BTreeMap;

use serde_json::json;

use crate::fake::aws::FakeAws;
use crate::fake::github::FakeGithub;
use crate::sandbox::{Ran, Sandbox};

const BASE: &str = include_str!("../fixtures/flow/base.yml");
const CHANGE: &str = include_str!("../fixtures/flow/change.yml");
const LOCK_REF: &str = "refs/secretzero/v1/default";

/// What a job of the action may do with the workflow's own token.
const PERMISSIONS: [(&str, &str); 3] = [("contents", "write"), ("pull-requests", "write"), ("checks", "write")];

/// One repository with its cloud.
struct Stage {
    github: FakeGithub,
    aws: FakeAws,
    sandbox: Sandbox,
    token: String,
}

impl Stage {
    fn new() -> Self {
        Self::with_permissions(&PERMISSIONS)
    }

    fn with_permissions(permissions: &[(&str, &str)]) -> Self {
        let github = FakeGithub::start();
        let token = github.workflow_token(permissions);
        Self { aws: FakeAws::start(), sandbox: Sandbox::new(), token, github }
    }

    /// Runs the action's entry point for an event, with inputs.
    fn job(&self, event: &str, payload: &serde_json::Value, sha: &str, inputs: &[(&str, &str)]) -> Ran {
        self.sandbox.write("event.json", &payload.to_string());
        for file in ["output", "summary"] {
            self.sandbox.write(file, "");
        }
        let path = |name: &str| self.sandbox.path(name).display().to_string();
        let mut environment: BTreeMap<String, String> =
            self.aws.env().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let pairs = [
            ("GITHUB_API_URL", self.github.url()),
            ("GITHUB_SERVER_URL", "https://github.com".into()),
            ("GITHUB_REPOSITORY", FakeGithub::REPOSITORY.into()),
            ("GITHUB_REPOSITORY_ID", "1001".into()),
            ("GITHUB_EVENT_NAME", event.into()),
            ("GITHUB_EVENT_PATH", path("event.json")),
            ("GITHUB_SHA", sha.into()),
            ("GITHUB_REF", "refs/heads/main".into()),
            ("GITHUB_RUN_ID", "77".into()),
            ("GITHUB_WORKSPACE", path(".")),
            ("GITHUB_OUTPUT", path("output")),
            ("GITHUB_STEP_SUMMARY", path("summary")),
            ("RUNNER_TEMP", path(".")),
            ("INPUT_GITHUB_TOKEN", self.token.clone()),
            ("INPUT_RATE_LIMIT", "off".into()),
        ];
        environment.extend(pairs.map(|(name, value)| (name.to_owned(), value)));
        environment.extend(inputs.iter().map(|(name, value)| (format!("INPUT_{}", name.to_uppercase()), (*value).into())));
        self.sandbox.run_with(&["ci"], &environment)
    }

    fn pull_request(&self, number: u64, head: &str, inputs: &[(&str, &str)]) -> Ran {
        self.pull_request_from(number, head, 1001, inputs)
    }

    fn pull_request_from(&self, number: u64, head: &str, repository: u64, inputs: &[(&str, &str)]) -> Ran {
        let payload = json!({
            "action": "synchronize",
            "number": number,
            "pull_request": {
                "number": number,
                "head": { "sha": head, "ref": "change", "repo": { "id": repository, "full_name": "octo/demo" } },
                "base": { "sha": head, "ref": "main", "repo": { "id": 1001, "full_name": "octo/demo" } },
                "merged": false, "draft": false, "user": { "login": "mona" }
            },
            "repository": { "id": 1001, "full_name": "octo/demo", "default_branch": "main" }
        });
        self.job("pull_request", &payload, head, inputs)
    }

    fn push(&self, sha: &str, inputs: &[(&str, &str)]) -> Ran {
        let payload = json!({
            "ref": "refs/heads/main", "before": sha, "after": sha, "deleted": false, "forced": false,
            "repository": { "id": 1001, "full_name": "octo/demo", "default_branch": "main" }
        });
        self.job("push", &payload, sha, inputs)
    }

    /// Checks a text out, as `actions/checkout` would.
    fn checkout(&self, secretfile: &str) {
        self.sandbox.write("Secretfile.yml", secretfile);
    }

    fn comment(&self, pull: u64) -> String {
        let comments = self.github.comments(pull);
        assert_eq!(comments.len(), 1, "one comment: {comments:?}");
        comments.into_iter().next().unwrap().body
    }

    fn output(&self, name: &str) -> String {
        let text = self.sandbox.read("output");
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.strip_prefix(name).is_some_and(|rest| rest.starts_with("<<")) {
                return lines.next().unwrap_or_default().to_owned();
            }
        }
        String::new()
    }

    fn lock(&self) -> Option<String> {
        let bytes = self.github.file(LOCK_REF, "Secretfile.yml.lock.json");
        bytes.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    fn effects(&self) -> usize {
        self.aws.effects()
    }
}

/// Commits and versions differ from run to run.
fn stable(text: &str) -> String {
    let hex = |c: char| c.is_ascii_hexdigit() && !c.is_ascii_uppercase();
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\u{0}']) {
        if hex(c) {
            word.push(c);
            continue;
        }
        let digits = word.bytes().any(|b| b.is_ascii_digit());
        out.push_str(if word.len() >= 40 || (word.len() == 7 && digits) { "COMMIT" } else { &word });
        word.clear();
        out.push(c);
    }
    out.trim_end_matches('\u{0}').replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

#[test]
fn a_pull_request_is_planned_commented_fixed_merged_and_synced() {
    let stage = Stage::new();
    let local = [("local_files", "true")];

    // The default branch has one secret, and it is synced.
    let base = stage.github.commit("main", &[("Secretfile.yml", BASE.as_bytes())]);
    stage.checkout(BASE);
    let ran = stage.push(&base, &local);
    assert_eq!(ran.code, Some(0), "{ran:?}");

    // A pull request with a slip of the finger.
    let slip = format!("{BASE}{}", CHANGE.replace("length: 32\n      special", "lenght: 32\n      special"));
    let head = stage.github.commit("change", &[("Secretfile.yml", slip.as_bytes())]);
    let pull = stage.github.open_pull("change", "main");
    stage.checkout(&slip);
    let ran = stage.pull_request(pull, &head, &[("plan_mode", "online")]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    insta::assert_snapshot!("comment_of_a_slip", stable(&stage.comment(pull)));
    let first = stage.github.comments(pull)[0].id;
    let check = stage.github.checks().pop().unwrap();
    assert_eq!((check.conclusion.as_deref(), check.head_sha.as_str()), (Some("failure"), head.as_str()));
    assert_eq!(stage.output("failure_reason"), "secretfile");

    // The fix: the same comment, now with the plan.
    let fixed = format!("{BASE}{CHANGE}");
    let head = stage.github.commit("change", &[("Secretfile.yml", fixed.as_bytes())]);
    stage.checkout(&fixed);
    stage.aws.forget_requests();
    let ran = stage.pull_request(pull, &head, &[("plan_mode", "online")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(stage.github.comments(pull)[0].id, first, "edited in place");
    assert_eq!(stage.effects(), 0, "a plan writes nothing");
    assert!(stage.aws.total() > 0, "it was planned online");
    for read in ["GetSecretValue", "BatchGetSecretValue", "GetParameter", "GetParameters"] {
        assert_eq!(stage.aws.count(read), 0, "a plan reads no value");
    }
    insta::assert_snapshot!("comment_of_a_plan", stable(&stage.comment(pull)));
    let check = stage.github.checks().pop().unwrap();
    let said = format!("{} / {:?} / {}", check.name, check.conclusion, check.title);
    insta::assert_snapshot!(said, @r#"SecretZero / Some("success") / Merging changes 3 targets of 2 secrets"#);
    assert_eq!(stage.output("to_create"), "3");

    // The merge.
    let merged = stage.github.merge_pull(pull);
    let ran = stage.push(&merged, &local);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    insta::assert_snapshot!("comment_of_a_sync", stable(&stage.comment(pull)));
    let value = |name: &str| {
        let secret = stage.aws.secret(name).unwrap();
        secret.versions.iter().find(|version| version.stages.contains("AWSCURRENT")).unwrap().value.clone()
    };
    let password = value("production/myapp/database/password");
    assert_eq!(stage.aws.parameter("/production/myapp/database/password").unwrap().value, password);
    assert!(stage.sandbox.read(".env").contains(&password), "the file holds the same value");
    let account: serde_json::Value = serde_json::from_str(&value("production/myapp/service-account")).unwrap();
    let names: Vec<&String> = account.as_object().unwrap().keys().collect();
    assert_eq!(names, ["username", "password", "api_endpoint"]);
    let file: serde_json::Value = serde_json::from_str(&stage.sandbox.read(".service-account.json")).unwrap();
    assert_eq!(file["service_account"], account);

    // Once more: nothing to do, nothing written, the same lock to the byte, and the comment stays.
    let (lock, comment, effects) = (stage.lock().unwrap(), stage.comment(pull), stage.effects());
    let tip = stage.github.ref_sha(LOCK_REF);
    let ran = stage.push(&merged, &local);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("nothing to change"), "{}", ran.stdout);
    assert_eq!((stage.effects(), stage.lock().unwrap(), stage.comment(pull)), (effects, lock.clone(), comment));
    assert_eq!(stage.github.ref_sha(LOCK_REF), tip, "the ref was not written");

    // The lock is lost: nothing is generated again, and the lock comes back as it was.
    stage.github.world().refs.remove(LOCK_REF);
    let ran = stage.push(&merged, &local);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!((stage.effects(), stage.lock().unwrap()), (effects, lock));
    assert_eq!(value("production/myapp/database/password"), password);
}
