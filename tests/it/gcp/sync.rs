//! The real binary against the fake, and what it wrote read back with Google's own client.

use serde_json::json;

use super::judge::read;
use crate::fake::gcp::{FakeGcp, Fault, Nth};
use crate::sandbox::Sandbox;

/// The provider of the specification's example, and every field of a target.
const COMPLETE: &str = r#"
version: "1.0"
metadata:
  project: google
secrets:
  - name: database_password
    kind: random_password
    config: {length: 24}
    targets:
      - provider: gcp
        kind: secret_manager
        config:
          secret_id: database-password
          labels: {environment: production, data-classification: confidential}
          annotations: {owner: "platform-team@example.com"}
          replication:
            user_managed:
              - {location: europe-west1, kms_key: projects/shop-prod/locations/europe-west1/keyRings/a/cryptoKeys/b}
              - {location: europe-west4, kms_key: projects/shop-prod/locations/europe-west4/keyRings/a/cryptoKeys/b}
          topics: [projects/shop-prod/topics/rotate]
          rotation_period: 30d
          next_rotation_time: "2031-01-01T00:00:00Z"
          expire_time: "2033-01-01T00:00:00Z"
          keep_versions: 2
  - name: service_account
    kind: templates.pair
templates:
  pair:
    fields:
      username: {generator: {kind: static, config: {default: app}}}
      password: {generator: {kind: random_string, config: {length: 20}}}
    targets:
      - {provider: gcp, kind: secret_manager, config: {secret_id: service-account}}
      - {provider: local, kind: file, config: {path: pair.json, format: json}}
"#;

const SYNC: [&str; 3] = ["sync", "--rate-limit", "off"];

/// The Google block of the specification, with the fake's project.
fn secretfile(rest: &str) -> String {
    let example = include_str!("../../fixtures/examples/13-auth-gcp.yml").replace("my-production-project", "shop-prod");
    format!("{}\n{}", rest.trim_start(), example.replace("providers:\n", "providers:\n  local:\n    kind: local\n"))
}

fn sandbox(fake: &FakeGcp) -> Sandbox {
    Sandbox::with(&secretfile(COMPLETE)).env(fake.env())
}

#[test]
fn a_sync_is_read_back_by_googles_client_and_the_next_changes_nothing() {
    let fake = FakeGcp::start();
    let sandbox = sandbox(&fake);
    sandbox.expect(0, &SYNC);
    let secret = read(&fake, "database-password");
    assert_eq!(secret["value"].as_str().unwrap().chars().count(), 24);
    assert_eq!(secret["labels"], json!({"environment": "production", "data-classification": "confidential"}));
    assert_eq!(secret["annotations"]["owner"], "platform-team@example.com");
    assert!(secret["annotations"]["secretzero"].as_str().unwrap().contains(":g=1:"));
    let replicas = secret["replication"]["userManaged"]["replicas"].as_array().unwrap();
    assert_eq!(replicas.len(), 2);
    assert_eq!(replicas[1]["location"], "europe-west4");
    assert!(replicas[1]["customerManagedEncryption"]["kmsKeyName"].as_str().unwrap().contains("europe-west4"));
    assert_eq!(secret["topics"], json!([{"name": "projects/shop-prod/topics/rotate"}]));
    assert_eq!(secret["rotation"]["rotationPeriod"], "2592000s");
    assert_eq!(secret["rotation"]["nextRotationTime"], "2031-01-01T00:00:00Z");
    assert_eq!(secret["expireTime"], "2033-01-01T00:00:00Z");
    let pair: serde_json::Value = serde_json::from_str(&sandbox.read("pair.json")).unwrap();
    let stored: serde_json::Value =
        serde_json::from_str(read(&fake, "service-account")["value"].as_str().unwrap()).unwrap();
    assert_eq!((&stored, stored["username"].as_str()), (&pair["service_account"], Some("app")));

    fake.forget_requests();
    sandbox.expect(0, &SYNC);
    assert_eq!(fake.effects(), 0, "nothing is written");
    fake.forget_requests();
    sandbox.expect(0, &["drift"]);
    assert_eq!((fake.effects(), fake.count("versions.access")), (0, 0), "no value is read");

    for generation in 2..=4 {
        sandbox.expect(0, &["rotate", "--force", "--secret", "database_password", "--rate-limit", "off"]);
        let mark = read(&fake, "database-password")["annotations"]["secretzero"].to_string();
        assert!(mark.contains(&format!(":g={generation}:")), "{mark}");
    }
    let secret = read(&fake, "database-password");
    assert_eq!(secret["states"], json!(["DESTROYED", "DISABLED", "ENABLED", "ENABLED"]));
}

