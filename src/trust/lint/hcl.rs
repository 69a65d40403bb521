//! Just enough of HCL to read Vault's policies and Terraform's resources: blocks, attributes, lists,
//! objects and `jsonencode`; any other expression is kept as text.
//!
//! <https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md>

use crate::diagnostic::{Diagnostic, Severity, Source, Spanned};
use crate::manifest::node::{Entry, Node};

/// Deepest nesting.
const DEPTH_MAX: usize = 32;

/// Reads a whole file.
pub(super) fn parse(source: &Source) -> Result<Spanned<Node>, Diagnostic> {
    let mut reader = Reader { source, text: &source.text, at: 0, depth: 0 };
    let entries = reader.body(None)?;
    Ok(Spanned::new(Node::Map(entries), source.span(0..source.text.len())))
}

struct Reader<'s> {
    source: &'s Source,
    text: &'s str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn wrong<T>(&self, message: &str) -> Result<T, Diagnostic> {
        Err(Diagnostic {
            code: "hcl-syntax",
            severity: Severity::Error,
            message: message.to_owned(),
            span: self.source.span(self.at..(self.at + 1).min(self.text.len())),
            help: Some("`terraform fmt` or `vault policy fmt` tells more".into()),
            secret: None,
        })
    }

    /// Blanks, and comments if lines may end here.
    fn skip(&mut self, lines: bool) {
        loop {
            let rest = self.rest();
            let length = if rest.starts_with('#') || rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").map_or(rest.len(), |end| end + 2)
            } else {
                rest.chars().next().filter(|c| c.is_whitespace() && (lines || *c != '\n')).map_or(0, char::len_utf8)
            };
            if length == 0 {
                return;
            }
            self.at += length;
        }
    }

    /// Attributes and blocks up to the closing sign, or to the end of the file.
    fn body(&mut self, end: Option<char>) -> Result<Vec<Entry>, Diagnostic> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.wrong("this is nested too deep");
        }
        let mut entries = Vec::new();
        loop {
            self.skip(true);
            match (self.peek(), end) {
                (None, None) => break,
                (None, Some(_)) => return self.wrong("the file ends inside a block"),
                (Some(c), Some(end)) if c == end => {
                    self.bump();
                    break;
                }
                (Some(','), _) => {
                    self.bump();
                }
                _ => entries.push(self.entry()?),
            }
        }
        self.depth -= 1;
        Ok(entries)
    }

    /// `key = value`, or `type "label" … { … }` as mappings in one another.
    fn entry(&mut self) -> Result<Entry, Diagnostic> {
        let mut names = vec![self.name()?];
        loop {
            self.skip(false);
            let value = match self.peek() {
                Some('=' | ':') => {
                    self.bump();
                    self.value()?
                }
                Some('{') => {
                    let start = self.at;
                    self.bump();
                    let entries = self.body(Some('}'))?;
                    Spanned::new(Node::Map(entries), self.source.span(start..self.at))
                }
                Some(c) if c == '"' || is_word(c) => {
                    names.push(self.name()?);
                    continue;
                }
                _ => return self.wrong("`=` or `{` is missing here"),
            };
            let nest = |value: Spanned<Node>, name: Spanned<String>| {
                let span = value.span;
                Spanned::new(Node::Map(vec![(name, value)]), span)
            };
            let first = names.remove(0);
            return Ok((first, names.into_iter().rev().fold(value, nest)));
        }
    }

    fn name(&mut self) -> Result<Spanned<String>, Diagnostic> {
        if self.peek() == Some('"') {
            return self.string();
        }
        let start = self.at;
        while self.peek().is_some_and(is_word) {
            self.bump();
        }
        if start == self.at {
            return self.wrong("a name is missing here");
        }
        let name = self.text.get(start..self.at).unwrap_or_default().to_owned();
        Ok(Spanned::new(name, self.source.span(start..self.at)))
    }

    fn string(&mut self) -> Result<Spanned<String>, Diagnostic> {
        let start = self.at;
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                Some('"') => return Ok(Spanned::new(text, self.source.span(start..self.at))),
                Some('\\') => match self.bump() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some(other) => text.push(other),
                    None => return self.wrong("a text does not end"),
                },
                None | Some('\n') => return self.wrong("a text does not end"),
                Some(other) => text.push(other),
            }
        }
    }

    fn value(&mut self) -> Result<Spanned<Node>, Diagnostic> {
        self.skip(false);
        let start = self.at;
        let node = match self.peek() {
            Some('"') => Node::Scalar(self.string()?.value),
            Some('[') => Node::List(self.list()?),
            Some('{') => {
                self.bump();
                Node::Map(self.body(Some('}'))?)
            }
            Some('<') if self.rest().starts_with("<<") => Node::Scalar(self.heredoc()),
            _ => {
                let word = self.rest().split(|c: char| !is_word(c)).next().unwrap_or_default().to_owned();
                if word == "jsonencode" && self.rest().starts_with("jsonencode(") {
                    self.at += "jsonencode(".len();
                    self.skip(true);
                    let inner = self.value()?;
                    self.skip(true);
                    if !self.eat(')') {
                        return self.wrong("`)` is missing here");
                    }
                    return Ok(inner);
                }
                Node::Scalar(self.expression())
            }
        };
        Ok(Spanned::new(node, self.source.span(start..self.at)))
    }

    fn list(&mut self) -> Result<Vec<Spanned<Node>>, Diagnostic> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.wrong("this is nested too deep");
        }
        self.bump();
        let mut items = Vec::new();
        loop {
            self.skip(true);
            match self.peek() {
                None => return self.wrong("a list does not end"),
                Some(']') => {
                    self.bump();
                    self.depth -= 1;
                    return Ok(items);
                }
                Some(',') => {
                    self.bump();
                }
                _ => {
                    let before = self.at;
                    items.push(self.value()?);
                    if self.at == before {
                        return self.wrong("a value is missing here");
                    }
                }
            }
        }
    }

    /// From `<<EOF` to the line that says `EOF`.
    fn heredoc(&mut self) -> String {
        let rest = self.rest();
        let line = rest.lines().next().unwrap_or_default();
        let mark = line.trim_start_matches("<<").trim_start_matches('-').trim().to_owned();
        let (mut text, mut length) = (String::new(), line.len() + 1);
        for line in rest.split_inclusive('\n').skip(1) {
            length += line.len();
            if line.trim() == mark {
                length -= line.len() - line.trim_end_matches(['\n', '\r']).len();
                break;
            }
            text.push_str(line);
        }
        self.at = (self.at + length).min(self.text.len());
        text
    }

    /// Anything else, up to the end of the line or of what it stands in.
    fn expression(&mut self) -> String {
        let start = self.at;
        let mut open = 0_usize;
        while let Some(c) = self.peek() {
            match c {
                '(' | '[' | '{' => open += 1,
                ')' | ']' | '}' if open > 0 => open -= 1,
                ')' | ']' | '}' => break,
                '\n' | ',' if open == 0 => break,
                _ => {}
            }
            self.bump();
        }
        self.text.get(start..self.at).unwrap_or_default().trim().to_owned()
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}
