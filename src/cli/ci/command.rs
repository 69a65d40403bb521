//! What a comment asks for: the grammar of `/secretzero …`, and nothing of what it does.
//!
//! A command is a line that begins with `/secretzero`, in the first column, where a reader sees it as
//! plain text: not in a quote, not in code of any kind, not in an HTML comment. Where Markdown leaves
//! a doubt (a line that lazily continues a quote, an HTML element that is not closed) it is no command.

use crate::diagnostic::{nearest, quote};

/// What a line begins with to be a command.
const NAME: &str = "/secretzero";

/// Longest comment that is looked at, in bytes; GitHub's own is 65,536 characters.
const BODY_BYTES_MAX: usize = 4 * 65_536;

/// Most names that one command takes.
const NAMES_MAX: usize = 50;

/// The verbs, as they are typed.
const VERBS: [&str; 5] = ["plan", "sync", "rotate", "explain", "help"];

/// HTML elements whose text is code, a quote or not shown.
const HIDING: [&str; 9] = ["pre", "code", "blockquote", "script", "style", "textarea", "kbd", "samp", "template"];

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Plan the pull request again.
    Plan,
    /// Bring the stores in line with the default branch.
    Sync,
    /// New values: for these secrets, or for what is due if none is named.
    Rotate(Vec<String>),
    /// What stands for one secret.
    Explain(String),
    /// What can be asked.
    Help,
    /// Something else, with what to say about it.
    Mistaken(String),
}

impl Command {
    /// The verb, as it is typed; a mistake is answered as help.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Sync => "sync",
            Self::Rotate(_) => "rotate",
            Self::Explain(_) => "explain",
            Self::Help | Self::Mistaken(_) => "help",
        }
    }
}

/// The first command of a comment, if it holds one.
#[must_use]
pub fn parse(body: &str) -> Option<Command> {
    if body.len() > BODY_BYTES_MAX || !body.contains(NAME) {
        return None;
    }
    let body = body.replace("\r\n", "\n").replace('\r', "\n");
    let mut reader = Reader::default();
    for line in body.split('\n') {
        if let Some(found) = reader.line(line) {
            return Some(found);
        }
    }
    reader.end_of_paragraph()
}

/// Where a reader stands in a comment.
#[derive(Default)]
struct Reader {
    /// The mark and length of an open fence.
    fence: Option<(char, usize)>,
    /// In a quote, until a blank line.
    quoted: bool,
    /// In an HTML comment.
    commented: bool,
    /// Open hiding elements.
    hiding: Vec<&'static str>,
    /// The lines of the paragraph so far, and whether each could be a command.
    paragraph: Vec<(String, bool)>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Option<Command> {
        let bare = line.trim_start_matches(|c: char| c.is_whitespace() || "-*+.)".contains(c) || c.is_ascii_digit());
        if let Some((mark, length)) = self.fence {
            let run = bare.chars().take_while(|c| *c == mark).count();
            if run >= length && bare.chars().skip(run).all(char::is_whitespace) {
                self.fence = None;
            }
            return None;
        }
        if line.trim().is_empty() {
            self.quoted = false;
            return self.end_of_paragraph();
        }
        if let Some(fence) = opened(bare).filter(|_| !self.hidden()) {
            self.fence = Some(fence);
            return self.end_of_paragraph();
        }
        self.quoted |= bare.starts_with('>');
        let plain = !self.hidden() && !self.quoted;
        self.html(line);
        let plain = plain && !self.hidden();
        self.paragraph.push((line.to_owned(), plain));
        None
    }

    const fn hidden(&self) -> bool {
        self.commented || !self.hiding.is_empty()
    }

    /// The first command of a paragraph that is over. A code span may cross lines, but no paragraph.
    fn end_of_paragraph(&mut self) -> Option<Command> {
        let lines = std::mem::take(&mut self.paragraph);
        if !lines.iter().any(|(line, plain)| *plain && command(line).is_some()) {
            return None;
        }
        let text: Vec<&str> = lines.iter().map(|(line, _)| line.as_str()).collect();
        let text = text.join("\n");
        // An escaped backtick opens no span but may end one: a doubt.
        if text.contains("\\`") {
            return None;
        }
        let spans = code_spans(&text);
        let mut start = 0;
        for (line, plain) in &lines {
            let inside = spans.iter().any(|(from, to)| *from < start && start < *to);
            if let Some(words) = command(line).filter(|_| *plain && !inside) {
                return Some(read(words));
            }
            start += line.len() + 1;
        }
        None
    }

    /// Follows HTML comments and hiding elements through a line.
    fn html(&mut self, line: &str) {
        let line = line.to_ascii_lowercase();
        let mut rest = line.as_str();
        loop {
            if self.commented {
                let Some((_, after)) = rest.split_once("-->") else { return };
                self.commented = false;
                rest = after;
            }
            let Some((_, after)) = rest.split_once('<') else { return };
            rest = after;
            if rest.starts_with("!--") {
                self.commented = true;
                continue;
            }
            let (closing, name) = rest.strip_prefix('/').map_or((false, rest), |name| (true, name));
            let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
            let Some(known) = HIDING.iter().find(|known| **known == name) else { continue };
            if !closing {
                self.hiding.push(known);
            } else if let Some(at) = self.hiding.iter().rposition(|open| open == known) {
                self.hiding.truncate(at);
            }
        }
    }
}

/// The fence that a line opens.
fn opened(bare: &str) -> Option<(char, usize)> {
    let mark = bare.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = bare.chars().take_while(|c| *c == mark).count();
    let info = bare.get(length..).unwrap_or_default();
    (length >= 3 && !(mark == '`' && info.contains('`'))).then_some((mark, length))
}

