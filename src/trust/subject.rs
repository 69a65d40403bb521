//! The subject of a run's token, as its forge writes it.

use super::{Forge, Phase, Trusted};

/// Which forms of GitHub's subject are trusted: a repository that was created, renamed or moved since 15
/// July 2026, or that chose so, has the one with ids, all others the one with names, and so has GHES
/// (<https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// `repo:OWNER/NAME:…`
    Names,
    /// `repo:OWNER@ID/NAME@ID:…`
    Ids,
    /// Whichever comes, as far as the ids are known.
    #[default]
    Both,
}

/// A subject that is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// As tokens have it.
    pub text: String,
    /// Whether a `*` in it stands for anything. A branch or environment that is called so is no pattern.
    pub is_pattern: bool,
    /// What tells it from the other subjects of the same runs; empty for the usual one.
    pub mark: &'static str,
}

/// The subject of our own service's tokens, at most 127 bytes, as Google takes them: ids and the phase, and
/// nothing that changes with each run, since verifiers take few, exact ones. A colon within a part is `%3A`,
/// so that no part looks like two.
#[must_use]
pub fn of_service(host: &str, repository_id: &str, environment: &str, phase: &str) -> String {
    let part = |text: &str| text.replace('%', "%25").replace(':', "%3A");
    let environment = if environment.is_empty() { "default".to_owned() } else { part(environment) };
    format!("secretzero:{}:{}:env:{environment}:phase:{phase}", part(host), part(repository_id))
}

/// The subjects of the runs, each exact, but for merge requests at GitLab: those bear the name of their
/// branch, for which a `*` stands at the end.
#[must_use]
pub fn subjects(trusted: &Trusted) -> Vec<Subject> {
    let exact = |text, mark| Subject { text, is_pattern: false, mark };
    if trusted.forge == Forge::Service {
        let id = trusted.repository.id.as_deref().unwrap_or("REPOSITORY_ID");
        let environment = trusted.environment.as_deref().unwrap_or_default();
        let of = |phase, mark| exact(of_service(&trusted.host, id, environment, phase), mark);
        // What rotates comes as whoever syncs.
        return match trusted.phase {
            Phase::Plan => vec![of("plan", "")],
            Phase::Sync => vec![of("sync", ""), of("rotate", "-rotate")],
        };
    }
    let context = context(trusted);
    let path = &trusted.repository.path;
    if trusted.forge == Forge::Gitlab {
        let is_pattern = trusted.phase == Phase::Plan;
        return vec![Subject { is_pattern, ..exact(format!("project_path:{path}:{context}"), "") }];
    }
    let names = exact(format!("repo:{path}:{context}"), "");
    // GHES writes names alone.
    let is_known = trusted.form == Form::Ids || trusted.is_public();
    let ids = trusted.repository.ids().zip(path.split_once('/')).filter(|_| is_known);
    let ids = ids
        .map(|((id, owner_id), (owner, name))| exact(format!("repo:{owner}@{owner_id}/{name}@{id}:{context}"), "-ids"));
    match (trusted.form, ids) {
        (Form::Names, _) | (_, None) => vec![names],
        (Form::Ids, Some(ids)) => vec![ids],
        (Form::Both, Some(ids)) => vec![names, ids],
    }
}

/// What follows the repository: an environment goes before everything else
/// (<https://docs.github.com/en/actions/reference/security/oidc>,
/// <https://docs.gitlab.com/ci/secrets/id_token_authentication>).
fn context(trusted: &Trusted) -> String {
    let branch = escaped(&trusted.branch);
    match (trusted.forge, trusted.phase, &trusted.environment) {
        (Forge::Github | Forge::Service, Phase::Plan, _) => "pull_request".to_owned(),
        (Forge::Github | Forge::Service, Phase::Sync, Some(environment)) => {
            format!("environment:{}", escaped(environment))
        }
        (Forge::Github | Forge::Service, Phase::Sync, None) => format!("ref:refs/heads/{branch}"),
        (Forge::Gitlab, Phase::Plan, _) => "ref_type:branch:ref:*".to_owned(),
        (Forge::Gitlab, Phase::Sync, _) => format!("ref_type:branch:ref:{}", trusted.branch),
    }
}

/// GitHub writes a colon inside a value as `%3A`.
fn escaped(value: &str) -> String {
    value.replace(':', "%3A")
}
