//! A QEMU guest with real OpenZFS, for as long as a test runs.

use super::{
    stage::{collect, lay_out},
    transcript::Said,
};
use infra::{
    model::ids::HostName,
    providers::ssh::{KnownHosts, Person, SshHost, Target},
};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/zfs/rig/rig.sh");

/// One guest at a time: each takes a gigabyte and two processors.
static ONE: Mutex<()> = Mutex::new(());

/// Whether everything is run that takes minutes.
pub(crate) fn is_nightly() -> bool {
    std::env::var("INFRA_NIGHTLY").is_ok_and(|suite| suite == "zfs")
}

/// A running guest.
pub(crate) struct Rig {
    cache: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    _alone: MutexGuard<'static, ()>,
}

impl Rig {
    /// Resumes the saved machine; none where there is none.
    pub(crate) fn up() -> Option<Self> {
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let have = Command::new(SCRIPT)
            .arg("have")
            .output()
            .expect("the script runs");
        if !have.status.success() {
            return None;
        }
        let cache = PathBuf::from(String::from_utf8(have.stdout).expect("a path").trim());
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let rig = Self {
            cache,
            folder,
            port,
            _alone: alone,
        };
        let status = Command::new(SCRIPT)
            .args(["up".as_ref(), rig.run().as_os_str()])
            .arg(port.to_string())
            .stdout(Stdio::null())
            .status()
            .expect("the script runs");
        assert!(status.success(), "the saved machine does not come up");
        Some(rig)
    }

    /// Where its sshd listens, on 127.0.0.1 and 127.0.0.2.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The key that opens it.
    pub(crate) fn key(&self) -> PathBuf {
        self.cache.join("operator_ed25519")
    }

    /// Its host key under these names.
    pub(crate) fn known_hosts(&self, names: &[&str]) -> String {
        let key = std::fs::read_to_string(self.cache.join("known_hosts")).expect("the guest's key");
        names
            .iter()
            .map(|name| key.replace("infra-zfs-rig", name))
            .collect()
    }

    fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// The guest as infra reaches hosts.
    pub(crate) fn host(&self, name: &str) -> SshHost {
        SshHost::new(Target {
            host: HostName::new(name).expect("valid"),
            address: "127.0.0.1".to_owned(),
            port: self.port,
            user: "root".to_owned(),
            identity: Some(self.key()),
            jump: None,
            known_hosts: self.pinned(name),
            person: Person::default(),
        })
    }

    /// Infra's own file of pinned keys, with the guest's under the name of a host.
    fn pinned(&self, name: &str) -> KnownHosts {
        let path = self.folder.path().join(format!("known_hosts.{name}"));
        std::fs::write(&path, self.known_hosts(&[name])).expect("a file");
        KnownHosts::at(path)
    }

    fn ssh(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"])
            .arg("-i")
            .arg(self.cache.join("operator_ed25519"))
            .args([
                "-o",
                "StrictHostKeyChecking=yes",
                "-o",
                "HostKeyAlias=infra-zfs-rig",
            ])
            .arg("-o")
            .arg(format!(
                "UserKnownHostsFile={}",
                self.cache.join("known_hosts").display()
            ))
            .args(["-p", &self.port.to_string(), "root@127.0.0.1"]);
        ssh
    }

    /// A script in the guest that must succeed; its output.
    pub(crate) fn sh(&self, script: &str) -> String {
        let output = self.ssh().arg(script).output().expect("ssh runs");
        assert!(
            output.status.success(),
            "{script}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs commands in their order, as the recorder did.
    pub(crate) fn replay(&self, commands: &[String]) -> Vec<Said> {
        let at = lay_out(self.folder.path(), commands);
        self.carry(
            "tar -c -C \"$1\" . | \"$0\" \"rm -rf /stage; mkdir /stage; tar -x -C /stage\"",
            &at,
        );
        self.sh("sh /stage/driver.sh /stage");
        self.carry("\"$0\" \"tar -c -C /stage .\" | tar -x -C \"$1\"", &at);
        collect(&at, commands.len())
    }

    /// A local pipeline in which `"$0"` is the way into the guest.
    pub(crate) fn carry(&self, script: &str, folder: &Path) {
        let way = self.folder.path().join("in");
        let ssh = self.ssh();
        let words: Vec<String> = ssh
            .get_args()
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        std::fs::write(
            &way,
            format!("#!/bin/sh\nexec ssh {} \"$@\"\n", words.join(" ")),
        )
        .expect("a script");
        let made = std::process::Command::new("chmod")
            .arg("755")
            .arg(&way)
            .status();
        assert!(made.expect("chmod runs").success());
        let status = Command::new("sh")
            .args(["-euc", script])
            .arg(&way)
            .arg(folder)
            .status();
        assert!(status.expect("sh runs").success(), "{script}");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Whatever happens to the test, the emulator must not outlive it.
        let _ = Command::new(SCRIPT).arg("down").arg(self.run()).status();
    }
}
