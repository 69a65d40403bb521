#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use super::*;
use crate::diagnostic::Spanned;
use crate::manifest::{
    AccessList, Compliance, Costs, Field, Generator, GeneratorKind, Metadata, PasswordSettings, Period, ProviderBlock,
    ProviderKind, Source, StaticSettings, TextSettings,
};
use crate::secret::Encoding;
use crate::target::{
    DatabaseRoleSettings, FileFormat, FileSettings, KvSettings, ParameterTier, ParameterType, ReplicaRegion,
    Replication, SecretManagerSettings, SecretsManagerSettings, SsmParameterSettings, TargetSettings,
};

const LINE: Span = Span { line: 7, column: 3, start: 90, end: 99 };

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(value, LINE)
}

fn period(text: &str) -> Period {
    let days: i64 = text.trim_end_matches('d').parse().unwrap();
    Period { text: text.to_owned(), seconds: days * 86_400 }
}

fn password(length: u32, classes: &[&str]) -> Generator {
    let classes = classes.iter().map(|class| (*class).to_owned()).collect();
    let kind = GeneratorKind::Password(PasswordSettings { length, classes });
    Generator { kind, declaration: String::new(), span: LINE }
}

fn secret(name: &str, rotation_period: Option<&str>, targets: Vec<TargetSettings>) -> Secret {
    let target = |settings: TargetSettings| Target {
        provider: usize::from(matches!(settings, TargetSettings::File(_))),
        settings,
        primary: false,
        span: Span { line: 20, ..LINE },
        spans: BTreeMap::new(),
        replica_of: None,
    };
    Secret {
        name: spanned(name.to_owned()),
        first_name: name.to_owned(),
        source: Source::Single(password(32, &["A", "a", "1", "!"])),
        rotation_period: rotation_period.map(|text| spanned(period(text))),
        one_time: false,
        adopt: false,
        owners: vec![],
        consumers: vec![],
        description: None,
        targets: targets.into_iter().map(target).collect(),
    }
}

fn manifest(rules: Vec<Rule>, secrets: Vec<Secret>) -> Manifest {
    let provider = |alias: &str, kind, region: Option<&str>| ProviderBlock {
        alias: spanned(alias.to_owned()),
        kind,
        auth_kind: "ambient".to_owned(),
        config: region.map(|region| ("region".to_owned(), spanned(region.into()))).into_iter().collect(),
        unresolved: BTreeMap::new(),
        span: LINE,
    };
    let policy = |rule| Policy { name: spanned("house".to_owned()), rule, severity: Severity::Error, enabled: true };
    Manifest {
        metadata: Metadata { owner: Some("platform".to_owned()), ..Metadata::default() },
        providers: vec![
            provider("cloud", ProviderKind::Aws, Some("us-east-1")),
            provider("here", ProviderKind::Local, None),
        ],
        policies: rules.into_iter().map(policy).collect(),
        costs: Costs::default(),
        secrets,
        environment: None,
    }
}

fn sm(name: &str, tags: &[&str]) -> SecretsManagerSettings {
    let tags = tags.iter().map(|tag| ((*tag).to_owned(), "x".to_owned())).collect();
    SecretsManagerSettings { name: name.to_owned(), tags, ..SecretsManagerSettings::default() }
}

fn ssm(parameter_type: ParameterType, kms_key_id: Option<&str>) -> TargetSettings {
    TargetSettings::SsmParameter(SsmParameterSettings {
        name: "/app/x".to_owned(),
        parameter_type,
        tier: ParameterTier::Standard,
        data_type: "text".to_owned(),
        policies: None,
        expires: None,
        description: None,
        kms_key_id: kms_key_id.map(str::to_owned),
        tags: BTreeMap::new(),
    })
}

fn file() -> TargetSettings {
    let key = "X".to_owned();
    TargetSettings::File(FileSettings { path: ".env".to_owned(), format: FileFormat::Dotenv, merge: true, key })
}

fn kv(metadata: &[&str]) -> TargetSettings {
    TargetSettings::Kv(KvSettings {
        path: "app/x".to_owned(),
        mount_point: "secret".to_owned(),
        version: 2,
        key: "value".to_owned(),
        cas: None,
        metadata: metadata.iter().map(|key| ((*key).to_owned(), "x".to_owned())).collect(),
    })
}

fn role() -> TargetSettings {
    TargetSettings::DatabaseRole(DatabaseRoleSettings {
        database_mount: "database".to_owned(),
        role_name: "app".to_owned(),
        db_name: "pg".to_owned(),
        creation_statements: vec![],
        default_ttl_seconds: None,
        max_ttl_seconds: None,
    })
}

