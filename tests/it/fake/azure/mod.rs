//! A stateful Azure: Key Vaults, Entra and the metadata service of a machine, with the real limits and
//! with faults on demand.
//!
//! One port speaks as a company's proxy (`CONNECT`) and as the hosts themselves, over TLS with a CA of
//! its own; what is inside is routed by `Host`. The real binary reaches it by `HTTPS_PROXY` and
//! `SSL_CERT_FILE` ([`FakeAzure::env`]), and so do Microsoft's clients for Python
//! ([`FakeAzure::python_env`]); a client in the test by [`FakeAzure::client`].
//!
//! - **State** is looked at and changed with [`FakeAzure::edit`].
//! - **Requests** are recorded: [`FakeAzure::requests`], [`FakeAzure::count`]; writes are counted from 1
//!   ([`FakeAzure::effects`]), and [`FakeAzure::fault`] makes one of them go wrong.
//! - **Rights** are those of the application that holds the token ([`FakeAzure::deny`]); in a vault that
//!   [`World::govern`] put under Azure RBAC those of its roles ([`rights::Rbac`]).
//! - **Time** moves with every change; deletion and recovery take [`World::transition_looks`].
//!
//! No third party's Key Vault was at hand to compare it with; Microsoft's clients pass their paces
//! against it (`tests/it/azure/judges.rs`).

mod certificates;
mod entra;
mod front;
mod rights;
mod vault;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};

pub(crate) use certificates::python;
pub(crate) use rights::object_id;
pub(crate) use world::{Application, Object, State as ObjectState, TENANT, World};

/// The application that [`FakeAzure::env`] logs in as.
pub(crate) const CLIENT: &str = "99999999-8888-7777-6666-555555555555";
/// Its secret.
pub(crate) const CLIENT_SECRET: &str = "canary~azure-client-secret";
/// A vault that exists from the beginning.
pub(crate) const VAULT: &str = "kv-test.vault.azure.net";

/// Versions of the API that the vaults speak; without one they refuse
/// (<https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses>).
const API_VERSIONS: &[&str] = &["7.4", "7.5", "7.6", "2025-07-01", "2026-04-01"];

/// An error of a vault.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: u16,
    code: String,
    inner: Option<String>,
    /// Instead of one that quotes the request.
    message: Option<String>,
}

impl Refusal {
    fn new(status: u16, code: &str) -> Self {
        Self { status, code: code.to_owned(), inner: None, message: None }
    }

    fn inner(status: u16, code: &str, inner: &str) -> Self {
        Self { inner: Some(inner.to_owned()), ..Self::new(status, code) }
    }
}

/// How a write goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It acts, and its answer is lost.
    LostReply,
    /// The connection is cut before it acts.
    Unheard,
    /// The client dies before it acts ([`FakeAzure::victim`]); nothing is answered until
    /// [`FakeAzure::revive`].
    CutBefore,
    /// The client dies after it acted, without hearing so.
    CutAfter,
    /// It acts twice; the second answer is heard.
    Twice,
    /// It does not act; this status is answered.
    Status(u16),
    /// It acts, and so does somebody else right after it.
    Overtaken,
}

/// A token bucket of one second's size.
struct Bucket {
    per_second: f64,
    tokens: f64,
    at: std::time::Instant,
}

impl Bucket {
    /// Whether one more is allowed.
    fn take(&mut self) -> bool {
        let earned = self.at.elapsed().as_secs_f64() * self.per_second;
        (self.tokens, self.at) = ((self.tokens + earned).min(self.per_second), std::time::Instant::now());
        let allowed = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(allowed));
        allowed
    }
}

/// A request as it came in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) path: Vec<String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Json,
    /// The right that it needs; empty outside vaults.
    pub(crate) right: String,
    /// The application that holds its token; empty outside vaults.
    pub(crate) client: String,
    /// The application lacks a right for it.
    pub(crate) denied: bool,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

