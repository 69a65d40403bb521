//! Pull requests that were made to hurt, one file each: none obtains a token, reads a value, sends a
//! credential to another host, writes anywhere, or changes a required result.
//!
//! Each file of `tests/fixtures/hostile` says what the pull request brings (`hostile/case.rs`); the
//! base is synced for real first, so that there are values to steal, and the job holds credentials
//! (`plan_mode: online`) unless the case says otherwise. Whatever a case expects of its own comes on
//! top of what [`Stage::judge`] asserts for all.

mod case;
mod stage;
mod words;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use case::Case;
use stage::Stage;

/// Fewest cases.
const CASES_MIN: usize = 60;

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hostile");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "yml")).collect();
    paths.sort();
    paths.iter().map(|path| Case::read(path)).collect()
}

/// Runs those cases whose number leaves this rest, so that several threads share the work.
fn run(rest: usize) {
    let mut failed = Vec::new();
    for case in cases().into_iter().skip(rest).step_by(4) {
        let name = case.name.clone();
        let judged = std::panic::catch_unwind(|| {
            let stage = Stage::of(case);
            [stage.judge(), stage.examine()].concat()
        });
        let problems = judged.unwrap_or_else(|_| vec!["it panicked".to_owned()]);
        failed.extend(problems.into_iter().map(|problem| format!("{name}: {problem}")));
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn hostile_pull_requests_get_nowhere_1() {
    run(0);
}

#[test]
fn hostile_pull_requests_get_nowhere_2() {
    run(1);
}

#[test]
fn hostile_pull_requests_get_nowhere_3() {
    run(2);
}

#[test]
fn hostile_pull_requests_get_nowhere_4() {
    run(3);
}

#[test]
fn the_corpus_is_large_and_every_case_has_a_reason_of_its_own() {
    let cases = cases();
    assert!(cases.len() >= CASES_MIN, "{} cases", cases.len());
    let reasons: BTreeSet<&str> = cases.iter().map(|case| case.reason.as_str()).collect();
    assert_eq!(reasons.len(), cases.len());
    assert!(reasons.iter().all(|reason| (20..=120).contains(&reason.chars().count())), "{reasons:#?}");
    // Without cases that were planned online, nothing would show that credentials stay where they are.
    assert!(cases.iter().filter(|case| case.expect.asks_stores == Some(true)).count() >= 10);
}

/// The assertions see what they are made for: without them the corpus would prove nothing.
#[test]
fn the_judge_is_not_blind() {
    for (text, problem) in
        [("::set-output name=x::y", "command"), ("a \u{1b}[31m", "control"), ("a \u{202e}", "control")]
    {
        assert!(words::printed(text).iter().any(|found| found.contains(problem)), "{text}");
    }
    for text in [
        "hi @octo/team",
        "![x](https://evil.example/a.png)",
        "[x](https://evil.example)",
        "<img src=x>",
        "<!-- secretzero:x -->",
    ] {
        assert!(!words::written(&format!("<!-- secretzero -->\n{text}")).is_empty(), "{text}");
        assert!(words::written(&format!("<!-- secretzero -->\nSome `{text}` here")).is_empty(), "{text}");
    }
}
