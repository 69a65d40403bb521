//! `costs:`: what a team pays, where that is not the list price.

use std::collections::BTreeMap;

use super::node::Entry;
use super::read::{Fields, Reader, Text};
use super::{Costs, Priced};
use crate::diagnostic::Span;

/// Most that a price may be, in whole units of the currency.
const PRICE_MAX: u64 = 1_000_000;

/// Digits after the point that a price keeps.
const DECIMALS: usize = 4;

/// Reads `costs:`.
pub(super) fn costs(reader: &Reader, entry: Option<&Entry>) -> Costs {
    let fields = entry.and_then(|(key, node)| Fields::of(reader, node, key.span, "`costs`"));
    let Some(fields) = fields else { return Costs::default() };
    let currency = fields.text("currency").and_then(|text| currency(reader, text));
    let mut prices = BTreeMap::new();
    if let Some((key, node)) = fields.get("aws")
        && let Some(vendor) = Fields::of(reader, node, key.span, "`aws`")
    {
        for priced in Priced::ALL {
            let price = vendor.text(priced.as_str()).and_then(|text| price(reader, priced.as_str(), &text));
            prices.extend(price.map(|price| (priced, price)));
        }
        vendor.finish();
    }
    let place = fields.place("currency");
    fields.finish();
    let costs = Costs { currency, prices };
    lacking(reader, &costs, place);
    costs
}

fn currency(reader: &Reader, text: Text) -> Option<String> {
    if text.value.len() == 3 && text.value.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Some(text.value);
    }
    let message = format!("`currency` cannot be {}", text.quoted());
    reader.error("bad-currency", text.span, message, "write its three letters, such as `USD` or `EUR`");
    None
}

/// A decimal number in ten-thousandths.
fn price(reader: &Reader, key: &str, text: &Text) -> Option<u64> {
    let (whole, part) = text.value.split_once('.').unwrap_or((&text.value, "0"));
    let digits = |text: &str, most: usize| {
        !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let number = (digits(whole, 7) && digits(part, DECIMALS))
        .then(|| format!("{whole}{part:0<DECIMALS$}").parse().ok())
        .flatten()
        .filter(|price| *price <= PRICE_MAX * 10_000);
    if number.is_none() {
        let message = format!("`{key}` is no price");
        let help = "write what one costs a month, such as `0.40`; at most four digits after the point";
        reader.error("bad-price", text.span, message, help);
    }
    number
}

/// List prices are in US dollars; two currencies make no sum.
fn lacking(reader: &Reader, costs: &Costs, place: Span) {
    let Some(currency) = costs.currency.as_ref().filter(|currency| *currency != Costs::LIST_CURRENCY) else { return };
    let missing: Vec<&str> =
        Priced::ALL.iter().filter(|priced| !costs.prices.contains_key(priced)).map(|priced| priced.as_str()).collect();
    if !missing.is_empty() {
        let message = format!("the list prices are in {}, not {currency}", Costs::LIST_CURRENCY);
        let help = format!("give every price under `costs.aws`; missing are: {}", missing.join(", "));
        reader.error("missing-price", place, message, help);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::{Inputs, load};
    use crate::diagnostic::Source;

    /// What is said of a `costs:` section, each with its line.
    fn said(costs: &str) -> Vec<String> {
        let text = format!("metadata: {{project: shop}}\nsecrets: []\ncosts:\n{costs}");
        let environment = |_: &str| None;
        let inputs = Inputs::new(&environment, "2026-11-24T00:00:00Z".parse().unwrap());
        let found = load(&Source::new("Secretfile.yml", text), &inputs).diagnostics.into_iter();
        found.map(|f| format!("{}: {} ({})", f.span.line, f.message, f.help.unwrap_or_default())).collect()
    }

    #[test]
    fn prices_are_decimal_numbers_in_one_currency() {
        let none: [String; 0] = [];
        assert_eq!(said("  aws: {secrets_manager: 0.40}\n"), none);
        assert_eq!(said("  aws: {secrets_manager: \"0.4000\", ssm_advanced: 0}\n  currency: CHF\n"), none);
        let wrong = "  currency: Euro\n  aws:\n    secrets_manager: -1\n    ssm_advanced: 0.12345\n";
        insta::assert_snapshot!(said(wrong).join("\n"), @r"
        4: `currency` cannot be `Euro` (write its three letters, such as `USD` or `EUR`)
        6: `secrets_manager` is no price (write what one costs a month, such as `0.40`; at most four digits after the point)
        7: `ssm_advanced` is no price (write what one costs a month, such as `0.40`; at most four digits after the point)
        ");
        insta::assert_snapshot!(said("  currency: EUR\n  aws: {secrets_manager: 0.37}\n").join("\n"), @"4: the list prices are in USD, not EUR (give every price under `costs.aws`; missing are: ssm_advanced)");
    }

    #[test]
    fn a_misspelt_price_is_an_error_with_the_nearest_name() {
        insta::assert_snapshot!(said("  aws: {secret_manager: 0.40}\n  curency: USD\n").join("\n"), @r"
        4: `aws` has no key `secret_manager` (did you mean `secrets_manager`?)
        5: `costs` has no key `curency` (did you mean `currency`?)
        ");
    }
}
