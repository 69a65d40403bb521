//! A pull request: validate, check policies, plan what merging would do, and say it in one comment.
//!
//! What the pull request itself may decide is small. Its provider blocks, variables and policies
//! count only if the default branch has the same; the runner's environment is open to it only where
//! `allow_env` names a variable; a fork, and a job whose credentials may be more than a plan needs,
//! is planned without asking any store.

use std::path::Path;

use super::Job;
use super::inputs::{FailOn, PlanMode, When};
use super::say::Check;
use crate::cli::args::{Backoff, RateLimit, StoreArgs};
use crate::cli::exit::Exit;
use crate::cli::report;
use crate::cli::session::Workspace;
use crate::diagnostic::{Diagnostic, Severity, Source, Span, Spanned};
use crate::forge::Conclusion;
use crate::forge::github::event::PullRequestEvent;
use crate::manifest::{
    Compliance, Credentials, Inputs, Loaded, Manifest, Metadata, Policy, ProviderBlock, Statics, load,
};
use crate::pipeline::{self, Request, prepare};
use crate::plan::digest::PlanDigest;
use crate::plan::{Action, Identities, Options, Plan, Scope};
use crate::render::code;
use crate::render::comment::{self, Facts, ROWS_MAX};
use crate::{apply::Opened, policy};

/// Most rows of a table in the job summary.
pub(super) const SUMMARY_ROWS_MAX: usize = 3_000;

/// What is known of the change under review.
struct Review<'a> {
    number: Option<u64>,
    head: &'a str,
    base: String,
    /// Why no store may be asked.
    offline: Option<String>,
}

/// The default branch's version of a Secretfile.
enum Base {
    /// There is no way to ask, or the answer failed.
    Unknown(String),
    /// It does not have the file.
    Absent,
    /// Its text, and why it decides nothing but policies: the change goes to another branch.
    Elsewhere(String, Vec<u8>),
    /// Its text.
    Text(Vec<u8>),
}

impl Base {
    /// Whether it is this very text.
    fn is(&self, head: &Source) -> bool {
        matches!(self, Self::Text(bytes) if Source::from_bytes("base", bytes.clone()).is_ok_and(|base| base.text == head.text))
    }
}

/// What became of one Secretfile.
pub(super) struct Verdict {
    exit: Exit,
    pending: bool,
}

