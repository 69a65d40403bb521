//! The specification's example of disaster recovery, in AWS and Azure at once; and the first day of a
//! team whose secrets stand in a vault already.

use std::collections::BTreeMap;

use super::specification::Stage;
use crate::fake::aws::FakeAws;
use crate::fake::azure::VAULT;

const EXAMPLE: &str = include_str!("../../fixtures/examples/05-cross-region-dr.yml");
const SPARE: &str = "myapp-dr.vault.azure.net";

/// The example with both clouds.
fn example() -> (FakeAws, Stage) {
    let (aws, mut stage) = (FakeAws::start(), Stage::with(EXAMPLE));
    stage.env.extend(aws.env().into_iter().map(|(name, value)| (name.to_owned(), value)));
    stage.env.insert("NO_PROXY".into(), "127.0.0.1".into());
    stage.azure.edit(|world| {
        for host in ["myapp-primary.vault.azure.net", SPARE] {
            world.vault(host);
        }
    });
    (aws, stage)
}

fn told(text: &str) -> String {
    regex::Regex::new(r"\d{4}-\d\d-\d\d\b").unwrap().replace_all(text, "DATE").into_owned()
}

#[test]
fn the_example_survives_a_lost_vault_and_a_region_that_is_down() {
    let (aws, mut stage) = example();
    stage.expect(0, &["sync"]);
    insta::assert_snapshot!(told(&stage.expect(0, &["dr"]).stdout), @"");
    let value = aws.secret("production/database/password").unwrap().value().unwrap().to_owned();

    // The spare vault is lost.
    stage.azure.edit(|world| world.vault(SPARE).secrets.clear());
    let ran = stage.expect(8, &["dr"]);
    assert!(ran.stdout.contains("✗ Azure Key Vault myapp-dr.vault.azure.net"), "{}", ran.stdout);
    let held = |stage: &Stage| stage.read_back(SPARE)["secrets"]["database-password"]["value"].clone();

    // And the region of the primary with it: the other vault has the value.
    let up = stage.env.insert("AWS_ENDPOINT_URL".into(), "http://127.0.0.1:1".into()).unwrap();
    let flags = ["dr", "--promote-primary", "azure_primary", "--retry-max-attempts", "1"];
    insta::assert_snapshot!(told(&stage.expect(8, &flags).stdout), @"");
    assert_eq!(held(&stage), value, "nothing was generated");

    stage.env.insert("AWS_ENDPOINT_URL".into(), up);
    stage.expect(0, &["dr"]);
    stage.expect(0, &["sync", "--dry-run", "--detailed-exitcode"]);
}

#[test]
fn every_vault_of_the_file_is_asked() {
    let (_aws, stage) = example();
    let milliseconds = regex::Regex::new(r"in \d+ ms").unwrap();
    let said = |text: &str| milliseconds.replace_all(text, "in N ms").into_owned();
    insta::assert_snapshot!(said(&stage.expect(0, &["test", "--provider", "azure"]).stdout), @"
    ✓ azure_primary (azure): application 99999999-8888-7777-6666-555555555555 (object object-of-99999999-8888-7777-6666-555555555555) at 11111111-2222-3333-4444-555555555555 in N ms
    ✓ azure_primary (azure): https://myapp-primary.vault.azure.net in N ms
    ✓ azure_dr (azure): application 99999999-8888-7777-6666-555555555555 (object object-of-99999999-8888-7777-6666-555555555555) at 11111111-2222-3333-4444-555555555555 in N ms
    ✓ azure_dr (azure): https://myapp-dr.vault.azure.net in N ms
    ");
    stage.azure.deny("secrets/get");
    stage.azure.deny("secrets/list");
    let ran = stage.expect(4, &["test", "--provider", "azure_dr"]);
    assert!(ran.stdout.contains("run: az keyvault secret list --vault-name NAME"), "{}", ran.stdout);
}

#[test]
fn what_stands_in_a_vault_is_imported_and_adopted_as_it_is() {
    let stage = Stage::with(
        "metadata: {project: shop}\nproviders: {azure: {kind: azure, auth: {kind: default}}}\nsecrets: []\n",
    );
    stage.azure.edit(|world| {
        world.put(VAULT, "shop-database", "canary-1", &[("team", "core")]);
        world.put(VAULT, "shop-key", "canary-2", &[]);
        world.put(VAULT, "other", "canary-3", &[]);
    });
    let prefix = format!("https://{VAULT}/shop-");
    let ran = stage.expect(0, &["import", "--provider", "azure", "--prefix", &prefix, "--output", "part.yml"]);
    assert!(ran.stderr.contains("2 objects to adopt"), "{}", ran.stderr);
    assert_eq!(stage.azure.count("secrets/get"), 0, "no value was read");
    let part = stage.sandbox.read("part.yml");
    assert!(part.contains("- name: database\n") && part.contains("team: core") && !part.contains("canary"), "{part}");
    stage.expect(0, &["-f", "part.yml", "sync"]);
    let read = stage.read_back(VAULT);
    let values: BTreeMap<&str, &str> = ["shop-database", "shop-key", "other"]
        .map(|name| (name, read["secrets"][name]["value"].as_str().unwrap()))
        .into();
    assert_eq!(values.into_values().collect::<Vec<_>>(), ["canary-3", "canary-1", "canary-2"]);
    assert!(read["secrets"]["shop-key"]["tags"]["secretzero"].is_string());
    // Now the file names the vault, and what is ours is left out.
    let ran = stage.expect(0, &["-f", "part.yml", "import", "--provider", "azure", "--prefix", "shop-"]);
    assert!(ran.stderr.contains("0 objects to adopt, 2 left out"), "{}", ran.stderr);
}
