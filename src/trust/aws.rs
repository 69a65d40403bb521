//! The trust policy of an IAM role: the identity provider, its audience and the exact subjects.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html>

use serde_json::{Map, Value as Json, json};

use super::{
    Account, Document, Forge, Generated, Trusted, one_or_all, or_placeholder, pretty, shell_argument, subjects,
};

/// What AWS's own clients ask for.
pub(super) const AUDIENCE: &str = "sts.amazonaws.com";

pub(super) fn generate(trusted: &Trusted, account: &Account) -> Generated {
    let audience = trusted.audience.clone().unwrap_or_else(|| AUDIENCE.to_owned());
    let hardens = trusted.asks_for_hosted() && trusted.forge == Forge::Github;
    let number = or_placeholder(account.id.as_ref(), "ACCOUNT_ID");
    let subjects = subjects(trusted);
    let is_pattern = subjects.iter().any(|subject| subject.is_pattern);
    let subjects: Vec<String> = subjects.into_iter().map(|subject| subject.text).collect();
    let admitted = Admitted {
        partition: account.partition.as_deref().unwrap_or("aws"),
        account: &number,
        issuer: &trusted.issuer,
        audiences: std::slice::from_ref(&audience),
        subjects: &subjects,
        is_pattern,
        repository_id: trusted.repository.id.as_deref().filter(|_| hardens),
        tags_session: trusted.forge == Forge::Service,
    };
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
    generated.documents.push(Document { name, text: admitted.policy() });
    if hardens && trusted.repository.id.is_none() {
        generated.say("`--harden` adds nothing here without `--repository-id`");
    } else if hardens {
        generated.say("AWS knows the claim `repository_id` of GitHub's tokens since January 2026");
    }
    if is_pattern {
        generated.say(
            "at GitLab the token of a merge request bears its branch, so the plan's role trusts every branch of this \
             project: give it no right but to read metadata",
        );
    }
    generated
}

/// What a role's trust policy lets in.
pub(crate) struct Admitted<'a> {
    pub(crate) partition: &'a str,
    pub(crate) account: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) audiences: &'a [String],
    pub(crate) subjects: &'a [String],
    /// Whether a `*` in a subject stands for anything; else it is a letter like others.
    pub(crate) is_pattern: bool,
    pub(crate) repository_id: Option<&'a str>,
    /// Whether tokens bear tags of the session, which must be allowed or the login is refused
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html>).
    pub(crate) tags_session: bool,
}

impl Admitted<'_> {
    /// The policy as a document.
    pub(crate) fn policy(&self) -> String {
        let host = self.issuer.trim_start_matches("https://");
        let mut exact = Map::new();
        exact.insert(format!("{host}:aud"), one_or_all(self.audiences));
        let mut condition = Map::new();
        let subject = one_or_all(self.subjects);
        if self.is_pattern {
            condition.insert("StringLike".into(), json!({ format!("{host}:sub"): subject }));
        } else {
            exact.insert(format!("{host}:sub"), subject);
        }
        exact.extend(self.repository_id.map(|id| (format!("{host}:repository_id"), json!(id))));
        condition.insert("StringEquals".into(), Json::Object(exact));
        let Self { partition, account, .. } = self;
        let action = match self.tags_session {
            true => json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]),
            false => json!("sts:AssumeRoleWithWebIdentity"),
        };
        pretty(&json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Federated": format!("arn:{partition}:iam::{account}:oidc-provider/{host}") },
                "Action": action,
                "Condition": condition,
            }],
        }))
    }
}
