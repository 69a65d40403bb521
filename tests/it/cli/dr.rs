//! `dr`: which place holds which generation, and what is done about one that is behind.

use serde_json::Value as Json;

use super::Stage;
use crate::fake::aws::REGION;

const WEST: &str = "us-west-2";

/// One secret in two regions and a file.
const THREE: &str = "metadata: {project: dr}
providers:
  east: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
  west: {kind: aws, auth: {kind: ambient, config: {region: us-west-2}}}
  local: {kind: local}
secrets:
  - name: token
    kind: random_string
    targets:
      - {provider: east, kind: secrets_manager, config: {name: dr/token}}
      - {provider: west, kind: ssm_parameter, config: {name: /dr/token}}
      - {provider: local, kind: file, config: {path: .env, merge: true}}
";

/// Example 05 of the specification, in AWS.
fn example() -> String {
    let text = include_str!("../../fixtures/examples/05-cross-region-dr.yml");
    let (head, rest) = text.split_once("  azure_primary:").unwrap();
    let (_, rest) = rest.split_once("secrets:").unwrap();
    let (targets, _) = rest.split_once("      # Azure primary Key Vault").unwrap();
    let (_, metadata) = text.split_once("metadata:").unwrap();
    format!("{head}secrets:{targets}metadata:{metadata}")
}

impl Stage {
    /// The region of a provider's block is down.
    fn down(&self, alias: &str, region: &str) {
        let (up, down) =
            (format!("region: {region}}}"), format!("region: {region}, endpoint_url: 'http://127.0.0.1:1'}}"));
        let text = self.sandbox.read("Secretfile.yml");
        let text = text
            .lines()
            .map(|line| if line.contains(&format!("{alias}:")) { line.replace(&up, &down) } else { line.into() });
        self.sandbox.write("Secretfile.yml", &(text.collect::<Vec<_>>().join("\n") + "\n"));
    }

    fn parameter_in_west(&self) -> String {
        self.aws.edit(|world| world.region(WEST).parameters["/dr/token"].value.clone())
    }

    /// Puts everything back to a generation before, but the place in one region.
    fn rotate_without_west(&self) {
        self.aws.deny("PutParameter");
        self.told(8, &["rotate", "--force", "--secret", "token", "--rate-limit", "off"]);
        self.aws.allow_all();
    }
}

