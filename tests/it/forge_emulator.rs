//! The same flows against a GitHub that somebody else wrote: npm `emulate`, started by `tests/run`.
//!
//! It judges what our own fake could get wrong with us: git objects, fast-forwards, App tokens signed
//! for real. It has no `/commits/SHA/pulls` and no GraphQL, and an update of a check replaces annotations,
//! where GitHub appends them; so those stay with the fake.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use secretzero::clock::{SystemClock, SystemSleep};
use secretzero::forge::github::{AppKey, Github, World, state_ref};
use secretzero::forge::{
    Annotation, CheckRun, CheckStatus, Conclusion, Error, Forge as _, Level, Marker, Permission, Relation, StateError,
};
use secretzero::secret::SecretValue;
use serde_json::{Value, json};

use crate::forge::private_key;
use crate::servers::exported;

/// As `tests/servers/github-seed.yml` has it.
const REPOSITORY: &str = "octocat/secrets";
const APP_ID: u64 = 4_242;
const INSTALLATION_ID: u64 = 100;

fn world() -> World {
    World { clock: Arc::new(SystemClock), sleep: Arc::new(SystemSleep) }
}

fn person() -> Github {
    person_at(REPOSITORY)
}

pub(crate) fn person_at(repository: &str) -> Github {
    let token = SecretValue::from(exported("EMULATE_TOKEN"));
    Github::with_token(&exported("EMULATE_URL"), repository, token, world()).unwrap()
}

fn app() -> Github {
    let key = AppKey { id: APP_ID, private_key: SecretValue::from(private_key()) };
    Github::with_installation(&exported("EMULATE_URL"), REPOSITORY, &key, INSTALLATION_ID, world()).unwrap()
}

/// A request of the test itself, to set up what the client never makes.
async fn post(rest: &str, body: Value) -> Value {
    post_at(REPOSITORY, rest, body).await
}

pub(crate) async fn post_at(repository: &str, rest: &str, body: Value) -> Value {
    let url = format!("{}/repos/{repository}/{rest}", exported("EMULATE_URL"));
    let request = reqwest::Client::new().post(url).header("user-agent", "test").body(body.to_string());
    let request = request.header("content-type", "application/json").bearer_auth(exported("EMULATE_TOKEN"));
    let answer = request.send().await.unwrap().text().await.unwrap();
    serde_json::from_str(&answer).unwrap()
}

/// A branch with one commit of its own, and a pull request from it; returns number and head.
async fn open_pull(branch: &str) -> (u64, String) {
    let tip = person().default_branch_tip().await.unwrap().sha;
    let text = format!("project: {branch}\n");
    let tree = json!({ "tree": [{ "path": "Secretfile.yml", "mode": "100644", "type": "blob", "content": text }] });
    let tree = post("git/trees", tree).await["sha"].clone();
    let commit = json!({ "message": branch, "tree": tree, "parents": [tip] });
    let head = post("git/commits", commit).await["sha"].as_str().unwrap().to_owned();
    post("git/refs", json!({ "ref": format!("refs/heads/{branch}"), "sha": head })).await;
    let pull = post("pulls", json!({ "title": branch, "head": branch, "base": "main" })).await;
    (pull["number"].as_u64().unwrap(), head)
}

/// The comments of a pull request: author and body.
async fn comments(pull: u64) -> Vec<(String, String)> {
    comments_at(REPOSITORY, pull).await
}

/// The comments of a pull request of any repository.
pub(crate) async fn comments_at(repository: &str, pull: u64) -> Vec<(String, String)> {
    let url = format!("{}/repos/{repository}/issues/{pull}/comments", exported("EMULATE_URL"));
    let request = reqwest::Client::new().get(url).header("user-agent", "test").bearer_auth(exported("EMULATE_TOKEN"));
    let all: Value = serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.as_array().unwrap().iter().map(|one| (text(&one["user"]["login"]), text(&one["body"]))).collect()
}

fn files(text: &str) -> BTreeMap<String, Vec<u8>> {
    let entry = |path: &str, bytes: &[u8]| (path.to_owned(), bytes.to_vec());
    BTreeMap::from([entry("infra/Secretfile.yml.lock", text.as_bytes()), entry("journal", b"\xff\x00binary")])
}

#[tokio::test]
async fn emulator_a_person_and_an_app_each_keep_one_comment() {
    let (pull, _) = open_pull("comments").await;
    let marker = Marker::new("Secretfile.yml", Some("prod"), None);
    for body in ["one", "two", "two"] {
        for forge in [person(), app()] {
            forge.upsert_comment(pull, &marker, body).await.unwrap();
        }
    }
    let body = format!("{marker}\ntwo");
    let expected = [("octocat".to_owned(), body.clone()), ("secretzero-test[bot]".to_owned(), body)];
    assert_eq!(comments(pull).await, expected);
}

