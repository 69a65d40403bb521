//! The whole way from the text of a Secretfile to a [`Manifest`], with every problem on the way.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::environments::Defaults;
use super::node::{Node, parse};
use super::read::{Fields, Reader};
use super::{Manifest, check, costs, environments, excerpt, metadata, moved, policies, providers, secrets, templates};
use crate::diagnostic::{Diagnostic, Source};

/// The keys a Secretfile may have at top level.
pub(super) const SECTIONS: &[&str] = &[
    "version",
    "metadata",
    "variables",
    "environments",
    "providers",
    "policies",
    "secrets",
    "templates",
    "moved",
    "costs",
];

/// What reading a Secretfile needs to know of the world.
pub struct Inputs<'a> {
    /// Looks up an environment variable; `None` if it is not set or may not be used here.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Variables that were set for this run; they win over those of the file.
    pub var_overrides: BTreeMap<String, String>,
    /// The chosen one of the file's `environments:`; a file that declares none takes any name.
    pub environment_name: Option<String>,
    /// What the chosen environment's `var_files` hold ([`super::environments()`] names them); its
    /// `variables` win over them, and they over those at top level.
    pub environment_variables: BTreeMap<String, String>,
    /// What happens to environment variables inside static values.
    pub statics: Statics,
    /// What happens to missing environment variables inside provider blocks.
    pub credentials: Credentials,
    /// Whether `environment` hides variables that are set, because a pull request may not use them
    /// unless `allow_env` names them; advice about a missing one then says so.
    pub withheld: bool,
    /// Hosts that a `vault_url` may name beside Azure's own suffixes.
    pub allowed_hosts: Vec<String>,
    /// The present, to warn of what lies in the past.
    pub now: Timestamp,
}

impl<'a> Inputs<'a> {
    /// What a run needs that reads everything and writes: all variables must be set.
    #[must_use]
    pub fn new(environment: &'a dyn Fn(&str) -> Option<String>, now: Timestamp) -> Self {
        Self {
            environment,
            var_overrides: BTreeMap::new(),
            environment_name: None,
            environment_variables: BTreeMap::new(),
            statics: Statics::Resolve,
            credentials: Credentials::Require,
            withheld: false,
            allowed_hosts: Vec::new(),
            now,
        }
    }
}

/// What happens to environment variables inside static values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statics {
    /// They must be set, and the value is complete.
    Resolve,
    /// They are not looked up, and a value that needs one is left out: a plan needs none.
    Leave,
}

/// What happens to missing environment variables inside provider blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// They must be set.
    Require,
    /// The setting is left out and listed as unresolved: `validate` needs no credential.
    Leave,
}

/// What became of a Secretfile.
pub struct Loaded {
    /// The manifest; `None` if and only if a finding is an error.
    pub manifest: Option<Manifest>,
    /// All findings in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a Secretfile. Never panics, and takes time in proportion to the size of the text, which
/// [`Source::from_bytes`] bounds.
#[must_use]
pub fn load(source: &Source, inputs: &Inputs) -> Loaded {
    let root = match parse(source) {
        Ok(root) => root,
        Err(finding) => return Loaded { manifest: None, diagnostics: vec![finding] },
    };
    source.mark_scalars(excerpt::scalars(&root));
    let mut reader = Reader::new(source, inputs);
    let manifest = manifest(&mut reader, &root);
    let (failed, diagnostics) = reader.finish();
    Loaded { manifest: manifest.filter(|_| !failed), diagnostics }
}

fn manifest(reader: &mut Reader, root: &crate::diagnostic::Spanned<Node>) -> Option<Manifest> {
    let mut variables = metadata::variables(reader, root);
    let environments = environments::read(reader, root);
    let chosen = environments.choose(reader)?;
    variables.extend(reader.inputs.environment_variables.clone());
    variables.extend(chosen.map(|one| one.variables.clone()).unwrap_or_default());
    reader.variables = variables;
    reader.own_files = environments.files();
    let reader = &*reader;
    let file = Fields::of(reader, root, root.span, "the Secretfile")?;
    if file.entries.is_empty() {
        let help = "begin with `metadata:`, `providers:` and `secrets:`";
        reader.error("empty-file", root.span, "the file says nothing", help);
    }
    // Asking for all of them, in this order, is what makes a misspelt section an unknown key.
    let entries = SECTIONS.iter().map(|section| (*section, file.get(section))).collect::<BTreeMap<_, _>>();
    let section = |name: &str| entries.get(name).copied().flatten();
    metadata::version(reader, section("version"));
    let metadata = metadata::metadata(reader, section("metadata"));
    let providers = providers::providers(reader, section("providers"));
    environments.check_defaults(reader, &providers);
    let policies = policies::policies(reader, section("policies"), &providers.aliases());
    let templates = templates::templates(reader, section("templates"));
    let none = Defaults::default();
    let defaults = chosen.map_or(&none, |one| &one.defaults);
    let scope = secrets::Scope { providers: &providers, templates: &templates, defaults };
    let mut secrets = secrets::secrets(reader, section("secrets"), scope);
    defaults.finish(reader, &providers);
    moved::apply(reader, section("moved"), &mut secrets);
    let costs = costs::costs(reader, section("costs"));
    file.finish();
    let anonymous = metadata.project.is_none() && metadata.project_id.is_none();
    if let Some((key, _)) = section("secrets").filter(|_| anonymous) {
        let message =
            "nothing names the project, so another Secretfile in the same accounts may take its secrets for its own";
        reader.warning(
            "no-project",
            key.span,
            message,
            "add `metadata:` with a `project_id` (or `project`) of its own",
        );
    }
    let providers = providers.into_blocks();
    let environment = chosen.map(|one| one.environment.clone());
    let mut manifest = Manifest { metadata, providers, policies, costs, secrets, environment };
    check::targets(reader, &mut manifest);
    Some(manifest)
}
