//! The jobs of the default branch: each cloud is sent its own token, and every store what is due to it.

use serde_json::json;

use super::clouds::{AWS, AZURE, Clouds, ROLE, google, inputs};
use super::pipeline::{Event, Pipeline};
use crate::fake::jwt::now;
use crate::sandbox::Sandbox;

const LOGIN: &str = "AssumeRoleWithWebIdentity";

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_logs_in_everywhere_and_the_next_one_changes_nothing() {
    let (clouds, pipeline) = (Clouds::new().await, Pipeline::with(&inputs()));
    let job = pipeline.job("secretzero-sync");
    let tokens = clouds.tokens(&job, Event::PUSH, &json!({}));
    let (ran, checkout) = clouds.run_with(&job, Event::PUSH, &tokens);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("All provider settings are there"), "no VAULT_TOKEN is missing: {ran:?}");
    let values = clouds.values().await;
    assert!(values.iter().all(|value| value == &values[0] && !value.is_empty()), "one value everywhere");

    // Each was sent its own token; the fakes take none for another audience.
    let logins: Vec<_> = clouds.aws.requests().into_iter().filter(|request| request.operation == LOGIN).collect();
    assert_eq!(logins.len(), 1);
    assert_eq!(logins[0].body["WebIdentityToken"].as_str(), Some(tokens["SECRETZERO_AWS_ID_TOKEN"].as_str()));
    assert_eq!(logins[0].body["RoleArn"], ROLE);
    let session = logins[0].body["RoleSessionName"].as_str().unwrap();
    assert_eq!(session, "secretzero-sync-77", "AWS's log names the job");
    assert_eq!(clouds.exchanges(), 1);
    let mounts = clouds.proxy.asked().iter().filter(|asked| asked.path == "auth/gitlab/login").count();
    assert_eq!(mounts, 1);
    assert!(!clouds.bao.knows(&clouds.proxy.token()).await, "Vault's token outlived the job");

    // A file on the runner is nobody's, and that is told.
    assert_eq!(checkout.read(".env"), "");
    assert!(ran.stderr.contains("1 target left out (.env): local files belong to the machine"), "{ran:?}");

    // The next job starts from a new checkout, without any lock: the marks in the stores tell what is there.
    let effects = clouds.effects();
    let (ran, checkout) = clouds.run(&pipeline, "secretzero-sync", Event::PUSH);
    assert_eq!((ran.code, clouds.effects()), (Some(0), effects), "{ran:?}");
    assert!(ran.stdout.contains("Nothing to change; 4 targets as declared"), "{ran:?}");
    assert_eq!(clouds.values().await, values);
    assert!(checkout.read(".gitsecrets.lock").contains("\"gen\": 1"), "rebuilt: {}", checkout.read(".gitsecrets.lock"));

    // Unless it is asked for.
    let mut with_files = inputs();
    with_files["local_files"] = json!(true);
    let (ran, checkout) = clouds.run(&Pipeline::with(&with_files), "secretzero-sync", Event::PUSH);
    assert_eq!((ran.code, clouds.effects()), (Some(0), effects), "{ran:?}");
    assert!(checkout.read(".env").contains("PASSWORD="), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_rotates_what_is_due_and_tells_drift() {
    let (clouds, pipeline) = (Clouds::new().await, Pipeline::with(&inputs()));
    clouds.run(&pipeline, "secretzero-sync", Event::PUSH);
    let (before, effects) = (clouds.values().await, clouds.effects());
    let (ran, _) = clouds.run(&pipeline, "secretzero-rotate", Event::SCHEDULE);
    assert_eq!((ran.code, clouds.effects()), (Some(0), effects), "{ran:?}");
    assert!(ran.stdout.contains("Nothing is due; the next is password"), "{ran:?}");
    let (ran, _) = clouds.run(&pipeline, "secretzero-drift", Event::SCHEDULE);
    assert_eq!((ran.code, clouds.effects()), (Some(0), effects), "{ran:?}");
    assert!(ran.stdout.contains("No drift"), "{ran:?}");

    // The mark of the primary says that the value is old.
    clouds.aws.edit(|world| {
        let tags = &mut world.region(crate::fake::aws::REGION).secrets.get_mut("password").unwrap().tags;
        let mark = tags.get_mut("secretzero").unwrap();
        *mark = format!("{}:t=1700000000", mark.split_once(":t=").unwrap().0);
    });
    let mut none = inputs();
    none["max_rotations"] = json!(0);
    let (ran, _) = clouds.run(&Pipeline::with(&none), "secretzero-rotate", Event::SCHEDULE);
    assert_eq!((ran.code, clouds.values().await), (Some(0), before.clone()), "{ran:?}");
    let (ran, _) = clouds.run(&pipeline, "secretzero-rotate", Event::SCHEDULE);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let after = clouds.values().await;
    assert!(after.iter().all(|value| value == &after[0]) && after[0] != before[0], "one new value everywhere");

    // Somebody writes past us: the job warns, since the pipeline takes this code for a warning.
    let entry = json!({ "data": { "password": "theirs" } });
    clouds.bao.post("secret/data/password", entry).await;
    let (ran, _) = clouds.run(&pipeline, "secretzero-drift", Event::SCHEDULE);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stdout.contains("password"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_rule_stops_every_job_before_it_logs_in() {
    let (mut clouds, pipeline) = (Clouds::new().await, Pipeline::with(&inputs()));
    clouds.secretfile.push_str("policies:\n  short: {kind: rotation, max_age: 30d}\n");
    for (name, event) in [("secretzero-sync", Event::PUSH), ("secretzero-rotate", Event::SCHEDULE)] {
        let (ran, _) = clouds.run(&pipeline, name, event);
        assert_eq!((ran.code, clouds.asked()), (Some(5), [0; 4]), "{name}: {ran:?}");
    }
    clouds.secretfile = clouds.secretfile.replace("{kind: rotation,", "{kind: rotation, severity: warning,");
    let (ran, _) = clouds.run(&pipeline, "secretzero", Event::MERGE_REQUEST);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut strict = inputs();
    strict["fail_on_warning"] = json!(true);
    let (ran, _) = clouds.run(&Pipeline::with(&strict), "secretzero", Event::MERGE_REQUEST);
    assert_eq!((ran.code, clouds.asked()), (Some(5), [0; 4]), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_the_files_environments_can_be_named() {
    let (mut clouds, mut inputs) = (Clouds::new().await, inputs());
    clouds.secretfile.push_str("environments: {north-west: {}, south: {}}\n");
    inputs["environment"] = json!("north-west");
    let (ran, _) = clouds.run(&Pipeline::with(&inputs), "secretzero-sync", Event::PUSH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let first = clouds.effects();
    inputs["environment"] = json!("nowhere");
    let (ran, _) = clouds.run(&Pipeline::with(&inputs), "secretzero-sync", Event::PUSH);
    assert_eq!((ran.code, clouds.effects()), (Some(3), first), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expired_is_told_as_one_that_gitlab_does_not_renew() {
    let (clouds, pipeline) = (Clouds::new().await, Pipeline::with(&inputs()));
    let job = pipeline.job("secretzero-sync");
    let times = json!({ "iat": now() - 4000, "nbf": now() - 4005, "exp": now() - 2200 });
    let (ran, _) = clouds.run_with(&job, Event::PUSH, &clouds.tokens(&job, Event::PUSH, &times));
    assert_eq!((ran.code, clouds.effects()), (Some(4), [0; 4]), "{ran:?}");
    assert_eq!((clouds.aws.count(LOGIN), clouds.exchanges()), (1, 1), "the same token is not sent twice");
    assert_eq!(clouds.proxy.asked().iter().filter(|asked| asked.path == "auth/gitlab/login").count(), 1);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    for cloud in ["AWS refused", "Microsoft Entra refused", "Google refused", "Vault at"] {
        let told = said.split_once(cloud).unwrap_or_else(|| panic!("{cloud}: {said}")).1;
        let told = told.split("What was said").next().unwrap();
        assert!(told.contains("expired") && told.contains("cannot be renewed"), "{cloud}: {told}");
        assert!(told.contains("longer `timeout`") && !told.contains("fresh one"), "{cloud}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_whose_token_is_for_somebody_else_is_sent_none() {
    let (clouds, pipeline) = (Clouds::new().await, Pipeline::with(&inputs()));
    let job = pipeline.job("secretzero-sync");
    let all = clouds.tokens(&job, Event::PUSH, &json!({}));
    let own = [
        ("SECRETZERO_AWS_ID_TOKEN", AWS.to_owned()),
        ("SECRETZERO_AZURE_ID_TOKEN", AZURE.to_owned()),
        ("SECRETZERO_GCP_ID_TOKEN", google()),
    ];
    for (name, audience) in own {
        let mut tokens = all.clone();
        // The token of its name is for somebody else, as after a mistake in `aud`.
        tokens.insert(name.into(), clouds.token(&json!("https://other.example"), Event::PUSH, &json!({})));
        let asked = |clouds: &Clouds| (clouds.aws.count(LOGIN), clouds.azure.requests().len(), clouds.exchanges());
        let before = asked(&clouds);
        let (ran, _) = clouds.run_with(&job, Event::PUSH, &tokens);
        let after = asked(&clouds);
        assert_ne!(ran.code, Some(0), "{name}: {ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        let yaml = format!("`id_tokens: {{{name}: {{aud: \"{audience}\"}}}}`");
        assert!(said.contains(&yaml) && said.contains("is for https://other.example"), "{yaml}: {said}");
        let unasked = match audience.as_str() {
            AWS => before.0 == after.0,
            AZURE => before.1 == after.1,
            _ => before.2 == after.2,
        };
        assert!(unasked, "{name}: {before:?} {after:?}");
    }
    // A job that declares none at all is told the same.
    let before = clouds.asked();
    let (ran, _) = clouds.run_with(&job, Event::PUSH, &std::collections::BTreeMap::new());
    assert_eq!((ran.code, clouds.asked()), (Some(4), before), "{ran:?}");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("has no ID token") && said.contains("`id_tokens: {SECRETZERO_"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_readme_shows_logs_in_and_stores() {
    let (configuration, secretfile) = crate::readme::of_gitlab();
    let (pipeline, given) = super::of_configuration(&configuration);
    let declared = super::declared();
    assert!(given.iter().all(|input| declared.get(input).is_some()), "{given:?}");
    let mut clouds = Clouds::new().await;
    clouds.secretfile = secretfile;
    assert!(pipeline.jobs_of(Event::PUSH).contains("secretzero-sync"));
    let (ran, _) = clouds.run(&pipeline, "secretzero-sync", Event::PUSH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    clouds.aws.edit(|world| {
        let names: Vec<_> = world.region("eu-west-1").secrets.keys().cloned().collect();
        assert_eq!(names, ["shop/database/password"]);
    });
}

/// What the set-up tells AWS is what its tokens say.
#[test]
fn the_generated_trust_is_that_of_the_jobs_token() {
    let job = Event::PUSH.variables();
    let ran = Sandbox::new().env(job).expect(
        0,
        &["trust", "generate", "--forge", "gitlab", "--cloud", "aws", "--phase", "sync", "--account", "123456789012"],
    );
    for said in [
        r#""gitlab.example:aud": "sts.amazonaws.com""#,
        r#""gitlab.example:sub": "project_path:octo/demo:ref_type:branch:ref:main""#,
        "oidc-provider/gitlab.example",
    ] {
        assert!(ran.stdout.contains(said), "{said}: {ran:?}");
    }
}

#[test]
fn doctor_names_the_tokens_of_a_job() {
    let doctor = |event: Event, tokens: &[(&str, &str)]| {
        let sandbox = Sandbox::with("providers: {local: {kind: local}}\nsecrets: []\n");
        let ran = sandbox.env(event.variables()).env(tokens.iter().copied()).run(&["doctor", "--offline"]);
        (ran.code, format!("{}{}", ran.stdout, ran.stderr))
    };
    let (_, said) = doctor(Event::MERGE_REQUEST, &[]);
    assert!(said.contains("a merge request's needs none"), "{said}");
    let (_, said) = doctor(Event::PUSH, &[]);
    assert!(said.contains("no ID token, so it needs keys") && said.contains("id_tokens:"), "{said}");
    // {"aud":"sts.amazonaws.com"}
    let token = "e30.eyJhdWQiOiJzdHMuYW1hem9uYXdzLmNvbSJ9.c2ln";
    let (_, said) = doctor(Event::PUSH, &[("SECRETZERO_AWS_ID_TOKEN", token)]);
    assert!(said.contains("SECRETZERO_AWS_ID_TOKEN is for sts.amazonaws.com"), "{said}");
    assert!(!said.contains("c2ln"), "{said}");
    let (code, said) = doctor(Event::PUSH, &[("SECRETZERO_AWS_ID_TOKEN", "$NOT_EXPANDED")]);
    assert!(code == Some(1) && said.contains("holds no ID token") && !said.contains("NOT_EXPANDED"), "{said}");
}
