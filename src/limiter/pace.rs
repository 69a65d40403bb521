//! The rate of one class of calls: additive growth while all goes well, a cut to what was really accepted.
//!
//! Pure: time is handed in, so that a test can run an hour in a millisecond.

use std::time::Duration;

use tokio::time::Instant;

/// Calls per second that are always tried.
const RATE_MIN: f64 = 1.0;

/// How much of a second's calls may go at once.
const BURST: Duration = Duration::from_millis(100);

/// One refusal speaks for all calls that were under way: no second cut within this time.
const CUT_EVERY: Duration = Duration::from_millis(500);

/// How long the class rests after a refusal that names no time.
const REST: Duration = Duration::from_millis(250);

/// How often a clean second may raise the rate.
const GROW_EVERY: Duration = Duration::from_secs(1);

/// Settles this far below the rate at which refusals began.
const BELOW_CEILING: f64 = 0.95;

/// The pace of one class.
pub(super) struct Pace {
    rate: f64,
    /// The rate at which the last refusal came.
    ceiling: Option<f64>,
    /// When the next call is due, if calls came evenly.
    due: Instant,
    blocked_until: Instant,
    last_cut: Option<Instant>,
    grown: Instant,
    /// Whether somebody had to wait since the rate last grew: an idle class proves nothing.
    waited: bool,
    window: Window,
}

/// How many calls were accepted in this second and the one before.
struct Window {
    start: Instant,
    now: f64,
    before: f64,
}

impl Pace {
    pub(super) fn new(quota_per_second: f64, now: Instant) -> Self {
        Self {
            rate: quota_per_second.max(RATE_MIN),
            ceiling: None,
            due: now,
            blocked_until: now,
            last_cut: None,
            grown: now,
            waited: false,
            window: Window { start: now, now: 0.0, before: 0.0 },
        }
    }

    /// Lets one call go, or says how long to wait before asking again.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        self.grow(now);
        let ready = self.due.checked_sub(BURST).unwrap_or(self.due).max(self.blocked_until);
        if let Some(wait) = ready.checked_duration_since(now).filter(|wait| !wait.is_zero()) {
            self.waited = true;
            return Err(wait);
        }
        self.due = self.due.max(now) + Duration::from_secs_f64(1.0 / self.rate);
        Ok(())
    }

    /// A call got through (whatever its answer).
    pub(super) fn accepted(&mut self, now: Instant) {
        self.window.roll(now);
        self.window.now += 1.0;
    }

    /// A call was refused; whether that slowed the class down (else an earlier refusal had already).
    pub(super) fn refused(&mut self, now: Instant, asked: Option<Duration>) -> bool {
        let rest = asked.unwrap_or(REST);
        if asked.is_some() || self.last_cut.is_none_or(|cut| now >= cut + CUT_EVERY) {
            self.blocked_until = self.blocked_until.max(now + rest);
        }
        if self.last_cut.is_some_and(|cut| now < cut + CUT_EVERY) {
            return false;
        }
        let accepted = self.window.per_second(now);
        self.ceiling = Some(self.rate);
        self.rate = (accepted * BELOW_CEILING).clamp(self.rate * 0.25, self.rate * 0.9).max(RATE_MIN);
        self.last_cut = Some(now);
        self.grown = now + rest;
        self.waited = false;
        self.due = now;
        true
    }

    /// After each clean second in which somebody waited: quickly back up to just below the ceiling,
    /// then so slowly that probing costs well below one call in a hundred.
    fn grow(&mut self, now: Instant) {
        if now < self.grown + GROW_EVERY || !self.waited {
            return;
        }
        let settled = self.ceiling.map(|ceiling| ceiling * BELOW_CEILING);
        self.rate = match settled {
            None => self.rate * 1.02,
            Some(settled) if self.rate < settled => (self.rate * 1.1).min(settled),
            Some(_) => self.rate * 1.002,
        };
        self.grown = now;
        self.waited = false;
    }
}

