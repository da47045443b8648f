//! `infra doctor`: what would make `up` fail, before it does.

use super::{context::Context, exit, failure::Failure, live, session::Session};
use crate::doctor::{AgentAnswer, Need, Seen, Verdict, examine, missing, needs};
use crate::model::{
    ids::HostName,
    observed::{ObservedProxmox, Reading},
};
use crate::providers::proxmox::{Client, Refusal};
use crate::view::human;
use futures_util::future::join_all;
use std::collections::BTreeMap;

/// Runs the verb.
pub(crate) fn run(context: &Context) -> Result<u8, Failure> {
    live::with(context, |session| Box::pin(show(context, session)))
}

async fn show(context: &Context, session: Session) -> Result<u8, Failure> {
    let Some(api) = &session.world.proxmox else {
        return Err(Failure::new(exit::USAGE, "the inventory has no Proxmox")
            .hint("Add `proxmox:` to it; hosts are looked at by `infra status`."));
    };
    let observed = session.look().await;
    let proxmox = match &observed.proxmox {
        Some(Reading::Seen(seen)) => seen,
        Some(Reading::Failed { why, hint }) => {
            let failure = Failure::new(exit::UNREACHABLE, why.clone());
            return Err(match hint {
                Some(hint) => failure.hint(hint.clone()),
                None => failure,
            });
        }
        Some(Reading::Absent) | None => {
            return Err(Failure::new(exit::UNREACHABLE, "the API was not asked"));
        }
    };
    let told = |error| super::failure::failed(&error).text();
    let nodes = session.desired.nodes.keys();
    let nodes = nodes.filter(|node| {
        let live = proxmox.nodes.get(*node);
        live.is_some_and(|live| live.status != "offline")
    });
    let (rights, nodes, agents) = tokio::join!(
        api.rights(),
        join_all(nodes.map(|node| async move {
            (node.clone(), api.health(node.as_str()).await.map_err(told))
        })),
        agents(&session, api, proxmox),
    );
    let findings = examine(
        &session.desired,
        &Seen {
            proxmox,
            rights: rights.map_err(told),
            nodes: nodes.into_iter().collect(),
            agents,
            now: jiff::Timestamp::now().as_second(),
        },
    );
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "findings": findings, "lab": session.lab }));
    } else {
        context.terminal.answer(&human::doctor(&findings));
    }
    let worst = findings.iter().map(|finding| finding.verdict).max();
    Ok(match worst {
        Some(Verdict::Bad) => exit::CHECK_FAILED,
        Some(Verdict::Unknown) => exit::UNREACHABLE,
        Some(Verdict::Well | Verdict::Warning) | None => exit::DONE,
    })
}

/// Asks the agents of the inventory's running guests that have one. One that the API could not ask is left out.
async fn agents(
    session: &Session,
    api: &Client,
    seen: &ObservedProxmox,
) -> BTreeMap<HostName, AgentAnswer> {
    let running = session.desired.guests.values().filter_map(|guest| {
        let found = seen.guests.get(&guest.vmid)?;
        (guest.agent && found.status == "running").then_some((guest, found.node.as_str()))
    });
    let answers = running.map(|(guest, node)| async move {
        let answer = match api.agent_answers(node, guest.vmid).await {
            Ok(true) => AgentAnswer::Answers,
            Ok(false) => AgentAnswer::Silent,
            Err(error) if error.refusal() == Some(Refusal::Forbidden) => AgentAnswer::MayNotBeAsked,
            Err(_) => return None,
        };
        Some((guest.name.clone(), answer))
    });
    join_all(answers).await.into_iter().flatten().collect()
}

/// Refuses to write with rights that will not do.
pub(crate) fn refuse_without_rights(lacking: &[Need]) -> Result<(), Failure> {
    lacks(lacking, "nothing was changed")
}

/// Refuses to compare with rights that hide what is there: Proxmox leaves out of its lists what may not be seen, and says
/// nothing.
pub(crate) fn refuse_blindness(lacking: &[Need]) -> Result<(), Failure> {
    let is_sight = |need: &&Need| need.privilege.ends_with(".Audit");
    let missing: Vec<Need> = lacking.iter().filter(is_sight).cloned().collect();
    lacks(&missing, "nothing was compared")
}

/// What the inventory takes and the user or token may not do: one question.
pub(crate) async fn lacking(session: &Session) -> Vec<Need> {
    let Some(api) = &session.world.proxmox else {
        return Vec::new();
    };
    // Who cannot say which rights it has is refused by the first write that lacks one.
    match tokio::try_join!(api.rights(), api.version()) {
        Ok((rights, version)) => missing(needs(&session.desired, &version), &rights),
        Err(_) => Vec::new(),
    }
}

fn lacks(missing: &[Need], what: &str) -> Result<(), Failure> {
    if missing.is_empty() {
        return Ok(());
    }
    let line = |need: &Need| format!("{} on {}: to {}", need.privilege, need.path, need.purpose);
    let lines: Vec<String> = missing.iter().map(line).collect();
    let text = format!(
        "{what}: the Proxmox user or token lacks privileges: {}",
        lines.join("; ")
    );
    Err(Failure::new(exit::FAILED, text).hint("`infra doctor` says how to give each of them."))
}
