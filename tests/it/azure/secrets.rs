//! Secrets of a vault beyond the contract: what a list tells, dates, the recycle bin, lost answers.

use std::collections::BTreeMap;

use secretzero::provider::{ErrorKind, Expect, Observed, Probe, Provider, Reading};
use secretzero::target::{Place, TargetKind, When};

use super::{provider, secret};
use crate::conformance::{generation, look, options, text, value, write};
use crate::fake::azure::{CLIENT, FakeAzure, Fault, ObjectState, VAULT, World};

async fn seen(fake: &FakeAzure, at: &[Place], reading: Reading) -> Vec<Option<Observed>> {
    let probes: Vec<Probe<'_>> = at.iter().map(|place| Probe { place, expected_mark: None }).collect();
    provider(fake).observe(&probes, reading).await.into_iter().map(Result::unwrap).collect()
}

/// Creates so many secrets.
async fn created(fake: &FakeAzure, count: usize) -> Vec<Place> {
    let provider = provider(fake);
    let places: Vec<Place> = (0..count).map(|n| secret(&format!("Many-{n:03}"), |_| {})).collect();
    for at in &places {
        write(&provider, at, &text("v"), 1, Expect::Absent).await.unwrap();
    }
    fake.forget_requests();
    places
}

#[tokio::test]
async fn a_list_tells_as_much_as_a_read_of_each_in_a_page_for_25() {
    let fake = FakeAzure::start();
    let places = created(&fake, 60).await;
    for empty_pages in [false, true] {
        fake.edit(|world| world.empty_pages = empty_pages);
        fake.forget_requests();
        let listed = seen(&fake, &places, Reading::List).await;
        assert_eq!(fake.count("secrets/list"), if empty_pages { 5 } else { 3 }, "pages, and nothing else");
        let each = seen(&fake, &places, Reading::Each).await;
        for (listed, each) in listed.into_iter().zip(each) {
            let listed = listed.unwrap();
            assert!(listed.from_list);
            assert_eq!(Some(Observed { from_list: false, ..listed }), each);
        }
    }
    assert_eq!(fake.count("secrets/get"), 0, "no value was asked for");
}

#[tokio::test]
async fn what_is_observed_needs_no_right_to_read_values() {
    let fake = FakeAzure::start();
    let mut places = created(&fake, 5).await;
    places.push(secret("gone", |_| {}));
    fake.edit(|world| world.put(VAULT, "gone", "v", &[]));
    fake.edit(|world| world.vault(VAULT).secrets.get_mut("gone").unwrap().state = ObjectState::Deleted);
    places.push(secret("never", |_| {}));
    fake.deny("secrets/get");
    for reading in [Reading::List, Reading::Each, Reading::Batch] {
        let seen = seen(&fake, &places, reading).await;
        assert!(seen[..5].iter().all(Option::is_some), "{reading:?}");
        assert_eq!(seen[6], None);
    }
    let seen = seen(&fake, &places, Reading::Each).await;
    assert!(seen[5].as_ref().is_some_and(|seen| seen.pending_deletion), "by the list of the recycle bin");
}

#[tokio::test]
async fn whoever_may_not_list_is_told_which_right_is_missing() {
    let fake = FakeAzure::start();
    fake.deny("secrets/list");
    let at = secret("db", |_| {});
    let probe = Probe { place: &at, expected_mark: None };
    let error = provider(&fake).observe(&[probe], Reading::List).await.pop().unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::PermissionDenied);
    assert!(error.message.contains("Key Vault Reader") && error.message.contains(CLIENT), "{error}");
}

#[tokio::test]
async fn both_answers_for_a_name_that_never_was_mean_absent() {
    let fake = FakeAzure::start();
    for strict in [false, true] {
        fake.edit(|world| world.strict_versions = strict);
        assert_eq!(look(&provider(&fake), &secret("never", |_| {}), Reading::Each).await, None);
    }
}

