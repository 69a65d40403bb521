//! Checks: annotations in batches, and nothing twice.

use secretzero::forge::{Annotation, CheckRun, CheckStatus, Conclusion, Forge as _, Level};

use super::{ALL, client, with_pull};
use crate::fake::github::{FakeGithub, Fault};

fn check(annotations: u32, status: CheckStatus) -> CheckRun {
    let finding = |line| Annotation {
        path: "Secretfile.yml".to_owned(),
        line,
        line_end: line + line % 2,
        column: Some(5),
        level: Level::Failure,
        title: "unknown-key".to_owned(),
        message: "unknown key".to_owned(),
    };
    CheckRun {
        name: "secretzero (prod)".to_owned(),
        status,
        title: "3 changes".to_owned(),
        summary: "plan".to_owned(),
        text: Some("digest".to_owned()),
        annotations: (1..=annotations).map(finding).collect(),
        external_id: "plan:1".to_owned(),
        details_url: None,
    }
}

const FAILED: CheckStatus = CheckStatus::Completed(Conclusion::Failure);

fn batches(github: &FakeGithub) -> Vec<usize> {
    let sent =
        github.requests().into_iter().filter(|request| request.path.contains("/check-runs") && request.method != "GET");
    sent.map(|request| request.body["output"]["annotations"].as_array().map_or(0, Vec::len)).collect()
}

#[tokio::test]
async fn a_hundred_and_twenty_annotations_go_out_in_three_requests() {
    let (github, forge, _) = with_pull();
    let head = github.ref_sha("refs/heads/feature").unwrap();
    let id = forge.set_check(&head, &check(120, FAILED)).await.unwrap();
    assert_eq!(batches(&github), [50, 50, 20]);
    let checks = github.checks();
    assert_eq!((checks.len(), checks[0].id, checks[0].annotations.len()), (1, id, 120));
    assert_eq!((checks[0].status.as_str(), checks[0].conclusion.as_deref()), ("completed", Some("failure")));
    let lines: Vec<_> = checks[0].annotations.iter().map(|one| one["start_line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (1..=120).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_lost_reply_neither_doubles_annotations_nor_checks() {
    for (method, fault) in [
        ("POST", Fault::LoseReply),
        ("POST", Fault::LoseRequest),
        ("PATCH", Fault::LoseReply),
        ("PATCH", Fault::LoseRequest),
    ] {
        let (github, forge, _) = with_pull();
        let head = github.ref_sha("refs/heads/feature").unwrap();
        github.fault(method, "/check-runs", 1, fault.clone());
        forge.set_check(&head, &check(120, FAILED)).await.unwrap();
        let checks = github.checks();
        assert_eq!((checks.len(), checks[0].annotations.len()), (1, 120), "{method} {fault:?}");
    }
}

#[tokio::test]
async fn a_running_check_is_finished_in_place_and_a_finished_one_followed_by_a_new_one() {
    let (github, forge, _) = with_pull();
    let head = github.ref_sha("refs/heads/feature").unwrap();
    let running = forge.set_check(&head, &check(0, CheckStatus::InProgress)).await.unwrap();
    let finished = forge.set_check(&head, &check(1, FAILED)).await.unwrap();
    let green = CheckStatus::Completed(Conclusion::Success);
    let again = forge.set_check(&head, &check(0, green)).await.unwrap();
    assert_eq!(running, finished);
    assert_ne!(finished, again);
    let seen = forge.checks(&head, "secretzero (prod)").await.unwrap();
    assert_eq!(seen.iter().map(|check| check.id).collect::<Vec<_>>(), [again, running]);
    assert_eq!(
        (seen[0].text.as_str(), seen[0].app.as_deref(), seen[1].annotations),
        ("digest", Some("github-actions"), 1)
    );
    assert!(forge.checks(&head, "another").await.unwrap().is_empty());
}

#[tokio::test]
async fn long_texts_are_cut_below_the_limit() {
    let (github, forge, _) = with_pull();
    let head = github.ref_sha("refs/heads/feature").unwrap();
    let text = Some("🔑".repeat(40_000));
    let long = CheckRun { summary: "é".repeat(40_000), text, title: "t".repeat(999), ..check(0, FAILED) };
    forge.set_check(&head, &long).await.unwrap();
    let check = github.checks().remove(0);
    assert!(check.summary.len() <= 65_535 && check.summary.ends_with("job summary._"));
    assert!(check.text.len() <= 65_535 && check.title.len() <= 260);
}

#[tokio::test]
async fn without_the_right_the_error_names_the_permission() {
    let github = FakeGithub::start();
    let head = github.ref_sha("refs/heads/main").unwrap();
    for token in [github.workflow_token(&[("checks", "read")]), github.user_token("octocat", ALL)] {
        let error = client(&github, &token).set_check(&head, &check(0, FAILED)).await.unwrap_err();
        assert!(error.is_forbidden() && error.to_string().contains("add `checks: write`"), "{error}");
    }
}
