//! Static values: texts with variables and fields in them, which are checked and never shown.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};

use super::read::{Environment, Fields, Piece, Reader};
use super::{ExternalSettings, Part, StaticSettings};
use crate::diagnostic::{Span, Spanned, quote};
use crate::secret::{Encoding, SecretValue};

/// What the text of a value may stand for.
pub(super) const ENCODINGS: &[(&str, Encoding)] = &[("text", Encoding::Text), ("base64", Encoding::Base64)];

/// Largest compiled `validation`, in bytes; keeps a hostile one from taking memory and time.
const PATTERN_BYTES_MAX: usize = 256 * 1024;
/// Most different `validation`s of one file, for the same reason.
const PATTERNS_MAX: usize = 300;

/// A static value, and the fields that it names.
pub(super) struct Static {
    pub(super) settings: StaticSettings,
    pub(super) fields: Vec<Spanned<String>>,
}

/// Reads the `config` of a `static` generator; `siblings` are the fields it may name.
pub(super) fn read(fields: &Fields, siblings: Option<&[&str]>) -> Option<Static> {
    let reader = fields.reader;
    let validation = fields.text("validation");
    let encoding = encoding(fields, siblings.is_some());
    let (_, node) = fields.need("default")?;
    let super::node::Node::Scalar(text) = &node.value else {
        reader.text_of(node, "default");
        return None;
    };
    let environment = if reader.resolves_statics() { Environment::Required } else { Environment::Untouched };
    let pieces = reader.pieces(text, node.span, environment);
    let pattern = validation.as_ref().map(|text| (text, compile(reader, text.span, &text.value)));
    let pieces = pieces?;
    let named: Vec<Spanned<String>> = pieces.iter().filter_map(field).collect();
    if !fields_exist(reader, &named, siblings) {
        return None;
    }
    let value = parts(pieces);
    if let (Some((_, pattern)), Some([Part::Text(text)])) = (&pattern, value.as_deref())
        && let (Some(pattern), Some(text)) = (pattern, text.expose_text())
        && !pattern.is_match(text)
    {
        let help = "mend the value, or the `validation`; both ends of the value count";
        reader.error("validation-failed", node.span, "the value does not match its `validation`", help);
    }
    let validation = validation.map(super::read::Text::spanned);
    let settings = StaticSettings { value, validation, encoding };
    if encoding == Encoding::Base64 && settings.value.is_some() && super::values::encoded(&settings).is_none() {
        let help = "write it as `base64` prints it, with its `=` at the end; line ends do not count";
        reader.error("bad-base64", node.span, "the value is not base64, as its `encoding` says", help);
    }
    Some(Static { settings, fields: named })
}

/// Reads the `config` of an `external` generator.
pub(super) fn external(fields: &Fields) -> Option<ExternalSettings> {
    let validation = fields.text("validation");
    if let Some(text) = &validation {
        compile(fields.reader, text.span, &text.value)?;
    }
    let encoding = encoding(fields, false);
    Some(ExternalSettings { validation: validation.map(super::read::Text::spanned), encoding })
}

/// What the text stands for; a field stands in a JSON object, so it is text whatever it means.
fn encoding(fields: &Fields, is_field: bool) -> Encoding {
    let encoding = fields.word("encoding", ENCODINGS).unwrap_or_default();
    if is_field && encoding == Encoding::Base64 {
        let message = "a field of a template is text, so it cannot be stored as bytes";
        let help = "leave its base64 as it is, or declare a secret of its own";
        fields.reader.error("encoding-field", fields.place("encoding"), message, help);
    }
    encoding
}

fn field(piece: &Piece) -> Option<Spanned<String>> {
    match piece {
        Piece::Field(name) => Some(name.clone()),
        Piece::Text(_) | Piece::Unresolved(_) => None,
    }
}

/// The value in as few parts as can be, or `None` if something is unresolved.
fn parts(pieces: Vec<Piece>) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(more) => text.push_str(&more),
            Piece::Unresolved(_) => return None,
            Piece::Field(name) => {
                if !text.is_empty() {
                    parts.push(Part::Text(SecretValue::from(std::mem::take(&mut text))));
                }
                parts.push(Part::Field(name.value));
            }
        }
    }
    if !text.is_empty() || parts.is_empty() {
        parts.push(Part::Text(SecretValue::from(text)));
    }
    Some(parts)
}

fn fields_exist(reader: &Reader, named: &[Spanned<String>], siblings: Option<&[&str]>) -> bool {
    let mut complete = true;
    for name in named {
        let shown = quote(&name.value);
        let literal = "to have it literally, put the braces into a variable";
        match siblings {
            None => {
                let message = format!("{shown} in double braces names a field, but only a template has fields");
                reader.error("unknown-field", name.span, message, format!("use `kind: templates.…`; {literal}"));
                complete = false;
            }
            Some(known) if !known.contains(&name.value.as_str()) => {
                let hint = reader.suggestion(&name.value, known, "it has no fields");
                reader.error("unknown-field", name.span, format!("the template has no field {shown}"), hint);
                complete = false;
            }
            Some(_) => {}
        }
    }
    complete
}

/// The regular expressions of a file, each compiled once: or why it cannot be.
pub(super) type Patterns = BTreeMap<String, Result<Regex, String>>;

/// A `validation` as it is meant: the whole value must match.
fn compile(reader: &Reader, span: Span, pattern: &str) -> Option<Regex> {
    let mut patterns = reader.patterns.borrow_mut();
    if patterns.len() >= PATTERNS_MAX && !patterns.contains_key(pattern) {
        let message = format!("the file has more than {PATTERNS_MAX} different `validation`s");
        reader.error("too-complex", span, message, "use the same expression for values of the same form");
        return None;
    }
    match patterns.entry(pattern.to_owned()).or_insert_with(|| build(pattern)) {
        Ok(regex) => Some(regex.clone()),
        Err(reason) => {
            let message = format!("`validation` is no regular expression: {reason}");
            let help = "the syntax is that of Rust's regex crate: https://docs.rs/regex/#syntax";
            reader.error("bad-regex", span, message, help);
            None
        }
    }
}

fn build(pattern: &str) -> Result<Regex, String> {
    let whole = format!(r"\A(?:{pattern})\z");
    RegexBuilder::new(&whole).size_limit(PATTERN_BYTES_MAX).build().map_err(|error| match &error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        // Its last line is the reason; those before quote the pattern.
        other => other.to_string().lines().last().unwrap_or_default().replace("error: ", ""),
    })
}

/// Whether a value is known to contain `{{`, which SSM refuses.
pub(super) fn opens_braces(settings: &StaticSettings) -> bool {
    settings.value.iter().flatten().any(|part| match part {
        Part::Text(text) => text.expose().windows(2).any(|pair| pair == b"{{"),
        Part::Field(_) => false,
    })
}
