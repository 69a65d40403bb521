//! A pull request that tries to shake off the base's policies: by another name for the environment, a
//! variable that is not set, a second file, or a job without a token. None passes.

use crate::sandbox::Ran;
use crate::stage::Stage;

/// A secret of 24 characters, with sections before it and after it.
fn secretfile(before: &str, after: &str) -> String {
    format!(
        "metadata: {{project_id: demo}}\nproviders: {{l: {{kind: local}}}}\n{before}secrets:\n  - name: password\n    \
         kind: random_password\n    config: {{length: 24}}\n    targets: [{{provider: l, kind: file, config: {{path: .env}}}}]\n{after}"
    )
}

const LONG: &str = "policies:\n  long: {kind: complexity, min_length: 40}\n";
const BY_VARIABLE: &str = "policies:\n  long: {kind: complexity, min_length: \"${min}\"}\n";

type Files<'f> = &'f [(&'f str, &'f str)];

/// What a pull request comes to that brings these files in place of those.
fn reviewed(base: Files, head: Files, inputs: &[(&str, &str)]) -> (Stage, Ran) {
    let stage = Stage::new();
    let bytes =
        |files: Files| files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect::<Vec<_>>();
    let commit = |branch: &str, files: Vec<(String, String)>| {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
        stage.github.commit(branch, &files)
    };
    commit("main", bytes(base));
    let sha = commit("change", bytes(head));
    let pull = stage.github.open_pull("change", "main");
    for (path, text) in base.iter().chain(head) {
        stage.sandbox.write(path, text);
    }
    let ran = stage.pull_request(pull, &sha, inputs);
    (stage, ran)
}

/// The same for one Secretfile, and it must not pass.
#[track_caller]
fn refused(code: i32, base: &str, head: &str) -> Ran {
    let (stage, ran) =
        reviewed(&[("Secretfile.yml", base), ("v.yml", "min: \"40\"\n")], &[("Secretfile.yml", head)], &[]);
    assert_eq!(ran.code, Some(code), "{ran:?}");
    let checks = stage.github.checks();
    assert!(checks.iter().all(|check| check.conclusion.as_deref() == Some("failure")), "{checks:?}");
    assert!(!checks.is_empty());
    ran
}

#[test]
fn an_environment_of_another_name_takes_the_bases_files_of_variables_along() {
    let base = secretfile("environments: {prod: {var_files: [v.yml]}}\n", BY_VARIABLE);
    let lowered = secretfile("environments: {produ: {variables: {min: \"8\"}}}\n", BY_VARIABLE);
    refused(5, &base, &lowered);
    let none = secretfile("variables: {min: \"8\"}\n", BY_VARIABLE);
    refused(5, &base, &none);
}

