//! dotenv files: `KEY=value` lines that shells and several libraries read, each in its own way.
//!
//! Reading knows comments, blank lines, `export`, single, double and backtick quotes, values over
//! several lines, inline comments and CRLF. A line that is none of these is kept and never looked at.
//!
//! Writing picks the first form that fits, so that as many readers as possible see the same value.
//! "All" are `bash` (`source`), python-dotenv 1.2 and Node's dotenv 18; both libraries were tried with
//! every row. `docker run --env-file` takes lines as they stand, so there only plain values are right.
//!
//! | the value | is written | read alike by |
//! |---|---|---|
//! | `A-Za-z0-9_./:@%+,=-` only, or empty | plain | all, and docker |
//! | no `'`, no `\\`, no `\` at the end | `'…'` | all; python-dotenv expands `${…}` even there |
//! | no `"`, `\`, `$`, `` ` `` | `"…"` | all |
//! | no `$`, `` ` ``, no `\` at the end | `"…"` with `\\` and `\"` | bash, python-dotenv |
//! | `\\` with `$` or `` ` ``, no `'` | `'…'` | bash, Node |
//! | `'` with `$` or `` ` `` | `"…"` with `\\`, `\"`, `\$`, `` \` `` | bash |
//! | `\` at the end | one of these, then `\\` outside the quotes | bash; python-dotenv skips the line |
//!
//! For the last rows no form is right everywhere. Bash's is taken, in a form that no reader carries
//! over into the next line. Node and python-dotenv turn a carriage return into a line feed. A value
//! with a NUL byte is refused: no environment can hold one.

use zeroize::Zeroizing;

use super::document::{Layout, Refusal, Slot, line_ending};
use crate::secret::SecretValue;

/// What may open a value.
const QUOTES: &str = "'\"`";

/// The key of one field of a template: `SERVICE_ACCOUNT` and `api-key` make `SERVICE_ACCOUNT_API_KEY`.
pub(super) fn field_name(key: &str, field: &str) -> String {
    format!("{key}_{}", field.to_uppercase().replace('-', "_"))
}

/// Where every value stands.
pub(super) fn layout(text: &str) -> Layout {
    let mut members = Vec::new();
    let mut at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    while at < text.len() {
        let end = line_end(text, at);
        at = match member(text, at, end) {
            Some((name, slot)) => {
                let next = slot.whole.end;
                members.push((name, slot));
                next
            }
            None => end,
        };
    }
    let opens = |(name, slot): &(String, Slot)| {
        let quote = text[slot.value.clone()].chars().next().filter(|c| QUOTES.contains(*c))?;
        let rest = &text[slot.value.start + 1..];
        (!rest.contains(quote)).then(|| (quote, name.clone()))
    };
    let unclosed = members.iter().filter_map(opens).collect();
    let ending = line_ending(text);
    let open = !text.is_empty() && !text.ends_with('\n');
    Layout {
        members,
        append_at: text.len(),
        lead: if open { ending.to_owned() } else { String::new() },
        between: ending.to_owned(),
        tail: ending.to_owned(),
        nested: None,
        unclosed,
    }
}

/// One past the line feed of the line that holds `at`.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |length| at + length + 1)
}

/// The assignment that starts on a line, if one does.
fn member(text: &str, start: usize, end: usize) -> Option<(String, Slot)> {
    let line = text[start..end].trim_end_matches(['\n', '\r']);
    let blank = |c: char| c == ' ' || c == '\t';
    let mut rest = line.trim_start_matches(blank);
    if let Some(exported) = rest.strip_prefix("export").filter(|rest| rest.starts_with(blank)) {
        rest = exported.trim_start_matches(blank);
    }
    let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)))?;
    let (name, after) = rest.split_at(length);
    if name.is_empty() || name.starts_with(|c: char| !(c.is_ascii_alphabetic() || c == '_')) {
        return None;
    }
    let assigned = after.trim_start_matches(blank).strip_prefix('=')?;
    let equals = start + line.len() - assigned.len();
    let value = start + line.len() - assigned.trim_start_matches(blank).len();
    let slot = |value: std::ops::Range<usize>, end| Slot { whole: start..end, value, column: 0, fixed: None };
    if let Some(length) = quoted_length(&text[value..]) {
        let after = value + length;
        return Some((name.to_owned(), slot(value..after, line_end(text, after))));
    }
    // Unquoted: to the end of the line or to a comment, which needs a blank before it.
    let comment = assigned.char_indices().find(|(at, c)| *c == '#' && assigned[..*at].ends_with(blank));
    let bare = assigned[..comment.map_or(assigned.len(), |(at, _)| at)].trim_matches(blank);
    let range = if bare.is_empty() { equals..equals } else { value..value + bare.len() };
    Some((name.to_owned(), slot(range, end)))
}

