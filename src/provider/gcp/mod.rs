//! Google Secret Manager, with one identity.
