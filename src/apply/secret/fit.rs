//! A value goes to all targets of a secret or to none: whoever cannot hold it is found before the
//! first write.

use std::borrow::Cow;

use super::Job;
use crate::plan::{Seen, TargetPlan};
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::Value;
use crate::takes::{Takes, held};

impl Job<'_> {
    /// Refuses a value that one of the targets does not take, filtered out or not: it would never have it.
    pub(super) fn fits_everywhere(&self, value: &Value) -> Result<()> {
        let copies = |target: &TargetPlan| {
            self.view.targets.get(target.index).is_some_and(|view| matches!(view.seen, Seen::Replica))
        };
        let mut targets = self.plan.targets.iter().filter(|target| !copies(target));
        targets.try_for_each(|target| {
            let refused = |error: Error| {
                let (title, name, line) = (target.kind.title(), &target.name, target.span.line);
                let message = format!("{title} `{name}` (line {line}): {error}; nothing was written anywhere");
                Error::new(error.kind, message)
            };
            self.held(target, value).map(drop).map_err(refused)
        })
    }

    /// The value as a target holds it, if it can.
    pub(super) fn held<'v>(&self, target: &TargetPlan, value: &'v Value) -> Result<Cow<'v, Value>> {
        let Some(declared) = self.view.secret.targets.get(target.index) else { return Ok(Cow::Borrowed(value)) };
        let value = held(&declared.settings, self.view.secret.source.encoding(), value);
        match Takes::of(&declared.settings).and_then(|takes| takes.refuses(&value)) {
            Some(unfit) => Err(Error::new(ErrorKind::Invalid, format!("{}; {}", unfit.why, unfit.help))),
            None => Ok(value),
        }
    }
}
