//! Credentials in every variable that a runner may have: each reaches the host that it is for, and
//! none another.

use super::{BOTH, Stage};
use crate::fake::actions::BEARER;

/// Credentials that no part of such a run needs.
const UNUSED: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", "AKIACANARY0000000001"),
    ("AWS_SECRET_ACCESS_KEY", "canary-aws-secret-access-key"),
    ("AWS_SESSION_TOKEN", "canary-aws-session-token"),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-aws-container-token"),
    ("AWS_BEARER_TOKEN_BEDROCK", "canary-aws-bearer-token"),
    ("AZURE_CLIENT_SECRET", "canary-azure-client-secret"),
    ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "canary-azure-certificate-password"),
    ("VAULT_TOKEN", "canary-vault-token"),
    ("VAULT_SECRET_ID", "canary-vault-secret-id"),
    ("GOOGLE_CREDENTIALS", "canary-google-credentials"),
    ("GOOGLE_OAUTH_ACCESS_TOKEN", "canary-google-access-token"),
    ("ACTIONS_RUNTIME_TOKEN", "canary-actions-runtime-token"),
    ("ACTIONS_CACHE_TOKEN", "canary-actions-cache-token"),
    ("SECRETZERO_ID_TOKEN", "canary-presented-token"),
    ("SECRETZERO_VAULT_ID_TOKEN", "canary-presented-vault-token"),
    ("CI_JOB_TOKEN", "canary-gitlab-job-token"),
    ("NPM_TOKEN", "canary-npm-token"),
    ("DATABASE_URL", "postgres://canary-user:canary-password@db"),
];

#[test]
fn a_credential_reaches_the_host_that_it_is_for_and_no_other() {
    let (mut stage, pull, head) = Stage::opened();
    stage.job.cloud.extend(UNUSED.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let ran = stage.pull_request(pull, &head, BOTH);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let merged = stage.github.merge_pull(pull);
    stage.actions.subject(super::MAIN);
    let synced = stage.job.push(&stage.sandbox, &merged, BOTH);
    assert_eq!(synced.code, Some(0), "{synced:?}");

    let github = format!("{:?}", stage.github.requests());
    let aws = format!("{:?}", stage.aws.requests());
    let actions = format!("{:?}", stage.actions.headers());
    let printed = format!("{}{}{}{}", ran.stdout, ran.stderr, synced.stdout, synced.stderr);
    let printed: String = printed.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
    let files =
        ["output", "summary", "secretzero-report.json", ".secretzero.json"].map(|name| stage.sandbox.read(name));
    let nowhere = [printed, files.concat()];

    let places = |secret: &str| {
        let hosts = [("GitHub", &github), ("AWS", &aws), ("the issuer", &actions)];
        let heard = hosts.into_iter().filter(|(_, heard)| heard.contains(secret)).map(|(name, _)| name);
        let told = nowhere.iter().filter(|text| text.contains(secret)).map(|_| "a reader");
        heard.chain(told).collect::<Vec<_>>()
    };
    for (name, secret) in UNUSED {
        assert_eq!(places(secret), [""; 0], "{name}");
    }
    assert_eq!(places(BEARER), ["the issuer"]);
    assert_eq!(places(&stage.job.token), ["GitHub"]);
    for token in stage.actions.minted().iter().skip(1) {
        assert_eq!(places(token), ["AWS"]);
    }
    assert_eq!(places("canary-session-token"), ["AWS"]);
    assert_eq!(places("canary-session-secret"), [""; 0], "a key signs and is not sent");
}