#[tokio::test]
async fn a_value_of_somebody_else_under_a_copied_mark_is_seen() {
    let fake = FakeAzure::start();
    let (store, at) = (provider(&fake), secret("copied", |_| {}));
    let version = write(&store, &at, &text("ours"), 1, Expect::Absent).await.unwrap();
    let tag = fake.secret("copied").unwrap().current().tags["secretzero"].clone();
    assert!(tag.contains(&format!("v={version}@")), "{tag}");
    fake.edit(|world| world.put(VAULT, "copied", "theirs", &[("secretzero", &tag)]));
    let places: Vec<Place> = std::iter::once(at).chain((0..4).map(|n| secret(&format!("n{n}"), |_| {}))).collect();
    for reading in [Reading::List, Reading::Each] {
        let seen = seen(&fake, &places, reading).await.swap_remove(0).unwrap();
        assert_ne!(seen.version, version, "{reading:?}");
        assert!(seen.mark.unwrap().contains(&format!("v={version}:")), "the mark describes the version before");
    }
}

#[tokio::test]
async fn two_versions_of_one_second_are_told_apart_by_their_generation() {
    let fake = FakeAzure::start();
    fake.edit(|world| world.clock_held = true);
    let (store, at) = (provider(&fake), secret("quick", |_| {}));
    let mut version = write(&store, &at, &text("1"), 1, Expect::Absent).await.unwrap();
    for number in 2..6 {
        version = write(&store, &at, &text("n"), number, Expect::Version(version)).await.unwrap();
        assert_eq!(look(&store, &at, Reading::Each).await.unwrap().version, version);
    }
}

#[tokio::test]
async fn everything_declared_goes_along_with_the_value_and_changes_without_a_version() {
    let fake = FakeAzure::start();
    let store = provider(&fake);
    let at = secret("dated", |settings| {
        settings.content_type = Some("text/plain".into());
        settings.expires_on = Some(When::After(90 * 86_400));
        settings.not_before = Some(When::At("2024-01-01T00:00:00Z".parse().unwrap()));
    });
    let version = write(&store, &at, &text("v"), 1, Expect::Absent).await.unwrap();
    let stored = fake.secret("dated").unwrap().current().clone();
    let created = generation(1).created.as_second();
    assert_eq!((stored.exp, stored.nbf), (Some(created + 90 * 86_400), Some(1_704_067_200)));
    assert_eq!((stored.content_type.as_deref(), stored.enabled), (Some("text/plain"), true));
    let desired = store.desired(&at, None);
    let seen = look(&store, &at, Reading::Each).await.unwrap();
    assert!(desired.iter().all(|(name, value)| seen.attributes.get(name) == Some(value)), "{seen:?}");
    let now = secret("DATED", |settings| {
        settings.content_type = Some("application/json".into());
        settings.enabled = Some(false);
        settings.expires_on = Some(When::After(86_400));
    });
    let differ: Vec<String> = ["content_type", "enabled", "expires_on"].map(str::to_owned).to_vec();
    let with = options(&store, &now, 1, Expect::Version(version.clone())).await;
    assert_eq!(store.annotate(&now, &differ, &with).await, Ok(version.clone()));
    let object = fake.secret("dated").unwrap();
    let changed = object.current();
    assert_eq!((object.versions.len(), object.name.as_str()), (1, "dated"));
    assert_eq!((changed.exp, changed.nbf, changed.enabled), (Some(created + 86_400), stored.nbf, false));
    assert_eq!(changed.content_type.as_deref(), Some("application/json"));
    assert_eq!(value(&store, &at).await, Err(ErrorKind::Invalid), "a disabled version cannot be read");
}

