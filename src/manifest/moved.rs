//! `moved:`, which keeps a secret's identity through a rename.

use std::collections::{BTreeMap, BTreeSet};

use super::Secret;
use super::node::Entry;
use super::read::{Fields, Reader};
use crate::diagnostic::{Span, quote};

/// One rename.
struct Move {
    from: String,
    to: String,
    span: Span,
}

/// Gives every renamed secret its first name.
pub(super) fn apply(reader: &Reader, entry: Option<&Entry>, secrets: &mut [Secret]) {
    let moves = read(reader, entry);
    let names: BTreeSet<String> = secrets.iter().map(|secret| secret.name.value.clone()).collect();
    let sources: BTreeSet<&str> = moves.iter().map(|one| one.from.as_str()).collect();
    let mut origin: BTreeMap<&str, &Move> = BTreeMap::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for one in &moves {
        check(reader, one, &names, &sources);
        if !seen.insert(&one.from) {
            let message = format!("{} was moved to another name already", quote(&one.from));
            reader.error("bad-move", one.span, message, "one secret becomes one secret: remove one of the two moves");
        } else if let Some(earlier) = origin.insert(&one.to, one) {
            let message = format!("{} has another earlier name in line {}", quote(&one.to), earlier.span.line);
            reader.error("bad-move", one.span, message, "two secrets cannot become one: remove one of the two moves");
        }
    }
    for secret in secrets {
        let mut name = secret.name.value.as_str();
        while let Some(one) = origin.get(name) {
            name = &one.from;
            if name == secret.name.value {
                // Names lead to one another one to one, so a circle always comes back to its start.
                let message = format!("the moves of {} lead in a circle", quote(name));
                reader.error("bad-move", one.span, message, "remove the move that leads back");
                return;
            }
        }
        secret.first_name = name.to_owned();
    }
}

fn read(reader: &Reader, entry: Option<&Entry>) -> Vec<Move> {
    let Some((_, node)) = entry else { return Vec::new() };
    let super::node::Node::List(items) = &node.value else {
        let message = format!("`moved` is {}, not a list", node.value.name());
        reader.error("wrong-type", node.span, message, "write its items as `- from: old_name` and `to: new_name`");
        return Vec::new();
    };
    let mut moves = Vec::new();
    for item in items {
        let Some(fields) = Fields::of(reader, item, item.span, "this move") else { continue };
        let (from, to) = (fields.need_text("from"), fields.need_text("to"));
        fields.finish();
        if let (Some(from), Some(to)) = (from, to) {
            moves.push(Move { from: from.value, span: to.span, to: to.value });
        }
    }
    moves
}

fn check(reader: &Reader, one: &Move, names: &BTreeSet<String>, sources: &BTreeSet<&str>) {
    if names.contains(&one.from) {
        let message = format!("{} is still a secret of this file, so it was not moved", quote(&one.from));
        reader.error("bad-move", one.span, message, "remove the move, or rename the secret");
    }
    if !names.contains(&one.to) && !sources.contains(one.to.as_str()) {
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let message = format!("there is no secret {}", quote(&one.to));
        reader.error("bad-move", one.span, message, reader.suggestion(&one.to, &known, "the file has no secrets"));
    }
}
