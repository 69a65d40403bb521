//! What may go wrong before a request is carried out: rights, quotas, planned faults, power cuts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Refusal;

/// Calls that Google counts against one quota (<https://cloud.google.com/secret-manager/quotas>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Reads,
    Writes,
    Accesses,
}

impl Class {
    pub(super) fn of(permission: &str) -> Self {
        match permission {
            "versions.access" => Self::Accesses,
            "testIamPermissions" | "secrets.get" | "secrets.list" | "versions.get" | "versions.list" => Self::Reads,
            _ => Self::Writes,
        }
    }
}

/// How a call goes wrong.
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

/// Which call goes wrong, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nth {
    /// Among those that change something.
    Effect(usize),
    /// Among all.
    Call(usize),
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
    /// Permissions that nobody has, or `<permission> <id>` on one secret.
    pub(super) denied: BTreeSet<String>,
    /// If set, the only permissions there are.
    pub(super) granted: Option<BTreeSet<String>>,
    pub(super) throttled: usize,
    pub(super) effects: usize,
    pub(super) calls: usize,
    pub(super) victim: Option<u32>,
    quotas: BTreeMap<Class, Bucket>,
    planned: Option<(Nth, Fault)>,
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

    pub(super) fn plan(&mut self, nth: Nth, fault: Fault) {
        self.revive();
        (self.effects, self.calls) = (0, 0);
        self.planned = Some((nth, fault));
    }

    pub(super) fn revive(&mut self) {
        self.dead = false;
        self.planned = None;
        self.victim = None;
    }

    /// Whether the rights allow it.
    pub(super) fn allows(&self, permission: &str, id: &str) -> bool {
        let granted = self.granted.as_ref().is_none_or(|granted| granted.contains(permission));
        granted && !self.denied.contains(permission) && !self.denied.contains(&format!("{permission} {id}"))
    }

    pub(super) fn judge(&mut self, permission: &str, id: &str) -> Verdict {
        if self.dead {
            return Verdict::HangUp { acted: false };
        }
        let class = Class::of(permission);
        if self.over_quota(class) {
            self.throttled += 1;
            return Verdict::Refuse(Refusal::throttled());
        }
        // Everybody may ask for what they may do themselves.
        if permission != "testIamPermissions" && !self.allows(permission, id) {
            return Verdict::Refuse(Refusal::new(403, "PERMISSION_DENIED"));
        }
        self.calls += 1;
        self.effects += usize::from(class == Class::Writes);
        let (calls, effects) = (self.calls, self.effects);
        let due = |nth: &Nth| match nth {
            Nth::Call(call) => *call == calls,
            Nth::Effect(effect) => class == Class::Writes && *effect == effects,
        };
        let Some((_, fault)) = self.planned.take_if(|(nth, _)| due(nth)) else { return Verdict::Act };
        self.cutting = matches!(fault, Fault::CutBefore | Fault::CutAfter);
        match fault {
            Fault::CutBefore => Verdict::HangUp { acted: false },
            Fault::CutAfter | Fault::LostReply => Verdict::HangUp { acted: true },
            Fault::Twice => Verdict::ActTwice,
            Fault::Status(status, code) => Verdict::Refuse(Refusal::new(status, code)),
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
