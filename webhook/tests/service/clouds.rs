//! The providers of the program, logging in at the clouds with our tokens as their only credential.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use secretzero::clock::SystemClock;
use secretzero::disk::{Disk as _, SystemDisk};
use secretzero::environment::Environment;
use secretzero::limiter::{Limiter, RateLimit, RetryPolicy};
use secretzero::oidc::{Phase, TokenSource, Trades};
use secretzero::provider::aws::{AuthKind as AwsAuth, AwsProvider, AwsSettings, AwsShared, WebIdentity};
use secretzero::provider::azure::{AuthKind as AzureAuth, AzureProvider, AzureSettings, AzureShared};
use secretzero::provider::gcp::{AuthKind as GcpAuth, GcpProvider, GcpSettings, GcpShared};
use secretzero::provider::{Identity, Provider, Result};

use crate::fake::aws::web_identity::Role;
use crate::fake::aws::{FakeAws, REGION};
use crate::fake::azure::{Application, FakeAzure, TENANT};
use crate::fake::gcp::FakeGcp;
use crate::fake::gcp::sign_in::Pool;
use crate::fake::jwt::Issuer;
use crate::{Service, run, subject};

fn limiter() -> Arc<Limiter> {
    let retry = RetryPolicy { first_delay: Duration::from_millis(1), ..RetryPolicy::default() };
    Arc::new(Limiter::new(retry, RateLimit::Off))
}

const ARN: &str = "arn:aws:iam::123456789012:role/secretzero-sync";

/// An account that trusts the sync of the repository.
async fn account(service: &Service) -> FakeAws {
    let fake = FakeAws::start();
    let jwks = service.get("/.well-known/jwks.json").await.2;
    let audience = "sts.amazonaws.com".to_owned();
    let subjects = vec![subject(Phase::Sync), subject(Phase::Rotate)];
    fake.edit(|world| {
        let issuer = Issuer { jwks, audiences: vec![audience.clone()] };
        world.federation.issuers.insert(service.url.clone(), issuer);
        let role = Role { issuer: service.url.clone(), audience, subjects, ..Role::default() };
        world.federation.roles.insert(ARN.into(), role);
    });
    fake
}

async fn at_aws(fake: &FakeAws, tokens: Arc<dyn TokenSource>) -> Result<Identity> {
    let with = WebIdentity {
        role_arn: Some(ARN.into()),
        session_name: "secretzero-sync-1".into(),
        audience: None,
        duration_seconds: None,
        session_policy: None,
        policy_arns: Vec::new(),
        tokens,
        trades: Trades::default(),
        clock: Arc::new(SystemClock),
    };
    let settings = AwsSettings {
        auth_kind: AwsAuth::Oidc,
        region: Some(REGION.into()),
        endpoint_url: Some(fake.url().to_owned()),
        web_identity: Some(with),
        ..AwsSettings::default()
    };
    AwsProvider::sharing(settings, AwsShared::new(limiter())).identity().await
}

#[tokio::test]
async fn aws_admits_the_sync_and_no_plan() {
    let service = Service::start();
    let (fake, issuer) = (account(&service).await, service.issuer());
    for phase in [Phase::Sync, Phase::Rotate] {
        let identity = at_aws(&fake, issuer.source(run(phase))).await.unwrap();
        assert!(identity.principal.contains("assumed-role/secretzero-sync/"), "{identity:?}");
    }
    assert!(at_aws(&fake, issuer.source(run(Phase::Plan))).await.is_err());
}

#[tokio::test]
async fn what_is_revoked_is_refused_once_the_keys_are_read_again() {
    let service = Service::start();
    let fake = account(&service).await;
    let stolen = service.issuer();
    assert!(at_aws(&fake, stolen.source(run(Phase::Sync))).await.is_ok());
    let copied = tempfile::tempdir().unwrap();
    let keys = service.folder.path().join("keys");
    for name in SystemDisk.names(&keys).unwrap() {
        let bytes = SystemDisk.read(&keys.join(&name), 10_000).unwrap().unwrap();
        SystemDisk.replace(&copied.path().join(&name), &bytes).unwrap();
    }
    let thief = crate::open(&service.url, copied.path());
    stolen.revoke_now().unwrap();
    let jwks = stolen.key_set().unwrap();
    fake.edit(|world| {
        let issuer = Issuer { jwks, audiences: vec!["sts.amazonaws.com".into()] };
        world.federation.issuers.insert(service.url.clone(), issuer);
    });
    assert!(at_aws(&fake, thief.source(run(Phase::Sync))).await.is_err(), "the old key");
    assert!(at_aws(&fake, stolen.source(run(Phase::Sync))).await.is_ok(), "the new one");
}

