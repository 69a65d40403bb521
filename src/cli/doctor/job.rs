//! The CI job that one stands in: what its runner handed over.

use super::Row;
use crate::cli::session::Session;

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

/// A job of GitLab names its tokens itself.
fn gitlab(session: &Session) -> Vec<Row> {
    let named = session.environment.filled("SECRETZERO_ID_TOKEN").is_some();
    vec![if named {
        Row::good("id-token", "the job has a token in SECRETZERO_ID_TOKEN")
    } else {
        Row::warning(
            "id-token",
            "the job has no token in SECRETZERO_ID_TOKEN",
            "add `id_tokens: {SECRETZERO_ID_TOKEN: {aud: …}}` to the job",
        )
    }]
}
