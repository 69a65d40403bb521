//! Spans of time as people write them: `90d`, `1h30m`.

use super::Period;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Longest period, in seconds: a hundred years.
const PERIOD_SECONDS_MAX: i64 = 100 * 365 * DAY;

/// A rotation period: one number and one of `h`, `d`, `w`, `m` (30 days), `y` (365 days).
pub(super) fn period(text: &str) -> Option<Period> {
    let unit = match text.bytes().last()? {
        b'h' => HOUR,
        b'd' => DAY,
        b'w' => 7 * DAY,
        b'm' => 30 * DAY,
        b'y' => 365 * DAY,
        _ => return None,
    };
    let seconds = number(&text[..text.len() - 1])?.checked_mul(unit)?;
    (1..=PERIOD_SECONDS_MAX).contains(&seconds).then(|| Period { text: text.to_owned(), seconds })
}

/// A time to live in the words of Vault and Go: `30m` (minutes), `1h30m`, `24h`, `7d`, or plain seconds.
pub(super) fn time_to_live(text: &str) -> Option<u64> {
    if let Some(seconds) = number(text) {
        return u64::try_from(seconds).ok().filter(|seconds| *seconds <= PERIOD_SECONDS_MAX.unsigned_abs());
    }
    let mut seconds = 0_i64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let unit = match rest.as_bytes().get(digits)? {
            b's' => 1,
            b'm' => MINUTE,
            b'h' => HOUR,
            b'd' => DAY,
            _ => return None,
        };
        seconds = seconds.checked_add(number(&rest[..digits])?.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    u64::try_from(seconds).ok().filter(|_| !text.is_empty() && seconds <= PERIOD_SECONDS_MAX)
}

/// `{{ 90 days from now }}`, in seconds.
pub(super) fn from_now(text: &str) -> Option<i64> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let words: Vec<&str> = inner.split_whitespace().collect();
    let [count, unit, "from", "now"] = words[..] else { return None };
    let unit = match unit.strip_suffix('s').unwrap_or(unit) {
        "hour" => HOUR,
        "day" => DAY,
        "week" => 7 * DAY,
        "month" => 30 * DAY,
        "year" => 365 * DAY,
        _ => return None,
    };
    let seconds = number(count)?.checked_mul(unit)?;
    (1..=PERIOD_SECONDS_MAX).contains(&seconds).then_some(seconds)
}

fn number(digits: &str) -> Option<i64> {
    let plain = !digits.is_empty() && digits.len() <= 10 && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_of_a_period_has_thirty_days() {
        let seconds = |text| period(text).map(|period| period.seconds);
        assert_eq!(seconds("12h"), Some(12 * HOUR));
        assert_eq!(seconds("90d"), Some(90 * DAY));
        assert_eq!(seconds("2w"), Some(14 * DAY));
        assert_eq!(seconds("6m"), Some(180 * DAY));
        assert_eq!(seconds("1y"), Some(365 * DAY));
    }

    #[test]
    fn what_is_no_period_is_none() {
        for text in
            ["", "d", "90", "0d", "-1d", "+1d", "1.5d", "90 d", "90D", "9999999999y", "99999999999999999999d", "९d"]
        {
            assert_eq!(period(text), None, "{text}");
        }
    }

    #[test]
    fn a_minute_of_a_time_to_live_has_sixty_seconds() {
        assert_eq!(time_to_live("1h"), Some(3600));
        assert_eq!(time_to_live("30m"), Some(1800));
        assert_eq!(time_to_live("1h30m5s"), Some(5405));
        assert_eq!(time_to_live("3600"), Some(3600));
        for text in ["", "h", "1w", "1h30", "-1h", "1 h", "é"] {
            assert_eq!(time_to_live(text), None, "{text}");
        }
    }

    #[test]
    fn from_now_counts_days_and_more() {
        assert_eq!(from_now("{{ 90 days from now }}"), Some(90 * DAY));
        assert_eq!(from_now("{{1 year from now}}"), Some(365 * DAY));
        for text in ["90 days from now", "{{ days from now }}", "{{ 0 days from now }}", "{{ 1 moon from now }}", "{{"]
        {
            assert_eq!(from_now(text), None, "{text}");
        }
    }
}
