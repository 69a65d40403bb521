//! Azure RBAC over the data of a vault: who has which role where, and what each operation needs.
//!
//! - **Data actions**: <https://learn.microsoft.com/azure/role-based-access-control/permissions/security#microsoftkeyvault>.
//! - **Built-in roles**: <https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/security>.
//! - **Scopes**, from a subscription down to one object, each with all below it:
//!   <https://learn.microsoft.com/azure/key-vault/general/rbac-guide>.
//! - **Custom roles**: <https://learn.microsoft.com/azure/role-based-access-control/custom-roles>.
//! - **Refusals** are worded as recorded in <https://github.com/hashicorp/terraform-provider-azurerm/issues/27817>
//!   and <https://github.com/microsoft/AL-Go/issues/864>.

use serde_json::Value as Json;

use super::world::{TENANT, Vault, World};
use super::{Refusal, Request};

/// What every data action begins with.
const VAULTS: &str = "Microsoft.KeyVault/vaults/";

/// Every data action on secrets, certificates and keys.
const DATA_ACTIONS: &[&str] = &[
    "certificatecas/delete",
    "certificatecas/read",
    "certificatecas/write",
    "certificatecontacts/write",
    "certificates/backup/action",
    "certificates/create/action",
    "certificates/delete",
    "certificates/import/action",
    "certificates/purge/action",
    "certificates/read",
    "certificates/recover/action",
    "certificates/restore/action",
    "certificates/update/action",
    "keyrotationpolicies/read",
    "keyrotationpolicies/write",
    "keys/backup/action",
    "keys/create/action",
    "keys/decrypt/action",
    "keys/delete",
    "keys/encrypt/action",
    "keys/import/action",
    "keys/purge/action",
    "keys/read",
    "keys/recover/action",
    "keys/release/action",
    "keys/restore/action",
    "keys/rotate/action",
    "keys/sign/action",
    "keys/unwrap/action",
    "keys/update/action",
    "keys/verify/action",
    "keys/wrap/action",
    "secrets/backup/action",
    "secrets/delete",
    "secrets/getSecret/action",
    "secrets/purge/action",
    "secrets/readMetadata/action",
    "secrets/recover/action",
    "secrets/restore/action",
    "secrets/setSecret/action",
    "secrets/update/action",
];

/// Built-in roles with their data actions, by name and id.
const BUILT_IN: &[(&str, &str, &[&str])] = &[
    ("Key Vault Administrator", "00482a5a-887f-4fb3-b363-3b7fe8e74483", &["*"]),
    (
        "Key Vault Certificate User",
        "db79e9a7-68ee-4b58-9aeb-b90e7c24fcba",
        &["certificates/read", "secrets/getSecret/action", "secrets/readMetadata/action", "keys/read"],
    ),
    (
        "Key Vault Certificates Officer",
        "a4417e6f-fecd-4de8-b567-7b0420556985",
        &["certificatecas/*", "certificates/*", "certificatecontacts/write"],
    ),
    ("Key Vault Crypto Officer", "14b46e9e-c2b7-41b4-b07b-48a6ebf60603", &["keys/*", "keyrotationpolicies/*"]),
    ("Key Vault Reader", "21090545-7ca7-4776-b22c-e363652d74d2", &["*/read", "secrets/readMetadata/action"]),
    ("Key Vault Secrets Officer", "b86a8fe4-44ce-4948-aee5-eccb2c155cd7", &["secrets/*"]),
    (
        "Key Vault Secrets User",
        "4633458b-17de-408a-b874-0445c86b69e6",
        &["secrets/getSecret/action", "secrets/readMetadata/action"],
    ),
];

/// Who may do what with the data of vaults.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rbac {
    /// Those of the tenant.
    custom: Vec<Role>,
    assignments: Vec<Assignment>,
    /// Which right shows one object in the recycle bin, Microsoft's pages do not say: to access policies it
    /// is a `get`, to whose data action the value belongs, and it is metadata without a value. The stricter
    /// reading if set.
    pub(crate) bin_is_a_value: bool,
}

/// A custom role.
#[derive(Debug, Clone)]
struct Role {
    name: String,
    data_actions: Vec<String>,
    not_data_actions: Vec<String>,
    assignable: Vec<String>,
}

#[derive(Debug, Clone)]
struct Assignment {
    /// Object id.
    principal: String,
    /// Name or id.
    role: String,
    scope: String,
}

