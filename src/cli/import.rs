//! `import`: what stands in a store already, as a part of a Secretfile. Reads no value, and writes
//! nothing but a new file.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::args::ImportArgs;
use super::console::Tone;
use super::draft::naming::{Names, after_prefix};
use super::draft::{Head, Login, entry, read_back, short, sound};
use super::exit::Exit;
use super::session::{Depth, Session, Workspace};
use super::show::plural;
use crate::diagnostic::{Span, Spanned, quote};
use crate::manifest::{ProviderBlock, ProviderKind};
use crate::provider::{Error, ErrorKind, Identity, Listed, Provider};
use crate::secret::SecretValue;
use crate::target::{TargetKind, TargetSettings};

/// Longest prefix, in characters.
const PREFIX_CHARS_MAX: usize = 512;

/// `secretzero import`.
pub(super) async fn import(session: &Session, args: &ImportArgs) -> Result<Exit, Exit> {
    new_file(session, &args.output)?;
    let workspace = match session.disk.read(&session.common.file, 1) {
        Ok(None) => None,
        _ => Some(session.open(Depth::NAMES)?),
    };
    let block = block(session, workspace.as_ref(), args)?;
    let kinds = kinds(session, &block, args)?;
    let store = connect(session, &block, args)?;
    let identity = store.identity().await.map_err(|error| refused(session, &error, None))?;
    let prefixes = prefixes(workspace.as_ref(), &block, args);
    let found = list(session, store.as_ref(), &kinds, &prefixes).await;
    store.close().await;
    let found = found?;
    if found.is_empty() {
        let reason = format!("nothing there has a name that begins with {}", quote(&args.prefix));
        let help = "check `--prefix`, `--region` and, with `secretzero test`, the account";
        return Err(session.fail(Exit::Error, &reason, help));
    }
    let part = Part::of(session, workspace.as_ref(), args, &block, &identity, &found);
    part.deliver(session, args)
}

/// Everything of those kinds. A kind that a store cannot be asked for counts only if it cannot be asked for any.
async fn list(
    session: &Session,
    store: &dyn Provider,
    kinds: &[TargetKind],
    prefixes: &[String],
) -> Result<Vec<(Listed, bool)>, Exit> {
    let (mut found, mut unable, mut asked) = (Vec::new(), None, false);
    for kind in kinds {
        let readable = store.capabilities(*kind).is_none_or(|can| can.read_back);
        for prefix in prefixes {
            match store.list(*kind, prefix).await {
                Ok(listed) => {
                    asked = true;
                    found.extend(listed.into_iter().map(|listed| (listed, readable)));
                }
                Err(error) if error.kind == ErrorKind::Unsupported => unable = Some((error, *kind)),
                Err(error) => return Err(refused(session, &error, Some(*kind))),
            }
        }
    }
    match unable {
        Some((error, kind)) if !asked => Err(refused(session, &error, Some(kind))),
        _ => Ok(found),
    }
}

/// The prefix in each vault that the Secretfile names for a provider whose login names none.
fn prefixes(workspace: Option<&Workspace>, block: &ProviderBlock, args: &ImportArgs) -> Vec<String> {
    let mut prefixes: Vec<String> = Vec::new();
    let targets = workspace.iter().flat_map(|workspace| {
        let manifest = &workspace.manifest;
        let same = |index: usize| manifest.providers.get(index).is_some_and(|b| b.alias.value == block.alias.value);
        manifest.secrets.iter().flat_map(|secret| &secret.targets).filter(move |target| same(target.provider))
    });
    let url = |settings: &TargetSettings| match settings {
        TargetSettings::KeyVault(settings) => Some(settings.vault_url.clone()),
        TargetSettings::KeyVaultCertificate(settings) => Some(settings.vault_url.clone()),
        _ => None,
    };
    let named = args.prefix.starts_with("https://");
    for url in targets.filter_map(|target| url(&target.settings)).filter(|_| !named) {
        let prefix = format!("{url}/{}", args.prefix.trim_start_matches('/'));
        if !prefixes.contains(&prefix) {
            prefixes.push(prefix);
        }
    }
    if prefixes.is_empty() { vec![args.prefix.clone()] } else { prefixes }
}

