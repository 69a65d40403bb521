//! The mark that every object of ours carries, and the identities in it.
//!
//! `1:p=<project>:s=<secret>:e=<environment>:g=<generation>:u=<generation id>:v=<version>:t=<created>[:a=1][:k=1][:d=1][:w=1][:r=<repository>]`,
//! at most 256 characters of `[A-Za-z0-9_.:/=+@-]`, because SSM's tag values allow no others
//! (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_Tag.html>). It names a
//! generation and the store's version that holds it; it says nothing of the value.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock::{Entropy, NoEntropy};
use crate::locator::Locator;

/// The name of the tag, metadata key or annotation that holds the mark.
pub const MARK_KEY: &str = "secretzero";

/// Longest mark, in characters: what SM, SSM and Azure accept in one tag value.
pub const MARK_CHARS_MAX: usize = 256;

/// Sixty bits of SHA-256 in base32: an identity that tells nothing but equality.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortId(String);

impl ShortId {
    /// The identity of a name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let digest = Sha256::digest(name.as_bytes());
        let encoded = BASE32_NOPAD.encode(&digest[..8]).to_ascii_lowercase();
        Self(encoded[..12].to_owned())
    }

    /// The twelve characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whose object it is: project, secret, environment and, when known, repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Over `metadata.project_id`, else `metadata.project`, else nothing.
    pub project: ShortId,
    /// Over the first name the secret had.
    pub secret: ShortId,
    /// Over the environment's name, nothing without one.
    pub environment: ShortId,
    /// Forge key and numeric id, such as `github.com/123`, when known.
    pub repository: Option<String>,
}

/// One value of one secret: its number, its random id and when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Counts from 1.
    pub number: u64,
    /// Random; tells two values apart that claim one number.
    pub id: String,
    /// When the value was made.
    pub created: Timestamp,
    /// The value was taken over, not made by us; it is never rotated unattended.
    pub adopted: bool,
}

/// Longest id of a generation that is believed; ours have sixteen characters.
const GENERATION_ID_CHARS_MAX: usize = 32;

impl Generation {
    /// Whether a text can be the random id of a generation: nothing else may get into a mark.
    #[must_use]
    pub fn is_id(text: &str) -> bool {
        (1..=GENERATION_ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
    }

    /// A new generation with a fresh random id.
    ///
    /// # Errors
    /// [`NoEntropy`] if no random id can be drawn.
    pub fn new(number: u64, created: Timestamp, entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut bytes = [0_u8; 10];
        entropy.fill(&mut bytes)?;
        // Whole seconds: what a mark can hold must be what a lock holds.
        let created = Timestamp::from_second(created.as_second()).unwrap_or(created);
        Ok(Self { number, id: BASE32_NOPAD.encode(&bytes).to_ascii_lowercase(), created, adopted: false })
    }
}

/// What the tag says: whose it is, which generation, and which version of the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Whose.
    pub owner: Owner,
    /// Which generation.
    pub generation: Generation,
    /// The store's version that the mark describes.
    pub version: String,
    /// The version before held this generation too: only metadata made a new one.
    pub carried: bool,
    /// The version before was none of ours: somebody had changed the value.
    pub over_drift: bool,
    /// What stands at this version is not what was announced: somebody else wrote it first.
    pub withdrawn: bool,
}

/// A tag named `secretzero` that is no mark this program can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableMark {
    /// Written by a later version of this program.
    #[error("its mark has format {0}, which is newer than this program; update SecretZero")]
    Newer(String),
    /// Not in the form of a mark.
    #[error("its tag `secretzero` is no mark of ours")]
    Malformed,
}

