//! `infra stack add`: a compose file as it is, made a template of this system.

use super::intake::{Collected, collect};
use crate::cli::{
    context::Context,
    exit,
    failure::Failure,
    system::{self, System},
};
use crate::model::ids::{HostName, StackName};
use clap::Args;
use std::{
    fmt::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Make a stack of an existing compose file, which is copied byte for byte
///
/// Writes a template folder with the file and everything that it refers to, and a file beside the inventory that puts the
/// stack on a host. Nothing is deployed. When something is wrong with the stack it is shown and nothing stays written.
#[derive(Debug, Clone, Args)]
pub(crate) struct AddArgs {
    /// The compose file
    pub(crate) file: PathBuf,
    /// Name of the stack; what the file calls itself, else its folder's name, unless given
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Who may reach the ports that it publishes: a zone, a host, a set or `internet`
    #[arg(long, value_name = "WHO")]
    pub(crate) from: Option<String>,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &AddArgs) -> Result<u8, Failure> {
    let System {
        folder, desired, ..
    } = system::load(context)?;
    let host = host(context, &desired)?;
    let found = collect(&args.file)?;
    let name = name(args, &found)?;
    if desired.stacks.contains_key(&name) {
        return Err(
            Failure::new(exit::USAGE, format!("there is a stack `{name}` already"))
                .hint("Give this one another name: `--name`."),
        );
    }
    if !folder.is_dir() {
        return Err(Failure::new(exit::USAGE, "the inventory is a single file")
            .hint("Move it into a folder of its own, so that a stack can stand beside it."));
    }
    let template = templates(&folder).join(name.as_str());
    let entry = folder.join(format!("stack-{name}.yaml"));
    for path in [&template, &entry] {
        if path.exists() {
            let text = format!("{} is there already", path.display());
            return Err(Failure::new(exit::USAGE, text)
                .hint("Give this stack another name (`--name`), or remove it."));
        }
    }
    let text = inventory(&found, &name, &host, args.from.as_deref());
    let written = write(&found, &template, &entry, &name, &text);
    if let Err(error) = &written {
        undo(&template, &entry);
        return Err(Failure::of(exit::FAILED, error)
            .hint(format!("Nothing stays written in {}.", template.display())));
    }
    match system::load(context) {
        Ok(again) => {
            let own: Vec<_> = again
                .diagnostics
                .iter()
                .filter(|problem| {
                    problem.labels.iter().any(|label| {
                        let file = label.place.file.as_ref();
                        file.starts_with(&format!("templates/{name}/"))
                            || file == format!("stack-{name}.yaml")
                    })
                })
                .cloned()
                .collect();
            if !context.global.json {
                system::show(context, &own, &again.sources);
            }
        }
        Err(failure) => {
            undo(&template, &entry);
            let failure = failure.hint(
                "Nothing was written: mend the compose file where the lines above say so, then add it again.",
            );
            let closed = args.from.is_none() && !found.intake.ports.is_empty();
            return Err(if closed {
                failure
                    .hint("Who may reach its ports is yours to say: `--from lan` writes the flow.")
            } else {
                failure
            });
        }
    }
    tell(context, &found, &template, &entry, &name, &host);
    Ok(exit::DONE)
}

fn host(context: &Context, desired: &crate::model::desired::Desired) -> Result<HostName, Failure> {
    let known: Vec<&str> = desired.all_hosts().map(HostName::as_str).collect();
    let hint = format!(
        "Say where it shall run: `--on HOST`. There is {}.",
        known.join(", ")
    );
    let Some(on) = &context.global.on else {
        return Err(Failure::new(exit::USAGE, "a stack runs on a host").hint(hint));
    };
    desired
        .all_hosts()
        .find(|host| host.as_str() == on)
        .cloned()
        .ok_or_else(|| Failure::new(exit::USAGE, format!("there is no host `{on}`")).hint(hint))
}

fn name(args: &AddArgs, found: &Collected) -> Result<StackName, Failure> {
    let folder = args.file.canonicalize().ok();
    let folder = folder
        .as_deref()
        .and_then(Path::parent)
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned());
    let text = args
        .name
        .clone()
        .or_else(|| found.intake.name.clone())
        .or(folder)
        .unwrap_or_default();
    let plain = if args.name.is_some() {
        text.clone()
    } else {
        simplified(&text)
    };
    StackName::new(plain).map_err(|error| {
        Failure::of(exit::USAGE, &error).hint("Give the stack a name: `--name jellyfin`.")
    })
}

/// Lower case, and a dash for everything that no name may have.
fn simplified(text: &str) -> String {
    let mapped: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    mapped.trim_matches('-').to_owned()
}

/// Where templates of this system stand: inside it, else beside `inventory/`.
fn templates(folder: &Path) -> PathBuf {
    let shared = folder.join("../../templates");
    if !folder.join("templates").is_dir() && shared.is_dir() {
        shared.canonicalize().unwrap_or(shared)
    } else {
        folder.join("templates")
    }
}

