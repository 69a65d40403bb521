//! Tokens as an identity provider signs them, and their check as a cloud does it.

use std::collections::BTreeMap;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secretzero::clock::{Clock as _, SystemClock};
use serde_json::{Value as Json, json};

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    SystemClock.now().as_second()
}

/// A signing key of an issuer.
pub(crate) struct Key {
    key: EncodingKey,
    jwk: Jwk,
    pem: String,
}

impl Key {
    /// A new RSA key.
    pub(crate) fn new(id: &str) -> Self {
        let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).expect("a key");
        let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).expect("a PEM of a key");
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::RS256).expect("a JWK");
        jwk.common.key_id = Some(id.to_owned());
        Self { key, jwk, pem: pair.public_key_pem() }
    }

    /// What its issuer publishes.
    pub(crate) fn jwks(&self) -> Json {
        json!({ "keys": [self.jwk] })
    }

    /// The same as a PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn sign(&self, claims: &Json) -> String {
        let header = Header { kid: self.jwk.common.key_id.clone(), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, &self.key).expect("a token")
    }
}

/// What an account knows of an issuer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Issuer {
    /// Its published keys.
    pub(crate) jwks: Json,
    /// The audiences that the account takes from it.
    pub(crate) audiences: Vec<String>,
}

/// What is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Malformed,
    Issuer,
    Signature,
    Audience,
    Subject,
    Expired,
    NotYet,
}

/// The claims of a token that is sound: RS256 by a key of an issuer that is known, its times and its
/// audience right, and with a subject.
pub(crate) fn verify(token: &str, issuers: &BTreeMap<String, Issuer>) -> Result<Json, Fault> {
    use jsonwebtoken::errors::ErrorKind;
    let header = jsonwebtoken::decode_header(token).map_err(|_| Fault::Malformed)?;
    let claims = jsonwebtoken::dangerous::insecure_decode::<Json>(token).map_err(|_| Fault::Malformed)?.claims;
    let issuer = claims["iss"].as_str().and_then(|iss| issuers.get(iss)).ok_or(Fault::Issuer)?;
    // The algorithm is ours to choose, never the token's.
    if header.alg != Algorithm::RS256 {
        return Err(Fault::Signature);
    }
    let keys = issuer.jwks["keys"].as_array().cloned().unwrap_or_default();
    let key = keys.into_iter().find(|key| key["kid"].as_str() == header.kid.as_deref()).ok_or(Fault::Signature)?;
    let jwk: Jwk = serde_json::from_value(key).map_err(|_| Fault::Signature)?;
    let mut rules = Validation::new(Algorithm::RS256);
    rules.leeway = 0;
    rules.validate_nbf = true;
    rules.set_audience(&issuer.audiences);
    rules.set_required_spec_claims(&["exp", "aud", "iss"]);
    let key = DecodingKey::from_jwk(&jwk).map_err(|_| Fault::Signature)?;
    let sound = jsonwebtoken::decode::<Json>(token, &key, &rules).map_err(|error| match error.kind() {
        ErrorKind::ExpiredSignature => Fault::Expired,
        ErrorKind::ImmatureSignature => Fault::NotYet,
        ErrorKind::InvalidAudience | ErrorKind::MissingRequiredClaim(_) => Fault::Audience,
        _ => Fault::Signature,
    })?;
    if sound.claims["iat"].as_i64().is_some_and(|issued| issued > now()) {
        return Err(Fault::NotYet);
    }
    match sound.claims["sub"].as_str() {
        Some(subject) if !subject.is_empty() => Ok(sound.claims),
        _ => Err(Fault::Subject),
    }
}
