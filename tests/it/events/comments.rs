//! Comments that ask for something: who may, what is done, and what is answered.

use serde_json::json;

use super::{comment_event, event_of, synced};
use crate::fake::aws::REGION;
use crate::sandbox::Ran;
use crate::stage::{Stage, stable};

const ONLINE: [(&str, &str); 1] = [("plan_mode", "online")];

/// A synced repository, an open pull request that adds a tag, and people with each permission.
fn opened() -> (Stage, String, u64, String) {
    let (stage, tip) = synced();
    for (login, role) in
        [("admin", "admin"), ("manager", "maintain"), ("writer", "write"), ("helper", "triage"), ("reader", "read")]
    {
        stage.github.collaborator(login, role);
    }
    let text = super::secretfile().replace("description: External API key", "description: Key of the external API");
    let head = stage.github.commit("change", &[("Secretfile.yml", text.as_bytes())]);
    let pull = stage.github.open_pull("change", "main");
    stage.github.world().test_merge(pull);
    (stage, tip, pull, head)
}

fn say(stage: &Stage, login: &str, pull: u64, body: &str, inputs: &[(&str, &str)]) -> Ran {
    let event = comment_event(stage, login, pull, body);
    let tip = stage.github.ref_sha("refs/heads/main").unwrap();
    stage.job("issue_comment", &event, &tip, inputs)
}

/// What the job wrote, the newest comment of a kind last.
fn answers(stage: &Stage, pull: u64) -> Vec<String> {
    let ours = stage.github.comments(pull).into_iter().filter(|comment| comment.login == "github-actions[bot]");
    ours.map(|comment| stable(&comment.body)).collect()
}

fn told(text: &str) -> String {
    let patterns =
        [(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "VERSION-ID"), (r"\d{4}-\d\d-\d\d( \d\d:\d\d UTC)?", "DATE")];
    let replace = |text: String, (pattern, with): (&str, &str)| {
        regex::Regex::new(pattern).unwrap().replace_all(&text, with).into_owned()
    };
    patterns.into_iter().fold(text.to_owned(), replace)
}

