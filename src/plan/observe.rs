//! What stands in the stores, asked in as few requests as the stores allow and without any right to
//! read values.
//!
//! Lists come first. What a list shows as absent or different may be minutes old, so [`confirm`]
//! asks for those objects by themselves before anything is made of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::{SecretPlan, SecretView, Seen, TargetView};
use crate::diagnostic::Span;
use crate::locator::Locator;
use crate::lockfile::{Declaration, LockedSecret, Lockfile};
use crate::manifest::{GeneratorKind, Manifest, Secret, Source, Target};
use crate::mark::{Generation, Mark, Owner, ShortId};
use crate::plan::Action;
use crate::provider::{Observed, Probe, Provider, Reading, Result};
use crate::target::{Place, TargetKind, TargetSettings};

/// The connected stores, by index of the manifest's provider blocks; `None` is not built yet.
pub type Stores = Vec<Option<Arc<dyn Provider>>>;

/// Whose objects a run deals with, apart from the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identities {
    /// Over `metadata.project_id`, else `metadata.project`, else nothing.
    pub project: ShortId,
    /// Over the environment's name.
    pub environment: ShortId,
    /// Forge key and repository id, when known.
    pub repository: Option<String>,
}

impl Identities {
    /// The identities of a Secretfile in an environment.
    #[must_use]
    pub fn of(manifest: &Manifest, environment: &str, repository: Option<String>) -> Self {
        let metadata = &manifest.metadata;
        let project = metadata.project_id.as_ref().or(metadata.project.as_ref());
        Self {
            project: ShortId::of(project.map_or("", |project| &project.value)),
            environment: ShortId::of(environment),
            repository,
        }
    }

    /// Whose the objects of one secret are.
    #[must_use]
    pub fn owner(&self, secret: &Secret) -> Owner {
        Owner {
            project: self.project.clone(),
            secret: ShortId::of(&secret.first_name),
            environment: self.environment.clone(),
            repository: self.repository.clone(),
        }
    }
}

/// What a run looks at and may write.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Only these secrets; all when empty.
    pub secrets: Vec<String>,
    /// Only targets of these provider aliases or kinds; all when empty.
    pub providers: Vec<String>,
    /// Only targets of these kinds; all when empty.
    pub kinds: Vec<TargetKind>,
    /// Why local files are not looked at, if they are not.
    pub local_left_out: Option<String>,
    /// Why no store is asked at all, if none is; the lock then stands in.
    pub offline: bool,
}

impl Scope {
    /// Whether a secret is in it.
    #[must_use]
    pub fn selects(&self, secret: &Secret) -> bool {
        self.secrets.is_empty() || self.secrets.contains(&secret.name.value)
    }

    fn selects_target(&self, manifest: &Manifest, target: &Target) -> bool {
        let provider = manifest.providers.get(target.provider);
        let by_provider = self.providers.is_empty()
            || provider.is_some_and(|block| {
                self.providers.iter().any(|name| *name == block.alias.value || name == block.kind.as_str())
            });
        by_provider && (self.kinds.is_empty() || self.kinds.contains(&target.settings.kind()))
    }
}

/// Hashes of a declaration as written.
#[must_use]
pub fn declaration(source: &Source) -> Declaration {
    let mut fixed = String::new();
    let mut generated = String::new();
    let mut add = |name: &str, kind: &GeneratorKind, text: &str| {
        let into = if matches!(kind, GeneratorKind::Static(_)) { &mut fixed } else { &mut generated };
        into.push_str(&format!("{name}\u{0}{text}\u{0}"));
    };
    match source {
        Source::Single(generator) => add("", &generator.kind, &generator.declaration),
        Source::Template(fields) => {
            for field in fields {
                add(&field.name.value, &field.generator.kind, &field.generator.declaration);
            }
            // The names of all fields count as declared: adding or removing one is a new value.
            let names: Vec<&str> = fields.iter().map(|field| field.name.value.as_str()).collect();
            fixed.push_str(&names.join("\u{0}"));
        }
    }
    let hash = |text: &str| ShortId::of(text).as_str().to_owned();
    Declaration { fixed: hash(&fixed), generated: hash(&generated) }
}

