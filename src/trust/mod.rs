//! Trust policies: what a cloud must be told so that exactly one kind of run may log in, and what is
//! wrong with what it was told.
//!
//! Everything here is pure: names and ids in, text out. A plan and a sync have a role each. That of the
//! plan trusts pull requests, that of the sync the default branch or a protected environment, and neither
//! trusts what the other does.

pub(crate) mod aws;
pub(crate) mod azure;
pub(crate) mod google;
pub mod lint;
mod subject;
pub(crate) mod vault;
pub mod workflows;

pub use azure::audience_at;
pub use subject::{Form, Subject, of_service, subjects};

/// Where a run logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the vendors' own names")]
pub enum Cloud {
    Aws,
    Azure,
    Gcp,
    Vault,
}

impl Cloud {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Aws, Self::Azure, Self::Gcp, Self::Vault];

    /// The word of the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
            Self::Vault => "vault",
        }
    }
}

/// What a run may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Look at metadata; never read a value, never write.
    Plan,
    /// Write, and read back what was written.
    Sync,
}

impl Phase {
    /// Both, the harmless one first.
    pub const ALL: [Self; 2] = [Self::Plan, Self::Sync];

    /// The word of the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Sync => "sync",
        }
    }
}

/// Whose CI it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forge {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// Our own service, which makes runs of either and signs their tokens itself.
    Service,
}

impl Forge {
    /// The issuer of its public service (GHES: `https://HOST/_services/token`; GitLab: the instance); ours
    /// has none.
    #[must_use]
    pub const fn public_issuer(self) -> Option<&'static str> {
        match self {
            Self::Github => Some("https://token.actions.githubusercontent.com"),
            Self::Gitlab => Some("https://gitlab.com"),
            Self::Service => None,
        }
    }

    /// The word of file names.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Service => "secretzero",
        }
    }
}

/// A repository, by its name and by what survives a rename.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repository {
    /// `owner/name`; at GitLab the whole path of the project.
    pub path: String,
    /// Number of the repository or project.
    pub id: Option<String>,
    /// Number of its owner or namespace.
    pub owner_id: Option<String>,
}

impl Repository {
    /// The two numbers, if both are known.
    #[must_use]
    pub fn ids(&self) -> Option<(&str, &str)> {
        Some((self.id.as_deref()?, self.owner_id.as_deref()?))
    }
}

/// The runs to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// Whose CI it is.
    pub forge: Forge,
    /// Who signs the tokens, with `https://` and without a `/` at the end.
    pub issuer: String,
    /// Where our own service's repositories are, such as `github.com`; others' tokens do not tell.
    pub host: String,
    /// Of which repository.
    pub repository: Repository,
    /// The default branch, without `refs/heads/`.
    pub branch: String,
    /// The environment that jobs which sync name, if they name one.
    pub environment: Option<String>,
    /// What they may do.
    pub phase: Phase,
    /// What their tokens must be made for; the cloud's usual one when missing.
    pub audience: Option<String>,
    /// Which forms of GitHub's subject are trusted.
    pub form: Form,
    /// Whether to condition on claims beyond subject and audience as well.
    pub hardened: bool,
}

impl Trusted {
    /// Whether the forge's public service signs, whose claims and runners clouds know by name.
    #[must_use]
    pub fn is_public(&self) -> bool {
        Some(self.issuer.as_str()) == self.forge.public_issuer() || self.issuer.ends_with(".ghe.com")
    }

    /// Whether conditions beyond subject and audience are wanted that an own server's tokens can meet.
    fn asks_for_hosted(&self) -> bool {
        self.hardened && self.is_public()
    }
}

/// What only the owner of the account knows; a placeholder in capitals stands for what is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// AWS: the account's number. Google: the id of the project.
    pub id: Option<String>,
    /// AWS: `aws`, `aws-cn` or `aws-us-gov`; `aws` when missing.
    pub partition: Option<String>,
    /// Google: the number of the project.
    pub number: Option<String>,
    /// Vault: where the JWT method is mounted; `jwt` when missing.
    pub mount: Option<String>,
}

/// A text to hand to a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// A good name for its file.
    pub name: String,
    /// The whole text, with a line end.
    pub text: String,
}

