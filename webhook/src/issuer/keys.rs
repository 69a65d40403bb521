//! One RSA key that signs: made, kept as a PEM, published as a JWK.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use data_encoding::BASE64;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secretzero::secret::SecretValue;
use serde_json::{Value as Json, json};

use super::Error;

/// Entra takes RS256 alone
/// (<https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations>).
const ALGORITHM: Algorithm = Algorithm::RS256;

/// Characters in a line of a PEM (<https://www.rfc-editor.org/rfc/rfc7468#section-2>).
const PEM_LINE: usize = 64;

/// A key with its name.
pub(super) struct SigningKey {
    key: EncodingKey,
    public: Json,
    id: String,
}

impl SigningKey {
    /// A new one, and the PEM that it is kept as.
    pub(super) fn generate() -> Result<(Self, SecretValue), Error> {
        let no_key = |_| Error::Signing("no RSA key could be made");
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(no_key)?;
        let der: Pkcs8V1Der<'static> = pair.as_der().map_err(no_key)?;
        let pem = pem(der.as_ref());
        Ok((Self::from_pem(&pem)?, pem))
    }

    /// One that was kept.
    pub(super) fn from_pem(pem: &SecretValue) -> Result<Self, Error> {
        let no_key = |_| Error::Signing("this is no RSA key in PEM");
        let key = EncodingKey::from_rsa_pem(pem.expose()).map_err(no_key)?;
        let mut jwk = Jwk::from_encoding_key(&key, ALGORITHM).map_err(no_key)?;
        let id = jwk.thumbprint(ThumbprintHash::SHA256);
        jwk.common.key_id = Some(id.clone());
        jwk.common.key_algorithm = Some(KeyAlgorithm::RS256);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { key, public: json!(jwk), id })
    }

    /// Its thumbprint (<https://www.rfc-editor.org/rfc/rfc7638>), so that it is named by what it is.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What verifiers read.
    pub(super) fn public(&self) -> Json {
        self.public.clone()
    }

    /// Signs claims.
    pub(super) fn sign(&self, claims: &Json) -> Result<SecretValue, Error> {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(ALGORITHM) };
        let token = jsonwebtoken::encode(&header, claims, &self.key);
        token.map(SecretValue::from).map_err(|_| Error::Signing("the token could not be signed"))
    }
}

fn pem(der: &[u8]) -> SecretValue {
    let body = SecretValue::new(BASE64.encode(der).into_bytes());
    let mut pem = Vec::with_capacity(body.len() + body.len() / PEM_LINE + 64);
    pem.extend_from_slice(b"-----BEGIN PRIVATE KEY-----\n");
    for line in body.expose().chunks(PEM_LINE) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(b"-----END PRIVATE KEY-----\n");
    SecretValue::new(pem)
}
