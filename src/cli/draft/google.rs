//! A secret of Google as a target declares it.

use super::scalar::value;
use crate::target::{ReplicaRegion, Replication, SecretManagerSettings, When};

/// Replication, topics and times, each with what follows its colon.
pub(super) fn lines(settings: &SecretManagerSettings) -> [(&'static str, Option<String>); 5] {
    let one = |text: &str| format!(" {}", value(text));
    let topics: String = settings.topics.iter().map(|topic| format!("\n            - {}", value(topic))).collect();
    // A period is declared in hours; one that is none is left to the check of the entry.
    let period = settings.rotation_period_seconds.map(|seconds| one(&format!("{}h", seconds / 3600)));
    let expires = settings.expire_time.map(|when| match when {
        When::At(at) => one(&at.to_string()),
        When::After(seconds) => one(&format!("{{{{ {} days from now }}}}", seconds / 86_400)),
    });
    [
        ("replication", replication(&settings.replication)),
        ("topics", (!topics.is_empty()).then_some(topics)),
        ("rotation_period", period),
        ("next_rotation_time", settings.next_rotation_time.map(|at| one(&at.to_string()))),
        ("expire_time", expires),
    ]
}

fn replication(replication: &Replication) -> Option<String> {
    let location = |replica: &ReplicaRegion| {
        let key = replica.kms_key_id.as_deref().map(|key| format!("\n                kms_key: {}", value(key)));
        format!("\n              - location: {}{}", value(&replica.region), key.unwrap_or_default())
    };
    match replication {
        Replication::Automatic(None) => None,
        Replication::Automatic(Some(key)) => {
            Some(format!("\n            automatic:\n              kms_key: {}", value(key)))
        }
        Replication::UserManaged(locations) => {
            let locations: String = locations.iter().map(location).collect();
            Some(format!("\n            user_managed:{locations}"))
        }
    }
}
