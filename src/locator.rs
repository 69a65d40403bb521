//! The canonical URI of a place, free of the alias that a Secretfile gives its provider.
//!
//! `aws-sm://<account>/<region>/<name>`, `aws-ssm://<account>/<region>/<levels>`, `gcp-sm://<project>/<id>`,
//! `file:<path>#<key>`.
//! Two targets with one locator are the same place.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a value lives, in one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Locator(String);

impl From<Locator> for String {
    fn from(locator: Locator) -> Self {
        locator.0
    }
}

/// A locator as a lock holds it; one of an older form is read as the canonical one.
impl From<String> for Locator {
    fn from(text: String) -> Self {
        let parts = text.strip_prefix(SSM).and_then(|rest| {
            let mut parts = rest.splitn(3, '/');
            Some((parts.next()?, parts.next()?, parts.next()?))
        });
        match parts {
            Some((account, region, name)) => Self::ssm_parameter(account, region, name),
            None => Self(text),
        }
    }
}

/// The scheme of parameters.
const SSM: &str = "aws-ssm://";

/// The scheme of Google's secrets.
const GOOGLE: &str = "gcp-sm://";

impl Locator {
    /// A secret of AWS Secrets Manager.
    #[must_use]
    pub fn secrets_manager(account: &str, region: &str, name: &str) -> Self {
        Self(format!("aws-sm://{account}/{region}/{name}"))
    }

    /// A parameter of AWS SSM. A name of several levels always begins with `/`, which therefore goes
    /// without saying, as in the parameter's ARN; a name of one level may begin with it, and keeps it, so
    /// that [`Locator::parameter_name`] is certain
    /// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html>).
    #[must_use]
    pub fn ssm_parameter(account: &str, region: &str, name: &str) -> Self {
        let name = name.strip_prefix('/').filter(|levels| levels.contains('/')).unwrap_or(name);
        Self(format!("{SSM}{account}/{region}/{name}"))
    }

    /// The name of the parameter, if this is one of that account and region.
    #[must_use]
    pub fn parameter_name(&self, account: &str, region: &str) -> Option<String> {
        let name = self.0.strip_prefix(&format!("{SSM}{account}/{region}/")).filter(|name| !name.is_empty())?;
        let levels = name.contains('/') && !name.starts_with('/');
        Some(if levels { format!("/{name}") } else { name.to_owned() })
    }

    /// A secret of Google Secret Manager; the project as it is declared, by id or number.
    #[must_use]
    pub fn secret_manager(project: &str, id: &str) -> Self {
        Self(format!("{GOOGLE}{project}/{id}"))
    }

    /// Project and id of a secret of Google.
    #[must_use]
    pub fn google_secret(&self) -> Option<(&str, &str)> {
        let (project, id) = self.0.strip_prefix(GOOGLE)?.split_once('/')?;
        (!project.is_empty() && !id.is_empty() && !id.contains('/')).then_some((project, id))
    }

    /// The region of a place in AWS.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        let rest = self.0.strip_prefix("aws-sm://").or_else(|| self.0.strip_prefix(SSM))?;
        rest.split('/').nth(1)
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_parameter_reads_like_its_arn_and_back_again() {
        for (name, shown) in [("/app/db", "app/db"), ("token", "token"), ("/token", "/token")] {
            let locator = Locator::ssm_parameter("1", "eu-west-1", name);
            assert_eq!(locator.as_str(), format!("aws-ssm://1/eu-west-1/{shown}"));
            assert_eq!(locator.parameter_name("1", "eu-west-1").as_deref(), Some(name));
            assert_eq!(locator.parameter_name("2", "eu-west-1"), None);
            assert_eq!(locator.region(), Some("eu-west-1"));
        }
    }

    #[test]
    fn a_lock_of_the_older_form_names_the_same_places() {
        let read = |text: &str| serde_json::from_str::<Locator>(&format!("\"{text}\"")).unwrap();
        assert_eq!(read("aws-ssm://1/r//app/db"), Locator::ssm_parameter("1", "r", "/app/db"));
        assert_eq!(read("aws-ssm://1/r/app/db"), Locator::ssm_parameter("1", "r", "/app/db"));
        assert_eq!(read("aws-ssm://1/r//token"), Locator::ssm_parameter("1", "r", "/token"));
        // In Secrets Manager the slash belongs to the name.
        assert_eq!(read("aws-sm://1/r//app/db"), Locator::secrets_manager("1", "r", "/app/db"));
        assert_eq!(serde_json::to_string(&read("file:.env#A")).unwrap(), "\"file:.env#A\"");
    }
}
