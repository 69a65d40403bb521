//! What a plan costs a month, before and after, and what would do the same for less.
//!
//! Counted is what stands or would stand at the targets that the plan looked at, at list prices or at
//! those of the Secretfile (`costs:`). Requests and KMS keys are not counted.

use std::fmt;

use super::{Action, Plan, TargetPlan};
use crate::manifest::{Costs, Field, GeneratorKind, Manifest, Priced, Secret, Source, Target};
use crate::target::{ParameterTier, SsmParameterSettings, TargetSettings};

/// When the list prices were read.
pub const PRICES_AS_OF: &str = "2026-11";

/// List prices of one object and month in us-east-1, in ten-thousandths of a US dollar; most regions
/// cost the same. Secrets Manager: each secret and each replica
/// (<https://aws.amazon.com/secrets-manager/pricing/>). Parameter Store: the Advanced tier; Standard
/// is free (<https://aws.amazon.com/systems-manager/pricing/>).
const LIST_PRICES: [(Priced, u64); 2] = [(Priced::SecretsManager, 4_000), (Priced::SsmAdvanced, 500)];

/// Largest value of SSM's tier Standard, in bytes
/// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html>).
const STANDARD_BYTES_MAX: usize = 4096;

/// Longest description that SSM takes, in characters.
const SSM_DESCRIPTION_MAX: usize = 1024;

/// An amount of money for one month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Money {
    /// In ten-thousandths of the currency.
    pub amount: u64,
    /// Its three letters.
    pub currency: String,
}

impl Money {
    /// The amount in whole units of the currency.
    #[must_use]
    pub fn units(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 for every sum that a bill can hold")]
        let units = self.amount as f64 / 10_000.0;
        units
    }

    /// The amount without its currency: `1.20`.
    #[must_use]
    pub fn bare(&self) -> String {
        let cents = self.amount.saturating_add(50) / 100;
        format!("{}.{:02}", cents / 100, cents % 100)
    }
}

impl fmt::Display for Money {
    /// `$1.20`, `0.37 EUR`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.currency == Costs::LIST_CURRENCY {
            write!(f, "${}", self.bare())
        } else {
            write!(f, "{} {}", self.bare(), self.currency)
        }
    }
}

/// What the objects of a plan cost a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// As things stand.
    pub before: Money,
    /// When the plan is done.
    pub after: Money,
}

impl Cost {
    /// Counts a plan.
    #[must_use]
    pub fn of(plan: &Plan, manifest: &Manifest) -> Self {
        let (mut before, mut after) = (0_u64, 0_u64);
        for (secret, target) in plan.targets().filter(|(_, target)| target.action != Action::ReplicaCheck) {
            let declared = manifest.secrets.get(secret.index).and_then(|secret| secret.targets.get(target.index));
            let Some(declared) = declared else { continue };
            let stands = stands(target);
            if stands && !target.restore {
                before = before.saturating_add(price_now(&declared.settings, target, &manifest.costs));
            }
            if stands || target.action.is_change() {
                after = after.saturating_add(price(&declared.settings, &manifest.costs));
            }
        }
        let money = |amount| Money { amount, currency: manifest.costs.currency().to_owned() };
        Self { before: money(before), after: money(after) }
    }

    /// By how much the bill changes, and whether it grows.
    #[must_use]
    pub fn difference(&self) -> (Money, bool) {
        let amount = self.after.amount.abs_diff(self.before.amount);
        (Money { amount, currency: self.after.currency.clone() }, self.after.amount > self.before.amount)
    }
}

/// Whether something stands there already; offline the lock says so.
fn stands(target: &TargetPlan) -> bool {
    target.version.is_some() || matches!(target.action, Action::Keep | Action::Metadata)
}

fn price_of(priced: Priced, costs: &Costs) -> u64 {
    let list = LIST_PRICES.iter().find(|(kind, _)| *kind == priced).map_or(0, |(_, price)| *price);
    costs.prices.get(&priced).copied().unwrap_or(list)
}

/// What a target costs as it is declared.
fn price(settings: &TargetSettings, costs: &Costs) -> u64 {
    match settings {
        TargetSettings::SecretsManager(s) => {
            let copies = u64::try_from(s.replica_regions.len()).unwrap_or(0);
            price_of(Priced::SecretsManager, costs).saturating_mul(1 + copies)
        }
        TargetSettings::SsmParameter(s) if is_advanced(s) => price_of(Priced::SsmAdvanced, costs),
        _ => 0,
    }
}

/// What it costs before its metadata are brought in line.
fn price_now(settings: &TargetSettings, target: &TargetPlan, costs: &Costs) -> u64 {
    let whole = price(settings, costs);
    match settings {
        TargetSettings::SecretsManager(_) => {
            let missing = target.changes.iter().filter(|change| change.starts_with("replica:")).count();
            let missing = price_of(Priced::SecretsManager, costs).saturating_mul(u64::try_from(missing).unwrap_or(0));
            whole.saturating_sub(missing)
        }
        TargetSettings::SsmParameter(_) if target.changes.iter().any(|change| change == "tier") => 0,
        _ => whole,
    }
}

