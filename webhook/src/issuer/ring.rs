//! Which key signs, which will and which did: pure, over time.
//!
//! Verifiers keep the keys that they read. So a key is published before it signs, and stays published
//! after the last token that it signed has ended.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Error, KEYS_KEPT_SECONDS, TOKEN_SECONDS};

/// How long keys stand in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// A key signs for so long.
    pub signs: SignedDuration,
    /// And is published for at least so long before.
    pub published_before: SignedDuration,
    /// And for so long after.
    pub published_after: SignedDuration,
}

impl Default for Schedule {
    /// 90 days, a day before and a day after, in which Entra's and Google's caches pass, and a token's life.
    fn default() -> Self {
        let margin = SignedDuration::from_secs(i64::from(KEYS_KEPT_SECONDS) + i64::from(TOKEN_SECONDS));
        let day = SignedDuration::from_hours(24);
        Self { signs: SignedDuration::from_hours(90 * 24), published_before: day, published_after: day + margin }
    }
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Published, and signs nothing yet.
    Next,
    /// Signs.
    Active,
    /// Published, and signs nothing any more.
    Retiring,
}

impl State {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
        }
    }
}

/// A key by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its thumbprint.
    pub id: String,
    /// What it is for.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
}

/// All published keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// In the order in which they were made.
    #[serde(rename = "keys")]
    pub entries: Vec<Entry>,
}

/// Makes a key and answers its name.
type Make<'m> = &'m mut dyn FnMut() -> Result<String, Error>;

impl Ring {
    /// The key that signs.
    #[must_use]
    pub fn active(&self) -> Option<&Entry> {
        self.of(State::Active)
    }

    fn of(&self, state: State) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.state == state)
    }

    /// Does what has come due.
    pub(super) fn tend(&mut self, now: Timestamp, schedule: &Schedule, make: Make<'_>) -> Result<(), Error> {
        let over = |entry: &Entry, span: SignedDuration| now.duration_since(entry.since) >= span;
        let Some(active) = self.active() else {
            // Nobody has read our keys yet.
            return self.add(State::Active, now, make);
        };
        if over(active, schedule.signs - schedule.published_before) {
            self.prepare(now, make)?;
        }
        // Also one that was asked for takes over as soon as verifiers can know it.
        if self.of(State::Next).is_some_and(|next| over(next, schedule.published_before)) {
            self.hand_over(now);
        }
        self.entries.retain(|entry| entry.state != State::Retiring || !over(entry, schedule.published_after));
        Ok(())
    }

    /// Sees to it that there is a next key.
    pub(super) fn prepare(&mut self, now: Timestamp, make: Make<'_>) -> Result<(), Error> {
        if self.of(State::Next).is_some() { Ok(()) } else { self.add(State::Next, now, make) }
    }

    /// Signs with a new key and publishes no other.
    pub(super) fn revoke(&mut self, now: Timestamp, make: Make<'_>) -> Result<(), Error> {
        let mut ring = Self::default();
        ring.add(State::Active, now, make)?;
        *self = ring;
        Ok(())
    }

    fn add(&mut self, state: State, now: Timestamp, make: Make<'_>) -> Result<(), Error> {
        self.entries.push(Entry { id: make()?, state, since: now });
        Ok(())
    }

    fn hand_over(&mut self, now: Timestamp) {
        for entry in &mut self.entries {
            let state = match entry.state {
                State::Next => State::Active,
                State::Active => State::Retiring,
                State::Retiring => continue,
            };
            (entry.state, entry.since) = (state, now);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// A ring that is looked at every hour; tells the states after so many hours.
    fn after(hours: i64, schedule: &Schedule, asked_at: Option<i64>) -> Vec<(String, State)> {
        let (mut ring, mut made) = (Ring::default(), 0);
        let mut make = || {
            made += 1;
            Ok(format!("k{made}"))
        };
        for hour in 0..=hours {
            let now = Timestamp::from_second(hour * 3600).unwrap();
            if asked_at == Some(hour) {
                ring.prepare(now, &mut make).unwrap();
            }
            ring.tend(now, schedule, &mut make).unwrap();
            assert_eq!(ring.entries.iter().filter(|entry| entry.state == State::Active).count(), 1, "hour {hour}");
        }
        ring.entries.into_iter().map(|entry| (entry.id, entry.state)).collect()
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_after() {
        let schedule = Schedule {
            signs: SignedDuration::from_hours(100),
            published_before: SignedDuration::from_hours(24),
            published_after: SignedDuration::from_hours(25),
        };
        let key = |id: &str, state| (id.to_owned(), state);
        let (first, second) = (key("k1", State::Active), key("k2", State::Active));
        assert_eq!(after(75, &schedule, None), std::slice::from_ref(&first));
        assert_eq!(after(76, &schedule, None), [first.clone(), key("k2", State::Next)]);
        assert_eq!(after(99, &schedule, None), [first, key("k2", State::Next)]);
        assert_eq!(after(100, &schedule, None), [key("k1", State::Retiring), second.clone()]);
        assert_eq!(after(124, &schedule, None), [key("k1", State::Retiring), second.clone()]);
        assert_eq!(after(125, &schedule, None), [second]);
    }

    #[test]
    fn one_that_is_asked_for_signs_once_it_can_be_known() {
        let schedule = Schedule::default();
        assert_eq!(after(28, &schedule, Some(5))[0].1, State::Active);
        assert_eq!(after(29, &schedule, Some(5))[0].1, State::Retiring);
        assert_eq!(after(29 + 24, &schedule, Some(5)).len(), 2, "tokens of the first may still be on their way");
        assert_eq!(after(29 + 26, &schedule, Some(5)).len(), 1);
    }

    #[test]
    fn what_is_revoked_is_published_no_more() {
        let mut ring = Ring::default();
        let mut made = 0;
        let mut make = || {
            made += 1;
            Ok(format!("k{made}"))
        };
        ring.tend(Timestamp::UNIX_EPOCH, &Schedule::default(), &mut make).unwrap();
        ring.prepare(Timestamp::UNIX_EPOCH, &mut make).unwrap();
        ring.revoke(Timestamp::UNIX_EPOCH, &mut make).unwrap();
        let names: Vec<_> = ring.entries.iter().map(|entry| (entry.id.as_str(), entry.state)).collect();
        assert_eq!(names, [("k3", State::Active)]);
        let failing = ring.clone();
        assert!(ring.revoke(Timestamp::UNIX_EPOCH, &mut || Err(Error::Signing("no"))).is_err());
        assert_eq!(ring, failing, "what fails changes nothing");
    }
}
