//! The building blocks: what the reader takes as a text, a flag, a number, one of some words.
//!
//! Wherever the reader expands variables, `${NAME}` and `{{var.NAME}}` fit as well, whatever the shape.

use serde_json::{Map, Value as Json, json};

/// A text that holds a variable, of which nothing more can be said.
fn variable() -> Json {
    json!({ "type": "string", "pattern": r"\$\{|\{\{" })
}

/// One of these, nothing (which means missing), or a variable.
fn or_variable(mut shapes: Vec<Json>, required: bool) -> Json {
    shapes.push(variable());
    if !required {
        shapes.push(json!({ "type": "null" }));
    }
    json!({ "anyOf": shapes })
}

/// With the text that an editor shows.
pub(super) fn about(mut shape: Json, text: &str) -> Json {
    if let Some(members) = shape.as_object_mut() {
        members.insert("description".into(), json!(text));
    }
    shape
}

/// Any text; unquoted numbers and words are taken as written.
pub(super) fn text(text: &str) -> Json {
    about(json!({ "type": ["string", "number", "boolean", "null"] }), text)
}

/// A text that must be there.
pub(super) fn needed(text: &str) -> Json {
    about(json!({ "type": ["string", "number", "boolean"] }), text)
}

/// A text that matches a pattern and has at most so many characters.
pub(super) fn pattern(pattern: &str, chars_max: usize, required: bool, text: &str) -> Json {
    let number = json!({ "type": "number" });
    let fits = json!({ "type": "string", "pattern": pattern, "maxLength": chars_max });
    about(or_variable(vec![fits, number], required), text)
}

/// A text of at most so many characters.
pub(super) fn short(chars_max: usize, text: &str) -> Json {
    let shape = json!({ "type": ["string", "number", "boolean", "null"], "maxLength": chars_max });
    about(shape, text)
}

/// One of some words.
pub(super) fn word<'w>(words: impl Iterator<Item = &'w str>, required: bool, text: &str) -> Json {
    about(or_variable(vec![json!({ "enum": words.collect::<Vec<_>>() })], required), text)
}

/// True or false.
pub(super) fn flag(text: &str) -> Json {
    let words = json!({ "enum": [true, false, "true", "false", "True", "False", "TRUE", "FALSE"] });
    about(or_variable(vec![words], false), text)
}

/// A whole number within a range.
pub(super) fn number(least: u64, most: u64, text: &str) -> Json {
    let number = json!({ "type": "integer", "minimum": least, "maximum": most });
    let digits = json!({ "type": "string", "pattern": "^[0-9]{1,18}$" });
    about(or_variable(vec![number, digits], false), text)
}

/// `90d`.
pub(super) fn period(text: &str) -> Json {
    let shape = json!({ "type": "string", "pattern": "^[0-9]{1,10}[hdwmy]$" });
    about(or_variable(vec![shape], false), text)
}

/// A list of texts, or one text.
pub(super) fn texts(text: &str) -> Json {
    let one = json!({ "type": ["string", "number", "boolean"] });
    about(json!({ "anyOf": [one, { "type": "array", "items": one }, { "type": "null" }] }), text)
}

/// A path below the folder of the Secretfile, which holds no variable.
fn relative() -> Json {
    json!({ "type": "string", "pattern": r"^(?!/)(?!.*(^|/)\.{1,2}(/|$))[^$?#%\\]+$" })
}

/// A path below the folder of the Secretfile.
pub(super) fn path(text: &str) -> Json {
    about(json!({ "anyOf": [relative(), { "type": "null" }] }), text)
}

/// A list of such paths, or one.
pub(super) fn paths(text: &str) -> Json {
    about(json!({ "anyOf": [relative(), { "type": "array", "items": relative() }, { "type": "null" }] }), text)
}

/// A list of words, or one word.
pub(super) fn words<'w>(words: impl Iterator<Item = &'w str>, text: &str) -> Json {
    let one = or_variable(vec![json!({ "enum": words.collect::<Vec<_>>() })], true);
    about(json!({ "anyOf": [one, { "type": "array", "items": one }, { "type": "null" }] }), text)
}

/// Tags, labels or metadata: any name that the store takes, but ours.
pub(super) fn tags(count_max: usize, name: &str, value: &str, text: &str) -> Json {
    let names = json!({ "pattern": name, "not": { "const": crate::mark::MARK_KEY } });
    let value = or_variable(
        vec![json!({ "type": "string", "pattern": value }), json!({ "type": ["number", "boolean"] })],
        true,
    );
    let shape = json!({
        "type": ["object", "null"], "maxProperties": count_max, "propertyNames": names, "additionalProperties": value,
    });
    about(shape, text)
}

/// A mapping with exactly these keys; one without required keys may be left empty.
pub(super) fn object(text: &str, required: &[&str], keys: Vec<(&str, Json)>) -> Json {
    let kinds = if required.is_empty() { json!(["object", "null"]) } else { json!("object") };
    let properties: Map<String, Json> = keys.into_iter().map(|(key, shape)| (key.to_owned(), shape)).collect();
    let mut shape = json!({ "type": kinds, "properties": properties, "additionalProperties": false });
    if let Some(members) = shape.as_object_mut().filter(|_| !required.is_empty()) {
        members.insert("required".into(), json!(required));
    }
    about(shape, text)
}

/// A mapping from names of one's own.
pub(super) fn named(text: &str, of: &Json) -> Json {
    let shape = json!({
        "type": ["object", "null"],
        "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_-]*$" },
        "additionalProperties": of,
    });
    about(shape, text)
}

/// A shape with one more rule: a member of JSON Schema beside those it has.
pub(super) fn also(mut shape: Json, member: &str, rule: Json) -> Json {
    if let Some(members) = shape.as_object_mut() {
        members.insert(member.into(), rule);
    }
    shape
}

/// A moment: a date, with a time or without.
pub(super) fn moment(text: &str) -> Json {
    pattern("^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].+)?$", 64, false, text)
}

/// Different visible characters, at least so many.
pub(super) fn characters(least: usize, text: &str) -> Json {
    pattern(&format!(r"^(?!.*(.).*\1)\S{{{least},}}$"), 4096, false, text)
}

/// If a key has this value, then this holds as well.
pub(super) fn when(key: &str, value: &str, then: Json) -> Json {
    json!({ "if": { "properties": { key: { "const": value } }, "required": [key] }, "then": then })
}

/// Another part of the document.
pub(super) fn part(name: &str) -> Json {
    json!({ "$ref": format!("#/definitions/{name}") })
}
