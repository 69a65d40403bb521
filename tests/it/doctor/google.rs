//! Whether the plan's service account could read values, as Google tells it.

use crate::oidc::Stage;
use crate::oidc::google::{INPUTS, VIEWER, joined, text};

#[test]
fn a_plans_account_that_may_access_versions_is_told() {
    let mut stage = Stage::new();
    let gcp = joined(&mut stage);
    let both = text(&["one", "two"]);
    assert_eq!(stage.push_of(&both, INPUTS).code, Some(0));
    let inputs = [INPUTS, &[("command", "doctor")]].concat();
    let (pull, head) = stage.pull(&both);
    gcp.grant(VIEWER);
    let ran = stage.pull_request(pull, &head, &inputs);
    assert!(ran.code == Some(0) && ran.stdout.contains("store: the plan may read no value\n"), "{ran:?}");

    gcp.grant(&[VIEWER, &["versions.access"]].concat());
    gcp.deny("versions.access one");
    gcp.forget_requests();
    let ran = stage.pull_request(pull, &head, &inputs);
    let said = "! stores      store: the plan may read values: `two`; so may whoever opens a pull request\n";
    assert!(ran.stdout.contains(said), "{}", ran.stdout);
    assert_eq!(gcp.count("versions.access"), 0, "no value is read to find out");

    // Of a secret that does not exist nothing is told, and so nothing is claimed.
    gcp.grant(VIEWER);
    let more = text(&["one", "two", "three"]);
    let head = stage.github.commit("change", &[("Secretfile.yml", more.as_bytes())]);
    stage.sandbox.write("Secretfile.yml", &more);
    let ran = stage.pull_request(pull, &head, &inputs);
    assert!(ran.stdout.contains("store: answers") && !ran.stdout.contains("the plan may read"), "{ran:?}");
}
