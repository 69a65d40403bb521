//! A stateful Google: Secret Manager, and everything that hands out tokens for it.
//!
//! `FakeGcp::start()` serves on a loopback port in a thread of its own until it is dropped. Start the
//! real binary with [`FakeGcp::env`], or point a provider at [`FakeGcp::url`].
//!
//! - **State** is read with [`FakeGcp::secret`] and changed behind the client's back with [`FakeGcp::edit`].
//! - **Requests** are recorded by the permission that they need: [`FakeGcp::count`], [`FakeGcp::effects`];
//!   the whole exchange, for a judge, with [`FakeGcp::exchanges`].
//! - **Rights**: [`FakeGcp::deny`] a permission such as `secrets.list`, [`FakeGcp::grant`] a few and no other;
//!   or roles and bindings of each principal, with conditions, by [`FakeGcp::govern`].
//! - **Lists that lag**: after [`FakeGcp::freeze_lists`] lists show what stood then.
//! - **Quotas**: [`FakeGcp::quota`] puts a token bucket before a [`Class`] of calls.
//! - **Faults**: [`FakeGcp::fault`] makes one call go wrong ([`Fault`]), counted among effects or all.
//! - **Order**: [`FakeGcp::interleave`] lets the calls of several clients act in a given order.
//! - **Sign-in**: keys, pools and who may impersonate whom with [`FakeGcp::trust`].
//!
//! It checks etags, checksums, patterns, sizes, masks, times and immutable fields as Google documents
//! them, names projects by number, and is judged by Google's own Python client and discovery document.

pub(crate) mod api;
mod condition;
pub(crate) mod fault;
mod limits;
mod rights;
pub(crate) mod sign_in;
pub(crate) mod world;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};
use tokio::sync::Notify;

pub(crate) use fault::{Class, Fault, Nth};
pub(crate) use rights::Iam;
pub(crate) use world::{Secret, World};

use fault::{Gate, Verdict};
use sign_in::SignIn;

/// The project that everything belongs to.
pub(crate) const PROJECT: &str = "shop-prod";

/// An error of Google.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: u16,
    code: String,
    /// The permission that IAM lacks, and on what.
    lacking: Option<[String; 2]>,
}

impl Refusal {
    fn new(status: u16, code: &str) -> Self {
        Self { status, code: code.to_owned(), lacking: None }
    }

    fn throttled() -> Self {
        Self::new(429, "RESOURCE_EXHAUSTED")
    }
}

