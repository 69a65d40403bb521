//! The normal form of what a vault keeps beside a value: `content_type`, `enabled`, `expires_on`,
//! `not_before`, `tag:<key>`.
//!
//! A date that counts from the generation's creation is compared as such: if the stored date is that
//! long after the moment that the mark names, it is what is declared.

use jiff::Timestamp;

use super::Part;
use super::model::Item;
use crate::mark::{Generation, MARK_KEY, Mark};
use crate::target::{Attributes, KeyVaultSettings, When};

/// What the settings ask for. A certificate's content type is fixed when it is imported and no list
/// tells it, so it is no metadata.
pub(super) fn desired(part: Part<'_>) -> Attributes {
    let mut attributes = Attributes::new();
    let tags = match part {
        Part::Certificate(settings) => &settings.tags,
        Part::Secret(settings) => {
            attributes.extend(settings.enabled.map(|enabled| ("enabled".to_owned(), enabled.to_string())));
            if let Some(text) = &settings.content_type {
                attributes.insert("content_type".into(), text.clone());
            }
            for (name, when) in dates(settings) {
                attributes.insert(name.into(), declared(when));
            }
            &settings.tags
        }
    };
    attributes.extend(tags.iter().map(|(key, value)| (format!("tag:{key}"), value.clone())));
    attributes
}

/// What stands there.
pub(super) fn observed(part: Option<Part<'_>>, item: &Item) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert("enabled".into(), item.attributes.enabled.unwrap_or(true).to_string());
    if let Some(text) = item.content_type.as_ref().filter(|text| !text.is_empty()) {
        attributes.insert("content_type".into(), text.clone());
    }
    let generation = item.mark().and_then(|mark| Mark::parse(mark).ok()).map(|mark| mark.generation);
    let relative: Vec<(&str, When)> = match part {
        Some(Part::Secret(settings)) => dates(settings).collect(),
        _ => Vec::new(),
    };
    for (name, stored) in [("expires_on", item.attributes.exp), ("not_before", item.attributes.nbf)] {
        let Some(stored) = stored else { continue };
        let counted = relative.iter().find(|(date, _)| *date == name).map(|(_, when)| *when);
        let counted = counted.filter(|when| {
            matches!(when, When::After(_)) && generation.as_ref().and_then(|g| seconds(*when, g)) == Some(stored)
        });
        attributes.insert(name.into(), counted.map_or_else(|| moment(stored), declared));
    }
    let tags = item.tags.iter().flatten().filter(|(key, _)| *key != MARK_KEY);
    attributes.extend(tags.map(|(key, value)| (format!("tag:{key}"), value.clone())));
    attributes
}

/// The declared dates by attribute.
fn dates(settings: &KeyVaultSettings) -> impl Iterator<Item = (&'static str, When)> {
    let dates = [("expires_on", settings.expires_on), ("not_before", settings.not_before)];
    dates.into_iter().filter_map(|(name, when)| Some((name, when?)))
}

fn declared(when: When) -> String {
    match when {
        When::At(at) => moment(at.as_second()),
        When::After(seconds) => format!("{seconds} s after the value was made"),
    }
}

/// The second that a date falls on.
pub(super) fn seconds(when: When, generation: &Generation) -> Option<i64> {
    match when {
        When::At(at) => Some(at.as_second()),
        When::After(seconds) => generation.created.as_second().checked_add(seconds),
    }
}

fn moment(second: i64) -> String {
    Timestamp::from_second(second).map_or_else(|_| second.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::secret::named;
    use super::*;
    use crate::mark::{Owner, ShortId};

    #[test]
    fn a_date_that_counts_from_the_value_stays_the_same_and_a_moved_one_differs() {
        let settings = KeyVaultSettings { expires_on: Some(When::After(60)), ..named("v".into(), "n") };
        let id = ShortId::of("");
        let owner = Owner { project: id.clone(), secret: id.clone(), environment: id, repository: None };
        let created = Timestamp::UNIX_EPOCH;
        let generation = Generation { number: 1, id: "u".into(), created, adopted: false };
        let mark = Mark { owner, generation, version: "v".into(), carried: false, over_drift: false, withdrawn: false }
            .to_string();
        let mut item = Item { tags: Some([(MARK_KEY.to_owned(), mark)].into()), ..Item::default() };
        item.attributes.exp = Some(60);
        let part = Part::Secret(&settings);
        let end = |item: &Item| observed(Some(part), item).remove("expires_on");
        assert_eq!(end(&item), desired(part).remove("expires_on"));
        item.attributes.exp = Some(61);
        assert_eq!(end(&item).as_deref(), Some("1970-01-01T00:01:01Z"));
        item.tags = None;
        item.attributes.exp = Some(60);
        assert_ne!(end(&item), desired(part).remove("expires_on"), "nobody knows when the value was made");
    }
}
