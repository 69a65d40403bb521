//! `sync`, `rotate` and `refresh`: plan, show, and unless it is a dry run, apply.

use std::collections::BTreeMap;

use serde_json::json;

use super::args::{RotateArgs, StoreArgs, SyncArgs};
use super::console::Tone;
use super::exit::Exit;
use super::progress::Blocks;
use super::report;
use super::session::{Depth, Session, Workspace, selects};
use super::show::{self, Page};
use crate::apply::{FileLedger, Ledger, Opened, Outcome, Run, apply};
use crate::diagnostic::Severity;
use crate::manifest::Secret;
use crate::pipeline::{self, Prepared, Request, prepare};
use crate::plan::{Action, Cause, Identities, Next, Options, Plan, Scope, SecretPlan, Stores};
use crate::policy;

/// `secretzero sync`.
pub(super) async fn sync(session: &Session, args: &SyncArgs) -> Result<Exit, Exit> {
    let options = Options { adopt: args.adopt, overwrite: args.overwrite, force: args.force, ..Options::default() };
    let job = Job::open(session, Depth::VALUES, &args.stores, options, !args.dry_run)?;
    job.policies();
    let prepared = job.prepare(depth(args.dry_run)).await;
    job.run(prepared, args.dry_run, args.detailed_exitcode, kept).await
}

/// `secretzero rotate`: what is due, and what an earlier rotation left behind.
pub(super) async fn rotate(session: &Session, args: &RotateArgs) -> Result<Exit, Exit> {
    let attended = !args.stores.secret.is_empty();
    let options = Options { force: args.force, rotate_due: true, attended, ..Options::default() };
    let job = Job::open(session, Depth::VALUES, &args.stores, options, !args.dry_run)?;
    job.no_external(&args.stores.secret)?;
    let mut prepared = job.prepare(depth(args.dry_run)).await;
    let next = next_due(&prepared.plan);
    prepared.retain(|plan| is_rotation(plan) || is_overdue(plan) || (args.force && has_held(plan)));
    let mut later = rotations(&prepared.plan);
    prepared.limit_rotations(args.max_rotations.unwrap_or(usize::MAX));
    let now = rotations(&prepared.plan);
    later.retain(|name| !now.contains(name));
    let exit = job.run(prepared, args.dry_run, args.detailed_exitcode, |_| next.clone()).await?;
    if !later.is_empty() {
        let (mark, names) = (session.console.paint(Tone::Warn, "!"), later.join(", "));
        session.console.note(&format!("{mark} still due, but more than `--max-rotations` allows in one run: {names}"));
    }
    Ok(exit)
}

fn rotations(plan: &Plan) -> Vec<String> {
    let rotated = plan.secrets.iter().filter(|secret| matches!(secret.next, Next::Rotate(_)));
    rotated.map(|secret| secret.name.clone()).collect()
}

/// What `rotate` must tell though it changes nothing: what is held, or due and not for it to do.
fn is_overdue(plan: &SecretPlan) -> bool {
    let idle = !plan.targets.iter().any(|target| target.action.is_change());
    plan.hold.is_some() || (idle && plan.due.is_some_and(|due| due.overdue))
}

/// Whether a place is held, or could not be asked: what was to be rotated and is not must be told.
fn has_held(plan: &SecretPlan) -> bool {
    plan.targets.iter().any(|target| target.action == Action::Held)
}

/// What `rotate` says when it has nothing to do.
fn next_due(plan: &Plan) -> String {
    let dues = plan.secrets.iter().filter_map(|secret| Some((secret.due?, &secret.name)));
    match dues.filter(|(due, _)| !due.overdue && due.unattended).min_by_key(|(due, name)| (due.at, *name)) {
        Some((due, name)) => format!("Nothing is due; the next is {name} on {}", due.at.strftime("%Y-%m-%d")),
        None => "Nothing is due".to_owned(),
    }
}

const fn depth(dry_run: bool) -> pipeline::Depth {
    if dry_run { pipeline::Depth::Plan } else { pipeline::Depth::Apply }
}

/// What `sync` says when it has nothing to do.
fn kept(plan: &Plan) -> String {
    let kept = plan.targets().filter(|(_, target)| target.action == Action::Keep && !target.drifted).count();
    format!("Nothing to change; {} as declared", show::plural(kept, "target"))
}

/// Whether `rotate` works on a secret.
pub(super) fn is_rotation(plan: &SecretPlan) -> bool {
    matches!(plan.next, Next::Rotate(_)) || plan.targets.iter().any(|target| target.action == Action::Heal)
}