/// The part of a prefix that belongs to the names, without the address of a vault.
fn prefix_of_names(prefix: &str) -> &str {
    prefix.strip_prefix("https://").map_or(prefix, |rest| rest.split_once('/').map_or("", |(_, names)| names))
}

/// An existing file is somebody's work.
fn new_file(session: &Session, output: &Path) -> Result<(), Exit> {
    if output == Path::new("-") || matches!(session.disk.read(output, 1), Ok(None)) {
        return Ok(());
    }
    let reason = format!("{} exists already, and nothing is overwritten", output.display());
    Err(session.fail(Exit::Error, &reason, "name a new file with `--output`, or leave it out to print the part"))
}

/// The provider of the Secretfile by alias or kind, else the one that the environment logs in to.
fn block(session: &Session, workspace: Option<&Workspace>, args: &ImportArgs) -> Result<ProviderBlock, Exit> {
    let name = args.provider.as_str();
    let mut block = match workspace {
        Some(Workspace { manifest, .. }) => {
            let by_alias = manifest.providers.iter().find(|block| block.alias.value == name);
            let of_kind: Vec<_> = manifest.providers.iter().filter(|block| block.kind.as_str() == name).collect();
            let aliases: Vec<&str> = manifest.providers.iter().map(|block| block.alias.value.as_str()).collect();
            let known = match aliases.as_slice() {
                [] => "the Secretfile has none; add one".to_owned(),
                some => format!("known are: {}", some.join(", ")),
            };
            match (by_alias, of_kind.as_slice()) {
                (Some(block), _) => block.clone(),
                (None, [only]) => (*only).clone(),
                (None, []) => {
                    let reason = format!("there is no provider {} in the Secretfile", quote(name));
                    return Err(session.fail(Exit::Error, &reason, &known));
                }
                (None, _) => {
                    let reason = format!("several providers are of kind {}", quote(name));
                    return Err(session.fail(Exit::Error, &reason, &format!("name one by its alias; {known}")));
                }
            }
        }
        None => ambient(session, name)?,
    };
    if args.prefix.chars().count() > PREFIX_CHARS_MAX {
        return Err(session.fail(Exit::Error, "no name is as long as this prefix", "shorten `--prefix`"));
    }
    if let Some(region) = &args.region {
        let own = block.setting("region");
        // Another region needs a block of its own.
        if workspace.is_some() && own.is_some_and(|own| own != region) {
            block.alias.value = format!("{}-{region}", block.alias.value);
        }
        let value = Spanned::new(SecretValue::from(region.clone()), Span::default());
        block.unresolved.remove("region");
        block.config.insert("region".into(), value);
    }
    Ok(block)
}

/// A setting of a login, and the variable that it comes from.
type Variable = (&'static str, &'static str);

/// The kinds of provider that the environment can log in to, each with how, and with its variables.
const AMBIENT: [(ProviderKind, &str, &[Variable]); 4] = [
    (ProviderKind::Aws, "ambient", &[]),
    (ProviderKind::Azure, "default", &[]),
    (ProviderKind::Vault, "token", &[("url", "VAULT_ADDR"), ("token", "VAULT_TOKEN")]),
    (ProviderKind::Gcp, "ambient", &[("project_id", "GOOGLE_CLOUD_PROJECT")]),
];

