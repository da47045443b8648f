//! Rules into the machines of a room, each in its own namespace and all at the same time.

use super::{
    docker_text::{DockerText, docker_text},
    error::ProveError,
    proxmox_snapshot::snapshot,
    room::Room,
    shell,
    ufw_text::ufw_text,
};
use crate::firewall::{CompiledFirewall, DockerUser, docker_resources};
use crate::lab::pve_firewall::{self, LOAD, NodeNetwork, Restore, Tap};
use crate::model::{desired::Desired, ids::HostName, resource::Resource};

/// Before a node's rules: nothing of what was loaded before stays. A chain that nobody names any more would have to be
/// read again by every later load.
const BARE: &str = "for tables in iptables ip6tables; do
    printf '*filter\\n:INPUT ACCEPT\\n:FORWARD ACCEPT\\n:OUTPUT ACCEPT\\nCOMMIT\\n' | \"$tables-restore\" -w 5 || exit
done
";

impl Room {
    /// Loads compiled rules, instead of those that were there.
    ///
    /// # Errors
    /// When a rule does not load: that is a finding, too.
    pub fn load(&self, desired: &Desired, compiled: &CompiledFirewall) -> Result<(), ProveError> {
        let stored = snapshot(&compiled.pve);
        let done: Vec<Result<(), ProveError>> = std::thread::scope(|scope| {
            let machines = self.layout.machines.iter().map(|(host, space)| {
                let stored = &stored;
                scope.spawn(move || {
                    if desired.nodes.contains_key(host) {
                        let text = pve_firewall::compile(stored, &self.taps(host), &network(host));
                        self.load_node(host, space, text)
                    } else {
                        self.load_machine(desired, compiled, host, space)
                    }
                })
            });
            let machines: Vec<_> = machines.collect();
            let join = |machine: std::thread::ScopedJoinHandle<'_, Result<(), ProveError>>| {
                let panicked = |_| Err(ProveError::panicked("load rules"));
                machine.join().unwrap_or_else(panicked)
            };
            machines.into_iter().map(join).collect()
        });
        done.into_iter().collect()
    }

    fn taps(&self, node: &HostName) -> Vec<Tap> {
        let taps = self.layout.taps.get(node).into_iter().flatten();
        let tap = |(vmid, index, nic): &(_, _, crate::model::guest::Nic)| Tap {
            vmid: *vmid,
            index: *index,
            mac: nic.mac.to_string(),
        };
        taps.map(tap).collect()
    }

    fn load_node(&self, node: &HostName, space: &str, text: Restore) -> Result<(), ProveError> {
        let files = [("ipsets", text.ipsets), ("v4", text.v4), ("v6", text.v6)];
        let folder = self.files(node.as_str(), &files)?;
        let script = format!("{BARE}{LOAD}");
        shell::run_in(space, &["sh", "-c", &script, "load", &folder], "")?;
        Ok(())
    }

    fn load_machine(
        &self,
        desired: &Desired,
        compiled: &CompiledFirewall,
        host: &HostName,
        space: &str,
    ) -> Result<(), ProveError> {
        for (v6, restore) in [(false, "iptables-restore"), (true, "ip6tables-restore")] {
            let docker = if self.layout.containers.contains_key(host) {
                docker_text(desired, host, v6)
            } else {
                DockerText::default()
            };
            let filter = ufw_text(compiled.ufw.get(host), v6);
            let text = format!("{filter}{}COMMIT\n{}", docker.filter, docker.nat);
            shell::run_in(space, &[restore, "-w", "5"], &text)?;
        }
        match compiled.docker.get(host) {
            Some(rules) => self.load_docker(host, space, rules),
            None => Ok(()),
        }
    }

    /// The chain behind Docker's hook, by the very script that the host would run.
    fn load_docker(
        &self,
        host: &HostName,
        space: &str,
        rules: &DockerUser,
    ) -> Result<(), ProveError> {
        let folder = self.folder.path().join(host.as_str());
        let folder = folder.display().to_string();
        let mut files = Vec::new();
        for resource in docker_resources(rules) {
            if let Resource::File(file) = resource
                && let Some(name) = file.path.strip_prefix("/etc/infra/")
            {
                let text = file.content.redacted().replace("/etc/infra", &folder);
                files.push((name.to_owned(), text));
            }
        }
        let files: Vec<(&str, String)> =
            files.iter().map(|(n, t)| (n.as_str(), t.clone())).collect();
        let folder = self.files(host.as_str(), &files)?;
        // This machine's own Docker has nothing to say here.
        let daemon = format!("INFRA_DOCKER_DAEMON={folder}/daemon.json");
        let script = format!("{folder}/docker-firewall.sh");
        shell::run_in(space, &["env", &daemon, "sh", &script], "")?;
        Ok(())
    }

    fn files(&self, below: &str, files: &[(&str, String)]) -> Result<String, ProveError> {
        let folder = self.folder.path().join(below);
        let failed = || ProveError::io(format!("write below {}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(failed())?;
        for (name, text) in files {
            std::fs::write(folder.join(name), text).map_err(failed())?;
        }
        Ok(folder.display().to_string())
    }
}

fn network(node: &HostName) -> NodeNetwork {
    NodeNetwork {
        name: node.to_string(),
        management: None,
    }
}
