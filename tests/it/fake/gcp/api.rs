//! The calls of the API on the world; each rule from its page under
//! <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets> unless it names another.

use data_encoding::BASE64;
use serde_json::{Map, Value as Json, json};

use super::limits;
use super::world::{Secret, Version, World};
use super::{Asked, Refusal};

type Answer = Result<Json, Refusal>;

/// The CRC-32C of some bytes, the slow way (RFC 3720 §12.1).
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |rest: u32, _: u32| if rest & 1 == 1 { (rest >> 1) ^ 0x82F6_3B78 } else { rest >> 1 };
    !bytes.iter().fold(u32::MAX, |rest, byte| (0..8).fold(rest ^ u32::from(*byte), step))
}

/// Carries a request out.
pub(super) fn act(world: &mut World, asked: &Asked) -> Answer {
    match asked.permission.as_str() {
        "secrets.create" => create(world, asked),
        "secrets.get" => found(world, &asked.id).map(|secret| secret.render(&asked.id)),
        "secrets.list" => list(world, asked),
        "secrets.update" => update(world, asked),
        "secrets.delete" => delete(world, asked),
        "versions.add" => add(world, asked),
        "versions.get" => version(world, asked),
        "versions.list" => versions(world, asked),
        "versions.access" => access(world, asked),
        "versions.disable" => change(world, asked, "DISABLED"),
        "versions.enable" => change(world, asked, "ENABLED"),
        "versions.destroy" => change(world, asked, "DESTROYED"),
        _ => Err(Refusal::new(404, "NOT_FOUND")),
    }
}

fn found<'w>(world: &'w World, id: &str) -> Result<&'w Secret, Refusal> {
    world.secrets.get(id).ok_or_else(|| Refusal::new(404, "NOT_FOUND"))
}

fn create(world: &mut World, asked: &Asked) -> Answer {
    let id = asked.query("secretId").unwrap_or_default();
    limits::secret_id(id)?;
    let mut fields = limits::secret(&asked.body)?;
    limits::replication(fields.get("replication"))?;
    limits::together(&fields)?;
    fields.shift_remove("etag");
    if world.secrets.contains_key(id) {
        return Err(Refusal::new(409, "ALREADY_EXISTS"));
    }
    world.create(id, fields);
    Ok(found(world, id)?.render(id))
}

fn update(world: &mut World, asked: &Asked) -> Answer {
    let mask = limits::mask(asked.query("updateMask"))?;
    let mut sent = limits::secret(&asked.body)?;
    let secret = found(world, &asked.id)?;
    // <https://cloud.google.com/secret-manager/docs/etags>: refused with FAILED_PRECONDITION.
    if sent.get("etag").is_some_and(|etag| Some(etag) != secret.fields.get("etag")) {
        return Err(Refusal::new(400, "FAILED_PRECONDITION"));
    }
    let mut fields = secret.fields.clone();
    for name in mask {
        let name = if name == "ttl" { "expireTime".to_owned() } else { name };
        if name == "replication" {
            limits::replication(sent.get("replication"))?;
            limits::same_places(&fields["replication"], &sent["replication"])?;
        }
        match sent.shift_remove(&name) {
            Some(value) => drop(fields.insert(name, value)),
            None => drop(fields.shift_remove(&name)),
        }
    }
    limits::together(&fields)?;
    fields.insert("etag".into(), world.etag().into());
    if let Some(secret) = world.secrets.get_mut(&asked.id) {
        secret.fields = fields;
    }
    Ok(found(world, &asked.id)?.render(&asked.id))
}

fn delete(world: &mut World, asked: &Asked) -> Answer {
    let etag = found(world, &asked.id)?.fields["etag"].clone();
    if asked.query("etag").is_some_and(|sent| etag != sent) {
        return Err(Refusal::new(400, "FAILED_PRECONDITION"));
    }
    world.secrets.remove(&asked.id);
    Ok(json!({}))
}

fn list(world: &World, asked: &Asked) -> Answer {
    // `name:text` finds it anywhere in the name (<https://cloud.google.com/secret-manager/docs/filtering>).
    let filter = asked.query("filter").filter(|filter| !filter.is_empty());
    let part = match filter.map(|filter| filter.split_once(':')) {
        None => "",
        Some(Some(("name", part))) => part,
        Some(_) => return Err(Refusal::new(400, "INVALID_ARGUMENT")),
    };
    let all = world.listed().iter().filter(|(id, _)| Secret::name(id).contains(part));
    page(world, asked, "secrets", all.map(|(id, secret)| secret.render(id)).collect())
}

fn versions(world: &World, asked: &Asked) -> Answer {
    let secret = found(world, &asked.id)?;
    let state = match asked.query("filter").filter(|filter| !filter.is_empty()).map(|filter| filter.split_once(':')) {
        None => None,
        Some(Some(("state", state))) => Some(state),
        Some(_) => return Err(Refusal::new(400, "INVALID_ARGUMENT")),
    };
    let replication = &secret.fields["replication"];
    let all = secret.versions.iter().rev().filter(|version| state.is_none_or(|state| version.state == state));
    page(world, asked, "versions", all.map(|version| version.render(&asked.id, replication)).collect())
}

