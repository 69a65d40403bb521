//! `validate` and `policy`: no network, no credential.

use std::path::Path;

use crate::sandbox::Sandbox;

use super::{SHOP, told};

/// One of the specification's examples.
fn example(name: &str) -> Sandbox {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/examples").join(name);
    Sandbox::with(&std::fs::read_to_string(path).unwrap())
}

#[test]
fn a_good_file_is_counted() {
    insta::assert_snapshot!(told(&Sandbox::with(SHOP).expect(0, &["validate"])), @"
    ✓ Configuration is valid
    ✓ 2 providers configured (aws, local)
    ✓ 3 secrets defined
    ✓ 6 targets configured
    ✓ All provider settings are there; `secretzero test` tries the credentials
    ");
}

#[test]
fn the_first_example_is_valid_without_any_credential() {
    insta::assert_snapshot!(told(&example("01-basic.yml").expect(0, &["validate"])), @"
    ✓ Configuration is valid
    ✓ 4 providers configured (aws, azure, vault, local)
    ✓ 3 secrets defined
    ✓ 12 targets configured
    ! Not set here, and needed to log in: VAULT_ADDR, VAULT_TOKEN
    --- stderr
    warning[one-time-rotation]: a `one_time` secret is never rotated by schedule, so its `rotation_period` does nothing
      --> Secretfile.yml:39:22 (secret `database_password`)
       |
    39 |     rotation_period: 90d
       |                      ^^^
       = help: remove one of the two
    ");
}

#[test]
fn a_warning_fails_only_if_asked_to() {
    let sandbox = example("05-cross-region-dr.yml");
    sandbox.expect(0, &["validate"]);
    let ran = sandbox.expect(3, &["validate", "--fail-on-warning"]);
    insta::assert_snapshot!(ran.stdout, @"
    ✓ Configuration is valid
    ✓ 4 providers configured (aws_primary, aws_dr, azure_primary, azure_dr)
    ✓ 1 secret defined
    ✓ 4 targets configured
    ✓ All provider settings are there; `secretzero test` tries the credentials
    ✗ 2 warnings, and --fail-on-warning allows none
    ");
}

/// A static value may be a credential: checking the file does not need it, a sync does.
#[test]
fn values_that_come_from_the_environment_are_not_needed_to_validate() {
    let sandbox = example("09-complete.yml");
    let ran = sandbox.expect(0, &["validate"]);
    insta::assert_snapshot!(ran.stdout, @"
    ✓ Configuration is valid
    ✓ 5 providers configured (aws_primary, aws_dr, azure_primary, vault, local)
    ✓ 4 secrets defined
    ✓ 14 targets configured
    ! Not set here, and needed to log in: VAULT_ADDR, VAULT_TOKEN
    ! Not set here, and needed to make values: DB_HOST, SENDGRID_API_KEY, STRIPE_API_KEY, TWILIO_AUTH_TOKEN
    ");
    let ran = sandbox.expect(3, &["sync", "--dry-run"]);
    assert!(ran.stderr.contains("the variable `STRIPE_API_KEY` has no value"), "{}", ran.stderr);
}

#[test]
fn a_misspelt_variable_is_an_error_all_the_same() {
    let sandbox = Sandbox::with(&SHOP.replace("svc_${app_name}", "svc_${app_nam}"));
    insta::assert_snapshot!(told(&sandbox.expect(3, &["validate"])), @"
    --- stderr
    error[missing-variable]: the variable `app_nam` has no value
      --> Secretfile.yml:69:26
       |
    69 |             default: •••
       |                      ^^^
       = help: did you mean `app_name`? Otherwise set it in the environment
    ");
}

#[test]
fn every_error_has_its_place() {
    let sandbox = Sandbox::with(&SHOP.replace("length: 32", "lenght: 32").replace("kind: ssm_parameter", "kind: ssm"));
    insta::assert_snapshot!(told(&sandbox.expect(3, &["validate"])), @"
    --- stderr
    error[unknown-key]: this generator's config has no key `lenght`
      --> Secretfile.yml:26:7 (secret `database_password`)
       |
    26 |       lenght: •••
       |       ^^^^^^
       = help: did you mean `length`?

    error[unknown-kind]: there is no kind of target `ssm`
      --> Secretfile.yml:42:15 (secret `database_password`)
       |
    42 |         kind: ssm
       |               ^^^
       = help: known are: file, secrets_manager, ssm_parameter, key_vault, key_vault_certificate, kv, database_role, transit_key, secret_manager

    error[unknown-key]: this generator's config has no key `lenght`
      --> Secretfile.yml:51:7 (secret `external_api_key`)
       |
    51 |       lenght: •••
       |       ^^^^^^
       = help: did you mean `length`?
    ");
}

#[test]
fn what_is_no_secretfile_is_said_in_one_line() {
    let sandbox = Sandbox::new();
    insta::assert_snapshot!(told(&sandbox.expect(3, &["validate"])), @"
    --- stderr
    error: there is no Secretfile at Secretfile.yml
      help: name it with `-f PATH`; `secretzero demo` shows one at work
    ");
    sandbox.write("secrets/file", "");
    insta::assert_snapshot!(told(&sandbox.expect(3, &["validate", "-f", "secrets"])), @"
    --- stderr
    error: secrets is a folder
      help: name the file in it with `-f PATH`
    ");
    sandbox.write("large.yml", &"a".repeat(5 * 1024 * 1024));
    insta::assert_snapshot!(told(&sandbox.expect(3, &["validate", "-f", "large.yml"])), @"
    --- stderr
    error: large.yml is larger than 4 MiB
      help: split it into several Secretfiles
    ");
    sandbox.write("empty.yml", "");
    insta::assert_snapshot!(told(&sandbox.expect(3, &["validate", "-f", "empty.yml"])), @"
    --- stderr
    error[empty-file]: the file is empty
     --> empty.yml:1:1
      = help: begin with `metadata:`, `providers:` and `secrets:`
    ");
    #[expect(clippy::disallowed_methods, reason = "a test prepares its own files")]
    std::fs::write(sandbox.path("latin.yml"), b"metadata:\n  owner: J\xf6rg\n").unwrap();
    insta::assert_snapshot!(told(&sandbox.expect(3, &["validate", "-f", "latin.yml"])), @"
    --- stderr
    error[not-utf8]: the file is not UTF-8: byte 20 is part of no character
     --> latin.yml:2:11
      = help: save the file as UTF-8
    ");
}

#[test]
fn a_policy_that_is_broken_exits_5() {
    insta::assert_snapshot!(told(&example("07-compliance.yml").expect(5, &["policy"])), @"
    error[rotation-max-age]: `database_admin_password` rotates every 90d, but the longest allowed is 60d (policy `compliance_rotation`)
       --> Secretfile.yml:100:22 (secret `database_admin_password`)
        |
    100 |     rotation_period: 90d
        |                      ^^^
        = help: set `rotation_period: 60d` or shorter, or raise max_age in the policy

    ✗ 3 policies checked: 1 error, 0 warnings
    ");
    let ran = example("09-complete.yml").expect(5, &["policy"]);
    insta::assert_snapshot!(ran.stdout.lines().last().unwrap(), @"✗ 2 policies checked: 2 errors, 10 warnings");
}

#[test]
fn a_policy_warning_fails_only_if_asked_to() {
    let sandbox = example("05-cross-region-dr.yml");
    insta::assert_snapshot!(told(&sandbox.expect(0, &["policy"])), @"
    warning[one-time-rotation-period]: `critical_database_password` is one_time, so its rotation_period of 90d never takes effect
      --> Secretfile.yml:31:22 (secret `critical_database_password`)
       |
    31 |     rotation_period: 90d
       |                      ^^^
       = help: remove one of the two; `secretzero rotate --secret critical_database_password` rotates it by hand

    ✓ 0 policies checked: 0 errors, 1 warning
    ");
    sandbox.expect(5, &["policy", "--fail-on-warning"]);
    insta::assert_snapshot!(told(&Sandbox::with(SHOP).expect(0, &["policy", "--fail-on-warning"])), @"✓ The Secretfile has no policies");
}

#[test]
fn a_sync_says_that_a_policy_is_broken_and_goes_on() {
    let file = SHOP.replace("secrets:\n", "policies:\n  short:\n    kind: rotation\n    max_age: 10d\n\nsecrets:\n");
    let stage = super::Stage::with(&file);
    let ran = stage.sandbox.expect(0, &["sync", "--dry-run"]);
    insta::assert_snapshot!(ran.stderr, @"! 2 policy errors; `secretzero policy` shows more");
}

#[test]
fn a_file_of_variables_wins() {
    let sandbox = Sandbox::with(&SHOP.replace("svc_${app_name}", "svc_${team}"));
    sandbox.expect(0, &["validate"]);
    sandbox.write("vars.yml", "team: payments\n");
    let ran = sandbox.expect(0, &["validate", "--var-file", "vars.yml"]);
    assert!(!ran.stdout.contains("team"), "{}", ran.stdout);
    insta::assert_snapshot!(told(&sandbox.expect(3, &["validate", "--var-file", "none.yml"])), @"
    --- stderr
    error: there is no file of variables at none.yml
      help: check `--var-file`
    ");
    sandbox.write("list.yml", "- team\n");
    insta::assert_snapshot!(told(&sandbox.expect(3, &["validate", "--var-file", "list.yml"])), @"
    --- stderr
    error[wrong-type]: a file of variables is a list, not a mapping
     --> list.yml:1:1
      |
    1 | - •••
      | ^
      = help: write `key: value` lines, indented below it
    ");
}

#[test]
fn a_cache_time_that_is_no_number_is_told() {
    let with = |value: &str| Sandbox::with(SHOP).env([("SECRETZERO_CACHE_TTL", value)]).expect(0, &["validate"]);
    insta::assert_snapshot!(with("5m").stderr, @"! SECRETZERO_CACHE_TTL is no whole number of seconds and is ignored; within one run metadata is read once in any case");
    assert_eq!(with("300").stderr, "");
    assert_eq!(with("").stderr, "");
}

#[test]
fn what_could_be_free_is_named_once_to_those_who_want_to_know_more() {
    let parameter = "      - {provider: aws, kind: ssm_parameter, config: {name: /pair/token}}\n";
    let sandbox = Sandbox::with(&super::PAIR.replace("    rotation_period: 90d\n", "").replace(parameter, ""));
    let hints = |args: &[&str]| {
        let ran = sandbox.expect(0, args);
        ran.stdout.lines().filter(|line| line.contains("would cost")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(hints(&["validate"]), "");
    insta::assert_snapshot!(hints(&["validate", "--verbose"]), @"· 1 secret in Secrets Manager without anything that only it offers (replicas, a `rotation_period`, more than 4 KB) would cost nothing in SSM's tier Standard, instead of $0.40 a month: `token`");
}
