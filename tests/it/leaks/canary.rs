//! Values that must not leave, and the search that finds one in whatever dress it left.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use secretzero::mark::ShortId;
use secretzero::render::words;
use sha2::{Digest as _, Sha256};

/// Shorter values would be found by chance.
const CHARS_MIN: usize = 12;

/// How much of a value counts as a part of it, in characters.
const PART_CHARS: usize = 10;

/// Values by what they are, with every dress they may wear.
#[derive(Default)]
pub(crate) struct Canaries {
    named: BTreeMap<String, String>,
    needles: Vec<(String, String)>,
}

impl Canaries {
    /// Adds a value; one that is known already keeps its name.
    #[track_caller]
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        assert!(value.chars().count() >= CHARS_MIN, "the canary {name} is too short to be told from chance");
        if self.named.contains_key(value) {
            return;
        }
        self.named.insert(value.to_owned(), name.to_owned());
        let dressed = forms(value).into_iter().map(|(form, needle)| (format!("{name} ({form})"), needle));
        self.needles.extend(dressed);
    }

    /// Adds all of another collection.
    pub(crate) fn extend(&mut self, others: &Self) {
        others.named.iter().for_each(|(value, name)| self.add(name, value));
    }

    /// Whether a value is known.
    pub(crate) fn knows(&self, value: &str) -> bool {
        self.named.contains_key(value)
    }

    /// Which of them a text holds, and in which dress.
    pub(crate) fn found_in(&self, text: &str) -> Vec<&str> {
        self.needles.iter().filter(|(_, needle)| text.contains(needle)).map(|(name, _)| name.as_str()).collect()
    }
}

/// A value in every dress in which it may leave.
pub(crate) fn forms(value: &str) -> Vec<(&'static str, String)> {
    let mut all = encoded(value.as_bytes());
    all.extend(escaped(value));
    all.extend(hashed(value));
    let chars: Vec<char> = value.chars().collect();
    all.push(("raw", value.to_owned()));
    all.push(("reversed", chars.iter().rev().collect()));
    all.push(("its beginning", chars[..PART_CHARS].iter().collect()));
    all.push(("its end", chars[chars.len() - PART_CHARS..].iter().collect()));
    all
}

fn encoded(bytes: &[u8]) -> Vec<(&'static str, String)> {
    let mut all = vec![("hex", HEXLOWER.encode(bytes)), ("HEX", HEXUPPER.encode(bytes))];
    // Whatever stands before it, one of three cuts falls on a border of three bytes.
    for skipped in 0..3 {
        let rest = &bytes[skipped..];
        let whole = &rest[..rest.len() - rest.len() % 3];
        all.extend([("base64", BASE64.encode(whole)), ("base64url", BASE64URL.encode(whole))]);
    }
    let list = |separator: &str| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(separator);
    all.extend([("list of bytes", list(", ")), ("list of bytes", list(",")), ("lines of bytes", list(",\n    "))]);
    all
}

fn escaped(value: &str) -> Vec<(&'static str, String)> {
    let json = |text: &str| serde_json::to_string(text).unwrap().trim_matches('"').to_owned();
    let html = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let (once, quoted) = (json(value), html.replace('"', "&quot;"));
    vec![
        ("JSON in JSON", json(&once)),
        ("JSON", once),
        ("Rust", format!("{value:?}").trim_matches('"').to_owned()),
        ("HTML numbers", quoted.replace('\'', "&#39;")),
        ("HTML hex", quoted.replace('\'', "&#x27;")),
        ("HTML quotes", quoted),
        ("HTML", html),
        ("Markdown", words(value)),
        ("workflow command", value.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")),
        ("shell", value.replace('\'', "'\\''")),
        ("URL", percent(value, true, "%20")),
        ("url", percent(value, false, "%20")),
        ("form", percent(value, true, "+")),
    ]
}

fn percent(value: &str, upper: bool, blank: &str) -> String {
    value.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b' ' => out.push_str(blank),
            _ if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => out.push(char::from(byte)),
            _ if upper => write!(out, "%{byte:02X}").unwrap(),
            _ => write!(out, "%{byte:02x}").unwrap(),
        }
        out
    })
}

