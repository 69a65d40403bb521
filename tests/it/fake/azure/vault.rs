//! The verbs of a vault: `secrets`, `certificates` and their recycle bins.
//!
//! Shapes and rights: <https://learn.microsoft.com/rest/api/keyvault/>. Codes, inner codes and the order
//! of events are those of the traffic that Microsoft recorded for the tests of its own clients
//! (`Azure/azure-sdk-for-js`, `Azure/azure-sdk-for-python`).

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::certificates;
use super::world::{Object, State, Version, World, item};
use super::{Refusal, Request};

/// <https://learn.microsoft.com/azure/key-vault/secrets/about-secrets>
const VALUE_BYTES_MAX: usize = 25 * 1024;
/// <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates>
const NAME_CHARS_MAX: usize = 127;
/// The same page.
const TAGS_MAX: usize = 15;
/// The same page says 512 for names, others 256 for both; the stricter counts.
const TAG_CHARS_MAX: usize = 256;
/// <https://learn.microsoft.com/rest/api/keyvault/secrets/get-secrets>
const PAGE_MAX: usize = 25;

/// What an operation answers.
pub(super) type Answer = Result<(u16, Json), Refusal>;

/// The right that a request needs; the words are those of an access policy
/// (<https://learn.microsoft.com/rest/api/keyvault/secrets/update-secret>: PATCH needs `set`).
pub(super) fn right(method: &str, path: &[String]) -> String {
    let shelf = path.first().map_or("", String::as_str);
    let what = if shelf.ends_with("certificates") { "certificates" } else { "secrets" };
    let deleted = shelf.starts_with("deleted");
    let word = match (method, path.len()) {
        ("GET", 1) => "list",
        ("GET", 3) if path.get(2).is_some_and(|last| last == "versions") => "list",
        ("GET", _) => "get",
        ("DELETE", _) if deleted => "purge",
        ("DELETE", _) => "delete",
        ("POST", _) if deleted => "recover",
        ("POST", _) => "import",
        ("PUT", _) => "set",
        ("PATCH", _) if what == "secrets" => "set",
        ("PATCH", _) => "update",
        _ => "nothing",
    };
    format!("{what}/{word}")
}

/// Carries a request out.
pub(super) fn act(world: &mut World, request: &Request) -> Answer {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let (shelf, rest) = path.split_first().ok_or_else(|| Refusal::new(404, "NotFound"))?;
    if !matches!(*shelf, "secrets" | "certificates" | "deletedsecrets" | "deletedcertificates") {
        return Err(Refusal::new(404, "NotFound"));
    }
    if let Some(name) = rest.first() {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !plain || !(1..=NAME_CHARS_MAX).contains(&name.len()) {
            return Err(Refusal::new(400, "BadParameter"));
        }
    }
    look(world, request);
    match (request.method.as_str(), *shelf, rest) {
        ("GET", _, []) => list(world, request, shelf),
        ("GET", "secrets" | "certificates", [name, "versions"]) => versions(world, request, shelf, name),
        ("GET", "secrets" | "certificates", [name, version @ ..]) => get(world, request, shelf, name, version.first()),
        ("PUT", "secrets", [name]) => put(world, request, name),
        ("POST", "certificates", [name, "import"]) => certificates::import(world, request, name),
        ("PATCH", "secrets" | "certificates", [name, version @ ..]) => {
            patch(world, request, shelf, name, version.first())
        }
        ("DELETE", "secrets" | "certificates", [name]) => delete(world, request, shelf, name),
        ("GET", _, [name]) => deleted(world, request, shelf, name),
        ("POST", _, [name, "recover"]) => recover(world, request, shelf, name),
        ("DELETE", _, [name]) => purge(world, request, shelf, name),
        _ => Err(Refusal::new(405, "MethodNotAllowed")),
    }
}

/// Time passes for the object that a read asks for.
fn look(world: &mut World, request: &Request) {
    let (Some(shelf), Some(name)) = (request.path.first(), request.path.get(1)) else { return };
    if request.method != "GET" {
        return;
    }
    if let Some(object) = world.vault(&request.host).shelf(shelf).get_mut(&name.to_ascii_lowercase()) {
        object.looked_at();
    }
}

