//! May this run log in as whoever syncs? In CI only for the default branch: on any other the checked-out
//! Secretfile says where credentials go, and nobody has reviewed it yet.
//!
//! `secretzero ci` judges its event by itself, with the base branch's word for the provider blocks; every
//! other command asks here.

use std::path::Path;

use serde_json::Value as Json;

use crate::disk::{Disk as _, SystemDisk};
use crate::environment::Environment;

/// Why a store is left out.
pub(super) const LEFT_OUT: &str = "left out, since this CI run is not known to be the default branch's, and what is \
     checked out decides where credentials would go; `secretzero ci` plans pull requests";

/// Largest event payload that is read, in bytes; GitHub's own cap.
const EVENT_BYTES_MAX: u64 = 25 * 1024 * 1024;

/// Events of GitHub that run what was merged
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>).
/// `pull_request_target`, `workflow_run` and `issue_comment` bear the default branch's ref too, and often
/// check out something else.
const MERGED_EVENTS: [&str; 3] = ["push", "schedule", "workflow_dispatch"];

/// Where GitHub keeps branches, and the branches of its merge queues among them
/// (<https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/configuring-pull-request-merges/managing-a-merge-queue>).
const BRANCHES: &str = "refs/heads/";
const QUEUES: &str = "gh-readonly-queue/";

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

/// Whether this run may sync: outside CI always; in a job of GitHub or GitLab only if it is told to run for
/// the default branch, where what is not told counts as another one; in another CI system unless it says
/// that it builds a pull request.
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
    let event = environment.filled("GITHUB_EVENT_NAME").unwrap_or_default();
    let branch = environment.filled("GITHUB_REF").and_then(|git_ref| git_ref.strip_prefix(BRANCHES));
    let Some(branch) = branch.filter(|branch| !branch.starts_with(QUEUES)) else { return false };
    MERGED_EVENTS.contains(&event)
        && event_payload(environment).is_some_and(|payload| is_default(branch, event, &payload))
}

/// The event of a job of GitHub's, as the runner wrote it.
pub(super) fn event_payload(environment: &Environment) -> Option<Json> {
    let path = environment.filled("GITHUB_EVENT_PATH")?;
    let bytes = SystemDisk.read(Path::new(path), EVENT_BYTES_MAX).ok()??;
    serde_json::from_slice(&bytes).ok()
}

/// Whether a branch is the repository's default one. The payload of a schedule names no repository; a
/// schedule runs on the default branch alone
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule>).
fn is_default(branch: &str, event: &str, payload: &Json) -> bool {
    match payload.get("repository") {
        Some(repository) => repository.get("default_branch").and_then(Json::as_str) == Some(branch),
        None => event == "schedule" && payload.get("schedule").is_some_and(Json::is_string),
    }
}

/// Many branches and tags may be protected, and whoever may push to one is not always who may push to the
/// default one (<https://docs.gitlab.com/ci/variables/predefined_variables/>).
fn gitlab_may(environment: &Environment) -> bool {
    let source = environment.filled("CI_PIPELINE_SOURCE").unwrap_or_default();
    let of_merge_request =
        MERGE_REQUEST_SOURCES.contains(&source) || environment.filled("CI_MERGE_REQUEST_IID").is_some();
    let branch = environment.filled("CI_COMMIT_BRANCH");
    let is_default = branch.is_some() && branch == environment.filled("CI_DEFAULT_BRANCH");
    environment.filled("CI_COMMIT_REF_PROTECTED") == Some("true") && is_default && !of_merge_request
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn may(pairs: &[(&str, &str)]) -> bool {
        may_sync(&Environment::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))))
    }

    /// Whether a run for this event and ref may, whose payload is this.
    fn github(event: &str, git_ref: &str, payload: &str) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), payload.as_bytes()).unwrap();
        let path = file.path().to_str().unwrap();
        may(&[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", event),
            ("GITHUB_REF", git_ref),
            ("GITHUB_EVENT_PATH", path),
        ])
    }

    const MAIN: &str = r#"{"repository": {"default_branch": "main"}}"#;

    #[test]
    fn outside_ci_and_for_the_default_branch_it_may() {
        assert!(may(&[]) && may(&[("CI", "true")]));
        for event in MERGED_EVENTS {
            assert!(github(event, "refs/heads/main", MAIN), "{event}");
            for other in [
                "refs/pull/7/merge",
                "refs/heads/feature",
                "refs/tags/main",
                "main",
                "refs/heads/main/x",
                "refs/heads/",
                "",
            ] {
                assert!(!github(event, other, MAIN), "{event} {other}");
            }
        }
        for event in ["pull_request", "pull_request_target", "workflow_run", "issue_comment", "merge_group", "new", ""]
        {
            assert!(!github(event, "refs/heads/main", MAIN), "{event}");
        }
        let queue = r#"{"repository": {"default_branch": "gh-readonly-queue/main/pr-1-a"}}"#;
        assert!(!github("push", "refs/heads/gh-readonly-queue/main/pr-1-a", queue));
    }

    #[test]
    fn an_event_that_does_not_tell_the_default_branch_may_not_but_a_schedule() {
        for payload in ["", "no json", "[]", "{}", r#"{"repository": {}}"#, r#"{"schedule": 7}"#] {
            for event in MERGED_EVENTS {
                assert!(!github(event, "refs/heads/main", payload), "{event} {payload}");
            }
        }
        let schedule = r#"{"schedule": "17 4 * * *"}"#;
        assert!(github("schedule", "refs/heads/main", schedule));
        assert!(!github("push", "refs/heads/main", schedule));
        assert!(!github("schedule", "refs/tags/v1", schedule));
        let event = ("GITHUB_EVENT_NAME", "push");
        assert!(!may(&[event, ("GITHUB_REF", "refs/heads/main"), ("GITHUB_EVENT_PATH", "/does/not/exist")]));
        assert!(!may(&[event, ("GITHUB_REF", "refs/heads/main")]) && !may(&[("GITHUB_ACTIONS", "true")]));
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
    fn at_gitlab_the_branch_is_the_default_one_protected_and_no_merge_requests() {
        let protected = ("CI_COMMIT_REF_PROTECTED", "true");
        let (job, push) = (("GITLAB_CI", "true"), ("CI_PIPELINE_SOURCE", "push"));
        let (main, default) = (("CI_COMMIT_BRANCH", "main"), ("CI_DEFAULT_BRANCH", "main"));
        assert!(may(&[job, protected, main, default, push]));
        assert!(!may(&[job, protected, main, default, ("CI_PIPELINE_SOURCE", "merge_request_event")]));
        assert!(!may(&[job, protected, main, default, push, ("CI_MERGE_REQUEST_IID", "3")]));
        assert!(!may(&[job, main, default, push]), "not protected");
        assert!(!may(&[job, protected, ("CI_COMMIT_BRANCH", "release"), default, push]));
        assert!(!may(&[job, protected, default, ("CI_COMMIT_TAG", "v1"), push]), "a tag has no branch");
        assert!(!may(&[job, protected, main, push]) && !may(&[job, protected, push]) && !may(&[job]));
    }
}