#[tokio::test]
async fn tags_of_others_go_along_to_the_next_version() {
    let fake = FakeAzure::start();
    let store = provider(&fake);
    let at = secret("tagged", |settings| settings.tags = BTreeMap::from([("team".into(), "core".into())]));
    let version = write(&store, &at, &text("1"), 1, Expect::Absent).await.unwrap();
    fake.edit(|world| {
        let object = world.vault(VAULT).secrets.get_mut("tagged").unwrap();
        object.versions.last_mut().unwrap().tags.insert("cost-center".into(), "42".into());
    });
    write(&store, &at, &text("2"), 2, Expect::Version(version)).await.unwrap();
    let tags = fake.secret("tagged").unwrap().current().tags.clone();
    assert_eq!((tags["team"].as_str(), tags["cost-center"].as_str(), tags.len()), ("core", "42", 3));
}

#[tokio::test]
async fn a_soft_deleted_name_is_seen_recovered_and_written_though_it_takes_a_while() {
    let fake = FakeAzure::start();
    fake.edit(|world| world.transition_looks = 3);
    let (store, at) = (provider(&fake), secret("back", |_| {}));
    let version = write(&store, &at, &text("1"), 1, Expect::Absent).await.unwrap();
    fake.edit(|world| world.vault(VAULT).secrets.get_mut("back").unwrap().state = ObjectState::Deleted);
    let seen = look(&store, &at, Reading::Each).await.unwrap();
    assert!(seen.pending_deletion && seen.version == version && seen.mark.is_some());
    assert_eq!(write(&store, &at, &text("2"), 2, Expect::Absent).await, Err(ErrorKind::PendingDeletion));
    assert_eq!(value(&store, &at).await, Err(ErrorKind::PendingDeletion));
    store.restore(&at).await.unwrap();
    assert_eq!(value(&store, &at).await.as_deref(), Ok("1"));
    write(&store, &at, &text("2"), 2, Expect::Version(version)).await.unwrap();
    assert_eq!(value(&store, &at).await.as_deref(), Ok("2"));
    store.restore(&at).await.unwrap();
}

#[tokio::test]
async fn a_name_that_is_being_deleted_is_waited_for() {
    let fake = FakeAzure::start();
    let (store, at) = (provider(&fake), secret("leaving", |_| {}));
    write(&store, &at, &text("1"), 1, Expect::Absent).await.unwrap();
    fake.edit(|world| world.vault(VAULT).secrets.get_mut("leaving").unwrap().state = ObjectState::Deleting(1));
    let refused = write(&store, &at, &text("2"), 2, Expect::Absent).await;
    assert!(matches!(refused, Err(ErrorKind::PendingDeletion | ErrorKind::Unavailable)), "{refused:?}");
}

#[tokio::test]
async fn whoever_may_not_recover_is_told_of_purge_protection() {
    let fake = FakeAzure::start();
    let at = secret("kept", |_| {});
    fake.edit(|world| {
        world.put(VAULT, "kept", "v", &[]);
        world.vault(VAULT).purge_protection = true;
        world.vault(VAULT).secrets.get_mut("kept").unwrap().state = ObjectState::Deleted;
    });
    fake.deny("secrets/recover");
    let error = provider(&fake).restore(&at).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::PermissionDenied);
    assert!(error.message.contains("purge protection") && error.message.contains("recover"), "{error}");
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_open_and_the_newest_version_tells() {
    for (fault, happened) in [(Fault::LostReply, true), (Fault::Unheard, false), (Fault::Status(500), false)] {
        let fake = FakeAzure::start();
        let (store, at) = (provider(&fake), secret("lost", |_| {}));
        fake.fault(1, fault);
        assert_eq!(write(&store, &at, &text("1"), 1, Expect::Absent).await, Err(ErrorKind::Indeterminate));
        assert_eq!(fake.count("secrets/set"), 1, "{fault:?}: a repetition would make a second version");
        let seen = look(&store, &at, Reading::Batch).await;
        assert_eq!(seen.is_some(), happened, "{fault:?}");
        if let Some(seen) = seen {
            assert!(seen.mark.unwrap().contains(&format!("v={}:", seen.version)), "the announced mark counts");
        }
    }
}

