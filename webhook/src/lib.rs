//! The companion service of `SecretZero`, as far as it is built: it vouches for runs as an OIDC issuer
//! of its own. Webhooks, jobs and its page come with a later release.

pub mod cli;
pub mod issuer;
pub mod serve;
