//! A file as a tree of keys and values with their places, whatever its syntax: JSON, YAML, HCL or shell.

use super::{cloudformation, hcl, shell};
use crate::diagnostic::{Diagnostic, Scalar, Source, Span, Spanned};
use crate::manifest::node::{Entry, Node};

/// Reads a file; its syntax is told by its name, else by its text.
pub(in crate::trust) fn parse(source: &Source) -> Result<Spanned<Node>, Diagnostic> {
    let name = source.name.to_ascii_lowercase();
    let is = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let lines = || source.text.lines().map(str::trim_start);
    let looks_like = |starts: &[&str]| lines().any(|line| starts.iter().any(|start| line.starts_with(start)));
    let root = if is(&[".hcl", ".tf"]) {
        hcl::parse(source)?
    } else if is(&[".sh", ".bash"]) {
        shell::parse(source)
    } else if is(&[".json", ".yml", ".yaml"]) {
        cloudformation::parse(source)?
    } else if looks_like(&["gcloud ", "vault write ", "az ", "#!/"]) {
        shell::parse(source)
    } else if looks_like(&["path \"", "resource \"", "data \""]) {
        hcl::parse(source)?
    } else {
        cloudformation::parse(source)?
    };
    source.mark_scalars(scalars(&root));
    Ok(root)
}

/// A key as it is compared: `attributeCondition`, `attribute_condition` and `attribute-condition` are one.
fn normal(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

/// The first entry with one of these names.
pub(in crate::trust) fn entry<'n>(map: &'n Spanned<Node>, names: &[&str]) -> Option<&'n Entry> {
    let Node::Map(entries) = &map.value else { return None };
    entries.iter().find(|(key, _)| names.iter().any(|name| normal(&key.value) == normal(name)))
}

/// The value of the first entry with this name.
pub(in crate::trust) fn get<'n>(map: &'n Spanned<Node>, name: &str) -> Option<&'n Spanned<Node>> {
    entry(map, &[name]).map(|(_, value)| value)
}

/// A text, or each text of a list.
pub(in crate::trust) fn texts(node: &Spanned<Node>) -> Vec<Spanned<String>> {
    match &node.value {
        Node::Scalar(text) => vec![Spanned::new(text.clone(), node.span)],
        Node::List(items) => items.iter().flat_map(texts).collect(),
        Node::Map(entries) => {
            cloudformation::called(entries).map(|text| Spanned::new(text, node.span)).into_iter().collect()
        }
        Node::Null => Vec::new(),
    }
}

/// The texts of an entry; none if it is missing.
pub(in crate::trust) fn texts_of(map: &Spanned<Node>, name: &str) -> Vec<Spanned<String>> {
    get(map, name).map(texts).unwrap_or_default()
}

/// Every mapping, from the outside to the inside.
pub(in crate::trust) fn maps(root: &Spanned<Node>) -> Vec<&Spanned<Node>> {
    match &root.value {
        Node::Map(entries) => std::iter::once(root).chain(entries.iter().flat_map(|(_, value)| maps(value))).collect(),
        Node::List(items) => items.iter().flat_map(maps).collect(),
        Node::Null | Node::Scalar(_) => Vec::new(),
    }
}

/// The items of a list, or the one thing that stands for a list of one.
pub(in crate::trust) fn items(node: &Spanned<Node>) -> Vec<&Spanned<Node>> {
    match &node.value {
        Node::List(items) => items.iter().collect(),
        _ => vec![node],
    }
}

/// Where the text of a mapping begins, for a finding about the whole of it.
pub(in crate::trust) fn head(source: &Source, map: &Spanned<Node>) -> Span {
    let Node::Map(entries) = &map.value else { return map.span };
    let first = entries.first().map_or(map.span, |(key, _)| key.span);
    if first.start == first.end { source.span(first.start..first.start) } else { first }
}

/// What an excerpt may show: everything but what is named as a secret.
fn scalars(root: &Spanned<Node>) -> Vec<Scalar> {
    const HIDDEN: &[&str] = &["secret", "password", "token", "private", "credential"];
    let mut found = Vec::new();
    let mut open = vec![(root, true)];
    while let Some((node, shown)) = open.pop() {
        match &node.value {
            Node::Scalar(_) => found.push(Scalar { bytes: node.span.start..node.span.end, shown }),
            Node::List(items) => open.extend(items.iter().map(|item| (item, shown))),
            Node::Map(entries) => {
                for (key, value) in entries {
                    found.push(Scalar { bytes: key.span.start..key.span.end, shown: true });
                    let name = key.value.to_ascii_lowercase();
                    // Keys of conditions (`token.actions.githubusercontent.com:sub`) and settings of tokens.
                    let settles = [":", "policies", "ttl", "_token_"].iter().any(|word| name.contains(word));
                    let hidden = HIDDEN.iter().any(|word| name.contains(word)) && !settles;
                    open.push((value, shown && !(hidden && matches!(value.value, Node::Scalar(_)))));
                }
            }
            Node::Null => {}
        }
    }
    found
}
