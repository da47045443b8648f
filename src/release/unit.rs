//! The unit that starts a stack at boot.

use super::hash::sha256;
use crate::model::{
    dataset::MARKER,
    desired::Desired,
    release::{ReleaseUnit, STACKS_ROOT},
    stack::Stack,
};

/// At boot Docker starts containers by itself and in no order, so a clean shutdown stops them through this unit, and Docker
/// leaves what was stopped alone. After a power cut Docker is first: then a container whose mounts are missing does not start,
/// because its bind mounts make no directories, and this unit starts it once they are there.
///
/// `Wants`, not `Requires`: a restart of Docker must not stop containers that it would keep alive.
pub(super) fn unit(desired: &Desired, stack: &Stack) -> ReleaseUnit {
    let before: Vec<String> = stack
        .needs
        .iter()
        .filter(|name| {
            desired
                .stacks
                .get(*name)
                .is_some_and(|other| other.on == stack.on)
        })
        .map(|name| format!(" {}", name_of(name.as_str())))
        .collect();
    let mounts: Vec<String> = stack
        .needs_mounts
        .iter()
        .map(|path| format!("RequiresMountsFor={}\n", quoted(path)))
        .collect();
    let proofs: Vec<String> = desired
        .datasets_of(stack)
        .iter()
        .map(|(path, dataset)| {
            let marker = format!("{path}/{MARKER}");
            format!(
                "ExecStartPre=/usr/bin/grep -Fqsx -- {} {}\n",
                argument(dataset.as_str()),
                argument(&marker)
            )
        })
        .collect();
    let current = format!("{STACKS_ROOT}/{}/current", stack.name);
    let compose = format!(
        "/usr/bin/docker compose --project-name {} --project-directory {current} \
         --file {current}/compose.yaml --file {current}/compose.infra.yaml",
        stack.name
    );
    let text = format!(
        "# Made by infra; edits are replaced.\n\
         [Unit]\n\
         Description=Compose stack {name} of {system}\n\
         Wants=docker.service network-online.target\n\
         After=docker.service network-online.target{before}\n\
         {mounts}\
         \n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         {proofs}\
         ExecStart={compose} up --detach --no-build --pull never\n\
         ExecStop={compose} stop\n\
         TimeoutStartSec={start}\n\
         TimeoutStopSec=120\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        name = stack.name,
        system = desired.system,
        before = before.concat(),
        mounts = mounts.concat(),
        proofs = proofs.concat(),
        start = stack.timeout_seconds.max(60),
    );
    ReleaseUnit {
        name: name_of(stack.name.as_str()),
        sha256: sha256(text.as_bytes()),
        text,
    }
}

fn name_of(stack: &str) -> String {
    format!("infra-stack-{stack}.service")
}

/// A word of a command line. systemd expands `%` and `$` in it.
fn argument(word: &str) -> String {
    quoted(&word.replace('$', "$$"))
}

/// systemd splits paths at spaces and expands `%`.
fn quoted(path: &str) -> String {
    let path = path.replace('%', "%%");
    if path.contains(' ') {
        format!("\"{path}\"")
    } else {
        path
    }
}
