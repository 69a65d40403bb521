//! Generators: what makes a value, checked so that it can make one.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::node::Node;
use super::read::{Fields, Reader, Text};
use super::statics::{self, Static};
use super::{Generator, GeneratorKind, PasswordSettings, TextSettings};
use crate::diagnostic::Spanned;

/// Longest generated text, in characters.
pub(super) const LENGTH_MAX: u64 = 4096;
/// Length when none is declared.
const LENGTH: u32 = 32;

const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";
/// What `special: true` draws from: no quotes, backquote or backslash, which shells and files trip
/// over, and no braces, since SSM refuses values with `{{`
/// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>).
const SPECIAL: &str = "!#$%&()*+,-./:;<=>?@[]^_|~";

/// The charsets of `random_string` by name.
pub(super) const CHARSETS: &[(&str, &[&str])] = &[
    ("alphanumeric", &[UPPER, LOWER, DIGITS]),
    ("alpha", &[UPPER, LOWER]),
    ("numeric", &[DIGITS]),
    ("lower", &[LOWER]),
    ("upper", &[UPPER]),
    ("hex", &[DIGITS, "abcdef"]),
    ("base64", &[UPPER, LOWER, DIGITS, "+/"]),
    ("base64url", &[UPPER, LOWER, DIGITS, "-_"]),
    ("base32", &[UPPER, "234567"]),
];

/// The kinds of generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Password,
    Text,
    Static,
    Uuid,
    External,
}

/// The words for them.
pub(super) const KINDS: &[(&str, Kind)] = &[
    ("random_password", Kind::Password),
    ("random_string", Kind::Text),
    ("static", Kind::Static),
    ("uuid", Kind::Uuid),
    ("external", Kind::External),
];

/// A generator, and the fields that its static value names.
pub(super) struct Made {
    pub(super) generator: Generator,
    pub(super) fields: Vec<Spanned<String>>,
}

/// Reads a generator of a kind with its `config`. `siblings` are the fields it may name.
pub(super) fn generator(parent: &Fields, kind: Kind, word: &Text, siblings: Option<&[&str]>) -> Option<Made> {
    let reader = parent.reader;
    let config = parent.get("config");
    let empty = Spanned::new(Node::Null, word.span);
    let (span, node) = config.map_or((word.span, &empty), |(key, node)| (key.span, node));
    let fields = Fields::of(reader, node, span, "this generator's config")?;
    let (kind, named) = match kind {
        Kind::Password => (password(&fields).map(GeneratorKind::Password), Vec::new()),
        Kind::Text => (text(&fields).map(GeneratorKind::Text), Vec::new()),
        Kind::Uuid => (Some(GeneratorKind::Uuid), Vec::new()),
        Kind::Static => match statics::read(&fields, siblings) {
            Some(Static { settings, fields }) => (Some(GeneratorKind::Static(settings)), fields),
            None => (None, Vec::new()),
        },
        Kind::External if siblings.is_some() => {
            let message = "a field of a template cannot be `external`: the others would have to be made around it";
            let help = "declare a secret of its own with `kind: external`";
            reader.error("external-field", word.span, message, help);
            return None;
        }
        Kind::External => (statics::external(&fields).map(GeneratorKind::External), Vec::new()),
    };
    fields.finish();
    let declaration = declaration(&word.value, node);
    Some(Made { generator: Generator { kind: kind?, declaration, span: word.span }, fields: named })
}

/// The generator as written, in one canonical line.
fn declaration(kind: &str, config: &Spanned<Node>) -> String {
    let members = BTreeMap::from([("config", canonical(&config.value)), ("kind", Json::String(kind.to_owned()))]);
    members.into_iter().map(|(name, member)| (name.to_owned(), member)).collect::<Json>().to_string()
}

/// JSON with sorted keys; every scalar is text, since `32` and `"32"` mean the same here.
fn canonical(node: &Node) -> Json {
    match node {
        Node::Null => Json::Null,
        Node::Scalar(text) => Json::String(text.clone()),
        Node::List(items) => items.iter().map(|item| canonical(&item.value)).collect(),
        Node::Map(entries) => {
            let sorted: BTreeMap<&str, &Node> = entries.iter().map(|(k, v)| (k.value.as_str(), &v.value)).collect();
            sorted.into_iter().map(|(key, node)| (key.to_owned(), canonical(node))).collect()
        }
    }
}

fn length(fields: &Fields) -> u32 {
    fields.number("length", 1..=LENGTH_MAX).and_then(|length| u32::try_from(length).ok()).unwrap_or(LENGTH)
}

