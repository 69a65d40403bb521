//! A host that nobody should call: it takes every connection and keeps what it hears.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest wait for what a caller says, so that a silent one holds nobody up.
const HEARING_MAX: Duration = Duration::from_secs(2);

/// A running one; stops when dropped.
pub(crate) struct Canary {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Canary {
    /// On this machine.
    pub(crate) fn start() -> Self {
        Self::at("127.0.0.1")
    }

    /// At another address of loopback, which counts as another machine.
    pub(crate) fn at(host: &str) -> Self {
        Self::answering(host, "HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned())
    }

    /// One that answers everybody the same.
    pub(crate) fn answering(host: &str, answer: String) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (hears, stops) = (Arc::clone(&heard), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stops.load(Ordering::SeqCst) {
                    break;
                }
                let said = stream.map(|stream| listen(stream, &answer)).unwrap_or_default();
                hears.lock().unwrap_or_else(PoisonError::into_inner).push(said);
            }
        });
        Self { address, heard, stop, thread: Some(thread) }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// How often it was called.
    pub(crate) fn count(&self) -> usize {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What it was told.
    pub(crate) fn heard(&self) -> String {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn listen(mut stream: TcpStream, answer: &str) -> String {
    stream.set_read_timeout(Some(HEARING_MAX)).unwrap();
    let mut bytes = [0; 4096];
    let length = stream.read(&mut bytes).unwrap_or(0);
    drop(stream.write_all(answer.as_bytes()));
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}
