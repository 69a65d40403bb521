//! How the mark of a vault's version names that version, which only the store's answer tells.
//!
//! The `v` of a mark is written twice. With the value: `@<time>`, the moment of the write by our clock.
//! Once the store has answered: `<version>@<created>`, the version's own name and the second it was
//! created in. Tags can be copied to a later version by other programs; such a version has another name
//! and another second, so its copied mark does not count as ours. A list tells no version's name, but
//! the second it does tell.

use crate::mark::Mark;

/// How far our clock and the vault's may be apart, in seconds; Entra refuses tokens beyond it too.
const SKEW_SECONDS: i64 = 300;

/// The `v` of a version that has no name yet.
pub(super) fn announced(now_seconds: i64) -> String {
    format!("@{now_seconds}")
}

/// The `v` of a version that is known.
pub(super) fn settled(version: &str, created: i64) -> String {
    format!("{version}@{created}")
}

/// What a tag says of the version it stands at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// The mark, its `v` as everybody else reads it: the version that it describes.
    pub(super) mark: Option<String>,
    /// The version's name, if it is known or the mark is certain of it.
    pub(super) version: Option<String>,
}

/// Reads the tag of a version that was created in that second; `current` is its name, where the store
/// told it.
pub(super) fn read(tag: Option<&str>, created: i64, current: Option<&str>) -> Reading {
    let known = current.map(str::to_owned);
    let Some(tag) = tag else { return Reading { mark: None, version: known } };
    let plain = || Reading { mark: Some(tag.to_owned()), version: known.clone() };
    let Ok(mark) = Mark::parse(tag) else { return plain() };
    let Some((name, second)) = mark.version.split_once('@') else { return plain() };
    let second: Option<i64> = second.parse().ok();
    let fits = if name.is_empty() {
        second.is_some_and(|second| (second - created).abs() <= SKEW_SECONDS)
    } else {
        second == Some(created) && current.is_none_or(|current| current == name)
    };
    let described = if name.is_empty() { current.filter(|_| fits) } else { Some(name) };
    match described {
        Some(name) => {
            let mark = Mark { version: name.to_owned(), ..mark.clone() }.to_string();
            Reading { mark: Some(mark), version: known.or_else(|| fits.then(|| name.to_owned())) }
        }
        None => plain(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::mark::{Generation, Owner, ShortId};

    fn tag(version: &str) -> String {
        let id = ShortId::of("x");
        let owner = Owner { project: id.clone(), secret: id.clone(), environment: id, repository: None };
        let generation = Generation { number: 3, id: "u".into(), created: Timestamp::UNIX_EPOCH, adopted: false };
        Mark { owner, generation, version: version.into(), carried: false, over_drift: false, withdrawn: false }
            .to_string()
    }

    /// The mark's version and the version, as the planner would compare them.
    fn seen(v: &str, created: i64, current: Option<&str>) -> (String, Option<String>) {
        let Reading { mark, version } = read(Some(&tag(v)), created, current);
        let mark = mark.and_then(|mark| Mark::parse(&mark).ok()).map(|mark| mark.version);
        (mark.unwrap_or_default(), version)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_list_is_believed_when_name_and_second_go_together() {
        assert_eq!(seen("abc@100", 100, None), ("abc".into(), some("abc")));
        assert_eq!(seen("abc@100", 101, None), ("abc".into(), None), "a copy, written a second later");
        assert_eq!(seen("@100", 100, None), ("@100".into(), None), "whose name nobody knows");
    }

    #[test]
    fn a_version_that_was_read_must_have_the_name() {
        assert_eq!(seen("abc@100", 100, Some("abc")), ("abc".into(), some("abc")));
        assert_eq!(seen("abc@100", 100, Some("def")), ("abc".into(), some("def")), "a copy within the second");
    }

    #[test]
    fn a_mark_that_was_never_completed_counts_for_a_while() {
        assert_eq!(seen("@100", 160, Some("abc")), ("abc".into(), some("abc")));
        assert_eq!(seen("@100", 1000, Some("abc")), ("@100".into(), some("abc")), "a copy, much later");
    }

    #[test]
    fn what_is_no_mark_stays_what_it_is() {
        assert_eq!(read(Some("x"), 1, Some("abc")), Reading { mark: some("x"), version: some("abc") });
        assert_eq!(read(None, 1, Some("abc")), Reading { mark: None, version: some("abc") });
    }
}
