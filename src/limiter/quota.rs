//! The documented quotas of every class of calls: where the pace starts, and what a plan reckons with.
//!
//! Secrets Manager counts per account and region
//! (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>), and so does
//! Parameter Store, whose 40 calls per second are the default throughput
//! (<https://docs.aws.amazon.com/general/latest/gr/ssm.html>). What is not documented is taken to be
//! like its neighbour; the pace finds out.

use super::ApiClass;

const SECRETS_MANAGER: &str = "AWS Secrets Manager";
const SSM: &str = "AWS SSM";
const VAULT: &str = "Vault";

/// `DescribeSecret` and `GetSecretValue`, 10,000 together.
pub const SECRET_READ: ApiClass = class(SECRETS_MANAGER, "read", 10_000.0);
/// `ListSecrets`, 100.
pub const SECRET_LIST: ApiClass = class(SECRETS_MANAGER, "list", 100.0);
/// `BatchGetSecretValue`, 100.
pub const SECRET_BATCH: ApiClass = class(SECRETS_MANAGER, "batch", 100.0);
/// `CreateSecret`, 50; takes value, tags and replicas in one call.
pub const SECRET_CREATE: ApiClass = class(SECRETS_MANAGER, "create", 50.0);
/// `PutSecretValue`, `UpdateSecret` and `ReplicateSecretToRegions`, 50 together.
pub const SECRET_WRITE: ApiClass = class(SECRETS_MANAGER, "write", 50.0);
/// `TagResource` and `UntagResource`, 50 together.
pub const SECRET_TAG: ApiClass = class(SECRETS_MANAGER, "tag", 50.0);
/// `RestoreSecret`, 50.
pub const SECRET_RESTORE: ApiClass = class(SECRETS_MANAGER, "restore", 50.0);
/// `GetParameter` and `GetParameters`, 40.
pub const PARAMETER_READ: ApiClass = class(SSM, "get", 40.0);
/// `PutParameter`, 40; some accounts are refused at 3 or 10.
pub const PARAMETER_WRITE: ApiClass = class(SSM, "put", 40.0);
/// `DescribeParameters`, undocumented.
pub const PARAMETER_LIST: ApiClass = class(SSM, "describe", 40.0);
/// `AddTagsToResource` and `ListTagsForResource`, undocumented.
pub const PARAMETER_TAG: ApiClass = class(SSM, "tag", 40.0);
/// `GetCallerIdentity`, 600
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
pub const IDENTITY: ApiClass = class("AWS STS", "read", 600.0);
/// `GET` of one entry, role or key. Vault documents no rate but its own server's; what a cluster takes
/// is found out (<https://developer.hashicorp.com/vault/docs/concepts/resource-quotas>).
pub const VAULT_READ: ApiClass = class(VAULT, "read", 1_000.0);
/// Lists of one folder.
pub const VAULT_LIST: ApiClass = class(VAULT, "list", 200.0);
/// Values, metadata, roles and keys; each write is replicated.
pub const VAULT_WRITE: ApiClass = class(VAULT, "write", 500.0);
/// Logins, renewals and revocations.
pub const VAULT_LOGIN: ApiClass = class(VAULT, "login", 20.0);

const KEY_VAULT_NAME: &str = "Azure Key Vault";
const ENTRA: &str = "Microsoft Entra";

/// Creating a secret or importing a certificate, 300 in 10 seconds for a vault
/// (<https://learn.microsoft.com/azure/key-vault/general/service-limits>).
pub const KEY_VAULT_CREATE: ApiClass = class(KEY_VAULT_NAME, "create", 30.0);
/// Everything else at a vault, 4,000 in 10 seconds (the same page).
pub const KEY_VAULT_OTHER: ApiClass = class(KEY_VAULT_NAME, "other", 400.0);
/// Tokens, undocumented; a run needs one an hour.
pub const ENTRA_TOKEN: ApiClass = class(ENTRA, "token", 20.0);

const GOOGLE: &str = "Google Secret Manager";

/// Reads of metadata and lists of Secret Manager, 600 a minute and project
/// (<https://cloud.google.com/secret-manager/quotas>).
pub const GOOGLE_READ: ApiClass = class(GOOGLE, "read", 10.0);
/// Everything that changes something, 600 a minute and project.
pub const GOOGLE_WRITE: ApiClass = class(GOOGLE, "write", 10.0);
/// Reads of values, 90,000 a minute and project.
pub const GOOGLE_ACCESS: ApiClass = class(GOOGLE, "access", 1500.0);
/// `AddSecretVersion` and `UpdateSecret` of one secret, 2 together; each counts as a write besides.
pub const GOOGLE_SECRET: ApiClass = class("Google Secret Manager (one secret)", "update", 2.0);
/// Exchanges that lead to a token, undocumented.
pub const GOOGLE_LOGIN: ApiClass = class("Google sign-in", "token", 100.0);

/// `AssumeRoleWithWebIdentity`, undocumented; AWS's default for the service is 600.
pub const WEB_IDENTITY: ApiClass = class("AWS STS", "web identity", 600.0);
/// GitHub's ID tokens, undocumented.
pub const ID_TOKEN: ApiClass = class("GitHub's token issuer", "token", 20.0);

const fn class(service: &'static str, name: &'static str, quota_per_second: f64) -> ApiClass {
    ApiClass { service, name, quota_per_second }
}