impl Rbac {
    /// `az role definition create`: refused with what Resource Manager refuses.
    pub(crate) fn define(&mut self, definition: &Json) -> Result<(), String> {
        let list = |name: &str| -> Vec<String> {
            let items = definition[name].as_array().into_iter().flatten();
            items.filter_map(|item| Some(item.as_str()?.to_owned())).collect()
        };
        let role = Role {
            name: definition["Name"].as_str().unwrap_or_default().to_owned(),
            data_actions: list("DataActions"),
            not_data_actions: list("NotDataActions"),
            assignable: list("AssignableScopes"),
        };
        let named = role.data_actions.iter().chain(&role.not_data_actions);
        if let Some(unknown) = named.clone().find(|action| !known(action)) {
            return Err(format!("InvalidActionOrNotAction: {unknown}"));
        }
        let assignable = !role.assignable.is_empty() && role.assignable.iter().all(|scope| is_scope(scope));
        if role.name.is_empty() || named.count() == 0 || !assignable {
            return Err("InvalidRoleDefinition".into());
        }
        if self.custom.iter().any(|other| other.name == role.name) {
            return Err("RoleDefinitionWithSameNameExists".into());
        }
        self.custom.push(role);
        Ok(())
    }

    /// `az role assignment create`.
    pub(crate) fn assign(&mut self, role: &str, principal: &str, scope: &str) -> Result<(), String> {
        let custom = self.custom.iter().find(|one| one.name == role);
        let built_in = BUILT_IN.iter().any(|(name, id, _)| *name == role || *id == role);
        if custom.is_none() && !built_in {
            return Err(format!("RoleDefinitionDoesNotExist: {role}"));
        }
        let within = custom.is_none_or(|role| role.assignable.iter().any(|assignable| contains(assignable, scope)));
        if !is_scope(scope) || !within {
            return Err(format!("InvalidScope: {scope}"));
        }
        let [role, principal, scope] = [role, principal, scope].map(str::to_owned);
        self.assignments.push(Assignment { principal, role, scope });
        Ok(())
    }

    /// Takes a data action out of every custom role; whether one had it.
    pub(crate) fn without(&mut self, action: &str) -> bool {
        let had = self.custom.iter().any(|role| role.data_actions.iter().any(|one| one == action));
        self.custom.iter_mut().for_each(|role| role.data_actions.retain(|one| one != action));
        had
    }

    /// Takes every assignment at exactly this scope back; whether there was one.
    pub(crate) fn unassign(&mut self, scope: &str) -> bool {
        let before = self.assignments.len();
        self.assignments.retain(|one| one.scope != scope);
        before != self.assignments.len()
    }

    /// The scopes that were assigned.
    pub(crate) fn scopes(&self) -> Vec<String> {
        self.assignments.iter().map(|one| one.scope.clone()).collect()
    }

    /// Assignments add up; what a role excludes another may give.
    fn allows(&self, principal: &str, action: &str, resource: &str) -> bool {
        let of_principal = self.assignments.iter().filter(|one| one.principal == principal);
        of_principal.filter(|one| contains(&one.scope, resource)).any(|one| self.grants(&one.role, action))
    }

    fn grants(&self, role: &str, action: &str) -> bool {
        let short = action.strip_prefix(VAULTS).unwrap_or(action);
        if let Some((.., actions)) = BUILT_IN.iter().find(|(name, id, _)| *name == role || *id == role) {
            return actions.iter().any(|pattern| matches(pattern, short));
        }
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, action));
        self.custom.iter().any(|one| one.name == role && any(&one.data_actions) && !any(&one.not_data_actions))
    }
}

fn known(action: &str) -> bool {
    DATA_ACTIONS.iter().any(|one| matches(action, &format!("{VAULTS}{one}")))
}

fn is_scope(scope: &str) -> bool {
    let parts: Vec<&str> = scope.split('/').collect();
    parts.len() >= 3 && parts[0].is_empty() && parts[1] == "subscriptions" && !parts[2..].contains(&"")
}

/// Whether a resource is the scope or below it; case does not count.
fn contains(scope: &str, resource: &str) -> bool {
    let (scope, resource) = (scope.to_ascii_lowercase(), resource.to_ascii_lowercase());
    resource.strip_prefix(&scope).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether an action is one that a pattern names, of which `*` stands for anything; case does not count.
fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    match pattern.split_once('*') {
        None => pattern == action,
        Some((begin, end)) => {
            action.len() >= begin.len() + end.len() && action.starts_with(begin) && action.ends_with(end)
        }
    }
}

