//! GitHub, with the token at hand: whether it answers, what the token may do, and whose clock is right.

use super::Row;
#[cfg(feature = "github")]
use crate::cli::ci::inputs::Runner;
use crate::cli::session::Session;

#[cfg(not(feature = "github"))]
pub(super) async fn forge(_: &Session) -> Vec<Row> {
    vec![Row::skipped("forge", "not built into this version")]
}

#[cfg(feature = "github")]
pub(super) async fn forge(session: &Session) -> Vec<Row> {
    use std::sync::Arc;

    use crate::forge::github::{Github, World};
    use crate::secret::SecretValue;

    if session.environment.filled("GITLAB_CI").is_some() {
        return vec![Row::skipped("forge", "not asked: nothing of GitLab's API is used yet")];
    }
    let runner = Runner::read(&session.environment);
    let token = session.environment.input("github_token").or_else(|| session.environment.filled("GITHUB_TOKEN"));
    let Some(token) = token.filter(|_| !runner.repository.is_empty()) else {
        let missing = if token.is_none() { "GITHUB_TOKEN" } else { "GITHUB_REPOSITORY" };
        return vec![Row::skipped("forge", format!("not asked: {missing} is not set"))];
    };
    let world = World { clock: Arc::clone(&session.clock), sleep: Arc::new(crate::clock::SystemSleep) };
    let github = match Github::with_token(&runner.api_url, &runner.repository, SecretValue::from(token), world) {
        Ok(github) => github,
        Err(error) => return vec![Row::wrong("forge", error.to_string(), "check GITHUB_API_URL and the token")],
    };
    let skew = match github.skew_seconds().await {
        Ok(skew) => skew,
        Err(error) => return vec![Row::wrong("forge", error.to_string(), "")],
    };
    let mut rows = vec![Row::good("forge", format!("{} answers about {}", runner.api_url, runner.repository))];
    rows.push(match skew {
        Some(seconds) => super::clock(seconds, "the forge's"),
        None => Row::skipped("clock", "the forge's answer bears no date to compare with"),
    });
    rows.extend(rights(&github, &session.environment).await);
    rows
}

/// What the token may do of what a run needs.
#[cfg(feature = "github")]
async fn rights(github: &crate::forge::github::Github, environment: &crate::environment::Environment) -> Vec<Row> {
    use crate::forge::github::Right;

    let asks = |store: &str| environment.input("lockfile_store").unwrap_or("ref") == store;
    let mut wanted = vec![
        (Right::Checks, "set the check", true),
        (Right::Refs, "keep the lock in a ref", asks("ref")),
        (Right::Issues, "open an issue about drift", false),
    ];
    let mut rows = Vec::new();
    match github.newest_pull().await {
        Ok(Some(pull)) => wanted.insert(0, (Right::Comment(pull), "comment on pull requests", true)),
        Ok(None) => rows.push(Row::skipped("token", "comments: no pull request to look at yet")),
        Err(error) => rows.push(Row::warning("token", error.to_string(), "")),
    }
    for (right, what, needed) in wanted {
        rows.push(match github.may(right).await {
            Ok(true) => Row::good("token", format!("may {what}")),
            Ok(false) if needed => {
                let help = format!("add `{}` to the job's `permissions`", right.permission());
                Row::warning("token", format!("may not {what}; a run says so and does without"), help)
            }
            Ok(false) => Row::note("token", format!("may not {what} (`{}`)", right.permission())),
            Err(crate::forge::Error::NotFound { .. }) => {
                Row::skipped("token", format!("whether it may {what} cannot be told"))
            }
            Err(error) => Row::warning("token", error.to_string(), ""),
        });
    }
    rows
}
