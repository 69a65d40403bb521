//! Why the forge did not do what it was asked, and what to do about it; never a token, never a body.

/// A result of a forge.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refused or failed call. `what` completes "could not …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The token is unknown, expired or revoked.
    #[error(
        "could not {what}: the forge does not accept the token (401); pass a fresh one, such as `${{{{ github.token }}}}`"
    )]
    Unauthenticated {
        /// What was tried.
        what: &'static str,
    },
    /// The token is known but may not do this.
    #[error(
        "could not {what}: {said}; add `{needs}` under `permissions:` of the job (a fork's token can never have it)"
    )]
    Forbidden {
        /// What was tried.
        what: &'static str,
        /// The permission of the workflow that is missing, such as `pull-requests: write`.
        needs: &'static str,
        /// What the forge said.
        said: String,
    },
    /// Nothing there, or nothing that this token may see.
    #[error("could not {what}: not found (404); check the name, and that the token has `{needs}`")]
    NotFound {
        /// What was tried.
        what: &'static str,
        /// The permission that would let the token see it.
        needs: &'static str,
    },
    /// The forge asks to wait longer than one run may.
    #[error("could not {what}: rate limited, and waiting {seconds} s more is beyond what one run may; run again later")]
    RateLimited {
        /// What was tried.
        what: &'static str,
        /// How long the forge asks to wait now, in seconds.
        seconds: u64,
    },
    /// The forge cannot be reached, or answers 5xx, after all attempts; nothing was changed.
    #[error("could not {what}: {said}; nothing was changed, run again")]
    Unavailable {
        /// What was tried.
        what: &'static str,
        /// The last trouble.
        said: String,
    },
    /// A write may or may not have happened: look before trying again.
    #[error("could not confirm that we did {what}: {said}; run again, it looks first")]
    Indeterminate {
        /// What was tried.
        what: &'static str,
        /// The trouble.
        said: String,
    },
    /// The forge refuses the request as it is.
    #[error("could not {what}: {said} ({status})")]
    Invalid {
        /// What was tried.
        what: &'static str,
        /// HTTP status; 0 if we refused it ourselves.
        status: u16,
        /// The reason.
        said: String,
    },
    /// An answer that cannot be understood, or is too large.
    #[error("could not {what}: {said}; is the API address right?")]
    Unreadable {
        /// What was tried.
        what: &'static str,
        /// What is wrong with the answer.
        said: String,
    },
    /// The client was set up wrongly.
    #[error("{said}")]
    Configuration {
        /// What is wrong, and how to set it right.
        said: String,
    },
}

impl Error {
    /// Whether the token lacks a right, so that a cosmetic write may be left out with a notice.
    #[must_use]
    pub const fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::NotFound { .. })
    }

    /// An error about an answer.
    pub(crate) fn unreadable(what: &'static str, said: impl Into<String>) -> Self {
        Self::Unreadable { what, said: said.into() }
    }

    /// An error about a request that we refuse ourselves.
    pub(crate) fn refused(what: &'static str, said: impl Into<String>) -> Self {
        Self::Invalid { what, status: 0, said: said.into() }
    }
}

/// Why a state was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Another writer moved, made or removed the ref since it was read.
    #[error("the state ref moved since it was read: another run was first; read it again")]
    Moved,
    /// The token may not write refs.
    #[error("{0}")]
    Forbidden(Error),
    /// Anything else.
    #[error("{0}")]
    Forge(Error),
}

impl From<Error> for StateError {
    fn from(error: Error) -> Self {
        if error.is_forbidden() { Self::Forbidden(error) } else { Self::Forge(error) }
    }
}