fn not_found(shelf: &str) -> Refusal {
    Refusal::new(404, if shelf.ends_with("certificates") { "CertificateNotFound" } else { "SecretNotFound" })
}

fn live<'w>(world: &'w mut World, request: &Request, shelf: &str, name: &str) -> Result<&'w mut Object, Refusal> {
    let object = world.vault(&request.host).shelf(shelf).get_mut(&name.to_ascii_lowercase());
    object.filter(|object| object.state == State::Live).ok_or_else(|| not_found(shelf))
}

/// Whether a name is free for a new version; why not is told by an inner code.
pub(super) fn writable(world: &mut World, request: &Request, shelf: &str, name: &str) -> Result<(), Refusal> {
    let object = world.vault(&request.host).shelf(shelf).get(&name.to_ascii_lowercase());
    match object.map(|object| object.state) {
        None | Some(State::Live) => Ok(()),
        Some(State::Deleted) => Err(Refusal::inner(409, "Conflict", "ObjectIsDeletedButRecoverable")),
        Some(State::Deleting(_)) => Err(Refusal::inner(409, "Conflict", "ObjectIsBeingDeleted")),
        Some(State::Recovering(_)) => Err(Refusal::inner(409, "Conflict", "ObjectIsBeingRecovered")),
    }
}

/// Tags as a body gives them.
pub(super) fn tags(body: &Json) -> Result<BTreeMap<String, String>, Refusal> {
    let bad = || Refusal::new(400, "BadParameter");
    let Some(tags) = body.get("tags").filter(|tags| !tags.is_null()) else { return Ok(BTreeMap::new()) };
    let tags: BTreeMap<String, String> = serde_json::from_value(tags.clone()).map_err(|_| bad())?;
    let long = |text: &String| text.chars().count() > TAG_CHARS_MAX;
    if tags.len() > TAGS_MAX || tags.iter().any(|(key, value)| long(key) || long(value)) {
        return Err(bad());
    }
    Ok(tags)
}

/// Sets of a version what a body names.
fn change(version: &mut Version, body: &Json, dates: bool) {
    let attributes = &body["attributes"];
    if let Some(enabled) = attributes["enabled"].as_bool() {
        version.enabled = enabled;
    }
    if dates {
        version.exp = attributes["exp"].as_i64().or(version.exp);
        version.nbf = attributes["nbf"].as_i64().or(version.nbf);
    }
    if let Some(text) = body["contentType"].as_str() {
        version.content_type = Some(text.to_owned());
    }
}

/// Always a new version; there is no condition
/// (<https://learn.microsoft.com/rest/api/keyvault/secrets/set-secret>).
fn put(world: &mut World, request: &Request, name: &str) -> Answer {
    writable(world, request, "secrets", name)?;
    let bad = || Refusal::new(400, "BadParameter");
    let value = request.body["value"].as_str().ok_or_else(bad)?.to_owned();
    let tags = tags(&request.body)?;
    let long = request.body["contentType"].as_str().is_some_and(|text| text.chars().count() > 255);
    if value.len() > VALUE_BYTES_MAX || long {
        return Err(bad());
    }
    let existing = world.vault(&request.host).secrets.get(&name.to_ascii_lowercase());
    if existing.is_some_and(|object| object.current().managed) {
        return Err(Refusal::inner(403, "Forbidden", "SecretManagedByKeyVault"));
    }
    let (id, created) = (world.version_id(), world.tick());
    let mut version = Version { id, value, enabled: true, tags, created, updated: created, ..Version::default() };
    change(&mut version, &request.body, true);
    let object = world.vault(&request.host).secrets.entry(name.to_ascii_lowercase()).or_default();
    if object.name.is_empty() {
        name.clone_into(&mut object.name);
    }
    object.versions.push(version.clone());
    let mut answer = item(&request.host, "secrets", object, &version, true);
    answer.insert("value".into(), json!(version.value));
    Ok((200, Json::Object(answer)))
}

