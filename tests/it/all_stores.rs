//! One file over all stores at once, whatever goes wrong at any of them: the power is cut before and
//! after every write, a reply is lost, a write acts twice, a store fails or is down. The next run ends
//! with one value everywhere, the one that some store already held.

use std::collections::{BTreeMap, BTreeSet};

use crate::fake::aws::{self, FakeAws, FaultPlan};
use crate::fake::azure::{self, FakeAzure};
use crate::fake::gcp::{self, FakeGcp, Nth};
use crate::sandbox::{Ran, Sandbox};
use crate::vault::{Bao, Proxy, ProxyFault};

/// Each secret has its primary in another store.
const SECRETFILE: &str = "
metadata: {project: all}
providers:
  aws: {kind: aws, auth: {kind: ambient, config: {region: us-east-1}}}
  azure: {kind: azure, auth: {kind: default}}
  vault: {kind: vault, auth: {kind: token, config: {url: '${VAULT_ADDR}', token: '${VAULT_TOKEN}'}}}
  gcp: {kind: gcp, auth: {kind: ambient, config: {project_id: shop-prod}}}
secrets:
  - name: first
    kind: random_password
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: first, tags: {Team: a}}}
      - {provider: azure, kind: key_vault, config: {vault_url: 'https://kv-test.vault.azure.net', secret_name: first}}
      - {provider: vault, kind: kv, config: {path: first, metadata: {team: a}}}
      - {provider: gcp, kind: secret_manager, config: {secret_id: first, labels: {team: a}}}
  - name: second
    kind: random_string
    targets:
      - {provider: gcp, kind: secret_manager, primary: true, config: {secret_id: second}}
      - {provider: aws, kind: ssm_parameter, config: {name: /second}}
      - {provider: vault, kind: kv, config: {path: second}}
  - name: third
    kind: random_string
    targets:
      - {provider: azure, kind: key_vault, primary: true, config: {vault_url: 'https://kv-test.vault.azure.net', secret_name: third}}
      - {provider: vault, kind: kv, config: {path: third}}
      - {provider: gcp, kind: secret_manager, config: {secret_id: third}}
  - name: fourth
    kind: random_string
    targets:
      - {provider: vault, kind: kv, primary: true, config: {path: fourth}}
      - {provider: azure, kind: key_vault, config: {vault_url: 'https://kv-test.vault.azure.net', secret_name: fourth}}
      - {provider: aws, kind: secrets_manager, config: {name: fourth}}
";

const NAMES: [&str; 4] = ["first", "second", "third", "fourth"];
const PLACES: usize = 13;
const SYNC: [&str; 3] = ["sync", "--rate-limit", "off"];

/// Where something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    Aws,
    Azure,
    Vault,
    Google,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    CutBefore,
    CutAfter,
    Twice,
    LostReply,
    Fails,
}

const FAULTS: [Fault; 5] = [Fault::CutBefore, Fault::CutAfter, Fault::Twice, Fault::LostReply, Fault::Fails];

struct World {
    aws: FakeAws,
    azure: FakeAzure,
    bao: Bao,
    proxy: Proxy,
    gcp: FakeGcp,
    sandbox: Sandbox,
}

impl World {
    async fn new() -> Self {
        let (aws, azure, gcp, bao) = (FakeAws::start(), FakeAzure::start(), FakeGcp::start(), Bao::start().await);
        let proxy = bao.proxy();
        let sandbox = Sandbox::with(SECRETFILE);
        sandbox.write("ca.pem", azure.ca());
        let ca = sandbox.path("ca.pem").display().to_string();
        let sandbox = sandbox.env(aws.env()).env(azure.env(&ca)).env(gcp.env());
        let sandbox = sandbox.env([("VAULT_ADDR", proxy.url()), ("VAULT_TOKEN", "root"), ("NO_PROXY", "127.0.0.1")]);
        Self { aws, azure, bao, proxy, gcp, sandbox }
    }

