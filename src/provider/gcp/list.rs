//! Every secret of the project whose id begins with a prefix, with all that its settings can say.

use futures_util::future::join_all;

use super::attributes::replication;
use super::observe;
use super::session::{At, Session};
use super::versions::standing;
use super::wire::Secret;
use crate::mark::MARK_KEY;
use crate::provider::{Error, ErrorKind, Listed, Result};
use crate::target::{SecretManagerSettings, TargetSettings, When};

/// Most secrets that a list tells of.
const LISTED_MAX: usize = 5000;

/// What exists, by id.
pub(super) async fn list(session: &Session, prefix: &str) -> Result<Vec<Listed>> {
    let Some(project) = session.project.as_deref() else {
        let message = "no project is set; add `project_id` under the provider's `auth.config`";
        return Err(Error::new(ErrorKind::Invalid, message));
    };
    let plain = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    // The store's filter finds the text anywhere in the name; what it finds beside the prefix is not meant.
    let filter = if plain { format!("name:{prefix}") } else { String::new() };
    let mut secrets = observe::list(session, project, &filter).await?;
    secrets.retain(|secret| secret.id().starts_with(prefix));
    if secrets.len() > LISTED_MAX {
        let message = format!("more than {LISTED_MAX} secrets have such a name; choose a longer prefix");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    secrets.sort_by(|a, b| a.id().cmp(b.id()));
    join_all(secrets.iter().map(|secret| listed(session, project, secret))).await.into_iter().collect()
}

async fn listed(session: &Session, project: &str, secret: &Secret) -> Result<Listed> {
    let versions = standing(session, At { project, id: secret.id() }).await?;
    let rotation = secret.rotation.as_ref();
    let period = rotation.and_then(|rotation| rotation.rotation_period.as_deref()?.strip_suffix('s')?.parse().ok());
    let mut annotations = secret.annotations.clone();
    annotations.remove(MARK_KEY);
    let settings = SecretManagerSettings {
        project_id: Some(project.to_owned()),
        secret_id: secret.id().to_owned(),
        labels: secret.labels.clone(),
        annotations,
        replication: replication(secret),
        topics: secret.topics.iter().map(|topic| topic.name.clone()).collect(),
        rotation_period_seconds: period,
        next_rotation_time: rotation.and_then(|rotation| rotation.next_rotation_time.as_deref()?.parse().ok()),
        expire_time: secret.expire_time.as_deref().and_then(|at| at.parse().ok()).map(When::At),
        keep_versions: None,
    };
    Ok(Listed {
        settings: TargetSettings::SecretManager(settings),
        mark: secret.mark().map(str::to_owned),
        managed_by: None,
        pending_deletion: false,
        has_value: versions.enabled.is_some(),
    })
}
