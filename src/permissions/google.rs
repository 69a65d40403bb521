//! Custom roles, and bindings of them that name each secret.
//!
//! <https://cloud.google.com/secret-manager/docs/access-control>,
//! <https://cloud.google.com/iam/docs/conditions-resource-attributes>

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Account, Use};
use crate::target::{SecretManagerSettings, TargetSettings};
use crate::trust::{Document, Generated, Phase};

/// Most secrets in one condition: each takes two terms, and a condition 12 operators between its terms
/// (<https://cloud.google.com/iam/quotas>).
const SECRETS_PER_CONDITION: usize = 6;

/// What a plan calls on a secret.
const PLAN: &[&str] = &["secretmanager.secrets.get", "secretmanager.versions.get", "secretmanager.versions.list"];
/// What a sync calls on it beside that.
const SYNC: &[&str] = &["secretmanager.secrets.update", "secretmanager.versions.access", "secretmanager.versions.add"];
/// Beside those where a Secretfile bounds how many versions stay.
const RETIRE: &[&str] = &["secretmanager.versions.destroy", "secretmanager.versions.disable"];

pub(super) fn permissions(uses: &[Use<'_>], phase: Phase, account: &Account) -> Generated {
    let mut projects: BTreeMap<String, Vec<&SecretManagerSettings>> = BTreeMap::new();
    for one in uses {
        if let TargetSettings::SecretManager(secret) = one.settings {
            let project = secret.project_id.as_deref().or_else(|| one.block.setting("project_id"));
            projects.entry(project.unwrap_or("PROJECT_ID").to_owned()).or_default().push(secret);
        }
    }
    let mut generated = Generated::default();
    let retires = projects.values().flatten().any(|secret| secret.keep_versions.is_some());
    let mut permissions = PLAN.to_vec();
    if phase == Phase::Sync {
        permissions.extend(SYNC);
        permissions.extend(if retires { RETIRE } else { &[] });
        permissions.sort_unstable();
    }
    let role = format!("secretzero{}", if phase == Phase::Plan { "Plan" } else { "Sync" });
    let name = format!("gcp-{}-role.yaml", phase.as_str());
    generated.documents.push(role_document(&name, &format!("SecretZero {}", phase.as_str()), &permissions));
    if phase == Phase::Sync {
        generated.documents.push(role_document(
            "gcp-create-role.yaml",
            "SecretZero create",
            &["secretmanager.secrets.create"],
        ));
        generated.say(
            "whoever may create a secret in a project may create any: no condition can name what is not there yet. Leave \
             `gcp-create-role.yaml` out if somebody else creates the secrets",
        );
    }
    let number = account.gcp_number.as_deref();
    if number.is_none() {
        generated.say(
            "conditions name a project by its number: give it with `--project-number` (`gcloud projects describe PROJECT_ID \
             --format='value(projectNumber)'`)",
        );
    }
    let mut text = String::new();
    for (project, secrets) in &projects {
        let _ = writeln!(text, "gcloud iam roles create {role} --project={project} --file={name}");
        if phase == Phase::Sync {
            let _ = writeln!(
                text,
                "gcloud iam roles create secretzeroCreate --project={project} --file=gcp-create-role.yaml"
            );
            bind(&mut text, project, phase, "secretzeroCreate", None);
        }
        let mut ids: Vec<&str> = secrets.iter().map(|secret| secret.secret_id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        for ids in ids.chunks(SECRETS_PER_CONDITION) {
            let names = ids.iter().map(|id| format!("projects/{}/secrets/{id}", number.unwrap_or("PROJECT_NUMBER")));
            let terms = names
                .map(|name| format!("resource.name == \"{name}\" || resource.name.startsWith(\"{name}/versions/\")"));
            bind(&mut text, project, phase, &role, Some(&terms.collect::<Vec<_>>().join(" || ")));
        }
    }
    generated.documents.push(Document { name: format!("gcp-{}-bindings.sh", phase.as_str()), text });
    generated
}

fn role_document(name: &str, title: &str, permissions: &[&str]) -> Document {
    let mut text = format!("title: {title}\nstage: GA\nincludedPermissions:\n");
    for permission in permissions {
        let _ = writeln!(text, "  - {permission}");
    }
    Document { name: name.to_owned(), text }
}

fn bind(text: &mut String, project: &str, phase: Phase, role: &str, condition: Option<&str>) {
    let phase = phase.as_str();
    let condition = match condition {
        Some(expression) => format!("'expression={expression},title=secretzero-{phase}'"),
        None => "None".to_owned(),
    };
    let _ = write!(
        text,
        "gcloud projects add-iam-policy-binding {project} \\\n  --member=serviceAccount:secretzero-{phase}@{project}.iam.gserviceaccount.com \\\n  \
         --role=projects/{project}/roles/{role} \\\n  --condition={condition}\n"
    );
}
