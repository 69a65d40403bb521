//! `uuid`: a random UUID, version 4 (<https://www.rfc-editor.org/rfc/rfc9562#section-5.4>).

use super::draw::Draws;
use crate::clock::NoEntropy;
use crate::secret::SecretValue;

pub(super) fn uuid(draws: &mut Draws<'_>) -> Result<SecretValue, NoEntropy> {
    let uuid = uuid::Builder::from_random_bytes(draws.bytes()?).into_uuid();
    Ok(SecretValue::from(uuid.to_string()))
}
