//! The policies of the specification's own examples, from the file to the finding.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::Path;

use secretzero::diagnostic::{Severity, Source};
use secretzero::manifest::{Credentials, Inputs, Manifest, Statics, load};
use secretzero::policy;

fn example(name: &str) -> Manifest {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/examples").join(name);
    let source = Source::from_bytes(name.to_owned(), std::fs::read(path).unwrap()).ok().unwrap();
    let inputs = Inputs {
        withheld: false,
        environment: &|_| None,
        var_overrides: BTreeMap::new(),
        environment_name: None,
        environment_variables: BTreeMap::new(),
        statics: Statics::Leave,
        credentials: Credentials::Leave,
        allowed_hosts: Vec::new(),
        now: "2026-06-01T00:00:00Z".parse().unwrap(),
    };
    load(&source, &inputs).manifest.unwrap()
}

/// One line per finding.
fn told(name: &str) -> String {
    let line = |f: policy::Finding| format!("{}[{}] {}: {}", f.severity.as_str(), f.rule, f.span.line, f.message);
    policy::check(&example(name)).into_iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_compliance_example_breaks_its_own_rotation_policy_and_nothing_else() {
    insta::assert_snapshot!(told("07-compliance.yml"), @"error[rotation-max-age] 100: `database_admin_password` rotates every 90d, but the longest allowed is 60d (policy `compliance_rotation`)");
}

#[test]
fn the_complete_example_breaks_its_own_policies() {
    insta::assert_snapshot!(told("09-complete.yml"), @"
    warning[audit-required-tags] 179: `database_credentials` in Azure Key Vault `myapp-database-credentials` lacks the required tag `Application` (policy `audit_trail`)
    warning[audit-required-tags] 190: `database_credentials` in Vault KV `production/myapp/database/credentials` lacks the required metadata `Environment`, `Application` (policy `audit_trail`)
    warning[audit-required-tags] 239: `external_api_keys` in Azure Key Vault `myapp-api-keys` lacks the required tags `Environment`, `Application` (policy `audit_trail`)
    warning[audit-required-tags] 249: `external_api_keys` in Vault KV `production/myapp/api-keys` lacks the required metadata `DataClassification`, `Owner`, `Environment`, `Application` (policy `audit_trail`)
    error[rotation-max-age] 81: `service_account_credentials` rotates every 180d, but the longest allowed is 90d (policy `compliance_rotation`)
    warning[audit-required-tags] 283: `service_account_credentials` in AWS Secrets Manager `production/myapp/service-account` lacks the required tag `Application` (policy `audit_trail`)
    warning[audit-required-tags] 293: `service_account_credentials` in Azure Key Vault `myapp-service-account` lacks the required tags `DataClassification`, `Owner`, `Environment`, `Application` (policy `audit_trail`)
    warning[audit-required-tags] 300: `service_account_credentials` in Vault KV `production/myapp/service-account` lacks the required metadata `DataClassification`, `Owner`, `Environment`, `Application` (policy `audit_trail`)
    warning[one-time-rotation-period] 86: `application_encryption_key` is one_time, so its rotation_period of 365d never takes effect
    error[rotation-max-age] 86: `application_encryption_key` rotates every 365d, but the longest allowed is 90d (policy `compliance_rotation`)
    warning[audit-required-tags] 107: `application_encryption_key` in Azure Key Vault `myapp-encryption-key` lacks the required tag `Application` (policy `audit_trail`)
    warning[audit-required-tags] 117: `application_encryption_key` in Vault KV `production/myapp/encryption-key` lacks the required metadata `Environment`, `Application` (policy `audit_trail`)
    ");
}

#[test]
fn the_other_examples_break_no_policy() {
    let names = [
        "01-basic.yml",
        "02-aws-specific.yml",
        "03-azure-specific.yml",
        "04b-vault-specific-nested-templates.yml",
        "04c-vault-specific-reordered.yml",
        "05-cross-region-dr.yml",
        "06-hybrid-vault.yml",
        "08-cost-optimisation.yml",
    ];
    for name in names {
        let errors = policy::check(&example(name)).into_iter().filter(|finding| finding.severity == Severity::Error);
        assert_eq!(errors.collect::<Vec<_>>(), [], "{name}");
    }
    insta::assert_snapshot!(told("05-cross-region-dr.yml"), @"warning[one-time-rotation-period] 31: `critical_database_password` is one_time, so its rotation_period of 90d never takes effect");
}