#[tokio::test]
async fn entra_takes_the_exact_subject_alone() {
    let service = Service::start();
    let (fake, issuer) = (FakeAzure::start(), service.issuer());
    let key: Jwk = serde_json::from_value(service.get("/.well-known/jwks.json").await.2["keys"][0].clone()).unwrap();
    let federated = vec![[&service.url, &subject(Phase::Plan), "api://AzureADTokenExchange"].map(str::to_owned)];
    fake.edit(|world| {
        let known = DecodingKey::from_jwk(&key).unwrap();
        world.issuers.insert((service.url.clone(), key.common.key_id.clone().unwrap()), known);
        let application = Application { secret: None, federated, denied: Default::default() };
        world.applications.insert("app".into(), application);
    });
    let login = |phase| {
        let settings = AzureSettings {
            auth_kind: AzureAuth::Oidc,
            tenant_id: Some(TENANT.into()),
            client_id: Some("app".into()),
            tokens: Some(issuer.source(run(phase))),
            ..AzureSettings::default()
        };
        let shared = AzureShared::new(limiter()).with_client(fake.client());
        async move { AzureProvider::sharing(settings, shared).identity().await }
    };
    assert!(login(Phase::Plan).await.is_ok());
    assert!(login(Phase::Sync).await.unwrap_err().message.contains("AADSTS700213"));
}

#[tokio::test]
async fn google_takes_an_uploaded_key_set() {
    let service = Service::start();
    let (fake, issuer) = (FakeGcp::start(), service.issuer());
    let pool = "projects/42/locations/global/workloadIdentityPools/secretzero-plan";
    let provider = format!("{pool}/providers/secretzero");
    let id = issuer.ring().unwrap().entries[0].id.clone();
    let pem = SystemDisk.read(&service.folder.path().join(format!("keys/{id}.pem")), 10_000).unwrap().unwrap();
    let public = rcgen::KeyPair::from_pem(std::str::from_utf8(&pem).unwrap()).unwrap().public_key_pem();
    let member = format!("principal://iam.googleapis.com/{pool}/subject/{}", subject(Phase::Plan));
    fake.trust(|sign_in| {
        sign_in.pools.push(Pool {
            audience: format!("//iam.googleapis.com/{provider}"),
            issuer: service.url.clone(),
            allowed_audience: format!("https://iam.googleapis.com/{provider}"),
            keys: [(id, public)].into(),
            subjects: vec![subject(Phase::Plan)],
        });
        sign_in.lends = [(member, "plan@shop.iam.gserviceaccount.com".to_owned())].into();
    });
    let login = |phase| {
        let settings = GcpSettings {
            auth_kind: GcpAuth::Oidc,
            project_id: Some("shop".into()),
            service_account: Some("plan@shop.iam.gserviceaccount.com".into()),
            workload_identity_provider: Some(provider.clone()),
            endpoint_url: Some(fake.url().to_owned()),
            environment: Environment::of(fake.endpoints()),
            ..GcpSettings::default()
        };
        let shared = GcpShared {
            limiter: limiter(),
            disk: Arc::new(SystemDisk),
            clock: Arc::new(SystemClock),
            tokens: Some(issuer.source(run(phase))),
            trades: Trades::default(),
        };
        async move { GcpProvider::new(settings, shared).identity().await }
    };
    let identity = login(Phase::Plan).await.unwrap();
    assert_eq!(identity.principal, "plan@shop.iam.gserviceaccount.com");
    assert!(login(Phase::Sync).await.is_err());
}