#[derive(Default)]
struct Inner {
    world: World,
    requests: Vec<Request>,
    effects: usize,
    fault: Option<(usize, Fault)>,
    victim: Option<u32>,
    dead: bool,
    /// Counts creations, as a vault does.
    quota: Option<Bucket>,
    /// So many requests are refused with 429, and told to come back after so many seconds.
    throttle: (usize, u64),
    throttled: usize,
}

/// A running fake.
pub(crate) struct FakeAzure {
    shared: Arc<Mutex<Inner>>,
    front: front::Front,
}

impl FakeAzure {
    /// Starts with one empty vault and one application.
    pub(crate) fn start() -> Self {
        let mut world = World::new();
        world.vault(VAULT);
        let application = Application { secret: Some(CLIENT_SECRET.into()), ..Application::default() };
        world.applications.insert(CLIENT.into(), application);
        let shared = Arc::new(Mutex::new(Inner { world, ..Inner::default() }));
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        Self { shared, front: front::Front::start(router) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The CA in PEM.
    pub(crate) fn ca(&self) -> &str {
        &self.front.ca
    }

    /// The address of the metadata service.
    pub(crate) fn machine_url(&self) -> String {
        format!("http://{}", self.front.inside)
    }

    /// The environment for a process that should meet this Azure, through its proxy; `ca_path` is a
    /// file with [`FakeAzure::ca`].
    pub(crate) fn env(&self, ca_path: &str) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("HTTPS_PROXY", format!("http://{}", self.front.address)),
            ("SSL_CERT_FILE", ca_path.to_owned()),
            ("AZURE_TENANT_ID", TENANT.into()),
            ("AZURE_CLIENT_ID", CLIENT.into()),
            ("AZURE_CLIENT_SECRET", CLIENT_SECRET.into()),
        ])
    }

    /// The same for Python, whose HTTP library has a variable of its own.
    pub(crate) fn python_env(&self, ca_path: &str) -> BTreeMap<&'static str, String> {
        let mut env = self.env(ca_path);
        env.insert("REQUESTS_CA_BUNDLE", ca_path.to_owned());
        env
    }

    /// A client in the test's own process that finds every host here.
    pub(crate) fn client(&self) -> reqwest::Client {
        let ca = reqwest::Certificate::from_pem(self.ca().as_bytes()).unwrap();
        let proxy = reqwest::Proxy::https(format!("http://{}", self.front.address)).unwrap();
        let builder = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().proxy(proxy);
        builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
    }

    /// Lets the proxy lead to a server of somebody else's, named by `host:port`.
    pub(crate) fn relay(&self, host: &str, to: std::net::SocketAddr) {
        self.front.relays.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), to);
    }

    /// The hosts that the proxy was asked for.
    pub(crate) fn tunnels(&self) -> BTreeSet<String> {
        self.front.tunnels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at or changes the world behind the client's back.
    pub(crate) fn edit<T>(&self, edit: impl FnOnce(&mut World) -> T) -> T {
        edit(&mut self.lock().world)
    }

    /// A secret of [`VAULT`].
    pub(crate) fn secret(&self, name: &str) -> Option<Object> {
        self.edit(|world| world.vault(VAULT).secrets.get(name).cloned())
    }

    /// A certificate of [`VAULT`].
    pub(crate) fn certificate(&self, name: &str) -> Option<Object> {
        self.edit(|world| world.vault(VAULT).certificates.get(name).cloned())
    }

    /// Takes a right from the application, such as `secrets/list`.
    pub(crate) fn deny(&self, right: &str) {
        self.edit(|world| world.applications.get_mut(CLIENT).unwrap().denied.insert(right.to_owned()));
    }

    /// Lets the write with that number, counted from now and from 1, go wrong.
    pub(crate) fn fault(&self, effect: usize, fault: Fault) {
        let mut inner = self.lock();
        inner.effects = 0;
        inner.fault = Some((effect, fault));
    }

    /// The process that a cut kills.
    pub(crate) fn victim(&self, process_id: u32) {
        self.lock().victim = Some(process_id);
    }

    /// Power is back, no fault is planned.
    pub(crate) fn revive(&self) {
        let mut inner = self.lock();
        (inner.dead, inner.victim, inner.fault) = (false, None, None);
    }

    /// Refuses the next so many requests to vaults with 429.
    pub(crate) fn throttle(&self, requests: usize, retry_after_seconds: u64) {
        self.lock().throttle = (requests, retry_after_seconds);
    }

    /// Counts creations against a quota: secrets that are set and certificates that are imported
    /// together (<https://learn.microsoft.com/azure/key-vault/general/service-limits>).
    pub(crate) fn quota(&self, per_second: f64) {
        self.lock().quota = Some(Bucket { per_second, tokens: per_second, at: std::time::Instant::now() });
    }

    /// How many requests were refused with 429.
    pub(crate) fn throttled(&self) -> usize {
        self.lock().throttled
    }

    /// How many writes came since the last [`FakeAzure::fault`] or [`FakeAzure::forget_requests`].
    pub(crate) fn effects(&self) -> usize {
        self.lock().effects
    }

    /// Every request since the last [`FakeAzure::forget_requests`].
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// How many requests needed a right.
    pub(crate) fn count(&self, right: &str) -> usize {
        self.lock().requests.iter().filter(|request| request.right == right).count()
    }

    /// Starts counting anew.
    pub(crate) fn forget_requests(&self) {
        let mut inner = self.lock();
        inner.requests.clear();
        inner.effects = 0;
    }
}

