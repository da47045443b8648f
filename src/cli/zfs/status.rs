//! `infra zfs status`: are the zpools well, scrubbed, with room, and are the snapshots fresh.

use super::{
    list::age,
    look::{Choice, Seen, look},
};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::model::{desired::Desired, retention::Schedule, snapshot::SCHEDULED, zpool::ZpoolState};
use crate::view::{palette, words::count};
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;

/// Say whether zpools are well and snapshots fresh
///
/// Exit 12 when something is critical. Warns at 80 % full and at a scrub older than 35 days; critical at 90 %, at a scrub
/// older than 75 days, at any error, and when a snapshot is later than twice its schedule.
#[derive(Debug, Clone, Args)]
pub(crate) struct StatusArgs {
    /// One line for Nagios, with its own exit codes 0 to 3
    #[arg(long, conflicts_with_all = ["prometheus", "json"])]
    pub(crate) nagios: bool,
    /// Metrics for `node_exporter`'s textfile collector
    #[arg(long, conflicts_with = "json")]
    pub(crate) prometheus: bool,
}

/// Percent in use.
const FULL: (u64, u64) = (80, 90);
/// Days since the last scrub. Debian and Proxmox scrub on the second Sunday of each month.
const SCRUB: (i64, i64) = (35, 75);
const DAY: i64 = 86_400;

/// How bad it is, in Nagios' numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Critical,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }
}

/// Something to look at.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    what: String,
    why: String,
}

/// A zpool in numbers.
#[derive(Debug, Serialize)]
struct PoolLine {
    host: String,
    zpool: String,
    #[serde(flatten)]
    state: ZpoolState,
    scrub_age: Option<i64>,
}

/// A dataset's newest scheduled snapshot.
#[derive(Debug, Serialize)]
struct SnapshotLine {
    host: String,
    dataset: String,
    schedule: Schedule,
    snapshots: usize,
    newest_age: Option<i64>,
}

/// Everything.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    zpools: Vec<PoolLine>,
    datasets: Vec<SnapshotLine>,
    findings: Vec<Finding>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &StatusArgs) -> Result<u8, Failure> {
    let result = live::with(context, |session| Box::pin(show(context, args, session)));
    match result {
        // Nagios knows "unknown", and reads the first line only.
        Err(failure) if args.nagios => {
            context
                .terminal
                .answer(&format!("ZFS UNKNOWN - {}\n", failure.text()));
            Ok(3)
        }
        other => other,
    }
}

async fn show(context: &Context, args: &StatusArgs, session: Session) -> Result<u8, Failure> {
    let desired = &session.desired;
    let choice = Choice::read(context, desired)?;
    let seen = look(desired, &session.hosts).await;
    let report = report(desired, &seen, &choice);
    let worst = report
        .findings
        .iter()
        .map(|f| f.level)
        .max()
        .unwrap_or(Level::Ok);
    let code = match worst {
        Level::Critical => exit::CHECK_FAILED,
        Level::Ok | Level::Warning => exit::DONE,
    };
    if args.nagios {
        context.terminal.answer(&nagios(&report, worst));
        return Ok(match worst {
            Level::Ok => 0,
            Level::Warning => 1,
            Level::Critical => 2,
        });
    }
    let failed = seen.tell(context);
    if args.prometheus {
        context.terminal.answer(&prometheus(&report));
    } else if context.global.json {
        context.terminal.json(&report);
    } else {
        context.terminal.answer(&table(&report));
    }
    // What could not be seen is among the findings: that a zpool is stuck is what was asked, not a failure to ask.
    Ok(failed.filter(|own| *own != exit::FAILED).unwrap_or(code))
}

