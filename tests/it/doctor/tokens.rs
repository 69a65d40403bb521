//! The tokens of a GitHub job: what each says is told, the token itself goes nowhere but to its cloud.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::told;
use crate::fake::actions::Answer;
use crate::fake::jwt::now;
use crate::job::Job;
use crate::oidc::{AUDIENCE, BOTH, MAIN, NEWER, Stage};
use crate::sandbox::Ran;

const SECRETFILE: &str = "metadata: {project: doctor}
providers:
  aws: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
secrets:
  - name: token
    kind: random_string
    targets: [{provider: aws, kind: secrets_manager, config: {name: doctor/token}}]
";

/// The environment of a step that runs the program itself, for a push to the default branch.
fn pushed(stage: &Stage, text: &str, inputs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let sha = stage.github.commit("main", &[("Secretfile.yml", text.as_bytes())]);
    stage.sandbox.write("Secretfile.yml", text);
    stage.job.environment(&stage.sandbox, "push", &stage.job.push_event(&sha), &sha, inputs)
}

fn doctor(stage: &Stage, answers: impl IntoIterator<Item = Answer>) -> Ran {
    let environment = pushed(stage, SECRETFILE, BOTH);
    stage.actions.next(answers);
    stage.sandbox.run_with(&["doctor"], &environment)
}

/// Nothing of a token stands in what was said, but for the runner to hide it, on standard error.
fn hidden(stage: &Stage, ran: &Ran, tokens: usize) {
    let minted = stage.actions.minted();
    assert_eq!(minted.len(), tokens);
    for token in minted {
        for part in token.split('.') {
            assert!(!ran.stdout.contains(part), "{}", ran.stdout);
        }
        let mask = format!("::add-mask::{token}");
        assert!(ran.stderr.lines().any(|line| line == mask), "{}", ran.stderr);
        assert_eq!(ran.stderr.matches(token.as_str()).count(), 1);
    }
}