/// Hashes without a key, which confirm a guess; cut short they still do.
fn hashed(value: &str) -> Vec<(&'static str, String)> {
    let digest = Sha256::digest(value.as_bytes());
    let part = |text: String| text[..PART_CHARS].to_owned();
    let twice = Sha256::digest(HEXLOWER.encode(&digest).as_bytes());
    vec![
        ("SHA-256", part(HEXLOWER.encode(&digest))),
        ("SHA-256 in HEX", part(HEXUPPER.encode(&digest))),
        ("SHA-256 in base64", part(BASE64.encode(&digest))),
        ("SHA-256 in base64url", part(BASE64URL.encode(&digest))),
        ("SHA-256 as an id", ShortId::of(value).as_str()[..PART_CHARS].to_owned()),
        ("SHA-256 twice", part(HEXLOWER.encode(&twice))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "cÄnary \"<&>' %\\ 7{{x}}_*\nb+/=";

    /// Every dress, made by other means than the needles where there are any, in the middle of a text.
    fn dressed() -> Vec<(&'static str, String)> {
        let wrapped = |before: &str| format!("{before}{VALUE}zz");
        let json = |text: &str| serde_json::json!({ "a": text }).to_string();
        let digest = Sha256::digest(VALUE.as_bytes());
        let mut all = vec![
            ("raw", wrapped("")),
            ("cut", format!("x{}…", VALUE.chars().take(12).collect::<String>())),
            ("end", VALUE.chars().skip(8).collect()),
            ("reversed", wrapped("").chars().rev().collect()),
            ("JSON", json(VALUE)),
            ("JSON in JSON", json(&json(VALUE))),
            ("Debug", format!("{:?}", Some(VALUE))),
            ("bytes", format!("{:?}", VALUE.as_bytes())),
            ("pretty bytes", format!("{:#?}", VALUE.as_bytes())),
            ("hex", HEXLOWER.encode(wrapped("ab").as_bytes())),
            ("HEX", HEXUPPER.encode(wrapped("ab").as_bytes())),
            ("HTML", "c&Auml;".to_owned() + "cÄnary &quot;&lt;&amp;&gt;&#39; %\\ 7{{x}}_*\nb+/="),
            ("Markdown", words(VALUE)),
            ("command", "::error::cÄnary \"<&>' %25\\ 7{{x}}_*%0Ab+/=".into()),
            ("shell", "A='cÄnary \"<&>'\\'' %\\ 7{{x}}_*\nb+/='".into()),
            ("URL", "?q=c%C3%84nary%20%22%3C%26%3E%27%20%25%5C%207%7B%7Bx%7D%7D_%2A%0Ab%2B%2F%3D&b".into()),
            ("form", "q=c%C3%84nary+%22%3C%26%3E%27+%25%5C+7%7B%7Bx%7D%7D_%2A%0Ab%2B%2F%3D&b".into()),
            ("hash", HEXLOWER.encode(&digest)),
            ("cut hash", HEXLOWER.encode(&digest[..8])),
            ("base64 hash", BASE64.encode(&digest)),
            ("id", ShortId::of(VALUE).as_str().to_owned()),
        ];
        for before in ["", "a", "ab", "abc"] {
            all.push(("base64", BASE64.encode(wrapped(before).as_bytes())));
            all.push(("base64url", BASE64URL.encode(wrapped(before).as_bytes())));
        }
        all
    }

    #[test]
    fn a_planted_canary_is_found_in_every_dress() {
        let mut canaries = Canaries::default();
        canaries.add("planted", VALUE);
        for (dress, text) in dressed() {
            assert!(!canaries.found_in(&text).is_empty(), "{dress}: {text}");
        }
    }

    #[test]
    fn what_holds_no_canary_is_left_alone() {
        let mut canaries = Canaries::default();
        canaries.add("planted", VALUE);
        let mut other = Canaries::default();
        other.add("other", "something else altogether");
        for (dress, text) in dressed() {
            assert_eq!(other.found_in(&text), Vec::<&str>::new(), "{dress}");
        }
        assert_eq!(canaries.found_in("canary; sha256 of nothing; 7{{x}}"), Vec::<&str>::new());
    }
}
