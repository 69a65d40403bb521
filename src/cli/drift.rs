//! `drift`: what stands in the stores differently from what SecretZero left there.
//!
//! It reads metadata only and writes nothing, not even the lock. Drift alone is no failure; a store
//! that cannot be looked at is one, since nobody knows then.

use serde_json::{Value, json};

use super::args::DriftArgs;
use super::console::Tone;
use super::exit::Exit;
use super::session::{Depth, Session, selects};
use super::show::{place, plural};
use crate::pipeline::{self, Request, prepare};
use crate::plan::drift::Drift;
use crate::plan::{Identities, Options, Plan, SecretPlan, TargetPlan};

/// `secretzero drift`.
pub(super) async fn drift(session: &Session, args: &DriftArgs) -> Result<Exit, Exit> {
    let workspace = session.open(Depth::NAMES)?;
    let scope = session.scope(&workspace.manifest, &args.stores)?;
    let stores = session.reach(&workspace, &scope, &args.stores)?;
    session.warned(&workspace);
    let opened = session.ledger(&workspace, false)?.open().map_err(|error| session.ledger_failed(&error))?;
    if let Some(warning) = &opened.warning {
        session.console.note(&format!("{} {warning}", session.console.paint(Tone::Warn, "!")));
    }
    let identities = Identities::of(&workspace.manifest, session.environment_name().unwrap_or_default(), None);
    let request = Request {
        manifest: &workspace.manifest,
        stores: &stores,
        identities: &identities,
        opened: &opened,
        scope: &scope,
        options: Options::default(),
        clock: session.clock.as_ref(),
        entropy: session.entropy.as_ref(),
    };
    session.console.start_spinner("looking at the stores");
    let mut prepared = prepare(&request, pipeline::Depth::Plan).await;
    session.console.end_bar();
    for store in stores.iter().flatten() {
        store.close().await;
    }
    let manifest = &workspace.manifest;
    prepared.retain(|plan| {
        let secret = manifest.secrets.get(plan.index);
        secret.is_none_or(|secret| secret.targets.iter().any(|target| selects(manifest, &scope, target)))
    });
    let drift = Drift::of(&prepared.views, &prepared.plan);
    tell(session, &workspace.source.name, &prepared.plan, &drift);
    let exit = exit(&drift, args.detailed_exitcode);
    if session.console.is_json() {
        let mut document = report(&prepared.plan, &drift);
        if let Some(fields) = document.as_object_mut() {
            fields.insert("exit_code".into(), json!(exit as u8));
        }
        session.console.json(&document);
    }
    Ok(exit)
}

/// How the process ends.
#[must_use]
pub(super) const fn exit(drift: &Drift, detailed: bool) -> Exit {
    match (drift.unknown.is_empty(), drift.found.is_empty(), detailed) {
        (false, _, _) => Exit::Provider,
        (true, false, true) => Exit::Pending,
        _ => Exit::Done,
    }
}

fn tell(session: &Session, file: &str, plan: &Plan, drift: &Drift) {
    let console = &session.console;
    for finding in &drift.found {
        let Some((secret, target)) = at(plan, finding.secret, finding.target) else { continue };
        let (mark, place) = (console.paint(Tone::Warn, "!"), place(target.kind, &target.name));
        let line = format!("{file}:{}", target.span.line);
        console.line(&format!("{mark} {} → {place}: {} ({line})", secret.name, finding.said));
        console.line(&format!("  {} {}", console.paint(Tone::Dim, "help:"), finding.help));
    }
    for unknown in &drift.unknown {
        let Some((secret, target)) = at(plan, unknown.secret, unknown.target) else { continue };
        let text = super::show::failed(&secret.name, target.kind, &target.name, &unknown.reason);
        console.note(&format!("{} {text}", console.paint(Tone::Bad, "✗")));
    }
    let looked = drift.ours;
    match drift.found.len() {
        0 if drift.unknown.is_empty() => {
            let mark = console.paint(Tone::Good, "✓");
            console.line(&format!("{mark} No drift; {} as SecretZero left them", plural(looked, "target")));
        }
        0 => {}
        found => console.line(&format!("{} of {looked} not as SecretZero left them", plural(found, "target"))),
    }
    if !drift.unknown.is_empty() {
        let mark = console.paint(Tone::Warn, "!");
        console.note(&format!("{mark} {} could not be looked at", plural(drift.unknown.len(), "target")));
    }
}

/// A target with its secret, by position in the plan.
#[must_use]
pub(super) fn at(plan: &Plan, secret: usize, target: usize) -> Option<(&SecretPlan, &TargetPlan)> {
    let secret = plan.secrets.get(secret)?;
    Some((secret, secret.targets.get(target)?))
}

/// The same for machines.
#[must_use]
pub(super) fn report(plan: &Plan, drift: &Drift) -> Value {
    let place = |secret, target| {
        at(plan, secret, target).map(|(secret, target)| {
            json!({
                "secret": secret.name,
                "provider": target.provider,
                "kind": target.kind.as_str(),
                "name": target.name,
                "locator": target.locator.as_ref().map(|locator| locator.as_str()),
                "line": target.span.line,
            })
        })
    };
    let with = |place: Option<Value>, more: Value| {
        let mut place = place.unwrap_or_default();
        if let (Some(fields), Some(more)) = (place.as_object_mut(), more.as_object()) {
            fields.extend(more.clone());
        }
        place
    };
    let found = drift.found.iter().map(|one| {
        with(place(one.secret, one.target), json!({"drift": one.kind.as_str(), "why": one.said, "help": one.help}))
    });
    let unknown = drift.unknown.iter().map(|one| with(place(one.secret, one.target), json!({ "why": one.reason })));
    json!({ "drifted": found.collect::<Vec<_>>(), "unknown": unknown.collect::<Vec<_>>() })
}
