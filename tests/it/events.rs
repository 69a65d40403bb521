//! The events beside a pull request and a push, from the outside: schedules with their drift, comments
//! that ask for something, merge queues, dispatches, and a GitHub that stands elsewhere.

mod comments;
mod drift;
mod ghes;
mod payloads;

use serde_json::{Value, json};

use crate::fake::aws::REGION;
use crate::sandbox::Ran;
use crate::stage::{BASE, CHANGE, Stage};

/// What a job may do that also keeps an issue.
const PERMISSIONS: [(&str, &str); 4] =
    [("contents", "write"), ("pull-requests", "write"), ("checks", "write"), ("issues", "write")];

/// A Secretfile with three secrets at four places, two of them with owners or consumers.
fn secretfile() -> String {
    format!("{BASE}{CHANGE}")
        .replace("    owners: [data-team]\n", "    owners: [data-team]\n    consumers: [orders-api]\n")
}

/// A repository whose default branch is synced.
fn synced() -> (Stage, String) {
    synced_with(&PERMISSIONS)
}

fn synced_with(permissions: &[(&str, &str)]) -> (Stage, String) {
    let stage = Stage::with_permissions(permissions);
    let text = secretfile();
    let tip = stage.github.commit("main", &[("Secretfile.yml", text.as_bytes())]);
    stage.checkout(&text);
    let ran = stage.push(&tip, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    stage.aws.forget_requests();
    (stage, tip)
}

/// The nightly run.
fn schedule(stage: &Stage, tip: &str, inputs: &[(&str, &str)]) -> Ran {
    stage.job("schedule", &json!({ "schedule": "17 4 * * *" }), tip, inputs)
}

/// Somebody writes another value in the console.
fn outsider(stage: &Stage, name: &str) {
    stage.aws.edit(|world| {
        let secret = world.region(REGION).secrets.get_mut(name).unwrap();
        let mut version = secret.current().unwrap().clone();
        secret.versions.iter_mut().for_each(|old| old.stages.clear());
        version.id = "11111111-2222-4333-8444-555555555555".into();
        version.value = "typed by hand".into();
        version.stages = std::collections::BTreeSet::from(["AWSCURRENT".to_owned()]);
        secret.versions.push(version);
    });
}

/// A comment as somebody writes it now, and its event.
fn comment_event(stage: &Stage, login: &str, pull: u64, body: &str) -> Value {
    let id = stage.github.comment_as(login, pull, body);
    event_of(pull, id, login, body)
}

fn event_of(pull: u64, id: u64, login: &str, body: &str) -> Value {
    let at = "2026-01-01T00:00:00Z";
    json!({
        "action": "created",
        "issue": { "number": pull, "pull_request": { "url": "https://api.github.com/" } },
        "comment": { "id": id, "body": body, "user": { "login": login }, "created_at": at, "updated_at": at,
            "author_association": "OWNER" },
    })
}
