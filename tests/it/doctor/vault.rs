//! Whether the plan's role could read values, as a real Vault-compatible server tells its token.

use crate::oidc::Stage;
use crate::oidc::vault::{INPUTS, secretfile, trusting};
use crate::vault::Bao;

#[tokio::test]
async fn a_plans_role_that_may_read_values_is_told() {
    let (bao, stage) = (Bao::start().await, Stage::new());
    trusting(&bao, &stage).await;
    let proxy = bao.proxy();
    let text = secretfile(proxy.url(), &["one", "two"]);
    let inputs = [INPUTS, &[("command", "doctor")]].concat();
    stage.github.commit("main", &[("Secretfile.yml", text.as_bytes())]);
    let (pull, head) = stage.pull(&text);
    let good = stage.pull_request(pull, &head, &inputs);
    assert!(
        good.code == Some(0) && good.stdout.contains("✓ stores      vault: the plan may read no value\n"),
        "{good:?}"
    );

    let wide = r#"path "secret/metadata/*" { capabilities = ["read"] }
                  path "secret/data/shop/two" { capabilities = ["read", "list"] }"#;
    bao.policy("plan", wide).await;
    proxy.forget();
    let ran = stage.pull_request(pull, &head, &inputs);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let said = "! stores      vault: the plan may read values: `two`; so may whoever opens a pull request\n";
    assert!(ran.stdout.contains(said), "{}", ran.stdout);
    let asked: Vec<String> = proxy.asked().into_iter().map(|asked| asked.path).collect();
    assert!(asked.contains(&"sys/capabilities-self".to_owned()), "{asked:?}");
    assert!(asked.iter().all(|path| !path.starts_with("secret/data")), "no value is read to find out: {asked:?}");
    assert!(!bao.knows(&proxy.token()).await, "the token outlived the run");

    // Where that may not be asked, nothing is said.
    bao.policy("default", r#"path "auth/token/lookup-self" { capabilities = ["read"] }"#).await;
    let ran = stage.pull_request(pull, &head, &inputs);
    assert!(ran.stdout.contains("vault: answers") && !ran.stdout.contains("the plan may read"), "{ran:?}");
}
