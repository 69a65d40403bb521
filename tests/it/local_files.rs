//! Local files through the provider: what other programs read back, what a power cut leaves, and what
//! must not be touched.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use jiff::Timestamp;
use secretzero::clock::SystemEntropy;
use secretzero::disk::{Disk, SystemDisk};
use secretzero::locator::Locator;
use secretzero::mark::{Generation, Mark, Owner, ShortId};
use secretzero::provider::local::LocalProvider;
use secretzero::provider::{ErrorKind, Expect, Observed, Probe, Provider, Reading, Result, WriteOptions};
use secretzero::secret::{SecretValue, Shape, Value};
use secretzero::target::{FileFormat, FileSettings, Place, TargetKind, TargetSettings};
use uuid::Uuid;

mod index;

/// The machine's disk, which counts what it replaces and loses power at a given replacement.
struct CountingDisk {
    replaced: AtomicUsize,
    /// From which replacement on nothing is written any more.
    cut: usize,
}

impl Disk for CountingDisk {
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        SystemDisk.read(path, bytes_max)
    }
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.replaced.fetch_add(1, Ordering::SeqCst) >= self.cut {
            return Err(io::Error::other("power cut"));
        }
        SystemDisk.replace(path, bytes)
    }
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        SystemDisk.append(path, bytes)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove(path)
    }
}

/// A folder with a provider on it.
struct World {
    folder: tempfile::TempDir,
    disk: Arc<CountingDisk>,
    provider: LocalProvider,
}

impl World {
    fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap(), usize::MAX)
    }

    /// A new run on the same folder, whose power goes after so many replacements.
    fn on(folder: tempfile::TempDir, cut: usize) -> Self {
        let disk = Arc::new(CountingDisk { replaced: AtomicUsize::new(0), cut });
        let provider = LocalProvider::new(folder.path().to_path_buf(), disk.clone(), Arc::new(SystemEntropy));
        Self { folder, disk, provider }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn put(&self, name: &str, text: &str) {
        SystemDisk.replace(&self.path(name), text.as_bytes()).unwrap();
    }

    async fn write(&self, place: &Place, text: &str, generation: u64, expect: Expect) -> Result<String> {
        self.provider.write(place, &single(text), &options(generation, expect)).await
    }

    async fn create(&self, place: &Place, text: &str) -> String {
        self.write(place, text, 1, Expect::Absent).await.unwrap()
    }

    async fn look(&self, place: &Place) -> Result<Option<Observed>> {
        let probe = Probe { place, expected_mark: None };
        self.provider.observe(&[probe], Reading::Each).await.pop().unwrap()
    }

    /// Version and generation of what stands there, zero for a foreign value.
    async fn stands(&self, place: &Place) -> Option<(String, u64)> {
        let seen = self.look(place).await.unwrap()?;
        let generation = seen.mark.map_or(0, |mark| Mark::parse(&mark).unwrap().generation.number);
        Some((seen.version, generation))
    }

    async fn read(&self, place: &Place) -> String {
        match self.provider.read(&[place]).await.pop().unwrap().unwrap().value {
            Value::Single(value) => value.expose_text().unwrap().to_owned(),
            Value::Fields(fields) => {
                let texts = fields.iter().map(|(name, value)| format!("{name}={}", value.expose_text().unwrap()));
                texts.collect::<Vec<_>>().join(" ")
            }
        }
    }
}

fn options(number: u64, expect: Expect) -> WriteOptions {
    let owner = Owner {
        project: ShortId::of("project"),
        secret: ShortId::of("secret"),
        environment: ShortId::of(""),
        repository: None,
    };
    let id = format!("gid{number}");
    let generation = Generation { number, id, created: Timestamp::UNIX_EPOCH, adopted: false };
    WriteOptions { owner, generation, token: Uuid::nil(), expect, over_drift: false, withdrawn: false }
}

fn single(text: &str) -> Value {
    Value::Single(SecretValue::from(text))
}

fn fields(pairs: &[(&str, &str)]) -> Value {
    Value::Fields(pairs.iter().map(|(n, v)| ((*n).to_owned(), SecretValue::from(*v))).collect())
}

fn place_in(path: &str, key: &str) -> Place {
    let format = match path.rsplit('.').next() {
        Some("json") => FileFormat::Json,
        Some("yml") => FileFormat::Yaml,
        _ => FileFormat::Dotenv,
    };
    let settings = FileSettings { path: path.to_owned(), format, merge: true, key: key.to_owned() };
    Place { settings: TargetSettings::File(settings), shape: Shape::Single }
}

