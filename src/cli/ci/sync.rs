//! A push to the default branch is synced, a schedule rotates what is due; both say what they did.

use std::sync::Arc;

use super::Job;
use super::inputs::LockfileStore;
use super::pull_request::SUMMARY_ROWS_MAX;
use super::ref_ledger::{Holder, NoLedger, RefLedger};
use super::say::Check;
use crate::apply::{Ledger, LedgerError, Opened, Outcome, Run, apply};
use crate::cli::exit::Exit;
use crate::cli::progress::Blocks;
use crate::cli::report;
use crate::cli::session::Workspace;
use crate::cli::sync::{is_rotation, verdict};
use crate::diagnostic::{Diagnostic, Severity};
use crate::forge::{Annotation, Conclusion, Forge};
use crate::manifest::{Inputs, load};
use crate::pipeline::{self, Prepared, Request, prepare};
use crate::plan::digest::PlanDigest;
use crate::plan::{Action, Identities, Options, Plan, Scope, SecretPlan, Stores};
use crate::policy;
use crate::render::comment::ROWS_MAX;
use crate::render::outcome;
use crate::render::{code, words};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bring every store in line.
    Sync,
    /// Make new values for what is due.
    Rotate,
}

/// One Secretfile at work.
struct Work {
    workspace: Workspace,
    stores: Stores,
    identities: Identities,
    opened: Opened,
    scope: Scope,
    options: Options,
}

