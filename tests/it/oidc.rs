//! Logins with ID tokens through the real binary: GitHub's endpoint for tokens, and AWS's STS, Entra and
//! Google's STS as fakes that check what the real ones check.

#[cfg(feature = "azure")]
mod azure;
mod canaries;
#[cfg(all(feature = "azure", feature = "gcp", feature = "vault"))]
mod codes;
mod exchange;
#[cfg(feature = "gcp")]
mod google;
mod phases;
mod refused;
mod third_party;
#[cfg(feature = "vault")]
mod untrusted;
#[cfg(feature = "vault")]
mod vault;

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::fake::actions::{Answer, FakeActions, ISSUER};
use crate::fake::aws::web_identity::Role;
use crate::fake::aws::{ACCOUNT, FakeAws, REGION, Request};
use crate::fake::github::FakeGithub;
use crate::fake::jwt::now;
use crate::job::Job;
use crate::sandbox::{Ran, Sandbox};
use crate::stage::BASE;

pub(super) const PLAN_ROLE: &str = "arn:aws:iam::123456789012:role/secretzero-plan";
pub(super) const SYNC_ROLE: &str = "arn:aws:iam::123456789012:role/secretzero-sync";
pub(super) const PULL_REQUEST: &str = "repo:octo/demo:pull_request";
pub(super) const MAIN: &str = "repo:octo/demo:ref:refs/heads/main";
pub(super) const AUDIENCE: &str = "sts.amazonaws.com";

/// A subject of the newer form, which nobody trusts.
pub(super) const NEWER: &str = "repo:octo@501/demo@1001:ref:refs/heads/main";

/// The inputs of a workflow with both roles.
pub(super) const BOTH: &[(&str, &str)] = &[("aws_role", SYNC_ROLE), ("aws_plan_role", PLAN_ROLE)];

/// A login by token, as AWS names it.
pub(super) const LOGIN: &str = "AssumeRoleWithWebIdentity";

/// The rights of the README's table.
const PLAN: &[&str] = &["DescribeSecret", "ListSecrets", "DescribeParameters", "ListTagsForResource"];
const SYNC: &[&str] = &[
    "CreateSecret",
    "PutSecretValue",
    "UpdateSecret",
    "TagResource",
    "GetSecretValue",
    "BatchGetSecretValue",
    "RestoreSecret",
    "ReplicateSecretToRegions",
    "PutParameter",
    "AddTagsToResource",
    "GetParameter",
    "GetParameters",
];

/// One secret more than the base.
pub(super) const MORE: &str = "
  - name: more
    kind: random_password
    targets:
      - provider: aws
        kind: secrets_manager
        config:
          name: shop/more
";

/// A repository, its cloud and its runner, without any key.
pub(super) struct Stage {
    pub(super) github: FakeGithub,
    pub(super) aws: FakeAws,
    pub(super) actions: FakeActions,
    pub(super) sandbox: Sandbox,
    pub(super) job: Job,
}

impl Stage {
    /// With a plan's role for pull requests and a sync's role for the default branch, and an account
    /// that knows GitHub.
    pub(super) fn new() -> Self {
        let (github, aws, actions) = (FakeGithub::start(), FakeAws::start(), FakeActions::start(MAIN));
        let role = |subject: &str, rights: &[&[&str]]| Role {
            issuer: ISSUER.into(),
            audience: AUDIENCE.into(),
            subjects: vec![subject.into()],
            allowed: rights.concat().iter().map(|right| (*right).to_owned()).collect(),
            duration_max: 7200,
        };
        aws.edit(|world| {
            let federation = &mut world.federation;
            federation.issuers.insert(ISSUER.into(), actions.issuer(AUDIENCE));
            federation.roles.insert(PLAN_ROLE.into(), role(PULL_REQUEST, &[PLAN]));
            federation.roles.insert(SYNC_ROLE.into(), role(MAIN, &[PLAN, SYNC]));
        });
        let permissions = [("contents", "write"), ("pull-requests", "write"), ("checks", "write")];
        let mut cloud = keyless(&aws);
        cloud.extend(actions.env());
        let job = Job::on(&github, github.workflow_token(&permissions), cloud);
        Self { github, aws, actions, sandbox: Sandbox::new(), job }
    }