fn with_fields(place: Place, names: &[&str]) -> Place {
    Place { shape: Shape::Fields(names.iter().map(|name| (*name).to_owned()).collect()), ..place }
}

fn alone(mut place: Place) -> Place {
    if let TargetSettings::File(settings) = &mut place.settings {
        settings.merge = false;
    }
    place
}

fn version(text: &str) -> Expect {
    Expect::Version(text.to_owned())
}

const FILES: [&str; 3] = [".env", "config/secrets.json", "config/secrets.yml"];

#[tokio::test]
async fn a_value_is_written_marked_read_back_and_written_again() {
    let world = World::new();
    for file in FILES {
        let place = place_in(file, "DB_PASSWORD");
        assert_eq!(world.stands(&place).await, None, "{file}");
        assert_eq!(world.create(&place, "one two").await, "1");
        assert_eq!(world.stands(&place).await, Some(("1".into(), 1)));
        assert_eq!(world.write(&place, "it's $2", 2, version("1")).await.unwrap(), "2");
        assert_eq!(world.stands(&place).await, Some(("2".into(), 2)));
        assert_eq!(world.read(&place).await, "it's $2");
        for private in [file, ".secretzero.json"] {
            let mode = world.path(private).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{private}");
        }
    }
    assert_eq!(world.text("config/secrets.json"), "{\n  \"DB_PASSWORD\": \"it's $2\"\n}\n");
    assert!(!world.text(".secretzero.json").contains("it's"));
}

#[tokio::test]
async fn a_template_is_one_value_in_several_fields() {
    let world = World::new();
    for file in FILES {
        let place = with_fields(place_in(file, "SVC"), &["user", "api-key"]);
        let written = fields(&[("user", "a b"), ("api-key", "k")]);
        world.provider.write(&place, &written, &options(1, Expect::Absent)).await.unwrap();
        assert_eq!(world.read(&place).await, "user=a b api-key=k");
        // A field is added to the declaration: what stands there is still the old value, unchanged.
        let grown = with_fields(place_in(file, "SVC"), &["user", "api-key", "port"]);
        assert_eq!(world.stands(&grown).await, Some(("1".into(), 1)), "{file}");
        let fewer = fields(&[("user", "a b")]);
        world.provider.write(&grown, &fewer, &options(2, version("1"))).await.unwrap();
        assert_eq!(world.stands(&grown).await, Some(("2".into(), 2)));
        assert_eq!(world.read(&grown).await, "user=a b");
    }
    assert_eq!(world.text(".env"), "SVC_USER='a b'\n");
}

#[tokio::test]
async fn a_write_goes_ahead_only_on_what_was_expected() {
    let world = World::new();
    let place = place_in(".env", "KEY");
    for (expect, fits) in
        [(version("1"), false), (Expect::Absent, true), (Expect::Absent, false), (version("2"), false)]
    {
        let written = world.write(&place, "v", 1, expect.clone()).await;
        assert_eq!(written.is_ok(), fits, "{expect:?}");
        assert!(written.is_ok() || written.is_err_and(|error| error.kind == ErrorKind::Conflict));
    }
}

#[tokio::test]
async fn a_value_that_nobody_marked_is_foreign_until_it_is_adopted_or_overwritten() {
    let world = World::new();
    world.put(".env", "# mine\nTHEIRS='keep me'\nOTHER=1\n");
    let place = place_in(".env", "THEIRS");
    assert_eq!(world.stands(&place).await, Some(("foreign".into(), 0)));
    assert_eq!(world.write(&place, "x", 1, Expect::Absent).await.unwrap_err().kind, ErrorKind::Conflict);
    world.provider.annotate(&place, &[], &options(1, version("foreign"))).await.unwrap();
    assert_eq!(world.stands(&place).await, Some(("1".into(), 1)));
    assert_eq!(world.read(&place).await, "keep me");
    let other = place_in(".env", "OTHER");
    world.write(&other, "new", 1, version("foreign")).await.unwrap();
    assert_eq!(world.text(".env"), "# mine\nTHEIRS='keep me'\nOTHER=new\n");
}

