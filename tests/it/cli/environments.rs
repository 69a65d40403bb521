//! One Secretfile for several environments: each has variables, marks and a lock of its own.

use crate::fake::aws::FakeAws;
use crate::sandbox::Sandbox;

use super::{Stage, told};

const FILE: &str = "metadata: {project: shop}
variables: {team: orders}
environments:
  dev:
    variables: {prefix: dev}
  prod:
    var_files: [environments/prod.yml]
    defaults:
      aws: {tags: {Team: '${team}'}}
providers:
  aws: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
secrets:
  - name: token
    kind: random_string
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: '${prefix}/token'}}
      - {provider: aws, kind: ssm_parameter, config: {name: '/${prefix}/token'}}
";

fn stage() -> Stage {
    let stage = Stage::with(FILE);
    stage.sandbox.write("environments/prod.yml", "prefix: prod\n");
    stage
}

#[test]
fn what_touches_a_store_needs_one_environment() {
    let stage = stage();
    insta::assert_snapshot!(stage.told(3, &["sync"]), @"
    --- stderr
    error[no-environment]: this file is for 2 environments, and none is chosen
     --> Secretfile.yml:3:1
      |
    3 | environments:
      | ^^^^^^^^^^^^
      = help: choose one with `--environment` (the action's input `environment`): dev, prod
    ");
    insta::assert_snapshot!(stage.told(3, &["sync", "--environment", "prd"]), @"
    --- stderr
    error[unknown-environment]: there is no environment `prd`
     --> Secretfile.yml:3:1
      |
    3 | environments:
      | ^^^^^^^^^^^^
      = help: did you mean `prod`?
    ");
    for command in ["sync", "rotate", "refresh", "drift", "test"] {
        stage.told(3, &[command]);
    }
    assert_eq!(stage.aws.total(), 0);
}

#[test]
fn two_environments_of_one_file_never_meet() {
    let stage = stage();
    stage.told(0, &["sync", "--environment", "dev"]);
    stage.told(0, &["sync", "--environment", "prod"]);
    assert_ne!(stage.value("dev/token"), stage.value("prod/token"));
    let mark = |name: &str| {
        let tags = stage.aws.secret(name).unwrap().tags;
        let (mark, team) = (tags.get("secretzero").unwrap(), tags.get("Team").cloned());
        (mark.split(':').find(|part| part.starts_with("e=")).unwrap().to_owned(), team)
    };
    let ((dev, none), (prod, team)) = (mark("dev/token"), mark("prod/token"));
    assert_ne!(dev, prod);
    assert_eq!((none, team.as_deref()), (None, Some("orders")));
    for (mine, other) in [("dev", "prod"), ("prod", "dev")] {
        let lock = stage.sandbox.read(&format!(".gitsecrets.{mine}.lock"));
        assert!(lock.contains(&format!("{mine}/token")) && !lock.contains(&format!("{other}/token")), "{lock}");
    }
    assert_eq!(stage.sandbox.read(".gitsecrets.lock"), "");
    // Neither sees anything of the other: no orphan, nothing to change.
    for name in ["dev", "prod"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(stage.told(0, &["sync", "--environment", name]), @"✓ Nothing to change; 2 targets as declared");
        }
        let said = stage.told(0, &["drift", "--environment", name, "--detailed-exitcode"]);
        assert!(said.starts_with('✓'), "{said}");
    }
}

/// The same place in two environments belongs to whoever was first; the other is held.
#[test]
fn an_environment_does_not_take_what_another_holds() {
    let stage = stage();
    stage.sandbox.write("environments/prod.yml", "prefix: dev\n");
    stage.told(0, &["sync", "--environment", "dev"]);
    let value = stage.value("dev/token");
    let said = stage.told(8, &["sync", "--environment", "prod"]);
    assert!(said.contains("another project, environment or secret"), "{said}");
    assert_eq!(stage.value("dev/token"), value);
}

#[test]
fn a_file_without_environments_takes_any_name_and_keeps_them_apart() {
    let stage = Stage::with(super::PAIR);
    stage.told(0, &["sync", "--environment", "Blue 1"]);
    assert!(stage.sandbox.read(".gitsecrets._42lue_201.lock").contains("pair/token"));
    stage.told(8, &["sync"]);
    // An empty name is none, as an unset variable of a script gives it.
    stage.told(8, &["sync", "--environment", ""]);
}

#[test]
fn checks_without_a_name_read_every_environment_and_say_where_a_finding_is() {
    let stage = stage();
    insta::assert_snapshot!(stage.told(0, &["validate"]), @"
    ✓ Configuration is valid
    ✓ 2 environments: dev, prod
    ✓ 1 provider configured (aws)
    ✓ 1 secret defined
    ✓ 2 targets configured
    ✓ All provider settings are there; `secretzero test` tries the credentials
    ");
    stage.edit("prefix: dev", "prefixx: dev");
    insta::assert_snapshot!(stage.told(3, &["validate"]), @"
    --- stderr
    error[missing-variable]: the variable `prefix` has no value (environment `dev`)
      --> Secretfile.yml:16:64 (secret `token`)
       |
    16 |       - {provider: aws, kind: secrets_manager, config: {name: '${prefix}/token'}}
       |                                                                ^^^^^^^^^
       = help: did you mean `prefixx`? Otherwise set it in the environment

    error[missing-variable]: the variable `prefix` has no value (environment `dev`)
      --> Secretfile.yml:17:63 (secret `token`)
       |
    17 |       - {provider: aws, kind: ssm_parameter, config: {name: '/${prefix}/token'}}
       |                                                               ^^^^^^^^^
       = help: did you mean `prefixx`? Otherwise set it in the environment
    ");
    stage.told(0, &["validate", "--environment", "prod"]);
    stage.edit("prefixx: dev", "prefix: dev");
    stage.edit("providers:", "policies:\n  tagged: {kind: audit, required_tags: [Team]}\nproviders:");
    insta::assert_snapshot!(stage.told(5, &["policy"]), @"
    error[audit-required-tags]: `token` in AWS Secrets Manager `dev/token` lacks the required tag `Team` (policy `tagged`) (environment `dev`)
      --> Secretfile.yml:18:9 (secret `token`)
       |
    18 |       - {provider: aws, kind: secrets_manager, config: {name: '${prefix}/token'}}
       |         ^
       = help: add `Team` under `tags` (case, `-` and `_` do not count)

    error[audit-required-tags]: `token` in AWS SSM Parameter `/dev/token` lacks the required tag `Team` (policy `tagged`) (environment `dev`)
      --> Secretfile.yml:19:9 (secret `token`)
       |
    19 |       - {provider: aws, kind: ssm_parameter, config: {name: '/${prefix}/token'}}
       |         ^
       = help: add `Team` under `tags` (case, `-` and `_` do not count)

    ✗ 1 policy checked: 2 errors, 0 warnings
    ");
    stage.told(0, &["policy", "--environment", "prod"]);
}

#[test]
fn files_of_variables_stay_in_the_folder_and_are_told_by_their_line() {
    let stage = stage();
    stage.sandbox.remove("environments/prod.yml");
    insta::assert_snapshot!(stage.told(3, &["validate"]), @"
    --- stderr
    error[bad-var-file]: the file of variables `environments/prod.yml` cannot be used: it does not exist
     --> Secretfile.yml:7:17
      |
    7 |     var_files: [environments/prod.yml]
      |                 ^^^^^^^^^^^^^^^^^^^^^
      = help: paths count from the folder of the Secretfile; each file holds one `name: value` a line
    ");
    let outside = Sandbox::new();
    outside.write("secret.yml", "prefix: prod\n");
    std::os::unix::fs::symlink(outside.path("secret.yml"), stage.sandbox.path("environments/prod.yml")).unwrap();
    insta::assert_snapshot!(stage.told(3, &["validate", "--environment", "prod"]), @"
    --- stderr
    error[bad-var-file]: the file of variables `environments/prod.yml` cannot be used: a symbolic link stands in its path; name the file itself
     --> Secretfile.yml:7:17
      |
    7 |     var_files: [environments/prod.yml]
      |                 ^^^^^^^^^^^^^^^^^^^^^
      = help: paths count from the folder of the Secretfile; each file holds one `name: value` a line
    ");
    stage.sandbox.remove("environments/prod.yml");
    stage.sandbox.write("environments/prod.yml", "prefix: [hunter2]\n");
    insta::assert_snapshot!(stage.told(3, &["validate"]), @"
    --- stderr
    error[wrong-type]: the variable `prefix` is a list, not a text
     --> environments/prod.yml:1:1
      |
    1 | prefix: [•••]
      | ^^^^^^
      = help: a variable holds one text or number
    ");
    stage.sandbox.write("environments/prod.yml", "");
    stage.told(0, &["validate", "--environment", "dev"]);
    // What is given for this run wins over all of them.
    stage.sandbox.write("given.yml", "prefix: given\n");
    stage.told(0, &["validate", "--environment", "prod", "--var-file", "given.yml"]);
    stage.told(0, &["sync", "--environment", "dev", "--var-file", "given.yml"]);
    assert!(stage.aws.secret("given/token").is_some());
}

#[test]
fn a_declared_lock_counts_from_the_folder_of_the_secretfile() {
    let aws = FakeAws::start();
    let sandbox = Sandbox::new().env(aws.env());
    let file =
        FILE.replace("    variables: {prefix: dev}\n", "    variables: {prefix: dev}\n    lockfile: locks/dev.lock\n");
    sandbox.write("infra/Secretfile.yml", &file);
    sandbox.expect(0, &["sync", "-f", "infra/Secretfile.yml", "--environment", "dev"]);
    assert!(sandbox.read("infra/locks/dev.lock").contains("dev/token"));
    let ran =
        sandbox.expect(0, &["sync", "-f", "infra/Secretfile.yml", "--environment", "dev", "--lockfile", "x.lock"]);
    assert!(sandbox.read("x.lock").contains("dev/token"), "{}", told(&ran));
}
