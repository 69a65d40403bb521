//! Stateful stand-ins for services that cannot run here; each rule names its source.

#![expect(clippy::expect_used, reason = "a fake that cannot start must fail the test")]

#[cfg(all(feature = "aws", feature = "github"))]
pub(crate) mod actions;
#[cfg(feature = "aws")]
pub(crate) mod aws;
#[cfg(feature = "azure")]
pub(crate) mod azure;
#[cfg(feature = "gcp")]
pub(crate) mod gcp;
#[cfg(feature = "github")]
pub(crate) mod github;
#[cfg(feature = "aws")]
pub(crate) mod jwt;
