//! Who gets which token, and where keys are kept.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use secretzero::clock::SystemEntropy;
use secretzero::disk::SystemDisk;
use secretzero::oidc::Phase;
use secretzero::oidc::claims::Claims;
use secretzero::trust::of_service;

use super::*;

/// A clock that stands until it is moved.
struct Moved(Mutex<Timestamp>);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<Moved>,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(Moved(Mutex::new("2026-06-01T00:00:00Z".parse().unwrap())));
        Self { folder: tempfile::tempdir().unwrap(), clock }
    }

    fn open(&self) -> Result<Arc<Issuer>, Error> {
        let clock = Arc::clone(&self.clock);
        let world = World { disk: Arc::new(SystemDisk), clock, entropy: Arc::new(SystemEntropy) };
        Issuer::open("https://sz.example", self.folder.path(), Schedule::default(), world).map(Arc::new)
    }

    fn pass(&self, hours: i64) {
        let mut now = self.clock.0.lock().unwrap();
        *now += SignedDuration::from_hours(hours);
    }

    fn files(&self) -> Vec<String> {
        SystemDisk.names(self.folder.path()).unwrap()
    }
}

fn all() -> Cleared {
    Cleared { tip_confirmed: true, reviewed: true, policy_passed: true, lease_held: true }
}

fn run(phase: Phase, trigger: Trigger, cleared: Cleared) -> Run {
    Run {
        forge: "github.com".into(),
        repository_id: 42,
        repository: "acme/shop".into(),
        environment: "prod".into(),
        phase,
        trigger,
        cleared,
        sha: "0a1b".into(),
        actor_id: Some(7),
        plan_digest: None,
    }
}

fn pull(from_fork: bool) -> Trigger {
    Trigger::PullRequest { number: 5, from_fork }
}

#[test]
fn a_pull_request_gets_a_plans_token_and_a_fork_none() {
    let bench = Bench::new();
    let issuer = bench.open().unwrap();
    let token = |run: &Run| issuer.token(run, "vault");
    assert!(token(&run(Phase::Plan, pull(false), Cleared::default())).is_ok());
    for phase in [Phase::Sync, Phase::Rotate] {
        let refused = token(&run(phase, pull(false), all())).err().unwrap().to_string();
        assert_eq!(refused, format!("a pull request gets no token for {}", phase.as_str()));
    }
    for phase in [Phase::Plan, Phase::Sync, Phase::Rotate] {
        assert_eq!(
            token(&run(phase, pull(true), all())).err().unwrap().to_string(),
            "a pull request from a fork gets no token"
        );
    }
}

#[test]
fn what_was_not_made_sure_of_is_named_and_each_fact_is_needed() {
    let bench = Bench::new();
    let issuer = bench.open().unwrap();
    let token = |phase, trigger: &Trigger, cleared| issuer.token(&run(phase, trigger.clone(), cleared), "vault");
    for (phase, trigger, needed) in [
        (Phase::Sync, Trigger::DefaultBranch, [true, true, true, true]),
        (Phase::Rotate, Trigger::Schedule, [true, false, true, true]),
    ] {
        assert!(token(phase, &trigger, all()).is_ok());
        let without: [fn(&mut Cleared); 4] = [
            |cleared| cleared.tip_confirmed = false,
            |cleared| cleared.reviewed = false,
            |cleared| cleared.policy_passed = false,
            |cleared| cleared.lease_held = false,
        ];
        for (drop_one, needed) in without.into_iter().zip(needed) {
            let mut cleared = all();
            drop_one(&mut cleared);
            let given = token(phase, &trigger, cleared);
            assert_eq!(given.is_err(), needed, "{phase:?} {cleared:?}");
            let said = given.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!needed || said.starts_with(&format!("no token for {}: ", phase.as_str())), "{said}");
        }
    }
    assert!(
        token(Phase::Sync, &Trigger::Schedule, all()).is_err()
            && token(Phase::Rotate, &Trigger::DefaultBranch, all()).is_err()
    );
}

#[test]
fn a_token_says_what_the_run_is_for_one_audience_and_ten_minutes() {
    let bench = Bench::new();
    let issuer = bench.open().unwrap();
    let claims = |audience: &str| {
        let token = issuer.token(&run(Phase::Sync, Trigger::DefaultBranch, all()), audience).unwrap();
        Claims::of(&token).unwrap()
    };
    let (first, second) = (claims("sts.amazonaws.com"), claims("vault"));
    assert_eq!(first.subject(), "secretzero:github.com:42:env:prod:phase:sync");
    assert_eq!(
        (first.audiences(), first.issuer().as_str()),
        (vec!["sts.amazonaws.com".to_owned()], "https://sz.example")
    );
    let (iat, nbf, exp) = (first.seconds("iat").unwrap(), first.seconds("nbf").unwrap(), first.seconds("exp").unwrap());
    assert_eq!((iat - nbf, exp - iat), (10, 600));
    assert_ne!(first.text("jti"), second.text("jti"));
    assert_eq!((first.text("repository_id").as_deref(), first.text("pull_request")), (Some("42"), None));
}

