//! Secrets Manager's operations
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html>).

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::limits::{self, list, refuse_unless, text, texts};
use super::world::{Replica, Secret, SecretVersion, World};
use super::{ACCOUNT, Answer, Refusal, Request};

pub(super) fn act(world: &mut World, request: &Request) -> Answer {
    match request.operation.as_str() {
        "CreateSecret" => create(world, request),
        "ListSecrets" => list_secrets(world, request),
        "BatchGetSecretValue" => batch_get(world, request),
        "DescribeSecret" => describe(world, request),
        "GetSecretValue" => get(world, request),
        "PutSecretValue" => put(world, request),
        "UpdateSecret" => update(world, request),
        "TagResource" => tag(world, request),
        "UntagResource" => untag(world, request),
        "ReplicateSecretToRegions" => replicate(world, request),
        "DeleteSecret" => delete(world, request),
        "RestoreSecret" => restore(world, request),
        _ => Err(Refusal::new("UnknownOperationException")),
    }
}

/// The random suffix of a real ARN is always the same here.
fn arn(region: &str, name: &str) -> String {
    format!("arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}-AbCdEf")
}

fn name(request: &Request) -> &str {
    let id = text(&request.body, "SecretId").unwrap_or_default();
    // A full ARN is accepted as well.
    let by_arn = id.split(":secret:").nth(1).and_then(|rest| rest.strip_suffix("-AbCdEf"));
    by_arn.unwrap_or(id)
}

/// A name that ends like an ARN finds the secret whose ARN it ends, too
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html>).
fn find<'w>(world: &'w mut World, request: &Request) -> Result<&'w mut Secret, Refusal> {
    let secrets = &mut world.region(&request.region).secrets;
    let asked = name(request);
    let found = if secrets.contains_key(asked) { asked } else { asked.strip_suffix("-AbCdEf").unwrap_or(asked) };
    secrets.get_mut(found).ok_or_else(|| Refusal::new("ResourceNotFoundException"))
}

/// The name of what [`find`] finds.
fn found_name(world: &mut World, request: &Request) -> String {
    let exact = world.region(&request.region).secrets.contains_key(name(request));
    let found = if exact { name(request) } else { name(request).trim_end_matches("-AbCdEf") };
    found.to_owned()
}

/// A secret that may be changed: not scheduled for deletion, not owned by a service, not a replica.
/// All three are an `InvalidRequestException`
/// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecret.html>).
fn changeable<'w>(world: &'w mut World, request: &Request) -> Result<&'w mut Secret, Refusal> {
    let secret = find(world, request)?;
    let refused = secret.deleted || secret.owning_service.is_some() || secret.primary_region.is_some();
    refuse_unless(!refused, "InvalidRequestException")?;
    Ok(secret)
}

/// The value of a request: 1–65,536 bytes, as text or base64.
fn value(body: &Json) -> Result<Option<(String, bool)>, Refusal> {
    let given = text(body, "SecretString").map(|text| (text.to_owned(), false));
    let given = given.or_else(|| text(body, "SecretBinary").map(|bytes| (bytes.to_owned(), true)));
    if let Some((value, is_binary)) = &given {
        let length = if *is_binary { value.len() / 4 * 3 } else { value.len() };
        refuse_unless((1..=65_536).contains(&length), "ValidationException")?;
    }
    Ok(given)
}

/// The token becomes the version's id. The same token and value is a repetition; another value
/// under it is refused
/// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html>).
fn store(secret: &mut Secret, token: &str, (value, is_binary): (String, bool)) -> Result<(), Refusal> {
    refuse_unless((32..=64).contains(&token.len()), "ValidationException")?;
    if let Some(known) = secret.versions.iter().find(|version| version.id == token) {
        return refuse_unless(known.value == value, "ResourceExistsException");
    }
    secret.versions.push(SecretVersion { id: token.to_owned(), value, is_binary, stages: BTreeSet::new() });
    secret.promote(token);
    Ok(())
}

