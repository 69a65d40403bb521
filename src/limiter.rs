//! Keeps calls just below the rate at which a store begins to refuse them, and repeats those that may be.
//!
//! Quotas are shared with other people's jobs and often undocumented, so the documented number is
//! only where a class of calls starts ([`ApiClass::quota_per_second`]); what the store refuses
//! decides the rest. A refusal slows the whole class, since every waiting call would meet the same
//! fate. A reply that never came is another matter: the call may have acted, so only calls that may
//! be repeated are ([`Repeat`]).

mod pace;
pub mod quota;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::provider::{Error, ErrorKind, Result};
use pace::Pace;

/// Calls of one service in one account and region that may be under way at a time: one connection each.
pub const IN_FLIGHT_MAX: usize = 64;

/// How often refusals are told, and how much longer a wait must be to be told at once.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// How many refusals weigh as much as one failure: a refused call did nothing and is known to be sound.
const REFUSALS_PER_ATTEMPT: u32 = 4;

/// Longest wait before a call is repeated, unless the store asks for more.
const DELAY_MAX: Duration = Duration::from_secs(20);

/// Longest wait that a store may ask for; what asks for more is not waited for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// Whether calls are paced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RateLimit {
    /// From the documented quota to just below where the store refuses.
    #[default]
    Auto,
    /// As fast as [`IN_FLIGHT_MAX`] allows; for emulators and tests.
    Off,
}

/// How the wait grows from one attempt to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backoff {
    /// Twice as long each time, at most 20 s.
    #[default]
    Exponential,
    /// Always the same.
    Constant,
}

/// How often and how patiently a call is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least 1.
    pub attempts_max: u32,
    /// How the wait grows.
    pub backoff: Backoff,
    /// The wait before the second attempt, before jitter.
    pub first_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts_max: 5, backoff: Backoff::Exponential, first_delay: Duration::from_millis(500) }
    }
}

/// What a second sending of the same call would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Nothing, as the first did nothing: a lost reply is only an outage.
    Read,
    /// Nothing more than the first: it is sent again, and is indeterminate only when no reply ever comes.
    Safe,
    /// Perhaps a second effect: without a reply it is indeterminate at once.
    Once,
}

/// A group of calls that a vendor counts against one quota.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ApiClass {
    /// The service, as a person calls it; its calls share connections.
    pub service: &'static str,
    /// The group within the service.
    pub name: &'static str,
    /// The documented quota, calls per second.
    pub quota_per_second: f64,
}

/// One limiter serves every provider of a run, so that two aliases of one account share its quotas.
pub struct Limiter {
    retry: RetryPolicy,
    rate_limit: RateLimit,
    scopes: Mutex<HashMap<String, Scope>>,
    jitter: AtomicU64,
}

/// Everything in one account and region.
#[derive(Default)]
struct Scope {
    /// By name.
    services: HashMap<&'static str, Arc<Service>>,
    /// By service and name of the class.
    lanes: HashMap<(&'static str, &'static str), Arc<Lane>>,
}

/// One service in one account and region.
struct Service {
    connections: Semaphore,
    /// How many repetitions after an outage are left, so that when a service is down the first calls
    /// find that out for all: each connection's further attempts. What goes well gives one back.
    budget: AtomicUsize,
    budget_max: usize,
}

/// One class of calls in one account and region.
struct Lane {
    service: Arc<Service>,
    /// Fair: who waits longest goes first.
    turn: tokio::sync::Mutex<()>,
    pace: Option<Mutex<Pace>>,
    /// The refusal that was told last.
    told: Mutex<Option<Told>>,
}

/// What a person knows of a refusal.
#[derive(Clone, Copy)]
struct Told {
    at: Instant,
    until: Instant,
}

impl Limiter {
    /// A limiter without any experience yet.
    #[must_use]
    pub fn new(retry: RetryPolicy, rate_limit: RateLimit) -> Self {
        let jitter = AtomicU64::new(RandomState::new().hash_one(0_u8));
        Self { retry, rate_limit, scopes: Mutex::default(), jitter }
    }

