//! The door of the fake Azure: a port that takes `CONNECT` as a proxy or TLS at once, ends TLS with a
//! certificate of its own CA, and passes what is inside to a plain server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// Every host that the certificate is for.
pub(super) const HOSTS: &[&str] = &[
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "*.vault.azure.net",
    "*.vault.usgovcloudapi.net",
    "*.vault.azure.cn",
];

/// Addresses by `host:port`.
type Relays = Arc<Mutex<BTreeMap<String, SocketAddr>>>;

/// A running door with its server.
pub(super) struct Front {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Where the plain server behind it listens.
    pub(super) inside: SocketAddr,
    /// The CA in PEM.
    pub(super) ca: String,
    /// What `CONNECT` asked for.
    pub(super) tunnels: Arc<Mutex<BTreeSet<String>>>,
    /// Where `CONNECT` leads for hosts that are not Azure's, byte for byte.
    pub(super) relays: Relays,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Front {
    pub(super) fn start(router: Router) -> Self {
        let (ca, acceptor) = authority();
        let [listener, plain] = [(); 2].map(|()| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        });
        let (address, inside) = (listener.local_addr().unwrap(), plain.local_addr().unwrap());
        let tunnels: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let heard = Arc::clone(&tunnels);
        let relays = Relays::default();
        let elsewhere = Arc::clone(&relays);
        let serve = async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, heard, elsewhere) = (acceptor.clone(), Arc::clone(&heard), Arc::clone(&elsewhere));
                tokio::spawn(async move {
                    // A client that does not trust us hangs up, which is no trouble of ours.
                    let _ = pass(stream, &acceptor, &heard, &elsewhere, inside).await;
                });
            }
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let plain = axum::serve(TcpListener::from_std(plain).unwrap(), router);
                tokio::select! { () = serve => {}, served = plain => served.unwrap(), _ = stopped => {} }
            });
        });
        Self { address, inside, ca, tunnels, relays, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A CA, and a server with a certificate of it for every host.
fn authority() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Python's TLS asks what a CA's key may be used for.
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::DigitalSignature];
    // To OpenSSL a certificate whose issuer has its own name is one that signed itself.
    params.distinguished_name.push(rcgen::DnType::CommonName, "CA of the fake Azure");
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let names: Vec<String> = HOSTS.iter().map(|host| (*host).to_owned()).collect();
    let leaf_key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(names).unwrap();
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "fake Azure");
    leaf.use_authority_key_identifier_extension = true;
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
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

async fn pass(
    mut stream: TcpStream,
    acceptor: &TlsAcceptor,
    heard: &Mutex<BTreeSet<String>>,
    relays: &Relays,
    inside: SocketAddr,
) -> std::io::Result<()> {
    let mut first = [0_u8; 1];
    stream.peek(&mut first).await?;
    if first == *b"C" {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let host = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        heard.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned());
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        let relay = relays.lock().unwrap_or_else(PoisonError::into_inner).get(host).copied();
        if let Some(relay) = relay {
            copy_bidirectional(&mut stream, &mut TcpStream::connect(relay).await?).await?;
            return Ok(());
        }
    }
    let mut outside = acceptor.accept(stream).await?;
    let mut behind = TcpStream::connect(inside).await?;
    copy_bidirectional(&mut outside, &mut behind).await?;
    Ok(())
}
