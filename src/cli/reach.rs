//! How a command reaches its stores: as whom, by which addresses, and what it says of a refused login.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::args::{Backoff, CallArgs, RateLimit, StoreArgs};
use super::exit::Exit;
use super::session::{Masks, Session, Workspace, missing, selects};
use super::trusted::{LEFT_OUT, may_sync};
use crate::connect::federation::Federation;
use crate::connect::{Connect, lacks};
use crate::diagnostic::Diagnostic;
use crate::forge::github::workflow;
use crate::hosts::Hosts;
use crate::limiter;
use crate::oidc::{self, Mask, Phase};
use crate::plan::{Scope, Stores};

/// Variables that name a store's address
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
const ENDPOINT_VARIABLES: &[&str] = &[
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_SSO",
    "AWS_ENDPOINT_URL_SSO_OIDC",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
];

impl Session {
    /// Connects every provider block. What no selected target uses needs no credential.
    ///
    /// # Errors
    /// [`Exit::Invalid`] if a selected store is not told how to log in; it was told already.
    pub fn reach(&self, workspace: &Workspace, scope: &Scope, args: &StoreArgs) -> Result<Stores, Exit> {
        let stores = self.connect(workspace, args, None);
        if self.is_steered() {
            // Nobody is asked, so nothing is missing.
            return Ok(stores);
        }
        let manifest = &workspace.manifest;
        let secrets = manifest.secrets.iter().filter(|secret| scope.selects(secret));
        let targets = secrets.flat_map(|secret| &secret.targets).filter(|target| selects(manifest, scope, target));
        let used: BTreeSet<usize> = targets.map(|target| target.provider).collect();
        // What is not built cannot be used, whatever is set.
        let built = used.iter().filter(|index| stores.get(**index).is_some_and(Option::is_some));
        let blocks = built.filter_map(|index| manifest.providers.get(*index));
        let federation = Federation::read(&self.environment, self.phase());
        let findings: Vec<Diagnostic> = blocks.flat_map(|block| lacks(block, &federation)).map(missing).collect();
        if findings.is_empty() {
            return Ok(stores);
        }
        self.findings(&workspace.source, &findings);
        Err(Exit::Invalid)
    }

    /// The addresses that the environment of this run names: whoever starts the run is trusted.
    fn endpoints(&self) -> impl Iterator<Item = &str> {
        ENDPOINT_VARIABLES.iter().filter_map(|name| self.environment.filled(name))
    }

    /// As whom commands other than `ci` come.
    pub(super) fn phase(&self) -> Phase {
        if may_sync(&self.environment) { Phase::Sync } else { Phase::Plan }
    }

    /// Connects every provider block with its identity for a phase, those that lack a setting as
    /// stores that refuse. Only `ci`, which has judged its event, names a phase; without one the
    /// environment decides, and remote stores refuse where a pull request steers the run.
    #[must_use]
    pub fn connect(&self, workspace: &Workspace, args: &StoreArgs, phase: Option<Phase>) -> Stores {
        let connect = self.connecting(&workspace.folder, args.calls, &args.allowed_hosts, phase);
        let stores = connect.all(&workspace.manifest);
        stores.iter().flatten().for_each(|store| self.connected.add(store));
        stores
    }

    /// Explains every refused login, once: which claims were sent and what would admit this run.
    pub fn tell_denials(&self) {
        for denial in self.denials.all() {
            let text = oidc::explain::explain(&denial).text();
            let text = crate::diagnostic::plain(&text);
            // In a job nothing that a claim holds may be taken for a command.
            match (self.masks, workflow::inert(self.entropy.as_ref(), &text)) {
                (Masks::Output, Ok(inert)) => self.console.raw(inert.trim_end()),
                (Masks::Errors, Ok(inert)) => self.console.note(inert.trim_end()),
                _ => self.console.note(text.trim_end()),
            }
        }
    }

    /// Hides a credential where a runner can; elsewhere none is ever printed.
    fn mask(&self) -> Mask {
        let console = self.console.clone();
        let masks = self.masks;
        Arc::new(move |value| match masks {
            Masks::Nowhere => {}
            Masks::Output => console.command(|runner| workflow::mask(value, runner)),
            Masks::Errors => console.command_aside(|runner| workflow::mask(value, runner)),
        })
    }

    /// What stores are connected with, the phase as for [`Session::connect`]: how calls are paced, how often one is tried, and how the wait grows.
    #[must_use]
    pub(super) fn connecting<'a>(
        &'a self,
        folder: &'a Path,
        calls: CallArgs,
        allowed_hosts: &[String],
        phase: Option<Phase>,
    ) -> Connect<'a> {
        let retry = limiter::RetryPolicy {
            attempts_max: calls.retry_max_attempts,
            backoff: match calls.retry_backoff {
                Backoff::Exponential => limiter::Backoff::Exponential,
                Backoff::Constant => limiter::Backoff::Constant,
            },
            ..limiter::RetryPolicy::default()
        };
        let rate_limit = match calls.rate_limit {
            RateLimit::Auto => limiter::RateLimit::Auto,
            RateLimit::Off => limiter::RateLimit::Off,
        };
        let hosts = self.endpoints().fold(Hosts::allowing(allowed_hosts), Hosts::naming);
        let limiter = Arc::new(limiter::Limiter::new(retry, rate_limit));
        let (environment, disk, mask) = (&self.environment, &self.disk, self.mask());
        let tokens = oidc::source(&oidc::Run { environment, disk, limiter: &limiter, mask: &mask });
        Connect {
            folder,
            disk,
            entropy: &self.entropy,
            environment,
            hosts,
            limiter,
            clock: &self.clock,
            tokens: Some(tokens),
            federation: Federation::read(environment, phase.unwrap_or_else(|| self.phase())),
            withheld: (phase.is_none() && !may_sync(environment)).then_some(LEFT_OUT),
            denials: Arc::clone(&self.denials),
            mask,
        }
    }
}
