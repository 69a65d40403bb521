//! What the base decides about a pull request: the branch it is merged into, as the API tells it now,
//! never as the event's payload tells it.
//!
//! Provider blocks, the variables they use and policies count as they stand there. The default branch
//! is the base, or a branch that `base_branches` names; a pull request into any other branch is
//! planned offline, and the default branch's policies decide even then.

use std::collections::BTreeSet;

use super::Job;
use super::law::Elder;
use super::read::{Read, Standing};
use super::unit::Unit;
use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::manifest::{
    Compliance, Credentials, Inputs, Law, Loaded, Manifest, Metadata, Policy, ProviderBlock, Statics, load,
};

/// Why nothing is known of the base in a job without a token.
const NO_TOKEN: &str =
    "there is no token to ask with; leave `github_token` at its default and give the job `contents: read`";

/// The base's version of a Secretfile.
pub(super) struct Base {
    /// `None` if it has no such file; what is wrong if it cannot be read.
    read: Option<Result<Standing, Diagnostic>>,
    /// Why no store may be asked, whatever it says.
    elsewhere: Option<String>,
}

/// The base could not be asked; so neither its policies nor its providers are known.
pub(super) struct Unknown(pub String);

impl Base {
    /// Whether it is this very text, so that the change does not touch it.
    pub(super) fn is(&self, head: &Read) -> bool {
        self.elsewhere.is_none() && matches!(&self.read, Some(Ok(base)) if base.read.is(head))
    }

    /// The base's text, if it has one that can be read.
    pub(super) fn standing(&self) -> Option<&Standing> {
        self.read.as_ref()?.as_ref().ok()
    }
}

/// Which text is read, and so what of the environment it may see.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// The change's: only what `allow_env` names.
    Head,
    /// The base's.
    Base,
}

/// What the base decides.
pub(super) struct Standard {
    /// Why no store may be asked.
    pub offline: Option<String>,
    /// Why the policies that count are not known, so that nothing may pass.
    pub unknown: Option<String>,
    /// The provider blocks to connect, with their variables.
    pub providers: Option<Vec<ProviderBlock>>,
    policies: Option<Vec<Policy>>,
    packs: Option<Vec<Spanned<Compliance>>>,
}

impl Standard {
    /// Nobody can say which policies count.
    pub(super) fn unknown(why: &str) -> Self {
        let offline = format!("Which policies of the base branch count is not known: {why}.");
        Self { offline: Some(offline), unknown: Some(why.to_owned()), policies: None, packs: None, providers: None }
    }

    /// A secret that comes from another Secretfile of the base, to a new file or to one that was there,
    /// comes under that one's policies as well: a move must not shake them off. `base` are the secrets that
    /// the base has in this file, if it has the file.
    pub(super) fn succeeding(
        self,
        head: &Manifest,
        file: &str,
        base: Option<&BTreeSet<String>>,
        elders: &[Elder],
    ) -> Self {
        if self.unknown.is_some() {
            return self;
        }
        let laws: Result<Vec<&Law>, &String> =
            elders.iter().filter_map(|elder| elder.over(head, file, base)).map(Result::as_ref).collect();
        let laws = match laws {
            Ok(laws) if laws.is_empty() => return self,
            Ok(laws) => laws,
            Err(why) => return Self::unknown(why),
        };
        let mut policies = self.policies.clone().unwrap_or_else(|| head.policies.clone());
        let mut packs = self.packs.clone().unwrap_or_else(|| head.metadata.compliance.clone());
        for law in laws {
            for policy in &law.policies {
                if !policies.iter().any(|known| bare(known) == bare(policy)) {
                    policies.push(policy.clone());
                }
            }
            packs.extend(law.compliance.clone());
        }
        Self { policies: Some(policies), packs: Some(packs), ..self }
    }

    /// The change's manifest under the base's policies.
    pub(super) fn judged(&self, head: &Manifest) -> Manifest {
        let compliance = self.packs.clone().unwrap_or_else(|| head.metadata.compliance.clone());
        Manifest {
            policies: self.policies.clone().unwrap_or_else(|| head.policies.clone()),
            metadata: Metadata { compliance, ..head.metadata.clone() },
            ..head.clone()
        }
    }
}

