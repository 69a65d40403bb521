//! Microsoft Entra and the metadata service of a machine: tokens for whoever proves who they are.
//!
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>,
//! <https://learn.microsoft.com/entra/workload-id/workload-identity-federation>; the numbers are those of
//! <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, Validation};
use serde_json::{Value as Json, json};

use super::world::{TENANT, World};
use super::{Request, object_id};

/// Hosts of Entra with the resource that their tokens are for.
pub(super) const CLOUDS: &[(&str, &str, &str)] = &[
    ("login.microsoftonline.com", "https://vault.azure.net", ".vault.azure.net"),
    ("login.microsoftonline.us", "https://vault.usgovcloudapi.net", ".vault.usgovcloudapi.net"),
    ("login.chinacloudapi.cn", "https://vault.azure.cn", ".vault.azure.cn"),
];

/// A refusal: status, OAuth's word and Entra's number.
struct Denied(u16, &'static str, u64);

pub(super) fn act(world: &mut World, request: &Request, form: &BTreeMap<String, String>) -> (u16, Json) {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    match path.as_slice() {
        // What Microsoft's own clients ask first.
        ["common", "discovery", "instance"] => {
            let at = format!("https://{}/{TENANT}/v2.0/.well-known/openid-configuration", request.host);
            (200, json!({ "tenant_discovery_endpoint": at, "api-version": "1.1", "metadata": [] }))
        }
        [tenant, "v2.0", ".well-known", "openid-configuration"] => {
            let base = format!("https://{}/{tenant}", request.host);
            let config = json!({
                "issuer": format!("{base}/v2.0"),
                "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
                "token_endpoint": format!("{base}/oauth2/v2.0/token"),
            });
            (200, config)
        }
        [tenant, "oauth2", "v2.0", "token"] => match world.logins.pop_front() {
            Some((status, 0)) => (status, Json::Null),
            Some((status, code)) => denied(&Denied(status, "temporarily_unavailable", code)),
            None => match token(world, request, tenant, form) {
                Ok(token) => granted(world, &token),
                Err(refusal) => denied(&refusal),
            },
        },
        _ => (404, Json::Null),
    }
}

fn denied(Denied(status, error, code): &Denied) -> (u16, Json) {
    let description = format!("AADSTS{code}: refused. Trace ID: 0 Correlation ID: 0");
    (*status, json!({ "error": error, "error_description": description, "error_codes": [code] }))
}

fn granted(world: &World, token: &str) -> (u16, Json) {
    let seconds = world.token_seconds;
    let answer = json!({
        "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token,
    });
    (200, answer)
}

fn token(
    world: &mut World,
    request: &Request,
    tenant: &str,
    form: &BTreeMap<String, String>,
) -> Result<String, Denied> {
    let get = |name: &str| form.get(name).map_or("", String::as_str);
    if tenant != TENANT {
        return Err(Denied(400, "invalid_request", 90_002));
    }
    if get("grant_type") != "client_credentials" {
        return Err(Denied(400, "unsupported_grant_type", 70_003));
    }
    let client = get("client_id");
    let application = world.applications.get(client).cloned().ok_or(Denied(400, "unauthorized_client", 700_016))?;
    if form.contains_key("client_assertion") {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        if get("client_assertion_type") != kind {
            return Err(Denied(400, "invalid_request", 90_023));
        }
        vouched(world, get("client_assertion"), &application.federated)?;
    } else if application.secret.is_none()
        || application.secret.as_deref() != form.get("client_secret").map(String::as_str)
    {
        return Err(Denied(401, "invalid_client", 7_000_215));
    }
    let resource = get("scope").strip_suffix("/.default").unwrap_or_default().to_owned();
    if !CLOUDS.iter().any(|(host, of, _)| *host == request.host && *of == resource) {
        return Err(Denied(400, "invalid_resource", 500_011));
    }
    Ok(mint(world, client, &resource))
}

/// Exactly one federated credential must have the issuer, subject and audience of the token, case
/// included, and the issuer's published key must have signed it.
fn vouched(world: &World, assertion: &str, federated: &[[String; 3]]) -> Result<(), Denied> {
    let invalid = |code| Denied(401, "invalid_client", code);
    let header = jsonwebtoken::decode_header(assertion).map_err(|_| invalid(50_027))?;
    let payload = assertion.split('.').nth(1).and_then(|part| BASE64URL_NOPAD.decode(part.as_bytes()).ok());
    let claims: Json = serde_json::from_slice(&payload.unwrap_or_default()).map_err(|_| invalid(50_027))?;
    let claim = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    let (issuer, subject, audience) = (claim("iss"), claim("sub"), claim("aud"));
    let any = |test: &dyn Fn(&[String; 3]) -> bool| federated.iter().any(test);
    if !any(&|one| one[0] == issuer) {
        return Err(invalid(700_211));
    }
    if !any(&|one| one[0] == issuer && one[1] == subject) {
        return Err(invalid(700_213));
    }
    if !any(&|one| one[0] == issuer && one[1] == subject && one[2] == audience) {
        return Err(invalid(700_212));
    }
    let key = world.issuers.get(&(issuer, header.kid.unwrap_or_default())).ok_or_else(|| invalid(50_013))?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[audience]);
    validation.leeway = 60;
    match jsonwebtoken::decode::<Json>(assertion, key, &validation) {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), jsonwebtoken::errors::ErrorKind::ExpiredSignature) => {
            Err(invalid(700_024))
        }
        Err(_) => Err(invalid(50_013)),
    }
}

/// A token with the claims that a vault looks at; its signature is nobody's business here.
fn mint(world: &mut World, client: &str, resource: &str) -> String {
    world.counter += 1;
    let claims = json!({
        "aud": resource, "tid": TENANT, "appid": client, "oid": object_id(client), "jti": world.counter,
    });
    let token = format!("e30.{}.canary{}", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()), world.counter);
    world.tokens.insert(token.clone(), (client.to_owned(), resource.to_owned()));
    token
}

/// The metadata service
/// (<https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>).
/// Its numbers are texts.
pub(super) fn machine(world: &mut World, request: &Request) -> (u16, Json) {
    let query = |name: &str| request.query.get(name).cloned().unwrap_or_default();
    let (metadata, header) = (request.header("metadata"), request.header("x-identity-header"));
    let app_service = request.path.first().is_some_and(|first| first == "msi");
    let (version, admitted) = if app_service {
        ("2019-08-01", header == Some("canary-identity-header"))
    } else {
        ("2018-02-01", metadata == Some("true"))
    };
    if !admitted || query("api-version") != version {
        return (
            400,
            json!({ "error": "invalid_request", "error_description": "Required metadata header not specified" }),
        );
    }
    let asked = request.query.get("client_id").cloned();
    match world.machine.clone().filter(|client| asked.is_none_or(|asked| asked == *client)) {
        Some(client) => {
            let token = mint(world, &client, &query("resource"));
            (
                200,
                json!({ "access_token": token, "expires_in": world.token_seconds.to_string(), "token_type": "Bearer" }),
            )
        }
        None => (400, json!({ "error": "invalid_request", "error_description": "Identity not found" })),
    }
}
