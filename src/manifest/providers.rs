//! `providers:`: what a target can be reached through, and how one logs in there.

use std::collections::BTreeMap;

use super::names::{foreign_character, is_region, path_problem};
use super::node::{Entry, Node};
use super::policies::PROVIDER_KINDS;
use super::read::{Environment, Fields, Piece, Reader, Text};
use super::targets::is_project;
use super::variables::is_name;
use super::{ProviderBlock, ProviderKind};
use crate::diagnostic::{Spanned, quote, quote_key};
use crate::hosts::Url;
use crate::secret::SecretValue;

/// The providers of a file, the broken ones included, so that a target of a broken one is not told
/// that it does not exist.
pub(super) struct Providers {
    blocks: Vec<ProviderBlock>,
    by_alias: BTreeMap<String, Option<usize>>,
}

impl Providers {
    /// The block of an alias: `None` if there is none, `Some(None)` if it could not be read.
    pub(super) fn find(&self, alias: &str) -> Option<Option<usize>> {
        self.by_alias.get(alias).copied()
    }

    pub(super) fn block(&self, index: usize) -> Option<&ProviderBlock> {
        self.blocks.get(index)
    }

    pub(super) fn aliases(&self) -> Vec<&str> {
        self.by_alias.keys().map(String::as_str).collect()
    }

    pub(super) fn into_blocks(self) -> Vec<ProviderBlock> {
        self.blocks
    }
}

/// Reads `providers:`.
pub(super) fn providers(reader: &Reader, entry: Option<&Entry>) -> Providers {
    let fields = entry.and_then(|(key, node)| Fields::of(reader, node, key.span, "`providers`"));
    let mut providers = Providers { blocks: Vec::new(), by_alias: BTreeMap::new() };
    for (alias, node) in fields.map(|fields| fields.entries).unwrap_or_default() {
        let block = provider(reader, alias, node);
        let index = block.is_some().then_some(providers.blocks.len());
        providers.blocks.extend(block);
        providers.by_alias.entry(alias.value.clone()).or_insert(index);
    }
    providers
}

/// The ways to log in at a kind of provider, the usual one first.
pub(super) const fn auth_kinds(kind: ProviderKind) -> &'static [&'static str] {
    match kind {
        ProviderKind::Local => &["none"],
        ProviderKind::Aws => &["ambient", "profile", "assume_role", "static", "oidc"],
        ProviderKind::Azure => &["default", "service_principal", "managed_identity", "cli", "oidc"],
        ProviderKind::Vault => &["token", "approle", "jwt", "kubernetes", "oidc"],
        ProviderKind::Gcp => &["ambient", "credentials_file", "impersonation", "oidc"],
    }
}

/// The settings a kind of provider knows.
pub(super) const fn settings(kind: ProviderKind) -> &'static [&'static str] {
    match kind {
        ProviderKind::Local => &[],
        ProviderKind::Aws => &[
            "region",
            "profile",
            "role_arn",
            "plan_role_arn",
            "external_id",
            "session_name",
            "session_policy",
            "policy_arns",
            "duration_seconds",
            "access_key_id",
            "secret_access_key",
            "session_token",
            "endpoint_url",
            "audience",
        ],
        ProviderKind::Azure => &[
            "tenant_id",
            "client_id",
            "plan_client_id",
            "client_secret",
            "authority_host",
            "subscription_id",
            "audience",
            "endpoint_url",
        ],
        ProviderKind::Vault => &[
            "url",
            "token",
            "namespace",
            "role",
            "plan_role",
            "role_id",
            "secret_id",
            "jwt",
            "mount",
            "ca_cert",
            "client_cert",
            "client_key",
            "tls_skip_verify",
            "audience",
        ],
        ProviderKind::Gcp => &[
            "project_id",
            "credentials_file",
            "service_account",
            "plan_service_account",
            "workload_identity_provider",
            "audience",
            "endpoint_url",
        ],
    }
}

