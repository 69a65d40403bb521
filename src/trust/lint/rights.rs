//! Whether rights read values or write, whatever else they are.

use super::Lint;
use super::subject::glob;
use crate::diagnostic::{Span, Spanned};

/// Calls of AWS that hand out a value, or the means to decrypt one.
const AWS_READS: &[&str] = &[
    "secretsmanager:getsecretvalue",
    "ssm:getparameter",
    "ssm:getparameters",
    "ssm:getparametersbypath",
    "ssm:getparameterhistory",
    "kms:decrypt",
];

/// Calls of AWS that change something.
const AWS_WRITES: &[&str] = &[
    "secretsmanager:createsecret",
    "secretsmanager:putsecretvalue",
    "secretsmanager:updatesecret",
    "secretsmanager:deletesecret",
    "secretsmanager:restoresecret",
    "secretsmanager:tagresource",
    "secretsmanager:putresourcepolicy",
    "secretsmanager:replicatesecrettoregions",
    "secretsmanager:rotatesecret",
    "ssm:putparameter",
    "ssm:deleteparameter",
    "ssm:addtagstoresource",
    "iam:passrole",
];

/// Rights of Azure and Google with the same meaning.
const OTHER_READS: &[&str] = &["microsoft.keyvault/vaults/secrets/getsecret/action", "secretmanager.versions.access"];
const OTHER_WRITES: &[&str] = &[
    "microsoft.keyvault/vaults/secrets/setsecret/action",
    "microsoft.keyvault/vaults/secrets/update/action",
    "microsoft.keyvault/vaults/certificates/import/action",
    "secretmanager.versions.add",
    "secretmanager.secrets.create",
    "secretmanager.secrets.update",
];

pub(super) fn aws(lint: &mut Lint<'_>, actions: &[Spanned<String>]) {
    record(lint, actions, AWS_READS, AWS_WRITES);
}

/// Data actions of Azure, permissions of Google.
pub(super) fn other(lint: &mut Lint<'_>, actions: &[Spanned<String>]) {
    record(lint, actions, OTHER_READS, OTHER_WRITES);
}

fn record(lint: &mut Lint<'_>, actions: &[Spanned<String>], reads: &[&str], writes: &[&str]) {
    let first = |of: &[&str]| {
        let covers = |action: &&Spanned<String>| of.iter().any(|one| glob(&action.value.to_ascii_lowercase(), one));
        actions.iter().find(covers).map(|action| action.span)
    };
    note(lint, first(reads), first(writes));
}

/// Remembers the first place of each.
pub(super) fn note(lint: &mut Lint<'_>, reads: Option<Span>, writes: Option<Span>) {
    let facts = &mut lint.linted.facts;
    facts.reads_values = facts.reads_values.or(reads);
    facts.writes = facts.writes.or(writes);
}
