//! What a token says of a run, and which tokens a run may have at all.
//!
//! Subjects are few, since Entra and other verifiers take exact ones only: a repository, an environment
//! and a phase each. They hold ids, which nobody can take over, and neither a pull request nor a commit,
//! which stand in claims of their own.

use data_encoding::HEXLOWER;
use secretzero::oidc::Phase;
use secretzero::trust::of_service;
use serde_json::{Map, Value as Json, json};

/// How long a token is good, in seconds.
pub const TOKEN_SECONDS: u32 = 600;

/// How much earlier than its making a token begins to be good, in seconds: clocks differ.
const EARLIER_SECONDS: i64 = 10;

/// Longest subject, in bytes: Google's
/// (<https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers>).
pub const SUBJECT_BYTES_MAX: usize = 127;

/// AWS's audience, whose tokens may bear tags of the session
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp>).
const AWS_AUDIENCES: [&str; 2] = ["sts.amazonaws.com", "sts.amazonaws.com.cn"];
const AWS_TAGS: &str = "https://aws.amazon.com/tags";

/// What tokens may say.
pub(super) const SUPPORTED: [&str; 16] = [
    "iss",
    "sub",
    "aud",
    "iat",
    "nbf",
    "exp",
    "jti",
    "forge",
    "repository",
    "repository_id",
    "environment",
    "phase",
    "sha",
    "pull_request",
    "actor_id",
    "plan_digest",
];

/// What started a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// A pull or merge request.
    PullRequest {
        /// Its number.
        number: u64,
        /// Its head is in another repository.
        from_fork: bool,
    },
    /// A push to the default branch.
    DefaultBranch,
    /// The service's own clock.
    Schedule,
}

/// What was made sure of before a run may write; each by the service itself, none by what it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts, each named where it is missing")]
pub struct Cleared {
    /// The commit is the default branch's tip, as the forge's API says.
    pub tip_confirmed: bool,
    /// What it does was reviewed.
    pub reviewed: bool,
    /// Its policies pass.
    pub policy_passed: bool,
    /// Its lease is held.
    pub lease_held: bool,
}

/// A run that the service makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Tells one forge from another, whose ids collide: `github.com`, or the host of an own one.
    pub forge: String,
    /// The number of the repository or project.
    pub repository_id: u64,
    /// Its name, for people.
    pub repository: String,
    /// The environment; empty without one.
    pub environment: String,
    /// What the run does.
    pub phase: Phase,
    /// What started it.
    pub trigger: Trigger,
    /// What was made sure of.
    pub cleared: Cleared,
    /// The commit.
    pub sha: String,
    /// Who caused it, if anybody did.
    pub actor_id: Option<u64>,
    /// The plan that is carried out, if one is.
    pub plan_digest: Option<String>,
}

/// Why a run gets no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A fork's pull request gets none at all.
    #[error("a pull request from a fork gets no token")]
    Fork,
    /// What started the run may not cause what it does.
    #[error("{by} gets no token for {phase}")]
    Phase {
        /// What started it.
        by: &'static str,
        /// What it wants to do.
        phase: &'static str,
    },
    /// Something was not made sure of.
    #[error("no token for {phase}: {missing}")]
    NotCleared {
        /// What it wants to do.
        phase: &'static str,
        /// What is missing.
        missing: String,
    },
    /// The subject is too long for Google.
    #[error("the subject `{0}` has more than 127 bytes; give the environment a shorter name")]
    Long(String),
    /// A part of the subject is empty.
    #[error("the run names no {0}")]
    Nameless(&'static str),
}

impl Run {
    /// Everything that a token says, at a moment.
    pub(super) fn claims(&self, issuer: &str, audience: &str, now: i64, unique: [u8; 16]) -> Result<Json, Refusal> {
        self.check()?;
        let id = self.repository_id.to_string();
        let subject = of_service(&self.forge, &id, &self.environment, self.phase.as_str());
        if subject.len() > SUBJECT_BYTES_MAX {
            return Err(Refusal::Long(subject));
        }
        let mut claims = Map::new();
        let mut say = |name: &str, value: Json| drop(claims.insert(name.to_owned(), value));
        say("iss", json!(issuer));
        say("sub", json!(subject));
        say("aud", json!(audience));
        say("iat", json!(now));
        say("nbf", json!(now - EARLIER_SECONDS));
        say("exp", json!(now + i64::from(TOKEN_SECONDS)));
        say("jti", json!(HEXLOWER.encode(&unique)));
        say("forge", json!(self.forge));
        say("repository", json!(self.repository));
        say("repository_id", json!(self.repository_id.to_string()));
        say("environment", json!(self.environment()));
        say("phase", json!(self.phase.as_str()));
        say("sha", json!(self.sha));
        if let Trigger::PullRequest { number, .. } = self.trigger {
            say("pull_request", json!(number.to_string()));
        }
        self.actor_id.into_iter().for_each(|id| say("actor_id", json!(id.to_string())));
        self.plan_digest.iter().for_each(|digest| say("plan_digest", json!(digest)));
        if AWS_AUDIENCES.contains(&audience) {
            say(AWS_TAGS, json!({ "principal_tags": self.tags() }));
        }
        Ok(Json::Object(claims))
    }

    fn environment(&self) -> &str {
        if self.environment.is_empty() { "default" } else { &self.environment }
    }

    /// A tag's value is of letters, digits, spaces and `_.:/=+-@`
    /// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_Tag.html>).
    fn tags(&self) -> Json {
        let plain = |c: char| if c.is_alphanumeric() || " _.:/=+-@".contains(c) { c } else { '_' };
        let environment: String = self.environment().chars().map(plain).collect();
        json!({
            "repository_id": [self.repository_id.to_string()],
            "environment": [environment],
            "phase": [self.phase.as_str()],
        })
    }

    /// Whether this run may have a token for what it does.
    fn check(&self) -> Result<(), Refusal> {
        if self.forge.is_empty() || self.repository_id == 0 {
            return Err(Refusal::Nameless(if self.forge.is_empty() { "forge" } else { "repository" }));
        }
        let refused = |by| Err(Refusal::Phase { by, phase: self.phase.as_str() });
        match (&self.trigger, self.phase) {
            (Trigger::PullRequest { from_fork: true, .. }, _) => return Err(Refusal::Fork),
            (Trigger::PullRequest { .. }, Phase::Sync | Phase::Rotate) => return refused("a pull request"),
            (Trigger::DefaultBranch, Phase::Rotate) => return refused("a push"),
            (Trigger::Schedule, Phase::Sync) => return refused("the clock"),
            _ => {}
        }
        let Cleared { tip_confirmed, reviewed, policy_passed, lease_held } = self.cleared;
        let needed: &[(bool, &str)] = match self.phase {
            Phase::Plan => &[],
            Phase::Sync => &[
                (tip_confirmed, "the commit was not confirmed to be the default branch's tip"),
                (reviewed, "its changes were not reviewed"),
                (policy_passed, "its policies do not pass"),
                (lease_held, "its lease is not held"),
            ],
            Phase::Rotate => &[
                (tip_confirmed, "the commit was not confirmed to be the default branch's tip"),
                (policy_passed, "its policies do not pass"),
                (lease_held, "its lease is not held"),
            ],
        };
        let missing: Vec<&str> = needed.iter().filter(|(known, _)| !known).map(|(_, what)| *what).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Refusal::NotCleared { phase: self.phase.as_str(), missing: missing.join("; ") }),
        }
    }
}
