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

/// Set inside a guest, to the folder where the suite lies that was carried there.
const HERE: &str = "INFRA_ZFS_HERE";

/// Where the suite lies when it runs inside a guest; none outside.
pub(crate) fn here() -> Option<PathBuf> {
    std::env::var_os(HERE).map(PathBuf::from)
}

/// The program under test.
pub(crate) fn program() -> PathBuf {
    here().map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_infra")),
        |folder| folder.join("infra"),
    )
}

/// A running guest, seen from the machine that emulates it or from inside.
pub(crate) struct Rig {
    /// Its key and host key.
    keys: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    is_here: bool,
    _alone: MutexGuard<'static, ()>,
}

impl Rig {
    /// Resumes the saved machine; none where there is none. Inside a guest it is that guest.
    pub(crate) fn up() -> Option<Self> {
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().expect("a folder");
        if let Some(keys) = here() {
            return Some(Self {
                keys,
                folder,
                port: 22,
                is_here: true,
                _alone: alone,
            });
        }
        let have = Command::new(SCRIPT)
            .arg("have")
            .output()
            .expect("the script runs");
        if !have.status.success() {
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let rig = Self {
            keys: PathBuf::from(String::from_utf8(have.stdout).expect("a path").trim()),
            folder,
            port,
            is_here: false,
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
        self.keys.join("operator_ed25519")
    }

    /// Its host key under these names.
    pub(crate) fn known_hosts(&self, names: &[&str]) -> String {
        let key = std::fs::read_to_string(self.keys.join("known_hosts")).expect("the guest's key");
        names
            .iter()
            .map(|name| key.replace("infra-zfs-rig", name))
            .collect()
    }

    /// Carries the suite and the program under test into the guest, and runs one test there; what it said.
    #[cfg(feature = "libzetta")]
    pub(crate) fn runs_inside(&self, test: &str) -> String {
        const FOLDER: &str = "/var/suite";
        let suite = self.folder.path().join("suite");
        std::fs::create_dir(&suite).expect("a folder");
        let own = std::env::current_exe().expect("a path");
        for (from, name) in [(own, "suite"), (program(), "infra")] {
            // Without what only a debugger reads: an emulated machine is slow to take it.
            let strip = Command::new("strip")
                .arg("-o")
                .arg(suite.join(name))
                .arg(from)
                .status();
            assert!(strip.expect("strip runs").success());
        }
        for name in ["operator_ed25519", "known_hosts"] {
            std::fs::copy(self.keys.join(name), suite.join(name)).expect("a copy");
        }
        self.carry(
            &format!(
                "tar -c -C \"$1\" . | \"$0\" 'mkdir {FOLDER} && tar -x --no-same-owner -C {FOLDER}'"
            ),
            &suite,
        );
        self.sh(&format!(
            "INFRA_NIGHTLY=zfs {HERE}={FOLDER} {FOLDER}/suite --exact {test} --nocapture 2>&1"
        ))
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
            .arg(self.key())
            .args([
                "-o",
                "StrictHostKeyChecking=yes",
                "-o",
                "HostKeyAlias=infra-zfs-rig",
            ])
            .arg("-o")
            .arg(format!(
                "UserKnownHostsFile={}",
                self.keys.join("known_hosts").display()
            ))
            .args(["-p", &self.port.to_string(), "root@127.0.0.1"]);
        ssh
    }

    /// A script in the guest that must succeed; its output.
    pub(crate) fn sh(&self, script: &str) -> String {
        let mut shell = if self.is_here {
            Command::new("bash")
        } else {
            self.ssh()
        };
        if self.is_here {
            shell.arg("-c");
        }
        let output = shell.arg(script).output().expect("it runs");
        assert!(
            output.status.success(),
            "{script}: {}{}",
            String::from_utf8_lossy(&output.stdout),
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
        if self.is_here {
            return;
        }
        let _ = Command::new(SCRIPT).arg("down").arg(self.run()).status();
    }
}