/// The length of a quoted value at the start of the text, `\\` after it included; none if it is not
/// quoted, never closed, or followed on its line by anything but a comment.
fn quoted_length(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| QUOTES.contains(*c))?;
    let mut escaped = false;
    let close = text[1..].find(|c: char| {
        let closes = c == quote && !escaped;
        escaped = quote == '"' && c == '\\' && !escaped;
        closes
    })?;
    let mut length = 1 + close + 1;
    while text[length..].starts_with(r"\\") {
        length += 2;
    }
    let after = text[length..line_end(text, length)].trim_end_matches(['\n', '\r']);
    let rest = after.trim_start_matches([' ', '\t']);
    let comment = rest.starts_with('#') && rest.len() < after.len();
    (rest.is_empty() || comment).then_some(length)
}

/// The value of what stands between `=` and the end or a comment.
pub(super) fn decode(raw: &str) -> SecretValue {
    if quoted_length(raw) != Some(raw.len()) {
        return SecretValue::from(raw);
    }
    let quote = &raw[..1];
    // What was written after the closing quote are pairs of backslashes, so the last quote closes.
    let close = raw.rfind(quote).unwrap_or(raw.len());
    let (inner, after) = (&raw[1..close], &raw[close + 1..]);
    let mut value = if quote == "\"" { unescape(inner) } else { Zeroizing::new(inner.to_owned()) };
    value.extend(std::iter::repeat_n('\\', after.len() / 2));
    SecretValue::from(value.as_str())
}

/// Double quotes: what shells escape, and the line breaks that the libraries know.
fn unescape(inner: &str) -> Zeroizing<String> {
    let mut value = Zeroizing::new(String::with_capacity(inner.len() + 1));
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            value.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => value.push('\n'),
            Some('r') => value.push('\r'),
            Some('t') => value.push('\t'),
            Some('\n') | None => {}
            Some(escaped @ ('\\' | '"' | '$' | '`')) => value.push(escaped),
            Some(other) => value.extend(['\\', other]),
        }
    }
    value
}

/// A value as it is written; see the table at the top.
pub(super) fn encode(value: &SecretValue) -> Result<Zeroizing<String>, Refusal> {
    let text = value.expose_text().ok_or("the value is not UTF-8 text, which a dotenv file needs")?;
    if text.contains('\0') {
        return Err("the value holds a NUL byte, which no environment variable can; choose another format".into());
    }
    let body = text.trim_end_matches('\\');
    let backslashes = text.len() - body.len();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c);
    if backslashes == 0 && body.chars().all(plain) {
        return Ok(Zeroizing::new(body.to_owned()));
    }
    let (has_quote, expands) = (body.contains('\''), body.contains(['$', '`']));
    let single = !has_quote && (expands || !body.contains(r"\\"));
    let mut written = Zeroizing::new(String::with_capacity(2 * text.len() + 2));
    written.push(if single { '\'' } else { '"' });
    for character in body.chars() {
        if !single && "\\\"$`".contains(character) {
            written.push('\\');
        }
        written.push(character);
    }
    written.push(if single { '\'' } else { '"' });
    written.extend(std::iter::repeat_n(r"\\", backslashes));
    Ok(written)
}
