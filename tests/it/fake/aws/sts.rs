//! STS: who somebody is, and becoming somebody else
//! (<https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html>).

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::world::World;
use super::{ACCOUNT, Refusal, web_identity};

/// The members of a query-protocol request.
pub(super) fn form(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body).replace('+', " ");
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).unwrap());
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).unwrap()
}

pub(super) fn act(world: &mut World, form: &BTreeMap<String, String>, key_id: &str) -> Result<String, Refusal> {
    match form.get("Action").map(String::as_str) {
        Some("GetCallerIdentity") => {
            let arn = world.sessions.get(key_id).cloned();
            let arn = arn.unwrap_or_else(|| format!("arn:aws:iam::{ACCOUNT}:user/test"));
            let account = arn.split(':').nth(4).unwrap_or(ACCOUNT);
            let result = format!("<Arn>{arn}</Arn><UserId>AIDATEST</UserId><Account>{account}</Account>");
            Ok(answer("GetCallerIdentity", &result))
        }
        Some("AssumeRole") => assume(world, form),
        Some(action @ "AssumeRoleWithWebIdentity") => web_identity::assume(world, form).map(|xml| answer(action, &xml)),
        _ => Err(Refusal { status: 400, code: "InvalidAction".into() }),
    }
}

/// Anybody may, who knows the external id.
fn assume(world: &mut World, form: &BTreeMap<String, String>) -> Result<String, Refusal> {
    let get = |name: &str| form.get(name).cloned().unwrap_or_default();
    if world.external_id.as_ref().is_some_and(|id| *id != get("ExternalId")) {
        return Err(Refusal { status: 403, code: "AccessDenied".into() });
    }
    let key_id = format!("ASIATEST{:012}", world.tick());
    let role = get("RoleArn").rsplit('/').next().unwrap_or_default().to_owned();
    // A role may be of another account.
    let role_arn = get("RoleArn");
    let account = role_arn.split(':').nth(4).filter(|account| !account.is_empty()).unwrap_or(ACCOUNT);
    let arn = format!("arn:aws:sts::{account}:assumed-role/{role}/{}", get("RoleSessionName"));
    world.sessions.insert(key_id.clone(), arn.clone());
    let result = format!(
        "<Credentials><AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>canary-assumed-secret</SecretAccessKey>\
         <SessionToken>canary-assumed-token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
         <AssumedRoleUser><Arn>{arn}</Arn><AssumedRoleId>AROATEST:x</AssumedRoleId></AssumedRoleUser>"
    );
    Ok(answer("AssumeRole", &result))
}

fn answer(action: &str, result: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    )
}

pub(super) fn refuse(refusal: &Refusal) -> Response {
    let Refusal { status, code } = refusal;
    let xml = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>refused</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    );
    (StatusCode::from_u16(*status).unwrap(), [("content-type", "text/xml")], xml).into_response()
}
