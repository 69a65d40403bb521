//! `kind: access`: only providers, regions and kinds of target that are allowed and not denied.

use super::{Breach, place, quoted};
use crate::manifest::{AccessList, Manifest, ProviderKind, Secret, Target};
use crate::target::{Replication, TargetSettings};

/// What a target uses against the lists. An empty list says nothing.
pub(super) fn check(
    manifest: &Manifest,
    secret: &Secret,
    target: &Target,
    allowed: &AccessList,
    denied: &AccessList,
) -> Vec<Breach> {
    let place = place(secret, target);
    let mut breaches = Vec::new();
    if let Some(provider) = manifest.providers.get(target.provider) {
        // A list names aliases or kinds, so either name counts.
        let names = [provider.alias.value.as_str(), provider.kind.as_str()];
        let subject = format!("the provider `{}`", provider.alias.value);
        let lists = (&allowed.providers, &denied.providers);
        breaches.extend(judge("access-provider", &place, &subject, &names, lists));
    }
    let kind = target.settings.kind().as_str();
    let subject = format!("the kind `{kind}`");
    breaches.extend(judge("access-kind", &place, &subject, &[kind], (&allowed.kinds, &denied.kinds)));
    if allowed.regions.is_empty() && denied.regions.is_empty() {
        return breaches;
    }
    match regions(manifest, target) {
        Regions::None => {}
        Regions::Unknown(help) => breaches.push(Breach {
            rule: "access-region",
            message: format!("{place} does not say which region it uses"),
            help: help.to_owned(),
        }),
        Regions::Known(regions) => breaches.extend(regions.into_iter().filter_map(|region| {
            let subject = format!("the region `{region}`");
            judge("access-region", &place, &subject, &[region], (&allowed.regions, &denied.regions))
        })),
    }
    breaches
}

/// One thing that a target uses, under all its names, against an allowed and a denied list.
fn judge(
    rule: &'static str,
    place: &str,
    subject: &str,
    names: &[&str],
    (allowed, denied): (&Vec<String>, &Vec<String>),
) -> Option<Breach> {
    let is_in = |list: &[String]| list.iter().any(|entry| names.iter().any(|name| name.eq_ignore_ascii_case(entry)));
    if is_in(denied) {
        let message = format!("{place} uses {subject}, which is denied");
        return Some(Breach { rule, message, help: "use another one, or take it off the denied list".to_owned() });
    }
    if allowed.is_empty() || is_in(allowed) {
        return None;
    }
    let message = format!("{place} uses {subject}, which is not among the allowed ones");
    Some(Breach { rule, message, help: format!("use {}", quoted(allowed.iter().map(String::as_str))) })
}

/// The regions that a value comes to rest in.
enum Regions<'a> {
    /// The store has none that the file could tell.
    None,
    /// It has, but the file leaves it open: that is a breach, or leaving it open would be the way around.
    Unknown(&'static str),
    Known(Vec<&'a str>),
}

fn regions<'a>(manifest: &'a Manifest, target: &'a Target) -> Regions<'a> {
    let provider = manifest.providers.get(target.provider);
    if let TargetSettings::SecretManager(settings) = &target.settings {
        return match &settings.replication {
            Replication::Automatic(_) => Regions::Unknown("declare user-managed replication with its locations"),
            Replication::UserManaged(locations) => {
                Regions::Known(locations.iter().map(|l| l.region.as_str()).collect())
            }
        };
    }
    let Some(provider) = provider.filter(|provider| provider.kind == ProviderKind::Aws) else { return Regions::None };
    if provider.unresolved.contains_key("region") {
        return Regions::Unknown("set the environment variable that names its provider's region");
    }
    let Some(region) = provider.setting("region") else {
        return Regions::Unknown("set `auth.config.region` of its provider");
    };
    let mut regions = vec![region];
    if let TargetSettings::SecretsManager(settings) = &target.settings {
        regions.extend(settings.replica_regions.iter().map(|replica| replica.region.as_str()));
    }
    Regions::Known(regions)
}
