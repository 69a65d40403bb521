//! All integration tests in one binary.

mod manifest;
mod manifest_hostile;
