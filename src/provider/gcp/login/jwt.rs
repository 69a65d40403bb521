//! Tokens that we sign, and the harmless part of tokens that we are given.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value as Json, json};

use super::SCOPE;
use crate::provider::{Error, ErrorKind, Result};
use crate::secret::SecretValue;

/// Longest life of an assertion, in seconds
/// (<https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests>).
const ASSERTION_SECONDS: i64 = 3600;

/// What a service account says of itself to get a token, signed with its key (RS256).
///
/// # Errors
/// [`ErrorKind::Unauthenticated`] if the key is none.
pub(super) fn assertion(
    email: &str,
    key: &SecretValue,
    key_id: &str,
    audience: &str,
    now: Timestamp,
) -> Result<SecretValue> {
    let begin = now.as_second();
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": key_id });
    let claims =
        json!({ "iss": email, "scope": SCOPE, "aud": audience, "iat": begin, "exp": begin + ASSERTION_SECONDS });
    let part = |part: &Json| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = sign(key, signed.as_bytes()).ok_or_else(|| {
        let message =
            format!("the private key of {email} in the credentials file is no RSA key in PEM; make a new one");
        Error::new(ErrorKind::Unauthenticated, message)
    })?;
    Ok(SecretValue::from(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))))
}

fn sign(key: &SecretValue, message: &[u8]) -> Option<Vec<u8>> {
    let key = PrivateKeyDer::from_pem_slice(key.expose()).ok()?;
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).ok()?;
    key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?.sign(message).ok()
}

/// A claim of a token that nobody verified here: for a person to read, never to decide by.
pub(super) fn claim(token: &SecretValue, name: &str) -> Option<String> {
    let claims = token.expose_text()?.split('.').nth(1)?;
    let claims: Json = serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?).ok()?;
    let text = claims.get(name)?.as_str()?;
    (text.len() <= 256 && !text.chars().any(char::is_control)).then(|| text.to_owned())
}
