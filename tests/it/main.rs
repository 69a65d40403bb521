//! All integration tests in one binary.

#[cfg(feature = "github")]
mod fake;
#[cfg(feature = "github")]
mod forge;
#[cfg(feature = "github")]
mod forge_emulator;
