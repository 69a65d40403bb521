//! Lost replies, power cuts, doubled and failed calls, at every call there is.

use secretzero::provider::gcp::GcpProvider;
use secretzero::provider::{ErrorKind, Expect, Provider, Reading};
use secretzero::target::Place;

use super::{connected, mark, place, provider};
use crate::conformance::{look, options, text, value, write};
use crate::fake::gcp::{FakeGcp, Fault, Nth};

const FAULTS: [Fault; 6] = [
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::Twice,
    Fault::LostReply,
    Fault::Status(500, "INTERNAL"),
    Fault::Status(503, "UNAVAILABLE"),
];

/// What a run does: look, then write what is missing, again where that is right.
async fn converge(provider: &GcpProvider, at: &Place, number: u64, value: &str) -> Result<(), ErrorKind> {
    for _ in 0..4 {
        let expect = match look(provider, at, Reading::Batch).await {
            None => Expect::Absent,
            Some(seen) => {
                let version = seen.version.parse().unwrap_or_default();
                if seen.mark == Some(mark(number, version)) {
                    return Ok(());
                }
                Expect::Version(seen.version)
            }
        };
        match write(provider, at, &text(value), number, expect).await {
            Err(ErrorKind::Conflict | ErrorKind::Indeterminate) => {}
            other => return other.map(drop),
        }
    }
    Err(ErrorKind::Conflict)
}

/// One value per generation, all of them enabled.
#[track_caller]
fn assert_one_each(fake: &FakeGcp, values: &[&str], case: &str) {
    let enabled = fake.secret("db").unwrap().enabled();
    let texts: Vec<&str> = enabled.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, values, "{case}");
    let newest = enabled.last().unwrap().0;
    let number = values.len() as u64;
    assert_eq!(fake.secret("db").unwrap().annotation("secretzero"), Some(mark(number, newest).as_str()), "{case}");
}

#[tokio::test]
async fn a_create_survives_every_fault_at_every_call() {
    for fault in FAULTS {
        let mut met = 0;
        for call in 1.. {
            let fake = FakeGcp::start();
            let at = place("db", |settings| settings.labels = [("team".to_owned(), "core".to_owned())].into());
            let first = connected(&fake).await;
            fake.fault(Nth::Call(call), fault.clone());
            let result = write(&first, &at, &text("first"), 1, Expect::Absent).await;
            let finished = fake.calls() < call;
            fake.revive();
            let case = format!("{fault:?} at call {call}: {result:?}");
            // What a store holds is never replaced by another value of that generation.
            let held = value(&provider(&fake), &at).await;
            let again = held.as_deref().unwrap_or("first").to_owned();
            converge(&provider(&fake), &at, 1, &again).await.unwrap();
            assert_one_each(&fake, &["first"], &case);
            assert_eq!(fake.secret("db").unwrap().fields["labels"]["team"], "core", "{case}");
            if finished {
                break;
            }
            met += 1;
        }
        assert!(met >= 3, "{fault:?}: a create has three calls, {met}");
    }
}

#[tokio::test]
async fn a_rotation_survives_every_fault_at_every_call() {
    for fault in FAULTS {
        let mut met = 0;
        for call in 1.. {
            let fake = FakeGcp::start();
            let at = place("db", |_| {});
            let first = connected(&fake).await;
            write(&first, &at, &text("first"), 1, Expect::Absent).await.unwrap();
            fake.fault(Nth::Call(call), fault.clone());
            let result = write(&first, &at, &text("second"), 2, Expect::Version("1".into())).await;
            let finished = fake.calls() < call;
            fake.revive();
            let case = format!("{fault:?} at call {call}: {result:?}");
            converge(&provider(&fake), &at, 2, "second").await.unwrap();
            assert_one_each(&fake, &["first", "second"], &case);
            if finished {
                break;
            }
            met += 1;
        }
        assert!(met >= 5, "{fault:?}: a rotation has five calls, {met}");
    }
}

