//! A pull request with 300 secrets at 3 targets each: its comment, the report of its merge, the issue about
//! their drift and the answer to a command are read by people, so each is whole Markdown of a length that
//! the forge takes, with all that matters above what is cut.

use serde_json::json;

use crate::fake::aws::world::SecretVersion;
use crate::fake::aws::{REGION, Secret};
use crate::stage::{Stage, stable};

/// GitHub's limits (<https://github.com/dead-claudia/github-limits>,
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits>).
const COMMENT_UNITS: usize = 65_536;
const SUMMARY_BYTES: usize = 1 << 20;

const HEAD: &str = "\
metadata: {project: large}
providers:
  aws: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
  west: {kind: aws, auth: {kind: ambient, config: {region: us-west-2}}}
policies:
  audit: {kind: audit, required_tags: [Team], severity: warning}
secrets:
";

const INPUTS: [(&str, &str); 1] = [("plan_mode", "online")];

/// One secret at three targets.
fn secret(name: &str, settings: &str, tags: &str) -> String {
    let path = name.replace('_', "-");
    format!(
        "  - name: {name}\n    {settings}\n    owners: [platform-team]\n    targets:\n      \
         - {{provider: aws, kind: secrets_manager, config: {{name: production/shop/{path}, tags: {{{tags}}}}}}}\n      \
         - {{provider: west, kind: secrets_manager, config: {{name: production/shop/{path}, tags: {{{tags}}}}}}}\n      \
         - {{provider: aws, kind: ssm_parameter, config: {{name: /production/shop/{path}, tags: {{{tags}}}}}}}\n"
    )
}

/// What stands in the stores before.
fn base() -> String {
    let kept = |name: &str| secret(name, "kind: static\n    config: {default: one}", "Team: core");
    [HEAD.to_owned(), kept("session_key"), kept("license_key"), kept("mail_key"), kept("gone_key")].concat()
}

/// 300 secrets: one replaced, one with another tag, one that drifted, five held, the others new, some
/// of them against the policy.
fn change() -> String {
    let kept = |name: &str, value: &str, tags: &str| {
        secret(name, &format!("kind: static\n    config: {{default: {value}}}"), tags)
    };
    let mut text = HEAD.to_owned();
    text += &kept("mail_key", "one", "Team: core");
    for number in 0..297 {
        let tags = if number % 10 == 0 { "" } else { "Team: core" };
        text += &secret(&format!("service_{number:03}_password"), "kind: random_password", tags);
    }
    // Last in the file, so that only their risk brings them up.
    text + &kept("license_key", "one", "Team: shop") + &kept("session_key", "two", "Team: core")
}

/// Somebody's own value at a place.
fn version(id: &str) -> SecretVersion {
    let stages = ["AWSCURRENT".to_owned()].into();
    SecretVersion { id: id.into(), value: "typed by hand".into(), is_binary: false, stages }
}