#[test]
fn a_connection_is_tested_and_shows_who_we_are() {
    let fake = FakeGcp::start();
    let ran = sandbox(&fake).expect(0, &["test"]);
    assert!(ran.stdout.contains("✓ gcp: machine@shop-prod.iam.gserviceaccount.com in"), "{}", ran.stdout);
    fake.trust(|sign_in| sign_in.no_machine = true);
    let ran = sandbox(&fake).expect(4, &["test"]);
    assert!(ran.stdout.contains("gcloud auth application-default login"), "{}", ran.stdout);
}

#[test]
fn metadata_that_is_edited_is_changed_without_a_new_version() {
    let fake = FakeGcp::start();
    let sandbox = sandbox(&fake);
    sandbox.expect(0, &SYNC);
    sandbox.write("Secretfile.yml", &secretfile(&COMPLETE.replace("environment: production", "environment: staging")));
    fake.forget_requests();
    let plan = sandbox.expect(0, &["sync", "--dry-run"]);
    assert!(plan.stdout.contains("environment"), "{}", plan.stdout);
    assert_eq!(fake.effects(), 0);
    sandbox.expect(0, &SYNC);
    assert_eq!((fake.effects(), fake.count("secrets.update")), (1, 1));
    assert_eq!(read(&fake, "database-password")["labels"]["environment"], "staging");
}

#[test]
fn replication_that_is_edited_is_refused_by_the_plan() {
    let fake = FakeGcp::start();
    let sandbox = sandbox(&fake);
    sandbox.expect(0, &SYNC);
    let moved = COMPLETE.replace("europe-west4", "europe-west9");
    sandbox.write("Secretfile.yml", &secretfile(&moved));
    let plan = sandbox.run(&["sync", "--dry-run"]);
    let said = format!("{}{}", plan.stdout, plan.stderr);
    assert!(said.contains("Google fixes the replication of a secret when it is made"), "{said}");
}

#[test]
fn a_foreign_secret_is_held_and_adopted_with_its_value() {
    let fake = FakeGcp::start();
    let file = "metadata: {project: g}\nsecrets:\n  - name: token\n    kind: random_password\n    targets:\n      - {provider: gcp, kind: secret_manager, config: {secret_id: token}}\n";
    let sandbox = Sandbox::with(&secretfile(file)).env(fake.env());
    fake.edit(|world| {
        let fields =
            json!({"replication": {"automatic": {}}, "etag": "\"1\"", "createTime": "2030-01-01T00:00:00.000001Z"});
        let fields = fields.as_object().unwrap().clone();
        world.secrets.insert("token".into(), crate::fake::gcp::Secret { fields, versions: Vec::new() });
        world.add("token", b"theirs", false);
        world.annotate("token", "note", Some("ours"));
    });
    sandbox.expect(8, &SYNC);
    assert_eq!(fake.effects(), 0);
    sandbox.expect(0, &["sync", "--adopt", "--rate-limit", "off"]);
    let secret = read(&fake, "token");
    assert_eq!((secret["value"].as_str(), secret["annotations"]["note"].as_str()), (Some("theirs"), Some("ours")));
    assert_eq!(fake.secret("token").unwrap().versions.len(), 1);
}

#[test]
fn a_run_that_dies_or_hears_nothing_at_any_call_is_finished_by_the_next() {
    for fault in [Fault::CutAfter, Fault::CutBefore, Fault::LostReply, Fault::Twice] {
        for call in 1.. {
            let fake = FakeGcp::start();
            let sandbox = sandbox(&fake);
            fake.fault(Nth::Call(call), fault.clone());
            let child = sandbox.spawn(&SYNC);
            fake.victim(child.id());
            let first = child.wait_with_output().unwrap();
            let finished = fake.calls() < call;
            fake.revive();
            let held: Vec<Option<String>> = held(&fake);
            sandbox.expect(0, &SYNC);
            let case = format!("{fault:?} at call {call}, {:?}", first.status.code());
            for (before, id) in held.into_iter().zip(["database-password", "service-account"]) {
                let enabled = fake.secret(id).unwrap().enabled();
                assert_eq!(enabled.len(), 1, "{case}: {id} holds one version");
                assert!(before.is_none_or(|before| before == enabled[0].1), "{case}: {id} keeps its value");
                let mark = fake.secret(id).unwrap().annotation("secretzero").unwrap().to_owned();
                assert!(mark.contains(":g=1:") && mark.contains(&format!(":v={}:", enabled[0].0)), "{case}: {mark}");
            }
            fake.forget_requests();
            sandbox.expect(0, &SYNC);
            assert_eq!(fake.effects(), 0, "{case}");
            if finished {
                break;
            }
        }
    }
}

/// The value that each secret holds now.
fn held(fake: &FakeGcp) -> Vec<Option<String>> {
    let value = |id| fake.secret(id).and_then(|secret| secret.enabled().last().map(|(_, text)| text.clone()));
    ["database-password", "service-account"].into_iter().map(value).collect()
}

