//! The normal form of Google's metadata: one spelling for what is declared and for what stands there.
//!
//! `tag:<label>`, `annotation:<name>`, `kms_key_id` or `replica:<location>` (its key), `topics`,
//! `rotation_period`, `next_rotation_time`, `expire_time`. An end that counts from the value's making
//! is compared as such: if the stored one is that of the generation in the mark, both sides say so.

use jiff::{SignedDuration, Timestamp};

use super::wire::{Encryption, Rotation, Secret};
use crate::mark::{Generation, MARK_KEY, Mark};
use crate::provider::{Error, ErrorKind, Result};
use crate::target::{Attributes, REPLICA, ReplicaRegion, Replication, SecretManagerSettings, When};

/// How far ahead the next notification must lie
/// (<https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets#Rotation>).
const ROTATION_AHEAD: SignedDuration = SignedDuration::from_secs(300);

/// What a secret should look like.
pub(super) fn desired(settings: &SecretManagerSettings) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.extend(settings.labels.iter().map(|(name, value)| (format!("tag:{name}"), value.clone())));
    let annotations = settings.annotations.iter();
    attributes.extend(annotations.map(|(name, value)| (format!("annotation:{name}"), value.clone())));
    match &settings.replication {
        Replication::Automatic(Some(key)) => {
            attributes.insert("kms_key_id".into(), key.clone());
        }
        Replication::Automatic(None) => {}
        Replication::UserManaged(locations) => {
            attributes.extend(locations.iter().map(|replica| {
                (format!("{REPLICA}{}", replica.region), replica.kms_key_id.clone().unwrap_or_default())
            }))
        }
    }
    if !settings.topics.is_empty() {
        attributes.insert("topics".into(), joined(settings.topics.clone()));
    }
    if let Some(seconds) = settings.rotation_period_seconds {
        attributes.insert("rotation_period".into(), format!("{seconds}s"));
    }
    if let Some(at) = settings.next_rotation_time {
        attributes.insert("next_rotation_time".into(), moment(at));
    }
    if let Some(when) = settings.expire_time {
        let text = match when {
            When::At(at) => moment(at),
            When::After(seconds) => after(seconds),
        };
        attributes.insert("expire_time".into(), text);
    }
    attributes
}

fn after(seconds: i64) -> String {
    format!("{seconds} s after the value was made")
}

/// What stands there, in the same words.
pub(super) fn observed(settings: &SecretManagerSettings, secret: &Secret) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.extend(secret.labels.iter().map(|(name, value)| (format!("tag:{name}"), value.clone())));
    let theirs = secret.annotations.iter().filter(|(name, _)| *name != MARK_KEY);
    attributes.extend(theirs.map(|(name, value)| (format!("annotation:{name}"), value.clone())));
    let key = |key: Option<&Encryption>| key.map(|key| key.kms_key_name.clone()).unwrap_or_default();
    if let Some(automatic) = &secret.replication.automatic {
        attributes.insert("kms_key_id".into(), key(automatic.customer_managed_encryption.as_ref()));
    }
    for replica in secret.replication.user_managed.iter().flat_map(|managed| &managed.replicas) {
        let name = format!("{REPLICA}{}", replica.location);
        attributes.insert(name, key(replica.customer_managed_encryption.as_ref()));
    }
    if !secret.topics.is_empty() {
        let topics = secret.topics.iter().map(|topic| topic.name.clone()).collect();
        attributes.insert("topics".into(), joined(topics));
    }
    if let Some(rotation) = &secret.rotation {
        if let Some(period) = &rotation.rotation_period {
            attributes.insert("rotation_period".into(), period.clone());
        }
        if let Some(at) = rotation.next_rotation_time.as_deref() {
            attributes.insert("next_rotation_time".into(), next_rotation(settings, rotation, at));
        }
    }
    if let Some(at) = secret.expire_time.as_deref() {
        attributes.insert("expire_time".into(), end(settings, secret, at));
    }
    attributes
}

/// When the secret ends, in the words of the declaration if it means the same.
fn end(settings: &SecretManagerSettings, secret: &Secret, at: &str) -> String {
    let generation = secret.mark().and_then(|text| Mark::parse(text).ok()).map(|mark| mark.generation);
    match (settings.expire_time, generation) {
        (Some(When::After(seconds)), Some(generation))
            if expiry(settings, &generation).map(moment) == Some(normal(at)) =>
        {
            after(seconds)
        }
        _ => normal(at),
    }
}

