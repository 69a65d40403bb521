//! Every way to log in, what is sent where, and what a refusal says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use secretzero::environment::Environment;
use secretzero::oidc::TokenSource;
use secretzero::provider::azure::{AuthKind, AzureSettings};
use secretzero::provider::{Error, ErrorKind, Expect, Identity, Provider, Reading};
use secretzero::secret::SecretValue;
use serde_json::json;

use super::{provider, provider_of, secret, settings};
use crate::conformance::{look, text, value, write};
use crate::fake::azure::{Application, CLIENT, CLIENT_SECRET, FakeAzure, TENANT, VAULT};
use crate::sandbox::Sandbox;

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SUBJECT: &str = "repo:acme/shop:environment:production";
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// Somebody who vouches for runs, known to the fake by its public key.
struct Issuer {
    key: jsonwebtoken::EncodingKey,
    /// Changes to the claims of the next tokens.
    claims: Mutex<BTreeMap<&'static str, serde_json::Value>>,
}

impl Issuer {
    fn new(fake: &FakeAzure) -> Arc<Self> {
        let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let public = jsonwebtoken::DecodingKey::from_rsa_der(pair.public_key_raw());
        fake.edit(|world| {
            world.issuers.insert((ISSUER.into(), "key-1".into()), public);
            let trusted = [ISSUER, SUBJECT, AUDIENCE].map(str::to_owned);
            let application = Application { federated: vec![trusted], ..Application::default() };
            world.applications.insert(CLIENT.into(), application);
        });
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
        Arc::new(Self { key, claims: Mutex::default() })
    }

