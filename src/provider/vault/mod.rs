//! Vault and OpenBao: key-value stores, database roles and transit keys of one server.
