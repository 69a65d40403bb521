//! What the review of a pull request came to, and where it is said: the check, the comment, the summary
//! and the outputs.

use super::Job;
use super::inputs::FailOn;
use super::pull_request::Review;
use super::say::Check;
use super::unit::Unit;
use crate::cli::exit::Exit;
use crate::cli::report;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::forge::Conclusion;
use crate::manifest::Manifest;
use crate::plan::digest::PlanDigest;
use crate::plan::{Action, Plan};
use crate::render::comment::{self, Facts, ROWS_MAX};
use crate::render::{code, words};

/// Most rows of a table in the job summary.
pub(super) const SUMMARY_ROWS_MAX: usize = 3_000;

/// Title of a check that cannot pass.
const UNKNOWN: &str = "Which policies of the base branch count is not known";

/// What became of one unit.
pub(super) struct Verdict {
    pub(super) exit: Exit,
    pub(super) pending: bool,
}

/// One Secretfile of the change, looked at.
pub(super) struct Reviewed {
    pub(super) source: Source,
    pub(super) manifest: Option<Manifest>,
    pub(super) problems: Vec<Diagnostic>,
    pub(super) findings: Vec<Diagnostic>,
    pub(super) plan: Option<Plan>,
    pub(super) digest: PlanDigest,
    pub(super) offline: Option<String>,
    /// Why the policies that count are not known.
    pub(super) unknown: Option<String>,
}

impl Reviewed {
    /// One that cannot be planned.
    pub(super) fn refused(source: Source, problems: Vec<Diagnostic>) -> Self {
        let digest = PlanDigest::default();
        Self {
            source,
            manifest: None,
            problems,
            findings: Vec::new(),
            plan: None,
            digest,
            offline: None,
            unknown: None,
        }
    }
}

