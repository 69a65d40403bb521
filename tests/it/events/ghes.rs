//! The main job against a GitHub Enterprise Server: its API below `/api/v3`, its pages on its host.

use super::{PERMISSIONS, outsider, schedule, secretfile};
use crate::stage::{BASE, Stage, stable};

const SERVER: &str = "https://github.example.test";

fn server() -> Stage {
    let mut stage = Stage::with_permissions(&PERMISSIONS);
    stage.github.world().server = SERVER.into();
    stage.job.api_url = stage.github.ghes_url();
    stage.job.server_url = SERVER.into();
    stage
}

#[test]
fn a_pull_request_its_merge_and_its_drift_live_on_the_enterprises_own_host() {
    let stage = server();
    let base = stage.github.commit("main", &[("Secretfile.yml", BASE.as_bytes())]);
    stage.checkout(BASE);
    assert_eq!(stage.push(&base, &[]).code, Some(0));

    let text = secretfile();
    let head = stage.github.commit("change", &[("Secretfile.yml", text.as_bytes())]);
    let pull = stage.github.open_pull("change", "main");
    stage.checkout(&text);
    let ran = stage.job.pull_request(&stage.sandbox, pull, &head, &[("plan_mode", "online")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let comment = stage.comment(pull);
    assert!(comment.contains("Merging changes 3 targets of 2 secrets"), "{comment}");
    let links = |text: &str| -> Vec<String> {
        let link = regex::Regex::new(r"\]\((https?://[^)]*)\)").unwrap();
        link.captures_iter(&stable(text)).map(|found| found[1].to_owned()).collect()
    };
    insta::assert_snapshot!(links(&comment).join("\n"), @"
    https://github.example.test/octo/demo/blob/COMMIT/Secretfile.yml#L99
    https://github.example.test/octo/demo/actions/runs/77
    ");
    let check = stage.github.checks().pop().unwrap();
    assert_eq!(check.head_sha, head);

    let merged = stage.github.merge_pull(pull);
    assert_eq!(stage.push(&merged, &[]).code, Some(0));
    let comment = stage.comment(pull);
    insta::assert_snapshot!(links(&comment).join("\n"), @"https://github.example.test/octo/demo/actions/runs/77");
    let mark = stage.aws.secret("production/myapp/database/password").unwrap().tags["secretzero"].clone();
    assert!(mark.ends_with(":r=github.example.test/1001"), "the forge's key is its host: {mark}");

    outsider(&stage, "production/myapp/api-key");
    assert_eq!(schedule(&stage, &merged, &[]).code, Some(0));
    let issue = stage.github.issues().pop().unwrap();
    assert!(links(&issue.body).iter().all(|link| link.starts_with(SERVER)), "{}", issue.body);
    let elsewhere = stage.github.requests().into_iter().find(|request| {
        !request.path.starts_with("/repos/") && !request.path.starts_with("/user") && !request.path.contains("graphql")
    });
    assert!(elsewhere.is_none(), "{elsewhere:?}");
}

/// Two servers number their repositories alike; what one wrote is not the other's.
#[test]
fn the_same_number_on_another_server_is_another_repository() {
    let mut stage = server();
    let tip = stage.github.commit("main", &[("Secretfile.yml", BASE.as_bytes())]);
    stage.checkout(BASE);
    assert_eq!(stage.push(&tip, &[]).code, Some(0));
    stage.job.server_url = "https://github.com".into();
    stage.github.world().refs.remove("refs/secretzero/v1/default");
    let ran = stage.push(&tip, &[]);
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert!(stage.sandbox.read("summary").contains("belongs to repository github.example.test/1001"));
}
