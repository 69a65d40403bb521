//! `doctor` with the real binary: alone in a folder, in a job of a fake GitHub, and with workflows that
//! are wrong.

mod given;
#[cfg(feature = "gcp")]
mod google;
mod job;
mod tokens;
#[cfg(feature = "vault")]
mod vault;

use serde_json::Value as Json;

use crate::fake::aws::FakeAws;
use crate::fake::github::FakeGithub;
use crate::sandbox::{Ran, Sandbox};

const SECRETFILE: &str = "metadata: {project: doctor}
providers:
  aws: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
secrets:
  - name: token
    kind: random_string
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: doctor/token}}
";

pub(super) const WORKFLOW: &str = "on: pull_request
permissions: {contents: read, pull-requests: write, checks: write}
jobs:
  secretzero: {runs-on: ubuntu-latest, steps: [{uses: ./}, {run: secretzero ci}]}
";

/// A job of the fake GitHub with a token that may do this much.
fn job(github: &FakeGithub, aws: &FakeAws, permissions: &[(&str, &str)]) -> Sandbox {
    let token = github.workflow_token(permissions);
    let sandbox = Sandbox::with(SECRETFILE).env(aws.env()).env([
        ("GITHUB_ACTIONS", "true".to_owned()),
        ("GITHUB_API_URL", github.url()),
        ("GITHUB_REPOSITORY", FakeGithub::REPOSITORY.to_owned()),
        ("GITHUB_TOKEN", token),
        ("GITHUB_EVENT_NAME", "push".to_owned()),
        ("GITHUB_EVENT_PATH", crate::sandbox::PUSH.to_owned()),
        ("GITHUB_REF", "refs/heads/main".to_owned()),
    ]);
    sandbox.write(".github/workflows/secrets.yml", WORKFLOW);
    sandbox
}

pub(super) fn told(ran: &Ran) -> String {
    let port = regex::Regex::new(r"127\.0\.0\.1:\d+").unwrap();
    let namespace = regex::Regex::new(r"\bt\d+-\d+-").unwrap();
    namespace.replace_all(&port.replace_all(&ran.stdout, "127.0.0.1:PORT"), "NAMESPACE-").into_owned()
}

