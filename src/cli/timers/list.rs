//! `infra timers list`: what begins when, and whether its timer runs.

use super::install::missing;
use crate::cli::{
    context::Context,
    exit,
    failure::{Failure, failed},
    live,
    session::Session,
};
use crate::model::facts::FactsRequest;
use crate::providers::host::HostRead as _;
use crate::timers;
use crate::view::palette;
use serde::Serialize;

/// One timer.
#[derive(Serialize)]
struct Line {
    begins: &'static str,
    schedule: String,
    /// In the time zone of the inventory, before the spread.
    next: Option<String>,
    unit: String,
    runs: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    live::with(context, |session| Box::pin(show(context, session)))
}

async fn show(context: &Context, session: Session) -> Result<u8, Failure> {
    let desired = &session.desired;
    let timed = desired.nights.as_ref().and_then(|nights| {
        let host = nights.host.as_ref()?;
        (!nights.timers.is_empty()).then_some((nights, host))
    });
    let Some((nights, host)) = timed else {
        if context.global.json {
            context.terminal.json(&serde_json::json!({ "timers": [] }));
        } else {
            context.terminal.answer("The inventory has no timers.\n");
            context
                .terminal
                .tell("Write `nights:` with `host` and `timers`; docs/nights.md has an example.");
        }
        return Ok(exit::DONE);
    };
    let shell = session.hosts.get(host).ok_or_else(|| {
        Failure::new(
            exit::UNREACHABLE,
            format!("the inventory gives no shell access to {host}"),
        )
    })?;
    let units = nights
        .timers
        .keys()
        .map(|begins| timers::timer(desired, *begins));
    let request = FactsRequest {
        units: units.collect(),
        ..FactsRequest::default()
    };
    let facts = shell
        .facts(&request)
        .await
        .map_err(|error| Failure::of(exit::UNREACHABLE, &error))?;
    let zone = jiff::tz::TimeZone::get(&desired.timezone).map_err(|e| failed(&e))?;
    let now = jiff::Timestamp::now().to_zoned(zone).datetime();
    let lines: Vec<Line> = nights
        .timers
        .iter()
        .map(|(begins, calendar)| {
            let unit = timers::timer(desired, *begins);
            let seen = facts.units.get(&unit);
            Line {
                begins: begins.word(),
                schedule: calendar.to_string(),
                next: calendar
                    .after(now)
                    .map(|next| next.strftime("%Y-%m-%d %H:%M").to_string()),
                runs: seen.is_some_and(|seen| seen.active == "active" && seen.enabled == "enabled"),
                unit,
            }
        })
        .collect();
    let missing = missing(&session, nights, host).await?;
    let code = if lines.iter().all(|line| line.runs) && (missing.is_empty() || session.lab) {
        exit::DONE
    } else {
        exit::CHECK_FAILED
    };
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "host": host, "timers": lines, "missing": missing,
        }));
        return Ok(code);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(["begins", "schedule", "next", "timer"]);
    for line in &lines {
        let state = if line.runs {
            palette::good("runs")
        } else {
            palette::bad("does not run")
        };
        let next = line.next.clone().unwrap_or_else(|| "never".to_owned());
        table.add_row([line.begins.to_owned(), line.schedule.clone(), next, state]);
    }
    context.terminal.answer(&format!("{table}\n"));
    context.terminal.tell(&format!(
        "On {host}, each put off by up to {} s. Times are those of {}.",
        nights.spread, desired.timezone
    ));
    for path in &missing {
        context.terminal.complain(&format!("{host} has no {path}"));
    }
    if lines.iter().any(|line| !line.runs) {
        let again = context.again("timers install");
        context
            .terminal
            .complain(&format!("Install what is missing: `{again}`."));
    }
    Ok(code)
}
