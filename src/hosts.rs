//! Where a credential may be sent: to its cloud's own hosts and to those that somebody named who may,
//! over https, or http on this machine.
//!
//! Who may: a provider block in force (its `url` or `endpoint_url`), the environment of the run
//! (`AWS_ENDPOINT_URL`), and `allowed_hosts`. A pull request is none of them: its provider blocks are
//! in force only if the default branch has the same.

use std::fmt;

/// An address that a credential could be sent to: https, or http on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url<'t> {
    /// Lower case or not, without the port.
    pub host: &'t str,
    /// Digits, if one is written.
    pub port: Option<&'t str>,
    /// What stands after the host, without the leading `/`.
    pub path: &'t str,
    /// Whether it is `https`.
    pub tls: bool,
}

impl<'t> Url<'t> {
    /// Reads an address without a login, query, fragment, escape or dot at the end of its host;
    /// `None` for all others.
    #[must_use]
    pub fn parse(text: &'t str) -> Option<Self> {
        let (tls, rest) = match text.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("http://")?),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = split(authority)?;
        let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/".contains(&b)) && !path.contains("..");
        let loopback = matches!(host, "localhost" | "127.0.0.1" | "::1");
        (plain && (tls || loopback)).then_some(Self { host, port, path, tls })
    }

    /// The port that a connection is made to.
    fn port_number(&self) -> u16 {
        let usual = if self.tls { 443 } else { 80 };
        self.port.and_then(|port| port.parse().ok()).unwrap_or(usual)
    }
}

/// Host and port of an authority; `None` if either cannot be one.
fn split(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, port, named) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']')?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
            (host, port, !host.is_empty() && host.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b)))
        }
        None => {
            let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
            (host, port, is_name(host))
        }
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|n| n > 0) && !port.starts_with('+'));
    (named && port_fits).then_some((host, port))
}

/// Labels of letters, digits and hyphens, none of them empty: so no dot at the end either.
fn is_name(host: &str) -> bool {
    host.split('.').all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
}

/// Whose credential it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon Web Services.
    Aws,
    /// Azure Key Vault.
    Azure,
    /// Microsoft Entra, where a login for Azure is exchanged for a token.
    Entra,
    /// The metadata service inside a machine of Azure; no secret is sent there.
    AzureInstance,
    /// Google Cloud.
    Google,
    /// Vault and OpenBao, which everybody runs for himself.
    Vault,
}

/// The partitions of AWS, with their dual-stack names
/// (<https://docs.aws.amazon.com/general/latest/gr/rande.html>; the list is the one that its SDKs carry).
const AWS: &[&str] = &[
    ".amazonaws.com",
    ".api.aws",
    ".amazonaws.com.cn",
    ".api.amazonwebservices.com.cn",
    ".amazonaws.eu",
    ".api.amazonwebservices.eu",
    ".c2s.ic.gov",
    ".api.aws.ic.gov",
    ".sc2s.sgov.gov",
    ".api.aws.scloud",
    ".cloud.adc-e.uk",
    ".api.cloud-aws.adc-e.uk",
    ".csp.hci.ic.gov",
    ".api.aws.hci.ic.gov",
];
/// AWS's partitions: how their regions begin, their names and the domain of their services
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns>; the
/// list is the one that the SDKs carry). The first is for regions that begin otherwise.
const AWS_PARTITIONS: [(&str, &str, &str); 8] = [
    ("", "aws", "amazonaws.com"),
    ("cn-", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com"),
    ("us-iso-", "aws-iso", "c2s.ic.gov"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov"),
    ("eusc-", "aws-eusc", "amazonaws.eu"),
];

/// The partition of a region, such as `aws-cn`.
#[must_use]
pub fn aws_partition(region: &str) -> &'static str {
    let named = AWS_PARTITIONS.iter().find(|(prefix, ..)| !prefix.is_empty() && region.starts_with(prefix));
    named.map_or("aws", |(_, partition, _)| partition)
}

/// The domain of a partition's services, such as `amazonaws.com.cn`.
#[must_use]
pub fn aws_domain(partition: &str) -> &'static str {
    AWS_PARTITIONS.iter().find(|(_, name, _)| *name == partition).map_or("amazonaws.com", |(.., domain)| domain)
}

/// The public cloud and the sovereign ones
/// (<https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates>).
const AZURE: &[&str] = &[".vault.azure.net", ".vault.azure.cn", ".vault.usgovcloudapi.net"];
/// Where Entra gives tokens for the public cloud, the United States government and China, each by its
/// whole name (<https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud>).
const ENTRA: &[&str] = &[
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
];
/// Where Azure hands out tokens inside a machine, over http on a link of its own
/// (<https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service>).
const AZURE_LOCAL: &[&str] = &["169.254.169.254"];
/// <https://cloud.google.com/secret-manager/docs/reference/rest>
const GOOGLE: &[&str] = &[".googleapis.com"];

