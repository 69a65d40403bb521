//! Every way to log in at AWS through the real program: whose keys sign, in which region, as whom.

use std::collections::BTreeSet;

use super::told;
use crate::fake::aws::FakeAws;
use crate::sandbox::Sandbox;

/// One secret at each provider of a file.
fn secretfile(providers: &[(&str, &str)]) -> String {
    let mut text = "metadata: {project: auth}\nproviders:\n".to_owned();
    for (alias, auth) in providers {
        text.push_str(&format!("  {alias}: {{kind: aws, auth: {{{auth}}}}}\n"));
    }
    text.push_str("secrets:\n");
    for (alias, _) in providers {
        text.push_str(&format!(
            "  - name: {alias}\n    kind: random_string\n    targets: [{{provider: {alias}, kind: secrets_manager, config: {{name: auth/{alias}}}}}]\n"
        ));
    }
    text
}

/// A folder whose environment knows where AWS is, and nobody's keys.
fn keyless(aws: &FakeAws, providers: &[(&str, &str)]) -> Sandbox {
    Sandbox::with(&secretfile(providers)).env([
        ("AWS_ENDPOINT_URL", aws.url()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_REGION", "us-east-1"),
    ])
}

/// Key id and region of what signed an operation.
fn signed(aws: &FakeAws, operation: &str) -> BTreeSet<(String, String)> {
    let key = |headers: &[(String, String)]| {
        let authorization = headers.iter().find(|(name, _)| name == "authorization").unwrap().1.clone();
        authorization.split("Credential=").nth(1).unwrap().split('/').next().unwrap().to_owned()
    };
    let requests = aws.requests().into_iter().filter(|request| request.operation == operation);
    requests.map(|request| (key(&request.headers), request.region)).collect()
}

fn one(key: &str, region: &str) -> BTreeSet<(String, String)> {
    BTreeSet::from([(key.to_owned(), region.to_owned())])
}

#[test]
fn ambient_keys_come_from_the_environment() {
    let aws = FakeAws::start();
    let sandbox = Sandbox::with(&secretfile(&[("aws", "kind: ambient, config: {region: eu-west-1}")])).env(aws.env());
    sandbox.expect(0, &["sync"]);
    assert_eq!(signed(&aws, "CreateSecret"), one("AKIDCANARY0000000000", "eu-west-1"));
}

#[test]
fn a_profile_wins_over_the_environment() {
    let aws = FakeAws::start();
    let profile = "kind: profile, config: {profile: production, region: eu-west-1}";
    let sandbox = Sandbox::with(&secretfile(&[("aws", profile)])).env(aws.env());
    sandbox.write(
        ".aws/credentials",
        "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = d\n\
         [production]\naws_access_key_id = AKIAPRODUCTION\naws_secret_access_key = p\n",
    );
    sandbox.expect(0, &["sync"]);
    assert_eq!(signed(&aws, "CreateSecret"), one("AKIAPRODUCTION", "eu-west-1"));
    assert_eq!(signed(&aws, "GetCallerIdentity"), one("AKIAPRODUCTION", "eu-west-1"));
}

#[test]
fn the_region_of_a_profile_counts_where_none_is_declared() {
    let aws = FakeAws::start();
    let sandbox = Sandbox::with(&secretfile(&[("aws", "kind: profile, config: {profile: production}")]))
        .env([("AWS_ENDPOINT_URL", aws.url()), ("AWS_EC2_METADATA_DISABLED", "true")]);
    sandbox.write(".aws/config", "[profile production]\nregion = ap-southeast-2\n");
    sandbox.write(".aws/credentials", "[production]\naws_access_key_id = AKIAPRODUCTION\naws_secret_access_key = p\n");
    sandbox.expect(0, &["sync"]);
    assert_eq!(signed(&aws, "CreateSecret"), one("AKIAPRODUCTION", "ap-southeast-2"));
}

#[test]
fn static_keys_are_those_of_the_block() {
    let aws = FakeAws::start();
    let keys = "kind: static, config: {region: us-west-2, access_key_id: '${OUR_ID}', secret_access_key: '${OUR_KEY}', session_token: '${OUR_TOKEN}'}";
    let sandbox = Sandbox::with(&secretfile(&[("aws", keys)])).env(aws.env());
    let sandbox = sandbox.env([("OUR_ID", "AKIAOURS"), ("OUR_KEY", "k"), ("OUR_TOKEN", "canary-session")]);
    sandbox.expect(0, &["sync"]);
    assert_eq!(signed(&aws, "CreateSecret"), one("AKIAOURS", "us-west-2"));
    let tokens = aws.requests().into_iter().flat_map(|request| request.headers);
    let tokens: BTreeSet<String> =
        tokens.filter(|(name, _)| name == "x-amz-security-token").map(|(_, value)| value).collect();
    assert_eq!(tokens, BTreeSet::from(["canary-session".to_owned()]));
}

#[test]
fn a_role_is_assumed_with_its_external_id_and_session_name() {
    let aws = FakeAws::start();
    aws.edit(|world| world.external_id = Some("ours".into()));
    let role = |external_id: &str| {
        format!(
            "kind: assume_role, config: {{region: eu-west-1, role_arn: 'arn:aws:iam::210987654321:role/deploy', external_id: {external_id}, session_name: nightly}}"
        )
    };
    let sandbox = Sandbox::with(&secretfile(&[("aws", &role("ours"))])).env(aws.env());
    insta::assert_snapshot!(told(&sandbox.expect(0, &["test"])), @"✓ aws: arn:aws:sts::210987654321:assumed-role/deploy/nightly, eu-west-1 in N ms");
    sandbox.expect(0, &["sync"]);
    let keys = signed(&aws, "CreateSecret");
    assert!(keys.iter().all(|(key, _)| key.starts_with("ASIATEST")) && keys.len() == 1, "{keys:?}");
    assert!(sandbox.read(".gitsecrets.lock").contains("aws-sm://210987654321/eu-west-1/auth/aws"));
    let sandbox = Sandbox::with(&secretfile(&[("aws", &role("theirs"))])).env(aws.env());
    insta::assert_snapshot!(told(&sandbox.expect(4, &["test"])), @r#"
    ✗ aws: Unable to authenticate with AWS: the source of credentials refused (an expired SSO login, or a role that may not be assumed). Try `aws sts get-caller-identity`; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where an IAM role is attached
      run: aws sts get-caller-identity
      run: aws sts assume-role --role-arn arn:aws:iam::210987654321:role/deploy --role-session-name secretzero --external-id "$EXTERNAL_ID"
    "#);
}

/// The block says where, the environment nothing.
#[test]
fn an_endpoint_of_the_block_is_asked_and_no_other() {
    let (ours, other) = (FakeAws::start(), FakeAws::start());
    let block = format!("kind: ambient, config: {{region: us-east-1, endpoint_url: '{}'}}", ours.url());
    let sandbox = Sandbox::with(&secretfile(&[("aws", &block)])).env(other.env());
    sandbox.expect(0, &["sync"]);
    assert_eq!((ours.count("CreateSecret"), other.total()), (1, 0));
}

#[test]
fn several_regions_and_accounts_are_reached_at_once() {
    let aws = FakeAws::start();
    let providers = [
        ("east", "kind: ambient, config: {region: us-east-1}"),
        ("west", "kind: ambient, config: {region: us-west-2}"),
        ("theirs", "kind: assume_role, config: {region: us-east-1, role_arn: 'arn:aws:iam::210987654321:role/deploy'}"),
        ("profile", "kind: profile, config: {region: eu-west-1, profile: production}"),
    ];
    let sandbox =
        keyless(&aws, &providers).env([("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT"), ("AWS_SECRET_ACCESS_KEY", "e")]);
    sandbox.write(".aws/credentials", "[production]\naws_access_key_id = AKIAPRODUCTION\naws_secret_access_key = p\n");
    insta::assert_snapshot!(told(&sandbox.expect(0, &["test"])), @"
    ✓ east (aws): arn:aws:iam::123456789012:user/test, us-east-1 in N ms
    ✓ west (aws): arn:aws:iam::123456789012:user/test, us-west-2 in N ms
    ✓ theirs (aws): arn:aws:sts::210987654321:assumed-role/deploy/secretzero, us-east-1 in N ms
    ✓ profile (aws): arn:aws:iam::123456789012:user/test, eu-west-1 in N ms
    ");
    sandbox.expect(0, &["sync"]);
    let keys: Vec<(String, String)> = signed(&aws, "CreateSecret").into_iter().collect();
    let shown: Vec<String> = keys.iter().map(|(key, region)| format!("{} {region}", &key[..8])).collect();
    assert_eq!(shown, ["AKIAENVI us-east-1", "AKIAENVI us-west-2", "AKIAPROD eu-west-1", "ASIATEST us-east-1"]);
    let lock = sandbox.read(".gitsecrets.lock");
    for place in
        ["123456789012/us-east-1/auth/east", "123456789012/us-west-2/auth/west", "210987654321/us-east-1/auth/theirs"]
    {
        assert!(lock.contains(&format!("aws-sm://{place}")), "{place}\n{lock}");
    }
    // One that is down or refuses keeps nobody else.
    let ran = sandbox.expect(0, &["test", "--provider", "west"]);
    assert!(!ran.stdout.contains("east") && ran.stdout.lines().count() == 1, "{}", ran.stdout);
    sandbox.write(".aws/credentials", "");
    let ran = sandbox.expect(4, &["test"]);
    assert_eq!(ran.stdout.matches('✓').count(), 3, "{}", ran.stdout);
}
