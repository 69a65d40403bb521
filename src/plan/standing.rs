//! What an object in a store is to us: absent, ours and of which generation, or someone else's.
//!
//! The evidence is the object's own mark and version, never the lock. Two kinds of store interrupt
//! differently. Where the version id is the write token (value first, then mark), a current version
//! that is the token of the next generation means that the mark lags. Where versions are counted
//! (mark first, then value), a mark one version ahead means that the write never happened.

use uuid::Uuid;

use crate::locator::Locator;
use crate::lockfile::{LockedSecret, LockedTarget};
use crate::mark::{Generation, Mark, Owner, UnreadableMark};
use crate::provider::{MarkOrder, Observed, VersionId};

/// How many generations before and after the one that a mark names are known by their tokens.
const TOKENS_AROUND: u64 = 8;

/// The place of one object in our world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Ours, and the value is that generation. `marked` is false when the mark must be set again.
    Ours {
        /// The generation of the value that stands there.
        generation: Generation,
        /// Whether the mark says the same.
        marked: bool,
    },
    /// Ours, but the value was changed outside after this generation.
    Drifted {
        /// What the mark says.
        generation: Generation,
    },
    /// It carries no mark of ours.
    Foreign(String),
    /// It belongs to another repository with the same project and secret.
    OtherRepository(String),
    /// The store or someone else rotates or owns it.
    Managed(String),
}

/// Judges one object.
#[must_use]
pub fn judge(owner: &Owner, at: &Locator, order: MarkOrder, seen: &Observed) -> Standing {
    if let Some(by) = &seen.managed_by {
        return Standing::Managed(by.clone());
    }
    let Some(text) = &seen.mark else {
        return Standing::Foreign("it carries no mark of SecretZero".into());
    };
    let mark = match Mark::parse(text) {
        Ok(mark) => mark,
        Err(error @ UnreadableMark::Malformed) => return Standing::Foreign(error.to_string()),
        Err(error @ UnreadableMark::Newer(_)) => return Standing::Managed(error.to_string()),
    };
    if !owner.same_secret(&mark.owner) {
        return Standing::Foreign("its mark belongs to another project, environment or secret".into());
    }
    if !owner.owns(&mark.owner) {
        return Standing::OtherRepository(mark.owner.repository.unwrap_or_default());
    }
    of_version(owner, at, order, &seen.version, mark)
}

/// The write token that replaces another value of the same generation number: where the id of the
/// one in force is part of it, the store takes it beside the token of the number alone.
#[must_use]
pub fn fork_token(owner: &Owner, at: &Locator, generation: &Generation) -> Uuid {
    Uuid::new_v5(&owner.write_token(at, generation.number), generation.id.as_bytes())
}

/// What the lock says was written at a place where now another version stands without any mark: where
/// marks come with the value, somebody else's new value has none.
#[must_use]
pub fn replaced<'l>(
    locked: Option<&'l LockedSecret>,
    at: &Locator,
    order: MarkOrder,
    seen: &Observed,
) -> Option<&'l LockedTarget> {
    let known = locked?.targets.iter().find(|known| known.locator == *at)?;
    (order == MarkOrder::WithValue && seen.mark.is_none() && known.version != seen.version).then_some(known)
}

/// The generation of ours that stands under its token where the mark already names a newer one: a
/// run that was late stored it over the newer value.
#[must_use]
pub fn superseded(owner: &Owner, at: &Locator, marked: &Generation, version: &VersionId) -> Option<u64> {
    let oldest = marked.number.saturating_sub(TOKENS_AROUND).max(1);
    (oldest..=marked.number).rev().find(|number| *version == owner.write_token(at, *number).to_string())
}