impl Job<'_> {
    /// The whole job of a pull request.
    pub(super) async fn pull_request(&self, event: Option<&PullRequestEvent>) -> Result<Exit, Exit> {
        if event.is_some_and(|pull| pull.action == "closed") {
            self.say.notice("the pull request is closed: its merge is synced by the push to the default branch");
            self.say.result("ok", None);
            return Ok(Exit::Done);
        }
        let mut offline = self.offline(event);
        if let (None, Some(event)) = (&offline, event) {
            offline = self.disbelieved(event).await;
        }
        let review = Review {
            number: event.map(|pull| pull.number),
            head: event.map_or("", |pull| &pull.head_sha),
            base: event.map_or_else(String::new, |pull| pull.base_ref.clone()),
            offline,
        };
        self.review(&review).await
    }

    /// A merge queue: the same checks, offline, so that a required check always reports.
    pub(super) async fn merge_group(&self, head: &str) -> Result<Exit, Exit> {
        let offline = Some("A merge queue runs without credentials; the pull requests were planned before.".into());
        self.review(&Review { number: None, head, base: String::new(), offline }).await
    }

    /// A plan of the checked-out commit, for the job summary alone.
    pub(super) async fn plan_only(&self) -> Result<Exit, Exit> {
        let mut offline = (self.inputs.plan_mode == PlanMode::Offline).then(|| "`plan_mode` is `offline`.".into());
        if offline.is_none() && self.not_the_tip().await?.is_some() {
            offline = Some(
                "This is not the default branch's newest commit, so its provider blocks count for nothing.".into(),
            );
        }
        self.review(&Review { number: None, head: &self.runner.sha, base: String::new(), offline }).await
    }

    fn offline(&self, event: Option<&PullRequestEvent>) -> Option<String> {
        let Some(event) = event else {
            return Some("The event could not be read, so it is treated as a fork's.".into());
        };
        if event.from_fork {
            return Some("This pull request comes from a fork, which gets no credentials.".into());
        }
        match self.inputs.plan_mode {
            PlanMode::Online => None,
            PlanMode::Offline => Some("`plan_mode` is `offline`.".into()),
            PlanMode::Auto => Some(
                "This job's credentials may be more than a plan needs. Give pull requests credentials that can read \
                 metadata only, and say so with `plan_mode: online`."
                    .into(),
            ),
        }
    }

    async fn review(&self, review: &Review<'_>) -> Result<Exit, Exit> {
        let mut exit = Exit::Done;
        let mut pending = false;
        for file in &self.inputs.files {
            let verdict = self.review_file(review, file).await?;
            exit = exit.max(verdict.exit);
            pending |= verdict.pending;
        }
        let result = match exit {
            Exit::Done if pending => "pending",
            Exit::Done => "ok",
            Exit::Partial => "held",
            _ => "failed",
        };
        self.say.output("changed", false);
        self.say.result(result, Some(exit));
        let told = exit == Exit::Done || (exit == Exit::Partial) || self.inputs.fail_on == FailOn::None;
        Ok(match (told, pending && self.inputs.detailed_exitcode) {
            (true, true) => Exit::Pending,
            (true, false) => Exit::Done,
            (false, _) => exit,
        })
    }

    async fn review_file(&self, review: &Review<'_>, file: &str) -> Result<Verdict, Exit> {
        let (path, source) = match self.secretfile(file) {
            Ok(read) => read,
            Err(problem) => return self.publish(review, Reviewed::refused(Source::new(file, ""), vec![problem])).await,
        };
        let base = self.base(file, review).await;
        if let Some(number) = review.number.filter(|_| self.inputs.comment != When::Always && base.is(&source)) {
            return Ok(self.untouched(review, number, file).await);
        }
        let head = self.load(&source, Reader::Head);
        let Some(manifest) = head.manifest else {
            return self.publish(review, Reviewed::refused(source, head.diagnostics)).await;
        };
        let base = self.compare(&base, &manifest);
        let findings = policy::check(&base.judged(&manifest)).into_iter().map(Diagnostic::from).collect();
        let offline = review.offline.clone().or_else(|| base.offline.clone());
        let providers = base.providers.filter(|_| offline.is_none());
        let manifest = Manifest { providers: providers.unwrap_or_else(|| manifest.providers.clone()), ..manifest };
        let (plan, digest) = self.plan(&path, &source, &manifest, offline.is_some()).await;
        let problems = head.diagnostics;
        let reviewed =
            Reviewed { source, manifest: Some(manifest), problems, findings, plan: Some(plan), digest, offline };
        self.publish(review, reviewed).await
    }

    /// A pull request that leaves the Secretfile as it is: the check succeeds at once, and only a
    /// comment from before, when it did not, is set right.
    async fn untouched(&self, review: &Review<'_>, number: u64, file: &str) -> Verdict {
        let title = "Not touched by this pull request";
        let summary = format!("### SecretZero · {}\n\n**{title}.** Merging it changes no secret.\n", code(file));
        self.session.console.line(title);
        self.say.summarise(&summary);
        if self.has_comment(number, file).await {
            self.comment(number, file, &summary).await;
        }
        let check = Check {
            sha: review.head,
            file,
            title: title.into(),
            summary: &summary,
            conclusion: Conclusion::Success,
            annotations: Vec::new(),
            digest: String::new(),
            entries: Vec::new(),
        };
        self.check(&check).await;
        Verdict { exit: Exit::Done, pending: false }
    }

    /// The default branch's version, as the API tells it now.
    async fn base(&self, file: &str, review: &Review<'_>) -> Base {
        if review.number.is_none() && review.offline.is_none() {
            // The checked-out commit is the default branch's own.
            return match self.session.disk.read(&self.runner.workspace.join(file), 4 * 1024 * 1024) {
                Ok(Some(bytes)) => Base::Text(bytes),
                _ => Base::Absent,
            };
        }
        let Some(forge) = &self.forge else { return Base::Unknown("there is no token to ask with".into()) };
        let tip = match forge.default_branch_tip().await {
            Ok(tip) => tip,
            Err(error) => return Base::Unknown(error.to_string()),
        };
        let elsewhere = (!review.base.is_empty() && review.base != tip.branch)
            .then(|| format!("This pull request is merged into `{}`, not into the default branch.", review.base));
        match forge.file_at(file, &tip.sha).await {
            Ok(Some(bytes)) => match elsewhere {
                Some(why) => Base::Elsewhere(why, bytes),
                None => Base::Text(bytes),
            },
            Ok(None) => Base::Absent,
            Err(error) => Base::Unknown(error.to_string()),
        }
    }

    fn load(&self, source: &Source, reader: Reader) -> Loaded {
        let environment = |name: &str| {
            let open = reader == Reader::Base || self.inputs.allow_env.iter().any(|allowed| allowed == name);
            self.session.environment.get(name).filter(|_| open).map(str::to_owned)
        };
        let inputs = Inputs {
            statics: Statics::Leave,
            credentials: Credentials::Leave,
            withheld: true,
            allowed_hosts: self.inputs.allowed_hosts.clone(),
            ..Inputs::new(&environment, self.session.clock.now())
        };
        load(source, &inputs)
    }

    /// What the default branch has to say about the change.
    fn compare(&self, base: &Base, head: &Manifest) -> Standard {
        let offline =
            |why: &str| Standard { offline: Some(why.to_owned()), policies: None, packs: None, providers: None };
        let (text, elsewhere) = match base {
            Base::Unknown(why) => return offline(&format!("The default branch's Secretfile is not known: {why}.")),
            Base::Absent => return offline("The default branch has no such Secretfile yet."),
            Base::Elsewhere(why, text) => (text.clone(), Some(why.clone())),
            Base::Text(text) => (text.clone(), None),
        };
        let Ok(source) = Source::from_bytes("base", text) else {
            return offline("The default branch's Secretfile cannot be read.");
        };
        let (Some(as_head), Some(full)) =
            (self.load(&source, Reader::Head).manifest, self.load(&source, Reader::Base).manifest)
        else {
            return offline("The default branch's Secretfile is invalid.");
        };
        let changed = if !same_providers(&as_head.providers, &head.providers) {
            Some("This pull request changes provider blocks or the variables they use; the stores were not asked.")
        } else if !same_policies(&as_head.policies, &head.policies)
            || packs(&as_head.metadata.compliance) != packs(&head.metadata.compliance)
        {
            Some(
                "This pull request changes policies; those of the default branch decide, and the stores were not asked.",
            )
        } else {
            None
        };
        Standard {
            offline: elsewhere.or_else(|| changed.map(str::to_owned)),
            policies: Some(as_head.policies),
            packs: Some(as_head.metadata.compliance),
            providers: changed.is_none().then_some(full.providers),
        }
    }

    async fn plan(&self, path: &Path, source: &Source, manifest: &Manifest, offline: bool) -> (Plan, PlanDigest) {
        let file = &source.name;
        let session = self.session;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let workspace = Workspace { source: source.clone(), manifest: manifest.clone(), warnings: Vec::new(), folder };
        let stores = session.connect(&workspace, &self.store_args());
        let identities = Identities::of(&workspace.manifest, &self.inputs.environment, self.runner.repository_key());
        let opened = if self.forge.is_some() { self.opened(file).await } else { Opened::default() };
        let scope = Scope { local_left_out: self.local_left_out(), offline, ..Scope::default() };
        let request = Request {
            manifest: &workspace.manifest,
            stores: &stores,
            identities: &identities,
            opened: &opened,
            scope: &scope,
            options: Options { adopt: self.inputs.adopt, ..Options::default() },
            clock: session.clock.as_ref(),
            entropy: session.entropy.as_ref(),
        };
        let prepared = prepare(&request, pipeline::Depth::Plan).await;
        let digest = PlanDigest::of(&prepared.plan, file, &self.inputs.environment, |secret, target| {
            let declared = workspace.manifest.secrets.get(secret).and_then(|secret| secret.targets.get(target));
            declared.map_or_else(String::new, |target| format!("{:?}", target.settings))
        });
        (prepared.plan, digest)
    }

    /// Why local files are not looked at in this job.
    pub(super) fn local_left_out(&self) -> Option<String> {
        let why = "local files belong to the machine one stands on; `local_files: true` includes the runner's";
        (!self.inputs.local_files).then(|| why.to_owned())
    }

    /// How stores are spoken to.
    pub(super) fn store_args(&self) -> StoreArgs {
        StoreArgs {
            provider: Vec::new(),
            secret: Vec::new(),
            target_type: Vec::new(),
            rate_limit: if self.inputs.paced { RateLimit::Auto } else { RateLimit::Off },
            retry_max_attempts: self.inputs.retry_max_attempts,
            retry_backoff: Backoff::Exponential,
            allowed_hosts: self.inputs.allowed_hosts.clone(),
        }
    }

    async fn publish(&self, review: &Review<'_>, reviewed: Reviewed) -> Result<Verdict, Exit> {
        let Reviewed { source, manifest, problems, findings, plan, digest, offline } = &reviewed;
        let file = source.name.as_str();
        let blob_url = self.runner.blob_url(review.head);
        let facts = |rows_max| Facts {
            file,
            environment: &self.inputs.environment,
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
        let title = comment::title(&facts(ROWS_MAX));
        self.say.summarise(&comment::comment(&facts(SUMMARY_ROWS_MAX)));
        let all: Vec<Diagnostic> = problems.iter().chain(findings).cloned().collect();
        let annotations = self.say.annotate(file, &all);
        let exit = self.judge(&reviewed);
        self.numbers(findings, plan.as_ref(), digest);
        self.session.console.line(&title);
        if let Some(number) = review.number {
            self.comment(number, file, &body).await;
        }
        let conclusion = match exit {
            Exit::Done => Conclusion::Success,
            Exit::Partial => Conclusion::Neutral,
            _ => Conclusion::Failure,
        };
        let (digest, entries) = (digest.total(), digest.entries.clone());
        let sha = review.head;
        self.check(&Check { sha, file, title, summary: &body, conclusion, annotations, digest, entries }).await;
        self.say.report(serde_json::json!({
            "file": file,
            "findings": report::findings(file, &all),
            "plan": plan.as_ref().map(report::plan),
        }));
        Ok(Verdict { exit, pending: plan.as_ref().is_some_and(Plan::has_changes) })
    }

    fn judge(&self, reviewed: &Reviewed) -> Exit {
        let has = |list: &[Diagnostic], severity| list.iter().any(|finding| finding.severity == severity);
        let strict = self.inputs.fail_on == FailOn::Warning;
        let Reviewed { problems, findings, manifest, plan, .. } = reviewed;
        if manifest.is_none() || has(problems, Severity::Error) || (strict && has(problems, Severity::Warning)) {
            return Exit::Invalid;
        }
        if has(findings, Severity::Error) || (strict && has(findings, Severity::Warning)) {
            return Exit::Policy;
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

/// One Secretfile of the change, looked at.
struct Reviewed {
    source: Source,
    manifest: Option<Manifest>,
    problems: Vec<Diagnostic>,
    findings: Vec<Diagnostic>,
    plan: Option<Plan>,
    digest: PlanDigest,
    offline: Option<String>,
}

impl Reviewed {
    /// One that cannot be planned.
    const fn refused(source: Source, problems: Vec<Diagnostic>) -> Self {
        let digest = PlanDigest { entries: Vec::new() };
        Self { source, manifest: None, problems, findings: Vec::new(), plan: None, digest, offline: None }
    }
}

/// Which text is read, and so what of the environment it may see.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Head,
    Base,
}

/// What the default branch decides.
struct Standard {
    offline: Option<String>,
    policies: Option<Vec<Policy>>,
    packs: Option<Vec<Spanned<Compliance>>>,
    providers: Option<Vec<ProviderBlock>>,
}

impl Standard {
    /// The change's manifest under the default branch's policies.
    fn judged(&self, head: &Manifest) -> Manifest {
        let compliance = self.packs.clone().unwrap_or_else(|| head.metadata.compliance.clone());
        Manifest {
            policies: self.policies.clone().unwrap_or_else(|| head.policies.clone()),
            metadata: Metadata { compliance, ..head.metadata.clone() },
            ..head.clone()
        }
    }
}

fn packs(entries: &[Spanned<Compliance>]) -> Vec<Compliance> {
    entries.iter().map(|entry| entry.value).collect()
}

fn same_policies(base: &[Policy], head: &[Policy]) -> bool {
    let bare = |policies: &[Policy]| -> Vec<Policy> {
        let bare = |policy: &Policy| Policy {
            name: Spanned::new(policy.name.value.clone(), Span::default()),
            ..policy.clone()
        };
        policies.iter().map(bare).collect()
    };
    bare(base) == bare(head)
}

fn same_providers(base: &[ProviderBlock], head: &[ProviderBlock]) -> bool {
    let same = |a: &ProviderBlock, b: &ProviderBlock| {
        let config = a.config.len() == b.config.len()
            && a.config
                .iter()
                .all(|(name, value)| b.config.get(name).is_some_and(|other| other.value.matches(&value.value)));
        let names = |block: &ProviderBlock| {
            block.unresolved.iter().map(|(k, v)| (k.clone(), v.value.clone())).collect::<Vec<_>>()
        };
        a.alias.value == b.alias.value
            && a.kind == b.kind
            && a.auth_kind == b.auth_kind
            && config
            && names(a) == names(b)
    };
    base.len() == head.len() && base.iter().zip(head).all(|(a, b)| same(a, b))
}
