//! Requests to answers: who asks, whether they may, and what then happens.

use axum::http::{HeaderMap, Uri};
use serde_json::{Value, json};

use super::FakeGithub;
use super::git;
use super::issues;
use super::world::{Actor, Check, Comment, Fault, Pull, Recorded, Reply, World};

/// docs.github.com/rest/checks/runs: "a maximum of 50 annotations per API request".
const ANNOTATIONS_MAX: usize = 50;
/// "Body is too long (maximum is 65536 characters)".
const BODY_CHARACTERS_MAX: usize = 65_536;

pub(super) struct Asked<'a> {
    pub(super) actor: &'a Actor,
    query: &'a str,
    pub(super) body: &'a Value,
}

impl Asked<'_> {
    fn may(&self, area: &str, level: &str) -> bool {
        let enough = |given: &str| given == level || given == "write";
        self.actor.permissions.iter().any(|(name, given)| name == area && enough(given))
    }

    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let value = self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(decoded(value))
    }

    pub(super) fn page(&self) -> (usize, usize) {
        let number = |name, default: usize| self.parameter(name).and_then(|text| text.parse().ok()).unwrap_or(default);
        (number("page", 1).max(1), number("per_page", 30).clamp(1, 100))
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

pub(crate) fn answer(world: &mut World, method: &str, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Reply {
    let path = uri.path().strip_prefix("/api/v3").unwrap_or(uri.path()).to_owned();
    let query = uri.query().unwrap_or_default().to_owned();
    let authorization =
        headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let others = headers.iter().filter(|(name, _)| name.as_str() != "authorization");
    let others = others.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let (method_owned, body_owned) = (method.to_owned(), body.clone());
    world.requests.push(Recorded {
        method: method_owned,
        path: path.clone(),
        query: query.clone(),
        authorization: authorization.clone(),
        headers: others.collect(),
        body: body_owned,
    });
    world.race(method, &path);
    let fault = world.take_fault(method, &path);
    match fault {
        Some(Fault::Refuse(status, headers, message)) => {
            let mut reply = Reply::error(status, &message);
            reply.headers = headers;
            return reply;
        }
        Some(Fault::LoseRequest) => return Reply { lost: true, ..Reply::error(500, "lost") },
        _ => {}
    }
    let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
    // The App itself signs with a JWT, which is not verified here; the emulator does.
    if token.matches('.').count() == 2 {
        return app(world, method, &path);
    }
    let Some(actor) = world.tokens.get(token).cloned() else { return Reply::error(401, "Bad credentials") };
    let asked = Asked { actor: &actor, query: &query, body: &body };
    let mut reply = route(world, method, &path, &asked);
    reply.headers.push(("x-ratelimit-remaining", "4999".to_owned()));
    reply.lost = matches!(fault, Some(Fault::LoseReply));
    reply
}

/// docs.github.com/rest/apps/apps: an App's name, and tokens that live for an hour.
fn app(world: &mut World, method: &str, path: &str) -> Reply {
    match (method, path) {
        ("GET", "/app") => Reply::new(200, json!({ "slug": "secretzero-app" })),
        ("POST", path) if path.starts_with("/app/installations/") && path.ends_with("/access_tokens") => {
            let token = world.mint("secretzero-app", &["contents", "pull-requests", "checks"]);
            // The tests' clock starts at the epoch's second 1,000.
            Reply::new(201, json!({ "token": token, "expires_at": "1970-01-01T01:16:40Z" }))
        }
        _ => Reply::error(404, "Not Found"),
    }
}

fn route(world: &mut World, method: &str, path: &str, asked: &Asked<'_>) -> Reply {
    match (method, path) {
        // An installation's token is nobody: docs.github.com/rest/users/users#get-the-authenticated-user.
        ("GET", "/user") if asked.actor.app.is_some() => denied(),
        ("GET", "/user") => Reply::new(200, account(&asked.actor.login)),
        ("POST", "/graphql" | "/api/graphql") => {
            Reply::new(200, json!({ "data": { "viewer": { "login": asked.actor.login } } }))
        }
        _ => {
            let root = format!("/repos/{}", FakeGithub::REPOSITORY);
            let Some(rest) = path.strip_prefix(&root) else { return Reply::error(404, "Not Found") };
            let parts: Vec<String> = rest.trim_start_matches('/').split('/').map(decoded).collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            below(world, method, &parts, asked)
        }
    }
}

fn below(world: &mut World, method: &str, parts: &[&str], asked: &Asked<'_>) -> Reply {
    let (area, level) = match (method, parts) {
        (_, [""] | ["collaborators", ..]) => ("", ""),
        ("GET", ["issues", below @ ..]) => (issues::area(world, below), "read"),
        (_, ["issues", below @ ..]) => (issues::area(world, below), "write"),
        ("GET", ["pulls", ..]) => ("pull-requests", "read"),
        ("GET", ["commits", _, "pulls"]) => ("pull-requests", "read"),
        ("GET", ["commits", _, "check-runs"] | ["check-runs", ..]) => ("checks", "read"),
        (_, ["check-runs", ..]) => ("checks", "write"),
        ("GET", _) => ("contents", "read"),
        _ => ("contents", "write"),
    };
    if !area.is_empty() && !asked.may(area, level) {
        return denied();
    }
    match (method, parts) {
        ("GET", [""]) => Reply::new(200, repository(world)),
        ("GET", ["collaborators", login, "permission"]) => permission(world, login),
        ("GET", ["pulls"]) => pulls(world, asked),
        ("GET", ["pulls", number]) => found(world.pulls.get(&id(number)).map(pull)),
        ("GET", ["commits", sha, "pulls"]) => pulls_of(world, sha),
        ("GET", ["issues"]) => issues::list(world, asked),
        ("POST", ["issues"]) => issues::create(world, asked),
        ("PATCH", ["issues", number]) => issues::update(world, id(number), asked),
        ("GET", ["issues", number, "comments"]) => comments(world, id(number), asked),
        ("POST", ["issues", number, "comments"]) => create_comment(world, id(number), asked),
        (_, ["issues", "comments", number]) => one_comment(world, method, id(number), asked),
        ("GET", ["commits", sha, "check-runs"]) => checks(world, sha, asked),
        ("POST", ["check-runs"]) => create_check(world, asked),
        ("GET", ["check-runs", number]) => found(world.checks.iter().find(|one| one.id == id(number)).map(check)),
        ("PATCH", ["check-runs", number]) => update_check(world, id(number), asked),
        ("GET", ["contents", path @ ..]) => git::contents(world, &path.join("/"), asked.parameter("ref").as_deref()),
        ("GET", ["compare", spec]) => {
            let (page, per_page) = asked.page();
            git::compare(world, spec, page, per_page)
        }
        ("GET", ["git", "ref", name @ ..]) => git::get_ref(world, &name.join("/")),
        ("POST", ["git", "refs"]) => git::create_ref(world, asked.body),
        ("PATCH", ["git", "refs", name @ ..]) => git::update_ref(world, &name.join("/"), asked.body),
        ("POST", ["git", kind]) => git::create_object(world, kind, asked.body),
        ("GET", ["git", kind, sha]) => git::get_object(world, kind, sha),
        _ => Reply::error(404, "Not Found"),
    }
}

pub(super) fn id(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

fn denied() -> Reply {
    Reply::error(403, "Resource not accessible by integration")
}

fn found(body: Option<Value>) -> Reply {
    body.map_or_else(|| Reply::error(404, "Not Found"), |body| Reply::new(200, body))
}

pub(super) fn account(login: &str) -> Value {
    json!({ "login": login, "type": if login.ends_with("[bot]") { "Bot" } else { "User" } })
}

fn repository(world: &World) -> Value {
    json!({ "id": World::REPOSITORY_ID, "full_name": FakeGithub::REPOSITORY, "private": true,
        "default_branch": world.default_branch })
}

/// docs.github.com/rest/collaborators/collaborators: maintain shows as write, triage as read.
fn permission(world: &World, login: &str) -> Reply {
    let Some(role) = world.collaborators.get(login) else { return Reply::error(404, "Not Found") };
    let legacy = match role.as_str() {
        "maintain" => "write",
        "triage" => "read",
        other => other,
    };
    Reply::new(200, json!({ "permission": legacy, "role_name": role, "user": account(login) }))
}

fn pull(pull: &Pull) -> Value {
    let repository = |id: Option<u64>| id.map(|id| json!({ "id": id, "full_name": format!("r/{id}") }));
    json!({ "number": pull.number, "state": if pull.open { "open" } else { "closed" }, "merged": pull.merged,
        "draft": false, "mergeable": pull.mergeable, "merge_commit_sha": pull.merge_commit_sha, "user": account(&pull.author),
        "head": { "sha": pull.head_sha, "ref": pull.head_ref, "repo": repository(pull.head_repository) },
        "base": { "sha": pull.base_sha, "ref": pull.base_ref, "repo": repository(Some(World::REPOSITORY_ID)) } })
}

/// docs.github.com/rest/pulls/pulls#list-pull-requests: the newest first, open ones unless asked otherwise.
fn pulls(world: &World, asked: &Asked<'_>) -> Reply {
    let state = asked.parameter("state").unwrap_or_else(|| "open".to_owned());
    let wanted = |one: &&Pull| state == "all" || (state == "open") == one.open;
    let (page, per_page) = asked.page();
    let listed = world.pulls.values().rev().filter(wanted).skip((page - 1) * per_page).take(per_page);
    Reply::new(200, listed.map(pull).collect())
}

/// The list form has `merged_at` and no `merged`: docs.github.com/rest/commits/commits.
fn pulls_of(world: &World, sha: &str) -> Reply {
    let belongs =
        |one: &&Pull| world.history(&one.head_sha).contains(sha) || one.merge_commit_sha.as_deref() == Some(sha);
    let listed = world.pulls.values().filter(|one| one.base_sha != sha).filter(belongs).map(|one| {
        let mut body = pull(one);
        let fields = body.as_object_mut().expect("an object");
        fields.remove("merged");
        fields.remove("mergeable");
        fields.insert("merged_at".to_owned(), if one.merged { json!("2026-01-01T00:00:00Z") } else { Value::Null });
        body
    });
    Reply::new(200, listed.collect())
}

fn comment(world: &World, comment: &Comment) -> Value {
    let app = comment.login.strip_suffix("[bot]").or(comment.through.as_deref()).map(|slug| json!({ "slug": slug }));
    let page = if world.issues.contains_key(&comment.issue) { "issues" } else { "pull" };
    let page = format!("{}/{}/{page}/{}", world.server, FakeGithub::REPOSITORY, comment.issue);
    json!({ "id": comment.id, "body": comment.body, "user": account(&comment.login), "performed_via_github_app": app,
        "created_at": moment(comment.created), "updated_at": moment(comment.updated),
        "issue_url": format!("https://api.github.com/repos/{}/issues/{}", FakeGithub::REPOSITORY, comment.issue),
        "html_url": format!("{page}#issuecomment-{}", comment.id) })
}

fn moment(seconds: u64) -> String {
    format!("2026-01-01T{:02}:{:02}:{:02}Z", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn comments(world: &World, issue: u64, asked: &Asked<'_>) -> Reply {
    let (page, per_page) = asked.page();
    let all = world.comments.iter().filter(|one| one.issue == issue);
    Reply::new(200, all.skip((page - 1) * per_page).take(per_page).map(|one| comment(world, one)).collect())
}

fn create_comment(world: &mut World, issue: u64, asked: &Asked<'_>) -> Reply {
    if !world.pulls.contains_key(&issue) && !world.issues.contains_key(&issue) {
        return Reply::error(404, "Not Found");
    }
    let body = asked.text("body");
    if body.is_empty() || body.chars().count() > BODY_CHARACTERS_MAX {
        return Reply::error(422, "Body is too long (maximum is 65536 characters)");
    }
    let id = world.comment_as(&asked.actor.login, issue, &body);
    let made = world.comments.iter().find(|one| one.id == id).map(|one| comment(world, one));
    Reply::new(201, made.unwrap_or_default())
}

fn one_comment(world: &mut World, method: &str, id: u64, asked: &Asked<'_>) -> Reply {
    let Some(at) = world.comments.iter().position(|one| one.id == id) else { return Reply::error(404, "Not Found") };
    match method {
        "GET" => Reply::new(200, comment(world, &world.comments[at])),
        "PATCH" => {
            let body = asked.text("body");
            if body.is_empty() || body.chars().count() > BODY_CHARACTERS_MAX {
                return Reply::error(422, "Body is too long (maximum is 65536 characters)");
            }
            world.comments[at].body = body;
            world.comments[at].updated = world.next_id();
            Reply::new(200, comment(world, &world.comments[at]))
        }
        "DELETE" => {
            world.comments.remove(at);
            Reply::new(204, Value::Null)
        }
        _ => Reply::error(404, "Not Found"),
    }
}

fn check(check: &Check) -> Value {
    json!({ "id": check.id, "head_sha": check.head_sha, "name": check.name, "external_id": check.external_id,
        "status": check.status, "conclusion": check.conclusion, "app": { "slug": check.app },
        "output": { "title": check.title, "summary": check.summary, "text": check.text,
            "annotations_count": check.annotations.len() } })
}

fn checks(world: &World, sha: &str, asked: &Asked<'_>) -> Reply {
    let name = asked.parameter("check_name");
    let meets = |one: &&Check| one.head_sha == sha && name.as_ref().is_none_or(|name| *name == one.name);
    let listed: Vec<Value> = world.checks.iter().rev().filter(meets).map(check).collect();
    Reply::new(200, json!({ "total_count": listed.len(), "check_runs": listed }))
}

fn create_check(world: &mut World, asked: &Asked<'_>) -> Reply {
    // Only Apps make checks: docs.github.com/rest/checks/runs#create-a-check-run.
    let Some(app) = asked.actor.app.clone() else {
        return Reply::error(403, "You must authenticate via a GitHub App.");
    };
    let head_sha = asked.text("head_sha");
    if !world.is_commit(&head_sha) || asked.text("name").is_empty() {
        return Reply::error(422, "No commit found for SHA");
    }
    let made = Check {
        id: world.next_id(),
        head_sha,
        name: asked.text("name"),
        external_id: asked.text("external_id"),
        status: "queued".to_owned(),
        conclusion: None,
        app,
        title: String::new(),
        summary: String::new(),
        text: String::new(),
        annotations: Vec::new(),
    };
    let id = made.id;
    world.checks.push(made);
    let reply = update_check(world, id, asked);
    if reply.status != 200 {
        world.checks.retain(|one| one.id != id);
        return reply;
    }
    Reply { status: 201, ..reply }
}

fn update_check(world: &mut World, id: u64, asked: &Asked<'_>) -> Reply {
    let Some(one) = world.checks.iter_mut().find(|one| one.id == id) else { return Reply::error(404, "Not Found") };
    if asked.actor.app.as_deref() != Some(&one.app) {
        return Reply::error(403, "Invalid app_id - check run can only be modified by the GitHub App that created it.");
    }
    if asked.body.get("status").is_some() {
        one.status = asked.text("status");
    }
    if asked.body.get("conclusion").is_some() {
        one.conclusion = Some(asked.text("conclusion"));
    }
    if let Some(output) = asked.body.get("output") {
        let text = |name: &str| output.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let (Some(title), Some(summary)) = (text("title"), text("summary")) else {
            return Reply::error(422, "title and summary are required");
        };
        let added = output.get("annotations").and_then(Value::as_array).cloned().unwrap_or_default();
        if added.len() > ANNOTATIONS_MAX {
            return Reply::error(422, "No more than 50 annotations per request");
        }
        if summary.len() > 65_535 || text("text").is_some_and(|text| text.len() > 65_535) {
            return Reply::error(422, "Only 65535 characters are allowed");
        }
        let columns = |one: &Value| one.get("start_column").is_some() && one["start_line"] != one["end_line"];
        if added.iter().any(columns) {
            return Reply::error(422, "start_column is only allowed for annotations on one line");
        }
        (one.title, one.summary) = (title, summary);
        one.text = text("text").unwrap_or_else(|| one.text.clone());
        one.annotations.extend(added);
    }
    Reply::new(200, check(one))
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