async fn handle(
    State(shared): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: BTreeMap<String, String> =
        headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
    let host = headers.get("host").and_then(|host| host.split(':').next()).unwrap_or_default().to_owned();
    let path = uri.path().split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let query = form(uri.query().unwrap_or_default().as_bytes());
    let parsed = serde_json::from_slice(&body).unwrap_or_default();
    let request =
        Request { method: method.to_string(), host, path, query, headers, body: parsed, ..Request::default() };
    let answer = shared.lock().unwrap_or_else(PoisonError::into_inner).answer(request, &body);
    // Hanging up: unlike a panic, this prints nothing.
    answer.unwrap_or_else(|| std::panic::resume_unwind(Box::new("hung up")))
}

impl Inner {
    /// The answer, or `None` to hang up.
    fn answer(&mut self, mut request: Request, body: &[u8]) -> Option<Response> {
        if matches!(request.path.first().map(String::as_str), Some("metadata" | "msi")) {
            self.requests.push(request.clone());
            return Some(plain(entra::machine(&mut self.world, &request)));
        }
        if entra::CLOUDS.iter().any(|(host, ..)| *host == request.host) {
            self.requests.push(request.clone());
            return Some(plain(entra::act(&mut self.world, &request, &form(body))));
        }
        if self.dead {
            return None;
        }
        request.right = vault::right(&request.method, &request.path);
        request.client = self.holder(&request).map(|(client, _)| client.clone()).unwrap_or_default();
        self.requests.push(request.clone());
        let creates = request.method == "PUT" || request.path.last().is_some_and(|part| part == "import");
        let over = creates && self.quota.as_mut().is_some_and(|quota| !quota.take());
        if self.throttle.0 > 0 || over {
            let after = if over { 1 } else { self.throttle.1 }.to_string();
            self.throttle.0 = self.throttle.0.saturating_sub(usize::from(!over));
            self.throttled += 1;
            // <https://learn.microsoft.com/azure/key-vault/general/overview-throttling>
            let mut answer = refuse(&Refusal::new(429, "Throttled"), &request, body);
            answer.headers_mut().insert("retry-after", after.parse().unwrap());
            return Some(answer);
        }
        if let Err(refusal) = self.admitted(&request) {
            self.requests.last_mut().unwrap().denied = refusal.status == 403;
            return Some(refuse(&refusal, &request, body));
        }
        if request.method != "GET" {
            self.effects += 1;
            let now = self.effects;
            match self.fault.take_if(|(effect, _)| *effect == now).map(|(_, fault)| fault) {
                Some(Fault::Unheard) => return None,
                Some(Fault::LostReply) => {
                    drop(vault::act(&mut self.world, &request));
                    return None;
                }
                Some(fault @ (Fault::CutBefore | Fault::CutAfter)) => {
                    if fault == Fault::CutAfter {
                        drop(vault::act(&mut self.world, &request));
                    }
                    self.dead = true;
                    self.victim.into_iter().for_each(kill);
                    return None;
                }
                Some(Fault::Twice) => drop(vault::act(&mut self.world, &request)),
                Some(Fault::Overtaken) => {
                    let answer = vault::act(&mut self.world, &request);
                    let name = request.path.get(1).map_or("", String::as_str);
                    self.world.put(&request.host, name, "a rival's", &[]);
                    return answer.ok().map(plain);
                }
                Some(Fault::Status(status)) => return Some(refuse(&Refusal::new(status, "Planned"), &request, body)),
                None => {}
            }
        }
        Some(match vault::act(&mut self.world, &request) {
            Ok(answer) => plain(answer),
            Err(refusal) => refuse(&refusal, &request, body),
        })
    }

