//! One login: what is sent, what is tried again and what is not, and what is left of it.

use std::time::Duration;

use super::refused::stand_in_their_masks_alone;
use super::{AUDIENCE, BOTH, LOGIN, MAIN, MORE, PLAN_ROLE, SYNC_ROLE, Stage, expired, keyless, with_auth};
use crate::canary::Canary;
use crate::fake::actions::Answer;
use crate::sandbox::Ran;
use crate::stage::BASE;

/// A repository with two secrets, so that more than one call needs credentials.
fn text() -> String {
    format!("{BASE}{MORE}")
}

#[test]
fn a_token_that_expired_on_its_way_is_minted_once_again() {
    let stage = Stage::new();
    stage.actions.next([expired()]);
    let ran = stage.push_of(&text(), BOTH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!((stage.actions.requests(), stage.aws.count(LOGIN)), (2, 2));

    let stage = Stage::new();
    stage.actions.next([expired(), expired(), expired(), expired()]);
    let ran = stage.push_of(&text(), BOTH);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!((stage.actions.requests(), stage.aws.count(LOGIN)), (2, 2), "once, not for ever");
    assert!(ran.stdout.contains("clocks differ"), "{ran:?}");
}

#[test]
fn what_will_not_change_is_asked_once_however_many_secrets_there_are() {
    for code in [
        "AccessDenied",
        "InvalidIdentityToken",
        "IDPRejectedClaim",
        "MalformedPolicyDocument",
        "PackedPolicyTooLarge",
        "RegionDisabledException",
    ] {
        let stage = Stage::new();
        stage.aws.edit(|world| world.federation.faults.extend([(400, code); 9]));
        let ran = stage.push_of(&text(), BOTH);
        assert_ne!(ran.code, Some(0), "{code}: {ran:?}");
        assert_eq!((stage.actions.requests(), stage.aws.total()), (1, 1), "{code}: {ran:?}");
        let summary = stage.sandbox.read("summary");
        assert!(summary.contains(&format!("({code})")), "{code}: {summary}");
    }
}

#[test]
fn what_may_pass_is_tried_again_with_the_same_token() {
    for (status, code) in [(400, "IDPCommunicationError"), (400, "Throttling"), (503, "ServiceUnavailable"), (500, "")]
    {
        let stage = Stage::new();
        stage.aws.edit(|world| world.federation.faults.push_back((status, code)));
        let ran = stage.push_of(&text(), BOTH);
        assert_eq!(ran.code, Some(0), "{code}: {ran:?}");
        assert_eq!((stage.actions.requests(), stage.aws.count(LOGIN)), (1, 2), "{code}");
    }
}

#[test]
fn githubs_endpoint_is_asked_again_after_an_outage_and_followed_nowhere() {
    let stage = Stage::new();
    stage.actions.next([Answer::Status(503), Answer::Status(429)]);
    let ran = stage.push_of(&text(), BOTH);
    assert_eq!((ran.code, stage.actions.requests()), (Some(0), 3), "{ran:?}");

    let elsewhere = Canary::start();
    for answer in [Answer::Redirect(format!("http://{}/idtoken", elsewhere.address())), Answer::Status(403)] {
        let stage = Stage::new();
        stage.actions.next([answer]);
        let ran = stage.push_of(&text(), BOTH);
        assert_ne!(ran.code, Some(0), "{ran:?}");
        assert_eq!((stage.actions.requests(), stage.aws.total(), elsewhere.count()), (1, 0, 0), "{ran:?}");
    }
}

#[test]
fn the_endpoint_must_be_https_or_on_this_machine() {
    let elsewhere = Canary::at("127.0.0.2");
    let mut stage = Stage::new();
    let url = format!("http://{}/idtoken/77?api-version=2.0", elsewhere.address());
    stage.job.cloud.insert("ACTIONS_ID_TOKEN_REQUEST_URL".into(), url);
    let ran = stage.push_of(&text(), BOTH);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert_eq!((elsewhere.count(), stage.aws.total()), (0, 0));
    let summary = stage.sandbox.read("summary");
    assert!(summary.contains("is no https address"), "{ran:?} {summary}");
}

/// Every file below the sandbox.
fn files(stage: &Stage) -> Vec<(String, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![stage.sandbox.path(".")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => {
                    let text = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
                    found.push((entry.path().display().to_string(), text));
                }
            }
        }
    }
    found
}

