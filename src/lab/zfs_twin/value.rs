//! What may be set.

use super::{
    answer::{Answer, Result},
    properties::kind,
    table::{Kind, WORDS},
};

/// A value as it is stored, or why it is not taken. `at_birth` while the dataset is made.
pub(super) fn accepted(
    property: &str,
    value: &str,
    at_birth: bool,
) -> std::result::Result<String, String> {
    if property.contains(':') {
        return Ok(value.to_owned());
    }
    if property == "volblocksize" {
        let bytes = number(value).ok_or_else(|| format!("bad numeric value '{value}'"))?;
        return if at_birth {
            Ok(bytes.to_string())
        } else {
            Err("'volblocksize' is readonly".to_owned())
        };
    }
    let Some((kind, _)) = kind(property) else {
        return Err(format!("invalid property '{property}'"));
    };
    let fixed = matches!(kind, Kind::Birth | Kind::Sealed) && !at_birth;
    if kind == Kind::Fact || fixed {
        return Err(format!("'{property}' is readonly"));
    }
    if let Some((_, words)) = WORDS.iter().find(|(name, _)| *name == property) {
        if !words.contains(&value) {
            return Err(format!(
                "'{property}' must be one of '{}'",
                words.join(" | ")
            ));
        }
        // posixacl and sa are old spellings (2.3.9 shows `posix`, and `on` for sa).
        return Ok(match (property, value) {
            ("acltype", "posixacl") => "posix",
            ("acltype", "noacl") => "off",
            ("xattr", "sa") => "on",
            (_, other) => other,
        }
        .to_owned());
    }
    match property {
        "encryption" if value == "on" => Ok("aes-256-gcm".to_owned()),
        "compression" if !is_compression(value) => {
            Err(format!("'compression' must be one of '{COMPRESSIONS}'"))
        }
        "mountpoint" if !value.starts_with('/') && !matches!(value, "none" | "legacy") => {
            Err("'mountpoint' must be an absolute path, 'none', or 'legacy'".to_owned())
        }
        "recordsize" => {
            let bytes = number(value).ok_or_else(|| format!("bad numeric value '{value}'"))?;
            if bytes.is_power_of_two() && (512..=16 << 20).contains(&bytes) {
                Ok(bytes.to_string())
            } else {
                Err("'recordsize' must be power of 2 from 512B to 16M".to_owned())
            }
        }
        "quota" | "reservation" | "refquota" | "refreservation" | "special_small_blocks" => {
            if value == "none" {
                return Ok("0".to_owned());
            }
            number(value)
                .map(|bytes| bytes.to_string())
                .ok_or_else(|| format!("bad numeric value '{value}'"))
        }
        _ => Ok(value.to_owned()),
    }
}

const COMPRESSIONS: &str = "on | off | lzjb | gzip | gzip-[1-9] | zle | lz4 | zstd | zstd-[1-19] | zstd-fast | zstd-fast-[1-10,20,30,40,50,60,70,80,90,100,500,1000]";

fn is_compression(value: &str) -> bool {
    let level = |prefix: &str, most: u32| {
        value
            .strip_prefix(prefix)
            .and_then(|level| level.parse::<u32>().ok())
            .is_some_and(|level| (1..=most).contains(&level))
    };
    matches!(
        value,
        "on" | "off" | "lzjb" | "gzip" | "zle" | "lz4" | "zstd" | "zstd-fast"
    ) || level("gzip-", 9)
        || level("zstd-fast-", 1000)
        || level("zstd-", 19)
}

/// `128K` as bytes.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..]
        .to_ascii_uppercase()
        .trim_end_matches('B')
        .trim_end_matches('I')
    {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Refuses like `zfs create` (1) or `zfs set` (255).
pub(super) fn refuse(code: u8, verb: &str, dataset: &str, why: &str) -> Result<()> {
    Err(Answer::refused(
        code,
        format!("cannot {verb} '{dataset}': {why}"),
    ))
}
