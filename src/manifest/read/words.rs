//! A text that must be one of a few words, and what to say of one that is none.

use super::{KNOWN_MAX, Reader, Text};
use crate::diagnostic::{Spanned, nearest, quote_key};
use crate::manifest::node::Node;

impl Reader<'_> {
    /// Names the nearest known word, or all of them. Once nothing more is listed it saves the work.
    pub(in crate::manifest) fn suggestion(&self, name: &str, known: &[&str], none: &str) -> String {
        if self.dropped.get() > 0 || known.is_empty() {
            return none.to_owned();
        }
        let few: Vec<&str> = known.iter().take(KNOWN_MAX).copied().collect();
        match nearest(name, few.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("known are: {}{}", few.join(", "), if few.len() < known.len() { ", …" } else { "" }),
        }
    }

    /// A node that must be a text.
    pub(in crate::manifest) fn text_of(&self, node: &Spanned<Node>, key: &str) -> Option<Text> {
        match &node.value {
            Node::Scalar(text) => self.expand(text, node.span),
            other => {
                let message = format!("{} is {}, not a text", quote_key(key), other.name());
                self.error("wrong-type", node.span, message, "write a text after it; an empty one is \"\"");
                None
            }
        }
    }

    /// A text that must be one of a few words.
    pub(in crate::manifest) fn word_of<T: Copy>(&self, text: &Text, key: &str, words: &[(&str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let shown = if text.literal { &text.value } else { "" };
            let help = self.suggestion(shown, &known, "there are none");
            self.error("unknown-word", text.span, format!("`{key}` cannot be {}", text.quoted()), help);
        }
        found.map(|(_, value)| *value)
    }
}
