//! What can go wrong at a store, and the one place where that turns into behaviour.

use std::time::Duration;

/// A result of a provider.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// Too many requests; the store may say when to come back.
    Throttled(Option<Duration>),
    /// The store cannot be reached or answers 5xx.
    Unavailable,
    /// A write may or may not have happened: look before trying again.
    Indeterminate,
    /// Something else stands there than expected.
    Conflict,
    /// Nothing stands there.
    NotFound,
    /// The object is scheduled for deletion.
    PendingDeletion,
    /// We are known but may not do this.
    PermissionDenied,
    /// The store does not know us.
    Unauthenticated,
    /// The store refuses the request as it is, for good.
    Invalid,
    /// The store cannot do this at all.
    Unsupported,
}

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Try the same again, later.
    Retry,
    /// Look at what stands there, then decide.
    Observe,
    /// Give up on this object.
    Stop,
}

/// A refused or failed call: what was tried, what the store said, what to do now. Never a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of trouble.
    pub kind: ErrorKind,
    /// One or two sentences for a person, with the vendor's error code if there was one.
    pub message: String,
}

impl Error {
    /// An error of a kind, with its sentence.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl ErrorKind {
    /// What to do about it.
    #[must_use]
    pub const fn disposition(&self) -> Disposition {
        match self {
            Self::Throttled(_) | Self::Unavailable => Disposition::Retry,
            Self::Conflict | Self::Indeterminate => Disposition::Observe,
            Self::NotFound
            | Self::PendingDeletion
            | Self::PermissionDenied
            | Self::Unauthenticated
            | Self::Invalid
            | Self::Unsupported => Disposition::Stop,
        }
    }
}
