//! The firewall's part of a plan, on every layer.

use crate::cli::{context::Context, exit, failure::Failure, session::Session};
use crate::firewall::DOCKER_UNIT;
use crate::model::{desired::Desired, ids::HostName, observed::Observed};
use crate::plan::{
    Plan,
    change::{Change, Operation},
};
use crate::providers::guard::GuardKind;
use std::collections::{BTreeMap, BTreeSet};

/// The firewall's part of what differs. What it needs from outside its part must have been done before.
pub(super) async fn plan(
    context: &Context,
    session: &Session,
) -> Result<(Plan, Observed), Failure> {
    let (whole, observed) = crate::cli::plan::make(context, session).await?;
    let chosen: Vec<&Change> = whole
        .changes
        .iter()
        .filter(|c| layer(c).is_some())
        .collect();
    let first = chosen
        .iter()
        .flat_map(|change| &change.needs)
        .find(|need| !chosen.iter().any(|change| change.id == **need));
    if let Some(need) = first {
        return Err(Failure::new(
            exit::FAILED,
            format!("nothing was changed: the firewall needs `{need}` first"),
        )
        .hint(format!(
            "The system is not complete yet: `{}` brings everything.",
            context.again("up")
        )));
    }
    let mut plan = whole
        .only(|change| layer(change).is_some())
        .map_err(|error| crate::cli::failure::failed(&error))?;
    plan.unmanaged
        .retain(|text| text.starts_with("firewall of ") || text.contains(": ufw "));
    Ok((plan, observed))
}

/// What of a machine a change of the firewall concerns; none for any other change.
fn layer(change: &Change) -> Option<GuardKind> {
    let of_docker = |name: &str| name.contains("docker-firewall");
    if let Operation::Firewall { .. } | Operation::EnableFirewall { .. } = &change.operation {
        Some(GuardKind::Node)
    } else if let Operation::Ufw(_) = &change.operation {
        Some(GuardKind::Host)
    } else if let Operation::WriteFile(file) = &change.operation {
        of_docker(&file.path).then_some(GuardKind::Host)
    } else if let Operation::RemoveFile { path, .. } = &change.operation {
        of_docker(path).then_some(GuardKind::Host)
    } else if let Operation::MakeDirectory { path, .. } = &change.operation {
        (path == "/etc/infra").then_some(GuardKind::Host)
    } else if let Operation::SetUnit { unit, .. } | Operation::RestartUnit { unit } =
        &change.operation
    {
        (unit == DOCKER_UNIT).then_some(GuardKind::Host)
    } else {
        None
    }
}

/// The machines that track connections which a change concerns: those on which something is written, and every node when
/// it is Proxmox' rules that change.
pub(crate) fn trackers(plan: &Plan, desired: &Desired) -> BTreeSet<HostName> {
    let concerned = machines(plan);
    let of_nodes = concerned.values().any(|kind| *kind == GuardKind::Node);
    let nodes = desired.nodes.keys().filter(|_| of_nodes);
    concerned.keys().chain(nodes).cloned().collect()
}

/// The machines on which something is written, and what of them.
pub(super) fn machines(plan: &Plan) -> BTreeMap<HostName, GuardKind> {
    plan.changes
        .iter()
        .filter_map(|change| Some((change.host.clone(), layer(change)?)))
        .collect()
}