fn create(world: &mut World, request: &Request) -> Answer {
    let body = &request.body;
    let name = text(body, "Name").unwrap_or_default();
    limits::secret_name(name)?;
    limits::key(world, text(body, "KmsKeyId"), "EncryptionFailure")?;
    refuse_unless(text(body, "Description").is_none_or(|text| text.len() <= 2048), "ValidationException")?;
    let (value, tags) = (value(body)?, limits::tags(body)?);
    let token = text(body, "ClientRequestToken").unwrap_or("00000000-0000-0000-0000-000000000000");
    let created = world.tick();
    if let Some(secret) = world.region(&request.region).secrets.get_mut(name) {
        refuse_unless(!secret.deleted, "InvalidRequestException")?;
        let repeated = secret.versions.iter().any(|v| v.id == token && Some(&v.value) == value.as_ref().map(|v| &v.0));
        refuse_unless(repeated, "ResourceExistsException")?;
        return Ok(json!({ "ARN": arn(&request.region, name), "Name": name, "VersionId": token }));
    }
    let mut secret = Secret {
        tags,
        description: text(body, "Description").map(str::to_owned),
        kms_key_id: text(body, "KmsKeyId").map(str::to_owned),
        created,
        ..Secret::default()
    };
    if let Some(value) = value {
        store(&mut secret, token, value)?;
    }
    world.region(&request.region).secrets.insert(name.to_owned(), secret);
    let replicas = add_replicas(world, &request.region, name, list(body, "AddReplicaRegions"));
    let mut answer = json!({ "ARN": arn(&request.region, name), "Name": name, "VersionId": token });
    if let (Some(replicas), Some(answer)) = (replicas, answer.as_object_mut()) {
        answer.insert("ReplicationStatus".into(), replicas);
    }
    Ok(answer)
}

/// Every replica is accepted; whether it comes about is known later, from a description
/// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicationStatusType.html>).
fn add_replicas(world: &mut World, region: &str, name: &str, wanted: &[Json]) -> Option<Json> {
    let mut accepted = Vec::new();
    for replica in wanted {
        let to = text(replica, "Region").unwrap_or_default().to_owned();
        let kms_key_id = text(replica, "KmsKeyId").map(str::to_owned);
        accepted.push(json!({ "Region": to, "KmsKeyId": kms_key_id, "Status": "InProgress" }));
        let secret = world.region(region).secrets.get_mut(name)?;
        if secret.replicas.get(&to).is_some_and(|replica| replica.status != "Failed") {
            continue;
        }
        let replica = Replica { kms_key_id, status: "InProgress", message: "", looks: world.replica_looks };
        world.region(region).secrets.get_mut(name)?.replicas.insert(to, replica);
    }
    settle_replicas(world, region, name);
    (!accepted.is_empty()).then_some(Json::Array(accepted))
}

/// What was accepted comes about, or does not, later: after so many descriptions of the primary.
fn settle_replicas(world: &mut World, region: &str, name: &str) {
    let Some(secret) = world.region(region).secrets.get(name) else { return };
    let under_way = secret.replicas.iter().filter(|(_, replica)| replica.status == "InProgress");
    let under_way: Vec<_> = under_way.map(|(to, replica)| (to.clone(), replica.clone())).collect();
    if under_way.is_empty() {
        return;
    }
    for (to, replica) in under_way {
        let taken = world.region(&to).secrets.contains_key(name);
        let settled = match (replica.looks.checked_sub(1), world.failing_replicas.contains(&to)) {
            (Some(looks), _) => Replica { looks, ..replica },
            // In AWS's words, by report (aws-cloudformation/cloudformation-coverage-roadmap#1459).
            (None, _) if taken => {
                let message = "Replication failed: Secret name already exists in this region.";
                Replica { status: "Failed", message, ..replica }
            }
            (None, true) => {
                Replica { status: "Failed", message: "Replication failed: KMS key is disabled.", ..replica }
            }
            (None, false) => Replica { status: "InSync", ..replica },
        };
        world.region(region).secrets.entry(name.to_owned()).or_default().replicas.insert(to, settled);
    }
    copy_to_replicas(world, region, name);
}