#[tokio::test]
async fn a_value_changed_by_hand_shows_as_changed_and_can_be_healed_or_accepted() {
    let world = World::new();
    let (healed, accepted) = (place_in(".env", "A"), place_in(".env", "B"));
    world.create(&healed, "one").await;
    world.create(&accepted, "one").await;
    world.put(".env", "A=hand\nB=hand\n");
    for place in [&healed, &accepted] {
        assert_eq!(world.stands(place).await, Some(("1+changed".into(), 1)));
        assert_eq!(world.write(place, "x", 2, version("1")).await.unwrap_err().kind, ErrorKind::Conflict);
    }
    assert_eq!(world.write(&healed, "one", 1, version("1+changed")).await.unwrap(), "2");
    let annotated = world.provider.annotate(&accepted, &[], &options(2, version("1+changed"))).await;
    assert_eq!(annotated.unwrap(), "2");
    assert_eq!(world.stands(&healed).await, Some(("2".into(), 1)));
    assert_eq!(world.stands(&accepted).await, Some(("2".into(), 2)));
    assert_eq!(world.text(".env"), "A=one\nB=hand\n");
}

#[tokio::test]
async fn a_power_cut_anywhere_leaves_the_old_value_or_the_new_one_with_its_own_mark() {
    for cut in 0..3 {
        for file in FILES {
            let world = World::new();
            let (kept, foreign, fresh) = (place_in(file, "KEPT"), place_in(file, "FOREIGN"), place_in(file, "FRESH"));
            world.create(&kept, "old").await;
            world.create(&foreign, "theirs").await;
            let sidecar = Path::new(file).with_file_name(".secretzero.json");
            let sidecar = world.path(sidecar.to_str().unwrap());
            // Forget the second one, so that it is someone else's.
            let text = std::fs::read_to_string(&sidecar).unwrap().replace("\"FOREIGN\"", "\"GONE\"");
            SystemDisk.replace(&sidecar, text.as_bytes()).unwrap();

            let world = World::on(world.folder, cut);
            let (a, b, c) = tokio::join!(
                world.write(&kept, "new", 2, version("1")),
                world.write(&foreign, "ours", 1, version("foreign")),
                world.write(&fresh, "new", 1, Expect::Absent),
            );
            let done = cut >= 2;
            assert_eq!((a.is_ok(), b.is_ok(), c.is_ok()), (done, done, done), "{file}, cut {cut}");

            let world = World::on(world.folder, usize::MAX);
            let expected = if done {
                [Some(("2".into(), 2)), Some(("1".into(), 1)), Some(("1".into(), 1))]
            } else {
                [Some(("1".into(), 1)), Some(("foreign".into(), 0)), None]
            };
            let stands = [world.stands(&kept).await, world.stands(&foreign).await, world.stands(&fresh).await];
            assert_eq!(stands, expected, "{file}, cut {cut}");
            assert_eq!(world.read(&kept).await, if done { "new" } else { "old" });
            // The next run finishes the job from what it sees.
            if !done {
                assert_eq!(world.write(&kept, "newer", 2, version("1")).await.unwrap(), "2");
                world.write(&foreign, "ours", 1, version("foreign")).await.unwrap();
                world.create(&fresh, "new").await;
                assert_eq!(world.stands(&kept).await, Some(("2".into(), 2)));
                assert_eq!(world.read(&foreign).await, "ours");
            }
        }
    }
}

#[tokio::test]
async fn a_cut_write_over_a_hand_made_change_still_shows_the_change() {
    let world = World::new();
    let place = place_in(".env", "A");
    world.create(&place, "one").await;
    world.put(".env", "A=hand\n");
    let world = World::on(world.folder, 1);
    assert!(world.write(&place, "two", 2, version("1+changed")).await.is_err());
    let world = World::on(world.folder, usize::MAX);
    assert_eq!(world.stands(&place).await, Some(("1+changed".into(), 1)));
}

#[tokio::test]
async fn a_thousand_secrets_in_one_file_cost_a_few_writes_and_all_arrive() {
    let world = World::new();
    let places: Vec<Place> = (0..1_000).map(|n| place_in(".env", &format!("KEY_{n}"))).collect();
    let writes = places.iter().enumerate().map(|(n, place)| {
        let world = &world;
        async move { world.write(place, &format!("value {n}"), 1, Expect::Absent).await }
    });
    assert!(join_all(writes).await.iter().all(Result::is_ok));
    let replaced = world.disk.replaced.load(Ordering::SeqCst);
    assert!(replaced <= 8, "{replaced} files were replaced");
    let probes: Vec<Probe<'_>> = places.iter().map(|place| Probe { place, expected_mark: None }).collect();
    let seen = world.provider.observe(&probes, Reading::Batch).await;
    assert!(seen.into_iter().all(|seen| seen.unwrap().unwrap().version == "1"));
    assert_eq!(world.read(&places[999]).await, "value 999");
}

