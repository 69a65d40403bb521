//! The stores of the Secretfile: whether they answer, as whom, and whether a plan could read values there.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;

use super::Look;
use super::row::Row;
use crate::connect::lacks;
use crate::manifest::{ProviderBlock, Secret};
use crate::oidc::Phase;
use crate::plan::observe::place;
use crate::provider::Provider;
use crate::target::Place;

const AREA: &str = "stores";

/// Most secrets that a row names.
const NAMES_MAX: usize = 3;

/// `refused`: audiences for which no token is to be had.
pub(super) async fn stores(look: &Look, refused: &BTreeSet<String>) -> Vec<Row> {
    let asked = look.remote().map(|(index, block, store)| store_of(look, index, block, store, refused));
    let rows: Vec<Row> = join_all(asked).await.into_iter().flatten().collect();
    if rows.is_empty() { vec![Row::skipped(AREA, "none but local files")] } else { rows }
}

async fn store_of(
    look: &Look,
    index: usize,
    block: &ProviderBlock,
    store: Option<&Arc<dyn Provider>>,
    refused: &BTreeSet<String>,
) -> Vec<Row> {
    let alias = &block.alias.value;
    let skipped = |why: &str| vec![Row::skipped(AREA, format!("{alias}: {why}"))];
    let Some(store) = store else { return skipped("not built into this version") };
    if let Some(why) = &look.withheld {
        return skipped(why);
    }
    if !lacks(block, &look.federation).is_empty() {
        return skipped("not asked, since it lacks a setting");
    }
    if store.audience().is_some_and(|audience| refused.contains(&audience)) {
        return skipped("not asked, since there is no token to log in with");
    }
    match store.identity().await {
        Ok(identity) => {
            let who = if identity.principal.is_empty() { identity.account } else { identity.principal };
            let mut rows = vec![Row::good(AREA, format!("{alias}: answers, as {who}"))];
            if look.federation.phase == Phase::Plan {
                rows.extend(readable(look, index, alias, store.as_ref()).await);
            }
            rows
        }
        Err(error) => vec![Row::wrong(AREA, format!("{alias}: {error}"), "")],
    }
}

/// Whether whoever plans could read values. Vault and Google tell every login what it may do itself. AWS
/// tells that only to those who may call `iam:SimulatePrincipalPolicy`, and Azure only to those who may
/// read role assignments (`Microsoft.Authorization/*/read`), which no plan needs; to try and read a value
/// instead would do the very thing that is to be ruled out. `trust lint` judges those rights by their text.
async fn readable(look: &Look, index: usize, alias: &str, store: &dyn Provider) -> Option<Row> {
    let of_secret = |secret: &Secret| {
        let here = secret.targets.iter().filter(|target| target.provider == index);
        here.map(|target| (secret.name.value.clone(), place(secret, target))).collect::<Vec<_>>()
    };
    let places: Vec<(String, Place)> = look.workspace.manifest.secrets.iter().flat_map(of_secret).collect();
    let at: Vec<&Place> = places.iter().map(|(_, place)| place).collect();
    let could = match store.could_read(&at).await {
        Ok(could) => could,
        Err(error) => return Some(Row::warning(AREA, format!("{alias}: what the plan may read: {error}"), "")),
    };
    let readable = places.iter().zip(&could).filter(|(_, could)| **could == Some(true));
    let mut names: Vec<&str> = readable.map(|((name, _), _)| name.as_str()).collect();
    names.dedup();
    if names.is_empty() {
        // What is not told is not claimed.
        let all = !could.is_empty() && could.iter().all(|could| *could == Some(false));
        return all.then(|| Row::good(AREA, format!("{alias}: the plan may read no value")));
    }
    let more = names.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown = names.iter().take(NAMES_MAX).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let text = format!("{alias}: the plan may read values: {shown}{more}; so may whoever opens a pull request");
    let help = "take that right from the plan's role; `secretzero permissions --phase plan` prints what it needs";
    Some(Row::warning(AREA, text, help))
}
