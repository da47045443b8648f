//! `zpool status`, as JSON from 2.3 on and as text before.

use crate::model::zpool::{DeviceTrouble, Scan, ZpoolState};
use jiff::{Timestamp, civil::DateTime, fmt::strtime, tz::TimeZone};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Adds what `zpool status` says to a pool.
///
/// # Errors
/// What was expected and what was there.
pub(super) fn read(body: &str, is_json: bool, state: &mut ZpoolState) -> Result<(), String> {
    if is_json {
        json(body, state)
    } else {
        text(body, state);
        Ok(())
    }
}

#[derive(Deserialize)]
struct Answer {
    pools: BTreeMap<String, Pool>,
}

#[derive(Deserialize)]
struct Pool {
    state: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    action: String,
    scan_stats: Option<ScanStats>,
    #[serde(default)]
    vdevs: BTreeMap<String, Vdev>,
    error_count: Option<String>,
}

#[derive(Deserialize)]
struct ScanStats {
    function: String,
    state: String,
    #[serde(default)]
    start_time: String,
    #[serde(default)]
    end_time: String,
    #[serde(default)]
    errors: String,
}

#[derive(Deserialize)]
struct Vdev {
    #[serde(default)]
    state: String,
    #[serde(default)]
    read_errors: String,
    #[serde(default)]
    write_errors: String,
    #[serde(default)]
    checksum_errors: String,
    #[serde(default)]
    vdevs: BTreeMap<String, Self>,
}

fn json(body: &str, state: &mut ZpoolState) -> Result<(), String> {
    let answer: Answer =
        serde_json::from_str(body).map_err(|error| format!("zpool status -j: {error}"))?;
    let Some(pool) = answer.pools.into_values().next() else {
        return Err("zpool status -j: no pool".to_owned());
    };
    state.health = pool.state;
    state.status = one_line(&pool.status);
    state.action = one_line(&pool.action);
    state.data_errors = count(pool.error_count.as_deref().unwrap_or("0"));
    state.scan = pool.scan_stats.map(|scan| {
        let state = scan.state.to_lowercase();
        let time = if state == "scanning" {
            &scan.start_time
        } else {
            &scan.end_time
        };
        Scan {
            function: scan.function.to_lowercase(),
            at: moment(time),
            errors: count(&scan.errors),
            state,
        }
    });
    let mut devices = Vec::new();
    for (name, vdev) in &pool.vdevs {
        trouble(name, vdev, &mut devices);
    }
    state.devices = devices;
    Ok(())
}

fn trouble(name: &str, vdev: &Vdev, out: &mut Vec<DeviceTrouble>) {
    let device = DeviceTrouble {
        name: name.to_owned(),
        state: vdev.state.clone(),
        read: count(&vdev.read_errors),
        write: count(&vdev.write_errors),
        checksum: count(&vdev.checksum_errors),
    };
    // A mirror is degraded because of a disk: the disk is what somebody can replace.
    if vdev.vdevs.is_empty() && is_trouble(&device) {
        out.push(device);
    }
    for (name, vdev) in &vdev.vdevs {
        trouble(name, vdev, out);
    }
}

fn is_trouble(device: &DeviceTrouble) -> bool {
    let is_well = matches!(device.state.as_str(), "ONLINE" | "AVAIL" | "INUSE" | "");
    !is_well || device.read + device.write + device.checksum > 0
}

/// A count, `1.2K` where an old version shortens it.
fn count(text: &str) -> u64 {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let unit: u64 = match text.strip_prefix(digits).unwrap_or("") {
        "K" => 1_000,
        "M" => 1_000_000,
        "" => 1,
        _ => 1_000_000_000,
    };
    let tenth = fraction
        .chars()
        .next()
        .and_then(|digit| digit.to_digit(10))
        .unwrap_or(0);
    whole.parse::<u64>().unwrap_or(0).saturating_mul(unit) + u64::from(tenth) * (unit / 10)
}

/// `Fri Nov 20 17:49:58 2026`, the same with a zone's name, or seconds since 1970. The script asks in UTC.
fn moment(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<i64>() {
        return (seconds > 0).then_some(seconds);
    }
    let without_zone = text.replace(" UTC ", " ");
    let parsed = strtime::parse("%a %b %e %H:%M:%S %Y", without_zone).ok()?;
    let civil: DateTime = parsed.to_datetime().ok()?;
    let stamp: Timestamp = TimeZone::UTC.to_timestamp(civil).ok()?;
    Some(stamp.as_second())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The form for people: `key: value` at the margin, values that go on behind a tab, and a table.
fn text(body: &str, state: &mut ZpoolState) {
    let mut fields: BTreeMap<&str, String> = BTreeMap::new();
    let mut field = "";
    let mut devices = Vec::new();
    for line in body.lines() {
        let head = line
            .split_once(':')
            .filter(|(key, _)| !line.starts_with('\t') && !key.trim().contains(' '));
        if let Some((key, rest)) = head {
            field = key.trim();
            fields.insert(field, rest.trim().to_owned());
        } else if field == "config" {
            devices.extend(device(line));
        } else if let Some(value) = fields.get_mut(field) {
            value.push(' ');
            value.push_str(line.trim());
        }
    }
    let mut take = |key: &str| one_line(&fields.remove(key).unwrap_or_default());
    let health = take("state");
    if !health.is_empty() {
        state.health = health;
    }
    state.status = take("status");
    state.action = take("action");
    state.scan = scan(&take("scan"));
    let errors = take("errors");
    state.data_errors = match errors.split(' ').next() {
        Some("No" | "") | None => 0,
        Some(first) => count(first).max(1),
    };
    // The pool itself stands first in its table, with the sum of what its devices say.
    state.devices = devices.into_iter().skip(1).filter(is_trouble).collect();
}

/// A row of the table. Groups have no disk of their own, so their state repeats that of a disk.
fn device(line: &str) -> Option<DeviceTrouble> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, state, read, write, checksum, ..] = words.as_slice() else {
        return None;
    };
    let is_group = ["mirror-", "raidz", "draid", "spare-", "replacing-"]
        .iter()
        .any(|group| name.starts_with(group));
    (*name != "NAME" && !is_group).then(|| DeviceTrouble {
        name: (*name).to_owned(),
        state: (*state).to_owned(),
        read: count(read),
        write: count(write),
        checksum: count(checksum),
    })
}

/// `scrub repaired 0B in 00:00:00 with 0 errors on Fri Nov 20 17:49:58 2026`, `resilver in progress since ...`.
fn scan(text: &str) -> Option<Scan> {
    let function = match text.split(' ').next()? {
        "scrub" => "scrub",
        "resilver" | "resilvered" => "resilver",
        _ => return None,
    };
    let (state, time) = if let Some((_, time)) = text.split_once(" since ") {
        ("scanning", time)
    } else if let Some((_, time)) = text.split_once("canceled on ") {
        ("canceled", time)
    } else {
        ("finished", text.split_once(" errors on ")?.1)
    };
    let errors = text
        .split_once(" with ")
        .and_then(|(_, rest)| rest.split(' ').next())
        .map_or(0, count);
    // What follows the five words of the date is progress.
    let time: Vec<&str> = time.split(' ').take(5).collect();
    Some(Scan {
        function: function.to_owned(),
        state: state.to_owned(),
        at: moment(&time.join(" ")),
        errors,
    })
}