/// The data action that an operation needs, and the object that it is about, as `secrets/db`; no object for
/// a whole vault.
///
/// The page of each operation under <https://learn.microsoft.com/rest/api/keyvault/> names the word of an
/// access policy. The data action of each word is that of Microsoft's own tool for the change from one to
/// the other (<https://github.com/Azure/KeyVault-AccessPolicyToRBAC-CompareTool>); for secrets it stands at
/// <https://learn.microsoft.com/azure/key-vault/general/rbac-abac> too, with the name of the secret as what
/// is asked about, also for what is deleted and for what is not there yet.
pub(super) fn needed(request: &Request, bin_is_a_value: bool) -> Option<(String, Option<String>)> {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let (shelf, rest) = path.split_first()?;
    let (kind, binned) = shelf.strip_prefix("deleted").map_or((*shelf, false), |kind| (kind, true));
    let word = match (kind, binned, request.method.as_str(), rest) {
        ("secrets", false, "GET", [] | [_, "versions"]) | ("secrets", true, "GET", []) => "readMetadata/action",
        ("secrets", true, "GET", [_]) if !bin_is_a_value => "readMetadata/action",
        ("secrets", _, "GET", [_] | [_, _]) => "getSecret/action",
        ("secrets", false, "PUT", [_]) => "setSecret/action",
        ("certificates" | "keys", _, "GET", _) => "read",
        ("certificates", false, "POST", [_, "import"]) | ("keys", false, "PUT", [_]) => "import/action",
        ("certificates" | "keys", false, "POST", [_, "create"]) => "create/action",
        ("secrets" | "certificates" | "keys", false, "PATCH", [_] | [_, _]) => "update/action",
        ("secrets" | "certificates" | "keys", false, "DELETE", [_]) => "delete",
        ("secrets" | "certificates" | "keys", false, "POST", [_, "backup"]) => "backup/action",
        ("secrets" | "certificates" | "keys", false, "POST", ["restore"]) => "restore/action",
        ("secrets" | "certificates" | "keys", true, "POST", [_, "recover"]) => "recover/action",
        ("secrets" | "certificates" | "keys", true, "DELETE", [_]) => "purge/action",
        ("keys", false, "POST", [_, "rotate"]) => "rotate/action",
        ("keys", false, "POST", [_, _, "wrapkey"]) => "wrap/action",
        ("keys", false, "POST", [_, _, "unwrapkey"]) => "unwrap/action",
        ("keys", false, "POST", [_, _, "encrypt"]) => "encrypt/action",
        ("keys", false, "POST", [_, _, "decrypt"]) => "decrypt/action",
        ("keys", false, "POST", [_, _, "sign"]) => "sign/action",
        ("keys", false, "POST", [_, _, "verify"]) => "verify/action",
        ("keys", false, "POST", [_, _, "release"]) => "release/action",
        _ => return None,
    };
    let object = rest.first().filter(|_| word != "restore/action").map(|name| format!("{kind}/{name}"));
    Some((format!("{VAULTS}{kind}/{word}"), object))
}

/// Refuses what the owner of a token has no role for; vaults with access policies know no roles.
pub(super) fn admit(world: &World, vault: &Vault, request: &Request, client: &str) -> Result<(), Refusal> {
    let Some(id) = &vault.id else { return Ok(()) };
    let Some((action, object)) = needed(request, world.rbac.bin_is_a_value) else { return Ok(()) };
    let resource = object.map_or_else(|| id.clone(), |object| format!("{id}/{object}"));
    let principal = object_id(client);
    if world.rbac.allows(&principal, &action, &resource) {
        return Ok(());
    }
    let name = id.rsplit('/').next().unwrap_or_default();
    let message = format!(
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role \
         definitions were changed recently, please observe propagation time.\r\nCaller: appid={client};oid={principal};\
         iss=https://sts.windows.net/{TENANT}/\r\nAction: '{action}'\r\nResource: '{}'\r\nAssignment: (not found)\r\n\
         DenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: {name};location=westeurope\r\n",
        resource.to_ascii_lowercase()
    );
    Err(Refusal { message: Some(message), ..Refusal::inner(403, "Forbidden", "ForbiddenByRbac") })
}

/// The id of an application's service principal, which roles are assigned to.
pub(crate) fn object_id(client: &str) -> String {
    format!("object-of-{client}")
}
