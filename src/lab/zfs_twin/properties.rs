//! Properties: where a value comes from, and what may be set.

use super::{
    answer::{Answer, Result},
    disk::Disk,
    store::Store,
    table::{Kind, NATIVE, WORDS},
};

/// A value with its source, parsable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) source: String,
}

fn kind(property: &str) -> Option<(Kind, &'static str)> {
    NATIVE
        .iter()
        .find(|(name, _, _)| *name == property)
        .map(|(_, kind, default)| (*kind, *default))
}

/// The value of a settable property and its source.
pub(super) fn settable(store: &Store, dataset: &str, property: &str) -> Option<(String, String)> {
    let (kind, default) = match kind(property) {
        Some(known) => known,
        None if property.contains(':') => (Kind::Inherits, ""),
        None => return None,
    };
    if let Some(value) = store.datasets.get(dataset)?.local.get(property) {
        let source = if kind == Kind::Birth { "-" } else { "local" };
        return Some((value.clone(), source.to_owned()));
    }
    if matches!(kind, Kind::Inherits | Kind::Encryption) {
        let mut above = dataset;
        while let Some((parent, _)) = above.rsplit_once('/') {
            above = parent;
            if let Some(value) = store
                .datasets
                .get(above)
                .and_then(|d| d.local.get(property))
            {
                let value = if property == "mountpoint" && value.starts_with('/') {
                    format!("{}{}", value.trim_end_matches('/'), &dataset[above.len()..])
                } else {
                    value.clone()
                };
                return Some((value, format!("inherited from {above}")));
            }
        }
    }
    if property.contains(':') {
        return None;
    }
    let value = if property == "mountpoint" {
        format!("/{dataset}")
    } else {
        default.to_owned()
    };
    let source = match kind {
        Kind::Birth | Kind::Fact => "-",
        Kind::Inherits | Kind::Own | Kind::Encryption => "default",
    };
    Some((value, source.to_owned()))
}

/// Where a dataset is mounted when it is; none for `none` and `legacy`.
pub(super) fn mountpoint(store: &Store, dataset: &str) -> Option<String> {
    settable(store, dataset, "mountpoint")
        .map(|(at, _)| at)
        .filter(|at| at.starts_with('/'))
}

/// One property of a dataset; none when there is no such property.
pub(super) fn one(store: &Store, disk: &dyn Disk, dataset: &str, property: &str) -> Option<Shown> {
    let shown = |value: String, source: &str| Shown {
        name: property.to_owned(),
        value,
        source: source.to_owned(),
    };
    let Some((kind, default)) = kind(property) else {
        if !property.contains(':') {
            return None;
        }
        let (value, source) =
            settable(store, dataset, property).unwrap_or_else(|| ("-".to_owned(), "-".to_owned()));
        return Some(shown(value, &source));
    };
    if kind != Kind::Fact {
        let (value, source) = settable(store, dataset, property)?;
        return Some(shown(value, &source));
    }
    let record = store.datasets.get(dataset)?;
    let value = match property {
        "creation" => record.creation.to_string(),
        "createtxg" | "objsetid" => record.createtxg.to_string(),
        "guid" => record.guid.to_string(),
        "available" => disk.free().to_string(),
        "mounted" => {
            let at = mountpoint(store, dataset);
            let on = at.is_some_and(|at| disk.is_mounted(record.guid, &at));
            if on { "yes" } else { "no" }.to_owned()
        }
        _ => default.to_owned(),
    };
    Some(shown(value, "-"))
}

/// All properties of a dataset: native ones in ZFS's order, then the user's.
pub(super) fn all(store: &Store, disk: &dyn Disk, dataset: &str) -> Vec<Shown> {
    let mut out: Vec<Shown> = NATIVE
        .iter()
        .filter_map(|(name, _, _)| one(store, disk, dataset, name))
        .collect();
    let mut users: Vec<&String> = Vec::new();
    let mut above = Some(dataset);
    while let Some(name) = above {
        users.extend(
            store
                .datasets
                .get(name)
                .into_iter()
                .flat_map(|d| d.local.keys()),
        );
        above = name.rsplit_once('/').map(|(parent, _)| parent);
    }
    users.retain(|name| name.contains(':'));
    users.sort();
    users.dedup();
    out.extend(
        users
            .into_iter()
            .filter_map(|name| one(store, disk, dataset, name)),
    );
    out
}

/// A value as it is stored, or why it is not taken. `at_birth` while the dataset is made.
pub(super) fn accepted(
    property: &str,
    value: &str,
    at_birth: bool,
) -> std::result::Result<String, String> {
    if property.contains(':') {
        return Ok(value.to_owned());
    }
    let Some((kind, _)) = kind(property) else {
        return Err(format!("invalid property '{property}'"));
    };
    let fixed = matches!(kind, Kind::Birth | Kind::Encryption) && !at_birth;
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

fn number(text: &str) -> Option<u64> {
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
