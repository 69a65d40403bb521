//! The main job against servers that somebody else wrote: `emulate` for GitHub, moto for AWS, and
//! boto3 to read back what was written.

use std::process::Command;

use serde_json::{Value, json};

use secretzero::forge::Forge as _;
use secretzero::forge::github::Github;

use crate::forge_emulator::{comments_at, person_at, post_at};
use crate::job::Job;
use crate::sandbox::Sandbox;
use crate::servers::exported;

const BASE: &str = include_str!("../fixtures/flow/base.yml");
const CHANGE: &str = include_str!("../fixtures/flow/change.yml");

/// A repository of its own, because the tests of the forge move the branches of theirs.
const REPOSITORY: &str = "octocat/flow";

fn person() -> Github {
    person_at(REPOSITORY)
}

async fn post(rest: &str, body: Value) -> Value {
    post_at(REPOSITORY, rest, body).await
}

/// Puts a text on a branch that starts at `parent`, and returns the commit.
async fn commit(branch: &str, parent: &str, text: &str, exists: bool) -> String {
    let tree = json!({ "tree": [{ "path": "Secretfile.yml", "mode": "100644", "type": "blob", "content": text }] });
    let tree = post("git/trees", tree).await["sha"].clone();
    let commit = json!({ "message": branch, "tree": tree, "parents": [parent] });
    let sha = post("git/commits", commit).await["sha"].as_str().unwrap().to_owned();
    if exists {
        let url = format!("{}/repos/{REPOSITORY}/git/refs/heads/{branch}", exported("EMULATE_URL"));
        let request =
            reqwest::Client::new().patch(url).header("user-agent", "test").bearer_auth(exported("EMULATE_TOKEN"));
        let body = json!({ "sha": sha, "force": true }).to_string();
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    } else {
        post("git/refs", json!({ "ref": format!("refs/heads/{branch}"), "sha": sha })).await;
    }
    sha
}

/// What AWS's own client reads.
fn read_back(names: &[&str]) -> Value {
    let script = r"
import boto3, json, os, sys
at = dict(endpoint_url=os.environ['MOTO_URL'], region_name='us-east-1', aws_access_key_id='a', aws_secret_access_key='b')
sm, ssm = boto3.client('secretsmanager', **at), boto3.client('ssm', **at)
out = {}
for name in sys.argv[1:]:
    try:
        got, about = sm.get_secret_value(SecretId=name), sm.describe_secret(SecretId=name)
        out['sm ' + name] = [got['SecretString'], about.get('Description'), {t['Key']: t['Value'] for t in about['Tags']}]
    except sm.exceptions.ResourceNotFoundException: pass
    try:
        got = ssm.get_parameter(Name='/' + name, WithDecryption=True)['Parameter']
        tags = ssm.list_tags_for_resource(ResourceType='Parameter', ResourceId='/' + name)['TagList']
        out['ssm ' + name] = [got['Value'], got['Type'], {t['Key']: t['Value'] for t in tags}]
    except ssm.exceptions.ParameterNotFound: pass
print(json.dumps(out))
";
    let output = Command::new(exported("PYTHON")).args(["-c", script]).args(names).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn servers_the_main_job_runs_against_github_and_aws_of_other_makers() {
    let text = |text: &str| text.replace("app_name: myapp", "app_name: servers");
    let names =
        ["production/servers/api-key", "production/servers/database/password", "production/servers/service-account"];
    let tip = person().default_branch_tip().await.unwrap();
    let job = Job {
        server_url: "https://github.com".into(),
        reference: "refs/heads/main".into(),
        api_url: exported("EMULATE_URL"),
        repository: REPOSITORY.into(),
        repository_id: tip.repository_id,
        token: exported("EMULATE_TOKEN"),
        cloud: [
            ("AWS_ENDPOINT_URL", exported("MOTO_URL").as_str()),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
    };
    let sandbox = Sandbox::with(&text(BASE));
    let base = commit("main", &tip.sha, &text(BASE), true).await;
    let ran = job.push(&sandbox, &base, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let first = read_back(&names);
    assert_eq!(first.as_object().unwrap().len(), 1);

    // A pull request: planned, commented, checked; nothing written.
    let changed = text(&format!("{BASE}{CHANGE}"));
    let head = commit("servers", &base, &changed, false).await;
    let pull = post("pulls", json!({ "title": "servers", "head": "servers", "base": "main" })).await;
    let pull = pull["number"].as_u64().unwrap();
    sandbox.write("Secretfile.yml", &changed);
    let ran = job.pull_request(&sandbox, pull, &head, &[("plan_mode", "online")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let said = comments_at(REPOSITORY, pull).await;
    assert_eq!(said.len(), 1);
    assert!(said[0].1.contains("Merging changes 3 targets of 2 secrets"), "{}", said[0].1);
    let checks = person().checks(&head, "SecretZero").await.unwrap();
    assert_eq!(checks.iter().map(|check| check.conclusion.as_deref()).collect::<Vec<_>>(), [Some("success")]);
    assert_eq!(read_back(&names), first, "a plan writes nothing");

    // The merge: every target holds the value, and other people's client reads it.
    let merged = commit("main", &base, &changed, true).await;
    let ran = job.push(&sandbox, &merged, &[("local_files", "true")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let stored = read_back(&names);
    let password = &stored["sm production/servers/database/password"];
    assert_eq!(password[0], stored["ssm production/servers/database/password"][0]);
    assert_eq!(password[1], "Database password for servers");
    assert_eq!(password[2]["ManagedBy"], "secretzero");
    assert_eq!(stored["ssm production/servers/database/password"][1], "SecureString");
    assert!(sandbox.read(".env").contains(password[0].as_str().unwrap()));
    let account: Value =
        serde_json::from_str(stored["sm production/servers/service-account"][0].as_str().unwrap()).unwrap();
    assert_eq!(account["username"], "svc_servers_production");
    assert_eq!(stored["sm production/servers/api-key"], first["sm production/servers/api-key"]);

    // Once more, and once more without the lock: nothing changes, not even a tag.
    let state = person().read_state("refs/secretzero/v1/default", "Secretfile.yml.lock.json").await.unwrap().unwrap();
    for inputs in [&[("local_files", "true")][..], &[("local_files", "true"), ("lockfile_store", "none")]] {
        let ran = job.push(&sandbox, &merged, inputs);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(read_back(&names), stored);
    }
    assert_eq!(
        person().read_state("refs/secretzero/v1/default", "Secretfile.yml.lock.json").await.unwrap().unwrap(),
        state
    );
}
