//! `aws_iam_policy_document` of Terraform as the policy that it renders to.
//!
//! <https://registry.terraform.io/providers/hashicorp/aws/latest/docs/data-sources/iam_policy_document>

use super::tree::{get, maps, texts_of};
use crate::diagnostic::{Span, Spanned};
use crate::manifest::node::{Entry, Node};

/// One policy for each such document.
pub(super) fn statements(root: &Spanned<Node>) -> Vec<Spanned<Node>> {
    let documents = maps(root).into_iter().filter_map(|map| get(map, "aws_iam_policy_document"));
    documents.flat_map(maps).filter_map(policy).collect()
}

fn policy(document: &Spanned<Node>) -> Option<Spanned<Node>> {
    let statements: Vec<Spanned<Node>> = blocks(document, "statement").map(statement).collect();
    let first = statements.first()?.span;
    let statements = Spanned::new(Node::List(statements), first);
    Some(Spanned::new(Node::Map(vec![(key("Statement", first), statements)]), document.span))
}

fn statement(block: &Spanned<Node>) -> Spanned<Node> {
    let mut entries: Vec<Entry> = Vec::new();
    for (from, to) in
        [("effect", "Effect"), ("actions", "Action"), ("not_actions", "NotAction"), ("resources", "Resource")]
    {
        entries.extend(get(block, from).map(|value| (key(to, value.span), value.clone())));
    }
    let principals = blocks(block, "principals").filter_map(|principal| {
        let kind = texts_of(principal, "type").into_iter().next()?;
        Some((kind, get(principal, "identifiers")?.clone()))
    });
    let principals: Vec<Entry> = principals.collect();
    if let Some((first, _)) = principals.first() {
        let span = first.span;
        entries.push((key("Principal", span), Spanned::new(Node::Map(principals), span)));
    }
    let conditions = blocks(block, "condition").filter_map(|condition| {
        let test = texts_of(condition, "test").into_iter().next()?;
        let variable = texts_of(condition, "variable").into_iter().next()?;
        let span = condition.span;
        Some((test, Spanned::new(Node::Map(vec![(variable, get(condition, "values")?.clone())]), span)))
    });
    let conditions: Vec<Entry> = conditions.collect();
    if let Some((first, _)) = conditions.first() {
        let span = first.span;
        entries.push((key("Condition", span), Spanned::new(Node::Map(conditions), span)));
    }
    Spanned::new(Node::Map(entries), block.span)
}

/// The blocks of a type, of which there may be several.
fn blocks<'n>(map: &'n Spanned<Node>, name: &'n str) -> impl Iterator<Item = &'n Spanned<Node>> {
    let entries: &[Entry] = if let Node::Map(entries) = &map.value { entries } else { &[] };
    entries.iter().filter(move |(key, _)| key.value == name).map(|(_, value)| value)
}

fn key(name: &str, span: Span) -> Spanned<String> {
    Spanned::new(name.to_owned(), span)
}