fn gcp(replication: Replication) -> TargetSettings {
    TargetSettings::SecretManager(SecretManagerSettings {
        project_id: None,
        secret_id: "x".to_owned(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        replication,
        topics: vec![],
        rotation_period_seconds: None,
        next_rotation_time: None,
        expire_time: None,
        keep_versions: None,
    })
}

/// One line per finding, as a person would read it.
fn told(manifest: &Manifest) -> String {
    let line = |f: Finding| {
        let (rule, severity, line) = (f.rule, f.severity.as_str(), f.span.line);
        format!("{severity}[{rule}] line {line}: {}\n  help: {}", f.message, f.help.unwrap_or_default())
    };
    check(manifest).into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn rules(manifest: &Manifest) -> Vec<&'static str> {
    check(manifest).into_iter().map(|finding| finding.rule).collect()
}

fn rotation(max_age: Option<&str>) -> Rule {
    Rule::Rotation { require_rotation_period: true, max_age: max_age.map(period) }
}

#[test]
fn a_missing_and_a_too_long_period_break_a_rotation_policy() {
    // The periods of the specification's compliance example: 60 days are allowed, 90 are not.
    let secrets = vec![
        secret("payment_gateway_key", Some("60d"), vec![]),
        secret("database_admin_password", Some("90d"), vec![]),
        secret("forgotten", None, vec![]),
    ];
    insta::assert_snapshot!(told(&manifest(vec![rotation(Some("60d"))], secrets)), @"
    error[rotation-max-age] line 7: `database_admin_password` rotates every 90d, but the longest allowed is 60d (policy `house`)
      help: set `rotation_period: 60d` or shorter, or raise max_age in the policy
    error[rotation-period-required] line 7: `forgotten` declares no rotation_period (policy `house`)
      help: add `rotation_period: 60d` to it
    ");
}

#[test]
fn a_period_that_is_not_required_may_be_missing() {
    let rule = Rule::Rotation { require_rotation_period: false, max_age: Some(period("60d")) };
    assert!(rules(&manifest(vec![rule], vec![secret("a", None, vec![])])).is_empty());
}

#[test]
fn a_one_time_secret_with_a_period_is_warned_about_and_still_measured() {
    // The specification's complete example: one_time, 365 days, 90 allowed.
    let one_time = Secret { one_time: true, ..secret("application_encryption_key", Some("365d"), vec![]) };
    insta::assert_snapshot!(told(&manifest(vec![rotation(Some("90d"))], vec![one_time])), @"
    warning[one-time-rotation-period] line 7: `application_encryption_key` is one_time, so its rotation_period of 365d never takes effect
      help: remove one of the two; `secretzero rotate --secret application_encryption_key` rotates it by hand
    error[rotation-max-age] line 7: `application_encryption_key` rotates every 365d, but the longest allowed is 90d (policy `house`)
      help: set `rotation_period: 90d` or shorter, or raise max_age in the policy
    ");
}

#[test]
fn a_one_time_secret_without_a_period_is_fine_unless_a_policy_requires_one() {
    let one_time = || vec![Secret { one_time: true, ..secret("a", None, vec![]) }];
    assert!(rules(&manifest(vec![], one_time())).is_empty());
    assert_eq!(rules(&manifest(vec![rotation(None)], one_time())), ["rotation-period-required"]);
}

#[test]
fn a_disabled_policy_says_nothing_and_another_severity_is_kept() {
    let mut manifest = manifest(vec![rotation(None)], vec![secret("a", None, vec![])]);
    manifest.policies[0].severity = Severity::Warning;
    assert_eq!(check(&manifest)[0].severity, Severity::Warning);
    manifest.policies[0].enabled = false;
    assert!(check(&manifest).is_empty());
}

fn audit(required: &[&str]) -> Rule {
    Rule::Audit { require_tags: true, required_tags: required.iter().map(|tag| (*tag).to_owned()).collect() }
}

#[test]
fn required_tags_match_whatever_their_case_and_their_hyphens() {
    let targets = vec![
        TargetSettings::SecretsManager(sm("app/db", &["DataClassification", "Owner"])),
        kv(&["data_classification", "owner"]),
        TargetSettings::SecretsManager(sm("app/db2", &["data-classification", "OWNER"])),
    ];
    assert!(
        rules(&manifest(vec![audit(&["DataClassification", "Owner"])], vec![secret("db", None, targets)])).is_empty()
    );
}

#[test]
fn a_missing_tag_is_told_with_its_target_and_line() {
    let targets =
        vec![TargetSettings::SecretsManager(sm("app/db", &["Owner"])), kv(&[]), gcp(Replication::Automatic(None))];
    let manifest = manifest(vec![audit(&["Owner", "Application"])], vec![secret("db", None, targets)]);
    assert_eq!(check(&manifest).iter().map(|f| f.target).collect::<Vec<_>>(), [Some(0), Some(1), Some(2)]);
    insta::assert_snapshot!(told(&manifest), @"
    error[audit-required-tags] line 20: `db` in AWS Secrets Manager `app/db` lacks the required tag `Application` (policy `house`)
      help: add `Application` under `tags` (case, `-` and `_` do not count)
    error[audit-required-tags] line 20: `db` in Vault KV `app/x` lacks the required metadata `Owner`, `Application` (policy `house`)
      help: add `Owner`, `Application` under `metadata` (case, `-` and `_` do not count)
    error[audit-required-tags] line 20: `db` in Google Secret Manager `x` lacks the required labels `Owner`, `Application` (policy `house`)
      help: add `Owner`, `Application` under `labels` (case, `-` and `_` do not count)
    ");
}

#[test]
fn places_without_tags_are_exempt_from_the_audit_and_others_need_at_least_one() {
    let manifest = |targets| manifest(vec![audit(&[])], vec![secret("db", None, targets)]);
    assert!(rules(&manifest(vec![file(), role()])).is_empty());
    assert_eq!(rules(&manifest(vec![file(), kv(&[]), kv(&["any"])])), ["audit-tags"]);
}

#[test]
fn a_key_must_be_chosen_only_where_one_can_be() {
    let replica =
        |kms: Option<&str>| ReplicaRegion { region: "europe-west1".into(), kms_key_id: kms.map(str::to_owned) };
    let keyed = SecretsManagerSettings { kms_key_id: Some("alias/a".into()), ..sm("b", &[]) };
    let targets = vec![
        TargetSettings::SecretsManager(sm("a", &[])),
        TargetSettings::SecretsManager(keyed),
        ssm(ParameterType::SecureString, None),
        ssm(ParameterType::SecureString, Some("alias/a")),
        ssm(ParameterType::String, None),
        gcp(Replication::Automatic(None)),
        gcp(Replication::Automatic(Some("key".into()))),
        gcp(Replication::UserManaged(vec![replica(Some("key")), replica(None)])),
        kv(&[]),
        file(),
        role(),
    ];
    let manifest =
        |require_kms| manifest(vec![Rule::Encryption { require_kms }], vec![secret("db", None, targets.clone())]);
    let found: Vec<usize> = check(&manifest(true)).iter().map(|f| f.target.unwrap()).collect();
    assert_eq!(found, [0, 2, 5, 7]);
    assert!(check(&manifest(false)).is_empty());
}

fn list(providers: &[&str], regions: &[&str], kinds: &[&str]) -> AccessList {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    AccessList { providers: owned(providers), regions: owned(regions), kinds: owned(kinds) }
}

#[test]
fn providers_regions_and_kinds_are_held_against_both_lists() {
    let replica = ReplicaRegion { region: "eu-west-1".into(), kms_key_id: None };
    let replicated = SecretsManagerSettings { replica_regions: vec![replica], ..sm("a", &[]) };
    let secrets = || vec![secret("db", None, vec![TargetSettings::SecretsManager(replicated.clone()), file()])];
    let rules = |allowed, denied| rules(&manifest(vec![Rule::Access { allowed, denied }], secrets()));
    let nothing = AccessList::default;
    assert!(rules(nothing(), nothing()).is_empty());
    assert!(
        rules(list(&["aws", "here"], &["us-east-1", "eu-west-1"], &["secrets_manager", "file"]), nothing()).is_empty()
    );
    assert_eq!(rules(list(&["cloud"], &[], &[]), nothing()), ["access-provider"], "the local one is not allowed");
    assert_eq!(rules(nothing(), list(&["local"], &[], &["file"])), ["access-provider", "access-kind"]);
    assert_eq!(rules(list(&[], &["us-east-1"], &[]), nothing()), ["access-region"], "a replica counts");
}

#[test]
fn leaving_the_region_open_is_no_way_around_a_list_of_regions() {
    let targets = vec![TargetSettings::SecretsManager(sm("a", &[])), gcp(Replication::Automatic(None)), kv(&[])];
    let rule = Rule::Access { allowed: list(&[], &["us-east-1"], &[]), denied: AccessList::default() };
    let mut manifest = manifest(vec![rule], vec![secret("db", None, targets)]);
    manifest.providers[0].config.clear();
    manifest.secrets[0].targets[2].provider = 1;
    insta::assert_snapshot!(told(&manifest), @"
    error[access-region] line 20: `db` in AWS Secrets Manager `a` does not say which region it uses (policy `house`)
      help: set `auth.config.region` of its provider
    error[access-region] line 20: `db` in Google Secret Manager `x` does not say which region it uses (policy `house`)
      help: declare user-managed replication with its locations
    ");
}

#[test]
fn generated_values_are_measured_by_their_settings_and_static_ones_are_not() {
    let field = |name: &str, kind| Field {
        name: spanned(name.to_owned()),
        generator: Generator { kind, declaration: String::new(), span: LINE },
    };
    let hex = GeneratorKind::Text(TextSettings { length: 32, alphabet: "0123456789abcdef".into() });
    let fields = vec![
        field("password", password(8, &["A", "a", "1"]).kind),
        field("token", hex),
        field("id", GeneratorKind::Uuid),
        field(
            "port",
            GeneratorKind::Static(StaticSettings { value: None, validation: None, encoding: Encoding::Text }),
        ),
    ];
    let source = Source::Template(fields);
    let rule = Rule::Complexity { min_length: Some(16), min_classes: Some(3) };
    let manifest = manifest(vec![rule], vec![Secret { source, ..secret("db", None, vec![]) }]);
    insta::assert_snapshot!(told(&manifest), @"
    error[complexity-length] line 7: the field `password` of `db` has 8 characters, but at least 16 are required (policy `house`)
      help: set `length: 16` or more
    error[complexity-classes] line 7: the field `token` of `db` draws from 2 character classes, but at least 3 are required (policy `house`)
      help: allow more of upper case, lower case, digits and special characters
    error[complexity-classes] line 7: the field `id` of `db` draws from 2 character classes, but at least 3 are required (policy `house`)
      help: allow more of upper case, lower case, digits and special characters
    ");
}

#[test]
fn packs_name_their_controls_and_never_weigh_more_than_a_warning() {
    let targets = vec![ssm(ParameterType::String, None), ssm(ParameterType::SecureString, None)];
    let source = Source::Single(password(11, &["a"]));
    let mut manifest = manifest(vec![], vec![Secret { source, ..secret("db", None, targets) }]);
    assert!(check(&manifest).is_empty(), "no pack is on");
    manifest.metadata.owner = None;
    manifest.metadata.compliance = vec![spanned(Compliance::Soc2), spanned(Compliance::PciDss)];
    assert!(check(&manifest).iter().all(|finding| finding.severity < Severity::Error));
    assert_eq!(check(&manifest)[0].policy, "pci-dss, soc2");
    insta::assert_snapshot!(told(&manifest), @"
    warning[pack-rotation-period] line 7: `db` declares no rotation_period (PCI DSS 8.6.3, SOC 2 CC6.1)
      help: add a rotation_period that your risk analysis supports, such as `90d`
    warning[pack-password-length] line 7: `db` has a password of fewer than 12 characters (PCI DSS 8.3.6)
      help: set `length: 12` or more, unless the system cannot take as many
    warning[pack-plaintext-parameter] line 20: `db` in AWS SSM Parameter `/app/x` is stored without encryption by a key of KMS (PCI DSS 8.3.2, SOC 2 CC6.1)
      help: set `type: SecureString`
    info[pack-owner] line 7: nobody is named as the owner of `db` (SOC 2 CC6.1)
      help: set `metadata.owner`, or `owners:` of each secret
    ");
}

#[test]
fn a_well_kept_file_satisfies_every_pack() {
    let mut manifest = manifest(vec![], vec![secret("db", Some("90d"), vec![ssm(ParameterType::SecureString, None)])]);
    let packs = [Compliance::Soc2, Compliance::Iso27001, Compliance::PciDss];
    manifest.metadata.compliance = packs.into_iter().map(spanned).collect();
    assert!(check(&manifest).is_empty());
}

#[test]
fn a_finding_becomes_a_diagnostic_at_the_same_place() {
    let finding = check(&manifest(vec![rotation(None)], vec![secret("a", None, vec![])])).remove(0);
    let diagnostic = Diagnostic::from(finding.clone());
    assert_eq!((diagnostic.code, diagnostic.span), ("rotation-period-required", LINE));
    assert_eq!((diagnostic.message, diagnostic.secret.unwrap()), (finding.message, "a".to_owned()));
}
