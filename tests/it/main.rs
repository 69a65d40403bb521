//! All integration tests in one binary.

mod excerpts;
mod manifest;
mod manifest_hostile;
