//! What outlives a run, and one run in it: a process that may die at any step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use secretzero::apply::{Done, Event, FileLedger, Ledger, LedgerError, Opened, Outcome, Progress, Run, apply};
use secretzero::cli::ci::ref_ledger::{Holder, RefLedger, WAIT_MAX};
use secretzero::clock::{Clock, Entropy, Sleep};
use secretzero::diagnostic::Source;
use secretzero::disk::Disk;
use secretzero::forge::Forge;
use secretzero::locator::Locator;
use secretzero::manifest::{Inputs, Manifest, load};
use secretzero::pipeline::{Depth, Prepared, Request, prepare};
use secretzero::plan::observe::place;
use secretzero::plan::{Action, Identities, Next, Options, Plan, Scope, Stores};
use secretzero::provider::Provider;
use secretzero::provider::local::LocalProvider;
use secretzero::target::{Place, TargetKind};

use tokio::runtime::{Builder, Runtime};

use super::chance::Chance;
use super::disk::{Files, SimDisk};
use super::lease::{Ref, RefForge, SimClock, SimSleep};
use super::store::{Shared, SimStore, Snapshot, locator, text};
use super::wire::{Time, Wire};

/// Name of the lock.
pub(crate) const LOCK: &str = ".gitsecrets.lock";

/// A folder that is not on the machine's own disk.
const ROOT: &str = "/nowhere/simulation";

/// What a run is asked to do and what goes wrong with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Job {
    pub(crate) seed: u64,
    /// One step in so many goes wrong; none if zero.
    pub(crate) rate: usize,
    pub(crate) options: Options,
    pub(crate) kinds: Vec<TargetKind>,
    /// A kind of store that cannot be reached.
    pub(crate) down: Option<TargetKind>,
    /// Only note what stands there.
    pub(crate) refresh: bool,
    /// Most turns of the other run between two steps.
    pub(crate) turns: usize,
    /// The power never fails.
    pub(crate) steady: bool,
    /// One step in so many takes longer than a lease lasts; none if zero.
    pub(crate) stalls: usize,
}

/// The stores, a machine's files, and what the last run said.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) shared: Shared,
    pub(crate) files: Files,
    /// The ref that keeps the lease, if these machines have one.
    pub(crate) kept: Option<Ref>,
    pub(crate) time: Time,
    /// What went wrong.
    pub(crate) said: Vec<String>,
    /// What was done.
    pub(crate) done: Vec<String>,
    /// The plan had changes.
    pub(crate) changed: bool,
    /// A target was told to be changed outside.
    pub(crate) drifted: bool,
    /// The run came to its end and saved the lock.
    pub(crate) saved: bool,
    /// Every place that ever was a target, with the secret's first name.
    places: Mutex<BTreeMap<Locator, (String, Place)>>,
    runs: AtomicU32,
    manifest: Mutex<Option<(String, Arc<Manifest>)>>,
    /// Every run so far, for whoever looks into a failure.
    story: Vec<String>,
    /// How often each action was planned in all runs.
    pub(crate) tally: BTreeMap<&'static str, usize>,
}

impl Drop for World {
    #[expect(clippy::print_stderr, reason = "a failed test tells how it came to that")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.story.join("\n"));
        }
    }
}

struct Silent;

impl Progress for Silent {
    fn event(&self, _: &Event<'_>) {}
}

/// How a run ended.
struct End {
    plan: Plan,
    outcome: Option<Outcome>,
    error: Option<String>,
}

impl World {
    /// Another machine at the same stores.
    pub(crate) fn beside(&self) -> Self {
        let mut beside = Self::default();
        beside.shared = Arc::clone(&self.shared);
        (beside.kept, beside.time) = (self.kept.clone(), Arc::clone(&self.time));
        beside
    }