#[test]
fn every_place_says_which_generation_it_holds() {
    let stage = Stage::with(THREE);
    stage.told(0, &["sync"]);
    insta::assert_snapshot!(stage.told(0, &["dr"]), @"
    token: generation 1 of DATE
      ✓ AWS Secrets Manager us-east-1 (dr/token): generation 1, primary
      ✓ AWS SSM Parameter us-west-2 (/dr/token): generation 1
      ✓ Local file this machine (.env): generation 1
    ✓ 3 places hold what is in force
    ");
    stage.rotate_without_west();
    let value = stage.value("dr/token");
    assert_ne!(stage.parameter_in_west(), value);
    stage.aws.forget_requests();
    insta::assert_snapshot!(stage.told(8, &["dr"]), @"
    token: generation 2 of DATE
      ✓ AWS Secrets Manager us-east-1 (dr/token): generation 2, primary
      ✗ AWS SSM Parameter us-west-2 (/dr/token): generation 1, generation 2 is in force (line 11)
      ✓ Local file this machine (.env): generation 2
    --- stderr
    ! 1 of 3 places not as they should be; `secretzero dr --heal` brings up to date what can be
    ");
    assert_eq!(stage.aws.effects(), 0, "it only looks");
    let decrypts = stage.aws.requests().iter().any(|request| request.body["WithDecryption"] == true);
    assert!(!decrypts && stage.aws.count("GetSecretValue") == 0, "it reads no value");
    insta::assert_snapshot!(stage.told(0, &["dr", "--heal"]), @"
    ✓ Updated AWS SSM Parameter: /dr/token (token)
    ✓ Updated .gitsecrets.lock
    token: generation 2 of DATE
      ✓ AWS Secrets Manager us-east-1 (dr/token): generation 2, primary
      ✓ AWS SSM Parameter us-west-2 (/dr/token): generation 2
      ✓ Local file this machine (.env): generation 2
    ✓ 3 places hold what is in force
    ");
    assert_eq!(stage.parameter_in_west(), value);
    assert_eq!(stage.value("dr/token"), value, "nothing was generated");
    stage.told(0, &["sync", "--dry-run", "--detailed-exitcode"]);
}

#[test]
fn machines_read_the_same() {
    let stage = Stage::with(THREE);
    stage.told(0, &["sync"]);
    stage.sandbox.remove(".env");
    let ran = stage.sandbox.expect(8, &["dr", "--format", "json"]);
    let said: Json = serde_json::from_str(&ran.stdout).unwrap();
    let places = said["secrets"][0]["places"].as_array().unwrap();
    let states: Vec<_> =
        places.iter().map(|place| (place["where"].as_str().unwrap(), place["state"].as_str().unwrap())).collect();
    assert_eq!(states, [(REGION, "in_force"), (WEST, "in_force"), ("this machine", "missing")]);
    assert_eq!((&said["behind"], &said["exit_code"], &places[0]["primary"]), (&1.into(), &8.into(), &true.into()));
    let ran = stage.sandbox.expect(0, &["dr", "--heal", "--format", "json"]);
    let said: Json = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&said["behind"], &said["healed"]), (&0.into(), &1.into()));
}

/// What somebody wrote there is put back, since that was asked for.
#[test]
fn a_value_that_was_changed_outside_is_healed() {
    let stage = Stage::with(THREE);
    stage.told(0, &["sync"]);
    let value = stage.value("dr/token");
    stage.aws.edit(|world| {
        let parameter = world.region(WEST).parameters.get_mut("/dr/token").unwrap();
        (parameter.version, parameter.value) = (parameter.version + 1, "outsider".into());
    });
    insta::assert_snapshot!(stage.told(8, &["dr"]), @"
    token: generation 1 of DATE
      ✓ AWS Secrets Manager us-east-1 (dr/token): generation 1, primary
      ✗ AWS SSM Parameter us-west-2 (/dr/token): generation 1, its value was changed outside after generation 1 (line 11)
      ✓ Local file this machine (.env): generation 1
    --- stderr
    ! 1 of 3 places not as they should be; `secretzero dr --heal` brings up to date what can be
    ");
    stage.told(0, &["sync"]);
    assert_eq!(stage.parameter_in_west(), "outsider", "a sync leaves it");
    stage.told(0, &["dr", "--heal"]);
    assert_eq!(stage.parameter_in_west(), value);
    stage.told(0, &["dr"]);
}

/// Nothing holds a value: nothing is made here.
#[test]
fn nothing_is_generated() {
    let stage = Stage::with(THREE);
    insta::assert_snapshot!(stage.told(8, &["dr", "--heal"]), @"
    token: no generation of ours stands anywhere
      ✗ AWS Secrets Manager us-east-1 (dr/token): nothing stands there (line 10)
      ✗ AWS SSM Parameter us-west-2 (/dr/token): nothing stands there (line 11)
      ✗ Local file this machine (.env): nothing stands there (line 12)
    --- stderr
    ! 3 of 3 places not as they should be; what is left is for `secretzero sync`, or for a person
    ");
    assert_eq!(stage.aws.effects(), 0);
}

#[test]
fn a_primary_that_is_down_is_stepped_over() {
    let stage = Stage::with(THREE);
    stage.told(0, &["sync"]);
    let value = stage.value("dr/token");
    stage.sandbox.remove(".env");
    stage.down("east", REGION);
    let flags = ["--retry-max-attempts", "1", "--rate-limit", "off"];
    insta::assert_snapshot!(stage.told(8, &[&["dr"], &flags[..]].concat()), @"
    token: generation 1 of DATE
      ✗ AWS Secrets Manager (dr/token): AWS cannot be reached for sts:GetCallerIdentity in us-east-1; check the network, proxy and region (line 10)
      ✓ AWS SSM Parameter us-west-2 (/dr/token): generation 1
      ✗ Local file this machine (.env): nothing stands there (line 12)
    --- stderr
    ! 2 of 3 places not as they should be; `secretzero dr --heal` brings up to date what can be
    ");
    let said = stage.told(8, &[&["dr", "--promote-primary", "west"], &flags[..]].concat());
    insta::assert_snapshot!(said, @"
    ✓ Created local file: .env (token)
    token: generation 1 of DATE
      ✗ AWS Secrets Manager (dr/token): AWS cannot be reached for sts:GetCallerIdentity in us-east-1; check the network, proxy and region (line 10)
      ✓ AWS SSM Parameter us-west-2 (/dr/token): generation 1, primary
      ✓ Local file this machine (.env): generation 1
    --- stderr
    ✗ token → AWS Secrets Manager (dr/token): AWS cannot be reached for sts:GetCallerIdentity in us-east-1; check the network, proxy and region
    ! 1 of 3 places not as they should be; what is left is for `secretzero sync`, or for a person
    ! `west` is the primary in this run; the next run begins with the declared primary again, unless another target says `primary: true`
    ");
    assert!(stage.sandbox.read(".env").contains(&value), "the file was healed from the promoted primary");
    insta::assert_snapshot!(stage.told(1, &["dr", "--promote-primary", "wets"]), @"
    --- stderr
    error: no target is called `wets`
      help: did you mean `west`? name the alias of a provider, a region, or the name of a target
    ");
}

#[test]
fn the_example_of_the_specification_knows_its_replica() {
    let stage = Stage::with(&example());
    stage.told(0, &["sync"]);
    insta::assert_snapshot!(stage.told(0, &["dr"]), @"
    critical_database_password: generation 1 of DATE
      ✓ AWS Secrets Manager us-east-1 (production/database/password): generation 1, primary
      ✓ AWS Secrets Manager us-west-2 (production/database/password): a copy in sync
    ✓ 2 places hold what is in force
    --- stderr
    ! 2 warnings about Secretfile.yml; `secretzero validate` shows them
    ");
    // The store lost its copy: it is asked for it again.
    stage.aws.edit(|world| {
        let secret = world.region(REGION).secrets.get_mut("production/database/password").unwrap();
        secret.replicas.clear();
        world.region(WEST).secrets.clear();
    });
    insta::assert_snapshot!(stage.told(8, &["dr"]), @"
    critical_database_password: generation 1 of DATE
      ✓ AWS Secrets Manager us-east-1 (production/database/password): generation 1, primary
      ✗ AWS Secrets Manager us-west-2 (production/database/password): there is no copy in us-west-2 yet; us-east-1 is asked for it (line 40)
    --- stderr
    ! 2 warnings about Secretfile.yml; `secretzero validate` shows them
    ! 1 of 2 places not as they should be; `secretzero dr --heal` brings up to date what can be
    ");
    insta::assert_snapshot!(stage.told(0, &["dr", "--heal"]), @"
    ✓ Updated metadata of AWS Secrets Manager secret: production/database/password (critical_database_password)
    critical_database_password: generation 1 of DATE
      ✓ AWS Secrets Manager us-east-1 (production/database/password): generation 1, primary
      ✓ AWS Secrets Manager us-west-2 (production/database/password): a copy in sync
    ✓ 2 places hold what is in force
    --- stderr
    ! 2 warnings about Secretfile.yml; `secretzero validate` shows them
    ");
    let copy =
        stage.aws.edit(|world| world.region(WEST).secrets["production/database/password"].value().unwrap().to_owned());
    assert_eq!(copy, stage.value("production/database/password"));
    insta::assert_snapshot!(stage.told(1, &["dr", "--promote-primary", "aws_dr"]), @"
    --- stderr
    ! 2 warnings about Secretfile.yml; `secretzero validate` shows them
    error: `aws_dr` is a copy that AWS keeps, which cannot be written
      help: make it a secret of its own with `aws secretsmanager stop-replication-to-replica`, take its region out of `replica_regions`, and run again
    ");
}
