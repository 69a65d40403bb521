//! The copies that Secrets Manager keeps in other regions: asked for, told apart, and waited for.
//!
//! A replica is accepted at once and may fail minutes later; only a description of its primary tells
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ReplicationStatusType.html>).

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_secretsmanager::types::ReplicaRegionType;
use tokio::time::Instant;

use super::super::attributes;
use super::super::session::Session;
use super::observe::describe;
use crate::limiter::Repeat;
use crate::limiter::quota::SECRET_WRITE;
use crate::provider::{Error, ErrorKind, Observed, Result};
use crate::target::{Attributes, REPLICA_FAILED, ReplicaRegion, SecretsManagerSettings};

/// Longest wait for the replicas of one secret; most are there within seconds.
const WAIT_MAX: Duration = Duration::from_secs(180);

/// First pause between two looks; each is twice the one before.
const PAUSE_FIRST: Duration = Duration::from_millis(200);

/// Longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Asks for the replicas that are missing or have failed; one with another key can only be made anew,
/// which is not ours to decide.
pub(super) async fn replicate(
    session: &Session,
    settings: &SecretsManagerSettings,
    current: &Observed,
    is_changed: &impl Fn(&str) -> bool,
) -> Result<()> {
    let (mut missing, mut different) = (Vec::new(), Vec::new());
    for declared in &settings.replica_regions {
        let (attribute, _) = attributes::replica_attribute(&declared.region, None);
        if !is_changed(&attribute) {
            continue;
        }
        if current.attributes.contains_key(&attribute) { &mut different } else { &mut missing }.push(declared);
    }
    if !missing.is_empty() {
        let regions = missing.into_iter().map(replica).collect();
        let request = session
            .secrets_manager
            .replicate_secret_to_regions()
            .secret_id(&settings.name)
            .set_add_replica_regions(Some(regions));
        let attempt = session.attempt("secretsmanager:ReplicateSecretToRegions", &settings.name);
        session.call(&SECRET_WRITE, Repeat::Safe, &attempt, || request.clone().send()).await?;
    }
    different.first().map_or(Ok(()), |replica| {
        let message = format!(
            "{}: the replica in {} has another KMS key, which cannot change; remove that replica and sync again",
            settings.name, replica.region
        );
        Err(Error::new(ErrorKind::Invalid, message))
    })
}

/// A replica as a request names it.
pub(super) fn replica(declared: &ReplicaRegion) -> ReplicaRegionType {
    ReplicaRegionType::builder().region(&declared.region).set_kms_key_id(declared.kms_key_id.clone()).build()
}

/// Waits until no declared replica is under way; tells of those that are not in sync why.
pub(in super::super) async fn wait(
    session: &Session,
    settings: &SecretsManagerSettings,
) -> Result<BTreeMap<String, String>> {
    let (end, mut pause) = (Instant::now() + WAIT_MAX, PAUSE_FIRST);
    loop {
        let seen = describe(session, &settings.name).await?;
        let seen = seen.map(|seen| seen.attributes).unwrap_or_default();
        let states = settings.replica_regions.iter().map(|replica| (&replica.region, state(&seen, &replica.region)));
        let states: Vec<_> = states.collect();
        let late = Instant::now() + pause > end;
        if late || !states.iter().any(|(_, state)| matches!(state, State::UnderWay(_))) {
            return Ok(states.into_iter().filter_map(|(region, state)| Some((region.clone(), state.why()?))).collect());
        }
        tokio::time::sleep(pause).await;
        pause = PAUSE_MAX.min(pause * 2);
    }
}

/// What became of one replica.
enum State {
    InSync,
    UnderWay(String),
    Failed(String),
}

fn state(seen: &Attributes, region: &str) -> State {
    let told = seen.get(&attributes::replica_status(region)).map(String::as_str);
    match told {
        Some(REPLICA_FAILED) => {
            let why = seen.get(&attributes::replica_message(region)).map_or("", String::as_str);
            State::Failed(if why.is_empty() { "AWS does not say why".to_owned() } else { why.to_owned() })
        }
        Some(status) => State::UnderWay(status.to_owned()),
        None if seen.contains_key(&attributes::replica_attribute(region, None).0) => State::InSync,
        None => State::UnderWay("not there".to_owned()),
    }
}

impl State {
    fn why(self) -> Option<String> {
        match self {
            Self::InSync => None,
            Self::UnderWay(status) => {
                let minutes = WAIT_MAX.as_secs() / 60;
                Some(format!("is not in sync after {minutes} minutes ({status}); the next run looks again"))
            }
            Self::Failed(why) => Some(format!("failed ({why}); mend this, and the next run asks for it again")),
        }
    }
}
