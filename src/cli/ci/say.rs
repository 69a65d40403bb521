//! Where a job speaks: outputs, the job summary, annotations, the comment and the check. Nothing
//! cosmetic ever fails the job.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::Job;
use super::inputs::{Runner, When};
use super::unit::Unit;
use crate::cli::exit::Exit;
use crate::cli::session::Session;
use crate::diagnostic::{Diagnostic, Severity, plain};
use crate::forge::github::workflow;
use crate::forge::{Annotation, CheckRun, CheckStatus, Conclusion, Level, Marker, PullRequest};
use crate::oidc::Denial;
use crate::oidc::explain::{Explanation, explain};
use crate::plan::digest::PlanDigest;
use crate::render::words;

/// The job's voice.
pub struct Say<'a> {
    session: &'a Session,
    runner: &'a Runner,
    outputs: Mutex<Vec<(String, String)>>,
    summary: Mutex<String>,
    told: Mutex<String>,
    entries: Mutex<Vec<String>>,
    reports: Mutex<Vec<serde_json::Value>>,
}

impl<'a> Say<'a> {
    /// A voice for this job.
    pub fn new(session: &'a Session, runner: &'a Runner) -> Self {
        Self {
            session,
            runner,
            outputs: Mutex::default(),
            summary: Mutex::default(),
            told: Mutex::default(),
            entries: Mutex::default(),
            reports: Mutex::default(),
        }
    }

    /// A notice on the run's page.
    pub fn notice(&self, text: &str) {
        self.session.console.raw(workflow::notice(text).trim_end());
    }

    /// A warning on the run's page.
    pub fn warning(&self, text: &str) {
        self.session.console.raw(workflow::message(Level::Warning, "", text).trim_end());
    }

    /// An error on the run's page.
    pub fn error(&self, text: &str) {
        self.session.console.raw(workflow::message(Level::Failure, "", text).trim_end());
    }

    /// An output of the action.
    pub fn output(&self, name: &str, value: impl ToString) {
        let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.retain(|(known, _)| known != name);
        outputs.push((name.to_owned(), value.to_string()));
    }

    /// An output that counts over all Secretfiles of the job.
    pub fn count(&self, name: &str, more: usize) {
        let known = self.known(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
        self.output(name, known + more);
    }

    /// An output that is true if it is so for any Secretfile of the job.
    pub fn either(&self, name: &str, flag: bool) {
        let known = self.known(name).is_some_and(|text| text == "true");
        self.output(name, known || flag);
    }

    fn known(&self, name: &str) -> Option<String> {
        let outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// What was planned in this job, over all its Secretfiles, as one hash.
    pub fn planned(&self, digest: &PlanDigest) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.extend(digest.entries.iter().cloned());
        entries.sort();
        self.output("plan_digest", PlanDigest { entries: entries.clone(), ..PlanDigest::default() }.total());
    }

    /// A section of the job summary.
    pub fn summarise(&self, markdown: &str) {
        let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
        if !summary.is_empty() {
            summary.push_str("\n---\n\n");
        }
        summary.push_str(markdown);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.is_empty() {
            told.push_str("\n---\n\n");
        }
        told.push_str(markdown);
    }

    /// All sections of the job summary so far, written or not.
    pub fn told(&self) -> String {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The result of the whole job, and everything that was collected.
    pub fn result(&self, result: &str, exit: Option<Exit>) {
        self.output("result", result);
        let drifted = self.known("failure_reason").is_some_and(|reason| reason == "drift");
        let reason = match exit {
            Some(Exit::Error) if drifted => "drift",
            None | Some(Exit::Done | Exit::Pending) => "",
            Some(Exit::Invalid) => "secretfile",
            Some(Exit::Provider) => "provider",
            Some(Exit::Policy) => "policy",
            Some(Exit::Stale) => "stale_plan",
            Some(Exit::Locked) => "locked",
            Some(Exit::Partial) => "partial",
            Some(Exit::NotSaved) => "lock_not_saved",
            Some(Exit::Error) => "error",
        };
        self.output("failure_reason", reason);
        let outputs = std::mem::take(&mut *self.outputs.lock().unwrap_or_else(PoisonError::into_inner));
        let mut text = String::new();
        for (name, value) in &outputs {
            match workflow::output(self.session.entropy.as_ref(), name, value) {
                Ok(lines) => text.push_str(&lines),
                Err(error) => self.warning(&error.to_string()),
            }
        }
        self.append("GITHUB_OUTPUT", &text);
        for denial in self.session.denials.all() {
            self.summarise(&refused_login(&denial));
        }
        let summary = std::mem::take(&mut *self.summary.lock().unwrap_or_else(PoisonError::into_inner));
        self.append("GITHUB_STEP_SUMMARY", &workflow::summary(&summary, 0));
    }

    /// One Secretfile's part of the report in the runner's temporary folder.
    pub fn report(&self, part: serde_json::Value) {
        let Some(folder) = &self.runner.temporary else { return };
        let name = "secretzero-report.json";
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.push(part);
        let bytes = serde_json::to_vec_pretty(&serde_json::json!({ "files": *reports })).unwrap_or_default();
        match self.session.disk.replace(&folder.join(name), &bytes) {
            Ok(()) => self.output("report_json", name),
            Err(error) => self.warning(&format!("the report could not be written: {error}")),
        }
    }

    fn append(&self, variable: &str, text: &str) {
        let Some(path) = self.session.environment.filled(variable).map(PathBuf::from) else { return };
        if let Err(error) = append(&self.session.disk, &path, text) {
            self.warning(&format!("{variable} could not be written: {error}"));
        }
    }

    /// Findings at lines of a file: as many as a runner shows on the run's page; the rest is returned.
    pub fn annotate(&self, file: &str, findings: &[Diagnostic]) -> Vec<Annotation> {
        let all: Vec<Annotation> = findings.iter().map(|finding| annotation(file, finding)).collect();
        let (lines, rest) = workflow::annotations(&all);
        if !lines.is_empty() {
            self.session.console.raw(lines.trim_end());
        }
        rest.into_iter().cloned().collect()
    }
}

/// A refused login in Markdown: what it means, the claims, and what would admit this run.
fn refused_login(denial: &Denial) -> String {
    let Explanation { title, meaning, cause, claims, policy_name, policy } = explain(denial);
    let (title, meaning, cause) = (words(&title), words(&meaning), words(&cause));
    let fence = |text: &str| format!("```\n{}\n```\n", plain(text).replace('`', "'").trim_end());
    format!(
        "### SecretZero · a login was refused\n\n**{title}.** It means: {meaning}. Most likely: {cause}.\n\nWhat was said \
         of this run:\n\n{}\n{policy_name}:\n\n{}",
        fence(&claims),
        fence(&policy),
    )
}

fn append(disk: &std::sync::Arc<dyn crate::disk::Disk>, path: &Path, text: &str) -> std::io::Result<()> {
    if text.is_empty() { Ok(()) } else { disk.append(path, text.as_bytes()) }
}

/// A finding as the forge shows it at its line.
#[must_use]
fn annotation(file: &str, finding: &Diagnostic) -> Annotation {
    let help = finding.help.as_deref().map(|help| format!("\n{help}")).unwrap_or_default();
    Annotation {
        path: file.to_owned(),
        line: finding.span.line.max(1),
        line_end: finding.span.line.max(1),
        column: Some(finding.span.column.max(1)),
        level: match finding.severity {
            Severity::Error => Level::Failure,
            Severity::Warning => Level::Warning,
            Severity::Info => Level::Notice,
        },
        title: finding.code.to_owned(),
        message: format!("{}{help}", finding.message),
    }
}

/// What a check says.
pub(super) struct Check<'a> {
    /// The commit it stands on.
    pub sha: &'a str,
    /// What it is about.
    pub unit: &'a Unit,
    /// One line.
    pub title: String,
    /// Markdown.
    pub summary: &'a str,
    /// Whether it passed.
    pub conclusion: Conclusion,
    /// Findings that the run's page has no room for.
    pub annotations: Vec<Annotation>,
    /// What was planned, if anything was: a sync asks for it after the merge.
    pub plan: Option<&'a PlanDigest>,
}

impl Job<'_> {
    pub(super) fn marker(unit: &Unit) -> Marker {
        Marker::new(&unit.file, unit.environment(), None)
    }

