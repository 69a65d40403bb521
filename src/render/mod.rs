//! Markdown for pull requests and job summaries: what a reviewer needs, never a value.
//!
//! Everything that comes from a Secretfile is shown inside code or escaped, so that no name, tag or
//! description can break out of its place, mention anybody or become a command.

pub mod comment;
pub mod drift;
pub mod estimate;
pub mod explain;
mod fit;
pub mod outcome;

/// Text as inline code that fits a table cell; control characters and direction marks are shown as
/// `�`, so that what is read is what is there.
#[must_use]
pub fn code(text: &str) -> String {
    let clean: String = text.chars().map(visible).collect();
    let clean = clean.replace('|', "\\|");
    let longest = clean.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if clean.starts_with('`') || clean.ends_with('`') || clean.is_empty() { " " } else { "" };
    format!("{fence}{pad}{clean}{pad}{fence}")
}

/// Text as plain words: every character that Markdown or HTML gives a meaning is escaped; the code
/// spans that our own messages hold stay.
#[must_use]
pub fn words(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            out.push_str(&code(part));
            continue;
        }
        for c in part.chars().map(visible) {
            match c {
                '\\' | '*' | '_' | '[' | ']' | '|' | '~' => {
                    out.push('\\');
                    out.push(c);
                }
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '&' => out.push_str("&amp;"),
                // A mention needs its name right after the sign.
                '@' => out.push_str("@\u{200b}"),
                _ => out.push(c),
            }
        }
    }
    out
}

/// A section that is closed until someone opens it.
fn folded(summary: &str, body: &str) -> String {
    format!("\n<details><summary>{summary}</summary>\n\n{body}\n</details>\n")
}

fn visible(c: char) -> char {
    match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' => '\u{fffd}',
        '\n' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_a_code_span() {
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code("a|b\n<!-- x"), "`a\\|b <!-- x`");
        assert_eq!(code("safe\u{202e}evil"), "`safe\u{fffd}evil`");
    }

    #[test]
    fn words_lose_every_meaning_but_code() {
        assert_eq!(words("run `secretzero sync` @team <b>"), "run `secretzero sync` @\u{200b}team &lt;b&gt;");
        assert_eq!(words("[x](y) ![z] a_b"), "\\[x\\](y) !\\[z\\] a\\_b");
    }
}
