//! What a person reads after each refusal.

use super::*;

const GITHUB: &[(&str, &str)] = &[
    ("iss", "https://token.actions.githubusercontent.com"),
    ("repository", "acme/app"),
    ("repository_id", "42"),
    ("repository_owner_id", "7"),
];

fn denial(exchange: Exchange, code: &str, subject: &str, audience: &str, phase: Phase) -> Denial {
    let more = [("sub", subject), ("aud", audience)];
    let pairs = GITHUB.iter().copied().chain(more).map(|(name, value)| (name.to_owned(), value.to_owned()));
    Denial { exchange, code: code.into(), claims: Claims::expected(pairs), phase }
}

fn aws(role_arn: &str) -> Exchange {
    Exchange::Aws { role_arn: role_arn.into() }
}

#[test]
fn aws_is_told_in_json_and_the_newer_form_is_recognised() {
    let role = aws("arn:aws-us-gov:iam::123456789012:role/secretzero");
    let subject = "repo:acme@7/app@42:ref:refs/heads/main";
    let denial = denial(role, "AccessDenied", subject, "sts.amazonaws.com", Phase::Sync);
    insta::assert_snapshot!("aws", explain(&denial).text());
}

#[test]
fn a_pull_requests_token_is_no_remedy_for_a_role_that_writes() {
    let named = |phase| {
        let role = aws("arn:aws:iam::123456789012:role/secretzero");
        explain(&denial(role, "AccessDenied", "repo:acme/app:pull_request", "sts.amazonaws.com", phase)).policy_name
    };
    assert!(named(Phase::Sync).contains("a role that only plans") && named(Phase::Rotate).contains("only plans"));
    assert!(named(Phase::Plan).starts_with("A trust policy for the role"));
}

#[test]
fn azure_is_told_in_json() {
    let exchange = Exchange::Azure { tenant_id: "contoso".into(), client_id: "0000-1111".into() };
    let audience = "api://AzureADTokenExchange";
    let denial = denial(exchange, "AADSTS700213", "repo:acme/app:pull_request", audience, Phase::Plan);
    insta::assert_snapshot!("azure", explain(&denial).text());
}

#[test]
fn google_is_told_in_commands_that_no_claim_can_break_out_of() {
    let provider = "projects/123/locations/global/workloadIdentityPools/ci/providers/github".to_owned();
    let exchange = Exchange::Google { provider, service_account: Some("sz@acme.iam.gserviceaccount.com".into()) };
    let subject = "repo:acme/app:environment:it's";
    let denial = denial(exchange, "unauthorized_client", subject, "https://iam.googleapis.com/x", Phase::Sync);
    insta::assert_snapshot!("google", explain(&denial).text());
}

#[test]
fn where_a_subject_is_too_long_for_google_the_repository_stands_for_it() {
    let provider = "projects/123/locations/global/workloadIdentityPools/ci/providers/github".to_owned();
    let exchange = Exchange::Google { provider, service_account: Some("sz@acme.iam.gserviceaccount.com".into()) };
    let subject = format!("repo:acme/app:ref:refs/heads/{}", "x".repeat(100));
    let text = explain(&denial(exchange, "unauthorized_client", &subject, "a", Phase::Sync)).text();
    assert!(text.contains("google.subject=assertion.repository_id,") && text.contains("/subject/42'"), "{text}");
    assert!(text.contains(&format!("assertion.sub == \"{subject}\"")), "the condition still names it: {text}");
}

#[test]
fn vault_is_told_in_json() {
    let (url, mount, role) = ("https://vault.example".into(), "jwt".into(), "secretzero".into());
    let subject = "project_path:g/p:ref_type:branch:ref:main";
    let denial =
        denial(Exchange::Vault { url, mount, role }, "HTTP 400", subject, "https://vault.example", Phase::Rotate);
    insta::assert_snapshot!("vault", explain(&denial).text());
}

#[test]
fn a_cause_fits_the_code() {
    let said = |exchange: Exchange, code: &str| {
        explain(&denial(exchange, code, "repo:acme/app:pull_request", "sts.amazonaws.com", Phase::Plan)).cause
    };
    let azure = || Exchange::Azure { tenant_id: "t".into(), client_id: "c".into() };
    let google = || Exchange::Google { provider: "p".into(), service_account: None };
    for (cause, part) in [
        (said(aws("r"), "InvalidIdentityToken"), "--url 'https://token.actions.githubusercontent.com'"),
        (said(aws("r"), "ExpiredTokenException"), "clock"),
        (said(azure(), "AADSTS700211"), "another issuer"),
        (said(azure(), "AADSTS700016"), "a setting of this login"),
        (said(azure(), "AADSTS700024"), "clock"),
        (said(google(), "invalid_grant"), "another issuer"),
        (said(google(), "unauthorized_client"), "the form with ids"),
    ] {
        assert!(cause.contains(part), "{cause}");
    }
}

#[test]
fn a_cause_fits_the_subject_and_what_the_run_is_about() {
    let said = |subject: &str, phase| {
        explain(&denial(aws("arn:aws:iam::1:role/r"), "AccessDenied", subject, "a", phase)).cause
    };
    for (subject, phase, part) in [
        ("repo:acme/app:pull_request", Phase::Sync, "a role that may write must not admit"),
        ("repo:acme/app:environment:prod", Phase::Plan, "take it out of that job"),
        ("repo:acme/app:ref:refs/heads/main", Phase::Plan, "that a comment starts"),
        ("repo:acme/app:pull_request", Phase::Plan, "`repo:acme@7/app@42:pull_request`"),
        ("repo:acme@7/app@42:pull_request", Phase::Plan, "older form of the subject, `repo:acme/app:pull_request`"),
        ("repo:acme/app", Phase::Sync, "customised"),
        ("repository_id:42", Phase::Sync, "another subject than `repository_id:42`"),
        ("", Phase::Sync, "no subject"),
    ] {
        let cause = said(subject, phase);
        assert!(cause.contains(part), "{subject}: {cause}");
    }
}
