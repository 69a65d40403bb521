//! The CI job that one stands in: what its runner handed over.

use super::Row;
use crate::cli::session::Session;
use crate::cli::trusted::may_sync;
use crate::diagnostic::plain;
use crate::oidc;

/// What a runner hands over for asking for tokens
/// (<https://docs.github.com/en/actions/reference/security/oidc>).
const REQUEST: [&str; 2] = ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"];

pub(super) fn job(session: &Session) -> Vec<Row> {
    let environment = &session.environment;
    let set = |name: &str| environment.filled(name).is_some();
    if set("GITLAB_CI") {
        return gitlab(session);
    }
    if !set("GITHUB_ACTIONS") {
        return vec![Row::skipped("id-token", "no CI job here; in one this tells whether it may log in by token")];
    }
    let fork = environment.filled("GITHUB_EVENT_NAME") == Some("pull_request");
    let row = match (set(REQUEST[0]), set(REQUEST[1])) {
        (true, true) => Row::good("id-token", "the job may ask for tokens"),
        (false, false) if fork => Row::warning(
            "id-token",
            "the job may not ask for tokens: its permissions lack it, or the pull request comes from a fork",
            "add `id-token: write` to its `permissions`; a fork gets none, and is planned offline",
        ),
        (false, false) => Row::warning(
            "id-token",
            "the job may not ask for tokens, so it needs keys that live for ever",
            "add `id-token: write` to its `permissions`",
        ),
        (url, _) => {
            let missing = if url { REQUEST[1] } else { REQUEST[0] };
            Row::wrong("id-token", format!("{missing} is missing"), "hand both variables to the container or step")
        }
    };
    vec![row]
}

/// A job of GitLab declares its tokens itself, one for each cloud.
fn gitlab(session: &Session) -> Vec<Row> {
    let tokens = oidc::declared(&session.environment);
    if tokens.is_empty() && !may_sync(&session.environment) {
        return vec![Row::skipped("id-token", "the job has no ID token; a merge request's needs none")];
    }
    if tokens.is_empty() {
        return vec![Row::warning(
            "id-token",
            "the job has no ID token, so it needs keys that live for ever",
            "declare one for each cloud, such as `id_tokens: {SECRETZERO_AWS_ID_TOKEN: {aud: sts.amazonaws.com}}`",
        )];
    }
    let row = |(name, audiences): (String, Vec<String>)| match audiences.as_slice() {
        [] => Row::wrong("id-token", format!("{name} holds no ID token"), "declare it under `id_tokens:` of the job"),
        audiences => Row::good("id-token", format!("{name} is for {}", plain(&audiences.join(", ")))),
    };
    tokens.into_iter().map(row).collect()
}