    /// Makes a call when its class has room, again where that is right. `scope` names provider,
    /// account and region: who shares the quota.
    ///
    /// # Errors
    /// The last attempt's error. A lost reply is [`ErrorKind::Unavailable`] for a read, else
    /// [`ErrorKind::Indeterminate`].
    pub async fn run<T, F, Fut>(&self, scope: &str, class: &ApiClass, repeat: Repeat, mut call: F) -> Result<T>
    where
        F: FnMut() -> Fut + Send,
        Fut: Future<Output = Result<T>> + Send,
    {
        let lane = self.lane(scope, class);
        let (mut failures, mut refusals) = (0, 0);
        loop {
            let (sent, answer) = lane.once(&mut call).await;
            let error = match answer {
                Ok(answer) => {
                    lane.service.earn();
                    return Ok(answer);
                }
                Err(error) => repeat.judge(error),
            };
            let asked = match &error.kind {
                ErrorKind::Throttled(asked) => {
                    refusals += 1;
                    *asked
                }
                ErrorKind::Unavailable => {
                    failures += 1;
                    None
                }
                ErrorKind::Indeterminate if repeat == Repeat::Safe => {
                    failures += 1;
                    None
                }
                _ => return Err(error),
            };
            let delay = self.delay(failures, refusals, asked);
            let throttled = matches!(error.kind, ErrorKind::Throttled(_));
            if throttled {
                lane.refused(class, sent, delay, asked);
            }
            let Some(delay) = delay.filter(|_| throttled || lane.service.spend()) else { return Err(error) };
            if !throttled {
                tracing::debug!(target: "secretzero::retry", service = class.service, "{error}; trying again");
            }
            tokio::time::sleep(delay).await;
        }
    }

    fn lane(&self, scope: &str, class: &ApiClass) -> Arc<Lane> {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        let scope = scopes.entry(scope.to_owned()).or_default();
        let budget_max = IN_FLIGHT_MAX * self.retry.attempts_max.saturating_sub(1) as usize;
        let service = scope.services.entry(class.service).or_insert_with(|| {
            Arc::new(Service {
                connections: Semaphore::new(IN_FLIGHT_MAX),
                budget: AtomicUsize::new(budget_max),
                budget_max,
            })
        });
        let lane = scope.lanes.entry((class.service, class.name)).or_insert_with(|| {
            let pace = (self.rate_limit == RateLimit::Auto)
                .then(|| Mutex::new(Pace::new(class.quota_per_second, Instant::now())));
            let (service, turn) = (Arc::clone(service), tokio::sync::Mutex::new(()));
            Arc::new(Lane { service, turn, pace, told: Mutex::default() })
        });
        Arc::clone(lane)
    }

    /// How long to wait before the next attempt; `None` when there is none.
    fn delay(&self, failures: u32, refusals: u32, asked: Option<Duration>) -> Option<Duration> {
        let attempts_max = self.retry.attempts_max.max(1);
        let refusals_max = if attempts_max == 1 { 1 } else { attempts_max * REFUSALS_PER_ATTEMPT };
        if failures >= attempts_max || refusals >= refusals_max {
            return None;
        }
        if let Some(asked) = asked {
            // A little later than asked, so that not everybody returns in the same instant.
            return (asked <= RETRY_AFTER_MAX).then(|| asked + self.retry.first_delay.mul_f64(self.fraction()));
        }
        let doublings = match self.retry.backoff {
            Backoff::Constant => 0,
            Backoff::Exponential => (failures + refusals).saturating_sub(1).min(16),
        };
        let whole = self.retry.first_delay.saturating_mul(1 << doublings).min(DELAY_MAX);
        Some(whole.mul_f64(0.5 + 0.5 * self.fraction()))
    }

    /// The next of an evenly spread sequence in [0, 1); jitter needs spread, not secrecy.
    fn fraction(&self) -> f64 {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let step = self.jitter.fetch_add(GOLDEN, Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "53 bits are plenty for jitter")]
        let fraction = (step >> 11) as f64 / (1_u64 << 53) as f64;
        fraction
    }
}

