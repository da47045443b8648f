//! Names that were checked once, at the border, and are trusted afterwards.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: {rule}")]
pub struct InvalidName {
    /// The kind of name, for example `host name`.
    pub kind: &'static str,
    /// What was written.
    pub text: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and wraps a text.
            ///
            /// # Errors
            /// [`InvalidName`] with the rule that the text breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) {
                    Ok(Self(text))
                } else {
                    Err(InvalidName { kind: $kind, text, rule: $rule })
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_word(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
}

name! {
    /// A machine that we can reach with a shell: a node, a guest or an external host. Unique in a system.
    HostName, "host name", "lower-case letters, digits and dashes, at most 63", is_label
}
name! {
    /// The name of an inventory.
    SystemName, "system name", "lower-case letters, digits and dashes, at most 63", is_label
}
name! {
    /// A firewall zone.
    ZoneName, "zone name", "lower-case letters, digits, `-` and `_`", is_word
}
name! {
    /// A named set of addresses.
    SetName, "address set name", "lower-case letters, digits, `-` and `_`", is_word
}
name! {
    /// A named service: protocol and ports.
    ServiceName, "service name", "lower-case letters, digits, `-` and `_`", is_word
}
name! {
    /// A compose project. Compose's own rule for project names.
    StackName, "stack name", "lower-case letters, digits, `-` and `_`", is_word
}
name! {
    /// A guest image of the inventory.
    ImageName, "image name", "lower-case letters, digits, `-` and `_`", is_word
}
name! {
    /// A copy of datasets on another zpool. Part of tags and bookmarks.
    ReplicaName, "replica name", "lower-case letters, digits, `-` and `_`, at most 63", is_word
}
name! {
    /// A backup job. Part of snapshot labels, tags and paths.
    BackupName, "backup name", "lower-case letters, digits and dashes, at most 30", |text| text.len() <= 30 && is_label(text)
}
name! {
    /// The name by which a secret is referred to.
    SecretName, "secret name", "lower-case letters, digits, `-` and `_`", is_word
}
name! {
    /// A Proxmox storage id.
    StorageId, "storage id", "a letter, then letters, digits, `-`, `_` and `.`",
    |t| (2..=64).contains(&t.len())
        && t.starts_with(|c: char| c.is_ascii_alphabetic())
        && t.ends_with(|c: char| c.is_ascii_alphanumeric())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
name! {
    /// A Proxmox resource pool, at most two of them nested.
    PoolName, "pool name", "letters, digits, `-`, `_` and `.`; at most three levels separated by `/`",
    |t| (1..=3).contains(&t.split('/').count())
        && t.split('/').all(|part| part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')))
}
name! {
    /// A rule of Proxmox's HA manager.
    HaRuleName, "HA rule name", "a letter, then letters, digits, `-` and `_`, at least two",
    |t| (2..=64).contains(&t.len())
        && t.starts_with(|c: char| c.is_ascii_alphabetic())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
name! {
    /// A Linux bridge on a node.
    BridgeName, "bridge name", "at most 15 letters, digits, `_` and `.`, starting with a letter",
    |t| (1..=15).contains(&t.len())
        && t.starts_with(|c: char| c.is_ascii_alphabetic())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'))
}
name! {
    /// A ZFS pool.
    ZpoolName, "zpool name", "a letter, then letters, digits, `-`, `_`, `.` and `:`",
    |t| t.starts_with(|c: char| c.is_ascii_alphabetic())
        && t.len() <= 200
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
}
name! {
    /// A ZFS dataset with its zpool: `tank/media`.
    DatasetName, "dataset name", "zpool/name with letters, digits, `-`, `_`, `.`, `:` and spaces",
    |t| t.len() <= 255
        && t.starts_with(|c: char| c.is_ascii_alphabetic())
        && t.split('/').all(|part| !part.is_empty() && part != "." && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b' ')))
}
name! {
    /// The part of a snapshot's or bookmark's name behind `@` or `#`.
    SnapshotName, "snapshot name", "letters, digits, `-`, `_`, `.`, `:` and spaces, at most 250",
    |t| (1..=250).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b' '))
}

impl DatasetName {
    /// The zpool it lives in.
    pub fn zpool(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }

    /// The dataset above it, none for the zpool's own root dataset.
    pub fn parent(&self) -> Option<Self> {
        self.0
            .rsplit_once('/')
            .map(|(parent, _)| Self(parent.to_owned()))
    }

    /// Whether this is the other dataset, or lies inside it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0
            .strip_prefix(other.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// A Proxmox guest id, 100 to `999_999_999`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Vmid(u32);

impl Vmid {
    /// Checks and wraps a number.
    ///
    /// # Errors
    /// [`InvalidName`] outside 100..=999999999 (`pve-vmid` in the API schema).
    pub fn new(number: u32) -> Result<Self, InvalidName> {
        if (100..=999_999_999).contains(&number) {
            Ok(Self(number))
        } else {
            Err(InvalidName {
                kind: "VMID",
                text: number.to_string(),
                rule: "a number from 100 to 999999999",
            })
        }
    }

    /// The number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Vmid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl TryFrom<u32> for Vmid {
    type Error = InvalidName;
    fn try_from(number: u32) -> Result<Self, InvalidName> {
        Self::new(number)
    }
}

impl From<Vmid> for u32 {
    fn from(vmid: Vmid) -> Self {
        vmid.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_the_border() {
        assert!(HostName::new("extranet-2").is_ok());
        assert!(HostName::new("Extranet").is_err());
        assert!(HostName::new("-a").is_err());
        assert!(BridgeName::new("vmbr0").is_ok());
        assert!(BridgeName::new("averyveryverylongname").is_err());
        assert!(Vmid::new(99).is_err());
        assert!(serde_json::from_str::<Vmid>("7").is_err());
    }

    #[test]
    fn a_dataset_knows_its_zpool_and_parent() {
        let name = DatasetName::new("tank/appdata/immich").expect("valid");
        assert_eq!(name.zpool(), "tank");
        assert_eq!(name.parent().expect("has one").as_str(), "tank/appdata");
        assert!(DatasetName::new("tank//x").is_err());
        assert!(DatasetName::new("tank/a@b").is_err());
        assert!(DatasetName::new("tank/..").is_err());
        let parent = DatasetName::new("tank/app").expect("valid");
        let within = |text: &str| DatasetName::new(text).expect("valid").is_within(&parent);
        assert!(within("tank/app") && within("tank/app/db") && !within("tank/appdata"));
    }

    #[test]
    fn a_snapshot_name_has_the_characters_that_zfs_allows() {
        for fine in [
            "infra_auto_20260912T021500Z",
            "autosnap_2026-11-08_00:00:01_daily",
            "with space",
        ] {
            assert!(SnapshotName::new(fine).is_ok(), "{fine}");
        }
        for bad in ["", "a+02:00", "a%b", "a@b", "été", "a/b", "a,b"] {
            assert!(SnapshotName::new(bad).is_err(), "{bad}");
        }
    }
}
