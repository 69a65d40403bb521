//! `permissions`: the least rights of the Secretfile, for each cloud that it uses.

use super::args::PermissionsArgs;
use super::exit::Exit;
use super::session::{Depth, Session};
use super::trust::tell;
use crate::permissions::{self, Account};
use crate::trust::{Cloud, Generated, Phase};

/// `secretzero permissions`.
pub(super) fn permissions(session: &Session, args: &PermissionsArgs) -> Result<Exit, Exit> {
    let workspace = session.open(Depth::NAMES)?;
    session.warned(&workspace);
    let variable = |name: &str| session.environment.filled(name).map(str::to_owned);
    let account = Account {
        aws: args.account.clone(),
        aws_region: variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")),
        azure_subscription: args.subscription.clone().or_else(|| variable("AZURE_SUBSCRIPTION_ID")),
        azure_group: args.resource_group.clone(),
        gcp_number: args.project_number.clone(),
    };
    let phases = args.phase.map_or_else(|| Phase::ALL.to_vec(), |phase| vec![Phase::from(phase)]);
    let clouds = args.cloud.map_or_else(|| Cloud::ALL.to_vec(), |cloud| vec![Cloud::from(cloud)]);
    let refused: Vec<_> = clouds.iter().flat_map(|cloud| permissions::refused(&workspace.manifest, *cloud)).collect();
    if !refused.is_empty() {
        session.findings(&workspace.source, &refused);
        return Err(Exit::Invalid);
    }
    let mut found: Vec<(Cloud, Generated)> = Vec::new();
    for cloud in clouds {
        for phase in &phases {
            let Some(generated) = permissions::permissions(&workspace.manifest, cloud, *phase, &account) else {
                continue;
            };
            match found.iter_mut().find(|(known, _)| *known == cloud) {
                Some((_, known)) => known.extend(generated),
                None => found.push((cloud, generated)),
            }
        }
    }
    if found.is_empty() && !session.console.is_json() {
        let where_to =
            args.cloud.map_or_else(|| "any cloud".to_owned(), |cloud| Cloud::from(cloud).as_str().to_owned());
        session.console.line(&format!("No target of the Secretfile is in {where_to}, so no right is needed there"));
        return Ok(Exit::Done);
    }
    tell(session, &found);
    Ok(Exit::Done)
}