/// Looks at every selected secret's targets.
pub async fn observe<'a>(
    manifest: &'a Manifest,
    stores: &Stores,
    identities: &Identities,
    lock: &'a Lockfile,
    scope: &Scope,
    now: Timestamp,
) -> Vec<SecretView<'a>> {
    let by_id: BTreeMap<&str, &LockedSecret> = lock.secrets.iter().map(|s| (s.id.as_str(), s)).collect();
    let selected = manifest.secrets.iter().enumerate().filter(|(_, secret)| scope.selects(secret));
    let mut views: Vec<SecretView<'a>> = selected
        .map(|(index, secret)| {
            let owner = identities.owner(secret);
            let locked = by_id.get(owner.secret.as_str()).copied();
            let targets = secret.targets.iter().enumerate();
            SecretView {
                index,
                secret,
                owner,
                targets: targets.map(|(index, target)| target_view(manifest, target, index, scope, now)).collect(),
                earlier: Vec::new(),
                locked,
                intended: None,
                revision: super::Revision::default(),
                declaration: declaration(&secret.source),
            }
        })
        .collect();
    if scope.offline {
        assume(&mut views, stores);
    } else {
        locate(&mut views, stores).await;
        look(&mut views, stores, Reading::List, |_, target| !target.confirmed).await;
    }
    views
}