    /// The application that a token was given to, and for which resource.
    fn holder(&self, request: &Request) -> Option<&(String, String)> {
        self.world.tokens.get(request.header("authorization")?.strip_prefix("Bearer ")?)
    }

    /// Whether the token is one of ours for this vault, and whether its owner has the right.
    fn admitted(&self, request: &Request) -> Result<(), Refusal> {
        let vault = self.world.vaults.get(&request.host).ok_or_else(|| Refusal::new(404, "NotFound"))?;
        let unauthorized = || Refusal::new(401, "Unauthorized");
        let (client, resource) = self.holder(request).ok_or_else(unauthorized)?;
        let fits = entra::CLOUDS.iter().any(|(_, of, suffix)| request.host.ends_with(suffix) && of == resource);
        if !fits {
            return Err(unauthorized());
        }
        if !request.query.get("api-version").is_some_and(|version| API_VERSIONS.contains(&version.as_str())) {
            return Err(Refusal::new(400, "BadParameter"));
        }
        let application = self.world.applications.get(client).cloned().unwrap_or_default();
        let on = format!("{} {}", request.right, request.path.get(1).map_or("", String::as_str));
        if application.denied.contains(&request.right) || application.denied.contains(&on) {
            return Err(Refusal::inner(403, "Forbidden", "ForbiddenByRbac"));
        }
        rights::admit(&self.world, vault, request, client)
    }
}

/// Takes a process's power.
pub(crate) fn kill(process_id: u32) {
    let killed = std::process::Command::new("kill").args(["-KILL", &process_id.to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()), "process {process_id} could not be killed");
}

fn plain((status, json): (u16, Json)) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    if json.is_null() {
        return status.into_response();
    }
    (status, [("content-type", "application/json; charset=utf-8")], json.to_string()).into_response()
}

/// An error as a vault puts it. If the vendor's words are not known, its message quotes the whole request,
/// value included: nobody may pass such a message on.
fn refuse(refusal: &Refusal, request: &Request, asked: &[u8]) -> Response {
    let quoted = || format!("refused: {}", String::from_utf8_lossy(asked));
    let message = refusal.message.clone().unwrap_or_else(quoted);
    let mut error = json!({ "code": refusal.code, "message": message });
    if let Some(inner) = &refusal.inner {
        error["innererror"] = json!({ "code": inner });
    }
    let mut answer = plain((refusal.status, json!({ "error": error })));
    if refusal.status == 401 {
        let cloud = entra::CLOUDS.iter().find(|(.., suffix)| request.host.ends_with(suffix)).unwrap();
        let challenge = format!("Bearer authorization=\"https://{}/{TENANT}\", resource=\"{}\"", cloud.0, cloud.1);
        answer.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
    }
    answer
}

/// A form or a query.
fn form(bytes: &[u8]) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://x/?{}", String::from_utf8_lossy(bytes)));
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}
