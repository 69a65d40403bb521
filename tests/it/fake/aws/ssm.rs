//! SSM's operations on parameters
//! (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Operations.html>).

use serde_json::{Value as Json, json};

use super::limits::{self, list, refuse_unless, text, texts};
use super::world::{Parameter, World};
use super::{ACCOUNT, Answer, Refusal, Request};

pub(super) fn act(world: &mut World, request: &Request) -> Answer {
    match request.operation.as_str() {
        "PutParameter" => put(world, request),
        "GetParameter" => get(world, request),
        "GetParameters" => get_several(world, request),
        "DescribeParameters" => describe(world, request),
        "ListTagsForResource" => list_tags(world, request),
        "AddTagsToResource" => add_tags(world, request),
        "RemoveTagsFromResource" => remove_tags(world, request),
        "DeleteParameter" => delete(world, request),
        _ => Err(Refusal::new("UnknownOperationException")),
    }
}

/// What a put leaves: what stood there before, with what the request says.
fn merged(body: &Json, old: Option<&Parameter>) -> Parameter {
    let say = |name: &str| text(body, name).map(str::to_owned);
    let old = old.cloned().unwrap_or_default();
    let or = |said: Option<String>, was: &str, default: &str| {
        said.unwrap_or_else(|| if was.is_empty() { default } else { was }.to_owned())
    };
    Parameter {
        version: old.version + 1,
        value: say("Value").unwrap_or_default(),
        kind: or(say("Type"), &old.kind, ""),
        tier: or(say("Tier"), &old.tier, "Standard"),
        data_type: or(say("DataType"), &old.data_type, "text"),
        description: say("Description"),
        // Without a key the account's default is used, whatever was used before.
        key_id: say("KeyId"),
        // Policies stay until a new or an empty list is sent.
        policies: say("Policies").or(old.policies),
        tags: old.tags,
        changed: old.changed,
    }
}

/// Rules of the whole: tier, size, references, policies.
fn check(new: &Parameter, old: Option<&Parameter>) -> Result<(), Refusal> {
    refuse_unless(["String", "StringList", "SecureString"].contains(&new.kind.as_str()), "UnsupportedParameterType")?;
    refuse_unless(old.is_none_or(|old| old.kind == new.kind), "HierarchyTypeMismatchException")?;
    // <https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html>
    let downgraded = new.tier == "Standard" && old.is_some_and(|old| old.tier == "Advanced");
    refuse_unless(!downgraded, "ValidationException")?;
    let bytes_max = if new.tier == "Standard" { 4096 } else { 8192 };
    refuse_unless((1..=bytes_max).contains(&new.value.len()), "ValidationException")?;
    refuse_unless(!new.value.contains("{{"), "ValidationException")?;
    if let Some(policies) = &new.policies {
        let parsed = limits::policies(policies)?;
        refuse_unless(parsed.is_empty() || new.tier != "Standard", "ValidationException")?;
    }
    Ok(())
}

fn put(world: &mut World, request: &Request) -> Answer {
    let body = &request.body;
    let name = text(body, "Name").unwrap_or_default();
    limits::parameter_name(name)?;
    limits::key(world, text(body, "KeyId"), "InvalidKeyId")?;
    let tags = limits::parameter_tags(body)?;
    let changed = world.tick();
    let parameters = &mut world.region(&request.region).parameters;
    let overwrite = body.get("Overwrite").and_then(Json::as_bool).unwrap_or(false);
    let old = parameters.get(name);
    refuse_unless(old.is_none() || overwrite, "ParameterAlreadyExists")?;
    // `/x` and `x` are no two names
    // (<https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-parameter-name-constraints.html>).
    let twin = name.strip_prefix('/').map_or_else(|| format!("/{name}"), str::to_owned);
    refuse_unless(!parameters.contains_key(&twin), "ParameterAlreadyExists")?;
    // "tags and overwrite can't be used together", whether or not something stands there.
    refuse_unless(!overwrite || tags.is_empty(), "ValidationException")?;
    let mut new = merged(body, old);
    check(&new, old)?;
    if new.tier == "Intelligent-Tiering" {
        let advanced = new.value.len() > 4096 || new.policies.as_deref().is_some_and(|policies| policies != "[]");
        new.tier = if advanced { "Advanced" } else { "Standard" }.to_owned();
    }
    new.changed = changed;
    new.tags.extend(tags);
    let answer = json!({ "Version": new.version, "Tier": new.tier });
    parameters.insert(name.to_owned(), new);
    Ok(answer)
}

fn shown(region: &str, name: &str, parameter: &Parameter, decrypted: bool) -> Json {
    let encrypted = parameter.kind == "SecureString" && !decrypted;
    let value = if encrypted { "AQICAHhCiphertext==" } else { &parameter.value };
    json!({ "Name": name, "Type": parameter.kind, "Value": value, "Version": parameter.version,
            "LastModifiedDate": parameter.changed, "DataType": parameter.data_type,
            "ARN": format!("arn:aws:ssm:{region}:{ACCOUNT}:parameter/{}", name.trim_start_matches('/')) })
}

fn decrypted(body: &Json) -> bool {
    body.get("WithDecryption").and_then(Json::as_bool).unwrap_or(false)
}

