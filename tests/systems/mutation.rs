//! What is broken on purpose: `mutations/<system>.yaml`.

use serde::Deserialize;
use std::{fs, path::Path};

/// The systems that this suite brings up.
pub(crate) const SYSTEMS: &[&str] = &[
    "gateway-sso-booxstream",
    "media-server-home",
    "mediatheque-raspberry-pi",
    "personal-cloud-stack",
    "secure-homelab-server",
];

/// One way to get a system wrong.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mutation {
    /// In a few words.
    pub(crate) what: String,
    /// Texts that take the place of others, in files below the folder that `infra init` fills.
    pub(crate) edits: Vec<Edit>,
    /// The check that must see it.
    pub(crate) red: String,
    /// Seen only when a program notices by itself, which may be after `infra up`.
    #[serde(default)]
    pub(crate) late: bool,
}

/// One text for another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    pub(crate) file: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// The mutations of a system.
pub(crate) fn of(system: &str) -> Vec<Mutation> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/systems/mutations")
        .join(format!("{system}.yaml"));
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
