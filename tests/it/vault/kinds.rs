//! Roles, keys and entries of both versions in one file: what changes is changed, what never can is
//! told, and nothing is touched twice.

use serde_json::json;

use super::Bao;
use super::sync::{read_back, sandbox};
use crate::sandbox::Sandbox;

const ALL: &str = r#"
metadata: {project: kinds}
providers:
  vault:
    kind: vault
    auth: {kind: token, config: {token: "${VAULT_TOKEN}", url: "${VAULT_ADDR}"}}
secrets:
  - name: account
    kind: templates.account
    targets:
      - {provider: vault, kind: kv, config: {path: app/account, version: 1, mount_point: kv1}}
      - {provider: vault, kind: kv, config: {path: app/account, metadata: {team: core}}}
      - {provider: vault, kind: transit_key, config: {key_name: account}}
  - name: readers
    kind: static
    config: {default: none}
    targets:
      - provider: vault
        kind: database_role
        config:
          role_name: readers
          db_name: postgres-prod
          creation_statements: |
            CREATE ROLE "{{name}}" LOGIN;
          default_ttl: 1h
  - name: signing
    kind: static
    rotation_period: 30d
    config: {default: none}
    targets:
      - provider: vault
        kind: transit_key
        config: {key_name: signing, key_type: ed25519, auto_rotate_period: 30d, deletion_allowed: true}
templates:
  account:
    fields:
      username: {generator: {kind: static, config: {default: app}}}
      password: {generator: {kind: random_password, config: {length: 24}}}
"#;

async fn stage() -> (Bao, super::proxy::Proxy, Sandbox) {
    let bao = Bao::start().await;
    bao.engines().await;
    bao.mount("kv1", "kv", json!({ "version": "1" })).await;
    let proxy = bao.proxy();
    let sandbox = sandbox(ALL, &proxy);
    (bao, proxy, sandbox)
}

fn edit(sandbox: &Sandbox, from: &str, to: &str) {
    let text = sandbox.read("Secretfile.yml");
    assert!(text.contains(from), "{from}");
    sandbox.write("Secretfile.yml", &text.replace(from, to));
}

#[tokio::test]
async fn every_kind_is_written_once_and_changed_as_declared() {
    let (bao, proxy, sandbox) = stage().await;
    sandbox.expect(0, &["sync"]);
    let asked = ["kv1 app/account", "kv2 app/account", "role readers", "key signing", "key account"];
    let stored = read_back(&bao, &asked);
    assert_eq!(stored[asked[0]], stored[asked[1]]["data"]);
    assert_eq!(stored[asked[0]]["username"], "app");
    assert_eq!((&stored[asked[3]]["type"], &stored[asked[3]]["deletion_allowed"]), (&json!("ed25519"), &json!(true)));
    assert_eq!(stored[asked[3]]["auto_rotate_period"], 30 * 86_400);
    proxy.forget();
    sandbox.expect(0, &["sync"]);
    assert_eq!(proxy.writes(), Vec::<String>::new());

    // Others add to the metadata and to the role; an edit leaves that alone.
    let patch = json!({ "custom_metadata": { "theirs": "1" } });
    bao.call(reqwest::Method::PATCH, "secret/metadata/app/account", Some(patch)).await;
    bao.post("database/roles/readers", json!({ "revocation_statements": ["DROP ROLE x;"] })).await;
    edit(&sandbox, "default_ttl: 1h", "default_ttl: 2h");
    edit(&sandbox, "team: core", "team: edge");
    edit(&sandbox, "deletion_allowed: true", "deletion_allowed: false, exportable: true");
    proxy.forget();
    let ran = sandbox.expect(2, &["sync", "--dry-run", "--detailed-exitcode"]);
    for change in ["default_ttl", "tag:team", "deletion_allowed", "exportable"] {
        assert!(ran.stdout.contains(change), "{change}\n{}", ran.stdout);
    }
    sandbox.expect(0, &["sync"]);
    let changed = read_back(&bao, &asked);
    assert_eq!(changed[asked[0]], stored[asked[0]], "no value changed");
    assert_eq!(changed[asked[1]]["version"], 1);
    assert_eq!(
        (&changed[asked[1]]["metadata"]["team"], &changed[asked[1]]["metadata"]["theirs"]),
        (&json!("edge"), &json!("1"))
    );
    assert_eq!(
        (&changed[asked[2]]["default_ttl"], &changed[asked[2]]["revocation_statements"][0]),
        (&json!(7200), &json!("DROP ROLE x;"))
    );
    assert_eq!(
        (&changed[asked[3]]["deletion_allowed"], &changed[asked[3]]["exportable"]),
        (&json!(false), &json!(true))
    );
    proxy.forget();
    sandbox.expect(0, &["sync"]);
    assert_eq!(proxy.writes(), Vec::<String>::new());
}

