//! Commands of a shell as mappings of their flags: `--flag=value`, `--flag value` and `name=value`.
//!
//! Enough to read what `gcloud`, `az` and `vault write` are told; nothing is expanded or run.

use std::ops::Range;

use crate::diagnostic::{Source, Spanned};
use crate::manifest::node::{Entry, Node};

/// Programs whose words are names, never values.
const PROGRAMS: [&str; 5] = ["gcloud", "az", "aws", "vault", "bao"];

/// The key of a command's words; no flag is called so.
const WORDS: &str = "";

/// Reads the commands of a script.
pub(super) fn parse(source: &Source) -> Spanned<Node> {
    let commands = commands(&source.text).into_iter().map(|words| command(source, words)).collect();
    Spanned::new(Node::List(commands), source.span(0..source.text.len()))
}

/// A word without its quotes, and where it stands.
type Word = (String, Range<usize>);

fn command(source: &Source, words: Vec<Word>) -> Spanned<Node> {
    let mut entries: Vec<Entry> = Vec::new();
    let whole = words.first().map_or(0, |word| word.1.start)..words.last().map_or(0, |word| word.1.end);
    let first = words.first().map_or(0..0, |word| word.1.clone());
    let spanned = |text: &str, at: &Range<usize>| Spanned::new(text.to_owned(), source.span(at.clone()));
    let mut plain = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some((text, at)) = words.next() {
        let flag = text.strip_prefix("--");
        let pair = flag.unwrap_or(&text).split_once('=');
        let named = |name: &str| {
            flag.is_some() || (!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        };
        match (flag, pair) {
            (_, Some((name, value))) if named(name) => {
                let value = Spanned::new(Node::Scalar(value.to_owned()), source.span(at.clone()));
                entries.push((spanned(name, &at), value));
            }
            (Some(name), _) => {
                if let Some((value, place)) = words.next_if(|(next, _)| !next.starts_with('-')) {
                    let value = Spanned::new(Node::Scalar(value), source.span(place));
                    entries.push((spanned(name, &at), value));
                }
            }
            _ => plain.push((text, at)),
        }
    }
    let said: Vec<&str> = plain.iter().map(|(text, _)| text.as_str()).collect();
    let value = Spanned::new(Node::Scalar(said.join(" ")), source.span(first.clone()));
    let is_known = said.first().is_some_and(|program| PROGRAMS.contains(program));
    entries.insert(0, (spanned("command", &first), value));
    if is_known {
        // So that an excerpt shows them; of a program that is not known a word may be anything.
        let words = plain.into_iter().map(|(text, at)| Spanned::new(Node::Scalar(text), source.span(at)));
        entries.push((spanned(WORDS, &first), Spanned::new(Node::List(words.collect()), source.span(first.clone()))));
    }
    Spanned::new(Node::Map(entries), source.span(whole))
}

/// The words of each command; a `\` before a line end joins lines.
fn commands(text: &str) -> Vec<Vec<Word>> {
    let (mut commands, mut words) = (Vec::new(), Vec::new());
    let mut word: Option<Word> = None;
    let mut quote: Option<char> = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let here = word.is_some();
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => match chars.next() {
                Some((_, '\n')) | None => {}
                Some((_, next)) => push(&mut word, at, next),
            },
            (Some(_), c) => push(&mut word, at, c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_with(|| (String::new(), at..at));
            }
            (None, '#') if !here => while chars.next_if(|(_, c)| *c != '\n').is_some() {},
            (None, '\n' | ';' | '|' | '&') => {
                words.extend(word.take());
                if !words.is_empty() {
                    commands.push(std::mem::take(&mut words));
                }
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => push(&mut word, at, c),
        }
        if let Some((_, range)) = &mut word {
            range.end = at + c.len_utf8();
        }
    }
    words.extend(word);
    if !words.is_empty() {
        commands.push(words);
    }
    commands
}

fn push(word: &mut Option<Word>, at: usize, c: char) {
    word.get_or_insert_with(|| (String::new(), at..at)).0.push(c);
}
