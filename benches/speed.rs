//! How fast the release build is, in figures: `cargo bench --locked`; how it keeps to quotas:
//! `cargo bench --locked --bench speed -- quotas`.
//!
//! The real binary against the fake AWS of the tests on loopback, which answers at once or after a
//! delay. Each row is the best of a few runs, because a busy machine only ever makes it slower. The
//! peak of memory is the kernel's own high-water mark of the process.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a benchmark prepares and loses its own files")]

#[expect(dead_code, unused_imports, reason = "the fake serves the tests as well")]
#[path = "../tests/it/fake/aws/mod.rs"]
mod aws;
#[expect(dead_code, clippy::expect_used, reason = "the fake verifies the tokens of the tests")]
#[path = "../tests/it/fake/jwt.rs"]
mod jwt;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws::FakeAws;

const BINARY: &str = env!("CARGO_BIN_EXE_secretzero");
const SECRETS: usize = 1_000;

/// What a Secretfile's secrets go to.
#[derive(Clone, Copy)]
enum Kind {
    Aws,
    Secrets,
    Parameters,
    OneFile,
}

fn secretfile(kind: Kind) -> String {
    let mut text =
        "metadata: {project: bench}\nproviders:\n  aws: {kind: aws}\n  local: {kind: local}\nsecrets:\n".to_owned();
    for index in 0..SECRETS {
        write!(
            text,
            "  - name: secret_{index:04}\n    kind: random_password\n    rotation_period: 90d\n    targets:\n"
        )
        .unwrap();
        let name = format!("production/bench/s{index:04}");
        if matches!(kind, Kind::Aws | Kind::Secrets) {
            writeln!(text, "      - {{provider: aws, kind: secrets_manager, config: {{name: {name}}}}}").unwrap();
        }
        if matches!(kind, Kind::Aws | Kind::Parameters) {
            writeln!(text, "      - {{provider: aws, kind: ssm_parameter, config: {{name: /{name}}}}}").unwrap();
        }
        if matches!(kind, Kind::OneFile) {
            let config = "{path: .env, format: dotenv, merge: true}";
            writeln!(text, "      - {{provider: local, kind: file, config: {config}}}").unwrap();
        }
    }
    text
}

struct Figure {
    seconds: f64,
    peak_megabytes: f64,
}

/// Runs the binary once and measures it from outside.
fn run(folder: &Path, fake: &FakeAws, args: &[&str]) -> Figure {
    let mut command = Command::new(BINARY);
    command.args(args).current_dir(folder).env_clear().envs(fake.env()).env("HOME", folder);
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kilobytes = 0.0;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak_kilobytes =
            peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(peak_kilobytes);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(ended.success(), "{args:?} ended with {ended}");
    Figure { seconds: began.elapsed().as_secs_f64(), peak_megabytes: peak_kilobytes / 1024.0 }
}

/// The best of a few runs, each prepared anew.
fn best(times: usize, mut once: impl FnMut() -> Figure) -> Figure {
    let runs = (0..times).map(|_| once());
    runs.min_by(|a, b| a.seconds.total_cmp(&b.seconds)).unwrap()
}

fn row(what: &str, figure: &Figure, requests: Option<(usize, usize)>) {
    let requests = requests.map(|(all, at_once)| format!("{all} requests, {at_once} at once")).unwrap_or_default();
    println!("{what:<58} {:>8.1} ms {:>6.1} MB   {requests}", figure.seconds * 1000.0, figure.peak_megabytes);
}

fn cloud(delay: Duration, runs: usize) {
    let fake = FakeAws::start();
    fake.delay(delay);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Secretfile.yml"), secretfile(Kind::Aws)).unwrap();
    let mut requests = (0, 0);
    let mut counted = |args: &[&str], fresh: bool| {
        if fresh {
            fake.edit(|world| *world = aws::World::default());
            drop(std::fs::remove_file(folder.path().join(".gitsecrets.lock")));
        }
        fake.forget_requests();
        let figure = run(folder.path(), &fake, args);
        requests = (fake.total(), fake.in_flight_max());
        (figure, requests)
    };
    let milliseconds = delay.as_millis();
    let mut last = (0, 0);
    let mut measure = |what: &str, args: &[&str], fresh: bool| {
        let figure = best(runs, || {
            let (figure, requests) = counted(args, fresh);
            last = requests;
            figure
        });
        row(&format!("{what}, {milliseconds} ms latency"), &figure, Some(last));
    };
    measure("sync, 1,000 new secrets x (SM + SSM)", &["sync", "--rate-limit", "off"], true);
    measure("sync --dry-run, nothing to do", &["sync", "--dry-run", "--rate-limit", "off"], false);
    measure("sync, nothing to do", &["sync", "--rate-limit", "off"], false);
}

fn local() {
    let fake = FakeAws::start();
    let folder = tempfile::tempdir().unwrap();
    row("--version", &best(30, || run(folder.path(), &fake, &["--version"])), None);
    std::fs::write(folder.path().join("Secretfile.yml"), secretfile(Kind::Aws)).unwrap();
    row("validate, 1,000 secrets x 2 targets", &best(10, || run(folder.path(), &fake, &["validate"])), None);
    std::fs::write(folder.path().join("Secretfile.yml"), secretfile(Kind::OneFile)).unwrap();
    let first = best(5, || {
        for name in [".env", ".secretzero.json", ".gitsecrets.lock"] {
            drop(std::fs::remove_file(folder.path().join(name)));
        }
        run(folder.path(), &fake, &["sync"])
    });
    row("sync, 1,000 new secrets into one .env", &first, None);
    row("sync, 1,000 secrets in one .env, nothing to do", &best(5, || run(folder.path(), &fake, &["sync"])), None);
}

/// One run against a quota: how much of it was used, the bucket that was full at the start aside, and
/// how many calls were refused.
fn quota(what: &str, kind: Kind, class: aws::Class, per_second: f64) {
    let fake = FakeAws::start();
    fake.delay(Duration::from_millis(50));
    fake.quota(class, per_second);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("Secretfile.yml"), secretfile(kind)).unwrap();
    let figure = run(folder.path(), &fake, &["sync"]);
    let written = fake.effects();
    assert_eq!(written, SECRETS, "each secret takes one call that acts");
    let share = |part: f64, whole: f64| 100.0 * part / whole;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand calls")]
    let (written, throttled) = (written as f64, fake.throttled() as f64);
    println!(
        "{what:<58} {:>8.1} s  {:>5.1} % of the quota used, {:.1} % of the calls throttled",
        figure.seconds,
        share(written - per_second, per_second * figure.seconds),
        share(throttled, written + throttled)
    );
}

/// All at once: each has an account of its own, and mostly waits.
fn quotas() {
    std::thread::scope(|scope| {
        scope.spawn(|| quota("1,000 secrets, documented 50/s", Kind::Secrets, aws::Class::SecretWrites, 50.0));
        scope.spawn(|| quota("1,000 parameters, documented 40/s", Kind::Parameters, aws::Class::ParameterWrites, 40.0));
        scope.spawn(|| quota("1,000 parameters, allowed 10/s", Kind::Parameters, aws::Class::ParameterWrites, 10.0));
    });
}

fn main() {
    if std::env::args().any(|argument| argument == "quotas") {
        return quotas();
    }
    local();
    cloud(Duration::ZERO, 3);
    cloud(Duration::from_millis(50), 2);
}