pub(super) fn report(desired: &Desired, seen: &Seen, choice: &Choice<'_>) -> Report {
    let mut out = Report::default();
    for failure in &seen.failures {
        out.find(Level::Critical, "zpools".to_owned(), failure.text());
    }
    for (host, survey) in &seen.surveys {
        for (name, state) in &survey.zpools {
            let scrub_age = state
                .scan
                .as_ref()
                .filter(|scan| scan.function == "scrub")
                .and_then(|scan| scan.at)
                .map(|at| survey.clock - at);
            judge(&format!("zpool {name}"), state, scrub_age, &mut out);
            out.zpools.push(PoolLine {
                host: host.to_string(),
                zpool: name.to_string(),
                state: state.clone(),
                scrub_age,
            });
        }
        for cover in choice.of(host, survey) {
            let Some(schedule) = cover.declared.and_then(|entry| entry.snapshots) else {
                continue;
            };
            let ours: Vec<_> = cover
                .view
                .snapshots
                .iter()
                .filter(|one| one.label(&desired.system) == Some(SCHEDULED))
                .collect();
            let newest = ours.iter().map(|one| one.creation).max();
            let newest_age = newest.map(|at| survey.clock - at);
            let limit = late(schedule);
            let what = format!("dataset {}", cover.dataset);
            match newest_age {
                None => out.find(Level::Critical, what, "it has no snapshot yet".to_owned()),
                Some(old) if old > limit => {
                    let why = format!("its newest {schedule} snapshot is {} old", age(old));
                    out.find(Level::Critical, what, why);
                }
                Some(old) if old < -120 => {
                    out.find(
                        Level::Warning,
                        what,
                        "its newest snapshot is dated in the future".to_owned(),
                    );
                }
                Some(_) => {}
            }
            out.datasets.push(SnapshotLine {
                host: host.to_string(),
                dataset: cover.dataset.to_string(),
                schedule,
                snapshots: ours.len(),
                newest_age,
            });
        }
    }
    out
}

/// Twice the schedule, and an hour for the run itself.
const fn late(schedule: Schedule) -> i64 {
    let period = match schedule {
        Schedule::Hourly => 3_600,
        Schedule::Daily => DAY,
        Schedule::Weekly => 7 * DAY,
        Schedule::Monthly => 31 * DAY,
    };
    2 * period + 3_600
}

fn judge(what: &str, state: &ZpoolState, scrub_age: Option<i64>, out: &mut Report) {
    let mut find = |level, why: String| out.find(level, what.to_owned(), why);
    if state.health != "ONLINE" {
        let status = if state.status.is_empty() {
            state.health.clone()
        } else {
            format!("{}: {}", state.health, state.status)
        };
        find(Level::Critical, status);
    }
    if state.data_errors > 0 {
        find(
            Level::Critical,
            format!(
                "{} damaged; `zpool status -v` names them",
                count(
                    usize::try_from(state.data_errors).unwrap_or(usize::MAX),
                    "file is",
                    "files are"
                )
            ),
        );
    }
    for device in &state.devices {
        let counted = format!(
            "{} read, {} write, {} checksum errors",
            device.read, device.write, device.checksum
        );
        find(
            Level::Critical,
            format!("{} is {}: {counted}", device.name, device.state),
        );
    }
    match state.capacity {
        Some(percent) if percent >= FULL.1 => find(Level::Critical, format!("{percent} % full")),
        Some(percent) if percent >= FULL.0 => find(Level::Warning, format!("{percent} % full")),
        Some(_) | None => {}
    }
    match scrub_age {
        Some(old) if old > SCRUB.1 * DAY => {
            find(Level::Critical, format!("last scrubbed {} ago", age(old)));
        }
        Some(old) if old > SCRUB.0 * DAY => {
            find(Level::Warning, format!("last scrubbed {} ago", age(old)));
        }
        Some(_) => {}
        None => find(Level::Warning, "no scrub is remembered".to_owned()),
    }
}

impl Report {
    fn find(&mut self, level: Level, what: String, why: String) {
        self.findings.push(Finding { level, what, why });
    }
}

fn table(report: &Report) -> String {
    let mut pools = comfy_table::Table::new();
    pools.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    pools.set_header([
        "zpool",
        "host",
        "health",
        "full",
        "fragmented",
        "errors",
        "scrubbed",
    ]);
    let percent = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |n| format!("{n} %"));
    for line in &report.zpools {
        let scrubbed = line.scrub_age.map_or_else(|| "-".to_owned(), age);
        pools.add_row([
            line.zpool.clone(),
            line.host.clone(),
            line.state.health.clone(),
            percent(line.state.capacity),
            percent(line.state.fragmentation),
            (line.state.data_errors + line.state.devices.len() as u64).to_string(),
            scrubbed,
        ]);
    }
    let mut datasets = comfy_table::Table::new();
    datasets.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    datasets.set_header(["dataset", "schedule", "snapshots", "newest"]);
    for line in &report.datasets {
        let newest = line.newest_age.map_or_else(|| "none".to_owned(), age);
        datasets.add_row([
            line.dataset.clone(),
            line.schedule.to_string(),
            line.snapshots.to_string(),
            newest,
        ]);
    }
    let mut out = format!("{pools}\n{datasets}\n");
    for finding in &report.findings {
        let sign = match finding.level {
            Level::Critical => palette::bad("✗"),
            Level::Ok | Level::Warning => "!".to_owned(),
        };
        let _ = writeln!(out, "{sign} {}: {}", finding.what, finding.why);
    }
    out
}

