//! Which identity a run takes at each cloud, as the action's inputs or the environment say, so that a
//! Secretfile with `ambient`, `default` or `token` need not change.
//!
//! A pull request takes the plan's identity and no other. What runs on the default branch's tip takes
//! the other one, since that is what its tokens say: their subject is the branch, not a pull request.

use crate::environment::Environment;
use crate::manifest::{ProviderBlock, ProviderKind};
use crate::oidc::Phase;

/// The same thing for a plan and for everything else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PerPhase {
    /// For pull requests: may read metadata, no value, and writes nothing.
    pub plan: Option<String>,
    /// For sync and rotate.
    pub sync: Option<String>,
}

impl PerPhase {
    /// The one that counts in a phase. A plan never takes the other's.
    #[must_use]
    pub fn of(&self, phase: Phase) -> Option<&str> {
        match phase {
            Phase::Plan => self.plan.as_deref(),
            Phase::Sync | Phase::Rotate => self.sync.as_deref(),
        }
    }

    /// Whether there is one for another phase than plan, and none for plan.
    #[must_use]
    pub const fn is_sync_only(&self) -> bool {
        self.plan.is_none() && self.sync.is_some()
    }
}

/// AWS: `AssumeRoleWithWebIdentity`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AwsLogin {
    /// `aws_role`, `aws_plan_role`: ARNs.
    pub role_arn: PerPhase,
    /// `aws_region`: where no block names one.
    pub region: Option<String>,
    /// `aws_audience`; `sts.amazonaws.com` when missing.
    pub audience: Option<String>,
}

/// Azure: a client assertion at Microsoft Entra.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AzureLogin {
    /// `azure_client_id`, `azure_plan_client_id`.
    pub client_id: PerPhase,
    /// `azure_tenant_id`.
    pub tenant_id: Option<String>,
}

/// Google Cloud: a token exchange, and an impersonation where a service account is named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GcpLogin {
    /// `gcp_workload_identity_provider`: the full name, with the project's number.
    pub workload_identity_provider: Option<String>,
    /// `gcp_service_account`, `gcp_plan_service_account`: mail addresses.
    pub service_account: PerPhase,
}

/// Vault: a login at its JWT method.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VaultLogin {
    /// `vault_role`, `vault_plan_role`.
    pub role: PerPhase,
    /// `vault_auth_mount`; `jwt` when missing.
    pub mount: Option<String>,
    /// `vault_audience`; the address of the server when missing.
    pub audience: Option<String>,
}

/// Every cloud's login in this phase of this run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Federation {
    /// What the run is about to do.
    pub phase: Phase,
    /// What AWS's log calls the session, such as `secretzero-plan-4711`.
    pub session_name: String,
    /// AWS.
    pub aws: AwsLogin,
    /// Azure.
    pub azure: AzureLogin,
    /// Google Cloud.
    pub gcp: GcpLogin,
    /// Vault.
    pub vault: VaultLogin,
}

/// Longest name of a session at AWS
/// (<https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>).
const SESSION_NAME_MAX: usize = 64;

/// What a workflow gives: an input of the action, or a variable `SECRETZERO_<NAME>` elsewhere.
struct Given<'e>(&'e Environment);