/// A provider that the environment logs in to.
fn ambient(session: &Session, name: &str) -> Result<ProviderBlock, Exit> {
    let Some((kind, auth, settings)) = AMBIENT.into_iter().find(|(kind, ..)| kind.as_str() == name) else {
        let reason = format!("there is no Secretfile that says what the provider {} is", quote(name));
        let known = AMBIENT.map(|(kind, ..)| format!("`{}`", kind.as_str())).join(", ");
        let help = format!("without a Secretfile these are known, with the login of the environment: {known}");
        return Err(session.fail(Exit::Error, &reason, &help));
    };
    let mut config = std::collections::BTreeMap::new();
    for (setting, variable) in settings {
        match session.environment.filled(variable) {
            Some(said) => {
                config.insert((*setting).to_owned(), Spanned::new(SecretValue::from(said), Span::default()));
            }
            None if kind == ProviderKind::Vault => {
                let reason = format!("{variable} is not set, so nobody can log in at Vault");
                return Err(session.fail(Exit::Error, &reason, "set it, or name a provider of a Secretfile"));
            }
            None => {}
        }
    }
    Ok(ProviderBlock {
        alias: Spanned::new(name.to_owned(), Span::default()),
        kind,
        auth_kind: auth.into(),
        config,
        unresolved: Default::default(),
        span: Span::default(),
    })
}

/// How the part says to log in: the region, host or project, never a credential.
fn login(block: &ProviderBlock, region: Option<&str>) -> Login {
    let said = |name: &'static str| block.setting(name).map(|text| (name, text.to_owned()));
    let (auth, settings) = match block.kind {
        ProviderKind::Local => ("none", Vec::new()),
        ProviderKind::Aws => ("ambient", region.map(|region| ("region", region.to_owned())).into_iter().collect()),
        ProviderKind::Azure => ("default", Vec::new()),
        ProviderKind::Gcp => ("ambient", said("project_id").into_iter().collect()),
        ProviderKind::Vault => {
            let url = said("url").unwrap_or(("url", "${VAULT_ADDR}".to_owned()));
            let token = ("token", "${VAULT_TOKEN}".to_owned());
            ("token", [Some(url), Some(token), said("namespace")].into_iter().flatten().collect())
        }
    };
    Login { alias: block.alias.value.clone(), kind: block.kind.as_str(), auth, settings }
}

fn kinds(session: &Session, block: &ProviderBlock, args: &ImportArgs) -> Result<Vec<TargetKind>, Exit> {
    let all = block.kind.targets();
    if let Some(unknown) = args.target_type.iter().find(|name| !all.iter().any(|kind| kind.as_str() == *name)) {
        let names: Vec<&str> = all.iter().map(|kind| kind.as_str()).collect();
        let reason = format!("a provider of kind `{}` has no targets of kind {}", block.kind.as_str(), quote(unknown));
        return Err(session.fail(Exit::Error, &reason, &format!("known are: {}", names.join(", "))));
    }
    // Without a value there is nothing to take over, so it is looked for only if that is asked for.
    let wanted = |kind: &&TargetKind| match args.target_type.as_slice() {
        [] => kind.holds_value(),
        named => named.iter().any(|name| name == kind.as_str()),
    };
    Ok(all.iter().filter(wanted).copied().collect())
}

fn connect(session: &Session, block: &ProviderBlock, args: &ImportArgs) -> Result<Arc<dyn Provider>, Exit> {
    let folder = session.common.file.parent().unwrap_or(Path::new(""));
    let store = session.connecting(folder, args.calls, &[], None).one(block);
    store.iter().for_each(|store| session.connected.add(store));
    store.ok_or_else(|| {
        let reason = format!("providers of kind `{}` are not built into this version", block.kind.as_str());
        session.fail(Exit::Error, &reason, "declare what they hold by hand, with `kind: external` and `adopt: true`")
    })
}

fn refused(session: &Session, error: &Error, kind: Option<TargetKind>) -> Exit {
    match (error.kind.clone(), kind) {
        (ErrorKind::Unsupported, _) => {
            let help = "declare what it holds by hand; `secretzero init` finds the names in `.env` files";
            session.fail(Exit::Error, &error.message, help)
        }
        (ErrorKind::Invalid, _) => session.fail(Exit::Error, &error.message, ""),
        (_, Some(kind)) => {
            let help = format!("`--target-type` limits the import to one kind; this was `{}`", kind.as_str());
            session.fail(Exit::Provider, &error.message, &help)
        }
        (_, None) => session.fail(Exit::Provider, &error.message, ""),
    }
}

