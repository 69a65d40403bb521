//! Typed access to the tree: every question that finds no good answer becomes a finding, and reading
//! goes on, so that all problems are told at once.

mod words;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use jiff::Timestamp;

use super::load::{Credentials, Inputs, Statics};
use super::node::{Entry, Node};
use super::variables::{Token, tokens};
use crate::diagnostic::{Diagnostic, Severity, Source, Span, Spanned, nearest, plain, quote, quote_key, swallowed};

/// Most findings of one severity that are kept; the rest is counted.
const FINDINGS_MAX: usize = 200;
/// Most known names that a misspelt one is compared with.
const KNOWN_MAX: usize = 500;

/// The file being read, what is known of the world, and what was found.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    pub(super) inputs: &'a Inputs<'a>,
    pub(super) variables: BTreeMap<String, String>,
    /// Paths that belong to the Secretfile itself, in lower case.
    pub(super) own_files: Vec<String>,
    pub(super) patterns: RefCell<super::statics::Patterns>,
    found: RefCell<Vec<Diagnostic>>,
    failed: Cell<bool>,
    dropped: Cell<usize>,
    secret: RefCell<Option<String>>,
}

/// A text with its variables resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// The text.
    pub(super) value: String,
    /// Where it stands.
    pub(super) span: Span,
    /// Whether it stands in the file as it is, so that a message may quote it.
    pub(super) literal: bool,
}

impl Text {
    /// The text for a message, if the file shows it anyway.
    pub(super) fn quoted(&self) -> String {
        if self.literal { quote(&self.value) } else { "what its variables give".into() }
    }

    pub(super) fn spanned(self) -> Spanned<String> {
        Spanned::new(self.value, self.span)
    }
}

/// A piece of a text that may stay unresolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Resolved.
    Text(String),
    /// An environment variable that is not looked up now.
    Unresolved(String),
    /// `{{name}}`.
    Field(Spanned<String>),
}

