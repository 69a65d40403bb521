//! A store whose login lacks a setting: it serves what it would serve, and answers every call with the
//! setting that is missing, so that nothing is taken for absent and no half login is ever sent.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Capabilities, Error, ErrorKind, Identity, Listed, Observed, Probe, Provider, Reading, Result, Stored};
use super::{VersionId, WriteOptions};
use crate::locator::Locator;
use crate::mark::Generation;
use crate::secret::Value;
use crate::target::{Attributes, Place, TargetKind};

/// Stands in for a store that cannot be reached here.
pub struct Unset {
    like: Arc<dyn Provider>,
    error: Error,
}

impl Unset {
    /// In place of `like`, which is never called; `reason` says what is missing.
    #[must_use]
    pub fn new(like: Arc<dyn Provider>, reason: String) -> Self {
        Self { like, error: Error::new(ErrorKind::Unauthenticated, reason) }
    }

    fn refuse<T>(&self) -> Result<T> {
        Err(self.error.clone())
    }
}

#[async_trait]
impl Provider for Unset {
    fn capabilities(&self, kind: TargetKind) -> Option<Capabilities> {
        self.like.capabilities(kind)
    }

    fn capabilities_at(&self, place: &Place) -> Option<Capabilities> {
        self.like.capabilities_at(place)
    }

    fn audience(&self) -> Option<String> {
        self.like.audience()
    }

    async fn identity(&self) -> Result<Identity> {
        self.refuse()
    }

    async fn locator(&self, _: &Place) -> Result<Locator> {
        self.refuse()
    }

    fn desired(&self, place: &Place, generation: Option<&Generation>) -> Attributes {
        self.like.desired(place, generation)
    }

    async fn observe(&self, at: &[Probe<'_>], _: Reading) -> Vec<Result<Option<Observed>>> {
        at.iter().map(|_| self.refuse()).collect()
    }

    async fn read(&self, at: &[&Place]) -> Vec<Result<Stored>> {
        at.iter().map(|_| self.refuse()).collect()
    }

    async fn write(&self, _: &Place, _: &Value, _: &WriteOptions) -> Result<VersionId> {
        self.refuse()
    }

    async fn annotate(&self, _: &Place, _: &[String], _: &WriteOptions) -> Result<VersionId> {
        self.refuse()
    }

    async fn restore(&self, _: &Place) -> Result<()> {
        self.refuse()
    }

    async fn list(&self, _: TargetKind, _: &str) -> Result<Vec<Listed>> {
        self.refuse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::memory::MemoryProvider;

    #[tokio::test]
    async fn it_serves_the_same_kinds_and_answers_nothing() {
        let store = Unset::new(Arc::new(MemoryProvider::default()), "`role_arn` is not set".into());
        assert!(store.capabilities(TargetKind::SecretsManager).is_some());
        let answer = store.identity().await;
        assert!(matches!(&answer, Err(error) if error.kind == ErrorKind::Unauthenticated), "{answer:?}");
    }
}
