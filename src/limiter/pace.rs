//! The rate of one class of calls, learned from what the store accepts and when it refuses.
//!
//! A store counts with a token bucket: it is empty at the moment of a refusal. So what was accepted
//! between two refusals, over the time between them, is the quota itself, however large the bucket
//! is and however much of it others use. After the first refusal only a guess is possible, and the
//! guess is that the bucket had held one second's worth. The pace settles just below the estimate and
//! grows again the more gently the more calls the estimate rests on, since a probe costs refusals.
//!
//! Pure: time is handed in, so that a test can run an hour in a millisecond.

use std::time::Duration;

use tokio::time::Instant;

/// Calls per second that are always tried.
const RATE_MIN: f64 = 1.0;

/// How much of a second's calls may go at once.
const BURST: Duration = Duration::from_millis(100);

/// How long the class rests after a refusal that names no time.
const REST: Duration = Duration::from_millis(250);

/// How often a clean second may raise the rate.
const GROW_EVERY: Duration = Duration::from_secs(1);

/// Settles this far below the estimated quota, and further while it rests on few calls: by one call.
const BELOW_QUOTA: f64 = 0.98;

/// However few calls the estimate rests on, it is not doubted more than this.
const DOUBT_MOST: f64 = 0.8;

/// Growth per second while nothing was ever refused.
const GROWTH_FREE: f64 = 0.02;

/// Least and most growth per second on the guess after the first refusal.
const GROWTH_GUESS: (f64, f64) = (0.01, 0.25);

/// Least and most growth per second on a measured quota. At the least it takes half a minute to empty
/// a bucket of one second's calls, so that some thirty seconds' calls pay for one refusal.
const GROWTH_MEASURED: (f64, f64) = (0.002, 0.05);

/// So many calls pay for one refusal at least: a bucket of one second's calls is empty after the root of
/// two over the growth, in seconds, so a slow class grows more gently still.
const CALLS_PER_REFUSAL: f64 = 300.0;

/// How much faster to try each second, over the calls that a measurement rests on.
const GROWTH_PER_CALL: f64 = 0.05;

/// How long a measurement counts in full, in seconds; what is older counts half, and half again.
const MEMORY_SECONDS: f64 = 60.0;

/// So many calls more or less between two refusals are chance: they were under way.
const CHANCE: f64 = 2.0;

/// So far above a guess, a measurement shows that it was wrong.
const GUESS_WRONG: f64 = 1.15;

/// So far above the estimate nothing was refused: more is allowed than before.
const DISPROVED: f64 = 1.2;

/// One refusal slows the pace to this share at most.
const CUT_MOST: f64 = 0.2;

/// After so long without a call, what the store has left is unknown again.
const IDLE: Duration = Duration::from_secs(1);

/// The pace of one class.
pub(super) struct Pace {
    rate: f64,
    quota: Option<Estimate>,
    /// When the next call is due, if calls came evenly.
    due: Instant,
    blocked_until: Instant,
    last_cut: Option<Instant>,
    grown: Instant,
    /// Whether somebody had to wait since the rate last grew: an idle class proves nothing.
    waited: bool,
    /// When counting began, and what was accepted since.
    since: Instant,
    accepted: f64,
    /// Whether the store's bucket was empty when counting began.
    from_empty: bool,
}

/// What a store seems to allow.
#[derive(Clone, Copy)]
struct Estimate {
    /// Calls counted.
    calls: f64,
    /// The time they took.
    seconds: f64,
    /// How much faster to try each second.
    growth: f64,
    /// Counted from one refusal to another, not guessed from one alone.
    measured: bool,
}

impl Estimate {
    fn per_second(self) -> f64 {
        self.calls / self.seconds.max(0.001)
    }

    /// The rate to settle at.
    fn settled(self) -> f64 {
        self.per_second() * (BELOW_QUOTA - 1.0 / self.calls).max(DOUBT_MOST)
    }

    fn growth_least(self) -> f64 {
        (2.0 * (self.per_second() / CALLS_PER_REFUSAL).powi(2)).min(GROWTH_MEASURED.0)
    }

    /// Both measurements, unless the last shows that the quota has changed.
    fn joined(self, last: Self) -> Self {
        let expected = self.per_second() * last.seconds;
        if (last.calls - expected).abs() > CHANCE.max(expected * 0.1) {
            return last;
        }
        let weight = if self.seconds > MEMORY_SECONDS { 0.5 } else { 1.0 };
        Self { calls: self.calls * weight + last.calls, seconds: self.seconds * weight + last.seconds, ..last }
    }
}