#[tokio::test]
async fn a_lost_reply_costs_no_second_version_and_no_second_run() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let at = place("db", |_| {});
    for (effect, permission) in [(1, "secrets.create"), (2, "versions.add")] {
        let at = place(&format!("db{effect}"), |_| {});
        fake.fault(Nth::Effect(effect), Fault::LostReply);
        assert_eq!(write(&provider, &at, &text("first"), 1, Expect::Absent).await.as_deref(), Ok("1"), "{permission}");
        assert_eq!(fake.secret(&format!("db{effect}")).unwrap().versions.len(), 1);
    }
    write(&provider, &at, &text("first"), 1, Expect::Absent).await.unwrap();
    for (number, effect) in [(2, 1), (3, 2)] {
        fake.fault(Nth::Effect(effect), Fault::LostReply);
        let expect = Expect::Version((number - 1).to_string());
        let written = write(&provider, &at, &text(&format!("v{number}")), number, expect).await;
        assert_eq!(written, Ok(number.to_string()));
    }
    assert_eq!(fake.secret("db").unwrap().states(), ["ENABLED"; 3]);
}

#[tokio::test]
async fn a_version_that_was_added_twice_stays_once() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let at = place("db", |_| {});
    fake.fault(Nth::Effect(2), Fault::Twice);
    assert_eq!(write(&provider, &at, &text("first"), 1, Expect::Absent).await.as_deref(), Ok("2"));
    assert_eq!(fake.secret("db").unwrap().states(), ["DESTROYED", "ENABLED"]);
    assert_one_each(&fake, &["first"], "twice");
}

#[tokio::test]
async fn a_secret_that_a_dead_run_left_empty_is_filled_by_the_next() {
    let fake = FakeGcp::start();
    let dying = connected(&fake).await;
    let at = place("db", |_| {});
    fake.fault(Nth::Effect(2), Fault::CutBefore);
    assert_eq!(write(&dying, &at, &text("lost"), 1, Expect::Absent).await, Err(ErrorKind::Indeterminate));
    fake.revive();
    let next = provider(&fake);
    let claimed = look(&next, &at, Reading::Each).await.unwrap();
    assert_eq!(claimed.version, "", "it is claimed, and no value stands there");
    // Another generation id: the next run knows nothing of the dead one's.
    let mut options = options(&next, &at, 1, Expect::Absent).await;
    options.generation.id = "another".into();
    assert_eq!(next.write(&at, &text("kept"), &options).await.as_deref(), Ok("1"));
    assert_eq!(fake.secret("db").unwrap().enabled(), [(1, "kept".to_owned())]);
}

#[tokio::test]
async fn an_empty_secret_of_somebody_else_is_not_filled() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let at = place("db", |_| {});
    let other = place("db2", |_| {});
    for (id, mark) in [("db", None), ("db2", Some(mark(1, 1).replace(":s=", ":s=x")))] {
        fake.edit(|world| {
            let fields = serde_json::json!({ "replication": { "automatic": {} }, "etag": "\"1\"" });
            let fields = fields.as_object().unwrap().clone();
            world.secrets.insert(id.into(), crate::fake::gcp::Secret { fields, versions: Vec::new() });
            world.annotate(id, "secretzero", mark.as_deref());
        });
    }
    assert_eq!(look(&provider, &at, Reading::Each).await.unwrap().version, "", "a person may overwrite it");
    for at in [&at, &other] {
        assert_eq!(write(&provider, at, &text("v"), 1, Expect::Absent).await, Err(ErrorKind::Conflict));
    }
    assert_eq!(fake.count("versions.add"), 0);
    assert!(write(&provider, &at, &text("v"), 1, Expect::Version(String::new())).await.is_ok());
}

#[tokio::test]
async fn a_refusal_in_the_middle_is_seen_as_never_written() {
    let fake = FakeGcp::start();
    let provider = connected(&fake).await;
    let at = place("db", |_| {});
    write(&provider, &at, &text("first"), 1, Expect::Absent).await.unwrap();
    fake.deny("versions.add");
    let refused = write(&provider, &at, &text("second"), 2, Expect::Version("1".into())).await;
    assert_eq!(refused, Err(ErrorKind::PermissionDenied));
    let seen = look(&provider, &at, Reading::Each).await.unwrap();
    assert_eq!((seen.version.as_str(), seen.mark), ("1", Some(mark(2, 2))), "one version ahead");
}
