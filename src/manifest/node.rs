//! YAML as a tree in which every key and every value knows its place, and scalars keep their spelling.
//!
//! This is the only file that knows the YAML parser. `1.10`, `0755` and `yes` stay text until a typed
//! read asks for something else. Duplicate keys are kept, so that all of them can be told at once;
//! bombs, deep nesting, unknown tags and a second document end the parsing with one error.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Location;
use serde_saphyr::options::DuplicateKeyPolicy;

use crate::diagnostic::{Diagnostic, Severity, Source, Span, Spanned};

/// Most nodes after aliases are expanded; 2,000 secrets need 48,000.
const NODES_MAX: usize = 500_000;
/// Deepest nesting; the deepest place the specification uses is 10.
const DEPTH_MAX: usize = 32;
/// Most aliases and anchors.
const ALIASES_MAX: usize = 500;
/// Most events that aliases may repeat in total.
const REPLAYED_EVENTS_MAX: usize = 50_000;

/// One value of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// Nothing, or an unquoted `null`.
    Null,
    /// Text, a number or a boolean, as written.
    Scalar(String),
    /// A list.
    List(Vec<Spanned<Node>>),
    /// A mapping in the order of the file, duplicates included.
    Map(Vec<Entry>),
}

/// A key and its value.
pub(crate) type Entry = (Spanned<String>, Spanned<Node>);

impl Node {
    /// What a person calls it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// Parses one document.
pub(crate) fn parse(source: &Source) -> Result<Spanned<Node>, Diagnostic> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        reject_unsupported_tags: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPLAYED_EVENTS_MAX },
        budget: serde_saphyr::budget! {
            max_nodes: NODES_MAX,
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_anchors: ALIASES_MAX,
            max_aliases: ALIASES_MAX,
            max_recorded_anchor_events: REPLAYED_EVENTS_MAX,
            max_documents: 2,
        },
    };
    match serde_saphyr::from_str_with_options::<serde_saphyr::Spanned<Raw>>(&source.text, options) {
        Ok(raw) => Ok(node(source, raw)),
        Err(error) => Err(refusal(source, &error)),
    }
}

/// What the parser hands out; scalars that it took for a number or a boolean keep no text.
enum Raw {
    Null,
    Typed,
    Text(String),
    List(Vec<serde_saphyr::Spanned<Raw>>),
    Map(Vec<(serde_saphyr::Spanned<String>, serde_saphyr::Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a text, a number, a boolean, a list or a mapping")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Raw, E> {
        Err(E::custom("binary data"))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map: Vec<(serde_saphyr::Spanned<String>, _)> = Vec::new();
        while let Some(key) = entries.next_key()? {
            map.push((key, entries.next_value()?));
            if map.len() > NODES_MAX {
                return Err(A::Error::custom("too many entries"));
            }
        }
        Ok(Raw::Map(map))
    }
}

fn node(source: &Source, raw: serde_saphyr::Spanned<Raw>) -> Spanned<Node> {
    let span = place(source, &raw.referenced);
    let value = match raw.value {
        Raw::Null => Node::Null,
        Raw::Typed => Node::Scalar(spelling(source, &raw.defined)),
        Raw::Text(text) => Node::Scalar(text),
        Raw::List(items) => Node::List(items.into_iter().map(|item| node(source, item)).collect()),
        Raw::Map(entries) => Node::Map(
            entries
                .into_iter()
                .map(|(key, value)| (Spanned::new(key.value, place(source, &key.referenced)), node(source, value)))
                .collect(),
        ),
    };
    Spanned::new(value, span)
}

/// The text of a plain scalar as it stands in the file.
fn spelling(source: &Source, defined: &Location) -> String {
    let text = source.text.get(bytes(defined)).unwrap_or("").trim();
    // An explicit tag such as `!!int` may stand before it, and quotes around it.
    text.rsplit(char::is_whitespace).next().unwrap_or("").trim_matches(['"', '\'']).to_owned()
}

fn bytes(location: &Location) -> Range<usize> {
    let span = location.span();
    let size = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok());
    match (size(span.byte_offset()), size(span.byte_len())) {
        (Some(start), Some(length)) => start..start.saturating_add(length),
        _ => 0..0,
    }
}

fn place(source: &Source, location: &Location) -> Span {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    let (line, column) = (number(location.line()), number(location.column()));
    let Range { start, end } = bytes(location);
    if start == end {
        // Errors and empty nodes come with a line and a column only.
        let start = source.offset(line, column);
        return Span { line, column, start, end: start };
    }
    // The parser leaves trailing blanks and line ends in the range of some scalars.
    let (start, end) = (start.min(source.text.len()), end.min(source.text.len()));
    let text = source.text.get(start..end).unwrap_or("");
    Span { line, column, start, end: start + text.trim_end().len() }
}

