//! `templates:`: named fields that form one value together, at top level or inside one secret.

use std::collections::{BTreeMap, BTreeSet};

use super::Field;
use super::generators;
use super::node::{Entry, Node};
use super::read::{Fields, Reader};
use super::variables::is_name;
use crate::diagnostic::{Span, Spanned, quote, quote_key};

/// Most fields of one template; what its fields name of one another is compared one by one.
pub(super) const FIELDS_MAX: usize = 256;
/// Most templates that a suggestion looks at.
const KINDS_LISTED: usize = 200;

/// A template as it is declared; its targets are read for each secret that uses it.
pub(super) struct Template<'n> {
    /// Where its name stands.
    pub(super) span: Span,
    /// `None` if they could not be read.
    pub(super) fields: Option<Vec<Field>>,
    /// The list of targets, if there is one.
    pub(super) targets: Option<&'n Entry>,
}

/// Templates by name.
pub(super) type Templates<'n> = BTreeMap<String, Template<'n>>;

/// Reads `templates:`.
pub(super) fn templates<'n>(reader: &'n Reader, entry: Option<&'n Entry>) -> Templates<'n> {
    let mut templates = Templates::new();
    let Some((key, node)) = entry else { return templates };
    let Some(fields) = Fields::of(reader, node, key.span, "`templates`") else { return templates };
    for (name, node) in fields.entries {
        if !is_name(&name.value) {
            let message = format!("{} cannot be the name of a template", quote_key(&name.value));
            reader.error("bad-name", name.span, message, "use letters, digits, `_` and `-`, and begin with a letter");
        }
        templates.entry(name.value.clone()).or_insert_with(|| template(reader, name, node));
    }
    templates
}

fn template<'n>(reader: &'n Reader, name: &Spanned<String>, node: &'n Spanned<Node>) -> Template<'n> {
    let mut template = Template { span: name.span, fields: None, targets: None };
    let Some(fields) = Fields::of(reader, node, name.span, "this template") else { return template };
    fields.text("description");
    template.targets = fields.get("targets");
    template.fields = fields.need("fields").and_then(|entry| fields_of(reader, entry));
    fields.finish();
    template
}

fn fields_of(reader: &Reader, (key, node): &Entry) -> Option<Vec<Field>> {
    let section = Fields::of(reader, node, key.span, "`fields`")?;
    if section.entries.is_empty() {
        reader.error(
            "missing-key",
            key.span,
            "this template has no fields",
            "give it at least one, with a `generator`",
        );
        return None;
    }
    if section.entries.len() > FIELDS_MAX {
        let message = format!("this template has more than {FIELDS_MAX} fields");
        reader.error("out-of-range", key.span, message, "split it into several templates");
        return None;
    }
    let names: Vec<&str> = section.entries.iter().map(|(name, _)| name.value.as_str()).collect();
    let mut fields = Vec::new();
    let mut uses: BTreeMap<&str, Vec<Spanned<String>>> = BTreeMap::new();
    for (name, node) in section.entries {
        if let Some((field, named)) = field(reader, name, node, &names) {
            uses.insert(&name.value, named);
            fields.push(field);
        }
    }
    let sound = no_cycle(reader, &uses);
    (sound && fields.len() == names.len()).then_some(fields)
}

fn field(
    reader: &Reader,
    name: &Spanned<String>,
    node: &Spanned<Node>,
    siblings: &[&str],
) -> Option<(Field, Vec<Spanned<String>>)> {
    if !is_name(&name.value) {
        let message = format!("{} cannot be the name of a field", quote_key(&name.value));
        reader.error("bad-name", name.span, message, "use letters, digits, `_` and `-`, and begin with a letter");
    }
    let fields = Fields::of(reader, node, name.span, "this field")?;
    fields.text("description");
    let entry = fields.need("generator");
    fields.finish();
    let (key, node) = entry?;
    let generator = Fields::of(reader, node, key.span, "this generator")?;
    let word = generator.need_text("kind");
    let made = word.and_then(|word| {
        let kind = generators::kind_of(reader, &word, Vec::new)?;
        generators::generator(&generator, kind, &word, Some(siblings))
    });
    // `config` is known even where the kind is not.
    generator.get("config");
    generator.finish();
    let made = made?;
    Some((Field { name: name.clone(), generator: made.generator }, made.fields))
}

/// Follows the fields that static values name; a circle is told once, with its members.
fn no_cycle(reader: &Reader, uses: &BTreeMap<&str, Vec<Spanned<String>>>) -> bool {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in uses.keys() {
        // A path of (field, next of its uses), so that deep chains cost no stack.
        let mut path: Vec<(&str, usize)> = vec![(start, 0)];
        while let Some((name, next)) = path.last_mut() {
            let name = *name;
            let target = if done.contains(name) { None } else { uses.get(name).and_then(|named| named.get(*next)) };
            *next += 1;
            let Some(target) = target else {
                done.insert(name);
                path.pop();
                continue;
            };
            let from = path.iter().position(|(name, _)| *name == target.value);
            if let Some(from) = from {
                let mut circle: Vec<String> = path.iter().skip(from).map(|(name, _)| quote(name)).collect();
                circle.push(quote(&target.value));
                let message = format!("fields need one another in a circle: {}", circle.join(" → "));
                reader.error("field-cycle", target.span, message, "let one of them stand by itself");
                return false;
            }
            path.push((&target.value, 0));
        }
    }
    true
}

/// Some of the kinds `templates.<name>` that a secret may use, for a suggestion.
pub(super) fn kinds(own: &Templates, shared: &Templates) -> Vec<String> {
    own.keys().chain(shared.keys()).take(KINDS_LISTED).map(|name| format!("templates.{name}")).collect()
}

/// Says which templates no secret uses.
pub(super) fn warn_unused(reader: &Reader, templates: &Templates, used: &[String]) {
    let used: BTreeSet<&str> = used.iter().map(String::as_str).collect();
    if used.iter().any(|name| !templates.contains_key(*name)) {
        // A misspelt name was told; the template it meant is used.
        return;
    }
    for (name, template) in templates.iter().filter(|(name, _)| !used.contains(name.as_str())) {
        let help = format!("use it with `kind: templates.{name}`, or remove it");
        reader.warning(
            "unused-template",
            template.span,
            format!("no secret uses the template {}", quote_key(name)),
            help,
        );
    }
}
