//! What a comment asks for: the grammar of `/secretzero …`, and nothing of what it does.
//!
//! A command is a line that begins with `/secretzero`, in the first column, where every reader sees it
//! as plain text. In a quote or in a fence it is none. Where Markdown leaves a doubt (behind any tag,
//! behind a fence within a list, in a paragraph with a link or a code span before it) nothing is done
//! either, and the answer says to write it alone: to follow Markdown in full is to be wrong somewhere,
//! and then somebody obeys a line that nobody saw.

use crate::diagnostic::{nearest, quote};

/// What a line begins with to be a command.
const NAME: &str = "/secretzero";

/// Longest comment that is looked at, in bytes; GitHub's own is 65,536 characters.
const BODY_BYTES_MAX: usize = 4 * 65_536;

/// Most names that one command takes.
const NAMES_MAX: usize = 50;

/// The verbs, as they are typed.
const VERBS: [&str; 5] = ["plan", "sync", "rotate", "explain", "help"];

/// What is answered to a line that a reader may not see as it stands.
const DOUBT: &str =
    "Markdown may show that line as code, as part of a link, or not at all; write it alone in a new comment";

/// What may make the next lines of a paragraph part of a code span, a link, a formula or crossed-out text.
const SPANNING: [char; 4] = ['`', '[', '$', '~'];

/// Most blanks before a fence's end; one more makes it text
/// (<https://spec.commonmark.org/0.31.2/#fenced-code-blocks>).
const INDENT_MAX: usize = 3;

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
    None
}

/// Where a reader stands in a comment.
#[derive(Default)]
struct Reader {
    /// The mark and length of an open fence.
    fence: Option<(char, usize)>,
    /// In a quote, until a blank line.
    quoted: bool,
    /// Behind something in this paragraph that may go on over the end of its line.
    spanned: bool,
    /// Behind something whose end only a full parser knows.
    doubtful: bool,
}

impl Reader {
    fn line(&mut self, line: &str) -> Option<Command> {
        if let Some(fence) = self.fence {
            if closes(line, fence) {
                self.fence = None;
            }
            return None;
        }
        // Other blanks than these end no paragraph, so what follows them goes on being a quote or code.
        if line.chars().all(|letter| matches!(letter, ' ' | '\t')) {
            (self.quoted, self.spanned) = (false, false);
            return None;
        }
        // In the first column a fence stands in no list and no quote.
        if let Some(fence) = opened(line) {
            (self.fence, self.quoted, self.spanned) = (Some(fence), false, false);
            return None;
        }
        if let Some(words) = command(line).filter(|_| !self.quoted) {
            let doubt = self.doubtful || self.spanned;
            return Some(if doubt { Command::Mistaken(DOUBT.to_owned()) } else { read(words) });
        }
        self.quoted |= unmarked(line).starts_with('>');
        self.spanned |= line.contains(SPANNING);
        // What begins in a quote of its own ends with it, but for tags, whose effect goes on.
        let within = !line.trim_start().starts_with('>');
        self.doubtful |= has_tag(line) || (within && (line.contains("```") || line.contains("~~~")));
        None
    }
}

/// A line without the marks of lists before it.
fn unmarked(line: &str) -> &str {
    line.trim_start_matches(|c: char| c.is_whitespace() || "-*+.)".contains(c) || c.is_ascii_digit())
}

/// Whether anything in a line may begin a tag, a comment, a declaration, or an instruction.
fn has_tag(line: &str) -> bool {
    line.split('<').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c)))
}

/// The fence that a line opens.
fn opened(line: &str) -> Option<(char, usize)> {
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = line.chars().take_while(|c| *c == mark).count();
    let info = line.get(length..).unwrap_or_default();
    (length >= 3 && !(mark == '`' && info.contains('`'))).then_some((mark, length))
}

