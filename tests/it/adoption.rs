//! Day one: 300 objects that exist already are imported, reviewed in a pull request and adopted on
//! merge; their values and versions stay, and nobody reads a value before the merge.

use std::collections::{BTreeMap, BTreeSet};

use crate::fake::aws::world::SecretVersion;
use crate::fake::aws::{FakeAws, Parameter, REGION, Secret};
use crate::fake::github::FakeGithub;
use crate::job::Job;
use crate::sandbox::Sandbox;

const PERMISSIONS: [(&str, &str); 3] = [("contents", "write"), ("pull-requests", "write"), ("checks", "write")];
/// Calls that return or write a value.
const VALUES: &[&str] = &[
    "GetSecretValue",
    "BatchGetSecretValue",
    "GetParameter",
    "GetParameters",
    "CreateSecret",
    "PutSecretValue",
    "PutParameter",
];

/// A secret that somebody else made.
pub(crate) fn secret(number: usize) -> Secret {
    let version = SecretVersion {
        id: format!("11111111-1111-4111-8111-{number:012}"),
        value: format!("canary-value-{number}"),
        is_binary: false,
        stages: BTreeSet::from(["AWSCURRENT".to_owned()]),
    };
    Secret { versions: vec![version], description: Some(format!("Made by hand, #{number}")), ..Secret::default() }
}

/// A parameter that somebody else made.
pub(crate) fn parameter(number: usize) -> Parameter {
    Parameter {
        version: 3,
        value: format!("canary-value-{number}"),
        kind: "SecureString".into(),
        tier: "Standard".into(),
        data_type: "text".into(),
        tags: BTreeMap::from([("Team".into(), "core".into())]),
        ..Parameter::default()
    }
}

fn fill(aws: &FakeAws) {
    aws.edit(|world| {
        let region = world.region(REGION);
        for number in 0..150 {
            region.secrets.insert(format!("legacy/app-{number:03}/password"), secret(number));
            region.parameters.insert(format!("/legacy/app-{number:03}/password"), parameter(number));
        }
    });
}

/// Every value with its version.
fn values(aws: &FakeAws) -> Vec<String> {
    aws.edit(|world| {
        let region = world.region(REGION);
        let secrets = region.secrets.iter().map(|(name, secret)| {
            let versions = secret.versions.iter().map(|version| format!("{} {}", version.id, version.value));
            format!("{name} {}", versions.collect::<Vec<_>>().join(","))
        });
        let parameters = region.parameters.iter().map(|(name, p)| format!("{name} {} {}", p.version, p.value));
        secrets.chain(parameters).collect()
    })
}

fn marks(aws: &FakeAws) -> usize {
    aws.edit(|world| {
        let region = world.region(REGION);
        let secrets = region.secrets.values().map(|secret| &secret.tags);
        secrets
            .chain(region.parameters.values().map(|p| &p.tags))
            .filter(|tags| tags.contains_key("secretzero"))
            .count()
    })
}

#[test]
fn three_hundred_objects_are_imported_reviewed_and_adopted_as_they_are() {
    let (github, aws) = (FakeGithub::start(), FakeAws::start());
    fill(&aws);
    let before = values(&aws);
    let sandbox = Sandbox::new().env(aws.env());

    // Imported: metadata only.
    let args =
        ["import", "--provider", "aws", "--prefix", "legacy/", "--rate-limit", "off", "--output", "Secretfile.yml"];
    let ran = sandbox.expect(0, &args);
    assert!(ran.stderr.contains("300 objects to adopt"), "{ran:?}");
    for call in VALUES {
        assert_eq!(aws.count(call), 0, "an import reads and writes no value");
    }
    assert!(aws.total() <= 160, "{} requests: pages, and the tags of 150 parameters", aws.total());
    let imported = sandbox.read("Secretfile.yml");
    assert!(!imported.contains("canary"), "{imported}");
    let valid = sandbox.expect(0, &["validate"]).stdout;
    assert!(valid.contains("300 secrets defined"), "{valid}");

    // Reviewed: the default branch knows the provider and no secret yet.
    let (head, _) = imported.split_once("\nsecrets:").unwrap();
    let base = format!("{head}\nsecrets: []\n");
    let job = Job::on(&github, github.workflow_token(&PERMISSIONS), aws.env());
    let at = Sandbox::new();
    github.commit("main", &[("Secretfile.yml", base.as_bytes())]);
    let head = github.commit("adopt", &[("Secretfile.yml", imported.as_bytes())]);
    let pull = github.open_pull("adopt", "main");
    at.write("Secretfile.yml", &imported);
    aws.forget_requests();
    let ran = job.pull_request(&at, pull, &head, &[("plan_mode", "online")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let comment = github.comments(pull).pop().unwrap().body;
    assert!(comment.contains("**Merging changes 300 targets of 300 secrets.** 300 to adopt"), "{comment}");
    assert!(comment.contains("its value is kept and marked as ours"), "{comment}");
    for call in VALUES {
        assert_eq!(aws.count(call), 0, "a plan reads and writes no value");
    }

    // Merged: marked, and nothing else.
    let merged = github.commit("main", &[("Secretfile.yml", imported.as_bytes())]);
    let ran = job.push(&at, &merged, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(values(&aws), before, "every value and version stays");
    assert_eq!(marks(&aws), 300);

    // Again: nothing to do.
    aws.forget_requests();
    let ran = job.push(&at, &merged, &[]);
    assert_eq!((ran.code, aws.effects()), (Some(0), 0), "{ran:?}");

    // An import from then on leaves them alone.
    let ran = sandbox.expect(0, &["import", "--provider", "aws", "--prefix", "legacy/", "--rate-limit", "off"]);
    assert!(ran.stderr.contains("0 objects to adopt, 300 left out"), "{}", ran.stderr);
}