#[test]
fn a_run_that_lacks_nothing_is_told_so() {
    let (github, aws) = (FakeGithub::start(), FakeAws::start());
    github.commit("feature", &[("a", b"b")]);
    let pull = github.open_pull("feature", "main");
    let all = [("contents", "write"), ("pull-requests", "write"), ("checks", "write"), ("issues", "write")];
    let sandbox = job(&github, &aws, &all)
        .env([("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x"), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")]);
    insta::assert_snapshot!(told(&sandbox.expect(0, &["doctor"])), @"
    ✓ Secretfile  Secretfile.yml: 1 secret, 1 target
    ✓ workflows   SecretZero runs in secrets.yml
    ✓ id-token    the job may ask for tokens
    · id-token    none is asked for: no provider of the Secretfile logs in by token
    · roles       aws: pull requests are planned offline, since the input `aws_plan_role` is missing
                  → set the input `aws_plan_role` to one that `secretzero trust generate --phase plan` tells the cloud to trust
    ✓ forge       http://127.0.0.1:PORT answers about octo/demo
    ✓ clock       right within a minute
    ✓ token       may comment on pull requests
    ✓ token       may set the check
    ✓ token       may keep the lock in a ref
    ✓ token       may open an issue about drift
    ✓ stores      aws: answers, as arn:aws:iam::123456789012:user/test

    ✓ Nothing is wrong
    ");
    // Nothing was written to find that out.
    assert!(github.comments(pull).is_empty() && github.checks().is_empty() && github.issues().is_empty());
}

#[test]
fn what_a_token_may_not_do_is_named_with_its_permission() {
    let (github, aws) = (FakeGithub::start(), FakeAws::start());
    github.commit("feature", &[("a", b"b")]);
    github.open_pull("feature", "main");
    let sandbox = job(&github, &aws, &[("contents", "read"), ("pull-requests", "read"), ("checks", "read")]);
    insta::assert_snapshot!(told(&sandbox.expect(0, &["doctor"])), @"
    ✓ Secretfile  Secretfile.yml: 1 secret, 1 target
    ✓ workflows   SecretZero runs in secrets.yml
    ! id-token    the job may not ask for tokens, so a sync needs a stored key
                  → add `id-token: write` to its `permissions`
    · roles       aws: pull requests are planned offline, since the input `aws_plan_role` is missing
                  → set the input `aws_plan_role` to one that `secretzero trust generate --phase plan` tells the cloud to trust
    ✓ forge       http://127.0.0.1:PORT answers about octo/demo
    ✓ clock       right within a minute
    ! token       may not comment on pull requests; a run says so and does without
                  → add `pull-requests: write` to the job's `permissions`
    ! token       may not set the check; a run says so and does without
                  → add `checks: write` to the job's `permissions`
    ! token       may not keep the lock in a ref; a run says so and does without
                  → add `contents: write` to the job's `permissions`
    · token       may not open an issue about drift (`issues: write`)
    ✓ stores      aws: answers, as arn:aws:iam::123456789012:user/test

    ✓ Nothing is wrong; to look at: 4
    ");
}

#[test]
fn a_clock_that_is_wrong_is_wrong() {
    let (github, aws) = (FakeGithub::start(), FakeAws::start());
    github.fault(
        "GET",
        "/repos/octo/demo",
        1,
        crate::fake::github::Fault::Refuse(
            200,
            vec![("date", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned())],
            String::new(),
        ),
    );
    let sandbox = job(&github, &aws, &[("contents", "write"), ("pull-requests", "write"), ("checks", "write")]);
    let ran = sandbox.expect(1, &["doctor", "--format", "json"]);
    let said: Json = serde_json::from_str(&ran.stdout).unwrap();
    let clock = said["checks"].as_array().unwrap().iter().find(|row| row["area"] == "clock").unwrap();
    assert_eq!(clock["state"], "wrong");
    assert!(clock["text"].as_str().unwrap().contains("s ahead of the forge's"), "{clock}");
    assert_eq!((&said["healthy"], &said["exit_code"]), (&false.into(), &1.into()));
}

#[test]
fn an_unknown_token_and_a_store_that_refuses_are_wrong() {
    let (github, aws) = (FakeGithub::start(), FakeAws::start());
    aws.deny("GetCallerIdentity");
    let sandbox = job(&github, &aws, &[]).env([("GITHUB_TOKEN", "ghs_unknown")]);
    let ran = sandbox.expect(1, &["doctor"]);
    assert!(ran.stdout.contains("does not accept the token (401)"), "{}", ran.stdout);
    assert!(ran.stdout.contains("stores      aws:"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("ghs_unknown"), "{}", ran.stdout);
}

#[test]
fn without_a_network_files_and_variables_are_judged() {
    let sandbox = Sandbox::with(SECRETFILE);
    sandbox.write(
        ".github/workflows/secrets.yml",
        "on:
  pull_request_target:
  schedule:
    - cron: '*/90 * * * *'
jobs:
  secretzero:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v5
        with: {ref: '${{ github.event.pull_request.head.sha }}'}
      - uses: secretzero/action@v1
",
    );
    insta::assert_snapshot!(told(&sandbox.expect(1, &["doctor", "--offline"])), @"
    ✓ Secretfile  Secretfile.yml: 1 secret, 1 target
    ✓ workflows   SecretZero runs in secrets.yml
    ! workflows   .github/workflows/secrets.yml:1: two syncs may start at a time; the lock lets the second wait and then fail
                  → add `concurrency: {group: 'secretzero-${{ github.ref }}'}`
    ✗ workflows   .github/workflows/secrets.yml:4: `*/90` is no step of 90: the minute counts up to 59, so only its first value counts
                  → a step counts within its field; every 90 minutes takes two lines: `0 0-23/3 * * *` and `30 1-23/3 * * *`
    ! workflows   .github/workflows/secrets.yml:5: the token may do whatever the repository's setting says, and has no id-token
                  → add `permissions: {contents: read, pull-requests: write, checks: write}`
    ! workflows   .github/workflows/secrets.yml:9: `actions/checkout@v5` may be another program tomorrow, and runs beside your credentials
                  → name the full commit: `@<40 digits> # v…`
    ✗ workflows   .github/workflows/secrets.yml:10: a run with this repository's secrets checks out what a pull request brings: whoever opens one runs code with them
                  → use the event `pull_request`; SecretZero plans the merge result without a checkout of the head
    · workflows   .github/workflows/secrets.yml:11: `secretzero/action@v1` may be another program tomorrow, and runs beside your credentials
                  → name the full commit: `@<40 digits> # v…`
    · id-token    no CI job here; in one this tells whether it may log in by token
    · forge       not asked, because of --offline
    · stores      not asked, because of --offline

    ✗ To mend: 2; to look at: 3
    ");
    let alone = Sandbox::new().expect(1, &["doctor", "--offline"]);
    assert!(alone.stdout.contains("there is no Secretfile"), "{}", alone.stdout);
}
