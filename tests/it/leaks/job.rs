//! The job of the action: nothing of a value in comments, checks, outputs, summaries, reports, the
//! state ref, or any request to GitHub.

use serde_json::{Value as Json, json};

use super::canary::Canaries;
use super::traces::Traces;
use super::{EDITED, ENVIRONMENT, bad_lines, learn, outsider, secretfile};
use crate::fake::aws::{FakeAws, Parameter, REGION};
use crate::fake::github::{FakeGithub, Fault};
use crate::job::Job;
use crate::sandbox::{Ran, Sandbox};

const TOKEN: &str = "ghs_Canary0fTheWorkflow21xYz";

struct Stage {
    github: FakeGithub,
    aws: FakeAws,
    sandbox: Sandbox,
    job: Job,
    canaries: Canaries,
    traces: Traces,
}

impl Stage {
    fn new() -> Self {
        let (github, aws) = (FakeGithub::start(), FakeAws::start());
        let rights = [("contents", "write"), ("pull-requests", "write"), ("checks", "write"), ("issues", "write")];
        let actor = {
            let token = github.workflow_token(&rights);
            github.world().tokens.remove(&token).unwrap()
        };
        github.world().tokens.insert(TOKEN.into(), actor);
        let mut cloud: std::collections::BTreeMap<String, String> =
            aws.env().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let more = [("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full"), ("INPUT_RETRY_MAX_ATTEMPTS", "1")];
        cloud.extend(ENVIRONMENT.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value.to_owned())));
        let job = Job::on(&github, TOKEN.into(), cloud);
        let mut canaries = Canaries::default();
        let base = super::Stage::new(&[]);
        canaries.extend(&base.canaries);
        canaries.add("the workflow's token", TOKEN);
        Self { github, aws, sandbox: Sandbox::new(), job, canaries, traces: Traces::default() }
    }

    /// The Secretfile of a job, which has no file of variables.
    fn text() -> String {
        secretfile().replace("'${from_file}'", "'${region}-from-a-Canary-22'")
    }

    fn commit(&self, branch: &str, text: &str) -> String {
        self.sandbox.write("Secretfile.yml", text);
        self.github.commit(branch, &[("Secretfile.yml", text.as_bytes())])
    }

    #[track_caller]
    fn go(&mut self, code: i32, case: &str, event: (&str, Json), sha: &str, inputs: &[(&str, &str)]) -> Ran {
        let environment = self.job.environment(&self.sandbox, event.0, &event.1, sha, inputs);
        let ran = self.sandbox.run_with(&["ci", "-vvv"], &environment);
        assert_eq!(ran.code, Some(code), "{case}: {}\n{}", ran.stdout, ran.stderr);
        learn(&mut self.canaries, &self.aws);
        self.traces.ran(case, &ran);
        self.traces.folder(case, &self.sandbox);
        self.traces.aws(case, &self.aws);
        self.traces.github(case, &self.github);
        ran
    }

    #[track_caller]
    fn pull(&mut self, code: i32, case: &str, text: &str, inputs: &[(&str, &str)]) {
        let head = self.commit("change", text);
        let event = self.job.pull_request_event(1001, 1, &head);
        self.go(code, case, ("pull_request", event), &head, inputs);
    }

    #[track_caller]
    fn push(&mut self, code: i32, case: &str, text: &str, inputs: &[(&str, &str)]) {
        let sha = self.commit("main", text);
        let event = self.job.push_event(&sha);
        self.go(code, case, ("push", event), &sha, inputs);
    }
}

const ONLINE: [(&str, &str); 2] = [("plan_mode", "online"), ("local_files", "true")];
const LOCAL: [(&str, &str); 1] = [("local_files", "true")];

