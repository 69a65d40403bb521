//! Exchanges that were refused: the facts, for an explanation at the end of the run.

use std::sync::{Mutex, PoisonError};

use super::Phase;
use super::claims::Claims;

/// What was asked for with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// `AssumeRoleWithWebIdentity`.
    Aws {
        /// The role.
        role_arn: String,
    },
    /// A client assertion at Microsoft Entra.
    Azure {
        /// The directory.
        tenant_id: String,
        /// The application or managed identity.
        client_id: String,
    },
    /// A token exchange at Google, and perhaps an impersonation.
    Google {
        /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`.
        provider: String,
        /// Who is impersonated; `None` for direct access.
        service_account: Option<String>,
    },
    /// A login at Vault's JWT method.
    Vault {
        /// Its address.
        url: String,
        /// Where the method is mounted.
        mount: String,
        /// The role.
        role: String,
    },
}

/// A refused exchange. It holds neither the token nor its signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// What was asked for.
    pub exchange: Exchange,
    /// The vendor's code, such as `AccessDenied` or `AADSTS700213`.
    pub code: String,
    /// What was said of the run.
    pub claims: Claims,
    /// What the run was about to do.
    pub phase: Phase,
}

/// The refusals of a run, each once.
#[derive(Default)]
pub struct Denials(Mutex<Vec<Denial>>);

impl Denials {
    /// Keeps a refusal; one of the same exchange and code is told once.
    pub fn note(&self, denial: Denial) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|other| other.exchange == denial.exchange && other.code == denial.code) {
            known.push(denial);
        }
    }

    /// All of them, in the order in which they came.
    #[must_use]
    pub fn all(&self) -> Vec<Denial> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