impl Mark {
    /// Reads a mark; unknown keys are ignored, an unknown format is refused.
    ///
    /// # Errors
    /// [`UnreadableMark`].
    pub fn parse(text: &str) -> Result<Self, UnreadableMark> {
        let (format, rest) = text.split_once(':').ok_or(UnreadableMark::Malformed)?;
        if format != "1" {
            let newer = !format.is_empty() && format.len() < 10 && format.bytes().all(|b| b.is_ascii_digit());
            return Err(if newer { UnreadableMark::Newer(format.to_owned()) } else { UnreadableMark::Malformed });
        }
        let get = |key: &str| {
            rest.split(':').find_map(|part| part.split_once('=').filter(|(k, _)| *k == key).map(|(_, v)| v))
        };
        let need = |key: &str| get(key).ok_or(UnreadableMark::Malformed);
        let id = |key: &str| need(key).map(|text| ShortId(text.to_owned()));
        let created = need("t")?.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        Ok(Self {
            owner: Owner {
                project: id("p")?,
                secret: id("s")?,
                environment: id("e")?,
                repository: get("r").map(str::to_owned),
            },
            generation: Generation {
                number: need("g")?.parse().map_err(|_| UnreadableMark::Malformed)?,
                id: need("u")?.to_owned(),
                created: created.ok_or(UnreadableMark::Malformed)?,
                adopted: get("a") == Some("1"),
            },
            version: need("v")?.to_owned(),
            carried: get("k") == Some("1"),
            over_drift: get("d") == Some("1"),
            withdrawn: get("w") == Some("1"),
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Owner { project, secret, environment, repository } = &self.owner;
        let Generation { number, id, created, adopted } = &self.generation;
        write!(f, "1:p={}:s={}:e={}", project.0, secret.0, environment.0)?;
        write!(f, ":g={number}:u={id}:v={}:t={}", self.version, created.as_second())?;
        if *adopted {
            write!(f, ":a=1")?;
        }
        if self.carried {
            write!(f, ":k=1")?;
        }
        if self.over_drift {
            write!(f, ":d=1")?;
        }
        if self.withdrawn {
            write!(f, ":w=1")?;
        }
        repository.as_ref().map_or(Ok(()), |repository| write!(f, ":r={repository}"))
    }
}

impl Owner {
    /// The write token, and in Secrets Manager the version id, of one generation at one place: a
    /// name-based UUID without the random id, so that a second writer with another value is refused.
    #[must_use]
    pub fn write_token(&self, at: &Locator, generation: u64) -> Uuid {
        let Self { project, secret, environment, .. } = self;
        let name = format!("secretzero/1/{}/{}/{}/{at}/{generation}", project.0, environment.0, secret.0);
        Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
    }

    /// Whether a mark's owner is this one: project, secret and environment equal, repository equal
    /// or absent on either side.
    #[must_use]
    pub fn owns(&self, other: &Self) -> bool {
        let same_repository = match (&self.repository, &other.repository) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        self.same_secret(other) && same_repository
    }

    /// Whether both name the same secret, whatever the repository.
    #[must_use]
    pub fn same_secret(&self, other: &Self) -> bool {
        self.project == other.project && self.secret == other.secret && self.environment == other.environment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        Mark {
            owner: Owner {
                project: ShortId::of("multi-cloud-app"),
                secret: ShortId::of("database_password"),
                environment: ShortId::of(""),
                repository: Some("github.com/123".into()),
            },
            generation: Generation {
                number: 7,
                id: "abcdefghijklmnop".into(),
                created: Timestamp::UNIX_EPOCH,
                adopted: true,
            },
            version: Uuid::nil().to_string(),
            carried: true,
            over_drift: true,
            withdrawn: true,
        }
    }

    #[test]
    fn a_mark_is_read_back_as_it_was_written() {
        assert_eq!(Mark::parse(&mark().to_string()), Ok(mark()));
    }

    #[test]
    fn a_mark_fits_every_store() {
        let text = Mark { generation: Generation { number: u64::MAX, ..mark().generation }, ..mark() }.to_string();
        assert!(text.len() <= MARK_CHARS_MAX, "{} characters", text.len());
        assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "_.:/=+@-".contains(c)), "{text}");
    }

    #[test]
    fn unknown_keys_are_ignored_and_unknown_formats_refused() {
        assert_eq!(Mark::parse(&format!("{}:x=1", mark())), Ok(mark()));
        assert_eq!(Mark::parse("2:p=a"), Err(UnreadableMark::Newer("2".into())));
        for text in ["", "true", "1:p=a", "x:y", "1:p=a:s=b:e=c:g=x:u=d:v=1:t=0"] {
            assert_eq!(Mark::parse(text), Err(UnreadableMark::Malformed), "{text}");
        }
    }

    #[test]
    fn another_repository_does_not_own_it_but_an_unknown_one_does() {
        let ours = mark().owner;
        assert!(ours.owns(&Owner { repository: None, ..ours.clone() }));
        assert!(!ours.owns(&Owner { repository: Some("github.com/9".into()), ..ours.clone() }));
        assert!(!ours.owns(&Owner { secret: ShortId::of("other"), ..ours.clone() }));
    }
}