fn get(world: &mut World, request: &Request) -> Answer {
    let name = text(&request.body, "Name").unwrap_or_default();
    let parameter = world.region(&request.region).parameters.get(name);
    let parameter = parameter.ok_or_else(|| Refusal::new("ParameterNotFound"))?;
    Ok(json!({ "Parameter": shown(&request.region, name, parameter, decrypted(&request.body)) }))
}

/// At most ten names; those that are missing are no error
/// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html>).
fn get_several(world: &mut World, request: &Request) -> Answer {
    let names = texts(&request.body, "Names");
    refuse_unless((1..=10).contains(&names.len()), "ValidationException")?;
    let parameters = &world.region(&request.region).parameters;
    let (found, missing): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| parameters.contains_key(*name));
    let show = |name: &&str| Some(shown(&request.region, name, parameters.get(*name)?, decrypted(&request.body)));
    Ok(json!({ "Parameters": found.iter().filter_map(show).collect::<Vec<_>>(), "InvalidParameters": missing }))
}

/// At most 50 a page, filters of at most 50 values, all filters must hold
/// (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ParameterStringFilter.html>).
fn describe(world: &mut World, request: &Request) -> Answer {
    let filters = list(&request.body, "ParameterFilters");
    for filter in filters {
        let values = texts(filter, "Values");
        let sizes = values.iter().all(|value| (1..=1024).contains(&value.len()));
        refuse_unless((1..=50).contains(&values.len()) && sizes, "ValidationException")?;
        let key = text(filter, "Key").unwrap_or_default();
        // `BeginsWith` is for names and types, not for tags.
        let options = matches!(text(filter, "Option"), None | Some("Equals"));
        let begins = text(filter, "Option") == Some("BeginsWith") && key == "Name";
        refuse_unless(options || begins, "InvalidFilterOption")?;
        refuse_unless(key == "Name" || key.starts_with("tag:"), "InvalidFilterKey")?;
    }
    let holds = |name: &str, parameter: &Parameter, filter: &Json| {
        let (key, values) = (text(filter, "Key").unwrap_or_default(), texts(filter, "Values"));
        match key.strip_prefix("tag:") {
            Some(tag) => parameter.tags.get(tag).is_some_and(|value| values.contains(&value.as_str())),
            None if text(filter, "Option") == Some("BeginsWith") => values.iter().any(|value| name.starts_with(value)),
            None => values.contains(&name),
        }
    };
    let (region, paging) = (world.listed(&request.region), world.paging);
    let found = region.parameters.iter().filter(|(name, p)| filters.iter().all(|filter| holds(name, p, filter)));
    let (found, next) = limits::page(found.collect(), &request.body, 50, paging)?;
    let entries: Vec<Json> = found.into_iter().map(|(name, parameter)| metadata(name, parameter)).collect();
    Ok(json!({ "Parameters": entries, "NextToken": next }))
}

/// Everything but value and tags.
fn metadata(name: &str, parameter: &Parameter) -> Json {
    let policies = parameter.policies.as_deref().and_then(|text| limits::policies(text).ok()).unwrap_or_default();
    let policies: Vec<Json> = policies
        .into_iter()
        .map(|policy| json!({ "PolicyText": policy.to_string(), "PolicyType": policy["Type"], "PolicyStatus": "Pending" }))
        .collect();
    // The key is told of SecureStrings only.
    let key = (parameter.kind == "SecureString").then(|| parameter.key_id.as_deref().unwrap_or("alias/aws/ssm"));
    json!({ "Name": name, "Type": parameter.kind, "KeyId": key, "LastModifiedDate": parameter.changed,
            "Description": parameter.description, "Version": parameter.version, "Tier": parameter.tier,
            "Policies": policies, "DataType": parameter.data_type })
}

fn tagged<'w>(world: &'w mut World, request: &Request) -> Result<&'w mut Parameter, Refusal> {
    refuse_unless(text(&request.body, "ResourceType") == Some("Parameter"), "InvalidResourceType")?;
    let name = text(&request.body, "ResourceId").unwrap_or_default();
    let found = world.region(&request.region).parameters.get_mut(name);
    found.ok_or_else(|| Refusal::new("InvalidResourceId"))
}

fn list_tags(world: &mut World, request: &Request) -> Answer {
    let tags = tagged(world, request)?.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value }));
    Ok(json!({ "TagList": tags.collect::<Vec<_>>() }))
}

fn add_tags(world: &mut World, request: &Request) -> Answer {
    let tags = limits::parameter_tags(&request.body)?;
    let parameter = tagged(world, request)?;
    let mut all = parameter.tags.clone();
    all.extend(tags);
    refuse_unless(all.len() <= 50, "TooManyTagsError")?;
    parameter.tags = all;
    Ok(json!({}))
}

fn remove_tags(world: &mut World, request: &Request) -> Answer {
    let parameter = tagged(world, request)?;
    for key in texts(&request.body, "TagKeys") {
        parameter.tags.remove(key);
    }
    Ok(json!({}))
}

fn delete(world: &mut World, request: &Request) -> Answer {
    let name = text(&request.body, "Name").unwrap_or_default();
    let deleted = world.region(&request.region).parameters.remove(name);
    deleted.map(|_| json!({})).ok_or_else(|| Refusal::new("ParameterNotFound"))
}
