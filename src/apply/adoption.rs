//! Whether what stands at the targets may be taken over: it must be what the declaration says, and the
//! targets must agree, or somebody must have named the one that counts. Values are compared, never shown.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::values::read_one;
use crate::generate::is_valid;
use crate::plan::observe::place_at;
use crate::plan::{Action, Cause, Hold, Next, Plan, SecretPlan, SecretView, Stores};
use crate::secret::Value;

/// The secrets of a plan whose adoption is refused, by position, and why. `values` are those that were
/// read to be taken over.
pub async fn refused(
    views: &[SecretView<'_>],
    plan: &Plan,
    stores: &Stores,
    values: &BTreeMap<usize, Value>,
) -> Vec<(usize, Hold)> {
    let secrets = views.iter().zip(&plan.secrets).enumerate().filter_map(|(position, (view, plan))| {
        let value = values.get(&position)?;
        matches!(plan.next, Next::Adopt(_)).then_some((position, view, plan, value))
    });
    let judged = secrets.map(|(position, view, plan, value)| async move {
        let hold = match unlike(view, plan, value) {
            Some(hold) => Some(hold),
            None => disagreement(view, plan, stores, value).await,
        };
        hold.map(|hold| (position, hold))
    });
    join_all(judged).await.into_iter().flatten().collect()
}

fn hold(view: &SecretView<'_>, plan: &SecretPlan, reason: String, help: &str) -> Hold {
    let target = plan.source.and_then(|source| view.targets.get(source));
    let span = target.map_or(view.secret.name.span, |target| target.span);
    Hold { reason, help: help.into(), span, cause: Cause::Decision }
}

/// The value breaks the declaration.
fn unlike(view: &SecretView<'_>, plan: &SecretPlan, value: &Value) -> Option<Hold> {
    let error = is_valid(&view.secret.source, value).err()?;
    let target = plan.source.and_then(|source| plan.targets.get(source))?;
    let reason = format!("what {} `{}` holds is not taken over: {error}", target.kind.title(), target.name);
    Some(hold(view, plan, reason, "nothing was written for this secret; mend one of the two and run again"))
}

/// The targets that would be taken over hold different values, and nobody named the one that counts.
async fn disagreement(view: &SecretView<'_>, plan: &SecretPlan, stores: &Stores, value: &Value) -> Option<Hold> {
    let source = plan.source?;
    if view.targets.get(source).is_some_and(|target| target.primary) {
        return None;
    }
    let others = plan.targets.iter().filter(|target| target.action == Action::Adopt && target.index != source);
    let read = join_all(others.map(|target| async move {
        let (provider, place) = place_at(view, stores, target.index)?;
        let store = stores.get(provider)?.as_ref()?;
        // One that cannot be read is left alone by the run and told then.
        Some((target.index, read_one(&view.secret.source, store.as_ref(), &place).await.ok()?.value))
    }));
    let mut groups: Vec<(Value, Vec<usize>)> = vec![(value.clone(), vec![source])];
    for (index, value) in read.await.into_iter().flatten() {
        match groups.iter_mut().find(|(known, _)| known.matches(&value)) {
            Some((_, places)) => places.push(index),
            None => groups.push((value, vec![index])),
        }
    }
    if groups.len() < 2 {
        return None;
    }
    let name = |index: &usize| {
        plan.targets.get(*index).map(|t| format!("{} `{}` (line {})", t.kind.title(), t.name, t.span.line))
    };
    let said = groups.iter().map(|(_, places)| places.iter().filter_map(name).collect::<Vec<_>>().join(" and "));
    let reason = format!(
        "its targets hold {} different values, so none is taken over: {}",
        groups.len(),
        said.collect::<Vec<_>>().join("; another in ")
    );
    let help = "name the one that counts with `primary: true`; its value is then taken over, and `--overwrite` replaces \
                the others";
    Some(hold(view, plan, reason, help))
}