/// The rows about one thing.
fn rows(said: &str, area: &str) -> String {
    let mut kept = String::new();
    let mut within = false;
    for line in said.lines() {
        let begins = !line.starts_with(' ');
        within = if begins { line.split_whitespace().nth(1) == Some(area) } else { within };
        if within {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(all(feature = "azure", feature = "gcp", feature = "vault"))]
#[tokio::test]
async fn a_job_with_all_four_clouds_sees_what_each_would_be_shown() {
    use crate::fake::azure::VAULT;
    use crate::oidc::{azure, google, vault};
    use crate::vault::Bao;

    let mut stage = Stage::new();
    let (_azure, _gcp) = (azure::joined(&mut stage), google::joined(&mut stage));
    let bao = Bao::start().await;
    vault::trusting(&bao, &stage).await;
    let proxy = bao.proxy();
    let text = format!(
        "metadata: {{project: doctor}}
providers:
  aws: {{kind: aws, auth: {{kind: ambient, config: {{region: us-east-1}}}}}}
  azure: {{kind: azure, auth: {{kind: default}}}}
  gcp: {{kind: gcp, auth: {{kind: ambient, config: {{project_id: shop-prod}}}}}}
  vault: {{kind: vault, auth: {{kind: token, config: {{url: '{}', token: '${{VAULT_TOKEN}}'}}}}}}
secrets:
  - name: token
    kind: random_string
    targets:
      - {{provider: aws, kind: secrets_manager, config: {{name: doctor/token}}}}
      - {{provider: azure, kind: key_vault, config: {{vault_url: 'https://{VAULT}', secret_name: token}}}}
      - {{provider: gcp, kind: secret_manager, config: {{secret_id: token}}}}
      - {{provider: vault, kind: kv, config: {{path: doctor/token}}}}
",
        proxy.url()
    );
    let inputs = [BOTH, azure::INPUTS, google::INPUTS, vault::INPUTS].concat();
    let environment = pushed(&stage, &text, &inputs);
    stage.sandbox.write(".github/workflows/secrets.yml", super::WORKFLOW);
    let ran = stage.sandbox.run_with(&["doctor"], &environment);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    insta::assert_snapshot!("four_clouds", told(&ran));
    // One token to look at and one for the login, each for the audience that its cloud takes.
    let mut audiences = stage.actions.audiences();
    audiences.sort();
    let twice = |audience: &str| [audience.to_owned(), audience.to_owned()];
    let pool = format!("https://iam.googleapis.com/{}", google::INPUTS[0].1);
    let wanted = ["api://AzureADTokenExchange", &pool, "https://vault.example", AUDIENCE].map(twice).concat();
    assert_eq!(audiences, wanted);
    hidden(&stage, &ran, 8);
    assert!(!bao.knows(&proxy.token()).await, "the token outlived the run");

    let ran = stage.sandbox.run_with(&["doctor", "--format", "json"], &environment);
    let said: Json = serde_json::from_str(&ran.stdout).unwrap();
    let facts = said["checks"].as_array().unwrap().iter().find(|row| row["facts"]["asked"] == AUDIENCE).unwrap();
    let facts = &facts["facts"];
    assert_eq!((&facts["subject"], &facts["form"]), (&MAIN.into(), &"by names".into()));
    assert_eq!((&facts["life_seconds"], &facts["audiences"]), (&300.into(), &json!([AUDIENCE])));
    assert_eq!(facts["shown_to"], json!([{ "provider": "aws", "identity": BOTH[0].1, "phase": "sync" }]));
    assert!(facts["skew_seconds"].as_i64().unwrap().abs() < 60, "{facts}");
}

#[test]
fn a_mint_that_is_refused_says_why_and_no_login_is_tried() {
    let stage = Stage::new();
    let ran = doctor(&stage, [Answer::Status(403)]);
    assert_eq!((ran.code, stage.actions.requests(), stage.logins().len()), (Some(1), 1, 0));
    insta::assert_snapshot!(rows(&told(&ran), "id-token"), @"
    ✓ id-token    the job may ask for tokens
    ✗ id-token    sts.amazonaws.com: aws needs a token, and GitHub gives this job no ID token (HTTP 403): check `permissions: id-token: write` and the `audience`; the right ends with the job
                  → add `id-token: write` to the permissions of this very job, which the workflow that calls it must grant too
    ");
    insta::assert_snapshot!(rows(&told(&ran), "stores"), @"· stores      aws: not asked, since there is no token to log in with");
}

#[test]
fn a_token_for_another_audience_than_was_asked_for_is_wrong() {
    let stage = Stage::new();
    let ran = doctor(&stage, [Answer::With(json!({ "aud": ["https://github.com/octo", "x"] }))]);
    assert_eq!(ran.code, Some(1));
    insta::assert_snapshot!(rows(&told(&ran), "id-token"), @"
    ✓ id-token    the job may ask for tokens
    ✗ id-token    sts.amazonaws.com: asked for, and answered for `https://github.com/octo`, `x`: a cloud refuses it
                  issuer:   https://token.actions.githubusercontent.com
                  subject:  repo:octo/demo:ref:refs/heads/main (by names)
                  shown by: aws, to arn:aws:iam::123456789012:role/secretzero-sync (sync)
                  → the issuer, or a proxy before it, changes audiences; ask its operator
    ");
    hidden(&stage, &ran, 2);
}

#[test]
fn a_clock_that_differs_from_the_issuers_by_more_than_a_minute_is_wrong() {
    for (ahead, said) in [(600, "s ahead of the one of who issued"), (-120, "s behind the one of who issued")] {
        let stage = Stage::new();
        let times = json!({ "iat": now() - ahead, "nbf": now() - ahead, "exp": now() - ahead + 900 });
        let ran = doctor(&stage, [Answer::With(times)]);
        assert!(ran.code == Some(1) && rows(&ran.stdout, "clock").contains(said), "{}", ran.stdout);
        assert!(!ran.stdout.contains("clock right within"), "{}", ran.stdout);
    }
    let stage = Stage::new();
    let ran = doctor(&stage, [Answer::With(json!({ "iat": now() - 20, "nbf": now() - 620 }))]);
    assert!(ran.code == Some(0) && ran.stdout.contains("clock right within a minute"), "{}", ran.stdout);
    let stage = Stage::new();
    let ran = doctor(&stage, [Answer::With(json!({ "exp": null }))]);
    assert!(ran.code == Some(1) && ran.stdout.contains("has no end"), "{}", ran.stdout);
}

#[test]
fn a_subject_tells_its_form_and_what_it_leaves_out() {
    const WORKFLOW: &str = "job_workflow_ref:octo/demo/.github/workflows/x.yml@refs/heads/main";
    let longer = format!("{MAIN}:{WORKFLOW}");
    let without = format!("repo:octo/demo:{WORKFLOW}");
    let environment = "repo:octo/demo:environment:eu%3Aprod";
    for (subject, form, drops) in [
        (MAIN, "by names", false),
        (NEWER, "by ids", false),
        (environment, "by names", false),
        (&longer, "customised", false),
        (&without, "customised", true),
        ("repository_owner_id:501:repository_id:1001", "customised", true),
    ] {
        let stage = Stage::new();
        let ran = doctor(&stage, [Answer::With(json!({ "sub": subject }))]);
        assert!(ran.stdout.contains(&format!("subject:  {subject} ({form})")), "{subject}: {}", ran.stdout);
        assert_eq!(ran.stdout.contains("`include_claim_keys`"), drops, "{subject}: {}", ran.stdout);
    }
    let stage = Stage::new();
    let ran = doctor(&stage, [Answer::With(json!({ "sub": without, "runner_environment": "self-hosted" }))]);
    insta::assert_snapshot!(rows(&told(&ran), "id-token"), @"
    ✓ id-token    the job may ask for tokens
    ✓ id-token    sts.amazonaws.com: lives 300 s, clock right within a minute
                  issuer:   https://token.actions.githubusercontent.com
                  subject:  repo:octo/demo:job_workflow_ref:octo/demo/.github/workflows/x.yml@refs/heads/main (customised)
                  shown by: aws, to arn:aws:iam::123456789012:role/secretzero-sync (sync)
    ! id-token    the subject names neither branch, pull request nor environment, so that every run has the same one: who opens a pull request is taken for the default branch
                  → put `context` back into `include_claim_keys` of the repository's or organisation's `actions/oidc/customization/sub`, or let no role trust this subject alone
    · id-token    the runner is self-hosted, and its subject is that of a hosted one
                  → where that must make a difference, let the role condition on `runner_environment`
    ");
}

#[test]
fn with_one_role_only_the_missing_input_is_named() {
    let stage = Stage::new();
    let environment = pushed(&stage, SECRETFILE, &BOTH[..1]);
    let ran = stage.sandbox.run_with(&["doctor"], &environment);
    insta::assert_snapshot!(rows(&told(&ran), "roles"), @"
    ! roles       aws: pull requests are planned offline, since arn:aws:iam::123456789012:role/secretzero-sync may write and the input `aws_plan_role` is missing
                  → set the input `aws_plan_role` to one that `secretzero trust generate --phase plan` tells the cloud to trust
    ");
    let environment = pushed(&stage, SECRETFILE, &[BOTH[0], ("aws_plan_role", BOTH[0].1)]);
    let ran = stage.sandbox.run_with(&["doctor"], &environment);
    assert!(rows(&ran.stdout, "roles").contains("both plans and syncs"), "{}", ran.stdout);
    let own = format!("{{kind: oidc, config: {{region: us-east-1, role_arn: '{}'}}}}", BOTH[0].1);
    let text = SECRETFILE.replace("{kind: ambient, config: {region: us-east-1}}", &own);
    let ran = stage.sandbox.run_with(&["doctor"], &pushed(&stage, &text, BOTH));
    assert!(rows(&ran.stdout, "roles").contains("`plan_role_arn` of the provider is missing"), "{}", ran.stdout);
}

/// The environment of a step in a pull request.
fn reviewed(stage: &Stage, from_fork: bool) -> BTreeMap<String, String> {
    let (pull, head) = stage.pull(SECRETFILE);
    let Job { repository_id, .. } = stage.job;
    let payload = stage.job.pull_request_event(if from_fork { 4711 } else { repository_id }, pull, &head);
    let mut environment = stage.job.environment(&stage.sandbox, "pull_request", &payload, &head, BOTH);
    environment.insert("GITHUB_REF".into(), format!("refs/pull/{pull}/merge"));
    environment
}

#[test]
fn in_a_pull_request_a_step_asks_for_nothing() {
    let stage = Stage::new();
    let environment = reviewed(&stage, false);
    let ran = stage.sandbox.run_with(&["doctor"], &environment);
    assert_eq!((ran.code, stage.actions.requests(), stage.aws.total()), (Some(0), 0, 0), "{ran:?}");
    insta::assert_snapshot!("in_a_pull_request", told(&ran));
}

#[test]
fn a_job_without_tokens_says_whether_it_is_a_forks_or_lacks_the_permission() {
    let stage = Stage::new();
    let mut fork = reviewed(&stage, true);
    fork.retain(|name, _| !name.starts_with("ACTIONS_"));
    let ran = stage.sandbox.run_with(&["doctor"], &fork);
    assert_eq!((ran.code, stage.actions.requests()), (Some(0), 0), "{ran:?}");
    insta::assert_snapshot!("in_a_fork", told(&ran));

    let mut own = reviewed(&stage, false);
    own.retain(|name, _| !name.starts_with("ACTIONS_"));
    let ran = stage.sandbox.run_with(&["doctor"], &own);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    insta::assert_snapshot!(rows(&told(&ran), "id-token"), @"
    ✗ id-token    the job may not ask for tokens, and needs them for aws
                  → add `id-token: write` to its `permissions`
    ");
    own.insert("GITHUB_ACTOR".into(), "dependabot[bot]".into());
    let ran = stage.sandbox.run_with(&["doctor"], &own);
    assert!(ran.code == Some(0) && ran.stdout.contains("Dependabot started this run"), "{ran:?}");
}

#[test]
fn offline_a_job_tells_what_it_would_ask_for() {
    let stage = Stage::new();
    let environment = pushed(&stage, SECRETFILE, BOTH);
    let ran = stage.sandbox.run_with(&["doctor", "--offline"], &environment);
    assert_eq!((ran.code, stage.actions.requests(), stage.aws.total()), (Some(0), 0, 0), "{ran:?}");
    insta::assert_snapshot!("offline", told(&ran));
}