#[test]
fn a_store_that_is_down_leaves_the_rest_and_is_finished_later() {
    let fake = FakeGcp::start();
    let sandbox = sandbox(&fake);
    fake.deny("versions.add database-password");
    sandbox.expect(8, &SYNC);
    assert_eq!(fake.secret("service-account").unwrap().versions.len(), 1);
    assert_eq!(fake.secret("database-password").unwrap().versions.len(), 0);
    fake.allow_all();
    sandbox.expect(0, &SYNC);
    assert_eq!(fake.secret("database-password").unwrap().enabled().len(), 1);
}

#[test]
fn an_import_declares_what_a_sync_then_adopts() {
    let fake = FakeGcp::start();
    sandbox(&fake).expect(0, &SYNC);
    // As if somebody else had made it.
    fake.edit(|world| world.annotate("database-password", "secretzero", None));
    let block = secretfile("metadata: {project: imported}\nsecrets: []\n");
    let sandbox = Sandbox::with(&block).env(fake.env());
    let ran = sandbox.expect(0, &["import", "--provider", "gcp", "--prefix", "database"]);
    let entries = ran.stdout.split_once("secrets:\n").unwrap().1.to_owned();
    insta::assert_snapshot!(entries, @r#"
    - name: password
      kind: external
      adopt: true
      targets:
        - provider: gcp
          kind: secret_manager
          config:
            project_id: shop-prod
            secret_id: database-password
            annotations:
              owner: "platform-team@example.com"
            replication:
              user_managed:
                  - location: europe-west1
                    kms_key: projects/shop-prod/locations/europe-west1/keyRings/a/cryptoKeys/b
                  - location: europe-west4
                    kms_key: projects/shop-prod/locations/europe-west4/keyRings/a/cryptoKeys/b
            topics:
              - projects/shop-prod/topics/rotate
            rotation_period: 720h
            next_rotation_time: "2031-01-01T00:00:00Z"
            expire_time: "2033-01-01T00:00:00Z"
            labels:
              data-classification: confidential
              environment: production
    "#);
    sandbox.write("Secretfile.yml", &block.replace("secrets: []", &format!("secrets:\n{entries}")));
    fake.forget_requests();
    sandbox.expect(0, &SYNC);
    assert_eq!((fake.effects(), fake.count("secrets.update")), (1, 1), "marked, and no more");
}

#[test]
fn what_stands_in_a_project_is_imported_and_adopted_as_it_is() {
    let fake = FakeGcp::start();
    let sandbox = Sandbox::with(&secretfile("metadata: {project: shop}\nsecrets: []\n")).env(fake.env());
    // Made by hand: the mark of whoever made it is taken away.
    let made = Sandbox::with(&secretfile(COMPLETE)).env(fake.env());
    made.expect(0, &SYNC);
    fake.edit(|world| {
        for id in ["database-password", "service-account"] {
            world.annotate(id, "secretzero", None);
        }
    });
    let before = read(&fake, "database-password");
    let args = ["import", "--provider", "gcp", "--output", "part.yml", "--rate-limit", "off"];
    let ran = sandbox.expect(0, &args);
    assert!(ran.stderr.contains("2 objects to adopt"), "{}", ran.stderr);
    let part = sandbox.read("part.yml");
    for said in
        ["secret_id: database-password", "data-classification: confidential", "user_managed:", "kms_key:", "topics:"]
    {
        assert!(part.contains(said), "{said}\n{part}");
    }
    sandbox.expect(0, &["-f", "part.yml", "sync", "--rate-limit", "off", "--secret", "database-password"]);
    let after = read(&fake, "database-password");
    assert_eq!((&after["value"], &after["states"]), (&before["value"], &before["states"]));
    assert!(after["annotations"]["secretzero"].as_str().unwrap().ends_with(":a=1"), "{after}");
}

#[test]
fn a_name_that_another_project_claimed_is_held_even_without_a_value() {
    let fake = FakeGcp::start();
    let theirs = secretfile(COMPLETE).replace("project: google", "project: other");
    Sandbox::with(&theirs).env(fake.env()).expect(0, &SYNC);
    fake.edit(|world| world.set_state("database-password", 1, "DESTROYED"));
    fake.forget_requests();
    let plan = ["sync", "--dry-run", "--rate-limit", "off"];
    let said = sandbox(&fake).run(&plan);
    assert!(format!("{said:?}").contains("its mark belongs to another project"), "{said:?}");
    // Whoever claimed it writes there again.
    let said = Sandbox::with(&theirs).env(fake.env()).run(&plan);
    assert_eq!(fake.effects(), 0);
    assert!(!format!("{said:?}").contains("its mark belongs to another project"), "{said:?}");
}
