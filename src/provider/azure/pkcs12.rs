//! Finds the certificate in a PKCS#12 file (RFC 7292), to know it by its thumbprint. Nothing else of
//! the file is looked at, least of all its key, and nothing here decides whether it is valid: that is
//! the vault's business.
//!
//! Read are files in DER whose certificates are in the clear or under PBES2 with AES (RFC 8018), which
//! is what OpenSSL 3 and current Windows write. Of any other file nothing is said.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;
use zeroize::Zeroizing;

/// Most rounds of key derivation that are carried out; usual are 2,048 to 600,000.
const ROUNDS_MAX: u32 = 5_000_000;

/// Largest file, in bytes: a vault takes no larger one.
const FILE_BYTES_MAX: usize = 64 * 1024;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
/// `[0]` around something.
const CONTEXT_0: u8 = 0xa0;
/// `[0]` in place of octets.
const IMPLICIT_0: u8 = 0x80;

const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06];
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
/// What ends in 7, 9, 10 and 11: HMAC with SHA-1, SHA-256, SHA-384 and SHA-512.
const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02];
/// What ends in 2, 22 and 42: AES-CBC with 128, 192 and 256 bits.
const AES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01];
const CERT_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03];
const LOCAL_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x15];

/// The certificate that belongs to the file's key, in DER form.
pub(super) fn certificate(file: &[u8], password: &[u8]) -> Option<Vec<u8>> {
    if file.len() > FILE_BYTES_MAX {
        return None;
    }
    let mut pfx = Reader::of(file, SEQUENCE)?;
    pfx.take(INTEGER)?;
    let mut info = Reader(pfx.take(SEQUENCE)?);
    if info.take(OID)? != DATA {
        return None;
    }
    let safe = Reader(info.take(CONTEXT_0)?).take(OCTETS)?;
    let mut bags = Vec::new();
    let mut safe = Reader::of(safe, SEQUENCE)?;
    while let Some(content) = safe.take(SEQUENCE) {
        let Some(contents) = contents(content, password) else { continue };
        bags.extend(certificates(&contents));
    }
    // The one that names its key; those without vouch for it.
    let own = |bag: &Bag| bag.has_key;
    let mut ours: Vec<&Bag> = bags.iter().filter(|bag| own(bag)).collect();
    if ours.is_empty() {
        ours = bags.iter().collect();
    }
    match ours.as_slice() {
        [only] => Some(only.der.clone()),
        _ => None,
    }
}

struct Bag {
    der: Vec<u8>,
    has_key: bool,
}

/// The bags of one part of the file, decrypted if need be.
fn contents(content: &[u8], password: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut content = Reader(content);
    let kind = content.take(OID)?;
    let mut inside = Reader(content.take(CONTEXT_0)?);
    if kind == DATA {
        return Some(Zeroizing::new(inside.take(OCTETS)?.to_vec()));
    }
    if kind != ENCRYPTED_DATA {
        return None;
    }
    let mut encrypted = Reader(inside.take(SEQUENCE)?);
    encrypted.take(INTEGER)?;
    let mut info = Reader(encrypted.take(SEQUENCE)?);
    info.take(OID)?;
    let algorithm = info.take(SEQUENCE)?;
    let bytes = info.take(IMPLICIT_0)?;
    decrypt(algorithm, bytes, password)
}

