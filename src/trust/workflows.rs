//! What is wrong with a workflow of GitHub Actions that leads to SecretZero, at the line where it is wrong.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax>

mod cron;
mod login;
mod strangers;

use super::lint::tree::{entry, get, items, maps, texts, texts_of};
use crate::diagnostic::{Diagnostic, Severity, Source, Span, Spanned, quote};
use crate::manifest::node::{self, Node};

/// What a workflow is, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Whether a step of it runs SecretZero.
    pub is_ours: bool,
    /// What is wrong, in the order of the file.
    pub findings: Vec<Diagnostic>,
}

/// Events that write, or may.
const WRITING: &[&str] = &["push", "schedule", "workflow_dispatch", "issue_comment"];

/// Finds what is wrong with a workflow. What concerns every workflow is looked for in each, the rest in
/// those that run SecretZero.
///
/// # Errors
/// Why it cannot be read.
pub fn check(source: &Source) -> Result<Checked, Diagnostic> {
    let root = node::parse(source)?;
    let workflow = Workflow::of(&root);
    let mut findings = Findings(Vec::new());
    strangers::check(&workflow, &mut findings);
    for cron in workflow.crons() {
        cron::check(&cron, &mut findings);
    }
    let is_ours = workflow.steps().any(is_ours);
    if is_ours {
        workflow.concurrency(&mut findings);
        workflow.permissions(&mut findings);
        workflow.unpinned(&mut findings);
        login::check(&workflow, &mut findings);
    }
    let mut findings = findings.0;
    findings.sort_by_key(|finding| (finding.span.start, finding.code));
    findings.dedup();
    Ok(Checked { is_ours, findings })
}

/// What was found so far.
struct Findings(Vec<Diagnostic>);

impl Findings {
    fn say(
        &mut self,
        severity: Severity,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (message, help) = (message.into(), Some(help.into()));
        self.0.push(Diagnostic { code, severity, message, span, help, secret: None });
    }
}

/// A workflow taken apart.
struct Workflow<'n> {
    root: &'n Spanned<Node>,
    /// Its events with their places.
    events: Vec<Spanned<String>>,
    jobs: Vec<&'n Spanned<Node>>,
}

impl<'n> Workflow<'n> {
    fn of(root: &'n Spanned<Node>) -> Self {
        let on = get(root, "on");
        let events = match on.map(|on| &on.value) {
            Some(Node::Map(events)) => events.iter().map(|(name, _)| name.clone()).collect(),
            _ => on.map(texts).unwrap_or_default(),
        };
        let jobs = match get(root, "jobs").map(|jobs| &jobs.value) {
            Some(Node::Map(jobs)) => jobs.iter().map(|(_, job)| job).collect(),
            _ => Vec::new(),
        };
        Self { root, events, jobs }
    }

    fn has(&self, events: &[&str]) -> bool {
        self.events.iter().any(|event| events.contains(&event.value.as_str()))
    }

