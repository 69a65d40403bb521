//! `test`: connects to every provider and shows who we are there.

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use super::args::StoreArgs;
use super::console::Tone;
use super::exit::Exit;
use super::session::{Depth, Session};
use crate::manifest::ProviderKind;
use crate::oidc::Phase;
use crate::provider::Identity;

/// `secretzero test`.
pub(super) async fn test(session: &Session, args: &StoreArgs) -> Result<Exit, Exit> {
    let workspace = session.open(Depth::NAMES)?;
    let scope = session.scope(&workspace.manifest, args)?;
    let stores = session.connect(&workspace, args, Phase::Sync);
    let asked = join_all(workspace.manifest.providers.iter().zip(&stores).map(|(block, store)| async move {
        let started = Instant::now();
        let answer = match store {
            Some(store) => Some(store.identity().await),
            None => None,
        };
        (block, answer, started.elapsed().as_millis())
    }))
    .await;
    let console = &session.console;
    let (mut failed, mut rows) = (false, Vec::new());
    for (block, answer, ms) in asked {
        let (alias, kind) = (block.alias.value.as_str(), block.kind.as_str());
        if !scope.providers.is_empty() && !scope.providers.iter().any(|name| name == alias || name == kind) {
            continue;
        }
        let title = if alias == kind { alias.to_owned() } else { format!("{alias} ({kind})") };
        match answer {
            Some(Ok(identity)) => {
                let good = console.paint(Tone::Good, "✓");
                let time = if block.kind == ProviderKind::Local { String::new() } else { format!(" in {ms} ms") };
                console.line(&format!("{good} {title}: {}{time}", describe(&identity)));
                rows.push(json!({"provider": alias, "kind": kind, "ok": true, "account": identity.account,
                    "principal": identity.principal, "region": identity.region, "milliseconds": ms}));
            }
            Some(Err(error)) => {
                failed = true;
                console.line(&format!("{} {title}: {error}", console.paint(Tone::Bad, "✗")));
                rows.push(json!({"provider": alias, "kind": kind, "ok": false, "error": error.to_string()}));
            }
            None => {
                let text = "not built into this version; its targets are checked but not written";
                console.line(&format!("{} {title}: {text}", console.paint(Tone::Warn, "!")));
                rows.push(json!({"provider": alias, "kind": kind, "ok": false, "error": text}));
            }
        }
    }
    if console.is_json() {
        console.json(&json!({ "ok": !failed, "providers": rows }));
    }
    Ok(if failed { Exit::Provider } else { Exit::Done })
}

fn describe(identity: &Identity) -> String {
    let region = identity.region.as_deref().map(|region| format!(", {region}")).unwrap_or_default();
    match identity.principal.as_str() {
        "" => format!("{}{region}", identity.account),
        principal => format!("{principal}{region}"),
    }
}
