//! `test`: connects to every provider at once and shows who we are there; what cannot be reached is
//! told with what to run next.
//!
//! It asks for the identity and nothing else, which needs the least right that proves something. A
//! login at Azure says nothing of its vaults, so each vault of the Secretfile is asked for one object's
//! metadata too.

use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::advice::{Advice, advice};
use super::args::StoreArgs;
use super::console::{Console, Tone};
use super::exit::Exit;
use super::session::{Depth, Session, Workspace};
use super::trusted::{LEFT_OUT, may_sync};
use crate::manifest::{ProviderBlock, ProviderKind};
use crate::plan::observe::place;
use crate::provider::{Error, ErrorKind, Identity, Probe, Provider, Reading, Result};
use crate::target::{Place, TargetSettings};

/// What one provider answered.
struct Answer<'a> {
    block: &'a ProviderBlock,
    /// Why it was not asked, if it was not.
    identity: std::result::Result<Result<Identity>, &'static str>,
    milliseconds: u128,
    vaults: Vec<Vault>,
}

/// One vault that a login reaches, or not.
struct Vault {
    url: String,
    error: Option<Error>,
    milliseconds: u128,
}

impl Answer<'_> {
    fn is_failure(&self) -> bool {
        matches!(self.identity, Ok(Err(_))) || self.vaults.iter().any(|vault| vault.error.is_some())
    }
}

/// `secretzero test`.
pub(super) async fn test(session: &Session, args: &StoreArgs) -> std::result::Result<Exit, Exit> {
    let workspace = session.open(Depth::NAMES)?;
    let scope = session.scope(&workspace.manifest, args)?;
    let stores = session.connect(&workspace, args, None);
    let trusted = may_sync(&session.environment);
    let named = |block: &ProviderBlock| {
        let is_name = |name: &String| *name == block.alias.value || name == block.kind.as_str();
        scope.providers.is_empty() || scope.providers.iter().any(is_name)
    };
    let blocks = workspace.manifest.providers.iter().enumerate().zip(&stores);
    let asked = blocks.filter(|((_, block), _)| named(block)).map(|((index, block), store)| {
        let vaults = vaults(&workspace, index);
        async move {
            let not_asked = |why| Answer { block, identity: Err(why), milliseconds: 0, vaults: Vec::new() };
            match store {
                None => not_asked(NOT_BUILT),
                Some(_) if !trusted && block.kind != ProviderKind::Local => not_asked(LEFT_OUT),
                Some(store) => ask(block, store.as_ref(), vaults).await,
            }
        }
    });
    let answers = join_all(asked).await;
    for store in stores.iter().flatten() {
        store.close().await;
    }
    let console = &session.console;
    answers.iter().for_each(|answer| tell(console, answer));
    let failed = answers.iter().any(Answer::is_failure);
    if console.is_json() {
        let rows: Vec<Json> = answers.iter().map(row).collect();
        console.json(&json!({ "ok": !failed, "providers": rows }));
    }
    Ok(if failed { Exit::Provider } else { Exit::Done })
}

async fn ask<'a>(block: &'a ProviderBlock, store: &dyn Provider, vaults: Vec<(String, Place)>) -> Answer<'a> {
    let started = Instant::now();
    let identity = store.identity().await;
    let milliseconds = started.elapsed().as_millis();
    let vaults = if identity.is_ok() { vaults } else { Vec::new() };
    let vaults = join_all(vaults.into_iter().map(|(url, place)| async move {
        let started = Instant::now();
        let probe = Probe { place: &place, expected_mark: None };
        let seen = store.observe(&[probe], Reading::Each).await.pop();
        let error = seen.and_then(std::result::Result::err).filter(|error| error.kind != ErrorKind::NotFound);
        Vault { url, error, milliseconds: started.elapsed().as_millis() }
    }));
    Answer { block, identity: Ok(identity), milliseconds, vaults: vaults.await }
}

