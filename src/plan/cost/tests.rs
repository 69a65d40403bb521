#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::diagnostic::{Source as Text, Span};
use crate::locator::Locator;
use crate::lockfile::Declaration;
use crate::manifest::{Inputs, Statics, load};
use crate::mark::{Owner, ShortId};
use crate::plan::{Next, SecretPlan, duration};
use crate::target::TargetKind;

const HEAD: &str = "metadata: {project: shop}\nproviders: {aws: {kind: aws}}\n";

fn manifest(rest: &str) -> Manifest {
    let environment = |_: &str| None;
    let inputs =
        Inputs { statics: Statics::Leave, ..Inputs::new(&environment, "2026-11-24T00:00:00Z".parse().unwrap()) };
    let loaded = load(&Text::new("Secretfile.yml", format!("{HEAD}{rest}")), &inputs);
    loaded.manifest.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

/// A plan in which every target has one action; what is not created stands there already.
fn plan(manifest: &Manifest, action: Action, changes: &[&str]) -> Plan {
    let stands = action != Action::Create;
    let target = |index: usize, target: &Target| TargetPlan {
        index,
        kind: target.settings.kind(),
        provider: "aws".into(),
        name: target.settings.name().into(),
        locator: Some(match target.settings.kind() {
            TargetKind::SsmParameter => Locator::ssm_parameter("123456789012", "eu-west-1", target.settings.name()),
            _ => Locator::secrets_manager("123456789012", "eu-west-1", target.settings.name()),
        }),
        span: Span::default(),
        action,
        why: String::new(),
        changes: changes.iter().map(|change| (*change).to_owned()).collect(),
        version: stands.then(|| "1".to_owned()),
        generation: None,
        drifted: false,
        restore: false,
        capabilities: None,
    };
    let secret = |(index, secret): (usize, &Secret)| SecretPlan {
        index,
        name: secret.name.value.clone(),
        owner: Owner {
            project: ShortId::of("shop"),
            secret: ShortId::of(&secret.name.value),
            environment: ShortId::of(""),
            repository: None,
        },
        span: Span::default(),
        primary: Some(0),
        source: None,
        generation: None,
        next: Next::Keep,
        hold: None,
        targets: secret.targets.iter().enumerate().map(|(at, declared)| target(at, declared)).collect(),
        due: None,
        external: false,
        edited: false,
        notes: Vec::new(),
        declaration: Declaration::default(),
    };
    let secrets = manifest.secrets.iter().enumerate().map(secret).collect();
    Plan { secrets, ..Plan::default() }
}

fn secrets(count: usize, config: &str, targets: &[&str]) -> String {
    let mut text = String::from("secrets:\n");
    for index in 0..count {
        text.push_str(&format!("  - name: s{index}\n    kind: random_password\n{config}    targets:\n"));
        for target in targets {
            text.push_str(&format!("      - {}\n", target.replace('#', &index.to_string())));
        }
    }
    text
}

const SM: &str = "{provider: aws, kind: secrets_manager, config: {name: a/#}}";
const REPLICATED: &str = "{provider: aws, kind: secrets_manager, config: {name: a/#, replica_regions: [us-west-2]}}";
const STANDARD: &str = "{provider: aws, kind: ssm_parameter, config: {name: /a/#}}";
const ADVANCED: &str = "{provider: aws, kind: ssm_parameter, config: {name: /a/#, tier: Advanced}}";

fn bill(manifest: &Manifest, plan: &Plan) -> String {
    let cost = Cost::of(plan, manifest);
    format!("{} → {}", cost.before, cost.after)
}

#[test]
fn each_secret_replica_and_advanced_parameter_is_on_the_bill_and_standard_ones_are_not() {
    let whole = manifest(&secrets(2, "", &[REPLICATED, ADVANCED]));
    assert_eq!(bill(&whole, &plan(&whole, Action::Create, &[])), "$0.00 → $1.70");
    assert_eq!(bill(&whole, &plan(&whole, Action::Keep, &[])), "$1.70 → $1.70");
    let free = manifest(&secrets(100, "", &[STANDARD]));
    assert_eq!(bill(&free, &plan(&free, Action::Create, &[])), "$0.00 → $0.00");
}

#[test]
fn what_metadata_add_counts_as_the_difference() {
    let whole = manifest(&secrets(1, "", &[REPLICATED]));
    assert_eq!(bill(&whole, &plan(&whole, Action::Metadata, &["replica:us-west-2", "tag:Team"])), "$0.40 → $0.80");
    let whole = manifest(&secrets(1, "", &[ADVANCED]));
    assert_eq!(bill(&whole, &plan(&whole, Action::Metadata, &["tier"])), "$0.00 → $0.05");
}

#[test]
fn what_is_held_away_or_scheduled_for_deletion_costs_nothing_now() {
    let whole = manifest(&secrets(1, "", &[SM]));
    let mut held = plan(&whole, Action::Held, &[]);
    held.secrets[0].targets[0].version = None;
    assert_eq!(bill(&whole, &held), "$0.00 → $0.00");
    let mut restored = plan(&whole, Action::Heal, &[]);
    restored.secrets[0].targets[0].restore = true;
    assert_eq!(bill(&whole, &restored), "$0.00 → $0.40");
}

#[test]
fn a_teams_own_prices_go_before_the_list() {
    let prices = "costs: {currency: EUR, aws: {secrets_manager: 0.37, ssm_advanced: 0.046}}\n";
    let whole = manifest(&format!("{prices}{}", secrets(10, "", &[SM, ADVANCED])));
    assert_eq!(bill(&whole, &plan(&whole, Action::Create, &[])), "0.00 EUR → 4.16 EUR");
    let whole = manifest(&format!("costs: {{aws: {{secrets_manager: 1}}}}\n{}", secrets(1, "", &[SM, ADVANCED])));
    assert_eq!(bill(&whole, &plan(&whole, Action::Create, &[])), "$0.00 → $1.05");
}

#[test]
fn only_what_could_be_free_is_hinted_at() {
    let hinted = |text: &str| -> Vec<usize> {
        cheaper(&manifest(text), |_, _| true).into_iter().map(|hint| hint.secrets.len()).collect()
    };
    assert_eq!(hinted(&secrets(3, "", &[SM])), [3]);
    assert_eq!(hinted(&secrets(2, "", &[ADVANCED])), [2]);
    assert_eq!(hinted(&secrets(3, "    config: {length: 4096}\n", &[ADVANCED])), [3]);
    for (config, target) in [
        ("", REPLICATED),
        ("    rotation_period: 90d\n", SM),
        ("    config: {length: 4096, special_characters: 'é'}\n", SM),
        ("", STANDARD),
    ] {
        assert_eq!(hinted(&secrets(1, config, &[target])), [0; 0], "{config}{target}");
    }
    assert_eq!(hinted(&secrets(1, "", &[SM, STANDARD])), [0; 0], "in both for a reason");
    let target = SM.replace('#', "x");
    let of = |value: &str| {
        format!("secrets: [{{name: a, kind: static, config: {{default: '{value}'}}, targets: [{target}]}}]\n")
    };
    assert_eq!(hinted(&of("short")), [1]);
    assert_eq!(hinted(&of("${CERTIFICATE}")), [0; 0], "a variable may hold anything");
    let hints = cheaper(&manifest(&secrets(3, "", &[SM])), |_, _| true);
    insta::assert_snapshot!(hints[0].text, @"3 secrets in Secrets Manager without anything that only it offers (replicas, a `rotation_period`, more than 4 KB) would cost nothing in SSM's tier Standard, instead of $1.20 a month");
}

fn seconds(plan: &Plan) -> Option<f64> {
    duration::documented(plan).map(|time| time.as_secs_f64())
}

#[test]
fn the_slowest_class_of_calls_decides_how_long_it_takes() {
    let whole = manifest(&secrets(1000, "", &[SM, STANDARD]));
    assert_eq!(seconds(&plan(&whole, Action::Create, &[])), Some(25.0), "1,000 parameters at 40 a second");
    assert_eq!(seconds(&plan(&whole, Action::Keep, &[])), None);
    let whole = manifest(&secrets(1000, "", &[SM]));
    assert_eq!(seconds(&plan(&whole, Action::Rotate, &[])), Some(20.0), "values and marks side by side");
    assert_eq!(seconds(&plan(&whole, Action::Metadata, &["description", "replica:us-west-2"])), Some(40.0));
}

#[test]
fn regions_go_on_side_by_side() {
    let whole = manifest(&secrets(2, "", &[SM]));
    let mut apart = plan(&whole, Action::Create, &[]);
    assert_eq!(seconds(&apart), Some(0.04));
    apart.secrets[1].targets[0].locator = Some(Locator::secrets_manager("123456789012", "us-east-1", "a/1"));
    assert_eq!(seconds(&apart), Some(0.02));
}
