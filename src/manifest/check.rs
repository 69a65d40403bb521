//! What can only be seen with all targets side by side: primaries, replicas, and two claims to one place.

use std::collections::BTreeMap;

use super::read::Reader;
use super::targets::{azure_host, file_keys};
use super::{Manifest, ProviderBlock, Secret, Target};
use crate::diagnostic::{Span, quote};
use crate::target::{FileFormat, FileSettings, SecretsManagerSettings, TargetSettings};

/// Checks all targets, and marks those that are only replicas of others.
pub(super) fn targets(reader: &Reader, manifest: &mut Manifest) {
    let Manifest { providers, secrets, .. } = manifest;
    let mut claims = Claims::default();
    for secret in secrets {
        let name = secret.name.value.clone();
        reader.about(&name, || {
            primaries(reader, secret);
            replicas(reader, providers, secret);
            for target in &secret.targets {
                claims.add(reader, providers, secret, target);
            }
        });
    }
    claims.foreign_replicas(reader);
}

fn primaries(reader: &Reader, secret: &Secret) {
    let mut first: Option<&Target> = None;
    for target in secret.targets.iter().filter(|target| target.primary) {
        let span = target.span_of("primary");
        if target.settings.kind().primary_rank().is_none() {
            let message =
                format!("a `{}` holds no value, so it cannot be the primary", target.settings.kind().as_str());
            reader.error("bad-primary", span, message, "remove `primary: true`");
        } else if let Some(first) = first {
            let message = format!("the target in line {} is the primary already", first.span.line);
            reader.error("bad-primary", span, message, "leave `primary: true` at one target only");
        }
        first.get_or_insert(target);
    }
}

/// Turns an explicit target that stands where another target replicates to into a replica check.
fn replicas(reader: &Reader, providers: &[ProviderBlock], secret: &mut Secret) {
    let mut found = Vec::new();
    for (index, target) in secret.targets.iter().enumerate() {
        let source = secret
            .targets
            .iter()
            .enumerate()
            .position(|(i, other)| i != index && replicates_to(providers, other, target));
        found.extend(source.map(|source| (index, source)));
    }
    for (index, source) in found {
        let line = secret.targets.get(source).map_or(0, |source| source.span.line);
        let Some(target) = secret.targets.get_mut(index) else { continue };
        target.replica_of = Some(source);
        if target.primary {
            let message = format!("the target in line {line} replicates to here, and a replica cannot be the primary");
            reader.error(
                "bad-primary",
                target.span_of("primary"),
                message,
                "remove `primary: true`, or the replica region",
            );
            continue;
        }
        let message = format!("the target in line {line} replicates to this region, and a replica cannot be written");
        let help = "this target is only checked to be there; remove it, or the region from `replica_regions`";
        reader.warning("replica-check", target.span, message, help);
    }
}

fn replicates_to(providers: &[ProviderBlock], source: &Target, copy: &Target) -> bool {
    let (TargetSettings::SecretsManager(from), TargetSettings::SecretsManager(to)) = (&source.settings, &copy.settings)
    else {
        return false;
    };
    let (Some(from_block), Some(to_block)) = (providers.get(source.provider), providers.get(copy.provider)) else {
        return false;
    };
    let region = to_block.setting("region");
    from.name == to.name
        && region.is_some_and(|region| from.replica_regions.iter().any(|replica| replica.region == region))
        && identity(from_block) == identity(to_block)
}

/// Who one is at AWS, but for the region.
fn identity(block: &ProviderBlock) -> String {
    let settings = ["profile", "role_arn", "access_key_id", "endpoint_url"];
    let part = |name: &&str| block.setting(name).unwrap_or_default().to_owned();
    let unset: Vec<&str> = block.unresolved.values().map(|variable| variable.value.as_str()).collect();
    format!("{}|{}|{}", block.auth_kind, settings.iter().map(part).collect::<Vec<_>>().join("|"), unset.join("|"))
}

/// Who claims which place.
#[derive(Default)]
struct Claims {
    places: BTreeMap<String, (Span, String)>,
    /// How each local file is written, and where that was said first.
    files: BTreeMap<String, (FileFormat, bool, Span)>,
    /// Places that Secrets Manager replicates to: the secret and the place of the declaration.
    replicated: Vec<(String, Span, String)>,
}