/// Where AWS hands out credentials inside a machine or a container, over http on a link of its own
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).
const AWS_LOCAL: &[&str] = &["169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"];

impl Cloud {
    /// Whether a host is the cloud's own.
    fn owns(self, host: &str) -> bool {
        let under = |suffixes: &[&str]| {
            let label = suffixes.iter().find_map(|suffix| host.strip_suffix(suffix));
            label.filter(|label| is_name(label)).map(str::to_owned)
        };
        match self {
            Self::Aws => under(AWS).is_some(),
            Self::Google => under(GOOGLE).is_some(),
            Self::Vault => false,
            Self::Entra => ENTRA.contains(&host),
            Self::AzureInstance => false,
            // The name of a vault is one label.
            Self::Azure => under(AZURE)
                .is_some_and(|name| (3..=24).contains(&name.len()) && !name.contains('.') && !name.starts_with('-')),
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Aws => "AWS",
            Self::Azure => "Azure Key Vault",
            Self::Entra => "Microsoft Entra",
            Self::AzureInstance => "the metadata service of Azure",
            Self::Google => "Google Cloud",
            Self::Vault => "this Vault",
        }
    }
}

/// The hosts beside the clouds' own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    named: Vec<(String, u16)>,
}

impl Hosts {
    /// Those that `allowed_hosts` lists. What [`is_entry`] refuses is left out.
    #[must_use]
    pub fn allowing(entries: &[String]) -> Self {
        let named = entries.iter().filter_map(|entry| {
            let (host, port) = split(entry)?;
            Some((host.to_ascii_lowercase(), port.map_or(Some(443), |port| port.parse().ok())?))
        });
        Self { named: named.collect() }
    }

    /// With the host of an address that a provider block in force or the environment of the run
    /// gives. One that is no address adds nothing.
    #[must_use]
    pub fn naming(mut self, url: &str) -> Self {
        if let Some(url) = Url::parse(url.trim()) {
            self.named.push((url.host.to_ascii_lowercase(), url.port_number()));
        }
        self
    }

    /// Whether a credential of a cloud may be sent to an address.
    #[must_use]
    pub fn admits(&self, cloud: Cloud, url: &str) -> bool {
        let Some(url) = Url::parse(url) else { return false };
        let (host, port) = (url.host.to_ascii_lowercase(), url.port_number());
        (url.tls && port == 443 && cloud.owns(&host)) || self.named.contains(&(host, port))
    }

    /// Checks where a request is about to go; its path and query do not matter.
    ///
    /// # Errors
    /// [`Refused`], which names the host and what to do.
    pub fn check(&self, cloud: Cloud, scheme: &str, authority: &str) -> Result<(), Refused> {
        let address = format!("{scheme}://{authority}");
        let instance = match cloud {
            Cloud::Aws => AWS_LOCAL,
            Cloud::AzureInstance => AZURE_LOCAL,
            _ => &[],
        };
        let local = scheme == "http"
            && split(authority).is_some_and(|(host, port)| instance.contains(&host) && port.is_none_or(|p| p == "80"));
        if local || self.admits(cloud, &address) {
            return Ok(());
        }
        Err(Refused { cloud: cloud.title(), address, plain: scheme != "https" })
    }
}

/// Whether a text can stand in `allowed_hosts`: `host`, which means port 443, or `host:port`.
#[must_use]
pub fn is_entry(text: &str) -> bool {
    split(text).is_some()
}