#[tokio::test]
async fn what_can_never_change_is_told_before_anything_is_done() {
    let (_bao, proxy, sandbox) = stage().await;
    sandbox.expect(0, &["sync"]);
    for (from, to, said) in [
        ("key_type: ed25519", "key_type: rsa-2048", "`key_type: ed25519`, which is fixed when a key is made"),
        ("db_name: postgres-prod", "db_name: postgres-prd", "did you mean `postgres-prod`?"),
        ("default_ttl: 1h", "default_ttl: 1h\n          max_ttl: 10m", "longer than `max_ttl`"),
    ] {
        let before = sandbox.read("Secretfile.yml");
        edit(&sandbox, from, to);
        proxy.forget();
        let ran = sandbox.run(&["sync"]);
        assert_ne!(ran.code, Some(0), "{ran:?}");
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(said), "{said}\n{ran:?}");
        assert_eq!(proxy.writes(), Vec::<String>::new());
        sandbox.write("Secretfile.yml", &before);
    }
    // A longest lifetime that somebody else set counts as well.
    edit(&sandbox, "deletion_allowed: true", "deletion_allowed: true, exportable: true");
    sandbox.expect(0, &["sync"]);
    edit(&sandbox, "exportable: true", "exportable: false");
    let ran = sandbox.run(&["sync"]);
    assert!(format!("{ran:?}").contains("cannot be turned off again"), "{ran:?}");
}

#[tokio::test]
async fn a_rotation_gives_keys_a_new_version_and_leaves_roles_alone() {
    let (bao, proxy, sandbox) = stage().await;
    sandbox.expect(0, &["sync"]);
    let before = read_back(&bao, &["kv2 app/account", "role readers"]);
    sandbox.expect(0, &["rotate", "--force", "--secret", "account"]);
    sandbox.expect(0, &["rotate", "--force", "--secret", "signing"]);
    let after = read_back(&bao, &["kv2 app/account", "kv1 app/account", "role readers", "key account", "key signing"]);
    assert_ne!(after["kv2 app/account"]["data"], before["kv2 app/account"]["data"]);
    assert_eq!(after["kv1 app/account"], after["kv2 app/account"]["data"]);
    assert_eq!(after["role readers"], before["role readers"]);
    assert_eq!(
        (&after["key account"]["latest_version"], &after["key signing"]["latest_version"]),
        (&json!(2), &json!(2))
    );
    proxy.forget();
    sandbox.expect(0, &["sync"]);
    sandbox.expect(0, &["rotate"]);
    assert_eq!(proxy.writes(), Vec::<String>::new(), "neither is due");
}

#[tokio::test]
async fn a_role_of_somebody_else_is_held_until_it_is_taken_over() {
    let (bao, proxy, sandbox) = stage().await;
    let theirs = json!({ "db_name": "postgres-prod", "creation_statements": ["CREATE USER x;"] });
    bao.post("database/roles/readers", theirs).await;
    bao.post("transit/keys/signing", json!({ "type": "ed25519", "auto_rotate_period": "720h" })).await;
    let ran = sandbox.expect(8, &["sync"]);
    assert!(format!("{ran:?}").contains("the lock does not know it"), "{ran:?}");
    let held = read_back(&bao, &["role readers", "key signing"]);
    assert_eq!(held["role readers"]["creation_statements"][0], "CREATE USER x;");
    assert_eq!(held["key signing"]["deletion_allowed"], false);
    sandbox.expect(0, &["sync", "--adopt"]);
    let taken = read_back(&bao, &["role readers", "key signing"]);
    assert_eq!(taken["role readers"]["creation_statements"][0], "CREATE ROLE \"{{name}}\" LOGIN;");
    assert_eq!(taken["key signing"]["deletion_allowed"], true);
    // Whoever changes it now changes what is ours: told as drift, and set back.
    bao.post("database/roles/readers", json!({ "creation_statements": ["CREATE USER y;"] })).await;
    let ran = sandbox.run(&["drift"]);
    assert!(format!("{ran:?}").contains("creation_statements"), "{ran:?}");
    proxy.forget();
    sandbox.expect(0, &["sync"]);
    assert_eq!(proxy.writes(), ["POST database/roles/readers"]);
}