    /// Plans the fault for a write of a store, counted from 1.
    fn plan(&self, store: Store, fault: Fault, nth: usize) {
        match store {
            Store::Aws => {
                let fault = match fault {
                    Fault::CutBefore => aws::Fault::CutBefore,
                    Fault::CutAfter => aws::Fault::CutAfter,
                    Fault::Twice => aws::Fault::Twice,
                    Fault::LostReply => aws::Fault::LostReply,
                    Fault::Fails => aws::Fault::Status(500, "InternalServiceError"),
                };
                self.aws.fault(FaultPlan { effect: nth, fault });
            }
            Store::Azure => {
                let fault = match fault {
                    Fault::CutBefore => azure::Fault::CutBefore,
                    Fault::CutAfter => azure::Fault::CutAfter,
                    Fault::Twice => azure::Fault::Twice,
                    Fault::LostReply => azure::Fault::LostReply,
                    Fault::Fails => azure::Fault::Status(500),
                };
                self.azure.fault(nth, fault);
            }
            Store::Vault => {
                let fault = match fault {
                    Fault::CutBefore => ProxyFault::CutBefore,
                    Fault::CutAfter => ProxyFault::CutAfter,
                    Fault::Twice => ProxyFault::Twice,
                    Fault::LostReply => ProxyFault::LostReply,
                    Fault::Fails => ProxyFault::Status(500, None),
                };
                self.proxy.fault(nth, fault);
            }
            Store::Google => {
                let fault = match fault {
                    Fault::CutBefore => gcp::Fault::CutBefore,
                    Fault::CutAfter => gcp::Fault::CutAfter,
                    Fault::Twice => gcp::Fault::Twice,
                    Fault::LostReply => gcp::Fault::LostReply,
                    Fault::Fails => gcp::Fault::Status(500, "INTERNAL"),
                };
                self.gcp.fault(Nth::Effect(nth), fault);
            }
        }
    }

    fn effects(&self, store: Store) -> usize {
        match store {
            Store::Aws => self.aws.effects(),
            Store::Azure => self.azure.effects(),
            Store::Vault => self.proxy.writes().len(),
            Store::Google => self.gcp.effects(),
        }
    }

    /// Runs with the fault; whether the fault was reached.
    fn faulty(&self, args: &[&str], store: Store, fault: Fault, nth: usize) -> (bool, Ran) {
        self.plan(store, fault, nth);
        let child = self.sandbox.spawn(args);
        self.aws.victim(child.id());
        self.azure.victim(child.id());
        self.proxy.victim(child.id());
        self.gcp.victim(child.id());
        let ran = Ran::from(child.wait_with_output().unwrap());
        self.aws.drain();
        let reached = self.effects(store) >= nth;
        self.revive();
        (reached, ran)
    }

    fn revive(&self) {
        self.aws.revive();
        self.azure.revive();
        self.proxy.revive();
        self.gcp.revive();
    }

    fn forget(&self) {
        self.aws.forget_requests();
        self.azure.forget_requests();
        self.proxy.forget();
        self.gcp.forget_requests();
    }

    /// The value at every place that has one, by secret and store.
    async fn values(&self) -> BTreeMap<(&'static str, &'static str), String> {
        let mut values = BTreeMap::new();
        for name in NAMES {
            let secret = self.aws.secret(name);
            let current = secret.as_ref().and_then(|s| s.versions.iter().find(|v| v.stages.contains("AWSCURRENT")));
            values.extend(current.map(|version| ((name, "secrets manager"), version.value.clone())));
            let parameter = self.aws.parameter(&format!("/{name}"));
            values.extend(parameter.map(|parameter| ((name, "ssm"), parameter.value)));
            let object = self.azure.secret(name);
            values.extend(object.map(|object| ((name, "azure"), object.current().value.clone())));
            let (status, entry) = self.bao.call(reqwest::Method::GET, &format!("secret/data/{name}"), None).await;
            let fields = entry["data"]["data"].as_object().filter(|_| status == 200);
            values.extend(fields.map(|fields| {
                let value = fields.values().next().unwrap();
                ((name, "vault"), value.as_str().unwrap().to_owned())
            }));
            if let Some(secret) = self.gcp.secret(name) {
                let enabled = secret.enabled().into_iter().next_back();
                values.extend(enabled.map(|(_, value)| ((name, "google"), value)));
            }
        }
        values
    }

