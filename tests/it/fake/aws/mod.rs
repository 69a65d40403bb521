//! A stateful AWS: Secrets Manager, SSM, `GetCallerIdentity`, `AssumeRole` and
//! `AssumeRoleWithWebIdentity`, with the real limits and with faults on demand.
//!
//! `FakeAws::start()` serves on a loopback port in a thread of its own until it is dropped. Point a
//! client at [`FakeAws::url`], or start the real binary with [`FakeAws::env`].
//!
//! - **State** is read with [`FakeAws::secret`] and [`FakeAws::parameter`] and changed behind the
//!   client's back with [`FakeAws::edit`].
//! - **Requests** are recorded: [`FakeAws::requests`], [`FakeAws::count`], [`FakeAws::total`].
//! - **Rights**: [`FakeAws::deny`] an operation by its name, such as `ListSecrets`; on one object alone
//!   with [`FakeAws::deny_on`].
//! - **Roles** that trust an issuer, and what each may do, stand in [`World::federation`].
//! - **Lists that lag**: after [`FakeAws::freeze_lists`] lists show what stood then; **pages** that are
//!   small, empty or without end with [`World::paging`].
//! - **Replicas** are accepted at once and settled after [`World::replica_looks`] descriptions.
//! - **Quotas**: [`FakeAws::quota`] puts a token bucket before a [`Class`] of operations.
//! - **Faults**: mutating calls are counted from 1 ([`FakeAws::effects`]); [`FakeAws::fault`] makes
//!   one of them go wrong ([`Fault`]). A cut takes the client's power: the process named with
//!   [`FakeAws::victim`] is killed, and nothing is answered any more until [`FakeAws::revive`], so
//!   that a client inside the test dies as well. A loop over effects ends when a run needed fewer
//!   than the one to cut.
//!
//! What moto lacks and this enforces: sizes, names, tag patterns, tiers, policies, keys that do not
//! exist ([`World::keys`]), replicas that fail later, deletion that is scheduled, lists that lag.

pub(crate) mod fault;
mod limits;
mod secrets_manager;
mod ssm;
mod sts;
pub(crate) mod web_identity;
pub(crate) mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

pub(crate) use fault::{Class, Fault, FaultPlan};
pub(crate) use world::{Parameter, Secret, SecretVersion, World};

use fault::{Gate, Verdict};

/// The account that everything belongs to.
pub(crate) const ACCOUNT: &str = "123456789012";

/// The region that [`FakeAws::env`] names.
pub(crate) const REGION: &str = "us-east-1";

/// What an operation answers.
type Answer = Result<Json, Refusal>;

/// An error of AWS.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: u16,
    code: String,
}

impl Refusal {
    fn new(code: &str) -> Self {
        Self { status: 400, code: code.to_owned() }
    }
}

/// A request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) operation: String,
    pub(crate) region: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Json,
}

impl Request {
    /// The one object that it concerns; empty if none or many.
    fn object(&self) -> &str {
        let named = ["SecretId", "ResourceId", "Name"].iter().find_map(|member| limits::text(&self.body, member));
        named.unwrap_or_default()
    }
}

