//! What an answer of GitHub means for the next try: accept it, wait, or give up.
//!
//! Pure: status, headers and the number of earlier refusals in, a verdict out. The rules are those of
//! <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>.

use std::time::Duration;

/// All waiting of one client together; one client serves one run.
pub const WAIT_TOTAL_MAX: Duration = Duration::from_secs(15 * 60);

/// Tries of a call that can be repeated without harm: 5xx and connection errors.
pub const TRIES_MAX: u32 = 5;

/// The least wait for a secondary limit that names none; doubles with each refusal.
const SECONDARY_WAIT_MIN: Duration = Duration::from_secs(60);

/// One second more than asked, since both clocks are cut to seconds.
const RESET_SLACK_SECONDS: i64 = 1;

/// What matters of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answered<'a> {
    /// HTTP status.
    pub status: u16,
    /// `retry-after`, in seconds.
    pub retry_after_seconds: Option<u64>,
    /// `x-ratelimit-remaining`.
    pub remaining: Option<u64>,
    /// `x-ratelimit-reset`, in seconds since the epoch.
    pub reset: Option<i64>,
    /// The `message` of the body: the one thing that tells a secondary limit without headers from a
    /// missing right, both being 403.
    pub message: &'a str,
}

/// What to do about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is an answer, good or bad.
    Final,
    /// Refused for its rate, so it did not happen: wait, then send the same again.
    Wait(Duration),
    /// The server failed; whether it acted is unknown.
    Failed,
}

/// Judges an answer, given the seconds since the epoch and how often this call was refused before.
#[must_use]
pub fn judge(answer: &Answered<'_>, now: i64, refusals: u32) -> Verdict {
    if answer.status >= 500 {
        return Verdict::Failed;
    }
    if !matches!(answer.status, 403 | 429) {
        return Verdict::Final;
    }
    if let Some(seconds) = answer.retry_after_seconds {
        return Verdict::Wait(Duration::from_secs(seconds.max(1)));
    }
    if answer.remaining == Some(0) {
        let seconds = answer.reset.map_or(60, |reset| reset.saturating_sub(now).saturating_add(RESET_SLACK_SECONDS));
        return Verdict::Wait(Duration::from_secs(u64::try_from(seconds).unwrap_or(1).max(1)));
    }
    if answer.status == 429 || says_secondary_limit(answer.message) {
        return Verdict::Wait(SECONDARY_WAIT_MIN.saturating_mul(1 << refusals.min(4)));
    }
    Verdict::Final
}

fn says_secondary_limit(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("secondary rate limit") || message.contains("abuse detection")
}

/// How long to wait before the next try of a call that failed `failures` times: 1, 2, 4, 8 s.
#[must_use]
pub const fn backoff(failures: u32) -> Duration {
    let exponent = if failures > 4 { 3 } else { failures.saturating_sub(1) };
    Duration::from_secs(1 << exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbidden() -> Answered<'static> {
        Answered { status: 403, ..Answered::default() }
    }

    #[test]
    fn retry_after_wins_over_the_reset() {
        let answer = Answered { retry_after_seconds: Some(7), remaining: Some(0), reset: Some(900), ..forbidden() };
        assert_eq!(judge(&answer, 100, 0), Verdict::Wait(Duration::from_secs(7)));
    }

    #[test]
    fn an_exhausted_limit_is_waited_for_until_its_reset_also_if_that_is_past() {
        let answer = Answered { remaining: Some(0), reset: Some(900), ..forbidden() };
        assert_eq!(judge(&answer, 100, 0), Verdict::Wait(Duration::from_secs(801)));
        assert_eq!(judge(&answer, 5_000, 0), Verdict::Wait(Duration::from_secs(1)));
        assert_eq!(judge(&Answered { reset: None, ..answer }, 0, 0), Verdict::Wait(Duration::from_secs(60)));
    }

    #[test]
    fn a_secondary_limit_without_a_time_is_waited_for_a_minute_and_then_longer() {
        let text = Answered { message: "You have exceeded a secondary rate limit.", ..forbidden() };
        let bare = Answered { status: 429, ..forbidden() };
        for answer in [text, bare] {
            assert_eq!(judge(&answer, 0, 0), Verdict::Wait(Duration::from_secs(60)));
            assert_eq!(judge(&answer, 0, 2), Verdict::Wait(Duration::from_secs(240)));
            assert_eq!(judge(&answer, 0, 99), Verdict::Wait(Duration::from_secs(960)));
        }
    }

    #[test]
    fn a_missing_right_is_no_limit() {
        let answer =
            Answered { message: "Resource not accessible by integration", remaining: Some(4_999), ..forbidden() };
        assert_eq!(judge(&answer, 0, 0), Verdict::Final);
    }

    #[test]
    fn a_server_error_is_a_failure_and_the_waits_double() {
        assert_eq!(judge(&Answered { status: 502, ..forbidden() }, 0, 0), Verdict::Failed);
        let waits: Vec<_> = (1..=6).map(|failures| backoff(failures).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 8, 8]);
    }
}
