//! The canonical URI of a place, free of the alias that a Secretfile gives its provider.
//!
//! `aws-sm://<account>/<region>/<name>`, `aws-ssm://<account>/<region>/<levels>`, `file:<path>#<key>`,
//! `azure-kv://<host>/<secret or certificate>/<name>`, `vault-kv://<host>/<namespace>/<mount>/<path>`.
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

/// The scheme of what stands in a Key Vault.
const KEY_VAULT: &str = "azure-kv://";
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

    /// An entry of a key-value store of Vault, of version 1 or 2; `server` is host and port, then the
    /// namespace (`root` without one).
    #[must_use]
    pub fn vault_kv(server: &str, version: u8, mount: &str, path: &str) -> Self {
        let scheme = if version == 1 { "vault-kv1" } else { "vault-kv" };
        Self(format!("{scheme}://{server}{}", Self::in_mount(mount, path)))
    }

    /// A role of a database engine of Vault.
    #[must_use]
    pub fn vault_role(server: &str, mount: &str, name: &str) -> Self {
        Self(format!("vault-database-role://{server}{}", Self::in_mount(mount, name)))
    }

    /// A key of a transit engine of Vault.
    #[must_use]
    pub fn vault_key(server: &str, mount: &str, name: &str) -> Self {
        Self(format!("vault-transit://{server}{}", Self::in_mount(mount, name)))
    }

    /// How a locator ends that lies in a mount of Vault: its own slashes are escaped, so that it is one
    /// segment.
    #[must_use]
    pub fn in_mount(mount: &str, path: &str) -> String {
        format!("/{}/{path}", mount.replace('/', "%2F"))
    }

    /// Version, mount and path of an entry in a key-value store of Vault, if it is one of that server.
    #[must_use]
    pub fn vault_entry(&self, server: &str) -> Option<(u8, String, String)> {
        let (version, rest) = match self.0.strip_prefix("vault-kv1://") {
            Some(rest) => (1, rest),
            None => (2, self.0.strip_prefix("vault-kv://")?),
        };
        let (mount, path) = rest.strip_prefix(server)?.strip_prefix('/')?.split_once('/')?;
        let some = !mount.is_empty() && !path.is_empty();
        some.then(|| (version, mount.replace("%2F", "/"), path.to_owned()))
    }

    /// A secret (`secret`) or a certificate (`certificate`) in a Key Vault; names there have no case
    /// (<https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates>).
    #[must_use]
    pub fn key_vault(host: &str, what: &str, name: &str) -> Self {
        Self(format!("{KEY_VAULT}{}/{what}/{}", host.to_ascii_lowercase(), name.to_ascii_lowercase()))
    }

    /// Host, `secret` or `certificate`, and name, if this is a place in a Key Vault.
    #[must_use]
    pub fn key_vault_parts(&self) -> Option<(&str, &str, &str)> {
        let mut parts = self.0.strip_prefix(KEY_VAULT)?.splitn(3, '/');
        Some((parts.next()?, parts.next()?, parts.next()?))
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
    fn an_entry_of_vault_is_read_back_whatever_its_mount() {
        for (version, mount, path) in [(2, "secret", "app/db"), (1, "kv/team-a", "token")] {
            let locator = Locator::vault_kv("vault.corp:8200/root", version, mount, path);
            let read = locator.vault_entry("vault.corp:8200/root");
            assert_eq!(read, Some((version, mount.to_owned(), path.to_owned())), "{locator}");
            assert_eq!(locator.vault_entry("vault.corp:8200/team"), None);
            assert_eq!(locator.vault_entry("vault.corp/root"), None);
        }
        assert_eq!(Locator::vault_role("h/root", "db", "r").vault_entry("h/root"), None);
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
