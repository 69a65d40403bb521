//! The least rights: as texts for the specification's examples, and enforced: by somebody else's IAM where
//! there is one, else by fakes that follow the vendors' tables.

#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "vault")]
mod bao;
mod enforced;
#[cfg(feature = "gcp")]
mod google;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::readme;
use crate::sandbox::Sandbox;

/// What the examples take from the environment.
const VARIABLES: [(&str, &str); 5] = [
    ("VAULT_ADDR", "https://vault.example.com:8200"),
    ("VAULT_TOKEN", "x"),
    ("DB_HOST", "db"),
    ("CERTIFICATE_PFX_BASE64", "x"),
    ("CERTIFICATE_PASSWORD", "x"),
];

fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/examples");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn rights(secretfile: &str, args: &[&str]) -> String {
    let sandbox = Sandbox::with(secretfile).env(VARIABLES);
    let ran = sandbox.expect(0, &[&["permissions"], args].concat());
    format!("{}--- stderr\n{}", ran.stdout, ran.stderr)
}

#[test]
fn the_examples_of_the_specification_get_their_least_rights() {
    let given = ["--account", "123456789012", "--subscription", "0000-sub", "--resource-group", "secrets"];
    for name in
        ["01-basic", "02-aws-specific", "03-azure-specific", "04b-vault-specific-nested-templates", "09-complete"]
    {
        for phase in ["plan", "sync"] {
            let text = rights(&example(&format!("{name}.yml")), &[&given[..], &["--phase", phase]].concat());
            insta::assert_snapshot!(format!("rights_of_{name}_{phase}"), text);
        }
    }
}

const GOOGLE: &str = "metadata: {project: shop}
providers:
  gcp: {kind: gcp, auth: {kind: ambient, config: {project_id: shop-prod}}}
secrets:
  - name: token
    kind: random_string
    targets:
      - {provider: gcp, kind: secret_manager, config: {secret_id: shop-token}}
      - {provider: gcp, kind: secret_manager, config: {secret_id: shop-copy, project_id: shop-dr, keep_versions: 3}}
";

#[test]
fn google_binds_a_role_to_each_secret() {
    for phase in ["plan", "sync"] {
        let text = rights(GOOGLE, &["--phase", phase, "--project-number", "4242"]);
        insta::assert_snapshot!(format!("rights_at_google_{phase}"), text);
    }
}

#[test]
fn google_binds_to_whoever_logs_in_in_the_phase() {
    let pool = "projects/42/locations/global/workloadIdentityPools/ci";
    let provider = |config: &str| {
        format!(
            "metadata: {{project: shop}}\nproviders:\n  google: {{kind: gcp, auth: {{kind: oidc, config: {{project_id: shop, workload_identity_provider: {pool}/providers/gh{config}}}}}}}\nsecrets: [{{name: a, kind: uuid, targets: [{{provider: google, kind: secret_manager, config: {{secret_id: a}}}}]}}]\n"
        )
    };
    let both =
        ", service_account: w@shop.iam.gserviceaccount.com, plan_service_account: r@shop.iam.gserviceaccount.com";
    let sync = ", service_account: w@shop.iam.gserviceaccount.com";
    for (config, phase, member) in [
        (both, "plan", "serviceAccount:r@shop.iam.gserviceaccount.com".to_owned()),
        (both, "sync", "serviceAccount:w@shop.iam.gserviceaccount.com".to_owned()),
        (sync, "plan", "serviceAccount:secretzero-plan@shop.iam.gserviceaccount.com".to_owned()),
        ("", "plan", format!("principal://iam.googleapis.com/{pool}/subject/SUBJECT_OF_THE_PLAN")),
        ("", "sync", format!("principal://iam.googleapis.com/{pool}/subject/SUBJECT_OF_THE_SYNC")),
    ] {
        let text = rights(&provider(config), &["--phase", phase]);
        let members: Vec<&str> =
            text.split("--member=").skip(1).map(|rest| rest.split_whitespace().next().unwrap()).collect();
        assert!(!members.is_empty() && members.iter().all(|one| *one == member), "{config} {phase}: {text}");
    }
}

/// Keys, tiers and roles of AWS that the examples do not have.
const KEYED: &str = "metadata: {project: shop}
providers:
  aws: {kind: aws, auth: {kind: assume_role, config: {region: eu-west-1, role_arn: 'arn:aws:iam::111122223333:role/writer'}}}
  china: {kind: aws, auth: {kind: ambient, config: {region: cn-north-1}}}
