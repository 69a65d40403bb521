//! The hidden first line by which we find our own comment again.

use std::fmt;

/// The first line of one of our comments: which Secretfile, which environment.
///
/// Anybody can type it, so it counts only together with the author. It is an HTML comment, in which
/// `--` must not stand: all but letters, digits, `_`, `.` and `/` is percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Marker(String);

impl Marker {
    /// The marker of one Secretfile in one environment; `key` tells several workflows apart.
    #[must_use]
    pub fn new(path: &str, environment: Option<&str>, key: Option<&str>) -> Self {
        let mut line = format!("<!-- secretzero:v1 path={}", encode(path));
        for (name, value) in [("environment", environment), ("key", key)] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                line.push_str(&format!(" {name}={}", encode(value)));
            }
        }
        line.push_str(" -->");
        Self(line)
    }

    /// Whether a comment starts with this marker, as a line of its own.
    #[must_use]
    pub fn heads(&self, body: &str) -> bool {
        body.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with(['\n', '\r']))
    }

    /// The body with this marker as its first line.
    #[must_use]
    pub fn head(&self, body: &str) -> String {
        if self.heads(body) { body.to_owned() } else { format!("{}\n{body}", self.0) }
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'/' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_names_file_and_environment() {
        let marker = Marker::new("infra/Secretfile.yml", Some("prod"), None);
        insta::assert_snapshot!(marker, @"<!-- secretzero:v1 path=infra/Secretfile.yml environment=prod -->");
    }

    #[test]
    fn no_path_can_end_the_html_comment_or_forge_a_field() {
        let marker = Marker::new("a--> b\n environment=x/Secretfile.yml", None, Some("k--"));
        insta::assert_snapshot!(marker, @"<!-- secretzero:v1 path=a%2D%2D%3E%20b%0A%20environment%3Dx/Secretfile.yml key=k%2D%2D -->");
    }

    #[test]
    fn only_the_first_line_counts() {
        let marker = Marker::new("Secretfile.yml", None, None);
        assert!(marker.heads(&marker.head("hello")));
        assert!(marker.heads(&marker.to_string()));
        assert!(!marker.heads(&format!("quoted:\n{marker}\nhello")));
        assert!(!marker.heads(&format!("{marker}x")));
        assert_eq!(marker.head(&marker.head("hello")), marker.head("hello"));
    }
}
