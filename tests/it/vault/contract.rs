//! The conformance suites against OpenBao, for each kind of target that Vault has.

use secretzero::secret::Shape;
use secretzero::target::{DatabaseRoleSettings, Place, TargetKind, TargetSettings, TransitKeySettings};
use serde_json::json;

use super::Bao;
use super::stores::{entry, old_entry, provider};
use crate::conformance::configuration::{self, Configuration};
use crate::conformance::registry::runs;
use crate::conformance::{Subject, all, unmarked};

fn role(default_ttl_seconds: u64) -> Place {
    let settings = DatabaseRoleSettings {
        database_mount: "database".into(),
        role_name: "readers".into(),
        db_name: "postgres-prod".into(),
        creation_statements: vec!["CREATE ROLE \"{{name}}\" LOGIN;".into()],
        default_ttl_seconds: Some(default_ttl_seconds),
        max_ttl_seconds: Some(86_400),
    };
    Place { settings: TargetSettings::DatabaseRole(settings), shape: Shape::Single }
}

fn key(exportable: bool, derived: bool) -> Place {
    let settings = TransitKeySettings {
        mount_point: "transit".into(),
        key_name: "app".into(),
        key_type: "aes256-gcm96".into(),
        derived,
        convergent_encryption: false,
        exportable,
        allow_plaintext_backup: false,
        auto_rotate_period_seconds: None,
        deletion_allowed: None,
    };
    Place { settings: TargetSettings::TransitKey(settings), shape: Shape::Single }
}

runs! {
    entries_of_version_2_keep_the_contract (Vault, Kv, "OpenBao") {
        let bao = Bao::start().await;
        let provider = &provider(bao.url(), &bao.namespace, "root");
        all(&Subject { provider, kind: TargetKind::Kv, place: entry, prefix: String::new() }).await;
    }
    entries_of_version_1_keep_what_a_store_without_marks_can (Vault, Kv, "OpenBao") {
        let bao = Bao::start().await;
        bao.mount("kv1", "kv", json!({ "version": "1" })).await;
        let provider = &provider(bao.url(), &bao.namespace, "root");
        unmarked(&Subject { provider, kind: TargetKind::Kv, place: old_entry, prefix: String::new() }).await;
    }
    database_roles_keep_the_contract_of_what_holds_no_value (Vault, DatabaseRole, "OpenBao") {
        let bao = Bao::start().await;
        bao.engines().await;
        let provider = &provider(bao.url(), &bao.namespace, "root");
        let (kind, first, changed) = (TargetKind::DatabaseRole, role(3600), role(7200));
        configuration::all(&Configuration { provider, kind, first, changed, fixed: None }).await;
    }
    transit_keys_keep_the_contract_of_what_holds_no_value (Vault, TransitKey, "OpenBao") {
        let bao = Bao::start().await;
        bao.engines().await;
        let provider = &provider(bao.url(), &bao.namespace, "root");
        let (kind, first, changed) = (TargetKind::TransitKey, key(false, false), key(true, false));
        configuration::all(&Configuration { provider, kind, first, changed, fixed: Some(key(true, true)) }).await;
    }
}