secrets:
  - name: token
    kind: random_string
    targets:
      - provider: aws
        kind: secrets_manager
        config:
          name: shop/token
          kms_key_id: alias/shop
          replica_regions: [{region: us-east-1, kms_key_id: alias/shop-dr}]
      - {provider: aws, kind: ssm_parameter, config: {name: /shop/token, kms_key_id: alias/shop, tier: Advanced}}
      - {provider: aws, kind: ssm_parameter, config: {name: /shop/plain, type: String}}
      - {provider: china, kind: secrets_manager, config: {name: shop/token, kms_key_id: 0a1b2c3d-0000-0000-0000-000000000000}}
";

#[test]
fn keys_are_used_through_their_store_alone_and_each_role_has_a_policy() {
    insta::assert_snapshot!("rights_with_keys", rights(KEYED, &["--phase", "sync"]));
}

/// Two roles in one account, one of them with a plan's role elsewhere; a region of another partition.
const ROLES: &str = "metadata: {project: shop}
providers:
  one:
    kind: aws
    auth:
      kind: oidc
      config: {region: eu-west-1, role_arn: 'arn:aws:iam::111122223333:role/ci/one', plan_role_arn: 'arn:aws:iam::222233334444:role/ci/looks'}
  two: {kind: aws, auth: {kind: oidc, config: {region: eu-west-1, role_arn: 'arn:aws:iam::111122223333:role/two'}}}
  also: {kind: aws, auth: {kind: oidc, config: {region: us-east-1, role_arn: 'arn:aws:iam::111122223333:role/third'}}}
  sovereign: {kind: aws, auth: {kind: ambient, config: {region: eusc-de-east-1}}}
secrets:
  - name: token
    kind: random_string
    targets:
      - {provider: one, kind: secrets_manager, config: {name: a}}
      - {provider: two, kind: secrets_manager, config: {name: b}}
      - {provider: also, kind: secrets_manager, config: {name: c}}
      - {provider: sovereign, kind: ssm_parameter, config: {name: /d, kms_key_id: alias/d}}
";

#[test]
fn each_role_of_a_phase_has_one_policy_with_all_that_it_needs() {
    for phase in ["plan", "sync"] {
        insta::assert_snapshot!(format!("rights_of_roles_{phase}"), rights(ROLES, &["--phase", phase]));
    }
}

#[test]
fn rights_that_no_policy_holds_are_dealt_out_over_several() {
    let secret = |number: usize| {
        format!(
            "  - {{name: s{number}, kind: uuid, targets: [{{provider: one, kind: secrets_manager, config: {{name: shop/production/service-{number}}}}}]}}\n"
        )
    };
    let secrets: String = (0..200).map(secret).collect();
    let text = format!(
        "metadata: {{project: shop}}\nproviders: {{one: {{kind: aws, auth: {{kind: ambient, config: {{region: eu-west-1}}}}}}}}\nsecrets:\n{secrets}"
    );
    let documents = documents(&text, &["--phase", "sync", "--account", "111122223333"]);
    assert!(documents.len() > 3, "{}", documents.len());
    let mut rights: std::collections::BTreeSet<(String, String)> = std::collections::BTreeSet::new();
    for (name, text) in &documents {
        assert!(text.chars().filter(|c| !c.is_whitespace()).count() <= 6144, "{name}");
        let policy: serde_json::Value = serde_json::from_str(text).unwrap();
        for statement in policy["Statement"].as_array().unwrap() {
            let resources = statement["Resource"].as_array().unwrap().iter();
            for resource in resources.map(|one| one.as_str().unwrap().to_owned()) {
                assert!(rights.insert((statement["Sid"].as_str().unwrap().to_owned(), resource)), "{statement}");
            }
        }
    }
    assert_eq!(rights.iter().filter(|(sid, _)| sid == "WriteSecrets").count(), 200);
    assert_eq!(rights.iter().filter(|(sid, _)| sid == "LookAtSecrets").count(), 200);
    let ran = Sandbox::with(&text).env(VARIABLES).expect(0, &["permissions", "--phase", "sync"]);
    assert!(ran.stderr.contains("aws iam attach-role-policy --role-name secretzero-sync"), "{}", ran.stderr);
}

/// What is printed for one request.
struct Printed {
    /// Commands that a person types.
    steps: Vec<String>,
    /// Files by their names.
    documents: BTreeMap<String, String>,
}