/// `secretzero refresh`.
pub(super) async fn refresh(session: &Session, args: &StoreArgs) -> Result<Exit, Exit> {
    let job = Job::open(session, Depth::NAMES, args, Options::default(), true)?;
    let mut prepared = prepare(&job.request(), pipeline::Depth::Plan).await;
    only_look(&mut prepared.plan);
    let outcome = job.apply(&prepared).await;
    job.close().await;
    let outcome = outcome?;
    job.page().asides(&prepared.plan, Some(&outcome));
    let known = outcome.lock.secrets.len();
    let mark = session.console.paint(Tone::Good, "✓");
    session.console.line(&format!("{mark} {} found in the stores", show::plural(known, "secret")));
    job.finish(&prepared.plan, &outcome)
}

/// Leaves nothing to do but to note what stands.
fn only_look(plan: &mut Plan) {
    for secret in &mut plan.secrets {
        secret.next = Next::Keep;
        for target in &mut secret.targets {
            let behind = !matches!(target.action, Action::Keep | Action::Metadata);
            target.action = if behind { Action::LeftOut } else { Action::Keep };
            target.changes.clear();
        }
    }
}

/// A command that plans and may write: the Secretfile, its stores and its lock.
pub(super) struct Job<'a> {
    session: &'a Session,
    pub(super) workspace: Workspace,
    stores: Stores,
    identities: Identities,
    ledger: FileLedger,
    opened: Opened,
    scope: Scope,
    options: Options,
}

impl<'a> Job<'a> {
    pub(super) fn open(
        session: &'a Session,
        depth: Depth,
        args: &StoreArgs,
        options: Options,
        writes: bool,
    ) -> Result<Self, Exit> {
        let workspace = session.open(depth)?;
        let scope = session.scope(&workspace.manifest, args)?;
        let stores = session.reach(&workspace, &scope, args)?;
        session.warned(&workspace);
        let ledger = session.ledger(&workspace, writes)?;
        let opened = ledger.open().map_err(|error| session.ledger_failed(&error))?;
        if let Some(warning) = &opened.warning {
            session.console.note(&format!("{} {warning}", session.console.paint(Tone::Warn, "!")));
        }
        let identities = Identities::of(&workspace.manifest, session.environment_name().unwrap_or_default(), None);
        Ok(Self { session, workspace, stores, identities, ledger, opened, scope, options })
    }

    /// Whoever asks by name for a new value of an external secret is told who makes it.
    fn no_external(&self, named: &[String]) -> Result<(), Exit> {
        let secrets = &self.workspace.manifest.secrets;
        let found = secrets.iter().find(|secret| named.contains(&secret.name.value) && secret.source.is_external());
        let Some(secret) = found else { return Ok(()) };
        let reason = format!("`{}` is external: its value is made elsewhere, never here", secret.name.value);
        let help = "put a new value there yourself; the next `secretzero sync --adopt` takes it over and copies it";
        Err(self.session.fail(Exit::Error, &reason, help))
    }