/// What is written down, and what is not.
struct Part {
    text: String,
    declared: usize,
    left_out: Vec<(String, String)>,
    valid: Result<(), String>,
}

impl Part {
    fn of(
        session: &Session,
        workspace: Option<&Workspace>,
        args: &ImportArgs,
        block: &ProviderBlock,
        identity: &Identity,
        found: &[(Listed, bool)],
    ) -> Self {
        let head = head(session, workspace, args, block, identity, found.len());
        let now = session.clock.now();
        let mut names = Names::taken(
            workspace.iter().flat_map(|w| w.manifest.secrets.iter().map(|secret| secret.name.value.as_str())),
        );
        let declared = declared(workspace, block);
        let (mut entries, mut left_out) = (String::new(), Vec::new());
        let mut count = 0;
        // A name in Secrets Manager, and the secret that it became.
        let mut twins = std::collections::BTreeMap::new();
        for (listed, readable) in found {
            let (kind, object) = (listed.settings.kind(), listed.settings.name());
            let place = format!("{} `{object}`", kind.title());
            if let Some(why) = why_not(listed, *readable, declared.contains(&place_of(&listed.settings))) {
                left_out.push((place, why));
                continue;
            }
            // Names are given even if the entry is not sound, so that one object's fault renames no other.
            let name = names.unique(&after_prefix(object, prefix_of_names(&args.prefix)), short(kind));
            let bare = object.trim_start_matches('/').to_owned();
            let twin = twins.get(&bare).map(|other: &String| twin_note(other));
            twins.entry(bare).or_insert_with(|| name.clone());
            let alias = block.alias.value.as_str();
            let plain = entry(&name, None, alias, &listed.settings);
            match sound(&head, &plain, &listed.settings, now) {
                Ok(()) => {
                    entries.push('\n');
                    entries.push_str(&entry(&name, twin.as_deref(), alias, &listed.settings));
                    count += 1;
                }
                Err(why) => left_out.push((place, why)),
            }
        }
        let mut text = head.text();
        text.push_str(if count == 0 { "\nsecrets: []\n" } else { "\nsecrets:" });
        text.push_str(&entries);
        if !left_out.is_empty() {
            text.push_str("\n# Not declared:\n");
        }
        for (place, why) in &left_out {
            text.push_str(&format!("# - {}\n", super::draft::scalar::comment(&format!("{place}: {why}"))));
        }
        let valid = read_back(&text, now).map(|_| ());
        Self { text, declared: count, left_out, valid }
    }

    /// Prints the part or writes it, and says what comes next.
    fn deliver(&self, session: &Session, args: &ImportArgs) -> Result<Exit, Exit> {
        let console = &session.console;
        if let Err(why) = &self.valid {
            let help = "this is a fault of SecretZero; please report it. `--prefix` and `--target-type` narrow it down";
            return Err(session.fail(Exit::Error, &format!("what was found makes no valid Secretfile: {why}"), help));
        }
        let to_stdout = args.output == Path::new("-");
        if !to_stdout && let Err(error) = session.disk.replace(&args.output, self.text.as_bytes()) {
            let reason = format!("{} cannot be written: {error}", args.output.display());
            return Err(session.fail(Exit::Error, &reason, "check the path, its folder and its permissions"));
        }
        if console.is_json() {
            let left_out: Vec<_> = self.left_out.iter().map(|(at, why)| json!({"place": at, "why": why})).collect();
            console.json(&json!({
                "declared": self.declared,
                "left_out": left_out,
                "secretfile": to_stdout.then_some(&self.text),
                "output": (!to_stdout).then(|| args.output.display().to_string()),
                "exit_code": Exit::Done as u8,
            }));
        } else if to_stdout {
            console.raw(self.text.trim_end());
        }
        let good = console.paint(Tone::Good, "✓");
        let mut told = format!("{good} {} to adopt", plural(self.declared, "object"));
        if !self.left_out.is_empty() {
            told.push_str(&format!(", {} left out; the end of the part says why", self.left_out.len()));
        }
        console.note(&told);
        let next =
            "take the entries over into your Secretfile.yml and open a pull request: its plan shows what a sync adopts";
        console.note(&format!("  {} {next}", console.paint(Tone::Dim, "next:")));
        Ok(Exit::Done)
    }
}

