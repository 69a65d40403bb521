//! The canonical URI of a place, free of the alias that a Secretfile gives its provider.
//!
//! `aws-sm://<account>/<region>/<name>`, `aws-ssm://<account>/<region>/<name>`, `file:<path>#<key>`.
//! Two targets with one locator are the same place.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a value lives, in one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Locator(String);

impl Locator {
    /// A secret of AWS Secrets Manager.
    #[must_use]
    pub fn secrets_manager(account: &str, region: &str, name: &str) -> Self {
        Self(format!("aws-sm://{account}/{region}/{name}"))
    }

    /// A parameter of AWS SSM; the leading `/` of a hierarchy belongs to the name.
    #[must_use]
    pub fn ssm_parameter(account: &str, region: &str, name: &str) -> Self {
        Self(format!("aws-ssm://{account}/{region}/{name}"))
    }

    /// A key in a local file.
    #[must_use]
    pub fn file(path: &str, key: &str) -> Self {
        Self(format!("file:{path}#{key}"))
    }

    /// The URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the place is a file of the machine one stands on.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.0.starts_with("file:")
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
