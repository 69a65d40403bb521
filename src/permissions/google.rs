//! Custom roles, and bindings of them that name each secret.
//!
//! <https://cloud.google.com/secret-manager/docs/access-control>,
//! <https://cloud.google.com/iam/docs/conditions-resource-attributes>

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{Account, Use};
use crate::manifest::ProviderBlock;
use crate::target::{SecretManagerSettings, TargetSettings};
use crate::trust::google::cel_text;
use crate::trust::{Document, Generated, Phase, shell_argument, shell_word};

/// Most secrets in one condition: each takes two terms, and a condition 12 operators between its terms
/// (<https://cloud.google.com/iam/quotas>).
const SECRETS_PER_CONDITION: usize = 6;

/// Most bindings of one role to one principal that only their conditions tell apart (the same page); beyond
/// it another role has the same permissions.
const CONDITIONS_PER_ROLE: usize = 20;

/// What a plan calls on a secret.
const PLAN: &[&str] = &["secretmanager.secrets.get", "secretmanager.versions.get", "secretmanager.versions.list"];
/// What a sync calls on it beside that.
const SYNC: &[&str] = &["secretmanager.secrets.update", "secretmanager.versions.access", "secretmanager.versions.add"];
/// Beside those where a Secretfile bounds how many versions stay.
const RETIRE: &[&str] = &["secretmanager.versions.destroy", "secretmanager.versions.disable"];

/// What a Secretfile has in one project.
#[derive(Default)]
struct Project<'m> {
    secrets: Vec<&'m SecretManagerSettings>,
    /// Who reaches it.
    members: BTreeSet<String>,
}

pub(super) fn permissions(uses: &[Use<'_>], phase: Phase, account: &Account) -> Generated {
    let mut projects: BTreeMap<String, Project<'_>> = BTreeMap::new();
    for one in uses {
        if let TargetSettings::SecretManager(secret) = one.settings {
            let own = one.block.setting("project_id").unwrap_or("PROJECT_ID");
            let project = secret.project_id.as_deref().unwrap_or(own);
            let of = projects.entry(project.to_owned()).or_default();
            of.secrets.push(secret);
            of.members.insert(member(one.block, own, phase));
        }
    }
    let mut generated = Generated::default();
    let retires = projects.values().flat_map(|of| &of.secrets).any(|secret| secret.keep_versions.is_some());
    let role = format!("secretzero{}", if phase == Phase::Plan { "Plan" } else { "Sync" });
    let name = format!("gcp-{}-role.yaml", phase.as_str());
    define(&mut generated, &name, phase, retires);
    let several = projects.len() > 1;
    let number = account.gcp_number.as_deref().filter(|_| !several);
    if number.is_none() {
        generated.say(
            "conditions name a project by its number: put it for PROJECT_NUMBER, or give it with `--project-number` where \
             there is one project (`gcloud projects describe PROJECT_ID --format='value(projectNumber)'`)",
        );
    }
    let mut text = String::new();
    for (project, Project { secrets, members }) in &projects {
        let word = shell_argument(project);
        let placeholder = if several { format!("PROJECT_NUMBER_OF_{project}") } else { "PROJECT_NUMBER".to_owned() };
        let conditions = conditions(secrets, number.unwrap_or(&placeholder));
        let bound: Vec<(String, &[String])> = roles(&role, &conditions).collect();
        for (role, _) in &bound {
            let _ = writeln!(text, "gcloud iam roles create {role} --project={word} --file={name}");
        }
        if phase == Phase::Sync {
            let _ =
                writeln!(text, "gcloud iam roles create secretzeroCreate --project={word} --file=gcp-create-role.yaml");
        }
        for member in members {
            if phase == Phase::Sync {
                bind(&mut text, project, member, "secretzeroCreate", "None");
            }
            for (role, condition) in bound.iter().flat_map(|(role, of)| of.iter().map(move |one| (role, one))) {
                let condition = shell_word(&format!("expression={condition},title=secretzero-{}", phase.as_str()));
                bind(&mut text, project, member, role, &condition);
            }
        }
    }
    if text.contains("/subject/SUBJECT_OF_THE_") {
        generated.say(
            "a run logs in here as the pool's own principal: put the subject of its token for SUBJECT_OF_THE_…; \
             `secretzero doctor` in such a run shows it",
        );
    }
    generated.documents.push(Document { name: format!("gcp-{}-bindings.sh", phase.as_str()), text });
    generated
}

/// The roles of a phase, as documents.
fn define(generated: &mut Generated, name: &str, phase: Phase, retires: bool) {
    let mut permissions = PLAN.to_vec();
    if phase == Phase::Sync {
        permissions.extend(SYNC);
        permissions.extend(if retires { RETIRE } else { &[] });
        permissions.sort_unstable();
    }
    generated.documents.push(role_document(name, &format!("SecretZero {}", phase.as_str()), &permissions));
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
}

/// `role`, `role2`, … with as many conditions as each takes.
fn roles<'c>(role: &'c str, conditions: &'c [String]) -> impl Iterator<Item = (String, &'c [String])> {
    let numbered = conditions.chunks(CONDITIONS_PER_ROLE).enumerate();
    numbered.map(move |(at, of)| (if at == 0 { role.to_owned() } else { format!("{role}{}", at + 1) }, of))
}

