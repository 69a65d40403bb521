//! A role of Vault's JWT method: audience, subject and the claims that survive a rename.
//!
//! <https://developer.hashicorp.com/vault/api-docs/auth/jwt>

use serde_json::{Map, Value as Json, json};

use super::{Account, Document, Forge, Generated, Phase, Trusted, pretty, shell_argument, subjects};

/// Stands for what our own exchanges ask for: the address of the server, as the provider's `url` has it.
const AUDIENCE: &str = "VAULT_ADDR";

/// How far clocks may differ, in seconds; Vault's own default is up to 150.
const LEEWAY_SECONDS: u32 = 60;

/// What every token needs that a role of ours hands out.
pub(crate) const OWN_TOKEN: &str = "path \"auth/token/lookup-self\" {\n  capabilities = [\"read\"]\n}\n\n\
     path \"auth/token/renew-self\" {\n  capabilities = [\"update\"]\n}\n\n\
     path \"auth/token/revoke-self\" {\n  capabilities = [\"update\"]\n}\n";

pub(super) fn generate(trusted: &Trusted, account: &Account) -> Generated {
    let phase = trusted.phase.as_str();
    let mount = account.mount.as_deref().unwrap_or("jwt");
    let audience = trusted.audience.clone().unwrap_or_else(|| AUDIENCE.to_owned());
    let policy = format!("secretzero-{phase}");
    let role = role(phase, &[audience], claims(trusted));
    let (file, rules) = (format!("vault-{phase}-role.json"), format!("vault-{phase}-token.hcl"));
    let steps = vec![
        format!("vault auth enable -path={} jwt  # once", shell_argument(mount)),
        format!(
            "vault write {} oidc_discovery_url={issuer} bound_issuer={issuer} jwt_supported_algs=RS256  # once",
            shell_argument(&format!("auth/{mount}/config")),
            issuer = shell_argument(&trusted.issuer)
        ),
        format!("vault write {} @{file}", shell_argument(&format!("auth/{mount}/role/secretzero-{phase}"))),
        format!(
            "secretzero permissions --cloud vault --phase {phase}  # prints the whole policy {policy} for a Secretfile"
        ),
    ];
    let mut generated = Generated { steps, ..Generated::default() };
    generated.documents.push(Document { name: file, text: pretty(&role) });
    generated.documents.push(Document { name: rules, text: OWN_TOKEN.to_owned() });
    if trusted.audience.is_none() {
        generated.say(
            "SecretZero asks for tokens whose audience is the address of the server, as the provider's `url` has it: put it \
             for VAULT_ADDR, or give it with `--audience`",
        );
    }
    generated
}

/// A role for tokens that say all of this, with the policy of a phase.
pub(crate) fn role(phase: &str, audiences: &[String], claims: Json) -> Json {
    json!({
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": audiences,
        "bound_claims_type": "string",
        "bound_claims": claims,
        "token_policies": [format!("secretzero-{phase}")],
        "token_ttl": "10m",
        "token_max_ttl": "1h",
        "token_no_default_policy": true,
        "clock_skew_leeway": LEEWAY_SECONDS,
        "expiration_leeway": LEEWAY_SECONDS,
        "not_before_leeway": LEEWAY_SECONDS,
    })
}

/// What a token must say; a list means any of its values.
fn claims(trusted: &Trusted) -> Json {
    let repository = &trusted.repository;
    let mut claims = Map::new();
    let (id, owner_id) = match trusted.forge {
        Forge::Github | Forge::Service => ("repository_id", "repository_owner_id"),
        Forge::Gitlab => ("project_id", "namespace_id"),
    };
    let subjects = subjects(trusted);
    // What a merge request's subject says is not known before; other claims tell it.
    if subjects.iter().all(|subject| !subject.is_pattern) {
        let subjects: Vec<String> = subjects.into_iter().map(|subject| subject.text).collect();
        claims.insert("sub".into(), json!(subjects));
    } else if repository.id.is_none() {
        claims.insert("project_path".into(), json!(repository.path));
    }
    claims.extend(repository.id.as_ref().map(|number| (id.to_owned(), json!(number))));
    if trusted.forge == Forge::Service {
        // The subject holds everything else.
        return Json::Object(claims);
    }
    claims.extend(repository.owner_id.as_ref().map(|number| (owner_id.to_owned(), json!(number))));
    match (trusted.forge, trusted.phase) {
        (Forge::Github, Phase::Plan) => claims.insert("event_name".into(), json!("pull_request")),
        (Forge::Github, Phase::Sync) => {
            claims.insert("ref".into(), json!(format!("refs/heads/{}", trusted.branch)));
            claims.insert("event_name".into(), json!(["push", "schedule", "workflow_dispatch", "issue_comment"]))
        }
        (Forge::Service, _) => None,
        (Forge::Gitlab, Phase::Plan) => claims.insert("pipeline_source".into(), json!("merge_request_event")),
        (Forge::Gitlab, Phase::Sync) => claims.insert("ref_protected".into(), json!("true")),
    };
    if trusted.forge == Forge::Gitlab
        && let Some(environment) = trusted.environment.as_ref().filter(|_| trusted.phase == Phase::Sync)
    {
        claims.insert("environment".into(), json!(environment));
    }
    if trusted.asks_for_hosted() {
        let hosted = if trusted.forge == Forge::Github { "github-hosted" } else { "gitlab-hosted" };
        claims.insert("runner_environment".into(), json!(hosted));
    }
    Json::Object(claims)
}
