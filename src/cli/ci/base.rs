//! What the base decides about a pull request: the branch it is merged into, as the API tells it now,
//! never as the event's payload tells it.
//!
//! Provider blocks, the variables they use and policies count as they stand there. The default branch
//! is the base, or a branch that `base_branches` names; a pull request into any other branch is
//! planned offline, and the default branch's policies decide even then.

use super::Job;
use super::gone::Gone;
use super::read::Read;
use super::unit::Unit;
use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::manifest::{
    Compliance, Credentials, Inputs, Loaded, Manifest, Metadata, Policy, ProviderBlock, Statics, environments, load,
};

/// The base's version of a Secretfile.
pub(super) struct Base {
    /// `None` if it has no such file; what is wrong if it cannot be read.
    read: Option<Result<Read, Diagnostic>>,
    /// Why no store may be asked, whatever it says.
    elsewhere: Option<String>,
}

/// The base could not be asked; so neither its policies nor its providers are known.
pub(super) struct Unknown(pub String);

impl Base {
    /// Whether it is this very text, so that the change does not touch it.
    pub(super) fn is(&self, head: &Read) -> bool {
        self.elsewhere.is_none() && matches!(&self.read, Some(Ok(base)) if base.is(head))
    }
}

/// Which text is read, and so what of the environment it may see.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// The change's: only what `allow_env` names.
    Head,
    /// The base's.
    Base,
    /// Nobody's: what is not set here reads as some text, so that policies are known all the same.
    Blind,
}

/// What the base decides.
pub(super) struct Standard {
    /// Why no store may be asked.
    pub offline: Option<String>,
    /// The provider blocks to connect, with their variables.
    pub providers: Option<Vec<ProviderBlock>>,
    policies: Option<Vec<Policy>>,
    packs: Option<Vec<Spanned<Compliance>>>,
}

impl Standard {
    /// Nothing is known of the base, and there is no way to ask.
    pub(super) fn unknown(why: &str) -> Self {
        let offline = format!("The base branch's Secretfile is not known, so its policies are not: {why}.");
        Self { offline: Some(offline), policies: None, packs: None, providers: None }
    }

    /// A Secretfile that the base does not have comes under the policies of those that the same change
    /// takes away, beside its own: a move must not shake them off.
    pub(super) fn succeeding(self, head: &Manifest, gone: &[Gone]) -> Self {
        let laws: Vec<&Manifest> = gone.iter().filter_map(|gone| gone.law.as_ref()).collect();
        if laws.is_empty() || self.policies.is_some() {
            return self;
        }
        let all = || std::iter::once(head).chain(laws.iter().copied());
        let policies = all().flat_map(|law| law.policies.clone()).collect();
        let packs = all().flat_map(|law| law.metadata.compliance.clone()).collect();
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
        let Some(forge) = &self.forge else { return Err(Unknown("there is no token to ask with".into())) };
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
        let Some(forge) = &self.forge else { return Err(Unknown("there is no token to ask with".into())) };
        match self.read_at(forge.as_ref(), unit, &at).await {
            Ok(read) => Ok(Base { read, elsewhere }),
            Err(error) => Err(Unknown(error.to_string())),
        }
    }

    /// The checked-out commit as its own base: it is the default branch's, or another one for this reason.
    pub(super) fn own_base(read: &Read, elsewhere: Option<String>) -> Base {
        let read = Read { source: read.source.clone(), variables: read.variables.clone() };
        Base { read: Some(Ok(read)), elsewhere }
    }

    /// Resolves a text as far as its reader may see.
    pub(super) fn load(&self, unit: &Unit, read: &Read, reader: Reader) -> Loaded {
        let environment = |name: &str| {
            let open = reader != Reader::Head || self.inputs.allow_env.iter().any(|allowed| allowed == name);
            let known = self.session.environment.get(name).filter(|_| open).map(str::to_owned);
            known.or_else(|| (reader == Reader::Blind).then(|| "unset".to_owned()))
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

    /// The base as far as its policies go, even where a variable is not set in this job or the change
    /// names an environment that the base does not have: a change must not shake them off so.
    pub(super) fn law(&self, unit: &Unit, read: &Read) -> Option<Manifest> {
        let declared = environments(&read.source);
        let known =
            declared.is_empty() || declared.iter().any(|one| Some(one.name.value.as_str()) == unit.environment());
        let environment = match declared.first().filter(|_| !known) {
            Some(first) => first.name.value.clone(),
            None => unit.environment.clone(),
        };
        let unit = Unit { environment, ..unit.clone() };
        [Reader::Base, Reader::Blind].into_iter().find_map(|reader| self.load(&unit, read, reader).manifest)
    }

    /// What the base has to say about the change.
    pub(super) fn compare(&self, unit: &Unit, base: &Base, head: &Manifest) -> Standard {
        let offline = |why: &str, law: Option<Manifest>| Standard {
            offline: Some(why.to_owned()),
            packs: law.as_ref().map(|law| law.metadata.compliance.clone()),
            policies: law.map(|law| law.policies),
            providers: None,
        };
        let read = match &base.read {
            None => return offline("The base branch has no such Secretfile yet.", None),
            Some(Err(_)) => return offline("The base branch's Secretfile cannot be read.", None),
            Some(Ok(read)) => read,
        };
        let (Some(as_head), Some(full)) =
            (self.load(unit, read, Reader::Head).manifest, self.load(unit, read, Reader::Base).manifest)
        else {
            let why = match self.law(unit, read) {
                Some(_) => {
                    "The base branch's Secretfile does not resolve here: an environment or a variable is missing."
                }
                None => "The base branch's Secretfile is invalid.",
            };
            return offline(why, self.law(unit, read));
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
            policies: Some(as_head.policies),
            packs: Some(as_head.metadata.compliance),
            providers: changed.is_none().then_some(full.providers),
        }
    }
}

fn packs(entries: &[Spanned<Compliance>]) -> Vec<Compliance> {
    entries.iter().map(|entry| entry.value).collect()
}

fn same_policies(base: &[Policy], head: &[Policy]) -> bool {
    let bare = |policies: &[Policy]| -> Vec<Policy> {
        let bare = |policy: &Policy| Policy {
            name: Spanned::new(policy.name.value.clone(), Span::default()),
            ..policy.clone()
        };
        policies.iter().map(bare).collect()
    };
    bare(base) == bare(head)
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
