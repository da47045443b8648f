//! What is generated for each system: `generate/<system>.yaml`.

use include_dir::{Dir, include_dir};
use serde::Deserialize;
use std::collections::BTreeMap;

static RECIPES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/builtin/generate");

/// How the value of a secret is made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Random letters and digits.
    Password,
    /// Random letters and digits, and `NAME_hash`, by which a sign-in portal knows them (argon2id).
    Login,
    /// A random UUID.
    Uuid,
    /// `NAME_cert` and `NAME_key` for these host names, signed by a CA of its own.
    Tls(Vec<String>),
    /// The private key of a `WireGuard` server.
    Wireguard,
    /// Nothing: only the owner has it. Says where it is found.
    Owner(String),
    /// `NAME_ca`, `NAME_ca_key`, `NAME_cert`, `NAME_key` and `NAME_tls_crypt` of an OpenVPN server.
    Openvpn,
}

/// The recipe of a system; empty for one without generated secrets.
pub(super) fn of(system: &str) -> BTreeMap<String, Kind> {
    RECIPES
        .get_file(format!("{system}.yaml"))
        .and_then(|file| file.contents_utf8())
        .map(|text| {
            serde_saphyr::from_str(text).expect("an embedded recipe is valid: a test reads each")
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_belongs_to_a_system_and_can_be_read() {
        let systems = crate::builtin::systems();
        for file in RECIPES.files() {
            let name = file
                .path()
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            assert!(systems.contains(&name), "{name}");
            assert!(!of(&name).is_empty(), "{name}");
        }
    }
}
