//! What is wrong with a trust policy, a role or the rights it comes with, at the line where it is wrong.
//!
//! Read are: trust and rights policies of AWS (JSON, YAML, Terraform), federated credentials of Azure,
//! providers and commands of Google, roles, settings and policies of Vault, and rules of octo-sts. What
//! a file cannot show (is the environment protected, does the verifier keep keys for ever) is a note at
//! most.

mod aws;
mod azure;
mod cel;
mod claims;
mod cloudformation;
mod google;
mod hcl;
mod pattern;
mod rights;
mod shell;
mod spelling;
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
    /// One for each document or resource of the file.
    roles: Vec<Facts>,
}

/// Whom a role trusts and what it may do, as far as one document or resource tells.
#[derive(Debug, Clone, Default)]
struct Facts {
    /// Whose role it is; roles of several clouds are never one.
    cloud: &'static str,
    runs: Vec<Run>,
    reads_values: Option<Span>,
    writes: Option<Span>,
}

/// Runs that a role trusts.
#[derive(Debug, Clone)]
struct Run {
    /// The subject as written, or what stands for one.
    text: String,
    span: Span,
    /// Whether pull requests are among them.
    pull: bool,
    /// Whether others are.
    branch: bool,
}

impl Facts {
    fn pull(&self) -> Option<Span> {
        self.runs.iter().find(|run| run.pull).map(|run| run.span)
    }

    fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.reads_values.is_none() && self.writes.is_none()
    }
}

/// One look at one file.
struct Lint<'a> {
    source: &'a Source,
    known: &'a Known,
    linted: Linted,
    /// Of the document or resource that is looked at.
    facts: Facts,
}

/// Finds what is wrong with a file.
///
/// # Errors
/// A finding that says why it cannot be read, or that it is nothing that is known here.
pub fn lint(source: &Source, known: &Known) -> Result<Linted, Diagnostic> {
    let root = tree::parse(source)?;
    let mut lint = Lint { source, known, linted: Linted::default(), facts: Facts::default() };
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
    cloudformation::told(&mut lint);
    let findings = &mut lint.linted.findings;
    findings.sort_by_key(|finding| (finding.span.start, finding.severity < Severity::Error, finding.code));
    findings.dedup();
    Ok(lint.linted)
}

impl Lint<'_> {
    /// Looks at each mapping; what stands below a role belongs to it.
    fn look(&mut self, node: &Spanned<Node>) {
        match &node.value {
            Node::Map(_) if tree::entry(node, &["AssumeRolePolicyDocument", "assume_role_policy"]).is_some() => {
                self.role(|lint| tree::maps(node).into_iter().for_each(|map| lint.look_at(map)));
            }
            Node::Map(entries) => {
                self.role(|lint| lint.look_at(node));
                entries.iter().for_each(|(_, value)| self.look(value));
            }
            Node::List(items) => items.iter().for_each(|item| self.look(item)),
            Node::Null | Node::Scalar(_) => {}
        }
    }

    fn look_at(&mut self, map: &Spanned<Node>) {
        aws::look(self, map);
        azure::look(self, map);
        google::look(self, map);
        vault::look(self, map);
        verifier::look(self, map);
    }

    /// Keeps what is found meanwhile as that of one role.
    fn role(&mut self, look: impl FnOnce(&mut Self)) {
        look(self);
        let facts = std::mem::take(&mut self.facts);
        if !facts.is_empty() {
            self.linted.roles.push(facts);
        }
    }

    /// Remembers which runs the subject lets in that was judged last.
    fn trusts(&mut self, pull: bool, branch: bool) {
        if let Some(run) = self.facts.runs.last_mut() {
            run.pull |= pull;
            run.branch |= branch;
        }
    }

    fn is(&mut self, kind: &'static str) {
        self.facts.cloud = kind.rsplit("of ").next().unwrap_or(kind).split(' ').next().unwrap_or(kind);
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

    /// What only a role as a whole tells, or the only one of the file.
    fn judge_whole(&mut self) {
        let roles = std::mem::take(&mut self.linted.roles);
        let trusting: Vec<&Facts> = roles.iter().filter(|role| !role.runs.is_empty()).collect();
        let only_trusts_pulls = matches!(trusting[..], [only] if only.pull().is_some());
        for role in &roles {
            if let Some(span) = role.pull().filter(|_| role.runs.iter().any(|run| run.branch)) {
                one_role(self, span);
            }
            let trusts_pulls = if role.runs.is_empty() { only_trusts_pulls } else { role.pull().is_some() };
            if self.known.phase == Some(Phase::Plan) || (self.known.phase.is_none() && trusts_pulls) {
                plan_rights(self, role);
            }
        }
        self.linted.roles = roles;
    }
}

/// The rights of a plan, none of which reads a value or writes.
fn plan_rights(lint: &mut Lint<'_>, role: &Facts) {
    if let Some(span) = role.reads_values {
        plan_reads(lint, span);
    }
    if let Some(span) = role.writes {
        plan_writes(lint, span);
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

/// What is wrong between files that are given together: of each cloud, the first two roles that trust
/// somebody are taken for those of the plan and of the sync; rights belong to the one role that is given,
/// if it is one. Each finding comes with the index of its file.
#[must_use]
pub fn compare(files: &[(&Source, &Linted)], known: &Known) -> Vec<(usize, Diagnostic)> {
    let roles =
        || files.iter().enumerate().flat_map(|(at, (_, linted))| linted.roles.iter().map(move |role| (at, role)));
    let trusting: Vec<(usize, &Facts)> = roles().filter(|(_, role)| !role.runs.is_empty()).collect();
    let mut found = Vec::new();
    let mut finding = |at: usize, judge: &dyn Fn(&mut Lint<'_>)| {
        let mut lint = Lint { source: files[at].0, known, linted: Linted::default(), facts: Facts::default() };
        judge(&mut lint);
        found.extend(lint.linted.findings.into_iter().map(|one| (at, one)));
    };
    let mut clouds: Vec<&str> = Vec::new();
    for (_, first) in &trusting {
        if clouds.contains(&first.cloud) {
            continue;
        }
        clouds.push(first.cloud);
        let mut of = trusting.iter().filter(|(_, role)| role.cloud == first.cloud).skip(1);
        if let Some((at, second)) = of.next()
            && let Some(span) = both_trust_pulls(first, second)
        {
            finding(*at, &|lint| one_role(lint, span));
        }
    }
    if let [(only, role)] = trusting[..]
        && role.pull().is_some()
        && known.phase.is_none()
    {
        for (at, rights) in roles().filter(|(at, _)| *at != only) {
            finding(at, &|lint| plan_rights(lint, rights));
        }
    }
    found
}

/// Where the second role trusts pull requests that the first one trusts as well. What counts is the
/// narrower of two subjects: a plan that trusts every branch does the sync no harm.
fn both_trust_pulls(first: &Facts, second: &Facts) -> Option<Span> {
    let both = |one: &&Run| {
        first.runs.iter().any(|other| {
            (pattern::glob(&other.text, &one.text) && one.pull) || (pattern::glob(&one.text, &other.text) && other.pull)
        })
    };
    second.runs.iter().find(both).map(|run| run.span)
}
