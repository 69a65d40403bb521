//! Networks of companies: a proxy that must be used, ends TLS itself, and signs with a CA of its own.
//!
//! The proxy stands in front of the fakes. The binary is told of it by `HTTPS_PROXY` and
//! `SSL_CERT_FILE` alone, and believes that it speaks with `api.github.com` and AWS.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::canary::Canary;
use crate::fake::aws::FakeAws;
use crate::fake::github::FakeGithub;
use crate::job::Job;
use crate::sandbox::{Ran, Sandbox};

const SECRETFILE: &str = "
version: '1.0'
metadata: { project: shop }
providers:
  aws: { kind: aws, auth: { kind: ambient, config: { region: us-east-1 } } }
secrets:
  - name: api_key
    kind: random_string
    targets:
      - { provider: aws, kind: secrets_manager, config: { name: shop/api-key } }
      - { provider: aws, kind: ssm_parameter, config: { name: /shop/api-key, type: SecureString } }
";

/// Behind the proxy.
struct Company {
    github: FakeGithub,
    aws: FakeAws,
    proxy: Proxy,
    sandbox: Sandbox,
    job: Job,
    head: String,
}

impl Company {
    fn new(variables: &[&str]) -> Self {
        let (github, aws) = (FakeGithub::start(), FakeAws::start());
        let proxy = Proxy::start(&github.url(), aws.url());
        let rights = [("contents", "write"), ("pull-requests", "write"), ("checks", "write")];
        let mut cloud: BTreeMap<String, String> =
            aws.env().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        cloud.remove("AWS_ENDPOINT_URL");
        cloud.extend(variables.iter().map(|name| ((*name).to_owned(), proxy.url())));
        let job =
            Job { api_url: "https://api.github.com".into(), ..Job::on(&github, github.workflow_token(&rights), cloud) };
        let head = github.commit("main", &[("Secretfile.yml", SECRETFILE.as_bytes())]);
        let sandbox = Sandbox::with(SECRETFILE);
        sandbox.write("ca.pem", &proxy.ca);
        Self { github, aws, proxy, sandbox, job, head }
    }

    /// Trusts the company's CA.
    fn trusting(mut self) -> Self {
        let path = self.sandbox.path("ca.pem").display().to_string();
        self.job.cloud.insert("SSL_CERT_FILE".into(), path);
        self
    }

    fn push(&self) -> Ran {
        self.job.push(&self.sandbox, &self.head, &[("retry_max_attempts", "1")])
    }

    /// `secretzero sync`, which speaks with AWS only.
    fn sync(&self) -> Ran {
        let args = ["sync", "--rate-limit", "off", "--retry-max-attempts", "1"];
        self.sandbox.run_with(&args, &self.job.cloud)
    }
}

#[test]
fn a_job_works_through_a_proxy_that_signs_with_a_ca_of_its_own() {
    for variable in ["HTTPS_PROXY", "https_proxy"] {
        let company = Company::new(&[variable]).trusting();
        let ran = company.push();
        assert_eq!(ran.code, Some(0), "{variable}: {ran:?}");
        let value = company.aws.secret("shop/api-key").unwrap().value().unwrap().to_owned();
        assert_eq!(company.aws.parameter("/shop/api-key").unwrap().value, value);
        assert!(company.github.ref_sha("refs/secretzero/v1/default").is_some());
        let expected = ["api.github.com", "secretsmanager", "ssm", "sts"].map(|name| match name {
            "api.github.com" => "api.github.com:443".to_owned(),
            service => format!("{service}.us-east-1.amazonaws.com:443"),
        });
        assert_eq!(company.proxy.asked(), BTreeSet::from(expected), "{variable}");
    }
}