#[test]
fn a_part_of_a_subject_cannot_look_like_two_nor_be_too_long() {
    assert_eq!(of_service("ghes.corp", "1", "", "plan"), "secretzero:ghes.corp:1:env:default:phase:plan");
    assert_eq!(of_service("a", "1", "x:phase:sync", "plan"), "secretzero:a:1:env:x%3Aphase%3Async:phase:plan");
    let bench = Bench::new();
    let issuer = bench.open().unwrap();
    let long = Run { environment: "e".repeat(100), ..run(Phase::Plan, pull(false), Cleared::default()) };
    assert!(issuer.token(&long, "vault").err().unwrap().to_string().contains("more than 127 bytes"));
    let nobody = Run { repository_id: 0, ..run(Phase::Plan, pull(false), Cleared::default()) };
    assert!(issuer.token(&nobody, "vault").is_err());
}

#[test]
fn keys_outlive_the_process_and_change_on_time() {
    let bench = Bench::new();
    let first = bench.open().unwrap().ring().unwrap();
    assert_eq!(bench.open().unwrap().ring().unwrap(), first, "the same key after a restart");
    let mut files = [format!("{}.pem", first.entries[0].id), "lock".to_owned(), "ring.json".to_owned()];
    files.sort();
    assert_eq!(bench.files(), files);
    bench.pass(89 * 24);
    let issuer = bench.open().unwrap();
    assert_eq!(issuer.key_set().unwrap()["keys"].as_array().unwrap().len(), 2, "the next one is published");
    bench.pass(24);
    issuer.tend().unwrap();
    assert_ne!(issuer.ring().unwrap().active().unwrap().id, first.entries[0].id);
    bench.pass(27);
    issuer.tend().unwrap();
    assert_eq!(
        (issuer.ring().unwrap().entries.len(), bench.files().len()),
        (1, 3),
        "the old one is gone, its file too"
    );
    issuer.token(&run(Phase::Plan, pull(false), Cleared::default()), "vault").unwrap();
}

#[test]
fn a_stolen_key_is_forgotten_at_once() {
    let bench = Bench::new();
    let issuer = bench.open().unwrap();
    let stolen = issuer.ring().unwrap().entries[0].id.clone();
    issuer.rotate().unwrap();
    issuer.revoke_now().unwrap();
    let published = issuer.key_set().unwrap().to_string();
    assert!(!published.contains(&stolen) && !bench.files().contains(&format!("{stolen}.pem")), "{published}");
    assert_eq!(issuer.ring().unwrap().entries.len(), 1);
    assert_eq!(bench.open().unwrap().ring().unwrap(), issuer.ring().unwrap());
}

#[test]
fn keys_that_vanish_are_not_replaced_by_new_ones() {
    let bench = Bench::new();
    let issuer = bench.open().unwrap();
    SystemDisk.remove(&bench.folder.path().join("ring.json")).unwrap();
    assert!(issuer.tend().is_err() && issuer.key_set().is_err());
    assert!(issuer.token(&run(Phase::Plan, pull(false), Cleared::default()), "vault").is_err());
}

#[test]
fn what_another_process_revoked_signs_no_more() {
    let bench = Bench::new();
    let (one, other) = (bench.open().unwrap(), bench.open().unwrap());
    other.revoke_now().unwrap();
    let token = one.token(&run(Phase::Plan, pull(false), Cleared::default()), "vault").unwrap();
    let header = jsonwebtoken::decode_header(token.expose_text().unwrap()).unwrap();
    assert_eq!(header.kid, Some(other.ring().unwrap().entries[0].id.clone()));
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_refused_and_so_is_one_that_is_not_there() {
    use std::os::unix::fs::PermissionsExt as _;

    let bench = Bench::new();
    let id = bench.open().unwrap().ring().unwrap().entries[0].id.clone();
    let path = bench.folder.path().join(format!("{id}.pem"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = bench.open().err().unwrap().to_string();
    assert!(refused.contains("chmod 600") && refused.contains(&id), "{refused}");
    SystemDisk.remove(&path).unwrap();
    assert!(bench.open().is_err(), "no other key is made in its place");
}

#[test]
fn a_ring_that_names_another_file_is_refused() {
    let bench = Bench::new();
    let ring = r#"{"keys": [{"id": "../../etc/passwd", "state": "active", "since": "2026-01-01T00:00:00Z"}]}"#;
    SystemDisk.replace(&bench.folder.path().join("ring.json"), ring.as_bytes()).unwrap();
    assert!(bench.open().err().unwrap().to_string().contains("thumbprint"));
}

#[test]
fn an_address_is_written_in_one_way() {
    for good in ["https://sz.example", "https://sz.example:8443/issuer", "http://127.0.0.1:8080", "http://localhost"] {
        assert!(check_url(good).is_ok(), "{good}");
    }
    for bad in [
        "sz.example",
        "http://sz.example",
        "https://",
        "https://sz.example/",
        "https://Sz.example",
        "https://sz.example?x",
        "https://u@sz.example",
        "https://sz.example/a//b",
        "https://sz.example/:a",
        "https://sz.example:99999",
        "https://a:b:c",
        "https://sz.example/../b",
        "https://sz.example#x",
        "http://127.0.0.1.evil",
    ] {
        assert!(check_url(bad).is_err(), "{bad}");
    }
}
