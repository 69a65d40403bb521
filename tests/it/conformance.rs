//! What every provider must keep, asked of each through the contract alone.
//!
//! A property is an async function over a [`Subject`]; [`all`] runs them in turn, each at places of
//! its own. Where [`Capabilities`] deny something, the property checks the denial. Kinds that hold no
//! value have a suite of their own ([`configuration`]); [`registry`] keeps count of what ran.

pub(crate) mod configuration;
mod keys;
pub(crate) mod registry;
mod values;

use std::collections::BTreeMap;

use jiff::Timestamp;
use secretzero::manifest::ProviderKind;
use secretzero::mark::{Generation, Mark, Owner, ShortId};
use secretzero::provider::{
    Capabilities, ErrorKind, Expect, MarkOrder, Observed, Probe, Provider, Reading, WriteOptions,
};
use secretzero::secret::{SecretValue, Shape, Value};
use secretzero::target::{Place, TargetKind, TargetSettings};

const READINGS: [Reading; 3] = [Reading::List, Reading::Each, Reading::Batch];

/// A provider, one kind of target, and how to make a place of that kind.
pub(crate) struct Subject<'a> {
    pub(crate) provider: &'a dyn Provider,
    pub(crate) kind: TargetKind,
    /// A place by its name, with declared tags.
    pub(crate) place: fn(&str, BTreeMap<String, String>) -> Place,
    /// Put before every name.
    pub(crate) prefix: String,
}

/// Every property.
pub(crate) async fn all(subject: &Subject<'_>) {
    an_empty_place_is_absent(subject).await;
    what_was_created_is_seen_and_read_back(subject).await;
    a_second_create_is_refused_and_changes_nothing(subject).await;
    a_token_names_one_value(subject).await;
    a_new_value_takes_the_place_of_the_expected_version(subject).await;
    a_stale_expectation_is_a_conflict_and_changes_nothing(subject).await;
    metadata_changes_and_foreign_tags_stay(subject).await;
    an_annotation_of_another_version_is_a_conflict(subject).await;
    fields_are_one_value(subject).await;
    texts_come_back_byte_for_byte(subject).await;
    a_value_that_is_too_large_is_refused_before_anything_happens(subject).await;
    many_places_are_answered_in_the_order_asked(subject).await;
    a_hint_right_or_wrong_changes_nothing_but_the_number_of_requests(subject).await;
    values::each_comes_back_or_is_refused_before_anything_happens(subject).await;
    values::fields_come_back_whatever_stands_in_them(subject).await;
    of_two_creates_at_once_one_wins(subject).await;
    a_locator_leads_back_to_its_place(subject).await;
    a_list_tells_what_begins_like_this(subject).await;
    other_kinds_are_not_served(subject).await;
}

/// Every property that a store without marks can have; of the others it says that it cannot.
pub(crate) async fn unmarked(subject: &Subject<'_>) {
    let can = subject.provider.capabilities_at(&subject.at("any")).unwrap();
    assert!(can.mark_order == MarkOrder::Unmarked && !can.conditional_create && !can.write_token);
    an_empty_place_is_absent(subject).await;
    fields_are_one_value(subject).await;
    texts_come_back_byte_for_byte(subject).await;
    a_value_that_is_too_large_is_refused_before_anything_happens(subject).await;
    many_places_are_answered_in_the_order_asked(subject).await;
    other_kinds_are_not_served(subject).await;
    let at = subject.at("unmarked");
    subject.create(&at, "first").await;
    let seen = subject.seen(&at).await;
    assert!(seen.mark.is_none() && !seen.from_list);
    let second = write(subject.provider, &at, &text("second"), 2, Expect::Version(seen.version)).await;
    assert!(second.is_ok(), "{second:?}");
    assert_eq!(value(subject.provider, &at).await.as_deref(), Ok("second"));
}

pub(crate) fn text(value: &str) -> Value {
    Value::Single(SecretValue::from(value))
}

pub(crate) fn owner() -> Owner {
    let (project, secret, environment) = (ShortId::of("p"), ShortId::of("s"), ShortId::of(""));
    Owner { project, secret, environment, repository: Some("github.com/1".into()) }
}

pub(crate) fn generation(number: u64) -> Generation {
    Generation {
        number,
        id: format!("gid{number}"),
        created: Timestamp::from_second(1_700_000_000).unwrap(),
        adopted: false,
    }
}

