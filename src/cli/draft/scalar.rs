//! Any text as one YAML scalar that every reader of YAML takes for that text.

/// Words that some reader takes for something else than text.
const WORDS: &[&str] = &["true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"];

/// A scalar for a value of the Secretfile: variables that stand in the text by chance stay text.
pub(in crate::cli) fn value(text: &str) -> String {
    scalar(&text.replace("${", "$${"))
}

/// A scalar as it is, such as the name of a tag.
pub(in crate::cli) fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Whether a text needs no quotes in YAML 1.1 and 1.2: a path or a word, nothing like a number or date.
fn is_plain(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_.-".contains(c);
    begins && text.len() <= 256 && text.chars().all(plain) && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// In double quotes, with whatever cannot be seen escaped (<https://yaml.org/spec/1.2.2/#57-escaped-characters>).
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' ' | '\u{21}'..='\u{7e}' => out.push(c),
            c if c.is_alphanumeric() && u32::from(c) < 0xFFFF => out.push(c),
            c if u32::from(c) <= 0xFFFF => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// A text for a comment of one line.
pub(in crate::cli) fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || "\u{2028}\u{2029}".contains(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_cannot_be_mistaken_stands_without_quotes() {
        for plain in ["production/shop/db", "/shop/db", "alias/shop", "a.b_c-d"] {
            assert_eq!(scalar(plain), plain);
        }
        for other in
            ["", "yes", "Null", "12", "1e3", "0x10", "a: b", "a #b", "- a", "~", "2026-01-01", "a\u{85}b", "é\u{feff}"]
        {
            assert!(scalar(other).starts_with('"') && scalar(other).is_ascii() || other.contains('é'), "{other:?}");
        }
        assert_eq!(value("${HOME} \"x\"\n"), r#""$${HOME} \"x\"\n""#);
    }

    proptest! {
        #[test]
        fn whatever_the_text_a_parser_reads_it_back(text in ".*", key in "\\PC*") {
            let line = format!("{}: {}\n", scalar(&key), scalar(&text));
            let read: BTreeMap<String, String> = serde_saphyr::from_str(&line).unwrap();
            prop_assert_eq!(read, BTreeMap::from([(key, text)]));
        }
    }
}
