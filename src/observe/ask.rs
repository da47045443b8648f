//! One round of questions.

use crate::model::{
    facts::{FactsRequest, HostFacts},
    ids::{HostName, StorageId},
    observed::{Observed, ObservedProxmox, Reading},
};
use crate::plan::{ProxmoxQuestions, Questions};
use crate::providers::{
    host::{HostError, HostRead},
    proxmox::{FirewallFiles, ProxmoxError, ProxmoxRead, ProxmoxRequest},
    shell::{Shell, ShellError, hint},
};
use futures_util::future::join_all;
use std::{collections::BTreeMap, error::Error, time::Duration};
use tokio::{sync::oneshot, time::Instant};

/// A guest that has just been started refuses connections for a while; one that runs and stays silent for longer
/// than this is told as such.
const BOOT_PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries to reach a booting guest.
const BOOT_PAUSE: Duration = Duration::from_millis(500);

/// Through what is looked.
pub struct Eyes<'a, P: ProxmoxRead, S: Shell> {
    /// The API, for a system with Proxmox.
    pub proxmox: Option<&'a P>,
    /// Shells by host.
    pub hosts: &'a BTreeMap<HostName, S>,
}

/// Asks everything at once: the API and the machines that must be there first, then the guests that run.
pub async fn observe<P: ProxmoxRead, S: Shell + HostRead>(
    questions: &Questions,
    eyes: &Eyes<'_, P, S>,
) -> Observed {
    let machines = questions
        .hosts
        .iter()
        .filter(|(host, _)| !questions.guests.contains_key(*host));
    // The one machine that is asked for the firewall's files tells them on; a machine that is silent tells nothing.
    let (tell, told) = oneshot::channel();
    let mut tell = Some(tell);
    let machines = join_all(machines.map(|(host, request)| {
        let tell = tell.take_if(|_| request.pve_firewall);
        async move {
            let (host, mut reading) = ask_host(eyes, host, request, false).await;
            if let (Some(tell), Reading::Seen(facts)) = (tell, &mut reading) {
                let files = facts.pve_firewall.take().map(FirewallFiles::new);
                // Nobody listens where there is no API.
                let _ = tell.send(files);
            }
            (host, reading)
        }
    }));
    drop(tell);
    let files = async { told.await.ok().flatten() };
    let (proxmox, machines) = tokio::join!(ask_proxmox(questions, eyes, files), machines);
    let seen = proxmox.as_ref().and_then(Reading::seen);
    let guests = questions
        .hosts
        .iter()
        .filter(|(host, _)| questions.guests.contains_key(*host));
    let guests = join_all(guests.map(|(host, request)| async move {
        if runs(questions, host, seen) {
            ask_host(eyes, host, request, true).await
        } else {
            (host.clone(), Reading::Absent)
        }
    }))
    .await;
    Observed {
        proxmox,
        hosts: machines.into_iter().chain(guests).collect(),
    }
}

fn runs(questions: &Questions, host: &HostName, seen: Option<&ObservedProxmox>) -> bool {
    let guest = questions
        .guests
        .get(host)
        .and_then(|vmid| seen?.guests.get(vmid));
    guest.is_some_and(|guest| guest.status == "running")
}

async fn ask_proxmox<P: ProxmoxRead, S: Shell>(
    questions: &Questions,
    eyes: &Eyes<'_, P, S>,
    files: impl Future<Output = Option<FirewallFiles>> + Send,
) -> Option<Reading<ObservedProxmox>> {
    let (wanted, proxmox) = (questions.proxmox.as_ref()?, eyes.proxmox?);
    Some(
        match proxmox.observe_beside(&request(wanted), files).await {
            Ok(seen) => Reading::Seen(seen),
            Err(error) => Reading::Failed {
                why: chain(&error),
                hint: ProxmoxError::hint(&error),
            },
        },
    )
}

fn request(wanted: &ProxmoxQuestions) -> ProxmoxRequest {
    let mut content: BTreeMap<(HostName, StorageId), std::collections::BTreeSet<String>> =
        BTreeMap::new();
    for (node, volumes) in &wanted.volumes {
        for (storage, kind) in volumes {
            if let Ok(storage) = StorageId::new(storage.clone()) {
                content
                    .entry((node.clone(), storage))
                    .or_default()
                    .insert(kind.clone());
            }
        }
    }
    ProxmoxRequest {
        nodes: wanted.nodes.iter().cloned().collect(),
        content,
        guests: wanted.guests.clone(),
        mark: Some(wanted.mark.clone()),
        firewall: true,
        pools: wanted.pools,
        entries: wanted.entries.clone(),
    }
}

async fn ask_host<P: ProxmoxRead, S: Shell + HostRead>(
    eyes: &Eyes<'_, P, S>,
    host: &HostName,
    request: &FactsRequest,
    may_boot: bool,
) -> (HostName, Reading<HostFacts>) {
    let Some(shell) = eyes.hosts.get(host) else {
        let why = "the inventory gives no shell access to it".to_owned();
        return (host.clone(), Reading::Failed { why, hint: None });
    };
    let deadline = Instant::now() + BOOT_PATIENCE;
    loop {
        match shell.facts(request).await {
            Ok(facts) => return (host.clone(), Reading::Seen(facts)),
            Err(HostError::Shell(ShellError::Unreachable { .. }))
                if may_boot && Instant::now() < deadline =>
            {
                tokio::time::sleep(BOOT_PAUSE).await;
            }
            Err(error) => {
                let hint = if let HostError::Shell(error) = &error {
                    hint(error)
                } else {
                    None
                };
                return (
                    host.clone(),
                    Reading::Failed {
                        why: chain(&error),
                        hint,
                    },
                );
            }
        }
    }
}

/// An error with all its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = format!("failed to {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
