//! `infra zfs list`: every snapshot, whose it is, and what keeps it.

use super::{
    look::{Choice, look},
    prune::bases,
};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::retention::{Rules, decide};
use clap::Args;

/// List snapshots with their age, their owner and what keeps them
#[derive(Debug, Clone, Args)]
pub(crate) struct ListArgs {
    /// Only infra's own
    #[arg(long)]
    pub(crate) ours: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &ListArgs) -> Result<u8, Failure> {
    live::with(context, |session| Box::pin(show(context, args, session)))
}

async fn show(context: &Context, args: &ListArgs, session: Session) -> Result<u8, Failure> {
    let desired = &session.desired;
    let choice = Choice::read(context, desired)?;
    let seen = look(desired, &session.hosts).await;
    let code = seen.tell(context).unwrap_or(exit::DONE);
    let mut rows = Vec::new();
    for (host, survey) in &seen.surveys {
        for cover in choice.of(host, survey) {
            let retention = cover
                .declared
                .map(|entry| entry.retention)
                .unwrap_or_default();
            let bases = bases(cover.view);
            let rules = Rules {
                system: &desired.system,
                retention: &retention,
                now: survey.clock,
                bases: &bases,
            };
            for decision in decide(cover.view, &rules) {
                let one = decision.snapshot;
                let label = one.label(&desired.system);
                if args.ours && label.is_none() {
                    continue;
                }
                rows.push(serde_json::json!({
                    "host": host,
                    "dataset": cover.dataset,
                    "snapshot": one.name,
                    "creation": one.creation,
                    "age_seconds": survey.clock - one.creation,
                    "used": one.used,
                    "guid": one.guid.to_string(),
                    "label": label,
                    "keeps": decision.why(),
                }));
            }
        }
        for name in &survey.unnamed {
            context.terminal.tell(&format!(
                "{host}: {name} was seen and left alone: infra does not speak of such names."
            ));
        }
    }
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "snapshots": rows }));
        return Ok(code);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(["snapshot", "age", "keeps", "whose"]);
    for row in &rows {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        table.add_row([
            format!("{}@{}", text("dataset"), text("snapshot")),
            age(row["age_seconds"].as_i64().unwrap_or_default()),
            text("keeps"),
            row["label"]
                .as_str()
                .map_or_else(|| "foreign".to_owned(), |label| format!("ours ({label})")),
        ]);
    }
    context.terminal.answer(&format!("{table}\n"));
    Ok(code)
}

/// `3 h`, `12 d`.
pub(super) fn age(seconds: i64) -> String {
    match seconds {
        i64::MIN..0 => "in the future".to_owned(),
        0..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
