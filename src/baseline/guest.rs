//! A Debian host that runs stacks: who may log in, what is patched, what runs containers, what is closed.

use crate::model::{
    desired::Desired,
    ids::HostName,
    resource::{FileResource, Reaction, Resource},
    secret::Content,
};

/// The guest agent: without it Proxmox can neither shut a guest down nor freeze its filesystems.
pub(super) fn agent() -> Vec<Resource> {
    vec![Resource::Package("qemu-guest-agent".to_owned())]
}

/// Who may log in to a guest: the inventory's keys and nobody else's. cloud-init writes them once, this keeps them.
pub(super) fn keys(desired: &Desired, user: &str) -> Option<Resource> {
    if desired.authorized_keys.is_empty() {
        return None;
    }
    let home = if user == "root" {
        "/root".to_owned()
    } else {
        format!("/home/{user}")
    };
    let keys: Vec<&str> = desired
        .authorized_keys
        .iter()
        .map(|key| key.trim())
        .collect();
    let keys = keys.join("\n");
    Some(Resource::File(FileResource {
        path: format!("{home}/.ssh/authorized_keys"),
        content: Content::text(format!("# Made by infra; edits are replaced.\n{keys}\n")),
        owner: user.to_owned(),
        group: user.to_owned(),
        mode: 0o600,
        then: vec![],
        purpose: "the keys of the inventory may log in".to_owned(),
    }))
}

/// Everything but mounts and firewall rules.
pub(super) fn resources(desired: &Desired, host: &HostName) -> Vec<Resource> {
    let mut out = access();
    out.extend(upgrades());
    if desired.stacks.values().any(|stack| &stack.on == host) {
        out.extend(docker());
    }
    out
}

fn file(path: &str, text: &str, then: Vec<Reaction>, purpose: &str) -> Resource {
    Resource::File(FileResource {
        path: path.to_owned(),
        content: Content::text(format!("# Made by infra; edits are replaced.\n{text}")),
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: 0o644,
        then,
        purpose: purpose.to_owned(),
    })
}

fn package(name: &str) -> Resource {
    Resource::Package(name.to_owned())
}

fn running(name: &str) -> Resource {
    Resource::Unit {
        name: name.to_owned(),
        enabled: true,
        active: true,
    }
}

fn access() -> Vec<Resource> {
    let check = Reaction::Run(vec!["/usr/sbin/sshd".to_owned(), "-t".to_owned()]);
    vec![
        // sshd takes the first value it reads, and the main file includes this folder at its top.
        file(
            "/etc/ssh/sshd_config.d/00-infra.conf",
            "PasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\n\
             PubkeyAuthentication yes\n\
             X11Forwarding no\n",
            vec![check, Reaction::Reload("ssh.service".to_owned())],
            "SSH accepts keys only",
        ),
        running("ssh.service"),
        package("ufw"),
        // Connections that were opened before a flow was closed are ended by it.
        package("conntrack"),
        package("fail2ban"),
        // The journal is the only log that Debian 13 has, and fail2ban reads it through this module.
        package("python3-systemd"),
        file(
            "/etc/fail2ban/jail.d/infra.conf",
            "[DEFAULT]\n\
             backend = systemd\n\
             banaction = nftables-multiport\n\
             banaction_allports = nftables-allports\n\
             \n\
             [sshd]\n\
             enabled = true\n\
             maxretry = 5\n\
             findtime = 10m\n\
             bantime = 1h\n",
            vec![Reaction::Restart("fail2ban.service".to_owned())],
            "fail2ban guards SSH",
        ),
        running("fail2ban.service"),
    ]
}

fn upgrades() -> Vec<Resource> {
    vec![
        package("unattended-upgrades"),
        file(
            "/etc/apt/apt.conf.d/52infra-upgrades",
            "APT::Periodic::Update-Package-Lists \"1\";\n\
             APT::Periodic::Unattended-Upgrade \"1\";\n\
             Unattended-Upgrade::Automatic-Reboot \"false\";\n\
             Unattended-Upgrade::Remove-Unused-Kernel-Packages \"true\";\n",
            vec![],
            "security updates install themselves",
        ),
        running("unattended-upgrades.service"),
    ]
}

fn docker() -> Vec<Resource> {
    let mut daemon = file(
        "/etc/docker/daemon.json",
        "",
        vec![Reaction::Restart("docker.service".to_owned())],
        "Docker keeps logs small and containers alive over its own restarts",
    );
    if let Resource::File(file) = &mut daemon {
        // JSON has no comments, so the mark is left out here.
        file.content = Content::text(
            "{\n  \"live-restore\": true,\n  \"log-driver\": \"json-file\",\n  \
             \"log-opts\": { \"max-file\": \"3\", \"max-size\": \"10m\" }\n}\n",
        );
    }
    // The file comes first, so that the daemon's very first start already reads it.
    vec![
        daemon,
        package("docker.io"),
        package("docker-cli"),
        package("docker-compose"),
        running("docker.service"),
    ]
}