/// A running fake.
pub(crate) struct FakeAws {
    url: String,
    shared: Arc<Mutex<Inner>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Inner {
    world: World,
    gate: Gate,
    requests: Vec<Request>,
    in_flight: usize,
    in_flight_max: usize,
    delay: Duration,
}

impl FakeAws {
    /// Starts an empty account.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Mutex::new(Inner::default()));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (bound, address) = std::sync::mpsc::channel();
        let state = Arc::clone(&shared);
        let serve = async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            bound.send(listener.local_addr().unwrap()).unwrap();
            let router = Router::new().fallback(handle).with_state(state);
            let server = axum::serve(listener, router);
            tokio::select! {
                served = server => served.unwrap(),
                _ = stopped => {}
            }
        };
        let thread = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(serve);
        });
        let url = format!("http://{}", address.recv().unwrap());
        Self { url, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The environment for a process that should meet this AWS and no other.
    pub(crate) fn env(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_ACCESS_KEY_ID", "AKIDCANARY0000000000".into()),
            ("AWS_SECRET_ACCESS_KEY", "canary-aws-secret-key".into()),
            ("AWS_REGION", REGION.into()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ])
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at or changes the account behind the client's back.
    pub(crate) fn edit<T>(&self, edit: impl FnOnce(&mut World) -> T) -> T {
        edit(&mut self.lock().world)
    }

    /// The same at another moment, whenever what is returned is called.
    pub(crate) fn later(&self, act: impl FnOnce(&mut World) + Send + 'static) -> impl FnOnce() + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move || act(&mut shared.lock().unwrap_or_else(PoisonError::into_inner).world)
    }

    /// A secret of [`REGION`].
    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.edit(|world| world.region(REGION).secrets.get(name).cloned())
    }

    /// A parameter of [`REGION`].
    pub(crate) fn parameter(&self, name: &str) -> Option<Parameter> {
        self.edit(|world| world.region(REGION).parameters.get(name).cloned())
    }

    /// Forbids an operation.
    pub(crate) fn deny(&self, operation: &str) {
        self.lock().gate.denied.insert(operation.to_owned());
    }

    /// Forbids an operation on one object, named as in the request.
    pub(crate) fn deny_on(&self, operation: &str, name: &str) {
        self.lock().gate.denied.insert(format!("{operation} {name}"));
    }

    /// Allows everything again.
    pub(crate) fn allow_all(&self) {
        self.lock().gate.denied.clear();
    }

    /// From now on lists show the account as it is now.
    pub(crate) fn freeze_lists(&self) {
        self.edit(World::freeze);
    }

    /// Lists are true again.
    pub(crate) fn thaw_lists(&self) {
        self.edit(|world| world.frozen = None);
    }

    /// Allows so many operations of a class per second, with a burst of one second.
    pub(crate) fn quota(&self, class: Class, per_second: f64) {
        self.lock().gate.set_quota(class, per_second);
    }

    /// How many requests a quota refused.
    pub(crate) fn throttled(&self) -> usize {
        self.lock().gate.throttled
    }

    /// Delays every answer.
    pub(crate) fn delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Lets one effect go wrong; counting starts again at 1.
    pub(crate) fn fault(&self, plan: FaultPlan) {
        self.lock().gate.plan(plan);
    }

    /// The process that a cut kills.
    pub(crate) fn victim(&self, process_id: u32) {
        self.lock().gate.victim = Some(process_id);
    }

    /// Returns when what a dead client had sent before is dealt with: the server has one thread, so a
    /// request on a connection of our own comes after all that was on its way.
    pub(crate) fn drain(&self) {
        use std::io::{Read as _, Write as _};
        for _ in 0..3 {
            let mut stream = std::net::TcpStream::connect(self.url.trim_start_matches("http://")).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
            // Hung up or answered: both will do.
            drop(stream.read_to_end(&mut Vec::new()));
        }
    }

    /// Power is back, no fault is planned.
    pub(crate) fn revive(&self) {
        self.lock().gate.revive();
    }

    /// How many mutating calls came since the last [`FakeAws::fault`] or [`FakeAws::forget_requests`].
    pub(crate) fn effects(&self) -> usize {
        self.lock().gate.effects
    }

    /// Every request since the last [`FakeAws::forget_requests`].
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// How often an operation was asked for.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.lock().requests.iter().filter(|request| request.operation == operation).count()
    }

    /// How many requests there were.
    pub(crate) fn total(&self) -> usize {
        self.lock().requests.len()
    }

    /// The most requests that were under way at a time.
    pub(crate) fn in_flight_max(&self) -> usize {
        self.lock().in_flight_max
    }

    /// Starts counting anew.
    pub(crate) fn forget_requests(&self) {
        let mut inner = self.lock();
        inner.requests.clear();
        inner.gate.effects = 0;
        inner.in_flight_max = 0;
    }
}

