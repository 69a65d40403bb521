//! A stateful GitHub for one repository, on loopback, in its own thread.
//!
//! Start it, seed it, point the client (or the real binary, by `GITHUB_API_URL`) at [`FakeGithub::url`],
//! then look at what stands there:
//!
//! ```ignore
//! let github = FakeGithub::start();                       // octo/demo, branch main, one commit
//! let token = github.workflow_token(&[("pull-requests", "write")]); // others: none
//! let head = github.commit("feature", &[("Secretfile.yml", b"…")]);
//! let pull = github.open_pull("feature", "main");
//! github.fault("POST", "/comments", 1, Fault::LoseReply); // acts, then breaks the connection
//! github.before("PATCH", "/git/refs/", |world| …);        // a racing writer, once
//! // … run …
//! assert_eq!(github.comments(pull).len(), 1);
//! assert!(github.requests().iter().all(|request| request.path.starts_with("/repos/octo/demo/")));
//! ```
//!
//! What it enforces, from docs.github.com/rest unless named otherwise: permissions per token and
//! area; 65,536 characters a comment; 50 annotations a request, appended; unknown tokens are 401;
//! refs move by fast-forward only, a second create is 422; pages of at most 100. Object ids are
//! SHA-256 cut to 40 digits, not git's. Both `/…` and `/api/v3/…` (GHES) are served.

mod git;
mod issues;
mod routes;
mod world;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use tokio::sync::oneshot;

use world::{Actor, Reply};
pub(crate) use world::{Check, Comment, Fault, Issue, Recorded, World};

/// A running fake; stops when dropped.
pub(crate) struct FakeGithub {
    world: Arc<Mutex<World>>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeGithub {
    /// The repository served.
    pub(crate) const REPOSITORY: &'static str = "octo/demo";

    /// Starts with repository `octo/demo`, id 1001, private, whose `main` holds one commit.
    pub(crate) fn start() -> Self {
        let world = Arc::new(Mutex::new(World::new()));
        let (stop, stopped) = oneshot::channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("an address");
        let app = Router::new().fallback(answer).with_state(Arc::clone(&world));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    served = async { axum::serve(listener, app).await } => served.expect("served"),
                    _ = stopped => {}
                }
            });
        });
        Self { world, address, stop: Some(stop), thread: Some(thread) }
    }

    /// `GITHUB_API_URL` of github.com's shape.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `GITHUB_API_URL` of GHES' shape.
    pub(crate) fn ghes_url(&self) -> String {
        format!("http://{}/api/v3", self.address)
    }

    /// Everything, for what no method below covers.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new workflow's token (`github-actions[bot]`) with these permissions and no others.
    pub(crate) fn workflow_token(&self, permissions: &[(&str, &str)]) -> String {
        self.app_token("github-actions", permissions)
    }

    /// A new installation token of another App.
    pub(crate) fn app_token(&self, slug: &str, permissions: &[(&str, &str)]) -> String {
        self.token(Actor { login: format!("{slug}[bot]"), app: Some(slug.to_owned()), permissions: own(permissions) })
    }

    /// A new token of a person.
    pub(crate) fn user_token(&self, login: &str, permissions: &[(&str, &str)]) -> String {
        self.token(Actor { login: login.to_owned(), app: None, permissions: own(permissions) })
    }

    fn token(&self, actor: Actor) -> String {
        self.world().token_of(actor)
    }

    /// Commits files (added to those of the branch; the branch starts at `main`) and returns the commit.
    pub(crate) fn commit(&self, branch: &str, files: &[(&str, &[u8])]) -> String {
        self.world().commit_on(branch, files)
    }

    /// Opens a pull request from a branch of this repository.
    pub(crate) fn open_pull(&self, head: &str, base: &str) -> u64 {
        self.world().open_pull(head, base, Some(World::REPOSITORY_ID))
    }

    /// Opens a pull request as from a fork.
    pub(crate) fn open_fork_pull(&self, head: &str, base: &str) -> u64 {
        self.world().open_pull(head, base, Some(World::REPOSITORY_ID + 1))
    }

    /// Merges a pull request with a merge commit and returns it.
    pub(crate) fn merge_pull(&self, number: u64) -> String {
        self.world().merge_pull(number)
    }

    /// Sets what a person may do here: `read`, `triage`, `write`, `maintain`, `admin`.
    pub(crate) fn collaborator(&self, login: &str, role: &str) {
        self.world().collaborators.insert(login.to_owned(), role.to_owned());
    }

    /// Writes a comment as somebody; a login that ends in `[bot]` is an App.
    pub(crate) fn comment_as(&self, login: &str, pull: u64, body: &str) -> u64 {
        self.world().comment_as(login, pull, body)
    }

    /// The comments of a pull request, oldest first.
    pub(crate) fn comments(&self, pull: u64) -> Vec<Comment> {
        self.world().comments.iter().filter(|comment| comment.issue == pull).cloned().collect()
    }

    /// The issues that are no pull requests, oldest first.
    pub(crate) fn issues(&self) -> Vec<Issue> {
        self.world().issues.values().cloned().collect()
    }

    /// All checks, oldest first.
    pub(crate) fn checks(&self) -> Vec<Check> {
        self.world().checks.clone()
    }

    /// Where a ref stands.
    pub(crate) fn ref_sha(&self, name: &str) -> Option<String> {
        self.world().refs.get(name).cloned()
    }

    /// A file under a ref.
    pub(crate) fn file(&self, reference: &str, path: &str) -> Option<Vec<u8>> {
        self.world().file(reference, path)
    }

    /// Makes the next `times` requests of this method whose path contains `part` fail.
    pub(crate) fn fault(&self, method: &str, part: &str, times: u32, fault: Fault) {
        self.world().faults.push((method.to_owned(), part.to_owned(), times, fault));
    }

    /// Does something, once, just before such a request is answered: a racing writer.
    pub(crate) fn before(&self, method: &str, part: &str, act: impl FnOnce(&mut World) + Send + 'static) {
        self.world().races.push((method.to_owned(), part.to_owned(), Box::new(act)));
    }

    /// Every request so far, those that a fault refused included.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.world().requests.clone()
    }

    /// How many requests of a method had a path that contains `part`.
    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        self.requests().iter().filter(|request| request.method == method && request.path.contains(part)).count()
    }
}

impl Drop for FakeGithub {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn own(permissions: &[(&str, &str)]) -> Vec<(String, String)> {
    permissions.iter().map(|(area, level)| ((*area).to_owned(), (*level).to_owned())).collect()
}

async fn answer(
    State(world): State<Arc<Mutex<World>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let reply = {
        let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
        routes::answer(&mut world, method.as_str(), &uri, &headers, &body)
    };
    send(reply)
}

fn send(reply: Reply) -> Response<Body> {
    let mut response = Response::builder().status(reply.status).header("content-type", "application/json");
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    let body = if reply.lost {
        // The connection breaks before the body comes.
        Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("lost"))]))
    } else if reply.status == 204 {
        Body::empty()
    } else {
        Body::from(reply.body.to_string())
    };
    response.body(body).expect("a response")
}
