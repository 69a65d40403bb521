//! Whether rights read values or write, whatever else they are.

mod tables;

use super::Lint;
use super::pattern::glob;
use crate::diagnostic::{Span, Spanned};
use tables::{AWS_READS, AWS_WRITES, OTHER_READS, OTHER_WRITES, ROLES};

/// Actions of AWS that a statement allows.
pub(super) fn aws(lint: &mut Lint<'_>, actions: &[Spanned<String>]) {
    record(lint, actions, &[], AWS_READS, AWS_WRITES);
}

/// All actions of AWS but these.
pub(super) fn aws_all_but(lint: &mut Lint<'_>, excepted: &[Spanned<String>]) {
    let Some(place) = excepted.first().map(|one| one.span) else { return };
    record(lint, &[Spanned::new("*".to_owned(), place)], excepted, AWS_READS, AWS_WRITES);
}

/// Actions of Azure, permissions of Google; those that are taken away again.
pub(super) fn other(lint: &mut Lint<'_>, actions: &[Spanned<String>], excepted: &[Spanned<String>]) {
    record(lint, actions, excepted, OTHER_READS, OTHER_WRITES);
}

/// A role that the vendor made, by its name or number.
pub(super) fn predefined(lint: &mut Lint<'_>, role: &Spanned<String>) {
    let name = role.value.rsplit("/roleDefinitions/").next().unwrap_or_default().to_ascii_lowercase();
    let found = ROLES.iter().find(|(names, ..)| names.contains(&name.as_str()));
    if let Some((_, reads, writes)) = found {
        note(lint, reads.then_some(role.span), writes.then_some(role.span));
    }
}

fn record(
    lint: &mut Lint<'_>,
    actions: &[Spanned<String>],
    excepted: &[Spanned<String>],
    reads: &[&str],
    writes: &[&str],
) {
    let covers = |action: &Spanned<String>, one: &str| glob(&action.value.to_ascii_lowercase(), one);
    let first = |of: &[&str]| {
        let left: Vec<&&str> = of.iter().filter(|one| !excepted.iter().any(|action| covers(action, one))).collect();
        actions.iter().find(|action| left.iter().any(|one| covers(action, one))).map(|action| action.span)
    };
    note(lint, first(reads), first(writes));
}

/// Remembers the first place of each.
pub(super) fn note(lint: &mut Lint<'_>, reads: Option<Span>, writes: Option<Span>) {
    let facts = &mut lint.facts;
    facts.reads_values = facts.reads_values.or(reads);
    facts.writes = facts.writes.or(writes);
}
