//! The table of what a plan says for everything that can stand at a secret's targets.
//!
//! `sm` interrupts as Secrets Manager does (value, then mark), `ssm` as SSM (mark, then value).

#![expect(clippy::unwrap_used, reason = "tests")]

mod external;

use super::*;
use crate::diagnostic::Source as Text;
use crate::locator::Locator;
use crate::lockfile::LockedTarget;
use crate::manifest::{Inputs, Manifest, load};
use crate::mark::{Mark, ShortId};
use crate::plan::observe::declaration;
use crate::provider::{Capabilities, Error, ErrorKind, MarkOrder, Observed};
use crate::target::TargetKind;

/// What stands at a place.
#[derive(Clone, Copy)]
enum At {
    Absent,
    /// This generation of ours.
    Gen(u64),
    /// Another value of this generation.
    Fork(u64),
    /// This generation, but its write was cut between mark and value.
    Cut(u64),
    /// A fork that was healed, but for its mark.
    Healed(u64),
    /// Changed by somebody after this generation.
    Drifted(u64),
    /// Changed by somebody after this generation, and another tag is wanted.
    DriftedAndTagged(u64),
    /// This generation with another tag.
    Tagged(u64),
    /// This generation, taken over.
    Adopted(u64),
    /// This generation, scheduled for deletion.
    Pending(u64),
    Foreign,
    OtherRepository,
    NewerMark,
    Managed,
    Down,
    NotBuilt,
    Replica,
    LeftOut,
}
use At::*;

#[derive(Clone, Copy)]
struct Spot {
    kind: TargetKind,
    at: At,
    primary: bool,
    filtered: bool,
    refused: bool,
}

const fn spot(kind: TargetKind, at: At) -> Spot {
    Spot { kind, at, primary: false, filtered: false, refused: false }
}
const fn sm(at: At) -> Spot {
    spot(TargetKind::SecretsManager, at)
}
const fn ssm(at: At) -> Spot {
    spot(TargetKind::SsmParameter, at)
}
const fn file(at: At) -> Spot {
    spot(TargetKind::File, at)
}

impl Spot {
    const fn primary(self) -> Self {
        Self { primary: true, ..self }
    }
    const fn filtered(self) -> Self {
        Self { filtered: true, ..self }
    }
    const fn refused(self) -> Self {
        Self { refused: true, ..self }
    }
}

/// Everything that a plan is made from.
struct Given {
    spots: Vec<Spot>,
    /// A place that only the lock names.
    former: Option<Spot>,
    settings: &'static str,
    options: Options,
    revision: Revision,
    /// Generation and declaration in the lock.
    lock: Option<(u64, Declaration)>,
    intended: Option<u64>,
    /// Days since the generation was made.
    age: i64,
}

fn given<const N: usize>(spots: [Spot; N]) -> Given {
    Given {
        spots: spots.to_vec(),
        former: None,
        settings: "kind: random_password",
        options: Options::default(),
        revision: Revision::Unread,
        lock: None,
        intended: None,
        age: 0,
    }
}

const STATIC: &str = "kind: static, config: {default: x}";

impl Given {
    fn declared(self, settings: &'static str) -> Self {
        Self { settings, ..self }
    }
    fn with(self, change: impl Fn(&mut Options)) -> Self {
        let mut options = self.options;
        change(&mut options);
        Self { options, ..self }
    }
    fn force(self) -> Self {
        self.with(|options| options.force = true)
    }
    fn adopt(self) -> Self {
        self.with(|options| options.adopt = true)
    }
    fn overwrite(self) -> Self {
        self.with(|options| options.overwrite = true)
    }
    fn heal(self) -> Self {
        self.with(|options| options.heal = true)
    }
    fn rotate(self) -> Self {
        self.with(|options| options.rotate_due = true)
    }
    fn attended(self) -> Self {
        self.with(|options| (options.rotate_due, options.attended) = (true, true))
    }
    fn aged(self, age: i64) -> Self {
        Self { age, ..self }
    }
    fn read(self, revision: Revision) -> Self {
        Self { revision, ..self }
    }
    fn locked(self, generation: u64) -> Self {
        let declaration = declaration(&self.manifest().secrets.first().unwrap().source);
        Self { lock: Some((generation, declaration)), ..self }
    }
    fn locked_otherwise(self, generation: u64) -> Self {
        let declaration = Declaration { fixed: "old".into(), generated: "old".into() };
        Self { lock: Some((generation, declaration)), ..self }
    }
    fn formerly(self, spot: Spot) -> Self {
        Self { former: Some(spot), ..self }
    }
    fn intended(self, number: u64) -> Self {
        Self { intended: Some(number), ..self }
    }

