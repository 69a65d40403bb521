//! `SecretZero` keeps the secrets that a `Secretfile.yml` declares in the stores it names.

pub mod apply;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp", feature = "github", feature = "vault"))]
pub mod certificate;
pub mod cli;
pub mod clock;
pub mod connect;
pub mod diagnostic;
pub mod disk;
pub mod environment;
pub mod forge;
pub mod generate;
pub mod hosts;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp", feature = "github", feature = "vault"))]
pub mod http;
pub mod limiter;
pub mod locator;
pub mod lockfile;
pub mod manifest;
pub mod mark;
pub mod oidc;
pub mod permissions;
pub mod pipeline;
pub mod plan;
pub mod policy;
pub mod provider;
pub mod render;
pub mod secret;
pub mod takes;
pub mod target;
pub mod trust;
