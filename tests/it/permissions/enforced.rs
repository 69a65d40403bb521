//! The printed policies on moto's IAM, which refuses what a policy does not name: a plan and every step
//! of a sync work with exactly these rights, and without any one of them some step does not.
//!
//! moto looks at actions alone, so each policy is given with `Resource: "*"`; it knows no conditions.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::documents;
use crate::sandbox::{Ran, Sandbox};
use crate::servers::exported;

const REGION: &str = "us-east-1";

/// Rights that a run can do without: it then asks for one object after another, or sees less.
const SPARED: &[&str] = &["secretsmanager:BatchGetSecretValue", "ssm:GetParameters", "ssm:DescribeParameters"];

/// A moto of our own, since its IAM is switched on for a whole server.
struct Moto {
    server: Child,
    url: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Moto {
    /// Starts it; nobody is refused before [`Moto::enforce`].
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new(exported("PYTHON"))
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .env("INITIAL_NO_AUTH_ACTION_COUNT", "1000000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { server, url: format!("http://127.0.0.1:{port}") };
        for _ in 0..600 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return moto;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("moto does not start");
    }

    /// Runs a script of boto3 with `at(service)` for clients; what it prints last is its answer.
    fn script(&self, script: &str, input: &Json) -> Json {
        let begin = "
import boto3, json, os, sys, urllib.request
given = json.loads(sys.argv[1])
def at(service, keys=('a', 'b'), region='us-east-1'):
    return boto3.client(service, endpoint_url=os.environ['URL'], region_name=region, aws_access_key_id=keys[0], aws_secret_access_key=keys[1])
";
        let output = Command::new(exported("PYTHON"))
            .args(["-c", &format!("{begin}\n{script}"), &input.to_string()])
            .env("URL", &self.url)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Makes a user for each policy, and from then on refuses whatever they do not name.
    fn enforce(&self, policies: &BTreeMap<String, Json>) -> BTreeMap<String, Vec<String>> {
        let keys = self.script(
            "
iam = at('iam')
keys = {}
for name, policy in given.items():
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName='p', PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)['AccessKey']
    keys[name] = [key['AccessKeyId'], key['SecretAccessKey']]
urllib.request.urlopen(urllib.request.Request(os.environ['URL'] + '/moto-api/reset-auth', data=b'0', method='POST', headers={'content-type': 'text/plain'})).read()
print(json.dumps(keys))
",
            &json!(policies),
        );
        serde_json::from_value(keys).unwrap()
    }
}

/// The Secretfile after each step: created, changed, copied to a second place.
fn secretfile(prefix: &str, step: usize) -> String {
    let (more, replicas) = match step {
        0 => ("", ""),
        _ => (", description: changed, tags: {Team: core}", ", replica_regions: [us-west-2]"),
    };
    let copy = if step < 2 {
        String::new()
    } else {
        format!("\n      - {{provider: aws, kind: ssm_parameter, config: {{name: /{prefix}/copy}}}}")
    };
    format!(
        "metadata: {{project: rights}}
providers:
  aws: {{kind: aws, auth: {{kind: ambient, config: {{region: {REGION}}}}}}}
secrets:
  - name: token
    kind: random_string
    targets:
      - {{provider: aws, kind: secrets_manager, config: {{name: {prefix}/token{more}{replicas}}}}}{copy}
  - name: parameter
    kind: random_string
    targets:
      - {{provider: aws, kind: ssm_parameter, config: {{name: /{prefix}/parameter{more}}}}}
"
    )
}

/// The policy that is printed, on every resource.
fn printed(phase: &str) -> Json {
    let documents = documents(&secretfile("app", 2), &["--phase", phase, "--cloud", "aws"]);
    let [(_, text)] = &documents[..] else { panic!("one policy") };
    let mut policy: Json = serde_json::from_str(text).unwrap();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement["Resource"] = json!("*");
    }
    policy
}