/// Whether a line ends the fence: its own mark, as often or more, and nothing else.
fn closes(line: &str, (mark, length): (char, usize)) -> bool {
    let bare = line.trim_start_matches(' ');
    let run = bare.chars().take_while(|c| *c == mark).count();
    line.len() - bare.len() <= INDENT_MAX && run >= length && bare.chars().skip(run).all(|c| matches!(c, ' ' | '\t'))
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
            ("`a` and ``b`\n\n/secretzero sync", Command::Sync),
            ("```\n/secretzero plan\n```\n/secretzero sync", Command::Sync),
            ("/secretzero\trotate", Command::Rotate(Vec::new())),
            ("/secretzero rotate a b-2", Command::Rotate(vec!["a".into(), "b-2".into()])),
            ("/secretzero explain database_password", Command::Explain("database_password".into())),
            ("/secretzero plan\n/secretzero sync", Command::Plan),
            ("```\nx\n   ````  \n/secretzero plan", Command::Plan),
            ("> - ```\n\n/secretzero plan", Command::Plan),
            ("a < b, 1 <2\n/secretzero plan", Command::Plan),
            ("    indented\n- item\n/secretzero plan", Command::Plan),
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
            "> quoted\n\u{a0}\n/secretzero sync",
            "> quoted\n\u{2028}\n/secretzero sync",
            "> quoted\n\u{85}\n/secretzero sync",
            "> quoted\n\u{c}\n/secretzero sync",
            "- > quoted\n/secretzero sync",
            "```\n/secretzero sync\n```",
            "```\n/secretzero sync",
            "~~~~ text\n```\n/secretzero sync\n~~~~",
            "````\n```\n/secretzero sync\n````",
            "```\n- ```\n/secretzero sync\n```",
            "```\n    ```\n/secretzero sync\n```",
            "```\n\t```\n/secretzero sync\n```",
            "```\n``` x\n/secretzero sync\n```",
            "text\n    ```\n```\n/secretzero sync\n```",
            "- item\n\n  ```\n  x\n```\n/secretzero sync\n```",
            "<div>\n```\n</div>\n\n/secretzero sync\n```",
            "`/secretzero sync`",
            "\u{200b}/secretzero sync",
        ] {
            assert_eq!(parse(body), None, "{body:?}");
        }
    }

    #[test]
    fn what_a_reader_may_not_see_is_refused_with_an_answer() {
        for body in [
            "- ```\n/secretzero sync\n  ```",
            "- item\n\n  ```\n  x\n  ```\n/secretzero sync",
            "<div>\n```\n</div>\n\n```\n/secretzero sync\n```\n/secretzero sync",
            "`code\n/secretzero sync\nends`",
            "``code\n/secretzero sync\n` ends``",
            "\\`x`\n/secretzero sync\n`",
            "[a\n/secretzero sync\n]: https://example.com",
            "[a]: https://example.com \"\n/secretzero sync\n\"",
            "![a\n/secretzero sync\n](https://example.com/x.png)",
            "$$\n/secretzero sync\n$$",
            "~~\n/secretzero sync\n~~",
            "<!--\n/secretzero sync\n-->",
            "<!-- /secretzero\n\n/secretzero sync",
            "<!-- a --> b <!--\n/secretzero sync\n-->",
            "<pre>\n\n/secretzero sync\n</pre>",
            "<pre>`</pre>`\n/secretzero sync\n</pre>",
            "<pre title=\"</pre>\">\n/secretzero sync\n</pre>",
            "<details><BLOCKQUOTE>\n\n/secretzero sync",
            "<code>\n/secretzero sync</code>",
            "> <code>\n\n/secretzero sync",
            "<a title=\"\n/secretzero sync\n\">x</a>",
            "<tt>\n\n/secretzero sync\n</tt>",
            "<?x\n/secretzero sync\n?>",
            "<!X\n/secretzero sync\n>",
            "<![CDATA[\n\n/secretzero sync\n]]>",
            "<div hidden>\n\n/secretzero sync\n\n</div>",
        ] {
            assert_eq!(parse(body), Some(Command::Mistaken(DOUBT.into())), "{body:?}");
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
