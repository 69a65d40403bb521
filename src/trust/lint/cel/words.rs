//! The words of a condition: names, texts, numbers and signs.

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    Name(String),
    /// Without its quotes, escapes resolved.
    Text(String),
    Number,
    Sign(&'static str),
}

/// The signs, the longer ones first.
const SIGNS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "!", "<", ">", "(", ")", "[", "]", ".", ",", "?", ":", "+", "-", "*", "/", "%",
    "{", "}",
];

/// Takes a condition apart; nothing if a text does not end or a sign is none.
pub(super) fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = if first == '"' || first == '\'' {
            quoted(rest, false)?
        } else if let Some(raw) = rest.strip_prefix(['r', 'R']).filter(|raw| raw.starts_with(['"', '\''])) {
            quoted(raw, true)?
        } else if first.is_ascii_digit() {
            (Word::Number, rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.'))
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            (Word::Name(rest[..end].to_owned()), &rest[end..])
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
            (Word::Sign(sign), &rest[sign.len()..])
        };
        words.push(word);
        rest = after.trim_start();
    }
    Some(words)
}

/// A text in quotes, three or one of them, and what follows it.
fn quoted(rest: &str, raw: bool) -> Option<(Word, &str)> {
    let one = &rest[..1];
    let three = one.repeat(3);
    let mark = if rest.starts_with(&three) { three.as_str() } else { one };
    let mut text = String::new();
    let mut left = &rest[mark.len()..];
    loop {
        if let Some(after) = left.strip_prefix(mark) {
            return Some((Word::Text(text), after));
        }
        let mut chars = left.chars();
        match chars.next()? {
            '\\' if !raw => match chars.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                // Codes are not what claims are written with.
                'x' | 'X' | 'u' | 'U' | '0'..='9' => return None,
                other => text.push(other),
            },
            c => text.push(c),
        }
        left = chars.as_str();
    }
}
