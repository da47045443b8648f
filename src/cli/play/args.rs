//! What may be typed behind `infra play`.

use super::{choose, run as whole};
use crate::cli::{context::Context, exit, failure::Failure};
use clap::Args;

/// Carry out a playbook: ordered steps over selected hosts
///
/// Playbooks are `playbooks/*.yaml` beside `inventory/`, and those that come with infra. Every host is looked at in one round
/// trip, what differs is shown and agreed to, and a second run changes nothing. `--on` narrows its hosts. Without a name the
/// playbooks are listed.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlayArgs {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    pub(crate) name: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// A variable of the playbook (can be repeated)
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) var: Vec<String>,
    /// Do not ask, and agree to what the playbook asks
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &PlayArgs) -> Result<u8, Failure> {
    match &args.name {
        Some(name) => whole::run(context, args, name),
        None => list(context),
    }
}

fn list(context: &Context) -> Result<u8, Failure> {
    let folder = context.inventory()?;
    let loaded = choose::loaded(&folder)?;
    if context.global.json {
        let rows: Vec<_> = loaded
            .playbooks
            .values()
            .map(|playbook| serde_json::json!({"name": playbook.name, "description": playbook.description}))
            .collect();
        context
            .terminal
            .json(&serde_json::json!({ "playbooks": rows }));
        return Ok(exit::DONE);
    }
    let widest = loaded.names.iter().map(String::len).max().unwrap_or(0);
    for name in &loaded.names {
        let text = loaded
            .playbooks
            .get(name)
            .map_or("is not valid: `infra check` says why", |playbook| {
                playbook.description.trim()
            });
        context
            .terminal
            .answer(&format!("{name:widest$}  {text}\n"));
    }
    Ok(exit::DONE)
}
