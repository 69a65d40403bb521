//! All integration tests in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

mod action;
#[cfg(all(feature = "aws", feature = "github"))]
mod actions;
#[cfg(all(feature = "aws", feature = "github"))]
mod adoption;
#[cfg(all(feature = "aws", feature = "azure", feature = "gcp", feature = "vault"))]
mod all_stores;
#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure")]
mod azure;
#[cfg(all(feature = "aws", feature = "github"))]
mod canary;
#[cfg(feature = "aws")]
mod checkout;
mod cli;
mod conformance;
#[cfg(feature = "aws")]
mod crash;
#[cfg(all(feature = "aws", feature = "github"))]
mod doctor;
#[cfg(all(feature = "aws", feature = "github"))]
mod environments;
#[cfg(all(feature = "aws", feature = "github"))]
mod events;
mod excerpts;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp", feature = "github"))]
mod fake;
#[cfg(all(feature = "aws", feature = "github"))]
mod flow;
#[cfg(all(feature = "aws", feature = "github"))]
mod flow_servers;
#[cfg(feature = "github")]
mod forge;
#[cfg(feature = "github")]
mod forge_emulator;
#[cfg(feature = "aws")]
mod forged_lock;
#[cfg(all(feature = "aws", feature = "github"))]
mod forged_ref;
mod fuzz;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(all(feature = "aws", feature = "azure", feature = "gcp", feature = "vault"))]
mod gitlab;
#[cfg(all(feature = "aws", feature = "github"))]
mod gone;
#[cfg(all(feature = "aws", feature = "github"))]
mod hostile;
#[cfg(all(feature = "aws", feature = "github"))]
mod hosts;
#[cfg(all(feature = "aws", feature = "github"))]
mod job;
#[cfg(all(feature = "aws", feature = "github"))]
mod large_comment;
#[cfg(all(feature = "aws", feature = "github"))]
mod law;
mod layering;
#[cfg(all(feature = "aws", feature = "github"))]
mod leaks;
mod local_files;
mod local_readers;
mod manifest;
mod manifest_hostile;
#[cfg(all(feature = "aws", feature = "azure", feature = "vault"))]
mod nine;
#[cfg(all(feature = "aws", feature = "github"))]
mod oidc;
#[cfg(all(feature = "aws", feature = "github"))]
mod overtaken;
#[cfg(feature = "aws")]
mod permissions;
#[cfg(all(feature = "aws", feature = "gcp", feature = "github", feature = "vault"))]
mod planted;
mod policies;
mod providers;
#[cfg(all(feature = "aws", feature = "github"))]
mod proxies;
mod readme;
mod repository;
#[cfg(all(feature = "aws", feature = "github"))]
mod review;
#[cfg(all(feature = "aws", feature = "github"))]
mod runner;
mod sandbox;
mod schema;
mod servers;
mod sim;
#[cfg(all(feature = "aws", feature = "github"))]
mod stage;
#[cfg(all(feature = "aws", feature = "github"))]
mod steered;
mod trust;
#[cfg(feature = "vault")]
mod vault;