#[test]
fn a_writer_has_the_merge_result_planned_at_exact_commits() {
    let (stage, _, pull, head) = opened();
    let ran = say(&stage, "writer", pull, "Once more, please.\n/secretzero plan", &ONLINE);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let answers = answers(&stage, pull);
    assert_eq!(answers.len(), 2, "the plan and the answer: {answers:?}");
    assert!(answers[0].contains("Merging changes 1 target of 1 secret"), "{}", answers[0]);
    assert!(stage.aws.total() > 0 && stage.aws.effects() == 0, "it was planned online, and only planned");
    insta::assert_snapshot!(answers[1], @"
    <!-- secretzero:v1 path=Secretfile.yml key=reply/plan -->
    ### SecretZero · `/secretzero plan`

    **Planned:** `COMMIT` as it would be merged into `main`.

    - `Secretfile.yml`: [the plan](https://github.com/octo/demo/pull/1#issuecomment-7)

    <sub>`writer` asked in [a comment](https://github.com/octo/demo/pull/1#issuecomment-6) · [run](https://github.com/octo/demo/actions/runs/77) · SecretZero VERSION</sub>
    ");
    let check = stage.github.checks().pop().unwrap();
    assert_eq!((check.head_sha.as_str(), check.conclusion.as_deref()), (head.as_str(), Some("success")));
    let merge = stage.github.world().pulls[&pull].merge_commit_sha.clone().unwrap();
    let read = stage.github.requests().into_iter().filter(|one| one.path.ends_with("/contents/Secretfile.yml"));
    assert!(read.map(|one| one.query).any(|query| query == format!("ref={merge}")), "the merge was read by its id");

    // Asked again: both comments are edited in place.
    say(&stage, "writer", pull, "/secretzero plan", &ONLINE);
    assert_eq!(self::answers(&stage, pull).len(), 2);
}

#[test]
fn a_sync_that_stands_on_another_commit_than_the_tip_asks_nobody() {
    let (stage, _, pull, _) = opened();
    // The workflow checked out the pull request's head.
    stage.checkout(&super::secretfile().replace("${app_name}/api-key", "${app_name}/elsewhere"));
    let ran = say(&stage, "manager", pull, "/secretzero sync", &[]);
    assert_eq!((ran.code, stage.aws.total()), (Some(1), 0), "{ran:?}");
    let answer = answers(&stage, pull).pop().unwrap();
    assert!(answer.contains("Not synced: another checkout") && answer.contains("is not that of"), "{answer}");
}

/// What is done to a pull request before someone asks.
type Act = fn(&Stage, u64);

#[test]
fn a_pull_request_that_was_not_test_merged_is_planned_offline_as_it_stands_alone() {
    let cases: [(&str, Act); 4] = [
        ("conflicts with the default branch", |stage, pull| {
            stage.github.world().pulls.get_mut(&pull).unwrap().mergeable = Some(false);
        }),
        ("is not known yet", |stage, pull| {
            stage.github.world().pulls.get_mut(&pull).unwrap().merge_commit_sha = None;
        }),
        ("has not merged this head", |stage, _| {
            stage.github.commit("main", &[("README.md", b"the base moves on")]);
        }),
        ("has not merged this head", |stage, _| {
            let text = super::secretfile().replace("length: 32", "length: 31");
            stage.github.commit("change", &[("Secretfile.yml", text.as_bytes())]);
        }),
    ];
    for (why, act) in cases {
        let (stage, _, pull, _) = opened();
        act(&stage, pull);
        let ran = say(&stage, "writer", pull, "/secretzero plan", &ONLINE);
        assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{why}: {ran:?}");
        let answers = answers(&stage, pull);
        assert!(answers[0].contains("**Planned offline.**") && answers[0].contains(why), "{why}: {}", answers[0]);
        assert!(answers[1].contains(why), "{why}: {}", answers[1]);
    }
}

#[test]
fn a_forks_pull_request_is_planned_offline_whoever_asks() {
    let (stage, _, pull, _) = opened();
    stage.github.world().pulls.get_mut(&pull).unwrap().head_repository = Some(555);
    let ran = say(&stage, "admin", pull, "/secretzero plan", &ONLINE);
    assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{ran:?}");
    assert!(answers(&stage, pull)[0].contains("comes from a fork"), "{:?}", answers(&stage, pull));
    let ran = say(&stage, "admin", pull, "/secretzero explain database_password", &ONLINE);
    assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{ran:?}");
}

#[test]
fn the_permission_is_the_apis_and_not_the_payloads() {
    let (stage, _, pull, _) = opened();
    for (login, body, needed) in [
        ("helper", "/secretzero plan", "write"),
        ("reader", "/secretzero explain database_password", "write"),
        ("stranger", "/secretzero plan", "write"),
        ("writer", "/secretzero sync", "maintain"),
        ("writer", "/secretzero rotate database_password", "maintain"),
    ] {
        // The event calls every author the owner.
        let ran = say(&stage, login, pull, body, &ONLINE);
        assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{login} {body}: {ran:?}");
        assert_eq!(stage.output("changed"), "false");
        let told = answers(&stage, pull).join("\n");
        assert!(told.contains(&format!("needs the permission `{needed}`")), "{login} {body}: {told}");
    }
    insta::assert_snapshot!(answers(&stage, pull).last().unwrap(), @"
    <!-- secretzero:v1 path=Secretfile.yml key=reply/rotate -->
    ### SecretZero · `/secretzero rotate`

    **Nothing was done:** `rotate` needs the permission `maintain` in this repository, and the one who asked has `write`.

    <sub>`writer` asked in [a comment](https://github.com/octo/demo/pull/1#issuecomment-14) · [run](https://github.com/octo/demo/actions/runs/77) · SecretZero VERSION</sub>
    ");
}

#[test]
fn what_is_no_new_command_of_a_person_on_a_pull_request_does_nothing() {
    let (stage, tip, pull, _) = opened();
    let sync = "/secretzero sync";
    let quiet = |event: &serde_json::Value, why: &str| {
        let ran = stage.job("issue_comment", event, &tip, &[]);
        assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{why}: {ran:?}");
        assert!(ran.stdout.contains(why) && ran.stdout.contains("nothing was done"), "{why}: {}", ran.stdout);
        assert!(answers(&stage, pull).is_empty(), "{why}: {:?}", answers(&stage, pull));
    };
    let good = comment_event(&stage, "admin", pull, sync);
    let mut event = good.clone();
    event["action"] = json!("edited");
    quiet(&event, "was edited or deleted");
    event["action"] = json!("deleted");
    quiet(&event, "was edited or deleted");
    let mut event = good.clone();
    event["comment"]["updated_at"] = json!("2026-01-01T00:00:09Z");
    quiet(&event, "was edited or deleted");
    let mut event = good.clone();
    event["issue"].as_object_mut().unwrap().remove("pull_request");
    quiet(&event, "stands on an issue");
    quiet(&comment_event(&stage, "admin", pull, "> /secretzero sync"), "holds no line");

    // The payload is a hint; these are what the API knows.
    let id = stage.github.comment_as("admin", pull, "Thank you!");
    quiet(&event_of(pull, id, "admin", sync), "holds no line");
    quiet(&event_of(pull, 999, "admin", sync), "the comment is gone");
    let id = stage.github.comment_as("admin", pull, sync);
    stage.github.world().comments.iter_mut().find(|one| one.id == id).unwrap().updated += 1;
    quiet(&event_of(pull, id, "admin", sync), "was edited, and only a new one");
    quiet(&comment_event(&stage, "renovate[bot]", pull, sync), "written by a program");
    let id = stage.github.comment_as("admin", pull, sync);
    stage.github.world().comments.iter_mut().find(|one| one.id == id).unwrap().through = Some("zapier".into());
    quiet(&event_of(pull, id, "admin", sync), "written by a program");
    let other = stage.github.open_pull("change", "main");
    let id = stage.github.comment_as("admin", other, sync);
    quiet(&event_of(pull, id, "admin", sync), "was edited, and only a new one");
    let id = stage.github.comment_as("admin", 777, sync);
    quiet(&event_of(777, id, "admin", sync), "stands on no pull request");
}

#[test]
fn a_maintainer_syncs_the_default_branch_and_nothing_of_the_pull_request() {
    let (stage, _, pull, _) = opened();
    stage.aws.edit(|world| world.region(REGION).parameters.clear());
    let ran = say(&stage, "manager", pull, "/secretzero sync", &[]);
    assert_eq!((ran.code, stage.output("changed").as_str()), (Some(0), "true"), "{ran:?}");
    assert!(stage.aws.parameter("/production/myapp/database/password").is_some(), "it was healed");
    let key = stage.aws.secret("production/myapp/api-key").unwrap();
    assert_eq!(key.description.as_deref(), Some("External API key"), "the pull request is not merged");
    insta::assert_snapshot!(answers(&stage, pull).pop().unwrap(), @"
    <!-- secretzero:v1 path=Secretfile.yml key=reply/sync -->
    ### SecretZero · `/secretzero sync`

    At `COMMIT`, the tip of the default branch:

    #### `Secretfile.yml`

    **Synced: 1 target written.**

    > [!IMPORTANT]
    > **1 change not shown by any reviewed plan.** Review: it came by a direct push, not by a pull request. `require_plan: true` would have held this.
    >
    > - copy `database_password` in AWS SSM Parameter `/production/myapp/database/password`

    | | Secret | Target | Generation |
    |:--|:--|:--|:--|
    | ✅&nbsp;copied | `database_password` | AWS SSM Parameter `/production/myapp/database/password` | 1 |

    3 targets as declared already.

    <details><summary>2 targets left out</summary>

    All because local files belong to the machine one stands on; `local_files: true` includes the runner's:

    - `database_password` in Local file `.env`
    - `service_account` in Local file `.service-account.json`

    </details>

    <sub>`manager` asked in [a comment](https://github.com/octo/demo/pull/1#issuecomment-6) · [run](https://github.com/octo/demo/actions/runs/77) · SecretZero VERSION</sub>
    ");
}

#[test]
fn nothing_is_written_from_a_checkout_that_is_not_the_tip() {
    let (stage, tip, pull, _) = opened();
    stage.aws.edit(|world| world.region(REGION).parameters.clear());
    let event = comment_event(&stage, "manager", pull, "/secretzero sync");
    stage.github.commit("main", &[("README.md", b"newer")]);
    let ran = stage.job("issue_comment", &event, &tip, &[]);
    assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{ran:?}");
    assert!(answers(&stage, pull)[0].contains("has moved on"), "{:?}", answers(&stage, pull));
}

#[test]
fn a_maintainer_rotates_what_is_named_and_nothing_else() {
    let (stage, _, pull, _) = opened();
    let value = |name: &str| stage.aws.secret(name).unwrap().value().unwrap().to_owned();
    let (password, key) = (value("production/myapp/database/password"), value("production/myapp/api-key"));
    let ran = say(&stage, "manager", pull, "/secretzero rotate", &[]);
    assert_eq!((ran.code, stage.aws.effects()), (Some(0), 0), "nothing is due: {ran:?}");

    let ran = say(&stage, "manager", pull, "/secretzero rotate database_pasword", &[]);
    assert_eq!((ran.code, stage.aws.effects()), (Some(0), 0), "{ran:?}");
    assert!(answers(&stage, pull)[0].contains("did you mean `database_password`?"), "{:?}", answers(&stage, pull));

    let ran = say(&stage, "manager", pull, "/secretzero rotate database_password", &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let rotated = value("production/myapp/database/password");
    assert!(rotated != password && value("production/myapp/api-key") == key);
    assert_eq!(stage.aws.parameter("/production/myapp/database/password").unwrap().value, rotated);
    let answer = answers(&stage, pull).pop().unwrap();
    assert!(!answer.contains(&rotated));
    insta::assert_snapshot!(answer, @"
    <!-- secretzero:v1 path=Secretfile.yml key=reply/rotate -->
    ### SecretZero · `/secretzero rotate`

    At `COMMIT`, the tip of the default branch:

    #### `Secretfile.yml`

    **Rotated: 2 targets written.**

    | | Secret | Target | Generation |
    |:--|:--|:--|:--|
    | ✅&nbsp;rotated | `database_password` | AWS Secrets Manager `production/myapp/database/password` | 2 |
    | ✅&nbsp;rotated | `database_password` | AWS SSM Parameter `/production/myapp/database/password` | 2 |

    <details><summary>1 target left out</summary>

    - `database_password` in Local file `.env`: local files belong to the machine one stands on; `local_files: true` includes the runner's

    </details>

    <sub>`manager` asked in [a comment](https://github.com/octo/demo/pull/1#issuecomment-11) · [run](https://github.com/octo/demo/actions/runs/77) · SecretZero VERSION</sub>
    ");
}

#[test]
fn explain_tells_all_about_one_secret_but_its_value() {
    let (stage, _, pull, _) = opened();
    let ran = say(&stage, "writer", pull, "/secretzero explain database_password", &ONLINE);
    assert_eq!((ran.code, stage.aws.effects()), (Some(0), 0), "{ran:?}");
    assert_eq!(stage.aws.count("GetSecretValue") + stage.aws.count("GetParameters"), 0);
    insta::assert_snapshot!("answer_of_explain", told(&answers(&stage, pull)[0]));
    assert!(stage.github.checks().iter().all(|check| check.head_sha != stage.github.world().pulls[&pull].head_sha));

    let ran = say(&stage, "writer", pull, "/secretzero explain nothing_like_it", &ONLINE);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        answers(&stage, pull)[0].contains("known are: external\\_api\\_key, database\\_password"),
        "{:?}",
        answers(&stage, pull)
    );
}

#[test]
fn a_mistake_is_answered_with_what_could_have_been_meant_and_nothing_else() {
    let (stage, _, pull, _) = opened();
    let ran = say(&stage, "stranger", pull, "/secretzero plna", &ONLINE);
    assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{ran:?}");
    insta::assert_snapshot!(answers(&stage, pull)[0], @"
    <!-- secretzero:v1 path=Secretfile.yml key=reply/help -->
    ### SecretZero · `/secretzero help`

    **Nothing was done:** there is no command `plna`; did you mean `plan`?

    | Write | to | You need |
    |:--|:--|:--|
    | `/secretzero plan` | plan this pull request again | write |
    | `/secretzero explain NAME` | see what stands for one secret, since when, and where | write |
    | `/secretzero sync` | bring the stores in line with the default branch | maintain |
    | `/secretzero rotate` | make new values for what is due | maintain |
    | `/secretzero rotate NAME …` | make new values for these secrets, due or not | maintain |
    | `/secretzero help` | see this | nothing |

    One command a comment, on a line of its own, at its beginning; an edited comment is no command.

    <sub>`stranger` asked in [a comment](https://github.com/octo/demo/pull/1#issuecomment-6) · [run](https://github.com/octo/demo/actions/runs/77) · SecretZero VERSION</sub>
    ");
    say(&stage, "stranger", pull, "/secretzero help", &ONLINE);
    let answers = answers(&stage, pull);
    assert_eq!(answers.len(), 1, "the same answer, edited");
    assert!(!answers[0].contains("there is no command"));
}

#[test]
fn an_explicit_command_leaves_the_others_to_another_job() {
    let (stage, _, pull, _) = opened();
    let ran = say(&stage, "admin", pull, "/secretzero sync", &[("command", "plan")]);
    assert!(ran.stdout.contains("leaves `sync` to another job"), "{}", ran.stdout);
    let ran = say(&stage, "admin", pull, "/secretzero plan", &[("command", "sync")]);
    assert!(ran.stdout.contains("leaves `plan` to another job"), "{}", ran.stdout);
    assert!(answers(&stage, pull).is_empty());
    assert_eq!(stage.aws.total(), 0);
}

#[test]
fn a_line_that_readers_may_not_see_is_not_obeyed() {
    let (stage, _, pull, _) = opened();
    let asked = |body: &str| {
        let ran = say(&stage, "manager", pull, body, &[]);
        assert_eq!((ran.code, stage.aws.total()), (Some(0), 0), "{body:?}: {ran:?}");
        ran.stdout
    };
    for body in ["```\n    ```\n/secretzero sync\n```", "text\n    ```\n```\n/secretzero sync\n```"] {
        assert!(asked(body).contains("holds no line that begins with `/secretzero`"), "{body:?}");
    }
    assert_eq!(answers(&stage, pull).len(), 0, "nobody is answered for an example");
    for body in ["<a title=\"\n/secretzero sync\n\">x</a>", "<pre title=\"</pre>\">\n/secretzero sync\n</pre>"] {
        assert!(asked(body).contains("write it alone in a new comment"), "{body:?}");
    }
    let answer = answers(&stage, pull).pop().unwrap();
    assert!(answer.contains("**Nothing was done:**") && answer.contains("| `/secretzero plan` |"), "{answer}");
}
