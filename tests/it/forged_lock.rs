//! The lock is untrusted: each of these leaves every store as a run without any lock leaves it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fake::aws::{FakeAws, Parameter, REGION, Secret, SecretVersion, World};
use crate::sandbox::Sandbox;

const LOCK: &str = ".gitsecrets.lock";

pub(crate) const SECRETFILE: &str = "metadata: {project: forged}
providers:
  aws: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
  local: {kind: local}
secrets:
  - name: behind
    kind: random_password
    rotation_period: 90d
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: forged/behind}}
      - {provider: aws, kind: ssm_parameter, config: {name: /forged/behind}}
      - {provider: local, kind: file, config: {path: .env, format: dotenv, merge: true}}
  - name: lost
    kind: random_string
    targets:
      - {provider: aws, kind: ssm_parameter, config: {name: /forged/lost}}
      - {provider: aws, kind: secrets_manager, config: {name: forged/lost}}
  - name: fixed
    kind: static
    config: {default: as declared}
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: forged/fixed}}
  - name: drifted
    kind: random_string
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: forged/drifted}}
  - name: taken
    kind: random_string
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: forged/taken}}
";

/// An account with something to do in it: a target behind, one lost, one changed outside, one that
/// is somebody else's, and what is none of our business.
struct Stage {
    aws: FakeAws,
    sandbox: Sandbox,
    world: World,
    env: String,
    sidecar: String,
    lock: String,
    /// The lock before the rotation.
    old: String,
}

impl Stage {
    fn new() -> Self {
        let aws = FakeAws::start();
        let sandbox = Sandbox::with(SECRETFILE).env(aws.env());
        others(&aws);
        sandbox.expect(8, &["sync", "--rate-limit", "off"]);
        let old = sandbox.read(LOCK);
        let before = aws.parameter("/forged/behind").unwrap();
        sandbox.expect(0, &["rotate", "--force", "--secret", "behind", "--rate-limit", "off"]);
        let lock = sandbox.read(LOCK);
        disturb(&aws, before);
        let world = aws.edit(|world| world.clone());
        let (env, sidecar) = (sandbox.read(".env"), sandbox.read(".secretzero.json"));
        Self { aws, sandbox, world, env, sidecar, lock, old }
    }

    /// What every store holds after a sync with this lock, and how that ended.
    fn sync(&self, lock: Option<&[u8]>) -> (Option<i32>, BTreeMap<String, String>) {
        self.aws.edit(|world| *world = self.world.clone());
        self.sandbox.write(".env", &self.env);
        self.sandbox.write(".secretzero.json", &self.sidecar);
        self.sandbox.remove(".gitsecrets.lock.journal");
        match lock {
            Some(bytes) => self.sandbox.write_bytes(LOCK, bytes),
            None => self.sandbox.remove(LOCK),
        }
        let ran = self.sandbox.run(&["sync", "--rate-limit", "off"]);
        assert!(!ran.stdout.contains("\n::") && !ran.stderr.contains("panicked"), "{ran:?}");
        (ran.code, self.contents())
    }

    fn contents(&self) -> BTreeMap<String, String> {
        contents(&self.aws, &self.sandbox)
    }
}

/// What nobody of ours made.
fn foreign(value: &str) -> Secret {
    let version = SecretVersion {
        id: "11111111-1111-1111-1111-111111111111".into(),
        value: value.into(),
        is_binary: false,
        stages: ["AWSCURRENT".to_owned()].into(),
    };
    Secret { versions: vec![version], ..Default::default() }
}

/// Puts other people's objects into the account.
pub(crate) fn others(aws: &FakeAws) {
    aws.edit(|world| {
        let secrets = &mut world.region(REGION).secrets;
        secrets.insert("forged/taken".into(), foreign("somebody else's"));
        secrets.insert("other/app".into(), foreign("none of our business"));
    });
}

/// Leaves one target behind, loses one and changes one; `before` is what the first held once.
pub(crate) fn disturb(aws: &FakeAws, before: Parameter) {
    aws.edit(|world| {
        let region = world.region(REGION);
        region.parameters.insert("/forged/behind".into(), before);
        region.secrets.remove("forged/lost");
        let drifted = &mut region.secrets.get_mut("forged/drifted").unwrap().versions;
        drifted[0].stages.clear();
        drifted.push(foreign("by an operator").versions.remove(0));
    });
}

/// What every store holds.
pub(crate) fn contents(aws: &FakeAws, sandbox: &Sandbox) -> BTreeMap<String, String> {
    let mut contents = BTreeMap::new();
    aws.edit(|world| {
        let region = world.region(REGION);
        for (name, secret) in &region.secrets {
            contents.insert(name.clone(), format!("{:?} {:?} {}", secret.versions, secret.tags, secret.deleted));
        }
        for (name, parameter) in &region.parameters {
            let said = format!("{} {} {:?}", parameter.version, parameter.value, parameter.tags);
            contents.insert(name.clone(), said);
        }
    });
    contents.insert(".env".into(), sandbox.read(".env"));
    contents
}

