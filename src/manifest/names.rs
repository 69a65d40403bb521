//! What names, paths and regions may look like before any store is asked.

/// What is wrong with a path of segments, if anything; a leading `/` must have been taken off.
pub(super) fn path_problem(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("is empty");
    }
    if path.chars().any(|c| c.is_control() || "?#%\\".contains(c)) {
        return Some("contains `?`, `#`, `%`, a backslash or a control character");
    }
    path.split('/').find_map(|segment| match segment {
        "" => Some("has an empty segment (`//`, or a `/` at its end)"),
        "." | ".." => Some("has a segment `.` or `..`"),
        _ if segment.trim() != segment => Some("has a segment that begins or ends with a blank"),
        _ => None,
    })
}

/// The first character that is neither an ASCII letter or digit nor one of the others allowed.
pub(super) fn foreign_character(text: &str, others: &str) -> Option<char> {
    text.chars().find(|c| !c.is_ascii_alphanumeric() && !others.contains(*c))
}

/// Whether a text looks like a region of AWS, such as `us-gov-west-1`.
pub(super) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    match &parts[..] {
        [words @ .., number] if words.len() >= 2 => {
            words.iter().all(letters) && number.len() <= 2 && number.parse::<u8>().is_ok()
        }
        _ => false,
    }
}

/// Whether a text can be the name of a secret: `[A-Za-z][A-Za-z0-9_-]*`, at most 128 characters.
#[must_use]
pub fn is_secret_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.len() <= 128 && foreign_character(text, "_-").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_words_and_a_number() {
        for good in ["us-east-1", "ap-southeast-1", "us-gov-west-1"] {
            assert!(is_region(good), "{good}");
        }
        for bad in ["", "us-east", "useast1", "us-east-1a", "US-EAST-1", "us--1", "1-2-3"] {
            assert!(!is_region(bad), "{bad}");
        }
    }

    #[test]
    fn paths_stay_below_their_root() {
        assert_eq!(path_problem("a/b.c/d"), None);
        for bad in ["", "a//b", "a/", "../a", "a/./b", "a?b", "a#b", "a%2fb", "a\nb", "a/ b"] {
            assert!(path_problem(bad).is_some(), "{bad}");
        }
    }
}
