//! A pull request: validate, check policies, plan what merging would do, and say it in one comment.
//!
//! What the pull request itself may decide is small. Its provider blocks, variables and policies
//! count only if the default branch has the same; the runner's environment is open to it only where
//! `allow_env` names a variable; a fork, and a job whose credentials may be more than a plan needs,
//! is planned without asking any store.

use std::path::Path;

use super::Job;
use super::base::{Base, Reader, Standard, Unknown};
use super::hint::Seen;
use super::inputs::{FailOn, PlanMode, When};
use super::law::{Elder, names};
use super::planted::Expected;
use super::read::Read;
use super::unit::Unit;
use super::verdict::{Reviewed, Verdict};
use crate::cli::args::{Backoff, CallArgs, RateLimit, StoreArgs};
use crate::cli::exit::Exit;
use crate::cli::session::{LOCAL_LEFT_OUT, Workspace};
use crate::diagnostic::{Diagnostic, Source};
use crate::forge::github::event::PullRequestEvent;
use crate::manifest::{Manifest, ProviderBlock};
use crate::oidc::Phase;
use crate::pipeline::{self, Request, prepare};
use crate::plan::digest::{PlanDigest, Subject};
use crate::plan::{Identities, Options, Plan, Scope};
use crate::{apply::Opened, policy};

/// What is known of the change under review.
pub(super) struct Review<'a> {
    pub(super) number: Option<u64>,
    pub(super) head: &'a str,
    pub(super) base: String,
    /// Why no store may be asked.
    offline: Option<String>,
    /// As whom the stores are asked.
    phase: Phase,
    /// Whether what is checked out is its own base, so that no other text decides.
    own: bool,
    /// Whose policies count for Secretfiles that the change adds.
    elders: Vec<Elder>,
}

