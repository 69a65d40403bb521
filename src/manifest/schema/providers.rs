//! `providers:`: what each kind knows, from the tables that the reader uses.

use serde_json::{Value as Json, json};

use super::shape::{about, flag, number, object, part, pattern, short, text, when, word};
use crate::manifest::ProviderKind;
use crate::manifest::policies::PROVIDER_KINDS;
use crate::manifest::providers::{auth_kinds, required, settings};

/// https, or http on this machine; no login, query or fragment.
const ADDRESS: &str = r"^(https://[^/?#@\s]+|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?)(/[^?#\s]*)?$";

/// Namespaces of Vault.
const NAMESPACE: &str = r"^/*(?!\.\.?(/|$))[A-Za-z0-9_.-]+(/(?!\.\.?(/|$))[A-Za-z0-9_.-]+)*/*$";
/// Service accounts of Google.
const ACCOUNT: &str = r"^[A-Za-z0-9._-]+@[A-Za-z0-9_-]*\.[A-Za-z0-9._-]*$";

/// The definition of each kind's settings.
pub(super) fn definitions() -> Vec<(String, Json)> {
    let config = |(word, kind): &(&str, ProviderKind)| {
        let keys = settings(*kind).iter().map(|setting| (*setting, shape(setting))).collect();
        (format!("provider_{word}"), object("How to reach it.", &[], keys))
    };
    PROVIDER_KINDS.iter().map(config).collect()
}

/// One provider.
pub(super) fn provider() -> Json {
    let kinds = PROVIDER_KINDS.iter().map(|(word, _)| *word);
    let auth = json!({
        "type": ["object", "null"],
        "properties": {
            "kind": text("How to log in; the kind of provider tells which ways there are."),
            "config": about(json!({ "type": ["object", "null"] }), "Settings of the login."),
        },
        "additionalProperties": false,
    });
    let mut shape = object(
        "Where to log in, and how.",
        &["kind"],
        vec![
            ("kind", word(kinds, true, "What it connects to.")),
            ("description", about(json!({}), "Free text.")),
            ("auth", about(auth, "How to log in.")),
            ("config", about(json!({ "type": ["object", "null"] }), "Settings; they may stand here or under `auth`.")),
        ],
    );
    if let Some(members) = shape.as_object_mut() {
        members.insert("allOf".into(), PROVIDER_KINDS.iter().map(|(word, kind)| of_kind(word, *kind)).collect());
    }
    shape
}

fn of_kind(name: &str, kind: ProviderKind) -> Json {
    let config = part(&format!("provider_{name}"));
    let ways = word(auth_kinds(kind).iter().copied(), false, "How to log in; the first is the usual one.");
    let auth = json!({ "properties": { "kind": ways, "config": config.clone() } });
    let needs: Vec<Json> =
        auth_kinds(kind).iter().enumerate().filter_map(|(at, auth)| lacks(kind, auth, at == 0)).collect();
    let mut then = json!({ "properties": { "auth": auth, "config": config } });
    if let Some(members) = then.as_object_mut().filter(|_| !needs.is_empty()) {
        members.insert("allOf".into(), json!(needs));
    }
    when("kind", name, then)
}

/// The settings that a way to log in cannot do without, in either of the two places.
fn lacks(kind: ProviderKind, auth: &str, usual: bool) -> Option<Json> {
    let either = |setting: &&str| {
        let here = json!({ "properties": { "config": { "required": [setting] } }, "required": ["config"] });
        json!({ "anyOf": [here, { "properties": { "auth": here }, "required": ["auth"] }] })
    };
    let all: Vec<Json> = required(kind, auth).iter().map(either).collect();
    let named = json!({ "properties": { "auth": { "properties": { "kind": { "const": auth } }, "required": ["kind"] } }, "required": ["auth"] });
    let unnamed = json!({ "not": { "properties": { "auth": { "required": ["kind"] } }, "required": ["auth"] } });
    let condition = if usual { json!({ "anyOf": [named, unnamed] }) } else { named };
    (!all.is_empty()).then(|| json!({ "if": condition, "then": { "allOf": all } }))
}

/// What a setting may be.
fn shape(setting: &str) -> Json {
    let about = hover(setting);
    match setting {
        "region" => pattern(super::targets::REGION, 64, false, about),
        "url" | "endpoint_url" | "authority_host" => pattern(ADDRESS, 2048, false, about),
        "namespace" => pattern(NAMESPACE, 1024, false, about),
        "service_account" | "plan_service_account" => pattern(ACCOUNT, 254, false, about),
        "project_id" => pattern(super::targets::PROJECT, 63, false, about),
        "tls_skip_verify" => flag(about),
        "session_name" => pattern("^[A-Za-z0-9_+=,.@-]{2,64}$", 64, false, about),
        "session_policy" => short(2048, about),
        "policy_arns" => pattern("^[^,]*(,[^,]*){0,9}$", 2048, false, about),
        "duration_seconds" => number(900, 43_200, about),
        _ => text(about),
    }
}

/// What an editor shows for a setting.
fn hover(setting: &str) -> &'static str {
    match setting {
        "region" => "The region; else `AWS_REGION` or the profile's.",
        "profile" => "A profile of the shared configuration.",
        "role_arn" => "ARN of the role to assume.",
        "plan_role_arn" => "ARN of the role for pull requests; it may read metadata and no value.",
        "session_policy" => "Inline policy (JSON) that narrows the session down; at most 2048 characters.",
        "policy_arns" => "ARNs of policies that narrow the session down, separated by commas; at most ten.",
        "duration_seconds" => "How long the session is good for: 900 to 43200; 3600 when missing.",
        "external_id" => "What the role's trust policy may ask for.",
        "session_name" => "Name of the session; `secretzero` when missing.",
        "access_key_id" => "Access key: `${NAME}`, never the key itself.",
        "secret_access_key" | "session_token" | "client_secret" | "token" | "secret_id" | "jwt" => {
            "A credential: `${NAME}`, never the credential itself."
        }
        "endpoint_url" | "authority_host" | "url" => "An https address (http on this machine).",
        "audience" => "The audience of the token to exchange.",
        "tenant_id" => "Directory of Microsoft Entra.",
        "client_id" => "Application or managed identity.",
        "plan_client_id" => "Application or managed identity for pull requests.",
        "subscription_id" => "Subscription of Azure.",
        "namespace" => "Namespace of Vault.",
        "role" | "role_id" => "The role to log in as.",
        "plan_role" => "The role for pull requests.",
        "mount" => "Where the login is mounted.",
        "ca_cert" => "Path of the certificate of your own CA.",
        "client_cert" | "client_key" => "Path of a file for mutual TLS.",
        "tls_skip_verify" => "Do not check the server's certificate; whoever sits on the line can read every secret.",
        "project_id" => "Project of Google Cloud.",
        "credentials_file" => "Path of a file of credentials.",
        "service_account" => "Service account to act as.",
        "plan_service_account" => "Service account to act as for pull requests.",
        "workload_identity_provider" => "Full name of the provider.",
        _ => "",
    }
}
