//! Names for secrets that have none yet: from the names of the objects, each once.

use std::collections::BTreeSet;

use crate::manifest::is_secret_name;

/// Longest name that is made; a number may follow.
const CHARS_MAX: usize = 112;

/// The names that are taken. Two that a dotenv file would not tell apart count as one.
#[derive(Default)]
pub(in crate::cli) struct Names(BTreeSet<String>);

impl Names {
    /// Names that stand in a Secretfile already.
    pub(in crate::cli) fn taken<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        Self(names.map(key).collect())
    }

    /// A name like that one: it, else with the suffix, else with a number.
    pub(in crate::cli) fn unique(&mut self, base: &str, suffix: &str) -> String {
        let numbered = (2_u32..).map(|number| format!("{base}_{number}"));
        let with_suffix = (!suffix.is_empty()).then(|| format!("{base}_{suffix}"));
        let candidates = std::iter::once(base.to_owned()).chain(with_suffix).chain(numbered);
        let free = candidates.into_iter().find(|name| self.0.insert(key(name)));
        free.unwrap_or_else(|| base.to_owned())
    }
}

fn key(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// The part of an object's name that follows a prefix, as the name of a secret.
pub(in crate::cli) fn after_prefix(object: &str, prefix: &str) -> String {
    let (object, prefix) = (object.trim_start_matches('/'), prefix.trim_start_matches('/'));
    let separators = ['/', '.', '-', '_'];
    let rest = match object.strip_prefix(prefix) {
        Some(rest) if prefix.is_empty() || prefix.ends_with(separators) || rest.starts_with(separators) => rest,
        // The prefix ends inside a word, which is kept whole.
        Some(_) => object.get(prefix.rfind('/').map_or(0, |at| at + 1)..).unwrap_or(object),
        None => object,
    };
    let rest = rest.trim_matches(separators);
    let rest = if rest.is_empty() { object.trim_matches('/').rsplit('/').next().unwrap_or(object) } else { rest };
    secret_name(rest)
}

/// Any text as the name of a secret.
pub(in crate::cli) fn secret_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '-' {
            name.push(c);
        } else if !name.ends_with('_') && !name.is_empty() {
            name.push('_');
        }
        if name.len() >= CHARS_MAX {
            break;
        }
    }
    let name = name.trim_matches(['_', '-']).to_owned();
    if is_secret_name(&name) { name } else { format!("secret_{name}").trim_end_matches('_').to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_what_follows_the_prefix() {
        let name = after_prefix;
        assert_eq!(name("production/shop/database/password", "production/shop/"), "database_password");
        assert_eq!(name("/production/shop/database/password", "production/shop"), "database_password");
        assert_eq!(name("production/shop/key", "prod"), "production_shop_key");
        assert_eq!(name("a/production/key", "a/prod"), "production_key");
        assert_eq!(name("shop/api-key.v2", ""), "shop_api-key_v2");
        assert_eq!(name("shop/2fa", "shop/"), "secret_2fa");
        assert_eq!(name("shop", "shop"), "shop");
        assert_eq!(name("é", ""), "secret");
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names = Names::taken(["db-password"].into_iter());
        assert_eq!(names.unique("db_password", "ssm"), "db_password_ssm");
        assert_eq!(names.unique("db_password", "ssm"), "db_password_2");
        assert_eq!(names.unique("DB_PASSWORD", ""), "DB_PASSWORD_3");
        assert_eq!(names.unique("other", ""), "other");
    }

    proptest! {
        #[test]
        fn every_object_gets_a_valid_name(object in ".*", prefix in ".*") {
            let name = Names::default().unique(&after_prefix(&object, &prefix), "ssm");
            prop_assert!(is_secret_name(&name), "{name}");
        }
    }
}
