//! A policy in Vault's HCL: the paths of the Secretfile, each with the capabilities that its calls need.
//!
//! <https://developer.hashicorp.com/vault/docs/concepts/policies>,
//! <https://developer.hashicorp.com/vault/docs/secrets/kv/kv-v2/setup#acl-rules>

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{Use, aliases, file_name};
use crate::diagnostic::{Diagnostic, Severity, quote};
use crate::manifest::{Manifest, ProviderBlock};
use crate::target::TargetSettings;
use crate::trust::{Document, Generated, Phase, shell_argument};

/// Paths with their capabilities.
type Paths = BTreeMap<String, BTreeSet<&'static str>>;

pub(super) fn permissions(uses: &[Use<'_>], phase: Phase) -> Generated {
    // A policy belongs to one namespace of one server.
    let mut servers: Vec<([Option<&str>; 2], Vec<&Use<'_>>)> = Vec::new();
    for one in uses {
        let server = [one.block.setting("url"), one.block.setting("namespace")];
        match servers.iter_mut().find(|(known, _)| *known == server) {
            Some((_, of_server)) => of_server.push(one),
            None => servers.push((server, vec![one])),
        }
    }
    let several = servers.len() > 1;
    let mut generated = Generated::default();
    for (index, ([_, namespace], uses)) in servers.into_iter().enumerate() {
        let mut paths = Paths::new();
        grant(&mut paths, "auth/token/lookup-self", &["read"]);
        grant(&mut paths, "auth/token/renew-self", &["update"]);
        grant(&mut paths, "auth/token/revoke-self", &["update"]);
        for one in &uses {
            target(&mut paths, one.settings, phase, &mut generated);
        }
        let name = file_name(&format!("vault-{}-policy", phase.as_str()), index, "hcl");
        let blocks: Vec<&ProviderBlock> = uses.iter().map(|one| one.block).collect();
        let whose = if several { format!("  # for {}", aliases(&blocks)) } else { String::new() };
        let namespace = namespace
            .map(|namespace| format!("{} ", shell_argument(&format!("-namespace={namespace}"))))
            .unwrap_or_default();
        generated.steps.push(format!("vault policy write {namespace}secretzero-{} {name}{whose}", phase.as_str()));
        generated.documents.push(Document { name, text: hcl(&paths) });
    }
    generated
}

/// What a path of a policy cannot say: `*`, and `+` where a segment begins, stand for the paths of others,
/// `{{` and `${` are filled in by the server, and the rest ends the text
/// (<https://developer.hashicorp.com/vault/docs/concepts/policies#policy-syntax>).
const NOT_IN_A_PATH: [&str; 5] = ["\"", "\\", "*", "{{", "${"];

/// Targets that no policy can name exactly, with their secrets and lines.
pub(super) fn refused(manifest: &Manifest) -> Vec<Diagnostic> {
    let targets = manifest.secrets.iter().flat_map(|secret| secret.targets.iter().map(move |target| (secret, target)));
    let findings = targets.flat_map(|(secret, target)| {
        let named = match &target.settings {
            TargetSettings::Kv(kv) => [("mount_point", &kv.mount_point), ("path", &kv.path)],
            TargetSettings::DatabaseRole(role) => {
                [("database_mount", &role.database_mount), ("role_name", &role.role_name)]
            }
            TargetSettings::TransitKey(key) => [("mount_point", &key.mount_point), ("key_name", &key.key_name)],
            _ => return Vec::new(),
        };
        let odd = |text: &str| {
            let found = NOT_IN_A_PATH.into_iter().find(|odd| text.contains(odd));
            let found = found.or_else(|| text.split('/').any(|segment| segment.starts_with('+')).then_some("+"));
            found.or_else(|| text.contains(char::is_control).then_some("a control character"))
        };
        let finding = |(setting, text): (&str, &String)| {
            let message = format!("no policy can name `{setting}` exactly, since {} is in it", quote(odd(text)?));
            let help = "give it another name; such a policy would open more than this secret".to_owned();
            let (span, name) = (target.span_of(setting), secret.name.value.clone());
            let message = format!("{}: {message}", quote(&name));
            let secret = Some(name);
            Some(Diagnostic { code: "odd-path", severity: Severity::Error, message, span, help: Some(help), secret })
        };
        named.into_iter().filter_map(finding).collect()
    });
    findings.collect()
}

fn grant(paths: &mut Paths, path: &str, capabilities: &[&'static str]) {
    paths.entry(path.to_owned()).or_default().extend(capabilities);
}

fn target(paths: &mut Paths, settings: &TargetSettings, phase: Phase, generated: &mut Generated) {
    let writes = phase == Phase::Sync;
    match settings {
        TargetSettings::Kv(kv) if kv.version == 2 => {
            let (mount, path) = (kv.mount_point.trim_matches('/'), kv.path.trim_matches('/'));
            grant(paths, &format!("{mount}/metadata/{path}"), &["read"]);
            if writes {
                grant(paths, &format!("{mount}/metadata/{path}"), &["create", "patch", "update"]);
                // The mark goes before the value, so that to Vault every value is an update.
                grant(paths, &format!("{mount}/data/{path}"), &["read", "update"]);
                grant(paths, &format!("{mount}/undelete/{path}"), &["update"]);
            }
        }
        TargetSettings::Kv(kv) => {
            let (mount, path) = (kv.mount_point.trim_matches('/'), kv.path.trim_matches('/'));
            // Version 1 has no metadata: only a list of the folder tells that something stands there.
            let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            grant(paths, &format!("{mount}/{folder}"), &["list"]);
            if writes {
                grant(paths, &format!("{mount}/{path}"), &["create", "read", "update"]);
            } else {
                generated.say("a KV mount of version 1 shows nothing but names without the right to read values");
            }
        }
        TargetSettings::DatabaseRole(role) => {
            let mount = role.database_mount.trim_matches('/');
            // A role may name a connection that does not exist, which only this list tells.
            grant(paths, &format!("{mount}/config/"), &["list"]);
            grant(paths, &format!("{mount}/roles/{}", role.role_name), &["read"]);
            if writes {
                grant(paths, &format!("{mount}/roles/{}", role.role_name), &["create", "update"]);
            }
        }
        TargetSettings::TransitKey(key) => {
            let path = format!("{}/keys/{}", key.mount_point.trim_matches('/'), key.key_name);
            grant(paths, &path, &["read"]);
            if writes {
                grant(paths, &path, &["create", "update"]);
                grant(paths, &format!("{path}/config"), &["update"]);
                grant(paths, &format!("{path}/rotate"), &["update"]);
            }
        }
        _ => {}
    }
}

fn hcl(paths: &Paths) -> String {
    let mut text = String::new();
    for (path, capabilities) in paths {
        let path = path.replace('\\', r"\\").replace('"', r#"\""#);
        let list: Vec<String> = capabilities.iter().map(|capability| format!("\"{capability}\"")).collect();
        let blank = if text.is_empty() { "" } else { "\n" };
        let _ = write!(text, "{blank}path \"{path}\" {{\n  capabilities = [{}]\n}}\n", list.join(", "));
    }
    text
}
