//! Issues: docs.github.com/rest/issues/issues.

use serde_json::{Value, json};

use super::FakeGithub;
use super::routes::{Asked, account, id};
use super::world::{Issue, Reply, World};

/// "title is too long (maximum is 256 characters)".
const TITLE_CHARACTERS_MAX: usize = 256;
/// "body is too long (maximum is 65536 characters)".
const BODY_CHARACTERS_MAX: usize = 65_536;

/// Which permission a path below `issues` needs: a pull request's comments need its own.
pub(super) fn area(world: &World, below: &[&str]) -> &'static str {
    let issue = match below {
        ["comments", comment, ..] => world.comments.iter().find(|one| one.id == id(comment)).map(|one| one.issue),
        [number, ..] => Some(id(number)),
        [] => return "issues",
    };
    if issue.is_some_and(|issue| world.issues.contains_key(&issue)) { "issues" } else { "pull-requests" }
}

fn issue(world: &World, issue: &Issue) -> Value {
    json!({ "number": issue.number, "title": issue.title, "body": issue.body, "user": account(&issue.login),
        "state": if issue.open { "open" } else { "closed" }, "state_reason": issue.reason,
        "html_url": format!("{}/{}/issues/{}", world.server, FakeGithub::REPOSITORY, issue.number) })
}

/// "GitHub's REST API considers every pull request an issue": they are in the list, newest first.
pub(super) fn list(world: &World, asked: &Asked<'_>) -> Reply {
    if !world.has_issues {
        return disabled();
    }
    let state = asked.parameter("state").unwrap_or_else(|| "open".to_owned());
    let wanted = |open: bool| state == "all" || (state == "open") == open;
    let by = asked.parameter("creator");
    let written = |login: &str| by.as_ref().is_none_or(|by| by == login);
    let issues = world.issues.values().filter(|one| wanted(one.open) && written(&one.login));
    let pulls = world.pulls.values().filter(|one| wanted(one.open) && written(&one.author));
    let mut all: Vec<(u64, Value)> = issues.map(|one| (one.number, issue(world, one))).collect();
    all.extend(pulls.map(|one| {
        let state = if one.open { "open" } else { "closed" };
        (one.number, json!({ "number": one.number, "state": state, "user": account(&one.author), "pull_request": {} }))
    }));
    all.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let (page, per_page) = asked.page();
    Reply::new(200, all.into_iter().skip((page - 1) * per_page).take(per_page).map(|(_, one)| one).collect())
}

/// Issues can be switched off: "410 Gone".
fn disabled() -> Reply {
    Reply::error(410, "Issues has been disabled in this repository.")
}

fn too_long(asked: &Asked<'_>) -> Option<Reply> {
    let long = asked.text("title").chars().count() > TITLE_CHARACTERS_MAX
        || asked.text("body").chars().count() > BODY_CHARACTERS_MAX;
    long.then(|| Reply::error(422, "Validation Failed"))
}

pub(super) fn create(world: &mut World, asked: &Asked<'_>) -> Reply {
    if !world.has_issues {
        return disabled();
    }
    if let Some(refused) =
        too_long(asked).or_else(|| asked.text("title").is_empty().then(|| Reply::error(422, "title")))
    {
        return refused;
    }
    let made = Issue {
        number: world.next_number(),
        title: asked.text("title"),
        body: asked.text("body"),
        login: asked.actor.login.clone(),
        open: true,
        reason: None,
    };
    let reply = Reply::new(201, issue(world, &made));
    world.issues.insert(made.number, made);
    reply
}

pub(super) fn update(world: &mut World, number: u64, asked: &Asked<'_>) -> Reply {
    if let Some(refused) = too_long(asked) {
        return refused;
    }
    let Some(one) = world.issues.get_mut(&number) else { return Reply::error(404, "Not Found") };
    for (name, field) in [("title", &mut one.title), ("body", &mut one.body)] {
        if asked.body.get(name).is_some() {
            *field = asked.text(name);
        }
    }
    match asked.text("state").as_str() {
        "" => {}
        state => {
            one.open = state == "open";
            one.reason = Some(asked.text("state_reason")).filter(|reason| !reason.is_empty());
        }
    }
    let one = one.clone();
    Reply::new(200, issue(world, &one))
}
