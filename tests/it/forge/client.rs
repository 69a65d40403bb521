//! Waiting, redirects, addresses, what the repository says, and that the token goes nowhere else.

use std::io::Write;
use std::sync::{Arc, Mutex};

use secretzero::forge::github::{AppKey, Github, state_ref};
use secretzero::forge::{Error, Forge as _, Marker, Permission, Relation};
use secretzero::secret::SecretValue;
use tracing_subscriber::fmt::MakeWriter;

use super::{ALL, Asleep, client, client_that_sleeps, private_key, refusal, with_pull};
use crate::fake::github::{FakeGithub, Fault};

fn marker() -> Marker {
    Marker::new("Secretfile.yml", None, None)
}

#[tokio::test]
async fn limits_are_waited_for_as_github_asks() {
    let (github, _, pull) = with_pull();
    let asleep = Asleep::default();
    let forge = client_that_sleeps(&github, &github.workflow_token(ALL), &asleep);
    github.fault("POST", "/comments", 1, refusal(429, &[("retry-after", "7")], "slow down"));
    github.fault("POST", "/comments", 1, refusal(403, &[], "You have exceeded a secondary rate limit."));
    let exhausted = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1030")];
    github.fault("POST", "/comments", 1, refusal(403, &exhausted, "API rate limit exceeded"));
    forge.upsert_comment(pull, &marker(), "plan").await.unwrap();
    assert_eq!(asleep.seconds(), [7, 120, 31]);
    assert_eq!(github.comments(pull).len(), 1);
}

#[tokio::test]
async fn all_waiting_together_is_bounded() {
    let (github, _, _) = with_pull();
    let asleep = Asleep::default();
    let forge = client_that_sleeps(&github, &github.workflow_token(ALL), &asleep);
    github.fault("GET", "/pulls/", 99, refusal(429, &[("retry-after", "400")], "slow down"));
    let error = forge.pull(1).await.unwrap_err();
    assert_eq!(asleep.seconds(), [400, 400]);
    insta::assert_snapshot!(error, @"could not read the pull request: rate limited, and waiting 400 s more is beyond what one run may; run again later");
}

#[tokio::test]
async fn a_read_that_fails_is_tried_again_and_then_given_up() {
    let (github, _, _) = with_pull();
    let asleep = Asleep::default();
    let forge = client_that_sleeps(&github, &github.workflow_token(ALL), &asleep);
    github.fault("GET", "/pulls/", 2, refusal(502, &[], "bad gateway"));
    github.fault("GET", "/pulls/", 1, Fault::LoseReply);
    assert_eq!(forge.pull(1).await.unwrap().number, 1);
    assert_eq!(asleep.seconds(), [1, 2, 4]);
    github.fault("GET", "/pulls/", 99, refusal(503, &[], "maintenance"));
    insta::assert_snapshot!(forge.pull(1).await.unwrap_err(), @"could not read the pull request: GitHub answers 503; nothing was changed, run again");
}

#[tokio::test]
async fn many_writes_leave_a_second_between_them() {
    let (github, _, pull) = with_pull();
    let asleep = Asleep::default();
    let forge = client_that_sleeps(&github, &github.workflow_token(ALL), &asleep);
    for count in 0..25 {
        let marker = Marker::new(&format!("{count}/Secretfile.yml"), None, None);
        forge.upsert_comment(pull, &marker, "x").await.unwrap();
    }
    let writes = github.requests().iter().filter(|request| request.method != "GET").count();
    assert_eq!(asleep.seconds(), vec![1; writes - 20]);
}

#[tokio::test]
async fn an_unknown_token_and_a_missing_pull_request_are_told_apart() {
    let (github, forge, _) = with_pull();
    insta::assert_snapshot!(forge.pull(99).await.unwrap_err(), @"could not read the pull request: not found (404); check the name, and that the token has `pull-requests: read`");
    insta::assert_snapshot!(client(&github, "ghs_gone").pull(1).await.unwrap_err(), @"could not read the pull request: the forge does not accept the token (401); pass a fresh one, such as `${{ github.token }}`");
}

