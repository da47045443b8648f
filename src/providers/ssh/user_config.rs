//! What the user's own OpenSSH configuration says, through `ssh -G`, which alone reads it right.

use super::target::{Person, Target};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The settings that matter here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct UserConfig {
    /// `HostName` after aliases.
    pub(super) hostname: String,
    /// `IdentityFile`s, whether they exist or not.
    pub(super) identities: Vec<PathBuf>,
    /// `ProxyJump`, as written.
    pub(super) proxy_jump: Option<String>,
    /// `ProxyCommand`, as written.
    pub(super) proxy_command: Option<String>,
    /// `HostKeyAlias`.
    pub(super) host_key_alias: Option<String>,
    /// `UserKnownHostsFile` and `GlobalKnownHostsFile`.
    pub(super) known_hosts: Vec<PathBuf>,
    /// `IdentityAgent`: a socket, or `none`.
    pub(super) agent: Option<String>,
}

impl UserConfig {
    /// Asks `ssh -G` for the name in the system when that leads to the same address, else for the address itself.
    /// Without an `ssh` program, OpenSSH's defaults.
    pub(super) fn of(target: &Target) -> Self {
        if !target.person.config {
            return Self::default();
        }
        ask(target, target.host.as_str())
            .filter(|config| config.hostname == target.address)
            .or_else(|| ask(target, &target.address))
            .unwrap_or_else(|| Self::defaults(&target.person))
    }

    fn defaults(person: &Person) -> Self {
        let home = |path: &str| person.home.as_deref().map(|home| home.join(path));
        Self {
            identities: ["id_ed25519", "id_ecdsa", "id_rsa"]
                .iter()
                .filter_map(|name| home(&format!(".ssh/{name}")))
                .collect(),
            known_hosts: home(".ssh/known_hosts")
                .into_iter()
                .chain([PathBuf::from("/etc/ssh/ssh_known_hosts")])
                .collect(),
            ..Self::default()
        }
    }
}

fn ask(target: &Target, alias: &str) -> Option<UserConfig> {
    let output = Command::new("ssh")
        .args([
            "-G",
            "-l",
            &target.user,
            "-p",
            &target.port.to_string(),
            "--",
            alias,
        ])
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(parse(&text, target.person.home.as_deref()))
}

fn parse(text: &str, home: Option<&Path>) -> UserConfig {
    let expand = |path: &str| match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    };
    let given = |value: &str| (value != "none").then(|| value.to_owned());
    let mut config = UserConfig::default();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(' ') else {
            continue;
        };
        match key {
            "hostname" => value.clone_into(&mut config.hostname),
            "identityfile" => config.identities.push(expand(value)),
            "proxyjump" => config.proxy_jump = given(value),
            "proxycommand" => config.proxy_command = given(value),
            "hostkeyalias" => config.host_key_alias = given(value),
            "identityagent" => config.agent = Some(value.to_owned()),
            "userknownhostsfile" | "globalknownhostsfile" => {
                config.known_hosts.extend(value.split(' ').map(expand));
            }
            _ => {}
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ssh -G pve` of OpenSSH 9.2p1 with a configuration that sets these keys, run as a user `ada`.
    const ANSWER: &str = include_str!("user_config/ssh-G-9.2p1.txt");

    #[test]
    fn the_answer_of_ssh_is_read() {
        let config = parse(ANSWER, Some(Path::new("/home/ada")));
        assert_eq!(config.hostname, "192.168.1.10");
        assert_eq!(config.identities, [PathBuf::from("/home/ada/.ssh/homelab")]);
        assert_eq!(
            config.proxy_jump.as_deref(),
            Some("ada@bastion.home.arpa:2222")
        );
        assert_eq!(config.host_key_alias.as_deref(), Some("pve-alias"));
        assert_eq!(config.agent.as_deref(), Some("/run/user/1000/agent.sock"));
        assert_eq!(
            config.known_hosts,
            [
                "/etc/ssh/ssh_known_hosts",
                "/etc/ssh/ssh_known_hosts2",
                "/home/ada/.ssh/homelab_hosts",
                "/home/ada/.ssh/more"
            ]
            .map(PathBuf::from)
        );
        assert_eq!(config.proxy_command, None);
    }
}
