//! `AssumeRoleWithWebIdentity` as AWS decides it, and what a session may do afterwards
//! (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use secretzero::clock::{Clock as _, SystemClock};
use serde_json::Value as Json;

use super::super::jwt::{self, Fault, Issuer};
use super::Refusal;
use super::world::World;

/// A role that trusts an issuer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Role {
    pub(crate) issuer: String,
    /// The condition on `aud`.
    pub(crate) audience: String,
    /// The condition on `sub`; exact.
    pub(crate) subjects: Vec<String>,
    /// Operations that its policy allows.
    pub(crate) allowed: BTreeSet<String>,
    /// The longest session; 3,600 when zero.
    pub(crate) duration_max: u32,
}

/// The account's side of federation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Federation {
    /// Identity providers by address.
    pub(crate) issuers: BTreeMap<String, Issuer>,
    /// Roles by ARN.
    pub(crate) roles: BTreeMap<String, Role>,
    /// What the next logins are refused with, whatever they bring.
    pub(crate) faults: VecDeque<(u16, &'static str)>,
    /// How long sessions are good for, instead of what was asked.
    pub(crate) life_seconds: Option<u32>,
    /// What each session may do, by key id.
    rights: BTreeMap<String, BTreeSet<String>>,
}

impl Federation {
    /// Whether a key may do something; keys that belong to no session may do everything.
    pub(crate) fn permits(&self, key_id: &str, operation: &str) -> bool {
        // <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>: needs no right.
        operation == "GetCallerIdentity" || self.rights.get(key_id).is_none_or(|rights| rights.contains(operation))
    }
}

fn refused(status: u16, code: &str) -> Refusal {
    Refusal { status, code: code.to_owned() }
}

/// The answer, without its envelope.
pub(super) fn assume(world: &mut World, form: &BTreeMap<String, String>) -> Result<String, Refusal> {
    let get = |name: &str| form.get(name).cloned().unwrap_or_default();
    if let Some((status, code)) = world.federation.faults.pop_front() {
        return Err(refused(status, code));
    }
    let (arn, name, token) = (get("RoleArn"), get("RoleSessionName"), get("WebIdentityToken"));
    let seconds = form.get("DurationSeconds").map_or(Some(3600), |text| text.parse::<u32>().ok());
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    let named = (2..=64).contains(&name.len()) && name.bytes().all(letters);
    let sized = (4..=20_000).contains(&token.len()) && (20..=2048).contains(&arn.len());
    let known = world.federation.roles.get(&arn).cloned().unwrap_or_default();
    let longest = if known.duration_max == 0 { 3600 } else { known.duration_max };
    let Some(seconds) = seconds.filter(|n| named && sized && (900..=longest).contains(n)) else {
        return Err(refused(400, "ValidationError"));
    };
    let narrowed = narrowed(form)?;
    let claims = jwt::verify(&token, &world.federation.issuers).map_err(|fault| match fault {
        Fault::Expired => refused(400, "ExpiredTokenException"),
        _ => refused(400, "InvalidIdentityToken"),
    })?;
    let audience = match &claims["aud"] {
        Json::Array(several) => several.iter().any(|one| *one == *known.audience),
        one => *one == *known.audience,
    };
    let subject = claims["sub"].as_str().unwrap_or_default();
    if claims["iss"] != known.issuer.as_str() || !audience || !known.subjects.iter().any(|one| one == subject) {
        return Err(refused(403, "AccessDenied"));
    }
    let key_id = format!("ASIAWEB{:013}", world.tick());
    let role = arn.rsplit('/').next().unwrap_or_default();
    let session = format!("arn:aws:sts::{}:assumed-role/{role}/{name}", super::ACCOUNT);
    world.sessions.insert(key_id.clone(), session.clone());
    let allowed = known.allowed.into_iter().filter(|right| narrowed.as_ref().is_none_or(|only| only.contains(right)));
    world.federation.rights.insert(key_id.clone(), allowed.collect());
    let life = world.federation.life_seconds.unwrap_or(seconds);
    let expires = SystemClock.now().checked_add(jiff::SignedDuration::from_secs(i64::from(life))).unwrap();
    Ok(format!(
        "<Credentials><AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>canary-session-secret</SecretAccessKey>\
         <SessionToken>canary-session-token</SessionToken><Expiration>{expires:.3}</Expiration></Credentials>\
         <SubjectFromWebIdentityToken>{subject}</SubjectFromWebIdentityToken><Audience>{}</Audience>\
         <AssumedRoleUser><Arn>{session}</Arn><AssumedRoleId>AROAWEB:{name}</AssumedRoleId></AssumedRoleUser>",
        known.audience
    ))
}

/// What an inline session policy leaves; `None` without one.
fn narrowed(form: &BTreeMap<String, String>) -> Result<Option<BTreeSet<String>>, Refusal> {
    let arns = form.keys().filter(|name| name.starts_with("PolicyArns.member.")).count();
    let Some(text) = form.get("Policy") else {
        return if arns > 10 { Err(refused(400, "PackedPolicyTooLarge")) } else { Ok(None) };
    };
    if text.len() > 2048 || arns > 10 {
        return Err(refused(400, "PackedPolicyTooLarge"));
    }
    let policy: Json = serde_json::from_str(text).map_err(|_| refused(400, "MalformedPolicyDocument"))?;
    let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().cloned().unwrap_or_default());
    let bare = actions.filter_map(|action| Some(action.as_str()?.split_once(':')?.1.to_owned()));
    Ok(Some(bare.collect()))
}