/// The vaults that targets of a provider name, each with one place in it.
fn vaults(workspace: &Workspace, provider: usize) -> Vec<(String, Place)> {
    let mut vaults: Vec<(String, Place)> = Vec::new();
    for secret in &workspace.manifest.secrets {
        for target in secret.targets.iter().filter(|target| target.provider == provider) {
            let url = match &target.settings {
                TargetSettings::KeyVault(settings) => &settings.vault_url,
                TargetSettings::KeyVaultCertificate(settings) => &settings.vault_url,
                _ => continue,
            };
            if !vaults.iter().any(|(known, _)| known == url) {
                let mut place = place(secret, target);
                // The vault is tested; whether somebody disabled the secret there is for a plan to tell.
                if let TargetSettings::KeyVault(settings) = &mut place.settings {
                    settings.enabled = Some(true);
                }
                vaults.push((url.clone(), place));
            }
        }
    }
    vaults
}

fn tell(console: &Console, answer: &Answer<'_>) {
    let Answer { block, identity, milliseconds, vaults } = answer;
    let (alias, kind) = (block.alias.value.as_str(), block.kind.as_str());
    let title = if alias == kind { alias.to_owned() } else { format!("{alias} ({kind})") };
    let good = console.paint(Tone::Good, "✓");
    match identity {
        Ok(Ok(identity)) => {
            let local = block.kind == ProviderKind::Local;
            let time = if local { String::new() } else { format!(" in {milliseconds} ms") };
            console.line(&format!("{good} {title}: {}{time}", describe(identity, local)));
        }
        Ok(Err(error)) => refused(console, block, &title, error),
        Err(why) => console.line(&format!("{} {title}: {why}", console.paint(Tone::Warn, "!"))),
    }
    for Vault { url, error, milliseconds } in vaults {
        match error {
            None => console.line(&format!("{good} {title}: {url} in {milliseconds} ms")),
            Some(error) => refused(console, block, &format!("{title}: {url}"), error),
        }
    }
}

const NOT_BUILT: &str = "not built into this version; its targets are checked but not written";

fn refused(console: &Console, block: &ProviderBlock, title: &str, error: &Error) {
    let Advice { problem, next } = advice(block, &error.kind);
    let message = &error.message;
    // Some errors begin with the sentence already.
    let said = if message.contains(problem) { message.clone() } else { format!("{problem}: {message}") };
    console.line(&format!("{} {title}: {said}", console.paint(Tone::Bad, "✗")));
    for command in next {
        console.line(&format!("  {} {command}", console.paint(Tone::Dim, "run:")));
    }
}

fn row(answer: &Answer<'_>) -> Json {
    let Answer { block, identity, milliseconds, vaults } = answer;
    let mut row = json!({ "provider": block.alias.value, "kind": block.kind.as_str(), "ok": !answer.is_failure() });
    let mut add = |fields: Json| {
        if let (Some(row), Json::Object(fields)) = (row.as_object_mut(), fields) {
            row.extend(fields);
        }
    };
    let failure = |error: &Error| {
        let Advice { problem, next } = advice(block, &error.kind);
        json!({ "error": error.message, "problem": problem, "next": next })
    };
    match identity {
        Ok(Ok(identity)) => add(json!({ "account": identity.account, "principal": identity.principal,
            "region": identity.region, "milliseconds": milliseconds })),
        Ok(Err(error)) => add(failure(error)),
        Err(why) => add(json!({ "ok": false, "error": why })),
    }
    if !vaults.is_empty() {
        let vaults = vaults.iter().map(|Vault { url, error, milliseconds }| match error {
            None => json!({ "url": url, "ok": true, "milliseconds": milliseconds }),
            Some(error) => json!({ "url": url, "ok": false, "failure": failure(error) }),
        });
        add(json!({ "vaults": vaults.collect::<Vec<_>>() }));
    }
    row
}

/// Who and where: `arn:aws:iam::123456789012:user/test, us-east-1`, `approle at vault.example.com:8200`.
fn describe(Identity { account, principal, region }: &Identity, local: bool) -> String {
    let region = region.as_deref().map(|region| format!(", {region}")).unwrap_or_default();
    match principal.as_str() {
        "" => format!("{account}{region}"),
        // An ARN names the account; of this machine's folder there is nothing to say.
        principal if local || account.is_empty() || principal.contains(account.as_str()) => {
            format!("{principal}{region}")
        }
        principal => format!("{principal} at {account}{region}"),
    }
}
