//! What stands in the vaults, without its values: a list where that is cheaper, else the versions of
//! each object, which tell tags and dates and need no right to read values.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::join_all;
use tokio::sync::OnceCell;

use super::model::{Collection, Item};
use super::objects::{self, Object};
use super::wire::{Call, Wire};
use super::{Part, attributes, stamp};
use crate::provider::{Error, ErrorKind, Observed, Reading, Result};

/// Fewer places in a vault than this are read one by one.
const LIST_FROM: usize = 4;

/// Objects on a page, for the decision when to stop reading other people's.
const PER_PAGE: usize = 25;

/// One kind of objects in one vault.
type Shelf<'p> = (Collection, &'p str);

/// The recycle bin of each shelf, listed at most once: by lower-case name, or why it cannot be.
type Bins<'p> = HashMap<Shelf<'p>, OnceCell<Result<HashMap<String, Item>>>>;

/// What stands at each place, in the order asked.
pub(super) async fn observe(wire: &Wire, at: &[Result<Part<'_>>], reading: Reading) -> Vec<Result<Option<Observed>>> {
    let parts: Vec<Part<'_>> = at.iter().flatten().copied().collect();
    let mut shelves: BTreeMap<Shelf<'_>, Vec<Part<'_>>> = BTreeMap::new();
    for part in &parts {
        let object = part.object();
        shelves.entry((object.collection, object.vault)).or_default().push(*part);
    }
    let bins: Bins<'_> = shelves.keys().map(|shelf| (*shelf, OnceCell::new())).collect();
    let listed = join_all(shelves.iter().map(|(shelf, parts)| async move {
        match reading {
            Reading::List if parts.len() >= LIST_FROM => (*shelf, listed(wire, *shelf, parts).await),
            _ => (*shelf, HashMap::new()),
        }
    }));
    let listed: HashMap<Shelf<'_>, HashMap<String, Option<Observed>>> = listed.await.into_iter().collect();
    let (bins, listed) = (&bins, &listed);
    join_all(at.iter().map(|part| async move {
        let part = part.as_ref().map_err(Clone::clone)?;
        let object = part.object();
        let shelf = listed.get(&(object.collection, object.vault));
        match shelf.and_then(|shelf| shelf.get(&object.name.to_ascii_lowercase())) {
            Some(observed) => Ok(observed.clone()),
            None => one(wire, *part, bins).await,
        }
    }))
    .await
}

/// What a list tells, by lower-case name. A name is missing if the list says nothing certain of it: it
/// is too long or forbidden, the object's mark does not go with it, or it is disabled.
async fn listed(wire: &Wire, shelf: Shelf<'_>, parts: &[Part<'_>]) -> HashMap<String, Option<Observed>> {
    let (collection, vault) = shelf;
    let wanted: HashMap<String, Part<'_>> =
        parts.iter().map(|part| (part.object().name.to_ascii_lowercase(), *part)).collect();
    // Beyond this one read each is cheaper than other people's objects.
    let items_max = (2 + wanted.len() / PER_PAGE + wanted.len() / 4) * PER_PAGE;
    let mut found: HashMap<String, Option<Item>> = HashMap::new();
    let mut read = 0;
    let path = [collection.path()];
    let right = if collection == Collection::Secrets { "secrets/list" } else { "certificates/list" };
    let call = Call::get(right, vault, "", &path);
    let answer = wire
        .pages(&call, |page| {
            read += page.len();
            let named = page.into_iter().map(|item| (item.name().to_ascii_lowercase(), Some(item)));
            found.extend(named.filter(|(name, _)| wanted.contains_key(name)));
            read >= items_max || found.len() == wanted.len()
        })
        .await;
    match answer {
        Ok(true) => {
            for name in wanted.keys() {
                found.entry(name.clone()).or_insert(None);
            }
        }
        Ok(false) => {}
        Err(error) => {
            tracing::debug!("no list, one read each instead: {error}");
            return HashMap::new();
        }
    }
    let judged = found.into_iter().filter_map(|(name, item)| match item {
        Some(item) => {
            let stamped = stamp::read(item.mark(), item.attributes.created, None);
            let version = stamped.version?;
            let part = wanted.get(&name).copied()?;
            objects::enabled(part, &item).ok()?;
            Some((name, Some(seen(part, &item, version, stamped.mark, true))))
        }
        None => Some((name, None)),
    });
    judged.collect()
}

