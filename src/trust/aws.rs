//! The trust policy of an IAM role: the identity provider, its audience and the exact subjects.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html>

use serde_json::{Map, Value as Json, json};

use super::{Account, Document, Forge, Generated, Phase, Trusted, or_placeholder, pretty, shell_argument, subjects};

/// What AWS's own clients ask for.
pub(super) const AUDIENCE: &str = "sts.amazonaws.com";

pub(super) fn generate(trusted: &Trusted, account: &Account) -> Generated {
    let host = trusted.issuer.trim_start_matches("https://");
    let audience = trusted.audience.clone().unwrap_or_else(|| AUDIENCE.to_owned());
    let subjects = subjects(trusted);
    let pattern = subjects.iter().any(|subject| subject.contains('*'));
    let subject = match subjects.as_slice() {
        [one] => json!(one),
        several => json!(several),
    };
    let mut exact = Map::new();
    exact.insert(format!("{host}:aud"), json!(audience));
    let mut condition = Map::new();
    if pattern {
        condition.insert("StringLike".into(), json!({ format!("{host}:sub"): subject }));
    } else {
        exact.insert(format!("{host}:sub"), subject);
    }
    let hardens = trusted.hardened && trusted.forge == Forge::Github;
    if let Some(id) = trusted.repository.id.as_ref().filter(|_| hardens) {
        exact.insert(format!("{host}:repository_id"), json!(id));
    }
    condition.insert("StringEquals".into(), Json::Object(exact));
    let partition = account.partition.as_deref().unwrap_or("aws");
    let number = or_placeholder(account.id.as_ref(), "ACCOUNT_ID");
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": { "Federated": format!("arn:{partition}:iam::{number}:oidc-provider/{host}") },
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition,
        }],
    });
    let phase = trusted.phase.as_str();
    let name = format!("aws-{phase}-trust.json");
    let steps = vec![
        format!(
            "aws iam create-open-id-connect-provider --url {} --client-id-list {}  # once for the account",
            shell_argument(&trusted.issuer),
            shell_argument(&audience)
        ),
        format!("aws iam create-role --role-name secretzero-{phase} --assume-role-policy-document file://{name}"),
        format!("secretzero permissions --cloud aws --phase {phase}  # prints what this role may do"),
    ];
    let mut generated = Generated { steps, ..Generated::default() };
    generated.documents.push(Document { name, text: pretty(&policy) });
    if hardens {
        generated.say("AWS knows the claim `repository_id` of GitHub's tokens since January 2026");
    }
    if pattern && trusted.phase == Phase::Plan {
        generated.say(
            "at GitLab the token of a merge request bears its branch, so the plan's role trusts every branch of this \
             project: give it no right but to read metadata",
        );
    }
    generated
}