    /// Whether our comment stands on a pull request already.
    pub(super) async fn has_comment(&self, pull: u64, unit: &Unit) -> bool {
        let Some(forge) = &self.forge else { return false };
        forge.find_comment(pull, &Self::marker(unit)).await.is_ok_and(|found| found.is_some())
    }

    /// Comments on a pull request; without the right to, the summary has to do.
    pub(super) async fn comment(&self, pull: u64, unit: &Unit, body: &str) {
        let Some(forge) = self.forge.as_ref().filter(|_| self.inputs.comment != When::Never) else { return };
        match forge.upsert_comment(pull, &Self::marker(unit), body).await {
            Ok(posted) => self.say.output("comment_id", posted.id),
            Err(error) => self.say.notice(&format!("The comment stands in the job summary only: {error}")),
        }
    }

    /// A check of its own for each unit, so that none covers another's.
    pub(super) fn check_name(&self, unit: &Unit) -> String {
        match unit.label.as_str() {
            "" => self.inputs.check_name.clone(),
            label => format!("{} ({label})", self.inputs.check_name),
        }
    }

    /// Sets the check; the first findings were annotated on the run's page already.
    pub(super) async fn check(&self, check: &Check<'_>) {
        let Some(forge) = self.forge.as_ref().filter(|_| !check.sha.is_empty()) else { return };
        let run = CheckRun {
            name: self.check_name(check.unit),
            status: CheckStatus::Completed(check.conclusion),
            title: check.title.clone(),
            summary: check.summary.to_owned(),
            text: check.plan.map(PlanDigest::to_text),
            annotations: check.annotations.clone(),
            external_id: check.plan.map(PlanDigest::total).unwrap_or_default(),
            details_url: (!self.runner.run_url.is_empty()).then(|| self.runner.run_url.clone()),
        };
        match forge.set_check(check.sha, &run).await {
            Ok(id) => self.say.output("check_run_id", id),
            Err(error) => self.say.notice(&format!("The result stands in the job summary only: {error}")),
        }
    }

    /// The pull request that a commit on this branch came from, if it was merged into it.
    pub(super) async fn merged_pull(&self, sha: &str) -> Option<PullRequest> {
        let forge = self.forge.as_ref()?;
        match forge.pulls_of_commit(sha).await {
            Ok(pulls) => pulls
                .into_iter()
                .find(|pull| pull.merged && self.runner.git_ref == format!("refs/heads/{}", pull.base_ref)),
            Err(error) => {
                self.say.notice(&format!("The merged pull request is not told: {error}"));
                None
            }
        }
    }
}
