//! Git objects and refs: docs.github.com/rest/git.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use data_encoding::BASE64;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::world::{Reply, World};

/// A stored object; a tree is kept flat, path to blob.
#[derive(Debug, Clone)]
pub(crate) enum Object {
    Blob(Vec<u8>),
    Tree(BTreeMap<String, String>),
    Commit { tree: String, parents: Vec<String>, message: String },
}

impl World {
    /// Stores an object and returns its id.
    pub(crate) fn put(&mut self, object: Object) -> String {
        let digest = Sha256::digest(format!("{object:?}"));
        let id = digest.iter().take(20).fold(String::new(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        });
        self.objects.insert(id.clone(), object);
        id
    }

    /// A commit by branch, tag, full ref or id.
    pub(crate) fn resolve(&self, reference: &str) -> Option<String> {
        let named = [reference.to_owned(), format!("refs/heads/{reference}"), format!("refs/tags/{reference}")];
        let found = named.iter().find_map(|name| self.refs.get(name)).cloned();
        found.or_else(|| self.is_commit(reference).then(|| reference.to_owned()))
    }

    pub(crate) fn tree_of(&self, commit: &str) -> BTreeMap<String, String> {
        match self.objects.get(commit) {
            Some(Object::Commit { tree, .. }) => match self.objects.get(tree) {
                Some(Object::Tree(tree)) => tree.clone(),
                _ => BTreeMap::new(),
            },
            _ => BTreeMap::new(),
        }
    }

    pub(crate) fn is_commit(&self, id: &str) -> bool {
        matches!(self.objects.get(id), Some(Object::Commit { .. }))
    }

    /// A commit and all before it.
    pub(crate) fn history(&self, commit: &str) -> BTreeSet<String> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![commit.to_owned()]);
        while let Some(next) = open.pop() {
            if let Some(Object::Commit { parents, .. }) = self.objects.get(&next)
                && seen.insert(next)
            {
                open.extend(parents.iter().cloned());
            }
        }
        seen
    }
}

fn member<'v>(body: &'v Value, name: &str) -> &'v str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn get_ref(world: &World, name: &str) -> Reply {
    match world.refs.get(&format!("refs/{name}")) {
        Some(sha) => Reply::new(200, reference(&format!("refs/{name}"), sha)),
        None => Reply::error(404, "Not Found"),
    }
}

fn reference(name: &str, sha: &str) -> Value {
    json!({ "ref": name, "object": { "type": "commit", "sha": sha } })
}

pub(crate) fn create_ref(world: &mut World, body: &Value) -> Reply {
    let (name, sha) = (member(body, "ref"), member(body, "sha"));
    if !name.starts_with("refs/") || name.matches('/').count() < 2 {
        return Reply::error(422, "Reference name must start with 'refs/' and have at least two slashes");
    }
    if !world.is_commit(sha) {
        return Reply::error(422, "Object does not exist");
    }
    if world.refs.contains_key(name) {
        return Reply::error(422, "Reference already exists");
    }
    world.refs.insert(name.to_owned(), sha.to_owned());
    Reply::new(201, reference(name, sha))
}

pub(crate) fn update_ref(world: &mut World, name: &str, body: &Value) -> Reply {
    let name = format!("refs/{name}");
    let sha = member(body, "sha").to_owned();
    let Some(now) = world.refs.get(&name) else { return Reply::error(422, "Reference does not exist") };
    if !world.is_commit(&sha) {
        return Reply::error(422, "Object does not exist");
    }
    let forced = body.get("force").and_then(Value::as_bool).unwrap_or(false);
    if !forced && !world.history(&sha).contains(now) {
        return Reply::error(422, "Update is not a fast forward");
    }
    world.refs.insert(name.clone(), sha.clone());
    Reply::new(200, reference(&name, &sha))
}

pub(crate) fn create_object(world: &mut World, kind: &str, body: &Value) -> Reply {
    let object = match kind {
        "blobs" => match member(body, "encoding") {
            "base64" => BASE64.decode(member(body, "content").as_bytes()).ok().map(Object::Blob),
            _ => Some(Object::Blob(member(body, "content").as_bytes().to_vec())),
        },
        "trees" => tree(world, body).map(Object::Tree),
        "commits" => commit(world, body),
        _ => None,
    };
    match object {
        Some(object) => Reply::new(201, json!({ "sha": world.put(object) })),
        None => Reply::error(422, "Validation Failed"),
    }
}