    fn mint(&self, audience: &str) -> String {
        let mut claims = json!({ "iss": ISSUER, "sub": SUBJECT, "aud": audience, "exp": 4_000_000_000_u64 });
        for (name, claim) in self.claims.lock().unwrap().iter() {
            claims[*name] = claim.clone();
        }
        let header = jsonwebtoken::Header {
            kid: Some("key-1".into()),
            ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256)
        };
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

#[async_trait]
impl TokenSource for Issuer {
    async fn token(&self, audience: &str) -> Result<SecretValue, Error> {
        Ok(SecretValue::from(self.mint(audience)))
    }
}

/// Settings of a kind of login that finds everything else in the environment.
fn found(auth_kind: AuthKind, variables: &[(&str, &str)]) -> AzureSettings {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    AzureSettings { auth_kind, environment: Environment::of(variables), ..AzureSettings::default() }
}

async fn identity(fake: &FakeAzure, settings: AzureSettings) -> Result<Identity, Error> {
    provider_of(fake, settings).identity().await
}

fn us(client: &str) -> Identity {
    Identity {
        account: TENANT.into(),
        principal: format!("application {client} (object object-of-{client})"),
        region: None,
    }
}

#[tokio::test]
async fn a_service_principal_logs_in_by_its_settings_or_by_the_environment() {
    let fake = FakeAzure::start();
    assert_eq!(identity(&fake, settings()).await, Ok(us(CLIENT)));
    let variables = [("AZURE_TENANT_ID", TENANT), ("AZURE_CLIENT_ID", CLIENT), ("AZURE_CLIENT_SECRET", CLIENT_SECRET)];
    assert_eq!(identity(&fake, found(AuthKind::Default, &variables)).await, Ok(us(CLIENT)));
}

#[tokio::test]
async fn a_login_that_is_refused_says_why_and_is_not_tried_again() {
    let fake = FakeAzure::start();
    let wrong = [
        (AzureSettings { client_secret: Some("canary-wrong".into()), ..settings() }, "AADSTS7000215"),
        (AzureSettings { client_id: Some("nobody".into()), ..settings() }, "AADSTS700016"),
        (AzureSettings { tenant_id: Some("nowhere.example".into()), ..settings() }, "AADSTS90002"),
    ];
    for (settings, code) in wrong {
        fake.forget_requests();
        let error = identity(&fake, settings).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unauthenticated);
        assert!(error.message.contains(code) && !error.message.contains("canary"), "{error}");
        assert_eq!(fake.requests().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn what_is_missing_is_said_before_anything_is_sent() {
    let fake = FakeAzure::start();
    for (kind, word) in [(AuthKind::ServicePrincipal, "client_secret"), (AuthKind::Oidc, "AZURE_TENANT_ID")] {
        let error = identity(&fake, found(kind, &[])).await.unwrap_err();
        assert!(error.kind == ErrorKind::Unauthenticated && error.message.contains(word), "{error}");
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_token_of_the_ci_system_is_exchanged_and_a_mismatch_shows_its_claims() {
    let fake = FakeAzure::start();
    let issuer = Issuer::new(&fake);
    let oidc = || AzureSettings {
        auth_kind: AuthKind::Oidc,
        client_secret: None,
        tokens: Some(Arc::clone(&issuer) as Arc<dyn TokenSource>),
        ..settings()
    };
    assert_eq!(identity(&fake, oidc()).await, Ok(us(CLIENT)));
    let default = AzureSettings { auth_kind: AuthKind::Default, ..oidc() };
    assert_eq!(identity(&fake, default).await, Ok(us(CLIENT)));
    for (claim, wrong, code) in [
        ("sub", json!("repo:acme/shop:pull_request"), "AADSTS700213"),
        ("sub", json!("Repo:acme/shop:environment:production"), "AADSTS700213"),
        ("iss", json!("https://token.actions.githubusercontent.com/"), "AADSTS700211"),
        ("aud", json!("api://azureadtokenexchange"), "AADSTS700212"),
        ("exp", json!(1_700_000_000), "AADSTS700024"),
    ] {
        *issuer.claims.lock().unwrap() = BTreeMap::from([(claim, wrong.clone())]);
        let error = identity(&fake, oidc()).await.unwrap_err();
        assert!(error.message.contains(code), "{error}");
        let shown = wrong.as_str().unwrap_or(SUBJECT);
        assert!(error.message.contains(&format!("`{shown}`")), "{error}");
    }
    issuer.claims.lock().unwrap().clear();
    let audience = AzureSettings { audience: Some("api://AzureADTokenExchangeUSGov".into()), ..oidc() };
    assert!(identity(&fake, audience).await.unwrap_err().message.contains("AADSTS700212"));
    // Somebody else's signature under the right claims.
    let other = Issuer::new(&FakeAzure::start());
    let forged = AzureSettings { tokens: Some(other as Arc<dyn TokenSource>), ..oidc() };
    assert!(identity(&fake, forged).await.unwrap_err().message.contains("AADSTS50013"));
}

#[tokio::test]
async fn a_workload_identity_reads_its_token_from_the_file_each_time() {
    let fake = FakeAzure::start();
    let issuer = Issuer::new(&fake);
    let sandbox = Sandbox::new();
    sandbox.write("token", &format!("{}\n", issuer.mint(AUDIENCE)));
    let path = sandbox.path("token").display().to_string();
    let variables =
        [("AZURE_TENANT_ID", TENANT), ("AZURE_CLIENT_ID", CLIENT), ("AZURE_FEDERATED_TOKEN_FILE", path.as_str())];
    let provider = provider_of(&fake, found(AuthKind::Default, &variables));
    assert_eq!(provider.identity().await, Ok(us(CLIENT)));
    sandbox.write("token", &"x".repeat(64 * 1024 + 1));
    let large = provider_of(&fake, found(AuthKind::Default, &variables)).identity().await.unwrap_err();
    assert!(large.message.contains("AZURE_FEDERATED_TOKEN_FILE") && large.message.ends_with("is too large"), "{large}");
    sandbox.write("token", "spoilt");
    fake.edit(|world| world.tokens.clear());
    let error = provider.read(&[&secret("a", |_| {})]).await.pop().unwrap().err().unwrap();
    assert_eq!(error.kind, ErrorKind::Unauthenticated, "{error}");
}

#[tokio::test]
async fn a_machine_logs_in_with_its_identity_and_sends_no_secret() {
    let fake = FakeAzure::start();
    let url = fake.machine_url();
    fake.edit(|world| world.machine = Some("machine-1".into()));
    let machine = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", url.as_str())];
    for kind in [AuthKind::ManagedIdentity, AuthKind::Default] {
        assert_eq!(identity(&fake, found(kind, &machine)).await, Ok(us("machine-1")), "{kind:?}");
    }
    assert!(fake.requests().iter().all(|request| !request.headers.contains_key("authorization")));
    let named =
        |client: &str| AzureSettings { client_id: Some(client.into()), ..found(AuthKind::ManagedIdentity, &machine) };
    assert_eq!(identity(&fake, named("machine-1")).await, Ok(us("machine-1")));
    let error = identity(&fake, named("another")).await.unwrap_err();
    assert!(error.message.contains("client_id") && error.message.contains("Azure authentication failed"), "{error}");
    let app_service = format!("{url}/msi/token");
    let functions = [("IDENTITY_ENDPOINT", app_service.as_str()), ("IDENTITY_HEADER", "canary-identity-header")];
    assert_eq!(identity(&fake, found(AuthKind::ManagedIdentity, &functions)).await, Ok(us("machine-1")));
}

#[tokio::test]
async fn one_token_serves_many_calls_and_a_refused_one_is_replaced() {
    let fake = FakeAzure::start();
    let (store, at) = (provider(&fake), secret("a", |_| {}));
    write(&store, &at, &text("1"), 1, Expect::Absent).await.unwrap();
    for _ in 0..5 {
        value(&store, &at).await.unwrap();
    }
    let tokens = || fake.requests().iter().filter(|request| request.host.starts_with("login.")).count();
    assert_eq!(tokens(), 1);
    fake.edit(|world| world.tokens.clear());
    assert_eq!(value(&store, &at).await.as_deref(), Ok("1"));
    assert_eq!(tokens(), 2);
    // A token that has no life left is renewed before it is used.
    fake.edit(|world| {
        world.tokens.clear();
        world.token_seconds = 0;
    });
    let hasty = provider(&fake);
    hasty.identity().await.unwrap();
    let before = tokens();
    assert_eq!(value(&hasty, &at).await.as_deref(), Ok("1"));
    assert!(tokens() > before);
}

#[tokio::test]
async fn a_sovereign_cloud_has_its_own_login_and_its_own_tokens() {
    let fake = FakeAzure::start();
    for (host, authority) in [
        ("kv-gov.vault.usgovcloudapi.net", "https://login.microsoftonline.us"),
        ("kv-cn.vault.azure.cn", "https://login.chinacloudapi.cn/"),
    ] {
        fake.edit(|world| drop(world.vault(host).secrets.clone()));
        let at = secret("a", |settings| settings.vault_url = format!("https://{host}"));
        let wrong = write(&provider(&fake), &at, &text("1"), 1, Expect::Absent).await;
        assert_eq!(wrong, Err(ErrorKind::Unauthenticated), "{host}");
        let said = provider(&fake).read(&[&at]).await.pop().unwrap().err().unwrap().message;
        assert!(said.contains(authority.trim_end_matches('/')), "{said}");
        let settings = AzureSettings { authority_host: Some(authority.into()), ..settings() };
        let store = provider_of(&fake, settings);
        store.identity().await.unwrap();
        write(&store, &at, &text("1"), 1, Expect::Absent).await.unwrap();
        let variables = [
            ("AZURE_AUTHORITY_HOST", authority),
            ("AZURE_TENANT_ID", TENANT),
            ("AZURE_CLIENT_ID", CLIENT),
            ("AZURE_CLIENT_SECRET", CLIENT_SECRET),
        ];
        let store = provider_of(&fake, found(AuthKind::Default, &variables));
        assert!(look(&store, &at, Reading::Each).await.is_some());
    }
}

#[tokio::test]
async fn nothing_is_sent_to_a_host_that_is_not_azures() {
    let fake = FakeAzure::start();
    for url in
        ["https://evil.example", "https://kv-test.vault.azure.net.evil.example", "http://kv-test.vault.azure.net"]
    {
        let at = secret("a", |settings| settings.vault_url = url.into());
        let error = provider(&fake).read(&[&at]).await.pop().unwrap().err().unwrap();
        assert_eq!(error.kind, ErrorKind::Invalid, "{url}");
        assert!(error.message.contains("no credential is sent"), "{error}");
    }
    let variables = [
        ("AZURE_AUTHORITY_HOST", "http://login.example"),
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_CLIENT_SECRET", CLIENT_SECRET),
    ];
    let error = identity(&fake, found(AuthKind::Default, &variables)).await.unwrap_err();
    assert!(error.message.contains("no credential is sent to http://login.example"), "{error}");
    assert!(fake.requests().is_empty() && fake.tunnels().is_empty());
}

#[test]
fn the_real_binary_logs_in_with_what_az_login_left() {
    let fake = FakeAzure::start();
    fake.edit(|world| {
        world.tokens.insert("canary-cli-token".into(), (CLIENT.into(), "https://vault.azure.net".into()));
        world.put(VAULT, "seen", "v", &[]);
    });
    let sandbox = Sandbox::with(&format!(
        "metadata: {{project: shop}}
providers:
  azure: {{kind: azure, auth: {{kind: cli, config: {{tenant_id: {TENANT}}}}}}}
secrets:
  - name: token
    kind: random_string
    targets:
      - {{provider: azure, kind: key_vault, config: {{vault_url: 'https://{VAULT}', secret_name: token}}}}
"
    ));
    sandbox.write("ca.pem", fake.ca());
    let printed = json!({ "accessToken": "canary-cli-token", "expires_on": 4_000_000_000_u64, "tokenType": "Bearer" });
    sandbox.write("bin/az", &format!("#!/bin/sh\necho \"$@\" >>\"$HOME/asked\"\necho '{printed}'\n"));
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(sandbox.path("bin/az"), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut env: BTreeMap<String, String> = fake
        .env(&sandbox.path("ca.pem").display().to_string())
        .into_iter()
        .filter(|(name, _)| !name.starts_with("AZURE_"))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    env.insert("PATH".into(), format!("{}:/usr/bin:/bin", sandbox.path("bin").display()));
    let ran = sandbox.run_with(&["sync"], &env);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let asked = sandbox.read("asked");
    let expected =
        format!("account get-access-token --output json --scope https://vault.azure.net/.default --tenant={TENANT}");
    assert_eq!(asked.trim(), expected, "one token for the whole run");
    assert!(fake.secret("token").is_some());
    sandbox.write("bin/az", "#!/bin/sh\nexit 1\n");
    let ran = sandbox.run_with(&["test"], &env);
    assert!(ran.code == Some(4) && ran.stdout.contains("az login"), "{ran:?}");
}