#[test]
fn no_job_lets_a_value_out_while_all_goes_well() {
    let mut stage = Stage::new();
    let text = Stage::text();
    stage.canaries.add("a field", "us-east-1-from-a-Canary-22");
    stage.commit("main", "secrets: []\nversion: '1.0'\n");
    stage.commit("change", &text);
    assert_eq!(stage.github.open_pull("change", "main"), 1);
    stage.pull(0, "a new Secretfile", &text, &ONLINE);
    stage.push(0, "the first sync", &text, &LOCAL);
    stage.push(0, "nothing to do", &text, &LOCAL);
    let renamed = text.replace("name: leaks/others}", "name: leaks/renamed}");
    stage.pull(0, "a moved target, offline", &renamed, &[]);
    stage.pull(0, "a moved target, online", &renamed, &ONLINE);
    let loose = text.replace("severity: warning", "severity: error");
    stage.pull(0, "an own policy", &loose, &ONLINE);
    stage.push(5, "a broken policy", &loose, &LOCAL);
    stage.job.cloud.insert("STRIPE_KEY".into(), EDITED.into());
    stage.push(0, "an edited value", &renamed, &LOCAL);
    let hourly = renamed.replace("rotation_period: 90d", "rotation_period: 1h");
    stage.push(0, "an hourly rotation", &hourly, &LOCAL);
    age(&stage.aws);
    let sha = stage.github.ref_sha("refs/heads/main").unwrap();
    let drawn = stage.aws.secret("leaks/drawn").unwrap().versions.len();
    stage.go(0, "a schedule", ("schedule", json!({ "schedule": "0 3 * * *" })), &sha, &LOCAL);
    assert!(stage.aws.secret("leaks/drawn").unwrap().versions.len() > drawn, "it was rotated");
    stage.github.world().refs.remove("refs/secretzero/v1/default");
    stage.push(0, "a lost lock", &hourly, &LOCAL);
    for place in ["the comment", "the check", "the state ref", "the file output", "the file summary"] {
        assert!(stage.traces.count(place) > 5, "{place} was searched");
    }
    assert!(stage.traces.count("the file secretzero-report.json") > 5);
    assert!(stage.traces.count("POST /repos/octo/demo/git/trees") > 0);
    stage.traces.assert_hold_no(&stage.canaries);
}

/// The marks say that everything was made long ago.
fn age(aws: &FakeAws) {
    aws.edit(|world| {
        let region = world.region(REGION);
        let secrets = region.secrets.values_mut().map(|secret| &mut secret.tags);
        for tags in secrets.chain(region.parameters.values_mut().map(|parameter| &mut parameter.tags)) {
            let mark = tags.get_mut("secretzero").unwrap();
            let old = mark.split(':').map(|part| if part.starts_with("t=") { "t=1700000000" } else { part });
            *mark = old.collect::<Vec<_>>().join(":");
        }
    });
}