    /// The meaning of a Secretfile; read again only if it changed.
    pub(crate) fn manifest(&self, text: &str) -> Arc<Manifest> {
        let mut last = self.manifest.lock().unwrap();
        match &*last {
            Some((read, manifest)) if read == text => Arc::clone(manifest),
            _ => {
                let manifest = Arc::new(self.read(text));
                *last = Some((text.to_owned(), Arc::clone(&manifest)));
                manifest
            }
        }
    }

    fn read(&self, text: &str) -> Manifest {
        let source = Source::new("Secretfile.yml", text);
        let loaded = load(&source, &Inputs::new(&|_| None, SimClock(Arc::clone(&self.time)).now()));
        let manifest = loaded.manifest.unwrap_or_else(|| panic!("{:?}\n{text}", loaded.diagnostics));
        for secret in &manifest.secrets {
            for target in &secret.targets {
                let place = place(secret, target);
                self.shared.lock().unwrap().places.insert(locator(&place), place.clone());
                self.places.lock().unwrap().insert(locator(&place), (secret.first_name.clone(), place));
            }
        }
        manifest
    }

    pub(crate) fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.files.lock().unwrap().get(&Path::new(ROOT).join(name)).cloned()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        self.files.lock().unwrap().insert(Path::new(ROOT).join(name), bytes.to_vec());
    }

    pub(crate) fn remove(&self, name: &str) {
        self.files.lock().unwrap().remove(&Path::new(ROOT).join(name));
    }

    pub(crate) fn snapshot(&self, at: &str) -> Option<Snapshot> {
        let contents = self.shared.lock().unwrap();
        contents.objects.iter().find(|(known, _)| known.as_str() == at).map(|(_, object)| object.snapshot())
    }

    pub(crate) fn snapshots(&self) -> BTreeMap<String, Snapshot> {
        let contents = self.shared.lock().unwrap();
        contents.objects.iter().map(|(at, object)| (at.to_string(), object.snapshot())).collect()
    }

    pub(crate) fn is_kind(&self, at: &str, kind: TargetKind) -> bool {
        let contents = self.shared.lock().unwrap();
        contents.places.iter().any(|(known, place)| known.as_str() == at && place.settings.kind() == kind)
    }

    /// Somebody deletes an object.
    pub(crate) fn delete(&self, at: &str) {
        self.shared.lock().unwrap().objects.retain(|known, _| known.as_str() != at);
    }

    /// The value at every place that ever was a target of a secret.
    pub(crate) fn values(&self, first: &str) -> BTreeMap<String, String> {
        let places = self.places.lock().unwrap();
        let mine = places.iter().filter(|(_, (of, _))| of == first);
        let mut values = BTreeMap::new();
        for (at, (_, place)) in mine {
            let value = match place.settings.kind() {
                TargetKind::File => self.in_file(place),
                _ => {
                    let contents = self.shared.lock().unwrap();
                    let object = contents.objects.get(at);
                    object.and_then(|object| object.versions.last()).map(|(_, value)| text(value))
                }
            };
            values.extend(value.map(|value| (at.to_string(), value)));
        }
        values
    }

    fn in_file(&self, place: &Place) -> Option<String> {
        let wire = Arc::new(Wire::new(&Job::default(), &self.time));
        let disk = Arc::new(SimDisk { files: Arc::clone(&self.files), wire });
        let local = LocalProvider::new(PathBuf::from(ROOT), disk, Arc::new(Chance::new(0)));
        let stored = block_on(local.read(&[place])).pop().unwrap();
        stored.ok().map(|stored| text(&stored.value))
    }

    /// Runs to the end, or until the process dies.
    pub(crate) fn run(&mut self, text: &str, job: &Job) {
        let manifest = self.manifest(text);
        let end = block_on(self.process(&manifest, job));
        self.story.push(format!("{text}\n{job:?}"));
        self.note(end);
        self.tell();
    }

