//! Every way to sign in, against endpoints that check what they are given; and where nothing is sent.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secretzero::clock::{Clock as _, SystemClock};
use secretzero::environment::Environment;
use secretzero::hosts::Hosts;
use secretzero::oidc::TokenSource;
use secretzero::provider::gcp::{AuthKind, GcpProvider, GcpSettings, GcpShared};
use secretzero::provider::{Error, ErrorKind, Expect, Provider, Result};
use secretzero::secret::SecretValue;
use serde_json::{Value as Json, json};

use super::{place, settings, shared};
use crate::conformance::{text, write};
use crate::fake::gcp::FakeGcp;
use crate::fake::gcp::sign_in::Pool;

const DEPLOY: &str = "deploy@shop-prod.iam.gserviceaccount.com";
const PROVIDER: &str = "projects/442211009988/locations/global/workloadIdentityPools/ci/providers/github";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SUBJECT: &str = "repo:acme/shop:ref:refs/heads/main";
const MEMBER: &str = "principal://iam.googleapis.com/projects/442211009988/locations/global/workloadIdentityPools/ci/subject/repo:acme/shop:ref:refs/heads/main";

/// A key pair in PEM: private, public.
fn pair() -> (String, String) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    (key.serialize_pem(), key.public_key_pem())
}

/// A run's token, its claims adjusted.
fn token(private: &str, adjust: impl FnOnce(&mut Json)) -> String {
    let now = SystemClock.now().as_second();
    let audience = format!("https://iam.googleapis.com/{PROVIDER}");
    let mut claims = json!({"iss": ISSUER, "sub": SUBJECT, "aud": audience, "iat": now, "exp": now + 300});
    adjust(&mut claims);
    let header = Header { kid: Some("k1".into()), ..Header::new(Algorithm::RS256) };
    encode(&header, &claims, &EncodingKey::from_rsa_pem(private.as_bytes()).unwrap()).unwrap()
}

/// Trusts the tokens that a key signs.
fn trust(fake: &FakeGcp, public: String) {
    fake.trust(|sign_in| {
        sign_in.no_machine = true;
        sign_in.pools.push(Pool {
            audience: format!("//iam.googleapis.com/{PROVIDER}"),
            issuer: ISSUER.into(),
            allowed_audience: format!("https://iam.googleapis.com/{PROVIDER}"),
            keys: [("k1".to_owned(), public)].into(),
            subjects: vec![SUBJECT.into()],
        });
        sign_in.lends.insert((MEMBER.into(), DEPLOY.into()));
    });
}

/// Vouches with one token for every audience.
struct Fixed(String);

#[async_trait]
impl TokenSource for Fixed {
    async fn token(&self, audience: &str) -> Result<SecretValue> {
        assert_eq!(audience, format!("https://iam.googleapis.com/{PROVIDER}"));
        Ok(SecretValue::from(self.0.clone()))
    }
}

fn federated(fake: &FakeGcp, token: String, account: Option<&str>) -> GcpProvider {
    let settings = GcpSettings {
        auth_kind: AuthKind::Oidc,
        workload_identity_provider: Some(PROVIDER.into()),
        service_account: account.map(str::to_owned),
        hosts: Hosts::default().naming(fake.url()),
        ..settings(fake)
    };
    GcpProvider::new(settings, GcpShared { tokens: Some(Arc::new(Fixed(token))), ..shared() })
}

/// With a credentials file that the environment names.
fn ambient(fake: &FakeGcp, folder: &tempfile::TempDir, file: &Json) -> GcpProvider {
    let mut env = fake.endpoints();
    env.insert("GOOGLE_APPLICATION_CREDENTIALS".into(), written(folder, file).display().to_string());
    GcpProvider::new(GcpSettings { environment: Environment::of(env), ..settings(fake) }, shared())
}

fn written(folder: &tempfile::TempDir, file: &Json) -> PathBuf {
    let path = folder.path().join("key.json");
    #[expect(clippy::disallowed_methods, reason = "a test prepares its own files")]
    std::fs::write(&path, file.to_string()).unwrap();
    path
}

