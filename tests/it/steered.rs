//! Commands beside `ci` in a job that a pull request steers: what it wrote sees nothing of the runner's
//! environment, so that no command prints or writes it.

use std::collections::BTreeMap;

use crate::sandbox::Sandbox;
use crate::stage::BASE;

const KEY: &str = "deploy-canary-77";

fn job(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = [("DEPLOY_KEY", KEY), ("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    own.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const STEERED: [&[(&str, &str)]; 3] = [
    &[("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", "pull_request"), ("GITHUB_REF", "refs/pull/1/merge")],
    &[("GITLAB_CI", "true"), ("CI_PIPELINE_SOURCE", "merge_request_event"), ("CI_COMMIT_REF_PROTECTED", "true")],
    &[("CI", "true"), ("CIRCLE_PULL_REQUEST", "https://github.com/octo/demo/pull/1")],
];

const COMMANDS: [&[&str]; 13] = [
    &["validate"],
    &["validate", "--format", "json"],
    &["policy"],
    &["sync", "--dry-run"],
    &["sync", "--dry-run", "--format", "json"],
    &["sync"],
    &["rotate", "--dry-run"],
    &["drift"],
    &["refresh"],
    &["permissions", "--phase", "plan"],
    &["report"],
    &["test"],
    &["doctor"],
];

#[test]
fn no_command_shows_a_variable_of_the_runner() {
    let text = BASE
        .replace("name: ${environment}/${app_name}/api-key", "name: app/${DEPLOY_KEY}")
        .replace("description: External API key", "description: \"${DEPLOY_KEY}\"");
    assert_eq!(text.matches("DEPLOY_KEY").count(), 2, "the fixture has changed");
    for steered in STEERED {
        for args in COMMANDS {
            let sandbox = Sandbox::with(&text);
            let ran = sandbox.run_with(args, &job(steered));
            assert!(!format!("{ran:?}").contains(KEY), "{args:?} {steered:?}: {ran:?}");
            assert_ne!(ran.code, Some(0), "{args:?} {steered:?}: {ran:?}");
        }
        let ran = Sandbox::with(&text).run_with(&["sync", "--dry-run"], &job(steered));
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.stderr.contains("`allow_env`"), "{ran:?}");
    }
}

#[test]
fn what_allow_env_names_is_used_and_the_rest_of_the_plan_stands() {
    let text = BASE.replace("name: ${environment}/${app_name}/api-key", "name: app/${PLACE}");
    for (variable, steered) in [("INPUT_ALLOW_ENV", STEERED[0]), ("SECRETZERO_ALLOW_ENV", STEERED[1])] {
        let mut environment = job(steered);
        environment.insert(variable.to_owned(), "OTHER, PLACE".to_owned());
        environment.insert("PLACE".to_owned(), "north".to_owned());
        let ran = Sandbox::with(&text).run_with(&["validate"], &environment);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let ran = Sandbox::with(&text).run_with(&["sync", "--dry-run"], &environment);
        assert!(format!("{ran:?}").contains("app/north"), "{ran:?}");
    }
}

#[test]
fn a_value_of_the_runner_is_written_to_no_file() {
    let text = "metadata: {project_id: demo}\nproviders: {l: {kind: local}}\nsecrets:\n  - name: x\n    kind: static\n    \
                config: {default: \"${DEPLOY_KEY}\"}\n    targets: [{provider: l, kind: file, config: {path: .env}}]\n";
    for steered in STEERED {
        let sandbox = Sandbox::with(text);
        for args in [&["sync"][..], &["sync", "--dry-run"]] {
            let ran = sandbox.run_with(args, &job(steered));
            assert!(!format!("{ran:?}").contains(KEY), "{ran:?}");
        }
        assert!(
            !sandbox.read(".env").contains(KEY) && !sandbox.read(".env").contains("${"),
            "{}",
            sandbox.read(".env")
        );
    }
    let sandbox = Sandbox::with(text);
    assert_eq!(sandbox.run_with(&["sync"], &job(&[])).code, Some(0), "outside such a job it is used");
    assert!(sandbox.read(".env").contains(KEY));
}
