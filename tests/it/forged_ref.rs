//! The lock in a ref is as untrusted as the one in a file: whatever stands there, a job of the action
//! leaves every store as one without any lock does.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fake::aws::World;
use crate::forged_lock::{LIES, SECRETFILE, contents, damaged, disturb, others};
use crate::stage::{LOCK_REF, Stage};

const FILE: &str = "Secretfile.yml.lock.json";
const LOCAL: [(&str, &str); 1] = [("local_files", "true")];

/// A repository with its cloud in disorder, and what the ref of its lock held before.
struct Forged {
    stage: Stage,
    sha: String,
    world: World,
    files: [(&'static str, String); 2],
    /// The document in the ref, and the one from before the last rotation.
    document: Value,
    old: Value,
}

impl Forged {
    fn new() -> Self {
        let stage = Stage::new();
        let sha = stage.github.commit("main", &[("Secretfile.yml", SECRETFILE.as_bytes())]);
        stage.checkout(SECRETFILE);
        others(&stage.aws);
        let document = || serde_json::from_str(&stage.lock().unwrap()).unwrap();
        assert_eq!(stage.push(&sha, &LOCAL).code, Some(8), "one is somebody else's");
        let (old, before) = (document(), stage.aws.parameter("/forged/behind").unwrap());
        let args = ["rotate", "--force", "--secret", "behind", "--rate-limit", "off"];
        let ran = stage.sandbox.run_with(&args, &stage.job.cloud);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        stage.sandbox.remove(".gitsecrets.lock");
        assert_eq!(stage.push(&sha, &LOCAL).code, Some(8));
        let document: Value = document();
        assert_ne!(document["lock"], old["lock"], "it knows the rotation");
        disturb(&stage.aws, before);
        let world = stage.aws.edit(|world| world.clone());
        let files = [".env", ".secretzero.json"].map(|name| (name, stage.sandbox.read(name)));
        Self { stage, sha, world, files, document, old }
    }

    fn reset(&self, held: Option<&[u8]>) {
        self.stage.aws.edit(|world| *world = self.world.clone());
        for (name, text) in &self.files {
            self.stage.sandbox.write(name, text);
        }
        let mut github = self.stage.github.world();
        let commit = held.map(|bytes| github.commit_on("scratch", &[(FILE, bytes)]));
        match commit {
            Some(commit) => github.refs.insert(LOCK_REF.to_owned(), commit),
            None => github.refs.remove(LOCK_REF),
        };
    }

    /// What every store holds after a push with this in the ref, and how that ended.
    fn sync(&self, held: Option<&[u8]>, inputs: &[(&str, &str)]) -> (Option<i32>, BTreeMap<String, String>) {
        self.reset(held);
        let ran = self.stage.push(&self.sha, &[&LOCAL, inputs].concat());
        let commands = ran.stdout.lines().filter(|line| line.starts_with("::"));
        let known = ["::notice", "::warning", "::error", "::add-mask"];
        let forged = commands.filter(|line| !known.iter().any(|known| line.starts_with(known))).count();
        assert!(forged == 0 && !ran.stderr.contains("panicked"), "{ran:?}");
        (ran.code, contents(&self.stage.aws, &self.stage.sandbox))
    }

    fn honest(&self) -> (Option<i32>, BTreeMap<String, String>) {
        let honest = self.sync(None, &[]);
        self.reset(None);
        assert_ne!(honest.1, contents(&self.stage.aws, &self.stage.sandbox), "something was to be done, and it was");
        assert_eq!(honest.0, Some(8), "one is somebody else's");
        let truth = self.document.to_string();
        assert_eq!(self.sync(Some(truth.as_bytes()), &[]), honest, "a lock that tells the truth");
        honest
    }
}

#[test]
fn a_ref_that_lies_of_what_is_in_force_changes_nothing() {
    let forged = Forged::new();
    let honest = forged.honest();
    assert_eq!(forged.sync(Some(forged.old.to_string().as_bytes()), &[]), honest, "it is stale");
    for (reason, lie) in LIES {
        let mut document = forged.document.clone();
        lie(&mut document["lock"]);
        assert_ne!(document, forged.document, "{reason}");
        assert_eq!(forged.sync(Some(document.to_string().as_bytes()), &[]), honest, "{reason}");
    }
}

/// One line of reason each; all but the last member is kept.
fn journals() -> [(&'static str, &'static str, Value); 14] {
    let intent = |secret: &str, number: u64, id: &str| {
        let id_of = secretzero::mark::ShortId::of(secret);
        json!([{ "id": id_of.as_str(), "gen": number, "gid": id, "created": "2020-01-01T00:00:00Z",
            "primary": "aws-sm://123456789012/us-east-1/other/app" }])
    };
    let lease =
        |holder: &str, expires: &str| json!({ "holder": holder, "run": "x\n::stop-commands::y", "expires": expires });
    [
        ("an unknown commit would stop every sync", "last_synced", json!("0".repeat(40))),
        ("garbage would get into a request's path", "last_synced", json!("../../../user?x=#")),
        ("a commit that is no text would not be read", "last_synced", json!([7])),
        ("an unknown commit would leave nothing reviewed", "last_complete", json!("f".repeat(64))),
        ("garbage would get into a request's path", "last_complete", json!("main...main")),
        ("a dead run's lease would hold everybody up", "lease", lease("1.1", "2020-01-01T00:00:00Z")),
        ("an earlier attempt's would do so for an hour", "lease", lease("77.0", "9999-12-30T00:00:00Z")),
        ("a lease that ends never is none", "lease", lease("1.1", "never")),
        ("a lease that is none would not be read", "lease", json!(true)),
        ("a change that was begun would be made", "begun", json!(["forged", "\n::error::x", ""])),
        (
            "a generation that was meant would be taken for another's value",
            "intents",
            intent("taken", 1, "abcdefghijklmnop"),
        ),
        ("a generation that was meant would be ahead", "intents", intent("behind", u64::MAX, "abcdefghijklmnop")),
        ("a generation that was meant would have a mark's syntax", "intents", intent("lost", 9, "a:g=9:v=1")),
        (
            "a generation that was meant would make a value look known",
            "intents",
            intent("drifted", 1, "abcdefghijklmnop"),
        ),
    ]
}

#[test]
fn a_ref_that_lies_of_runs_changes_nothing() {
    let forged = Forged::new();
    let honest = forged.honest();
    for (reason, member, lie) in journals() {
        let mut document = forged.document.clone();
        document[member] = lie;
        assert_eq!(forged.sync(Some(document.to_string().as_bytes()), &[]), honest, "{member}: {reason}");
    }
}

#[test]
fn a_ref_that_is_damaged_changes_nothing() {
    let forged = Forged::new();
    let honest = forged.honest();
    let cases = damaged(&forged.document.to_string());
    for (reason, bytes) in &cases {
        assert_eq!(forged.sync(Some(bytes), &[]), honest, "{reason}");
    }
}

#[test]
fn a_ref_of_a_newer_format_stops_before_any_request_to_a_store() {
    let forged = Forged::new();
    let mut document = forged.document.clone();
    document["lock"]["format"] = json!(2);
    forged.reset(None);
    let before = contents(&forged.stage.aws, &forged.stage.sandbox);
    forged.stage.aws.forget_requests();
    assert_eq!(forged.sync(Some(document.to_string().as_bytes()), &[]), (Some(1), before));
    assert_eq!(forged.stage.aws.total(), 0);
}

#[test]
fn a_ref_that_names_a_commit_yet_to_come_stops_the_run_and_writes_nothing() {
    let forged = Forged::new();
    forged.reset(None);
    let before = contents(&forged.stage.aws, &forged.stage.sandbox);
    // A pull request's head exists, and the default branch is behind it.
    let ahead = forged.stage.github.commit("ahead", &[("README.md", b"hello")]);
    let mut document = forged.document.clone();
    document["last_synced"] = json!(ahead);
    assert_eq!(forged.sync(Some(document.to_string().as_bytes()), &[]), (Some(1), before));
    assert!(forged.stage.sandbox.read("summary").contains("delete the ref of the lock"));
}

#[test]
fn a_ref_cannot_stand_for_a_review() {
    let forged = Forged::new();
    let more = "  - name: unseen
    kind: random_string
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: forged/unseen}}
";
    let text = format!("{SECRETFILE}{more}");
    let stage = &forged.stage;
    let head = stage.github.commit("more", &[("Secretfile.yml", text.as_bytes())]);
    let pull = stage.github.open_pull("more", "main");
    stage.checkout(&text);
    let strict = [("require_plan", "true"), ("retry_max_attempts", "1")];
    // A run that was allowed to, and could not, leaves the very name of the change in the ref.
    forged.reset(Some(forged.document.to_string().as_bytes()));
    stage.pull_request(pull, &head, &[("plan_mode", "online")]);
    let sha = stage.github.merge_pull(pull);
    stage.aws.deny("CreateSecret");
    assert_eq!(stage.push(&sha, &[("retry_max_attempts", "1")]).code, Some(8));
    stage.aws.allow_all();
    let document: Value = serde_json::from_str(&stage.lock().unwrap()).unwrap();
    assert!(!document["begun"].as_array().unwrap().is_empty(), "{document}");
    // With its review gone it is what anybody could have written there.
    stage.github.world().checks.clear();
    let ran = stage.push(&sha, &strict);
    assert!(stage.aws.secret("forged/unseen").is_none(), "{ran:?}");
    assert!(stage.sandbox.read("summary").contains("no merged pull request showed that it would create"), "{ran:?}");
    assert_eq!(stage.push(&sha, &[]).code, Some(8));
    assert!(stage.aws.secret("forged/unseen").is_some(), "without `require_plan` it is made");
}