    fn request(&self) -> Request<'_> {
        Request {
            manifest: &self.workspace.manifest,
            stores: &self.stores,
            identities: &self.identities,
            opened: &self.opened,
            scope: &self.scope,
            options: self.options,
            clock: self.session.clock.as_ref(),
            entropy: self.session.entropy.as_ref(),
        }
    }

    /// At a terminal a broken policy is told, not enforced: the person who runs it decides.
    fn policies(&self) {
        let findings = policy::check(&self.workspace.manifest);
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        if errors > 0 {
            let console = &self.session.console;
            let (mark, what) = (console.paint(Tone::Warn, "!"), show::plural(errors, "policy error"));
            console.note(&format!("{mark} {what}; `secretzero policy` shows more"));
        }
    }

    pub(super) async fn prepare(&self, depth: pipeline::Depth) -> Prepared<'_> {
        self.session.console.start_spinner("looking at the stores");
        let mut prepared = prepare(&self.request(), depth).await;
        self.session.console.end_bar();
        // A secret without a selected target is not meant.
        let manifest = &self.workspace.manifest;
        let meant = |secret: &Secret| secret.targets.iter().any(|target| selects(manifest, &self.scope, target));
        prepared.retain(|plan| manifest.secrets.get(plan.index).is_none_or(meant));
        prepared
    }

    fn page(&self) -> Page<'_> {
        let (console, file) = (&self.session.console, self.workspace.source.name.as_str());
        Page { console, file, verbose: self.session.common.verbose > 0 }
    }

    /// Shows the plan, or does it; `idle` is what to say if nothing is to be done.
    async fn run(
        &self,
        prepared: Prepared<'_>,
        dry_run: bool,
        detailed: bool,
        idle: impl Fn(&Plan) -> String,
    ) -> Result<Exit, Exit> {
        let (plan, console, page) = (&prepared.plan, &self.session.console, self.page());
        let changes = plan.targets().filter(|(_, target)| target.action.is_change()).count();
        let idle = (changes == 0 && held(plan) == Exit::Done).then(|| idle(plan));
        if dry_run {
            page.dry_run(plan);
            page.estimate(plan, &self.workspace.manifest);
            self.idle(idle);
            page.asides(plan, None);
            page.unfinished(plan, None);
            self.close().await;
            let exit = match held(plan) {
                Exit::Done if detailed && plan.has_changes() => Exit::Pending,
                exit => exit,
            };
            if console.is_json() {
                let estimate = report::estimate(plan, &self.workspace.manifest);
                let plan = report::plan(plan);
                console.json(&json!({ "dry_run": true, "plan": plan, "estimate": estimate, "exit_code": exit as u8 }));
            }
            return Ok(exit);
        }
        console.start_bar(changes as u64, "targets");
        let outcome = self.apply(&prepared).await;
        self.close().await;
        console.end_bar();
        let outcome = outcome?;
        page.unchanged(plan);
        self.idle(idle);
        page.asides(plan, Some(&outcome));
        self.finish(plan, &outcome)
    }

    fn idle(&self, idle: Option<String>) {
        if let Some(text) = idle {
            let console = &self.session.console;
            console.line(&format!("{} {text}", console.paint(Tone::Good, "✓")));
        }
    }

    /// Reads the lock again, as this run has left it.
    pub(super) fn reopen(&mut self) -> Result<(), Exit> {
        self.opened = self.ledger.open().map_err(|error| self.session.ledger_failed(&error))?;
        Ok(())
    }

    /// How a person knows the lock.
    pub(super) fn ledger_name(&self) -> String {
        self.ledger.name()
    }

    pub(super) async fn apply(&self, prepared: &Prepared<'_>) -> Result<Outcome, Exit> {
        let blocks = Blocks::new(&self.session.console, &prepared.plan);
        let outcome = apply(Run {
            views: &prepared.views,
            plan: &prepared.plan,
            values: prepared.values.clone(),
            allowed: BTreeMap::new(),
            stores: &self.stores,
            lock: self.opened.lock.clone(),
            ledger: &self.ledger,
            clock: self.session.clock.as_ref(),
            entropy: self.session.entropy.as_ref(),
            progress: &blocks,
        })
        .await;
        blocks.finish();
        outcome.map_err(|error| self.session.ledger_failed(&error))
    }

    /// Gives back what the stores lent.
    pub(super) async fn close(&self) {
        for store in self.stores.iter().flatten() {
            store.close().await;
        }
    }

    /// Tells about the lock and gives the exit code.
    fn finish(&self, plan: &Plan, outcome: &Outcome) -> Result<Exit, Exit> {
        let console = &self.session.console;
        let mut exit = verdict(plan, outcome);
        match &outcome.saved {
            Some(Ok(true)) => {
                console.line(&format!("{} Updated {}", console.paint(Tone::Good, "✓"), self.ledger.name()));
            }
            Some(Err(error)) => {
                let help = "what was written is safe: the next run reads it from the stores";
                self.session.complain(&error.to_string(), help);
                exit = Exit::NotSaved;
            }
            _ => {}
        }
        self.page().unfinished(plan, Some(outcome));
        if console.is_json() {
            console.json(&json!({
                "dry_run": false,
                "plan": report::plan(plan),
                "result": report::outcome(plan, outcome),
                "exit_code": exit as u8,
            }));
        }
        Ok(exit)
    }
}

/// The exit code of what could not be planned.
#[must_use]
pub(super) fn held(plan: &Plan) -> Exit {
    let targets = plan.targets().any(|(_, target)| target.action == Action::Held);
    let causes: Vec<Cause> = plan.held().map(|(_, hold)| hold.cause).collect();
    let all = |cause: &[Cause]| !causes.is_empty() && causes.iter().all(|c| cause.contains(c));
    if all(&[Cause::NotBuilt, Cause::Invalid]) {
        return Exit::Error;
    }
    if all(&[Cause::Review]) {
        return Exit::Stale;
    }
    if all(&[Cause::Store]) && causes.len() == plan.secrets.len() {
        return Exit::Provider;
    }
    if targets || !causes.is_empty() { Exit::Partial } else { Exit::Done }
}

/// The exit code of a run.
#[must_use]
pub(super) fn verdict(plan: &Plan, outcome: &Outcome) -> Exit {
    match held(plan) {
        Exit::Done if outcome.failures() > 0 => Exit::Partial,
        exit => exit,
    }
}
