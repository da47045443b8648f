//! What cloud-init does at the first boot.

use crate::inventory::written::{At, Entries, May};
use schemars::JsonSchema;
use serde::Deserialize;

/// The owner's part of the seed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloudInit {
    /// Packages that are installed.
    pub(crate) packages: May<Vec<At<String>>>,
    /// Users beside the one that infra logs in as.
    pub(crate) users: May<Entries<CloudUser>>,
    /// Version of the network document, 1 unless given.
    pub(crate) network_version: May<u8>,
    /// Further keys of the user-data document, as a block of YAML.
    pub(crate) user_data: May<String>,
    /// The vendor-data document, as a block of YAML; user-data wins over it.
    pub(crate) vendor_data: May<String>,
}

/// A user.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloudUser {
    /// Groups beside its own.
    pub(crate) groups: May<Vec<At<String>>>,
    /// May become root without a password; false unless given.
    pub(crate) sudo: May<bool>,
    /// Login shell, `/bin/bash` unless given.
    pub(crate) shell: May<String>,
    /// Keys that may log in.
    pub(crate) authorized_keys: May<Vec<At<String>>>,
}
