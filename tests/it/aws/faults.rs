//! Lost replies, power cuts and doubled calls at every effect.

use secretzero::provider::aws::AwsProvider;
use secretzero::provider::{ErrorKind, Expect, Observed, Provider, Reading};
use secretzero::target::{Place, TargetKind};

use super::{connected, mark, parameter, provider, secret, tag};
use crate::conformance::{look, options, text, write};
use crate::fake::aws::{FakeAws, Fault, FaultPlan};

/// How many versions a place has, and its current value.
fn stored(fake: &FakeAws, at: &Place) -> Option<(u64, String)> {
    let name = at.settings.name();
    match at.settings.kind() {
        TargetKind::SecretsManager => {
            let secret = fake.secret(name)?;
            Some((secret.versions.len() as u64, secret.value().unwrap_or_default().to_owned()))
        }
        _ => fake.parameter(name).map(|parameter| (parameter.version, parameter.value)),
    }
}

/// Whether a generation stands there, by the rules of both stores: the mark describes the version
/// that is current, or the version is the generation's own token.
async fn is_written(provider: &AwsProvider, at: &Place, seen: &Observed, number: u64) -> bool {
    let token = options(provider, at, number, Expect::Absent).await.token.to_string();
    seen.version == token || seen.mark == Some(mark(number, &seen.version))
}

/// What a run does: look, then write what is missing.
async fn converge(provider: &AwsProvider, at: &Place, number: u64, value: &str) -> Result<(), ErrorKind> {
    let expect = match look(provider, at, Reading::Batch).await {
        None => Expect::Absent,
        Some(seen) if is_written(provider, at, &seen, number).await => {
            if seen.mark != Some(mark(number, &seen.version)) {
                let options = options(provider, at, number, Expect::Version(seen.version)).await;
                provider.annotate(at, &[], &options).await.map_err(|error| error.kind)?;
            }
            return Ok(());
        }
        Some(seen) => Expect::Version(seen.version),
    };
    write(provider, at, &text(value), number, expect).await.map(drop)
}

fn places() -> [Place; 2] {
    [secret("app/db", |s| s.tags = tag("Team", "core")), parameter("db", |s| s.tags = tag("Team", "core"))]
}

#[tokio::test]
async fn a_power_cut_at_any_effect_leaves_what_a_second_run_completes() {
    for at in places() {
        for fault in [Fault::CutBefore, Fault::CutAfter] {
            let mut cuts = 0;
            for effect in 1.. {
                let fake = FakeAws::start();
                write(&provider(&fake), &at, &text("first"), 1, Expect::Absent).await.unwrap();
                fake.fault(FaultPlan { effect, fault: fault.clone() });
                // The process dies with its provider; what it would have answered nobody hears.
                let first = provider(&fake);
                let finished = match look_and_write(&first, &at).await {
                    Some(result) => result.is_ok(),
                    None => false,
                };
                fake.revive();
                converge(&provider(&fake), &at, 2, "second").await.unwrap();
                let seen = look(&provider(&fake), &at, Reading::Each).await.unwrap();
                assert_eq!(seen.mark, Some(mark(2, &seen.version)), "{fault:?} at {effect}");
                assert_eq!(stored(&fake, &at), Some((2, "second".into())), "{fault:?} at {effect}");
                if finished {
                    break;
                }
                cuts += 1;
            }
            assert_eq!(cuts, 2, "a rotation has two effects");
        }
    }
}

/// A run that may die at any point.
async fn look_and_write(provider: &AwsProvider, at: &Place) -> Option<Result<String, ErrorKind>> {
    let seen = look(provider, at, Reading::Batch).await?;
    Some(write(provider, at, &text("second"), 2, Expect::Version(seen.version)).await)
}

#[tokio::test]
async fn a_power_cut_during_a_create_leaves_nothing_or_all() {
    for at in places() {
        for (fault, versions) in [(Fault::CutBefore, None), (Fault::CutAfter, Some((1, "first".to_owned())))] {
            let fake = FakeAws::start();
            let dying = connected(&fake).await;
            fake.fault(FaultPlan { effect: 1, fault });
            assert_eq!(write(&dying, &at, &text("first"), 1, Expect::Absent).await, Err(ErrorKind::Indeterminate));
            assert_eq!(stored(&fake, &at), versions);
            fake.revive();
            let value = if versions.is_some() { "regenerated" } else { "first" };
            converge(&provider(&fake), &at, 1, value).await.unwrap();
            assert_eq!(stored(&fake, &at), Some((1, "first".into())), "what a store holds is never replaced");
        }
    }
}