    fn manifest(&self) -> Manifest {
        let target = "{provider: l, kind: file, config: {path: .env, format: dotenv}}";
        let settings = self.settings;
        let text =
            format!("providers: {{l: {{kind: local}}}}\nsecrets: [{{name: a, {settings}, targets: [{target}]}}]");
        load(&Text::new("Secretfile.yml", text), &Inputs::new(&|_| None, NOW)).manifest.unwrap()
    }

    fn plan(&self) -> SecretPlan {
        let manifest = self.manifest();
        let secret = manifest.secrets.first().unwrap();
        let created = NOW - SignedDuration::from_hours(24 * self.age);
        let view = |(index, spot): (usize, &Spot)| spot.view(index, created);
        let targets: Vec<TargetView> = self.spots.iter().enumerate().map(view).collect();
        let earlier = self.former.iter().map(|spot| spot.view(targets.len(), created)).collect();
        let locked = self.lock.clone().map(|(number, declaration)| LockedSecret {
            name: "a".into(),
            id: ShortId::of("a").as_str().into(),
            generation: number,
            generation_id: "locked".into(),
            primary: locator(0),
            targets: vec![LockedTarget { locator: locator(0), version: "9".into(), generation: None, created }],
            declaration,
        });
        let view = SecretView {
            index: 0,
            secret,
            owner: owner(),
            targets,
            earlier,
            locked: locked.as_ref(),
            intended: self.intended.map(|number| generation(number, "intended", created)),
            revision: self.revision,
            declaration: declaration(&secret.source),
        };
        plan_secret(&view, self.options, NOW)
    }

    /// The plan in a line: what becomes of the value, then of each target, then why nothing may be.
    fn says(&self) -> String {
        let plan = self.plan();
        let next = match plan.next {
            Next::Keep => "keep".to_owned(),
            Next::Create(number) => format!("create {number}"),
            Next::Rotate(number) => format!("rotate {number}"),
            Next::Revise(number) => format!("revise {number}"),
            Next::Adopt(number) => format!("adopt {number}"),
        };
        let target = |target: &TargetPlan| match target.changes.as_slice() {
            [] => target.action.as_str().to_owned(),
            changes => format!("{} ({})", target.action.as_str(), changes.join(" ")),
        };
        let targets: Vec<String> = plan.targets.iter().map(target).collect();
        let hold = plan.hold.map(|hold| format!("; {:?}: {}", hold.cause, hold.reason)).unwrap_or_default();
        format!("{next}: {}{hold}", targets.join(", "))
    }
}

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn owner() -> Owner {
    let (project, secret, environment) = (ShortId::of("p"), ShortId::of("a"), ShortId::of(""));
    Owner { project, secret, environment, repository: Some("github.com/1".into()) }
}

fn locator(index: usize) -> Locator {
    Locator::secrets_manager("1", "r", &index.to_string())
}

fn generation(number: u64, id: &str, created: Timestamp) -> Generation {
    Generation { number, id: id.into(), created, adopted: false }
}

impl Spot {
    fn order(self) -> MarkOrder {
        match self.kind {
            TargetKind::SecretsManager => MarkOrder::ValueFirst,
            TargetKind::SsmParameter => MarkOrder::MarkFirst,
            _ => MarkOrder::WithValue,
        }
    }

    fn view(self, index: usize, created: Timestamp) -> TargetView {
        let capabilities = Capabilities {
            conditional_create: true,
            write_token: true,
            mark_order: self.order(),
            metadata_without_version: true,
            read_back: true,
            value_bytes_max: 100,
        };
        TargetView {
            index,
            kind: self.kind,
            provider: "p".into(),
            name: index.to_string(),
            span: crate::diagnostic::Span::default(),
            primary: self.primary,
            locator: Some(locator(index)),
            desired: Attributes::from([("tag:T".into(), "1".into())]),
            capabilities: Some(capabilities),
            seen: self.seen(&locator(index), created),
            copy: None,
            confirmed: true,
            selected: !self.filtered,
            refused: self.refused.then(|| ("its Expiration lies in the past".into(), "move it".into())),
        }
    }