#[test]
fn of_several_environments_the_strictest_counts_for_a_new_one() {
    let base =
        secretfile("environments: {dev: {variables: {min: \"8\"}}, prod: {variables: {min: \"40\"}}}\n", BY_VARIABLE);
    let head = base.replace("prod:", "prod2:").replace("\"40\"", "\"8\"");
    let (stage, ran) = reviewed(&[("Secretfile.yml", &base)], &[("Secretfile.yml", &head)], &[]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    let of = |name: &str| stage.github.checks().into_iter().find(|check| check.name.contains(name)).unwrap().conclusion;
    assert_eq!(of("(prod2)").as_deref(), Some("failure"));
    assert_eq!(of("(dev)").as_deref(), Some("success"), "what the base asks of dev has not changed");
}

#[test]
fn policies_that_a_variable_hides_are_not_those_of_the_change() {
    for policy in [
        "long: {kind: complexity, min_length: 40, severity: \"${SEV}\"}",
        "long: {kind: complexity, min_length: \"${LENGTH}\"}",
        "long: {kind: rotation, max_age: \"${AGE}\"}",
        "long: {kind: complexity, min_length: 40, enabled: \"${ON}\"}",
    ] {
        let base = secretfile("", &format!("policies:\n  {policy}\n"));
        let ran = refused(1, &base, &secretfile("", ""));
        assert!(ran.stdout.contains("has no value"), "{policy}: {ran:?}");
    }
    let base = secretfile("", "metadata_is: broken\npolicies: [no]\n");
    refused(1, &base, &secretfile("", ""));
}

#[test]
fn policies_are_known_where_something_else_of_the_base_does_not_resolve() {
    let base = secretfile("", LONG).replace("path: .env", "path: \"${PLACE}\"");
    let ran = refused(5, &base, &secretfile("", ""));
    assert!(!ran.stdout.contains("has no value"), "{ran:?}");
}

#[test]
fn a_second_file_takes_the_policies_along_with_the_secrets() {
    let base = secretfile("", LONG);
    let emptied = format!("metadata: {{project_id: demo}}\nproviders: {{l: {{kind: local}}}}\nsecrets: []\n{LONG}");
    let files = [("files", "*/Secretfile.yml")];
    for kept in [&emptied, &base] {
        let head = [("a/Secretfile.yml", kept.as_str()), ("b/Secretfile.yml", &secretfile("", ""))];
        let (stage, ran) = reviewed(&[("a/Secretfile.yml", &base)], &head, &files);
        assert_eq!(ran.code, Some(5), "{ran:?}");
        let check = stage.github.checks().into_iter().find(|check| check.name.contains("b/Secretfile.yml")).unwrap();
        assert_eq!(check.conclusion.as_deref(), Some("failure"));
    }
    // A service of its own comes under its own policies, whatever its secrets are called.
    let other = secretfile("", "").replace("project_id: demo", "project_id: other");
    let base = base.replace("length: 24", "length: 48");
    let (_, ran) =
        reviewed(&[("a/Secretfile.yml", &base)], &[("a/Secretfile.yml", &base), ("b/Secretfile.yml", &other)], &files);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_file_that_is_there_already_takes_them_along_as_well() {
    let strict = secretfile("", LONG).replace("length: 24", "length: 48");
    let emptied = format!("metadata: {{project_id: demo}}\nproviders: {{l: {{kind: local}}}}\nsecrets: []\n{LONG}");
    let own = secretfile("", "").replace("name: password", "name: own");
    let both = own.replace(
        "secrets:\n",
        "secrets:\n  - {name: password, kind: random_password, config: {length: 24}, targets: [{provider: l, kind: file, \
         config: {path: .env.b, format: dotenv}}]}\n",
    );
    let files = [("files", "*/Secretfile.yml")];
    let base = [("a/Secretfile.yml", strict.as_str()), ("b/Secretfile.yml", own.as_str())];
    let conclusion = |stage: &Stage| {
        let check = stage.github.checks().into_iter().find(|check| check.name.contains("b/Secretfile.yml")).unwrap();
        check.conclusion.unwrap()
    };
    let moved = [("a/Secretfile.yml", emptied.as_str()), ("b/Secretfile.yml", both.as_str())];
    let (stage, ran) = reviewed(&base, &moved, &files);
    assert_eq!((ran.code, conclusion(&stage).as_str()), (Some(5), "failure"), "{ran:?}");
    // A change that brings no secret from there is judged as before.
    let longer = own.replace("length: 24", "length: 30");
    let (stage, ran) = reviewed(&base, &[base[0], ("b/Secretfile.yml", &longer)], &files);
    assert_eq!((ran.code, conclusion(&stage).as_str()), (Some(0), "success"), "{ran:?}");
}

#[test]
fn more_than_can_be_told_is_unknown() {
    let names: Vec<String> = (0..51).map(|number| format!("s{number}/Secretfile.yml")).collect();
    let stage = Stage::new();
    let text = secretfile("", "");
    let old: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), text.as_bytes())).collect();
    stage.github.commit("main", &old);
    let added: (&str, &[u8]) = ("new/Secretfile.yml", text.as_bytes());
    let deleted = names.iter().map(|name| (name.as_str(), crate::fake::github::World::DELETED));
    let sha = stage.github.commit("change", &deleted.chain([added]).collect::<Vec<_>>());
    let pull = stage.github.open_pull("change", "main");
    stage.sandbox.write("new/Secretfile.yml", &text);
    let ran = stage.pull_request(pull, &sha, &[("files", "*/Secretfile.yml")]);
    assert!(ran.code == Some(1) && ran.stdout.contains("more than 50 Secretfiles"), "{ran:?}");
    let check = stage.github.checks().into_iter().find(|check| check.name.contains("new/")).unwrap();
    assert_eq!(check.conclusion.as_deref(), Some("failure"));
}

#[test]
fn without_a_token_the_plan_is_shown_and_nothing_passes() {
    let (base, head) = (secretfile("", LONG), secretfile("", ""));
    let inputs = [("github_token", "")];
    let (stage, ran) = reviewed(&[("Secretfile.yml", &base)], &[("Secretfile.yml", &head)], &inputs);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("leave `github_token` at its default"), "{ran:?}");
    assert!(stage.sandbox.read("summary").contains("`password`"), "{}", stage.sandbox.read("summary"));
    let queue =
        serde_json::json!({ "action": "checks_requested", "merge_group": { "head_sha": "c0ffee", "base_sha": "b" } });
    assert_eq!(stage.job("merge_group", &queue, "c0ffee", &inputs).code, Some(1));
}

#[test]
fn a_merge_queue_is_judged_by_the_branch_that_it_leads_to() {
    let stage = Stage::new();
    let (lax, strict) = (secretfile("", ""), secretfile("", LONG).replace("length: 24", "length: 48"));
    stage.github.commit("main", &[("Secretfile.yml", lax.as_bytes())]);
    stage.github.commit("release", &[("Secretfile.yml", strict.as_bytes())]);
    let sha = stage.github.commit("change", &[("Secretfile.yml", lax.as_bytes())]);
    stage.checkout(&lax);
    let inputs = [("base_branches", "release")];
    let queue = |base: &str| {
        let group = serde_json::json!({ "head_sha": sha, "base_sha": sha, "base_ref": base });
        serde_json::json!({ "action": "checks_requested", "merge_group": group })
    };
    let ran = stage.job("merge_group", &queue("refs/heads/release"), &sha, &inputs);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    assert_eq!(stage.github.checks().pop().unwrap().conclusion.as_deref(), Some("failure"));
    let ran = stage.job("merge_group", &queue("refs/heads/main"), &sha, &inputs);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
