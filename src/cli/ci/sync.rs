//! A push to the default branch is synced, a schedule rotates what is due; both say what they did.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Job;
use super::base::Reader;
use super::inputs::RequirePlan;
use super::pull_request::{desired, steering};
use super::read::Read;
use super::ref_ledger::{NoLedger, WAIT_MAX};
use super::reviewed::Reviewed;
use super::say::Check;
use super::unit::Unit;
use super::verdict::SUMMARY_ROWS_MAX;
use crate::apply::{Ledger, LedgerError, Opened, Outcome, Run, apply};
use crate::cli::exit::Exit;
use crate::cli::progress::Blocks;
use crate::cli::report;
use crate::cli::session::Workspace;
use crate::cli::sync::{is_rotation, verdict};
use crate::diagnostic::{Diagnostic, Severity};
use crate::forge::{Annotation, Conclusion};
use crate::manifest::{Credentials, Inputs, load};
use crate::pipeline::{self, Prepared, Request, prepare};
use crate::plan::digest::{PlanDigest, Subject, counts};
use crate::plan::review::{self, Unreviewed};
use crate::plan::{Action, Identities, Options, Plan, Scope, SecretPlan, Stores};
use crate::policy;
use crate::render::comment::ROWS_MAX;
use crate::render::outcome;
use crate::render::{code, words};

/// How often a run plans again because another one wrote while it planned.
const PLANS_AGAIN_MAX: u32 = 3;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bring every store in line.
    Sync,
    /// Make new values for what is due.
    Rotate,
}

/// A Secretfile that may be synced.
struct Checked {
    workspace: Workspace,
    /// Where its providers lead, for reviews.
    steering: Vec<String>,
    findings: Vec<Diagnostic>,
}

/// One Secretfile at work.
struct Work<'w> {
    workspace: &'w Workspace,
    steering: &'w [String],
    stores: Stores,
    identities: Identities,
    ledger: Box<dyn Ledger>,
    opened: Opened,
    scope: Scope,
    options: Options,
}

/// What a run of one Secretfile did.
struct Applied {
    plan: Plan,
    review: Review,
    outcome: Outcome,
}