/// Intelligent-Tiering takes Advanced only for what Standard cannot hold.
const fn is_advanced(settings: &SsmParameterSettings) -> bool {
    match settings.tier {
        ParameterTier::Advanced => true,
        ParameterTier::Standard => false,
        ParameterTier::IntelligentTiering => settings.policies.is_some(),
    }
}

/// A way to the same for less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// For a person; ends before the names.
    pub text: String,
    /// The secrets it is about.
    pub secrets: Vec<String>,
}

/// What would do the same for less, one hint for each kind of waste; `among` chooses the targets by
/// the position of their secret and their own.
#[must_use]
pub fn cheaper(manifest: &Manifest, among: impl Fn(usize, usize) -> bool) -> Vec<Hint> {
    let find = |wanted: fn(&Secret, &Target) -> bool| -> Vec<String> {
        let secrets = manifest.secrets.iter().enumerate();
        let found = secrets.filter(|(index, secret)| {
            let mut targets = secret.targets.iter().enumerate();
            targets.any(|(at, target)| among(*index, at) && target.replica_of.is_none() && wanted(secret, target))
        });
        found.map(|(_, secret)| secret.name.value.clone()).collect()
    };
    let monthly = |priced, names: &[String]| Money {
        amount: price_of(priced, &manifest.costs).saturating_mul(u64::try_from(names.len()).unwrap_or(0)),
        currency: manifest.costs.currency().to_owned(),
    };
    let mut hints = Vec::new();
    let secrets = find(fits_a_parameter);
    if !secrets.is_empty() {
        let text = format!(
            "{} in Secrets Manager without anything that only it offers (replicas, a `rotation_period`, more than 4 KB) \
             would cost nothing in SSM's tier Standard, instead of {} a month",
            counted(secrets.len(), "secret"),
            monthly(Priced::SecretsManager, &secrets)
        );
        hints.push(Hint { text, secrets });
    }
    let secrets = find(fits_standard);
    if !secrets.is_empty() {
        let text = format!(
            "{} of tier Advanced, small enough for tier Standard, would cost nothing there, instead of {} a month; AWS \
             never goes back, so choose before they are created",
            counted(secrets.len(), "SSM parameter"),
            monthly(Priced::SsmAdvanced, &secrets)
        );
        hints.push(Hint { text, secrets });
    }
    hints
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn fits_a_parameter(secret: &Secret, target: &Target) -> bool {
    let TargetSettings::SecretsManager(settings) = &target.settings else { return false };
    let described = settings.description.as_ref().map_or(0, |text| text.chars().count());
    // Whoever has it in both has a reason.
    let in_both = secret.targets.iter().any(|target| matches!(target.settings, TargetSettings::SsmParameter(_)));
    settings.replica_regions.is_empty()
        && secret.rotation_period.is_none()
        && described <= SSM_DESCRIPTION_MAX
        && !in_both
        && is_small(&secret.source)
}

fn fits_standard(secret: &Secret, target: &Target) -> bool {
    let TargetSettings::SsmParameter(settings) = &target.settings else { return false };
    settings.tier == ParameterTier::Advanced
        && settings.policies.is_none()
        && !matches!(settings.data_type.as_str(), "url" | "json" | "jsonc")
        && is_small(&secret.source)
}

/// Whether every value that the generators can make fits tier Standard.
fn is_small(source: &Source) -> bool {
    bytes_max(source).is_some_and(|bytes| bytes <= STANDARD_BYTES_MAX)
}

/// The largest value that the generators can make, in bytes; `None` where a variable decides.
fn bytes_max(source: &Source) -> Option<usize> {
    match source {
        Source::Single(generator) => generated(&generator.kind, &generator.declaration, 0),
        Source::Template(fields) => {
            let random = |field: &&Field| !matches!(field.generator.kind, GeneratorKind::Static(_));
            let largest = fields.iter().filter(random).filter_map(|f| generated(&f.generator.kind, "", 0)).max();
            let each = fields.iter().map(|field| {
                let value = generated(&field.generator.kind, &field.generator.declaration, largest.unwrap_or(0))?;
                // JSON: quotes, colon and comma, and at worst a backslash before every character.
                Some(field.name.value.len() + 2 * value + 6)
            });
            each.sum::<Option<usize>>().map(|bytes| bytes + 2)
        }
    }
}

/// The most bytes of one text; a reference to another field takes `field` bytes.
fn generated(kind: &GeneratorKind, declaration: &str, field: usize) -> Option<usize> {
    let widest = |characters: &str| characters.chars().map(char::len_utf8).max().unwrap_or(1);
    match kind {
        GeneratorKind::Password(settings) => {
            let widest = settings.classes.iter().map(|class| widest(class)).max().unwrap_or(1);
            usize::try_from(settings.length).ok()?.checked_mul(widest)
        }
        GeneratorKind::Text(settings) => usize::try_from(settings.length).ok()?.checked_mul(widest(&settings.alphabet)),
        GeneratorKind::Uuid => Some(36),
        // The declaration is what stands in the file, so its length is no news.
        GeneratorKind::External(_) => None,
        GeneratorKind::Static(_) if declaration.contains("${") => None,
        GeneratorKind::Static(_) => Some(declaration.len() + declaration.matches("{{").count().saturating_mul(field)),
    }
}

#[cfg(test)]
mod tests;
