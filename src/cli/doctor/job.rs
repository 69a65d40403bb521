//! The CI job that one stands in: whether it may ask for tokens at all.

use super::Look;
use super::row::Row;
use super::tokens::who;
use crate::cli::session::Session;
use crate::forge::github::event::{Event, PAYLOAD_BYTES_MAX};

const AREA: &str = "id-token";

/// What a runner hands over for asking for tokens
/// (<https://docs.github.com/en/actions/reference/security/oidc>).
const REQUEST: [&str; 2] = ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"];

pub(super) fn job(session: &Session, looks: &[Look]) -> Option<Row> {
    let set = |name: &str| session.environment.filled(name).is_some();
    if !set("GITHUB_ACTIONS") {
        // A job of GitLab asks for nothing: its tokens are there or not.
        let outside = Row::skipped(AREA, "no CI job here; in one this tells whether it may log in by token");
        return (!set("GITLAB_CI")).then_some(outside);
    }
    Some(match (set(REQUEST[0]), set(REQUEST[1])) {
        (true, true) => Row::good(AREA, "the job may ask for tokens"),
        (false, false) => without(session, &who(looks)),
        (url, _) => {
            let missing = if url { REQUEST[1] } else { REQUEST[0] };
            Row::wrong(AREA, format!("{missing} is missing"), "hand both variables to the container or step")
        }
    })
}

/// A job that may ask for none, and why: its permissions, or whose change it runs for
/// (<https://docs.github.com/en/code-security/dependabot/troubleshooting-dependabot/troubleshooting-dependabot-on-github-actions>).
fn without(session: &Session, who: &[String]) -> Row {
    const HELP: &str = "add `id-token: write` to its `permissions`";
    let pull_request = session.environment.filled("GITHUB_EVENT_NAME") == Some("pull_request");
    let why = match from_fork(session) {
        Some(true) => Some("this pull request comes from a fork"),
        _ if session.environment.filled("GITHUB_ACTOR") == Some("dependabot[bot]") => {
            Some("Dependabot started this run")
        }
        _ => None,
    };
    if let Some(why) = why.filter(|_| pull_request) {
        return Row::skipped(
            AREA,
            format!("{why}, which gets no token whatever `permissions` says; it is planned offline"),
        );
    }
    if !who.is_empty() {
        let text = format!("the job may not ask for tokens, and needs them for {}", who.join(", "));
        return Row::wrong(AREA, text, HELP);
    }
    let queued = session.environment.filled("GITHUB_EVENT_NAME") == Some("merge_group");
    if pull_request || queued {
        return Row::skipped(AREA, "the job may not ask for tokens; it is planned offline, which needs none");
    }
    Row::warning(AREA, "the job may not ask for tokens, so a sync needs a stored key", HELP)
}

/// Whether the event is a fork's; one that cannot be read is treated as one.
fn from_fork(session: &Session) -> Option<bool> {
    let path = session.environment.filled("GITHUB_EVENT_PATH")?;
    let payload = session.disk.read(std::path::Path::new(path), PAYLOAD_BYTES_MAX as u64).ok().flatten();
    match Event::parse("pull_request", &payload.unwrap_or_default()) {
        Ok(Event::PullRequest(pull)) => Some(pull.from_fork),
        _ => Some(true),
    }
}
