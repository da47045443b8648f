//! ZFS properties: the ones that may be set, and the built-in profiles. `docs/inventory.md` gives the reasons.

/// Native properties of a filesystem that can be set (OpenZFS 2.3, `zfs-props(7)`), without those that only a volume or
/// the moment of creation has.
pub(super) const SETTABLE: &[&str] = &[
    "aclinherit",
    "aclmode",
    "acltype",
    "atime",
    "canmount",
    "casesensitivity",
    "checksum",
    "compression",
    "copies",
    "dedup",
    "devices",
    "direct",
    "dnodesize",
    "encryption",
    "exec",
    "filesystem_limit",
    "keyformat",
    "keylocation",
    "logbias",
    "longname",
    "mlslabel",
    "mountpoint",
    "nbmand",
    "normalization",
    "overlay",
    "prefetch",
    "primarycache",
    "quota",
    "readonly",
    "recordsize",
    "redundant_metadata",
    "refquota",
    "refreservation",
    "relatime",
    "reservation",
    "secondarycache",
    "setuid",
    "sharenfs",
    "sharesmb",
    "snapdir",
    "snapshot_limit",
    "special_small_blocks",
    "sync",
    "utf8only",
    "version",
    "vscan",
    "xattr",
];

type Properties = &'static [(&'static str, &'static str)];

/// Access lists and extended attributes that Linux programs expect, kept in the inode.
const LINUX: [(&str, &str); 2] = [("acltype", "posix"), ("xattr", "sa")];

/// The profiles that come with infra.
pub(super) const BUILT_IN: &[(&str, Properties)] = &[
    (
        "media",
        &[
            ("recordsize", "1M"),
            ("compression", "lz4"),
            ("atime", "off"),
            LINUX[0],
            LINUX[1],
        ],
    ),
    (
        "photos",
        &[
            ("recordsize", "1M"),
            ("compression", "lz4"),
            ("atime", "off"),
            LINUX[0],
            LINUX[1],
        ],
    ),
    (
        "appdata",
        &[
            ("recordsize", "128K"),
            ("compression", "zstd"),
            ("atime", "off"),
            LINUX[0],
            LINUX[1],
        ],
    ),
    (
        "databases",
        &[
            ("recordsize", "16K"),
            ("compression", "lz4"),
            ("atime", "off"),
            ("logbias", "latency"),
            LINUX[0],
            LINUX[1],
        ],
    ),
    (
        "backups",
        &[
            ("recordsize", "1M"),
            ("compression", "off"),
            ("atime", "off"),
            LINUX[0],
            LINUX[1],
        ],
    ),
];

/// What is wrong with a value, where that can be said without asking ZFS.
pub(super) fn complaint(property: &str, value: &str) -> Option<&'static str> {
    let one_of = |words: &[&str]| words.contains(&value);
    let (fine, rule) = match property {
        "recordsize" => (
            is_record_size(value),
            "a power of two from 512 to 16M, for example `128K` or `1M`",
        ),
        "compression" => (
            one_of(&[
                "on",
                "off",
                "lz4",
                "lzjb",
                "zle",
                "gzip",
                "zstd",
                "zstd-fast",
            ]) || value
                .strip_prefix("gzip-")
                .is_some_and(|level| matches!(level.parse(), Ok(1..=9)))
                || value
                    .strip_prefix("zstd-fast-")
                    .is_some_and(|level| matches!(level.parse(), Ok(1..=1000)))
                || value
                    .strip_prefix("zstd-")
                    .is_some_and(|level| matches!(level.parse(), Ok(1..=19))),
            "`lz4`, `zstd`, `zstd-1` to `zstd-19`, `gzip`, `zle`, `on` or `off`",
        ),
        "atime" | "relatime" | "devices" | "exec" | "setuid" | "readonly" | "overlay"
        | "nbmand" | "utf8only" | "vscan" => (one_of(&["on", "off"]), "`on` or `off`"),
        "xattr" => (
            one_of(&["on", "off", "sa", "dir"]),
            "`sa`, `dir`, `on` or `off`",
        ),
        "acltype" => (
            one_of(&["off", "posix", "posixacl", "nfsv4", "noacl"]),
            "`posix`, `nfsv4` or `off`",
        ),
        "sync" => (
            one_of(&["standard", "always", "disabled"]),
            "`standard`, `always` or `disabled`",
        ),
        "logbias" => (
            one_of(&["latency", "throughput"]),
            "`latency` or `throughput`",
        ),
        "canmount" => (one_of(&["on", "off", "noauto"]), "`on`, `off` or `noauto`"),
        "snapdir" => (
            one_of(&["hidden", "visible", "disabled"]),
            "`hidden`, `visible` or `disabled`",
        ),
        "primarycache" | "secondarycache" => (
            one_of(&["all", "none", "metadata"]),
            "`all`, `none` or `metadata`",
        ),
        "quota" | "refquota" | "reservation" | "refreservation" => (
            value == "none" || value.parse::<crate::model::size::Bytes>().is_ok(),
            "a size such as `500GiB`, or `none`",
        ),
        "copies" => (one_of(&["1", "2", "3"]), "1, 2 or 3"),
        _ => (!value.is_empty() && value.len() < 1024, "a value"),
    };
    (!fine).then_some(rule)
}

fn is_record_size(value: &str) -> bool {
    value
        .parse::<crate::model::size::Bytes>()
        .is_ok_and(|bytes| bytes.0.is_power_of_two() && (512..=16 << 20).contains(&bytes.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_profiles_hold_valid_values_only() {
        for (name, properties) in BUILT_IN {
            for (property, value) in *properties {
                assert!(SETTABLE.contains(property), "{name}: {property}");
                assert_eq!(
                    complaint(property, value),
                    None,
                    "{name}: {property}={value}"
                );
            }
        }
        assert!(complaint("recordsize", "100K").is_some());
        assert!(complaint("compression", "zstd-20").is_some());
        assert!(complaint("compression", "zstd-fast-4").is_none());
    }
}
