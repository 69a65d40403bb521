//! Tokens that say which run this is, for stores that trust whoever issued them.
//!
//! A token is minted for one exchange and one audience, never written down, and useless elsewhere.

pub mod claims;
mod denial;
pub mod explain;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp", feature = "github", feature = "vault"))]
mod github;
mod presented;
mod trade;

use std::sync::Arc;

use async_trait::async_trait;

pub use denial::{Denial, Denials, Exchange};
pub use trade::{Heard, Refused, Trades};

use crate::disk::Disk;
use crate::environment::Environment;
use crate::limiter::Limiter;
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// Who vouches for this run: the CI system, the cluster, or our own service.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// A fresh token for an audience, such as `sts.amazonaws.com`.
    ///
    /// # Errors
    /// [`crate::provider::ErrorKind::Unauthenticated`] with what the run lacks; others where the
    /// issuer cannot be reached.
    async fn token(&self, audience: &str) -> Result<SecretValue>;
}

/// What a run is about to do at the stores: its identity there depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Read metadata for a pull request; never a value, never a write.
    Plan,
    /// Bring the stores in line with the default branch.
    #[default]
    Sync,
    /// Make new values for what is due.
    Rotate,
}

impl Phase {
    /// As it stands in names of sessions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Sync => "sync",
            Self::Rotate => "rotate",
        }
    }
}

/// Told of every credential before anybody else may see it, so that the log of a job hides it.
pub type Mask = Arc<dyn Fn(&SecretValue) + Send + Sync>;

/// What a source of tokens is made from.
pub struct Run<'a> {
    /// Where the run tells how to get one.
    pub environment: &'a Environment,
    /// Reads projected tokens.
    pub disk: &'a Arc<dyn Disk>,
    /// Paces and repeats requests for tokens.
    pub limiter: &'a Arc<Limiter>,
    /// Hides them.
    pub mask: &'a Mask,
}

/// Where tokens come from in this run: a projected file that `SECRETZERO_ID_TOKEN_FILE` names, else
/// GitHub Actions, else what GitLab or a cluster put into variables and files.
#[must_use]
pub fn source(run: &Run<'_>) -> Arc<dyn TokenSource> {
    let environment = run.environment;
    #[cfg(any(feature = "aws", feature = "azure", feature = "gcp", feature = "github", feature = "vault"))]
    if environment.filled(presented::FILE).is_none()
        && let (Some(url), Some(bearer)) = (environment.filled(GITHUB_URL), environment.filled(GITHUB_TOKEN))
    {
        return Arc::new(github::Github::new(url, bearer, Arc::clone(run.limiter), Arc::clone(run.mask)));
    }
    let presented = presented::Presented::of(environment, run.disk, run.mask);
    match presented.is_empty() {
        false => Arc::new(presented),
        true => Arc::new(Absent { why: absent(environment), gitlab: environment.filled(GITLAB).is_some() }),
    }
}

/// Why no token can be had in this run; `None` if one can be asked for.
#[must_use]
pub fn lacks(environment: &Environment) -> Option<String> {
    let github = environment.filled(GITHUB_URL).is_some() && environment.filled(GITHUB_TOKEN).is_some();
    let any = github || presented::is_any(environment);
    (!any).then(|| absent(environment))
}

/// The variables of a GitLab job that hold ID tokens, and the audiences each is good for; none for one
/// that is no token.
#[must_use]
pub fn declared(environment: &Environment) -> Vec<(String, Vec<String>)> {
    presented::audiences(environment)
}

/// Set in every job of GitLab's
/// (<https://docs.gitlab.com/ci/variables/predefined_variables/>).
const GITLAB: &str = "GITLAB_CI";

/// <https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token>
const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const GITHUB_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// What to do where there is no token.
fn absent(environment: &Environment) -> String {
    if environment.filled("GITHUB_ACTIONS").is_some() {
        return "this job can have no ID token: give it `permissions: id-token: write`; a pull request from a fork or \
                from Dependabot gets none in any case"
            .to_owned();
    }
    if environment.filled(GITLAB).is_some() {
        return format!(
            "this job has no ID token: declare one under `id_tokens:` with the audience of the cloud, as one of {} or \
             as a variable that {} names",
            presented::VARIABLES.join(", "),
            presented::NAMES,
        );
    }
    format!(
        "nobody vouches for this run: it is no job of GitHub Actions with `id-token: write`, GitLab set none of {}, and \
         none of {} names a token file",
        presented::VARIABLES.join(", "),
        presented::FILES.join(", "),
    )
}

/// A run that nobody vouches for.
struct Absent {
    why: String,
    gitlab: bool,
}

#[async_trait]
impl TokenSource for Absent {
    async fn token(&self, audience: &str) -> Result<SecretValue> {
        let message = match self.gitlab {
            true => format!("this job has no ID token: give it {}", presented::declaration(audience)),
            false => self.why.clone(),
        };
        Err(Error::new(ErrorKind::Unauthenticated, message))
    }
}
