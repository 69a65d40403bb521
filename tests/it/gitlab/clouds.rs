//! Four clouds that trust one project at GitLab, and a runner that runs its jobs, each in a new checkout.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use jsonwebtoken::DecodingKey;
use serde_json::{Value as Json, json};

use super::pipeline::{Event, Job, Pipeline};
use crate::fake::aws::FakeAws;
use crate::fake::aws::web_identity::Role;
use crate::fake::azure::{Application, FakeAzure, TENANT};
use crate::fake::gcp::FakeGcp;
use crate::fake::gcp::sign_in::Pool;
use crate::fake::jwt::{Issuer, Key, now};
use crate::sandbox::{BINARY, Ran, Sandbox};
use crate::vault::{Bao, Proxy};

pub(super) const ISSUER: &str = "https://gitlab.example";
pub(super) const ROLE: &str = "arn:aws:iam::123456789012:role/secretzero-sync";
const CLIENT: &str = "aaaaaaaa-0000-4000-8000-000000000002";
const ACCOUNT: &str = "sync@shop-prod.iam.gserviceaccount.com";
const POOL: &str = "projects/442211009988/locations/global/workloadIdentityPools/ci";
const PROVIDER: &str = "projects/442211009988/locations/global/workloadIdentityPools/ci/providers/gitlab";

/// <https://docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload>
const SUBJECT: &str = "project_path:octo/demo:ref_type:branch:ref:main";

pub(super) const AWS: &str = "sts.amazonaws.com";
pub(super) const AZURE: &str = "api://AzureADTokenExchange";
pub(super) const VAULT: &str = "https://vault.example";

/// One secret in every cloud, and in a file that belongs to whoever works there.
const SECRETFILE: &str = "
metadata: {project: shop}
providers:
  aws: {kind: aws, auth: {kind: ambient}}
  azure: {kind: azure, auth: {kind: default}}
  vault: {kind: vault, auth: {kind: token, config: {url: 'VAULT_URL', token: '${VAULT_TOKEN}'}}}
  gcp: {kind: gcp, auth: {kind: ambient, config: {project_id: shop-prod}}}
  local: {kind: local}
secrets:
  - name: password
    kind: random_password
    rotation_period: 90d
    targets:
      - {provider: aws, kind: secrets_manager, config: {name: password}}
      - {provider: azure, kind: key_vault, config: {vault_url: 'https://kv-test.vault.azure.net', secret_name: password}}
      - {provider: vault, kind: kv, config: {path: password}}
      - {provider: gcp, kind: secret_manager, config: {secret_id: password}}
      - {provider: local, kind: file, config: {path: .env, format: dotenv}}
";

/// The clouds, and what GitLab signs with.
pub(super) struct Clouds {
    pub(super) aws: FakeAws,
    pub(super) azure: FakeAzure,
    pub(super) gcp: FakeGcp,
    pub(super) bao: Bao,
    pub(super) proxy: Proxy,
    pub(super) secretfile: String,
    key: Key,
}

/// How often each cloud was asked: AWS, Azure, Google, Vault.
pub(super) type Asked = [usize; 4];