fn of_version(owner: &Owner, at: &Locator, order: MarkOrder, version: &VersionId, mark: Mark) -> Standing {
    let generation = mark.generation;
    let interrupted = |number| Generation { number, id: String::new(), ..generation.clone() };
    if *version == mark.version {
        return match generation.number {
            _ if !mark.withdrawn => Standing::Ours { generation, marked: true },
            0 | 1 => Standing::Foreign("our first value was announced and never written there".into()),
            number => Standing::Drifted { generation: interrupted(number - 1) },
        };
    }
    match order {
        MarkOrder::ValueFirst => {
            // More than one ahead: a run that was late set its older mark over newer ones.
            let ahead = (1..=TOKENS_AROUND).map(|ahead| generation.number.saturating_add(ahead));
            let token = |number: &u64| *version == owner.write_token(at, *number).to_string();
            if let Some(number) = ahead.into_iter().find(token) {
                return Standing::Ours { generation: interrupted(number), marked: false };
            }
        }
        MarkOrder::MarkFirst => {
            let ahead = version.parse::<u64>().ok().and_then(|v| v.checked_add(1)).map(|v| v.to_string());
            let one_behind = ahead.as_deref() == Some(mark.version.as_str());
            if one_behind && mark.carried {
                return Standing::Ours { generation, marked: false };
            }
            if one_behind && mark.over_drift && generation.number > 1 {
                return Standing::Drifted { generation: interrupted(generation.number - 1) };
            }
            if generation.number > 1 && one_behind {
                return Standing::Ours { generation: interrupted(generation.number - 1), marked: false };
            }
            // A first value comes together with its mark unless a foreign one was to be overwritten.
            if one_behind {
                return Standing::Foreign("our first value was announced and never written there".into());
            }
        }
        MarkOrder::WithValue | MarkOrder::Unmarked => {}
    }
    Standing::Drifted { generation }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::mark::ShortId;
    use crate::target::Attributes;

    fn owner(repository: Option<&str>) -> Owner {
        Owner {
            project: ShortId::of("p"),
            secret: ShortId::of("s"),
            environment: ShortId::of(""),
            repository: repository.map(str::to_owned),
        }
    }

    fn at() -> Locator {
        Locator::secrets_manager("1", "r", "n")
    }

    fn seen(number: u64, marked: &str, version: &str) -> Observed {
        let generation = Generation { number, id: "u".into(), created: Timestamp::UNIX_EPOCH, adopted: false };
        let mark = Mark {
            owner: owner(Some("github.com/1")),
            generation,
            version: marked.into(),
            carried: false,
            over_drift: false,
            withdrawn: false,
        };
        Observed {
            version: version.into(),
            mark: Some(mark.to_string()),
            attributes: Attributes::new(),
            pending_deletion: false,
            managed_by: None,
            from_list: false,
        }
    }

    fn number(standing: &Standing) -> Option<(u64, bool)> {
        match standing {
            Standing::Ours { generation, marked } => Some((generation.number, *marked)),
            _ => None,
        }
    }

    #[test]
    fn a_counted_version_one_behind_its_mark_was_never_written() {
        let judge = |g, m, v| judge(&owner(None), &at(), MarkOrder::MarkFirst, &seen(g, m, v));
        assert_eq!(number(&judge(3, "5", "5")), Some((3, true)));
        assert_eq!(number(&judge(3, "5", "4")), Some((2, false)));
        assert!(matches!(judge(3, "5", "6"), Standing::Drifted { .. }));
        assert!(matches!(judge(1, "2", "1"), Standing::Foreign(_)), "a first generation has none before it");
        let mut announced = seen(3, "5", "4");
        announced.mark = announced.mark.map(|mark| format!("{mark}:d=1"));
        let standing = super::judge(&owner(None), &at(), MarkOrder::MarkFirst, &announced);
        assert!(
            matches!(standing, Standing::Drifted { generation } if generation.number == 2),
            "what stood there before the announcement was nobody's of ours"
        );
    }

    #[test]
    fn a_version_that_is_the_next_token_is_the_next_generation() {
        let token = |n| owner(None).write_token(&at(), n).to_string();
        let judge = |v: &str| judge(&owner(None), &at(), MarkOrder::ValueFirst, &seen(3, &token(3), v));
        assert_eq!(number(&judge(&token(3))), Some((3, true)));
        assert_eq!(number(&judge(&token(4))), Some((4, false)));
        assert_eq!(number(&judge(&token(6))), Some((6, false)), "a late mark hides newer values of ours");
        assert!(matches!(judge("someone-elses"), Standing::Drifted { .. }));
        let older = |v: &str| {
            let Standing::Drifted { generation } = judge(v) else { return None };
            superseded(&owner(None), &at(), &generation, &v.to_owned())
        };
        assert_eq!(older(&token(2)), Some(2), "a late value is known by its token");
        assert_eq!(older("someone-elses"), None);
    }

    #[test]
    fn where_marks_come_with_the_value_a_strange_value_has_none() {
        let target =
            LockedTarget { locator: at(), version: "1".into(), generation: None, created: Timestamp::UNIX_EPOCH };
        let locked = LockedSecret {
            name: "s".into(),
            id: "s".into(),
            generation: 1,
            generation_id: "u".into(),
            primary: at(),
            targets: vec![target],
            declaration: crate::lockfile::Declaration { fixed: String::new(), generated: String::new() },
        };
        let unmarked = |version: &str| Observed { mark: None, ..seen(1, "1", version) };
        let is = |locked, order, seen: &Observed| replaced(locked, &at(), order, seen).is_some();
        assert!(is(Some(&locked), MarkOrder::WithValue, &unmarked("2")));
        assert!(!is(Some(&locked), MarkOrder::WithValue, &unmarked("1")), "only the mark is gone");
        assert!(!is(Some(&locked), MarkOrder::WithValue, &seen(1, "1", "2")), "its own mark tells");
        assert!(!is(Some(&locked), MarkOrder::MarkFirst, &unmarked("2")), "the mark would have stayed");
        assert!(!is(None, MarkOrder::WithValue, &unmarked("2")));
    }

    #[test]
    fn what_is_not_ours_is_told_apart() {
        let judge = |owner: &Owner, seen: &Observed| judge(owner, &at(), MarkOrder::MarkFirst, seen);
        let ours = seen(1, "1", "1");
        assert!(
            matches!(judge(&owner(Some("github.com/2")), &ours), Standing::OtherRepository(r) if r == "github.com/1")
        );
        let other = Owner { secret: ShortId::of("x"), ..owner(None) };
        assert!(matches!(judge(&other, &ours), Standing::Foreign(_)));
        assert!(matches!(judge(&owner(None), &Observed { mark: None, ..ours.clone() }), Standing::Foreign(_)));
        let newer = Observed { mark: Some("2:x=1".into()), ..ours.clone() };
        assert!(matches!(judge(&owner(None), &newer), Standing::Managed(_)));
        let managed = Observed { managed_by: Some("rotation by AWS".into()), ..ours };
        assert!(matches!(judge(&owner(None), &managed), Standing::Managed(_)));
    }
}