    fn seen(self, at: &Locator, created: Timestamp) -> Seen {
        let number = match self.at {
            Absent => return Seen::Absent,
            Down => return Seen::Failed(Error::new(ErrorKind::Unavailable, "503")),
            NotBuilt => return Seen::NotBuilt,
            Replica => return Seen::Replica,
            LeftOut => return Seen::LeftOut("a local file in CI".into()),
            Gen(n) | Fork(n) | Cut(n) | Healed(n) | Drifted(n) | DriftedAndTagged(n) | Tagged(n) | Adopted(n)
            | Pending(n) => n,
            Foreign | OtherRepository | NewerMark | Managed => 1,
        };
        let value_first = self.order() == MarkOrder::ValueFirst;
        let version = |number: u64| {
            if value_first { owner().write_token(at, number).to_string() } else { number.to_string() }
        };
        let in_force = generation(number, &format!("id{number}"), created);
        let mark = |generation: Generation, version: String| Mark {
            owner: owner(),
            generation,
            version,
            carried: false,
            over_drift: false,
            withdrawn: false,
        };
        let (mark, current) = match self.at {
            Fork(n) => (mark(generation(n, "other", created), version(n)), version(n)),
            Cut(n) if value_first => (mark(generation(n - 1, "before", created), version(n - 1)), version(n)),
            Cut(n) => (mark(generation(n + 1, "never", created), version(n + 1)), version(n)),
            Healed(n) => {
                (mark(generation(n, "other", created), version(n)), fork_token(&owner(), at, &in_force).to_string())
            }
            Drifted(n) | DriftedAndTagged(n) => (mark(in_force, version(n)), "somebody-else's".into()),
            Adopted(n) => (mark(Generation { adopted: true, ..in_force }, version(n)), version(n)),
            _ => (mark(in_force, version(number)), version(number)),
        };
        let text = match self.at {
            Foreign => None,
            OtherRepository => Some(mark.to_string().replace("github.com/1", "github.com/2")),
            NewerMark => Some("2:x=1".to_owned()),
            _ => Some(mark.to_string()),
        };
        let tag = if matches!(self.at, Tagged(_) | DriftedAndTagged(_)) { "0" } else { "1" };
        Seen::Present(Observed {
            version: current,
            mark: text,
            attributes: Attributes::from([("tag:T".into(), tag.into())]),
            pending_deletion: matches!(self.at, Pending(_)),
            managed_by: matches!(self.at, Managed).then(|| "AWS rotates it".into()),
            from_list: false,
        })
    }
}

macro_rules! table {
    ($($name:ident: $given:expr => $expected:literal;)*) => {
        $(#[test]
        fn $name() {
            assert_eq!($given.says(), $expected);
        })*
    };
}

