//! `kind: rotation`: every secret says how often it changes, and often enough.

use super::{Breach, Finding, ONE_TIME};
use crate::diagnostic::{Severity, Span};
use crate::manifest::{Period, Secret};

/// A secret whose period is missing or longer than allowed. A `one_time` secret is no exception: who
/// requires periods does not want a word that turns them off.
pub(super) fn check(secret: &Secret, require_period: bool, max_age: Option<&Period>) -> Vec<(Span, Breach)> {
    let name = &secret.name.value;
    let Some(period) = &secret.rotation_period else {
        let breach = || Breach {
            rule: "rotation-period-required",
            message: format!("`{name}` declares no rotation_period"),
            help: format!("add `rotation_period: {}` to it", max_age.map_or("90d", |max| &max.text)),
        };
        return require_period.then(|| (secret.name.span, breach())).into_iter().collect();
    };
    let too_long = max_age.filter(|max| period.value.seconds > max.seconds).map(|max| Breach {
        rule: "rotation-max-age",
        message: format!("`{name}` rotates every {}, but the longest allowed is {}", period.value.text, max.text),
        help: format!("set `rotation_period: {}` or shorter, or raise max_age in the policy", max.text),
    });
    too_long.map(|breach| (period.span, breach)).into_iter().collect()
}

/// `one_time` wins over a period, which then promises what never happens.
pub(super) fn one_time(secret: &Secret) -> Option<Finding> {
    let period = secret.rotation_period.as_ref().filter(|_| secret.one_time)?;
    let name = &secret.name.value;
    Some(Finding {
        policy: ONE_TIME.to_owned(),
        rule: "one-time-rotation-period",
        severity: Severity::Warning,
        message: format!("`{name}` is one_time, so its rotation_period of {} never takes effect", period.value.text),
        help: Some(format!("remove one of the two; `secretzero rotate --secret {name}` rotates it by hand")),
        span: period.span,
        secret: Some(name.clone()),
        target: None,
    })
}