impl Service {
    /// Takes one repetition out of the budget; false if none is left.
    fn spend(&self) -> bool {
        self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Something went well.
    fn earn(&self) {
        let more = |left| (left < self.budget_max).then_some(left + 1);
        // A full budget stays as it is.
        let _ = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

impl Lane {
    /// Makes the call when there is room; also when that was.
    async fn once<T, F, Fut>(&self, call: &mut F) -> (Instant, Result<T>)
    where
        F: FnMut() -> Fut + Send,
        Fut: Future<Output = Result<T>> + Send,
    {
        // The semaphore is never closed; if it were, the call would merely go unlimited.
        let _connection = self.service.connections.acquire().await.ok();
        let Some(pace) = &self.pace else { return (Instant::now(), call().await) };
        self.admitted(pace).await;
        let sent = Instant::now();
        let answer = call().await;
        let throttled = matches!(&answer, Err(Error { kind: ErrorKind::Throttled(_), .. }));
        if !throttled {
            pace.lock().unwrap_or_else(PoisonError::into_inner).accepted();
        }
        (sent, answer)
    }

    async fn admitted(&self, pace: &Mutex<Pace>) {
        let _turn = self.turn.lock().await;
        loop {
            let wait = pace.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now());
            match wait {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Slows the class down, and says so where a person would else believe that nothing goes on.
    /// `delay` is how long this call waits, if it is repeated.
    fn refused(&self, class: &ApiClass, sent: Instant, delay: Option<Duration>, asked: Option<Duration>) {
        let now = Instant::now();
        if let Some(pace) = &self.pace {
            pace.lock().unwrap_or_else(PoisonError::into_inner).refused(sent, now, asked);
        }
        let Some(delay) = delay else { return };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|told| now < told.at + TOLD_EVERY && now + delay < told.until + TOLD_EVERY) {
            return;
        }
        *told = Some(Told { at: now, until: now + delay });
        let wait_seconds = (delay.as_secs_f64() * 10.0).ceil() / 10.0;
        tracing::info!(
            target: "secretzero::throttle", "{}: throttled, waiting {wait_seconds} s", class.service
        );
    }
}

impl Repeat {
    /// A reply that was lost on a read is an outage and no more.
    fn judge(self, error: Error) -> Error {
        match (self, &error.kind) {
            (Self::Read, ErrorKind::Indeterminate) => Error { kind: ErrorKind::Unavailable, ..error },
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::cell::Cell;

    use super::*;

    const CLASS: ApiClass = ApiClass { service: "Test", name: "write", quota_per_second: 1000.0 };

    fn limiter(attempts_max: u32, rate_limit: RateLimit) -> Limiter {
        let retry = RetryPolicy { attempts_max, first_delay: Duration::from_micros(10), ..RetryPolicy::default() };
        Limiter::new(retry, rate_limit)
    }

    /// Calls until it is told no more, failing with each of `kinds` in turn; the result and the number of calls.
    async fn calls(limiter: &Limiter, repeat: Repeat, kinds: &[ErrorKind]) -> (Result<()>, usize) {
        let count = AtomicU64::new(0);
        let result = limiter
            .run("test", &CLASS, repeat, || {
                let call = usize::try_from(count.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
                let answer = kinds.get(call).map_or(Ok(()), |kind| Err(Error::new(kind.clone(), "refused")));
                async move { answer }
            })
            .await;
        (result, usize::try_from(count.into_inner()).unwrap_or(usize::MAX))
    }

    #[tokio::test]
    async fn an_outage_is_waited_out_as_often_as_the_policy_allows() {
        let limiter = limiter(3, RateLimit::Auto);
        let down = [ErrorKind::Unavailable, ErrorKind::Unavailable];
        assert_eq!(calls(&limiter, Repeat::Once, &down).await, (Ok(()), 3));
        let (result, count) = calls(&limiter, Repeat::Once, &vec![ErrorKind::Unavailable; 9]).await;
        assert_eq!((result.map_err(|e| e.kind), count), (Err(ErrorKind::Unavailable), 3));
    }

    #[tokio::test]
    async fn a_lost_reply_is_repeated_only_where_a_repetition_is_harmless() {
        let limiter = limiter(5, RateLimit::Off);
        let lost = [ErrorKind::Indeterminate];
        assert_eq!(calls(&limiter, Repeat::Read, &lost).await, (Ok(()), 2));
        assert_eq!(calls(&limiter, Repeat::Safe, &lost).await, (Ok(()), 2));
        let (result, count) = calls(&limiter, Repeat::Once, &lost).await;
        assert_eq!((result.map_err(|e| e.kind), count), (Err(ErrorKind::Indeterminate), 1));
    }

    #[tokio::test]
    async fn a_read_that_never_gets_a_reply_is_an_outage_and_a_write_stays_indeterminate() {
        let limiter = limiter(2, RateLimit::Off);
        let lost = vec![ErrorKind::Indeterminate; 9];
        for (repeat, kind) in [(Repeat::Read, ErrorKind::Unavailable), (Repeat::Safe, ErrorKind::Indeterminate)] {
            let (result, count) = calls(&limiter, repeat, &lost).await;
            assert_eq!((result.map_err(|e| e.kind), count), (Err(kind), 2));
        }
    }

    #[tokio::test]
    async fn what_will_never_work_is_tried_once() {
        let limiter = limiter(5, RateLimit::Auto);
        for kind in [ErrorKind::PermissionDenied, ErrorKind::Invalid, ErrorKind::Conflict, ErrorKind::NotFound] {
            let (result, count) = calls(&limiter, Repeat::Safe, &[kind.clone(), kind.clone()]).await;
            assert_eq!((result.map_err(|e| e.kind), count), (Err(kind), 1));
        }
    }

    #[tokio::test]
    async fn a_refusal_is_outwaited_longer_than_an_outage_unless_retries_are_off() {
        let refused = vec![ErrorKind::Throttled(None); 7];
        assert_eq!(calls(&limiter(2, RateLimit::Off), Repeat::Once, &refused).await, (Ok(()), 8));
        let (result, count) = calls(&limiter(1, RateLimit::Off), Repeat::Once, &refused).await;
        assert_eq!((result.map_err(|e| e.kind), count), (Err(ErrorKind::Throttled(None)), 1));
    }

    #[tokio::test]
    async fn whoever_waits_for_a_throttled_store_is_told_so_once() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let writer = Mutex::new(log.reopen().unwrap());
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
        let _told = tracing::subscriber::set_default(subscriber);
        let limiter = limiter(5, RateLimit::Auto);
        let refused = [ErrorKind::Throttled(None)];
        futures_util::future::join_all((0..3).map(|_| calls(&limiter, Repeat::Once, &refused))).await;
        let log = std::fs::read_to_string(log.path()).unwrap();
        assert_eq!(log.matches("throttled, waiting 0.1 s").count(), 1, "{log}");
        assert!(log.contains("secretzero::throttle: Test: throttled"), "{log}");
    }

    /// A retry must not burn an account's quota of failed logins either.
    #[tokio::test]
    async fn a_login_that_failed_is_not_tried_again() {
        let limiter = limiter(5, RateLimit::Auto);
        let (result, count) = calls(&limiter, Repeat::Read, &vec![ErrorKind::Unauthenticated; 9]).await;
        assert_eq!((result.map_err(|e| e.kind), count), (Err(ErrorKind::Unauthenticated), 1));
    }

    #[tokio::test]
    async fn a_service_that_is_down_is_given_up_by_all_once_the_first_have_tried_in_vain() {
        let limiter = limiter(3, RateLimit::Off);
        let down = vec![ErrorKind::Unavailable; 9];
        let mut made = 0;
        for _ in 0..IN_FLIGHT_MAX {
            made += calls(&limiter, Repeat::Read, &down).await.1;
        }
        assert_eq!(made, IN_FLIGHT_MAX * 3, "the first all try as often as they may");
        assert_eq!(calls(&limiter, Repeat::Read, &down).await.1, 1, "nothing is left for the next");
        assert_eq!(calls(&limiter, Repeat::Read, &[]).await, (Ok(()), 1));
        assert_eq!(calls(&limiter, Repeat::Read, &down).await.1, 2, "what went well gives one back");
    }

    #[tokio::test]
    async fn a_person_is_told_of_throttling_where_nothing_paces_as_well() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let writer = Mutex::new(log.reopen().unwrap());
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
        let _told = tracing::subscriber::set_default(subscriber);
        let limiter = limiter(5, RateLimit::Off);
        calls(&limiter, Repeat::Once, &[ErrorKind::Throttled(None)]).await.0.unwrap();
        let log = std::fs::read_to_string(log.path()).unwrap();
        assert_eq!(log.matches("Test: throttled, waiting 0.1 s").count(), 1, "{log}");
    }

    #[tokio::test]
    async fn more_calls_than_connections_wait_for_each_other() {
        let limiter = limiter(1, RateLimit::Off);
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let call = || async {
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::Relaxed);
            Ok(())
        };
        let runs = (0..500).map(|_| limiter.run("test", &CLASS, Repeat::Read, call));
        futures_util::future::join_all(runs).await;
        assert_eq!(most.into_inner(), 64);
    }

    #[test]
    fn waits_double_with_jitter_and_obey_the_store() {
        let limiter = Limiter::new(RetryPolicy::default(), RateLimit::Off);
        let within = |failures, asked, least: u64, most: u64| {
            let wait = limiter.delay(failures, 0, asked).unwrap_or_default();
            assert!(wait >= Duration::from_millis(least) && wait <= Duration::from_millis(most), "{wait:?}");
        };
        for _ in 0..100 {
            within(1, None, 250, 500);
            within(3, None, 1000, 2000);
            within(1, Some(Duration::from_secs(4)), 4000, 4500);
        }
        assert_eq!(limiter.delay(1, 0, Some(Duration::from_secs(3600))), None);
        let constant = RetryPolicy { backoff: Backoff::Constant, ..RetryPolicy::default() };
        let constant = Limiter::new(constant, RateLimit::Off);
        assert!(constant.delay(4, 0, None).is_some_and(|wait| wait <= Duration::from_millis(500)));
        let spread = Cell::new(0.0);
        (0..1000).for_each(|_| spread.set(spread.get() + limiter.fraction()));
        assert!((spread.get() - 500.0_f64).abs() < 20.0, "{}", spread.get());
    }
}