table! {
    // Creating, keeping, metadata.
    a_new_secret_is_created_everywhere: given([sm(Absent), ssm(Absent), file(Absent)]) => "create 1: create, create, create";
    a_new_secret_counts_on_from_the_lock: given([sm(Absent)]).locked(4) => "create 5: create";
    a_forged_number_in_the_lock_uses_no_number_up: given([sm(Absent)]).locked(u64::MAX) => "create 1: create";
    what_is_in_line_is_kept_even_without_a_lock: given([sm(Gen(3)), ssm(Gen(3))]) => "keep: keep, keep";
    a_lock_that_says_another_generation_changes_nothing: given([sm(Gen(3)), ssm(Gen(3))]).locked(9) => "keep: keep, keep";
    an_older_lock_goes_on_with_what_the_stores_hold: given([sm(Gen(5)), ssm(Gen(5))]).locked(4) => "keep: keep, keep";
    an_edited_tag_is_metadata: given([sm(Tagged(1)), ssm(Gen(1))]) => "keep: metadata (tag:T), keep";
    a_copy_kept_by_the_store_is_only_checked: given([sm(Gen(1)), sm(Replica)]) => "keep: keep, replica check";
    a_local_file_in_ci_is_left_out: given([sm(Absent), file(LeftOut)]) => "create 1: create, left out";

    // Interrupted runs.
    a_value_before_its_mark_is_marked_again: given([sm(Cut(4)), ssm(Gen(3))]).intended(4) => "keep: metadata (mark), heal";
    a_mark_before_its_value_never_happened: given([ssm(Cut(3))]) => "keep: metadata (mark)";
    a_marked_copy_goes_before_an_interrupted_primary: given([ssm(Cut(3)), sm(Gen(3))]) => "keep: heal, keep";
    targets_that_are_behind_are_healed: given([sm(Gen(4)), ssm(Gen(4)), file(Gen(3))]) => "keep: keep, keep, heal";
    a_primary_that_is_behind_is_healed_too: given([sm(Gen(3)), ssm(Gen(4))]) => "keep: heal, keep";
    of_two_values_of_one_number_the_primarys_counts: given([ssm(Fork(2)), sm(Gen(2)).primary()]) => "keep: heal, keep";
    a_healed_fork_without_its_mark_is_marked: given([ssm(Gen(2)), sm(Healed(2))]) => "keep: keep, metadata (mark)";
    a_missing_target_gets_a_copy: given([sm(Gen(2)), ssm(Absent)]) => "keep: keep, spread";
    a_lost_primary_gets_its_value_back: given([sm(Absent).primary(), file(Gen(2))]) => "keep: spread, keep";
    a_scheduled_deletion_is_taken_back: given([sm(Pending(2)), ssm(Gen(2))]) => "keep: restore, keep";
    a_scheduled_deletion_of_the_only_copy_is_taken_back: given([sm(Pending(2))]) => "keep: restore";
    a_scheduled_deletion_that_is_behind_is_healed: given([sm(Pending(2)), ssm(Gen(3))]) => "keep: heal, keep";
    a_rotation_takes_a_scheduled_deletion_back_as_well: given([sm(Pending(2)), ssm(Gen(2))]).force() => "rotate 3: rotate, rotate";
    a_filtered_scheduled_deletion_is_left: given([sm(Pending(2)).filtered(), ssm(Gen(2))]) => "keep: left out, keep";
    a_new_place_is_filled_from_one_that_is_taken_back: given([sm(Pending(2)), ssm(Absent)]) => "keep: restore, spread";
    a_former_place_that_is_scheduled_for_deletion_is_copied: given([ssm(Absent)]).formerly(sm(Pending(2))) => "keep: spread";

    // What cannot be read.
    nothing_is_generated_while_a_store_is_down: given([sm(Absent), ssm(Down)])
        => "keep: held, held; Store: AWS SSM Parameter `1` cannot be read: 503";
    an_unreachable_primary_is_never_generated_anew: given([sm(Down)])
        => "keep: held; Store: AWS Secrets Manager `0` cannot be read: 503";
    an_unreachable_primary_leaves_the_others_in_line: given([sm(Down), ssm(Gen(2)), file(Absent)]) => "keep: held, keep, spread";
    an_unreachable_primary_is_not_rotated: given([sm(Down), ssm(Gen(2))]).force() => "keep: held, keep";
    an_unreachable_secondary_does_not_stop_a_rotation: given([sm(Gen(2)), ssm(Down)]).force() => "rotate 3: rotate, held";

    // Changed outside.
    a_drifted_target_is_told_and_kept: given([sm(Gen(2)), ssm(Drifted(2))]) => "keep: keep, keep";
    a_drifted_value_is_never_marked_as_ours: given([sm(Gen(2)), ssm(DriftedAndTagged(2))]) => "keep: keep, keep";
    a_drifted_value_is_never_copied: given([sm(Drifted(2)), ssm(Absent)]) => "keep: keep, held";
    a_rotation_replaces_a_drifted_value: given([sm(Gen(2)), ssm(Drifted(2))]).force() => "rotate 3: rotate, rotate";
    a_drifted_only_copy_is_rotated_by_force: given([sm(Drifted(2))]).force() => "rotate 3: rotate";
    a_number_that_a_drifted_place_held_is_not_given_again: given([sm(Gen(2)), ssm(Drifted(5))]).force() => "rotate 6: rotate, rotate";
    a_forced_rotation_respects_the_filter_even_over_drift: given([sm(Drifted(2)).filtered(), ssm(Absent)]).force()
        => "keep: left out, held";

    // Not ours.
    a_foreign_object_holds_its_secret: given([sm(Gen(1)), ssm(Foreign)])
        => "keep: held, held; Decision: AWS SSM Parameter `1` is not ours: it carries no mark of SecretZero";
    a_stripped_mark_is_told_as_such: given([sm(Foreign)]).locked(1)
        => "keep: held; Decision: AWS Secrets Manager `0` is not ours: it carries no mark of SecretZero; the lock knows it, so its mark was stripped";
    a_foreign_object_is_taken_over_when_asked: given([sm(Foreign), ssm(Absent)]).adopt() => "adopt 1: adopt, spread";
    a_foreign_copy_is_taken_over_before_a_value_is_made: given([sm(Absent), ssm(Foreign)]).adopt() => "adopt 1: spread, adopt";
    the_file_itself_may_ask_to_adopt: given([sm(Foreign)]).declared("kind: random_password, adopt: true") => "adopt 1: adopt";
    a_foreign_object_beside_a_value_in_force_is_compared: given([sm(Gen(2)), ssm(Foreign)]).adopt() => "keep: keep, adopt";
    a_change_outside_is_put_back_when_asked: given([sm(Gen(2)), ssm(Drifted(2))]).heal() => "keep: keep, heal";
    a_change_outside_with_nothing_to_put_back_stays: given([sm(Drifted(2))]).heal() => "keep: keep";
    a_foreign_object_is_replaced_when_asked: given([sm(Gen(2)), ssm(Foreign)]).overwrite() => "keep: keep, overwrite";
    a_foreign_primary_is_replaced_by_a_first_value: given([sm(Foreign), ssm(Absent)]).overwrite() => "create 1: overwrite, create";
    a_filtered_primary_is_not_overwritten: given([sm(Foreign).filtered(), ssm(Absent)]).overwrite()
        => "keep: held, held; Decision: it is new and its primary is AWS Secrets Manager `0`, which is filtered out";
    a_filtered_object_is_not_taken_over: given([sm(Foreign).filtered(), ssm(Absent)]).adopt()
        => "keep: held, held; Decision: it would be taken over from AWS Secrets Manager `0`, which is filtered out";
    a_foreign_former_place_is_not_taken_over: given([sm(Absent)]).formerly(ssm(Foreign)).adopt() => "create 1: create";
    another_repositorys_object_holds_even_with_overwrite: given([sm(OtherRepository)]).overwrite()
        => "keep: held; Decision: AWS Secrets Manager `0` belongs to repository github.com/2";
    a_newer_mark_holds_even_with_overwrite: given([sm(NewerMark)]).overwrite()
        => "keep: held; Decision: AWS Secrets Manager `0` cannot be written: its mark has format 2, which is newer than this program; update SecretZero";
    what_the_store_rotates_is_never_written: given([sm(Managed)]).force()
        => "keep: held; Decision: AWS Secrets Manager `0` cannot be written: AWS rotates it";
    an_overwrite_that_died_before_the_value_is_asked_for_again: given([ssm(Cut(0)).primary()])
        => "keep: held; Decision: AWS SSM Parameter `0` is not ours: our first value was announced and never written there";

    // Filters and kinds.
    a_filtered_target_is_left_out: given([sm(Gen(2)), ssm(Gen(1)).filtered()]) => "keep: keep, left out";
    a_new_secret_waits_for_its_filtered_primary: given([sm(Absent).filtered(), ssm(Absent)])
        => "keep: held, held; Decision: it is new and its primary is AWS Secrets Manager `0`, which is filtered out";
    a_filtered_primary_is_not_rotated: given([sm(Gen(2)).filtered(), ssm(Gen(2))]).force() => "keep: left out, keep";
    a_kind_that_is_not_built_holds_a_new_secret: given([sm(Absent), spot(TargetKind::Kv, NotBuilt)])
        => "keep: held, held; NotBuilt: targets of kind `kv` are not built into this version";
    a_kind_that_is_not_built_lets_the_others_go_on: given([sm(Gen(1)), spot(TargetKind::Kv, NotBuilt)]) => "keep: keep, held";
    a_kind_that_is_not_built_can_be_filtered_out: given([sm(Absent), spot(TargetKind::Kv, NotBuilt).filtered()])
        => "create 1: create, left out";
    a_refused_primary_holds_a_new_secret: given([ssm(Absent).refused()])
        => "keep: held; Invalid: its Expiration lies in the past";
    a_refused_primary_is_not_rotated: given([ssm(Gen(1)).refused(), sm(Gen(1))]).with(|o| o.force = true)
        => "keep: held, keep";
    a_refused_secondary_is_held_alone: given([sm(Gen(1)), ssm(Absent).refused()]) => "keep: keep, held";

    // Rotations.
    what_is_due_is_rotated: given([sm(Gen(1))]).declared(MONTHLY).aged(31).rotate() => "rotate 2: rotate";
    sync_does_not_rotate_what_is_due: given([sm(Gen(1))]).declared(MONTHLY).aged(31) => "keep: keep";
    what_is_not_due_is_not_rotated: given([sm(Gen(1))]).declared(MONTHLY).aged(29).rotate() => "keep: keep";
    a_one_time_secret_is_never_rotated_unattended: given([sm(Gen(1))]).declared(ONE_TIME).aged(31).rotate() => "keep: keep";
    a_one_time_secret_is_rotated_by_name: given([sm(Gen(1))]).declared(ONE_TIME).aged(31).attended() => "rotate 2: rotate";
    an_adopted_value_is_never_rotated_unattended: given([sm(Adopted(1))]).declared(MONTHLY).aged(31).rotate() => "keep: keep";
    an_adopted_value_is_rotated_by_name: given([sm(Adopted(1))]).declared(MONTHLY).aged(31).attended() => "rotate 2: rotate";
    edited_settings_of_a_generator_wait_for_the_rotation: given([sm(Gen(1))]).locked_otherwise(1) => "keep: keep";

    // Declared values.
    an_edited_static_value_is_revised: given([sm(Gen(2)), ssm(Gen(2))]).declared(STATIC).read(Revision::Differs)
        => "revise 3: revise, revise";
    the_stored_value_counts_more_than_the_lock: given([sm(Gen(2))]).declared(STATIC).locked_otherwise(2).read(Revision::Same)
        => "keep: keep";
    without_reading_values_the_locks_hash_decides: given([sm(Gen(2))]).declared(STATIC).locked_otherwise(2) => "revise 3: revise";
    an_unedited_static_value_is_kept_without_reading: given([sm(Gen(2))]).declared(STATIC).locked(2) => "keep: keep";
    a_filtered_primary_is_not_revised: given([sm(Gen(2)).filtered(), ssm(Gen(2))]).declared(STATIC).read(Revision::Differs)
        => "keep: left out, keep";

    // Former places.
    a_value_at_its_former_place_is_copied: given([sm(Absent)]).formerly(ssm(Gen(2))) => "keep: spread";
    a_former_place_that_cannot_be_read_holds_a_new_secret: given([sm(Absent)]).formerly(ssm(Down))
        => "keep: held; Store: its former place, AWS SSM Parameter `1`, cannot be read: 503";
    a_former_place_that_cannot_be_read_does_not_matter_otherwise: given([sm(Gen(1))]).formerly(ssm(Down)) => "keep: keep";
    a_former_place_that_is_empty_does_not_matter: given([sm(Absent)]).formerly(ssm(Absent)) => "create 1: create";
}