    /// Adds something to the story.
    pub(crate) fn tell(&mut self) {
        let objects = self
            .snapshots()
            .into_iter()
            .map(|(at, (versions, mark, ..))| format!("    {at} {versions:?} {}", mark.unwrap_or_default()));
        self.story.append(&mut self.shared.lock().unwrap().log);
        let lines = [self.done.join("\n    "), format!("said {:?}", self.said), objects.collect::<Vec<_>>().join("\n")];
        self.story.push(lines.join("\n    "));
    }

    /// One process; nothing if it died.
    async fn process(&self, manifest: &Manifest, job: &Job) -> Option<End> {
        let wire = Arc::new(Wire::new(job, &self.time));
        let process = Process::new(self, &wire, manifest, job);
        tokio::select! {
            biased;
            () = wire.death() => None,
            end = process.run() => Some(end),
        }
    }

    fn note(&mut self, end: Option<End>) {
        (self.said, self.done, self.changed, self.saved) = (Vec::new(), Vec::new(), false, false);
        let Some(End { plan, outcome, error }) = end else { return self.said.push("it died".into()) };
        self.said.extend(error);
        self.said.extend(plan.held().map(|(secret, hold)| format!("{} is held: {}", secret.name, hold.reason)));
        for (secret, target) in plan.targets().filter(|(_, target)| target.action != Action::Keep) {
            *self.tally.entry(target.action.as_str()).or_default() += 1;
            self.done.push(format!("{} {}: {} ({})", secret.name, target.name, target.action.as_str(), target.why));
        }
        self.changed = plan.has_changes();
        self.drifted = plan.targets().any(|(_, target)| target.drifted);
        let Some(outcome) = outcome else { return };
        self.saved = matches!(outcome.saved, Some(Ok(_)));
        self.said.extend(outcome.saved.and_then(Result::err).map(|error| error.to_string()));
        for secret in &outcome.secrets {
            self.said.extend(secret.failure.clone());
            let failed =
                secret.targets.iter().filter_map(|done| if let Done::Failed(why) = done { Some(why) } else { None });
            self.said.extend(failed.cloned());
        }
    }
}

/// Two processes at the same stores, each on a machine of its own, step by step in a seeded order.
pub(crate) fn both(worlds: &mut [World; 2], text: &str, jobs: &[Job; 2]) {
    let manifest = worlds[0].manifest(text);
    let other = worlds[1].manifest(text);
    let [first, second] = &worlds;
    let ends = block_on(async { tokio::join!(first.process(&manifest, &jobs[0]), second.process(&other, &jobs[1])) });
    worlds[0].note(ends.0);
    worlds[1].note(ends.1);
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local!(static RUNTIME: Runtime = Builder::new_current_thread().build().unwrap());
    RUNTIME.with(|runtime| runtime.block_on(future))
}

struct Process<'a> {
    manifest: &'a Manifest,
    job: &'a Job,
    stores: Stores,
    disk: Arc<dyn Disk>,
    entropy: Arc<Chance>,
    clock: Arc<SimClock>,
    sleep: Arc<SimSleep>,
    /// The forge that keeps the lease, and this run's name.
    lease: Option<(Arc<RefForge>, String)>,
}

