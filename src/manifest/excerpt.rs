//! Which words of a Secretfile an excerpt may show: every key, and the values of settings that name
//! things and hold no secret.

use super::node::{Entry, Node};
use crate::diagnostic::{Scalar, Span, Spanned};

/// Settings whose values may be shown.
const SHOWN: &[&str] = &[
    "adopt",
    "allowed_kinds",
    "allowed_providers",
    "allowed_regions",
    "cas",
    "certificate_name",
    "charset",
    "compliance",
    "content_type",
    "data_type",
    "database_mount",
    "db_name",
    "default_ttl",
    "denied_kinds",
    "denied_providers",
    "denied_regions",
    "derived",
    "enabled",
    "expire_time",
    "expires_on",
    "exportable",
    "format",
    "from",
    "key",
    "key_name",
    "key_type",
    "kind",
    "length",
    "lower",
    "max_age",
    "max_ttl",
    "merge",
    "min_classes",
    "min_length",
    "mount_point",
    "name",
    "not_before",
    "number",
    "one_time",
    "path",
    "primary",
    "project",
    "project_id",
    "provider",
    "region",
    "replica_regions",
    "require_kms",
    "require_rotation_period",
    "require_tags",
    "required_tags",
    "role_name",
    "rotation_period",
    "secret_id",
    "secret_name",
    "severity",
    "special",
    "tier",
    "to",
    "type",
    "upper",
    "vault_url",
    "version",
];

/// Keys below which nothing is shown, whatever it is called.
const HIDDEN: &[&str] = &["variables", "default", "auth"];

/// All keys and values of a tree with whether they may be shown.
pub(super) fn scalars(root: &Spanned<Node>) -> Vec<Scalar> {
    let mut found = Vec::new();
    walk(root, false, true, &mut found);
    found
}

fn walk(node: &Spanned<Node>, shown: bool, allowed: bool, found: &mut Vec<Scalar>) {
    match &node.value {
        Node::Null => {}
        Node::Scalar(_) => push(node.span, shown && allowed, found),
        Node::List(items) => items.iter().for_each(|item| walk(item, shown, allowed, found)),
        Node::Map(entries) => entries.iter().for_each(|entry| walk_entry(entry, allowed, found)),
    }
}

fn walk_entry((key, value): &Entry, allowed: bool, found: &mut Vec<Scalar>) {
    push(key.span, true, found);
    let name = key.value.as_str();
    // How one logs in is a word; what one logs in with is not.
    let word = matches!((name, &value.value), ("kind" | "region", Node::Scalar(_)));
    walk(value, SHOWN.contains(&name), (allowed && !HIDDEN.contains(&name)) || word, found);
}

fn push(span: Span, shown: bool, found: &mut Vec<Scalar>) {
    if span.start < span.end {
        found.push(Scalar { bytes: span.start..span.end, shown });
    }
}
