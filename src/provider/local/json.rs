//! JSON files: one object, whose members keep their order, their formatting and their numbers as
//! written.
//!
//! `serde_json` checks the syntax and decodes; only the places of the members are found here, because
//! writing a parsed object back would reformat it and round large numbers.

use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::document::{Layout, Refusal, Slot, line_ending};
use crate::secret::{SecretValue, Value};

/// Indentation of a new file.
const INDENT: &str = "  ";

/// Where every value stands.
pub(super) fn layout(text: &str) -> Result<Layout, Refusal> {
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        let (line, column) = (error.line(), error.column());
        return Err(format!("it is not valid JSON at line {line}, column {column}; correct it"));
    }
    let open = text.find(|c: char| !c.is_ascii_whitespace()).unwrap_or(0);
    if !text[open..].starts_with('{') {
        return Err("its root is not a JSON object, so it has no keys to write to".into());
    }
    let members = members(text, open + 1);
    let ending = line_ending(text);
    let first = members.first().map(|(_, slot)| slot.whole.start);
    let last = members.last().map(|(_, slot)| slot.value.end);
    let inner = &text[open + 1..first.unwrap_or_else(|| text.rfind('}').unwrap_or(open + 1))];
    let line_start = match (first, inner.rfind('\n')) {
        (Some(_), Some(at)) => Some(format!("{ending}{}", &inner[at + 1..])),
        (Some(_), None) => None,
        (None, _) => Some(format!("{ending}{INDENT}")),
    };
    let separator = line_start.clone().unwrap_or_else(|| " ".to_owned());
    Ok(Layout {
        append_at: last.unwrap_or(open + 1),
        lead: if last.is_some() { format!(",{separator}") } else { separator.clone() },
        between: format!(",{separator}"),
        tail: if last.is_some() || inner.contains('\n') { String::new() } else { ending.to_owned() },
        nested: line_start,
        unclosed: Vec::new(),
        members,
    })
}

/// The members of the object whose inside starts at `at`. The text is valid JSON.
fn members(text: &str, mut at: usize) -> Vec<(String, Slot)> {
    let mut members = Vec::new();
    loop {
        at = skip(text, at, " \t\r\n,");
        if !text[at..].starts_with('"') {
            return members;
        }
        let name = at..value_end(text, at);
        let start = skip(text, name.end, " \t\r\n:");
        let end = value_end(text, start);
        if let Ok(decoded) = serde_json::from_str::<String>(&text[name.clone()]) {
            members.push((decoded, Slot { whole: name.start..end, value: start..end, column: 0, fixed: None }));
        }
        at = end;
    }
}

fn skip(text: &str, at: usize, characters: &str) -> usize {
    text[at..].find(|c: char| !characters.contains(c)).map_or(text.len(), |length| at + length)
}

/// One past the value that starts at `at`.
fn value_end(text: &str, at: usize) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    for (offset, byte) in text.bytes().enumerate().skip(at) {
        if quoted {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            quoted = !closes;
            if closes && depth == 0 {
                return offset + 1;
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 1 => depth -= 1,
            b'}' | b']' if depth == 1 => return offset + 1,
            b'}' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return offset,
            _ => {}
        }
    }
    text.len()
}

/// A string is its text, an object its fields; members that are not strings keep their JSON text.
pub(super) fn decode(raw: &str) -> Option<Value> {
    match serde_json::from_str(raw).ok()? {
        Json::String(text) => Some(Value::Single(SecretValue::from(text))),
        Json::Object(object) => {
            let fields = object.into_iter().map(|(name, member)| match member {
                Json::String(text) => (name, SecretValue::from(text)),
                other => (name, SecretValue::from(other.to_string())),
            });
            Some(Value::Fields(fields.collect()))
        }
        _ => None,
    }
}

/// A value as JSON: a string, or an object of strings, one to a line if `nested` starts lines.
pub(super) fn encode(value: &Value, nested: Option<&str>) -> Result<Zeroizing<String>, Refusal> {
    let string = |value: &SecretValue| {
        let text = value.expose_text().ok_or("the value is not UTF-8 text, which this format needs")?;
        Ok::<_, Refusal>(Zeroizing::new(quoted(text)))
    };
    let fields = match value {
        Value::Single(value) => return string(value),
        Value::Fields(fields) => fields,
    };
    let (inner, outer) = match nested {
        Some(line) => (format!("{line}{}", line.trim_start_matches(['\r', '\n'])), line.to_owned()),
        None => (String::new(), String::new()),
    };
    let mut object = Zeroizing::new(String::from("{"));
    for (index, (name, value)) in fields.iter().enumerate() {
        object.push_str(match (index, nested) {
            (0, _) => "",
            (_, Some(_)) => ",",
            (_, None) => ", ",
        });
        object.push_str(&inner);
        object.push_str(&quoted(name));
        object.push_str(": ");
        object.push_str(&string(value)?);
    }
    object.push_str(if fields.is_empty() { "" } else { &outer });
    object.push('}');
    Ok(object)
}

/// A JSON string; also a YAML one, so what YAML 1.2 does not allow unescaped is escaped as well
/// (<https://yaml.org/spec/1.2.2/#51-character-set>).
pub(super) fn quoted(text: &str) -> String {
    let json = Json::String(text.to_owned()).to_string();
    let mut escaped = String::with_capacity(json.len() + 8);
    for character in json.chars() {
        match character {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}