#[test]
fn no_job_lets_a_value_out_while_everything_goes_wrong() {
    let mut stage = Stage::new();
    let text = Stage::text();
    stage.commit("change", &text);
    assert_eq!(stage.github.open_pull("change", "main"), 1);
    let foreign = "theirs: <Canary> & 23";
    let parameter = Parameter {
        value: foreign.into(),
        version: 1,
        kind: "SecureString".into(),
        tier: "Standard".into(),
        data_type: "text".into(),
        ..Parameter::default()
    };
    stage.aws.edit(|world| world.region(REGION).parameters.insert("/leaks/drawn".into(), parameter));
    stage.push(8, "a foreign object", &text, &LOCAL);
    stage.pull(0, "a foreign object, planned", &text, &ONLINE);
    stage.push(0, "an adopted object", &text, &[("adopt", "true"), ("local_files", "true")]);
    for operation in ["CreateSecret", "PutSecretValue", "PutParameter", "GetSecretValue", "GetParameters"] {
        stage.aws.deny(operation);
    }
    stage.job.cloud.insert("STRIPE_KEY".into(), EDITED.into());
    stage.push(8, "denied writes", &text, &LOCAL);
    stage.aws.deny("GetCallerIdentity");
    stage.push(8, "a denied login", &text, &LOCAL);
    stage.pull(0, "a denied login, planned", &text, &ONLINE);
    stage.aws.allow_all();
    let edited = "edited by hand <Canary> 24";
    stage.canaries.add("an edited secret", edited);
    outsider(&stage.aws, "leaks/drawn", edited);
    stage.push(0, "an edited secret", &text, &LOCAL);
    let sha = stage.github.ref_sha("refs/heads/main").unwrap();
    let ask = [("command", "drift"), ("local_files", "true")];
    stage.go(0, "a look for drift", ("schedule", json!({ "schedule": "0 3 * * *" })), &sha, &ask);
    assert!(stage.traces.count("the issue") > 0, "the drift is told");
    stage.github.collaborator("admin", "admin");
    for line in ["plan", "explain drawn", "sync", "rotate drawn", "help"] {
        let body = format!("/secretzero {line}");
        let id = stage.github.comment_as("admin", 1, &body);
        let at = "2026-01-01T00:00:00Z";
        let comment = json!({ "id": id, "body": body, "created_at": at, "updated_at": at });
        let event = json!({ "action": "created", "issue": { "number": 1, "pull_request": {} }, "comment": comment });
        let case = format!("a comment, {}", line.split(' ').next().unwrap());
        stage.go(0, &case, ("issue_comment", event), &sha, &ONLINE);
    }

    let wrong = "pk_wrong<Canary>&\"'%42_25";
    stage.canaries.add("a value that is not valid", wrong);
    stage.job.cloud.insert("STRIPE_KEY".into(), wrong.into());
    stage.push(3, "a value that is not valid", &text, &LOCAL);
    stage.job.cloud.insert("STRIPE_KEY".into(), EDITED.into());

    let sha = stage.github.ref_sha("refs/heads/main").unwrap();
    let unreadable = json!({ "pull_request": wrong, "ref": wrong, wrong: wrong });
    for event in ["pull_request", "push", "merge_group", "issue_comment", "workflow_dispatch", "nothing_known"] {
        stage.go(0, &format!("an unreadable {event}"), (event, unreadable.clone()), &sha, &[]);
    }
    for (method, part) in
        [("POST", "/issues/"), ("PATCH", "/issues/"), ("POST", "/check-runs"), ("PATCH", "/check-runs")]
    {
        let said = format!("token {TOKEN} may not");
        stage.github.fault(method, part, 1, Fault::Refuse(403, Vec::new(), said));
    }
    stage.pull(0, "a refused comment that repeats the token", &text, &ONLINE);
    stage.github.world().clear_faults();
    stage.github.fault("POST", "/git/trees", 1, Fault::Refuse(422, Vec::new(), format!("Bearer {TOKEN}")));
    stage.job.cloud.insert("STRIPE_KEY".into(), super::FROM_ENVIRONMENT.into());
    let said = stage.traces.count("stdout");
    stage.push(1, "a lock that cannot be saved", &text, &LOCAL);
    assert!(stage.traces.count("stdout") > said);
    stage.job.token = format!("{TOKEN}Unknown");
    stage.pull(1, "an unknown token", &text, &ONLINE);
    stage.traces.assert_hold_no(&stage.canaries);
}

#[test]
fn a_bad_line_is_told_in_a_comment_without_the_value_on_it() {
    let mut stage = Stage::new();
    stage.canaries.add("the value on the bad line", bad_lines::VALUE);
    stage.commit("change", "secrets: []\n");
    assert_eq!(stage.github.open_pull("change", "main"), 1);
    for (name, text) in bad_lines::all() {
        stage.pull(3, &format!("a pull request with {name}"), &text, &ONLINE);
        stage.push(3, &format!("a push with {name}"), &text, &LOCAL);
    }
    assert!(stage.traces.count("the comment") > 20 && stage.traces.count("the check") > 40);
    stage.traces.assert_hold_no(&stage.canaries);
}
