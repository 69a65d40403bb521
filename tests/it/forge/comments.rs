//! One comment, ours, whatever happens in between.

use secretzero::forge::{Error, Forge as _, Marker, utf16_units};

use super::{ALL, client, refusal, with_pull};
use crate::fake::github::{FakeGithub, Fault};

fn marker() -> Marker {
    Marker::new("Secretfile.yml", Some("prod"), None)
}

#[tokio::test]
async fn the_same_comment_is_edited_and_an_unchanged_one_costs_no_write() {
    let (github, forge, pull) = with_pull();
    let first = forge.upsert_comment(pull, &marker(), "one change").await.unwrap();
    assert!(first.created && first.url.contains("issuecomment"));
    let second = forge.upsert_comment(pull, &marker(), "two changes").await.unwrap();
    assert_eq!((second.id, second.created), (first.id, false));
    forge.upsert_comment(pull, &marker(), "two changes").await.unwrap();
    let comments = github.comments(pull);
    assert_eq!(comments.len(), 1);
    assert_eq!(comments[0].body, format!("{}\ntwo changes", marker()));
    assert_eq!((github.count("POST", "/comments"), github.count("PATCH", "/comments")), (1, 1));
    assert_eq!(github.count("GET", "/user"), 1, "the identity is asked once");
}

#[tokio::test]
async fn each_secretfile_and_environment_has_a_comment_of_its_own() {
    let (github, forge, pull) = with_pull();
    for environment in [None, Some("prod"), Some("staging")] {
        let marker = Marker::new("Secretfile.yml", environment, None);
        forge.upsert_comment(pull, &marker, "x").await.unwrap();
        forge.upsert_comment(pull, &marker, "y").await.unwrap();
    }
    assert_eq!(github.comments(pull).len(), 3);
}

#[tokio::test]
async fn a_comment_of_somebody_else_with_our_marker_is_left_alone() {
    let (github, forge, pull) = with_pull();
    for login in ["mallory", "other-app[bot]", "github-actions"] {
        github.comment_as(login, pull, &format!("{}\nspoofed", marker()));
    }
    // Ours, but of another workflow that repeats what a stranger typed.
    github.comment_as("github-actions[bot]", pull, &format!("> quoted\n{}\nspoofed", marker()));
    let posted = forge.upsert_comment(pull, &marker(), "plan").await.unwrap();
    assert!(posted.created);
    let comments = github.comments(pull);
    assert_eq!(comments.iter().filter(|comment| comment.body.ends_with("spoofed")).count(), 4);
    assert_eq!(comments.len(), 5);
    assert_eq!(github.count("PATCH", "/comments") + github.count("DELETE", "/comments"), 0);
}

#[tokio::test]
async fn our_comment_is_found_behind_hundreds_of_others() {
    let (github, forge, pull) = with_pull();
    for _ in 0..230 {
        github.comment_as("octocat", pull, "talk");
    }
    let first = forge.upsert_comment(pull, &marker(), "one").await.unwrap();
    let second = forge.upsert_comment(pull, &marker(), "two").await.unwrap();
    assert_eq!(first.id, second.id);
}

#[tokio::test]
async fn two_racing_writers_leave_one_comment() {
    let (github, forge, pull) = with_pull();
    // The other writer creates its comment after we looked and before we create ours.
    github.before("POST", "/comments", move |world| {
        world.comment_as("github-actions[bot]", pull, &format!("{}\ntheirs", marker()));
    });
    let posted = forge.upsert_comment(pull, &marker(), "ours").await.unwrap();
    let comments = github.comments(pull);
    assert_eq!(comments.len(), 1);
    assert_eq!((comments[0].id, comments[0].body.as_str()), (posted.id, format!("{}\nours", marker()).as_str()));
}

#[tokio::test]
async fn writers_at_the_same_time_leave_one_comment() {
    let (github, _, pull) = with_pull();
    let forges: Vec<_> = (0..4).map(|_| client(&github, &github.workflow_token(ALL))).collect();
    let marker = marker();
    let posts = forges.iter().map(|forge| forge.upsert_comment(pull, &marker, "the same plan"));
    for posted in futures_util::future::join_all(posts).await {
        posted.unwrap();
    }
    assert_eq!(github.comments(pull).len(), 1);
}