fn key_file(fake: &FakeGcp) -> Json {
    let (private, public) = pair();
    fake.trust(|sign_in| sign_in.keys.insert((DEPLOY.into(), "k7".into()), public));
    json!({"type": "service_account", "project_id": "shop-prod", "client_email": DEPLOY, "private_key": private,
        "private_key_id": "k7", "token_uri": format!("{}/token", fake.url())})
}

/// Signed in as this, by these steps, and able to write.
async fn works(fake: &FakeGcp, provider: &GcpProvider, principal: &str, steps: &[&str]) {
    assert_eq!(provider.identity().await.unwrap().principal, principal);
    let at = place("db", |_| {});
    write(provider, &at, &text("v"), 1, Expect::Absent).await.unwrap();
    let given: Vec<&str> = fake.trust(|sign_in| sign_in.given.iter().map(|(how, _)| *how).collect());
    assert_eq!(given, steps, "one login, however many calls");
}

async fn refused(provider: &GcpProvider) -> Error {
    let error = provider.identity().await.unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(!["canary", "eyJ", "PRIVATE", "ya29"].iter().any(|secret| said.contains(secret)), "{said}");
    error
}

#[tokio::test]
async fn the_machine_lends_its_account() {
    let fake = FakeGcp::start();
    let provider = super::provider(&fake);
    works(&fake, &provider, "machine@shop-prod.iam.gserviceaccount.com", &["machine"]).await;
    // Without a project of its own the machine's counts.
    let provider = GcpProvider::new(GcpSettings { project_id: None, ..settings(&fake) }, shared());
    assert_eq!(provider.identity().await.unwrap().account, "shop-prod");
}

#[tokio::test]
async fn without_any_credentials_a_person_is_told_where_they_would_be() {
    let fake = FakeGcp::start();
    fake.trust(|sign_in| sign_in.no_machine = true);
    insta::assert_snapshot!(refused(&super::provider(&fake)).await, @"Unable to authenticate with Google Cloud: no credentials were found. Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a credentials file, or run where a service account is attached");
}

#[tokio::test]
async fn a_key_signs_for_its_account() {
    let fake = FakeGcp::start();
    let folder = tempfile::tempdir().unwrap();
    let file = key_file(&fake);
    works(&fake, &ambient(&fake, &folder, &file), DEPLOY, &["key"]).await;
    // A key that was deleted.
    fake.trust(|sign_in| sign_in.keys.clear());
    insta::assert_snapshot!(refused(&ambient(&fake, &folder, &file)).await, @"Unable to authenticate with Google Cloud: the key of deploy@shop-prod.iam.gserviceaccount.com was refused (invalid_grant); check that the key was not deleted, the account not disabled, and the clock right");
}

#[tokio::test]
async fn a_file_that_a_block_names_leads_to_google_and_nowhere_else() {
    let fake = FakeGcp::start();
    let folder = tempfile::tempdir().unwrap();
    let path = written(&folder, &key_file(&fake));
    let block = |hosts: Hosts| {
        let settings = GcpSettings {
            auth_kind: AuthKind::CredentialsFile,
            credentials_file: Some(path.clone()),
            environment: Environment::default(),
            hosts,
            ..settings(&fake)
        };
        GcpProvider::new(settings, shared())
    };
    let address = refused(&block(Hosts::default())).await;
    assert_eq!(address.kind, ErrorKind::Invalid);
    insta::assert_snapshot!(address.message.replace(fake.url(), "http://FAKE"), @"no credential is sent to http://FAKE: https is needed, http is for this machine only");
    works(&fake, &block(Hosts::default().naming(fake.url())), DEPLOY, &["key"]).await;
}