/// What was generated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Generated {
    /// The texts.
    pub documents: Vec<Document>,
    /// What to do with them, one command or step each.
    pub steps: Vec<String>,
    /// What to know about them.
    pub notes: Vec<String>,
}

impl Generated {
    pub(crate) fn say(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Both, each step and note once.
    pub fn extend(&mut self, other: Self) {
        self.documents.extend(other.documents);
        for step in other.steps {
            if !self.steps.contains(&step) {
                self.steps.push(step);
            }
        }
        other.notes.into_iter().for_each(|note| self.say(note));
    }
}

/// The texts that make a cloud trust exactly these runs.
#[must_use]
pub fn generate(cloud: Cloud, trusted: &Trusted, account: &Account) -> Generated {
    let mut generated = match cloud {
        Cloud::Aws => aws::generate(trusted, account),
        Cloud::Azure => azure::generate(trusted),
        Cloud::Gcp => google::generate(trusted, account),
        Cloud::Vault => vault::generate(trusted, account),
    };
    let Trusted { forge, environment, phase, .. } = trusted;
    if trusted.hardened && !trusted.is_public() {
        generated.say(
            "`--harden` asks for nothing more here: AWS knows no other claims of an own server's tokens, and such a server \
             has no hosted runners",
        );
    }
    if let Some(note) = names_not_ids(cloud, trusted) {
        generated.say(note);
    }
    match (phase, forge, environment) {
        (Phase::Plan, Forge::Github, Some(_)) => generated.say(
            "a job that plans must name no `environment:`, or its subject is that of the job that syncs, which this \
             policy does not trust",
        ),
        (Phase::Sync, Forge::Github, Some(name)) => generated.say(format!(
            "allow only the default branch to deploy to the environment `{name}` (Settings, Environments, Deployment \
             branches), or any branch gets this role"
        )),
        (Phase::Sync, Forge::Gitlab, environment) => {
            generated.say("protect the default branch: whoever may push to it has this role");
            if environment.is_some() && matches!(cloud, Cloud::Aws | Cloud::Azure) {
                generated.say("this cloud sees no environment of GitLab's: its tokens name the branch alone");
            }
        }
        _ => {}
    }
    generated
}

/// What to know where a name is trusted that somebody else may have after a rename.
fn names_not_ids(cloud: Cloud, trusted: &Trusted) -> Option<&'static str> {
    let Trusted { forge, repository, form, .. } = trusted;
    let by_subject_alone = matches!(cloud, Cloud::Aws | Cloud::Azure);
    match (forge, repository.ids()) {
        (Forge::Service, _) => None,
        (Forge::Gitlab, _) if by_subject_alone => Some(
            "this cloud sees no id of a GitLab project: whoever takes over the project's path is trusted, so keep the old \
             path reserved after a move",
        ),
        (Forge::Gitlab, None) => Some(
            "names can be taken over after a rename: give the ids with `--repository-id` and `--owner-id` (the project's \
             page and its group's show them)",
        ),
        (Forge::Github, None) => Some(
            "names can be taken over after a rename: give the ids with `--repository-id` and `--owner-id` (`gh api \
             repos/OWNER/NAME --jq '.id, .owner.id'` tells them)",
        ),
        (Forge::Github, Some(_)) if by_subject_alone && *form != Form::Ids && trusted.is_public() => Some(
            "the form with names is trusted beside the one with ids, and a name can be taken over after a rename: once \
             `secretzero doctor` in a run shows ids in the subject, use `--subject-form ids`",
        ),
        _ => None,
    }
}

/// A value, or the placeholder that stands for it.
fn or_placeholder(value: Option<&String>, placeholder: &str) -> String {
    value.cloned().unwrap_or_else(|| placeholder.to_owned())
}

/// One text, or a list of several, as policies write it.
fn one_or_all(texts: &[String]) -> serde_json::Value {
    match texts {
        [one] => serde_json::json!(one),
        several => serde_json::json!(several),
    }
}

/// JSON as people write it, with a line end.
pub(crate) fn pretty(document: &serde_json::Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(document).unwrap_or_default())
}

/// A text as one word of a shell.
pub(crate) fn shell_word(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The same, bare where no shell finds anything in it but a word.
pub(crate) fn shell_argument(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@=,+%".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) { text.to_owned() } else { shell_word(text) }
}
