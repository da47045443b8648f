//! Property values as ZFS means them. Pure.

use crate::model::facts::PropertyFact;

/// Properties that can be set at creation only: a difference needs a new dataset and a copy of the data.
const CREATE_ONLY: &[&str] = &[
    "casesensitivity",
    "encryption",
    "keyformat",
    "normalization",
    "utf8only",
    "volblocksize",
];

/// Native properties that a child does not take over from its parent.
const NOT_INHERITED: &[&str] = &[
    "canmount",
    "casesensitivity",
    "encryption",
    "filesystem_limit",
    "keyformat",
    "normalization",
    "quota",
    "refquota",
    "refreservation",
    "reservation",
    "snapshot_limit",
    "utf8only",
    "version",
    "volblocksize",
    "volsize",
];

/// Properties that are numbers of bytes.
const SIZES: &[&str] = &[
    "quota",
    "recordsize",
    "refquota",
    "refreservation",
    "reservation",
    "special_small_blocks",
    "volblocksize",
    "volsize",
];

/// Values that mean the same in OpenZFS 2.2 and later: property, spelling, the one we compare.
const SYNONYMS: &[(&str, &str, &str)] = &[
    ("acltype", "noacl", "off"),
    ("acltype", "posixacl", "posix"),
    ("checksum", "fletcher4", "on"),
    ("compression", "gzip-6", "gzip"),
    ("compression", "lz4", "on"),
    ("compression", "zstd-3", "zstd"),
    ("compression", "zstd-fast-1", "zstd-fast"),
    ("dedup", "on", "sha256"),
    ("dedup", "verify", "sha256,verify"),
    ("encryption", "on", "aes-256-gcm"),
    ("volmode", "full", "geom"),
    ("xattr", "sa", "on"),
];

/// Whether a property can be set at creation only.
pub fn is_create_only(property: &str) -> bool {
    CREATE_ONLY.contains(&property)
}

/// Whether children take the value over. User properties do.
pub fn is_inherited(property: &str) -> bool {
    !NOT_INHERITED.contains(&property)
}

/// One spelling for all that mean the same: `256K` is `262144`, `none` is `0` for a size, `on` is its algorithm.
pub fn canonical(property: &str, value: &str) -> String {
    if property.contains(':') {
        return value.to_owned();
    }
    if SIZES.contains(&property) {
        return bytes(value).map_or_else(|| value.to_lowercase(), |bytes| bytes.to_string());
    }
    if property == "mountpoint" {
        let trimmed = value.trim_end_matches('/');
        return if value.starts_with('/') && trimmed.is_empty() {
            "/"
        } else {
            trimmed
        }
        .to_owned();
    }
    if matches!(
        property,
        "sharenfs" | "sharesmb" | "mlslabel" | "keylocation"
    ) {
        return value.to_owned();
    }
    let value = value.to_lowercase();
    let same = SYNONYMS
        .iter()
        .find(|(name, spelling, _)| *name == property && *spelling == value);
    same.map_or(value, |(_, _, one)| (*one).to_owned())
}

/// Whether a dataset has the wanted value, wherever it comes from. A received value counts; a temporary one, which is
/// gone with the next mount, does not.
pub fn is_met(property: &str, wanted: &str, fact: Option<&PropertyFact>) -> bool {
    match fact {
        Some(fact) => {
            fact.source != "temporary"
                && canonical(property, wanted) == canonical(property, &fact.value)
        }
        None => false,
    }
}

/// `1.5G`, `128K`, `none`: bytes. ZFS's units are powers of 1024, with or without `B` or `iB`.
fn bytes(value: &str) -> Option<u64> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("none") {
        return Some(0);
    }
    let split = value
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(value.len());
    let (number, unit) = value.split_at(split);
    let unit = unit.trim().to_lowercase();
    let shift = match unit.trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        "e" => 60,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().ok()?;
    // Nine digits keep the fraction of an exbibyte within 128 bits.
    let digits: String = fraction.chars().take(9).collect();
    let below = if digits.is_empty() {
        0
    } else {
        let scale = 10_u128.pow(u32::try_from(digits.len()).ok()?);
        (u128::from(digits.parse::<u64>().ok()?) << shift) / scale
    };
    whole
        .checked_mul(1 << shift)?
        .checked_add(u64::try_from(below).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(property: &str, a: &str, b: &str) -> bool {
        canonical(property, a) == canonical(property, b)
    }

    #[test]
    fn spellings_of_one_value_are_equal() {
        for (property, a, b) in [
            ("recordsize", "256K", "262144"),
            ("recordsize", "1M", "1048576"),
            ("recordsize", "1MiB", "1024k"),
            ("quota", "none", "0"),
            ("quota", "1.5G", "1610612736"),
            ("compression", "lz4", "on"),
            ("compression", "ZSTD-3", "zstd"),
            ("encryption", "on", "aes-256-gcm"),
            ("acltype", "posixacl", "posix"),
            ("xattr", "sa", "on"),
            ("mountpoint", "/mnt/tank/", "/mnt/tank"),
        ] {
            assert!(same(property, a, b), "{property}: {a} and {b}");
        }
    }

    #[test]
    fn different_values_stay_different() {
        for (property, a, b) in [
            ("recordsize", "128K", "128M"),
            ("compression", "zstd-19", "zstd"),
            ("compression", "off", "on"),
            ("xattr", "dir", "on"),
            ("mountpoint", "/mnt/Tank", "/mnt/tank"),
            ("mountpoint", "/", ""),
            ("org.infra:system", "Home", "home"),
            ("refreservation", "auto", "none"),
            ("volsize", "99999999E", "0"),
        ] {
            assert!(!same(property, a, b), "{property}: {a} and {b}");
        }
    }

    #[test]
    fn a_value_is_met_by_any_source_that_lasts() {
        let fact = |source: &str| PropertyFact {
            value: "1048576".to_owned(),
            source: source.to_owned(),
        };
        assert!(is_met(
            "recordsize",
            "1M",
            Some(&fact("inherited from tank"))
        ));
        assert!(is_met("recordsize", "1M", Some(&fact("received"))));
        assert!(!is_met("recordsize", "1M", Some(&fact("temporary"))));
        assert!(!is_met("recordsize", "1M", None));
        assert!(is_create_only("casesensitivity") && !is_create_only("recordsize"));
        assert!(
            is_inherited("compression")
                && is_inherited("org.infra:system")
                && !is_inherited("quota")
        );
    }
}
