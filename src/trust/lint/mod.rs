//! What is wrong with a trust policy, a role or the rights it comes with, at the line where it is wrong.
//!
//! Read are: trust and rights policies of AWS (JSON, YAML, Terraform), federated credentials of Azure,
//! providers and commands of Google, roles, settings and policies of Vault, and rules of octo-sts. What
//! a file cannot show (is the environment protected, does the verifier keep keys for ever) is a note at
//! most.

mod aws;
mod azure;
mod google;
mod hcl;
mod rights;
mod shell;
mod subject;
mod terraform;
pub(super) mod tree;
mod vault;
mod verifier;

use super::Phase;
use crate::diagnostic::{Diagnostic, Severity, Source, Span, Spanned};
use crate::manifest::node::Node;

/// What is known beside the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// What the role is for.
    pub phase: Option<Phase>,
    /// `owner/name` of the repository, as its forge spells it.
    pub repository: Option<String>,
}

/// What a file is, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Linted {
    /// What was found in it, such as `trust policy of AWS`; each once.
    pub kinds: Vec<&'static str>,
    /// What is wrong, in the order of the file.
    pub findings: Vec<Diagnostic>,
    facts: Facts,
}

/// Whom a role trusts and what it may do, as far as a file tells.
#[derive(Debug, Clone, Default)]
struct Facts {
    /// The subjects, as written.
    subjects: Vec<Spanned<String>>,
    trusts_pull_request: Option<Span>,
    trusts_branch: Option<Span>,
    reads_values: Option<Span>,
    writes: Option<Span>,
}

/// One look at one file.
struct Lint<'a> {
    source: &'a Source,
    known: &'a Known,
    linted: Linted,
}

/// Finds what is wrong with a file.
///
/// # Errors
/// A finding that says why it cannot be read, or that it is nothing that is known here.
pub fn lint(source: &Source, known: &Known) -> Result<Linted, Diagnostic> {
    let root = tree::parse(source)?;
    let mut lint = Lint { source, known, linted: Linted::default() };
    let read = terraform::statements(&root);
    lint.look(&root);
    read.iter().for_each(|policy| lint.look(policy));
    lint.judge_whole();
    if lint.linted.kinds.is_empty() {
        return Err(Diagnostic {
            code: "unknown-file",
            severity: Severity::Error,
            message: "this holds no trust policy, role or rights that are known here".into(),
            span: source.span(0..0),
            help: Some(
                "known are policies of AWS, credentials of Azure, providers of Google, roles and policies of Vault"
                    .into(),
            ),
            secret: None,
        });
    }
    let findings = &mut lint.linted.findings;
    findings.sort_by_key(|finding| (finding.span.start, finding.severity < Severity::Error, finding.code));
    findings.dedup();
    Ok(lint.linted)
}

impl Lint<'_> {
    fn look(&mut self, root: &Spanned<Node>) {
        for map in tree::maps(root) {
            aws::look(self, map);
            azure::look(self, map);
            google::look(self, map);
            vault::look(self, map);
            verifier::look(self, map);
        }
    }

    fn is(&mut self, kind: &'static str) {
        if !self.linted.kinds.contains(&kind) {
            self.linted.kinds.push(kind);
        }
    }

    fn say(
        &mut self,
        severity: Severity,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (message, help) = (message.into(), Some(help.into()));
        self.linted.findings.push(Diagnostic { code, severity, message, span, help, secret: None });
    }

    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.say(Severity::Error, code, span, message, help);
    }

    fn warning(&mut self, code: &'static str, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.say(Severity::Warning, code, span, message, help);
    }

    fn note(&mut self, code: &'static str, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.say(Severity::Info, code, span, message, help);
    }

    /// What only the file as a whole tells.
    fn judge_whole(&mut self) {
        let Facts { trusts_pull_request, trusts_branch, reads_values, writes, .. } = self.linted.facts.clone();
        if let (Some(span), Some(_)) = (trusts_pull_request, trusts_branch) {
            one_role(self, span);
        }
        let is_plan =
            self.known.phase == Some(Phase::Plan) || (self.known.phase.is_none() && trusts_pull_request.is_some());
        if is_plan && let Some(span) = reads_values {
            plan_reads(self, span);
        }
        if is_plan && let Some(span) = writes {
            plan_writes(self, span);
        }
    }
}

fn one_role(lint: &mut Lint<'_>, span: Span) {
    lint.error(
        "one-role-for-both",
        span,
        "one role is trusted for pull requests and for the default branch, so whoever opens a pull request may do all that a sync may",
        "make two roles: one that trusts `pull_request` and reads metadata, one that trusts the default branch",
    );
}

fn plan_reads(lint: &mut Lint<'_>, span: Span) {
    lint.error(
        "plan-reads-values",
        span,
        "the plan's role may read values, and so may whoever opens a pull request",
        "a plan needs metadata only: `secretzero permissions --phase plan` prints its rights",
    );
}

fn plan_writes(lint: &mut Lint<'_>, span: Span) {
    lint.error(
        "pull-request-may-write",
        span,
        "the plan's role may write, and so may whoever opens a pull request",
        "a plan writes nothing: `secretzero permissions --phase plan` prints its rights",
    );
}

/// What is wrong between files that are given together: the first two of them that trust somebody are
/// taken for the roles of the plan and of the sync; rights belong to the one role that is given, if it
/// is one. Each finding comes with the index of its file.
#[must_use]
pub fn compare(files: &[(&Source, &Linted)], known: &Known) -> Vec<(usize, Diagnostic)> {
    let trusting: Vec<usize> = (0..files.len()).filter(|at| !files[*at].1.facts.subjects.is_empty()).collect();
    let mut found = Vec::new();
    let mut finding = |at: usize, judge: &dyn Fn(&mut Lint<'_>)| {
        let mut lint = Lint { source: files[at].0, known, linted: Linted::default() };
        judge(&mut lint);
        found.extend(lint.linted.findings.into_iter().map(|one| (at, one)));
    };
    if let [first, second, ..] = trusting[..] {
        let (theirs, ours) = (&files[first].1.facts.subjects, &files[second].1.facts.subjects);
        let both = ours.iter().find(|one| theirs.iter().any(|other| subject::overlap(&one.value, &other.value)));
        if let Some(both) = both {
            finding(second, &|lint| one_role(lint, both.span));
        }
    }
    if let [only] = trusting[..]
        && files[only].1.facts.trusts_pull_request.is_some()
        && known.phase.is_none()
    {
        for at in (0..files.len()).filter(|at| *at != only) {
            let Facts { reads_values, writes, .. } = files[at].1.facts;
            reads_values.into_iter().for_each(|span| finding(at, &|lint| plan_reads(lint, span)));
            writes.into_iter().for_each(|span| finding(at, &|lint| plan_writes(lint, span)));
        }
    }
    found
}
