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
    law: Result<Law, String>,
    /// Its secrets, with the names that they had before.
    names: BTreeSet<String>,
    /// Whether the change takes it away.
    gone: bool,
}

impl Elder {
    /// One that the change deletes.
    pub(super) fn gone(gone: &Gone) -> Self {
        Self { law: gone.law.clone(), names: gone.names.iter().cloned().collect(), gone: true }
    }

    /// The policies that it gives a new Secretfile: one that was deleted may have moved there; one that
    /// stays counts for secrets of the same identity, wherever they are declared now.
    pub(super) fn over(&self, head: &Manifest) -> Option<&Result<Law, String>> {
        (self.gone || self.shares(head)).then_some(&self.law)
    }

    fn shares(&self, head: &Manifest) -> bool {
        let metadata = &head.metadata;
        let project = metadata.project_id.as_ref().or(metadata.project.as_ref()).map_or("", |text| &text.value);
        let known = self.law.as_ref().ok().and_then(|law| law.project.as_deref());
        known.is_none_or(|known| known == project)
            && head
                .secrets
                .iter()
                .any(|secret| self.names.contains(&secret.name.value) || self.names.contains(&secret.first_name))
    }
}

/// The names of a Secretfile's secrets, with those that they had before.
fn names(source: &Source) -> BTreeSet<String> {
    let (declared, former) = secret_names(source);
    declared.into_iter().chain(former).collect()
}

impl Job<'_> {
    /// Whose policies count for the Secretfiles that a change adds; nobody's if it adds none.
    pub(super) fn elders(&self, units: &[Unit], bases: &[Result<Base, Unknown>], gone: &[Gone]) -> Vec<Elder> {
        if !bases.iter().any(|base| base.as_ref().is_ok_and(Base::is_new)) {
            return Vec::new();
        }
        let stays = units.iter().zip(bases).filter_map(|(unit, base)| match base {
            Ok(base) => {
                let standing = base.standing()?;
                Some(Elder { law: self.law(unit, standing), names: names(&standing.read.source), gone: false })
            }
            Err(Unknown(why)) => Some(Elder { law: Err(why.clone()), names: BTreeSet::new(), gone: true }),
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
            format!("the policies of `{file}` in the base branch cannot be read: {}", finding.message)
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
