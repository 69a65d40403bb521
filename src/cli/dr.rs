//! `dr`: which store and region holds which generation of each secret, and what is behind; with
//! `--heal` it is brought up to date by what a sync does.
//!
//! Nothing is generated here, whatever is missing: a value comes from a place that holds it. A primary
//! that cannot be reached is stepped over with `--promote-primary`, for this run.

use serde_json::{Value as Json, json};

use super::args::DrArgs;
use super::console::Tone;
use super::exit::Exit;
use super::session::{self, Session};
use super::show::plural;
use super::sync::Job;
use crate::apply::LedgerError;
use crate::diagnostic::{nearest, quote};
use crate::manifest::{Manifest, ProviderBlock, Target};
use crate::pipeline::{Depth, Prepared};
use crate::plan::recovery::{Holding, State, behind, holdings};
use crate::plan::{Action, Next, Options, SecretPlan};
use crate::target::TargetSettings;

/// `secretzero dr`.
pub(super) async fn dr(session: &Session, args: &DrArgs) -> Result<Exit, Exit> {
    let heal = args.heal || args.promote_primary.is_some();
    let options = Options { heal, ..Options::default() };
    let mut job = Job::open(session, session::Depth::NAMES, &args.stores, options, heal)?;
    if let Some(name) = &args.promote_primary {
        promote(session, &mut job.workspace.manifest, name)?;
    }
    let mut exit = Exit::Done;
    let mut healed = 0;
    if heal {
        let mut prepared = job.prepare(Depth::Apply).await;
        prepared.retain(is_healable);
        let changes = prepared.plan.targets().filter(|(_, target)| target.action.is_change()).count();
        session.console.start_bar(changes as u64, "targets");
        let outcome = job.apply(&prepared).await;
        session.console.end_bar();
        let outcome = outcome?;
        healed = changes.saturating_sub(outcome.failures());
        match &outcome.saved {
            Some(Ok(true)) => session.console.line(&format!("{} Updated {}", good(session), job.ledger_name())),
            Some(Err(error)) => exit = not_saved(session, error),
            _ => {}
        }
        job.reopen()?;
    }
    let prepared = job.prepare(Depth::Certain).await;
    job.close().await;
    let behind = behind(&prepared.views, &prepared.plan);
    if behind > 0 {
        exit = Exit::Partial;
    }
    tell(session, &prepared, behind, heal);
    if let Some(name) = args.promote_primary.as_deref() {
        let note = "the next run begins with the declared primary again, unless another target says `primary: true`";
        session.console.note(&format!("{} {} is the primary in this run; {note}", warn(session), quote(name)));
    }
    if session.console.is_json() {
        let secrets: Vec<Json> = secrets(&prepared).collect();
        let document = json!({ "secrets": secrets, "behind": behind, "healed": healed, "exit_code": exit as u8 });
        session.console.json(&document);
    }
    Ok(exit)
}

fn good(session: &Session) -> String {
    session.console.paint(Tone::Good, "✓")
}

fn warn(session: &Session) -> String {
    session.console.paint(Tone::Warn, "!")
}

fn not_saved(session: &Session, error: &LedgerError) -> Exit {
    session.complain(&error.to_string(), "what was written is safe: the next run reads it from the stores");
    Exit::NotSaved
}

/// What may be healed: nothing that would make a new value.
fn is_healable(plan: &SecretPlan) -> bool {
    let changes = plan.targets.iter().any(|target| target.action.is_change());
    let copies = plan.targets.iter().any(|target| target.action == Action::ReplicaCheck);
    plan.next == Next::Keep && plan.hold.is_none() && plan.generation.is_some() && (changes || copies)
}

/// What `--promote-primary` may call a target: the alias of its provider, its region or vault, its name.
fn names<'t>(providers: &'t [ProviderBlock], target: &'t Target) -> Vec<&'t str> {
    let block = providers.get(target.provider);
    let alias = block.map(|block| block.alias.value.as_str());
    let region = block.and_then(|block| block.setting("region"));
    let vault = match &target.settings {
        TargetSettings::KeyVault(settings) => Some(settings.vault_url.as_str()),
        _ => None,
    };
    [alias, region, vault, Some(target.settings.name())].into_iter().flatten().collect()
}