    /// The next run finishes the job, with values that were there; the one after finds nothing to do.
    async fn judge(&self, before: &BTreeMap<(&str, &str), String>, may_be_new: bool, case: &str) {
        let between = self.values().await;
        let second = self.sandbox.run(&SYNC);
        assert_eq!(second.code, Some(0), "{case}: {second:?}");
        let after = self.values().await;
        assert_eq!(after.len(), PLACES, "{case}: every target holds a value: {:?}", after.keys());
        for name in NAMES {
            let of = |values: &BTreeMap<(&str, &str), String>| -> BTreeSet<String> {
                values.iter().filter(|((secret, _), _)| *secret == name).map(|(_, value)| value.clone()).collect()
            };
            let (held, now) = (of(&between), of(&after));
            assert_eq!(now.len(), 1, "{case}: all targets of {name} are equal");
            assert!(held.is_empty() || now.is_subset(&held), "{case}: {name} was generated again");
            assert!(may_be_new || held.is_empty() || held.len() == 1, "{case}: {name} was forked");
            let old = of(before);
            assert!(may_be_new || old.is_empty() || old == now, "{case}: {name} is another value");
        }
        self.forget();
        self.sandbox.expect(0, &SYNC);
        let writes: usize =
            [Store::Aws, Store::Azure, Store::Vault, Store::Google].map(|s| self.effects(s)).iter().sum();
        assert_eq!(writes, 0, "{case}: a third run has nothing to do");
    }
}

/// Each fault at each write of a store, while `args` runs; `lock_lost` between the two runs.
async fn every_write(store: Store, args: &[&str], lock_lost: bool) {
    let rotates = args[0] == "rotate";
    for fault in FAULTS {
        for nth in 1.. {
            let world = World::new().await;
            if rotates {
                world.sandbox.expect(0, &SYNC);
            }
            let before = world.values().await;
            let (reached, first) = world.faulty(args, store, fault, nth);
            if lock_lost {
                world.sandbox.remove(".gitsecrets.lock");
                world.sandbox.remove(".gitsecrets.lock.journal");
            }
            let case = format!("{fault:?} at write {nth} of {store:?} in {args:?}, lock lost: {lock_lost}\n{first:?}");
            world.judge(&before, rotates, &case).await;
            if !reached {
                assert!(nth > 3, "{case}: there are writes to cut");
                break;
            }
        }
    }
}

const ROTATE: [&str; 12] = [
    "rotate",
    "--force",
    "--secret",
    "first",
    "--secret",
    "second",
    "--secret",
    "third",
    "--secret",
    "fourth",
    "--rate-limit",
    "off",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_survives_every_fault_at_every_write_to_aws() {
    every_write(Store::Aws, &SYNC, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_survives_every_fault_at_every_write_to_azure() {
    every_write(Store::Azure, &SYNC, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_survives_every_fault_at_every_write_to_vault() {
    every_write(Store::Vault, &SYNC, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_survives_every_fault_at_every_write_to_google() {
    every_write(Store::Google, &SYNC, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_survives_every_fault_at_every_write_to_azure() {
    every_write(Store::Azure, &ROTATE, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_survives_every_fault_at_every_write_to_vault() {
    every_write(Store::Vault, &ROTATE, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_survives_every_fault_at_every_write_to_google() {
    every_write(Store::Google, &ROTATE, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_is_partial_and_the_next_run_finishes_with_the_same_value() {
    let world = World::new().await;
    world.proxy.fail("POST", "", usize::MAX, ProxyFault::Status(503, None));
    world.proxy.fail("PATCH", "", usize::MAX, ProxyFault::Status(503, None));
    let ran = world.sandbox.run(&["sync", "--rate-limit", "off", "--retry-max-attempts", "1"]);
    assert_eq!(ran.code, Some(8), "{ran:?}");
    let before = world.values().await;
    let stores: BTreeSet<&str> = before.keys().map(|(_, store)| *store).collect();
    assert_eq!(stores, BTreeSet::from(["azure", "google", "secrets manager", "ssm"]), "all but Vault went on");
    assert!(!before.keys().any(|(name, _)| *name == "fourth"), "its primary is Vault");
    world.proxy.mend();
    world.judge(&before, false, "Vault took no writes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_generated_while_a_store_cannot_be_read() {
    let world = World::new().await;
    world.proxy.fail("GET", "", usize::MAX, ProxyFault::Status(503, None));
    let ran = world.sandbox.run(&["sync", "--rate-limit", "off", "--retry-max-attempts", "1"]);
    assert_eq!(ran.code, Some(4), "every secret has a place there: {ran:?}");
    assert!(world.values().await.is_empty());
    world.proxy.mend();
    world.judge(&BTreeMap::new(), false, "Vault was sealed").await;
}