#[test]
fn tokens_and_session_keys_are_masked_before_anything_else_and_stand_nowhere() {
    let (stage, pull, head) = Stage::opened();
    let ran = stage.pull_request(pull, &head, BOTH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let minted = stage.actions.minted();
    let token = minted.last().unwrap();
    let secrets = [token.as_str(), "canary-session-secret", "canary-session-token"];
    stand_in_their_masks_alone(&ran, secrets);
    let first = ran.stdout.lines().next().unwrap();
    assert_eq!(first, format!("::add-mask::{token}"), "before anything else is said");
    for (path, text) in files(&stage) {
        for secret in minted.iter().flat_map(|token| token.split('.')).chain(secrets) {
            assert!(!text.contains(secret), "{path} holds a part of a token");
        }
    }
    for request in stage.github.requests() {
        let said = format!("{request:?}");
        assert!(secrets.iter().all(|secret| !said.contains(secret)), "GitHub was sent a credential");
    }
}

#[test]
fn outside_a_job_of_github_nothing_is_printed_at_all() {
    let stage = Stage::new();
    stage.sandbox.write("Secretfile.yml", &text());
    let mut environment = stage.job.cloud.clone();
    environment.insert("SECRETZERO_AWS_ROLE".into(), SYNC_ROLE.into());
    let ran: Ran = stage.sandbox.run_with(&["test"], &environment);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("assumed-role/secretzero-sync/secretzero-sync"), "{ran:?}");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!said.contains("canary") && !said.contains("add-mask"), "{said}");
    assert!(stage.actions.minted().iter().all(|token| !said.contains(token)));
}