impl Window {
    fn roll(&mut self, now: Instant) {
        let elapsed = now.duration_since(self.start).as_secs();
        if elapsed >= 1 {
            self.before = if elapsed == 1 { self.now } else { 0.0 };
            self.now = 0.0;
            self.start += Duration::from_secs(elapsed);
        }
    }

    /// The rate of the last one to two seconds.
    fn per_second(&mut self, now: Instant) -> f64 {
        self.roll(now);
        let seconds = 1.0 + now.duration_since(self.start).as_secs_f64();
        (self.now + self.before) / if self.before > 0.0 { seconds } else { (seconds - 1.0).max(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with a token bucket of one second.
    struct Store {
        rate: f64,
        tokens: f64,
        at: Instant,
    }

    impl Store {
        fn accepts(&mut self, now: Instant) -> bool {
            self.tokens = (self.tokens + now.duration_since(self.at).as_secs_f64() * self.rate).min(self.rate);
            self.at = now;
            let accepted = self.tokens >= 1.0;
            self.tokens -= f64::from(u8::from(accepted));
            accepted
        }
    }

    /// Runs until `calls` were accepted, one after the other; seconds taken and calls refused.
    fn simulate(start: f64, real: f64, calls: u32) -> (f64, u32) {
        let begin = Instant::now();
        let mut now = begin;
        let mut pace = Pace::new(start, now);
        let mut store = Store { rate: real, tokens: real, at: now };
        let (mut done, mut refused) = (0, 0);
        while done < calls {
            match pace.admit(now) {
                Err(wait) => now += wait,
                Ok(()) if store.accepts(now) => {
                    pace.accepted(now);
                    done += 1;
                }
                Ok(()) => {
                    pace.refused(now, None);
                    refused += 1;
                }
            }
        }
        (now.duration_since(begin).as_secs_f64(), refused)
    }

    #[test]
    fn a_documented_quota_is_used_to_the_full_with_hardly_a_refusal() {
        let (seconds, refused) = simulate(50.0, 50.0, 5000);
        assert!(seconds < 5000.0 / 50.0 * 1.06, "{seconds} s");
        assert!(refused < 50, "{refused} refused");
    }

    #[test]
    fn a_quota_far_below_the_documented_one_is_found_and_kept() {
        let (seconds, refused) = simulate(40.0, 3.0, 1000);
        assert!(seconds < 1000.0 / 3.0 * 1.1, "{seconds} s");
        assert!(refused < 30, "{refused} refused");
    }

    #[test]
    fn a_higher_quota_is_grown_into() {
        let (seconds, refused) = simulate(40.0, 1000.0, 20_000);
        assert!(seconds < 20_000.0 / 40.0 * 0.3, "{seconds} s");
        assert_eq!(refused, 0);
    }

    #[test]
    fn the_pace_never_falls_below_one_call_a_second() {
        let mut now = Instant::now();
        let mut pace = Pace::new(40.0, now);
        for _ in 0..100 {
            now += Duration::from_secs(1);
            pace.refused(now, None);
        }
        now += Duration::from_secs(1);
        assert!(pace.admit(now).is_ok() && (pace.rate - RATE_MIN).abs() < f64::EPSILON);
    }

    #[test]
    fn nobody_goes_before_the_moment_that_the_store_named() {
        let mut now = Instant::now();
        let mut pace = Pace::new(40.0, now);
        assert!(pace.refused(now, Some(Duration::from_secs(4))));
        assert!(!pace.refused(now, None), "the same overload cuts once");
        let mut waited = Duration::ZERO;
        while let Err(wait) = pace.admit(now) {
            waited += wait;
            now += wait;
        }
        assert_eq!(waited, Duration::from_secs(4));
    }

    #[test]
    fn an_idle_class_does_not_grow() {
        let begin = Instant::now();
        let mut pace = Pace::new(40.0, begin);
        for minute in 1..60 {
            assert!(pace.admit(begin + Duration::from_secs(60 * minute)).is_ok());
        }
        assert!((pace.rate - 40.0).abs() < f64::EPSILON);
    }
}