#[tokio::test]
async fn one_bad_edit_fails_alone_and_not_with_those_it_was_batched_with() {
    let world = World::new();
    world.put("a.yml", "ours: &x 1\nalias: *x\n");
    let (bad, good, damaged) = (place_in("a.yml", "ours"), place_in("a.yml", "new"), place_in("b.json", "x"));
    world.put("b.json", "{ not json\n");
    let (bad, good_result, damaged) = tokio::join!(
        world.write(&bad, "v", 1, version("foreign")),
        world.write(&good, "v", 1, Expect::Absent),
        world.write(&damaged, "v", 1, Expect::Absent),
    );
    assert!(bad.unwrap_err().message.contains("has an anchor"));
    let damaged = damaged.unwrap_err();
    assert_eq!(damaged.kind, ErrorKind::Invalid);
    assert!(damaged.message.contains("`b.json` (json): it is not valid JSON at line 1"), "{damaged}");
    good_result.unwrap();
    assert_eq!(world.text("a.yml"), "ours: &x 1\nalias: *x\nnew: \"v\"\n");
}

#[tokio::test]
async fn one_file_cannot_have_two_formats() {
    let world = World::new();
    let (first, mut second) = (place_in("app.env", "A"), place_in("app.env", "B"));
    if let TargetSettings::File(settings) = &mut second.settings {
        settings.format = FileFormat::Json;
    }
    let (first, second) =
        tokio::join!(world.write(&first, "v", 1, Expect::Absent), world.write(&second, "v", 1, Expect::Absent));
    first.unwrap();
    assert!(second.unwrap_err().message.contains("another target declares it as dotenv"));
    assert_eq!(world.text("app.env"), "A=v\n");
}

#[tokio::test]
async fn a_file_of_ours_alone_with_foreign_keys_is_foreign_as_a_whole() {
    let world = World::new();
    world.put("app.json", "{\"theirs\": 1}\n");
    let (a, b) = (alone(place_in("app.json", "a")), alone(place_in("app.json", "b")));
    assert_eq!(world.stands(&a).await, Some(("foreign".into(), 0)));
    assert_eq!(world.write(&a, "v", 1, Expect::Absent).await.unwrap_err().kind, ErrorKind::Conflict);
    world.write(&a, "v", 1, version("foreign")).await.unwrap();
    world.create(&b, "w").await;
    assert_eq!(world.text("app.json"), "{\n  \"a\": \"v\",\n  \"b\": \"w\"\n}\n");
    assert_eq!(world.stands(&a).await, Some(("1".into(), 1)));
}

#[tokio::test]
async fn a_lost_sidecar_makes_values_foreign_and_a_damaged_one_is_named() {
    let world = World::new();
    let place = place_in(".env", "A");
    world.create(&place, "one").await;
    world.put(".secretzero.json", "{");
    let error = world.look(&place).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains(".secretzero.json` is damaged; restore it, or delete it"), "{error}");
    assert!(world.write(&place, "two", 2, version("1")).await.is_err());
    std::fs::rename(world.path(".secretzero.json"), world.path("gone")).unwrap();
    assert_eq!(world.stands(&place).await, Some(("foreign".into(), 0)));
    assert_eq!(world.text(".env"), "A=one\n");
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_refused_for_reading_and_writing() {
    let world = World::new();
    let outside = tempfile::tempdir().unwrap();
    SystemDisk.replace(&outside.path().join("file"), b"A=1\n").unwrap();
    symlink(outside.path(), world.path("out")).unwrap();
    symlink(outside.path().join("file"), world.path("link")).unwrap();
    std::fs::create_dir(world.path("folder")).unwrap();
    std::fs::create_dir(world.path("real")).unwrap();
    symlink(world.path("real"), world.path("inside")).unwrap();
    for (folder, link) in [(".git", "hooks"), (".github", "flows")] {
        std::fs::create_dir(world.path(folder)).unwrap();
        symlink(world.path(folder), world.path(link)).unwrap();
    }
    symlink("/dev/zero", world.path("zero")).unwrap();
    for (path, words) in [
        ("../file", "does not lie below"),
        ("/etc/file", "does not lie below"),
        ("a/../../file", "does not lie below"),
        ("out/file", "leads out of"),
        ("link", "is a symbolic link"),
        ("folder", "is a folder"),
        (".git/config", "belongs to git"),
        (".GIT/config", "belongs to git"),
        (".GitHub/workflows/x", "belongs to git"),
        ("hooks/pre-commit", "leads through a link to what belongs to git"),
        ("flows/x.yml", "leads through a link to what belongs to git"),
        ("zero", "is a symbolic link"),
        ("a/.secretzero.json", "belongs to git, to GitHub or to SecretZero itself"),
    ] {
        let place = place_in(path, "A");
        for error in
            [world.look(&place).await.unwrap_err(), world.write(&place, "v", 1, Expect::Absent).await.unwrap_err()]
        {
            assert!(error.kind == ErrorKind::Invalid && error.message.contains(words), "{path}: {error}");
        }
    }
    assert_eq!(std::fs::read_to_string(outside.path().join("file")).unwrap(), "A=1\n");
    world.create(&place_in("inside/./x.env", "A"), "v").await;
    assert_eq!(world.text("real/x.env"), "A=v\n");
}

