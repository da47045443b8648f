//! What cloud-init does in a guest beside letting us in.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The owner's part of a seed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CloudInit {
    /// Packages that are installed at the first boot.
    pub packages: Vec<String>,
    /// Users beside the one that infra logs in as.
    pub users: Vec<CloudUser>,
    /// Version of the network document: 1 or 2.
    pub network_version: u8,
    /// Further keys of the user-data document.
    pub user_data: Map<String, Value>,
    /// Keys of the vendor-data document, over which user-data wins.
    pub vendor_data: Map<String, Value>,
}

/// A user that the first boot makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudUser {
    /// Login name.
    pub name: String,
    /// Groups beside its own.
    pub groups: Vec<String>,
    /// May become root without a password.
    pub sudo: bool,
    /// Login shell.
    pub shell: String,
    /// Keys that may log in, `authorized_keys` lines.
    pub authorized_keys: Vec<String>,
}
