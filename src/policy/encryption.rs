//! `kind: encryption`: where a store lets a key be chosen, one is chosen.

use super::{Breach, place};
use crate::manifest::{Secret, Target};
use crate::target::{ParameterType, Replication, TargetSettings};

/// A target that leaves the choice of the key to the store. Azure and Vault encrypt always and let no
/// key be chosen per secret; an SSM `String` is not encrypted at all and is a pack's matter.
pub(super) fn check(secret: &Secret, target: &Target, require_kms: bool) -> Vec<Breach> {
    if !require_kms {
        return Vec::new();
    }
    let (chosen, setting) = match &target.settings {
        TargetSettings::SecretsManager(s) => (s.kms_key_id.is_some(), "kms_key_id"),
        TargetSettings::SsmParameter(s) if s.parameter_type == ParameterType::SecureString => {
            (s.kms_key_id.is_some(), "kms_key_id")
        }
        TargetSettings::SecretManager(s) => match &s.replication {
            Replication::Automatic(key) => (key.is_some(), "a key to its replication"),
            Replication::UserManaged(locations) => {
                (locations.iter().all(|location| location.kms_key_id.is_some()), "a key to each replica")
            }
        },
        _ => return Vec::new(),
    };
    let breach = || Breach {
        rule: "encryption-kms",
        message: format!("{} is encrypted with the store's default key", place(secret, target)),
        help: format!("add {setting}, naming a key of your own"),
    };
    (!chosen).then(breach).into_iter().collect()
}
