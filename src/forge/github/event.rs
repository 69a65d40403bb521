//! The event a workflow runs for: the few facts that matter, read leniently and never with authority.
//!
//! A payload is a hint. Whoever steers by it asks the API again (heads, states, permissions). What
//! cannot be read is [`Unreadable`]; a pull request without a readable head repository is a fork.
//! Own small types, since the recorded payloads of GitHub differ between its versions.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The largest payload, in bytes
/// (<https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap>).
pub const PAYLOAD_BYTES_MAX: usize = 25 * 1024 * 1024;

/// Inputs that one dispatch may have
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#workflow_dispatch>).
pub const INPUTS_MAX: usize = 25;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A pull request was opened, moved, closed, …
    PullRequest(PullRequestEvent),
    /// A branch or tag was moved.
    Push(PushEvent),
    /// The time of a schedule came; late, or not at all, so nothing may hang on it alone.
    Schedule {
        /// The cron line.
        cron: String,
    },
    /// A person or program started the workflow.
    WorkflowDispatch {
        /// The ref it runs on, in full.
        reference: String,
        /// The inputs as text.
        inputs: BTreeMap<String, String>,
    },
    /// A merge queue asks for checks.
    MergeGroup {
        /// The merge to be checked.
        head_sha: String,
        /// What it would be merged onto.
        base_sha: String,
        /// The branch that the queue leads to, without `refs/heads/`; empty if it is not told.
        base_ref: String,
    },
    /// A comment on an issue or pull request.
    IssueComment(IssueCommentEvent),
    /// Anything else, by its name: nothing is done for it. So is `pull_request_target`, which would
    /// run with secrets for a stranger's change.
    Other(String),
}

/// A pull request as its event tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequestEvent {
    /// Its number.
    pub number: u64,
    /// `opened`, `synchronize`, `reopened`, `closed`, …
    pub action: String,
    /// The newest commit of the branch to be merged.
    pub head_sha: String,
    /// The commit of the branch merged into, as it was.
    pub base_sha: String,
    /// The branch merged into, without `refs/heads/`.
    pub base_ref: String,
    /// The repository of the head; `None` if deleted or unreadable.
    pub head_repository: Option<Repository>,
    /// The repository merged into; `None` if unreadable.
    pub base_repository: Option<Repository>,
    /// Whether the head is anywhere else than in the base repository, or that is not known.
    pub from_fork: bool,
    /// Whether it was merged.
    pub merged: bool,
    /// Whether it is a draft.
    pub draft: bool,
    /// Who opened it.
    pub author: String,
}

/// A ref that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushEvent {
    /// The ref, in full.
    pub reference: String,
    /// Where it stood; `None` if it is new.
    pub before: Option<String>,
    /// Where it stands; `None` if it was deleted.
    pub after: Option<String>,
    /// Whether it is the default branch.
    pub default_branch: bool,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Whether history was rewritten: `before` may be no ancestor.
    pub forced: bool,
}

/// A comment on an issue or pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueCommentEvent {
    /// `created`, `edited`, `deleted`.
    pub action: String,
    /// The issue's or pull request's number.
    pub number: u64,
    /// Whether it is a pull request.
    pub on_pull_request: bool,
    /// The comment's id, by which it is read again.
    pub comment_id: u64,
    /// The text, untrusted.
    pub body: String,
    /// Who wrote it.
    pub author: String,
    /// Whether it was changed after it was written: its author is then not who changed it.
    pub edited: bool,
}

/// A repository's number, which survives a rename, and its present name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Repository {
    /// Number.
    pub id: u64,
    /// `owner/name`.
    pub full_name: String,
}

/// An event that cannot be read: treat it as a stranger's, without credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the `{name}` event cannot be read: {said}; it is treated as one from a fork, without credentials")]
pub struct Unreadable {
    /// The event's name.
    pub name: String,
    /// What is wrong with it; never the payload's own words.
    pub said: String,
}

