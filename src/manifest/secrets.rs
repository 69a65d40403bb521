//! `secrets:`: what exists, how it is made, and where it goes.

use std::collections::BTreeMap;

use super::environments::Defaults;
use super::generators;
use super::names::is_secret_name;
use super::node::{Entry, Node};
use super::policies::period_of;
use super::providers::Providers;
use super::read::{Fields, Reader, Text};
use super::targets::{self, Context};
use super::templates::{self, Template, Templates};
use super::{Secret, Source};
use crate::diagnostic::{Span, Spanned, quote, quote_key};

/// What the secrets of a file may refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'r> {
    pub(super) providers: &'r Providers,
    pub(super) templates: &'r Templates<'r>,
    /// Of the chosen environment.
    pub(super) defaults: &'r Defaults,
}

/// Reads `secrets:`.
pub(super) fn secrets(reader: &Reader, entry: Option<&Entry>, scope: Scope) -> Vec<Secret> {
    let Some((_, node)) = entry else { return Vec::new() };
    let Node::List(items) = &node.value else {
        let message = format!("`secrets` is {}, not a list", node.value.name());
        reader.error("wrong-type", node.span, message, "write its items as `- name: …`");
        return Vec::new();
    };
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    let mut used = Vec::new();
    let mut secrets = Vec::new();
    for item in items {
        let Some(fields) = Fields::of(reader, item, item.span, "this secret") else { continue };
        let Some(name) = name(&fields, &mut seen) else {
            reading_without_a_name(&fields);
            continue;
        };
        let about = name.value.clone();
        let outline = Outline { fields, name, scope };
        secrets.extend(reader.about(&about, || secret(outline, &mut used)));
    }
    templates::warn_unused(reader, scope.templates, &used);
    secrets
}

fn name(fields: &Fields, seen: &mut BTreeMap<String, Span>) -> Option<Spanned<String>> {
    let reader = fields.reader;
    let name = fields.need_text("name")?;
    if !is_secret_name(&name.value) {
        let message = format!("{} cannot be the name of a secret", name.quoted());
        let help = "use letters, digits, `_` and `-`, begin with a letter, and stay below 129 characters";
        reader.error("bad-name", name.span, message, help);
        return None;
    }
    if let Some(first) = seen.get(&name.value) {
        let message = format!("a second secret is named {}", quote(&name.value));
        reader.error(
            "duplicate-secret",
            name.span,
            message,
            format!("rename one; the first stands in line {}", first.line),
        );
    } else {
        seen.insert(name.value.clone(), name.span);
    }
    Some(name.spanned())
}

/// A secret without a usable name is not read any further; only its misspelt name is found.
fn reading_without_a_name(fields: &Fields) {
    let near = |key: &str| crate::diagnostic::nearest(key, ["name"]).is_some();
    for (key, _) in fields.entries.iter().filter(|(key, _)| key.value != "name" && near(&key.value)) {
        let message = format!("this secret has no key {}", quote_key(&key.value));
        fields.reader.error("unknown-key", key.span, message, "did you mean `name`?");
    }
}

/// A secret that has a name, and what it may refer to.
struct Outline<'r, 'a> {
    fields: Fields<'r, 'a>,
    name: Spanned<String>,
    scope: Scope<'r>,
}

fn secret<'r>(outline: Outline<'r, '_>, used: &mut Vec<String>) -> Option<Secret> {
    let Outline { fields, name, scope: Scope { providers, templates, defaults } } = outline;
    let reader = fields.reader;
    let own = templates::templates(reader, fields.get("templates"));
    let kind = fields.need_text("kind");
    let template = kind.as_ref().and_then(|kind| template_of(reader, kind, &own, templates, used));
    let source = match (&kind, template) {
        (Some(_), Some(Some(template))) => template.fields.clone().map(Source::Template),
        (Some(kind), None) => single(&fields, kind, || templates::kinds(&own, templates)),
        _ => None,
    };
    let rotation_period = period_of(&fields, "rotation_period");
    let one_time = fields.flag("one_time").unwrap_or(false);
    if one_time && let Some(period) = &rotation_period {
        let message = "a `one_time` secret is never rotated by schedule, so its `rotation_period` does nothing";
        reader.warning("one-time-rotation", period.span, message, "remove one of the two");
    }
    let targets = fields.get("targets");
    let mut secret = Secret {
        first_name: name.value.clone(),
        source: source.clone().unwrap_or_else(|| Source::Template(Vec::new())),
        rotation_period,
        one_time,
        adopt: fields.flag("adopt").unwrap_or(false),
        owners: fields.texts("owners").into_iter().map(|text| text.value).collect(),
        consumers: fields.texts("consumers").into_iter().map(|text| text.value).collect(),
        description: fields.text("description").map(|text| text.value),
        targets: Vec::new(),
        name,
    };
    let list = choose_targets(&fields, targets, template.flatten());
    // Fields that belong to a single generator only.
    if template.is_none() {
        fields.get("config");
    }
    fields.finish();
    let context = Context { reader, providers, defaults, secret: &secret, known: source.is_some() };
    secret.targets = targets::targets(&context, list);
    source.map(|_| secret)
}

/// The template that a kind names: `None` if it names none, `Some(None)` if that does not exist.
fn template_of<'t, 'n>(
    reader: &Reader,
    kind: &Text,
    own: &'t Templates<'n>,
    shared: &'t Templates<'n>,
    used: &mut Vec<String>,
) -> Option<Option<&'t Template<'n>>> {
    let name = kind.value.strip_prefix("templates.")?;
    if let Some(template) = own.get(name) {
        return Some(Some(template));
    }
    used.push(name.to_owned());
    let found = shared.get(name);
    if found.is_none() {
        let known = templates::kinds(own, shared);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let shown = if kind.literal { &kind.value } else { "" };
        let help = reader.suggestion(shown, &known, "the file has no templates: declare it under `templates:`");
        reader.error("unknown-template", kind.span, format!("there is no template {}", quote(name)), help);
    }
    Some(found)
}

fn single(fields: &Fields, word: &Text, templates: impl Fn() -> Vec<String>) -> Option<Source> {
    let kind = generators::kind_of(fields.reader, word, templates)?;
    let made = generators::generator(fields, kind, word, None)?;
    Some(Source::Single(made.generator))
}

/// The targets of a secret, which replace those of its template.
fn choose_targets<'n>(
    fields: &Fields<'n, '_>,
    own: Option<&'n Entry>,
    template: Option<&Template<'n>>,
) -> &'n [Spanned<Node>] {
    let reader = fields.reader;
    let declared = template.and_then(|template| template.targets);
    if let (Some((key, _)), Some((other, _))) = (own, declared) {
        let message = format!("these targets replace those of the template (line {})", other.span.line);
        reader.info("template-targets", key.span, message, "to have both, list all of them here");
    }
    let Some((key, node)) = own.or(declared) else {
        let message = "this secret has no targets, so its value would be kept nowhere";
        reader.error("no-targets", fields.place("name"), message, "list at least one under `targets:`");
        return &[];
    };
    match &node.value {
        Node::List(items) if items.is_empty() => {
            reader.error("no-targets", key.span, "the list of targets is empty", "list at least one target");
            &[]
        }
        Node::List(items) => items,
        other => {
            let message = format!("`targets` is {}, not a list", other.name());
            reader.error("wrong-type", node.span, message, "write its items as `- provider: …`");
            &[]
        }
    }
}
