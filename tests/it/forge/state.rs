//! State under a ref: whoever read an older tip does not write.

use std::collections::BTreeMap;

use secretzero::forge::github::state_ref;
use secretzero::forge::{Error, Forge as _, StateError};

use super::{client, with_pull};
use crate::fake::github::{FakeGithub, Fault};

const OWN: &str = "infra/prod/Secretfile.yml.lock";

fn files(text: &str) -> BTreeMap<String, Vec<u8>> {
    let entry = |path: &str, bytes: &[u8]| (path.to_owned(), bytes.to_vec());
    BTreeMap::from([entry(OWN, text.as_bytes()), entry("journal", b"\xff\x00binary")])
}

#[tokio::test]
async fn what_was_written_is_read_back() {
    let (github, forge, _) = with_pull();
    let name = state_ref(Some("prod"));
    assert_eq!(forge.read_state(&name, OWN).await.unwrap(), None);
    let first = forge.write_state(&name, None, &files("one"), "first").await.unwrap();
    let second = forge.write_state(&name, Some(&first), &files("two"), "second").await.unwrap();
    let state = forge.read_state(&name, OWN).await.unwrap().unwrap();
    assert_eq!((state.commit_sha.as_str(), &state.files), (second.as_str(), &files("two")));
    assert_eq!(github.ref_sha("refs/secretzero/v1/obzg6za"), Some(second));
    assert_eq!(github.file(&name, "infra/prod/Secretfile.yml.lock").as_deref(), Some(&b"two"[..]));
}

#[tokio::test]
async fn a_file_that_is_left_out_is_gone() {
    let (_github, forge, _) = with_pull();
    let name = state_ref(None);
    let first = forge.write_state(&name, None, &files("one"), "first").await.unwrap();
    let fewer = BTreeMap::from([("journal".to_owned(), b"x".to_vec())]);
    forge.write_state(&name, Some(&first), &fewer, "second").await.unwrap();
    assert_eq!(forge.read_state(&name, OWN).await.unwrap().unwrap().files, fewer);
}

#[tokio::test]
async fn of_a_state_above_the_bounds_only_our_own_file_is_read_and_the_next_write_leaves_the_rest_out() {
    let many: Vec<String> = (0..1_100).map(|number| format!("infra/{number}")).collect();
    let huge = vec![b' '; 17 << 20];
    for (ours, kept) in [(Some(&b"ours"[..]), 1), (None, 0), (Some(&huge[..]), 0)] {
        let (github, forge, _) = with_pull();
        let name = state_ref(None);
        let mut held: Vec<(&str, &[u8])> = many.iter().map(|path| (path.as_str(), &b"x"[..])).collect();
        held.extend(ours.map(|bytes| (OWN, bytes)));
        let tip = github.world().commit_on("elsewhere", &held);
        github.world().refs.insert(name.clone(), tip.clone());
        let state = forge.read_state(&name, OWN).await.unwrap().unwrap();
        assert_eq!((&state.commit_sha, state.files.len()), (&tip, kept));
        assert!(kept == 0 || state.files[OWN] == b"ours");
        assert!(github.count("GET", "/git/blobs/") <= kept, "nothing else was read");
        forge.write_state(&name, Some(&tip), &files("mended"), "mend").await.unwrap();
        assert_eq!(forge.read_state(&name, OWN).await.unwrap().unwrap().files, files("mended"));
    }
}

#[tokio::test]
async fn whoever_read_an_older_tip_is_told_that_it_moved() {
    let (_github, forge, _) = with_pull();
    let name = state_ref(Some("prod"));
    let first = forge.write_state(&name, None, &files("one"), "first").await.unwrap();
    assert_eq!(forge.write_state(&name, None, &files("x"), "create again").await, Err(StateError::Moved));
    let second = forge.write_state(&name, Some(&first), &files("two"), "second").await.unwrap();
    assert_eq!(forge.write_state(&name, Some(&first), &files("x"), "late").await, Err(StateError::Moved));
    let state = forge.read_state(&name, OWN).await.unwrap().unwrap();
    assert_eq!((state.commit_sha, state.files), (second, files("two")));
}

