//! What may go wrong before an operation is carried out: rights, quotas, planned faults, power cuts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Refusal;

/// Operations that AWS counts against one quota
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>,
/// <https://docs.aws.amazon.com/general/latest/gr/ssm.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    SecretWrites,
    SecretReads,
    SecretLists,
    ParameterWrites,
    ParameterReads,
    ParameterLists,
}

impl Class {
    fn of(operation: &str) -> Option<Self> {
        Some(match operation {
            "CreateSecret"
            | "PutSecretValue"
            | "UpdateSecret"
            | "TagResource"
            | "UntagResource"
            | "ReplicateSecretToRegions"
            | "RestoreSecret"
            | "DeleteSecret" => Self::SecretWrites,
            "DescribeSecret" | "GetSecretValue" | "BatchGetSecretValue" => Self::SecretReads,
            "ListSecrets" => Self::SecretLists,
            "PutParameter" | "AddTagsToResource" | "RemoveTagsFromResource" | "DeleteParameter" => {
                Self::ParameterWrites
            }
            "GetParameter" | "GetParameters" => Self::ParameterReads,
            "DescribeParameters" | "ListTagsForResource" => Self::ParameterLists,
            _ => return None,
        })
    }

    fn is_effect(self) -> bool {
        matches!(self, Self::SecretWrites | Self::ParameterWrites)
    }
}

/// How an effect goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The client dies before the call acts.
    CutBefore,
    /// The client dies after the call acted, without hearing so.
    CutAfter,
    /// The call acts twice; the second answer is heard, as after a retry below the client.
    Twice,
    /// The call acts and its answer is lost; the client lives.
    LostReply,
    /// The call does not act; this status and code are answered.
    Status(u16, &'static str),
}

/// Which effect goes wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FaultPlan {
    /// Counted from 1.
    pub(crate) effect: usize,
    pub(crate) fault: Fault,
}

/// What happens to a request.
pub(super) enum Verdict {
    Act,
    ActTwice,
    Refuse(Refusal),
    HangUp { acted: bool },
}

#[derive(Default)]
pub(super) struct Gate {
    pub(super) denied: BTreeSet<String>,
    pub(super) throttled: usize,
    pub(super) effects: usize,
    pub(super) victim: Option<u32>,
    quotas: BTreeMap<Class, Bucket>,
    planned: Option<FaultPlan>,
    /// Set by a cut: nobody is answered any more.
    dead: bool,
    /// Whether the verdict just given is a cut.
    cutting: bool,
}

struct Bucket {
    per_second: f64,
    tokens: f64,
    at: Instant,
}

impl Gate {
    pub(super) fn set_quota(&mut self, class: Class, per_second: f64) {
        self.quotas.insert(class, Bucket { per_second, tokens: per_second, at: Instant::now() });
    }

    pub(super) fn plan(&mut self, plan: FaultPlan) {
        self.revive();
        self.effects = 0;
        self.planned = Some(plan);
    }

    pub(super) fn revive(&mut self) {
        self.dead = false;
        self.planned = None;
        self.victim = None;
    }

    pub(super) fn judge(&mut self, operation: &str, object: &str) -> Verdict {
        if self.dead {
            return Verdict::HangUp { acted: false };
        }
        let class = Class::of(operation);
        if class.is_some_and(|class| self.over_quota(class)) {
            self.throttled += 1;
            // <https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html>
            return Verdict::Refuse(Refusal::new("ThrottlingException"));
        }
        if self.denied.contains(operation) || self.denied.contains(&format!("{operation} {object}")) {
            return Verdict::Refuse(Refusal::new("AccessDeniedException"));
        }
        if !class.is_some_and(Class::is_effect) {
            return Verdict::Act;
        }
        self.effects += 1;
        let Some(plan) = self.planned.take_if(|plan| plan.effect == self.effects) else { return Verdict::Act };
        self.cutting = matches!(plan.fault, Fault::CutBefore | Fault::CutAfter);
        match plan.fault {
            Fault::CutBefore => Verdict::HangUp { acted: false },
            Fault::CutAfter | Fault::LostReply => Verdict::HangUp { acted: true },
            Fault::Twice => Verdict::ActTwice,
            Fault::Status(status, code) => Verdict::Refuse(Refusal { status, code: code.to_owned() }),
        }
    }

    /// Takes the client's power if the verdict was a cut.
    pub(super) fn cut(&mut self) {
        if !std::mem::take(&mut self.cutting) {
            return;
        }
        self.dead = true;
        if let Some(victim) = self.victim {
            let killed = std::process::Command::new("kill").args(["-KILL", &victim.to_string()]).status();
            assert!(killed.is_ok_and(|status| status.success()), "process {victim} could not be killed");
        }
    }

    fn over_quota(&mut self, class: Class) -> bool {
        let Some(bucket) = self.quotas.get_mut(&class) else { return false };
        let now = Instant::now();
        let earned = now.duration_since(bucket.at).as_secs_f64() * bucket.per_second;
        bucket.tokens = (bucket.tokens + earned).min(bucket.per_second);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return true;
        }
        bucket.tokens -= 1.0;
        false
    }
}