impl Job<'_> {
    /// The whole job of a push, a schedule or a dispatch.
    pub(super) async fn sync(&self, kind: Kind) -> Result<Exit, Exit> {
        self.sync_since(kind, None).await
    }

    /// The same; `before` is the commit that the branch stood at before the push.
    pub(super) async fn sync_since(&self, kind: Kind, before: Option<&str>) -> Result<Exit, Exit> {
        if let Some(why) = self.not_the_tip().await? {
            self.say.notice(&why);
            self.say.output("changed", false);
            self.say.result("ok", None);
            return Ok(Exit::Done);
        }
        let mut exit = Exit::Done;
        let mut rotations_left = self.inputs.max_rotations;
        for unit in &self.units_or_refuse()? {
            exit = exit.max(self.sync_unit(kind, unit, before, &mut rotations_left).await.unwrap_or_else(|exit| exit));
        }
        exit = self.drift_beside(kind, exit).await;
        let result = match exit {
            Exit::Done | Exit::Pending => "ok",
            Exit::Partial => "partial",
            _ => "failed",
        };
        self.say.result(result, Some(exit));
        Ok(exit)
    }

    async fn sync_unit(
        &self,
        kind: Kind,
        unit: &Unit,
        before: Option<&str>,
        rotations_left: &mut usize,
    ) -> Result<Exit, Exit> {
        let checked = self.checked(unit).await?;
        let (mut patience, mut left) = (WAIT_MAX, PLANS_AGAIN_MAX);
        let Applied { plan, review, outcome } = loop {
            let work = self.begin(kind, unit, &checked, &mut patience).await?;
            match self.plan_and_apply(kind, unit, &work, before, *rotations_left).await {
                Ok(applied) => break applied,
                // Another run wrote since the lock was read, so the plan is of no use any more.
                Err(LedgerError::Busy(by)) if left > 0 => {
                    left -= 1;
                    if let Some(why) = self.not_the_tip().await? {
                        self.say.notice(&why);
                        self.say.either("changed", false);
                        return Ok(Exit::Done);
                    }
                    self.say.notice(&format!("another run was first at {by}: what is left is planned again"));
                }
                Err(error) => return Err(self.refuse_ledger(unit, &error).await),
            }
        };
        if kind == Kind::Rotate && self.named.is_empty() {
            *rotations_left -= plan.secrets.iter().filter(|plan| is_rotation(plan)).count();
        }
        let findings = &checked.findings;
        let exit = self.saved(verdict(&plan, &outcome), &outcome);
        let (plan, done) = (&plan, &outcome);
        self.tell(&Told { kind, unit, plan, done, exit, findings, review: &review }).await;
        Ok(exit)
    }

    /// Opens the lock, waiting for another run while there is patience, and connects to the stores.
    async fn begin<'w>(
        &self,
        kind: Kind,
        unit: &Unit,
        checked: &'w Checked,
        patience: &mut Duration,
    ) -> Result<Work<'w>, Exit> {
        let (ledger, opened) = match self.ledger(unit, Some((kind, patience))).await {
            Ok(opened) => opened,
            Err(error) => return Err(self.refuse_ledger(unit, &error).await),
        };
        if let Some(warning) = &opened.warning {
            self.say.warning(warning);
        }
        if let Some(why) = self.backwards(&opened).await {
            return Err(self.refuse_backwards(unit, &why).await);
        }
        let workspace = &checked.workspace;
        Ok(Work {
            workspace,
            steering: &checked.steering,
            stores: self.session.connect(workspace, &self.store_args(), Some(kind.phase())),
            identities: Identities::of(&workspace.manifest, &unit.environment, self.runner.repository_key()),
            ledger,
            opened,
            scope: Scope { local_left_out: self.local_left_out(), secrets: self.named.to_vec(), ..Scope::default() },
            options: Options {
                adopt: self.inputs.adopt,
                rotate_due: kind == Kind::Rotate,
                force: !self.named.is_empty(),
                attended: !self.named.is_empty(),
                ..Options::default()
            },
        })
    }

    /// Does what is to be done and was reviewed.
    ///
    /// # Errors
    /// [`LedgerError`] if the run could not begin: nothing was written.
    async fn plan_and_apply(
        &self,
        kind: Kind,
        unit: &Unit,
        work: &Work<'_>,
        before: Option<&str>,
        rotations_max: usize,
    ) -> Result<Applied, LedgerError> {
        let mut prepared = prepare(&self.request(work), pipeline::Depth::Apply).await;
        if kind == Kind::Rotate {
            // What cannot be worked on now must not pass for nothing to do.
            let stuck = |plan: &SecretPlan| plan.targets.iter().any(|target| target.action == Action::Held);
            prepared.retain(|plan| is_rotation(plan) || plan.hold.is_some() || stuck(plan));
            if self.named.is_empty() {
                prepared.limit_rotations(rotations_max);
            }
        }
        let review = self.hold_unreviewed(kind, unit, work, &mut prepared.plan, before).await;
        let allowed = allowed(work, unit, &prepared.plan, &review.missing);
        let outcome = self.apply(work, &prepared, allowed).await?;
        Ok(Applied { plan: prepared.plan, review, outcome })
    }

    /// Holds what no merged pull request had shown, or names it, as `require_plan` says. A rotation
    /// that is no more than that is due by the Secretfile: there is nothing to review.
    async fn hold_unreviewed(
        &self,
        kind: Kind,
        unit: &Unit,
        work: &Work<'_>,
        plan: &mut Plan,
        before: Option<&str>,
    ) -> Review {
        let counted = plan.targets().any(|(secret, target)| target.action.is_change() && counts(secret, target));
        if !counted {
            let unasked = kind == Kind::Rotate && plan.has_changes() && self.named.is_empty();
            let note = unasked.then(|| "none; what is due by the Secretfile is rotated without one".to_owned());
            return Review { note, ..Review::default() };
        }
        let reviewed = self.reviewed(unit, &work.opened, before).await;
        let desired = |secret, target| desired(&work.workspace.manifest, work.steering, secret, target);
        let subject = Subject { file: &unit.file, environment: &unit.environment, desired: &desired };
        let missing = reviewed.approved.missing(plan, &subject);
        let names = missing.iter().filter_map(|at| name(plan, at)).collect();
        let held = self.inputs.require_plan == RequirePlan::True;
        if held {
            review::hold(plan, &missing);
        }
        let note = reviewed.note.clone().filter(|_| !missing.is_empty());
        Review { reviewed, unreviewed: names, missing, note, held }
    }

    /// The Secretfile, valid and within its policies.
    async fn checked(&self, unit: &Unit) -> Result<Checked, Exit> {
        let (path, read) = match self.read(unit) {
            Ok(read) => read,
            Err(bad) => return Err(self.refuse(unit, &bad.1, Exit::Invalid).await),
        };
        if let Some(why) = self.another_checkout(unit, &read).await {
            return Err(self.refuse_checkout(unit, &why).await);
        }
        let as_text = self.load(unit, &read, Reader::Head).manifest;
        let Read { source, variables } = read;
        let environment = |name: &str| self.session.environment.get(name).map(str::to_owned);
        let inputs = Inputs {
            environment_name: unit.environment().map(str::to_owned),
            environment_variables: variables,
            allowed_hosts: self.inputs.allowed_hosts.clone(),
            credentials: Credentials::Leave,
            ..Inputs::new(&environment, self.session.clock.now())
        };
        let loaded = load(&source, &inputs);
        let Some(manifest) = loaded.manifest else {
            return Err(self.refuse(unit, &loaded.diagnostics, Exit::Invalid).await);
        };
        if let Some(why) = self.planted_beside(unit, &manifest.providers).await {
            return Err(self.refuse_checkout(unit, &why).await);
        }
        let lacking = self.lacking(&manifest);
        if !lacking.is_empty() {
            return Err(self.refuse(unit, &lacking, Exit::Invalid).await);
        }
        let findings: Vec<Diagnostic> = policy::check(&manifest).into_iter().map(Diagnostic::from).collect();
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(self.refuse(unit, &findings, Exit::Policy).await);
        }
        let folder = path.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
        let steering = steering(as_text.as_ref().unwrap_or(&manifest));
        let workspace = Workspace { source, manifest, warnings: loaded.diagnostics, folder };
        Ok(Checked { workspace, steering, findings })
    }

    /// The Secretfile is invalid or breaks a policy.
    async fn refuse(&self, unit: &Unit, findings: &[Diagnostic], exit: Exit) -> Exit {
        let annotations = self.say.annotate(&unit.file, findings);
        let title = match exit {
            Exit::Policy => "Not synced: a policy is broken",
            _ => "Not synced: the Secretfile is invalid",
        };
        let line = |finding: &Diagnostic| format!("- line {}: {}\n", finding.span.line, words(&finding.message));
        self.nothing_written(unit, title, &findings.iter().map(line).collect::<String>(), annotations).await;
        exit
    }

    /// What is checked out is not what is to be synced.
    async fn refuse_checkout(&self, unit: &Unit, why: &str) -> Exit {
        self.say.error(why);
        self.nothing_written(unit, "Not synced: another checkout", &format!("{}\n", words(why)), Vec::new()).await;
        Exit::Error
    }

    /// The journal or the lock cannot be used.
    async fn refuse_ledger(&self, unit: &Unit, error: &LedgerError) -> Exit {
        let reason = error.to_string();
        self.say.error(&reason);
        self.nothing_written(unit, "Not synced: the lock cannot be used", &format!("{}\n", words(&reason)), Vec::new())
            .await;
        if matches!(error, LedgerError::Busy(_)) { Exit::Locked } else { Exit::Error }
    }

    /// A newer commit was synced before: going back is never done by itself.
    async fn refuse_backwards(&self, unit: &Unit, why: &str) -> Exit {
        let help = "go forward with a commit that reverts; if the branch was really set back, delete the ref of the lock, \
                    which the next run rebuilds from the stores";
        self.say.error(&format!("{why}; {help}"));
        self.nothing_written(
            unit,
            "Not synced: it would go backwards",
            &format!("{}; {help}.\n", words(why)),
            Vec::new(),
        )
        .await;
        Exit::Error
    }

    /// Nothing was written, and this is why: said wherever a result would have been said.
    async fn nothing_written(&self, unit: &Unit, title: &str, why: &str, annotations: Vec<Annotation>) {
        let summary = format!("### SecretZero · {}\n\n**{title}; nothing was written.**\n\n{why}", code(&unit.file));
        self.say.summarise(&summary);
        self.say.either("changed", false);
        if let Some(pull) = self.merged_pull(&self.runner.sha).await {
            self.comment(pull.number, unit, &summary).await;
        }
        let check = Check {
            sha: &self.runner.sha,
            unit,
            title: title.into(),
            summary: &summary,
            conclusion: Conclusion::Failure,
            annotations,
            plan: None,
        };
        self.check(&check).await;
    }

    fn request<'w>(&'w self, work: &'w Work<'_>) -> Request<'w> {
        Request {
            manifest: &work.workspace.manifest,
            stores: &work.stores,
            identities: &work.identities,
            opened: &work.opened,
            scope: &work.scope,
            options: work.options,
            clock: self.session.clock.as_ref(),
            entropy: self.session.entropy.as_ref(),
        }
    }

    async fn apply(&self, work: &Work<'_>, prepared: &Prepared<'_>, allowed: Allowed) -> Result<Outcome, LedgerError> {
        let blocks = Blocks::new(&self.session.console, &prepared.plan);
        let run = |ledger| Run {
            views: &prepared.views,
            plan: &prepared.plan,
            values: prepared.values.clone(),
            allowed: allowed.clone(),
            stores: &work.stores,
            lock: work.opened.lock.clone(),
            ledger,
            clock: self.session.clock.as_ref(),
            entropy: self.session.entropy.as_ref(),
            progress: &blocks,
        };
        let outcome = match apply(run(work.ledger.as_ref())).await {
            Err(error @ LedgerError::Forbidden { .. }) => {
                self.say.notice(&format!("{error}; the stores are asked instead, each time"));
                apply(run(&NoLedger)).await
            }
            other => other,
        };
        blocks.finish();
        for store in work.stores.iter().flatten() {
            store.close().await;
        }
        outcome
    }

    async fn tell(&self, told: &Told<'_>) {
        let Told { kind, unit, plan, done, exit, findings, review } = *told;
        let facts = |rows_max| outcome::Facts {
            file: &unit.file,
            environment: &unit.environment,
            verb: if kind == Kind::Sync { "Synced" } else { "Rotated" },
            plan,
            outcome: done,
            unreviewed: if review.held { &[] } else { &review.unreviewed },
            note: review.note.as_deref(),
            commit: &self.runner.sha,
            run_url: &self.runner.run_url,
            rows_max,
        };
        let body = outcome::report(&facts(ROWS_MAX));
        let title = outcome::title(&facts(ROWS_MAX));
        self.say.summarise(&outcome::report(&facts(SUMMARY_ROWS_MAX)));
        self.session.console.line(&title);
        self.numbers(findings, Some(plan), &PlanDigest::default());
        self.say.count("unreviewed", review.unreviewed.len());
        self.say.either("changed", outcome::written(&facts(ROWS_MAX)).count() > 0);
        self.say.report(serde_json::json!({
            "file": unit.file,
            "environment": unit.environment(),
            "plan": report::plan(plan),
            "result": report::outcome(plan, done),
            "unreviewed": review.unreviewed,
            "exit_code": exit as u8,
        }));
        // A re-run that finds nothing to do leaves the comment that told what was done.
        let news = outcome::written(&facts(ROWS_MAX)).count() > 0 || exit != Exit::Done;
        if kind == Kind::Sync && news {
            self.tell_pulls(unit, &review.reviewed, &body).await;
        }
        let conclusion = if exit == Exit::Done { Conclusion::Success } else { Conclusion::Failure };
        let check = Check {
            sha: &self.runner.sha,
            unit,
            title,
            summary: &body,
            conclusion,
            annotations: Vec::new(),
            plan: None,
        };
        self.check(&check).await;
    }

    /// Comments on every pull request whose merge this sync brought into force.
    async fn tell_pulls(&self, unit: &Unit, reviewed: &Reviewed, body: &str) {
        if reviewed.pulls.is_empty()
            && let Some(pull) = self.merged_pull(&self.runner.sha).await
        {
            self.comment(pull.number, unit, body).await;
        }
        for pull in reviewed.pulls.iter().rev().take(PULLS_TOLD_MAX) {
            self.comment(pull.number, unit, body).await;
        }
    }
}

