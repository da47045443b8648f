//! `infra zfs retention`: what a policy means.

use crate::cli::{context::Context, exit, failure::Failure, system};
use crate::model::{dataset::Dataset, retention::Schedule};
use crate::retention::simulate;
use crate::view::words::count;
use clap::Args;
use jiff::tz::TimeZone;
use std::fmt::Write as _;

/// Show each dataset's policy, or play it through
///
/// A simulation runs nightly at 02:15 by the clock on the wall, hourly ones on the hour, and prunes after each run.
#[derive(Debug, Clone, Args)]
pub(crate) struct RetentionArgs {
    /// Play this long through: `1y`, `6m`, `8w`, `30d`
    #[arg(long, value_name = "SPAN", value_parser = days)]
    pub(crate) simulate: Option<u32>,
    /// The first day of the simulation; that long ago unless given
    #[arg(long, value_name = "DATE", requires = "simulate")]
    pub(crate) from: Option<jiff::civil::Date>,
}

fn days(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is no span: write `1y`, `6m`, `8w` or `30d`");
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(wrong)?;
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let unit = match unit {
        "y" => 365,
        "m" => 30,
        "w" => 7,
        "d" => 1,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(unit)
        .filter(|days| (1..=3_650).contains(days))
        .ok_or_else(|| format!("`{text}` is not between a day and ten years"))
}

/// Runs the verb. Nothing is asked of any machine.
pub(crate) fn run(context: &Context, args: &RetentionArgs) -> Result<u8, Failure> {
    let system = system::load(context)?;
    let desired = &system.desired;
    let choice = super::look::Choice::read(context, desired)?;
    let zone = TimeZone::get(&desired.timezone).map_err(|e| crate::cli::failure::failed(&e))?;
    let today = jiff::Timestamp::now().to_zoned(zone.clone()).date();
    let chosen = desired
        .datasets
        .values()
        .filter(|entry| choice.names(&entry.name));
    let mut answers = Vec::new();
    let mut text = String::new();
    let mut told: Vec<(Schedule, crate::model::retention::Retention)> = Vec::new();
    for entry in chosen {
        let Some(schedule) = entry.snapshots else {
            let _ = writeln!(text, "{}: no schedule", entry.name);
            answers.push(serde_json::json!({ "dataset": entry.name, "schedule": null }));
            continue;
        };
        let _ = writeln!(
            text,
            "{}: {schedule}; keeps {}",
            entry.name, entry.retention
        );
        let Some(days) = args.simulate else {
            answers.push(answer(entry, schedule, None));
            continue;
        };
        if told.contains(&(schedule, entry.retention)) {
            let _ = writeln!(text, "  as above");
            continue;
        }
        told.push((schedule, entry.retention));
        let back = jiff::Span::new().days(-i64::from(days));
        let from = match args.from {
            Some(from) => from,
            None => today
                .checked_add(back)
                .map_err(|e| crate::cli::failure::failed(&e))?,
        };
        let played = simulate(schedule, &entry.retention, from, days, &zone);
        let turned = if played.turned.is_empty() {
            String::new()
        } else {
            format!("; clocks were turned on {}", played.turned.join(" and "))
        };
        let _ = writeln!(
            text,
            "  {} from {from} in {}: {} taken, at most {} at a time, {} left{turned}",
            count(days as usize, "day", "days"),
            desired.timezone,
            played.taken,
            played.most,
            played.kept.len(),
        );
        for (name, why) in &played.kept {
            let _ = writeln!(text, "    {name}  {why}");
        }
        answers.push(answer(entry, schedule, Some(&played)));
    }
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "datasets": answers }));
    } else {
        context.terminal.answer(&text);
    }
    Ok(exit::DONE)
}

fn answer(
    entry: &Dataset,
    schedule: Schedule,
    played: Option<&crate::retention::Simulated>,
) -> serde_json::Value {
    serde_json::json!({
        "dataset": entry.name,
        "schedule": schedule,
        "retention": entry.retention,
        "simulated": played.map(|played| serde_json::json!({
            "taken": played.taken,
            "most": played.most,
            "clocks_turned": played.turned,
            "kept": played.kept.iter().map(|(name, why)| serde_json::json!({"snapshot": name, "why": why})).collect::<Vec<_>>(),
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::days;

    #[test]
    fn spans_are_read_and_nonsense_is_refused() {
        assert_eq!(days("1y"), Ok(365));
        assert_eq!(days("8w"), Ok(56));
        for bad in ["", "y", "1", "-1d", "0d", "11y", "1ü", "99999999999d"] {
            assert!(days(bad).is_err(), "{bad}");
        }
    }
}