/// Options for a generation at a place.
pub(crate) async fn options(provider: &dyn Provider, at: &Place, number: u64, expect: Expect) -> WriteOptions {
    let token = owner().write_token(&provider.locator(at).await.unwrap(), number);
    WriteOptions { owner: owner(), generation: generation(number), token, expect, over_drift: false, withdrawn: false }
}

pub(crate) async fn write(
    provider: &dyn Provider,
    at: &Place,
    value: &Value,
    number: u64,
    expect: Expect,
) -> Result<String, ErrorKind> {
    let options = options(provider, at, number, expect).await;
    provider.write(at, value, &options).await.map_err(|error| error.kind)
}

pub(crate) async fn look(provider: &dyn Provider, at: &Place, reading: Reading) -> Option<Observed> {
    let probe = Probe { place: at, expected_mark: None };
    provider.observe(&[probe], reading).await.pop().unwrap().unwrap()
}

/// The text of the current value.
pub(crate) async fn value(provider: &dyn Provider, at: &Place) -> Result<String, ErrorKind> {
    let stored = provider.read(&[at]).await.pop().unwrap().map_err(|error| error.kind)?;
    Ok(stored.value.to_text().expose_text().unwrap().to_owned())
}

impl Subject<'_> {
    fn capabilities(&self) -> Capabilities {
        self.provider.capabilities(self.kind).unwrap()
    }

    fn at(&self, name: &str) -> Place {
        self.tagged(name, &[])
    }

    fn tagged(&self, name: &str, tags: &[(&str, &str)]) -> Place {
        let name = format!("{}{name}", self.prefix);
        (self.place)(&name, tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    async fn create(&self, at: &Place, value: &str) -> String {
        write(self.provider, at, &self.value(value), 1, Expect::Absent).await.unwrap()
    }

    /// A value of the kind that the places take, one for each text.
    fn value(&self, text: &str) -> Value {
        match self.kind {
            #[cfg(feature = "azure")]
            TargetKind::KeyVaultCertificate => crate::azure::certificates::pem(text),
            _ => self::text(text),
        }
    }

    fn reads_back(&self) -> bool {
        self.capabilities().read_back
    }

    /// The value that stands there is this one and no other; it is read back only if it can be.
    async fn holds(&self, at: &Place, text: &str) {
        assert_eq!(self.provider.holds(at, &self.value(text)).await, Ok(Some(true)), "{text}");
        assert_eq!(self.provider.holds(at, &self.value("another")).await, Ok(Some(false)), "{text}");
        let read = value(self.provider, at).await;
        assert_eq!(read, if self.reads_back() { Ok(text.to_owned()) } else { Err(ErrorKind::Unsupported) });
    }

    /// Seen the same by every reading, and with every declared attribute.
    async fn seen(&self, at: &Place) -> Observed {
        let seen = look(self.provider, at, Reading::Each).await.unwrap();
        for reading in READINGS {
            let other = look(self.provider, at, reading).await.unwrap();
            assert_eq!((&other.version, &other.mark), (&seen.version, &seen.mark), "{reading:?}");
        }
        for (name, desired) in self.provider.desired(at, None) {
            assert_eq!(seen.attributes.get(&name), Some(&desired), "{name}");
        }
        seen
    }
}

fn mark_of(observed: &Observed) -> Mark {
    Mark::parse(observed.mark.as_deref().unwrap()).unwrap()
}

async fn an_empty_place_is_absent(subject: &Subject<'_>) {
    let at = subject.at("absent");
    for reading in READINGS {
        assert_eq!(look(subject.provider, &at, reading).await, None, "{reading:?}");
    }
    let absent = value(subject.provider, &at).await;
    assert_eq!(absent, Err(if subject.reads_back() { ErrorKind::NotFound } else { ErrorKind::Unsupported }));
    let missing = write(subject.provider, &at, &subject.value("v"), 2, Expect::Version("1".into())).await;
    assert!(matches!(missing, Err(ErrorKind::Conflict | ErrorKind::NotFound)), "{missing:?}");
    assert_eq!(look(subject.provider, &at, Reading::Each).await, None);
}

async fn what_was_created_is_seen_and_read_back(subject: &Subject<'_>) {
    let at = subject.tagged("created", &[("environment", "production")]);
    let version = subject.create(&at, "first").await;
    let seen = subject.seen(&at).await;
    assert_eq!(seen.version, version);
    assert!(!seen.pending_deletion && seen.managed_by.is_none() && !seen.from_list);
    let mark = mark_of(&seen);
    assert_eq!((mark.owner, mark.generation, mark.version), (owner(), generation(1), version));
    subject.holds(&at, "first").await;
}

async fn a_second_create_is_refused_and_changes_nothing(subject: &Subject<'_>) {
    let at = subject.at("twice");
    let version = subject.create(&at, "first").await;
    let again = write(subject.provider, &at, &subject.value("second"), 2, Expect::Absent).await;
    if subject.capabilities().conditional_create {
        assert_eq!(again, Err(ErrorKind::Conflict));
        assert_eq!(subject.seen(&at).await.version, version);
        subject.holds(&at, "first").await;
    } else if again.is_ok() {
        // It overwrites.
        subject.holds(&at, "second").await;
    } else {
        // It looks first, which a rival may slip through.
        assert_eq!((again, subject.seen(&at).await.version), (Err(ErrorKind::Conflict), version));
    }
}

async fn a_token_names_one_value(subject: &Subject<'_>) {
    let at = subject.at("token");
    let version = subject.create(&at, "first").await;
    let repeated = write(subject.provider, &at, &subject.value("first"), 1, Expect::Absent).await;
    let other = write(subject.provider, &at, &subject.value("other"), 1, Expect::Absent).await;
    if subject.capabilities().write_token {
        assert_eq!(repeated.as_ref(), Ok(&version));
    } else if subject.capabilities().conditional_create {
        assert_eq!(repeated, Err(ErrorKind::Conflict));
    }
    if subject.capabilities().write_token || subject.capabilities().conditional_create {
        assert_eq!(other, Err(ErrorKind::Conflict));
    }
    if subject.capabilities().write_token {
        let expect = Expect::Version(version.clone());
        let second = write(subject.provider, &at, &subject.value("second"), 2, expect.clone()).await.unwrap();
        let repeated = write(subject.provider, &at, &subject.value("second"), 2, expect.clone()).await;
        assert_eq!(repeated, Ok(second), "a write whose answer was lost may be repeated");
        assert_eq!(write(subject.provider, &at, &subject.value("fork"), 2, expect).await, Err(ErrorKind::Conflict));
        subject.holds(&at, "second").await;
    }
}

async fn a_new_value_takes_the_place_of_the_expected_version(subject: &Subject<'_>) {
    let at = subject.at("replaced");
    let first = subject.create(&at, "first").await;
    let second =
        write(subject.provider, &at, &subject.value("second"), 2, Expect::Version(first.clone())).await.unwrap();
    assert_ne!(first, second);
    let seen = subject.seen(&at).await;
    assert_eq!((seen.version.as_str(), mark_of(&seen).version), (second.as_str(), second.clone()));
    assert_eq!(mark_of(&seen).generation, generation(2));
    subject.holds(&at, "second").await;
}

async fn a_stale_expectation_is_a_conflict_and_changes_nothing(subject: &Subject<'_>) {
    let at = subject.at("stale");
    let first = subject.create(&at, "first").await;
    let second =
        write(subject.provider, &at, &subject.value("second"), 2, Expect::Version(first.clone())).await.unwrap();
    let before = subject.seen(&at).await;
    let stale = write(subject.provider, &at, &subject.value("third"), 3, Expect::Version(first)).await;
    assert_eq!(stale, Err(ErrorKind::Conflict));
    assert_eq!(subject.seen(&at).await, before);
    assert_eq!(before.version, second);
    subject.holds(&at, "second").await;
}

async fn metadata_changes_and_foreign_tags_stay(subject: &Subject<'_>) {
    let at = subject.tagged("metadata", &[("environment", "staging"), ("team", "core")]);
    let version = subject.create(&at, "first").await;
    // Another declaration: the environment changes, the team is nobody's business any more.
    let now = subject.tagged("metadata", &[("environment", "production")]);
    let options = options(subject.provider, &now, 1, Expect::Version(version.clone())).await;
    let annotated = subject.provider.annotate(&now, &["tag:environment".into()], &options).await.unwrap();
    let seen = subject.seen(&now).await;
    assert_eq!((&seen.version, &mark_of(&seen).version), (&annotated, &annotated));
    if at.settings.tags().is_some() {
        assert_eq!(seen.attributes.get("tag:team").map(String::as_str), Some("core"));
    }
    if subject.capabilities().metadata_without_version || subject.capabilities().mark_order == MarkOrder::MarkFirst {
        assert_eq!(annotated, version, "a tag makes no version");
    }
    subject.holds(&now, "first").await;
}

async fn an_annotation_of_another_version_is_a_conflict(subject: &Subject<'_>) {
    let at = subject.at("annotated");
    let first = subject.create(&at, "first").await;
    write(subject.provider, &at, &subject.value("second"), 2, Expect::Version(first.clone())).await.unwrap();
    let before = subject.seen(&at).await;
    let options = options(subject.provider, &at, 1, Expect::Version(first)).await;
    let refused = subject.provider.annotate(&at, &[], &options).await.map_err(|error| error.kind);
    assert_eq!(refused, Err(ErrorKind::Conflict));
    assert_eq!(subject.seen(&at).await, before);
}

async fn fields_are_one_value(subject: &Subject<'_>) {
    if !subject.reads_back() {
        return;
    }
    let names = vec!["username".to_owned(), "password".to_owned()];
    let at = Place { shape: Shape::Fields(names), ..subject.at("fields") };
    let field = |name: &str, value: &str| (name.to_owned(), SecretValue::from(value));
    let written = Value::Fields(vec![field("username", "app"), field("password", "p\"w\\ü")]);
    write(subject.provider, &at, &written, 1, Expect::Absent).await.unwrap();
    let read = subject.provider.read(&[&at]).await.pop().unwrap().unwrap();
    assert!(read.value.matches(&written));
}

async fn texts_come_back_byte_for_byte(subject: &Subject<'_>) {
    if !subject.reads_back() {
        return;
    }
    for (name, value) in
        [("newline", "line\nline\n"), ("unicode", "pä$$wörd 🔑"), ("spaces", "  x  "), ("json", "{\"a\":1}")]
    {
        let at = subject.at(name);
        subject.create(&at, value).await;
        assert_eq!(self::value(subject.provider, &at).await.as_deref(), Ok(value), "{name}");
    }
}

async fn a_value_that_is_too_large_is_refused_before_anything_happens(subject: &Subject<'_>) {
    let at = subject.at("large");
    let large = "x".repeat(subject.capabilities().value_bytes_max + 1);
    assert_eq!(write(subject.provider, &at, &subject.value(&large), 1, Expect::Absent).await, Err(ErrorKind::Invalid));
    assert_eq!(look(subject.provider, &at, Reading::Each).await, None);
}

async fn many_places_are_answered_in_the_order_asked(subject: &Subject<'_>) {
    let places: Vec<Place> = (0..45).map(|n| subject.at(&format!("many{n:02}"))).collect();
    let present = |n: usize| !n.is_multiple_of(3);
    for (n, at) in places.iter().enumerate().filter(|(n, _)| present(*n)) {
        subject.create(at, &format!("value {n}")).await;
    }
    let probes: Vec<Probe<'_>> = places.iter().map(|place| Probe { place, expected_mark: None }).collect();
    for reading in READINGS {
        let seen = subject.provider.observe(&probes, reading).await;
        let seen: Vec<bool> = seen.into_iter().map(|seen| seen.unwrap().is_some()).collect();
        assert_eq!(seen, (0..45).map(present).collect::<Vec<_>>(), "{reading:?}");
    }
    if !subject.reads_back() {
        return;
    }
    let read = subject.provider.read(&places.iter().collect::<Vec<_>>()).await;
    for (n, read) in read.into_iter().enumerate() {
        match read {
            Ok(stored) => assert!(present(n) && stored.value.matches(&subject.value(&format!("value {n}")))),
            Err(error) => assert!(!present(n) && error.kind == ErrorKind::NotFound, "{error}"),
        }
    }
}

async fn a_hint_right_or_wrong_changes_nothing_but_the_number_of_requests(subject: &Subject<'_>) {
    let at = subject.tagged("hinted", &[("environment", "production")]);
    subject.create(&at, "first").await;
    let seen = subject.seen(&at).await;
    for expected_mark in [seen.mark.clone(), Some("1:p=wrong".into()), None] {
        let probe = Probe { place: &at, expected_mark };
        let hinted = subject.provider.observe(&[probe], Reading::List).await.pop().unwrap().unwrap().unwrap();
        assert_eq!(Observed { from_list: false, ..hinted }, seen);
    }
}

async fn other_kinds_are_not_served(subject: &Subject<'_>) {
    let providers =
        [ProviderKind::Local, ProviderKind::Aws, ProviderKind::Azure, ProviderKind::Vault, ProviderKind::Gcp];
    let own = providers.into_iter().find(|provider| provider.targets().contains(&subject.kind)).unwrap();
    // The reference stands for all of them.
    let is_reference = subject.provider.identity().await.unwrap().account == "memory";
    let foreign = |kind: &TargetKind| if is_reference { !kind.holds_value() } else { !own.targets().contains(kind) };
    for kind in TargetKind::ALL.into_iter().filter(foreign) {
        assert!(subject.provider.capabilities(kind).is_none(), "{kind:?}");
    }
}

async fn of_two_creates_at_once_one_wins(subject: &Subject<'_>) {
    let at = subject.at("raced");
    let [first, second] = ["one", "two"].map(|text| subject.value(text));
    let (a, b) = futures_util::future::join(
        write(subject.provider, &at, &first, 1, Expect::Absent),
        write(subject.provider, &at, &second, 1, Expect::Absent),
    )
    .await;
    let winners = usize::from(a.is_ok()) + usize::from(b.is_ok());
    if subject.capabilities().conditional_create {
        assert_eq!(winners, 1, "{a:?} {b:?}");
    }
    assert!(winners > 0, "{a:?} {b:?}");
    let (one, two) = (subject.provider.holds(&at, &first).await, subject.provider.holds(&at, &second).await);
    let stands = one == Ok(Some(true)) && a.is_ok() || two == Ok(Some(true)) && b.is_ok();
    assert!(stands, "what stands there was refused");
}

async fn a_locator_leads_back_to_its_place(subject: &Subject<'_>) {
    let at = subject.at("recalled");
    subject.create(&at, "first").await;
    let locator = subject.provider.locator(&at).await.unwrap();
    let other = subject.provider.locator(&subject.at("recalled-not")).await.unwrap();
    assert_ne!(locator, other, "two places are two locators");
    let Some(recalled) = subject.provider.recall(&locator, &Shape::Single) else { return };
    assert_eq!(subject.provider.locator(&recalled).await.unwrap(), locator);
    assert_eq!(
        look(subject.provider, &recalled, Reading::Each).await.unwrap().version,
        subject.seen(&at).await.version
    );
}

async fn a_list_tells_what_begins_like_this(subject: &Subject<'_>) {
    let (at, other) = (subject.tagged("listed-one", &[("team", "core")]), subject.at("unlisted"));
    subject.create(&at, "first").await;
    subject.create(&other, "other").await;
    let (name, kind) = (at.settings.name().to_owned(), subject.kind);
    let prefix = name.trim_start_matches('/').split_inclusive("listed-").next().unwrap();
    // The login at Azure names no vault, so the prefix does.
    let prefix = &match &at.settings {
        TargetSettings::KeyVault(settings) => format!("{}/{prefix}", settings.vault_url),
        TargetSettings::KeyVaultCertificate(settings) => format!("{}/{prefix}", settings.vault_url),
        _ => prefix.to_owned(),
    };
    match subject.provider.list(kind, prefix).await {
        Ok(listed) => {
            let names: Vec<&str> = listed.iter().map(|listed| listed.settings.name()).collect();
            assert_eq!(names, [name.as_str()]);
            let listed = listed.first().unwrap();
            assert_eq!(listed.mark, subject.seen(&at).await.mark);
            assert!(listed.has_value && !listed.pending_deletion);
            // What cannot be read back cannot be adopted either.
            assert_eq!(listed.managed_by.is_none(), subject.reads_back());
            assert_eq!(listed.settings.tags(), at.settings.tags(), "our own mark is no tag of theirs");
            let nothing = subject.provider.list(kind, &format!("{prefix}zzz")).await;
            assert_eq!(nothing, Ok(Vec::new()));
        }
        Err(error) => assert_eq!(error.kind, ErrorKind::Unsupported, "{error}"),
    }
}
