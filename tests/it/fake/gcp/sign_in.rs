//! Whoever hands out tokens: OAuth for keys and people, STS for pools, IAM for service accounts that
//! lend theirs, and the metadata server of a machine.
//!
//! Signatures, issuers, audiences and times are really checked.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use secretzero::clock::{Clock as _, SystemClock};
use serde_json::{Value as Json, json};

use super::form;

/// The service account of the machine.
pub(crate) const MACHINE: &str = "machine@shop-prod.iam.gserviceaccount.com";

/// A pool that trusts an issuer.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    /// `//iam.googleapis.com/projects/…/providers/…`.
    pub(crate) audience: String,
    pub(crate) issuer: String,
    /// What a token may be issued for.
    pub(crate) allowed_audience: String,
    /// The issuer's keys by their id, in PEM: an uploaded JWKS.
    pub(crate) keys: BTreeMap<String, String>,
    /// The attribute condition: one of these.
    pub(crate) subjects: Vec<String>,
}

/// Who is known.
#[derive(Default)]
pub(crate) struct SignIn {
    pub(super) url: String,
    /// Public keys of service accounts, by address and key id, in PEM.
    pub(crate) keys: BTreeMap<(String, String), String>,
    /// Refresh tokens of people, with their client's id and secret.
    pub(crate) people: BTreeSet<(String, String, String)>,
    pub(crate) pools: Vec<Pool>,
    /// Who may have a token of which service account.
    pub(crate) lends: BTreeSet<(String, String)>,
    /// There is no machine.
    pub(crate) no_machine: bool,
    /// Its service account, if it is not [`MACHINE`].
    pub(crate) machine: Option<String>,
    /// Tokens in force with their owners.
    tokens: BTreeMap<String, String>,
    /// Each token given, by the way it was had.
    pub(crate) given: Vec<(&'static str, String)>,
    /// How often an exchange was asked for.
    pub(crate) exchanges: usize,
    /// And how often a loan.
    pub(crate) loans: usize,
    /// What `/idtoken` answers.
    pub(crate) issued_token: Option<String>,
    /// How long tokens live, in seconds; an hour when missing.
    pub(crate) lifetime: Option<i64>,
    /// What the next exchanges and loans are answered instead, each with the end of the path that it is for.
    pub(crate) answers: VecDeque<(&'static str, u16, Json)>,
}

/// What an exchange refuses with: status and OAuth code.
type Refused = (u16, &'static str);

impl SignIn {
    /// Whose token in force the caller holds.
    pub(super) fn owner(&self, headers: &HeaderMap) -> Option<&String> {
        let token = headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")?;
        self.tokens.get(token)
    }

    /// All tokens that are good.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.tokens.keys().cloned().collect()
    }

    /// Takes every token back.
    pub(crate) fn revoke_all(&mut self) {
        self.tokens.clear();
    }

    /// A token by hand, for a client that brings its own.
    pub(crate) fn token(&mut self, owner: &str) -> String {
        self.give("hand", owner)
    }

    fn give(&mut self, how: &'static str, owner: &str) -> String {
        let token = format!("ya29.canary-{}-{how}", self.given.len());
        self.given.push((how, owner.to_owned()));
        self.tokens.insert(token.clone(), owner.to_owned());
        token
    }

    /// The answer, if the path is one of these.
    pub(super) fn act(&mut self, method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Option<Response> {
        let text = String::from_utf8_lossy(body).into_owned();
        if let Some(path) = path.strip_prefix("/computeMetadata/v1/") {
            return Some(self.metadata(path, headers));
        }
        if let Some((_, status, body)) = self.answers.pop_front_if(|(end, ..)| path.ends_with(*end)) {
            self.exchanges += usize::from(path == "/v1/token");
            self.loans += usize::from(path.ends_with(":generateAccessToken"));
            let status = StatusCode::from_u16(status).unwrap();
            return Some((status, [("content-type", "application/json")], body.to_string()).into_response());
        }
        let answer = match (method.as_str(), path) {
            ("POST", "/token") => self.oauth(&form(&text).into_iter().collect()),
            ("POST", "/v1/token") => {
                self.exchanges += 1;
                self.exchange(&text)
            }
            ("GET", "/idtoken") => {
                return Some(self.issued(headers));
            }
            ("POST", path) if path.ends_with(":generateAccessToken") => {
                self.loans += 1;
                let email = path.rsplit('/').next().unwrap_or_default().trim_end_matches(":generateAccessToken");
                return Some(self.lend(email, headers, &text));
            }
            _ => return None,
        };
        Some(match answer {
            Ok((how, owner)) => {
                let seconds = self.lifetime.unwrap_or(3600);
                let token = self.give(how, &owner);
                let body = json!({ "access_token": token, "expires_in": seconds, "token_type": "Bearer" });
                (StatusCode::OK, [("content-type", "application/json")], body.to_string()).into_response()
            }
            Err((status, code)) => {
                // As the real one does, the description quotes what was sent.
                let body = json!({ "error": code, "error_description": format!("refused: {text}") });
                let status = StatusCode::from_u16(status).unwrap();
                (status, [("content-type", "application/json")], body.to_string()).into_response()
            }
        })
    }

    /// <https://developers.google.com/identity/protocols/oauth2/service-account> and
    /// <https://developers.google.com/identity/protocols/oauth2/web-server#offline>.
    fn oauth(&self, form: &BTreeMap<String, String>) -> Result<(&'static str, String), Refused> {
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        match field("grant_type").as_str() {
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
                let assertion = field("assertion");
                let header = decode_header(&assertion).map_err(|_| (400, "invalid_grant"))?;
                let kid = header.kid.unwrap_or_default();
                let claimed = claims(&assertion).ok_or((400, "invalid_grant"))?;
                let email = claimed["iss"].as_str().unwrap_or_default().to_owned();
                let key = self.keys.get(&(email.clone(), kid)).ok_or((400, "invalid_grant"))?;
                let audience = format!("{}/token", self.url);
                let valid = verified(&assertion, key, &audience, &email).ok_or((400, "invalid_grant"))?;
                let lives = valid["exp"].as_i64().unwrap_or(i64::MAX) - valid["iat"].as_i64().unwrap_or_default();
                let scope = valid["scope"] == "https://www.googleapis.com/auth/cloud-platform";
                if lives > 3600 || !scope {
                    return Err((400, "invalid_scope"));
                }
                Ok(("key", email))
            }
            "refresh_token" => {
                let who = (field("client_id"), field("client_secret"), field("refresh_token"));
                if self.people.contains(&who) { Ok(("user", "user".into())) } else { Err((400, "invalid_grant")) }
            }
            _ => Err((400, "unsupported_grant_type")),
        }
    }

    /// <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>
    fn exchange(&self, body: &str) -> Result<(&'static str, String), Refused> {
        let asked: Json = serde_json::from_str(body).map_err(|_| (400, "invalid_request"))?;
        let field = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
        let right = field("grantType") == "urn:ietf:params:oauth:grant-type:token-exchange"
            && field("requestedTokenType") == "urn:ietf:params:oauth:token-type:access_token"
            && field("subjectTokenType") == "urn:ietf:params:oauth:token-type:jwt"
            && field("scope") == "https://www.googleapis.com/auth/cloud-platform";
        if !right {
            return Err((400, "invalid_request"));
        }
        let pool = self.pools.iter().find(|pool| pool.audience == field("audience")).ok_or((400, "invalid_target"))?;
        let token = field("subjectToken");
        let kid = decode_header(&token).ok().and_then(|header| header.kid).unwrap_or_default();
        let key = pool.keys.get(&kid).ok_or((400, "invalid_grant"))?;
        let valid = verified(&token, key, &pool.allowed_audience, &pool.issuer).ok_or((400, "invalid_grant"))?;
        let subject = valid["sub"].as_str().unwrap_or_default();
        // The attribute condition.
        if !pool.subjects.iter().any(|one| one == subject) {
            return Err((401, "unauthorized_client"));
        }
        let members = pool.audience.split("/providers/").next().unwrap_or_default();
        Ok(("pool", format!("principal:{members}/subject/{subject}")))
    }

    /// <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>
    fn lend(&mut self, email: &str, headers: &HeaderMap, body: &str) -> Response {
        let Some(owner) = self.owner(headers).cloned() else {
            return super::refuse(&super::Refusal::new(401, "UNAUTHENTICATED"));
        };
        let asked: Json = serde_json::from_str(body).unwrap_or_default();
        if asked["scope"][0].as_str().is_none_or(|scope| !scope.ends_with("/cloud-platform")) {
            return super::refuse(&super::Refusal::new(400, "INVALID_ARGUMENT"));
        }
        if !self.lends.contains(&(owner, email.to_owned())) {
            return super::refuse(&super::Refusal::new(403, "PERMISSION_DENIED"));
        }
        let ends = SystemClock.now() + SignedDuration::from_secs(self.lifetime.unwrap_or(3600));
        let token = self.give("lent", email);
        let body = json!({ "accessToken": token, "expireTime": format!("{ends:.0}") });
        (StatusCode::OK, [("content-type", "application/json")], body.to_string()).into_response()
    }

    /// <https://cloud.google.com/compute/docs/metadata/querying-metadata>: without the header, 403.
    fn metadata(&mut self, path: &str, headers: &HeaderMap) -> Response {
        let asked = headers.get("metadata-flavor").is_some_and(|flavor| flavor == "Google");
        let flavor = [("metadata-flavor", "Google")];
        let text = match path {
            _ if self.no_machine => return StatusCode::NOT_FOUND.into_response(),
            _ if !asked => return (StatusCode::FORBIDDEN, flavor).into_response(),
            "instance/service-accounts/default/token" => {
                let token = self.give("machine", &self.machine());
                let seconds = self.lifetime.unwrap_or(3599);
                json!({ "access_token": token, "expires_in": seconds, "token_type": "Bearer" }).to_string()
            }
            "instance/service-accounts/default/email" => self.machine(),
            "project/project-id" => super::PROJECT.to_owned(),
            _ => return (StatusCode::NOT_FOUND, flavor).into_response(),
        };
        (StatusCode::OK, flavor, text).into_response()
    }

    fn machine(&self) -> String {
        self.machine.clone().unwrap_or_else(|| MACHINE.to_owned())
    }

    /// An issuer in front of a pool, as GitHub's is: it answers whatever bearer of `request-token` asks.
    fn issued(&self, headers: &HeaderMap) -> Response {
        let asked = headers.get("authorization").is_some_and(|header| header == "Bearer request-token");
        let token = self.issued_token.clone().filter(|_| asked);
        match token {
            Some(token) => (StatusCode::OK, json!({ "value": token }).to_string()).into_response(),
            None => StatusCode::UNAUTHORIZED.into_response(),
        }
    }
}

/// The claims, if signature, audience, issuer and times are right.
fn verified(token: &str, key: &str, audience: &str, issuer: &str) -> Option<Json> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[issuer]);
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    validation.leeway = 60;
    let key = DecodingKey::from_rsa_pem(key.as_bytes()).ok()?;
    Some(decode::<Json>(token, &key, &validation).ok()?.claims)
}

/// The claims as they are said.
fn claims(token: &str) -> Option<Json> {
    let part = token.split('.').nth(1)?;
    serde_json::from_slice(&data_encoding::BASE64URL_NOPAD.decode(part.as_bytes()).ok()?).ok()
}
