//! Google's IAM over Secret Manager: roles, bindings and their conditions, and what each call needs.
//!
//! - **Roles and permissions**: <https://cloud.google.com/iam/docs/roles-permissions/secretmanager>; custom
//!   roles: <https://cloud.google.com/iam/docs/creating-custom-roles>.
//! - **Bindings** on the project, or on a secret for it and its versions:
//!   <https://cloud.google.com/secret-manager/docs/access-control>.
//! - **Limits**: <https://cloud.google.com/iam/quotas>.
//! - **Refusals** are worded as recorded in <https://github.com/GoogleCloudPlatform/java-docs-samples/issues/6571>,
//!   with the reason that gcloud shows beside it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::condition::Condition;
use super::world::{NUMBER, Secret};
use super::{Asked, PROJECT, Refusal};

/// What every permission begins with.
const SERVICE: &str = "secretmanager.";

/// Permissions of Secret Manager that a custom role of a project may have.
const PERMISSIONS: &[&str] = &[
    "locations.get",
    "locations.list",
    "secrets.create",
    "secrets.createTagBinding",
    "secrets.delete",
    "secrets.deleteTagBinding",
    "secrets.get",
    "secrets.getIamPolicy",
    "secrets.list",
    "secrets.listEffectiveTags",
    "secrets.listTagBindings",
    "secrets.setIamPolicy",
    "secrets.update",
    "versions.access",
    "versions.add",
    "versions.destroy",
    "versions.disable",
    "versions.enable",
    "versions.get",
    "versions.list",
];

/// Predefined roles with their permissions of Secret Manager.
const PREDEFINED: &[(&str, &[&str])] = &[
    ("roles/secretmanager.admin", PERMISSIONS),
    ("roles/secretmanager.secretAccessor", &["versions.access"]),
    ("roles/secretmanager.secretVersionAdder", &["versions.add"]),
    (
        "roles/secretmanager.secretVersionManager",
        &["versions.add", "versions.destroy", "versions.disable", "versions.enable", "versions.get", "versions.list"],
    ),
    (
        "roles/secretmanager.viewer",
        &[
            "locations.get",
            "locations.list",
            "secrets.get",
            "secrets.getIamPolicy",
            "secrets.list",
            "versions.get",
            "versions.list",
        ],
    ),
];

/// Most bindings of one role to one principal in a policy, by different conditions.
const CONDITIONS_MAX: usize = 20;
/// Longest id of a custom role, in bytes.
const ROLE_ID_BYTES_MAX: usize = 64;

/// Who may do what in the project. Once there is one, nobody may do what it does not give.
#[derive(Default)]
pub(crate) struct Iam {
    /// Permissions by `projects/<id>/roles/<role>`.
    custom: BTreeMap<String, BTreeSet<String>>,
    bindings: Vec<Binding>,
}

struct Binding {
    /// A secret, if it is one's own policy.
    secret: Option<String>,
    member: String,
    role: String,
    condition: Option<Condition>,
}

