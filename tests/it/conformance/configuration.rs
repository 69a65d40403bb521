//! What a place that holds no value must keep: it is made, an equal one is left alone, one that differs is
//! changed or refused, and it says so in the words of its declaration.

use secretzero::provider::{ErrorKind, Expect, Observed, Probe, Provider, Reading};
use secretzero::target::{Place, TargetKind};

use super::{READINGS, options};

/// A provider, one kind of target without a value, and declarations of one place.
pub(crate) struct Configuration<'a> {
    pub(crate) provider: &'a dyn Provider,
    pub(crate) kind: TargetKind,
    /// A place as it is made.
    pub(crate) first: Place,
    /// The same place with a setting that may change.
    pub(crate) changed: Place,
    /// The same place with one that is fixed at creation, if the kind has such.
    pub(crate) fixed: Option<Place>,
}

/// Every property, in the order of one place's life.
pub(crate) async fn all(subject: &Configuration<'_>) {
    assert!(!subject.kind.holds_value() && subject.provider.capabilities(subject.kind).is_some());
    it_is_absent_until_it_is_made(subject).await;
    as_declared_there_is_nothing_to_do(subject).await;
    what_differs_is_told_and_changed(subject).await;
    what_is_fixed_is_refused_and_stays(subject).await;
    it_holds_no_value(subject).await;
}

async fn seen(subject: &Configuration<'_>, at: &Place) -> Option<Observed> {
    let mut all = Vec::new();
    for reading in READINGS {
        let probe = Probe { place: at, expected_mark: None };
        let seen = subject.provider.observe(&[probe], reading).await.pop().unwrap().unwrap();
        all.push(seen.map(|seen| Observed { from_list: false, ..seen }));
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "every reading sees the same: {all:?}");
    all.pop().unwrap()
}

/// The attributes that are not as declared.
fn differing(subject: &Configuration<'_>, at: &Place, seen: &Observed) -> Vec<String> {
    let desired = subject.provider.desired(at, None);
    desired.into_iter().filter(|(name, said)| seen.attributes.get(name) != Some(said)).map(|(name, _)| name).collect()
}

async fn apply(subject: &Configuration<'_>, at: &Place, changed: &[String]) -> Result<String, ErrorKind> {
    let expect = seen(subject, at).await.map_or(Expect::Absent, |seen| Expect::Version(seen.version));
    let options = options(subject.provider, at, 1, expect).await;
    subject.provider.annotate(at, changed, &options).await.map_err(|error| error.kind)
}

async fn it_is_absent_until_it_is_made(subject: &Configuration<'_>) {
    assert_eq!(seen(subject, &subject.first).await, None);
    let version = apply(subject, &subject.first, &[]).await.unwrap();
    assert_eq!(seen(subject, &subject.first).await.unwrap().version, version);
}

async fn as_declared_there_is_nothing_to_do(subject: &Configuration<'_>) {
    let there = seen(subject, &subject.first).await.unwrap();
    assert_eq!(differing(subject, &subject.first, &there), Vec::<String>::new(), "after the store's own normal form");
    apply(subject, &subject.first, &[]).await.unwrap();
    assert_eq!(seen(subject, &subject.first).await, Some(there), "to make it again changes nothing");
}

async fn what_differs_is_told_and_changed(subject: &Configuration<'_>) {
    let there = seen(subject, &subject.changed).await.unwrap();
    let changes = differing(subject, &subject.changed, &there);
    assert!(!changes.is_empty(), "the other declaration differs in nothing");
    apply(subject, &subject.changed, &changes).await.unwrap();
    let there = seen(subject, &subject.changed).await.unwrap();
    assert_eq!(differing(subject, &subject.changed, &there), Vec::<String>::new());
}

/// At the latest when it is to be changed; a store may say so when it is looked at already.
async fn what_is_fixed_is_refused_and_stays(subject: &Configuration<'_>) {
    let Some(fixed) = &subject.fixed else { return };
    let before = seen(subject, &subject.changed).await.unwrap();
    let probe = Probe { place: fixed, expected_mark: None };
    match subject.provider.observe(&[probe], Reading::Each).await.pop().unwrap() {
        Err(error) => assert_eq!(error.kind, ErrorKind::Invalid, "{error}"),
        Ok(there) => {
            let there = there.unwrap();
            let changes = differing(subject, fixed, &there);
            assert!(!changes.is_empty(), "the fixed declaration differs in nothing");
            let options = options(subject.provider, fixed, 1, Expect::Version(there.version)).await;
            let refused = subject.provider.annotate(fixed, &changes, &options).await.unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Invalid, "{refused}");
        }
    }
    assert_eq!(seen(subject, &subject.changed).await, Some(before));
}

#[tokio::test]
async fn the_reference_of_keys_keeps_the_contract() {
    let provider = &super::keys::Keys::default();
    let key = super::keys::key;
    let (first, changed, fixed) = (key(false, false), key(true, false), Some(key(true, true)));
    all(&Configuration { provider, kind: TargetKind::TransitKey, first, changed, fixed }).await;
}

async fn it_holds_no_value(subject: &Configuration<'_>) {
    let read = subject.provider.read(&[&subject.first]).await.pop().unwrap();
    assert!(read.is_err(), "a place without a value cannot be read");
    let options = options(subject.provider, &subject.first, 2, Expect::Absent).await;
    let written = subject.provider.write(&subject.first, &super::text("v"), &options).await;
    assert!(written.is_err(), "a place without a value cannot be written");
}
