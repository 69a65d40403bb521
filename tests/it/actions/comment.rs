//! The comment that shows a reviewer every action a pull request can bring.

use crate::fake::aws::REGION;
use crate::fake::github::FakeGithub;
use crate::job::Job;

use super::{At, Stage, secretfile};

/// One secret in a line of its own.
fn one(name: &str, settings: &str, targets: &[String]) -> String {
    format!("  - {{name: {name}, {settings}, targets: [{}]}}\n", targets.join(", "))
}

/// The mark says so, and so no list can lag behind it any more.
fn made_long_ago(stage: &Stage, parameter: &str) {
    stage.aws.edit(|world| {
        let parameters = &mut world.region(REGION).parameters;
        let mark = parameters.get_mut(parameter).unwrap().tags.get_mut("secretzero").unwrap();
        let (before, _) = mark.split_once(":t=").unwrap();
        *mark = format!("{before}:t=1700000000");
    });
}

#[test]
fn every_action_has_its_row() {
    let random = "kind: random_string";
    let head_of = secretfile("", &[At::Secret.target("token")]);
    let replicated = At::Secret.target_with("replicated", ", replica_regions: [us-west-2]");
    let copy = At::Secret.target("replicated").replace("provider: aws", "provider: west");
    let base = [
        head_of.clone(),
        one("tagged", random, &in_aws("tagged")),
        one("declared", "kind: static, config: {default: one}", &in_aws("declared")),
        one("wider", random, &[At::Secret.target("wider")]),
        one("placed", random, &[At::Secret.target("placed")]),
        one("deleted", random, &[At::Secret.target("deleted")]),
        one("replicated", random, &[At::Secret.target("replicated")]),
        one("lagging", random, &in_aws("lagging")),
        one("gone", random, &[At::Secret.target("gone")]),
    ]
    .concat();
    let change = [
        head_of,
        one(
            "tagged",
            random,
            &[At::Secret.target_with("tagged", ", tags: {Team: core}"), At::Parameter.target("tagged")],
        ),
        one("declared", "kind: static, config: {default: two}", &in_aws("declared")),
        one("wider", random, &in_aws("wider")),
        one("placed", random, &[At::Parameter.target("other")]),
        one("deleted", random, &[At::Secret.target("deleted")]),
        one("replicated", random, &[replicated, copy]),
        one("lagging", random, &in_aws("lagging")),
        one("theirs", &format!("{random}, adopt: true"), &[At::Secret.target("theirs")]),
        one("foreign", random, &[At::Secret.target("foreign")]),
        one("new", random, &in_aws("new")),
    ]
    .concat();
    let stage = Stage::with(&base);
    let github = FakeGithub::start();
    let permissions = [("contents", "write"), ("pull-requests", "write"), ("checks", "write")];
    let job = Job::on(&github, github.workflow_token(&permissions), stage.aws.env());
    let sha = github.commit("main", &[("Secretfile.yml", base.as_bytes())]);
    let ran = job.push(&stage.sandbox, &sha, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    stage.aws.deny_on("PutParameter", "/app/lagging");
    stage.sync_that_exits(8, &["--force", "--secret", "lagging"]);
    stage.aws.allow_all();
    made_long_ago(&stage, "/app/lagging");
    stage.schedule_deletion("deleted");
    for name in ["theirs", "foreign"] {
        stage.occupy(At::Secret, name, "theirs");
    }

    let head = github.commit("change", &[("Secretfile.yml", change.as_bytes())]);
    let pull = github.open_pull("change", "main");
    stage.declare(&change);
    stage.aws.forget_requests();
    let ran = job.pull_request(&stage.sandbox, pull, &head, &[("plan_mode", "online")]);
    stage.no_value_was_read();
    assert_eq!(stage.aws.effects(), 0);
    let comments = github.comments(pull);
    assert_eq!(comments.len(), 1, "{ran:?}");
    let sha = regex::Regex::new(r"\b[0-9a-f]{40}\b|`[0-9a-f]{7}`").unwrap();
    let text = sha.replace_all(&comments[0].body, "COMMIT").replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!("comment_of_every_action", text);
}

fn in_aws(name: &str) -> Vec<String> {
    super::IN_AWS.map(|at| at.target(name)).into()
}
