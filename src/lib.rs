//! `SecretZero` keeps the secrets that a `Secretfile.yml` declares in the stores it names.

pub mod clock;
pub mod diagnostic;
pub mod disk;
pub mod forge;
pub mod locator;
pub mod manifest;
pub mod mark;
pub mod provider;
pub mod secret;
pub mod target;
