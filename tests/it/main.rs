//! All integration tests in one binary.

mod action;
#[cfg(feature = "github")]
mod fake;
#[cfg(feature = "github")]
mod forge;
#[cfg(feature = "github")]
mod forge_emulator;
mod layering;
mod local_files;
mod manifest;
mod readme;
mod repository;
mod servers;