impl Pace {
    pub(super) fn new(quota_per_second: f64, now: Instant) -> Self {
        Self {
            rate: quota_per_second.max(RATE_MIN),
            quota: None,
            due: now,
            blocked_until: now,
            last_cut: None,
            grown: now,
            waited: false,
            since: now,
            accepted: 0.0,
            from_empty: false,
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
        if now > self.due + IDLE {
            self.count_from(now, false);
        }
        self.due = self.due.max(now) + Duration::from_secs_f64(1.0 / self.rate);
        Ok(())
    }

    /// A call got through (whatever its answer).
    pub(super) fn accepted(&mut self) {
        self.accepted += 1.0;
    }

    /// A call that was sent at `sent` was refused; whether that slowed the class down (else an earlier
    /// refusal had already).
    pub(super) fn refused(&mut self, sent: Instant, now: Instant, asked: Option<Duration>) -> bool {
        // What was under way at the last cut says nothing of the pace since.
        let known = self.last_cut.is_some_and(|cut| sent <= cut);
        if let Some(rest) = asked.or((!known).then_some(REST)) {
            self.blocked_until = self.blocked_until.max(now + rest);
        }
        if known {
            return false;
        }
        let estimate = self.estimate(now);
        let (least, most) = (self.rate * CUT_MOST, self.rate * BELOW_QUOTA);
        self.rate = estimate.settled().clamp(least, most).max(RATE_MIN);
        self.quota = Some(estimate);
        self.last_cut = Some(now);
        self.count_from(now, true);
        self.grown = now;
        self.waited = false;
        // No burst on the way back: the bucket has only what came in meanwhile.
        self.due = self.blocked_until + BURST;
        true
    }

    fn count_from(&mut self, now: Instant, from_empty: bool) {
        (self.since, self.accepted, self.from_empty) = (now, 0.0, from_empty);
    }

    /// What the store allows, at the moment of a refusal: its bucket is empty now.
    fn estimate(&self, now: Instant) -> Estimate {
        let seconds = now.duration_since(self.since).as_secs_f64();
        // The half is the call that would have come next.
        let calls = self.accepted + 0.5;
        let measured = self.quota.filter(|quota| quota.measured);
        if !self.from_empty {
            // The shorter the time, the more depends on the size of the bucket, which is a guess.
            let growth = (0.1 / seconds.max(0.001)).clamp(GROWTH_GUESS.0, GROWTH_GUESS.1);
            return measured.unwrap_or(Estimate { calls, seconds: seconds + 1.0, growth, measured: false });
        }
        let last = Estimate { calls, seconds, growth: 0.0, measured: true };
        let guess = self.quota.filter(|quota| !quota.measured);
        if guess.is_some_and(|guess| last.per_second() > guess.per_second() * GUESS_WRONG) {
            // The bucket is smaller than guessed, so some of what it was given since ran over.
            let between = (last.per_second() * self.rate).sqrt();
            return Estimate { calls: between * seconds, growth: GROWTH_MEASURED.1, measured: false, ..last };
        }
        let all = measured.map_or(last, |before| before.joined(last));
        Estimate { growth: (GROWTH_PER_CALL / all.calls).clamp(all.growth_least(), GROWTH_MEASURED.1), ..all }
    }

    /// After each clean second in which somebody waited.
    fn grow(&mut self, now: Instant) {
        if now < self.grown + GROW_EVERY || !self.waited {
            return;
        }
        self.rate *= 1.0
            + match self.quota {
                Some(quota) if self.rate < quota.per_second() * DISPROVED => quota.growth,
                Some(quota) => quota.growth.max(GROWTH_FREE),
                None => GROWTH_FREE,
            };
        self.grown = now;
        self.waited = false;
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use super::*;

    /// A store that counts with a token bucket and answers after a while, and the calls of a run.
    struct Run {
        start: f64,
        quota: f64,
        /// Size of the bucket, in calls.
        bucket: f64,
        calls: u32,
        latency: Duration,
    }

    /// What a run came to.
    #[derive(Debug)]
    struct Figures {
        /// Of the calls that the quota allows in the time taken, the burst at the beginning aside, how many were made.
        used: f64,
        /// Of the calls made, how many were refused.
        refused: f64,
    }

    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Step {
        /// Whoever waits asks whether it may go.
        Ask,
        /// A refused call is ready to go again.
        Again,
        Arrives {
            sent: Instant,
        },
        Answered {
            sent: Instant,
            accepted: bool,
        },
    }

    const AT_ONCE: u32 = 64;

    /// The state of a run: a clock of its own, many calls at once, refused ones again after a while.
    struct Play {
        pace: Pace,
        tokens: f64,
        counted: Instant,
        steps: BinaryHeap<Reverse<(Instant, Step)>>,
        asking: bool,
        waiting: u32,
        under_way: u32,
        done: u32,
        refused: u32,
    }

    impl Play {
        fn at(&mut self, at: Instant, step: Step) {
            self.steps.push(Reverse((at, step)));
        }

        /// Everybody who waits asks at once; the next time when the pace has said.
        fn ask(&mut self, now: Instant, latency: Duration) {
            self.asking = false;
            while self.waiting > 0 && self.under_way < AT_ONCE {
                match self.pace.admit(now) {
                    Ok(()) => {
                        (self.waiting, self.under_way) = (self.waiting - 1, self.under_way + 1);
                        self.at(now + latency / 2, Step::Arrives { sent: now });
                    }
                    Err(wait) => {
                        self.asking = true;
                        return self.at(now + wait, Step::Ask);
                    }
                }
            }
        }

        fn arrives(&mut self, now: Instant, sent: Instant, run: &Run) {
            let earned = now.duration_since(self.counted).as_secs_f64() * run.quota;
            (self.tokens, self.counted) = ((self.tokens + earned).min(run.bucket), now);
            let accepted = self.tokens >= 1.0;
            self.tokens -= f64::from(u8::from(accepted));
            self.at(now + run.latency / 2, Step::Answered { sent, accepted });
        }

        fn answered(&mut self, now: Instant, sent: Instant, accepted: bool) {
            self.under_way -= 1;
            if accepted {
                self.done += 1;
                self.pace.accepted();
            } else {
                self.refused += 1;
                self.pace.refused(sent, now, None);
                // Spread a little, as jitter does.
                self.at(now + Duration::from_millis(250 + u64::from(self.refused * 61 % 250)), Step::Again);
            }
        }
    }

    impl Run {
        fn play(&self) -> Figures {
            let begin = Instant::now();
            let mut play = Play {
                pace: Pace::new(self.start, begin),
                tokens: self.bucket,
                counted: begin,
                steps: BinaryHeap::from([Reverse((begin, Step::Ask))]),
                asking: true,
                waiting: self.calls,
                under_way: 0,
                done: 0,
                refused: 0,
            };
            let mut now = begin;
            while let Some(Reverse((at, step))) = play.steps.pop().filter(|_| play.done < self.calls) {
                now = at;
                match step {
                    Step::Ask => play.ask(now, self.latency),
                    Step::Again => play.waiting += 1,
                    Step::Arrives { sent } => play.arrives(now, sent, self),
                    Step::Answered { sent, accepted } => play.answered(now, sent, accepted),
                }
                if !play.asking {
                    play.ask(now, self.latency);
                }
            }
            let (done, refused) = (f64::from(play.done), f64::from(play.refused));
            let allowed = now.duration_since(begin).as_secs_f64() * self.quota;
            Figures { used: (done - self.bucket) / allowed, refused: refused / (done + refused) }
        }
    }

    fn run(start: f64, quota: f64, bucket: f64, calls: u32) -> Figures {
        Run { start, quota, bucket, calls, latency: Duration::from_millis(50) }.play()
    }

    #[test]
    fn a_documented_quota_is_used_to_the_full_with_hardly_a_refusal() {
        for (quota, calls) in [(50.0, 1000), (40.0, 1000), (50.0, 5000)] {
            let figures = run(quota, quota, quota, calls);
            assert!(figures.used > 0.98 && figures.refused < 0.005, "{quota} × {calls}: {figures:?}");
        }
    }

    #[test]
    fn an_undocumented_lower_quota_is_found_at_once_and_used_to_the_full() {
        for (start, quota, calls) in [(40.0, 10.0, 1000), (50.0, 25.0, 1000), (50.0, 49.0, 1000), (40.0, 10.0, 5000)] {
            let figures = run(start, quota, quota, calls);
            assert!(figures.used > 0.97 && figures.refused < 0.01, "{quota} × {calls}: {figures:?}");
        }
    }

    #[test]
    fn a_bucket_of_another_size_than_guessed_costs_little() {
        for (start, quota, bucket) in [(40.0, 10.0, 40.0), (50.0, 25.0, 50.0), (50.0, 25.0, 5.0), (50.0, 45.0, 10.0)] {
            let figures = run(start, quota, bucket, 1000);
            assert!(figures.used > 0.9 && figures.refused < 0.012, "{quota}, {bucket}: {figures:?}");
        }
    }

    #[test]
    fn three_calls_a_second_are_kept_as_well() {
        for (quota, calls) in [(3.0, 1000), (3.0, 2000), (4.0, 1000), (5.0, 2000)] {
            let figures = run(40.0, quota, quota, calls);
            assert!(figures.used > 0.95 && figures.refused < 0.01, "{quota} × {calls}: {figures:?}");
        }
    }

    #[test]
    fn a_higher_quota_is_grown_into() {
        let figures = run(40.0, 1000.0, 1000.0, 20_000);
        assert!(figures.used > 0.14 && figures.refused == 0.0, "three times the documented rate: {figures:?}");
    }

    #[test]
    fn the_pace_never_falls_below_one_call_a_second() {
        let mut now = Instant::now();
        let mut pace = Pace::new(40.0, now);
        for _ in 0..100 {
            now += Duration::from_secs(1);
            pace.refused(now, now, None);
        }
        now += Duration::from_secs(1);
        assert!(pace.admit(now).is_ok() && (pace.rate - RATE_MIN).abs() < f64::EPSILON);
    }

    #[test]
    fn nobody_goes_before_the_moment_that_the_store_named() {
        let sent = Instant::now();
        let mut now = sent + Duration::from_millis(50);
        let mut pace = Pace::new(40.0, sent);
        assert!(pace.refused(sent, now, Some(Duration::from_secs(4))));
        assert!(!pace.refused(sent, now, None), "the same overload cuts once");
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