#[tokio::test]
async fn a_person_is_who_logged_in_with_gcloud() {
    let fake = FakeGcp::start();
    let home = tempfile::tempdir().unwrap();
    let who = ("id.apps.googleusercontent.com".to_owned(), "canary-secret".to_owned(), "1//canary-refresh".to_owned());
    fake.trust(|sign_in| sign_in.people.insert(who.clone()));
    let file = json!({"type": "authorized_user", "client_id": who.0, "client_secret": who.1, "refresh_token": who.2,
        "quota_project_id": "shop-prod", "token_uri": format!("{}/token", fake.url())});
    let folder = home.path().join(".config/gcloud");
    std::fs::create_dir_all(&folder).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test prepares its own files")]
    std::fs::write(folder.join("application_default_credentials.json"), file.to_string()).unwrap();
    let mut env = fake.endpoints();
    env.insert("HOME".into(), home.path().display().to_string());
    let environment = Environment::of(env);
    let connect = || {
        let settings = GcpSettings { project_id: None, environment: environment.clone(), ..settings(&fake) };
        GcpProvider::new(settings, shared())
    };
    works(&fake, &connect(), "the user who is logged in with gcloud", &["user"]).await;
    fake.trust(|sign_in| sign_in.people.clear());
    insta::assert_snapshot!(refused(&connect()).await, @"Unable to authenticate with Google Cloud: the login of gcloud was refused (invalid_grant); run `gcloud auth application-default login` again");
}

#[tokio::test]
async fn an_account_lends_its_token_to_whoever_may() {
    let fake = FakeGcp::start();
    let provider = || {
        let settings =
            GcpSettings { auth_kind: AuthKind::Impersonation, service_account: Some(DEPLOY.into()), ..settings(&fake) };
        GcpProvider::new(settings, shared())
    };
    insta::assert_snapshot!(refused(&provider()).await, @"Unable to authenticate with Google Cloud: lending a token of deploy@shop-prod.iam.gserviceaccount.com was refused (PERMISSION_DENIED); grant machine@shop-prod.iam.gserviceaccount.com `roles/iam.workloadIdentityUser` (a federated identity) or `roles/iam.serviceAccountTokenCreator` on deploy@shop-prod.iam.gserviceaccount.com, and enable iamcredentials.googleapis.com");
    fake.trust(|sign_in| {
        sign_in.given.clear();
        sign_in.lends.insert(("machine@shop-prod.iam.gserviceaccount.com".into(), DEPLOY.into()));
    });
    works(&fake, &provider(), DEPLOY, &["machine", "lent"]).await;
}

#[tokio::test]
async fn a_pool_trusts_the_run_with_or_without_an_account() {
    let (private, public) = pair();
    for (account, principal, steps) in [(None, MEMBER, &["pool"][..]), (Some(DEPLOY), DEPLOY, &["pool", "lent"][..])] {
        let fake = FakeGcp::start();
        trust(&fake, public.clone());
        works(&fake, &federated(&fake, token(&private, |_| {}), account), principal, steps).await;
    }
}

#[tokio::test]
async fn a_token_that_no_pool_trusts_is_explained_by_its_claims() {
    let fake = FakeGcp::start();
    let (private, public) = pair();
    trust(&fake, public);
    let pull = token(&private, |claims| claims["sub"] = "repo:acme/shop:pull_request".into());
    insta::assert_snapshot!(refused(&federated(&fake, pull, None)).await, @"Unable to authenticate with Google Cloud: the exchange of this run's token was refused (unauthorized_client); we sent iss=https://token.actions.githubusercontent.com, sub=repo:acme/shop:pull_request, aud=https://iam.googleapis.com/projects/442211009988/locations/global/workloadIdentityPools/ci/providers/github: the provider //iam.googleapis.com/projects/442211009988/locations/global/workloadIdentityPools/ci/providers/github must have this issuer, allow this audience, and its attribute condition must be true for these claims");
    let now = SystemClock.now().as_second();
    let wrong = [
        token(&private, |claims| claims["exp"] = (now - 120).into()),
        token(&private, |claims| claims["aud"] = "https://elsewhere.example".into()),
        token(&private, |claims| claims["iss"] = "https://gitlab.com".into()),
        token(&pair().0, |_| {}),
        "no.token.atall".to_owned(),
    ];
    for token in wrong {
        let error = refused(&federated(&fake, token, None)).await;
        assert!(error.message.contains("(invalid_grant)") && error.kind == ErrorKind::Unauthenticated, "{error}");
    }
    assert_eq!(fake.trust(|sign_in| sign_in.given.len()), 0);
}