/// Replicas follow their primary.
fn copy_to_replicas(world: &mut World, region: &str, name: &str) {
    let Some(primary) = world.region(region).secrets.get(name).cloned() else { return };
    for (to, replica) in primary.replicas.iter().filter(|(_, replica)| replica.status == "InSync") {
        let copy = Secret {
            kms_key_id: replica.kms_key_id.clone(),
            primary_region: Some(region.to_owned()),
            replicas: Default::default(),
            ..primary.clone()
        };
        world.region(to).secrets.insert(name.to_owned(), copy);
    }
}

/// What a description and an entry of a list have in common.
fn shown(region: &str, name: &str, secret: &Secret) -> Map<String, Json> {
    let tags: Vec<Json> = secret.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    let shown = json!({
        "ARN": arn(region, name), "Name": name, "Description": secret.description, "KmsKeyId": secret.kms_key_id,
        "Tags": tags, "CreatedDate": secret.created, "OwningService": secret.owning_service,
        "RotationEnabled": secret.rotation_enabled.then_some(true),
        "DeletedDate": secret.deleted.then_some(secret.created + 1),
        "PrimaryRegion": secret.primary_region.clone().or_else(|| (!secret.replicas.is_empty()).then(|| region.to_owned())),
    });
    let Json::Object(members) = shown else { return Map::new() };
    members.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

fn stages(secret: &Secret) -> Json {
    let staged = secret.versions.iter().filter(|version| !version.stages.is_empty());
    Json::Object(staged.map(|version| (version.id.clone(), json!(version.stages))).collect())
}

fn describe(world: &mut World, request: &Request) -> Answer {
    let found = found_name(world, request);
    settle_replicas(world, &request.region, &found);
    let secret = find(world, request)?;
    let mut answer = shown(&request.region, &found, secret);
    answer.insert("VersionIdsToStages".into(), stages(secret));
    if !secret.replicas.is_empty() {
        let replicas = secret.replicas.iter().map(|(region, replica)| {
            json!({ "Region": region, "KmsKeyId": replica.kms_key_id.as_deref().unwrap_or("alias/aws/secretsmanager"),
                    "Status": replica.status, "StatusMessage": replica.message })
        });
        answer.insert("ReplicationStatus".into(), replicas.collect());
    }
    Ok(Json::Object(answer))
}

/// At most 100 a page, filters of at most ten values each, names by prefix, no replication status
/// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html>).
fn list_secrets(world: &mut World, request: &Request) -> Answer {
    let body = &request.body;
    let planned = body.get("IncludePlannedDeletion").and_then(Json::as_bool).unwrap_or(false);
    let mut prefixes: Option<Vec<&str>> = None;
    for filter in list(body, "Filters") {
        refuse_unless(text(filter, "Key") == Some("name"), "InvalidParameterException")?;
        let values = texts(filter, "Values");
        refuse_unless((1..=10).contains(&values.len()), "ValidationException")?;
        prefixes = Some(values);
    }
    let matches = |name: &str| prefixes.as_ref().is_none_or(|p| p.iter().any(|prefix| name.starts_with(prefix)));
    let region = world.listed(&request.region);
    let found: Vec<_> = region.secrets.iter().filter(|(name, s)| matches(name) && (planned || !s.deleted)).collect();
    let (found, next) = limits::page(found, body, 100, world.paging)?;
    let entries = found.into_iter().map(|(name, secret)| {
        let mut entry = shown(&request.region, name, secret);
        entry.insert("SecretVersionsToStages".into(), stages(secret));
        Json::Object(entry)
    });
    Ok(json!({ "SecretList": entries.collect::<Vec<_>>(), "NextToken": next }))
}

fn get(world: &mut World, request: &Request) -> Answer {
    let found = found_name(world, request);
    let region = request.region.clone();
    let secret = find(world, request)?;
    refuse_unless(!secret.deleted, "InvalidRequestException")?;
    let current = secret.current().ok_or_else(|| Refusal::new("ResourceNotFoundException"))?;
    Ok(value_of(&region, &found, secret, current))
}

fn value_of(region: &str, name: &str, secret: &Secret, version: &SecretVersion) -> Json {
    let member = if version.is_binary { "SecretBinary" } else { "SecretString" };
    json!({ "ARN": arn(region, name), "Name": name, "VersionId": version.id, member: version.value,
            "VersionStages": version.stages, "CreatedDate": secret.created })
}

/// At most 20; what fails does so alone
/// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html>).
fn batch_get(world: &mut World, request: &Request) -> Answer {
    let names = texts(&request.body, "SecretIdList");
    refuse_unless((1..=20).contains(&names.len()), "ValidationException")?;
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for name in names {
        let body = json!({ "SecretId": name });
        let one = Request { operation: "GetSecretValue".into(), body, ..request.clone() };
        match get(world, &one) {
            Ok(value) => values.push(value),
            Err(refusal) => errors.push(json!({ "SecretId": name, "ErrorCode": refusal.code, "Message": "refused" })),
        }
    }
    Ok(json!({ "SecretValues": values, "Errors": errors }))
}

fn put(world: &mut World, request: &Request) -> Answer {
    world.tick();
    let value = value(&request.body)?.ok_or_else(|| Refusal::new("InvalidParameterException"))?;
    let token = text(&request.body, "ClientRequestToken").unwrap_or_default();
    let secret = changeable(world, request)?;
    store(secret, token, value)?;
    let stages = secret.versions.iter().find(|version| version.id == token).map(|version| version.stages.clone());
    copy_to_replicas(world, &request.region, name(request));
    let arn = arn(&request.region, name(request));
    Ok(json!({ "ARN": arn, "Name": name(request), "VersionId": token, "VersionStages": stages }))
}

/// Metadata only: a token that was used is refused here even with the same value, so that values
/// go through `PutSecretValue`.
fn update(world: &mut World, request: &Request) -> Answer {
    let body = &request.body;
    refuse_unless(value(body)?.is_none(), "InvalidRequestException")?;
    limits::key(world, text(body, "KmsKeyId"), "EncryptionFailure")?;
    let secret = changeable(world, request)?;
    if let Some(description) = text(body, "Description") {
        secret.description = Some(description.to_owned());
    }
    if let Some(key) = text(body, "KmsKeyId") {
        secret.kms_key_id = Some(key.to_owned());
    }
    Ok(json!({ "ARN": arn(&request.region, name(request)), "Name": name(request) }))
}

fn tag(world: &mut World, request: &Request) -> Answer {
    let tags = limits::tags(&request.body)?;
    let secret = changeable(world, request)?;
    let mut all = secret.tags.clone();
    all.extend(tags);
    refuse_unless(all.len() <= 50, "InvalidParameterException")?;
    secret.tags = all;
    copy_to_replicas(world, &request.region, name(request));
    Ok(json!({}))
}

fn untag(world: &mut World, request: &Request) -> Answer {
    let secret = changeable(world, request)?;
    for key in texts(&request.body, "TagKeys") {
        secret.tags.remove(key);
    }
    Ok(json!({}))
}

fn replicate(world: &mut World, request: &Request) -> Answer {
    changeable(world, request)?;
    let wanted = list(&request.body, "AddReplicaRegions");
    let replicas = add_replicas(world, &request.region, name(request), wanted);
    Ok(json!({ "ARN": arn(&request.region, name(request)), "ReplicationStatus": replicas }))
}

/// Scheduled, with a window of 7–30 days, or at once
/// (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html>).
fn delete(world: &mut World, request: &Request) -> Answer {
    let forced = request.body.get("ForceDeleteWithoutRecovery").and_then(Json::as_bool).unwrap_or(false);
    let secret = find(world, request)?;
    refuse_unless(secret.replicas.is_empty() && secret.primary_region.is_none(), "InvalidRequestException")?;
    secret.deleted = true;
    if forced {
        world.region(&request.region).secrets.remove(name(request));
    }
    Ok(json!({ "ARN": arn(&request.region, name(request)), "Name": name(request) }))
}

fn restore(world: &mut World, request: &Request) -> Answer {
    find(world, request)?.deleted = false;
    Ok(json!({ "ARN": arn(&request.region, name(request)), "Name": name(request) }))
}
