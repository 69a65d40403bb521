//! The text of one file, ready to be pointed into.

use std::ops::Range;
use std::sync::OnceLock;

use super::{Diagnostic, Severity, Span};

/// Largest file, in bytes; a Secretfile with 2,000 secrets has a quarter of a megabyte.
pub const BYTES_MAX: usize = 4 * 1024 * 1024;

/// A file as the user named it, with its text.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The name as the user typed it.
    pub name: String,
    /// The text, without a byte-order mark.
    pub text: String,
    line_starts: Vec<usize>,
    scalars: OnceLock<Vec<Scalar>>,
}

/// A stretch of text that is one key or one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// Its bytes.
    pub bytes: Range<usize>,
    /// Whether an excerpt may show it.
    pub shown: bool,
}

impl Source {
    /// A source of a text that is known to be small.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        Self { name: name.into(), text, line_starts, scalars: OnceLock::new() }
    }

    /// Takes the bytes of a file; a byte-order mark is dropped, both kinds of line end are welcome.
    ///
    /// # Errors
    /// A [`Diagnostic`] for an empty file, one above [`BYTES_MAX`], and one that is not UTF-8.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Self, Diagnostic> {
        let fail = |code, span, message: String, help: &str| {
            let help = Some(help.to_owned());
            Err(Diagnostic { code, severity: Severity::Error, message, span, help, secret: None })
        };
        let start = Span { line: 1, column: 1, start: 0, end: 0 };
        if bytes.len() > BYTES_MAX {
            let message = format!("the file has {} bytes, more than the {BYTES_MAX} allowed", bytes.len());
            return fail(
                "too-large",
                start,
                message,
                "a Secretfile is text of a few kilobytes; is this the right file?",
            );
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
                let at = Self::new("", valid.as_ref()).span(valid.len()..valid.len());
                let message = format!("the file is not UTF-8: byte {} is part of no character", at.start);
                return fail("not-utf8", at, message, "save the file as UTF-8");
            }
        };
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        if text.trim().is_empty() {
            return fail(
                "empty-file",
                start,
                "the file is empty".into(),
                "begin with `metadata:`, `providers:` and `secrets:`",
            );
        }
        Ok(Self::new(name, text))
    }

    /// The place of a range of bytes; it is moved into the text if it reaches beyond.
    #[must_use]
    pub fn span(&self, bytes: Range<usize>) -> Span {
        let mut start = bytes.start.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let line = self.line_starts.partition_point(|at| *at <= start).max(1);
        let line_start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let column = self.text.get(line_start..start).map_or(0, |before| before.chars().count()) + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let end = bytes.end.clamp(start, self.text.len().max(start));
        Span { line: number(line), column: number(column), start, end }
    }

    /// Whether the text has a one-based line.
    #[must_use]
    pub fn has_line(&self, line: u32) -> bool {
        (1..=self.line_starts.len()).contains(&(line as usize))
    }

    /// The bytes of a one-based line, without its line end.
    #[must_use]
    pub fn line(&self, line: u32) -> Range<usize> {
        let index = (line as usize).saturating_sub(1);
        let start = self.line_starts.get(index).copied().unwrap_or(self.text.len());
        let end = self.line_starts.get(index + 1).map_or(self.text.len(), |next| next - 1);
        let text = self.text.get(start..end).unwrap_or("");
        start..start + text.trim_end_matches('\r').len()
    }

    /// The first byte of a one-based line and column, or the end of that line.
    #[must_use]
    pub fn offset(&self, line: u32, column: u32) -> usize {
        let bytes = self.line(line);
        let text = self.text.get(bytes.clone()).unwrap_or("");
        let before = (column as usize).saturating_sub(1);
        text.char_indices().nth(before).map_or(bytes.end, |(at, _)| bytes.start + at)
    }

    /// Tells which stretches of the text are keys and values, and which of them an excerpt may show;
    /// without it an excerpt shows next to nothing. Only the first call counts.
    pub fn mark_scalars(&self, mut scalars: Vec<Scalar>) {
        scalars.sort_by_key(|scalar| (scalar.bytes.start, scalar.bytes.end));
        let _ = self.scalars.set(scalars);
    }

    /// The scalars that touch a range, if they are known at all.
    pub(super) fn scalars_in(&self, bytes: &Range<usize>) -> Option<impl Iterator<Item = &Scalar>> {
        let (start, end) = (bytes.start, bytes.end);
        let all = self.scalars.get()?;
        // Scalars do not overlap, so their ends are sorted as well.
        let first = all.partition_point(|scalar| scalar.bytes.end <= start);
        Some(all[first..].iter().take_while(move |scalar| scalar.bytes.start < end))
    }
}