    /// With a base that was synced, and a pull request that adds a secret.
    pub(super) fn opened() -> (Self, u64, String) {
        let stage = Self::new();
        let ran = stage.push_of(BASE, BOTH);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let (pull, head) = stage.pull(&format!("{BASE}{MORE}"));
        (stage, pull, head)
    }

    /// Commits to the default branch and runs its job.
    pub(super) fn push_of(&self, text: &str, inputs: &[(&str, &str)]) -> Ran {
        let sha = self.github.commit("main", &[("Secretfile.yml", text.as_bytes())]);
        self.sandbox.write("Secretfile.yml", text);
        self.job.push(&self.sandbox, &sha, inputs)
    }

    /// Opens a pull request with a text, whose jobs run as such; what came before is forgotten.
    pub(super) fn pull(&self, text: &str) -> (u64, String) {
        let head = self.github.commit("change", &[("Secretfile.yml", text.as_bytes())]);
        let pull = self.github.open_pull("change", "main");
        self.sandbox.write("Secretfile.yml", text);
        self.actions.subject(PULL_REQUEST);
        self.aws.forget_requests();
        (pull, head)
    }

    pub(super) fn run(&self, event: &str, payload: &Json, sha: &str, inputs: &[(&str, &str)]) -> Ran {
        self.job.run(&self.sandbox, event, payload, sha, inputs)
    }

    pub(super) fn pull_request(&self, pull: u64, head: &str, inputs: &[(&str, &str)]) -> Ran {
        self.job.pull_request(&self.sandbox, pull, head, inputs)
    }

    pub(super) fn comment(&self, pull: u64) -> String {
        self.github.comments(pull).into_iter().next().unwrap().body
    }

    /// The logins that were tried.
    pub(super) fn logins(&self) -> Vec<Request> {
        self.aws.requests().into_iter().filter(|request| request.operation == LOGIN).collect()
    }

    /// The roles that were asked for, in order.
    pub(super) fn roles(&self) -> Vec<String> {
        let role = |request: Request| request.body["RoleArn"].as_str().unwrap_or_default().to_owned();
        self.logins().into_iter().map(role).collect()
    }

    /// How many tokens were asked for since.
    pub(super) fn asked_since(&self, before: usize) -> usize {
        self.actions.requests() - before
    }
}

/// A Secretfile of one store with these secrets, each in the one place that `target` says for its name.
pub(super) fn secretfile(provider: &str, names: &[&str], target: impl Fn(&str) -> String) -> String {
    let secret = |name: &&str| format!("  - {{name: {name}, kind: random_string, targets: [{}]}}\n", target(name));
    let secrets: String = names.iter().map(secret).collect();
    format!("metadata: {{project: federated}}\nproviders:\n  store: {provider}\nsecrets:\n{secrets}")
}

/// A token whose time is over.
pub(super) fn expired() -> Answer {
    Answer::With(json!({ "iat": now() - 900, "nbf": now() - 900, "exp": now() - 300 }))
}

/// The cloud's address and region, and no key.
pub(super) fn keyless(aws: &FakeAws) -> BTreeMap<String, String> {
    let pairs = [
        ("AWS_ENDPOINT_URL", aws.url().to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The base with another login.
pub(super) fn with_auth(auth: &str) -> String {
    let login = "    auth:\n      kind: ambient\n      config:\n        region: ${aws_region}\n";
    assert!(BASE.contains(login));
    BASE.replace(login, auth)
}

#[test]
fn the_fakes_rights_are_those_of_the_readme() {
    let table = crate::readme::table(crate::readme::README, "#### Rights in AWS");
    let said = |row: usize| table[row].concat();
    for (row, rights) in [(0, PLAN), (1, SYNC)] {
        for right in rights {
            assert!(said(row).contains(&format!(":{right}`")), "{right}");
        }
    }
    assert_eq!(ACCOUNT, "123456789012");
    assert_eq!(json!(AUDIENCE), "sts.amazonaws.com");
}
