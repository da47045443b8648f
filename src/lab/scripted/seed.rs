//! The seed of a guest as cloud-init would read it.

use crate::lab::iso;
use russh::keys::PrivateKey;
use serde_json::Value;

/// What a first boot takes from a seed.
#[derive(Debug, Clone)]
pub(super) struct Seed {
    pub(super) instance_id: String,
    pub(super) hostname: String,
    /// Who may log in, with what keys, and whether sudo asks nothing.
    pub(super) logins: Vec<Login>,
    /// Private host key; none in a seed that was sealed after the first boot.
    pub(super) host_key: Option<PrivateKey>,
    pub(super) packages: Vec<String>,
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) name: String,
    pub(super) keys: Vec<String>,
    pub(super) sudo: bool,
}

impl Seed {
    /// Reads a seed image.
    ///
    /// # Errors
    /// A sentence, in the words in which a guest's console would complain.
    pub(super) fn read(image: &[u8]) -> Result<Self, String> {
        let volume = iso::mount(image)?;
        if !volume.label.eq_ignore_ascii_case("cidata") {
            return Err(format!(
                "the seed's label is `{}`, not `cidata`",
                volume.label
            ));
        }
        let document = |name: &str| -> Result<Value, String> {
            let bytes = volume
                .files
                .get(name)
                .ok_or(format!("the seed has no {name}"))?;
            let text = str::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8"))?;
            serde_saphyr::from_str(text).map_err(|error| format!("{name} is not YAML: {error}"))
        };
        let text = volume
            .files
            .get("user-data")
            .map(Vec::as_slice)
            .unwrap_or_default();
        if !text.starts_with(b"#cloud-config\n") {
            return Err("user-data does not begin with #cloud-config".to_owned());
        }
        let (user, meta) = (document("user-data")?, document("meta-data")?);
        let host_key = match user["ssh_keys"]["ed25519_private"].as_str() {
            Some(text) => {
                Some(PrivateKey::from_openssh(text).map_err(|error| format!("ssh_keys: {error}"))?)
            }
            None => None,
        };
        let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| {
            value
                .as_array()
                .into_iter()
                .flatten()
                .map(string)
                .collect::<Vec<_>>()
        };
        let logins = user["users"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|login| login.is_object())
            .map(|login| Login {
                name: string(&login["name"]),
                keys: list(&login["ssh_authorized_keys"]),
                sudo: login["sudo"].to_string().contains("NOPASSWD:ALL"),
            })
            .collect();
        Ok(Self {
            instance_id: string(&meta["instance-id"]),
            hostname: string(&user["hostname"]),
            logins,
            host_key,
            packages: list(&user["packages"]),
        })
    }
}
