//! A random Secretfile and the edits a team makes to it.

use std::fmt::Write as _;

use super::chance::Chance;

/// A kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    SecretsManager,
    Parameter,
    KeyVault,
    Kv,
    File,
}

const KINDS: [Kind; 7] = [
    Kind::SecretsManager,
    Kind::SecretsManager,
    Kind::Parameter,
    Kind::Parameter,
    Kind::KeyVault,
    Kind::Kv,
    Kind::File,
];

/// One target; its id makes its name, so no two secrets ever share a place.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) id: usize,
    tag: usize,
    description: usize,
    primary: bool,
}

/// How a value is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Random,
    Static(usize),
    Template { user: usize, extra: bool },
}

/// One secret.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) first: String,
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) targets: Vec<Target>,
    renames: usize,
}

/// The Secretfile.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) secrets: Vec<Secret>,
    ids: usize,
}

impl Model {
    /// `files` is false where two machines are simulated, which share none.
    pub(crate) fn new(chance: &Chance, files: bool) -> Self {
        let mut model = Self { secrets: Vec::new(), ids: 0 };
        for index in 0..=chance.below(4) {
            let source = match chance.below(4) {
                0 => Source::Static(0),
                1 => Source::Template { user: 0, extra: false },
                _ => Source::Random,
            };
            let targets = (0..=chance.below(4)).map(|_| model.target(chance, files)).collect();
            let first = format!("secret{index}");
            let mut secret = Secret { name: first.clone(), first, source, targets, renames: 0 };
            if chance.one_in(4) {
                secret.choose_primary(chance);
            }
            model.secrets.push(secret);
        }
        model
    }

    fn target(&mut self, chance: &Chance, files: bool) -> Target {
        self.ids += 1;
        let kind = *chance.pick(if files { &KINDS } else { &KINDS[..6] });
        Target { kind, id: self.ids, tag: 0, description: 0, primary: false }
    }

    /// One edit of the file.
    pub(crate) fn edit(&mut self, chance: &Chance, files: bool) {
        let index = chance.below(self.secrets.len());
        let added = self.target(chance, files);
        let Some(secret) = self.secrets.get_mut(index) else { return };
        let place = chance.below(secret.targets.len());
        match chance.below(8) {
            0 | 1 => match &mut secret.source {
                Source::Random => {}
                Source::Static(revision) => *revision += 1,
                Source::Template { user, extra } if chance.one_in(2) => (*user, *extra) = (*user + 1, *extra),
                Source::Template { extra, .. } => *extra = !*extra,
            },
            2 => secret.targets.push(added),
            3 if secret.targets.len() > 1 => drop(secret.targets.remove(place)),
            3 | 4 => secret.targets[place] = added,
            5 => secret.targets.iter_mut().for_each(|target| target.tag += 1),
            6 => secret.targets[place].description += 1,
            _ if chance.one_in(2) => secret.choose_primary(chance),
            _ => {
                secret.renames += 1;
                secret.name = format!("{}r{}", secret.first, secret.renames);
            }
        }
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from(
            "metadata: {project: sim}\nproviders:\n  aws: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}\n  \
             azure: {kind: azure, auth: {kind: default}}\n  \
             vault: {kind: vault, auth: {kind: token, config: {url: \"https://127.0.0.1:1\", token: t}}}\n  local: {kind: local}\nsecrets:\n",
        );
        let (mut templates, mut moved) = (String::new(), String::new());
        for secret in &self.secrets {
            let Secret { name, source, .. } = secret;
            let _ = match source {
                Source::Random => write!(text, "  - name: {name}\n    kind: random_password\n"),
                Source::Static(n) => {
                    write!(text, "  - name: {name}\n    kind: static\n    config: {{default: \"fixed {n}\"}}\n")
                }
                Source::Template { .. } => write!(text, "  - name: {name}\n    kind: templates.t_{name}\n"),
            };
            let mut into = &mut text;
            if let Source::Template { user, extra } = source {
                let _ = write!(
                    templates,
                    "  t_{name}:\n    fields:\n      user: {{generator: {{kind: static, config: {{default: \"user {user}\"}}}}}}\n      \
                     pass: {{generator: {{kind: random_string, config: {{length: 20}}}}}}\n"
                );
                if *extra {
                    templates +=
                        "      url: {generator: {kind: static, config: {default: \"x://{{user}}:{{pass}}@h\"}}}\n";
                }
                into = &mut templates;
            }
            *into += "    targets:\n";
            for target in &secret.targets {
                *into += &target.text();
            }
            let names = (0..=secret.renames)
                .map(|n| if n == 0 { secret.first.clone() } else { format!("{}r{n}", secret.first) });
            let names: Vec<String> = names.collect();
            for pair in names.windows(2) {
                let _ = writeln!(moved, "  - {{from: {}, to: {}}}", pair[0], pair[1]);
            }
        }
        let section = |title: &str, body: String| if body.is_empty() { body } else { format!("{title}:\n{body}") };
        text + &section("templates", templates) + &section("moved", moved)
    }
}

impl Secret {
    fn choose_primary(&mut self, chance: &Chance) {
        let chosen = chance.below(self.targets.len());
        for (index, target) in self.targets.iter_mut().enumerate() {
            target.primary = index == chosen;
        }
    }
}

impl Target {
    fn text(&self) -> String {
        let Self { kind, id, tag, description, primary } = self;
        let settings = match kind {
            Kind::SecretsManager => {
                format!("provider: aws, kind: secrets_manager, config: {{name: n{id}, tags: {{Rev: \"{tag}\"}}}}")
            }
            Kind::Parameter => format!(
                "provider: aws, kind: ssm_parameter, config: {{name: /n/{id}, description: \"{description}\", tags: {{Rev: \"{tag}\"}}}}"
            ),
            Kind::KeyVault => format!(
                "provider: azure, kind: key_vault, config: {{vault_url: \"https://simulated.vault.azure.net\", secret_name: n{id}, tags: {{Rev: \"{tag}\"}}}}"
            ),
            Kind::Kv => format!(
                "provider: vault, kind: kv, config: {{path: n{id}, mount_point: secret, metadata: {{Rev: \"{tag}\"}}}}"
            ),
            Kind::File => {
                let format = if id % 2 == 0 { "json" } else { "dotenv" };
                format!("provider: local, kind: file, config: {{path: f{id}, format: {format}, merge: true}}")
            }
        };
        format!("      - {{primary: {primary}, {settings}}}\n")
    }
}
