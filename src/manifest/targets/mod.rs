//! The targets of a secret: one file for each vendor, and what they have in common.

mod aws;
mod azure;
mod file;
mod gcp;
mod vault;

use std::collections::BTreeMap;

use super::environments::Defaults;
use super::node::Node;
use super::providers::Providers;
use super::read::{Fields, Reader, Text};
use super::{ProviderBlock, Secret, Target, values};
use crate::diagnostic::{Span, Spanned, quote};
use crate::mark::MARK_KEY;
use crate::takes::Unfit;
use crate::target::{TargetKind, TargetSettings};

pub(super) use azure::host as azure_host;
pub(super) use file::keys as file_keys;
pub(super) use gcp::is_project;

/// The words that settings may be, for the schema.
pub(super) mod words {
    pub(in crate::manifest) use super::aws::{DATA_TYPES, TIERS, TYPES};
    pub(in crate::manifest) use super::azure::CERTIFICATE_TYPES;
    pub(in crate::manifest) use super::file::FORMATS;
    pub(in crate::manifest) use crate::target::TRANSIT_KEY_TYPES as KEY_TYPES;
}

/// What the targets of one secret are read with.
pub(super) struct Context<'r, 'a> {
    pub(super) reader: &'r Reader<'a>,
    pub(super) providers: &'r Providers,
    /// Of the chosen environment.
    pub(super) defaults: &'r Defaults,
    pub(super) secret: &'r Secret,
    /// Whether the secret's source could be read; otherwise nothing is said about its value.
    pub(super) known: bool,
}

/// The `config` of one target.
struct Config<'c, 'r, 'a> {
    context: &'c Context<'r, 'a>,
    fields: &'c Fields<'r, 'a>,
    provider: Option<&'r ProviderBlock>,
}

/// Reads a list of targets.
pub(super) fn targets<'r>(context: &Context<'r, '_>, items: &'r [Spanned<Node>]) -> Vec<Target> {
    items.iter().filter_map(|item| target(context, item)).collect()
}

fn target<'r>(context: &Context<'r, '_>, item: &'r Spanned<Node>) -> Option<Target> {
    let reader = context.reader;
    let fields = Fields::of(reader, item, item.span, "this target")?;
    let alias = fields.need_text("provider");
    let kind = kind(&fields);
    let provider = alias.as_ref().and_then(|alias| provider(context, alias));
    let block = provider.and_then(|index| context.providers.block(index));
    if let (Some(block), Some((kind, span))) = (block, kind) {
        fits(reader, block, kind, span);
    }
    let primary = fields.flag("primary").unwrap_or(false);
    let mut spans: BTreeMap<String, Span> = fields.places().collect();
    let empty = Spanned::new(Node::Null, item.span);
    let entry = fields.get("config");
    let settings = kind.and_then(|(kind, span)| {
        let (span, node) = entry.map_or((span, &empty), |(key, node)| (key.span, node));
        let filled = context.defaults.fill(node, block, kind);
        let node = filled.as_ref().map_or(node, |filled| &filled.node);
        let mut config = Fields::of(reader, node, span, "this target's config")?;
        config.lent = filled.as_ref().map_or(0, |filled| filled.lent);
        spans.extend(config.places());
        let whole = Config { context, fields: &config, provider: block };
        let settings = settings(&whole, kind);
        if let Some(settings) = &settings {
            whole.value_fits(settings);
        }
        context.defaults.note(block, kind, &config.asked());
        config.finish();
        settings
    });
    fields.finish();
    let target = Target { provider: provider?, settings: settings?, primary, replica_of: None, span: item.span, spans };
    Some(target)
}

fn kind(fields: &Fields) -> Option<(TargetKind, Span)> {
    let words: Vec<(&str, TargetKind)> = TargetKind::ALL.iter().map(|kind| (kind.as_str(), *kind)).collect();
    let text = fields.need_text("kind")?;
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let found = words.iter().find(|(word, _)| *word == text.value).map(|(_, kind)| (*kind, text.span));
    if found.is_none() {
        let help = fields.reader.suggestion(if text.literal { &text.value } else { "" }, &known, "there are none");
        fields.reader.error("unknown-kind", text.span, format!("there is no kind of target {}", text.quoted()), help);
    }
    found
}

fn provider(context: &Context, alias: &Text) -> Option<usize> {
    let found = context.providers.find(&alias.value);
    if found.is_none() {
        let aliases = context.providers.aliases();
        let none = "the file has no providers: declare it under `providers:`";
        let help = context.reader.suggestion(if alias.literal { &alias.value } else { "" }, &aliases, none);
        context.reader.error("unknown-provider", alias.span, format!("there is no provider {}", alias.quoted()), help);
    }
    found.flatten()
}

