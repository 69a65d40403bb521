//! Values that a run needs of the stores: to copy them to other targets, and to compare the declared
//! parts. Read in batches; never in a plan.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::secret::no_answer;
use crate::clock::Entropy;
use crate::generate::generate;
use crate::manifest::{GeneratorKind, Source};
use crate::plan::observe::place_at;
use crate::plan::{Action, Next, Plan, Revision, SecretPlan, SecretView, Seen, Stores};
use crate::provider::{Error, ErrorKind, Provider, Result, Stored};
use crate::secret::Value;
use crate::takes;
use crate::target::Place;

/// Whether the stored value must be read to know if the declaration was edited.
#[must_use]
pub fn is_declared(source: &Source) -> bool {
    match source {
        Source::Single(generator) => matches!(generator.kind, GeneratorKind::Static(_)),
        Source::Template(_) => true,
    }
}

/// Reads the values in force of these positions, all stores at once.
pub async fn read(
    views: &[SecretView<'_>],
    plan: &Plan,
    stores: &Stores,
    wanted: impl Fn(&SecretView<'_>, &SecretPlan) -> bool,
) -> BTreeMap<usize, Result<Stored>> {
    let mut questions: BTreeMap<usize, Vec<(usize, Place)>> = BTreeMap::new();
    for (position, (view, plan)) in views.iter().zip(&plan.secrets).enumerate() {
        if !wanted(view, plan) {
            continue;
        }
        let Some(source) = plan.source else { continue };
        if let Some((provider, place)) = place_at(view, stores, source) {
            questions.entry(provider).or_default().push((position, place));
        }
    }
    let answers = join_all(questions.iter().map(|(provider, questions)| async move {
        let places: Vec<&Place> = questions.iter().map(|(_, place)| place).collect();
        let answers = match stores.get(*provider).and_then(Option::as_ref) {
            Some(store) => store.read(&places).await,
            None => Vec::new(),
        };
        let answers = questions.iter().zip(answers).map(|((position, place), answer)| {
            let source = views.get(*position).map(|view| &view.secret.source);
            (
                *position,
                answer.and_then(|stored| source.map_or(Err(no_answer()), |source| meant(source, place, stored))),
            )
        });
        answers.collect::<Vec<_>>()
    }));
    answers.await.into_iter().flatten().collect()
}

/// The current value of one place.
///
/// # Errors
/// The store's, and [`ErrorKind::Invalid`] if it should be base64 and is not.
pub async fn read_one(source: &Source, store: &dyn Provider, place: &Place) -> Result<Stored> {
    meant(source, place, store.read(&[place]).await.pop().unwrap_or_else(|| Err(no_answer()))?)
}

/// What was read, as the secret means it.
fn meant(source: &Source, place: &Place, stored: Stored) -> Result<Stored> {
    let Stored { value, version } = stored;
    let value = takes::meant(&place.settings, source.encoding(), value).ok_or_else(|| {
        let (title, name) = (place.settings.kind().title(), place.settings.name());
        let message = format!("what {title} `{name}` holds is not base64, as `encoding: base64` says");
        Error::new(ErrorKind::Invalid, message)
    })?;
    Ok(Stored { value, version })
}

/// Whether a secret's value in force is needed by its plan.
#[must_use]
pub fn is_needed(plan: &SecretPlan) -> bool {
    if plan.hold.is_some() {
        return false;
    }
    let mut targets = plan.targets.iter().filter(|target| target.kind.holds_value());
    let copies = targets
        .any(|target| matches!(target.action, Action::Spread | Action::Heal | Action::Overwrite | Action::Adopt));
    matches!(plan.next, Next::Revise(_) | Next::Adopt(_)) || (plan.next == Next::Keep && copies)
}

/// Whether the place that holds the value in force must be taken back from its scheduled deletion
/// before it can be read: a declared target that the plan restores, or a former place.
#[must_use]
pub fn is_taken_back(view: &SecretView<'_>, plan: &SecretPlan) -> bool {
    let Some(source) = plan.source else { return false };
    match (plan.targets.get(source), view.earlier.get(source.wrapping_sub(view.targets.len()))) {
        (Some(target), _) => target.restore,
        (None, former) => matches!(former.map(|f| &f.seen), Some(Seen::Present(seen)) if seen.pending_deletion),
    }
}

/// Asks a store that gives no values back whether it holds the declared one, if nothing of it is
/// generated; and the declared value, which is then known to stand there or not.
pub async fn compared(
    view: &SecretView<'_>,
    plan: &SecretPlan,
    stores: &Stores,
    entropy: &dyn Entropy,
) -> Option<(Revision, Value)> {
    let fixed = match &view.secret.source {
        Source::Single(generator) => matches!(generator.kind, GeneratorKind::Static(_)),
        Source::Template(fields) => fields.iter().all(|field| matches!(field.generator.kind, GeneratorKind::Static(_))),
    };
    let declared = generate(&view.secret.source, None, entropy).ok().filter(|_| fixed)?;
    let (provider, place) = place_at(view, stores, plan.source?)?;
    let holds = stores.get(provider)?.as_ref()?.holds(&place, &declared).await.ok()??;
    Some((if holds { Revision::Same } else { Revision::Differs }, declared))
}

/// Compares the declared parts of a stored value with the declaration.
#[must_use]
pub fn revision(source: &Source, stored: &Value, entropy: &dyn Entropy) -> Revision {
    match generate(source, Some(stored), entropy) {
        Ok(wanted) if wanted.matches(stored) => Revision::Same,
        Ok(_) => Revision::Differs,
        // It cannot be made now; the run that must make it says why.
        Err(_) => Revision::Unread,
    }
}
