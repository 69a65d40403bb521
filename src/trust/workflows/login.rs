//! How a workflow logs in at the clouds: by which right, and with what it leaves behind.

use super::{Findings, Workflow, is_ours, mentions, steps, uses};
use crate::diagnostic::{Severity, Spanned};
use crate::manifest::node::Node;
use crate::trust::lint::tree::{entry, get, texts, texts_of};

/// Steps that exchange a token of GitHub, with the setting that says so.
const LOGINS: &[(&str, &str)] = &[
    ("aws-actions/configure-aws-credentials@", "role-to-assume"),
    ("azure/login@", "client-id"),
    ("google-github-actions/auth@", "workload_identity_provider"),
    ("hashicorp/vault-action@", "role"),
];

/// Inputs of our action that make it exchange one.
const INPUTS: &[&str] = &[
    "aws_role",
    "aws_plan_role",
    "azure_client_id",
    "azure_plan_client_id",
    "gcp_workload_identity_provider",
    "gcp_service_account",
    "gcp_plan_service_account",
    "vault_role",
    "vault_plan_role",
];

/// Keys that live until somebody changes them.
const KEYS: &[&str] =
    &["secrets.AWS_SECRET_ACCESS_KEY", "secrets.AZURE_CLIENT_SECRET", "secrets.VAULT_TOKEN", "secrets.GCP_SA_KEY"];

pub(super) fn check(workflow: &Workflow<'_>, findings: &mut Findings) {
    for job in workflow.jobs.iter().filter(|job| steps(job).any(is_ours)) {
        id_token(workflow, job, findings);
        swept(job, findings);
        planning_environment(workflow, job, findings);
        if let Some(span) = KEYS.iter().find_map(|key| mentions(job, key)) {
            findings.say(
                Severity::Info,
                "long-lived-key",
                span,
                "a key that lives until somebody changes it; whoever reads it once has it for good",
                "let the job log in by its token: `secretzero trust generate` prints what the cloud must trust",
            );
        }
    }
}

/// A login by token without the right to ask for one.
fn id_token(workflow: &Workflow<'_>, job: &Spanned<Node>, findings: &mut Findings) {
    let permissions = get(job, "permissions").or_else(|| get(workflow.root, "permissions"));
    let granted = permissions.is_some_and(|permissions| {
        texts_of(permissions, "id-token").iter().any(|level| level.value == "write")
            || matches!(&permissions.value, Node::Scalar(all) if all == "write-all")
    });
    if granted {
        return;
    }
    for step in steps(job) {
        let with = get(step, "with");
        let has =
            |name: &str| with.is_some_and(|with| texts_of(with, name).iter().any(|value| !value.value.is_empty()));
        let used = uses(step);
        let logs_in = used.as_ref().is_some_and(|uses| {
            let name = uses.value.to_ascii_lowercase();
            LOGINS.iter().any(|(action, setting)| name.starts_with(action) && has(setting))
        });
        let ours = is_ours(step) && INPUTS.iter().any(|input| has(input));
        if let Some(uses) = used.filter(|_| logs_in || ours) {
            findings.say(
                Severity::Error,
                "no-id-token",
                uses.span,
                "this step logs in with a token that the job may not ask for",
                "add `id-token: write` to the job's `permissions`",
            );
        }
    }
}

/// An environment goes before the event in the subject of a token, so that a plan comes as the sync does
/// (<https://docs.github.com/en/actions/reference/security/oidc#filtering-for-a-specific-environment>).
fn planning_environment(workflow: &Workflow<'_>, job: &Spanned<Node>, findings: &mut Findings) {
    // What an expression or a condition makes of it is for the run to tell.
    let decided = |key: &str| get(job, key).is_some();
    if !workflow.has(&["pull_request"]) || decided("if") {
        return;
    }
    let Some((key, environment)) = entry(job, &["environment"]) else { return };
    let names = [texts(environment), texts_of(environment, "name")].concat();
    if names.iter().any(|name| !name.value.is_empty() && !name.value.contains("${{")) {
        findings.say(
            Severity::Warning,
            "plan-environment",
            key.span,
            "a pull request runs in this environment too, and so logs in as what the role of the sync trusts",
            "give the sync a job of its own, and `environment:` to that one alone",
        );
    }
}

/// Credentials that a step writes into the workspace, and a later one carries out of it
/// (<https://github.com/google-github-actions/auth/issues/497>).
fn swept(job: &Spanned<Node>, findings: &mut Findings) {
    let mut written = false;
    for step in steps(job) {
        let Some(uses) = uses(step) else { continue };
        let with = get(step, "with");
        let setting = |name: &str| with.map(|with| texts_of(with, name)).unwrap_or_default();
        if uses.value.to_ascii_lowercase().starts_with("google-github-actions/auth@") {
            written = !setting("create_credentials_file").iter().any(|value| value.value == "false");
        }
        let whole = |path: &str| {
            matches!(path.trim().trim_end_matches('/'), "." | "./" | "" | "*" | "**" | "${{ github.workspace }}")
        };
        let paths = setting("path");
        if written
            && uses.value.to_ascii_lowercase().starts_with("actions/upload-artifact@")
            && paths.iter().any(|path| path.value.lines().any(whole))
        {
            let place = with.and_then(|with| entry(with, &["path"])).map_or(uses.span, |(key, _)| key.span);
            findings.say(
                Severity::Error,
                "credentials-swept",
                place,
                "the artifact holds the credentials that `google-github-actions/auth` left in the workspace",
                "upload named files only, or set `create_credentials_file: false`",
            );
        }
    }
}
