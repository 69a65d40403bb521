//! The specification's Vault files, synced by the real program as they are written, and read back with
//! HashiCorp's Python client.

use std::process::Command;

use serde_json::{Value as Json, json};

use super::Bao;
use super::proxy::Proxy;
use crate::sandbox::Sandbox;
use crate::servers::exported;

// As the page has it the file is no YAML: a list goes on inside a mapping. These are its two readings.
const NESTED: &str = include_str!("../../fixtures/examples/04b-vault-specific-nested-templates.yml");
const REORDERED: &str = include_str!("../../fixtures/examples/04c-vault-specific-reordered.yml");
const LOGIN: &str = include_str!("../../fixtures/examples/12-auth-vault.yml");
const HYBRID: &str = include_str!("../../fixtures/examples/06-hybrid-vault.yml");

/// A folder whose program meets Vault through a proxy, as root.
pub(super) fn sandbox(secretfile: &str, proxy: &Proxy) -> Sandbox {
    Sandbox::with(secretfile).env([("VAULT_ADDR", proxy.url()), ("VAULT_TOKEN", "root")])
}

/// What hvac reads: `kv2 PATH`, `kv1 PATH`, `role NAME` or `key NAME`.
pub(super) fn read_back(bao: &Bao, asked: &[&str]) -> Json {
    let script = r"
import hvac, json, sys
client = hvac.Client(url=sys.argv[1], token='root', namespace=sys.argv[2])
out = {}
for asked in sys.argv[3:]:
    kind, name = asked.split(' ')
    if kind == 'kv2':
        got = client.secrets.kv.v2.read_secret_version(path=name, mount_point='secret', raise_on_deleted_version=True)
        out[asked] = {'data': got['data']['data'], 'metadata': got['data']['metadata']['custom_metadata'],
                      'version': got['data']['metadata']['version']}
    elif kind == 'kv1':
        out[asked] = client.secrets.kv.v1.read_secret(path=name, mount_point='kv1')['data']
    elif kind == 'role':
        out[asked] = client.secrets.database.read_role(name=name)['data']
    else:
        out[asked] = client.secrets.transit.read_key(name=name)['data']
print(json.dumps(out))
";
    let output = Command::new(exported("PYTHON"))
        .args(["-c", script, bao.url(), &bao.namespace])
        .args(asked)
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn the_specifications_file_is_synced_once_however_it_is_laid_out() {
    let bao = Bao::start().await;
    bao.engines().await;
    let proxy = bao.proxy();
    let sandbox = sandbox(NESTED, &proxy);
    let ran = sandbox.expect(0, &["sync"]);
    for told in ["vault_app_secret", "vault_dynamic_db", "vault_encryption_key"] {
        assert!(ran.stdout.contains(told), "{}", ran.stdout);
    }
    let asked = ["kv2 production/app/secret-key", "role myapp-readonly", "key myapp-encryption-key"];
    let stored = read_back(&bao, &asked);
    let entry = &stored[asked[0]];
    assert_eq!(entry["data"].as_object().unwrap().keys().collect::<Vec<_>>(), ["password"]);
    assert_eq!(entry["data"]["password"].as_str().unwrap().chars().count(), 32);
    for (name, value) in [
        ("application", "myapp"),
        ("environment", "production"),
        ("owner", "platform-team"),
        ("rotation_period", "90d"),
    ] {
        assert_eq!(entry["metadata"][name], value);
    }
    assert!(entry["metadata"]["secretzero"].as_str().unwrap().contains(":g=1:"));
    let role = &stored[asked[1]];
    assert_eq!((&role["default_ttl"], &role["max_ttl"]), (&json!(3600), &json!(86400)));
    assert_eq!(role["db_name"], "postgres-prod");
    assert_eq!(
        role["creation_statements"][0],
        "CREATE USER '{{name}}' WITH PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"
    );
    let key = &stored[asked[2]];
    assert_eq!(key["type"], "aes256-gcm96");
    for flag in ["derived", "exportable", "allow_plaintext_backup"] {
        assert_eq!(key[flag], false, "{flag}");
    }
    // Again, as the others lay it out, and without the lock: not one write.
    for text in [NESTED, REORDERED, NESTED] {
        sandbox.write("Secretfile.yml", text);
        proxy.forget();
        sandbox.expect(0, &["sync", "--detailed-exitcode"]);
        assert_eq!(proxy.writes(), Vec::<String>::new());
        sandbox.remove(".gitsecrets.lock");
    }
    assert_eq!(read_back(&bao, &asked), stored);
}

#[tokio::test]
async fn two_vaults_of_one_file_hold_one_value() {
    let (here, there) = (Bao::start().await, Bao::start().await);
    let (onprem, cloud) = (here.proxy(), there.proxy());
    // The specification's addresses are nobody's; everything else stays as it is written.
    let text = HYBRID
        .replace("https://vault.internal.company.com:8200", onprem.url())
        .replace("https://vault.cloud.company.com:8200", cloud.url())
        .replace("ca_cert: /etc/vault/ca.pem", "ca_cert: ca.pem");
    let (kept, _) = text.split_once("      # Cloud secrets in AWS").unwrap();
    let (_, vaults) = text.split_once("      # On-premises Vault\n").unwrap();
    let ca = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem();
    let sandbox = Sandbox::with(&format!("{kept}{vaults}")).env([
        ("VAULT_TOKEN", "root"),
        ("VAULT_CLOUD_TOKEN", "root"),
        ("AWS_REGION", "us-east-1"),
    ]);
    sandbox.write("ca.pem", &ca);
    sandbox.expect(0, &["sync", "--provider", "vault"]);
    let path = "kv2 production/hybrid/credentials";
    let (one, other) = (read_back(&here, &[path]), read_back(&there, &[path]));
    assert_eq!(one[path]["data"], other[path]["data"]);
    assert_eq!(one[path]["data"]["shared_secret"].as_str().unwrap().chars().count(), 48);
    assert_eq!(one[path]["data"].as_object().unwrap().len(), 3);
}

#[tokio::test]
async fn a_login_is_tested_and_what_is_wrong_with_it_is_said() {
    let bao = Bao::start().await;
    let proxy = bao.proxy();
    let text = format!("{LOGIN}secrets: []\n");
    let sandbox = sandbox(&text, &proxy);
    let ran = sandbox.expect(0, &["test"]);
    assert!(ran.stdout.contains("policies: root"), "{}", ran.stdout);
    let wrong = Sandbox::with(&text).env([("VAULT_ADDR", proxy.url()), ("VAULT_TOKEN", "s.canary-wrong")]);
    let ran = wrong.expect(4, &["test"]);
    assert!(ran.stdout.contains("Unable to authenticate with Vault") && ran.stdout.contains("vault token lookup"));
    assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
    let away = Sandbox::with(&text).env([("VAULT_ADDR", "http://127.0.0.1:9"), ("VAULT_TOKEN", "root")]);
    let ran = away.expect(4, &["test", "--retry-max-attempts", "1"]);
    assert!(ran.stdout.contains("Unable to connect to Vault at 127.0.0.1:9"), "{}", ran.stdout);
}

/// A plan needs no right to read a value: metadata, roles and keys are enough.
#[tokio::test]
async fn a_plan_is_made_with_the_least_rights() {
    let bao = Bao::start().await;
    bao.engines().await;
    let root = bao.proxy();
    let sandbox = sandbox(NESTED, &root);
    let token = bao
        .token(
            r#"path "secret/metadata/production/*" { capabilities = ["read"] }
               path "database/roles/*" { capabilities = ["read"] }
               path "transit/keys/*" { capabilities = ["read"] }
               path "auth/token/lookup-self" { capabilities = ["read"] }"#,
        )
        .await;
    let proxy = bao.proxy();
    let planner = Sandbox::with(NESTED).env([("VAULT_ADDR", proxy.url()), ("VAULT_TOKEN", &token)]);
    let ran = planner.expect(2, &["sync", "--dry-run", "--detailed-exitcode"]);
    assert!(ran.stdout.contains("production/app/secret-key"), "{}", ran.stdout);
    sandbox.expect(0, &["sync"]);
    planner.expect(0, &["sync", "--dry-run", "--detailed-exitcode"]);
    assert!(proxy.asked().iter().all(|asked| !asked.path.starts_with("secret/data")), "{:?}", proxy.asked());
    // What is missing is named as a policy writes it.
    let ran = planner.run(&["sync", "--force"]);
    assert_ne!(ran.code, Some(0));
}

#[tokio::test]
async fn what_stands_in_a_vault_is_imported_and_adopted_as_it_is() {
    let bao = Bao::start().await;
    let proxy = bao.proxy();
    // Without a Secretfile the environment logs in.
    let here = sandbox("", &proxy);
    here.remove("Secretfile.yml");
    for path in ["shop/database", "shop/key", "other"] {
        bao.post(&format!("secret/data/{path}"), json!({ "data": { "value": format!("canary {path}") } })).await;
    }
    bao.post("secret/metadata/shop/key", json!({ "custom_metadata": { "team": "core" } })).await;
    let ran = here.expect(0, &["import", "--provider", "vault", "--prefix", "shop/", "--output", "part.yml"]);
    assert!(ran.stderr.contains("2 objects to adopt"), "{}", ran.stderr);
    let part = here.read("part.yml");
    assert!(part.contains("- name: database\n") && part.contains("team: core"), "{part}");
    assert!(part.contains("token: ${VAULT_TOKEN}") && !part.contains("root") && !part.contains("canary"), "{part}");
    here.expect(0, &["-f", "part.yml", "sync"]);
    let stored = read_back(&bao, &["kv2 shop/database", "kv2 shop/key"]);
    assert_eq!(stored["kv2 shop/key"]["data"]["value"], "canary shop/key");
    assert_eq!(
        (&stored["kv2 shop/key"]["version"], &stored["kv2 shop/key"]["metadata"]["team"]),
        (&json!(1), &json!("core"))
    );
    assert!(stored["kv2 shop/database"]["metadata"]["secretzero"].as_str().unwrap().ends_with(":a=1"));
    let ran = here.expect(0, &["-f", "part.yml", "import", "--provider", "vault", "--prefix", "shop/"]);
    assert!(ran.stderr.contains("0 objects to adopt, 2 left out"), "{}", ran.stderr);
}
