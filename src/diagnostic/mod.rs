//! The only way to tell a user that something is wrong with a file.
//!
//! A [`Diagnostic`] says what is wrong, at which line and column, and what to do now. Rendering never
//! shows a value: the excerpt of a line that holds one is redacted.

mod render;
mod source;

use std::collections::BTreeSet;

pub use render::render;
pub use source::{BYTES_MAX, Scalar, Source};

/// A place in a source: one-based line and column (in characters), and the byte range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// One-based line.
    pub line: u32,
    /// One-based column, in characters.
    pub column: u32,
    /// First byte.
    pub start: usize,
    /// One past the last byte; at least `start`.
    pub end: usize,
}

/// A value with the place where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Joins a value and its place.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Probably a mistake; fails only with `--fail-on-warning`.
    Warning,
    /// Must be mended.
    Error,
}

impl Severity {
    /// The word a user writes and reads.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One finding about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable kebab-case name of the rule, such as `unknown-key`.
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What is wrong, in one sentence; never with a value in it.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to do now.
    pub help: Option<String>,
    /// The secret it is about, if any.
    pub secret: Option<String>,
}

/// The known name that a misspelt one was probably meant to be.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer words are no misspellings, and comparing them costs time that an attacker would choose.
    const CHARS_MAX: usize = 64;
    const SIMILARITY_MIN: f64 = 0.6;
    if name.chars().nth(CHARS_MAX).is_some() {
        return None;
    }
    let folded = name.to_ascii_lowercase().replace('-', "_");
    let candidates: BTreeSet<&str> = known.into_iter().collect();
    candidates
        .into_iter()
        .map(|word| {
            (strsim::normalized_damerau_levenshtein(&folded, &word.to_ascii_lowercase().replace('-', "_")), word)
        })
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// A name out of a file, made fit for a message: in backquotes, cut, and free of control characters.
#[must_use]
pub fn quote(name: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut shown: String = name.chars().take(CHARS_MAX).map(|c| if harmless(c) { c } else { '\u{fffd}' }).collect();
    if name.chars().nth(CHARS_MAX).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A key for a message, as [`quote`]: of one that swallowed its value only what is the key.
#[must_use]
pub fn quote_key(key: &str) -> String {
    quote(&swallowed(key).map_or_else(|| key.to_owned(), |name| format!("{name}…")))
}

/// The key in front of a value that was taken for a part of it: in YAML's braces `{default:hunter2}`
/// is one key without a value, and so is `{default=hunter2}`.
#[must_use]
pub fn swallowed(key: &str) -> Option<&str> {
    let (name, _) = key.split_once([':', '='])?;
    let is_key = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    is_key.then_some(name)
}

/// Text of ours that may hold names of a stranger's: what steers a terminal or hides text is shown as
/// `�`. Backticks and breaks stay, since they are ours.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if harmless(c) || "`\n".contains(c) { c } else { '\u{fffd}' }).collect()
}

/// Whether a character neither steers a terminal nor hides text.
fn harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '`')
}