#[tokio::test]
async fn the_oldest_of_our_duplicates_stays() {
    let (github, forge, pull) = with_pull();
    let oldest = github.comment_as("github-actions[bot]", pull, &format!("{}\nold", marker()));
    github.comment_as("github-actions[bot]", pull, &format!("{}\nolder run", marker()));
    let posted = forge.upsert_comment(pull, &marker(), "new").await.unwrap();
    assert_eq!((posted.id, posted.created, github.comments(pull).len()), (oldest, false, 1));
}

#[tokio::test]
async fn a_lost_reply_on_create_leaves_one_comment() {
    for fault in [Fault::LoseReply, Fault::LoseRequest, refusal(502, &[], "bad gateway")] {
        let (github, forge, pull) = with_pull();
        github.fault("POST", "/comments", 1, fault.clone());
        let posted = forge.upsert_comment(pull, &marker(), "plan").await.unwrap();
        assert!(posted.created);
        assert_eq!(github.comments(pull).len(), 1, "{fault:?}");
        let tries = if matches!(fault, Fault::LoseReply) { 1 } else { 2 };
        assert_eq!(github.count("POST", "/comments"), tries, "{fault:?}");
    }
}

#[tokio::test]
async fn a_create_that_never_answers_says_that_it_may_have_happened() {
    let (github, forge, pull) = with_pull();
    github.fault("POST", "/comments", 99, Fault::LoseRequest);
    let error = forge.upsert_comment(pull, &marker(), "plan").await.unwrap_err();
    assert!(matches!(error, Error::Indeterminate { .. }), "{error}");
    assert_eq!(github.count("POST", "/comments"), 3);
}

#[tokio::test]
async fn a_comment_that_is_deleted_under_our_hands_is_written_anew() {
    let (github, forge, pull) = with_pull();
    forge.upsert_comment(pull, &marker(), "one").await.unwrap();
    github.before("PATCH", "/comments", |world| world.comments.clear());
    let posted = forge.upsert_comment(pull, &marker(), "two").await.unwrap();
    assert!(posted.created);
    assert_eq!(github.comments(pull).len(), 1);
}

#[tokio::test]
async fn a_long_comment_is_cut_with_a_note_and_keeps_its_marker() {
    let (github, forge, pull) = with_pull();
    for body in ["🔑".repeat(70_000), "x".repeat(65_536), format!("{}🔑", "é\n".repeat(40_000))] {
        forge.upsert_comment(pull, &marker(), &body).await.unwrap();
        let comments = github.comments(pull);
        assert_eq!(comments.len(), 1);
        assert!(marker().heads(&comments[0].body));
        assert!(comments[0].body.ends_with("the rest is in the job summary._"));
        assert!(utf16_units(&comments[0].body) <= 65_000);
    }
}

#[tokio::test]
async fn without_the_right_to_comment_the_error_names_the_permission() {
    let github = FakeGithub::start();
    github.commit("feature", &[]);
    let pull = github.open_pull("feature", "main");
    let forge = client(&github, &github.workflow_token(&[("contents", "read"), ("pull-requests", "read")]));
    let error = forge.upsert_comment(pull, &marker(), "plan").await.unwrap_err();
    assert!(error.is_forbidden());
    insta::assert_snapshot!(error, @"could not comment on the pull request: Resource not accessible by integration; add `pull-requests: write` under `permissions:` of the job (a fork's token can never have it)");
}

#[tokio::test]
async fn an_app_and_a_person_find_their_own_comments_too() {
    let (github, _, pull) = with_pull();
    for token in [github.app_token("acme-secrets", ALL), github.user_token("release-bot", ALL)] {
        let before = github.comments(pull).len();
        for body in ["one", "two"] {
            client(&github, &token).upsert_comment(pull, &marker(), body).await.unwrap();
        }
        assert_eq!(github.comments(pull).len(), before + 1);
    }
    let logins: Vec<_> = github.comments(pull).into_iter().map(|comment| comment.login).collect();
    assert_eq!(logins, ["acme-secrets[bot]", "release-bot"]);
}
