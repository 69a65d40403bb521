//! Which words of a Secretfile an excerpt may show: keys, and the values of settings that name things
//! and hold no secret.

use super::node::{Entry, Node};
use crate::diagnostic::{Scalar, Span, Spanned, swallowed};

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
    "lockfile",
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
    "ttl",
    "type",
    "upper",
    "var_files",
    "vault_url",
    "version",
];

/// How much of a part of the tree may be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// What is listed.
    Open,
    /// How one logs in, but not what with.
    Login,
    /// Keys alone.
    Closed,
    /// Nothing: what stands here was meant to be one value, braces and all.
    Hidden,
}

impl Part {
    /// The part that a key leads to.
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Hidden, _) | (_, "default") => Self::Hidden,
            (Self::Closed, _) | (_, "variables") => Self::Closed,
            (Self::Login, _) | (_, "auth") => Self::Login,
            (Self::Open, _) => Self::Open,
        }
    }

    /// Whether it shows the value of a key.
    fn shows(self, key: &str) -> bool {
        match self {
            Self::Open => SHOWN.contains(&key),
            Self::Login => matches!(key, "kind" | "region"),
            Self::Closed | Self::Hidden => false,
        }
    }
}

/// All keys and values of a tree with whether they may be shown.
pub(super) fn scalars(root: &Spanned<Node>) -> Vec<Scalar> {
    let mut found = Vec::new();
    walk(root, Part::Open, "", &mut found);
    found
}

/// The same where no value may be shown at all.
pub(super) fn closed(root: &Spanned<Node>) -> Vec<Scalar> {
    let mut found = Vec::new();
    walk(root, Part::Closed, "", &mut found);
    found
}

fn walk(node: &Spanned<Node>, part: Part, key: &str, found: &mut Vec<Scalar>) {
    match &node.value {
        Node::Null => {}
        Node::Scalar(_) => push(node.span, part.shows(key), found),
        Node::List(items) => items.iter().for_each(|item| walk(item, part, key, found)),
        Node::Map(entries) => entries.iter().for_each(|entry| walk_entry(entry, part, found)),
    }
}

fn walk_entry((key, value): &Entry, part: Part, found: &mut Vec<Scalar>) {
    let holds_value = value.value == Node::Null && swallowed(&key.value).is_some();
    push(key.span, part != Part::Hidden && !holds_value, found);
    walk(value, part.below(&key.value), &key.value, found);
}

fn push(span: Span, shown: bool, found: &mut Vec<Scalar>) {
    if span.start < span.end {
        found.push(Scalar { bytes: span.start..span.end, shown });
    }
}