impl<'a> Process<'a> {
    fn new(world: &World, wire: &Arc<Wire>, manifest: &'a Manifest, job: &'a Job) -> Self {
        let number = world.runs.fetch_add(1, Ordering::Relaxed);
        let entropy = Arc::new(Chance::new(job.seed ^ u64::from(number)));
        let store = |kinds| -> Option<Arc<dyn Provider>> {
            Some(Arc::new(SimStore {
                shared: Arc::clone(&world.shared),
                wire: Arc::clone(wire),
                kinds,
                down: job.down,
                rivals: job.turns > 0,
            }))
        };
        let disk: Arc<dyn Disk> = Arc::new(SimDisk { files: Arc::clone(&world.files), wire: Arc::clone(wire) });
        let local =
            LocalProvider::new(PathBuf::from(ROOT), Arc::clone(&disk), Arc::clone(&entropy) as Arc<dyn Entropy>);
        let stores = vec![
            store(&[TargetKind::SecretsManager, TargetKind::SsmParameter]),
            store(&[TargetKind::KeyVault]),
            store(&[TargetKind::Kv]),
            Some(Arc::new(local)),
        ];
        let lease = world.kept.as_ref().map(|kept| {
            let forge = RefForge { kept: Arc::clone(kept), wire: Arc::clone(wire) };
            (Arc::new(forge), format!("{}.{number}", job.seed))
        });
        let clock = Arc::new(SimClock(Arc::clone(&world.time)));
        let sleep = Arc::new(SimSleep { time: Arc::clone(&world.time), wire: Arc::clone(wire) });
        Self { manifest, job, stores, disk, entropy, clock, sleep, lease }
    }

    async fn ledger(&self) -> Result<(Box<dyn Ledger>, Opened), LedgerError> {
        let Some((forge, id)) = &self.lease else {
            let ledger = FileLedger::new(Arc::clone(&self.disk), Path::new(ROOT).join(LOCK));
            let opened = ledger.open()?;
            return Ok((Box::new(ledger), opened));
        };
        let time = (Arc::clone(&self.clock) as Arc<dyn Clock>, Arc::clone(&self.sleep) as Arc<dyn Sleep>);
        let holder = Holder { id: id.clone(), url: id.clone(), commit: None };
        let forge = Arc::clone(forge) as Arc<dyn Forge>;
        let (name, mut patience) = ("refs/x/y".into(), WAIT_MAX);
        let (ledger, opened) =
            RefLedger::open(forge, time, name, "Secretfile.yml", holder, Some(&mut patience)).await?;
        Ok((Box::new(ledger), opened))
    }

    async fn run(&self) -> End {
        let (ledger, opened) = match self.ledger().await {
            Ok(opened) => opened,
            Err(error) => return End { plan: Plan::default(), outcome: None, error: Some(error.to_string()) },
        };
        let identities = Identities::of(self.manifest, "", None);
        let scope = Scope { kinds: self.job.kinds.clone(), ..Scope::default() };
        let request = Request {
            manifest: self.manifest,
            stores: &self.stores,
            identities: &identities,
            opened: &opened,
            scope: &scope,
            options: self.job.options,
            clock: self.clock.as_ref(),
            entropy: self.entropy.as_ref(),
        };
        let depth = if self.job.refresh { Depth::Plan } else { Depth::Apply };
        let mut prepared = prepare(&request, depth).await;
        if self.job.refresh {
            only_look(&mut prepared.plan);
        }
        let outcome = self.apply(&prepared, &opened, ledger.as_ref()).await;
        let (outcome, error) = outcome.map_or_else(|error| (None, Some(error.to_string())), |done| (Some(done), None));
        End { plan: prepared.plan, outcome, error }
    }

    async fn apply(
        &self,
        prepared: &Prepared<'_>,
        opened: &Opened,
        ledger: &dyn Ledger,
    ) -> Result<Outcome, LedgerError> {
        apply(Run {
            allowed: BTreeMap::new(),
            views: &prepared.views,
            plan: &prepared.plan,
            values: prepared.values.clone(),
            stores: &self.stores,
            lock: opened.lock.clone(),
            ledger,
            clock: self.clock.as_ref(),
            entropy: self.entropy.as_ref(),
            progress: &Silent,
        })
        .await
    }
}

/// What `refresh` does to a plan.
fn only_look(plan: &mut Plan) {
    for secret in &mut plan.secrets {
        secret.next = Next::Keep;
        for target in &mut secret.targets {
            let behind = !matches!(target.action, Action::Keep | Action::Metadata);
            target.action = if behind { Action::LeftOut } else { Action::Keep };
            target.changes.clear();
        }
    }
}