/// The settings that a way to log in cannot do without.
pub(super) fn required(kind: ProviderKind, auth: &str) -> &'static [&'static str] {
    match (kind, auth) {
        (ProviderKind::Aws, "static") => &["access_key_id", "secret_access_key"],
        (ProviderKind::Aws, "assume_role") => &["role_arn"],
        (ProviderKind::Aws, "profile") => &["profile"],
        (ProviderKind::Azure, "service_principal") => &["tenant_id", "client_id", "client_secret"],
        (ProviderKind::Vault, "token") => &["url", "token"],
        (ProviderKind::Vault, "approle") => &["url", "role_id", "secret_id"],
        (ProviderKind::Vault, "jwt" | "kubernetes") => &["url", "role"],
        (ProviderKind::Vault, _) => &["url"],
        (ProviderKind::Gcp, "credentials_file") => &["credentials_file"],
        (ProviderKind::Gcp, "impersonation") => &["service_account"],
        _ => &[],
    }
}

fn provider(reader: &Reader, alias: &Spanned<String>, node: &Spanned<Node>) -> Option<ProviderBlock> {
    if !is_name(&alias.value) {
        let message = format!("{} cannot be the name of a provider", quote_key(&alias.value));
        reader.error("bad-name", alias.span, message, "use letters, digits, `_` and `-`, and begin with a letter");
    }
    let fields = Fields::of(reader, node, alias.span, "this provider")?;
    fields.need("kind")?;
    let kind = fields.word("kind", PROVIDER_KINDS)?;
    let mut block = ProviderBlock {
        alias: alias.clone(),
        kind,
        auth_kind: auth_kinds(kind).first().map_or_else(String::new, |usual| (*usual).to_owned()),
        config: BTreeMap::new(),
        unresolved: BTreeMap::new(),
        span: alias.span,
    };
    fields.get("description");
    if let Some((key, node)) = fields.get("auth")
        && let Some(auth) = Fields::of(reader, node, key.span, "this `auth`")
    {
        let words: Vec<(&str, &str)> = auth_kinds(kind).iter().map(|word| (*word, *word)).collect();
        if let Some(word) = auth.word("kind", &words) {
            block.auth_kind = word.to_owned();
        }
        read_config(&auth, &mut block);
        auth.finish();
    }
    read_config(&fields, &mut block);
    fields.finish();
    check(reader, &block);
    Some(block)
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH`
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns>).
fn is_role_arn(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, region, account, role) = (next(), next(), next(), next(), next(), next());
    let name = role.strip_prefix("role/").unwrap_or_default();
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&byte);
    let fits = partition == "aws" || partition.starts_with("aws-");
    let account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    arn == "arn"
        && fits
        && service == "iam"
        && region.is_empty()
        && account
        && !name.is_empty()
        && name.bytes().all(letters)
}

/// Limits of a session
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>).
const SESSION_POLICY_MAX: usize = 2_048;
const POLICY_ARNS_MAX: usize = 10;

/// Likewise: `[\w+=,.@-]{2,64}`.
fn is_session_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    (2..=64).contains(&text.len()) && text.bytes().all(letter)
}

/// The e-mail address of a service account
/// (<https://cloud.google.com/iam/docs/service-account-types>).
fn is_account(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(name, host)| {
        let plain = |part: &str| !part.is_empty() && foreign_character(part, ".-_").is_none();
        plain(name) && plain(host) && host.contains('.')
    })
}

fn read_config(fields: &Fields, block: &mut ProviderBlock) {
    let reader = fields.reader;
    let Some((key, node)) = fields.get("config") else { return };
    let Some(config) = Fields::of(reader, node, key.span, "this provider's config") else { return };
    for setting in settings(block.kind) {
        let Some((name, node)) = config.get(setting) else { continue };
        if block.config.contains_key(*setting) || block.unresolved.contains_key(*setting) {
            let message = format!("{} stands both here and in `auth.config`", quote(setting));
            reader.error("duplicate-key", name.span, message, "remove one of the two");
        }
        match setting_value(reader, node, setting) {
            Some(Ok(text)) => {
                let value = Spanned::new(SecretValue::from(text.value), text.span);
                block.config.insert((*setting).to_owned(), value);
            }
            Some(Err(variable)) => {
                block.unresolved.insert((*setting).to_owned(), Spanned::new(variable, node.span));
            }
            None => {
                // It stands there, if with an error: it is not missing.
                block.unresolved.insert((*setting).to_owned(), Spanned::new(String::new(), node.span));
            }
        }
    }
    config.finish();
}

/// The value of a setting, or the name of the environment variable that it lacks.
fn setting_value(reader: &Reader, node: &Spanned<Node>, key: &str) -> Option<Result<Text, String>> {
    let Node::Scalar(text) = &node.value else { return reader.text_of(node, key).map(Ok) };
    if !reader.requires_credentials() {
        let pieces = reader.pieces(text, node.span, Environment::Optional)?;
        let unset = pieces.into_iter().find_map(|piece| match piece {
            Piece::Unresolved(name) => Some(name),
            _ => None,
        });
        if let Some(name) = unset {
            return Some(Err(name));
        }
    }
    reader.text_of(node, key).map(Ok)
}

fn check(reader: &Reader, block: &ProviderBlock) {
    let lacks = |setting: &&&str| !block.config.contains_key(**setting) && !block.unresolved.contains_key(**setting);
    for setting in required(block.kind, &block.auth_kind).iter().filter(lacks) {
        let message = format!("the provider {} has no `{setting}`", quote(&block.alias.value));
        let help = match *setting {
            "url" => "add `url: ${VAULT_ADDR}` to its `auth.config`".to_owned(),
            "token" => "add `token: ${VAULT_TOKEN}` to its `auth.config`".to_owned(),
            _ => format!("add `{setting}: …` to its `auth.config`; `auth.kind: {}` needs it", block.auth_kind),
        };
        reader.error("missing-key", block.span, message, help);
    }
    for (name, value) in &block.config {
        let text = value.value.expose_text().unwrap_or_default();
        let problem = match name.as_str() {
            _ if text.is_empty() => Some("is empty"),
            _ if text.chars().any(char::is_control) => Some("holds a line break or a control character"),
            "url" | "endpoint_url" | "authority_host" if Url::parse(text).is_none() => {
                Some("is no address: https is needed (http only on this machine), without a login, `?` or `#`")
            }
            "namespace" if foreign_character(text, "_-./").is_some() => {
                Some("is no namespace of Vault: letters, digits, `_`, `-` and `.`, with `/` between its levels")
            }
            "service_account" | "plan_service_account" if !is_account(text) => {
                Some("is no service account: its e-mail address is needed, as `ci@my-project.iam.gserviceaccount.com`")
            }
            "project_id" if !is_project(text) => {
                Some("is no project: use its id (lower-case letters, digits and hyphens) or its number")
            }
            "mount" | "role" | "namespace" if path_problem(text.trim_matches('/')).is_some() => {
                Some("is no path: it has an empty segment, `..`, or one of `?`, `#`, `%`")
            }
            "region" if !is_region(text) => Some("is no region of AWS"),
            "role_arn" | "plan_role_arn" if !is_role_arn(text) => {
                Some("is no ARN of a role, such as `arn:aws:iam::123456789012:role/secretzero`")
            }
            "session_name" if !is_session_name(text) => {
                Some("is no name of a session: 2 to 64 letters, digits and `_+=,.@-` without blanks")
            }
            "session_policy" if text.chars().count() > SESSION_POLICY_MAX => {
                Some("is longer than the 2,048 characters that a session takes")
            }
            "policy_arns" if text.split(',').filter(|arn| !arn.trim().is_empty()).count() > POLICY_ARNS_MAX => {
                Some("names more than the 10 policies that a session takes")
            }
            "duration_seconds" if !text.parse::<u32>().is_ok_and(|n| (900..=43_200).contains(&n)) => {
                Some("is no number of seconds from 900 to 43200")
            }
            "tls_skip_verify" if !matches!(text, "true" | "false") => Some("is neither true nor false"),
            _ => None,
        };
        if let Some(problem) = problem {
            let message = format!("`{name}` of the provider {} {problem}", quote(&block.alias.value));
            reader.error("bad-value", value.span, message, "mend the value, or the variable that it comes from");
        }
    }
    if block.setting("tls_skip_verify") == Some("true") {
        let span = block.config.get("tls_skip_verify").map_or(block.span, |value| value.span);
        let message = "whoever sits on the line can read every secret: the server's certificate is not checked";
        reader.warning("no-tls-check", span, message, "give `ca_cert` the path of your own CA instead");
    }
}