impl Given<'_> {
    fn input(&self, name: &str) -> Option<String> {
        let variable = || self.0.filled(&format!("SECRETZERO_{}", name.to_ascii_uppercase()));
        self.0.input(name).or_else(variable).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

impl Federation {
    /// Reads the inputs for a phase.
    #[must_use]
    pub fn read(environment: &Environment, phase: Phase) -> Self {
        let given = Given(environment);
        let provider = given.input("gcp_workload_identity_provider");
        Self {
            phase,
            session_name: session_name(environment, phase),
            aws: AwsLogin {
                role_arn: PerPhase { plan: given.input("aws_plan_role"), sync: given.input("aws_role") },
                region: given.input("aws_region"),
                audience: given.input("aws_audience"),
            },
            azure: AzureLogin {
                client_id: PerPhase { plan: given.input("azure_plan_client_id"), sync: given.input("azure_client_id") },
                tenant_id: given.input("azure_tenant_id"),
            },
            gcp: GcpLogin {
                workload_identity_provider: provider,
                service_account: PerPhase {
                    plan: given.input("gcp_plan_service_account"),
                    sync: given.input("gcp_service_account"),
                },
            },
            vault: VaultLogin {
                role: PerPhase { plan: given.input("vault_plan_role"), sync: given.input("vault_role") },
                mount: given.input("vault_auth_mount"),
                audience: given.input("vault_audience"),
            },
        }
    }

    /// What stands for this block in this phase, as a block of kind `oidc` says it itself or else the
    /// inputs do.
    #[must_use]
    pub fn identity(&self, block: &ProviderBlock) -> Option<String> {
        self.identities(block).of(self.phase).map(str::to_owned)
    }

    /// The identities of a block for both phases. What a block says goes before the inputs; where it
    /// says one of the two, the inputs add none.
    #[must_use]
    pub fn identities(&self, block: &ProviderBlock) -> PerPhase {
        let own = |sync: &str, plan: &str| PerPhase {
            plan: block.setting(plan).map(str::to_owned),
            sync: block.setting(sync).map(str::to_owned),
        };
        let (usual, own, inputs) = match block.kind {
            ProviderKind::Local => return PerPhase::default(),
            ProviderKind::Aws => ("ambient", own("role_arn", "plan_role_arn"), &self.aws.role_arn),
            ProviderKind::Azure => ("default", own("client_id", "plan_client_id"), &self.azure.client_id),
            ProviderKind::Gcp => ("ambient", own("service_account", "plan_service_account"), &self.gcp.service_account),
            ProviderKind::Vault => ("token", own("role", "plan_role"), &self.vault.role),
        };
        match block.auth_kind.as_str() {
            "oidc" if own != PerPhase::default() => own,
            "oidc" => inputs.clone(),
            // Keys or a profile of the block's own are what it wants.
            _ if ["access_key_id", "profile", "credentials_file"]
                .iter()
                .any(|setting| block.config.contains_key(*setting)) =>
            {
                PerPhase::default()
            }
            kind if kind == usual => inputs.clone(),
            // The inputs' role assumes the block's, so a plan needs one of each.
            "assume_role" if block.kind == ProviderKind::Aws => {
                PerPhase { plan: own.plan.and(inputs.plan.clone()), sync: inputs.sync.clone() }
            }
            _ => PerPhase::default(),
        }
    }

    /// Whether a block can do without a setting, since the run logs in otherwise.
    #[must_use]
    pub fn spares(&self, block: &ProviderBlock, setting: &str) -> bool {
        block.kind == ProviderKind::Vault && setting == "token" && self.identity(block).is_some()
    }

    /// Whether a plan may ask this store: it has an identity for plans alone.
    #[must_use]
    pub fn has_plan(&self, block: &ProviderBlock) -> bool {
        block.kind == ProviderKind::Local || self.identities(block).plan.is_some()
    }

    /// Whether a plan could ask this store only as somebody who may write.
    #[must_use]
    pub fn is_sync_only(&self, block: &ProviderBlock) -> bool {
        self.identities(block).is_sync_only()
    }
}

/// Phase and run, of the characters that AWS takes.
fn session_name(environment: &Environment, phase: Phase) -> String {
    let run = environment.filled("GITHUB_RUN_ID").or_else(|| environment.filled("CI_JOB_ID")).unwrap_or_default();
    let run: String = run.chars().filter(char::is_ascii_alphanumeric).collect();
    let name = format!("secretzero-{}-{run}", phase.as_str());
    name.trim_end_matches('-').chars().take(SESSION_NAME_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::diagnostic::{Span, Spanned};
    use crate::secret::SecretValue;

    fn block(kind: ProviderKind, auth: &str, settings: &[(&str, &str)]) -> ProviderBlock {
        let value = |text: &str| Spanned::new(SecretValue::from(text), Span::default());
        ProviderBlock {
            alias: Spanned::new("it".into(), Span::default()),
            kind,
            auth_kind: auth.into(),
            config: settings.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect(),
            unresolved: BTreeMap::new(),
            span: Span::default(),
        }
    }

    fn federation(phase: Phase, variables: &[(&str, &str)]) -> Federation {
        let pairs = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Federation::read(&Environment::of(pairs), phase)
    }

    const BOTH: &[(&str, &str)] = &[
        ("INPUT_AWS_ROLE", "w"),
        ("INPUT_AWS_PLAN_ROLE", " r "),
        ("SECRETZERO_VAULT_ROLE", "vw"),
        ("INPUT_AZURE_CLIENT_ID", "c"),
        ("GITHUB_RUN_ID", "77"),
    ];

    #[test]
    fn each_phase_has_its_identity_and_a_plan_never_takes_the_others() {
        let ambient = block(ProviderKind::Aws, "ambient", &[]);
        let (plan, sync) = (federation(Phase::Plan, BOTH), federation(Phase::Sync, BOTH));
        assert_eq!((plan.identity(&ambient).as_deref(), sync.identity(&ambient).as_deref()), (Some("r"), Some("w")));
        assert_eq!(
            (plan.session_name.as_str(), sync.session_name.as_str()),
            ("secretzero-plan-77", "secretzero-sync-77")
        );
        let vault = block(ProviderKind::Vault, "token", &[]);
        assert_eq!(
            (plan.identity(&vault), federation(Phase::Rotate, BOTH).identity(&vault)),
            (None, Some("vw".into()))
        );
        assert!(plan.is_sync_only(&vault) && !plan.has_plan(&vault) && plan.has_plan(&ambient));
        assert!(sync.spares(&vault, "token") && !sync.spares(&vault, "url") && !plan.spares(&vault, "token"));
    }

    #[test]
    fn a_block_with_a_login_of_its_own_takes_nothing_from_the_inputs() {
        let plan = federation(Phase::Plan, BOTH);
        for (kind, auth, settings) in [
            (ProviderKind::Aws, "static", vec![("access_key_id", "x")]),
            (ProviderKind::Aws, "ambient", vec![("profile", "x")]),
            (ProviderKind::Aws, "assume_role", vec![("role_arn", "x")]),
            (ProviderKind::Aws, "profile", vec![("profile", "x")]),
            (ProviderKind::Azure, "service_principal", vec![("client_id", "x")]),
            (ProviderKind::Aws, "oidc", vec![("role_arn", "x")]),
        ] {
            let block = block(kind, auth, &settings);
            assert!(!plan.has_plan(&block) && plan.identity(&block).is_none(), "{auth}");
        }
        let chain = block(ProviderKind::Aws, "assume_role", &[("role_arn", "x"), ("plan_role_arn", "y")]);
        assert_eq!(plan.identity(&chain).as_deref(), Some("r"));
        let own = block(ProviderKind::Aws, "oidc", &[("role_arn", "x"), ("plan_role_arn", "y")]);
        assert_eq!(plan.identity(&own).as_deref(), Some("y"));
        assert_eq!(plan.identity(&block(ProviderKind::Aws, "oidc", &[])).as_deref(), Some("r"));
    }
}