/// Tags are replaced as a whole, everything else only if it is named; the version stays and no value is
/// answered (<https://learn.microsoft.com/rest/api/keyvault/secrets/update-secret>). Of a certificate
/// the dates are ignored.
fn patch(world: &mut World, request: &Request, shelf: &str, name: &str, version: Option<&&str>) -> Answer {
    let new = request.body.get("tags").is_some().then(|| tags(&request.body)).transpose()?;
    let now = world.tick();
    let is_secret = shelf == "secrets";
    let object = live(world, request, shelf, name)?;
    let found = match version {
        Some(id) => object.versions.iter_mut().find(|version| version.id == **id),
        None => object.versions.last_mut(),
    };
    let version = found.ok_or_else(|| not_found(shelf))?;
    if is_secret && version.managed {
        return Err(Refusal::inner(403, "Forbidden", "SecretManagedByKeyVault"));
    }
    change(version, &request.body, is_secret);
    version.tags = new.unwrap_or_else(|| version.tags.clone());
    version.updated = now;
    let version = version.clone();
    Ok((200, Json::Object(certificates::with_parts(&request.host, shelf, object, &version))))
}

/// An unversioned read returns the newest version, also if it is disabled: then nothing can be read.
fn get(world: &mut World, request: &Request, shelf: &str, name: &str, version: Option<&&str>) -> Answer {
    let object = live(world, request, shelf, name)?;
    let found = match version {
        Some(id) => object.versions.iter().find(|version| version.id == **id),
        None => object.versions.last(),
    };
    let version = found.ok_or_else(|| not_found(shelf))?;
    if shelf == "certificates" {
        return Ok((200, Json::Object(certificates::with_parts(&request.host, shelf, object, version))));
    }
    if !version.enabled {
        return Err(Refusal::inner(403, "Forbidden", "SecretDisabled"));
    }
    let mut answer = item(&request.host, shelf, object, version, true);
    answer.insert("value".into(), json!(version.value));
    Ok((200, Json::Object(answer)))
}

fn list(world: &mut World, request: &Request, shelf: &str) -> Answer {
    let bin = shelf.starts_with("deleted");
    let wanted = if bin { State::Deleted } else { State::Live };
    let host = request.host.clone();
    let objects: Vec<Object> =
        world.vault(&host).shelf(shelf).values().filter(|object| object.state == wanted).cloned().collect();
    let items = objects.iter().map(|object| {
        let mut shown = item(&host, shelf, object, object.current(), false);
        if bin {
            in_bin(&mut shown, &host, shelf, object);
        }
        Json::Object(shown)
    });
    page(world, request, items.collect())
}

/// Versions come in the order of their names, which say nothing about their age (seen by the authors
/// of <https://github.com/nagyesta/lowkey-vault/issues/467>).
fn versions(world: &mut World, request: &Request, shelf: &str, name: &str) -> Answer {
    let strict = world.strict_versions;
    let Ok(object) = live(world, request, shelf, name) else {
        return if strict { Err(not_found(shelf)) } else { Ok((200, json!({ "value": [], "nextLink": null }))) };
    };
    let mut versions = object.versions.clone();
    versions.sort_by(|a, b| a.id.cmp(&b.id));
    let object = object.clone();
    let items = versions.iter().map(|version| Json::Object(item(&request.host, shelf, &object, version, true)));
    page(world, request, items.collect())
}

