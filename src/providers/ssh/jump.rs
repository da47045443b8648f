//! A way through another host: `ssh -W` on a socketpair, so that chains, hardware keys and `Match` are OpenSSH's business.

use super::{error::ConnectError, line::quote_all, target::Target};
use std::{
    fs::File,
    io::{self, Read, Seek},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
};

/// The program behind a connection; it ends with it.
pub(super) struct JumpProcess {
    child: Child,
    complaints: File,
}

impl JumpProcess {
    /// Starts a program whose standard input and output are the connection.
    pub(super) fn start(argv: &[String]) -> Result<(Self, OwnedFd), ConnectError> {
        let failed = |source| ConnectError::Local {
            what: "the way through the jump host",
            source,
        };
        let (program, arguments) = argv
            .split_first()
            .ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let complaints = tempfile::tempfile().map_err(failed)?;
        let input = theirs.try_clone().map_err(failed)?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(input)))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::from(complaints.try_clone().map_err(failed)?))
            .spawn()
            .map_err(failed)?;
        Ok((Self { child, complaints }, ours.into()))
    }

    /// Ends it and returns the last lines that it wrote about its trouble.
    pub(super) fn complaint(mut self) -> String {
        self.end();
        let mut text = Vec::new();
        let read = self
            .complaints
            .rewind()
            .and_then(|()| self.complaints.read_to_end(&mut text));
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        match read {
            Ok(_) if !lines.is_empty() => lines[lines.len().saturating_sub(4)..].join("; "),
            Ok(_) | Err(_) => "it closed the connection without a word".to_owned(),
        }
    }

    fn end(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for JumpProcess {
    fn drop(&mut self) {
        self.end();
    }
}

impl Target {
    /// What OpenSSH's client is told so that it trusts, offers and goes through what infra does: options without the
    /// program, the login name, the port and the address.
    pub fn openssh_options(&self) -> Vec<String> {
        let mut argv = Vec::new();
        if !self.person.config {
            argv.extend(["-F", "none"].map(str::to_owned));
        }
        let mut option = |text: String| argv.extend(["-o".to_owned(), text]);
        option("StrictHostKeyChecking=yes".into());
        option("UpdateHostKeys=no".into());
        let mut files = vec![self.known_hosts.path().display().to_string()];
        if self.person.config {
            files.extend(["~/.ssh/known_hosts", "~/.ssh/known_hosts2"].map(str::to_owned));
        }
        let files: Vec<String> = files.iter().map(|f| format!("\"{f}\"")).collect();
        option(format!("UserKnownHostsFile={}", files.join(" ")));
        if self
            .known_hosts
            .lookup(self.host.as_str())
            .is_ok_and(|lines| !lines.is_empty())
        {
            option(format!("HostKeyAlias={}", self.host));
        }
        if let Some(identity) = &self.identity {
            option("IdentitiesOnly=yes".into());
            option(format!("IdentityFile=\"{}\"", identity.display()));
        }
        if let Some(agent) = &self.person.agent {
            option(format!("IdentityAgent=\"{}\"", agent.display()));
        }
        if let Some(further) = &self.jump {
            let inner = quote_all(through(further, &self.place()));
            option(format!("ProxyCommand={}", inner.replace('%', "%%")));
        }
        argv
    }
}

/// OpenSSH's client with infra's own settings for a host, with nobody there to answer a question.
fn client(jump: &Target) -> Vec<String> {
    let mut argv: Vec<String> = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
        .map(str::to_owned)
        .into();
    argv.extend(jump.openssh_options());
    argv
}

/// The argv that leads to `place` through infra's own jump host.
pub(super) fn through(jump: &Target, place: &str) -> Vec<String> {
    let mut argv = client(jump);
    argv.extend(
        [
            "-W",
            place,
            "-p",
            &jump.port.to_string(),
            "-l",
            &jump.user,
            "--",
            &jump.address,
        ]
        .map(str::to_owned),
    );
    argv
}

/// The argv that runs a line on a host through OpenSSH's client, for what must flow while it runs.
pub(super) fn running(target: &Target, line: &str) -> Vec<String> {
    let mut argv = client(target);
    argv.extend(
        [
            "-T",
            "-p",
            &target.port.to_string(),
            "-l",
            &target.user,
            "--",
            &target.address,
            line,
        ]
        .map(str::to_owned),
    );
    argv
}

/// The argv for a `ProxyJump` of the user's own configuration: the last hop runs `-W`, the others lead to it.
pub(super) fn through_user_jump(spec: &str, place: &str) -> Vec<String> {
    let (before, last) = match spec.rsplit_once(',') {
        Some((before, last)) => (Some(before), last),
        None => (None, spec),
    };
    let mut argv: Vec<String> = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
        .map(str::to_owned)
        .into();
    if let Some(before) = before {
        argv.extend(["-J", before].map(str::to_owned));
    }
    let last = if last.starts_with("ssh://") {
        last.to_owned()
    } else {
        format!("ssh://{last}")
    };
    argv.extend(["-W", place, "--", &last].map(str::to_owned));
    argv
}

/// The argv for a `ProxyCommand`, its tokens filled in.
pub(super) fn by_proxy_command(command: &str, target: &Target) -> Vec<String> {
    let mut line = String::from("exec ");
    let mut rest = command.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            line.push(c);
            continue;
        }
        match rest.next() {
            Some('h') => line.push_str(&target.address),
            Some('p') => line.push_str(&target.port.to_string()),
            Some('r') => line.push_str(&target.user),
            Some('n') => line.push_str(target.host.as_str()),
            Some('%') | None => line.push('%'),
            Some(other) => line.extend(['%', other]),
        }
    }
    vec!["sh".into(), "-c".into(), line]
}

#[cfg(test)]
mod tests {
    use super::{
        super::{known_hosts::KnownHosts, target::Person},
        *,
    };

    fn target(host: &str, address: &str) -> Target {
        Target {
            host: host.parse().expect("valid"),
            address: address.to_owned(),
            port: 22,
            user: "root".to_owned(),
            identity: Some("/keys/id 1".into()),
            jump: None,
            known_hosts: KnownHosts::at("/nowhere/known hosts"),
            person: Person::default(),
        }
    }

    #[test]
    fn a_chain_of_jumps_is_one_command_that_checks_every_key() {
        let mut near = target("near", "10.0.0.1");
        near.jump = Some(Box::new(target("far", "10.0.0.2")));
        let argv = through(&near, "10.9.9.9:22");
        let strict = argv
            .iter()
            .filter(|a| a.contains("StrictHostKeyChecking=yes"))
            .count();
        assert_eq!(strict, 2, "{argv:?}");
        let proxy = argv
            .iter()
            .find(|a| a.starts_with("ProxyCommand="))
            .expect("nested");
        assert!(proxy.contains("-W 10.0.0.1:22"), "{proxy}");
        assert!(argv.ends_with(&["--".to_owned(), "10.0.0.1".to_owned()]));
    }

    #[test]
    fn the_users_own_jumps_and_proxy_commands_are_followed() {
        let argv = through_user_jump("a@one:2222,two", "10.0.0.9:22");
        assert_eq!(
            argv[5..],
            ["-J", "a@one:2222", "-W", "10.0.0.9:22", "--", "ssh://two"].map(str::to_owned)
        );
        let argv = by_proxy_command("nc -x proxy %h %p # 100%%", &target("pve", "10.0.0.9"));
        assert_eq!(argv[2], "exec nc -x proxy 10.0.0.9 22 # 100%");
    }
}