#[tokio::test]
async fn two_runs_that_create_at_the_same_moment_do_not_both_win() {
    let fake = FakeAzure::start();
    let (store, at) = (provider(&fake), secret("raced", |_| {}));
    fake.fault(1, Fault::Overtaken);
    assert_eq!(write(&store, &at, &text("ours"), 1, Expect::Absent).await, Err(ErrorKind::Conflict));
    assert_eq!(value(&store, &at).await.as_deref(), Ok("a rival's"), "what stands there is left as it is");
}

#[tokio::test]
async fn a_mark_that_could_not_be_completed_is_none_of_the_write() {
    let fake = FakeAzure::start();
    let (store, at) = (provider(&fake), secret("half", |_| {}));
    fake.fault(2, Fault::Status(400));
    let version = write(&store, &at, &text("1"), 1, Expect::Absent).await.unwrap();
    let seen = look(&store, &at, Reading::Each).await.unwrap();
    assert_eq!(seen.version, version);
    assert!(seen.mark.unwrap().contains(&format!("v={version}:")));
}

#[tokio::test]
async fn throttling_is_waited_out_as_long_as_the_vault_asks() {
    let fake = FakeAzure::start();
    let (store, at) = (provider(&fake), secret("slow", |_| {}));
    store.identity().await.unwrap();
    fake.throttle(3, 0);
    write(&store, &at, &text("1"), 1, Expect::Absent).await.unwrap();
    assert_eq!((fake.throttled(), fake.secret("slow").unwrap().versions.len()), (3, 1));
    fake.throttle(1, 3600);
    assert_eq!(value(&store, &at).await, Err(ErrorKind::Throttled(Some(std::time::Duration::from_secs(3600)))));
}

#[tokio::test]
async fn what_a_vault_does_not_take_is_refused_here() {
    let fake = FakeAzure::start();
    let (store, at) = (provider(&fake), secret("bytes", |_| {}));
    let bytes = secretzero::secret::Value::Single(secretzero::secret::SecretValue::new(vec![0xff]));
    assert_eq!(write(&store, &at, &bytes, 1, Expect::Absent).await, Err(ErrorKind::Invalid));
    let large = text(&"ü".repeat(12_801));
    assert_eq!(write(&store, &at, &large, 1, Expect::Absent).await, Err(ErrorKind::Invalid));
    write(&store, &at, &text(&"ü".repeat(12_800)), 1, Expect::Absent).await.unwrap();
    assert_eq!(fake.count("secrets/set"), 2, "the value and its mark");
}

#[tokio::test]
async fn names_have_no_case_and_vaults_have_hosts() {
    let fake = FakeAzure::start();
    let (store, at) = (provider(&fake), secret("Db-Password", |_| {}));
    let locator = store.locator(&at).await.unwrap();
    assert_eq!(locator.as_str(), "azure-kv://kv-test.vault.azure.net/secret/db-password");
    write(&store, &at, &text("1"), 1, Expect::Absent).await.unwrap();
    assert!(look(&store, &secret("DB-PASSWORD", |_| {}), Reading::Each).await.is_some());
    let recalled = store.recall(&locator, &at.shape).unwrap();
    assert_eq!(store.locator(&recalled).await.as_ref(), Ok(&locator));
    for forged in ["azure-kv://evil.example/secret/a", "azure-kv://kv-test.vault.azure.net/secret/../x", "file:a#b"] {
        assert_eq!(store.recall(&forged.to_owned().into(), &at.shape), None, "{forged}");
    }
}