/// Version 1 keeps no mark, so an equal value beside one in force is taken over, and another is not.
#[tokio::test]
async fn an_entry_without_a_mark_is_known_by_its_value_or_by_the_lock() {
    let (bao, proxy, sandbox) = stage().await;
    sandbox.expect(0, &["sync"]);
    sandbox.remove(".gitsecrets.lock");
    proxy.forget();
    sandbox.expect(0, &["sync"]);
    assert_eq!(proxy.writes(), Vec::<String>::new(), "an equal value only enters the lock");
    sandbox.remove(".gitsecrets.lock");
    bao.post("kv1/app/account", json!({ "username": "app", "password": "theirs" })).await;
    let ran = sandbox.expect(8, &["sync"]);
    assert!(format!("{ran:?}").contains("it holds another value than the other targets"), "{ran:?}");
    assert_eq!(read_back(&bao, &["kv1 app/account"])["kv1 app/account"]["password"], "theirs");
    sandbox.expect(0, &["sync", "--overwrite"]);
    let both = read_back(&bao, &["kv1 app/account", "kv2 app/account"]);
    assert_eq!(both["kv1 app/account"], both["kv2 app/account"]["data"]);
}

#[tokio::test]
async fn a_deleted_entry_is_taken_back_with_its_value() {
    let (bao, _proxy, sandbox) = stage().await;
    sandbox.expect(0, &["sync"]);
    let before = read_back(&bao, &["kv2 app/account"]);
    bao.call(reqwest::Method::DELETE, "secret/data/app/account", None).await;
    let ran = sandbox.run(&["drift"]);
    assert!(ran.stdout.contains("scheduled for deletion"), "{ran:?}");
    sandbox.expect(0, &["sync"]);
    assert_eq!(read_back(&bao, &["kv2 app/account"]), before);
    // A value that was put there by hand is drift, not ours to replace.
    bao.post("secret/data/app/account", json!({ "data": { "username": "app", "password": "by hand" } })).await;
    let ran = sandbox.run(&["drift"]);
    assert!(ran.stdout.contains("changed outside"), "{ran:?}");
}

/// The path of a key or a role is that of a value in a key-value store, and of an exported key below the
/// transit engine: whoever writes the mount must not have it read and shown.
#[tokio::test]
async fn what_is_no_key_and_no_role_is_not_even_read() {
    let (bao, proxy, _) = stage().await;
    let value = json!({ "type": "VALUE-CANARY", "db_name": "VALUE-CANARY", "creation_statements": ["VALUE-CANARY"] });
    bao.post("kv1/keys/prod", value.clone()).await;
    bao.post("kv1/roles/prod", value.clone()).await;
    bao.post("secret/data/roles/prod", json!({ "data": value })).await;
    bao.post("transit/keys/keys", json!({ "exportable": true })).await;
    let key =
        |mount: &str, name: &str| format!("kind: transit_key, config: {{mount_point: {mount}, key_name: \"{name}\"}}");
    let role = |mount: &str| {
        let config = format!("database_mount: {mount}, role_name: prod, db_name: d, creation_statements: [x]");
        format!("kind: database_role, config: {{{config}}}")
    };
    for (target, engine) in [
        (key("kv1", "prod"), "an engine of type `kv` and not `transit`"),
        (
            key("transit/export/encryption-key", "1"),
            "an engine of type `transit, mounted at transit/` and not `transit`",
        ),
        (key("nowhere", "prod"), "does not tell what is mounted at `nowhere`"),
        (role("kv1"), "an engine of type `kv` and not `database`"),
        (role("secret/data"), "an engine of type `kv, mounted at secret/` and not `database`"),
    ] {
        let (before, _) = ALL.split_once("  - name: account").unwrap();
        let secret = format!(
            "  - {{name: s, kind: static, config: {{default: none}}, targets: [{{provider: vault, {target}}}]}}\n"
        );
        let sandbox = sandbox(&format!("{before}{secret}"), &proxy);
        proxy.forget();
        let ran = sandbox.run(&["sync", "--dry-run"]);
        let said = format!("{ran:?}");
        assert!(ran.code != Some(0) && said.contains(engine) && !said.contains("CANARY"), "{target}: {said}");
        let asked: Vec<String> = proxy.asked().into_iter().map(|asked| asked.path).collect();
        let own = |path: &String| path.starts_with("auth/token/") || path.starts_with("sys/internal/ui/mounts/");
        assert!(asked.iter().all(own), "{target}: {asked:?}");
    }
}