/// Makes every target that a name means the primary of its secret.
fn promote(session: &Session, manifest: &mut Manifest, name: &str) -> Result<(), Exit> {
    let Manifest { providers, secrets, .. } = manifest;
    let mut known: Vec<String> = Vec::new();
    let (mut found, mut copies) = (false, false);
    for secret in secrets {
        known.extend(secret.targets.iter().flat_map(|target| names(providers, target)).map(str::to_owned));
        let called = |target: &Target| names(providers, target).contains(&name);
        let can = |target: &Target| target.settings.kind().primary_rank().is_some() && target.replica_of.is_none();
        let Some(chosen) = secret.targets.iter().position(|target| can(target) && called(target)) else {
            copies |= secret.targets.iter().any(|target| target.replica_of.is_some() && called(target));
            continue;
        };
        found = true;
        for (index, target) in secret.targets.iter_mut().enumerate() {
            target.primary = index == chosen;
        }
    }
    if found {
        return Ok(());
    }
    if copies {
        let reason = format!("{} is a copy that AWS keeps, which cannot be written", quote(name));
        let help = "make it a secret of its own with `aws secretsmanager stop-replication-to-replica`, take its region \
                    out of `replica_regions`, and run again";
        return Err(session.fail(Exit::Error, &reason, help));
    }
    let near = nearest(name, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`? "));
    let help = "name the alias of a provider, a region, or the name of a target";
    let reason = format!("no target is called {}", quote(name));
    Err(session.fail(Exit::Error, &reason, &format!("{}{help}", near.unwrap_or_default())))
}

fn tell(session: &Session, prepared: &Prepared<'_>, behind: usize, healed: bool) {
    let console = &session.console;
    let mut places = 0;
    for (view, plan) in prepared.views.iter().zip(&prepared.plan.secrets) {
        let title = match &plan.generation {
            Some(generation) => {
                format!(
                    "{}: generation {} of {}",
                    plan.name,
                    generation.number,
                    generation.created.strftime("%Y-%m-%d")
                )
            }
            None => format!("{}: no generation of ours stands anywhere", plan.name),
        };
        console.line(&title);
        for holding in holdings(view, plan) {
            places += usize::from(holding.state != State::LeftOut);
            console.line(&line(session, &holding));
        }
        if let Some(hold) = &plan.hold {
            console.line(&format!("  {} {}", console.paint(Tone::Dim, "help:"), hold.help));
        }
    }
    if behind == 0 {
        console.line(&format!("{} {} hold what is in force", good(session), plural(places, "place")));
        return;
    }
    let next = if healed {
        "what is left is for `secretzero sync`, or for a person"
    } else {
        "`secretzero dr --heal` brings up to date what can be"
    };
    console.note(&format!("{} {behind} of {} not as they should be; {next}", warn(session), plural(places, "place")));
}

fn line(session: &Session, holding: &Holding) -> String {
    let Holding { kind, name, whereabouts, primary, generation, state, why, line } = holding;
    let mark = match state {
        State::LeftOut => session.console.paint(Tone::Dim, "·"),
        state if state.is_behind() => session.console.paint(Tone::Bad, "✗"),
        _ => good(session),
    };
    let at = if whereabouts.is_empty() { String::new() } else { format!(" {whereabouts}") };
    let mut said = Vec::new();
    said.extend(generation.map(|generation| format!("generation {generation}")));
    match state {
        State::InForce if *primary => said.push("primary".to_owned()),
        State::InSync => said.push("a copy in sync".to_owned()),
        State::InForce if generation.is_none() => said.push("as declared".to_owned()),
        State::InForce => {}
        _ if why.is_empty() => said.push(state.as_str().replace('_', " ")),
        _ => said.push(why.clone()),
    }
    let place = if state.is_behind() { format!(" (line {line})") } else { String::new() };
    format!("  {mark} {}{at} ({name}): {}{place}", kind.title(), said.join(", "))
}

fn secrets<'p>(prepared: &'p Prepared<'_>) -> impl Iterator<Item = Json> + 'p {
    let holding = |holding: Holding| {
        json!({
            "kind": holding.kind.as_str(),
            "name": holding.name,
            "where": holding.whereabouts,
            "primary": holding.primary,
            "generation": holding.generation,
            "state": holding.state.as_str(),
            "why": holding.why,
            "line": holding.line,
        })
    };
    prepared.views.iter().zip(&prepared.plan.secrets).map(move |(view, plan)| {
        json!({
            "name": plan.name,
            "generation": plan.generation.as_ref().map(|generation| generation.number),
            "places": holdings(view, plan).into_iter().map(holding).collect::<Vec<_>>(),
        })
    })
}