/// Google moves the next notification on by the period each time: what is so many periods after the
/// declared moment is what was declared.
fn next_rotation(settings: &SecretManagerSettings, rotation: &Rotation, at: &str) -> String {
    let period = rotation.rotation_period.as_deref().and_then(|text| text.strip_suffix('s')?.parse::<i64>().ok());
    let (Some(declared), Some(period), Ok(seen)) = (settings.next_rotation_time, period, at.parse::<Timestamp>())
    else {
        return normal(at);
    };
    let later = seen.as_second() - declared.as_second();
    if period > 0 && later >= 0 && later % period == 0 { moment(declared) } else { moment(seen) }
}

/// The first notification that still lies ahead, counted from the declared one.
pub(super) fn next_ahead(declared: Timestamp, period_seconds: Option<u64>, now: Timestamp) -> Timestamp {
    let earliest = now.checked_add(ROTATION_AHEAD).unwrap_or(now);
    let period = period_seconds.and_then(|seconds| i64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
    let Some(period) = period.filter(|_| declared < earliest) else { return declared };
    let missed = (earliest.as_second() - declared.as_second()) / period + 1;
    declared.checked_add(SignedDuration::from_secs(missed.saturating_mul(period))).unwrap_or(declared)
}

/// When the secret is to end, if that is known.
pub(super) fn expiry(settings: &SecretManagerSettings, generation: &Generation) -> Option<Timestamp> {
    match settings.expire_time? {
        When::At(at) => Some(at),
        When::After(seconds) => generation.created.checked_add(SignedDuration::from_secs(seconds)).ok(),
    }
}

/// Whole seconds in UTC.
pub(super) fn moment(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

fn normal(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), moment)
}

fn joined(mut topics: Vec<String>) -> String {
    topics.sort();
    topics.join(",")
}

/// Where a secret is kept is fixed when it is made; only keys change later.
///
/// # Errors
/// [`ErrorKind::Invalid`] if it is kept elsewhere than declared, with what to do.
pub(super) fn same_places(settings: &SecretManagerSettings, secret: &Secret) -> Result<()> {
    let declared = match &settings.replication {
        // A place that only the lock names: wherever it is.
        Replication::UserManaged(locations) if locations.is_empty() => return Ok(()),
        Replication::UserManaged(locations) => Some(sorted(locations.iter().map(|replica| replica.region.as_str()))),
        Replication::Automatic(_) => None,
    };
    let seen = secret.replication.user_managed.as_ref();
    let seen = seen.map(|managed| sorted(managed.replicas.iter().map(|replica| replica.location.as_str())));
    if declared == seen {
        return Ok(());
    }
    let words = |places: &Option<Vec<&str>>| match places {
        None => "automatic".to_owned(),
        Some(places) => format!("user_managed: [{}]", places.join(", ")),
    };
    let message = format!(
        "{}: Google fixes the replication of a secret when it is made; it is `{}` and not `{}`. Declare it as it is, or \
         choose another `secret_id`",
        settings.secret_id,
        words(&seen),
        words(&declared)
    );
    Err(Error::new(ErrorKind::Invalid, message))
}

fn sorted<'a>(places: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut places: Vec<&str> = places.collect();
    places.sort_unstable();
    places
}

/// How a secret that stands there is replicated, as settings.
pub(super) fn replication(secret: &Secret) -> Replication {
    let key = |key: Option<&Encryption>| key.map(|key| key.kms_key_name.clone());
    match &secret.replication.user_managed {
        Some(managed) => {
            let region = |replica: &super::wire::Replica| ReplicaRegion {
                region: replica.location.clone(),
                kms_key_id: key(replica.customer_managed_encryption.as_ref()),
            };
            Replication::UserManaged(managed.replicas.iter().map(region).collect())
        }
        None => {
            let automatic = secret.replication.automatic.as_ref();
            Replication::Automatic(key(automatic.and_then(|a| a.customer_managed_encryption.as_ref())))
        }
    }
}
