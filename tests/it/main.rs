//! All integration tests in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

mod action;
#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "aws")]
mod cli;
mod conformance;
#[cfg(feature = "aws")]
mod crash;
mod excerpts;
mod fake;
#[cfg(all(feature = "aws", feature = "github"))]
mod flow;
#[cfg(all(feature = "aws", feature = "github"))]
mod flow_servers;
#[cfg(feature = "github")]
mod forge;
#[cfg(feature = "github")]
mod forge_emulator;
mod fuzz;
mod job;
mod layering;
#[cfg(all(feature = "aws", feature = "github"))]
mod leaks;
mod local_files;
mod local_readers;
mod manifest;
mod manifest_hostile;
mod policies;
mod providers;
mod readme;
mod repository;
mod sandbox;
mod servers;
mod sim;