/// What becomes of a variable that the file does not declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Environment {
    /// The environment must have it.
    Required,
    /// It stays unresolved if the environment lacks it.
    Optional,
    /// It stays unresolved.
    Untouched,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a Source, inputs: &'a Inputs<'a>) -> Self {
        Self {
            source,
            inputs,
            variables: BTreeMap::new(),
            own_files: Vec::new(),
            patterns: RefCell::default(),
            found: RefCell::default(),
            failed: Cell::new(false),
            dropped: Cell::new(0),
            secret: RefCell::default(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.inputs.now
    }

    pub(super) fn error(&self, code: &'static str, span: Span, message: impl Display, help: impl Display) {
        self.report(Severity::Error, code, span, message, help);
    }

    pub(super) fn warning(&self, code: &'static str, span: Span, message: impl Display, help: impl Display) {
        self.report(Severity::Warning, code, span, message, help);
    }

    pub(super) fn info(&self, code: &'static str, span: Span, message: impl Display, help: impl Display) {
        self.report(Severity::Info, code, span, message, help);
    }

    fn report(&self, severity: Severity, code: &'static str, span: Span, message: impl Display, help: impl Display) {
        self.failed.set(self.failed.get() || severity == Severity::Error);
        let mut found = self.found.borrow_mut();
        if found.iter().filter(|other| other.severity == severity).count() >= FINDINGS_MAX {
            self.dropped.set(self.dropped.get() + 1);
            return;
        }
        // Any finding may name something of the file, such as the nearest known name.
        let (message, help) = (plain(&message.to_string()), Some(plain(&help.to_string())));
        // A template that several secrets use is read for each of them.
        if found.iter().any(|other| other.span == span && other.code == code && other.message == message) {
            return;
        }
        found.push(Diagnostic {
            code,
            severity,
            message,
            span,
            help,
            secret: self.secret.borrow().as_deref().map(plain),
        });
    }

    /// Runs a part of the reading whose findings are about one secret.
    pub(super) fn about<T>(&self, secret: &str, read: impl FnOnce() -> T) -> T {
        let before = self.secret.replace(Some(secret.to_owned()));
        let result = read();
        self.secret.replace(before);
        result
    }

    /// Whether an error was found, and all findings in the order of the file.
    pub(super) fn finish(self) -> (bool, Vec<Diagnostic>) {
        let mut found = self.found.into_inner();
        found.sort_by_key(|finding| (finding.span.start, std::cmp::Reverse(finding.severity), finding.code));
        if self.dropped.get() > 0 {
            let end = self.source.span(self.source.text.len()..self.source.text.len());
            found.push(Diagnostic {
                code: "too-many",
                severity: Severity::Info,
                message: format!("{} more findings are not listed", self.dropped.get()),
                span: end,
                help: Some("mend some of the above and run it again".into()),
                secret: None,
            });
        }
        (self.failed.get(), found)
    }

    /// Resolves every variable of a text; what has no value is an error with its place.
    pub(super) fn expand(&self, text: &str, span: Span) -> Option<Text> {
        let pieces = self.pieces(text, span, Environment::Required)?;
        let mut value = String::new();
        for (token, piece) in tokens(text).iter().zip(pieces) {
            match (piece, token) {
                (Piece::Text(piece), _) => value.push_str(&piece),
                // Outside a template's static value double braces mean nothing to us.
                (Piece::Field(_), Token::Field { written, .. }) => value.push_str(written),
                _ => return None,
            }
        }
        let literal = value == text;
        Some(Text { value, span, literal })
    }

    /// Resolves a text piece by piece, one piece per token.
    pub(super) fn pieces(&self, text: &str, span: Span, environment: Environment) -> Option<Vec<Piece>> {
        let mut complete = true;
        let mut pieces = Vec::new();
        for token in tokens(text) {
            match token {
                Token::Literal(text) => pieces.push(Piece::Text(text.to_owned())),
                Token::Field { name, written } => {
                    pieces.push(Piece::Field(Spanned::new(name.to_owned(), self.inside(span, written))));
                }
                Token::Variable { name, default, written } => {
                    let piece = if written.starts_with("{{") {
                        self.declared(name).cloned().map(Piece::Text)
                    } else {
                        self.lookup(name, default, environment)
                    };
                    complete &= piece.is_some();
                    match piece {
                        Some(piece) => pieces.push(piece),
                        None => self.missing_variable(name, written, span),
                    }
                }
                Token::Malformed { written } => {
                    let (message, help) = if written.starts_with("${{") {
                        (
                            "`${{ … }}` is an expression of GitHub's workflows, which nobody evaluates here",
                            "let the workflow set an environment variable and write `${NAME}`; literally it is written `$${{`",
                        )
                    } else {
                        (
                            "this `${` begins no variable",
                            "write `${NAME}` or `${NAME:-default}` (a default is plain text); a literal `${` is written `$${`",
                        )
                    };
                    self.error("bad-variable", self.inside(span, written), message, help);
                    complete = false;
                }
            }
        }
        complete.then_some(pieces)
    }

    fn declared(&self, name: &str) -> Option<&String> {
        self.inputs.var_overrides.get(name).or_else(|| self.variables.get(name))
    }

    fn lookup(&self, name: &str, default: Option<&str>, environment: Environment) -> Option<Piece> {
        let unresolved = || Some(Piece::Unresolved(name.to_owned()));
        let declared = self.declared(name).cloned();
        if declared.is_none() && environment == Environment::Untouched {
            return unresolved();
        }
        let value = declared.or_else(|| (self.inputs.environment)(name));
        let value = value.filter(|value| default.is_none() || !value.is_empty()).or_else(|| default.map(str::to_owned));
        match value {
            Some(value) => Some(Piece::Text(value)),
            None if environment == Environment::Optional => unresolved(),
            None => None,
        }
    }

    fn missing_variable(&self, name: &str, written: &str, span: Span) {
        let file_only = written.starts_with("{{");
        let near = nearest(name, self.variables.keys().take(KNOWN_MAX).map(String::as_str));
        let help = match near {
            Some(known) if file_only => format!("did you mean `{known}`?"),
            Some(known) if self.inputs.withheld => format!(
                "did you mean `{known}`? One of the environment is used in a pull request only if the input `allow_env` \
                 names it"
            ),
            Some(known) => format!("did you mean `{known}`? Otherwise set it in the environment"),
            None if self.inputs.withheld && !file_only => {
                format!(
                    "in a pull request it is used only if the input `allow_env` names it, or give a default: `${{{name}:-…}}`"
                )
            }
            None if file_only => {
                format!("declare it under `variables:`; a variable of the environment is written `${{{name}}}`")
            }
            None => {
                format!("set it in the environment, declare it under `variables:`, or give a default: `${{{name}:-…}}`")
            }
        };
        let message = format!("the variable {} has no value", quote(name));
        self.error("missing-variable", self.inside(span, written), message, help);
    }

    /// The place of a piece inside a scalar, or the scalar if it cannot be told.
    pub(super) fn inside(&self, span: Span, written: &str) -> Span {
        let text = self.source.text.get(span.start..span.end).unwrap_or("");
        text.find(written).map_or(span, |at| self.source.span(span.start + at..span.start + at + written.len()))
    }

    /// Whether environment variables of static values are looked up.
    pub(super) fn resolves_statics(&self) -> bool {
        self.inputs.statics == Statics::Resolve
    }

    /// Whether a provider's missing environment variable is an error.
    pub(super) fn requires_credentials(&self) -> bool {
        self.inputs.credentials == Credentials::Require
    }
}

/// A mapping being read: every key that is asked for is known, the rest is an error at the end.
pub(super) struct Fields<'r, 'a> {
    pub(super) reader: &'r Reader<'a>,
    pub(super) entries: &'r [Entry],
    /// The whole of it, or the key that leads to it.
    pub(super) span: Span,
    /// What it is, for messages: `this target`.
    pub(super) what: &'static str,
    /// How many entries at the end are not its own: they may be unknown here.
    pub(super) lent: usize,
    asked: RefCell<Vec<&'static str>>,
}

impl<'r, 'a> Fields<'r, 'a> {
    /// The entries of a node that must be a mapping; duplicate keys are told.
    pub(super) fn of(reader: &'r Reader<'a>, node: &'r Spanned<Node>, span: Span, what: &'static str) -> Option<Self> {
        let entries: &[Entry] = match &node.value {
            Node::Map(entries) => entries,
            Node::Null => &[],
            other => {
                let message = format!("{what} is {}, not a mapping", other.name());
                reader.error("wrong-type", node.span, message, "write `key: value` lines, indented below it");
                return None;
            }
        };
        duplicates(reader, entries);
        Some(Self { reader, entries, span, what, lent: 0, asked: RefCell::default() })
    }

    /// The value of a key, unless it is missing or null.
    pub(super) fn get(&self, key: &'static str) -> Option<&'r Entry> {
        self.asked.borrow_mut().push(key);
        let entry = self.entries.iter().find(|(name, _)| name.value == key)?;
        if entry.1.value == Node::Null { None } else { Some(entry) }
    }

    /// The keys that were asked for up to now.
    pub(super) fn asked(&self) -> Vec<&'static str> {
        self.asked.borrow().clone()
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &'static str) -> Option<&'r Entry> {
        let found = self.get(key);
        if found.is_none() {
            self.missing(key);
        }
        found
    }

    pub(super) fn missing(&self, key: &'static str) {
        let message = format!("{} has no `{key}`", self.what);
        self.reader.error("missing-key", self.span, message, format!("add `{key}: …` to it"));
    }

    pub(super) fn text(&self, key: &'static str) -> Option<Text> {
        let (_, node) = self.get(key)?;
        self.reader.text_of(node, key)
    }

    pub(super) fn need_text(&self, key: &'static str) -> Option<Text> {
        let (_, node) = self.need(key)?;
        self.reader.text_of(node, key)
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let text = self.text(key)?;
        match text.value.as_str() {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => {
                self.reader.error(
                    "wrong-type",
                    text.span,
                    format!("`{key}` is neither true nor false"),
                    "write `true` or `false`",
                );
                None
            }
        }
    }

    pub(super) fn number(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let text = self.text(key)?;
        let digits = text.value.len() <= 18 && text.value.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { text.value.parse().ok() } else { None };
        if let Some(number) = number.filter(|number| range.contains(number)) {
            return Some(number);
        }
        let (least, most) = (range.start(), range.end());
        let (code, message) = match number {
            Some(_) => ("out-of-range", format!("`{key}` is not within {least} to {most}")),
            None => ("wrong-type", format!("`{key}` is not a whole number")),
        };
        self.reader.error(code, text.span, message, format!("write a number from {least} to {most}"));
        None
    }

    /// One of a few known words.
    pub(super) fn word<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        self.reader.word_of(&text, key, words)
    }

    /// The items of a list.
    pub(super) fn list(&self, key: &'static str) -> Option<&'r [Spanned<Node>]> {
        let (_, node) = self.get(key)?;
        match &node.value {
            Node::List(items) => Some(items),
            other => {
                let message = format!("`{key}` is {}, not a list", other.name());
                self.reader.error("wrong-type", node.span, message, "write its items as `- item` lines");
                None
            }
        }
    }

    /// A list of texts; a single text counts as a list of one.
    pub(super) fn texts(&self, key: &'static str) -> Vec<Text> {
        let Some((_, node)) = self.get(key) else { return Vec::new() };
        if let Node::Scalar(_) = node.value {
            return self.reader.text_of(node, key).into_iter().collect();
        }
        let items = self.list(key).unwrap_or_default();
        items.iter().filter_map(|item| self.reader.text_of(item, key)).collect()
    }

    /// A mapping of arbitrary names to texts, such as tags, with the place of each name.
    pub(super) fn map(&self, key: &'static str) -> Vec<(Spanned<String>, Text)> {
        let Some((name, node)) = self.get(key) else { return Vec::new() };
        let Some(inner) = Fields::of(self.reader, node, name.span, key) else { return Vec::new() };
        let read = |(name, value): &Entry| Some((name.clone(), self.reader.text_of(value, &name.value)?));
        inner.entries.iter().filter_map(read).collect()
    }

    /// The place of a setting, else of the whole.
    pub(super) fn place(&self, key: &str) -> Span {
        self.entries.iter().find(|(name, _)| name.value == key).map_or(self.span, setting_place)
    }

    /// The places of all settings.
    pub(super) fn places(&self) -> impl Iterator<Item = (String, Span)> {
        self.entries.iter().map(|entry| (entry.0.value.clone(), setting_place(entry)))
    }

    /// Ends the reading: keys that nobody asked for are unknown.
    pub(super) fn finish(self) {
        let asked = self.asked.into_inner();
        let own = self.entries.len() - self.lent.min(self.entries.len());
        for (name, _) in self.entries.iter().take(own) {
            if asked.contains(&name.value.as_str()) {
                continue;
            }
            let mut known: Vec<&str> = asked.clone();
            known.sort_unstable();
            known.dedup();
            let help = match swallowed(&name.value) {
                Some(name) => format!("if a value follows, put a blank before it: `{name}: …`"),
                None => self.reader.suggestion(&name.value, &known, "it has no keys at all"),
            };
            let message = format!("{} has no key {}", self.what, quote_key(&name.value));
            self.reader.error("unknown-key", name.span, message, help);
        }
    }
}

/// A value that stands on the line of its key, else the key.
fn setting_place((name, value): &Entry) -> Span {
    let beside = matches!(value.value, Node::Scalar(_)) && value.span.line == name.span.line;
    if beside && value.span.start < value.span.end { value.span } else { name.span }
}

fn duplicates(reader: &Reader, entries: &[Entry]) {
    let mut first: BTreeMap<&str, Span> = BTreeMap::new();
    for (name, _) in entries {
        match first.get(name.value.as_str()) {
            Some(earlier) => {
                let message = format!("the key {} stands here a second time", quote_key(&name.value));
                let help = format!("remove one of them; the first stands in line {}", earlier.line);
                reader.error("duplicate-key", name.span, message, help);
            }
            None => {
                first.insert(&name.value, name.span);
            }
        }
    }
}
