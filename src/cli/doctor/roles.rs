//! As whom pull requests are planned, and where they are planned without asking anybody.

use super::Look;
use super::row::Row;
use crate::cli::ci::roles::plan_input;
use crate::cli::session::Session;
use crate::connect::federation::PerPhase;
use crate::manifest::{ProviderBlock, ProviderKind};

const AREA: &str = "roles";

pub(super) fn roles(session: &Session, look: &Look) -> Vec<Row> {
    let environment = &session.environment;
    let in_ci = environment.filled("GITHUB_ACTIONS").is_some();
    if environment.filled("GITLAB_CI").is_some() {
        let text = "merge requests get validation and policies here, and no token: nothing is planned";
        return look.remote().next().map(|_| Row::note(AREA, text)).into_iter().collect();
    }
    // Then the workflow says that whatever this job holds is the plan's own.
    let online = environment.input("plan_mode") == Some("online");
    look.remote().filter_map(|(_, block, _)| role(look, block, in_ci && !online)).collect()
}

/// `told`: whether a block without any role is worth a row.
fn role(look: &Look, block: &ProviderBlock, told: bool) -> Option<Row> {
    let (alias, setting) = (&block.alias.value, setting(block));
    let generate =
        format!("set {setting} to one that `secretzero trust generate --phase plan` tells the cloud to trust");
    match look.federation.identities(block) {
        PerPhase { plan: Some(plan), sync: Some(sync) } if plan == sync => {
            let text = format!("{alias}: {plan} both plans and syncs, so whoever opens a pull request may write");
            Some(Row::warning(AREA, text, format!("{generate}; it may read metadata only")))
        }
        PerPhase { plan: Some(plan), sync } => {
            let sync = sync.unwrap_or_else(|| "nobody".to_owned());
            Some(Row::good(AREA, format!("{alias}: pull requests are planned as {plan}, synced as {sync}")))
        }
        PerPhase { plan: None, sync: Some(sync) } => {
            let text =
                format!("{alias}: pull requests are planned offline, since {sync} may write and {setting} is missing");
            Some(Row::warning(AREA, text, generate))
        }
        PerPhase { .. } if told => {
            let text = format!("{alias}: pull requests are planned offline, since {setting} is missing");
            Some(Row::note(AREA, text).help(generate))
        }
        PerPhase { .. } => None,
    }
}

/// What names the role of pull requests: a block that names roles itself takes none of the inputs.
fn setting(block: &ProviderBlock) -> String {
    let (sync, plan) = match block.kind {
        ProviderKind::Local => return String::new(),
        ProviderKind::Aws => ("role_arn", "plan_role_arn"),
        ProviderKind::Azure => ("client_id", "plan_client_id"),
        ProviderKind::Gcp => ("service_account", "plan_service_account"),
        ProviderKind::Vault => ("role", "plan_role"),
    };
    if block.auth_kind == "oidc" && block.setting(sync).is_some() {
        return format!("`{plan}` of the provider");
    }
    format!("the input {}", plan_input(block.kind))
}
