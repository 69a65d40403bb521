//! What stands on the fake: tokens, pull requests, comments, checks, git objects, and planned trouble.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::git::Object;

/// What a request meets instead of its answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status, with headers and a message; nothing is done.
    Refuse(u16, Vec<(&'static str, String)>, String),
    /// It is done, and the connection breaks before the reply.
    LoseReply,
    /// The connection breaks and nothing is done.
    LoseRequest,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: String,
    /// All others.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

/// A comment on an issue or pull request.
#[derive(Debug, Clone)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) issue: u64,
    pub(crate) body: String,
    pub(crate) login: String,
    /// Seconds after some midnight.
    pub(crate) created: u64,
    pub(crate) updated: u64,
    /// The App through which a person wrote it.
    pub(crate) through: Option<String>,
}

/// An issue that is no pull request.
#[derive(Debug, Clone)]
pub(crate) struct Issue {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) login: String,
    pub(crate) open: bool,
    pub(crate) reason: Option<String>,
}

/// A check run.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) id: u64,
    pub(crate) head_sha: String,
    pub(crate) name: String,
    pub(crate) external_id: String,
    pub(crate) status: String,
    pub(crate) conclusion: Option<String>,
    pub(crate) app: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) text: String,
    pub(crate) annotations: Vec<Value>,
}

/// Who a token speaks for.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) login: String,
    /// The App, for installation tokens.
    pub(crate) app: Option<String>,
    /// Area (`contents`, `pull-requests`, `checks`, `issues`) and `read` or `write`.
    pub(crate) permissions: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Pull {
    pub(crate) number: u64,
    pub(crate) head_ref: String,
    pub(crate) head_repository: Option<u64>,
    pub(crate) base_ref: String,
    pub(crate) open: bool,
    pub(crate) merged: bool,
    pub(crate) merge_commit_sha: Option<String>,
    pub(crate) mergeable: Option<bool>,
    pub(crate) author: String,
    pub(crate) head_sha: String,
    pub(crate) base_sha: String,
}

/// An answer on its way.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Value,
    pub(crate) lost: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body, lost: false }
    }

    pub(crate) fn error(status: u16, message: &str) -> Self {
        Self::new(status, json!({ "message": message, "documentation_url": "https://docs.github.com/rest" }))
    }
}

type Race = (String, String, Box<dyn FnOnce(&mut World) + Send>);

/// The whole state.
pub(crate) struct World {
    pub(crate) tokens: BTreeMap<String, Actor>,
    pub(crate) collaborators: BTreeMap<String, String>,
    pub(crate) pulls: BTreeMap<u64, Pull>,
    pub(crate) issues: BTreeMap<u64, Issue>,
    /// Whether the repository has issues at all.
    pub(crate) has_issues: bool,
    /// Where its pages are.
    pub(crate) server: String,
    pub(crate) comments: Vec<Comment>,
    pub(crate) checks: Vec<Check>,
    pub(crate) objects: BTreeMap<String, Object>,
    pub(crate) refs: BTreeMap<String, String>,
    pub(crate) default_branch: String,
    pub(crate) requests: Vec<Recorded>,
    pub(crate) faults: Vec<(String, String, u32, Fault)>,
    pub(super) races: Vec<Race>,
    ids: u64,
}

impl World {
    pub(crate) const REPOSITORY_ID: u64 = 1_001;