/// A place that a credential is not sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    cloud: &'static str,
    address: String,
    plain: bool,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cloud, address, plain } = self;
        write!(f, "no credential is sent to {address}: ")?;
        match plain {
            true => write!(f, "https is needed, http is for this machine only"),
            false => write!(
                f,
                "it is no host of {cloud}; if it is meant, list it in `allowed_hosts`, or name it as `endpoint_url` of \
                 the provider block or in the environment of the run"
            ),
        }
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_region_of_aws_has_a_partition_and_that_a_domain() {
        for (region, partition, domain) in [
            ("us-east-1", "aws", "amazonaws.com"),
            ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
            ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
            ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
            ("us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"),
        ] {
            assert_eq!((aws_partition(region), aws_domain(partition)), (partition, domain));
        }
    }

    #[test]
    fn only_https_and_this_machine_are_addresses() {
        for good in ["https://vault.example.com:8200", "http://127.0.0.1:8200", "https://a.b/", "http://[::1]:8200/v1"]
        {
            assert!(Url::parse(good).is_some(), "{good}");
        }
        for bad in [
            "http://vault.example.com",
            "https://user:pass@host",
            "https://host?x",
            "https://host/#x",
            "https://host/%2e",
            "https://host/../x",
            "https://",
            "https://host:0",
            "https://host:99999",
            "https://host:+443",
            "https://ho st",
            "https://host.",
            "https://.host",
            "https://a..b",
            "https://[::1]x",
            "https://[evil.com]",
            "ftp://host",
            "HTTPS://host",
            "http://localhost.evil.com",
            "http://127.0.0.1@evil.com",
            "http://127.0.0.2",
            "https://host\\@evil.com",
        ] {
            assert_eq!(Url::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_cloud_owns_its_suffixes_and_nothing_that_looks_like_them() {
        let none = Hosts::default();
        for good in [
            (Cloud::Aws, "https://secretsmanager.us-east-1.amazonaws.com"),
            (Cloud::Aws, "https://SSM.cn-north-1.amazonaws.com.cn:443/"),
            (Cloud::Aws, "https://secretsmanager.us-gov-west-1.api.aws"),
            (Cloud::Azure, "https://kv-prod.vault.azure.net"),
            (Cloud::Azure, "https://kv-prod.vault.azure.cn"),
            (Cloud::Azure, "https://kv-prod.vault.usgovcloudapi.net"),
            (Cloud::Entra, "https://login.microsoftonline.com"),
            (Cloud::Entra, "https://login.microsoftonline.us/"),
            (Cloud::Entra, "https://login.chinacloudapi.cn:443"),
            (Cloud::Google, "https://secretmanager.googleapis.com"),
            (Cloud::Google, "https://secretmanager.europe-west1.rep.googleapis.com"),
        ] {
            assert!(none.admits(good.0, good.1), "{good:?}");
        }
        for bad in [
            (Cloud::Aws, "https://amazonaws.com.evil.com"),
            (Cloud::Aws, "https://evilamazonaws.com"),
            (Cloud::Aws, "https://.amazonaws.com"),
            (Cloud::Aws, "https://amazonaws.com"),
            (Cloud::Aws, "http://secretsmanager.us-east-1.amazonaws.com"),
            (Cloud::Aws, "https://secretsmanager.us-east-1.amazonaws.com:8443"),
            (Cloud::Aws, "https://secretsmanager.us-east-1.amazonaws.com."),
            (Cloud::Aws, "https://kv-prod.vault.azure.net"),
            (Cloud::Azure, "https://a.b.vault.azure.net"),
            (Cloud::Azure, "https://ab.vault.azure.net"),
            (Cloud::Azure, "https://kv-prod.vault.azure.net:8443"),
            (Cloud::Azure, "https://kv-prod.vault.azure.net.evil.com"),
            (Cloud::Azure, "https://kv-prod.vault.azure.net."),
            (Cloud::Azure, "https://login.microsoftonline.com"),
            (Cloud::Entra, "https://kv-prod.vault.azure.net"),
            (Cloud::Entra, "https://a.login.microsoftonline.com"),
            (Cloud::Entra, "https://login.microsoftonline.com.evil.com"),
            (Cloud::AzureInstance, "https://169.254.169.254"),
            (Cloud::Google, "https://googleapis.com.evil.com"),
        ] {
            assert!(!none.admits(bad.0, bad.1), "{bad:?}");
        }
    }

    #[test]
    fn a_listed_host_counts_with_its_port_and_every_cloud_may_use_it() {
        let listed = Hosts::allowing(&["kv.internal".to_owned(), "proxy.corp:8443".to_owned(), "x/y".to_owned()]);
        assert!(listed.admits(Cloud::Azure, "https://KV.internal/"));
        assert!(listed.admits(Cloud::Aws, "https://proxy.corp:8443"));
        for bad in ["https://kv.internal:8200", "https://proxy.corp", "https://a.kv.internal", "https://x"] {
            assert!(!listed.admits(Cloud::Azure, bad), "{bad}");
        }
    }

    #[test]
    fn what_a_refusal_says_names_the_host_and_the_way_out() {
        let named = Hosts::default().naming("http://127.0.0.1:4566").naming("http://evil.example");
        assert_eq!(named.check(Cloud::Aws, "http", "127.0.0.1:4566"), Ok(()));
        assert_eq!(named.check(Cloud::Aws, "http", "169.254.169.254"), Ok(()));
        assert_eq!(named.check(Cloud::AzureInstance, "http", "169.254.169.254"), Ok(()));
        for other in [Cloud::Azure, Cloud::Entra, Cloud::Google] {
            assert!(named.check(other, "http", "169.254.169.254").is_err(), "{other:?}");
        }
        let said = |scheme, authority| named.check(Cloud::Aws, scheme, authority).unwrap_err().to_string();
        assert!(said("http", "evil.example").contains("http://evil.example: https is needed"));
        assert!(
            said("https", "evil.example").contains("is no host of AWS; if it is meant, list it in `allowed_hosts`")
        );
        assert!(said("http", "127.0.0.1:4567").contains("127.0.0.1:4567"));
    }
}