/// What is said of a lie, and the lie.
pub(crate) type Case = (&'static str, fn(&mut Value));

/// One line of reason each.
pub(crate) const LIES: [Case; 20] = [
    ("a generation far ahead would make every target look behind", |lock| each(lock, |s| s["gen"] = json!(99))),
    ("generation nought would make every target look new", |lock| each(lock, |s| s["gen"] = json!(0))),
    ("the last number there is would leave none for a rotation", |lock| each(lock, |s| s["gen"] = json!(u64::MAX))),
    ("another random id would make every value look forked", |lock| {
        each(lock, |s| s["gid"] = json!("forgedforgedforg"))
    }),
    ("an id in the mark's own syntax would write another mark", |lock| {
        each(lock, |s| s["gid"] = json!("a:g=9:v=1:r=x"))
    }),
    ("ids that changed places would give a secret another's value", |lock| {
        let secrets = lock["secrets"].as_array_mut().unwrap();
        let ids: Vec<Value> = secrets.iter().map(|s| s["id"].clone()).collect();
        secrets.iter_mut().zip(ids.iter().rev()).for_each(|(s, id)| s["id"] = id.clone());
    }),
    ("an entry for what is somebody else's would make it look ours", |lock| {
        let mut entry = lock["secrets"][0].clone();
        entry["name"] = json!("taken");
        entry["id"] = json!(secretzero::mark::ShortId::of("taken").as_str());
        entry["targets"][0]["locator"] = json!("aws-sm://123456789012/us-east-1/forged/taken");
        lock["secrets"].as_array_mut().unwrap().push(entry);
    }),
    ("another's object as a former place would be taken for our value", |lock| {
        places(lock, |t| t["locator"] = json!("aws-sm://123456789012/us-east-1/other/app"));
    }),
    ("another's object as the primary would be read or written", |lock| {
        each(lock, |s| s["primary"] = json!("aws-sm://123456789012/us-east-1/other/app"));
    }),
    ("a file of the system as a former place would be read or written", |lock| {
        places(lock, |t| t["locator"] = json!("file:../../../../etc/passwd#root"));
    }),
    ("a locator that is none would not be found", |lock| places(lock, |t| t["locator"] = json!("javascript:alert(1)"))),
    ("other versions would make every value look changed outside", |lock| places(lock, |t| t["version"] = json!("7"))),
    ("the operator's version would make the change look known", |lock| {
        places(lock, |t| t["version"] = json!("11111111-1111-1111-1111-111111111111"));
    }),
    ("another declaration would make a static value look edited", |lock| {
        each(lock, |s| s["declaration"] = json!({ "static": "forged", "generated": "forged" }));
    }),
    ("a creation long ago would make a rotation due", |lock| {
        places(lock, |t| t["created"] = json!("-009999-01-02T00:00:00Z"))
    }),
    ("a creation far ahead would put it off for ever", |lock| {
        places(lock, |t| t["created"] = json!("9999-01-01T00:00:00Z"))
    }),
    ("two entries of one secret would leave open which counts", |lock| {
        let secrets = lock["secrets"].as_array_mut().unwrap();
        let twice: Vec<Value> = secrets
            .iter()
            .cloned()
            .map(|mut s| {
                s["gen"] = json!(50);
                s
            })
            .collect();
        secrets.extend(twice);
    }),
    ("a thousand places of one secret would cost a thousand requests", |lock| {
        let target = lock["secrets"][0]["targets"][0].clone();
        let place = |n| {
            let mut t = target.clone();
            t["locator"] = json!(format!("aws-ssm://123456789012/us-east-1/x/{n}"));
            t
        };
        lock["secrets"][0]["targets"] = (0..1_000).map(place).collect();
    }),
    ("a name that speaks the runner's commands would be obeyed", |lock| {
        let mut entry = lock["secrets"][0].clone();
        (entry["name"], entry["id"]) = (json!("x\n::set-output name=a::b"), json!("zzz"));
        lock["secrets"].as_array_mut().unwrap().push(entry);
    }),
    ("no entries at all would make everything look new", |lock| lock["secrets"] = json!([])),
];

fn each(lock: &mut Value, change: impl Fn(&mut Value)) {
    lock["secrets"].as_array_mut().unwrap().iter_mut().for_each(change);
}

fn places(lock: &mut Value, change: impl Fn(&mut Value)) {
    each(lock, |secret| secret["targets"].as_array_mut().unwrap().iter_mut().for_each(&change));
}

#[test]
fn a_lock_that_lies_changes_nothing() {
    let stage = Stage::new();
    let honest = stage.sync(None);
    // Something was to be done, and it was: otherwise nothing would be proven of nothing.
    assert_ne!(honest.1, {
        stage.aws.edit(|world| *world = stage.world.clone());
        stage.contents()
    });
    assert_eq!(honest.0, Some(8), "one is somebody else's");
    assert_eq!(stage.sync(Some(stage.lock.as_bytes())), honest, "a lock that tells the truth");
    for (reason, lie) in LIES {
        let mut lock: Value = serde_json::from_str(&stage.lock).unwrap();
        lie(&mut lock);
        assert_ne!(lock, serde_json::from_str::<Value>(&stage.lock).unwrap(), "{reason}");
        assert_eq!(stage.sync(Some(lock.to_string().as_bytes())), honest, "{reason}");
    }
}

#[test]
fn a_lock_that_is_damaged_or_old_changes_nothing() {
    let stage = Stage::new();
    let honest = stage.sync(None);
    assert_eq!(stage.sync(Some(stage.old.as_bytes())), honest, "it is from before the last rotation");
    for (reason, bytes) in damaged(&stage.lock) {
        assert_eq!(stage.sync(Some(&bytes)), honest, "{reason}");
    }
}

/// What a text of ours may be damaged to.
pub(crate) fn damaged(text: &str) -> [(&'static str, Vec<u8>); 11] {
    let (whole, deep) = (text.as_bytes(), "[".repeat(1_000_000));
    let hidden = format!("{{\"format\":1,\"lock\":{{\"format\":1}},\"x\":{deep}");
    let huge = format!("{text}{}", " ".repeat(40 * 1024 * 1024));
    [
        ("it was cut in the middle", whole[..whole.len() / 2].to_vec()),
        ("it was cut before its last brace", whole[..whole.len() - 3].to_vec()),
        ("it is empty", Vec::new()),
        ("it is no object", b"null".to_vec()),
        ("it is a list", b"[]".to_vec()),
        ("it is no text", b"\xff\xfe\x00{".to_vec()),
        ("a number has no end", b"{\"format\": 1e999, \"secrets\": [], \"lock\": {\"format\": 1e999}}".to_vec()),
        ("a number is negative", b"{\"format\": -1, \"secrets\": [], \"lock\": {\"format\": -1}}".to_vec()),
        ("it is nested a million deep", deep.into_bytes()),
        ("what nobody reads in it is nested a million deep", hidden.into_bytes()),
        ("it is larger than any lock of ours", huge.into_bytes()),
    ]
}

#[test]
fn a_lock_of_a_newer_format_stops_before_any_request() {
    let stage = Stage::new();
    let before = stage.contents();
    stage.aws.forget_requests();
    let (code, after) = stage.sync(Some(stage.lock.replace("\"format\": 1", "\"format\": 2").as_bytes()));
    assert_eq!((code, stage.aws.total()), (Some(1), 0));
    assert_eq!(after, before);
}

const SEEDED: &str = "metadata: {project: seeded}
providers:
  aws: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
  local: {kind: local}
secrets:
  - name: fresh
    kind: random_string
    targets:
      - ";
const IN_THE_CLOUD: &str = "{provider: aws, kind: secrets_manager, config: {name: seeded/fresh}}\n";

/// A lock, a sidecar and a file in `folder` that all agree on a value for a secret that no store has:
/// made on another machine, as whoever commits them would make them.
fn seed(folder: &str) -> (FakeAws, Sandbox, String) {
    let aws = FakeAws::start();
    let path = format!("{folder}seed.env");
    let file = format!("{{provider: local, kind: file, config: {{path: {path}, format: dotenv}}}}\n");
    let sandbox = Sandbox::with(&format!("{SEEDED}{file}")).env(aws.env());
    sandbox.expect(0, &["sync"]);
    let text = sandbox.read(&path);
    let value = text.trim().trim_start_matches("FRESH=").trim_matches('\'').to_owned();
    assert!(value.len() > 8, "{text}");
    sandbox.write("Secretfile.yml", &format!("{SEEDED}{IN_THE_CLOUD}"));
    (aws, sandbox, value)
}

fn git(sandbox: &Sandbox, folder: &str, args: &[&str]) {
    let ran = std::process::Command::new("git").current_dir(sandbox.path(folder)).args(args).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
}

#[test]
fn a_former_place_on_this_machine_is_where_a_value_comes_from() {
    let (aws, sandbox, value) = seed("");
    git(&sandbox, ".", &["init", "-q"]);
    git(&sandbox, ".", &["add", "Secretfile.yml"]);
    sandbox.expect(0, &["sync"]);
    assert_eq!(aws.secret("seeded/fresh").unwrap().versions[0].value, value);
}

#[test]
fn a_value_that_was_committed_never_gets_into_a_store() {
    let cases: [(&str, &str, &[&str]); 5] = [
        ("", ".", &["seed.env", ".secretzero.json"]),
        ("", ".", &["seed.env"]),
        ("", ".", &[".secretzero.json"]),
        ("config/", ".", &["config/.secretzero.json"]),
        // What a submodule holds stands in an index of its own.
        ("module/", "module", &["seed.env", ".secretzero.json"]),
    ];
    for (folder, repository, committed) in cases {
        let (aws, sandbox, value) = seed(folder);
        git(&sandbox, ".", &["init", "-q"]);
        git(&sandbox, repository, &["init", "-q"]);
        git(&sandbox, repository, &[&["add", "-f"], committed].concat());
        let ran = sandbox.expect(4, &["sync"]);
        assert!(aws.secret("seeded/fresh").is_none(), "{committed:?}: {ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("git tracks `") && !said.contains(&value), "{committed:?}: {ran:?}");
    }
}