impl Iam {
    /// `gcloud iam roles create`, with the file's content.
    pub(crate) fn create_role(&mut self, id: &str, project: &str, role: &Json) -> Result<(), String> {
        let plain = id.len() >= 3 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b));
        if !plain || id.len() > ROLE_ID_BYTES_MAX || project != PROJECT || role["title"].as_str().is_none() {
            return Err("INVALID_ARGUMENT".into());
        }
        let permissions: BTreeSet<String> =
            serde_json::from_value(role["includedPermissions"].clone()).map_err(|_| "INVALID_ARGUMENT")?;
        let known = |name: &String| name.strip_prefix(SERVICE).is_some_and(|short| PERMISSIONS.contains(&short));
        if let Some(unknown) = permissions.iter().find(|name| !known(name)) {
            return Err(format!("INVALID_ARGUMENT: Permission {unknown} is not valid"));
        }
        let name = format!("projects/{project}/roles/{id}");
        if self.custom.contains_key(&name) {
            return Err("ALREADY_EXISTS".into());
        }
        self.custom.insert(name, permissions);
        Ok(())
    }

    /// Adds a binding to the project's policy, or to a secret's own; `condition` is the expression.
    pub(crate) fn bind(
        &mut self,
        secret: Option<&str>,
        member: &str,
        role: &str,
        condition: Option<&str>,
    ) -> Result<(), String> {
        let predefined = PREDEFINED.iter().any(|(name, _)| *name == role);
        if !predefined && !self.custom.contains_key(role) {
            return Err(format!("INVALID_ARGUMENT: Role {role} does not exist"));
        }
        if !["serviceAccount:", "user:", "principal://"].iter().any(|kind| member.starts_with(kind)) {
            return Err(format!("INVALID_ARGUMENT: {member} is no principal"));
        }
        let condition = condition.map(Condition::parse).transpose()?;
        let secret = secret.map(str::to_owned);
        let same = self.bindings.iter().filter(|one| one.secret == secret && one.member == member && one.role == role);
        if same.filter(|one| one.condition.is_some()).count() >= CONDITIONS_MAX && condition.is_some() {
            return Err("INVALID_ARGUMENT: too many conditional bindings of one role and principal".into());
        }
        self.bindings.push(Binding { secret, member: member.to_owned(), role: role.to_owned(), condition });
        Ok(())
    }

    /// Takes a permission out of every custom role; whether one had it.
    pub(crate) fn without(&mut self, permission: &str) -> bool {
        self.custom.values_mut().filter_map(|permissions| permissions.take(permission)).count() > 0
    }

    /// How many bindings there are.
    pub(crate) fn bindings(&self) -> usize {
        self.bindings.len()
    }

    /// Takes a binding back, by its place.
    pub(crate) fn unbind(&mut self, at: usize) {
        drop(self.bindings.remove(at));
    }

    /// Refuses what the caller has no permission for, whether the resource exists or not.
    pub(super) fn admit(&self, member: &str, asked: &Asked) -> Result<(), Refusal> {
        let resource = resource(asked);
        let admitted = self.bindings.iter().any(|binding| {
            binding.member == member
                && binding.secret.as_ref().is_none_or(|id| *id == asked.id)
                && binding.condition.as_ref().is_none_or(|condition| condition.holds(&resource))
                && self.grants(&binding.role, &asked.permission)
        });
        if admitted {
            return Ok(());
        }
        let lacking = Some([format!("{SERVICE}{}", asked.permission), resource]);
        Err(Refusal { lacking, ..Refusal::new(403, "PERMISSION_DENIED") })
    }

    fn grants(&self, role: &str, permission: &str) -> bool {
        let predefined = PREDEFINED.iter().any(|(name, of)| *name == role && of.contains(&permission));
        let custom = self.custom.get(role);
        predefined || custom.is_some_and(|of| of.contains(&format!("{SERVICE}{permission}")))
    }
}

/// What a permission is asked of, as conditions name it
/// (<https://cloud.google.com/iam/docs/conditions-resource-attributes>): with the project's number. Whatever
/// makes or lists is asked of the parent, as refusals name it: `secrets.create` of the project
/// (<https://github.com/hashicorp/terraform-provider-google/issues/13830>), `versions.add` of the secret
/// (<https://cloud.google.com/kubernetes-engine/docs/tutorials/workload-identity-secrets>), `versions.access`
/// of the version (<https://github.com/GoogleCloudPlatform/java-docs-samples/issues/6571>).
fn resource(asked: &Asked) -> String {
    match asked.permission.as_str() {
        "secrets.create" | "secrets.list" => format!("projects/{NUMBER}"),
        "versions.access" | "versions.destroy" | "versions.disable" | "versions.enable" | "versions.get" => {
            format!("{}/versions/{}", Secret::name(&asked.id), asked.version)
        }
        _ => Secret::name(&asked.id),
    }
}

/// The principal as a binding names it.
pub(super) fn member(owner: &str) -> String {
    if owner.contains('@') { format!("serviceAccount:{owner}") } else { owner.to_owned() }
}