/// One object by itself: its versions, else its place in the recycle bin.
async fn one(wire: &Wire, part: Part<'_>, bins: &Bins<'_>) -> Result<Option<Observed>> {
    let object = part.object();
    if let Some(item) = objects::current(wire, object).await? {
        objects::enabled(part, &item)?;
        let version = item.version().unwrap_or_default().to_owned();
        let stamped = stamp::read(item.mark(), item.attributes.created, Some(&version));
        return Ok(Some(seen(part, &item, version, stamped.mark, false)));
    }
    if let Some(item) = in_bin(wire, object, bins).await? {
        let version = item.version().map(str::to_owned);
        let stamped = stamp::read(item.mark(), item.attributes.created, version.as_deref());
        let version = version.or(stamped.version).unwrap_or_default();
        return Ok(Some(Observed { pending_deletion: true, ..seen(part, &item, version, stamped.mark, false) }));
    }
    match part {
        Part::Secret(_) => Ok(None),
        Part::Certificate(_) => Ok(namesake(wire, object).await),
    }
}

/// What is in the recycle bin under that name. Whoever may only list reads the whole bin, once.
async fn in_bin(wire: &Wire, object: Object<'_>, bins: &Bins<'_>) -> Result<Option<Item>> {
    match objects::deleted(wire, object).await {
        Err(error) if error.kind == ErrorKind::PermissionDenied => {}
        answer => return answer,
    }
    let Some(bin) = bins.get(&(object.collection, object.vault)) else { return Ok(None) };
    let list = || async {
        let items = objects::all_deleted(wire, object.collection, object.vault).await?;
        Ok(items.into_iter().map(|item| (item.name().to_ascii_lowercase(), item)).collect())
    };
    match bin.get_or_init(list).await {
        Ok(bin) => Ok(bin.get(&object.name.to_ascii_lowercase()).cloned()),
        // Whoever may not look there finds out when writing: the vault refuses with its own word.
        Err(error) if error.kind == ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(Error::clone(error)),
    }
}

/// A certificate is a secret of the same name as well, so a secret that stands there already is in its
/// way (<https://learn.microsoft.com/azure/key-vault/certificates/about-certificates>).
async fn namesake(wire: &Wire, object: Object<'_>) -> Option<Observed> {
    let secret = Object { collection: Collection::Secrets, ..object };
    let item = match objects::current(wire, secret).await {
        Ok(item) => item.filter(|item| !item.managed)?,
        Err(error) => {
            tracing::debug!("whether a secret has the name of {} is not known: {error}", object.shown());
            return None;
        }
    };
    Some(Observed {
        version: item.version().unwrap_or_default().to_owned(),
        mark: None,
        attributes: attributes::observed(None, &item),
        pending_deletion: false,
        managed_by: Some(
            "a secret of the same name stands in the vault, and a certificate needs that name for its own; choose \
             another `certificate_name`"
                .into(),
        ),
        from_list: false,
    })
}

fn seen(part: Part<'_>, item: &Item, version: String, mark: Option<String>, from_list: bool) -> Observed {
    let managed = item.managed && matches!(part, Part::Secret(_));
    Observed {
        version,
        mark,
        attributes: attributes::observed(Some(part), item),
        pending_deletion: false,
        managed_by: managed.then(|| "it belongs to the certificate of the same name".into()),
        from_list,
    }
}
