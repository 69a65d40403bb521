//! What a reviewer approved: one hash for each target's action and desired configuration.
//!
//! In it: action, configuration, provider account and host (all of the locator), declaration of
//! static values. Not in it: times, versions, generations, local targets, due rotations. So the same
//! review stands as long as the same thing would be done.

use sha2::{Digest, Sha256};

use super::{Action, Plan};

/// The hash of a whole plan and of its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanDigest {
    /// Sorted entry hashes, each 16 hexadecimal digits.
    pub entries: Vec<String>,
}

impl PlanDigest {
    /// The digest of a plan; `file` and `environment` tell several Secretfiles apart.
    #[must_use]
    pub fn of(plan: &Plan, file: &str, environment: &str, desired: impl Fn(usize, usize) -> String) -> Self {
        let changing = plan.targets().filter(|(_, target)| {
            target.action.is_change()
                && target.action != Action::Rotate
                && target.kind != crate::target::TargetKind::File
        });
        let mut entries: Vec<String> = changing
            .map(|(secret, target)| {
                let place = target.locator.as_ref().map_or(target.name.as_str(), |locator| locator.as_str());
                let desired = desired(secret.index, target.index);
                let parts = [
                    file,
                    environment,
                    &secret.name,
                    target.action.as_str(),
                    &target.provider,
                    place,
                    &desired,
                    &secret.declaration.fixed,
                ];
                short(&parts.join("\u{0}"))
            })
            .collect();
        entries.sort();
        Self { entries }
    }

    /// One hash over all entries.
    #[must_use]
    pub fn total(&self) -> String {
        short(&self.entries.join(","))
    }
}

fn short(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..8])
}