#[tokio::test]
async fn a_federated_file_takes_its_token_from_a_file_or_an_address() {
    let (private, public) = pair();
    let folder = tempfile::tempdir().unwrap();
    let subject = folder.path().join("token");
    #[expect(clippy::disallowed_methods, reason = "a test prepares its own files")]
    std::fs::write(&subject, token(&private, |_| {})).unwrap();
    for from_file in [true, false] {
        let fake = FakeGcp::start();
        trust(&fake, public.clone());
        fake.trust(|sign_in| sign_in.issued_token = Some(token(&private, |_| {})));
        let source = if from_file {
            json!({"file": subject})
        } else {
            json!({"url": format!("{}/idtoken", fake.url()), "headers": {"Authorization": "Bearer request-token"},
                "format": {"type": "json", "subject_token_field_name": "value"}})
        };
        let lender = format!("{}/v1/projects/-/serviceAccounts/{DEPLOY}:generateAccessToken", fake.url());
        let file = json!({"type": "external_account", "audience": format!("//iam.googleapis.com/{PROVIDER}"),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": format!("{}/v1/token", fake.url()),
            "service_account_impersonation_url": lender, "credential_source": source});
        works(&fake, &ambient(&fake, &folder, &file), DEPLOY, &["pool", "lent"]).await;
    }
}

#[tokio::test]
async fn an_impersonating_login_of_gcloud_goes_through_its_person() {
    let fake = FakeGcp::start();
    let folder = tempfile::tempdir().unwrap();
    let who = ("id".to_owned(), "canary-secret".to_owned(), "1//canary-refresh".to_owned());
    fake.trust(|sign_in| {
        sign_in.people.insert(who.clone());
        sign_in.lends.insert(("user".into(), DEPLOY.into()));
    });
    let person = json!({"type": "authorized_user", "client_id": who.0, "client_secret": who.1,
        "refresh_token": who.2, "token_uri": format!("{}/token", fake.url())});
    let lender = format!("{}/v1/projects/-/serviceAccounts/{DEPLOY}:generateAccessToken", fake.url());
    let file = json!({"type": "impersonated_service_account", "service_account_impersonation_url": lender,
        "source_credentials": person});
    works(&fake, &ambient(&fake, &folder, &file), DEPLOY, &["user", "lent"]).await;
}

#[tokio::test]
async fn files_that_are_none_are_named_and_never_quoted() {
    let fake = FakeGcp::start();
    let folder = tempfile::tempdir().unwrap();
    let said = async |file: Json| {
        let error = refused(&ambient(&fake, &folder, &file)).await;
        error.message.replace(&folder.path().display().to_string(), "FOLDER")
    };
    insta::assert_snapshot!(said(json!("canary")).await, @"the credentials file FOLDER/key.json cannot be used: it is no credentials file in JSON");
    insta::assert_snapshot!(said(json!({"type": "canary"})).await, @"the credentials file FOLDER/key.json cannot be used: its `type` is none of service_account, authorized_user, external_account, impersonated_service_account");
    insta::assert_snapshot!(said(json!({"type": "service_account", "client_email": DEPLOY})).await, @"the credentials file FOLDER/key.json cannot be used: it has no `private_key`");
    let broken =
        json!({"type": "service_account", "client_email": DEPLOY, "private_key": "canary", "token_uri": fake.url()});
    insta::assert_snapshot!(said(broken).await, @"the private key of deploy@shop-prod.iam.gserviceaccount.com in the credentials file is no RSA key in PEM; make a new one");
    let missing = GcpSettings { credentials_file: Some(folder.path().join("none.json")), ..settings(&fake) };
    let error = refused(&GcpProvider::new(missing, shared())).await;
    insta::assert_snapshot!(error.message.replace(&folder.path().display().to_string(), "FOLDER"), @"the credentials file FOLDER/none.json cannot be used: there is none; check the path");
}

#[tokio::test]
async fn a_short_lived_token_is_renewed_in_time() {
    let fake = FakeGcp::start();
    fake.trust(|sign_in| sign_in.lifetime = Some(0));
    let provider = super::provider(&fake);
    provider.identity().await.unwrap();
    write(&provider, &place("db", |_| {}), &text("v"), 1, Expect::Absent).await.unwrap();
    assert_eq!(fake.trust(|sign_in| sign_in.given.len()), 1 + fake.calls(), "one for each call");
}
