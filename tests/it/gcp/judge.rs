//! The fake, judged: Google's Python client goes through its paces against it, and every request it
//! got and every answer it gave fits the discovery document that Google ships.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use secretzero::provider::{Expect, Provider, Reading};
use secretzero::target::{ReplicaRegion, Replication, TargetKind};
use serde_json::Value as Json;

use super::{connected, place};
use crate::conformance::{look, options, text, value, write};
use crate::fake::gcp::FakeGcp;
use crate::servers::exported;

const JUDGE: &str = include_str!("judge.py");

fn python(args: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(exported("PYTHON"));
    command.args(["-c", JUDGE]).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("NO_PROXY", "127.0.0.1");
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What the judge says; its verdict must be good.
#[track_caller]
fn judged(args: &[&str], stdin: &str) -> String {
    let output = python(args, stdin);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A secret as Google's client reads it, its value included.
pub(super) fn read(fake: &FakeGcp, id: &str) -> Json {
    let token = fake.trust(|sign_in| sign_in.token("judge"));
    serde_json::from_str(&judged(&["read", fake.url(), &token, id], "")).unwrap()
}

fn lines(fake: &FakeGcp) -> String {
    fake.exchanges().iter().map(|exchange| format!("{exchange}\n")).collect()
}

#[test]
fn googles_own_client_finds_nothing_wrong() {
    let fake = FakeGcp::start();
    let token = fake.trust(|sign_in| sign_in.token("judge"));
    assert_eq!(judged(&["client", fake.url(), &token], "").trim(), "ok");
    // What Google's client sends and understands fits its document, or the check is wrong.
    let counts: Json = serde_json::from_str(&judged(&["schema"], &lines(&fake))).unwrap();
    assert!(counts["secretmanager.projects.secrets.patch"].as_u64() > Some(0), "{counts}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_of_ours_fits_googles_document() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let replica = ReplicaRegion { region: "europe-west1".into(), kms_key_id: None };
    let at = place("db", |settings| {
        settings.labels = [("team".to_owned(), "core".to_owned())].into();
        settings.replication = Replication::UserManaged(vec![replica]);
        settings.topics = vec!["projects/shop-prod/topics/rotate".into()];
        settings.rotation_period_seconds = Some(86_400);
        settings.next_rotation_time = Some("2031-01-01T00:00:00Z".parse().unwrap());
        settings.expire_time = Some(secretzero::target::When::At("2033-01-01T00:00:00Z".parse().unwrap()));
        settings.keep_versions = Some(1);
    });
    let mut version = write(&provider, &at, &text("v"), 1, Expect::Absent).await.unwrap();
    for number in 2..=3 {
        version = write(&provider, &at, &text("w"), number, Expect::Version(version)).await.unwrap();
    }
    let options = options(&provider, &at, 3, Expect::Version(version)).await;
    provider.annotate(&at, &["tag:team".into(), "expire_time".into()], &options).await.unwrap();
    for n in 0..4 {
        write(&provider, &place(&format!("s{n}"), |_| {}), &text("v"), 1, Expect::Absent).await.unwrap();
    }
    look(&provider, &at, Reading::Each).await.unwrap();
    assert_eq!(value(&provider, &at).await.as_deref(), Ok("w"));
    provider.list(TargetKind::SecretManager, "s").await.unwrap();
    fake.edit(|world| world.set_state("db", 3, "DISABLED"));
    fake.edit(|world| world.set_state("db", 2, "ENABLED"));
    look(&provider, &at, Reading::Each).await.unwrap();
    let counts: Json = serde_json::from_str(&judged(&["schema"], &lines(&fake))).unwrap();
    let methods: Vec<&String> = counts.as_object().unwrap().keys().collect();
    assert_eq!(methods.len(), 10, "{methods:?}");
}

#[test]
fn the_document_refuses_what_it_does_not_know() {
    let good = r#"{"method":"GET","path":"/v1/projects/p/secrets","query":[["pageSize","5"]],"body":null,"answer":{}}"#;
    judged(&["schema"], good);
    for bad in [
        good.replace("pageSize", "pagesize"),
        good.replace("\"answer\":{}", "\"answer\":{\"secretz\":[]}"),
        good.replace("/secrets", "/secretz"),
        good.replace("\"answer\":{}", "\"answer\":{\"totalSize\":\"many\"}"),
    ] {
        assert!(!python(&["schema"], &bad).status.success(), "{bad}");
    }
}
