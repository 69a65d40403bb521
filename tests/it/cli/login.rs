//! `test`: who we are at every provider, and what happens to a sync if nobody knows us.

use crate::sandbox::Sandbox;

use super::{PAIR, SHOP, Stage, told};

#[test]
fn every_provider_is_tried() {
    let stage = Stage::with(SHOP);
    insta::assert_snapshot!(stage.told(0, &["test"]), @"
    ✓ aws: arn:aws:iam::123456789012:user/test, us-east-1 in N ms
    ✓ local: the user of this process
    ");
    insta::assert_snapshot!(stage.told(0, &["test", "--provider", "local"]), @"✓ local: the user of this process");
}

#[test]
fn a_login_that_is_refused_exits_4() {
    let stage = Stage::with(SHOP);
    stage.aws.deny("GetCallerIdentity");
    insta::assert_snapshot!(stage.told(4, &["test"]), @"
    ✗ aws: Unable to authenticate with AWS: AWS refused sts:GetCallerIdentity in us-east-1 (AccessDeniedException). Allow it to this identity on *
      run: aws sts get-caller-identity
      run: aws configure list
    ✓ local: the user of this process
    ");
    insta::assert_snapshot!(stage.told(4, &["sync", "--secret", "external_api_key"]), @"
    --- stderr
    ✗ external_api_key: AWS Secrets Manager `production/myapp/api-key` cannot be read: AWS refused sts:GetCallerIdentity in us-east-1 (AccessDeniedException). Allow it to this identity on * (Secretfile.yml:54)
      help: nothing is generated until every target can be read; mend this and run again
    ! 1 secret held
    ");
    assert_eq!(stage.aws.effects(), 0);
    assert_eq!(stage.sandbox.read(".gitsecrets.lock"), "");
}

#[test]
fn without_credentials_it_says_where_they_come_from() {
    let sandbox = Sandbox::with(PAIR).env([("AWS_EC2_METADATA_DISABLED", "true")]);
    insta::assert_snapshot!(told(&sandbox.expect(4, &["test"])), @"
    ✗ aws: Unable to authenticate with AWS: no credentials were found. Try `aws sts get-caller-identity`; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where an IAM role is attached
      run: aws sts get-caller-identity
      run: aws configure list
    ");
    insta::assert_snapshot!(told(&sandbox.expect(4, &["sync"])), @"
    --- stderr
    ✗ token: AWS Secrets Manager `pair/token` cannot be read: Unable to authenticate with AWS: no credentials were found. Try `aws sts get-caller-identity`; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where an IAM role is attached (Secretfile.yml:9)
      help: nothing is generated until every target can be read; mend this and run again
    ! 1 secret held
    ");
}
