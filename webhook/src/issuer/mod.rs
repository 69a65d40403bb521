//! Our own OIDC issuer: its tokens say which repository, environment and phase a run is of, and a cloud
//! trusts them as it trusts those of a forge.
//!
//! A cloud that decides by subject and audience alone (AWS, for an issuer that it does not know by name)
//! still tells a plan from a sync, since the phase stands in the subject. Nothing that comes from outside
//! reaches the key: tokens are signed for a [`Run`] that the service itself made, and no address of the
//! service signs.

mod claims;
mod keys;
mod ring;
mod store;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use secretzero::clock::{Clock, Entropy};
use secretzero::disk::Disk;
use secretzero::oidc::TokenSource;
use secretzero::provider;
use secretzero::secret::SecretValue;
use serde_json::{Value as Json, json};

pub use claims::{Cleared, Refusal, Run, SUBJECT_BYTES_MAX, TOKEN_SECONDS, Trigger};
pub use ring::{Entry, Ring, Schedule, State};

use keys::SigningKey;
use store::Store;

/// How long a verifier may keep our keys, in seconds; keys are published longer than that before they
/// sign.
pub const KEYS_KEPT_SECONDS: u32 = 3600;

/// What keeps the issuer from working.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be an issuer's.
    #[error("`{url}` can be no issuer: {why}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The folder of the keys, or a file in it.
    #[error("the keys in {path} cannot be used: {why}")]
    Keys {
        /// The file or folder.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// No key could be made or used.
    #[error("{0}")]
    Signing(&'static str),
    /// The run may have no such token.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] secretzero::clock::NoEntropy),
}

/// What the issuer reads and writes of its machine.
#[derive(Clone)]
pub struct World {
    /// Holds the keys.
    pub disk: Arc<dyn Disk>,
    /// Tells when a token begins and ends, and when keys change.
    pub clock: Arc<dyn Clock>,
    /// Makes tokens unique.
    pub entropy: Arc<dyn Entropy>,
}

/// An issuer with its keys.
pub struct Issuer {
    url: String,
    store: Store,
    schedule: Schedule,
    world: World,
    keys: Mutex<Keys>,
}

/// The keys in force: the ring says which of them signs.
#[derive(Default)]
struct Keys {
    ring: Ring,
    known: Vec<Arc<SigningKey>>,
}

impl Issuer {
    /// Opens the keys of a folder; makes the first one where there is none.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Keys`] for a file that others may read, [`Error::Signing`].
    pub fn open(url: &str, folder: &Path, schedule: Schedule, world: World) -> Result<Self, Error> {
        check_url(url)?;
        let store = Store::new(folder, Arc::clone(&world.disk));
        let issuer = Self { url: url.to_owned(), store, schedule, world, keys: Mutex::default() };
        issuer.tend()?;
        Ok(issuer)
    }

    /// Its address, as tokens name it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The ring as it stands.
    ///
    /// # Errors
    /// [`Error::Keys`].
    pub fn ring(&self) -> Result<Ring, Error> {
        Ok(self.current()?.ring.clone())
    }

    /// Does what the schedule has come to: makes the next key, signs with it, forgets the one before.
    ///
    /// # Errors
    /// [`Error::Keys`], [`Error::Signing`]; the keys then stand as they were.
    pub fn tend(&self) -> Result<(), Error> {
        self.change(|ring, now, schedule, make| ring.tend(now, schedule, make))
    }

    /// Makes the next key now; it signs once verifiers can know it.
    ///
    /// # Errors
    /// As [`Issuer::tend`].
    pub fn rotate(&self) -> Result<(), Error> {
        self.change(|ring, now, _, make| ring.prepare(now, make))
    }

    /// Forgets every key at once and signs with a new one. Tokens that are on their way are refused where
    /// the keys are read again; until then, at most [`KEYS_KEPT_SECONDS`] where verifiers heed it, the old
    /// key is still believed and the new one is not known.
    ///
    /// # Errors
    /// As [`Issuer::tend`].
    pub fn revoke_now(&self) -> Result<(), Error> {
        self.change(|ring, now, _, make| ring.revoke(now, make))
    }

    /// A token for one audience, that says what a run is.
    ///
    /// # Errors
    /// [`Error::Refused`] if the run may not do what its phase does; [`Error::Signing`].
    pub fn token(&self, run: &Run, audience: &str) -> Result<SecretValue, Error> {
        let mut unique = [0; 16];
        self.world.entropy.fill(&mut unique)?;
        let claims = run.claims(&self.url, audience, self.world.clock.now().as_second(), unique)?;
        let key = self.current()?.signing().ok_or(Error::Signing("the issuer has no key that signs"))?;
        key.sign(&claims)
    }

    /// Where the stores of a run get their tokens: a new one for each exchange.
    #[must_use]
    pub fn source(self: &Arc<Self>, run: Run) -> Arc<dyn TokenSource> {
        Arc::new(RunTokens { issuer: Arc::clone(self), run })
    }

    /// `/.well-known/openid-configuration`
    /// (<https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata>).
    #[must_use]
    pub fn discovery(&self) -> Json {
        json!({
            "issuer": self.url,
            "jwks_uri": format!("{}/.well-known/jwks.json", self.url),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "claims_supported": claims::SUPPORTED,
        })
    }

    /// `/.well-known/jwks.json`: what signs, what will and what did.
    ///
    /// # Errors
    /// [`Error::Keys`].
    pub fn key_set(&self) -> Result<Json, Error> {
        let keys: Vec<Json> = self.current()?.known.iter().map(|key| key.public()).collect();
        Ok(json!({ "keys": keys }))
    }

    /// Changes the ring, and the files before what is in memory.
    fn change(
        &self,
        act: impl FnOnce(
            &mut Ring,
            jiff::Timestamp,
            &Schedule,
            &mut dyn FnMut() -> Result<String, Error>,
        ) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // From before the ring is read until what it names no more is gone, or another's change is undone.
        let _locked = self.store.lock()?;
        let mut keys = self.current()?;
        let mut ring = keys.ring.clone();
        let mut made = Vec::new();
        let mut make = || {
            let (key, pem) = SigningKey::generate()?;
            self.store.keep(key.id(), &pem)?;
            made.push(Arc::new(key));
            Ok(made.last().map(|key| key.id().to_owned()).unwrap_or_default())
        };
        act(&mut ring, self.world.clock.now(), &self.schedule, &mut make)?;
        if ring == keys.ring {
            return Ok(());
        }
        self.store.keep_ring(&ring)?;
        let old: Vec<Entry> = std::mem::replace(&mut keys.ring, ring).entries;
        keys.known.extend(made);
        let Keys { ring, known } = &mut *keys;
        known.retain(|key| ring.entries.iter().any(|entry| entry.id == key.id()));
        for gone in old.iter().filter(|entry| ring.entries.iter().all(|kept| kept.id != entry.id)) {
            self.store.forget(&gone.id)?;
        }
        Ok(())
    }

    /// The keys of a ring. One that went while it was read was changed by another process: then the newer
    /// ring counts.
    fn read(&self, mut ring: Ring) -> Result<Keys, Error> {
        loop {
            let known = ring.entries.iter().map(|entry| self.store.key(&entry.id).map(Arc::new));
            let error = match known.collect::<Result<_, _>>() {
                Ok(known) => return Ok(Keys { ring, known }),
                Err(error) => error,
            };
            let newer = self.store.ring()?;
            if newer == ring {
                return Err(error);
            }
            ring = newer;
        }
    }

    /// The keys as the folder has them: a command may have changed them meanwhile, and what it revoked must
    /// sign no more.
    fn current(&self) -> Result<MutexGuard<'_, Keys>, Error> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let ring = self.store.ring()?;
        if ring.entries.is_empty() && !keys.ring.entries.is_empty() {
            return Err(self.store.gone());
        }
        if ring != keys.ring {
            *keys = self.read(ring)?;
        }
        Ok(keys)
    }
}

