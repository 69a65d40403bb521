//! The commands, and what the service answers to whom it may concern.

use crate::{Service, program};

/// Runs a command to its end.
fn ran(args: &[&str]) -> (Option<i32>, String, String) {
    let output = program(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn verifiers_find_the_keys_and_nothing_signs() {
    let service = Service::start();
    let (status, cached, discovery) = service.get("/.well-known/openid-configuration").await;
    assert_eq!((status, cached.as_str()), (200, "public, max-age=3600"));
    assert_eq!(discovery["issuer"], service.url.as_str());
    assert_eq!(discovery["jwks_uri"], format!("{}/.well-known/jwks.json", service.url));
    assert_eq!(discovery["id_token_signing_alg_values_supported"], serde_json::json!(["RS256"]));
    let (status, cached, keys) = service.get("/.well-known/jwks.json").await;
    assert_eq!((status, cached.as_str(), keys["keys"].as_array().unwrap().len()), (200, "public, max-age=3600", 1));
    let key = keys["keys"][0].as_object().unwrap();
    let members: Vec<&str> = key.keys().map(String::as_str).collect();
    assert!(["d", "p", "q", "dp", "dq", "qi"].iter().all(|secret| !members.contains(secret)), "{members:?}");
    assert_eq!((service.get("/healthz").await.0, service.get("/readyz").await.0), (200, 200));
    for path in ["/", "/token", "/api/v1/token", "/issuer", "/.well-known/"] {
        let http = reqwest::Client::new();
        assert_eq!(http.post(format!("{}{path}", service.url)).send().await.unwrap().status(), 404, "{path}");
    }
}

#[tokio::test]
async fn what_a_command_revokes_the_running_service_publishes_no_more() {
    let service = Service::start();
    let before = service.get("/.well-known/jwks.json").await.2;
    let keys = service.folder.path().join("keys").display().to_string();
    let (code, ..) = ran(&["issuer", "revoke-now", "--yes", "--issuer", &service.url, "--keys", &keys]);
    let after = service.get("/.well-known/jwks.json").await.2;
    assert!(code == Some(0) && before != after && after["keys"].as_array().unwrap().len() == 1, "{before} {after}");
    assert_eq!(service.get("/readyz").await.0, 200);
}

#[test]
fn keys_are_made_rotated_revoked_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys").display().to_string();
    let of = ["--issuer", "https://sz.example", "--keys", &keys];
    let issuer = |command: &[&str]| ran(&[&["issuer"], command, &of].concat());
    let states =
        |text: &str| text.lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect::<Vec<_>>();
    let (code, first, _) = issuer(&["status"]);
    assert_eq!((code, states(&first)), (Some(0), vec!["active".to_owned()]));
    let (code, rotated, _) = issuer(&["rotate"]);
    assert_eq!((code, states(&rotated)), (Some(0), vec!["active".to_owned(), "next".to_owned()]));
    assert_eq!(issuer(&["rotate"]).1, rotated, "one next key is enough");
    let (_, exported, _) = issuer(&["export-jwks"]);
    let exported: serde_json::Value = serde_json::from_str(&exported).unwrap();
    assert_eq!(exported["keys"].as_array().unwrap().len(), 2);
    let (code, _, said) = issuer(&["revoke-now"]);
    assert!(code == Some(1) && said.contains("`--yes`"), "{said}");
    let (code, revoked, _) = issuer(&["revoke-now", "--yes"]);
    assert_eq!((code, states(&revoked)), (Some(0), vec!["active".to_owned()]));
    assert!(!revoked.contains(first.split_whitespace().last().unwrap()));
    let (code, _, said) = ran(&["issuer", "status", "--issuer", "http://sz.example", "--keys", &keys]);
    assert!(code == Some(1) && said.contains("it must begin with `https://`"), "{said}");
    let (code, _, said) = ran(&["serv"]);
    assert!(code == Some(2) && said.contains("serve"), "{said}");
    let (code, help, _) = ran(&["--help"]);
    assert!(code == Some(0) && help.contains("come with a later release"), "{help}");
}

/// Whoever comes first, what is revoked stays revoked.
#[test]
fn a_rotation_at_the_same_time_undoes_no_revocation() {
    for _ in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys").display().to_string();
        let of = ["--issuer", "https://sz.example", "--keys", &keys];
        let stolen = ran(&[&["issuer", "status"], &of[..]].concat()).1.split_whitespace().last().unwrap().to_owned();
        let mut both = [&["rotate"][..], &["revoke-now", "--yes"], &["rotate"], &["export-jwks"]].map(|command| {
            program(&[&["issuer"], command, &of].concat()).stdout(std::process::Stdio::null()).spawn().unwrap()
        });
        assert!(both.iter_mut().all(|one| one.wait().unwrap().success()));
        let (code, after, said) = ran(&[&["issuer", "status"], &of[..]].concat());
        assert!(code == Some(0) && !after.contains(&stolen), "{after}{said}");
        let pems = std::fs::read_dir(folder.path().join("keys")).unwrap();
        let pems = pems.filter(|one| one.as_ref().unwrap().path().extension().is_some_and(|end| end == "pem")).count();
        assert_eq!(pems, after.lines().count(), "{after}");
    }
}

/// The service's commands in the README, in the order in which it shows them.
#[test]
fn what_the_readme_shows_works() {
    let readme = include_str!("../../../README.md");
    let snippets: Vec<&str> = readme.split("<!-- test: service -->\n```sh\n").skip(1).collect();
    let commands: Vec<&str> = snippets.iter().flat_map(|rest| rest.split("```").next().unwrap().lines()).collect();
    assert!(commands.len() > 2, "{commands:?}");
    let folder = tempfile::tempdir().unwrap();
    for command in commands {
        let words = command.split(" #").next().unwrap().split_whitespace();
        let words: Vec<&str> = words.collect();
        assert_eq!(words[0], "secretzero-webhook", "{command}");
        let output = program(&words[1..]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{command}: {output:?}");
    }
}
