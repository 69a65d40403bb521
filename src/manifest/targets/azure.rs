//! `kind: key_vault` and `kind: key_vault_certificate`.
//!
//! Limits: <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates>.

use super::{Config, TagRules, plain};
use crate::diagnostic::quote;
use crate::hosts::{Cloud, Hosts, Url};
use crate::manifest::Source;
use crate::manifest::duration::from_now;
use crate::manifest::names::foreign_character;
use crate::manifest::read::Text;
use crate::target::{KeyVaultCertificateSettings, KeyVaultSettings, When};

/// Longest name of an object.
const NAME_CHARS_MAX: usize = 127;
/// Azure takes 15 tags, one of which is ours.
const TAGS: TagRules = TagRules { noun: "tag", count_max: 14, name_chars_max: 256, value_chars: 0..=256 };

pub(in crate::manifest) const CERTIFICATE_TYPES: &[(&str, &str)] =
    &[("application/x-pkcs12", "application/x-pkcs12"), ("application/x-pem-file", "application/x-pem-file")];

/// Reads the settings of a secret.
pub(super) fn key_vault(config: &Config) -> Option<KeyVaultSettings> {
    let fields = config.fields;
    let vault_url = vault_url(config);
    let secret_name = object_name(config, "secret_name");
    let (expires_on, not_before) = (when(config, "expires_on"), when(config, "not_before"));
    if let Some(When::At(at)) = expires_on
        && at <= config.context.reader.now()
    {
        let message = "`expires_on` lies in the past; Key Vault only informs of it, but other programs may obey";
        config.warning(fields.place("expires_on"), "expired", message, "choose a later moment");
    }
    if let (Some(When::At(end)), Some(When::At(start))) = (expires_on, not_before)
        && end <= start
    {
        let message = "`expires_on` does not lie after `not_before`";
        config.error(fields.place("expires_on"), "contradiction", message, "swap them, or choose a later moment");
    }
    let content_type = config.short_text("content_type", 255);
    let enabled = fields.flag("enabled");
    let tags = plain(config.tags("tags", &TAGS));
    let (vault_url, secret_name) = (vault_url?, secret_name?);
    Some(KeyVaultSettings { vault_url, secret_name, content_type, enabled, expires_on, not_before, tags })
}

/// Reads the settings of a certificate.
pub(super) fn certificate(config: &Config) -> Option<KeyVaultCertificateSettings> {
    let fields = config.fields;
    let vault_url = vault_url(config);
    let certificate_name = object_name(config, "certificate_name");
    let content_type = match fields.word("content_type", CERTIFICATE_TYPES) {
        Some(known) => known.to_owned(),
        None => "application/x-pkcs12".to_owned(),
    };
    let tags = plain(config.tags("tags", &TAGS));
    if let Source::Template(parts) = &config.context.secret.source
        && config.context.known
        && !parts.iter().any(|field| field.name.value == "certificate")
    {
        let message = "the template of a certificate has no field `certificate`";
        config.error(
            fields.span,
            "missing-field",
            message,
            "give it a field `certificate`, and `password` if it has one",
        );
    }
    let (vault_url, certificate_name) = (vault_url?, certificate_name?);
    Some(KeyVaultCertificateSettings { vault_url, certificate_name, content_type, tags })
}

/// The address in its normal form, without a `/` at its end.
fn vault_url(config: &Config) -> Option<String> {
    let text = config.fields.need_text("vault_url")?;
    let lower = text.value.to_ascii_lowercase();
    let host = host(&lower, &config.context.reader.inputs.allowed_hosts);
    if host.is_none() {
        let message = "`vault_url` is no address of an Azure Key Vault, and a credential goes nowhere else";
        let help = "write `https://<vault>.vault.azure.net`, or the host of a sovereign cloud; \
                    others need to be listed in `allowed_hosts`";
        config.error(text.span, "bad-host", message, help);
        return None;
    }
    Some(lower.trim_end_matches('/').to_owned())
}

/// The host of an address that a credential of Azure may be sent to: one label under a suffix of
/// Azure, at port 443, or one of the allowed hosts.
pub(in crate::manifest) fn host<'t>(url: &'t str, allowed: &[String]) -> Option<&'t str> {
    let parsed = Url::parse(url).filter(|url| url.path.is_empty())?;
    Hosts::allowing(allowed).admits(Cloud::Azure, url).then_some(parsed.host)
}

fn object_name(config: &Config, key: &'static str) -> Option<String> {
    let name = config.fields.need_text(key)?;
    let help = "use ASCII letters, digits and hyphens";
    if let Some(c) = foreign_character(&name.value, "-") {
        let message = format!("Key Vault takes no {} in `{key}`", quote(&c.to_string()));
        config.error(name.span, "bad-name", message, help);
    } else if !(1..=NAME_CHARS_MAX).contains(&name.value.len()) {
        let message = format!("`{key}` has {} characters, not 1 to {NAME_CHARS_MAX}", name.value.len());
        config.error(name.span, "bad-name", message, help);
    }
    Some(name.value)
}

/// A fixed moment, or one counted from the generation's creation.
pub(super) fn when(config: &Config, key: &'static str) -> Option<When> {
    let text = config.fields.text(key)?;
    let when = moment(&text);
    if when.is_none() {
        let help = "write `\"2030-12-31T23:59:59Z\"` or `\"{{ 90 days from now }}\"`";
        config.error(text.span, "bad-date", format!("`{key}` cannot be {}", text.quoted()), help);
    }
    when
}

fn moment(text: &Text) -> Option<When> {
    if let Some(seconds) = from_now(&text.value) {
        return Some(When::After(seconds));
    }
    let midnight = format!("{}T00:00:00Z", text.value);
    text.value.parse().or_else(|_| midnight.parse()).ok().map(When::At)
}
