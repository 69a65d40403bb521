//! YAML files: one block mapping, whose comments, order and other keys stay as they are.
//!
//! The parser's events tell the span of every value; ours are written as double-quoted scalars or
//! flow mappings of such, which is JSON and YAML at once. What cannot be edited by spans alone is
//! refused: several documents, another root, and an anchor, alias or tag on a key of ours.

use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};
use zeroize::Zeroizing;

use super::document::{Layout, Refusal, Slot, line_ending};
use super::json;
use crate::secret::{SecretValue, Value};

/// Where every value stands.
pub(super) fn layout(text: &str) -> Result<Layout, Refusal> {
    let members = Reader { text, parser: Parser::new_from_str(text) }.root()?;
    if text.lines().next_back().is_some_and(|line| line.starts_with("...")) {
        return Err("it ends with `...`, after which nothing can be added; remove that line".into());
    }
    let indent = members.first().map_or(0, |(_, slot)| {
        let line = text[..slot.whole.start].rfind('\n').map_or(0, |at| at + 1);
        text[line..slot.whole.start].chars().take_while(|c| *c == ' ').count()
    });
    let (ending, indent) = (line_ending(text), " ".repeat(indent));
    let open = !text.is_empty() && !text.ends_with('\n');
    Ok(Layout {
        members,
        append_at: text.len(),
        lead: format!("{}{indent}", if open { ending } else { "" }),
        between: format!("{ending}{indent}"),
        tail: ending.to_owned(),
        nested: None,
        unclosed: Vec::new(),
    })
}

/// A scalar is its text as written, a mapping of scalars its fields. `column` is where it stood.
pub(super) fn decode(raw: &str, column: usize) -> Option<Value> {
    let text = Zeroizing::new(format!("{}{raw}", " ".repeat(column)));
    let mut events = Parser::new_from_str(&text).filter_map(|event| match event {
        Ok((Event::StreamStart | Event::DocumentStart(..) | Event::Comment(..), _)) => None,
        Ok((event, _)) => Some(Some(event)),
        Err(_) => Some(None),
    });
    match events.next()?? {
        Event::Scalar(text, ..) => Some(Value::Single(SecretValue::from(text.as_ref()))),
        Event::MappingStart(..) => {
            let mut fields = Vec::new();
            loop {
                let name = match events.next()?? {
                    Event::Scalar(name, ..) => name.into_owned(),
                    Event::MappingEnd => return Some(Value::Fields(fields)),
                    _ => return None,
                };
                let Event::Scalar(value, ..) = events.next()?? else { return None };
                fields.push((name, SecretValue::from(value.as_ref())));
            }
        }
        _ => None,
    }
}

/// A key as it is written: plain if no reader could take it for anything but text.
pub(super) fn key(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(name));
    if plain && !word { name.to_owned() } else { json::quoted(name) }
}

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, serde_saphyr::granit_parser::StrInput<'a>>,
}