impl Job<'_> {
    /// The whole job of a push, a schedule or a dispatch.
    pub(super) async fn sync(&self, kind: Kind) -> Result<Exit, Exit> {
        if let Some(why) = self.not_the_tip().await? {
            self.say.notice(&why);
            self.say.output("changed", false);
            self.say.result("ok", None);
            return Ok(Exit::Done);
        }
        let mut exit = Exit::Done;
        for file in &self.inputs.files {
            exit = exit.max(self.sync_file(kind, file).await.unwrap_or_else(|exit| exit));
        }
        let result = match exit {
            Exit::Done => "ok",
            Exit::Partial => "partial",
            _ => "failed",
        };
        self.say.result(result, Some(exit));
        Ok(exit)
    }

    /// Why this commit is not synced: only the default branch's newest one is, so that nothing ever
    /// goes backwards.
    pub(super) async fn not_the_tip(&self) -> Result<Option<String>, Exit> {
        let Some(forge) = self.forge.as_ref() else { return Ok(None) };
        let tip = match forge.default_branch_tip().await {
            Ok(tip) => tip,
            Err(error) => {
                self.say
                    .error(&format!("whether this is the newest commit is not known, so nothing is written: {error}"));
                self.say.result("failed", Some(Exit::Error));
                return Err(Exit::Error);
            }
        };
        if self.runner.git_ref != format!("refs/heads/{}", tip.branch) {
            let here = &self.runner.git_ref;
            return Ok(Some(format!("only `{}` is synced, this is {here}: nothing was done", tip.branch)));
        }
        let newer = tip.sha != self.runner.sha;
        Ok(newer.then(|| format!("`{}` has moved on to {}: its own run syncs", tip.branch, tip.sha)))
    }

    async fn sync_file(&self, kind: Kind, file: &str) -> Result<Exit, Exit> {
        let (workspace, findings) = self.checked(file).await?;
        let identities = Identities::of(&workspace.manifest, &self.inputs.environment, self.runner.repository_key());
        let (ledger, opened) = match self.ledger(file, true).await {
            Ok(opened) => opened,
            Err(error) => return Err(self.refuse_ledger(file, &error).await),
        };
        if let Some(warning) = &opened.warning {
            self.say.warning(warning);
        }
        let work = Work {
            stores: self.session.connect(&workspace, &self.store_args()),
            scope: Scope { local_left_out: self.local_left_out(), ..Scope::default() },
            options: Options { adopt: self.inputs.adopt, rotate_due: kind == Kind::Rotate, ..Options::default() },
            workspace,
            identities,
            opened,
        };
        let mut prepared = prepare(&self.request(&work), pipeline::Depth::Apply).await;
        if kind == Kind::Rotate {
            // What cannot be worked on now must not pass for nothing to do.
            let stuck = |plan: &SecretPlan| plan.targets.iter().any(|target| target.action == Action::Held);
            prepared.retain(|plan| is_rotation(plan) || plan.hold.is_some() || stuck(plan));
            prepared.limit_rotations(self.inputs.max_rotations);
        }
        let outcome = match self.apply(&work, &prepared, ledger.as_ref()).await {
            Ok(outcome) => outcome,
            Err(error) => return Err(self.refuse_ledger(file, &error).await),
        };
        let exit = self.saved(verdict(&prepared.plan, &outcome), &outcome);
        self.tell(kind, file, &prepared.plan, &outcome, exit, &findings).await;
        Ok(exit)
    }

    /// The Secretfile, valid and within its policies.
    async fn checked(&self, file: &str) -> Result<(Workspace, Vec<Diagnostic>), Exit> {
        let (path, source) = match self.secretfile(file) {
            Ok(read) => read,
            Err(problem) => return Err(self.refuse(file, &[problem], Exit::Invalid).await),
        };
        let environment = |name: &str| self.session.environment.get(name).map(str::to_owned);
        let allowed_hosts = self.inputs.allowed_hosts.clone();
        let inputs = Inputs { allowed_hosts, ..Inputs::new(&environment, self.session.clock.now()) };
        let loaded = load(&source, &inputs);
        let Some(manifest) = loaded.manifest else {
            return Err(self.refuse(file, &loaded.diagnostics, Exit::Invalid).await);
        };
        let findings: Vec<Diagnostic> = policy::check(&manifest).into_iter().map(Diagnostic::from).collect();
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(self.refuse(file, &findings, Exit::Policy).await);
        }
        let folder = path.parent().map(std::path::Path::to_path_buf).unwrap_or_default();
        Ok((Workspace { source, manifest, warnings: loaded.diagnostics, folder }, findings))
    }

    /// The Secretfile is invalid or breaks a policy.
    async fn refuse(&self, file: &str, findings: &[Diagnostic], exit: Exit) -> Exit {
        let annotations = self.say.annotate(file, findings);
        let title = match exit {
            Exit::Policy => "Not synced: a policy is broken",
            _ => "Not synced: the Secretfile is invalid",
        };
        let line = |finding: &Diagnostic| format!("- line {}: {}\n", finding.span.line, words(&finding.message));
        self.nothing_written(file, title, &findings.iter().map(line).collect::<String>(), annotations).await;
        exit
    }

    /// The journal or the lock cannot be used.
    async fn refuse_ledger(&self, file: &str, error: &LedgerError) -> Exit {
        let reason = error.to_string();
        self.say.error(&reason);
        self.nothing_written(file, "Not synced: the lock cannot be used", &format!("{}\n", words(&reason)), Vec::new())
            .await;
        if matches!(error, LedgerError::Busy(_)) { Exit::Locked } else { Exit::Error }
    }

    /// Nothing was written, and this is why: said wherever a result would have been said.
    async fn nothing_written(&self, file: &str, title: &str, why: &str, annotations: Vec<Annotation>) {
        let summary = format!("### SecretZero · {}\n\n**{title}; nothing was written.**\n\n{why}", code(file));
        self.say.summarise(&summary);
        self.say.either("changed", false);
        if let Some(pull) = self.merged_pull(&self.runner.sha).await {
            self.comment(pull.number, file, &summary).await;
        }
        let check = Check {
            sha: &self.runner.sha,
            file,
            title: title.into(),
            summary: &summary,
            conclusion: Conclusion::Failure,
            annotations,
            digest: String::new(),
            entries: Vec::new(),
        };
        self.check(&check).await;
    }

    fn request<'w>(&'w self, work: &'w Work) -> Request<'w> {
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

    async fn apply(&self, work: &Work, prepared: &Prepared<'_>, ledger: &dyn Ledger) -> Result<Outcome, LedgerError> {
        let blocks = Blocks::new(&self.session.console, &prepared.plan);
        let run = |ledger| Run {
            views: &prepared.views,
            plan: &prepared.plan,
            values: prepared.values.clone(),
            stores: &work.stores,
            lock: work.opened.lock.clone(),
            ledger,
            clock: self.session.clock.as_ref(),
            entropy: self.session.entropy.as_ref(),
            progress: &blocks,
        };
        let outcome = match apply(run(ledger)).await {
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

    /// A lock that could not be saved after the writes costs exit 9, a missing permission a notice.
    fn saved(&self, exit: Exit, outcome: &Outcome) -> Exit {
        match &outcome.saved {
            Some(Err(error @ LedgerError::Forbidden { .. })) => {
                self.say.notice(&format!("{error}; the stores are asked instead, each time"));
                exit
            }
            Some(Err(error)) => {
                self.say.error(&format!("{error}; what was written is safe, the next run reads it from the stores"));
                Exit::NotSaved
            }
            _ => exit,
        }
    }

    /// The lock of this Secretfile, without any intent to write it.
    pub(super) async fn opened(&self, file: &str) -> Opened {
        match self.ledger(file, false).await {
            Ok((_, opened)) => opened,
            Err(error) => {
                self.say.warning(&error.to_string());
                Opened::default()
            }
        }
    }

    async fn ledger(&self, file: &str, writes: bool) -> Result<(Box<dyn Ledger>, Opened), LedgerError> {
        let none = || Ok((Box::new(NoLedger) as Box<dyn Ledger>, Opened::default()));
        let Some(forge) = self.forge.clone().filter(|_| self.inputs.lockfile_store == LockfileStore::Ref) else {
            return none();
        };
        let environment = (!self.inputs.environment.is_empty()).then_some(self.inputs.environment.as_str());
        let ref_name = match &self.inputs.lock_ref {
            Some(branch) if !branch.starts_with("refs/") => format!("refs/heads/{branch}"),
            Some(name) => name.clone(),
            None => crate::forge::github::state_ref(environment),
        };
        let holder = Holder {
            id: self.runner.run_id.clone(),
            url: self.runner.run_url.clone(),
            commit: writes.then(|| self.runner.sha.clone()),
        };
        let forge: Arc<dyn Forge> = forge;
        match RefLedger::open(forge, Arc::clone(&self.session.clock), ref_name, file, holder, writes).await {
            Ok((ledger, opened)) => Ok((Box::new(ledger), opened)),
            Err(error @ LedgerError::Failed { .. }) if writes => Err(error),
            Err(error @ (LedgerError::Failed { .. } | LedgerError::Forbidden { .. })) => {
                self.say.notice(&format!("{error}; the stores are asked instead"));
                none()
            }
            Err(error) => Err(error),
        }
    }

    async fn tell(&self, kind: Kind, file: &str, plan: &Plan, done: &Outcome, exit: Exit, findings: &[Diagnostic]) {
        let facts = |rows_max| outcome::Facts {
            file,
            environment: &self.inputs.environment,
            verb: if kind == Kind::Sync { "Synced" } else { "Rotated" },
            plan,
            outcome: done,
            commit: &self.runner.sha,
            run_url: &self.runner.run_url,
            rows_max,
        };
        let body = outcome::report(&facts(ROWS_MAX));
        let title = outcome::title(&facts(ROWS_MAX));
        self.say.summarise(&outcome::report(&facts(SUMMARY_ROWS_MAX)));
        self.session.console.line(&title);
        self.numbers(findings, Some(plan), &PlanDigest { entries: Vec::new() });
        self.say.either("changed", outcome::written(&facts(ROWS_MAX)).count() > 0);
        self.say.report(serde_json::json!({
            "file": file,
            "plan": report::plan(plan),
            "result": report::outcome(plan, done),
            "exit_code": exit as u8,
        }));
        // A re-run that finds nothing to do leaves the comment that told what was done.
        let news = outcome::written(&facts(ROWS_MAX)).count() > 0 || exit != Exit::Done;
        if kind == Kind::Sync
            && news
            && let Some(pull) = self.merged_pull(&self.runner.sha).await
        {
            self.comment(pull.number, file, &body).await;
        }
        let conclusion = if exit == Exit::Done { Conclusion::Success } else { Conclusion::Failure };
        let check = Check {
            sha: &self.runner.sha,
            file,
            title,
            summary: &body,
            conclusion,
            annotations: Vec::new(),
            digest: String::new(),
            entries: Vec::new(),
        };
        self.check(&check).await;
    }
}