fn tree(world: &mut World, body: &Value) -> Option<BTreeMap<String, String>> {
    let mut tree = BTreeMap::new();
    for entry in body.get("tree")?.as_array()? {
        let (path, sha) = (member(entry, "path"), member(entry, "sha").to_owned());
        if path.is_empty()
            || member(entry, "mode") != "100644"
            || path.split('/').any(|part| matches!(part, "" | "." | ".."))
        {
            return None;
        }
        let blob = match entry.get("content").and_then(Value::as_str) {
            Some(_) if !sha.is_empty() => return None,
            Some(content) => world.put(Object::Blob(content.as_bytes().to_vec())),
            None => matches!(world.objects.get(&sha), Some(Object::Blob(_))).then_some(sha)?,
        };
        tree.insert(path.to_owned(), blob);
    }
    Some(tree)
}

fn commit(world: &World, body: &Value) -> Option<Object> {
    let tree = member(body, "tree").to_owned();
    let parents: Vec<String> =
        body.get("parents")?.as_array()?.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    let known =
        matches!(world.objects.get(&tree), Some(Object::Tree(_))) && parents.iter().all(|id| world.is_commit(id));
    known.then(|| Object::Commit { tree, parents, message: member(body, "message").to_owned() })
}

pub(crate) fn get_object(world: &World, kind: &str, id: &str) -> Reply {
    match (kind, world.objects.get(id)) {
        ("blobs", Some(Object::Blob(bytes))) => {
            let content = BASE64.encode(bytes);
            Reply::new(
                200,
                json!({ "sha": id, "size": bytes.len(), "encoding": "base64", "content": wrapped(&content) }),
            )
        }
        ("trees", Some(Object::Tree(tree))) => {
            let entries: Vec<Value> = tree.iter().map(|(path, sha)| entry(world, path, sha)).collect();
            Reply::new(200, json!({ "sha": id, "tree": entries, "truncated": false }))
        }
        ("commits", Some(Object::Commit { tree, parents, message })) => {
            let parents: Vec<Value> = parents.iter().map(|sha| json!({ "sha": sha })).collect();
            Reply::new(200, json!({ "sha": id, "message": message, "tree": { "sha": tree }, "parents": parents }))
        }
        _ => Reply::error(404, "Not Found"),
    }
}

fn entry(world: &World, path: &str, sha: &str) -> Value {
    let size = match world.objects.get(sha) {
        Some(Object::Blob(bytes)) => bytes.len(),
        _ => 0,
    };
    json!({ "path": path, "mode": "100644", "type": "blob", "sha": sha, "size": size })
}

/// GitHub breaks base64 into lines of 60.
fn wrapped(text: &str) -> String {
    let lines: Vec<String> =
        text.as_bytes().chunks(60).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    lines.join("\n") + "\n"
}

pub(crate) fn contents(world: &World, path: &str, reference: Option<&str>) -> Reply {
    let Some(commit) = world.resolve(reference.unwrap_or(&world.default_branch)) else {
        return Reply::error(404, "No commit found for the ref");
    };
    let tree = world.tree_of(&commit);
    let Some(sha) = tree.get(path) else {
        let below: Vec<Value> =
            tree.keys().filter(|key| key.starts_with(&format!("{path}/"))).map(|key| json!({ "path": key })).collect();
        return if below.is_empty() { Reply::error(404, "Not Found") } else { Reply::new(200, Value::Array(below)) };
    };
    let Some(Object::Blob(bytes)) = world.objects.get(sha) else { return Reply::error(404, "Not Found") };
    // Above 1 MB the content is left out (docs.github.com/rest/repos/contents).
    let (encoding, content) =
        if bytes.len() > 1024 * 1024 { ("none", String::new()) } else { ("base64", wrapped(&BASE64.encode(bytes))) };
    let body = json!({ "type": "file", "path": path, "sha": sha, "size": bytes.len(), "encoding": encoding, "content": content });
    Reply::new(200, body)
}

/// docs.github.com/rest/commits/commits#compare-two-commits
pub(crate) fn compare(world: &World, spec: &str, page: usize, per_page: usize) -> Reply {
    let Some((base, head)) = spec.split_once("...") else { return Reply::error(404, "Not Found") };
    let (Some(base), Some(head)) = (world.resolve(base), world.resolve(head)) else {
        return Reply::error(404, "Not Found");
    };
    let (before, after) = (world.history(&base), world.history(&head));
    let new: Vec<&String> = after.difference(&before).collect();
    let behind = before.difference(&after).count();
    let status = match (new.len(), behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let commits: Vec<Value> =
        new.iter().skip((page - 1) * per_page).take(per_page).map(|sha| json!({ "sha": sha })).collect();
    Reply::new(200, json!({ "status": status, "total_commits": new.len(), "behind_by": behind, "commits": commits }))
}
