//! May this run log in as whoever syncs? In a CI event that a pull request steers it may not: there the
//! checked-out Secretfile says where credentials go, and nobody has reviewed it yet.
//!
//! `secretzero ci` judges its event by itself, with the base branch's word for the provider blocks; every
//! other command asks here.

use crate::environment::Environment;

/// Why a store is left out.
pub(super) const LEFT_OUT: &str = "left out, since in this CI event the Secretfile of a pull request decides where \
     credentials would go; `secretzero ci` plans pull requests";

/// Events of GitHub that run what was merged
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>).
/// `pull_request_target`, `workflow_run` and `issue_comment` bear the default branch's ref too, and often
/// check out something else.
const MERGED_EVENTS: [&str; 3] = ["push", "schedule", "workflow_dispatch"];

/// Where GitHub keeps heads and test merges of pull requests.
const PULL_REQUEST_REFS: &str = "refs/pull/";

/// Pipelines of GitLab that run what a merge request brings
/// (<https://docs.gitlab.com/ci/jobs/job_rules/#ci_pipeline_source-predefined-variable>).
const MERGE_REQUEST_SOURCES: [&str; 2] = ["merge_request_event", "external_pull_request_event"];

/// What other CI systems set in the builds of pull requests, to a number or an address; some say `false`
/// in all others.
///
/// | system | its page |
/// |---|---|
/// | AppVeyor | <https://www.appveyor.com/docs/environment-variables/> |
/// | Azure Pipelines | <https://learn.microsoft.com/azure/devops/pipelines/build/variables> |
/// | Bitbucket | <https://support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets/> |
/// | Buildkite | <https://buildkite.com/docs/pipelines/configure/environment-variables> |
/// | CircleCI | <https://circleci.com/docs/reference/variables/> |
/// | Cirrus CI | <https://cirrus-ci.org/guide/writing-tasks/#environment-variables> |
/// | Drone | <https://docs.drone.io/pipeline/environment/reference/> |
/// | Jenkins | <https://www.jenkins.io/doc/book/pipeline/multibranch/> |
/// | Semaphore | <https://docs.semaphore.io/reference/env-vars> |
/// | Travis CI | <https://docs.travis-ci.com/user/environment-variables/> |
/// | Woodpecker | <https://woodpecker-ci.org/docs/usage/environment> |
const PULL_REQUEST_VARIABLES: [&str; 11] = [
    "APPVEYOR_PULL_REQUEST_NUMBER",
    "SYSTEM_PULLREQUEST_PULLREQUESTID",
    "BITBUCKET_PR_ID",
    "BUILDKITE_PULL_REQUEST",
    "CIRCLE_PULL_REQUEST",
    "CIRRUS_PR",
    "DRONE_PULL_REQUEST",
    "CHANGE_ID",
    "SEMAPHORE_GIT_PR_NUMBER",
    "TRAVIS_PULL_REQUEST",
    "CI_COMMIT_PULL_REQUEST",
];

/// Whether this run may sync: outside CI always; in a job of GitHub or GitLab only if no pull request
/// steers it, where an event that is not told counts as one that a pull request steers; in another CI
/// system unless it says that it builds a pull request.
#[must_use]
pub(super) fn may_sync(environment: &Environment) -> bool {
    let set = |name: &str| environment.filled(name).is_some();
    let github = set("GITHUB_ACTIONS") || set("GITHUB_EVENT_NAME");
    let gitlab = set("GITLAB_CI") || set("CI_PIPELINE_SOURCE");
    let elsewhere =
        PULL_REQUEST_VARIABLES.iter().any(|name| environment.filled(name).is_some_and(|set| set != "false"));
    !elsewhere && (!github || github_may(environment)) && (!gitlab || gitlab_may(environment))
}

fn github_may(environment: &Environment) -> bool {
    let merged = environment.filled("GITHUB_EVENT_NAME").is_some_and(|event| MERGED_EVENTS.contains(&event));
    let of_pull_request =
        environment.filled("GITHUB_REF").is_some_and(|git_ref| git_ref.starts_with(PULL_REQUEST_REFS));
    merged && !of_pull_request
}

fn gitlab_may(environment: &Environment) -> bool {
    let source = environment.filled("CI_PIPELINE_SOURCE").unwrap_or_default();
    let of_merge_request =
        MERGE_REQUEST_SOURCES.contains(&source) || environment.filled("CI_MERGE_REQUEST_IID").is_some();
    environment.filled("CI_COMMIT_REF_PROTECTED") == Some("true") && !of_merge_request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(pairs: &[(&str, &str)]) -> bool {
        may_sync(&Environment::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))))
    }

    #[test]
    fn outside_ci_and_for_what_was_merged_it_may() {
        assert!(may(&[]) && may(&[("CI", "true")]));
        for event in MERGED_EVENTS {
            let event = ("GITHUB_EVENT_NAME", event);
            assert!(may(&[("GITHUB_ACTIONS", "true"), event, ("GITHUB_REF", "refs/heads/main")]));
            assert!(!may(&[("GITHUB_ACTIONS", "true"), event, ("GITHUB_REF", "refs/pull/7/merge")]));
        }
        for event in ["pull_request", "pull_request_target", "workflow_run", "issue_comment", "merge_group", "new"] {
            assert!(!may(&[("GITHUB_EVENT_NAME", event), ("GITHUB_REF", "refs/heads/main")]), "{event}");
        }
        assert!(!may(&[("GITHUB_ACTIONS", "true")]), "no event is told");
    }

    #[test]
    fn what_another_system_calls_a_pull_request_is_one() {
        let ci = ("CI", "true");
        for name in PULL_REQUEST_VARIABLES {
            assert!(!may(&[ci, (name, "12")]), "{name}");
            assert!(may(&[ci, (name, "false")]) && may(&[ci, (name, "")]), "{name}");
        }
    }

    #[test]
    fn at_gitlab_the_ref_is_protected_and_no_merge_requests() {
        let protected = ("CI_COMMIT_REF_PROTECTED", "true");
        let job = ("GITLAB_CI", "true");
        assert!(may(&[job, protected, ("CI_PIPELINE_SOURCE", "push")]));
        assert!(!may(&[job, protected, ("CI_PIPELINE_SOURCE", "merge_request_event")]));
        assert!(!may(&[job, protected, ("CI_PIPELINE_SOURCE", "push"), ("CI_MERGE_REQUEST_IID", "3")]));
        assert!(!may(&[job, ("CI_PIPELINE_SOURCE", "push")]));
        assert!(!may(&[job]));
    }
}
