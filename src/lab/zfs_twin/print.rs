//! Rows and values as people and as JSON readers see them.

use super::table::{BYTES, NUMBERS};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// A number of bytes as OpenZFS abbreviates it: at most five characters.
pub(super) fn nice(bytes: u64) -> String {
    const UNITS: &[char] = &['B', 'K', 'M', 'G', 'T', 'P', 'E'];
    let index = (bytes.max(1).ilog2() / 10) as usize;
    let unit = UNITS.get(index).copied().unwrap_or('E');
    let scale = 1u64 << (10 * index);
    if bytes.is_multiple_of(scale) {
        return format!("{}{unit}", bytes / scale);
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "five characters are shown of it"
    )]
    let value = bytes as f64 / scale as f64;
    (0..=2)
        .rev()
        .map(|digits| format!("{value:.digits$}{unit}"))
        .find(|text| text.len() <= 5)
        .unwrap_or_else(|| format!("{value:.0}{unit}"))
}

/// A time as `zfs` shows it without `-p`.
pub(super) fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| "-".to_owned(),
        |time| time.strftime("%a %b %e %H:%M %Y").to_string(),
    )
}

/// A time as `zpool status` shows it.
pub(super) fn moment_with_seconds(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| "-".to_owned(),
        |time| time.strftime("%a %b %e %H:%M:%S %Y").to_string(),
    )
}

/// A parsable value as it is shown without `-p`.
pub(super) fn human(property: &str, value: &str) -> String {
    if matches!(
        property,
        "quota" | "refquota" | "reservation" | "refreservation"
    ) && value == "0"
    {
        return "none".to_owned();
    }
    if property == "creation" {
        return value.parse().map_or_else(|_| value.to_owned(), moment);
    }
    if matches!(property, "compressratio" | "refcompressratio") && value != "-" {
        return format!("{value}x");
    }
    if BYTES.contains(&property) {
        return value.parse().map_or_else(|_| value.to_owned(), nice);
    }
    value.to_owned()
}

/// Whether a column is aligned to the right.
pub(super) fn is_number(property: &str) -> bool {
    property != "creation" && (BYTES.contains(&property) || NUMBERS.contains(&property))
}

/// A column of a table: heading, least width, alignment.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) heading: String,
    pub(super) width: usize,
    pub(super) right: bool,
}

/// A column of `zfs list`.
pub(super) fn column(property: &str) -> Column {
    let short = match property {
        "available" => "AVAIL",
        "referenced" => "REFER",
        "recordsize" => "RECSIZE",
        "compression" => "COMPRESS",
        "compressratio" => "RATIO",
        "usedbysnapshots" => "USEDSNAP",
        "usedbydataset" => "USEDDS",
        "usedbychildren" => "USEDCHILD",
        "usedbyrefreservation" => "USEDREFRESERV",
        "reservation" => "RESERV",
        "refreservation" => "REFRESERV",
        "logicalused" => "LUSED",
        "logicalreferenced" => "LREFER",
        "volblocksize" => "VOLBLOCK",
        _ => "",
    };
    Column {
        heading: if short.is_empty() {
            property.to_uppercase()
        } else {
            short.to_owned()
        },
        width: if matches!(
            property,
            "used" | "available" | "referenced" | "quota" | "volsize"
        ) {
            5
        } else {
            0
        },
        right: is_number(property),
    }
}

/// Rows as text: parted by tabs when `plain`, else under a heading.
pub(super) fn table(columns: &[Column], rows: &[Vec<String>], plain: bool) -> String {
    let mut out = String::new();
    if plain {
        for row in rows {
            let _ = writeln!(out, "{}", row.join("\t"));
        }
        return out;
    }
    let heading: Vec<String> = columns.iter().map(|c| c.heading.clone()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&heading).chain(rows).collect();
    for row in &all {
        for (at, column) in columns.iter().enumerate() {
            let cell = row.get(at).map_or("", String::as_str);
            let cells = all.iter().filter_map(|row| row.get(at));
            let width = cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
                .max(column.width);
            let is_last = at + 1 == columns.len();
            let _ = match (column.right, is_last) {
                (true, _) => write!(out, "{cell:>width$}"),
                (false, true) => write!(out, "{cell}"),
                (false, false) => write!(out, "{cell:width$}"),
            };
            if !is_last {
                out.push_str("  ");
            }
        }
        out.push('\n');
    }
    out
}

/// The head of every JSON answer.
pub(super) fn versioned(command: &str, key: &str, rest: Value) -> String {
    let mut out = Map::new();
    out.insert(
        "output_version".to_owned(),
        json!({"command": command, "vers_major": 0, "vers_minor": 1}),
    );
    out.insert(key.to_owned(), rest);
    format!("{}\n", Value::Object(out))
}

/// A value with its source.
pub(super) fn sourced(value: &Value, source: &str) -> Value {
    let (kind, data) = match source.strip_prefix("inherited from ") {
        Some(from) => ("INHERITED".to_owned(), from),
        None if source == "-" => ("NONE".to_owned(), "-"),
        None => (source.to_uppercase(), "-"),
    };
    json!({"value": value, "source": {"type": kind, "data": data}})
}

/// Text, or with `--json-int` a number where it is one. Ids above the signed range come out as its end, as with 2.3.9.
pub(super) fn jsoned(property: &str, value: String, as_number: bool) -> Value {
    let is_number = as_number && (is_number(property) || property == "creation");
    match value.parse::<u64>() {
        Ok(number) if is_number => json!(number.min(i64::MAX.unsigned_abs())),
        Ok(_) | Err(_) => Value::String(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_abbreviated_as_openzfs_does() {
        for (bytes, text) in [
            (0, "0B"),
            (98_304, "96K"),
            (82_034_688, "78.2M"),
            (790_380_544, "754M"),
            (70_254_592, "67M"),
            (106_496, "104K"),
            (42_148_864, "40.2M"),
            (1_073_741_824, "1G"),
        ] {
            assert_eq!(nice(bytes), text);
        }
    }
}