impl Event {
    /// Reads an event by its name (`GITHUB_EVENT_NAME`, or the webhook's `X-GitHub-Event`) and its
    /// payload (the file `GITHUB_EVENT_PATH`, or the webhook's body).
    ///
    /// # Errors
    /// [`Unreadable`] if the payload is above [`PAYLOAD_BYTES_MAX`], no JSON, or of another event.
    pub fn parse(name: &str, payload: &[u8]) -> Result<Self, Unreadable> {
        let read = match name {
            "pull_request" => fields(payload).and_then(|fields| pull_request(&fields)).map(Self::PullRequest),
            "push" => fields(payload).and_then(|fields| push(&fields)).map(Self::Push),
            "issue_comment" => fields(payload).and_then(|fields| issue_comment(&fields)).map(Self::IssueComment),
            "schedule" => fields(payload).map(|fields| Self::Schedule { cron: text(&fields, &["schedule"]) }),
            "workflow_dispatch" => fields(payload).and_then(|fields| workflow_dispatch(&fields)),
            "merge_group" => fields(payload).and_then(|fields| merge_group(&fields)),
            other => Ok(Self::Other(other.to_owned())),
        };
        read.map_err(|said| Unreadable { name: name.to_owned(), said })
    }
}

fn fields(payload: &[u8]) -> Result<Value, String> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        return Err(format!("it is larger than {} MB", PAYLOAD_BYTES_MAX / 1024 / 1024));
    }
    let value: Value = serde_json::from_slice(payload).map_err(|_| "it is no JSON".to_owned())?;
    if value.is_object() { Ok(value) } else { Err("it is no JSON object".to_owned()) }
}

fn pull_request(event: &Value) -> Result<PullRequestEvent, String> {
    let pull = at(event, &["pull_request"]).filter(|pull| pull.is_object()).ok_or("it has no `pull_request`")?;
    let head_repository = repository(pull, &["head", "repo"]);
    let base_repository = repository(pull, &["base", "repo"]);
    let from_fork = match (&head_repository, &base_repository) {
        (Some(head), Some(base)) => head.id != base.id,
        _ => true,
    };
    Ok(PullRequestEvent {
        number: number(pull, &["number"])?,
        action: text(event, &["action"]),
        head_sha: commit(pull, &["head", "sha"])?,
        base_sha: commit(pull, &["base", "sha"])?,
        base_ref: text(pull, &["base", "ref"]),
        head_repository,
        base_repository,
        from_fork,
        merged: flag(pull, "merged"),
        draft: flag(pull, "draft"),
        author: text(pull, &["user", "login"]),
    })
}

fn push(event: &Value) -> Result<PushEvent, String> {
    let reference = text(event, &["ref"]);
    if !reference.starts_with("refs/") {
        return Err("it names no ref".to_owned());
    }
    let branch = text(event, &["repository", "default_branch"]);
    let moved = |name| commit(event, &[name]).map(|sha| Some(sha).filter(|sha| sha.bytes().any(|byte| byte != b'0')));
    Ok(PushEvent {
        before: moved("before")?,
        after: moved("after")?,
        default_branch: !branch.is_empty() && reference.strip_prefix("refs/heads/") == Some(&branch),
        deleted: flag(event, "deleted"),
        forced: flag(event, "forced"),
        reference,
    })
}

fn issue_comment(event: &Value) -> Result<IssueCommentEvent, String> {
    let (written, changed) = (text(event, &["comment", "created_at"]), text(event, &["comment", "updated_at"]));
    let action = text(event, &["action"]);
    Ok(IssueCommentEvent {
        number: number(event, &["issue", "number"])?,
        on_pull_request: at(event, &["issue", "pull_request"]).is_some_and(Value::is_object),
        comment_id: number(event, &["comment", "id"])?,
        body: text(event, &["comment", "body"]),
        author: text(event, &["comment", "user", "login"]),
        edited: action != "created" || written.is_empty() || written != changed,
        action,
    })
}

