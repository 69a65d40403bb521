//! Access policies, for vaults that do not use Azure RBAC: what the README lists for each phase does, and
//! without any one of these words some step fails and says so.

use std::collections::BTreeSet;

use super::{PLAN, SYNC, Stage, first, is_told};
use crate::fake::azure::VAULT;
use crate::readme;

/// Every word of an access policy for either kind of objects, as far as the fake's operations need them
/// (<https://learn.microsoft.com/azure/key-vault/general/assign-access-policy>).
const WORDS: &[&str] = &[
    "certificates/delete",
    "certificates/get",
    "certificates/import",
    "certificates/list",
    "certificates/purge",
    "certificates/recover",
    "certificates/update",
    "secrets/delete",
    "secrets/get",
    "secrets/list",
    "secrets/purge",
    "secrets/recover",
    "secrets/set",
];

/// The words of a row of the README's table.
fn listed(row: usize) -> BTreeSet<String> {
    let rows = readme::table(readme::README, "#### Rights in Azure");
    let word = regex::Regex::new("`(secrets|certificates)/([a-z]+)`").unwrap();
    word.captures_iter(&rows[row][2]).map(|found| format!("{}/{}", &found[1], &found[2])).collect()
}

/// A vault with access policies, in which an application has these words and no others.
fn stage(words: &[(&str, BTreeSet<String>)]) -> Stage {
    let stage = Stage::new();
    stage.azure.edit(|world| {
        world.vault(VAULT).id = None;
        for (client, words) in words {
            let denied = WORDS.iter().filter(|word| !words.contains(**word)).map(|word| (*word).to_owned());
            world.applications.get_mut(*client).unwrap().denied = denied.collect();
        }
    });
    stage
}

#[test]
fn the_listed_words_of_an_access_policy_do_and_a_sync_needs_each() {
    let all = listed(1);
    stage(&[(SYNC, all.clone())]).life().unwrap_or_else(|ran| panic!("{ran:?}"));
    for word in &all {
        let without = all.iter().filter(|one| *one != word).cloned().collect();
        let Err(ran) = stage(&[(SYNC, without)]).life() else { panic!("everything works without {word}") };
        assert!(is_told(&ran, word), "{word} is not told: {ran:?}");
    }
}

#[test]
fn a_plan_needs_no_word_but_those_that_list() {
    let words = listed(0);
    assert!(words.is_subset(&listed(1)));
    let stage = stage(&[(PLAN, words.clone()), (SYNC, listed(1))]);
    stage.life().unwrap_or_else(|ran| panic!("{ran:?}"));
    let ran = stage.plan(0);
    assert!(ran.code == Some(0) && ran.stdout.contains("Would change metadata"), "{ran:?}");
    for word in &words {
        let without: BTreeSet<String> = words.iter().filter(|one| *one != word).cloned().collect();
        let ran = self::stage(&[(PLAN, without)]).run(PLAN, 0, &first(), &["sync", "--dry-run"]);
        assert!(ran.code != Some(0) && is_told(&ran, word), "{word}: {ran:?}");
    }
}