impl Job<'_> {
    /// Without the base nobody knows which Secretfiles the change takes away, nor under which policies
    /// those that it adds come.
    pub(super) fn unknown_files(&self, why: &str) -> Exit {
        self.say.error(&format!("which Secretfiles the base branch has is not known: {why}; run the job again"));
        self.say.result("failed", Some(Exit::Error));
        Exit::Error
    }

    /// Without the base nobody knows which policies count, so the check does not pass.
    pub(super) async fn unknown_base(&self, review: &Review<'_>, unit: &Unit, why: &str) -> Verdict {
        let title = "Not checked: the base branch could not be asked";
        let why = format!("the base branch's Secretfile could not be read, so its policies are not known: {why}");
        self.say.error(&why);
        let summary =
            format!("### SecretZero · {}\n\n**{title}.** Run the job again.\n\n{}\n", code(&unit.file), words(&why));
        self.say.summarise(&summary);
        let conclusion = Conclusion::Failure;
        let (sha, title) = (review.head, title.into());
        self.check(&Check { sha, unit, title, summary: &summary, conclusion, annotations: Vec::new(), plan: None })
            .await;
        Verdict { exit: Exit::Error, pending: false }
    }

    /// A pull request that leaves the Secretfile as it is: the check succeeds at once, and only a
    /// comment from before, when it did not, is set right.
    pub(super) async fn untouched(&self, review: &Review<'_>, unit: &Unit) -> Verdict {
        let title = "Not touched by this pull request";
        let summary = format!("### SecretZero · {}\n\n**{title}.** Merging it changes no secret.\n", code(&unit.file));
        self.session.console.line(title);
        self.say.summarise(&summary);
        if let Some(number) = review.number
            && self.has_comment(number, unit).await
        {
            self.comment(number, unit, &summary).await;
        }
        let check = Check {
            sha: review.head,
            unit,
            title: title.into(),
            summary: &summary,
            conclusion: Conclusion::Success,
            annotations: Vec::new(),
            plan: None,
        };
        self.check(&check).await;
        Verdict { exit: Exit::Done, pending: false }
    }

    /// Says what a unit came to wherever somebody reads it.
    pub(super) async fn publish(&self, review: &Review<'_>, unit: &Unit, reviewed: Reviewed) -> Result<Verdict, Exit> {
        let Reviewed { source, manifest, problems, findings, plan, digest, offline, unknown } = &reviewed;
        let file = source.name.as_str();
        let blob_url = self.runner.blob_url(review.head);
        let facts = |rows_max| Facts {
            file,
            environment: &unit.environment,
            manifest: manifest.as_ref(),
            plan: plan.as_ref(),
            problems,
            findings,
            offline: offline.as_deref(),
            blob_url: &blob_url,
            head: review.head,
            base: &review.base,
            run_url: &self.runner.run_url,
            now: self.session.clock.now(),
            rows_max,
        };
        let body = comment::comment(&facts(ROWS_MAX));
        let title = match unknown {
            Some(_) => UNKNOWN.to_owned(),
            None => comment::title(&facts(ROWS_MAX)),
        };
        self.say.summarise(&comment::comment(&facts(SUMMARY_ROWS_MAX)));
        let all: Vec<Diagnostic> = problems.iter().chain(findings).cloned().collect();
        let annotations = self.say.annotate(file, &all);
        if let Some(why) = unknown {
            self.say.error(&format!("{UNKNOWN}, so the check does not pass: {why}"));
        }
        let exit = self.judge(&reviewed);
        self.numbers(findings, plan.as_ref(), digest);
        self.session.console.line(&title);
        if let Some(number) = review.number {
            self.comment(number, unit, &body).await;
        }
        let conclusion = match exit {
            Exit::Done => Conclusion::Success,
            Exit::Partial => Conclusion::Neutral,
            _ => Conclusion::Failure,
        };
        let (sha, plan_shown) = (review.head, plan.is_some().then_some(digest));
        self.check(&Check { sha, unit, title, summary: &body, conclusion, annotations, plan: plan_shown }).await;
        if plan_shown.is_some() && digest.left_out() > 0 {
            self.say.warning(&format!(
                "a check has no room for {} of the {} changes of {file}: after the merge they count as not reviewed; \
                 split the Secretfile",
                digest.left_out(),
                digest.entries.len()
            ));
        }
        self.say.report(serde_json::json!({
            "file": file,
            "environment": unit.environment(),
            "findings": report::findings(file, &all),
            "plan": plan.as_ref().map(report::plan),
            "estimate": plan.as_ref().zip(manifest.as_ref()).map(|(plan, manifest)| report::estimate(plan, manifest)),
        }));
        Ok(Verdict { exit, pending: plan.as_ref().is_some_and(Plan::has_changes) })
    }

    fn judge(&self, reviewed: &Reviewed) -> Exit {
        let has = |list: &[Diagnostic], severity| list.iter().any(|finding| finding.severity == severity);
        let strict = self.inputs.fail_on == FailOn::Warning;
        let Reviewed { problems, findings, manifest, plan, unknown, .. } = reviewed;
        if manifest.is_none() || has(problems, Severity::Error) || (strict && has(problems, Severity::Warning)) {
            return Exit::Invalid;
        }
        if has(findings, Severity::Error) || (strict && has(findings, Severity::Warning)) {
            return Exit::Policy;
        }
        if unknown.is_some() {
            return Exit::Error;
        }
        match plan.as_ref().map(crate::cli::sync::held) {
            None | Some(Exit::Done) => Exit::Done,
            Some(Exit::Provider) => Exit::Provider,
            Some(_) => Exit::Partial,
        }
    }

    /// The outputs that count.
    pub(super) fn numbers(&self, findings: &[Diagnostic], plan: Option<&Plan>, digest: &PlanDigest) {
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
        self.say.count("policy_errors", count(Severity::Error));
        self.say.count("policy_warnings", count(Severity::Warning));
        self.say.planned(digest);
        let Some(plan) = plan else { return };
        let now = self.session.clock.now();
        let due = plan.secrets.iter().filter(|secret| secret.due.is_some_and(|due| due.is_soon(now))).count();
        self.say.count("to_create", plan.count(Action::Create));
        self.say.count("to_rotate", plan.secrets.iter().filter(|s| crate::cli::sync::is_rotation(s)).count());
        self.say.count("unchanged", plan.count(Action::Keep));
        self.say.count("due_soon", due);
    }
}
