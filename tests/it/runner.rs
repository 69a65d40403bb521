//! Where a runner reads, nothing that a pull request wrote is a command for it.

use std::collections::BTreeMap;

use crate::sandbox::{Ran, Sandbox};
use crate::stage::BASE;

/// Lines that a runner may obey and that are not ours: it takes `::` at a line's beginning, and the older
/// `##[` anywhere in one
/// (<https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>).
pub(crate) fn commands(ran: &Ran) -> Vec<String> {
    let ours = ["::notice", "::warning", "::error", "::add-mask::"];
    let strange = |line: &str| line.starts_with("::") && !ours.iter().any(|begin| line.starts_with(begin));
    let lines = ran.stdout.lines().chain(ran.stderr.lines());
    let obeyed = lines.filter(|line| strange(line.trim_start()) || line.contains("##["));
    obeyed.map(str::to_owned).collect()
}

#[test]
fn no_finding_and_no_report_commands_the_runner() {
    let text = format!("{BASE}    \"##[add-mask]e\": 1\n    \"::add-mask::q\": 2\n");
    let job = BTreeMap::from([
        ("GITHUB_ACTIONS".to_owned(), "true".to_owned()),
        ("GITHUB_EVENT_NAME".to_owned(), "pull_request".to_owned()),
    ]);
    let json: &[&str] = &["validate", "--format", "json"];
    for args in [&["validate"][..], &["policy"], &["sync", "--dry-run"], json] {
        let ran = Sandbox::with(&text).run_with(args, &job);
        assert_eq!(ran.code, Some(3), "{args:?}: {ran:?}");
        assert_eq!(commands(&ran), Vec::<String>::new(), "{args:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("[add-mask]e"), "{args:?}: {said}");
    }
    let ran = Sandbox::with(&text).run_with(json, &job);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(report.to_string().contains("##[add-mask]e"), "escaped, it is the same text: {report}");
}
