//! `${NAME}`, `${NAME:-default}`, `$${` and `{{var.name}}` inside a text.
//!
//! This file only takes a text apart; who looks a name up, and where, is the reader's business.
//! What a variable stands for is never taken apart again.

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// Stands for itself.
    Literal(&'t str),
    /// `${name}`, `${name:-default}` or `{{var.name}}`.
    Variable {
        /// What is looked up.
        name: &'t str,
        /// What counts when it is missing or empty.
        default: Option<&'t str>,
        /// The piece as written, to find it in the file.
        written: &'t str,
    },
    /// `{{word}}`, which names a field where there are fields.
    Field {
        /// The word.
        name: &'t str,
        /// The piece as written.
        written: &'t str,
    },
    /// `${` without a name or an end.
    Malformed {
        /// Where it begins, up to the end of what can be told.
        written: &'t str,
    },
}

/// Takes a text apart.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['$', '{']) {
        let (before, here) = rest.split_at(at);
        let (token, length) = token(here);
        // A lone `$` or `{` is text like any other.
        let literal = if token.is_none() { at + length } else { at };
        if literal > 0 {
            tokens.push(Token::Literal(if token.is_none() { &rest[..literal] } else { before }));
        }
        tokens.extend(token);
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        tokens.push(Token::Literal(rest));
    }
    tokens
}

/// The token at the start of a text that begins with `$` or `{`, and how many bytes it takes.
fn token(here: &str) -> (Option<Token<'_>>, usize) {
    if here.starts_with("$${") {
        return (Some(Token::Literal("${")), 3);
    }
    if let Some(body) = here.strip_prefix("${") {
        return variable(here, body);
    }
    let Some((inner, _)) = here.strip_prefix("{{").and_then(|body| body.split_once("}}")) else { return (None, 1) };
    let length = inner.len() + 4;
    let (word, written) = (inner.trim(), &here[..length]);
    match word.strip_prefix("var.") {
        Some(name) if is_name(name) => (Some(Token::Variable { name, default: None, written }), length),
        None if is_name(word) => (Some(Token::Field { name: word, written }), length),
        _ => (None, 2),
    }
}

fn variable<'t>(here: &'t str, body: &'t str) -> (Option<Token<'t>>, usize) {
    let Some((inner, _)) = body.split_once('}') else {
        let first_line = here.lines().next().unwrap_or(here);
        return (Some(Token::Malformed { written: first_line }), here.len());
    };
    let length = inner.len() + 3;
    let written = &here[..length];
    let (name, default) = inner.split_once(":-").map_or((inner, None), |(name, default)| (name, Some(default)));
    let nested = default.is_some_and(|default| default.contains("${"));
    if is_name(name) && !nested {
        (Some(Token::Variable { name, default, written }), length)
    } else {
        (Some(Token::Malformed { written }), length)
    }
}

/// Whether a word can name a variable or a field.
pub(super) fn is_name(word: &str) -> bool {
    let mut bytes = word.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &'static str, default: Option<&'static str>, written: &'static str) -> Token<'static> {
        Token::Variable { name, default, written }
    }

    #[test]
    fn variables_stand_between_texts() {
        let expected = vec![
            Token::Literal("a/"),
            variable("env", None, "${env}"),
            Token::Literal("/"),
            variable("app", Some("x:y"), "${app:-x:y}"),
            variable("var2", None, "{{ var.var2 }}"),
        ];
        assert_eq!(tokens("a/${env}/${app:-x:y}{{ var.var2 }}"), expected);
    }

    #[test]
    fn a_doubled_dollar_is_a_literal_one_even_before_double_braces() {
        assert_eq!(tokens("$${HOME}"), vec![Token::Literal("${"), Token::Literal("HOME}")]);
        assert_eq!(tokens("$${{ x }}"), vec![Token::Literal("${"), Token::Literal("{"), Token::Literal(" x }}")]);
    }

    #[test]
    fn lone_dollars_and_braces_are_text() {
        let text = "US$5 {a} $HOME {{ .Values.x }} {{90 days from now}} }} $";
        let glued: String = tokens(text)
            .into_iter()
            .map(|token| match token {
                Token::Literal(text) => text,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(glued, text);
    }

    #[test]
    fn broken_variables_are_told_apart() {
        assert_eq!(tokens("${"), vec![Token::Malformed { written: "${" }]);
        assert_eq!(tokens("${a"), vec![Token::Malformed { written: "${a" }]);
        assert_eq!(tokens("${}"), vec![Token::Malformed { written: "${}" }]);
        assert_eq!(tokens("${a b}"), vec![Token::Malformed { written: "${a b}" }]);
        assert_eq!(tokens("${A:-${B}}")[0], Token::Malformed { written: "${A:-${B}" });
    }

    #[test]
    fn a_word_in_double_braces_is_a_field() {
        assert_eq!(tokens("{{password}}"), vec![Token::Field { name: "password", written: "{{password}}" }]);
    }
}
