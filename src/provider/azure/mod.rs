//! Azure Key Vault: secrets and certificates of any number of vaults, with one identity.
