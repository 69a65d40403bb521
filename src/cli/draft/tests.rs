//! What is written of each kind, read back.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use super::*;
use crate::target::{KeyVaultSettings, KvSettings, ReplicaRegion, Replication, SecretManagerSettings, When};

fn tags() -> BTreeMap<String, String> {
    BTreeMap::from([("team".into(), "core".into()), ("when".into(), "2026-01-01".into())])
}

fn head(kind: &'static str, auth: &'static str, settings: Vec<(&'static str, String)>) -> Head {
    let provider = Login { alias: "store".into(), kind, auth, settings };
    Head { notes: Vec::new(), metadata: vec![("project", "shop".into())], provider }
}

/// What stands in a store says the same when it is read from a Secretfile.
fn comes_back(head: &Head, settings: &TargetSettings) -> String {
    let entry = entry("one", None, "store", settings);
    sound(head, &entry, settings, "2026-06-01T00:00:00Z".parse().unwrap()).unwrap();
    entry
}

#[test]
fn a_secret_of_key_vault() {
    let settings = KeyVaultSettings {
        vault_url: "https://shop.vault.azure.net".into(),
        secret_name: "database-password".into(),
        content_type: Some("text/plain; charset=utf-8".into()),
        enabled: Some(false),
        expires_on: Some(When::At("2030-01-01T00:00:00Z".parse().unwrap())),
        not_before: Some(When::At("2024-01-01T00:00:00Z".parse().unwrap())),
        tags: tags(),
    };
    let head = head("azure", "default", Vec::new());
    insta::assert_snapshot!(comes_back(&head, &TargetSettings::KeyVault(settings)), @r#"
    - name: one
      kind: external
      adopt: true
      targets:
        - provider: store
          kind: key_vault
          config:
            vault_url: "https://shop.vault.azure.net"
            secret_name: database-password
            content_type: "text/plain; charset=utf-8"
            enabled: false
            expires_on: "2030-01-01T00:00:00Z"
            not_before: "2024-01-01T00:00:00Z"
            tags:
              team: core
              when: "2026-01-01"
    "#);
}

#[test]
fn an_entry_of_vault() {
    let login = vec![("url", "https://vault.example.com:8200".to_owned()), ("token", "${VAULT_TOKEN}".to_owned())];
    let head = head("vault", "token", login);
    for version in [1, 2] {
        let settings = KvSettings {
            path: "shop/database/password".into(),
            mount_point: "teams/core".into(),
            version,
            key: "password".into(),
            cas: None,
            metadata: if version == 2 { tags() } else { BTreeMap::new() },
        };
        let entry = comes_back(&head, &TargetSettings::Kv(settings));
        assert_eq!(entry.contains("version: 1"), version == 1, "{entry}");
        assert_eq!(entry.contains("metadata:"), version == 2, "{entry}");
    }
}

#[test]
fn a_secret_of_google() {
    let location =
        |region: &str, key: Option<&str>| ReplicaRegion { region: region.into(), kms_key_id: key.map(str::to_owned) };
    let key = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k";
    let plain = SecretManagerSettings {
        project_id: Some("shop-production".into()),
        secret_id: "database_password".into(),
        labels: BTreeMap::from([("team".into(), "core".into())]),
        annotations: BTreeMap::from([("says".into(), "\"hi\": # ${HOME}".into())]),
        replication: Replication::Automatic(None),
        topics: Vec::new(),
        rotation_period_seconds: None,
        next_rotation_time: None,
        expire_time: None,
        keep_versions: None,
    };
    let head = head("gcp", "ambient", vec![("project_id", "shop-production".to_owned())]);
    comes_back(&head, &TargetSettings::SecretManager(plain.clone()));
    let whole = SecretManagerSettings {
        replication: Replication::UserManaged(vec![
            location("europe-west1", Some(key)),
            location("europe-west4", None),
        ]),
        topics: vec!["projects/p/topics/t".into()],
        rotation_period_seconds: Some(7200),
        next_rotation_time: Some("2030-01-01T00:00:00Z".parse().unwrap()),
        expire_time: Some(When::At("2031-01-01T00:00:00Z".parse().unwrap())),
        ..plain.clone()
    };
    insta::assert_snapshot!(comes_back(&head, &TargetSettings::SecretManager(whole.clone())), @r#"
    - name: one
      kind: external
      adopt: true
      targets:
        - provider: store
          kind: secret_manager
          config:
            project_id: shop-production
            secret_id: database_password
            annotations:
              says: "\"hi\": # $${HOME}"
            replication:
              user_managed:
                  - location: europe-west1
                    kms_key: projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k
                  - location: europe-west4
            topics:
              - projects/p/topics/t
            rotation_period: 2h
            next_rotation_time: "2030-01-01T00:00:00Z"
            expire_time: "2031-01-01T00:00:00Z"
            labels:
              team: core
    "#);
    let encrypted = SecretManagerSettings { replication: Replication::Automatic(Some(key.into())), ..plain };
    comes_back(&head, &TargetSettings::SecretManager(encrypted));
    // An odd number of seconds cannot be written, and then it is not written down as something else.
    let odd = TargetSettings::SecretManager(SecretManagerSettings { rotation_period_seconds: Some(7201), ..whole });
    let written = entry("one", None, "store", &odd);
    assert!(sound(&head, &written, &odd, "2026-06-01T00:00:00Z".parse().unwrap()).is_err());
}