impl Printed {
    fn of(secretfile: &str, args: &[&str]) -> Self {
        let sandbox = Sandbox::with(secretfile).env(VARIABLES);
        let ran = sandbox.expect(0, &[&["permissions", "--format", "json"], args].concat());
        let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let clouds = said["clouds"].as_array().unwrap();
        let all = |name: &str| clouds.iter().flat_map(|cloud| cloud[name].as_array().unwrap()).collect::<Vec<_>>();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let documents = all("documents").into_iter().map(|one| (text(&one["name"]), text(&one["text"]))).collect();
        Self { steps: all("steps").into_iter().map(text).collect(), documents }
    }

    /// The words of each command, in the order in which they are to be run: the steps, then the scripts. A
    /// shell takes them apart, with these variables.
    fn commands(&self, variables: &[(&str, &str)]) -> Vec<Vec<String>> {
        let scripts = self.documents.iter().filter(|(name, _)| name.ends_with(".sh")).map(|(_, text)| text);
        let text: Vec<&str> = self.steps.iter().chain(scripts).map(String::as_str).collect();
        // Each command writes down its words, and ends with what is in none of them.
        let recorder =
            r#"record() { printf '%s\0' "$@" $'\x1e'; }; az() { record az "$@"; }; gcloud() { record gcloud "$@"; }"#;
        let script = format!("set -eu\n{recorder}\n{}", text.join("\n"));
        let mut shell = std::process::Command::new("bash");
        let output = shell.args(["-c", &script]).envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
        let recorded = String::from_utf8(output.stdout).unwrap();
        let commands = recorded.split_terminator("\x1e\0");
        commands.map(|words| words.split_terminator('\0').map(str::to_owned).collect()).collect()
    }
}

/// The texts of one request by their names.
fn documents(secretfile: &str, args: &[&str]) -> Vec<(String, String)> {
    Printed::of(secretfile, args).documents.into_iter().collect()
}

/// Our own lint looks for rights that read or write, and finds none in a plan's.
#[test]
fn a_plan_gets_no_right_to_read_a_value_or_to_write() {
    let mut secretfiles: Vec<String> =
        ["01-basic", "02-aws-specific", "03-azure-specific", "04b-vault-specific-nested-templates", "09-complete"]
            .map(|name| example(&format!("{name}.yml")))
            .into();
    secretfiles.extend([GOOGLE.to_owned(), KEYED.to_owned()]);
    for secretfile in secretfiles {
        for (phase, code) in [("plan", 0), ("sync", 5)] {
            let sandbox = Sandbox::new();
            for (name, text) in documents(&secretfile, &["--phase", phase]) {
                let scripts = PathBuf::from(&name).extension().is_some_and(|extension| extension == "sh");
                if scripts {
                    continue;
                }
                sandbox.write(&name, &text);
                let code = if name == "azure-names-role.json" { 0 } else { code };
                sandbox.expect(code, &["trust", "lint", "--phase", "plan", &name]);
            }
        }
    }
}

#[test]
fn a_secretfile_without_clouds_needs_no_rights() {
    let local = "metadata: {project: x}\nproviders: {local: {kind: local}}\nsecrets: [{name: a, kind: uuid, targets: [{provider: local, kind: file, config: {path: .env, format: dotenv}}]}]\n";
    let ran = Sandbox::with(local).expect(0, &["permissions"]);
    assert!(ran.stdout.contains("so no right is needed there"), "{}", ran.stdout);
}

/// Rights are a matter of what the calls need, and the README's table is held to the calls.
#[test]
fn the_rights_of_aws_are_those_that_the_readme_lists() {
    let right = regex::Regex::new(r"\b(?:ssm|secretsmanager):[A-Z][A-Za-z]+").unwrap();
    let of = |text: &str| -> BTreeSet<String> { right.find_iter(text).map(|one| one.as_str().to_owned()).collect() };
    let rows = readme::table(readme::README, "#### Rights in AWS");
    let policy =
        |phase: &str| -> String { documents(KEYED, &["--phase", phase]).into_iter().map(|(_, text)| text).collect() };
    let listed = |row: &[String]| {
        let mut rights = of(&row[1]);
        // Left out, and said to be: it shows the names of all secrets of the account.
        rights.remove("secretsmanager:ListSecrets");
        rights
    };
    assert_eq!(of(&policy("plan")), listed(&rows[0]));
    assert_eq!(of(&policy("sync")), listed(&rows[0]).union(&listed(&rows[1])).cloned().collect());
}

