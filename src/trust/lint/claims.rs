//! Claims that must be true of a token together, whichever cloud asks for them: do they name one
//! repository, and which of its runs?

use super::pattern::{Compared, glob, is_loose};
use super::subject::{self, Beside, open_run, pull_request};
use super::{Lint, Run};
use crate::diagnostic::{Span, Spanned, quote};

/// Claims that say which repository it is, and survive a rename.
pub(super) const IDS: &[&str] = &["repository_id", "project_id"];
/// Claims that say it by a name.
pub(super) const NAMES: &[&str] = &["repository", "project_path"];
/// Claims that say from which ref a run is.
const REFS: &[&str] = &["ref", "ref_path"];
/// Claims that say what started it.
const EVENTS: &[&str] = &["event_name", "pipeline_source"];
/// Claims that say which of the repository's runs it is, beside the event.
const RUNS: &[&str] = &["ref", "ref_path", "environment", "job_workflow_ref", "ref_protected"];
/// Events whose runs are the default branch's, whoever starts them
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>).
const OF_DEFAULT_BRANCH: &[&str] = &["schedule", "issue_comment", "repository_dispatch", "workflow_run"];

/// One claim, and what it may be.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub(super) claim: String,
    pub(super) compared: Compared,
    /// Any of them.
    pub(super) values: Vec<Spanned<String>>,
}

impl Test {
    fn is_exact(&self) -> bool {
        let literal_star = |value: &str| self.compared == Compared::Exactly && value.contains('*');
        self.values.iter().all(|one| self.compared.open(&one.value).is_none() && !literal_star(&one.value))
    }
}

/// Whether an event is a pull request's.
pub(super) fn is_pull(event: &str) -> bool {
    matches!(event, "pull_request" | "merge_request_event")
}

/// Judges what must be true of a token together, and tells whether it names a repository at all.
pub(super) fn judge(lint: &mut Lint<'_>, place: Span, tests: &[Test]) -> bool {
    let all = Together { tests, place };
    all.patterns(lint);
    let subjects: Vec<&Test> = tests.iter().filter(|test| test.claim == "sub").collect();
    if subjects.is_empty() {
        if !all.repository(lint) {
            return false;
        }
        all.runs(lint);
        return true;
    }
    let events = all.events();
    let event_is_bound = events.pull != events.other;
    let run = all.exact(RUNS).is_some() || all.open(RUNS).is_some() || event_is_bound;
    let beside = Beside { id: all.exact(IDS).is_some(), reference: all.exact(REFS).is_some(), run };
    let before = lint.facts.runs.len();
    for test in &subjects {
        test.values.iter().for_each(|value| subject::judge(lint, value, test.compared, beside));
    }
    let is_open = |test: &&Test| test.values.iter().any(|value| subject::is_open(&value.value, test.compared));
    if run && subjects.iter().all(is_open) {
        all.runs(lint);
    } else if events.pull && !events.other {
        // The subject of a job with an environment does not tell the event.
        for run in lint.facts.runs.iter_mut().skip(before).filter(|run| run.text.contains(":environment:")) {
            (run.pull, run.branch) = (true, false);
        }
        if lint.facts.runs.iter().skip(before).any(|run| run.text.contains(":environment:")) {
            pull_request(lint, place);
        }
    }
    all.spelling(lint);
    true
}

/// Whether pull requests are among the events, and others.
#[derive(Debug, Clone, Copy)]
struct Events {
    pull: bool,
    other: bool,
}

struct Together<'t> {
    tests: &'t [Test],
    place: Span,
}

