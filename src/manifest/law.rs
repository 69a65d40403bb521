//! What a Secretfile demands of every change to it, read for itself: nothing that is wrong elsewhere in
//! the file, and no variable that only a target needs, takes its policies away.

use super::load::Inputs;
use super::node::{Node, parse};
use super::read::{Fields, Reader};
use super::{Compliance, Policy, environments, metadata, policies, providers};
use crate::diagnostic::{Diagnostic, Severity, Source, Spanned};

/// The policies of a Secretfile in one environment, and whose secrets they are for.
#[derive(Clone)]
pub struct Law {
    /// `policies:` in the order of the file.
    pub policies: Vec<Policy>,
    /// `metadata.compliance`.
    pub compliance: Vec<Spanned<Compliance>>,
    /// The project that the secrets' identities are made from, empty if none is named; `None` if it
    /// cannot be told.
    pub project: Option<String>,
}

/// Reads what a Secretfile demands.
///
/// # Errors
/// What is wrong with the policies, or why they cannot be told, such as a variable without a value.
pub fn law(source: &Source, inputs: &Inputs) -> Result<Law, Vec<Diagnostic>> {
    let root = parse(source).map_err(|finding| vec![finding])?;
    let mut rest = Reader::new(source, inputs);
    let mut variables = metadata::variables(&rest, &root);
    let environments = environments::read(&rest, &root);
    let Some(chosen) = environments.choose(&rest) else { return Err(errors(rest)) };
    variables.extend(inputs.environment_variables.clone());
    variables.extend(chosen.map(|one| one.variables.clone()).unwrap_or_default());
    rest.variables = variables;
    let (mut strict, mut named) = (Reader::new(source, inputs), Reader::new(source, inputs));
    strict.variables.clone_from(&rest.variables);
    named.variables.clone_from(&rest.variables);
    let Some(file) = Fields::of(&rest, &root, root.span, "the Secretfile") else { return Err(errors(rest)) };
    let providers = providers::providers(&rest, file.get("providers"));
    let policies = policies::policies(&strict, file.get("policies"), &providers.aliases());
    let compliance = metadata::compliance(&strict, file.get("metadata"));
    let project = metadata::project(&named, file.get("metadata"));
    let project = (!named.finish().0).then(|| project.unwrap_or_default());
    match strict.finish() {
        (true, findings) => Err(only_errors(findings)),
        (false, _) => Ok(Law { policies, compliance, project }),
    }
}

fn errors(reader: Reader) -> Vec<Diagnostic> {
    only_errors(reader.finish().1)
}

fn only_errors(mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    findings.retain(|finding| finding.severity == Severity::Error);
    findings
}

/// The names of the secrets that a Secretfile declares, and names that some had before, as far as its
/// text tells them, whatever else is wrong with it.
#[must_use]
pub fn secret_names(source: &Source) -> (Vec<String>, Vec<String>) {
    let Ok(root) = parse(source) else { return Default::default() };
    (listed(&root.value, "secrets", "name"), listed(&root.value, "moved", "from"))
}

/// One key of every entry of a section that is a list.
fn listed(root: &Node, section: &str, key: &str) -> Vec<String> {
    let Some(Node::List(entries)) = field(root, section) else { return Vec::new() };
    let texts = entries.iter().filter_map(|entry| match field(&entry.value, key) {
        Some(Node::Scalar(text)) => Some(text.clone()),
        _ => None,
    });
    texts.collect()
}

fn field<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Node::Map(entries) = node else { return None };
    entries.iter().find(|(name, _)| name.value == key).map(|(_, node)| &node.value)
}
