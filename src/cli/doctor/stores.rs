//! The stores of the Secretfile: whether they answer, and as whom.

use futures_util::future::join_all;

use super::Row;
use crate::cli::args::{Backoff, CallArgs, RateLimit};
use crate::cli::session::{Session, Workspace};
use crate::cli::trusted::{LEFT_OUT, may_sync};
use crate::connect::lacks;
use crate::manifest::ProviderKind;

/// Somebody waits for the answer, so a store is not tried for long.
const TRIES: u32 = 2;

pub(super) async fn stores(session: &Session, workspace: Option<&Workspace>) -> Vec<Row> {
    let Some(workspace) = workspace else {
        return vec![Row::skipped("stores", "not asked: the Secretfile is not valid")];
    };
    let calls =
        CallArgs { rate_limit: RateLimit::Auto, retry_max_attempts: TRIES, retry_backoff: Backoff::Exponential };
    let trusted = may_sync(&session.environment);
    let connect = session.connecting(&workspace.folder, calls, &[], None);
    let (stores, federation) = (connect.all(&workspace.manifest), &connect.federation);
    let remote =
        workspace.manifest.providers.iter().zip(&stores).filter(|(block, _)| block.kind != ProviderKind::Local);
    let asked = join_all(remote.map(|(block, store)| async move {
        let alias = &block.alias.value;
        let Some(store) = store else {
            return Row::skipped("stores", format!("{alias}: not built into this version"));
        };
        if !trusted {
            return Row::skipped("stores", format!("{alias}: {LEFT_OUT}"));
        }
        if !lacks(block, federation).is_empty() {
            return Row::skipped("stores", format!("{alias}: not asked, since it lacks a setting"));
        }
        match store.identity().await {
            Ok(identity) => {
                let who = if identity.principal.is_empty() { identity.account } else { identity.principal };
                Row::good("stores", format!("{alias}: answers, as {who}"))
            }
            Err(error) => Row::wrong("stores", format!("{alias}: {error}"), ""),
        }
    }))
    .await;
    if asked.is_empty() { vec![Row::skipped("stores", "none but local files")] } else { asked }
}