impl Clouds {
    /// Each trusts the default branch of `octo/demo` at GitLab, with an audience of its own.
    pub(super) async fn new() -> Self {
        let (aws, azure, gcp, bao) = (FakeAws::start(), FakeAzure::start(), FakeGcp::start(), Bao::start().await);
        let (key, proxy) = (Key::new("gitlab"), bao.proxy());
        let operations = ["CreateSecret", "PutSecretValue", "UpdateSecret", "TagResource", "GetSecretValue"];
        let operations = operations.into_iter().chain(["BatchGetSecretValue", "DescribeSecret", "ListSecrets"]);
        aws.edit(|world| {
            let issuer = Issuer { jwks: key.jwks(), audiences: vec![AWS.into()] };
            world.federation.issuers.insert(ISSUER.into(), issuer);
            let role = Role {
                issuer: ISSUER.into(),
                audience: AWS.into(),
                subjects: vec![SUBJECT.into()],
                allowed: operations.map(str::to_owned).collect(),
                duration_max: 3600,
            };
            world.federation.roles.insert(ROLE.into(), role);
        });
        azure.edit(|world| {
            let public = DecodingKey::from_rsa_pem(key.pem().as_bytes()).unwrap();
            world.issuers.insert((ISSUER.into(), "gitlab".into()), public);
            let federated = vec![[ISSUER, SUBJECT, AZURE].map(str::to_owned)];
            world.applications.insert(CLIENT.into(), Application { federated, ..Application::default() });
        });
        gcp.trust(|sign_in| {
            sign_in.no_machine = true;
            sign_in.pools.push(Pool {
                audience: format!("//iam.googleapis.com/{PROVIDER}"),
                issuer: ISSUER.into(),
                allowed_audience: google(),
                keys: [("gitlab".to_owned(), key.pem().to_owned())].into(),
                subjects: vec![SUBJECT.into()],
            });
            let member = format!("principal://iam.googleapis.com/{POOL}/subject/{SUBJECT}");
            sign_in.lends = [(member, ACCOUNT.into())].into();
        });
        bao.post("sys/auth/gitlab", json!({ "type": "jwt" })).await;
        let config = json!({ "jwt_validation_pubkeys": [key.pem()], "bound_issuer": ISSUER });
        bao.post("auth/gitlab/config", config).await;
        let policy = r#"path "secret/*" { capabilities = ["create", "read", "update", "patch", "list"] }"#;
        bao.policy("sync", policy).await;
        let role = json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": [VAULT], "bound_subject": SUBJECT,
            "bound_claims": { "ref_protected": "true" }, "token_policies": ["sync"], "token_ttl": "10m",
            "expiration_leeway": -1, "not_before_leeway": -1,
        });
        bao.post("auth/gitlab/role/sync", role).await;
        let secretfile = SECRETFILE.replace("VAULT_URL", proxy.url());
        Self { aws, azure, gcp, bao, proxy, secretfile, key }
    }

    /// What the runner's network makes of the clouds' names; no key and no login.
    fn reached(&self, folder: &Sandbox) -> BTreeMap<String, String> {
        let mut reached = self.gcp.endpoints();
        folder.write("ca.pem", self.azure.ca());
        let azure = self.azure.env(&folder.path("ca.pem").display().to_string()).into_iter();
        let azure = azure.filter(|(name, _)| !name.starts_with("AZURE_"));
        reached.extend(azure.map(|(name, value)| (name.to_owned(), value)));
        for (name, value) in [
            ("AWS_ENDPOINT_URL", self.aws.url()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9"),
            ("NO_PROXY", "127.0.0.1"),
        ] {
            reached.insert(name.into(), value.into());
        }
        reached
    }

    /// The tokens of a job as GitLab makes them when it starts, some claims changed.
    pub(super) fn tokens(&self, job: &Job, event: Event, changed: &Json) -> BTreeMap<String, String> {
        let signed = |(name, aud): (String, Json)| (name, self.token(&aud, event, changed));
        job.audiences().into_iter().map(signed).collect()
    }

    /// One of them.
    pub(super) fn token(&self, audience: &Json, event: Event, changed: &Json) -> String {
        let branch = event.branch.unwrap_or("change");
        let mut claims = json!({
            "iss": ISSUER, "sub": format!("project_path:octo/demo:ref_type:branch:ref:{branch}"), "aud": audience,
            "project_path": "octo/demo", "project_id": "1001", "namespace_path": "octo", "namespace_id": "501",
            "pipeline_source": event.source, "pipeline_id": "7", "job_id": "77", "ref": branch, "ref_type": "branch",
            "ref_protected": if event.protected { "true" } else { "false" }, "runner_environment": "self-hosted",
            "user_login": "mona", "iat": now(), "nbf": now() - 5, "exp": now() + 1800,
            "jti": format!("jti-{audience}"),
        });
        for (name, value) in changed.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        self.key.sign(&claims)
    }

    /// Runs a job's script in a new checkout with these tokens.
    pub(super) fn run_with(&self, job: &Job, event: Event, tokens: &BTreeMap<String, String>) -> (Ran, Sandbox) {
        let checkout = Sandbox::with(&self.secretfile);
        let binaries = Path::new(BINARY).parent().unwrap().display();
        let mut command = Command::new("sh");
        command.current_dir(checkout.path(".")).env_clear().stdin(Stdio::null());
        command.env("PATH", format!("{binaries}:/usr/bin:/bin")).env("HOME", checkout.path("home"));
        command.envs(self.reached(&checkout)).envs(event.variables()).envs(job.variables()).envs(tokens);
        let ran = Ran::from(command.arg("-c").arg(job.script()).output().unwrap());
        let said = format!("{}{}", ran.stdout, ran.stderr);
        for token in tokens.values() {
            assert!(token.split('.').skip(1).all(|part| !said.contains(part)), "a token was printed: {ran:?}");
        }
        assert!(!said.contains("add-mask"), "GitLab knows no such command: {ran:?}");
        (ran, checkout)
    }

    /// The same with the tokens that it declares.
    pub(super) fn run(&self, pipeline: &Pipeline, name: &str, event: Event) -> (Ran, Sandbox) {
        let job = pipeline.job(name);
        self.run_with(&job, event, &self.tokens(&job, event, &json!({})))
    }

    pub(super) fn asked(&self) -> Asked {
        [self.aws.total(), self.azure.requests().len(), self.gcp.calls() + self.exchanges(), self.proxy.asked().len()]
    }

    pub(super) fn effects(&self) -> Asked {
        [self.aws.effects(), self.azure.effects(), self.gcp.effects(), self.proxy.writes().len()]
    }

    pub(super) fn exchanges(&self) -> usize {
        self.gcp.trust(|sign_in| sign_in.exchanges)
    }

    /// The value at each of the four.
    pub(super) async fn values(&self) -> [String; 4] {
        let aws = self.aws.secret("password").unwrap();
        let azure = self.azure.secret("password").unwrap().current().value.clone();
        let gcp = self.gcp.secret("password").unwrap().enabled().into_iter().next_back().unwrap().1;
        let fields = self.bao.get("secret/data/password").await["data"].clone();
        let vault = fields.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        [aws.value().unwrap().to_owned(), azure, gcp, vault]
    }
}

/// What a token for Google is made for.
pub(super) fn google() -> String {
    format!("https://iam.googleapis.com/{PROVIDER}")
}

/// Everything that a project with four clouds says.
pub(super) fn inputs() -> Json {
    json!({
        "image": "registry.example/secretzero:1",
        "sync": true,
        "aws_role": ROLE,
        "aws_region": crate::fake::aws::REGION,
        "azure_client_id": CLIENT,
        "azure_tenant_id": TENANT,
        "gcp_workload_identity_provider": PROVIDER,
        "gcp_service_account": ACCOUNT,
        "vault_role": "sync",
        "vault_auth_mount": "gitlab",
        "vault_audience": VAULT,
    })
}
