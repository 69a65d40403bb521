//! Findings as a person reads them: what, where, the redacted line, what to do now.
//!
//! An excerpt shows keys, and values only of settings that cannot hold a secret; comments are left
//! out, since a secret may have been commented out. If the file could not be parsed, a value cannot
//! be told from a key, and only words of the Secretfile's own vocabulary are shown.

use std::fmt::Write as _;
use std::ops::Range;

use super::{Diagnostic, Severity, Source, Span, harmless};

/// What stands in an excerpt for a value.
const REDACTED: &str = "•••";
/// Characters that only give a line its structure.
const STRUCTURE: &str = " -:,[]{}|>?=";
/// Widest excerpt, in characters.
const WIDTH_MAX: usize = 120;
/// Words that may be shown where nothing is known of a line.
const VOCABULARY: &[&str] = &[
    "adopt",
    "auth",
    "charset",
    "compliance",
    "config",
    "default",
    "description",
    "enabled",
    "fields",
    "format",
    "from",
    "generator",
    "kind",
    "length",
    "merge",
    "metadata",
    "moved",
    "name",
    "one_time",
    "owner",
    "path",
    "policies",
    "primary",
    "project",
    "provider",
    "providers",
    "region",
    "replica_regions",
    "required_tags",
    "rotation_period",
    "secrets",
    "severity",
    "tags",
    "targets",
    "templates",
    "tier",
    "to",
    "type",
    "variables",
    "version",
];

/// The findings in the order given, in the form of a compiler's messages; ends with a newline unless
/// there are none. No value of the file is in it.
#[must_use]
pub fn render(source: &Source, diagnostics: &[Diagnostic], color: bool) -> String {
    let paint = Paint { color };
    let mut out = String::new();
    for diagnostic in diagnostics {
        if !out.is_empty() {
            out.push('\n');
        }
        one(&mut out, source, diagnostic, &paint);
    }
    out
}

fn one(out: &mut String, source: &Source, diagnostic: &Diagnostic, paint: &Paint) {
    let Diagnostic { code, severity, message, span, help, secret } = diagnostic;
    let hue = match severity {
        Severity::Error => "1;31",
        Severity::Warning => "1;33",
        Severity::Info => "1;36",
    };
    let gutter = " ".repeat(span.line.to_string().len());
    let bar = paint.with("1;34", "|");
    let title = paint.with(hue, &format!("{}[{code}]", severity.as_str()));
    let _ = writeln!(out, "{title}{}", paint.with("1", &format!(": {message}")));
    let arrow = paint.with("1;34", "-->");
    let about = secret.as_ref().map(|name| format!(" (secret `{name}`)")).unwrap_or_default();
    let _ = writeln!(out, "{gutter}{arrow} {}:{}:{}{about}", source.name, span.line, span.column);
    let excerpt = Excerpt::of(source, *span);
    if !excerpt.text.trim().is_empty() {
        let _ = writeln!(out, "{gutter} {bar}");
        let _ = writeln!(out, "{} {bar} {}", paint.with("1;34", &span.line.to_string()), excerpt.text);
        let carets = format!("{}{}", " ".repeat(excerpt.column), paint.with(hue, &"^".repeat(excerpt.width)));
        let _ = writeln!(out, "{gutter} {bar} {carets}");
    }
    if let Some(help) = help {
        let _ = writeln!(out, "{gutter} {} {}{help}", paint.with("1;34", "="), paint.with("1", "help: "));
    }
}

/// Colours, or none.
struct Paint {
    color: bool,
}