impl Drop for FakeAws {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Cuts the connection without an answer: the task that serves it ends.
fn hang_up() -> ! {
    // Unlike a panic, this prints nothing.
    std::panic::resume_unwind(Box::new("hung up"))
}

async fn handle(State(shared): State<Arc<Mutex<Inner>>>, headers: HeaderMap, body: Bytes) -> Response {
    let delay = {
        let mut inner = shared.lock().unwrap_or_else(PoisonError::into_inner);
        inner.in_flight += 1;
        inner.in_flight_max = inner.in_flight_max.max(inner.in_flight);
        inner.delay
    };
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let answered = {
        let mut inner = shared.lock().unwrap_or_else(PoisonError::into_inner);
        inner.in_flight -= 1;
        inner.answer(&headers, &body)
    };
    answered.unwrap_or_else(|| hang_up())
}

impl Inner {
    /// The answer, or `None` to hang up.
    fn answer(&mut self, headers: &HeaderMap, body: &[u8]) -> Option<Response> {
        if headers.get("authorization").is_none()
            && sts::form(body).get("Action").is_some_and(|action| action == "AssumeRoleWithWebIdentity")
        {
            // Unsigned: the token is the credential.
            return self.caller(headers, REGION, body);
        }
        let Some(region) = region(headers) else {
            let refusal = Refusal { status: 403, code: "MissingAuthenticationTokenException".into() };
            return Some(refuse(&refusal, body));
        };
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Some((service, operation)) = header("x-amz-target").split_once('.') else {
            return self.caller(headers, &region, body);
        };
        let parsed: Json = serde_json::from_slice(body).unwrap_or_default();
        let request = Request { operation: operation.to_owned(), region, headers: all(headers), body: parsed };
        self.requests.push(request.clone());
        let act = |world: &mut World| match service {
            "secretsmanager" => secrets_manager::act(world, &request),
            "AmazonSSM" => ssm::act(world, &request),
            _ => Err(Refusal::new("UnknownOperationException")),
        };
        let key_id = credential(headers, 0).unwrap_or_default();
        if !self.world.federation.permits(&key_id, operation) {
            return Some(refuse(&Refusal::new("AccessDeniedException"), body));
        }
        let answer = match self.gate.judge(operation, request.object()) {
            Verdict::Act => act(&mut self.world),
            Verdict::ActTwice => {
                drop(act(&mut self.world));
                act(&mut self.world)
            }
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::HangUp { acted } => {
                if acted {
                    drop(act(&mut self.world));
                }
                self.gate.cut();
                return None;
            }
        };
        Some(match answer {
            Ok(json) => {
                (StatusCode::OK, [("content-type", "application/x-amz-json-1.1")], json.to_string()).into_response()
            }
            Err(refusal) => refuse(&refusal, body),
        })
    }

    /// STS speaks another protocol than the rest.
    fn caller(&mut self, headers: &HeaderMap, region: &str, body: &[u8]) -> Option<Response> {
        let form = sts::form(body);
        let action = form.get("Action").cloned().unwrap_or_default();
        let (operation, region) = (action.clone(), region.to_owned());
        let request = Request { operation, region, headers: all(headers), body: json!(form) };
        self.requests.push(request);
        let answer = match self.gate.judge(&action, "") {
            Verdict::HangUp { .. } => return None,
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::Act | Verdict::ActTwice => {
                sts::act(&mut self.world, &form, &credential(headers, 0).unwrap_or_default())
            }
        };
        Some(match answer {
            Ok(xml) => (StatusCode::OK, [("content-type", "text/xml")], xml).into_response(),
            Err(refusal) => sts::refuse(&refusal),
        })
    }
}

/// The region that a request was signed for
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>).
fn region(headers: &HeaderMap) -> Option<String> {
    credential(headers, 2)
}

/// Part of the signature's credential: key id, date, region, service.
fn credential(headers: &HeaderMap, part: usize) -> Option<String> {
    let authorization = headers.get("authorization")?.to_str().ok()?;
    let scope = authorization.split("Credential=").nth(1)?;
    scope.split('/').nth(part).map(str::to_owned)
}

/// Every header as text.
fn all(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into())).collect()
}

/// An error as the JSON protocol puts it. Its message quotes the whole request, value included: a
/// validation error of AWS quotes the part that it refuses, so nobody may pass such a message on.
fn refuse(refusal: &Refusal, asked: &[u8]) -> Response {
    let message = format!("1 validation error detected: {}", String::from_utf8_lossy(asked));
    let body = json!({ "__type": refusal.code, "message": message }).to_string();
    let status = StatusCode::from_u16(refusal.status).unwrap();
    (status, [("content-type", "application/x-amz-json-1.1"), ("x-amzn-errortype", &refusal.code)], body)
        .into_response()
}