    pub(super) fn new() -> Self {
        let mut world = Self {
            tokens: BTreeMap::new(),
            collaborators: BTreeMap::new(),
            pulls: BTreeMap::new(),
            issues: BTreeMap::new(),
            has_issues: true,
            server: "https://github.com".to_owned(),
            comments: Vec::new(),
            checks: Vec::new(),
            objects: BTreeMap::new(),
            refs: BTreeMap::new(),
            default_branch: "main".to_owned(),
            requests: Vec::new(),
            faults: Vec::new(),
            races: Vec::new(),
            ids: 0,
        };
        world.commit_on("main", &[("README.md", b"# demo\n")]);
        world
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// A new token that speaks for somebody.
    pub(crate) fn token_of(&mut self, actor: Actor) -> String {
        let token = format!("ghs_fakeSecretToken{:020}", self.next_id());
        self.tokens.insert(token.clone(), actor);
        token
    }

    /// A new token of an App, with write in these areas.
    pub(crate) fn mint(&mut self, slug: &str, areas: &[&str]) -> String {
        let permissions = areas.iter().map(|area| ((*area).to_owned(), "write".to_owned())).collect();
        self.token_of(Actor { login: format!("{slug}[bot]"), app: Some(slug.to_owned()), permissions })
    }

    /// The content of a file that a commit removes.
    pub(crate) const DELETED: &[u8] = b"\0deleted";

    /// Adds a commit to a branch, which starts at `main` if it is new.
    pub(crate) fn commit_on(&mut self, branch: &str, files: &[(&str, &[u8])]) -> String {
        let name = format!("refs/heads/{branch}");
        let parent = self.refs.get(&name).or_else(|| self.refs.get("refs/heads/main")).cloned();
        let mut tree = parent.as_deref().map(|commit| self.tree_of(commit)).unwrap_or_default();
        for (path, bytes) in files {
            if *bytes == Self::DELETED {
                tree.remove(*path);
                continue;
            }
            let blob = self.put(Object::Blob(bytes.to_vec()));
            tree.insert((*path).to_owned(), blob);
        }
        let tree = self.put(Object::Tree(tree));
        let unique = self.next_id();
        let message = format!("commit {unique}");
        let commit = self.put(Object::Commit { tree, parents: parent.into_iter().collect(), message });
        self.refs.insert(name, commit.clone());
        for pull in self.pulls.values_mut().filter(|pull| pull.open && pull.head_ref == branch) {
            pull.head_sha.clone_from(&commit);
        }
        commit
    }

    pub(crate) fn open_pull(&mut self, head: &str, base: &str, head_repository: Option<u64>) -> u64 {
        let number = self.next_number();
        let sha = |branch: &str| self.refs.get(&format!("refs/heads/{branch}")).expect("a branch").clone();
        let pull = Pull {
            number,
            head_sha: sha(head),
            base_sha: sha(base),
            head_ref: head.to_owned(),
            head_repository,
            base_ref: base.to_owned(),
            open: true,
            merged: false,
            merge_commit_sha: None,
            mergeable: Some(true),
            author: "octocat".to_owned(),
        };
        self.pulls.insert(number, pull);
        number
    }

    /// Issues and pull requests count together.
    pub(crate) fn next_number(&self) -> u64 {
        self.pulls.keys().chain(self.issues.keys()).max().map_or(1, |last| last + 1)
    }

    /// What GitHub makes in the background: the merge of a pull request that is still open.
    pub(crate) fn test_merge(&mut self, number: u64) -> String {
        let pull = self.pulls.get(&number).expect("a pull request").clone();
        let tip = self.refs.get(&format!("refs/heads/{}", pull.base_ref)).expect("a base").clone();
        let mut tree = self.tree_of(&tip);
        tree.extend(self.tree_of(&pull.head_sha));
        let tree = self.put(Object::Tree(tree));
        let message = format!("Merge {} into {tip}", pull.head_sha);
        let merge = self.put(Object::Commit { tree, parents: vec![tip, pull.head_sha], message });
        self.pulls.get_mut(&number).expect("a pull request").merge_commit_sha = Some(merge.clone());
        merge
    }

    pub(crate) fn merge_pull(&mut self, number: u64) -> String {
        let pull = self.pulls.get(&number).expect("a pull request").clone();
        let base = format!("refs/heads/{}", pull.base_ref);
        let tip = self.refs.get(&base).expect("a base").clone();
        let mut tree = self.tree_of(&tip);
        tree.extend(self.tree_of(&pull.head_sha));
        let tree = self.put(Object::Tree(tree));
        let message = format!("Merge pull request #{number}");
        let merge = self.put(Object::Commit { tree, parents: vec![tip, pull.head_sha], message });
        self.refs.insert(base, merge.clone());
        let pull = self.pulls.get_mut(&number).expect("a pull request");
        (pull.open, pull.merged, pull.merge_commit_sha) = (false, true, Some(merge.clone()));
        merge
    }

    pub(crate) fn comment_as(&mut self, login: &str, pull: u64, body: &str) -> u64 {
        let id = self.next_id();
        let (body, login) = (body.to_owned(), login.to_owned());
        self.comments.push(Comment { id, issue: pull, body, login, created: id, updated: id, through: None });
        id
    }

    pub(crate) fn file(&self, reference: &str, path: &str) -> Option<Vec<u8>> {
        let commit = self.resolve(reference)?;
        match self.objects.get(self.tree_of(&commit).get(path)?)? {
            Object::Blob(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }

    /// Takes back all trouble that is still planned.
    pub(crate) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Takes the trouble planned for a request, if any.
    pub(super) fn take_fault(&mut self, method: &str, path: &str) -> Option<Fault> {
        let meets = |rule: &&mut (String, String, u32, Fault)| rule.2 > 0 && rule.0 == method && path.contains(&rule.1);
        let rule = self.faults.iter_mut().find(meets)?;
        rule.2 -= 1;
        Some(rule.3.clone())
    }

    /// Lets the racing writers of a request act.
    pub(super) fn race(&mut self, method: &str, path: &str) {
        let meets = |rule: &Race| rule.0 == method && path.contains(&rule.1);
        if let Some(at) = self.races.iter().position(meets) {
            let (_, _, act) = self.races.remove(at);
            act(self);
        }
    }
}