/// A node: where it is written, and why it cannot be replaced.
struct Node {
    range: Range<usize>,
    column: usize,
    name: Option<String>,
    fixed: Option<&'static str>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Refusal> {
        loop {
            match self.parser.next() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => {
                    let (line, column) = (error.marker().line(), error.marker().col() + 1);
                    return Err(format!("it is not valid YAML at line {line}, column {column}; correct it"));
                }
                None => return Err("it ends unexpectedly; correct it".into()),
            }
        }
    }

    /// The members of the root mapping, after making sure that there is nothing else.
    fn root(&mut self) -> Result<Vec<(String, Slot)>, Refusal> {
        let mut members = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(..) => {}
                Event::StreamEnd => return Ok(members),
                Event::MappingStart(StructureStyle::Block, ..) => {
                    members = self.members()?;
                    break;
                }
                // A document without a node, which the parser reads as a null of no length.
                Event::Scalar(_, ScalarStyle::Plain, 0, None) if span.start == span.end => break,
                Event::MappingStart(..) => {
                    return Err("its root is written as `{…}`; write one key per line instead".into());
                }
                _ => return Err("its root is not a mapping, so it has no keys to write to".into()),
            }
        }
        match (self.next()?.0, self.next()?.0) {
            (Event::DocumentEnd, Event::StreamEnd) => Ok(members),
            _ => Err("it holds several documents; keep one in it".into()),
        }
    }

    fn members(&mut self) -> Result<Vec<(String, Slot)>, Refusal> {
        let mut members = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(members);
            }
            let key = self.node(event, span)?;
            let (event, span) = self.next()?;
            let is_block = matches!(event, Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..));
            let mut value = self.node(event, span)?;
            if is_block {
                self.with_header(&mut value, key.range.end);
            }
            let Some(name) = key.name else { continue };
            let slot = if value.range.is_empty() {
                // Nothing is written: the value goes right after the colon.
                let colon = self.text[key.range.end..].find(':').map_or(key.range.end, |at| key.range.end + at + 1);
                Slot { whole: key.range.start..colon, value: colon..colon, column: 0, fixed: value.fixed }
            } else {
                Slot {
                    whole: key.range.start..value.range.end,
                    value: value.range,
                    column: value.column,
                    fixed: value.fixed,
                }
            };
            members.push((name, slot));
        }
    }

    /// The parser tells where a block of text begins, but its `|` stands before that, after the colon.
    fn with_header(&self, value: &mut Node, key_end: usize) {
        let after = &self.text[key_end..value.range.start];
        let Some(colon) = after.find(':') else { return };
        let blank = after[colon + 1..].len() - after[colon + 1..].trim_start().len();
        value.range.start = key_end + colon + 1 + blank;
        let line = self.text[..value.range.start].rfind('\n').map_or(0, |at| at + 1);
        value.column = self.text[line..value.range.start].chars().count();
    }

    /// A node with all that is in it.
    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Refusal> {
        let bytes = |span: &Span| span.byte_range().ok_or_else(|| Refusal::from("its spans are not known"));
        let mut node = Node { range: bytes(&span)?, column: span.start.col(), name: None, fixed: None };
        let (mut depth, mut block_end) = (0_usize, 0);
        let (mut event, mut span) = (event, span);
        loop {
            node.fixed = node.fixed.or_else(|| fixed(&event));
            match &event {
                Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
                Event::MappingEnd | Event::SequenceEnd => depth = depth.saturating_sub(1),
                Event::Scalar(text, ..) if depth == 0 => node.name = Some(text.clone().into_owned()),
                _ => {}
            }
            // The end of a block is no place: it lies at the next token. A leaf or a bracket is one.
            let range = bytes(&span)?;
            if !range.is_empty() {
                node.range.end = node.range.end.max(range.end);
            }
            if matches!(event, Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..)) {
                block_end = range.end;
            }
            if depth == 0 {
                if block_end == node.range.end {
                    node.range.end += line_ends(&self.text[block_end..]);
                }
                return Ok(node);
            }
            (event, span) = self.next()?;
        }
    }
}

/// How many bytes of line ends follow, blank lines included: a block of text may own them.
fn line_ends(after: &str) -> usize {
    let blank = after.len() - after.trim_start_matches([' ', '\t', '\r', '\n']).len();
    after[..blank].rfind('\n').map_or(0, |at| at + 1)
}

/// Why replacing what holds this event would change something elsewhere.
fn fixed(event: &Event<'_>) -> Option<&'static str> {
    match event {
        Event::Alias(_) | Event::UnresolvedAlias(_) => Some("holds an alias (`*name`)"),
        Event::Scalar(_, _, anchor, tag) => properties(*anchor, tag.is_some()),
        Event::SequenceStart(_, anchor, tag) | Event::MappingStart(_, anchor, tag) => {
            properties(*anchor, tag.is_some())
        }
        _ => None,
    }
}

const fn properties(anchor: usize, tagged: bool) -> Option<&'static str> {
    match (anchor, tagged) {
        (0, false) => None,
        (0, true) => Some("has a tag (`!name`)"),
        _ => Some("has an anchor (`&name`)"),
    }
}