/// At most 25 on a page; the link to the next names the port; an empty page may have a successor (both
/// as recorded).
fn page(world: &World, request: &Request, items: Vec<Json>) -> Answer {
    let size: usize = match request.query.get("maxresults") {
        Some(text) => text.parse().ok().filter(|n| (1..=PAGE_MAX).contains(n)),
        None => Some(PAGE_MAX),
    }
    .ok_or_else(|| Refusal::new(400, "BadParameter"))?;
    let token = request.query.get("$skiptoken").map_or("", String::as_str);
    let link = |token: String| {
        let version = request.query.get("api-version").map_or("", String::as_str);
        let path = request.path.join("/");
        format!("https://{}:443/{path}?api-version={version}&$skiptoken={token}&maxresults={size}", request.host)
    };
    if let Some(after) = token.strip_prefix("empty") {
        return Ok((200, json!({ "value": [], "nextLink": link(after.to_owned()) })));
    }
    let start: usize = token.parse().unwrap_or(0);
    let end = (start + size).min(items.len());
    let next = (end < items.len()).then(|| link(format!("{}{end}", if world.empty_pages { "empty" } else { "" })));
    Ok((200, json!({ "value": items[start.min(end)..end], "nextLink": next })))
}

/// Deletion takes a while: the object is gone at once and in the recycle bin later.
fn delete(world: &mut World, request: &Request, shelf: &str, name: &str) -> Answer {
    world.tick();
    let looks = world.transition_looks;
    let state = if looks == 0 { State::Deleted } else { State::Deleting(looks) };
    let host = request.host.clone();
    let object = live(world, request, shelf, name)?;
    if shelf == "secrets" && object.current().managed {
        return Err(Refusal::inner(403, "Forbidden", "SecretManagedByKeyVault"));
    }
    object.state = state;
    let object = object.clone();
    if shelf == "certificates"
        && let Some(secret) = world.vault(&host).secrets.get_mut(&name.to_ascii_lowercase())
    {
        secret.state = state;
    }
    let mut answer = item(&host, shelf, &object, object.current(), true);
    in_bin(&mut answer, &host, shelf, &object);
    Ok((200, Json::Object(answer)))
}

fn in_bin(shown: &mut serde_json::Map<String, Json>, host: &str, shelf: &str, object: &Object) {
    let bin = if shelf.ends_with("certificates") { "deletedcertificates" } else { "deletedsecrets" };
    let at = object.current().updated;
    shown.insert("recoveryId".into(), json!(format!("https://{host}/{bin}/{}", object.name)));
    shown.insert("deletedDate".into(), json!(at));
    shown.insert("scheduledPurgeDate".into(), json!(at + 90 * 86_400));
}

fn binned<'w>(world: &'w mut World, request: &Request, shelf: &str, name: &str) -> Result<&'w mut Object, Refusal> {
    let object = world.vault(&request.host).shelf(shelf).get_mut(&name.to_ascii_lowercase());
    object.filter(|object| object.state == State::Deleted).ok_or_else(|| not_found(shelf))
}

fn deleted(world: &mut World, request: &Request, shelf: &str, name: &str) -> Answer {
    let protected = world.vault(&request.host).purge_protection;
    let object = binned(world, request, shelf, name)?.clone();
    let mut answer = item(&request.host, shelf, &object, object.current(), true);
    in_bin(&mut answer, &request.host, shelf, &object);
    if protected {
        // <https://learn.microsoft.com/rest/api/keyvault/secrets/get-deleted-secret> (DeletionRecoveryLevel)
        answer["attributes"]["recoveryLevel"] = json!("Recoverable");
    }
    Ok((200, Json::Object(answer)))
}

fn recover(world: &mut World, request: &Request, shelf: &str, name: &str) -> Answer {
    let looks = world.transition_looks;
    let state = if looks == 0 { State::Live } else { State::Recovering(looks) };
    let host = request.host.clone();
    let object = binned(world, request, shelf, name)?;
    object.state = state;
    let object = object.clone();
    if shelf == "deletedcertificates"
        && let Some(secret) = world.vault(&host).secrets.get_mut(&name.to_ascii_lowercase())
    {
        secret.state = state;
    }
    Ok((200, Json::Object(item(&host, shelf, &object, object.current(), true))))
}

fn purge(world: &mut World, request: &Request, shelf: &str, name: &str) -> Answer {
    binned(world, request, shelf, name)?;
    let vault = world.vault(&request.host);
    if vault.purge_protection {
        return Err(Refusal::new(403, "Forbidden"));
    }
    vault.shelf(shelf).remove(&name.to_ascii_lowercase());
    Ok((204, Json::Null))
}
