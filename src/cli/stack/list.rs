//! `infra stack list`: the stacks of the inventory, read offline.

use super::choice;
use crate::cli::{context::Context, exit, failure::Failure, system};
use crate::model::{secret::SecretValues, stack::Publish};
use crate::plan::compile;

/// Runs the verb.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    let system = system::load(context)?;
    let desired = &system.desired;
    let (compiled, _) = compile(desired, &SecretValues::default());
    let mut rows = Vec::new();
    for name in choice::chosen(context, desired, &[])? {
        let (Some(stack), Some(release)) =
            (desired.stacks.get(&name), compiled.releases.get(&name))
        else {
            continue;
        };
        let services: Vec<&str> = release
            .services
            .iter()
            .map(|service| service.name.as_str())
            .collect();
        rows.push(serde_json::json!({
            "stack": name,
            "host": stack.on,
            "template": stack.template,
            "services": services,
            "publishes": stack.publish.iter().map(published).collect::<Vec<_>>(),
            "needs": stack.needs,
            "mounts": stack.needs_mounts,
        }));
    }
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "stacks": rows }));
        return Ok(exit::DONE);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header(["stack", "host", "services", "publishes", "needs"]);
    for row in &rows {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let lines = |key: &str| {
            let items = row[key].as_array().into_iter().flatten();
            let items: Vec<&str> = items.filter_map(serde_json::Value::as_str).collect();
            items.join("\n")
        };
        table.add_row([
            text("stack"),
            text("host"),
            lines("services"),
            lines("publishes"),
            lines("needs"),
        ]);
    }
    context.terminal.answer(&format!("{table}\n"));
    Ok(exit::DONE)
}

fn published(publish: &Publish) -> String {
    let port = publish.port;
    match publish.address {
        Some(address) => format!("{} {port} on {address}", publish.service),
        None => format!("{} {port}", publish.service),
    }
}