/// Where the code spans of a paragraph begin and end, in bytes.
fn code_spans(text: &str) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, _) in text.match_indices('`') {
        match runs.last_mut() {
            Some((start, length)) if *start + *length == at => *length += 1,
            _ => runs.push((at, 1)),
        }
    }
    let mut spans = Vec::new();
    let mut at = 0;
    while let Some((start, length)) = runs.get(at).copied() {
        let end = runs.iter().skip(at + 1).position(|(_, other)| *other == length);
        match end {
            Some(offset) => {
                let (close, _) = runs.get(at + 1 + offset).copied().unwrap_or_default();
                spans.push((start, close + length));
                at += offset + 2;
            }
            None => at += 1,
        }
    }
    spans
}

/// What follows the name on a line that begins with it.
fn command(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(NAME)?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then_some(rest)
}

fn read(words: &str) -> Command {
    let mut words = words.split_whitespace();
    let Some(verb) = words.next() else { return Command::Help };
    let names: Vec<String> = words.map(str::to_owned).collect();
    if let Some(strange) = names.iter().find(|name| !is_name(name)) {
        return Command::Mistaken(format!("{} is not the name of a secret, and there are no options", quote(strange)));
    }
    if names.len() > NAMES_MAX {
        return Command::Mistaken(format!("one command takes at most {NAMES_MAX} names"));
    }
    match (verb, names.as_slice()) {
        ("plan", []) => Command::Plan,
        ("sync", []) => Command::Sync,
        ("help", []) => Command::Help,
        ("rotate", _) => Command::Rotate(names),
        ("explain", [name]) => Command::Explain(name.clone()),
        ("explain", _) => Command::Mistaken("`explain` takes the name of one secret".into()),
        ("plan" | "sync" | "help", _) => Command::Mistaken(format!("`{verb}` takes no names")),
        (unknown, _) => {
            let near = nearest(unknown, VERBS).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            Command::Mistaken(format!("there is no command {}{near}", quote(unknown)))
        }
    }
}

/// A secret's name begins with a letter and holds letters, digits, `_` and `-`.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        && text.len() <= 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_its_own_is_a_command() {
        for (body, expected) in [
            ("/secretzero plan", Command::Plan),
            ("/secretzero", Command::Help),
            ("/secretzero help\r\n", Command::Help),
            ("Looks good.\n/secretzero plan  \nThanks!", Command::Plan),
            ("> said before\n\n/secretzero sync", Command::Sync),
            ("`a` and ``b`\n/secretzero sync", Command::Sync),
            ("```\n/secretzero plan\n```\n/secretzero sync", Command::Sync),
            ("/secretzero\trotate", Command::Rotate(Vec::new())),
            ("/secretzero rotate a b-2", Command::Rotate(vec!["a".into(), "b-2".into()])),
            ("/secretzero explain database_password", Command::Explain("database_password".into())),
            ("/secretzero plan\n/secretzero sync", Command::Plan),
            ("<!-- x --> \n/secretzero plan", Command::Plan),
            ("<pre>x</pre>\n/secretzero plan", Command::Plan),
        ] {
            assert_eq!(parse(body), Some(expected), "{body:?}");
        }
    }

    #[test]
    fn quotes_code_and_what_nobody_sees_hold_no_command() {
        for body in [
            "",
            "please /secretzero sync",
            " /secretzero sync",
            "    /secretzero sync",
            "\t/secretzero sync",
            "/secretzerosync",
            "/secretzero-sync",
            "/SecretZero sync",
            "> /secretzero sync",
            ">/secretzero sync",
            "> quoted\n/secretzero sync",
            "- > quoted\n/secretzero sync",
            "```\n/secretzero sync\n```",
            "```\n/secretzero sync",
            "~~~~ text\n```\n/secretzero sync\n~~~~",
            "````\n```\n/secretzero sync\n````",
            "- ```\n/secretzero sync\n  ```",
            "`/secretzero sync`",
            "`code\n/secretzero sync\nends`",
            "``code\n/secretzero sync\n` ends``",
            "\\`x`\n/secretzero sync\n`",
            "<!--\n/secretzero sync\n-->",
            "<!-- /secretzero\n\n/secretzero sync",
            "<pre>\n\n/secretzero sync\n</pre>",
            "<details><BLOCKQUOTE>\n\n/secretzero sync",
            "<code>\n/secretzero sync</code>",
            "\u{200b}/secretzero sync",
        ] {
            assert_eq!(parse(body), None, "{body:?}");
        }
    }

    #[test]
    fn a_mistake_is_answered_with_the_nearest_word() {
        let said = |body: &str| match parse(body) {
            Some(Command::Mistaken(said)) => said,
            other => format!("{other:?}"),
        };
        insta::assert_snapshot!(said("/secretzero plam"), @"there is no command `plam`; did you mean `plan`?");
        insta::assert_snapshot!(said("/secretzero destroy"), @"there is no command `destroy`");
        insta::assert_snapshot!(said("/secretzero rotate --force x"), @"`--force` is not the name of a secret, and there are no options");
        insta::assert_snapshot!(said("/secretzero explain"), @"`explain` takes the name of one secret");
        insta::assert_snapshot!(said("/secretzero sync now"), @"`sync` takes no names");
        insta::assert_snapshot!(said("/secretzero rotate @team"), @"`@team` is not the name of a secret, and there are no options");
    }

    proptest::proptest! {
        #[test]
        fn no_comment_makes_it_panic(body in "(/secretzero|[`~> <!a/\\-\n\t-]){0,40}") {
            let _ = parse(&body);
        }
    }
}
