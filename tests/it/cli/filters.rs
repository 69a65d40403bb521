//! Which targets a run looks at, what it needs for them, and what it leaves.

use std::path::Path;

use super::{PAIR, SHOP, Stage};

fn first_example() -> Stage {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/examples/01-basic.yml");
    Stage::with(&std::fs::read_to_string(path).unwrap())
}

#[test]
fn an_unknown_name_gets_the_nearest_known_one() {
    let stage = Stage::with(SHOP);
    insta::assert_snapshot!(stage.told(1, &["sync", "--provider", "awss"]), @"
    --- stderr
    error: there is no provider `awss` in the Secretfile
      help: did you mean `aws`?
    ");
    insta::assert_snapshot!(stage.told(1, &["sync", "--secret", "databse_password"]), @"
    --- stderr
    error: there is no secret `databse_password` in the Secretfile
      help: did you mean `database_password`?
    ");
    insta::assert_snapshot!(stage.told(1, &["rotate", "--target-type", "ssm_paramter"]), @"
    --- stderr
    error: there is no target type `ssm_paramter`
      help: did you mean `ssm_parameter`?
    ");
    insta::assert_snapshot!(stage.told(1, &["refresh", "--secret", "nope"]), @"
    --- stderr
    error: there is no secret `nope` in the Secretfile
      help: known are: database_password, external_api_key, service_account
    ");
    assert_eq!(stage.aws.total(), 0);
}

#[test]
fn only_what_is_selected_is_written() {
    let stage = Stage::with(SHOP);
    let told = stage.told(0, &["sync", "--dry-run", "--provider", "aws", "--secret", "database_password"]);
    insta::assert_snapshot!(told, @"
    [DRY RUN] Would create:
      ✓ database_password → AWS Secrets Manager (production/myapp/database/password)
      ✓ database_password → AWS SSM Parameter (/production/myapp/database/password)
    ≈ $0.40 more a month · about 1 s under the documented quotas
    ");
    insta::assert_snapshot!(stage.told(0, &["sync", "--target-type", "secrets_manager"]), @"
    ✓ Generated database_password
    ✓ Created AWS Secrets Manager secret: production/myapp/database/password
    ✓ Generated external_api_key
    ✓ Created AWS Secrets Manager secret: production/myapp/api-key
    ✓ Generated service_account
    ✓ Created AWS Secrets Manager secret: production/myapp/service-account
    ✓ Updated .gitsecrets.lock
    ");
    insta::assert_snapshot!(stage.told(0, &["sync", "--provider", "local"]), @"
    ✓ Created local file: .env (database_password)
    ✓ Created local file: .service-account.json (service_account)
    ✓ Updated .gitsecrets.lock
    ");
    assert!(stage.aws.parameter("/production/myapp/database/password").is_none());
    let value = stage.value("production/myapp/database/password");
    stage.told(0, &["sync"]);
    assert_eq!(stage.aws.parameter("/production/myapp/database/password").unwrap().value, value);
}

/// Its first value would stand where no later run looks first.
#[test]
fn a_new_secret_waits_for_its_primary() {
    let stage = Stage::with(SHOP);
    insta::assert_snapshot!(stage.told(8, &["sync", "--provider", "local"]), @"
    --- stderr
    ✗ database_password: it is new and its primary is AWS Secrets Manager `production/myapp/database/password`, which is filtered out (Secretfile.yml:34)
    ✗ service_account: it is new and its primary is AWS Secrets Manager `production/myapp/service-account`, which is filtered out (Secretfile.yml:74)
      help: run once without the filter, or declare another target `primary: true`
    ! 2 secrets held
    ");
    assert_eq!((stage.sandbox.read(".env"), stage.aws.effects()), (String::new(), 0));
}

#[test]
fn the_first_example_says_which_login_it_lacks() {
    let stage = first_example();
    let said = stage.told(3, &["sync"]);
    assert!(said.contains("`VAULT_TOKEN` has no value") && said.contains("`VAULT_ADDR` has no value"), "{said}");
    assert_eq!(stage.aws.effects(), 0);
}

/// A target that cannot be read may hold the value already.
#[test]
fn a_new_secret_waits_until_its_other_stores_can_be_read() {
    let stage = first_example();
    let said = stage.told(4, &["sync", "--provider", "aws"]);
    assert!(said.contains("`myapp-database-password` cannot be read: Azure authentication failed"), "{said}");
    assert!(said.contains("nothing is generated until every target can be read"), "{said}");
    assert_eq!(stage.aws.effects(), 0);
}

const TWO_ACCOUNTS: &str = "metadata: {project: two}
providers:
  here: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
  there:
    kind: aws
    auth:
      kind: assume_role
      config:
        region: us-east-1
        role_arn: ${THERE_ROLE}
secrets:
  - name: ours
    kind: random_string
    targets:
      - {provider: here, kind: secrets_manager, config: {name: two/ours}}
  - name: shared
    kind: random_string
    targets:
      - {provider: here, kind: secrets_manager, config: {name: two/shared}}
      - {provider: there, kind: secrets_manager, config: {name: two/theirs}}
";

#[test]
fn a_selected_provider_says_which_variable_it_lacks() {
    let stage = Stage::with(TWO_ACCOUNTS);
    insta::assert_snapshot!(stage.told(3, &["sync"]), @"
    --- stderr
    error[missing-variable]: the variable `THERE_ROLE` has no value, and `role_arn` of the provider `there` needs it
      --> Secretfile.yml:10:19
       |
    10 |         role_arn: •••
       |                   ^^^
       = help: set it in the environment, or select other targets with `--provider`
    ");
    insta::assert_snapshot!(stage.told(3, &["sync", "--dry-run", "--provider", "there"]), @"
    --- stderr
    error[missing-variable]: the variable `THERE_ROLE` has no value, and `role_arn` of the provider `there` needs it
      --> Secretfile.yml:10:19
       |
    10 |         role_arn: •••
       |                   ^^^
       = help: set it in the environment, or select other targets with `--provider`
    ");
    assert_eq!(stage.aws.total(), 0);
    insta::assert_snapshot!(stage.told(4, &["test"]), @"
    ✓ here (aws): arn:aws:iam::123456789012:user/test, us-east-1 in N ms
    ✗ there (aws): Unable to authenticate with AWS: the variable `THERE_ROLE` has no value, and `role_arn` of the provider `there` needs it (line 10)
      run: aws sts get-caller-identity
      run: aws sts assume-role --role-arn $ROLE_ARN --role-session-name secretzero
    ");
}

/// Nothing is generated before every place is known to be empty, also the one that is not selected.
#[test]
fn a_provider_that_is_not_selected_needs_no_variable() {
    let stage = Stage::with(TWO_ACCOUNTS);
    stage.told(0, &["sync", "--secret", "ours"]);
    insta::assert_snapshot!(stage.told(8, &["sync", "--provider", "here"]), @"
    --- stderr
    ✗ shared: AWS Secrets Manager `two/theirs` cannot be read: the variable `THERE_ROLE` has no value, and `role_arn` of the provider `there` needs it (line 10) (Secretfile.yml:20)
      help: nothing is generated until every target can be read; mend this and run again
    ! 1 secret held
    ");
    assert!(stage.aws.secret("two/shared").is_none());
    assert_eq!(stage.aws.count("AssumeRole"), 0);
}

#[test]
fn no_target_at_all_is_nothing_to_do() {
    let stage = Stage::with(PAIR);
    insta::assert_snapshot!(stage.told(0, &["sync", "--target-type", "kv"]), @"✓ Nothing to change; 0 targets as declared");
}