fn decrypt(algorithm: &[u8], bytes: &[u8], password: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut algorithm = Reader(algorithm);
    if algorithm.take(OID)? != PBES2 {
        return None;
    }
    let mut parameters = Reader(algorithm.take(SEQUENCE)?);
    let (mut derivation, mut cipher) = (Reader(parameters.take(SEQUENCE)?), Reader(parameters.take(SEQUENCE)?));
    if derivation.take(OID)? != PBKDF2 {
        return None;
    }
    let mut derivation = Reader(derivation.take(SEQUENCE)?);
    let salt = derivation.take(OCTETS)?;
    let rounds = number(derivation.take(INTEGER)?).filter(|rounds| *rounds <= ROUNDS_MAX)?;
    // A key length may stand here; the cipher says it as well.
    derivation.take(INTEGER);
    let hash = match derivation.take(SEQUENCE) {
        None => pbkdf2::PBKDF2_HMAC_SHA1,
        Some(hash) => hash_of(Reader(hash).take(OID)?)?,
    };
    let (cipher_of, key_bytes) = cipher_of(cipher.take(OID)?)?;
    let iv: [u8; 16] = cipher.take(OCTETS)?.try_into().ok()?;
    let mut key = Zeroizing::new(vec![0_u8; key_bytes]);
    pbkdf2::derive(hash, NonZeroU32::new(rounds)?, salt, password, &mut key);
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(cipher_of, &key).ok()?).ok()?;
    let mut plain = Zeroizing::new(bytes.to_vec());
    let length = key.decrypt(&mut plain, DecryptionContext::Iv128(FixedLength::from(iv))).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

fn hash_of(oid: &[u8]) -> Option<pbkdf2::Algorithm> {
    match oid.strip_prefix(HMAC)? {
        [7] => Some(pbkdf2::PBKDF2_HMAC_SHA1),
        [9] => Some(pbkdf2::PBKDF2_HMAC_SHA256),
        [10] => Some(pbkdf2::PBKDF2_HMAC_SHA384),
        [11] => Some(pbkdf2::PBKDF2_HMAC_SHA512),
        _ => None,
    }
}

/// The cipher and the length of its key.
fn cipher_of(oid: &[u8]) -> Option<(&'static Algorithm, usize)> {
    match oid.strip_prefix(AES)? {
        [2] => Some((&AES_128, 16)),
        [22] => Some((&AES_192, 24)),
        [42] => Some((&AES_256, 32)),
        _ => None,
    }
}

/// The certificates among some bags.
fn certificates(contents: &[u8]) -> Vec<Bag> {
    let Some(mut contents) = Reader::of(contents, SEQUENCE) else { return Vec::new() };
    std::iter::from_fn(|| contents.take(SEQUENCE)).filter_map(certificate_of).collect()
}

fn certificate_of(bag: &[u8]) -> Option<Bag> {
    let mut bag = Reader(bag);
    if bag.take(OID)? != CERT_BAG {
        return None;
    }
    let mut value = Reader(Reader(bag.take(CONTEXT_0)?).take(SEQUENCE)?);
    value.take(OID)?;
    let der = Reader(value.take(CONTEXT_0)?).take(OCTETS)?.to_vec();
    let mut attributes = Reader(bag.take(SET).unwrap_or_default());
    let mut names =
        std::iter::from_fn(|| attributes.take(SEQUENCE)).filter_map(|attribute| Reader(attribute).take(OID));
    Some(Bag { der, has_key: names.any(|name| name == LOCAL_KEY_ID) })
}

fn number(bytes: &[u8]) -> Option<u32> {
    (bytes.len() <= 5).then(|| bytes.iter().try_fold(0_u32, |n, b| n.checked_mul(256)?.checked_add((*b).into())))?
}

/// Elements of DER, one after the other.
struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    /// What is inside the one element that begins here.
    fn of(der: &'d [u8], tag: u8) -> Option<Self> {
        Self(der).take(tag).map(Self)
    }

    /// The content of the next element, if it has that tag; else nothing is taken.
    fn take(&mut self, tag: u8) -> Option<&'d [u8]> {
        let rest = self.0.strip_prefix(&[tag])?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), rest),
            long @ 0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(long - 0x80))?;
                (bytes.iter().fold(0, |n, b| n * 256 + usize::from(*b)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_of_that_kind_says_nothing() {
        for bytes in [&[][..], &[0x30], &[0x30, 0x84], &[0x30, 0x03, 0x02, 0x01, 0x03], &[0x30, 0x82, 0xff, 0xff, 0]] {
            assert_eq!(certificate(bytes, b""), None, "{bytes:?}");
        }
    }
}