impl Keys {
    fn signing(&self) -> Option<Arc<SigningKey>> {
        let active = self.ring.active()?;
        self.known.iter().find(|key| key.id() == active.id).map(Arc::clone)
    }
}

/// The tokens of one run.
struct RunTokens {
    issuer: Arc<Issuer>,
    run: Run,
}

#[async_trait]
impl TokenSource for RunTokens {
    async fn token(&self, audience: &str) -> provider::Result<SecretValue> {
        self.issuer
            .token(&self.run, audience)
            .map_err(|error| provider::Error::new(provider::ErrorKind::Unauthenticated, error.to_string()))
    }
}

/// Longest address of an issuer that verifiers take, in bytes.
const URL_BYTES_MAX: usize = 255;

/// Verifiers compare the address letter by letter, so it is written in one way only.
fn check_url(url: &str) -> Result<(), Error> {
    let wrong = |why| Err(Error::Url { url: url.to_owned(), why });
    let plain = url.strip_prefix("http://");
    let Some(rest) = url.strip_prefix("https://").or(plain) else {
        return wrong("it must begin with `https://`");
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    if port.parse::<u16>().is_err() || path.contains(':') {
        return wrong("its port is no number up to 65535, or its path has a `:`");
    }
    if plain.is_some() && !matches!(name, "127.0.0.1" | "localhost") {
        return wrong("it must begin with `https://`; `http://` is for this machine alone");
    }
    if url.len() > URL_BYTES_MAX || name.is_empty() {
        return wrong("it has no host, or more than 255 characters");
    }
    if url.ends_with('/') || rest.contains("//") || rest.contains("..") {
        return wrong("leave out the `/` at the end, and empty parts of the path");
    }
    if !rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:/".contains(&byte)) {
        return wrong("it may have lower-case letters, digits, `-`, `.`, `_`, a port and a path");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