#[test]
fn credentials_are_renewed_before_they_expire() {
    let stage = Stage::new();
    stage.aws.edit(|world| world.federation.life_seconds = Some(1));
    // Each answer takes longer than the half of their life after which they are renewed.
    stage.aws.delay(Duration::from_millis(600));
    let ran = stage.push_of(&text(), BOTH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(stage.aws.count(LOGIN) > 1, "they were renewed");
    assert_eq!(stage.actions.minted().len(), stage.aws.count(LOGIN), "with a fresh token each");
}

#[test]
fn a_session_is_as_long_and_as_narrow_as_the_file_says() {
    let auth = |more: &str| {
        with_auth(&format!(
            "    auth:\n      kind: oidc\n      config:\n        region: us-east-1\n        role_arn: {SYNC_ROLE}\n{more}"
        ))
    };
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:DescribeSecret","secretsmanager:ListSecrets"],"Resource":"*"}]}"#;
    let arns = "arn:aws:iam::aws:policy/ReadOnlyAccess, arn:aws:iam::123456789012:policy/x";
    let text = auth(&format!(
        "        duration_seconds: 900\n        session_policy: '{policy}'\n        policy_arns: {arns}\n"
    ));
    let stage = Stage::new();
    let ran = stage.push_of(&text, &[]);
    assert_ne!(ran.code, Some(0), "it may read only: {ran:?}");
    let login = &stage.logins()[0].body;
    assert_eq!((login["DurationSeconds"].as_str(), login["Policy"].as_str()), (Some("900"), Some(policy)));
    assert_eq!(login["PolicyArns.member.2.arn"], "arn:aws:iam::123456789012:policy/x");
    assert!(stage.aws.count("DescribeSecret") > 0 && stage.aws.secret("production/myapp/api-key").is_none());

    // Longer than the role's own maximum.
    let stage = Stage::new();
    let ran = stage.push_of(&auth("        duration_seconds: 9000\n"), &[]);
    assert_eq!(stage.aws.count(LOGIN), 1);
    let summary = stage.sandbox.read("summary");
    assert!(summary.contains("maximum session duration"), "{ran:?} {summary}");

    // Of another partition than the region: nobody is asked.
    let stage = Stage::new();
    let ran = stage.push_of(&auth("").replace("arn:aws:", "arn:aws-cn:"), &[]);
    assert_eq!((stage.actions.requests(), stage.aws.total()), (0, 0));
    let summary = stage.sandbox.read("summary");
    assert!(summary.contains("`aws-cn`"), "{ran:?} {summary}");
}

#[test]
fn a_token_that_was_there_before_is_not_sent_twice_and_goes_to_its_audience_only() {
    let stage = Stage::new();
    // As GitLab gives them: a variable for each audience.
    stage.actions.next([expired()]);
    let mint = |audience: &str| {
        let client = reqwest::Client::new();
        let env = stage.actions.env();
        let request = client.get(&env["ACTIONS_ID_TOKEN_REQUEST_URL"]).query(&[("audience", audience)]);
        let request = request.bearer_auth(&env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]);
        let answer = async { request.send().await.unwrap().text().await.unwrap() };
        let text = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(answer);
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["value"].as_str().unwrap().to_owned()
    };
    let (old, vault, fresh) = (mint(AUDIENCE), mint("https://vault.example"), mint(AUDIENCE));
    let run = |variables: &[(&str, &str)]| {
        stage.aws.forget_requests();
        let mut environment = keyless(&stage.aws);
        environment.insert("SECRETZERO_AWS_ROLE".into(), SYNC_ROLE.into());
        environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        stage.sandbox.write("Secretfile.yml", &text());
        stage.sandbox.run_with(&["test"], &environment)
    };
    let ran = run(&[("SECRETZERO_ID_TOKEN", &old)]);
    assert_eq!((ran.code, stage.aws.total()), (Some(4), 1), "{ran:?}");
    assert!(ran.stderr.contains("had expired"), "{ran:?}");

    let ran = run(&[("SECRETZERO_VAULT_ID_TOKEN", &vault)]);
    assert_eq!((ran.code, stage.aws.total()), (Some(4), 0), "{ran:?}");
    assert!(ran.stdout.contains("is for https://vault.example"), "{ran:?}");

    let ran =
        run(&[("SECRETZERO_VAULT_ID_TOKEN", &vault), ("OURS", &fresh), ("SECRETZERO_ID_TOKEN_VARIABLES", "OURS")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");

    // And as a cluster gives them: a file.
    stage.sandbox.write("projected", &format!("{fresh}\n"));
    let path = stage.sandbox.path("projected").display().to_string();
    let ran = run(&[("SECRETZERO_ID_TOKEN_FILE", &path)]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = run(&[]);
    assert_eq!((ran.code, stage.aws.total()), (Some(4), 0), "{ran:?}");
    assert!(ran.stdout.contains("nobody vouches for this run"), "{ran:?}");
}

#[test]
fn a_role_that_is_assumed_next_is_assumed_as_the_tokens_role() {
    let next = "arn:aws:iam::123456789012:role/next";
    let auth = with_auth(&format!(
        "    auth:\n      kind: assume_role\n      config:\n        region: us-east-1\n        role_arn: {next}\n        \
         plan_role_arn: {next}-plan\n"
    ));
    let stage = Stage::new();
    let ran = stage.push_of(&auth, BOTH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let assumed = |stage: &Stage| -> Vec<String> {
        let requests = stage.aws.requests().into_iter().filter(|request| request.operation == "AssumeRole");
        requests.map(|request| request.body["RoleArn"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((stage.roles(), assumed(&stage)), (vec![SYNC_ROLE.to_owned()], vec![next.to_owned()]));
    stand_in_their_masks_alone(&ran, ["canary-assumed-secret", "canary-assumed-token"]);
    let (pull, head) = stage.pull(&format!("{auth}{MORE}"));
    stage.pull_request(pull, &head, BOTH);
    assert_eq!((stage.roles(), assumed(&stage)), (vec![PLAN_ROLE.to_owned()], vec![format!("{next}-plan")]));
    assert_ne!(MAIN, next);
}