impl Job<'_> {
    /// The whole job of a pull request.
    pub(super) async fn pull_request(&self, event: Option<&PullRequestEvent>) -> Result<Exit, Exit> {
        if event.is_some_and(|pull| pull.action == "closed") {
            self.say.notice("the pull request is closed: its merge is synced by the push to the default branch");
            self.say.result("ok", None);
            return Ok(Exit::Done);
        }
        let Some(review) = self.review_of(event).await else {
            self.say.notice("the pull request was closed since: there is nothing to plan, and nothing was done");
            self.say.output("changed", false);
            self.say.result("ok", None);
            return Ok(Exit::Done);
        };
        self.review(review).await
    }

    /// What is known of a pull request before its Secretfiles are read; `None` if it was closed since.
    async fn review_of<'e>(&self, event: Option<&'e PullRequestEvent>) -> Option<Review<'e>> {
        let mut offline = self.offline(event);
        if let Some(event) = event {
            match self.seen_again(event).await {
                Seen::Open => {}
                Seen::Closed => return None,
                Seen::Otherwise(why) => offline = offline.or(Some(why)),
            }
        }
        Some(Review {
            number: event.map(|pull| pull.number),
            head: event.map_or("", |pull| &pull.head_sha),
            base: event.map_or_else(String::new, |pull| pull.base_ref.clone()),
            offline,
            phase: Phase::Plan,
            own: false,
            elders: Vec::new(),
        })
    }

    /// Why the stores of a pull request's Secretfile may not be asked, and the provider blocks to ask
    /// them with if they may: the base's.
    pub(super) async fn standing(
        &self,
        event: Option<&PullRequestEvent>,
        unit: &Unit,
        manifest: &Manifest,
    ) -> (Option<String>, Option<Vec<ProviderBlock>>) {
        let Some(review) = self.review_of(event).await else {
            return (Some("the pull request was closed since".to_owned()), None);
        };
        let standard = match self.base(unit, &review.base).await {
            Ok(base) => self.compare(unit, &base, manifest),
            Err(Unknown(why)) => Standard::unknown(&why),
        };
        (self.unasked(&review, unit, &standard, manifest).await, standard.providers)
    }

    /// Why the stores may not be asked about a change.
    async fn unasked(
        &self,
        review: &Review<'_>,
        unit: &Unit,
        standard: &Standard,
        manifest: &Manifest,
    ) -> Option<String> {
        let nobody = || self.no_identity(review.phase, standard.providers.as_ref(), manifest);
        let unknown = standard.offline.clone().filter(|_| standard.unknown.is_some());
        let offline = unknown.or_else(|| review.offline.clone()).or_else(nobody).or_else(|| standard.offline.clone());
        match (offline, &standard.providers) {
            (None, Some(providers)) => self.planted_in(review, unit, providers).await,
            (offline, _) => offline,
        }
    }

    /// A merge queue: the same checks, offline, so that a required check always reports. The branch that
    /// it leads to decides, as in the pull requests before.
    pub(super) async fn merge_group(&self, head: &str, base: &str) -> Result<Exit, Exit> {
        let offline = Some("A merge queue runs without credentials; the pull requests were planned before.".into());
        let (base, phase, elders) = (base.to_owned(), Phase::Plan, Vec::new());
        self.review(Review { number: None, head, base, offline, phase, own: false, elders }).await
    }

    /// A plan of the checked-out commit, for the job summary alone.
    pub(super) async fn plan_only(&self) -> Result<Exit, Exit> {
        let mut offline = (self.inputs.plan_mode == PlanMode::Offline).then(|| "`plan_mode` is `offline`.".into());
        if self.forge.is_none() {
            offline = offline.or_else(|| Some("There is no token to ask which commit is the newest one with.".into()));
        }
        let own = self.forge.is_none() || self.not_the_tip().await?.is_none();
        if !own {
            offline = Some(
                "This is not the default branch's newest commit, so its provider blocks count for nothing.".into(),
            );
        }
        // The subject of its tokens is the branch, so it comes as whoever syncs it.
        let (head, base, phase) = (self.runner.sha.as_str(), String::new(), Phase::Sync);
        self.review(Review { number: None, head, base, offline, phase, own, elders: Vec::new() }).await
    }

    fn offline(&self, event: Option<&PullRequestEvent>) -> Option<String> {
        let Some(event) = event else {
            return Some("The event could not be read, so it is treated as a fork's.".into());
        };
        if let Some(why) = self.given.and_then(|given| given.offline.clone()).filter(|_| !event.from_fork) {
            return Some(why);
        }
        if event.from_fork {
            return Some("This pull request comes from a fork, which gets no credentials.".into());
        }
        match self.inputs.plan_mode {
            PlanMode::Offline => Some("`plan_mode` is `offline`.".into()),
            // Whether each store has an identity for plans is known once the Secretfile is read.
            PlanMode::Online | PlanMode::Auto => None,
        }
    }

    async fn review(&self, mut review: Review<'_>) -> Result<Exit, Exit> {
        let mut exit = Exit::Done;
        let mut pending = false;
        let units = self.units_or_refuse()?;
        let mut bases = Vec::new();
        if !review.own {
            let (gone, untold) =
                self.gone(&review.base, &units).await.map_err(|Unknown(why)| self.unknown_files(&why))?;
            for unit in &units {
                bases.push(self.base(unit, &review.base).await);
            }
            review.elders = self.elders(&units, &bases, &gone);
            review.elders.extend(untold.as_deref().map(Elder::unknown));
            for gone in &gone {
                self.tell_gone(&review, gone).await;
            }
        }
        let mut bases = bases.into_iter();
        for unit in &units {
            let verdict = self.review_unit(&review, unit, bases.next()).await?;
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

    /// One unit; without a base it is its own.
    async fn review_unit(
        &self,
        review: &Review<'_>,
        unit: &Unit,
        base: Option<Result<Base, Unknown>>,
    ) -> Result<Verdict, Exit> {
        let read = match self.strange_variables(unit, review.head).await {
            Some(bad) => Err(bad),
            None => self.read(unit),
        };
        let (path, read) = match read {
            Ok(read) => read,
            Err(bad) => return self.publish(review, unit, Reviewed::refused(bad.0, bad.1)).await,
        };
        let base = match base {
            Some(base) => base,
            None => Ok(Self::own_base(unit, &read, self.another_checkout(unit, &read).await)),
        };
        let base = match base {
            Ok(base) if review.number.is_some() && self.inputs.comment != When::Always && base.is(&read) => {
                return Ok(self.untouched(review, unit).await);
            }
            Err(Unknown(why)) if self.forge.is_some() => return Ok(self.unknown_base(review, unit, &why).await),
            base => base,
        };
        let reviewed = self.look(review, unit, &path, read, base).await;
        self.publish(review, unit, reviewed).await
    }

    /// One unit of a pull request, looked at and not told; `None` if it cannot be read.
    pub(super) async fn looked_at(&self, event: &PullRequestEvent, unit: &Unit) -> Option<Reviewed> {
        let offline = self.offline(Some(event));
        let review = Review {
            number: Some(event.number),
            head: &event.head_sha,
            base: event.base_ref.clone(),
            offline,
            phase: Phase::Plan,
            own: false,
            elders: Vec::new(),
        };
        let (path, read) = self.read(unit).ok()?;
        let base = self.base(unit, &review.base).await;
        Some(self.look(&review, unit, &path, read, base).await)
    }

    async fn look(
        &self,
        review: &Review<'_>,
        unit: &Unit,
        path: &Path,
        read: Read,
        base: Result<Base, Unknown>,
    ) -> Reviewed {
        let head = self.load(unit, &read, Reader::Head);
        let source = read.source;
        let Some(manifest) = head.manifest else { return Reviewed::refused(source, head.diagnostics) };
        let standard = match base {
            Ok(base) => {
                let known = base.standing().map(|standing| names(&standing.read.source));
                let standard = self.compare(unit, &base, &manifest);
                standard.succeeding(&manifest, &unit.file, known.as_ref(), &review.elders)
            }
            Err(Unknown(why)) => Standard::unknown(&why),
        };
        let findings = policy::check(&standard.judged(&manifest)).into_iter().map(Diagnostic::from).collect();
        let offline = self.unasked(review, unit, &standard, &manifest).await;
        let steering = steering(&manifest);
        let providers = standard.providers.filter(|_| offline.is_none());
        let manifest = Manifest { providers: providers.unwrap_or_else(|| manifest.providers.clone()), ..manifest };
        let (plan, digest) =
            self.plan(path, &source, &manifest, &steering, unit, (review.phase, offline.is_some())).await;
        let problems = head.diagnostics;
        let unknown = standard.unknown;
        Reviewed { source, manifest: Some(manifest), problems, findings, plan: Some(plan), digest, offline, unknown }
    }

    /// Why no store may be asked: a login would read what the change brings.
    async fn planted_in(&self, review: &Review<'_>, unit: &Unit, providers: &[ProviderBlock]) -> Option<String> {
        if review.number.is_none() {
            return self.planted_beside(unit, providers).await;
        }
        let Ok((at, None)) = self.base_at(&review.base).await else {
            return Some("The base branch could not be asked again; the stores were not asked.".into());
        };
        let others = [review.head, &self.runner.sha];
        let planted = self.planted(unit, &Expected { at: &at, others: &others, strict: true }, providers).await;
        planted.map(|what| {
            format!(
                "{what} that is not known to be the base branch's, so the pull request would decide what a login \
                 trusts; the stores were not asked."
            )
        })
    }

    async fn plan(
        &self,
        path: &Path,
        source: &Source,
        manifest: &Manifest,
        steering: &[String],
        unit: &Unit,
        (phase, offline): (Phase, bool),
    ) -> (Plan, PlanDigest) {
        let session = self.session;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let workspace = Workspace { source: source.clone(), manifest: manifest.clone(), warnings: Vec::new(), folder };
        let stores = session.connect(&workspace, &self.store_args(), Some(phase));
        let identities = Identities::of(&workspace.manifest, &unit.environment, self.runner.repository_key());
        let opened = if self.forge.is_some() { self.opened(unit).await } else { Opened::default() };
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
        let desired = |secret, target| desired(&workspace.manifest, steering, secret, target);
        let subject = Subject { file: &unit.file, environment: &unit.environment, desired: &desired };
        let digest = PlanDigest::of(&prepared.plan, &subject);
        (prepared.plan, digest)
    }

    /// Why local files are not looked at in this job.
    pub(super) fn local_left_out(&self) -> Option<String> {
        (!self.inputs.local_files).then(|| LOCAL_LEFT_OUT.to_owned())
    }

    /// How stores are spoken to.
    pub(super) fn store_args(&self) -> StoreArgs {
        StoreArgs {
            provider: Vec::new(),
            secret: Vec::new(),
            target_type: Vec::new(),
            calls: CallArgs {
                rate_limit: if self.inputs.paced { RateLimit::Auto } else { RateLimit::Off },
                retry_max_attempts: self.inputs.retry_max_attempts,
                retry_backoff: if self.inputs.backoff_grows { Backoff::Exponential } else { Backoff::Constant },
            },
            allowed_hosts: self.inputs.allowed_hosts.clone(),
        }
    }
}

/// The settings that a target is to have and where its provider leads, as a review keeps them.
pub(super) fn desired(manifest: &Manifest, steering: &[String], secret: usize, target: usize) -> String {
    let declared = manifest.secrets.get(secret).and_then(|secret| secret.targets.get(target));
    let Some(target) = declared else { return String::new() };
    let provider = steering.get(target.provider).map_or("", String::as_str);
    format!("{:?} {provider}", target.settings)
}

/// Settings of a provider that say whose account, which place or which host; none is a credential.
const STEERING: [&str; 10] = [
    "endpoint_url",
    "external_id",
    "namespace",
    "profile",
    "project_id",
    "region",
    "role_arn",
    "tenant_id",
    "url",
    "vault_url",
];

/// Where each provider of a Secretfile leads, as its text says: what the environment of a job fills
/// in differs from job to job.
pub(super) fn steering(manifest: &Manifest) -> Vec<String> {
    let one = |block: &ProviderBlock| {
        let settings = STEERING.iter().filter_map(|name| {
            let text = block.setting(name).map(str::to_owned);
            let text = text.or_else(|| block.unresolved.get(*name).map(|variable| format!("${{{}}}", variable.value)));
            text.map(|text| format!("{name}={text:?}"))
        });
        format!("{:?} {} {}", block.kind, block.auth_kind, settings.collect::<Vec<_>>().join(" "))
    };
    manifest.providers.iter().map(one).collect()
}
