//! Tokens that are there before the run begins: variables of a GitLab job, a projected file.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::told;
use crate::fake::jwt::{Key, now};
use crate::sandbox::{Ran, Sandbox};

const SECRETFILE: &str = "metadata: {project: doctor}
providers:
  aws: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
  vault: {kind: vault, auth: {kind: token, config: {url: 'https://vault.example', token: '${VAULT_TOKEN}'}}}
  other: {kind: vault, auth: {kind: oidc, config: {url: 'https://other.example', role: w, plan_role: r}}}
secrets:
  - name: token
    kind: random_string
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: doctor/token}}
      - {provider: vault, kind: kv, config: {path: doctor/token}}
      - {provider: other, kind: kv, config: {path: doctor/token}}
";

/// What GitLab says of a job on a protected default branch.
fn token(key: &Key, audience: &Json, ends_in: i64) -> String {
    key.sign(&json!({
        "iss": "https://gitlab.com", "sub": "project_path:group/demo:ref_type:branch:ref:main", "aud": audience,
        "project_path": "group/demo", "project_id": "5", "namespace_path": "group", "ref_protected": "true",
        "runner_environment": "gitlab-hosted", "iat": now() - 3000, "nbf": now() - 3005, "exp": now() + ends_in,
    }))
}

fn job(tokens: &[(&str, &str)]) -> (Sandbox, BTreeMap<String, String>) {
    let pairs = [
        ("GITLAB_CI", "true"),
        ("CI_PIPELINE_SOURCE", "push"),
        ("CI_COMMIT_REF_PROTECTED", "true"),
        ("CI_COMMIT_BRANCH", "main"),
        ("CI_DEFAULT_BRANCH", "main"),
        ("SECRETZERO_AWS_ROLE", "arn:aws:iam::123456789012:role/sync"),
        ("SECRETZERO_AWS_PLAN_ROLE", "arn:aws:iam::123456789012:role/plan"),
        ("SECRETZERO_VAULT_ROLE", "sync"),
        ("SECRETZERO_VAULT_PLAN_ROLE", "plan"),
    ];
    let environment = pairs.iter().chain(tokens).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    (Sandbox::with(SECRETFILE), environment.collect())
}

/// A few seconds may pass between a token and its look.
fn steady(ran: &Ran) -> String {
    regex::Regex::new(r"lives on for \d+ s").unwrap().replace_all(&told(ran), "lives on for N s").into_owned()
}

/// What the table says is to be written, as the YAML that it is.
fn to_write(ran: &Ran) -> Vec<Json> {
    let found = regex::Regex::new(r"write in the job: `(.*)`").unwrap();
    found.captures_iter(&ran.stdout).map(|found| serde_saphyr::from_str(&found[1]).unwrap()).collect()
}

#[test]
fn the_tokens_of_a_gitlab_job_are_read_and_what_is_missing_is_written_out() {
    let key = Key::new("gitlab");
    let (aws, wrong) =
        (token(&key, &json!("sts.amazonaws.com"), 600), token(&key, &json!("https://else.example"), 600));
    let (sandbox, environment) = job(&[("SECRETZERO_AWS_ID_TOKEN", &aws), ("SECRETZERO_VAULT_ID_TOKEN", &wrong)]);
    let ran = sandbox.run_with(&["doctor", "--offline"], &environment);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    insta::assert_snapshot!("in_a_gitlab_job", steady(&ran));
    for token in [aws, wrong] {
        assert!(token.split('.').all(|part| !format!("{}{}", ran.stdout, ran.stderr).contains(part)));
    }
    // Written as the table says, nothing is missing any more.
    let declared = json!(["https://vault.example", "https://other.example"]);
    let wanted = json!({ "id_tokens": { "SECRETZERO_VAULT_ID_TOKEN": { "aud": declared } } });
    assert_eq!(to_write(&ran), [wanted.clone(), wanted]);
    let tokens = [json!("sts.amazonaws.com"), declared].map(|audience| token(&key, &audience, 600));
    let (sandbox, environment) =
        job(&[("SECRETZERO_AWS_ID_TOKEN", &tokens[0]), ("SECRETZERO_VAULT_ID_TOKEN", &tokens[1])]);
    let ran = sandbox.run_with(&["doctor", "--offline"], &environment);
    assert!(to_write(&ran).is_empty() && ran.stdout.contains("✓ Nothing is wrong\n"), "{}", ran.stdout);
}

#[test]
fn what_is_right_of_a_variable_stays_when_more_is_added() {
    let (sandbox, environment) = job(&[(
        "SECRETZERO_VAULT_ID_TOKEN",
        &token(&Key::new("gitlab"), &json!(["https://vault.example", "old"]), 600),
    )]);
    let ran = sandbox.run_with(&["doctor", "--offline"], &environment);
    let both = json!({ "aud": ["https://vault.example", "https://other.example"] });
    let wanted = [
        json!({ "id_tokens": { "SECRETZERO_AWS_ID_TOKEN": { "aud": "sts.amazonaws.com" } } }),
        json!({ "id_tokens": { "SECRETZERO_VAULT_ID_TOKEN": both } }),
    ];
    assert_eq!(to_write(&ran), wanted, "{}", ran.stdout);
}

#[test]
fn a_token_that_ended_or_drops_its_ref_or_is_none_is_told() {
    let key = Key::new("gitlab");
    let ended = token(&key, &json!("sts.amazonaws.com"), -30);
    let (sandbox, environment) = job(&[("SECRETZERO_AWS_ID_TOKEN", &ended)]);
    let ran = sandbox.run_with(&["doctor", "--offline"], &environment);
    assert!(ran.code == Some(1) && ran.stdout.contains("`sts.amazonaws.com`: ended "), "{}", ran.stdout);
    let bare = key.sign(
        &json!({ "sub": "project_path:g/p", "aud": "sts.amazonaws.com", "project_path": "g/p", "exp": now() + 600 }),
    );
    let (sandbox, environment) = job(&[("SECRETZERO_AWS_ID_TOKEN", &bare)]);
    let ran = sandbox.run_with(&["doctor", "--offline"], &environment);
    assert!(ran.stdout.contains("`ci_id_token_sub_claim_components`"), "{}", ran.stdout);
    let (sandbox, environment) = job(&[("SECRETZERO_AWS_ID_TOKEN", "canary.no-token")]);
    let ran = sandbox.run_with(&["doctor", "--offline"], &environment);
    assert!(ran.stdout.contains("SECRETZERO_AWS_ID_TOKEN: the token is no JWT"), "{}", ran.stdout);
    assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
}

#[test]
fn a_projected_file_is_read_likewise() {
    let key = Key::new("cluster");
    let (sandbox, mut environment) = job(&[("SECRETZERO_ID_TOKEN_FILE", "token")]);
    environment.retain(|name, _| name.starts_with("SECRETZERO_"));
    let audiences = json!(["sts.amazonaws.com", "https://vault.example"]);
    let claims = json!({ "iss": "https://cluster", "sub": "system:serviceaccount:ci:runner", "aud": audiences, "iat": now(), "exp": now() + 600 });
    sandbox.write("token", &key.sign(&claims));
    let ran = sandbox.run_with(&["doctor", "--offline"], &environment);
    insta::assert_snapshot!("a_projected_file", steady(&ran));
    environment.insert("SECRETZERO_ID_TOKEN_FILE".into(), "elsewhere".into());
    let ran = sandbox.run_with(&["doctor", "--offline"], &environment);
    assert!(ran.stdout.contains("SECRETZERO_ID_TOKEN_FILE names no file"), "{}", ran.stdout);
}
