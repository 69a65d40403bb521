//! The line to the server: whom we trust, what we show, and what is refused.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value as Json, json};

use super::Bao;
use crate::sandbox::Sandbox;
use crate::servers::exported;

/// A CA with a certificate for the server and one for a client.
pub(crate) struct Authority {
    pub(crate) ca: String,
    server: (String, String),
    client: (String, String),
}

impl Authority {
    fn new() -> Self {
        Self::of(&["127.0.0.1"])
    }

    /// With a server of these names.
    pub(crate) fn of(names: &[&str]) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let leaf = |names: &[&str]| {
            let key = KeyPair::generate().unwrap();
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let cert = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
            (cert.pem(), key.serialize_pem())
        };
        Self { server: leaf(names), client: leaf(&["client"]), ca: ca.pem() }
    }
}

/// An OpenBao of its own, over TLS.
pub(crate) struct Server {
    process: Child,
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Server {
    pub(crate) async fn start(folder: &Sandbox, authority: &Authority, asks_for_clients: bool) -> Self {
        for (name, text) in [
            ("ca.pem", &authority.ca),
            ("server.pem", &authority.server.0),
            ("server.key", &authority.server.1),
            ("client.pem", &authority.client.0),
            ("client.key", &authority.client.1),
        ] {
            folder.write(name, text);
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |name: &str| folder.path(name).display().to_string();
        let mut tcp = json!({
            "address": format!("127.0.0.1:{port}"), "tls_cert_file": path("server.pem"), "tls_key_file": path("server.key"),
        });
        if asks_for_clients {
            tcp["tls_client_ca_file"] = json!(path("ca.pem"));
            tcp["tls_require_and_verify_client_cert"] = json!(true);
        }
        folder.write("bao.json", &json!({ "storage": { "inmem": {} }, "listener": [{ "tcp": tcp }] }).to_string());
        let process = Command::new(exported("OPENBAO"))
            .args(["server", "-config", &path("bao.json")])
            .env_clear()
            .env("HOME", folder.path("."))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { process, url: format!("https://127.0.0.1:{port}"), token: String::new() };
        server.unseal(client(authority)).await;
        server
    }

    async fn unseal(&mut self, http: reqwest::Client) {
        let bao = Bao::at(self.url.clone(), "", "", http.clone());
        while http.get(format!("{}/v1/sys/health", self.url)).send().await.is_err() {
            assert!(matches!(self.process.try_wait(), Ok(None)), "OpenBao does not start");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let init: Json = bao.post("sys/init", json!({ "secret_shares": 1, "secret_threshold": 1 })).await;
        self.token = init["root_token"].as_str().unwrap().to_owned();
        bao.post("sys/unseal", json!({ "key": init["keys"][0] })).await;
        let bao = bao.with_token(&self.token);
        while bao.call(reqwest::Method::GET, "sys/leader", None).await.1["is_self"] != true
            && bao.call(reqwest::Method::GET, "sys/health", None).await.0 != 200
        {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        bao.mount("secret", "kv", json!({ "version": "2" })).await;
    }
}

fn client(authority: &Authority) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(authority.ca.as_bytes()).unwrap();
    let pem = format!("{}{}", authority.client.1, authority.client.0);
    let identity = reqwest::Identity::from_pem(pem.as_bytes()).unwrap();
    reqwest::Client::builder().tls_certs_only([ca]).identity(identity).build().unwrap()
}

fn secretfile(server: &Server, settings: &str) -> String {
    format!(
        "metadata: {{project: tls}}
providers:
  vault:
    kind: vault
    auth: {{kind: token, config: {{url: '{}', token: '{}'{settings}}}}}
secrets:
  - name: token
    kind: random_string
    targets:
      - {{provider: vault, kind: kv, config: {{path: tls/token}}}}
",
        server.url, server.token
    )
}

fn run(folder: &Sandbox, server: &Server, settings: &str, code: i32) -> String {
    folder.write("Secretfile.yml", &secretfile(server, settings));
    let ran = folder.expect(code, &["sync", "--retry-max-attempts", "1"]);
    format!("{}{}", ran.stdout, ran.stderr)
}

#[tokio::test]
async fn an_own_authority_is_trusted_where_it_is_named_and_nowhere_else() {
    let (folder, authority) = (Sandbox::new(), Authority::new());
    let server = Server::start(&folder, &authority, false).await;
    let said = run(&folder, &server, "", 4);
    assert!(said.contains("certificate is not trusted") && said.contains("`ca_cert`"), "{said}");
    run(&folder, &server, ", ca_cert: ca.pem", 0);
    let said = run(&folder, &server, ", ca_cert: client.pem", 4);
    assert!(said.contains("certificate is not trusted"), "{said}");
    let said = run(&folder, &server, ", ca_cert: nowhere.pem", 4);
    assert!(said.contains("`ca_cert`") && said.contains("there is no such file"), "{said}");
    // Unchecked where a person looks on, never in CI.
    run(&folder, &server, ", tls_skip_verify: true", 0);
    let ci = Sandbox::with(&secretfile(&server, ", tls_skip_verify: true")).env([("CI", "true")]);
    let ran = ci.expect(4, &["sync"]);
    assert!(format!("{ran:?}").contains("is refused in CI"), "{ran:?}");
    assert!(Path::new(&folder.path(".gitsecrets.lock")).exists());
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_it() {
    let (folder, authority) = (Sandbox::new(), Authority::new());
    let server = Server::start(&folder, &authority, true).await;
    let said = run(&folder, &server, ", ca_cert: ca.pem", 4);
    assert!(said.contains("`client_cert`"), "{said}");
    run(&folder, &server, ", ca_cert: ca.pem, client_cert: client.pem, client_key: client.key", 0);
    let said = run(&folder, &server, ", ca_cert: ca.pem, client_cert: client.pem", 4);
    assert!(said.contains("go together"), "{said}");
}
