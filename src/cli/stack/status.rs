//! `infra stack status`: each service with its container, as it is now.

use super::choice;
use crate::cli::{context::Context, exit, failure::Failure, live, session::Session};
use crate::model::{
    facts::{ContainerFact, HostFacts},
    observed::Reading,
    release::{Release, ReleaseService},
};
use crate::view::palette;
use clap::Args;
use serde::Serialize;

/// Show each service of the stacks: its container, its health, whether it is of the release that is wanted
///
/// Exits with 12 when something is not as it should be.
#[derive(Debug, Clone, Args)]
pub(crate) struct StatusArgs {
    /// Only these stacks
    #[arg(value_name = "STACK")]
    pub(crate) stacks: Vec<String>,
}

/// One service.
#[derive(Debug, Serialize)]
struct Line {
    stack: String,
    host: String,
    service: String,
    state: String,
    /// Whether it runs, or ended well after its work.
    well: bool,
    /// Whether the container is of the wanted release; none without a container.
    wanted: Option<bool>,
    image: String,
    restarts: u64,
    since: String,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &StatusArgs) -> Result<u8, Failure> {
    live::with(context, |session| Box::pin(show(context, args, session)))
}

async fn show(context: &Context, args: &StatusArgs, session: Session) -> Result<u8, Failure> {
    let names = choice::chosen(context, &session.desired, &args.stacks)?;
    let observed = session.look().await;
    let mut lines = Vec::new();
    let mut code = exit::DONE;
    for name in &names {
        let Some(release) = session.compiled.releases.get(name) else {
            continue;
        };
        match observed.hosts.get(&release.host) {
            Some(Reading::Seen(facts)) => lines.extend(of_stack(release, facts)),
            Some(Reading::Failed { why, .. }) => {
                context
                    .terminal
                    .complain(&format!("{name}: {}: {why}", release.host));
                code = exit::UNREACHABLE;
            }
            Some(Reading::Absent) | None => {
                context
                    .terminal
                    .complain(&format!("{name}: {} does not run", release.host));
                code = exit::UNREACHABLE;
            }
        }
    }
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "services": lines }));
    } else {
        context.terminal.answer(&drawn(&lines));
    }
    let ill = lines
        .iter()
        .any(|line| !line.well || line.wanted == Some(false));
    Ok(if code == exit::DONE && ill {
        exit::CHECK_FAILED
    } else {
        code
    })
}

fn of_stack(release: &Release, facts: &HostFacts) -> Vec<Line> {
    let containers: Vec<&ContainerFact> = facts
        .docker
        .iter()
        .flat_map(|docker| &docker.containers)
        .filter(|container| container.project == release.stack.as_str())
        .collect();
    let mut out: Vec<Line> = release
        .services
        .iter()
        .map(|service| {
            let own = containers.iter().find(|c| c.service == service.name);
            line(release, &service.name, own.copied(), Some(service))
        })
        .collect();
    for container in containers {
        if !release
            .services
            .iter()
            .any(|service| service.name == container.service)
        {
            out.push(line(release, &container.service, Some(container), None));
        }
    }
    out
}

fn line(
    release: &Release,
    name: &str,
    container: Option<&ContainerFact>,
    service: Option<&ReleaseService>,
) -> Line {
    let (state, well) = container.map_or_else(
        || ("no container".to_owned(), false),
        |container| how(container, service),
    );
    let wanted = match (container, service) {
        (Some(container), Some(service)) => {
            Some(container.release.as_deref() == Some(service.release.as_str()))
        }
        (Some(_), None) => Some(false),
        (None, _) => None,
    };
    Line {
        stack: release.stack.to_string(),
        host: release.host.to_string(),
        service: name.to_owned(),
        state,
        well,
        wanted,
        image: container.map(|c| c.image.clone()).unwrap_or_default(),
        restarts: container.map_or(0, |c| c.restarts),
        since: container.map(|c| c.started_at.clone()).unwrap_or_default(),
    }
}

fn how(container: &ContainerFact, service: Option<&ReleaseService>) -> (String, bool) {
    let one_shot = service.is_some_and(|service| service.one_shot);
    match (container.state.as_str(), container.health.as_str()) {
        ("running", "") => ("running".to_owned(), true),
        ("running", health) => (health.to_owned(), health != "unhealthy"),
        ("exited", _) if one_shot && container.exit_code == 0 => ("done".to_owned(), true),
        ("exited", _) => (
            format!("ended with exit code {}", container.exit_code),
            false,
        ),
        (state, _) => (state.to_owned(), false),
    }
}

fn drawn(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "No stack was chosen.\n".to_owned();
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
    table.set_header([
        "stack", "host", "service", "state", "release", "restarts", "since", "image",
    ]);
    for line in lines {
        let state = if line.well {
            palette::good(&line.state)
        } else {
            palette::bad(&line.state)
        };
        table.add_row([
            line.stack.clone(),
            line.host.clone(),
            line.service.clone(),
            state,
            match line.wanted {
                Some(true) => "as wanted".to_owned(),
                Some(false) => "another".to_owned(),
                None => String::new(),
            },
            line.restarts.to_string(),
            line.since.chars().take(19).collect(),
            line.image.clone(),
        ]);
    }
    format!("{table}\n")
}