/// Most pull requests that one sync comments on, the newest.
const PULLS_TOLD_MAX: usize = 10;

/// Names of the changes that may be made, for the ledger.
type Allowed = BTreeMap<(usize, usize), String>;

/// What the review of a plan came to.
#[derive(Default)]
struct Review {
    reviewed: Reviewed,
    /// Secret and place of each change that no plan had shown.
    unreviewed: Vec<String>,
    /// What a reader should know about the review as a whole.
    note: Option<String>,
    /// Where these changes are in the plan.
    missing: Vec<Unreviewed>,
    /// Whether they were held for it.
    held: bool,
}

/// Everything that is to be told of one unit.
#[derive(Clone, Copy)]
struct Told<'a> {
    kind: Kind,
    unit: &'a Unit,
    plan: &'a Plan,
    done: &'a Outcome,
    exit: Exit,
    findings: &'a [Diagnostic],
    review: &'a Review,
}

fn name(plan: &Plan, at: &Unreviewed) -> Option<String> {
    let secret = plan.secrets.get(at.secret)?;
    let target = secret.targets.get(at.target)?;
    let place = format!("{} {}", target.kind.title(), code(&target.name));
    Some(format!("{} {} in {place}", target.action.verb(), code(&secret.name)))
}

/// What this run may do at stores, so that the next one may go on with it; what it does without a
/// review stays without one.
fn allowed(work: &Work<'_>, unit: &Unit, plan: &Plan, unreviewed: &[Unreviewed]) -> Allowed {
    let desired = |secret, target| desired(&work.workspace.manifest, work.steering, secret, target);
    let subject = Subject { file: &unit.file, environment: &unit.environment, desired: &desired };
    let mut allowed = Allowed::new();
    for (position, secret) in plan.secrets.iter().enumerate() {
        for (at, target) in secret.targets.iter().enumerate() {
            let shown = !unreviewed.contains(&Unreviewed { secret: position, target: at });
            if target.action.is_change() && counts(secret, target) && shown {
                allowed.insert((position, at), subject.place(secret, target));
            }
        }
    }
    allowed
}
