//! The metadata server of a machine, a container or a function at Google
//! (<https://cloud.google.com/compute/docs/metadata/overview>): no credential is sent there.

use super::{Granted, Wire, wire};
use crate::provider::Result;

/// Where it is when `GCE_METADATA_HOST` does not say otherwise.
pub(super) const HOST: &str = "metadata.google.internal";

fn url(host: &str, path: &str) -> String {
    format!("http://{host}/computeMetadata/v1/{path}")
}

/// A token of the service account that is attached.
pub(super) async fn token(wire: &Wire, host: &str) -> Result<Granted> {
    let body = wire.metadata(&url(host, "instance/service-accounts/default/token")).await?;
    wire::granted("the token of the metadata server", &body)
}

/// A short text, such as an address or a project; empty if it is told to nobody.
pub(super) async fn text(wire: &Wire, host: &str, path: &str) -> String {
    let text = wire.metadata(&url(host, path)).await.ok().and_then(|body| String::from_utf8(body).ok());
    text.filter(|text| text.len() <= 256 && !text.chars().any(char::is_control)).unwrap_or_default()
}

/// The address of the service account.
pub(super) async fn email(wire: &Wire, host: &str) -> String {
    text(wire, host, "instance/service-accounts/default/email").await
}

/// The project that the machine belongs to.
pub(super) async fn project(wire: &Wire, host: &str) -> Option<String> {
    Some(text(wire, host, "project/project-id").await).filter(|project| !project.is_empty())
}