    fn steps(&self) -> impl Iterator<Item = &'n Spanned<Node>> {
        self.jobs.iter().flat_map(|job| steps(job))
    }

    /// The places of its schedule.
    fn crons(&self) -> Vec<Spanned<String>> {
        let schedule = get(self.root, "on").and_then(|on| get(on, "schedule"));
        schedule.into_iter().flat_map(items).flat_map(|entry| texts_of(entry, "cron")).collect()
    }

    /// One sync at a time, none cut off.
    fn concurrency(&self, findings: &mut Findings) {
        if !self.has(WRITING) {
            return;
        }
        let whole = entry(self.root, &["concurrency"]);
        let writing: Vec<&Spanned<Node>> = self.jobs.iter().copied().filter(|job| may_write(job)).collect();
        let own = |job: &Spanned<Node>| get(job, "concurrency").is_some();
        if let Some(job) = writing.iter().find(|job| whole.is_none() && !own(job)) {
            // Beside a job that has one, the job is the place; else the whole workflow.
            let first = if let Node::Map(entries) = &job.value { entries.first() } else { None };
            let place = first.filter(|_| self.jobs.iter().any(|job| own(job))).or_else(|| entry(self.root, &["on"]));
            findings.say(
                Severity::Warning,
                "no-concurrency",
                place.map_or(self.root.span, |(key, _)| key.span),
                "two syncs may start at a time; the lock lets the second wait and then fail",
                "add `concurrency: {group: 'secretzero-${{ github.ref }}'}`",
            );
        }
        let found = whole.into_iter().filter(|_| !writing.is_empty());
        for (_, concurrency) in found.chain(writing.iter().filter_map(|job| entry(job, &["concurrency"]))) {
            for cancel in
                texts_of(concurrency, "cancel-in-progress").into_iter().filter(|cancel| cancel.value == "true")
            {
                findings.say(
                    Severity::Error,
                    "cancels-sync",
                    cancel.span,
                    "a newer run cuts a sync off in the middle of its writes",
                    "write `cancel-in-progress: ${{ github.event_name == 'pull_request' }}`",
                );
            }
        }
    }

    /// What the token may do is said, and is not everything.
    fn permissions(&self, findings: &mut Findings) {
        for job in self.jobs.iter().filter(|job| steps(job).any(is_ours)) {
            let Some((key, value)) = entry(job, &["permissions"]).or_else(|| entry(self.root, &["permissions"])) else {
                let place = entry(self.root, &["jobs"]).map_or(self.root.span, |(key, _)| key.span);
                findings.say(
                    Severity::Warning,
                    "no-permissions",
                    place,
                    "the token may do whatever the repository's setting says, and has no id-token",
                    "add `permissions: {contents: read, pull-requests: write, checks: write}`",
                );
                return;
            };
            if texts(value).iter().any(|all| all.value == "write-all") {
                findings.say(
                    Severity::Warning,
                    "wide-permissions",
                    key.span,
                    "the token may write everything",
                    "name what it needs: `contents`, `pull-requests`, `checks`, `id-token`",
                );
            }
        }
    }

    /// Whose code runs beside ours is not for others to change.
    fn unpinned(&self, findings: &mut Findings) {
        let ours = self.jobs.iter().filter(|job| steps(job).any(is_ours));
        for uses in ours.flat_map(|job| steps(job)).filter_map(uses) {
            let own = uses.value.starts_with("secretzero/action@");
            let local = uses.value.starts_with("./") || uses.value.contains("@sha256:");
            let sha = uses.value.rsplit('@').next().unwrap_or_default();
            let pinned = sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !local && !pinned {
                let severity = if own { Severity::Info } else { Severity::Warning };
                let message =
                    format!("{} may be another program tomorrow, and runs beside your credentials", quote(&uses.value));
                findings.say(
                    severity,
                    "unpinned-action",
                    uses.span,
                    message,
                    "name the full commit: `@<40 digits> # v…`",
                );
            }
        }
    }
}

/// The steps of a job.
fn steps(job: &Spanned<Node>) -> impl Iterator<Item = &Spanned<Node>> {
    get(job, "steps").into_iter().flat_map(items)
}

/// What a step uses.
fn uses(step: &Spanned<Node>) -> Option<Spanned<String>> {
    texts_of(step, "uses").into_iter().next()
}

/// Whether a step runs SecretZero.
fn is_ours(step: &Spanned<Node>) -> bool {
    uses(step).is_some_and(|uses| is_own_action(&uses.value)) || !commands(step).is_empty()
}

fn is_own_action(uses: &str) -> bool {
    let name = uses.split('@').next().unwrap_or_default().to_ascii_lowercase();
    name.contains("secretzero/") || name.ends_with("/secretzero")
}

/// What SecretZero is told to do by the commands of a step.
fn commands(step: &Spanned<Node>) -> Vec<String> {
    let mut commands = Vec::new();
    for run in texts_of(step, "run") {
        let mut words = run.value.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
        while let Some(word) = words.next() {
            if word == "secretzero" || word.ends_with("/secretzero") {
                commands.push(words.clone().find(|word| !word.starts_with('-')).unwrap_or_default().to_owned());
            }
        }
    }
    commands
}

/// Whether a job may write to a store: it runs SecretZero for more than to look, and not for pull requests alone.
fn may_write(job: &Spanned<Node>) -> bool {
    const WRITES: &[&str] = &["sync", "rotate", "dr", "ci"];
    let writes = |step: &Spanned<Node>| {
        let by_action = uses(step).is_some_and(|uses| is_own_action(&uses.value));
        let told = get(step, "with").map(|with| texts_of(with, "command")).unwrap_or_default();
        let looks = told.iter().any(|command| matches!(command.value.as_str(), "plan" | "drift"));
        let by_command = |command: &String| WRITES.contains(&command.as_str()) || command.starts_with('$');
        (by_action && !looks) || commands(step).iter().any(by_command)
    };
    let condition = texts_of(job, "if").into_iter().next().map(|text| text.value.replace(['"', '\'', ' '], ""));
    let only_pulls =
        condition.is_some_and(|text| !text.contains("||") && text.contains("github.event_name==pull_request"));
    !only_pulls && steps(job).any(writes)
}

/// Whether any text below says something.
fn mentions(node: &Spanned<Node>, what: &str) -> Option<Span> {
    let entries =
        maps(node).into_iter().filter_map(|map| if let Node::Map(entries) = &map.value { Some(entries) } else { None });
    let mut texts = entries.flatten().flat_map(|(_, value)| texts(value));
    texts.find(|text| text.value.contains(what)).map(|text| text.span)
}
