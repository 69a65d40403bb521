//! Plans without lists, with lists that lag, that are forbidden, and that come in odd pages.

use crate::fake::aws::world::Paging;

use super::{At, Stage, secretfile};

/// So many secrets, each at both stores of AWS.
fn many(count: usize) -> String {
    let mut text = secretfile("", &[At::Secret.target("token"), At::Parameter.target("token")]);
    for n in 1..count {
        let targets = [At::Secret, At::Parameter].map(|at| at.target(&format!("s{n:04}"))).join(", ");
        text.push_str(&format!("  - {{name: s{n:04}, kind: random_string, targets: [{targets}]}}\n"));
    }
    text
}

/// Some secrets, synced, seen by lists as they were before.
fn lagging() -> Stage {
    let stage = Stage::with(&many(6));
    stage.aws.freeze_lists();
    stage.sync(&[]);
    stage
}

/// The denied lists of both stores.
const LISTS: [&str; 2] = ["ListSecrets", "DescribeParameters"];

#[test]
fn a_thousand_secrets_in_two_stores_cost_few_requests_with_lists_and_one_each_without() {
    const COUNT: usize = 1000;
    let stage = Stage::with(&many(COUNT));
    stage.sync(&[]);
    let unchanged = "✓ Nothing to change; 2000 targets as declared\n";
    stage.aws.forget_requests();
    assert_eq!(stage.sandbox.expect(0, &["sync", "--dry-run", "--rate-limit", "off"]).stdout, unchanged);
    stage.no_value_was_read();
    assert!(stage.aws.total() <= 250, "{} requests with lists", stage.aws.total());

    LISTS.iter().for_each(|list| stage.aws.deny(list));
    stage.aws.forget_requests();
    assert_eq!(stage.sandbox.expect(0, &["sync", "--dry-run", "--rate-limit", "off"]).stdout, unchanged);
    stage.no_value_was_read();
    let reads = (stage.aws.count("DescribeSecret"), stage.aws.count("ListTagsForResource"));
    assert_eq!(reads, (COUNT, COUNT));
    // One refusal of each use of a list, and who we are at each of three providers.
    assert!(stage.aws.total() <= 2 * COUNT + 6, "{} requests without lists", stage.aws.total());
}

/// What exists and is not listed yet is not made a second time.
#[test]
fn what_a_list_does_not_show_yet_is_found() {
    let stage = lagging();
    assert_eq!(stage.plan(&["--detailed-exitcode"]), "✓ Nothing to change; 12 targets as declared\n");
    stage.is_settled();
}

/// Old tags in a list: the plan does not want them changed again.
#[test]
fn what_a_list_shows_of_yesterday_is_asked_again() {
    let stage = Stage::with(&many(6));
    stage.sync(&[]);
    stage.aws.freeze_lists();
    let edited = |at: At| at.target_with("token", ", tags: {Team: core}, description: New");
    let text = many(6).replace(&At::Secret.target("token"), &edited(At::Secret));
    stage.declare(&text.replace(&At::Parameter.target("token"), &edited(At::Parameter)));
    stage.sync(&[]);
    stage.sync(&["--force", "--secret", "s0002"]);
    stage.is_settled();
}

/// A list goes on to show what was removed: it says unchanged, so the plan says so; the next list knows.
#[test]
fn what_is_gone_comes_back_once_the_list_knows() {
    let stage = Stage::with(&many(6));
    stage.sync(&[]);
    let value = stage.value(At::Parameter, "s0003");
    stage.aws.freeze_lists();
    stage.lose(At::Secret, "s0003");
    stage.sync(&[]);
    assert_eq!(stage.value(At::Parameter, "s0003"), value);
    stage.aws.thaw_lists();
    stage.sync(&[]);
    assert_eq!(stage.value(At::Secret, "s0003"), value);
    stage.is_settled();
}

#[test]
fn forbidden_lists_are_not_even_mentioned() {
    let stage = Stage::with(&many(6));
    LISTS.iter().for_each(|list| stage.aws.deny(list));
    let planned = stage.plan(&[]);
    assert!(!planned.contains("stderr"), "{planned}");
    let synced = stage.sync(&[]);
    assert!(!synced.contains("stderr"), "{synced}");
    stage.is_settled();
}

/// One of the two lists, and either way round.
#[test]
fn one_forbidden_list_does_not_matter_to_the_other_store() {
    for list in LISTS {
        let stage = Stage::with(&many(6));
        stage.aws.deny(list);
        stage.sync(&[]);
        stage.is_settled();
    }
}

/// A right that is missing on one object is told of that object, and the rest goes on.
#[test]
fn one_unreadable_object_is_left_alone() {
    // Where tags and list are both forbidden, the list is what is asked for.
    let cases = [
        ("DescribeSecret", "app/s0002", "secretsmanager:DescribeSecret on app/s0002"),
        ("ListTagsForResource", "/app/s0002", "ssm:DescribeParameters"),
    ];
    for (operation, name, missing) in cases {
        let stage = Stage::with(&many(6));
        stage.sync(&[]);
        stage.aws.deny_on(operation, name);
        LISTS.iter().for_each(|list| stage.aws.deny(list));
        stage.declare(&many(7));
        let denied = format!("AWS refused {missing} in us-east-1 (AccessDeniedException)");
        assert!(stage.plan_that_exits(8, &[]).contains(&denied));
        let said = stage.sync_that_exits(8, &[]);
        assert_eq!(said.matches(&denied).count(), 1, "{said}");
        assert!(said.contains("✓ Generated s0006"), "{said}");
        stage.aws.allow_all();
        stage.sync(&[]);
        stage.is_settled();
    }
}

/// Small pages, empty pages, and one that names itself as the next.
#[test]
fn lists_in_any_pages_tell_the_same() {
    let small = Paging { size_max: Some(2), ..Paging::default() };
    let endless = Paging { endless: true, ..small };
    for paging in [small, Paging { empty: true, ..small }, endless, Paging { empty: true, ..endless }] {
        let stage = Stage::with(&many(12));
        stage.aws.edit(|world| world.paging = paging);
        let planned = stage.plan(&[]);
        assert_eq!(planned.matches('→').count(), 24, "{paging:?} {planned}");
        stage.sync(&[]);
        stage.is_settled();
        assert!(stage.aws.total() < 200, "{paging:?}: {} requests", stage.aws.total());
    }
}