impl Claims {
    fn add(&mut self, reader: &Reader, providers: &[ProviderBlock], secret: &Secret, target: &Target) {
        if target.replica_of.is_some() {
            return;
        }
        let Some(block) = providers.get(target.provider) else { return };
        let owner = &secret.name.value;
        if let TargetSettings::File(settings) = &target.settings {
            self.one_syntax(reader, settings, target);
        }
        for (place, what) in places(reader, block, secret, target) {
            if let Some((_, other)) = self.places.get(&place).filter(|(first, _)| *first == target.span) {
                let message = format!(
                    "the secrets {} and {} would share the targets of their template",
                    quote(other),
                    quote(owner)
                );
                let help = "list `targets:` with other names in one of the two";
                reader.error("duplicate-target", secret.name.span, message, help);
            } else if let Some((first, other)) = self.places.get(&place) {
                let by = if other == owner { String::new() } else { format!(" by the secret {}", quote(other)) };
                let message = format!("{what} is claimed a second time; line {}{by} has it already", first.line);
                reader.error(
                    "duplicate-target",
                    target.span,
                    message,
                    "give it another name, or remove one of the two",
                );
            } else {
                self.places.insert(place, (target.span, owner.clone()));
            }
        }
        if let TargetSettings::SecretsManager(settings) = &target.settings {
            for replica in &settings.replica_regions {
                let place = secrets_manager(block, &replica.region, settings);
                self.replicated.push((place, target.span_of("replica_regions"), owner.clone()));
            }
        }
    }

    /// A file has one syntax, and either keeps what else is in it or does not.
    fn one_syntax(&mut self, reader: &Reader, settings: &FileSettings, target: &Target) {
        let said = (settings.format, settings.merge, target.span);
        let (format, merge, first) = *self.files.entry(settings.path.clone()).or_insert(said);
        for (key, differs) in [("format", format != settings.format), ("merge", merge != settings.merge)] {
            if differs {
                let message = format!("line {} writes the same file with another `{key}`", first.line);
                reader.error(
                    "contradiction",
                    target.span_of(key),
                    message,
                    "give both the same, or choose another path",
                );
            }
        }
    }

    /// Another secret's target where a replica would stand: neither could be what its secret wants.
    fn foreign_replicas(&self, reader: &Reader) {
        for (place, span, owner) in &self.replicated {
            let Some((claimed, other)) = self.places.get(place).filter(|(_, other)| other != owner) else { continue };
            reader.about(owner, || {
                let message = format!(
                    "a replica would stand where the secret {} has its target of line {}",
                    quote(other),
                    claimed.line
                );
                reader.error(
                    "duplicate-target",
                    *span,
                    message,
                    "remove the region, or give one of the two another name",
                );
            });
        }
    }
}

fn secrets_manager(block: &ProviderBlock, region: &str, settings: &SecretsManagerSettings) -> String {
    format!("aws-sm|{}|{region}|{}", identity(block), settings.name)
}

/// What a target claims, and what a person calls it. As far as can be told without the network: two
/// providers with the same login are the same account.
fn places(reader: &Reader, block: &ProviderBlock, secret: &Secret, target: &Target) -> Vec<(String, String)> {
    let setting = |name: &str| block.setting(name).unwrap_or_default();
    let kind = target.settings.kind();
    let title = format!("this place in {}", kind.title());
    let vault = |mount: &str, path: &str| {
        let url = setting("url").trim_end_matches('/').to_ascii_lowercase();
        let unset = block.unresolved.get("url").map_or("", |variable| &variable.value);
        format!("{}|{url}|{unset}|{}|{mount}|{path}", kind.as_str(), setting("namespace"))
    };
    let azure = |url: &str, name: &str| {
        let host = azure_host(url, &reader.inputs.allowed_hosts).unwrap_or(url);
        // A certificate makes a secret of its name as well.
        format!("azure-kv|{host}|{}", name.to_ascii_lowercase())
    };
    let place = match &target.settings {
        TargetSettings::File(settings) => {
            let claim = |key: String| {
                let what = format!("the key {} of the file {}", quote(&key), quote(&settings.path));
                (format!("file|{}|{key}", settings.path), what)
            };
            return file_keys(settings, &secret.source).into_iter().map(claim).collect();
        }
        TargetSettings::SecretsManager(settings) => secrets_manager(block, setting("region"), settings),
        TargetSettings::SsmParameter(settings) => {
            // `/x` and `x` are one name
            // (<https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-parameter-name-constraints.html>).
            let name = settings.name.trim_start_matches('/');
            format!("aws-ssm|{}|{}|{name}", identity(block), setting("region"))
        }
        TargetSettings::KeyVault(settings) => azure(&settings.vault_url, &settings.secret_name),
        TargetSettings::KeyVaultCertificate(settings) => azure(&settings.vault_url, &settings.certificate_name),
        TargetSettings::Kv(settings) => vault(&settings.mount_point, &settings.path),
        TargetSettings::DatabaseRole(settings) => vault(&settings.database_mount, &settings.role_name),
        TargetSettings::TransitKey(settings) => vault(&settings.mount_point, &settings.key_name),
        TargetSettings::SecretManager(settings) => {
            let project = settings.project_id.as_deref().unwrap_or(setting("project_id"));
            format!("gcp-sm|{project}|{}", settings.secret_id)
        }
    };
    vec![(place, title)]
}