impl Paint {
    fn with(&self, style: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// One line fit to be shown, and where the carets go, in characters.
struct Excerpt {
    text: String,
    column: usize,
    width: usize,
}

impl Excerpt {
    fn of(source: &Source, span: Span) -> Self {
        let whole = source.line(span.line);
        let line = window(&source.text, &whole, span.start);
        let mut drawn = Drawn { text: String::new(), chars: 0, start: None, end: None, span };
        match source.scalars_in(&line) {
            None => draw_unparsed(&mut drawn, &source.text[line.clone()], line.start),
            Some(scalars) => {
                let mut at = line.start;
                for scalar in scalars {
                    let (from, to) = (scalar.bytes.start.clamp(at, line.end), scalar.bytes.end.min(line.end));
                    draw_structure(&mut drawn, &source.text[at..from], at);
                    if scalar.shown {
                        drawn.copy(source.text.get(from..to).unwrap_or(""), from);
                    } else if from < to {
                        drawn.hide(from, to);
                    }
                    at = to.max(at);
                }
                draw_structure(&mut drawn, source.text.get(at..line.end).unwrap_or(""), at);
            }
        }
        drawn.finish()
    }
}

/// The part of a line that is worth a look: a line may have megabytes.
fn window(text: &str, line: &Range<usize>, at: usize) -> Range<usize> {
    const BYTES_BEFORE: usize = 400;
    const BYTES_AFTER: usize = 800;
    let mut start = at.saturating_sub(BYTES_BEFORE).clamp(line.start, line.end);
    let mut end = at.saturating_add(BYTES_AFTER).clamp(start, line.end);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    start..end
}

/// Copies what gives a line its structure, up to a comment.
fn draw_structure(drawn: &mut Drawn, text: &str, at: usize) {
    for (offset, c) in text.char_indices() {
        if c == '#' {
            break;
        }
        if STRUCTURE.contains(c) {
            drawn.put(c, at + offset);
        }
    }
}

/// Copies known words that stand before a colon, and hides all else.
fn draw_unparsed(drawn: &mut Drawn, text: &str, at: usize) {
    let body = text.trim_start_matches([' ', '-']);
    let indent = text.len() - body.len();
    drawn.copy(&text[..indent], at);
    let known = body
        .split_once(':')
        .filter(|(word, rest)| VOCABULARY.contains(word) && (rest.is_empty() || rest.starts_with(' ')));
    let rest = match known {
        Some((word, _)) => {
            drawn.copy(&body[..=word.len()], at + indent);
            indent + word.len() + 1
        }
        None => indent,
    };
    if !text[rest..].trim().is_empty() {
        if known.is_some() {
            drawn.put(' ', at + rest);
        }
        drawn.hide(at + rest, at + text.len());
    }
}

/// A line as it grows, with the place of the span in it.
struct Drawn {
    text: String,
    chars: usize,
    start: Option<usize>,
    end: Option<usize>,
    span: Span,
}

impl Drawn {
    fn put(&mut self, c: char, at: usize) {
        if at >= self.span.start && self.start.is_none() {
            self.start = Some(self.chars);
        }
        if at >= self.span.end && self.end.is_none() {
            self.end = Some(self.chars);
        }
        self.text.push(if harmless(c) || c == '`' { c } else { '\u{fffd}' });
        self.chars += 1;
    }

    fn copy(&mut self, text: &str, at: usize) {
        for (offset, c) in text.char_indices() {
            self.put(c, at + offset);
        }
    }

    fn hide(&mut self, from: usize, to: usize) {
        // The span may begin inside what is hidden: the carets then stand under the whole of it.
        let inside = self.span.start >= from && self.span.start < to;
        if inside && self.start.is_none() {
            self.start = Some(self.chars);
        }
        for c in REDACTED.chars() {
            self.text.push(c);
            self.chars += 1;
        }
        if inside && self.span.end <= to && self.end.is_none() {
            self.end = Some(self.chars);
        }
    }

    fn finish(self) -> Excerpt {
        let trimmed = self.text.trim_end();
        let chars = trimmed.chars().count();
        let column = self.start.unwrap_or(chars).min(chars);
        let width = self.end.unwrap_or(chars).min(chars).saturating_sub(column).max(1);
        if chars <= WIDTH_MAX {
            return Excerpt { text: trimmed.to_owned(), column, width };
        }
        let from = column.saturating_sub(WIDTH_MAX / 3);
        let cut: String = trimmed.chars().skip(from).take(WIDTH_MAX).collect();
        let (left, right) = (if from > 0 { "…" } else { "" }, if from + WIDTH_MAX < chars { "…" } else { "" });
        let column = column - from + usize::from(from > 0);
        Excerpt {
            text: format!("{left}{cut}{right}"),
            column,
            width: width.min(WIDTH_MAX - (column.min(WIDTH_MAX - 1))),
        }
    }
}