#[tokio::test]
async fn git_never_gets_a_value_or_a_mark() {
    let world = World::new();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(world.folder.path()).args(["-c", "user.name=a", "-c", "user.email=a@b"]);
        command.args(arguments).output().unwrap()
    };
    assert!(git(&["init", "-q"]).status.success());
    world.put("config/tracked.env", "A=1\n");
    world.put("tracked.env.bak", "A=1\n");
    assert!(git(&["add", "."]).status.success());
    for version in ["4", "2"] {
        assert!(git(&["update-index", "--index-version", version]).status.success());
        for path in ["config/tracked.env", "config/Tracked.ENV"] {
            let error = world.write(&place_in(path, "B"), "v", 1, Expect::Absent).await.unwrap_err();
            assert!(error.message.contains(&format!("git rm --cached {path}")), "{version}: {error}");
        }
        assert!(world.look(&place_in("config/tracked.env", "A")).await.is_err());
    }
    world.create(&place_in("tracked.env", "B"), "v").await;
    world.create(&place_in("config/other.env", "B"), "v").await;
    for sidecar in [".secretzero.json", "config/.secretzero.json"] {
        assert!(world.path(sidecar).exists());
        assert!(git(&["check-ignore", sidecar]).status.success(), "{sidecar} is not ignored");
    }
    let exclude = world.text(".git/info/exclude");
    assert_eq!(exclude.matches(".secretzero.json").count(), 1, "{exclude}");
}

#[tokio::test]
async fn a_locator_tells_the_place_again_and_other_kinds_are_not_served() {
    let world = World::new();
    let place = place_in("./config//secrets.yml", "db");
    let locator = world.provider.locator(&place).await.unwrap();
    assert_eq!(locator, Locator::file("config/secrets.yml", "db"));
    let recalled = world.provider.recall(&locator, &Shape::Single).unwrap();
    assert_eq!(recalled, place_in("config/secrets.yml", "db"));
    world.create(&place, "v").await;
    assert_eq!(world.read(&recalled).await, "v");
    assert!(world.provider.recall(&Locator::ssm_parameter("1", "r", "/x"), &Shape::Single).is_none());
    assert!(world.provider.capabilities(TargetKind::File).is_some());
    assert!(world.provider.capabilities(TargetKind::Kv).is_none());
}

#[tokio::test]
async fn too_large_a_value_or_a_file_is_refused_before_anything_is_written() {
    let world = World::new();
    let place = place_in(".env", "A");
    let error = world.write(&place, &"x".repeat((1 << 20) + 1), 1, Expect::Absent).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    world.put(".env", &"#\n".repeat((4 << 20) / 2 - 1));
    let error = world.write(&place, "too much", 1, Expect::Absent).await.unwrap_err();
    assert!(error.message.contains("would be larger than 4194304 bytes"), "{error}");
    assert_eq!(world.stands(&place).await, None);
    world.put(".env", &"#\n".repeat((4 << 20) / 2 + 1));
    assert!(world.look(&place).await.is_err_and(|error| error.kind == ErrorKind::Invalid));
}