/// Turns the parser's error into ours; its own texts may quote the file, so only a few are kept.
fn refusal(source: &Source, error: &serde_saphyr::Error) -> Diagnostic {
    use serde_saphyr::Error as E;
    let mut error = error.without_snippet();
    let span = error.location().map_or_else(|| source.span(0..0), |location| place(source, &location));
    while let E::AliasError { error: cause, .. } = error {
        error = cause;
    }
    let (code, message, help): (_, String, String) = match error {
        E::Budget { .. }
        | E::AliasReplayLimitExceeded { .. }
        | E::AliasExpansionLimitExceeded { .. }
        | E::AliasReplayStackDepthExceeded { .. }
        | E::AliasReplayCounterOverflow { .. } => too_complex(),
        E::UnsupportedTag { .. } => (
            "unknown-tag",
            "this YAML tag means nothing here".into(),
            "remove the `!tag`; quote the text if it was meant to be text".into(),
        ),
        E::MultipleDocuments { .. } => (
            "several-documents",
            "a second YAML document begins here".into(),
            "keep one document per file: remove the `---` and what follows it".into(),
        ),
        E::UnknownAnchor { .. } => (
            "unknown-anchor",
            "this alias names no anchor that stands before it".into(),
            "define it with `&name` above".into(),
        ),
        E::RecursiveReferencesRequireWeakTypes { .. } => {
            ("unknown-anchor", "this alias stands inside its own anchor".into(), "write the value out".into())
        }
        E::MergeValueNotMapOrSeqOfMaps { .. } => {
            ("bad-merge", "`<<` takes a mapping".into(), "write `<<: *name` with an anchor of a mapping".into())
        }
        E::ExternalMessage { msg, .. } if msg == "recursion limit exceeded" => too_complex(),
        E::ExternalMessage { msg, .. } => return syntax(source, span, msg),
        _ => return syntax(source, span, ""),
    };
    Diagnostic { code, severity: Severity::Error, message, span, help: Some(help), secret: None }
}

fn too_complex() -> (&'static str, String, String) {
    (
        "too-complex",
        "the file holds too much: too many values, too deep nesting, or aliases that expand to too much".into(),
        format!("at most {NODES_MAX} values, {DEPTH_MAX} levels and {ALIASES_MAX} aliases are read"),
    )
}

/// A file that is no YAML.
fn syntax(source: &Source, span: Span, reason: &str) -> Diagnostic {
    let line = source.text.get(source.line(span.line)).unwrap_or("");
    let body = line.trim_start();
    let indent = line.len() - body.len();
    let item = enclosing_key(source, span.line).filter(|_| body.starts_with("- "));
    let dash = source.line(span.line).start + indent;
    let (span, message, help) = match item {
        Some(("secrets" | "moved", at)) if indent_of_items(source, at) == Some(indent) => plain_syntax(span, reason),
        Some((key @ ("secrets" | "moved"), _)) => (
            source.span(dash..dash + 1),
            format!("this list item is not indented like the others of `{key}:`"),
            "give every `- ` of a list the same number of blanks before it".to_owned(),
        ),
        Some((key, at)) => (
            with_comment(source, span.line, indent),
            format!("the list item of line {} stands inside the mapping `{key}:` of line {at}", span.line),
            format!(
                "if it is a secret, move it up into the list `secrets:`, or move `{key}:` below the last secret (or, \
                 indented, into the one secret that uses it)"
            ),
        ),
        None if line[..indent].contains('\t') => {
            (span, "this line is indented with a tab".into(), "YAML is indented with spaces only".into())
        }
        None => plain_syntax(span, reason),
    };
    Diagnostic { code: "yaml-syntax", severity: Severity::Error, message, span, help: Some(help), secret: None }
}

/// Where an item starts that must move as a whole: at the comment right above it, if it has one.
fn with_comment(source: &Source, line: u32, indent: usize) -> Span {
    let is_comment = |line: &u32| {
        let text = source.text.get(source.line(*line)).unwrap_or("");
        text.get(indent..).is_some_and(|rest| rest.starts_with('#')) && text.trim_start().len() == text.len() - indent
    };
    let first = (1..line).rev().take_while(is_comment).last().unwrap_or(line);
    let start = source.line(first).start + indent;
    source.span(start..start + 1)
}

/// The scanner's own words, which are fixed texts, at most with one reserved character in them.
fn plain_syntax(span: Span, reason: &str) -> (Span, String, String) {
    let help = if reason.starts_with("mapping values") {
        "a text with `: ` in it needs quotes; otherwise look at the indentation of this line and the one before"
    } else if reason.starts_with("unexpected character") {
        "a text that begins with this character needs quotes"
    } else {
        "look at the indentation, the quotes and the brackets of this line and the one before"
    };
    let reason = if reason.is_empty() { "it breaks off or is out of place" } else { reason };
    (span, format!("this is not YAML: {reason}"), help.to_owned())
}

/// How far the first item of a list is indented.
fn indent_of_items(source: &Source, key_line: u32) -> Option<usize> {
    let lines = (key_line + 1..).map_while(|line| source.text.get(source.line(line)).filter(|_| source.has_line(line)));
    let mut items = lines.filter(|line| line.trim_start().starts_with("- "));
    items.next().map(|line| line.len() - line.trim_start().len())
}

/// The key of the mapping around a line, at top level, with its line; only names of sections count.
fn enclosing_key(source: &Source, line: u32) -> Option<(&str, u32)> {
    (1..line).rev().find_map(|above| {
        let text = source.text.get(source.line(above))?;
        let key = text.strip_suffix(':').filter(|key| super::load::SECTIONS.contains(key))?;
        Some((key, above))
    })
}