fn actions(policy: &Json) -> Vec<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    let actions = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

fn without(policy: &Json, action: &str) -> Json {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement["Action"].as_array_mut().unwrap().retain(|one| one != action);
    }
    policy["Statement"].as_array_mut().unwrap().retain(|statement| statement["Action"] != json!([]));
    policy
}

/// Somebody with keys, in a folder with the Secretfile.
struct Actor<'m> {
    moto: &'m Moto,
    sandbox: Sandbox,
    prefix: String,
    admin: Vec<String>,
}

impl<'m> Actor<'m> {
    fn new(moto: &'m Moto, keys: &BTreeMap<String, Vec<String>>, name: &str) -> Self {
        let sandbox = Sandbox::new().env([
            ("AWS_ENDPOINT_URL", moto.url.as_str()),
            ("AWS_ACCESS_KEY_ID", &keys[name][0]),
            ("AWS_SECRET_ACCESS_KEY", &keys[name][1]),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
        Self { moto, sandbox, prefix: format!("app-{name}"), admin: keys["admin"].clone() }
    }

    fn run(&self, step: usize, args: &[&str]) -> Ran {
        self.sandbox.write("Secretfile.yml", &secretfile(&self.prefix, step));
        self.sandbox.run(&[args, &["--rate-limit", "off", "--retry-max-attempts", "1"]].concat())
    }

    /// What a Secretfile goes through, up to the first step that fails.
    fn life(&self) -> Result<(), Ran> {
        let done = |ran: Ran| if ran.code == Some(0) { Ok(()) } else { Err(ran) };
        done(self.run(0, &["sync"]))?;
        done(self.run(1, &["sync"]))?;
        done(self.run(1, &["rotate", "--force", "--secret", "token", "--secret", "parameter"]))?;
        done(self.run(2, &["sync"]))?;
        self.moto.script(
            "at('secretsmanager', given['admin']).remove_regions_from_replication(SecretId=given['name'], RemoveReplicaRegions=['us-west-2'])
at('secretsmanager', given['admin']).delete_secret(SecretId=given['name'])",
            &json!({ "admin": self.admin, "name": format!("{}/token", self.prefix) }),
        );
        done(self.run(2, &["sync"]))
    }
}

#[test]
fn servers_a_plan_and_a_sync_work_with_exactly_the_printed_rights() {
    let moto = Moto::start();
    let (plan, sync) = (printed("plan"), printed("sync"));
    let needed: Vec<String> = actions(&sync).into_iter().filter(|action| !SPARED.contains(&action.as_str())).collect();
    assert!(needed.len() >= 12, "{needed:?}");
    let everything =
        json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
    let mut policies = BTreeMap::from([
        ("admin".to_owned(), everything),
        ("plan".to_owned(), plan),
        ("sync".to_owned(), sync.clone()),
    ]);
    let name = |action: &str| action.replace(':', "-");
    policies.extend(needed.iter().map(|action| (name(action), without(&sync, action))));
    let keys = moto.enforce(&policies);

    Actor::new(&moto, &keys, "sync").life().unwrap_or_else(|ran| panic!("the printed rights do not do: {ran:?}"));

    let plan = Actor { prefix: "app-sync".into(), ..Actor::new(&moto, &keys, "plan") };
    let ran = plan.run(0, &["sync", "--dry-run"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let new = Actor::new(&moto, &keys, "plan");
    let ran = new.run(2, &["sync", "--dry-run"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("Would create"), "{ran:?}");
    let ran = new.run(0, &["sync"]);
    assert!(
        ran.code != Some(0) && format!("{ran:?}").contains("CreateSecret"),
        "a plan's rights write nothing: {ran:?}"
    );

    for action in &needed {
        let Err(ran) = Actor::new(&moto, &keys, &name(action)).life() else {
            panic!("everything works without {action}")
        };
        assert!(format!("{ran:?}").contains(action.as_str()), "{action} is not named: {ran:?}");
    }
}