fn fits(reader: &Reader, block: &ProviderBlock, kind: TargetKind, span: Span) {
    let kinds = block.kind.targets();
    if kinds.contains(&kind) {
        return;
    }
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let (alias, of) = (quote(&block.alias.value), block.kind.as_str());
    let message = format!("the provider {alias} is of kind `{of}`, which has no `{}`", kind.as_str());
    let help = format!("name another provider, or one of its kinds: {}", names.join(", "));
    reader.error("wrong-provider", span, message, help);
}

fn settings(config: &Config, kind: TargetKind) -> Option<TargetSettings> {
    Some(match kind {
        TargetKind::File => TargetSettings::File(file::read(config)?),
        TargetKind::SecretsManager => TargetSettings::SecretsManager(aws::secrets_manager(config)?),
        TargetKind::SsmParameter => TargetSettings::SsmParameter(aws::ssm_parameter(config)?),
        TargetKind::KeyVault => TargetSettings::KeyVault(azure::key_vault(config)?),
        TargetKind::KeyVaultCertificate => TargetSettings::KeyVaultCertificate(azure::certificate(config)?),
        TargetKind::Kv => TargetSettings::Kv(vault::kv(config)?),
        TargetKind::DatabaseRole => TargetSettings::DatabaseRole(vault::database_role(config)?),
        TargetKind::TransitKey => TargetSettings::TransitKey(vault::transit_key(config)?),
        TargetKind::SecretManager => TargetSettings::SecretManager(gcp::secret_manager(config)?),
    })
}

/// What a store allows in its tags.
struct TagRules {
    /// What the store calls them.
    noun: &'static str,
    /// Most that a user may set; one more is ours.
    count_max: usize,
    /// Longest name, in characters.
    name_chars_max: usize,
    /// Fewest and most characters of a value.
    value_chars: std::ops::RangeInclusive<usize>,
}

impl Config<'_, '_, '_> {
    fn error(&self, span: Span, code: &'static str, message: impl std::fmt::Display, help: impl std::fmt::Display) {
        self.context.reader.error(code, span, message, help);
    }

    fn warning(&self, span: Span, code: &'static str, message: impl std::fmt::Display, help: impl std::fmt::Display) {
        self.context.reader.warning(code, span, message, help);
    }

    /// A text of bounded length, in characters.
    fn short_text(&self, key: &'static str, chars_max: usize) -> Option<String> {
        let text = self.fields.text(key)?;
        if text.value.chars().nth(chars_max).is_some() {
            let message = format!("`{key}` is longer than {chars_max} characters");
            self.error(text.span, "too-long", message, "shorten it");
        }
        Some(text.value)
    }

    /// Tags, labels or metadata within a store's rules.
    fn tags(&self, key: &'static str, rules: &TagRules) -> Vec<(Spanned<String>, Text)> {
        let tags = self.fields.map(key);
        let TagRules { noun, count_max, name_chars_max, value_chars } = rules;
        if tags.len() > *count_max {
            let message = format!("{} {noun}s are more than the {count_max} that leave room for ours", tags.len());
            self.error(self.fields.place(key), "too-many-tags", message, "remove some");
        }
        for (name, value) in &tags {
            let shown = quote(&name.value);
            if name.value == MARK_KEY {
                let message = format!("the {noun} {shown} is where SecretZero keeps its own mark");
                self.error(name.span, "reserved-tag", message, "give it another name");
            }
            let chars = name.value.chars().count();
            if !(1..=*name_chars_max).contains(&chars) {
                let message =
                    format!("the name of the {noun} {shown} has {chars} characters, not 1 to {name_chars_max}");
                self.error(name.span, "bad-tag", message, "rename it");
            }
            let chars = value.value.chars().count();
            if !value_chars.contains(&chars) {
                let (least, most) = (value_chars.start(), value_chars.end());
                let message = format!("the value of the {noun} {shown} has {chars} characters, not {least} to {most}");
                self.error(value.span, "bad-tag", message, "change it");
            }
        }
        tags
    }

    /// Refuses a value that is known not to be one for this place.
    fn value_fits(&self, settings: &TargetSettings) {
        let unfit = values::unfit(&self.context.secret.source, settings).filter(|_| self.context.known);
        if let Some(Unfit { code, why, help }) = unfit {
            self.error(self.fields.span, code, why, help);
        }
    }
}

/// Settled names to plain maps.
fn plain(tags: Vec<(Spanned<String>, Text)>) -> BTreeMap<String, String> {
    tags.into_iter().map(|(name, value)| (name.value, value.value)).collect()
}