impl Job<'_> {
    /// The commit that a change is merged into, as the API tells it now, and why no store may be asked
    /// if that is no base.
    pub(super) async fn base_at(&self, branch: &str) -> Result<(String, Option<String>), Unknown> {
        let Some(forge) = &self.forge else { return Err(Unknown(NO_TOKEN.into())) };
        let tip = forge.default_branch_tip().await.map_err(|error| Unknown(error.to_string()))?;
        if branch.is_empty() || branch == tip.branch {
            return Ok((tip.sha, None));
        }
        if self.inputs.base_branches.iter().any(|listed| listed == branch) {
            let known = forge.branch_tip(branch).await.map_err(|error| Unknown(error.to_string()))?;
            return known.map(|sha| (sha, None)).ok_or_else(|| Unknown(format!("there is no branch `{branch}`")));
        }
        let why = format!(
            "This pull request is merged into `{branch}`, which is neither the default branch nor named by \
             `base_branches`."
        );
        Ok((tip.sha, Some(why)))
    }

    /// The base's version of a unit; `branch` is where the change is merged into.
    pub(super) async fn base(&self, unit: &Unit, branch: &str) -> Result<Base, Unknown> {
        let (at, elsewhere) = self.base_at(branch).await?;
        let Some(forge) = &self.forge else { return Err(Unknown(NO_TOKEN.into())) };
        match self.read_at(forge.as_ref(), unit, &at).await {
            Ok(read) => Ok(Base { read, elsewhere }),
            Err(error) => Err(Unknown(error.to_string())),
        }
    }

    /// The checked-out commit as its own base: it is the default branch's, or another one for this reason.
    pub(super) fn own_base(unit: &Unit, read: &Read, elsewhere: Option<String>) -> Base {
        let environments = vec![(unit.environment.clone(), read.variables.clone())];
        let read = Read { source: read.source.clone(), variables: read.variables.clone() };
        Base { read: Some(Ok(Standing { read, environments })), elsewhere }
    }

    /// Resolves a text as far as its reader may see.
    pub(super) fn load(&self, unit: &Unit, read: &Read, reader: Reader) -> Loaded {
        let environment = |name: &str| {
            let open = reader != Reader::Head || self.inputs.allow_env.iter().any(|allowed| allowed == name);
            self.session.environment.get(name).filter(|_| open).map(str::to_owned)
        };
        let inputs = Inputs {
            statics: Statics::Leave,
            credentials: Credentials::Leave,
            withheld: true,
            allowed_hosts: self.inputs.allowed_hosts.clone(),
            environment_name: unit.environment().map(str::to_owned),
            environment_variables: read.variables.clone(),
            ..Inputs::new(&environment, self.session.clock.now())
        };
        load(&read.source, &inputs)
    }

    /// What the base has to say about the change.
    pub(super) fn compare(&self, unit: &Unit, base: &Base, head: &Manifest) -> Standard {
        let standing = match &base.read {
            None => {
                let offline = Some("The base branch has no such Secretfile yet.".to_owned());
                return Standard { offline, unknown: None, packs: None, policies: None, providers: None };
            }
            Some(Err(problem)) => {
                return Standard::unknown(&format!("its `{}` cannot be read: {}", unit.file, problem.message));
            }
            Some(Ok(standing)) => standing,
        };
        let law = match self.law(unit, standing) {
            Ok(law) => law,
            Err(why) => return Standard::unknown(&why),
        };
        let read = &standing.read;
        let (Some(as_head), Some(full)) =
            (self.load(unit, read, Reader::Head).manifest, self.load(unit, read, Reader::Base).manifest)
        else {
            let why = "The base branch's Secretfile does not resolve here: it has no such environment, a variable is \
                       missing, or it is invalid.";
            return Standard {
                offline: Some(why.to_owned()),
                unknown: None,
                packs: Some(law.compliance),
                policies: Some(law.policies),
                providers: None,
            };
        };
        let changed = if base.elsewhere.is_some() {
            base.elsewhere.as_deref()
        } else if !same_providers(&as_head.providers, &head.providers) {
            Some("This pull request changes provider blocks or the variables they use; the stores were not asked.")
        } else if !same_policies(&as_head.policies, &head.policies)
            || packs(&as_head.metadata.compliance) != packs(&head.metadata.compliance)
        {
            Some("This pull request changes policies; those of the base branch decide, and the stores were not asked.")
        } else {
            None
        };
        Standard {
            offline: changed.map(str::to_owned),
            unknown: None,
            policies: Some(law.policies),
            packs: Some(law.compliance),
            providers: changed.is_none().then_some(full.providers),
        }
    }
}

fn packs(entries: &[Spanned<Compliance>]) -> Vec<Compliance> {
    entries.iter().map(|entry| entry.value).collect()
}

/// A policy wherever it is written.
fn bare(policy: &Policy) -> Policy {
    Policy { name: Spanned::new(policy.name.value.clone(), Span::default()), ..policy.clone() }
}

fn same_policies(base: &[Policy], head: &[Policy]) -> bool {
    base.iter().map(bare).eq(head.iter().map(bare))
}

fn same_providers(base: &[ProviderBlock], head: &[ProviderBlock]) -> bool {
    let same = |a: &ProviderBlock, b: &ProviderBlock| {
        let config = a.config.len() == b.config.len()
            && a.config
                .iter()
                .all(|(name, value)| b.config.get(name).is_some_and(|other| other.value.matches(&value.value)));
        let names = |block: &ProviderBlock| {
            block.unresolved.iter().map(|(k, v)| (k.clone(), v.value.clone())).collect::<Vec<_>>()
        };
        a.alias.value == b.alias.value
            && a.kind == b.kind
            && a.auth_kind == b.auth_kind
            && config
            && names(a) == names(b)
    };
    base.len() == head.len() && base.iter().zip(head).all(|(a, b)| same(a, b))
}