/// A request of the API, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) permission: String,
    /// Of the secret; empty for none or many.
    pub(crate) id: String,
    /// The principal.
    pub(crate) by: String,
    /// IAM refused it.
    pub(crate) denied: bool,
    version: String,
    query: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Asked {
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A running fake.
pub(crate) struct FakeGcp {
    url: String,
    shared: Arc<Shared>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    turned: Notify,
}

#[derive(Default)]
struct Inner {
    world: World,
    gate: Gate,
    sign_in: SignIn,
    /// If set, only what it gives is allowed.
    iam: Option<Iam>,
    requests: Vec<Asked>,
    exchanges: Vec<Json>,
    /// Whose call acts next, by the client's name; empty lets everybody act.
    turns: VecDeque<String>,
    /// Called before the first call that needs a permission.
    hooks: Vec<(String, Hook)>,
}

type Hook = Box<dyn FnOnce(&mut World) + Send>;

impl FakeGcp {
    /// Starts an empty project.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (bound, address) = std::sync::mpsc::channel();
        let state = Arc::clone(&shared);
        let serve = async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            bound.send(listener.local_addr().unwrap()).unwrap();
            let router = Router::new().fallback(handle).with_state(state);
            tokio::select! {
                served = axum::serve(listener, router) => served.unwrap(),
                _ = stopped => {}
            }
        };
        let thread = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(serve);
        });
        let url = format!("http://{}", address.recv().unwrap());
        let fake = Self { url, shared, stop: Some(stop), thread: Some(thread) };
        fake.lock().sign_in.url.clone_from(&fake.url);
        fake
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its address without the scheme.
    pub(crate) fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// The environment for a process on a machine at this Google, with a service account attached.
    pub(crate) fn env(&self) -> BTreeMap<String, String> {
        let mut env = self.endpoints();
        env.insert("GCE_METADATA_HOST".into(), self.host().to_owned());
        env
    }

    /// The environment for a process that should meet this Google and no other.
    pub(crate) fn endpoints(&self) -> BTreeMap<String, String> {
        let services = ["SECRETMANAGER", "STS", "IAMCREDENTIALS"];
        let name = |service: &str| format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}");
        services.iter().map(|service| (name(service), self.url.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at or changes the project behind the client's back.
    pub(crate) fn edit<T>(&self, edit: impl FnOnce(&mut World) -> T) -> T {
        edit(&mut self.lock().world)
    }

    /// A secret.
    pub(crate) fn secret(&self, id: &str) -> Option<Secret> {
        self.edit(|world| world.secrets.get(id).cloned())
    }

    /// Says who is trusted.
    pub(crate) fn trust<T>(&self, change: impl FnOnce(&mut SignIn) -> T) -> T {
        change(&mut self.lock().sign_in)
    }

    /// Forbids what needs a permission; `secrets.get db` forbids it on one secret.
    pub(crate) fn deny(&self, permission: &str) {
        self.lock().gate.denied.insert(permission.to_owned());
    }

    /// Allows everything again.
    pub(crate) fn allow_all(&self) {
        let mut inner = self.lock();
        inner.gate.denied.clear();
        inner.gate.granted = None;
    }

    /// Allows these permissions and no others.
    pub(crate) fn grant(&self, permissions: &[&str]) {
        self.lock().gate.granted = Some(permissions.iter().map(|permission| (*permission).to_owned()).collect());
    }

    /// Looks at or changes who may do what; from now on IAM decides.
    pub(crate) fn govern<T>(&self, change: impl FnOnce(&mut Iam) -> T) -> T {
        change(self.lock().iam.get_or_insert_default())
    }

    /// Every request of the API since [`FakeGcp::forget_requests`].
    pub(crate) fn requests(&self) -> Vec<Asked> {
        self.lock().requests.clone()
    }

    /// From now on lists show the project as it is now.
    pub(crate) fn freeze_lists(&self) {
        self.edit(|world| world.frozen = Some(world.secrets.clone()));
    }

    /// Allows so many calls of a class per second, with a burst of one second.
    pub(crate) fn quota(&self, class: Class, per_second: f64) {
        self.lock().gate.set_quota(class, per_second);
    }

    /// How many requests a quota refused.
    pub(crate) fn throttled(&self) -> usize {
        self.lock().gate.throttled
    }

    /// Lets one call go wrong; counting starts again at 1.
    pub(crate) fn fault(&self, nth: Nth, fault: Fault) {
        self.lock().gate.plan(nth, fault);
    }

    /// The process that a cut kills.
    pub(crate) fn victim(&self, process_id: u32) {
        self.lock().gate.victim = Some(process_id);
    }

    /// Power is back, no fault is planned.
    pub(crate) fn revive(&self) {
        self.lock().gate.revive();
    }

    /// Does something to the project just before the next call that needs a permission.
    pub(crate) fn before(&self, permission: &str, hook: impl FnOnce(&mut World) + Send + 'static) {
        self.lock().hooks.push((permission.to_owned(), Box::new(hook)));
    }

    /// Lets clients act in this order; each is named by the end of its address: `<url>/as/<name>`.
    pub(crate) fn interleave(&self, turns: impl IntoIterator<Item = String>) {
        self.lock().turns = turns.into_iter().collect();
    }

    /// A client makes no more calls: nobody waits for it any longer.
    pub(crate) fn leave(&self, name: &str) {
        self.lock().turns.retain(|turn| turn != name);
        self.shared.turned.notify_waiters();
    }

    /// How many calls changed something since [`FakeGcp::fault`] or [`FakeGcp::forget_requests`].
    pub(crate) fn effects(&self) -> usize {
        self.lock().gate.effects
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> usize {
        self.lock().gate.calls
    }

    /// How often a permission was needed.
    pub(crate) fn count(&self, permission: &str) -> usize {
        self.lock().requests.iter().filter(|asked| asked.permission == permission).count()
    }

    /// Every request of the API with its answer.
    pub(crate) fn exchanges(&self) -> Vec<Json> {
        self.lock().exchanges.clone()
    }

    /// Starts counting anew.
    pub(crate) fn forget_requests(&self) {
        let mut inner = self.lock();
        inner.requests.clear();
        (inner.gate.effects, inner.gate.calls) = (0, 0);
    }
}

impl Drop for FakeGcp {
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

async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (client, path) = match uri.path().strip_prefix("/as/").and_then(|rest| rest.split_once('/')) {
        Some((client, path)) => (client.to_owned(), format!("/{path}")),
        None => (String::new(), uri.path().to_owned()),
    };
    let query = form(uri.query().unwrap_or_default());
    loop {
        let turned = shared.turned.notified();
        tokio::pin!(turned);
        turned.as_mut().enable();
        let answered = {
            let mut inner = shared.inner.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(answer) = inner.sign_in.act(&method, &path, &headers, &body) {
                return answer;
            }
            match inner.turns.front() {
                Some(turn) if *turn != client => None,
                _ => {
                    inner.turns.pop_front();
                    Some(inner.answer(&method, &path, query.clone(), &headers, &body))
                }
            }
        };
        if let Some(answered) = answered {
            shared.turned.notify_waiters();
            return answered.unwrap_or_else(|| hang_up());
        }
        turned.await;
    }
}

impl Inner {
    /// The answer, or `None` to hang up.
    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: Vec<(String, String)>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<Response> {
        let Some(owner) = self.sign_in.owner(headers).cloned() else {
            return Some(refuse(&Refusal::new(401, "UNAUTHENTICATED")));
        };
        let Some(asked) = asked(method, path, query, body) else {
            return Some(refuse(&Refusal::new(404, "NOT_FOUND")));
        };
        let by = rights::member(&owner);
        let denied = self.iam.as_ref().and_then(|iam| iam.admit(&by, &asked).err());
        let asked = Asked { by, denied: denied.is_some(), ..asked };
        self.requests.push(asked.clone());
        if let Some(denied) = denied {
            return Some(refuse(&denied));
        }
        if let Some(at) = self.hooks.iter().position(|(permission, _)| *permission == asked.permission) {
            let (_, hook) = self.hooks.remove(at);
            hook(&mut self.world);
        }
        let answer = match self.gate.judge(&asked.permission, &asked.id) {
            Verdict::Act => api::act(&mut self.world, &asked),
            Verdict::ActTwice => {
                drop(api::act(&mut self.world, &asked));
                api::act(&mut self.world, &asked)
            }
            Verdict::Refuse(refusal) => Err(refusal),
            Verdict::HangUp { acted } => {
                if acted {
                    drop(api::act(&mut self.world, &asked));
                }
                self.gate.cut();
                return None;
            }
        };
        self.exchanges.push(json!({
            "method": method.as_str(),
            "path": path,
            "query": asked.query,
            "body": serde_json::from_slice::<Json>(body).ok(),
            "answer": answer.as_ref().ok(),
        }));
        Some(match answer {
            Ok(json) => (StatusCode::OK, [("content-type", "application/json; charset=UTF-8")], json.to_string())
                .into_response(),
            Err(refusal) => refuse(&refusal),
        })
    }
}

/// What a path means (<https://cloud.google.com/secret-manager/docs/reference/rest>).
fn asked(method: &Method, path: &str, query: Vec<(String, String)>, body: &[u8]) -> Option<Asked> {
    let rest = path.strip_prefix("/v1/projects/")?;
    let parts: Vec<&str> = rest.split('/').collect();
    let known = |project: &str| project == PROJECT || project == world::NUMBER;
    let (below, verb) = match parts.last()?.split_once(':') {
        Some((last, verb)) => ([&parts[..parts.len() - 1], &[last]].concat(), verb),
        None => (parts.clone(), ""),
    };
    let (permission, id, version) = match (method.as_str(), &below[..], verb) {
        ("POST", [project, "secrets"], "") if known(project) => ("secrets.create", "", ""),
        ("GET", [project, "secrets"], "") if known(project) => ("secrets.list", "", ""),
        ("GET", [project, "secrets", id], "") if known(project) => ("secrets.get", *id, ""),
        ("PATCH", [project, "secrets", id], "") if known(project) => ("secrets.update", *id, ""),
        ("DELETE", [project, "secrets", id], "") if known(project) => ("secrets.delete", *id, ""),
        ("POST", [project, "secrets", id], "addVersion") if known(project) => ("versions.add", *id, ""),
        ("GET", [project, "secrets", id, "versions"], "") if known(project) => ("versions.list", *id, ""),
        ("GET", [project, "secrets", id, "versions", version], "") if known(project) => ("versions.get", *id, *version),
        ("GET", [project, "secrets", id, "versions", version], "access") if known(project) => {
            ("versions.access", *id, *version)
        }
        ("POST", [project, "secrets", id, "versions", version], verb @ ("disable" | "enable" | "destroy"))
            if known(project) =>
        {
            let permission = match verb {
                "disable" => "versions.disable",
                "enable" => "versions.enable",
                _ => "versions.destroy",
            };
            (permission, *id, *version)
        }
        _ => return None,
    };
    let (permission, id, version) = (permission.to_owned(), id.to_owned(), version.to_owned());
    Some(Asked { permission, id, by: String::new(), denied: false, version, query, body: body.to_vec() })
}

/// Names and values of a query or a form.
pub(super) fn form(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let bytes = text.replace('+', " ").into_bytes();
        let (mut out, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let hex = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
            match hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
                Some(byte) => {
                    out.push(byte);
                    at += 3;
                }
                None => {
                    out.push(bytes[at]);
                    at += 1;
                }
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// An error as the API puts it, with a message that quotes what nobody may pass on unless Google's words are
/// known (<https://cloud.google.com/apis/design/errors>). A quota names when to come back, IAM what is lacking.
fn refuse(refusal: &Refusal) -> Response {
    let (message, details) = match &refusal.lacking {
        Some([permission, resource]) => (
            format!("Permission '{permission}' denied for resource '{resource}' (or it may not exist)."),
            json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED",
                "domain": "iam.googleapis.com", "metadata": { "permission": permission } }]),
        ),
        None if refusal.status == 429 => (
            "canary of the fake".to_owned(),
            json!([{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.2s" }]),
        ),
        None => ("canary of the fake".to_owned(), json!([])),
    };
    let error = json!({ "code": refusal.status, "message": message, "status": refusal.code, "details": details });
    let status = StatusCode::from_u16(refusal.status).unwrap();
    (status, [("content-type", "application/json; charset=UTF-8")], json!({ "error": error }).to_string())
        .into_response()
}
