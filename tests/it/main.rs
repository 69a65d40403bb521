//! All integration tests in one binary.

mod action;
mod layering;
mod readme;
mod repository;
mod servers;
mod manifest;
mod local_files;
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]
#[cfg(feature = "aws")]
mod aws;
mod conformance;
#[cfg(feature = "aws")]
mod fake;
mod providers;