#[test]
fn the_rights_of_google_are_those_that_the_readme_lists() {
    let right = regex::Regex::new(r"\bsecretmanager\.(?:secrets|versions)\.[a-zA-Z]+").unwrap();
    let of = |text: &str| -> BTreeSet<String> { right.find_iter(text).map(|one| one.as_str().to_owned()).collect() };
    let rows = readme::table(readme::README, "#### Rights in Google Cloud");
    let roles =
        |phase: &str| -> String { documents(GOOGLE, &["--phase", phase]).into_iter().map(|(_, text)| text).collect() };
    let mut plan = of(&rows[0][2]);
    // Left out: it shows the names of all secrets of the project.
    assert!(plan.remove("secretmanager.secrets.list"));
    assert_eq!(of(&roles("plan")), plan);
    assert_eq!(of(&roles("sync")), plan.union(&of(&rows[1][2])).cloned().collect());
}

/// A Secretfile whose Vault path, namespace or project is somebody's own text.
fn hostile(provider: &str, target: &str) -> Sandbox {
    Sandbox::with(&format!(
        "metadata: {{project: shop}}\nproviders:\n  store: {provider}\nsecrets:\n  - name: bait\n    kind: random_string\n    \
         targets:\n      - {target}\n"
    ))
}

#[cfg(feature = "vault")]
#[test]
fn a_path_that_would_open_more_than_its_secret_is_refused_with_its_line() {
    let provider = "{kind: vault, auth: {kind: token, config: {url: 'https://vault.example.com', token: x}}}";
    for path in ["shop/*", "+/token", "a\" { capabilities = [\"sudo\"] } path \"b", "a\\b", "{{identity.entity.id}}/x"]
    {
        let target = format!("{{provider: store, kind: kv, config: {{path: '{path}'}}}}");
        let ran = hostile(provider, &target).expect(3, &["permissions"]);
        assert!(ran.stdout.is_empty(), "{path}: {ran:?}");
        assert!(ran.stderr.contains("Secretfile.yml:8") && ran.stderr.contains("bait"), "{path}: {ran:?}");
    }
    // Within a segment it is a letter like others.
    let plus = "{provider: store, kind: kv, config: {path: 'lang/c++'}}";
    let ran = hostile(provider, plus).expect(0, &["permissions"]);
    assert!(ran.stdout.contains("secret/data/lang/c++"), "{ran:?}");
}

const INJECTION: &str = "x; touch pwned #$(touch pwned)`touch pwned`'";

/// The texts of a shell, run by one whose commands do nothing.
fn run_by_a_shell(sandbox: &Sandbox, text: &str) {
    let script = format!("gcloud() {{ :; }}; vault() {{ :; }}; az() {{ :; }}; aws() {{ :; }}\n{text}\n");
    let folder = sandbox.path(".");
    let done = std::process::Command::new("bash").args(["-c", &script]).current_dir(folder).status().unwrap();
    assert!(done.success(), "{script}");
    assert!(!sandbox.path("pwned").exists(), "{script}");
}

#[test]
fn no_name_of_a_secretfile_becomes_a_command_of_the_shell() {
    let text = INJECTION.replace('\'', "''");
    let google =
        format!("{{kind: gcp, auth: {{kind: ambient, config: {{project_id: '{text}', service_account: '{text}'}}}}}}");
    let vault = format!(
        "{{kind: vault, auth: {{kind: token, config: {{url: 'https://vault.example.com', token: x, namespace: '{text}'}}}}}}"
    );
    let role = format!(
        "{{kind: aws, auth: {{kind: assume_role, config: {{region: us-east-1, role_arn: 'arn:aws:iam::111122223333:role/{text}'}}}}}}"
    );
    for (provider, target) in [
        (google, "{provider: store, kind: secret_manager, config: {secret_id: bait}}"),
        (vault, "{provider: store, kind: kv, config: {path: bait}}"),
        (role, "{provider: store, kind: secrets_manager, config: {name: bait}}"),
    ] {
        let sandbox = hostile(&provider, target);
        let ran = sandbox.run(&["permissions", "--format", "json"]);
        if ran.code == Some(3) {
            continue;
        }
        let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        for cloud in said["clouds"].as_array().unwrap() {
            for step in cloud["steps"].as_array().unwrap() {
                run_by_a_shell(&sandbox, step.as_str().unwrap());
            }
            for document in cloud["documents"].as_array().unwrap() {
                if document["name"].as_str().unwrap().ends_with(".sh") {
                    run_by_a_shell(&sandbox, document["text"].as_str().unwrap());
                }
            }
        }
    }
}