/// One line: text, `|`, numbers.
fn nagios(report: &Report, worst: Level) -> String {
    let said: Vec<String> = report
        .findings
        .iter()
        .filter(|finding| finding.level == worst && worst != Level::Ok)
        .map(|finding| format!("{}: {}", finding.what, finding.why))
        .collect();
    let summary = if said.is_empty() {
        let pools = count(report.zpools.len(), "zpool", "zpools");
        format!(
            "{pools}, {} with fresh snapshots",
            count(report.datasets.len(), "dataset", "datasets")
        )
    } else {
        said.join("; ")
    };
    // What stands behind the bar is read by machines.
    let mut numbers = Vec::new();
    for line in &report.zpools {
        if let Some(percent) = line.state.capacity {
            numbers.push(format!(
                "'{}_capacity'={percent}%;{};{}",
                line.zpool, FULL.0, FULL.1
            ));
        }
    }
    format!(
        "ZFS {} - {} | {}\n",
        worst.word(),
        summary.replace(['|', '\n'], " "),
        numbers.join(" ")
    )
}

pub(super) fn prometheus(report: &Report) -> String {
    let mut out = String::new();
    let label = |text: &str| {
        text.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', " ")
    };
    let mut family = |name: &str, help: &str, rows: Vec<(String, String)>| {
        if rows.is_empty() {
            return;
        }
        let _ = writeln!(out, "# HELP infra_{name} {help}\n# TYPE infra_{name} gauge");
        for (labels, value) in rows {
            let _ = writeln!(out, "infra_{name}{{{labels}}} {value}");
        }
    };
    let pools = |value: &dyn Fn(&PoolLine) -> Option<String>| -> Vec<(String, String)> {
        report
            .zpools
            .iter()
            .filter_map(|line| {
                let labels = format!(
                    "host=\"{}\",zpool=\"{}\"",
                    label(&line.host),
                    label(&line.zpool)
                );
                Some((labels, value(line)?))
            })
            .collect()
    };
    let number = |number: Option<u64>| number.map(|n| n.to_string());
    family(
        "zpool_online",
        "1 when the zpool is ONLINE.",
        pools(&|l| Some(u8::from(l.state.health == "ONLINE").to_string())),
    );
    family(
        "zpool_size_bytes",
        "Size.",
        pools(&|l| Some(l.state.size.to_string())),
    );
    family(
        "zpool_free_bytes",
        "Free space.",
        pools(&|l| Some(l.state.free.to_string())),
    );
    family(
        "zpool_capacity_percent",
        "Space in use.",
        pools(&|l| number(l.state.capacity)),
    );
    family(
        "zpool_fragmentation_percent",
        "Free space in small pieces.",
        pools(&|l| number(l.state.fragmentation)),
    );
    family(
        "zpool_data_errors",
        "Damaged files.",
        pools(&|l| Some(l.state.data_errors.to_string())),
    );
    family(
        "zpool_devices_in_trouble",
        "Devices that are not well.",
        pools(&|l| Some(l.state.devices.len().to_string())),
    );
    family(
        "zpool_scrub_age_seconds",
        "Time since the last scrub ended.",
        pools(&|l| l.scrub_age.map(|age| age.to_string())),
    );
    let datasets = |value: &dyn Fn(&SnapshotLine) -> Option<String>| -> Vec<(String, String)> {
        report
            .datasets
            .iter()
            .filter_map(|line| {
                let labels = format!(
                    "host=\"{}\",dataset=\"{}\",schedule=\"{}\"",
                    label(&line.host),
                    label(&line.dataset),
                    line.schedule
                );
                Some((labels, value(line)?))
            })
            .collect()
    };
    family(
        "snapshots",
        "Scheduled snapshots.",
        datasets(&|l| Some(l.snapshots.to_string())),
    );
    family(
        "snapshot_age_seconds",
        "Age of the newest scheduled snapshot.",
        datasets(&|l| l.newest_age.map(|age| age.to_string())),
    );
    let critical = report
        .findings
        .iter()
        .filter(|f| f.level == Level::Critical)
        .count();
    family(
        "zfs_findings",
        "Things that are wrong.",
        vec![(String::from("level=\"critical\""), critical.to_string())],
    );
    out
}