fn password(fields: &Fields) -> Option<PasswordSettings> {
    let length = length(fields);
    let special = fields.text("special_characters");
    let excluded = fields.text("exclude_characters").map(|text| text.value).unwrap_or_default();
    let sets = [
        ("upper", UPPER),
        ("lower", LOWER),
        ("number", DIGITS),
        ("special", special.as_ref().map_or(SPECIAL, |text| &text.value)),
    ];
    let mut classes = Vec::new();
    let mut complete = special.as_ref().is_none_or(|text| usable(fields.reader, text, "special_characters"));
    for (name, set) in sets {
        if !fields.flag(name).unwrap_or(true) {
            continue;
        }
        let left: String = set.chars().filter(|c| !excluded.contains(*c)).collect();
        if left.is_empty() {
            let message = format!("the exclusions leave no character of the class `{name}`");
            let help = format!("exclude fewer characters, or turn the class off with `{name}: false`");
            fields.reader.error("impossible-generator", fields.place("exclude_characters"), message, help);
            complete = false;
        }
        classes.push(left);
    }
    if classes.is_empty() {
        let help = "leave at least one of `upper`, `lower`, `number` and `special` on";
        fields.reader.error("impossible-generator", fields.span, "every class of characters is turned off", help);
        complete = false;
    }
    if (length as usize) < classes.len() {
        let message =
            format!("a password of {length} cannot hold a character of each of its {} classes", classes.len());
        fields.reader.error("impossible-generator", fields.place("length"), message, "make `length` greater");
        complete = false;
    }
    complete.then_some(PasswordSettings { length, classes })
}

fn text(fields: &Fields) -> Option<TextSettings> {
    let reader = fields.reader;
    let length = length(fields);
    let alphabet = fields.text("alphabet");
    let charset = fields.text("charset");
    let excluded = fields.text("exclude_characters").map(|text| text.value).unwrap_or_default();
    let all: String = match (&alphabet, &charset) {
        (Some(alphabet), None) => {
            if !usable(reader, alphabet, "alphabet") {
                return None;
            }
            alphabet.value.clone()
        }
        (Some(_), Some(charset)) => {
            let help = "keep `charset` for a named set, or `alphabet` for the characters themselves";
            reader.error("contradiction", charset.span, "`charset` and `alphabet` exclude one another", help);
            return None;
        }
        (None, Some(charset)) => named(reader, charset)?.concat(),
        (None, None) => [UPPER, LOWER, DIGITS].concat(),
    };
    let alphabet: String = all.chars().filter(|c| !excluded.contains(*c)).collect();
    if alphabet.chars().nth(1).is_none() {
        let message = "fewer than two different characters are left to draw from, so every value could be guessed";
        let span = fields.place(if excluded.is_empty() { "alphabet" } else { "exclude_characters" });
        reader.error("impossible-generator", span, message, "allow more characters");
        return None;
    }
    Some(TextSettings { length, alphabet })
}

/// A charset by its name; a misspelt one is no alphabet.
fn named(reader: &Reader, charset: &Text) -> Option<&'static [&'static str]> {
    if let Some((_, parts)) = CHARSETS.iter().find(|(name, _)| *name == charset.value) {
        return Some(parts);
    }
    let known: Vec<&str> = CHARSETS.iter().map(|(name, _)| *name).collect();
    let hint = reader.suggestion(if charset.literal { &charset.value } else { "" }, &known, "there are none");
    let help = format!("{hint} The characters themselves go into `alphabet:`");
    reader.error("unknown-charset", charset.span, format!("there is no charset {}", charset.quoted()), help);
    None
}

/// Whether a set of characters has each of them once, and none that cannot be seen.
fn usable(reader: &Reader, set: &Text, key: &str) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    let problem = set.value.chars().find_map(|c| {
        if c.is_control() || c.is_whitespace() {
            return Some("holds a blank or a control character");
        }
        (!seen.insert(c)).then_some("holds a character twice, which would make it likelier than the others")
    });
    if let Some(problem) = problem {
        reader.error(
            "impossible-generator",
            set.span,
            format!("`{key}` {problem}"),
            "list each visible character once",
        );
    }
    problem.is_none()
}

/// Whether a generator may put `{{` into its value, which SSM refuses.
pub(super) fn may_open_braces(kind: &GeneratorKind) -> bool {
    match kind {
        GeneratorKind::Password(settings) => settings.classes.iter().any(|class| class.contains('{')),
        GeneratorKind::Text(settings) => settings.alphabet.contains('{'),
        // What an external value holds is known to nobody here.
        GeneratorKind::Static(_) | GeneratorKind::Uuid | GeneratorKind::External(_) => false,
    }
}

/// The kind of a word, told as an error if there is none; `others` are the words it may be besides.
pub(super) fn kind_of(reader: &Reader, word: &Text, others: impl Fn() -> Vec<String>) -> Option<Kind> {
    if let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == word.value) {
        return Some(*kind);
    }
    let others = others();
    let known: Vec<&str> = KINDS.iter().map(|(word, _)| *word).chain(others.iter().map(String::as_str)).collect();
    let help = reader.suggestion(if word.literal { &word.value } else { "" }, &known, "there are none");
    reader.error("unknown-kind", word.span, format!("there is no generator {}", word.quoted()), help);
    None
}
