//! A pull request that deletes or moves a Secretfile under a pattern: it is told, and the policies of
//! the old place count at the new one.

use crate::fake::github::World;
use crate::stage::{BASE, Stage};

const FILES: [(&str, &str); 1] = [("files", "services/*/Secretfile.yml")];

fn named(service: &str) -> String {
    BASE.replace("app_name: myapp", &format!("app_name: {service}")).replace("severity: warning", "severity: error")
}

/// The same without its policies.
fn lawless(service: &str) -> String {
    let text = named(service);
    let (before, rest) = text.split_once("policies:\n").unwrap();
    let (_, after) = rest.split_once("secrets:\n").unwrap();
    let untagged = after.replace("            Environment: ${environment}\n", "            Team: a\n");
    format!("{before}secrets:\n{untagged}")
}

/// Two services on the default branch, both in the checkout.
fn two_services() -> Stage {
    let stage = Stage::new();
    let (a, b) = (named("a"), named("b"));
    let files: [(&str, &[u8]); 2] =
        [("services/a/Secretfile.yml", a.as_bytes()), ("services/b/Secretfile.yml", b.as_bytes())];
    stage.github.commit("main", &files);
    stage.sandbox.write("services/a/Secretfile.yml", &a);
    stage.sandbox.write("services/b/Secretfile.yml", &b);
    stage
}

#[test]
fn a_secretfile_that_a_pull_request_deletes_is_told_and_passes() {
    let stage = two_services();
    let head = stage.github.commit("change", &[("services/b/Secretfile.yml", World::DELETED)]);
    let pull = stage.github.open_pull("change", "main");
    stage.sandbox.remove("services/b/Secretfile.yml");
    let ran = stage.pull_request(pull, &head, &FILES);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let check = stage.github.checks().into_iter().find(|check| check.name.contains("services/b")).unwrap();
    assert_eq!(check.conclusion.as_deref(), Some("neutral"));
    insta::assert_snapshot!(stage.comment(pull), @r"
    <!-- secretzero:v1 path=services/b/Secretfile.yml -->
    ### SecretZero · `services/b/Secretfile.yml`

    **This pull request removes the Secretfile.** Nothing is deleted in any store; what it declared is no longer synced, rotated or checked.

    1 secret: `external_api_key`

    If it moves, its policies count at the new place as well. Its secrets keep their identity there only if `metadata.project_id` (or `project`) and the secrets' names stay the same.
    ");
}

#[test]
fn the_policies_of_a_secretfile_count_where_it_moves_to() {
    let stage = two_services();
    let text = lawless("b");
    let files: [(&str, &[u8]); 2] =
        [("services/b/Secretfile.yml", World::DELETED), ("services/c/Secretfile.yml", text.as_bytes())];
    let head = stage.github.commit("change", &files);
    let pull = stage.github.open_pull("change", "main");
    stage.sandbox.remove("services/b/Secretfile.yml");
    stage.sandbox.write("services/c/Secretfile.yml", &text);
    let ran = stage.pull_request(pull, &head, &FILES);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    let check = stage.github.checks().into_iter().find(|check| check.name.contains("services/c")).unwrap();
    assert_eq!(check.conclusion.as_deref(), Some("failure"));

    // A new service beside those that stay comes under its own policies.
    let text = text.replace("project: multi-cloud-app", "project: another");
    stage.sandbox.write("services/c/Secretfile.yml", &text);
    stage.github.commit("another", &[("services/c/Secretfile.yml", text.as_bytes())]);
    let head = stage.github.ref_sha("refs/heads/another").unwrap();
    let pull = stage.github.open_pull("another", "main");
    stage.sandbox.write("services/b/Secretfile.yml", &named("b"));
    let ran = stage.pull_request(pull, &head, &FILES);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_base_whose_files_are_not_known_never_passes() {
    let stage = two_services();
    let head = stage.github.commit("change", &[("services/b/Secretfile.yml", World::DELETED)]);
    let pull = stage.github.open_pull("change", "main");
    stage.sandbox.remove("services/b/Secretfile.yml");
    stage.github.fault("GET", "/git/trees/", 100, crate::fake::github::Fault::Refuse(422, Vec::new(), "no".into()));
    let ran = stage.pull_request(pull, &head, &FILES);
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn the_path_of_a_deleted_secretfile_is_no_command_and_names_no_check() {
    let odd = ["::stop-commands::x/Secretfile.yml", "a##[add-mask]e/Secretfile.yml", "b\u{202e}idi/Secretfile.yml"];
    for path in odd {
        let stage = Stage::new();
        let old = named("b");
        stage.github.commit("main", &[("Secretfile.yml", BASE.as_bytes()), (path, old.as_bytes())]);
        let head = stage.github.commit("change", &[(path, World::DELETED)]);
        let pull = stage.github.open_pull("change", "main");
        stage.checkout(BASE);
        let ran = stage.pull_request(pull, &head, &[("files", "**/Secretfile.yml")]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains("This pull request removes the Secretfile"), "{ran:?}");
        assert_eq!(crate::runner::commands(&ran), Vec::<String>::new(), "{ran:?}");
        let names: Vec<String> = stage.github.checks().into_iter().map(|check| check.name).collect();
        assert!(names.len() == 1 && names.iter().all(|name| name.is_ascii()), "{names:?}");
        assert!(stage.github.comments(pull).is_empty());
    }
}

#[test]
fn a_deleted_secretfile_does_not_report_for_another() {
    let stage = Stage::new();
    let (base, old) = (format!("{BASE}environments: {{prod: {{}}}}\n"), named("b"));
    stage.github.commit("main", &[("Secretfile.yml", base.as_bytes()), ("Secretfile.yml, prod", old.as_bytes())]);
    let broken = base.replace("kind: random_string", "kind: nonsense");
    let files: [(&str, &[u8]); 2] = [("Secretfile.yml", broken.as_bytes()), ("Secretfile.yml, prod", World::DELETED)];
    let head = stage.github.commit("change", &files);
    let pull = stage.github.open_pull("change", "main");
    stage.checkout(&broken);
    let ran = stage.pull_request(pull, &head, &[("files", "Secretfile*")]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let checks = stage.github.checks();
    assert!(checks.iter().all(|check| check.conclusion.as_deref() == Some("failure")), "{checks:?}");
}