/// At most 25,000 per page; `totalSize` counts all.
fn page(world: &World, asked: &Asked, name: &str, items: Vec<Json>) -> Answer {
    let size: usize = asked.query("pageSize").map_or(Ok(25_000), str::parse).unwrap_or(usize::MAX);
    limits::need(size <= 25_000)?;
    let size = if size == 0 { 25_000 } else { size }.min(world.page_max.unwrap_or(usize::MAX));
    let start: usize = asked.query("pageToken").map_or(Ok(0), str::parse).unwrap_or(usize::MAX);
    limits::need(start <= items.len())?;
    let mut out = Map::new();
    let total = items.len();
    let shown: Vec<Json> = items.into_iter().skip(start).take(size).collect();
    if start + size < total {
        out.insert("nextPageToken".into(), (start + size).to_string().into());
    }
    if !shown.is_empty() {
        out.insert(name.into(), shown.into());
    }
    out.insert("totalSize".into(), total.into());
    Ok(out.into())
}

fn add(world: &mut World, asked: &Asked) -> Answer {
    found(world, &asked.id)?;
    let body = limits::fields(&asked.body, &["payload"])?;
    let payload = body.get("payload").cloned().unwrap_or_default();
    let data = BASE64.decode(payload["data"].as_str().unwrap_or_default().as_bytes());
    let data = data.map_err(|_| Refusal::new(400, "INVALID_ARGUMENT"))?;
    limits::need((1..=65_536).contains(&data.len()))?;
    // <https://cloud.google.com/secret-manager/docs/data-integrity>: a wrong checksum is refused.
    let sum = payload.get("dataCrc32c").map(|sum| sum.as_str().and_then(|text| text.parse::<u64>().ok()));
    limits::need(sum.is_none_or(|sum| sum == Some(u64::from(crc32c(&data)))))?;
    let number = world.add(&asked.id, &data, sum.is_some());
    let secret = found(world, &asked.id)?;
    numbered(secret, &number.to_string()).map(|version| version.render(&asked.id, &secret.fields["replication"]))
}

/// A version by its number; `latest` is the newest, whatever its state
/// (<https://cloud.google.com/secret-manager/docs/access-secret-version>).
fn numbered<'s>(secret: &'s Secret, text: &str) -> Result<&'s Version, Refusal> {
    let found = match text {
        "latest" => secret.versions.last(),
        number => secret.versions.iter().find(|version| version.number.to_string() == number),
    };
    found.ok_or_else(|| Refusal::new(404, "NOT_FOUND"))
}

fn version(world: &World, asked: &Asked) -> Answer {
    let secret = found(world, &asked.id)?;
    Ok(numbered(secret, &asked.version)?.render(&asked.id, &secret.fields["replication"]))
}

fn access(world: &World, asked: &Asked) -> Answer {
    let version = numbered(found(world, &asked.id)?, &asked.version)?;
    // Recorded: a disabled or destroyed version answers 400.
    if version.state != "ENABLED" {
        return Err(Refusal::new(400, "FAILED_PRECONDITION"));
    }
    Ok(json!({
        "name": format!("{}/versions/{}", Secret::name(&asked.id), version.number),
        "payload": { "data": BASE64.encode(&version.data), "dataCrc32c": crc32c(&version.data).to_string() },
    }))
}

/// Only the number is taken here, and a destroyed version stays so.
fn change(world: &mut World, asked: &Asked, state: &'static str) -> Answer {
    let sent = limits::fields(&asked.body, &["etag"])?;
    let version = numbered(found(world, &asked.id)?, &asked.version)?;
    let stale = sent.get("etag").and_then(Json::as_str).is_some_and(|etag| !etag.is_empty() && etag != version.etag());
    if stale || version.state == "DESTROYED" {
        return Err(Refusal::new(400, "FAILED_PRECONDITION"));
    }
    let number = version.number;
    world.set_state(&asked.id, number, state);
    let secret = found(world, &asked.id)?;
    Ok(numbered(secret, &asked.version)?.render(&asked.id, &secret.fields["replication"]))
}

/// Those of the permissions asked for that are held; of a secret that is not there, none, and no error
/// (<https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/testIamPermissions>).
pub(super) fn held(world: &World, asked: &Asked, allows: impl Fn(&str) -> bool) -> Answer {
    let body = limits::fields(&asked.body, &["permissions"])?;
    let all = body.get("permissions").and_then(Json::as_array).cloned().unwrap_or_default();
    let held = |permission: &Json| {
        let name = permission.as_str().and_then(|name| name.strip_prefix("secretmanager."));
        world.secrets.contains_key(&asked.id) && name.is_some_and(&allows)
    };
    let held: Vec<Json> = all.into_iter().filter(held).collect();
    Ok(if held.is_empty() { json!({}) } else { json!({ "permissions": held }) })
}
