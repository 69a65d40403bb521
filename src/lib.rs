//! `SecretZero` keeps the secrets that a `Secretfile.yml` declares in the stores it names.

pub mod apply;
pub mod clock;
pub mod diagnostic;
pub mod disk;
pub mod generate;
pub mod locator;
pub mod lockfile;
pub mod manifest;
pub mod mark;
pub mod pipeline;
pub mod plan;
pub mod policy;
pub mod provider;
pub mod secret;
pub mod target;