fn head(
    session: &Session,
    workspace: Option<&Workspace>,
    args: &ImportArgs,
    block: &ProviderBlock,
    identity: &Identity,
    found: usize,
) -> Head {
    let region = identity.region.clone().or_else(|| block.setting("region").map(str::to_owned));
    let place = region.as_deref().map(|region| format!(", {region}")).unwrap_or_default();
    let begin = if args.prefix.is_empty() { String::new() } else { format!(" whose name begins with {}", args.prefix) };
    let mut notes = vec![
        format!("{} of account {}{place}{begin}.", plural(found, "object"), identity.account),
        "Names, tags, descriptions, keys and regions; no value was read. A sync adopts each as it stands.".to_owned(),
    ];
    let metadata = workspace.map(|workspace| &workspace.manifest.metadata);
    let mut lines: Vec<(&'static str, String)> = Vec::new();
    if let Some(metadata) = metadata {
        notes.push(format!(
            "{} exists: take the secrets over into it. Its own `{}` counts there.",
            session.common.file.display(),
            block.alias.value
        ));
        let texts = [("project", &metadata.project), ("project_id", &metadata.project_id)];
        lines.extend(texts.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?.value.clone()))));
    }
    if lines.is_empty() {
        let words = prefix_of_names(&args.prefix).trim_matches('/').replace('/', "-");
        notes.push("Every mark names the project: choose it before the first sync, and keep it.".to_owned());
        lines.push(("project", if words.is_empty() { "imported".to_owned() } else { words }));
    }
    Head { notes, metadata: lines, provider: login(block, region.as_deref()) }
}

/// What the Secretfile says of this provider already.
fn declared(workspace: Option<&Workspace>, block: &ProviderBlock) -> BTreeSet<(TargetKind, String, String)> {
    let Some(Workspace { manifest, .. }) = workspace else { return BTreeSet::new() };
    let same = |index: usize| manifest.providers.get(index).is_some_and(|known| known.alias.value == block.alias.value);
    let targets = manifest.secrets.iter().flat_map(|secret| &secret.targets).filter(|target| same(target.provider));
    targets.map(|target| place_of(&target.settings)).collect()
}

/// A place within a provider: kind, vault or mount or project, and name.
fn place_of(settings: &TargetSettings) -> (TargetKind, String, String) {
    let within = match settings {
        TargetSettings::KeyVault(s) => s.vault_url.as_str(),
        TargetSettings::KeyVaultCertificate(s) => s.vault_url.as_str(),
        TargetSettings::Kv(s) => s.mount_point.as_str(),
        _ => "",
    };
    (settings.kind(), within.to_owned(), settings.name().to_owned())
}

/// Why an object is not declared.
fn why_not(listed: &Listed, readable: bool, declared: bool) -> Option<String> {
    if declared {
        return Some("the Secretfile declares it already".into());
    }
    if listed.mark.is_some() {
        return Some("it carries SecretZero's mark already; whoever declares it has it in another Secretfile".into());
    }
    if let Some(by) = &listed.managed_by {
        return Some(format!("it is not yours to write: {by}"));
    }
    if listed.pending_deletion {
        return Some("it is scheduled for deletion".into());
    }
    if !listed.settings.kind().holds_value() {
        return Some("it holds no value that could be taken over; declare its settings by hand".into());
    }
    if !readable {
        return Some("its value cannot be read back, so it cannot be taken over; declare it with its own value".into());
    }
    (!listed.has_value).then(|| "it has no value yet".into())
}

fn twin_note(other: &str) -> String {
    format!(
        "An object of this name is `{other}` above. Whether the two values are equal cannot be told without reading them."
    )
}