const MONTHLY: &str = "kind: random_password, rotation_period: 30d";
const ONE_TIME: &str = "kind: random_password, rotation_period: 30d, one_time: true";

#[test]
fn a_rotation_is_announced_two_weeks_ahead() {
    let due = |age| given([sm(Gen(1))]).declared(MONTHLY).aged(age).plan().due.unwrap();
    assert!(!due(15).is_soon(NOW) && due(16).is_soon(NOW));
    assert!(!due(29).overdue && due(30).overdue);
}

#[test]
fn edited_settings_and_former_places_are_noted() {
    let plan = given([sm(Gen(1))]).locked_otherwise(1).formerly(ssm(Gen(1))).plan();
    assert!(plan.notes.iter().any(|note| note.contains("count from the next rotation")), "{:?}", plan.notes);
    assert!(plan.notes.iter().any(|note| note.contains("nothing is deleted there")), "{:?}", plan.notes);
}

#[test]
fn an_unknown_id_comes_from_another_target_then_from_the_journal_then_from_the_lock() {
    let id = |given: Given| given.plan().generation.unwrap().id;
    assert_eq!(id(given([sm(Cut(4)), ssm(Gen(4))]).intended(4).locked(4)), "id4");
    assert_eq!(id(given([sm(Cut(4))]).intended(4).locked(4)), "intended");
    assert_eq!(id(given([sm(Cut(4))]).intended(3).locked(4)), "locked");
    assert_eq!(id(given([sm(Cut(4))]).intended(3).locked(3)), "");
}

const EXTERNAL: &str = "kind: external";
const EXTERNAL_ADOPTED: &str = "kind: external, adopt: true, rotation_period: 90d";