#[tokio::test]
async fn a_redirect_is_followed_on_the_same_host_only_and_for_reads_only() {
    let (github, forge, pull) = with_pull();
    let elsewhere = FakeGithub::start();
    let here = format!("{}/repos/{}/pulls/{pull}", github.url(), FakeGithub::REPOSITORY);
    github.fault("GET", "/pulls/", 1, refusal(301, &[("location", &here)], "Moved Permanently"));
    assert_eq!(forge.pull(pull).await.unwrap().number, pull);
    let there = format!("{}/repos/{}/pulls/{pull}", elsewhere.url(), FakeGithub::REPOSITORY);
    for status in [301, 302, 307, 308] {
        github.fault("GET", "/pulls/", 1, refusal(status, &[("location", &there)], "Moved"));
        assert!(matches!(forge.pull(pull).await, Err(Error::Invalid { .. })), "{status}");
        let comments = format!("{}/repos/{}/issues/{pull}/comments", elsewhere.url(), FakeGithub::REPOSITORY);
        github.fault("POST", "/comments", 1, refusal(status, &[("location", &comments)], "Moved"));
        assert!(forge.upsert_comment(pull, &marker(), "plan").await.is_err(), "{status}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn an_app_fetches_a_token_for_its_repository_alone_and_renews_it_before_its_end() {
    let (github, _, pull) = with_pull();
    let asleep = Asleep::default();
    let key = AppKey { id: 4_242, private_key: SecretValue::from(private_key()) };
    let forge = Github::with_installation(&github.url(), FakeGithub::REPOSITORY, &key, 100, asleep.world()).unwrap();
    forge.upsert_comment(pull, &marker(), "one").await.unwrap();
    forge.upsert_comment(pull, &marker(), "two").await.unwrap();
    assert_eq!(github.comments(pull).len(), 1);
    assert_eq!(github.comments(pull)[0].login, "secretzero-app[bot]");
    let minted = || github.requests().into_iter().filter(|request| request.path.ends_with("/access_tokens"));
    assert_eq!(minted().map(|request| request.body["repositories"][0].clone()).collect::<Vec<_>>(), ["demo"]);
    asleep.pass(41 * 60);
    forge.pull(pull).await.unwrap();
    assert_eq!(minted().count(), 2);
}

#[tokio::test]
async fn a_ghes_address_keeps_its_path() {
    let (github, _, pull) = with_pull();
    let token = github.app_token("acme", ALL);
    let world = Asleep::default().world();
    let forge =
        Github::with_token(&github.ghes_url(), FakeGithub::REPOSITORY, SecretValue::from(token.as_str()), world)
            .unwrap();
    forge.upsert_comment(pull, &marker(), "plan").await.unwrap();
    assert_eq!(github.comments(pull)[0].login, "acme[bot]");
    assert_eq!(github.count("POST", "/api/graphql"), 1);
}

#[test]
fn outside_of_a_runtime_there_is_an_error_and_no_panic() {
    let token = SecretValue::from("t");
    let made = Github::with_token("https://api.github.com", "octo/demo", token, Asleep::default().world());
    assert!(matches!(made, Err(Error::Configuration { .. })));
}

#[tokio::test]
async fn addresses_and_names_that_cannot_be_right_are_refused() {
    let made = |url: &str, repository: &str, token: &str| {
        Github::with_token(url, repository, SecretValue::from(token), Asleep::default().world()).map(|_| ())
    };
    assert_eq!(made("https://api.github.com", "octo/demo", "t"), Ok(()));
    assert_eq!(made("https://ghes.example/api/v3/", "octo/demo.x", " t\n"), Ok(()));
    for url in ["http://ghes.example/api/v3", "ftp://x", "", "https://user:pw@ghes.example", "https://x/?a=b"] {
        assert!(made(url, "octo/demo", "t").is_err(), "{url}");
    }
    for repository in ["demo", "octo/demo/x", "octo/..", "/x", "octo/de mo", "octo/demo?x"] {
        assert!(made("https://api.github.com", repository, "t").is_err(), "{repository}");
    }
    for token in ["", " ", "a b", "a\nb"] {
        assert!(made("https://api.github.com", "octo/demo", token).is_err(), "{token:?}");
    }
}

#[tokio::test]
async fn the_repository_tells_its_tip_its_files_and_who_may_what() {
    let (github, forge, _) = with_pull();
    let tip = forge.default_branch_tip().await.unwrap();
    assert_eq!((tip.branch.as_str(), tip.repository_id), ("main", 1_001));
    assert_eq!(Some(&tip.sha), github.ref_sha("refs/heads/main").as_ref());
    let big = vec![b'x'; 1_500_000];
    let head = github.commit("feature", &[("a b/ü?.yml", b"\xff\n"), ("big", &big)]);
    assert_eq!(forge.file_at("a b/ü?.yml", &head).await.unwrap().as_deref(), Some(&b"\xff\n"[..]));
    assert_eq!(forge.file_at("big", "feature").await.unwrap(), Some(big));
    assert_eq!(forge.file_at("a b/ü?.yml", &tip.sha).await.unwrap(), None);
    assert!(matches!(forge.file_at("a b", &head).await, Err(Error::Invalid { .. })));
    assert!(matches!(forge.file_at("../x", &head).await, Err(Error::Invalid { status: 0, .. })));
    github.collaborator("lead", "maintain");
    github.collaborator("dev", "write");
    assert_eq!(forge.permission("lead").await, Ok(Permission::Maintain));
    assert_eq!(forge.permission("dev").await, Ok(Permission::Write));
    assert_eq!(forge.permission("stranger/../lead").await, Ok(Permission::None));
}

#[tokio::test]
async fn pull_requests_are_found_by_number_and_by_commit() {
    let (github, forge, pull) = with_pull();
    let fork = github.open_fork_pull("feature", "main");
    assert!(!forge.pull(pull).await.unwrap().from_fork());
    assert!(forge.pull(fork).await.unwrap().from_fork());
    github.world().pulls.get_mut(&fork).unwrap().head_repository = None;
    assert!(forge.pull(fork).await.unwrap().from_fork());
    let merge = github.merge_pull(pull);
    let found = forge.pulls_of_commit(&merge).await.unwrap();
    assert_eq!(found.iter().map(|one| (one.number, one.merged)).collect::<Vec<_>>(), [(pull, true)]);
    let direct = github.commit("main", &[("x", b"y")]);
    assert!(forge.pulls_of_commit(&direct).await.unwrap().is_empty());
    assert!(forge.pulls_of_commit("main").await.is_err());
}

#[tokio::test]
async fn two_commits_are_compared_over_all_pages() {
    let (github, forge, _) = with_pull();
    let base = github.ref_sha("refs/heads/main").unwrap();
    let mut head = base.clone();
    for _ in 0..150 {
        head = github.commit("main", &[]);
    }
    let ahead = forge.compare(&base, &head).await.unwrap();
    assert_eq!((ahead.relation, ahead.commits.len(), ahead.complete), (Relation::Ahead, 150, true));
    let behind = forge.compare(&head, &base).await.unwrap();
    assert_eq!((behind.relation, behind.commits.len()), (Relation::Behind, 0));
    let feature = github.ref_sha("refs/heads/feature").unwrap();
    assert_eq!(forge.compare(&feature, &head).await.unwrap().relation, Relation::Diverged);
    assert_eq!(forge.compare(&head, &head).await.unwrap().relation, Relation::Identical);
}

/// Everything that was logged, at every level, by every crate.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_token_is_in_no_error_no_log_and_no_debug_output() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (github, _, pull) = with_pull();
    let token = github.workflow_token(ALL);
    let mut said = String::new();
    for status in [400, 401, 403, 404, 409, 422, 500] {
        let forge = client(&github, &token);
        said += &format!("{forge:?}");
        // A proxy that echoes what it was sent.
        for method in ["GET", "POST", "PATCH"] {
            github.fault(method, "", 6, refusal(status, &[], &format!("Authorization: Bearer {token}")));
        }
        let error = forge.upsert_comment(pull, &marker(), "plan").await.unwrap_err();
        said += &format!("{error} {error:?}");
        let error = forge.write_state(&state_ref(None), None, &[("a".into(), vec![1])].into(), "m").await.unwrap_err();
        said += &format!("{error} {error:?}");
        github.world().clear_faults();
    }
    drop(github);
    let dead = Github::with_token(
        "http://127.0.0.1:9",
        "octo/demo",
        SecretValue::from(token.as_str()),
        Asleep::default().world(),
    );
    said += &format!("{:?}", dead.unwrap().pull(1).await.unwrap_err());
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(said.contains("***") && logged.contains("trying again"), "the test sees errors and logs");
    assert!(!said.contains(&token) && !logged.contains(&token));
}

#[tokio::test]
async fn every_request_carries_the_token_and_stays_in_the_repository() {
    let (github, _, pull) = with_pull();
    let token = github.workflow_token(ALL);
    let forge = client(&github, &token);
    forge.upsert_comment(pull, &marker(), "plan").await.unwrap();
    forge.write_state(&state_ref(None), None, &[("a".into(), vec![1])].into(), "m").await.unwrap();
    for request in github.requests() {
        assert_eq!(request.authorization, format!("Bearer {token}"));
        let own = request.path.starts_with("/repos/octo/demo/");
        assert!(own || matches!(request.path.as_str(), "/user" | "/graphql"), "{}", request.path);
        assert!(!request.body.to_string().contains(&token) && !request.query.contains(&token));
    }
}