fn write(
    found: &Collected,
    template: &Path,
    entry: &Path,
    name: &StackName,
    inventory: &str,
) -> std::io::Result<()> {
    std::fs::create_dir_all(template)?;
    std::fs::write(template.join("compose.yaml"), &found.text)?;
    for file in &found.files {
        let path = template.join(&file.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, &file.text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(file.mode))?;
    }
    std::fs::write(template.join("stack.yaml"), manifest(found, name))?;
    std::fs::write(entry, inventory)
}

/// Only what this run made.
fn undo(template: &Path, entry: &Path) {
    // What cannot be removed is named by the message that follows.
    let _ = std::fs::remove_dir_all(template);
    let _ = std::fs::remove_file(entry);
}

/// Names are the system's, so they begin with the stack's.
fn services(found: &Collected, name: &StackName) -> Vec<(String, usize)> {
    let ports = &found.intake.ports;
    let named = ports.iter().enumerate().map(|(at, own)| {
        let service = simplified(&own.service);
        let mut out = if service == name.as_str() {
            name.to_string()
        } else {
            format!("{name}-{service}")
        };
        if ports
            .iter()
            .filter(|other| other.service == own.service)
            .count()
            > 1
        {
            let _ = write!(out, "-{}", own.port.range.first);
            if ports.iter().any(|other| {
                other.service == own.service
                    && other.port.range == own.port.range
                    && other.port.proto != own.port.proto
            }) {
                let _ = write!(out, "-{}", own.port.proto);
            }
        }
        (out, at)
    });
    named.collect()
}

fn manifest(found: &Collected, name: &StackName) -> String {
    let mut out = format!(
        "# Written by `infra stack add`. The compose file beside it is as it was: `raw` files are copied, not rendered.\n\
         description: The compose project {name}.\n"
    );
    let services = services(found, name);
    if !services.is_empty() {
        out.push_str("publish:\n");
        for (service, at) in &services {
            let _ = writeln!(out, "  {service}: {}", found.intake.ports[*at].port);
        }
    }
    if !found.data.is_empty() {
        out.push_str("data:\n");
        for path in &found.data {
            let _ = writeln!(out, "  - {{path: {}, uid: 0, gid: 0}}", quoted(path));
        }
    }
    out.push_str("files:\n  compose.yaml: {raw: true}\n");
    for file in &found.files {
        let _ = writeln!(
            out,
            "  {}: {{raw: true, mode: \"{:04o}\"}}",
            quoted(&file.path),
            file.mode
        );
    }
    out
}

fn inventory(found: &Collected, name: &StackName, host: &HostName, from: Option<&str>) -> String {
    let mut out = format!(
        "# Written by `infra stack add`; move it to where your other stacks are, if you like.\nstacks:\n  {name}:\n    on: {host}\n"
    );
    let ports = &found.intake.ports;
    let services = services(found, name);
    let bound: Vec<_> = services
        .iter()
        .filter_map(|(service, at)| Some((service, &ports[*at], ports[*at].address?)))
        .collect();
    if !bound.is_empty() {
        out.push_str("    publish:\n");
        for (service, own, address) in bound {
            let _ = writeln!(
                out,
                "      {service}: {{port: {}, address: \"{address}\"}}",
                own.port
            );
        }
    }
    if let (Some(from), false) = (from, services.is_empty()) {
        let names: Vec<&str> = services
            .iter()
            .map(|(service, _)| service.as_str())
            .collect();
        let _ = writeln!(
            out,
            "flows:\n  - {{from: {}, to: {host}, allow: [{}], reason: {}}}",
            quoted(from),
            names.join(", "),
            quoted(&format!("what the compose project {name} publishes")),
        );
    }
    out
}

/// A YAML scalar; a JSON string is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn tell(
    context: &Context,
    found: &Collected,
    template: &Path,
    entry: &Path,
    name: &StackName,
    host: &HostName,
) {
    let files: Vec<&str> = found.files.iter().map(|file| file.path.as_str()).collect();
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "stack": name, "host": host, "template": template, "inventory": entry, "files": files, "data": found.data,
        }));
        return;
    }
    let terminal = context.terminal;
    terminal.answer(&format!(
        "Stack {name} on {host}: {} and {}.\n",
        template.display(),
        entry.display()
    ));
    if !files.is_empty() {
        terminal.tell(&format!("Copied with it: {}.", files.join(", ")));
    }
    if let Some(secret) = files
        .iter()
        .find(|path| path.strip_suffix(".env").is_some())
    {
        terminal.tell(&format!(
            "`{secret}` is in the repository as it is. Move passwords out of it: `infra secrets` keeps them encrypted."
        ));
    }
    for path in &found.data {
        terminal.tell(&format!(
            "`./{path}` holds data: it will be /opt/infra/stacks/{name}/data/{path} on {host}. What is in it today is not copied."
        ));
    }
    let again = context.again(&format!("stack plan {name}"));
    terminal.tell(&format!("Look what it would do: `{again}`."));
}