fn role_document(name: &str, title: &str, permissions: &[&str]) -> Document {
    let mut text = format!("title: {title}\nstage: GA\nincludedPermissions:\n");
    for permission in permissions {
        let _ = writeln!(text, "  - {permission}");
    }
    Document { name: name.to_owned(), text }
}

fn bind(text: &mut String, project: &str, member: &str, role: &str, condition: &str) {
    let _ = write!(
        text,
        "gcloud projects add-iam-policy-binding {} \\\n  --member={} \\\n  --role={} \\\n  --condition={condition}\n",
        shell_argument(project),
        shell_argument(member),
        shell_argument(&format!("projects/{project}/roles/{role}")),
    );
}

/// Who logs in, as a policy names it: whom the provider block names for the phase, else an account of ours.
/// Where a pool's own principal has access itself, it is the one with the run's subject.
fn member(block: &ProviderBlock, project: &str, phase: Phase) -> String {
    let (own, other) = match phase {
        Phase::Plan => ("plan_service_account", "service_account"),
        Phase::Sync => ("service_account", "plan_service_account"),
    };
    let direct = block.setting("workload_identity_provider").filter(|_| block.setting(other).is_none());
    match (block.setting(own), direct.and_then(|provider| provider.split_once("/providers/"))) {
        (Some(account), _) => format!("serviceAccount:{account}"),
        (None, Some((pool, _))) => {
            let subject = format!("SUBJECT_OF_THE_{}", phase.as_str().to_uppercase());
            format!("principal://iam.googleapis.com/{}/subject/{subject}", pool.trim_start_matches('/'))
        }
        (None, None) => format!("serviceAccount:secretzero-{}@{project}.iam.gserviceaccount.com", phase.as_str()),
    }
}

/// Conditions that name the secrets and their versions, as many as are needed.
fn conditions(secrets: &[&SecretManagerSettings], number: &str) -> Vec<String> {
    let ids: BTreeSet<&str> = secrets.iter().map(|secret| secret.secret_id.as_str()).collect();
    let term = |id: &&str| {
        let name = format!("projects/{number}/secrets/{id}");
        let (whole, versions) = (cel_text(&name), cel_text(&format!("{name}/versions/")));
        format!("resource.name == {whole} || resource.name.startsWith({versions})")
    };
    let terms: Vec<String> = ids.iter().map(term).collect();
    terms.chunks(SECRETS_PER_CONDITION).map(|terms| terms.join(" || ")).collect()
}