/// Asks again, object by object, for what would be changed or held on a list's word alone; tells
/// whether anything was asked. What is learned may put more in doubt: plan anew and ask again.
pub async fn confirm(views: &mut [SecretView<'_>], plans: &[SecretPlan], stores: &Stores, reading: Reading) -> bool {
    let doubtful = |plan: &SecretPlan| {
        let planned = plan.targets.iter().map(|target| {
            let settled = matches!(target.action, Action::Keep | Action::LeftOut | Action::ReplicaCheck);
            !settled || target.drifted
        });
        planned.collect::<Vec<bool>>()
    };
    let doubtful: Vec<(Vec<bool>, bool)> =
        plans.iter().map(|plan| (doubtful(plan), plan.generation.is_none())).collect();
    // One doubtful target puts the whole secret in doubt only where nothing is known to exist.
    let wanted = |position: usize, target: &TargetView| {
        let doubt = doubtful.get(position);
        let doubt = doubt.is_some_and(|(targets, new)| targets.get(target.index).copied().unwrap_or(*new));
        doubt && !target.confirmed
    };
    look(views, stores, reading, wanted).await > 0
}

fn target_view(manifest: &Manifest, target: &Target, index: usize, scope: &Scope, now: Timestamp) -> TargetView {
    let kind = target.settings.kind();
    let provider = manifest.providers.get(target.provider);
    let seen = match &scope.local_left_out {
        Some(why) if kind == TargetKind::File => Seen::LeftOut(why.clone()),
        _ if target.replica_of.is_some() => Seen::Replica,
        _ => Seen::NotBuilt,
    };
    TargetView {
        index,
        kind,
        provider: provider.map_or_else(String::new, |block| block.alias.value.clone()),
        name: shown_name(&target.settings),
        span: target.span,
        primary: target.primary,
        locator: None,
        desired: BTreeMap::new(),
        capabilities: None,
        confirmed: matches!(seen, Seen::LeftOut(_)),
        seen,
        copy: None,
        selected: scope.selects_target(manifest, target),
        refused: refused(target, now),
    }
}

fn shown_name(settings: &TargetSettings) -> String {
    match settings {
        TargetSettings::File(file) => file.path.clone(),
        other => other.name().to_owned(),
    }
}

/// An Expiration in the past would delete the parameter as soon as it is written.
fn refused(target: &Target, now: Timestamp) -> Option<(String, String)> {
    let TargetSettings::SsmParameter(settings) = &target.settings else { return None };
    settings.expires.filter(|expires| *expires <= now).map(|expires| {
        let reason = format!(
            "the Expiration policy of `{}` lies in the past ({expires}), so writing it would delete it",
            settings.name
        );
        (reason, "move the Timestamp into the future or remove the policy".into())
    })
}

/// Learns every target's locator and what its settings ask for.
async fn locate(views: &mut [SecretView<'_>], stores: &Stores) {
    let ready = join_all(stores.iter().map(|store| async move {
        match store {
            Some(store) => Some(store.identity().await.map(|_| ())),
            None => None,
        }
    }))
    .await;
    for view in views.iter_mut() {
        for (target, declared) in view.targets.iter_mut().zip(&view.secret.targets) {
            let Some(Some(store)) = stores.get(declared.provider) else { continue };
            let place = place(view.secret, declared);
            target.capabilities = store.capabilities_at(&place);
            if target.capabilities.is_none() || target.confirmed {
                continue;
            }
            let is_copy = matches!(target.seen, Seen::Replica);
            if let Some(Some(Err(error))) = ready.get(declared.provider) {
                settle(target, Err(error.clone()), Reading::Each);
                continue;
            }
            match store.locator(&place).await {
                Ok(locator) => {
                    target.locator = Some(locator);
                    target.desired = store.desired(&place, None);
                    target.seen = if is_copy { Seen::Replica } else { Seen::Absent };
                }
                Err(error) => settle(target, Err(error), Reading::List),
            }
        }
        recall(view, stores, &ready);
    }
}

/// Whether each store told who we are; `None` is not built yet.
type Ready = Vec<Option<Result<()>>>;

/// Adds the places that the lock names and the Secretfile no longer does.
fn recall(view: &mut SecretView<'_>, stores: &Stores, ready: &Ready) {
    let Some(locked) = view.locked else { return };
    for known in &locked.targets {
        if view.targets.iter().any(|target| target.locator.as_ref() == Some(&known.locator)) {
            continue;
        }
        let index = view.targets.len() + view.earlier.len();
        let span = view.secret.name.span;
        let recalled = stores.iter().enumerate().find_map(|(provider, store)| {
            let store = store.as_ref()?;
            let place = former_place(view.secret, store.as_ref(), &known.locator)?;
            let kind = place.settings.kind();
            let view = former(index, kind, &known.locator, span);
            let (name, capabilities) = (shown_name(&place.settings), store.capabilities_at(&place));
            Some(TargetView { provider: provider.to_string(), name, capabilities, ..view })
        });
        let recalled = recalled.or_else(|| {
            // A store that does not know us cannot tell whether the place is one of its own.
            let kind = kind_of(&known.locator)?;
            let error = stores.iter().zip(ready).find_map(|(store, ready)| {
                store.as_ref()?.capabilities(kind)?;
                ready.as_ref()?.as_ref().err()
            })?;
            let seen = Seen::Failed(error.clone());
            Some(TargetView { seen, confirmed: true, ..former(index, kind, &known.locator, span) })
        });
        view.earlier.extend(recalled);
    }
}

/// The place that a locator names; a file is read as the secret's own targets in it declare it.
fn former_place(secret: &Secret, store: &dyn Provider, at: &Locator) -> Option<Place> {
    let mut place = store.recall(at, &secret.source.shape())?;
    if let TargetSettings::File(former) = &mut place.settings {
        let same = secret.targets.iter().find_map(|target| match &target.settings {
            TargetSettings::File(file) if file.path == former.path => Some(file.format),
            _ => None,
        });
        former.format = same.unwrap_or(former.format);
    }
    Some(place)
}

fn former(index: usize, kind: TargetKind, at: &Locator, span: Span) -> TargetView {
    TargetView {
        index,
        kind,
        provider: String::new(),
        name: at.to_string(),
        span,
        primary: false,
        locator: Some(at.clone()),
        desired: BTreeMap::new(),
        capabilities: None,
        seen: Seen::Absent,
        copy: None,
        confirmed: false,
        selected: false,
        refused: None,
    }
}

fn kind_of(at: &Locator) -> Option<TargetKind> {
    match at.key_vault_parts() {
        Some((_, "certificate", _)) => return Some(TargetKind::KeyVaultCertificate),
        Some(_) => return Some(TargetKind::KeyVault),
        None => {}
    }
    let schemes = [
        ("file:", TargetKind::File),
        ("aws-sm://", TargetKind::SecretsManager),
        ("aws-ssm://", TargetKind::SsmParameter),
        ("gcp-sm://", TargetKind::SecretManager),
        ("vault-kv://", TargetKind::Kv),
        ("vault-kv1://", TargetKind::Kv),
    ];
    schemes.iter().find(|(scheme, _)| at.as_str().starts_with(scheme)).map(|(_, kind)| *kind)
}

/// The resolved place of a target.
#[must_use]
pub fn place(secret: &Secret, target: &Target) -> Place {
    Place { settings: target.settings.clone(), shape: secret.source.shape() }
}

/// The place and the store of a target or of a former place, by the index that plans use.
#[must_use]
pub fn place_at(view: &SecretView<'_>, stores: &Stores, index: usize) -> Option<(usize, Place)> {
    if let Some(declared) = view.secret.targets.get(index) {
        return Some((declared.provider, place(view.secret, declared)));
    }
    let earlier = view.earlier.get(index - view.targets.len())?;
    let provider: usize = earlier.provider.parse().ok()?;
    let store = stores.get(provider)?.as_ref()?;
    Some((provider, former_place(view.secret, store.as_ref(), earlier.locator.as_ref()?)?))
}

/// Takes what the lock knows for what stands there. No store is called, not even for who we are: an
/// offline plan must send no credential anywhere.
fn assume(views: &mut [SecretView<'_>], stores: &Stores) {
    for view in views {
        for (target, declared) in view.targets.iter_mut().zip(&view.secret.targets) {
            let built = stores.get(declared.provider).and_then(Option::as_ref);
            target.capabilities = built.and_then(|store| store.capabilities_at(&place(view.secret, declared)));
            let is_copy = matches!(target.seen, Seen::Replica);
            if target.confirmed || is_copy || target.capabilities.is_none() {
                continue;
            }
            let mut known = view.locked.iter().flat_map(|locked| &locked.targets);
            let known = known.any(|locked| may_be(&locked.locator, &declared.settings));
            target.seen = if known { Seen::Assumed } else { Seen::Absent };
            target.confirmed = true;
        }
    }
}

/// Whether settings could mean this place, whatever the account.
fn may_be(at: &Locator, settings: &TargetSettings) -> bool {
    let (scheme, end) = match settings {
        TargetSettings::File(file) => ("file:", format!("{}#{}", file.path, file.key)),
        TargetSettings::SecretsManager(secret) => ("aws-sm://", format!("/{}", secret.name)),
        TargetSettings::SecretManager(secret) => ("gcp-sm://", format!("/{}", secret.secret_id)),
        TargetSettings::SsmParameter(parameter) => {
            let nowhere = Locator::ssm_parameter("", "", &parameter.name);
            ("aws-ssm://", nowhere.as_str().strip_prefix("aws-ssm:///").unwrap_or_default().to_owned())
        }
        TargetSettings::Kv(s) => {
            let scheme = if s.version == 1 { "vault-kv1://" } else { "vault-kv://" };
            (scheme, Locator::in_mount(&s.mount_point, &s.path))
        }
        TargetSettings::DatabaseRole(s) => {
            ("vault-database-role://", Locator::in_mount(&s.database_mount, &s.role_name))
        }
        TargetSettings::TransitKey(s) => ("vault-transit://", Locator::in_mount(&s.mount_point, &s.key_name)),
        TargetSettings::KeyVault(secret) => ("azure-kv://", format!("/secret/{}", secret.secret_name.to_lowercase())),
        TargetSettings::KeyVaultCertificate(certificate) => {
            ("azure-kv://", format!("/certificate/{}", certificate.certificate_name.to_lowercase()))
        }
    };
    at.as_str().starts_with(scheme) && at.as_str().ends_with(&end)
}

struct Question {
    view: usize,
    target: usize,
    place: Place,
    expected_mark: Option<String>,
}

/// Observes every target that `wanted` picks, all stores at once; returns how many were asked.
async fn look(
    views: &mut [SecretView<'_>],
    stores: &Stores,
    reading: Reading,
    wanted: impl Fn(usize, &TargetView) -> bool,
) -> usize {
    let mut questions: BTreeMap<usize, Vec<Question>> = BTreeMap::new();
    for (index, view) in views.iter().enumerate() {
        for target in view.targets.iter().chain(&view.earlier) {
            if target.locator.is_none() || !wanted(index, target) {
                continue;
            }
            if let Some((provider, place)) = place_at(view, stores, target.index) {
                let expected_mark = expected_mark(view, target);
                let question = Question { view: index, target: target.index, place, expected_mark };
                questions.entry(provider).or_default().push(question);
            }
        }
    }
    let answers = join_all(questions.into_iter().map(|(provider, questions)| async move {
        let probes: Vec<Probe<'_>> =
            questions.iter().map(|q| Probe { place: &q.place, expected_mark: q.expected_mark.clone() }).collect();
        let answers = match stores.get(provider).and_then(Option::as_ref) {
            Some(store) => store.observe(&probes, reading).await,
            None => Vec::new(),
        };
        questions.iter().map(|q| (q.view, q.target)).zip(answers).collect::<Vec<_>>()
    }))
    .await;
    let mut asked = 0;
    for ((view, target), answer) in answers.into_iter().flatten() {
        asked += 1;
        let Some(view) = views.get_mut(view) else { continue };
        let declared = view.targets.len();
        let target = match target.checked_sub(declared) {
            None => view.targets.get_mut(target),
            Some(earlier) => view.earlier.get_mut(earlier),
        };
        if let Some(target) = target {
            settle(target, answer, reading);
        }
    }
    asked
}

fn settle(target: &mut TargetView, answer: Result<Option<Observed>>, reading: Reading) {
    target.confirmed =
        reading != Reading::List || answer.as_ref().is_ok_and(|seen| seen.as_ref().is_some_and(|s| !s.from_list));
    if matches!(target.seen, Seen::Replica) {
        target.copy = Some(answer);
        return;
    }
    target.seen = match answer {
        Ok(Some(observed)) => Seen::Present(observed),
        Ok(None) => Seen::Absent,
        Err(error) => Seen::Failed(error),
    };
}

/// The mark that should stand there if the lock is right.
fn expected_mark(view: &SecretView<'_>, target: &TargetView) -> Option<String> {
    let locked = view.locked?;
    let known = locked.targets.iter().find(|known| Some(&known.locator) == target.locator.as_ref())?;
    let generation = Generation {
        number: known.generation.unwrap_or(locked.generation),
        id: locked.generation_id.clone(),
        created: known.created,
        adopted: false,
    };
    let mark = Mark {
        owner: view.owner.clone(),
        generation,
        version: known.version.clone(),
        carried: false,
        over_drift: false,
        withdrawn: false,
    };
    Some(mark.to_string())
}