/// The base is synced, the pull request is open and planned.
fn planned() -> (Stage, u64) {
    let rights = ["contents", "pull-requests", "checks", "issues"].map(|right| (right, "write"));
    let stage = Stage::with_permissions(&rights);
    let (base, change) = (base(), change());
    let tip = stage.github.commit("main", &[("Secretfile.yml", base.as_bytes())]);
    stage.checkout(&base);
    assert_eq!(stage.push(&tip, &[]).code, Some(0));
    stage.aws.edit(|world| {
        let secrets = &mut world.region(REGION).secrets;
        let drifted = secrets.get_mut("production/shop/mail-key").unwrap();
        drifted.versions = vec![version("11111111-2222-4333-8444-555555555555")];
        for number in [7, 77, 107, 177, 207] {
            let foreign =
                Secret { versions: vec![version("66666666-2222-4333-8444-555555555555")], ..Secret::default() };
            secrets.insert(format!("production/shop/service-{number:03}-password"), foreign);
        }
    });
    let head = stage.github.commit("change", &[("Secretfile.yml", change.as_bytes())]);
    let pull = stage.github.open_pull("change", "main");
    stage.checkout(&change);
    let ran = stage.pull_request(pull, &head, &INPUTS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    (stage, pull)
}

/// Every section that is opened is closed, and every row is a whole one.
#[track_caller]
fn is_whole(text: &str) {
    let (mut open, mut columns) = (0_usize, None);
    for line in text.lines() {
        open += line.matches("<details>").count();
        assert!(open <= 1, "a section in a section: {line}");
        open = open.checked_sub(line.matches("</details>").count()).unwrap();
        if line.starts_with('|') {
            let bars = line.replace("\\|", "").matches('|').count();
            assert!(line.ends_with('|') && *columns.get_or_insert(bars) == bars, "a broken row: {line}");
        } else {
            columns = None;
        }
    }
    assert_eq!(open, 0, "a section stays open: {}", &text[text.len() - 400..]);
}

/// Whole, and short enough for a comment.
#[track_caller]
fn is_comment(text: &str) {
    let units = text.encode_utf16().count();
    assert!((12_000..COMMENT_UNITS).contains(&units), "{units} units");
    is_whole(text);
}

/// The beginning and the end, with what lies between as a number of rows.
fn ends(text: &str) -> String {
    let version = regex::Regex::new(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
    let text = stable(&version.replace_all(text, "VERSION-ID"));
    let seal = regex::Regex::new(r"secretzero-drift: \w+").unwrap();
    let text = seal.replace(&text, "secretzero-drift: SEAL").into_owned();
    // Runs of lines of one kind, each as its first three and its last.
    let kind =
        |line: &str| ["| 🟢", "| 🔴", "| ✅", "- `", "> - `", "- ⚠"].into_iter().find(|start| line.starts_with(start));
    let lines: Vec<&str> = text.lines().collect();
    let runs = lines.chunk_by(|one, other| kind(one).is_some() && kind(one) == kind(other));
    let mut out = String::new();
    for run in runs {
        match run {
            [first, second, third, between @ .., last] if between.len() > 2 => {
                out += &format!("{first}\n{second}\n{third}\n[{} lines]\n{last}\n", between.len());
            }
            all => all.iter().for_each(|line| out += &format!("{line}\n")),
        }
    }
    out
}

fn rows(text: &str) -> usize {
    text.lines()
        .filter(|line| ["| 🟢", "| 🔴", "| 🟠", "| 🟡", "| ⚪", "| ✅"].iter().any(|badge| line.starts_with(badge)))
        .count()
}

#[test]
fn the_comment_of_a_pull_request_with_900_targets() {
    let (stage, pull) = planned();
    let (comment, summary) = (stage.comment(pull), stage.sandbox.read("summary"));
    is_comment(&comment);
    is_whole(&summary);
    assert!(summary.len() < SUMMARY_BYTES, "{} bytes", summary.len());
    // What is cut is said, counted, and stands in the summary.
    let (shown, all) = (rows(&comment), rows(&summary));
    assert!((100..400).contains(&shown), "{shown}");
    assert_eq!(all, 6 + 3 * 292, "every change of the plan");
    let cut = format!("*{} more rows ({} create, 3 metadata): see the [job summary](", all - shown, all - shown - 3);
    assert!(comment.contains(&cut), "{cut}");
    assert!(!summary.contains("more: see") && !summary.contains("): see"), "nothing of the summary is cut");
    // By risk, though the file has them last; and nothing that matters is cut for the rows.
    assert!(comment.find("**revise**").unwrap() < comment.find("**create**").unwrap());
    assert_eq!(comment.matches("is not ours").count(), 5);
    assert_eq!(comment.matches("lacks the required tag").count(), 90);
    assert!(comment.contains("1 target changed outside SecretZero"));
    insta::assert_snapshot!("large_comment_of_a_plan", ends(&comment));
}

#[test]
fn the_reports_of_its_merge_its_drift_and_its_commands() {
    let (stage, pull) = planned();
    let merged = stage.github.merge_pull(pull);
    assert_eq!(stage.push(&merged, &[]).code, Some(8), "five secrets are held");
    let (comment, summary) = (stage.comment(pull), stage.sandbox.read("summary"));
    is_comment(&comment);
    is_whole(&summary);
    assert_eq!(rows(&summary), 6 + 3 * 292);
    insta::assert_snapshot!("large_comment_of_a_merge", ends(&comment));

    // Somebody strips every mark.
    stage.aws.edit(|world| {
        for region in world.regions.values_mut() {
            region.secrets.values_mut().for_each(|secret| secret.tags.clear());
            region.parameters.values_mut().for_each(|parameter| parameter.tags.clear());
        }
    });
    stage.job("schedule", &json!({ "schedule": "17 4 * * *" }), &merged, &[("command", "drift")]);
    let issue = stage.github.issues().pop().unwrap().body;
    is_comment(&issue);
    insta::assert_snapshot!("large_issue_of_drift", ends(&issue));

    stage.github.collaborator("manager", "maintain");
    let body = "/secretzero sync";
    let id = stage.github.comment_as("manager", pull, body);
    let at = "2026-01-01T00:00:00Z";
    let event = json!({
        "action": "created",
        "issue": { "number": pull, "pull_request": { "url": "https://api.github.com/" } },
        "comment": { "id": id, "body": body, "user": { "login": "manager" }, "created_at": at, "updated_at": at,
            "author_association": "OWNER" },
    });
    stage.job("issue_comment", &event, &merged, &[]);
    let answer = stage.github.comments(pull).pop().unwrap().body;
    assert!(answer.contains("key=reply/sync") && answer.contains("`manager` asked in"), "{answer}");
    is_comment(&answer);
    insta::assert_snapshot!("large_answer_to_a_command", ends(&answer));
}