fn workflow_dispatch(event: &Value) -> Result<Event, String> {
    let none = Map::new();
    let given = at(event, &["inputs"]).and_then(Value::as_object).unwrap_or(&none);
    if given.len() > INPUTS_MAX {
        return Err(format!("it has more than {INPUTS_MAX} inputs"));
    }
    let inputs = given.iter().filter_map(|(name, value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null => String::new(),
            Value::Array(_) | Value::Object(_) => return None,
        };
        Some((name.clone(), value))
    });
    Ok(Event::WorkflowDispatch { reference: text(event, &["ref"]), inputs: inputs.collect() })
}

fn merge_group(event: &Value) -> Result<Event, String> {
    Ok(Event::MergeGroup {
        head_sha: commit(event, &["merge_group", "head_sha"])?,
        base_sha: commit(event, &["merge_group", "base_sha"])?,
        base_ref: text(event, &["merge_group", "base_ref"]).trim_start_matches("refs/heads/").to_owned(),
    })
}

fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| value.get(name)).filter(|value| !value.is_null())
}

fn text(value: &Value, path: &[&str]) -> String {
    at(value, path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn flag(value: &Value, name: &str) -> bool {
    at(value, &[name]).and_then(Value::as_bool).unwrap_or(false)
}

fn number(value: &Value, path: &[&str]) -> Result<u64, String> {
    at(value, path).and_then(Value::as_u64).ok_or_else(|| format!("`{}` is no number", path.join(".")))
}

/// A full commit id; anything else could steer the path of a request.
fn commit(value: &Value, path: &[&str]) -> Result<String, String> {
    let sha = text(value, path);
    let full = matches!(sha.len(), 40 | 64) && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    if full { Ok(sha) } else { Err(format!("`{}` is no full commit id", path.join("."))) }
}

fn repository(value: &Value, path: &[&str]) -> Option<Repository> {
    Repository::deserialize(at(value, path)?).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use proptest::prelude::*;

    macro_rules! recorded {
        ($event:literal, $file:literal) => {
            Event::parse($event, include_bytes!(concat!("../../../tests/fixtures/webhooks/github/", $file, ".json")))
        };
    }

    fn pull_request(event: Result<Event, Unreadable>) -> PullRequestEvent {
        match event.unwrap() {
            Event::PullRequest(pull) => pull,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn a_pull_request_of_the_repository_itself_is_no_fork() {
        let opened = pull_request(recorded!("pull_request", "pull_request.opened"));
        assert_eq!((opened.number, opened.action.as_str(), opened.from_fork), (2, "opened", false));
        assert_eq!(opened.head_sha, "ec26c3e57ca3a959ca5aad62de7213c562f8c821");
        assert_eq!((opened.base_ref.as_str(), opened.author.as_str()), ("master", "Codertocat"));
        let moved = pull_request(recorded!("pull_request", "pull_request.synchronize"));
        assert_eq!((moved.action.as_str(), moved.merged, moved.draft), ("synchronize", false, false));
    }

    #[test]
    fn a_merged_pull_request_is_told_from_a_closed_one() {
        let merged = pull_request(recorded!("pull_request", "pull_request.closed.merged"));
        assert_eq!((merged.action.as_str(), merged.merged), ("closed", true));
    }

    #[test]
    fn a_fork_is_a_fork_and_so_is_whatever_cannot_be_told() {
        let fork = pull_request(recorded!("pull_request", "pull_request.opened.fork"));
        assert!(fork.from_fork);
        assert_eq!(fork.head_repository.unwrap().full_name, "octo-stranger/Hello-World");
        assert!(pull_request(recorded!("pull_request", "pull_request.opened.fork_deleted")).from_fork);
        let sha = "a".repeat(40);
        for head in ["{}", "null", "7", r#"{"id":"1","full_name":"a/b"}"#] {
            let payload = format!(
                r#"{{"pull_request":{{"number":1,"head":{{"sha":"{sha}","repo":{head}}},
                "base":{{"sha":"{sha}","repo":{{"id":1,"full_name":"a/b"}}}}}}}}"#
            );
            assert!(pull_request(Event::parse("pull_request", payload.as_bytes())).from_fork, "{head}");
        }
    }

    #[test]
    fn a_push_names_the_default_branch_or_another_ref() {
        let Ok(Event::Push(push)) = recorded!("push", "push.default_branch") else { unreachable!() };
        assert!(push.default_branch && !push.deleted && !push.forced);
        assert_eq!((push.before.map(|sha| sha.len()), push.after.map(|sha| sha.len())), (Some(40), Some(40)));
        let Ok(Event::Push(tag)) = recorded!("push", "push.tag_deleted") else { unreachable!() };
        assert!(!tag.default_branch && tag.deleted && tag.after.is_none());
    }

    #[test]
    fn the_other_events_give_the_facts_they_are_needed_for() {
        insta::assert_debug_snapshot!(recorded!("merge_group", "merge_group.checks_requested").unwrap(), @r#"
        MergeGroup {
            head_sha: "2ffea6db159f6b6c47a24e778fb9ef40cf6b1c7d",
            base_sha: "380387fbc80638b734a49e1be1c4dfec1c01b33c",
            base_ref: "main",
        }
        "#);
        insta::assert_debug_snapshot!(recorded!("workflow_dispatch", "workflow_dispatch").unwrap(), @r#"
        WorkflowDispatch {
            reference: "refs/heads/main",
            inputs: {
                "command": "rotate",
                "force": "true",
                "note": "",
                "secret": "database_password",
            },
        }
        "#);
        insta::assert_debug_snapshot!(recorded!("schedule", "schedule").unwrap(), @r#"
        Schedule {
            cron: "17 3 * * *",
        }
        "#);
        insta::assert_debug_snapshot!(recorded!("issue_comment", "issue_comment.created").unwrap(), @r#"
        IssueComment(
            IssueCommentEvent {
                action: "created",
                number: 1,
                on_pull_request: true,
                comment_id: 492700400,
                body: "You are totally right! I'll get this fixed right away.",
                author: "Codertocat",
                edited: false,
            },
        )
        "#);
        let Ok(Event::IssueComment(edited)) = recorded!("issue_comment", "issue_comment.edited") else {
            unreachable!()
        };
        assert!(edited.edited);
    }

    #[test]
    fn an_unknown_event_is_named_whatever_it_holds() {
        assert_eq!(Event::parse("pull_request_target", b"\xff"), Ok(Event::Other("pull_request_target".into())));
    }

    #[test]
    fn a_broken_event_says_what_is_wrong_without_its_words() {
        let said = |payload: &[u8]| Event::parse("push", payload).unwrap_err().to_string();
        insta::assert_snapshot!(said(b"hunter2"), @"the `push` event cannot be read: it is no JSON; it is treated as one from a fork, without credentials");
        insta::assert_snapshot!(said(br#"{"ref":"refs/heads/x","before":"hunter2"}"#), @"the `push` event cannot be read: `before` is no full commit id; it is treated as one from a fork, without credentials");
        assert!(said(&vec![b' '; PAYLOAD_BYTES_MAX + 1]).contains("larger than 25 MB"));
    }

    fn names() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "pull_request",
            "push",
            "issue_comment",
            "schedule",
            "workflow_dispatch",
            "merge_group",
        ])
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(name in names(), payload in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Event::parse(name, &payload);
        }

        #[test]
        fn arbitrary_values_in_known_places_never_panic_and_never_pass_for_our_own(
            name in names(), junk in prop::sample::select(vec!["null", "1", "-1", "\"x\"", "[]", "{}", "1e99", "true"]),
        ) {
            let payload = format!(
                r#"{{"pull_request":{{"number":1,"head":{junk},"base":{junk}}},"issue":{junk},"comment":{junk},"inputs":{junk},
                "merge_group":{junk},"schedule":{junk},"ref":{junk},"repository":{junk}}}"#
            );
            if let Ok(Event::PullRequest(pull)) = Event::parse(name, payload.as_bytes()) {
                prop_assert!(pull.from_fork);
            }
        }
    }
}