#[tokio::test]
async fn a_lost_reply_of_secrets_manager_costs_no_second_version() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let at = secret("app/db", |_| {});
    fake.fault(FaultPlan { effect: 1, fault: Fault::LostReply });
    let first = write(&provider, &at, &text("first"), 1, Expect::Absent).await.unwrap();
    assert_eq!((fake.count("CreateSecret"), stored(&fake, &at)), (2, Some((1, "first".into()))));
    fake.fault(FaultPlan { effect: 1, fault: Fault::LostReply });
    write(&provider, &at, &text("second"), 2, Expect::Version(first)).await.unwrap();
    assert_eq!((fake.count("PutSecretValue"), stored(&fake, &at)), (2, Some((2, "second".into()))));
}

#[tokio::test]
async fn a_lost_reply_of_ssm_is_indeterminate_and_a_look_tells() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let at = parameter("db", |_| {});
    fake.fault(FaultPlan { effect: 1, fault: Fault::LostReply });
    let lost = write(&provider, &at, &text("first"), 1, Expect::Absent).await;
    assert_eq!((lost, fake.count("PutParameter")), (Err(ErrorKind::Indeterminate), 1));
    let seen = look(&provider, &at, Reading::Each).await.unwrap();
    assert!(is_written(&provider, &at, &seen, 1).await);
    // The second effect of an overwrite is the value; the mark came before.
    fake.fault(FaultPlan { effect: 2, fault: Fault::LostReply });
    let lost = write(&provider, &at, &text("second"), 2, Expect::Version("1".into())).await;
    assert_eq!(lost, Err(ErrorKind::Indeterminate));
    let seen = look(&provider, &at, Reading::Batch).await.unwrap();
    assert!(is_written(&provider, &at, &seen, 2).await, "{seen:?}");
    assert_eq!(stored(&fake, &at), Some((2, "second".into())));
}

#[tokio::test]
async fn a_write_that_failed_after_its_mark_is_seen_as_never_happened() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let at = parameter("db", |_| {});
    write(&provider, &at, &text("first"), 1, Expect::Absent).await.unwrap();
    fake.fault(FaultPlan { effect: 2, fault: Fault::Status(500, "InternalServerError") });
    let failed = write(&provider, &at, &text("second"), 2, Expect::Version("1".into())).await;
    assert_eq!(failed, Err(ErrorKind::Indeterminate));
    let seen = look(&provider, &at, Reading::Batch).await.unwrap();
    assert_eq!((seen.version.as_str(), seen.mark.clone()), ("1", Some(mark(2, "2"))), "one version ahead");
    assert!(!is_written(&provider, &at, &seen, 2).await);
}

#[tokio::test]
async fn a_call_that_acts_twice_is_harmless_or_noticed() {
    for at in places() {
        let fake = FakeAws::start();
        let provider = connected(&fake).await;
        fake.fault(FaultPlan { effect: 1, fault: Fault::Twice });
        let created = write(&provider, &at, &text("first"), 1, Expect::Absent).await;
        let noticed = at.settings.kind() == TargetKind::SsmParameter;
        assert_eq!(created.err(), noticed.then_some(ErrorKind::Conflict));
        let seen = look(&provider, &at, Reading::Each).await.unwrap();
        assert!(is_written(&provider, &at, &seen, 1).await);
        for effect in [1, 2] {
            let number = effect as u64 + 1;
            let before = look(&provider, &at, Reading::Batch).await.unwrap();
            fake.fault(FaultPlan { effect, fault: Fault::Twice });
            let written = write(&provider, &at, &text("next"), number, Expect::Version(before.version)).await;
            let seen = look(&provider, &at, Reading::Batch).await.unwrap();
            match written {
                Ok(_) => assert!(is_written(&provider, &at, &seen, number).await),
                Err(kind) => assert_eq!((kind, noticed), (ErrorKind::Conflict, true)),
            }
            assert_eq!(stored(&fake, &at).unwrap().1, "next");
        }
    }
}

#[tokio::test]
async fn an_outage_is_waited_out() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let at = secret("app/db", |_| {});
    for code in ["InternalServiceError", "ThrottlingException"] {
        let status = if code == "ThrottlingException" { 400 } else { 500 };
        fake.fault(FaultPlan { effect: 1, fault: Fault::Status(status, code) });
        assert!(write(&provider, &at, &text("v"), 1, Expect::Absent).await.is_ok(), "{code}");
    }
    assert_eq!(stored(&fake, &at), Some((1, "v".into())));
}

#[tokio::test]
async fn a_cut_kills_the_named_process() {
    let fake = FakeAws::start();
    let provider = connected(&fake).await;
    let mut victim = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    fake.fault(FaultPlan { effect: 1, fault: Fault::CutBefore });
    fake.victim(victim.id());
    let cut = write(&provider, &secret("app/db", |_| {}), &text("v"), 1, Expect::Absent).await;
    assert_eq!(cut, Err(ErrorKind::Indeterminate));
    assert!(!victim.wait().unwrap().success());
    assert_eq!(fake.effects(), 1, "the dead have no effects");
}
