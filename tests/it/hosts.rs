//! Credentials leave only for hosts that may have them, and no redirect changes that.

use crate::canary::Canary;
use crate::fake::aws::FakeAws;
use crate::sandbox::Sandbox;

const SECRETFILE: &str = "
version: '1.0'
metadata: { project: shop }
providers:
  aws: { kind: aws, auth: { kind: ambient, config: { region: us-east-1 } } }
secrets:
  - name: api_key
    kind: random_string
    targets:
      - provider: aws
        kind: secrets_manager
        config: { name: shop/api-key }
";

fn sandbox(aws: &FakeAws, text: &str) -> Sandbox {
    Sandbox::with(text).env(aws.env())
}

const ARGS: &[&str] = &["sync", "--dry-run", "--rate-limit", "off", "--retry-max-attempts", "1"];

#[test]
fn no_redirect_of_aws_is_followed() {
    let (aws, elsewhere) = (FakeAws::start(), Canary::start());
    let redirecting = Redirecting::to(&format!("http://{}/", elsewhere.address()));
    let sandbox = sandbox(&aws, SECRETFILE).env([("AWS_ENDPOINT_URL", redirecting.url())]);
    let ran = sandbox.run(ARGS);
    assert_eq!((ran.code, elsewhere.count()), (Some(4), 0), "{ran:?}");
    assert!(redirecting.count() > 0, "it was asked");
}

#[test]
fn plain_http_to_another_machine_gets_no_credential() {
    let (aws, elsewhere) = (FakeAws::start(), Canary::at("127.0.0.2"));
    let address = format!("http://{}", elsewhere.address());
    for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"] {
        let ran = sandbox(&aws, SECRETFILE).env([(variable, address.clone())]).run(ARGS);
        assert_eq!((ran.code, elsewhere.count()), (Some(4), 0), "{ran:?}");
        let said = format!("no credential is sent to {address}: https is needed");
        assert!(ran.stdout.contains(&said) || ran.stderr.contains(&said), "{ran:?}");
    }
}

#[test]
fn an_endpoint_of_a_profile_counts_and_one_of_a_service_section_must_be_named() {
    let (aws, elsewhere) = (FakeAws::start(), Canary::at("127.0.0.2"));
    let config = format!("[default]\nendpoint_url = {}\n", aws.url());
    let services = format!(
        "[default]\nservices = s\n[services s]\nsecrets_manager =\n  endpoint_url = http://{}\nsts =\n  endpoint_url = {}\n",
        elsewhere.address(),
        aws.url()
    );
    for (text, code) in [(config, 0), (services, 4)] {
        let mut environment = aws.env();
        environment.remove("AWS_ENDPOINT_URL");
        let sandbox = Sandbox::with(SECRETFILE).env(environment);
        sandbox.write("config", &text);
        let path = sandbox.path("config").display().to_string();
        let sandbox = sandbox.env([("AWS_CONFIG_FILE", path)]);
        let ran = sandbox.run(ARGS);
        assert_eq!((ran.code, elsewhere.count()), (Some(code), 0), "{ran:?}");
    }
}

/// A workflow sets a variable that is missing to nothing.
#[test]
fn an_empty_endpoint_is_none() {
    let aws = FakeAws::start();
    let nobody = [("AWS_ENDPOINT_URL", ""), ("HTTPS_PROXY", "http://127.0.0.1:9")];
    let ran = sandbox(&aws, SECRETFILE).env(nobody).run(ARGS);
    assert_eq!((ran.code, aws.total()), (Some(4), 0), "{ran:?}");
}

/// A server that sends everybody elsewhere.
struct Redirecting(Canary);

impl Redirecting {
    fn to(location: &str) -> Self {
        let headers = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        Self(Canary::answering("127.0.0.1", headers))
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.address())
    }

    fn count(&self) -> usize {
        self.0.count()
    }
}
