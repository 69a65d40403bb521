//! `version:`, `metadata:` and `variables:`.

use std::collections::BTreeMap;

use super::node::{Entry, Node};
use super::read::{Fields, Reader};
use super::variables::is_name;
use super::{Compliance, Metadata};
use crate::diagnostic::{Spanned, quote, quote_key};

pub(super) const PACKS: &[(&str, Compliance)] =
    &[("soc2", Compliance::Soc2), ("iso27001", Compliance::Iso27001), ("pci-dss", Compliance::PciDss)];

/// Checks the version of the format; a missing one is 1.0.
pub(super) fn version(reader: &Reader, entry: Option<&Entry>) {
    let Some((_, node)) = entry else { return };
    let Some(text) = reader.text_of(node, "version") else { return };
    if !matches!(text.value.as_str(), "1.0" | "1") {
        let message = format!("this program does not know version {} of the Secretfile", text.quoted());
        reader.error("unknown-version", text.span, message, "write `version: '1.0'`, or update SecretZero");
    }
}

/// Reads `metadata:`.
pub(super) fn metadata(reader: &Reader, entry: Option<&Entry>) -> Metadata {
    let fields = entry.and_then(|(key, node)| Fields::of(reader, node, key.span, "`metadata`"));
    let Some(fields) = fields else { return Metadata::default() };
    let plain = |key| fields.text(key).map(|text| text.value);
    let metadata = Metadata {
        project: fields.text("project").map(super::read::Text::spanned),
        project_id: fields.text("project_id").map(super::read::Text::spanned),
        owner: plain("owner"),
        description: plain("description"),
        classification: plain("classification"),
        compliance: packs(&fields),
    };
    fields.finish();
    metadata
}

fn packs(fields: &Fields) -> Vec<Spanned<Compliance>> {
    let pack = |text: super::read::Text| Some((fields.reader.word_of(&text, "compliance", PACKS)?, text.span));
    fields.texts("compliance").into_iter().filter_map(pack).map(|(pack, span)| Spanned::new(pack, span)).collect()
}

/// The compliance packs of `metadata:` alone.
pub(super) fn compliance(reader: &Reader, entry: Option<&Entry>) -> Vec<Spanned<Compliance>> {
    let fields = entry.and_then(|(key, node)| Fields::of(reader, node, key.span, "`metadata`"));
    fields.as_ref().map(packs).unwrap_or_default()
}

/// The project of `metadata:` that identities are made from, alone.
pub(super) fn project(reader: &Reader, entry: Option<&Entry>) -> Option<String> {
    let fields = entry.and_then(|(key, node)| Fields::of(reader, node, key.span, "`metadata`"))?;
    fields.text("project_id").or_else(|| fields.text("project")).map(|text| text.value)
}

/// Reads `variables:`, whose values count as they stand.
pub(super) fn variables(reader: &Reader, root: &Spanned<Node>) -> BTreeMap<String, String> {
    let Node::Map(sections) = &root.value else { return BTreeMap::new() };
    let section = sections.iter().find(|(name, _)| name.value == "variables");
    let fields = section.and_then(|(key, node)| Fields::of(reader, node, key.span, "`variables`"));
    let entries = fields.map(|fields| fields.entries).unwrap_or_default();
    entries.iter().filter_map(|entry| variable(reader, entry)).collect()
}

/// One of `variables:`.
pub(super) fn variable(reader: &Reader, (name, node): &Entry) -> Option<(String, String)> {
    if !is_name(&name.value) {
        let message = format!("{} cannot be the name of a variable", quote_key(&name.value));
        reader.error("bad-name", name.span, message, "use letters, digits, `_` and `-`, and begin with a letter");
        return None;
    }
    match &node.value {
        Node::Scalar(text) => {
            if text.contains("${") && !reader.inputs.var_overrides.contains_key(&name.value) {
                reader.warning(
                    "variable-not-expanded",
                    node.span,
                    format!(
                        "the value of the variable {} contains `${{`, which is not expanded here",
                        quote(&name.value)
                    ),
                    "use the environment variable where it is needed, instead of naming it a second time",
                );
            }
            Some((name.value.clone(), text.clone()))
        }
        Node::Null => {
            let message = format!("the variable {} has no value", quote(&name.value));
            reader.error("missing-value", name.span, message, "write one after it; an empty text is \"\"");
            None
        }
        other => {
            let message = format!("the variable {} is {}, not a text", quote(&name.value), other.name());
            reader.error("wrong-type", name.span, message, "a variable holds one text or number");
            None
        }
    }
}