#[tokio::test]
async fn a_writer_between_our_commit_and_our_move_wins() {
    let (github, forge, _) = with_pull();
    let name = state_ref(Some("prod"));
    let first = forge.write_state(&name, None, &files("one"), "first").await.unwrap();
    let raced = name.clone();
    github.before("PATCH", "/git/refs/", move |world| {
        let theirs = world.commit_on("elsewhere", &[("theirs", b"x")]);
        world.refs.insert(raced, theirs);
    });
    assert_eq!(forge.write_state(&name, Some(&first), &files("two"), "ours").await, Err(StateError::Moved));
    let raced = name.clone();
    github.before("PATCH", "/git/refs/", move |world| {
        world.refs.remove(&raced);
    });
    let now = github.ref_sha(&name).unwrap();
    assert_eq!(forge.write_state(&name, Some(&now), &files("two"), "ours").await, Err(StateError::Moved));
}

#[tokio::test]
async fn a_lost_reply_is_not_taken_for_another_writer() {
    for (lost, fault) in [
        ("first", Fault::LoseReply),
        ("first", Fault::LoseRequest),
        ("second", Fault::LoseReply),
        ("second", Fault::LoseRequest),
    ] {
        let (github, forge, _) = with_pull();
        let name = state_ref(Some("prod"));
        let plan = |which: &str, method: &str| {
            if which == lost {
                github.fault(method, "/git/refs", 1, fault.clone());
            }
        };
        plan("first", "POST");
        let first = forge.write_state(&name, None, &files("one"), "first").await.unwrap();
        plan("second", "PATCH");
        let second = forge.write_state(&name, Some(&first), &files("two"), "second").await.unwrap();
        assert_eq!(github.ref_sha(&name), Some(second), "{lost} {fault:?}");
    }
}

#[tokio::test]
async fn without_contents_write_nothing_is_written_and_the_error_says_so() {
    let github = FakeGithub::start();
    let forge = client(&github, &github.workflow_token(&[("contents", "read")]));
    let name = state_ref(None);
    assert_eq!(forge.read_state(&name, OWN).await, Ok(None));
    let error = forge.write_state(&name, None, &files("one"), "first").await.unwrap_err();
    assert!(matches!(&error, StateError::Forbidden(Error::Forbidden { needs: "contents: write", .. })), "{error}");
    insta::assert_snapshot!(error, @"could not write the state ref: Resource not accessible by integration; add `contents: write` under `permissions:` of the job (a fork's token can never have it)");
}

#[tokio::test]
async fn a_ruleset_that_guards_the_ref_is_no_race() {
    let (github, forge, _) = with_pull();
    let name = "refs/heads/secretzero-lock";
    let first = forge.write_state(name, None, &files("one"), "first").await.unwrap();
    github.fault("PATCH", "/git/refs/", 1, super::refusal(422, &[], "Repository rule violations found"));
    let error = forge.write_state(name, Some(&first), &files("two"), "second").await.unwrap_err();
    assert!(matches!(&error, StateError::Forge(Error::Invalid { status: 422, .. })), "{error}");
}

#[tokio::test]
async fn a_state_that_no_ref_may_hold_is_refused_before_anything_is_sent() {
    let (github, forge, _) = with_pull();
    for (name, path) in [("heads/x", "a"), ("refs/../x", "a"), ("refs/x/y", "../a"), ("refs/x/y", "/a")] {
        let files = BTreeMap::from([(path.to_owned(), b"x".to_vec())]);
        assert!(forge.write_state(name, None, &files, "m").await.is_err(), "{name} {path}");
    }
    assert_eq!(github.count("POST", ""), 0);
}