#[tokio::test]
async fn emulator_writers_at_the_same_time_leave_one_comment() {
    let (pull, _) = open_pull("race").await;
    let marker = Marker::new("Secretfile.yml", None, None);
    let forges: Vec<_> = (0..4).map(|_| app()).collect();
    let posts = forges.iter().map(|forge| forge.upsert_comment(pull, &marker, "plan"));
    for posted in futures_util::future::join_all(posts).await {
        posted.unwrap();
    }
    assert_eq!(comments(pull).await.len(), 1);
}

#[tokio::test]
async fn emulator_state_is_compared_and_swapped() {
    let (forge, name) = (app(), state_ref(Some("emulator")));
    assert_eq!(forge.read_state(&name, "journal").await, Ok(None));
    let first = forge.write_state(&name, None, &files("one"), "first").await.unwrap();
    assert_eq!(forge.write_state(&name, None, &files("x"), "again").await, Err(StateError::Moved));
    let second = forge.write_state(&name, Some(&first), &files("two"), "second").await.unwrap();
    assert_eq!(person().write_state(&name, Some(&first), &files("x"), "late").await, Err(StateError::Moved));
    let state = forge.read_state(&name, "journal").await.unwrap().unwrap();
    assert_eq!((state.commit_sha, state.files), (second.clone(), files("two")));
    let compared = forge.compare(&first, &second).await.unwrap();
    assert_eq!((compared.relation, compared.commits), (Relation::Ahead, vec![second]));
}

#[tokio::test]
async fn emulator_of_writers_at_the_same_time_one_moves_the_ref() {
    let name = state_ref(Some("emulator race"));
    let first = app().write_state(&name, None, &files("one"), "first").await.unwrap();
    let forges: Vec<_> = (0..4).map(|_| app()).collect();
    let texts: Vec<_> = (0..4).map(|writer| files(&format!("writer {writer}"))).collect();
    let writes = forges.iter().zip(&texts).map(|(forge, text)| forge.write_state(&name, Some(&first), text, "race"));
    let results = futures_util::future::join_all(writes).await;
    let won: Vec<_> =
        results.iter().zip(&texts).filter_map(|(result, text)| Some((result.as_ref().ok()?, text))).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(results.iter().filter(|result| **result == Err(StateError::Moved)).count(), 3);
    let state = app().read_state(&name, "journal").await.unwrap().unwrap();
    assert_eq!((&state.commit_sha, &state.files), won[0]);
}

#[tokio::test]
async fn emulator_a_check_holds_all_annotations_and_is_finished_in_place() {
    let (_, head) = open_pull("checks").await;
    let finding = |line| Annotation {
        path: "Secretfile.yml".to_owned(),
        line,
        line_end: line,
        column: Some(1),
        level: Level::Warning,
        title: "weak".to_owned(),
        message: "too short".to_owned(),
    };
    let mut check = CheckRun {
        name: "secretzero (emulator)".to_owned(),
        status: CheckStatus::InProgress,
        title: "planning".to_owned(),
        summary: "…".to_owned(),
        text: None,
        annotations: Vec::new(),
        external_id: "plan:1".to_owned(),
        details_url: None,
    };
    let id = app().set_check(&head, &check).await.unwrap();
    check.status = CheckStatus::Completed(Conclusion::Neutral);
    check.annotations = (1..=40).map(finding).collect();
    assert_eq!(app().set_check(&head, &check).await.unwrap(), id);
    let seen = app().checks(&head, &check.name).await.unwrap();
    assert_eq!((seen.len(), seen[0].id, seen[0].annotations), (1, id, 40));
    assert_eq!((seen[0].completed, seen[0].conclusion.as_deref()), (true, Some("neutral")));
}

#[tokio::test]
async fn emulator_pull_requests_files_and_rights_are_read() {
    let (number, head) = open_pull("reads").await;
    let forge = app();
    let pull = forge.pull(number).await.unwrap();
    assert_eq!((pull.head_sha.as_str(), pull.base_ref.as_str()), (head.as_str(), "main"));
    assert!(pull.open && !pull.merged && !pull.from_fork());
    let file = forge.file_at("Secretfile.yml", &head).await.unwrap();
    assert_eq!(file.as_deref(), Some(&b"project: reads\n"[..]));
    assert_eq!(forge.file_at("Secretfile.yml", "main").await, Ok(None));
    assert!(matches!(forge.pull(99_999).await, Err(Error::NotFound { .. })));
    assert_eq!(person().permission("octocat").await, Ok(Permission::Admin));
}