#[test]
fn without_its_ca_a_run_says_that_the_certificate_is_not_trusted_and_what_to_set() {
    let company = Company::new(&["HTTPS_PROXY"]);
    let (ran, synced) = (company.push(), company.sync());
    for (ran, code) in [(&ran, 1), (&synced, 4)] {
        assert_eq!(ran.code, Some(code), "{ran:?}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("certificate is not trusted"), "{said}");
        assert!(said.contains("SSL_CERT_FILE"), "{said}");
    }
    assert!(company.github.requests().is_empty() && company.aws.total() == 0, "no credential was sent");
}

#[test]
fn a_ca_file_that_is_another_ones_trusts_nobody() {
    let (company, other) = (Company::new(&["HTTPS_PROXY"]).trusting(), Company::new(&[]));
    company.sandbox.write("ca.pem", &other.proxy.ca);
    let ran = company.sync();
    assert_eq!((ran.code, company.aws.total()), (Some(4), 0), "{ran:?}");
}

#[test]
fn what_no_proxy_names_is_reached_directly() {
    let company = Company::new(&["HTTPS_PROXY", "HTTP_PROXY", "http_proxy"]);
    let elsewhere = Canary::start();
    let mut direct = company.job.cloud.clone();
    direct.insert("AWS_ENDPOINT_URL".into(), company.aws.url().into());
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "http_proxy"] {
        direct.insert(name.into(), format!("http://{}", elsewhere.address()));
    }
    let mut proxied = direct.clone();
    for name in ["NO_PROXY", "no_proxy"] {
        direct.insert(name.into(), "localhost,127.0.0.1".into());
        proxied.insert(name.into(), "example.com".into());
    }
    let job = |cloud: BTreeMap<String, String>| Job::on(&company.github, company.job.token.clone(), cloud);
    let ran = job(direct).push(&company.sandbox, &company.head, &[("retry_max_attempts", "1")]);
    assert_eq!((ran.code, elsewhere.count()), (Some(0), 0), "{ran:?}");
    // The other way round it must be the proxy that is asked, or the line above would say nothing.
    let args = ["sync", "--rate-limit", "off", "--retry-max-attempts", "1"];
    company.sandbox.run_with(&args, &proxied);
    assert!(elsewhere.heard().contains(company.aws.url()), "{}", elsewhere.heard());
}

/// Takes `CONNECT`, ends TLS as the host that was asked for, and passes the rest to a fake.
struct Proxy {
    address: SocketAddr,
    /// The CA in PEM.
    ca: String,
    asked: Arc<Mutex<BTreeSet<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    fn start(github: &str, aws: &str) -> Self {
        let (ca, acceptor) = authority();
        let asked: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let [github, aws] = [github, aws].map(|url| url.trim_start_matches("http://").to_owned());
        let hears = Arc::clone(&asked);
        let serve = async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, hears) = (acceptor.clone(), Arc::clone(&hears));
                let (github, aws) = (github.clone(), aws.clone());
                tokio::spawn(async move {
                    // A client that does not trust us hangs up, which is no trouble of ours.
                    let _ = tunnel(stream, &acceptor, &hears, &github, &aws).await;
                });
            }
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! { () = serve => {}, _ = stopped => {} }
            });
        });
        Self { address, ca, asked, stop: Some(stop), thread: Some(thread) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The hosts that it was asked for.
    fn asked(&self) -> BTreeSet<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A CA, and a server with a certificate of it for every host that a run asks for.
fn authority() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let names = ["api.github.com", "*.us-east-1.amazonaws.com"].map(str::to_owned).to_vec();
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(names).unwrap().signed_by(&leaf_key, &issuer).unwrap();
    let private = rustls::pki_types::PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)
        .unwrap();
    (ca, TlsAcceptor::from(Arc::new(config)))
}

async fn tunnel(
    mut stream: TcpStream,
    acceptor: &TlsAcceptor,
    asked: &Mutex<BTreeSet<String>>,
    github: &str,
    aws: &str,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let host = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
    asked.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone());
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    let mut inside = acceptor.accept(stream).await?;
    let mut behind = TcpStream::connect(if host.starts_with("api.github.com") { github } else { aws }).await?;
    copy_bidirectional(&mut inside, &mut behind).await?;
    Ok(())
}