impl<'t> Together<'t> {
    fn of(&self, names: &'t [&str]) -> impl Iterator<Item = &'t Test> {
        self.tests.iter().filter(move |test| names.contains(&test.claim.as_str()))
    }

    fn exact(&self, names: &'t [&str]) -> Option<&'t Test> {
        self.of(names).find(|test| test.is_exact())
    }

    /// A test that lets more through than it says, where no other of the same claims is exact.
    fn open(&self, names: &'t [&str]) -> Option<&'t Test> {
        self.of(names).find(|test| !test.is_exact() && self.exact(names).is_none())
    }

    /// The events that are asked for; all of them where none is.
    fn events(&self) -> Events {
        let tests: Vec<&Test> = self.of(EVENTS).collect();
        let mut events = Events { pull: true, other: true };
        for test in tests {
            let values = || test.values.iter().map(|one| one.value.as_str());
            let pattern = |value: &str| test.compared.open(value).is_some();
            let pull = |value: &str| is_pull(value) || (pattern(value) && glob(value, "pull_request"));
            events.pull &= values().any(pull);
            events.other &= values().any(|value| !is_pull(value));
        }
        events
    }

    /// Expressions that match in the middle, and stars that stand for themselves.
    fn patterns(&self, lint: &mut Lint<'_>) {
        let names = [IDS, NAMES, RUNS, EVENTS].concat();
        for test in self.tests.iter().filter(|test| names.contains(&test.claim.as_str())) {
            for value in &test.values {
                if test.compared == Compared::Search && is_loose(&value.value) {
                    let message = format!("{} matches anywhere in `{}`", quote(&value.value), test.claim);
                    let help = "begin it with `^` and end it with `$`, or compare with `==`";
                    lint.error("unanchored-pattern", value.span, message, help);
                } else if test.compared == Compared::Exactly && value.value.contains('*') {
                    let message = format!(
                        "{} is compared as a whole, so its `*` stands for itself and nothing matches",
                        quote(&value.value)
                    );
                    lint.error("literal-star", value.span, message, "write the exact value");
                }
            }
        }
    }

    /// Whether a repository is named; by a name or a pattern is told.
    fn repository(&self, lint: &mut Lint<'_>) -> bool {
        self.spelling(lint);
        if self.exact(IDS).is_some() {
            return true;
        }
        if let Some(test) = self.exact(NAMES) {
            let place = test.values.first().map_or(self.place, |value| value.span);
            let message = "only a name is trusted: whoever takes it over after a rename or a deletion is trusted";
            let help = "ask for `repository_id` (GitLab: `project_id`) as well";
            lint.warning("names-not-ids", place, message, help);
            return true;
        }
        let Some(test) = self.open(IDS).or_else(|| self.open(NAMES)) else { return false };
        for value in &test.values {
            let Some(head) = test.compared.open(&value.value) else { continue };
            if head.is_empty() || head.ends_with('/') {
                let message = format!("{} trusts more than one repository", quote(&value.value));
                lint.error("wide-subject", value.span, message, "write the exact name, and its id");
            } else {
                let message =
                    format!("every repository whose `{}` begins with {} is trusted", test.claim, quote(&head));
                lint.error("pattern-crosses", value.span, message, "write the whole of it, and compare it as a whole");
            }
        }
        true
    }

    fn spelling(&self, lint: &mut Lint<'_>) {
        let Some(own) = lint.known.repository.clone() else { return };
        for value in self.of(NAMES).flat_map(|test| &test.values) {
            if value.value != own && value.value.trim_end_matches('/').eq_ignore_ascii_case(&own) {
                let message =
                    format!("the repository is spelt {}, and claims are compared letter by letter", quote(&own));
                lint.error("case-or-slash", value.span, message, "spell it as the forge does");
            }
        }
    }

    /// Which runs of the repository are trusted.
    fn runs(&self, lint: &mut Lint<'_>) {
        // Our own service says the phase itself.
        if let Some(test) = self.exact(&["phase"]) {
            let is_plan = |value: &&Spanned<String>| value.value == "plan";
            let plans = test.values.iter().filter(is_plan).count();
            self.remember(lint, plans > 0, plans < test.values.len());
            if plans > 0 {
                pull_request(lint, self.place);
            }
            return;
        }
        let events = self.events();
        let asks_event = self.of(EVENTS).next().is_some();
        let refs = self.exact(REFS);
        let is_pulls = |value: &&Spanned<String>| value.value.starts_with("refs/pull/");
        let pulls = refs.map(|test| test.values.iter().filter(is_pulls).count());
        let all_pulls = refs.is_some_and(|test| pulls == Some(test.values.len()));
        let open_ref = self.open(REFS);
        let any_ref = open_ref.is_some_and(|test| test.values.iter().any(|value| reaches_pulls(test, &value.value)));
        // The ref of a pull request at GitHub is its own.
        let pull = match (pulls, asks_event) {
            (Some(pulls), _) => pulls > 0 && events.pull,
            (None, true) => events.pull,
            (None, false) => any_ref,
        };
        let branch = events.other && !all_pulls;
        self.remember(lint, pull, branch);
        if pull {
            pull_request(lint, self.place);
        }
        if branch {
            self.branches(lint);
        }
    }

    /// What is trusted, for the comparison with other roles.
    fn remember(&self, lint: &mut Lint<'_>, pull: bool, branch: bool) {
        let test = self.exact(IDS).or_else(|| self.of(NAMES).next()).or_else(|| self.of(IDS).next());
        let names = test.map(|test| test.values.iter().map(|value| value.value.clone()).collect::<Vec<_>>());
        for name in names.unwrap_or_else(|| vec!["*".to_owned()]) {
            let run = |what: &str, pull, branch| Run { text: format!("{name}:{what}"), span: self.place, pull, branch };
            lint.facts.runs.extend(pull.then(|| run("pull_request", true, false)));
            lint.facts.runs.extend(branch.then(|| run("branch", false, true)));
        }
    }

    /// Runs that are no pull request's.
    fn branches(&self, lint: &mut Lint<'_>) {
        if self.exact(RUNS).is_some() {
            let elsewhere = ["ref", "ref_path", "job_workflow_ref", "ref_protected"];
            if self.exact(&["environment"]).is_some()
                && !self.tests.iter().any(|test| elsewhere.contains(&test.claim.as_str()))
            {
                let message = "whatever branch may deploy to the environment is trusted, which no file shows";
                let help = "ask for `ref` as well, or allow only the default branch to deploy there";
                lint.note("environment-needs-branch-rule", self.place, message, help);
            }
            return;
        }
        if let Some(test) = self.open(RUNS) {
            let kind = if test.claim == "environment" { "environment:" } else { "ref:" };
            for value in &test.values {
                if let Some(head) = test.compared.open(&value.value) {
                    open_run(lint, &value.value, &format!("{kind}{head}"), value.span);
                }
            }
            return;
        }
        let events: Vec<&str> =
            self.of(&["event_name"]).flat_map(|test| &test.values).map(|one| one.value.as_str()).collect();
        let others = || events.iter().filter(|event| !is_pull(event));
        if !events.is_empty() && others().all(|event| OF_DEFAULT_BRANCH.contains(event)) {
            return;
        }
        let message = if self.of(EVENTS).next().is_some() {
            "every branch of the repository is trusted: whoever may push one"
        } else {
            "every run of the repository is trusted, pull requests and every branch among them"
        };
        lint.error(
            "wide-subject",
            self.place,
            message,
            "ask for `ref` or `environment` as well; for pull requests alone, for their event",
        );
    }
}

/// Whether a pattern of refs lets those of pull requests through.
fn reaches_pulls(test: &Test, value: &str) -> bool {
    let head = test.compared.open(value);
    head.is_some_and(|head| "refs/pull/1/merge".starts_with(&head) || head.starts_with("refs/pull/"))
}