#[tokio::test]
async fn what_exists_is_listed_by_prefix_without_values() {
    let fake = FakeAzure::start();
    let store = provider(&fake);
    let at = secret("app-db", |settings| settings.content_type = Some("text/plain".into()));
    write(&store, &at, &text("1"), 1, Expect::Absent).await.unwrap();
    fake.edit(|world| world.put(VAULT, "App-old", "v", &[("team", "core")]));
    fake.edit(|world| world.put(VAULT, "other", "v", &[]));
    fake.edit(|world| world.vault(VAULT).secrets.get_mut("app-old").unwrap().state = ObjectState::Deleted);
    fake.forget_requests();
    let listed = store.list(TargetKind::KeyVault, &format!("https://{VAULT}/app-")).await.unwrap();
    let names: Vec<(&str, bool)> = listed.iter().map(|one| (one.settings.name(), one.pending_deletion)).collect();
    assert_eq!(names, [("App-old", true), ("app-db", false)]);
    assert!(listed[1].mark.is_some() && listed[0].mark.is_none());
    assert_eq!(fake.count("secrets/get"), 0);
    let unsaid = store.list(TargetKind::KeyVault, "app-").await.unwrap_err();
    assert!(unsaid.message.contains("AZURE_KEYVAULT_URL"), "{unsaid}");
    let elsewhere = store.list(TargetKind::KeyVault, "https://evil.example/app-").await.unwrap_err();
    assert_eq!(elsewhere.kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let fake = FakeAzure::start();
    let store = provider(&fake);
    let (value_at, tags_at) = (secret("value", |_| {}), secret("tags", |_| {}));
    let long = "x".repeat(3 * 1024 * 1024);
    fake.edit(|world| world.put(VAULT, "value", &long, &[]));
    fake.edit(|world| world.put(VAULT, "tags", "v", &[("long", &long)]));
    assert_eq!(value(&store, &value_at).await, Err(ErrorKind::Invalid));
    let probe = Probe { place: &tags_at, expected_mark: None };
    let error = store.observe(&[probe], Reading::Each).await.pop().unwrap().unwrap_err();
    insta::assert_snapshot!(error, @"the answer to secrets/list on `tags` in kv-test.vault.azure.net is too large");
}

#[tokio::test]
async fn what_somebody_disabled_stays_so_unless_the_file_says_otherwise() {
    let fake = FakeAzure::start();
    let store = provider(&fake);
    let places = created(&fake, 5).await;
    let disable = |world: &mut World| {
        let object = world.vault(VAULT).secrets.get_mut("many-000").unwrap();
        object.versions.last_mut().unwrap().enabled = false;
    };
    fake.edit(disable);
    for reading in [Reading::List, Reading::Each, Reading::Batch] {
        let probes: Vec<Probe<'_>> = places.iter().map(|place| Probe { place, expected_mark: None }).collect();
        let mut seen = store.observe(&probes, reading).await;
        let held = seen.remove(0).unwrap_err();
        assert!(held.kind == ErrorKind::Invalid && held.message.contains("--enabled true --id https://"), "{held}");
        assert!(seen.iter().all(|seen| matches!(seen, Ok(Some(_)))), "{reading:?}: the others are seen");
    }
    let (version, before) = (fake.secret("many-000").unwrap().current().id.clone(), fake.effects());
    let written = write(&store, &places[0], &text("new"), 2, Expect::Version(version.clone())).await;
    assert_eq!(written, Err(ErrorKind::Invalid));
    assert!(!store.desired(&places[0], None).contains_key("enabled"));
    assert_eq!(fake.effects(), before, "nothing is written");
    // Declared, it is as the file says.
    for enabled in [true, false] {
        let at = secret("Many-000", |settings| settings.enabled = Some(enabled));
        let seen = look(&store, &at, Reading::Each).await.unwrap();
        assert_eq!(seen.attributes["enabled"], "false");
        assert_eq!(store.desired(&at, None)["enabled"], enabled.to_string());
    }
    let at = secret("Many-000", |settings| settings.enabled = Some(true));
    let with = options(&store, &at, 1, Expect::Version(version.clone())).await;
    assert_eq!(store.annotate(&at, &["enabled".to_owned()], &with).await, Ok(version));
    assert!(fake.secret("many-000").unwrap().current().enabled);
}
