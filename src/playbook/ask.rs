//! What has to be looked at before the steps of a host can be compared, all in one request.

use super::Task;
use crate::baseline::unit_name;
use crate::model::{facts::FactsRequest, playbook::Kind};

/// A host that wants a reboot has this file.
pub(super) const REBOOT_REQUIRED: &str = "/run/reboot-required";

/// The file that makes a kernel setting last.
pub(super) fn sysctl_file(key: &str) -> String {
    format!("/etc/sysctl.d/71-infra-{key}.conf")
}

/// Where a mount's unit stands.
pub(super) fn mount_file(at: &str) -> String {
    format!("/etc/systemd/system/{}", unit_name(at))
}

/// The request for a host's tasks.
pub fn request(tasks: &[Task]) -> FactsRequest {
    let mut out = FactsRequest {
        paths: vec![REBOOT_REQUIRED.to_owned()],
        ..FactsRequest::default()
    };
    for task in tasks {
        match &task.kind {
            Kind::Run {
                creates, unless, ..
            } => {
                out.paths.extend(creates.clone());
                out.probes.extend(unless.clone());
            }
            Kind::Package(names) => out.packages.extend(names.clone()),
            Kind::Upgrade => out.upgrades = true,
            Kind::File { path, .. } | Kind::NoFile(path) => out.paths.push(path.clone()),
            Kind::Line { path, .. } => {
                out.paths.push(path.clone());
                out.texts.push(path.clone());
            }
            Kind::User { name, keys, .. } => {
                out.users.push(name.clone());
                if keys.is_some() {
                    // Where they are for a login that is made here; its own home is asked for below.
                    let home = super::differ::home(name, None);
                    out.paths.push(format!("{home}/.ssh"));
                    out.paths.push(format!("{home}/.ssh/authorized_keys"));
                }
            }
            Kind::Service { name, .. } => out.units.push(name.clone()),
            Kind::Sysctl { key, .. } => {
                out.sysctls.push(key.clone());
                out.paths.push(sysctl_file(key));
            }
            Kind::Mount { at, .. } => {
                out.paths.push(mount_file(at));
                out.units.push(unit_name(at));
            }
            Kind::Restart(_) | Kind::Reload(_) | Kind::Act(_) => {}
        }
    }
    for list in [
        &mut out.packages,
        &mut out.paths,
        &mut out.units,
        &mut out.sysctls,
        &mut out.texts,
        &mut out.users,
    ] {
        list.sort();
        list.dedup();
    }
    out.probes.sort();
    out.probes.dedup();
    out
}
