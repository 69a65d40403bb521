//! Tokens that say which run this is, for stores that trust whoever issued them.
//!
//! A token is minted for one exchange and one audience, never written down, and useless elsewhere.

pub mod claims;

use async_trait::async_trait;

use crate::provider::Result;
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
