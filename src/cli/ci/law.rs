//! Under which policies a change comes: the base's, whatever becomes of the environments and files that
//! they stand in. What cannot be known is said to be unknown, so that nothing passes by default.

use std::collections::BTreeSet;

use super::Job;
use super::base::{Base, Unknown};
use super::gone::Gone;
use super::read::Standing;
use super::unit::Unit;
use crate::diagnostic::{Diagnostic, Source};
use crate::manifest::{Credentials, Inputs, Law, Manifest, Statics, law, secret_names};

/// A Secretfile of the base whose policies may count for one that the change adds.
pub(super) struct Elder {
    /// Its path; empty for files that nobody could name.
    file: String,
    law: Result<Law, String>,
    /// Its secrets, with the names that they had before.
    names: BTreeSet<String>,
    /// Whether the change takes it away.
    gone: bool,
}

impl Elder {
    /// One that the change deletes.
    pub(super) fn gone(gone: &Gone) -> Self {
        let names = gone.names.iter().cloned().collect();
        Self { file: gone.file().to_owned(), law: gone.law.clone(), names, gone: true }
    }

    /// Files of the base that could not be told, and why: any of them may have moved anywhere.
    pub(super) fn unknown(why: &str) -> Self {
        Self { file: String::new(), law: Err(why.to_owned()), names: BTreeSet::new(), gone: true }
    }

    /// The policies that it gives a Secretfile of the change. For a new one: one that was deleted may have
    /// moved there. For one that the base has as well, with secrets of these names: none but where a secret
    /// came to it. One that stays counts for secrets of the same identity, wherever they are declared now.
    pub(super) fn over(
        &self,
        head: &Manifest,
        file: &str,
        base: Option<&BTreeSet<String>>,
    ) -> Option<&Result<Law, String>> {
        let counts = match base {
            None => self.gone || self.shares(head, &BTreeSet::new()),
            // Of what could not be told any secret may come.
            Some(base) if self.file.is_empty() => came(head, base).next().is_some(),
            Some(base) => self.file != file && self.shares(head, base),
        };
        counts.then_some(&self.law)
    }

    /// Whether a secret of the change that was not in its own base was in this one.
    fn shares(&self, head: &Manifest, before: &BTreeSet<String>) -> bool {
        let metadata = &head.metadata;
        let project = metadata.project_id.as_ref().or(metadata.project.as_ref()).map_or("", |text| &text.value);
        let known = self.law.as_ref().ok().and_then(|law| law.project.as_deref());
        known.is_none_or(|known| known == project)
            && came(head, before).any(|names| names.iter().any(|name| self.names.contains(*name)))
    }
}

/// The names, now and before, of the secrets that its own base does not have.
fn came<'m>(head: &'m Manifest, base: &BTreeSet<String>) -> impl Iterator<Item = [&'m String; 2]> {
    let names = head.secrets.iter().map(|secret| [&secret.name.value, &secret.first_name]);
    names.filter(|names| !names.iter().any(|name| base.contains(*name)))
}

/// The names of a Secretfile's secrets, with those that they had before.
pub(super) fn names(source: &Source) -> BTreeSet<String> {
    let (declared, former) = secret_names(source);
    declared.into_iter().chain(former).collect()
}

impl Job<'_> {
    /// Whose policies may count for secrets that come from elsewhere in the base.
    pub(super) fn elders(&self, units: &[Unit], bases: &[Result<Base, Unknown>], gone: &[Gone]) -> Vec<Elder> {
        let stays = units.iter().zip(bases).filter_map(|(unit, base)| match base {
            Ok(base) => {
                let standing = base.standing()?;
                let (file, names) = (unit.file.clone(), names(&standing.read.source));
                Some(Elder { file, law: self.law(unit, standing), names, gone: false })
            }
            Err(Unknown(why)) => Some(Elder::unknown(why)),
        });
        gone.iter().map(Elder::gone).chain(stays).collect()
    }

    /// What the base demands of a unit: its policies in that environment, or in all of its environments
    /// if it has none of that name, since a rename must not shake off the stricter of them.
    ///
    /// # Errors
    /// Why they cannot be told.
    pub(super) fn law(&self, unit: &Unit, standing: &Standing) -> Result<Law, String> {
        let environment = |name: &str| self.session.environment.get(name).map(str::to_owned);
        let mut whole: Option<Law> = None;
        for (name, variables) in &standing.environments {
            let inputs = Inputs {
                statics: Statics::Leave,
                credentials: Credentials::Leave,
                environment_name: (!name.is_empty()).then(|| name.clone()),
                environment_variables: variables.clone(),
                ..Inputs::new(&environment, self.session.clock.now())
            };
            let one = law(&standing.read.source, &inputs).map_err(|findings| told(unit, &findings))?;
            whole = Some(match whole {
                None => one,
                Some(whole) => both(whole, one),
            });
        }
        whole.ok_or_else(|| format!("the policies of `{}` in the base branch cannot be read", unit.file))
    }
}

fn told(unit: &Unit, findings: &[Diagnostic]) -> String {
    let file = &unit.file;
    match findings.first() {
        Some(finding) => {
            format!(
                "the policies of `{file}` in the base branch cannot be read: {}; mend that on the base branch, or let \
                 whoever may pass over the check merge the mend",
                finding.message
            )
        }
        None => format!("the policies of `{file}` in the base branch cannot be read"),
    }
}

/// Everything that either demands.
fn both(mut one: Law, other: Law) -> Law {
    for policy in other.policies {
        if !one.policies.contains(&policy) {
            one.policies.push(policy);
        }
    }
    one.compliance.extend(other.compliance);
    one.project = one.project.filter(|project| other.project.as_ref() == Some(project));
    one
}
