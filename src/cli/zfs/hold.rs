//! `infra zfs hold` and `release`: a tag that keeps snapshots.

use super::look::{owner, snapshot_id, told};
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::providers::{
    shell::Outcome,
    zfs::{Zfs, ZfsWrite as _},
};
use clap::Args;

/// Hold snapshots under a tag, so that nothing destroys them; `infra zfs release` takes the tag off again
#[derive(Debug, Clone, Args)]
pub(crate) struct HoldArgs {
    /// `dataset@snapshot`, several of them
    #[arg(required = true, value_name = "SNAPSHOT")]
    pub(crate) snapshots: Vec<String>,
    /// The tag
    #[arg(long, default_value = "infra:kept")]
    pub(crate) tag: String,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &HoldArgs, hold: bool) -> Result<u8, Failure> {
    live::with(context, |session| {
        Box::pin(carry_out(context, args, hold, session))
    })
}

async fn carry_out(
    context: &Context,
    args: &HoldArgs,
    hold: bool,
    session: Session,
) -> Result<u8, Failure> {
    let mut changed = Vec::new();
    for text in &args.snapshots {
        let id = snapshot_id(text)?;
        let host = owner(&session.desired, &id.dataset)?;
        let Some(shell) = session.hosts.get(host) else {
            return Err(Failure::new(
                exit::UNREACHABLE,
                format!("the inventory gives no shell access to {host}"),
            ));
        };
        let zfs = Zfs(shell);
        let one = std::slice::from_ref(&id);
        let outcome = if hold {
            zfs.hold(&args.tag, one).await
        } else {
            zfs.release(&args.tag, one).await
        };
        changed.push((id, outcome.map_err(|error| told(&error))?));
    }
    let (done, already) = if hold {
        ("held", "was held already")
    } else {
        ("released", "was not held")
    };
    if context.global.json {
        let rows: Vec<_> = changed
            .iter()
            .map(|(id, outcome)| {
                serde_json::json!({"snapshot": id.to_string(), "tag": args.tag, "changed": *outcome == Outcome::Changed})
            })
            .collect();
        context
            .terminal
            .json(&serde_json::json!({ "snapshots": rows }));
        return Ok(exit::DONE);
    }
    for (id, outcome) in changed {
        let word = match outcome {
            Outcome::Changed => done,
            Outcome::Unchanged => already,
        };
        context
            .terminal
            .answer(&format!("{id} {word} under {}\n", args.tag));
    }
    Ok(exit::DONE)
}
