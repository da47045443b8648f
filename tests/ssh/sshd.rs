//! A real sshd with keys of its own, on a loopback port, that ends with the test.

use infra::{
    model::ids::HostName,
    providers::ssh::{HostKey, KnownHosts, Person, SshHost, Target},
};
use std::{
    fs,
    io::Write as _,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";

pub(crate) struct Sshd {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    child: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.child.kill().expect("ours to end");
        self.child.wait().expect("ours to wait for");
    }
}

/// None, with a printed reason, where OpenSSH's server is not installed.
pub(crate) fn sshd(settings: &str) -> Option<Sshd> {
    serve(settings, &["ed25519"])
}

/// The same with an RSA key as well, which takes a while to make.
pub(crate) fn sshd_with_rsa(settings: &str) -> Option<Sshd> {
    serve(settings, &["ed25519", "rsa"])
}

fn serve(settings: &str, kinds: &[&str]) -> Option<Sshd> {
    if !Path::new(SSHD).exists() {
        writeln!(std::io::stderr(), "SKIPPED: {SSHD} is not installed").expect("stderr");
        return None;
    }
    if own_name() == "root" {
        fs::create_dir_all("/run/sshd").expect("sshd's own folder");
    }
    let folder = tempfile::tempdir().expect("temp dir");
    keygen(&folder.path().join("id"), "ed25519", "");
    let mut settings = settings.to_owned();
    for kind in kinds {
        let path = folder.path().join(format!("host_{kind}"));
        keygen(&path, kind, "");
        settings += "\nHostKey ";
        settings += &path.display().to_string();
    }
    fs::copy(
        folder.path().join("id.pub"),
        folder.path().join("authorized_keys"),
    )
    .expect("copied");
    (0..5)
        .find_map(|_| start(&folder, &settings))
        .map(|(port, child)| Sshd {
            folder,
            port,
            child,
        })
        .or_else(|| {
            panic!("sshd did not start five times in a row");
        })
}

fn start(folder: &TempDir, settings: &str) -> Option<(u16, Child)> {
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
        .port();
    let at = folder.path().display();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nPidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n\
         AuthorizedKeysFile {at}/authorized_keys\nLogLevel VERBOSE\n\
         SetEnv SHLVL=5\n{settings}\n"
    );
    let path = folder.path().join("sshd_config");
    fs::write(&path, config).expect("written");
    let mut child = Command::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(&path)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sshd runs");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let listening = lines
        .by_ref()
        .map_while(Result::ok)
        .any(|line| line.contains("Server listening on"));
    if !listening {
        child.wait().expect("it ended");
        return None;
    }
    // The rest of its log must be read, or it would stop at a full pipe.
    std::thread::spawn(move || lines.map_while(Result::ok).count());
    Some((port, child))
}

pub(crate) fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "test"])
        .args(if kind == "rsa" {
            ["-b", "2048"].as_slice()
        } else {
            &[]
        })
        .arg("-f")
        .arg(path)
        .output()
        .expect("ssh-keygen runs");
    assert!(output.status.success(), "{output:?}");
}

pub(crate) fn own_name() -> String {
    let output = Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8(output.stdout)
        .expect("a name")
        .trim()
        .to_owned()
}

pub(crate) fn host(name: &str) -> HostName {
    name.parse().expect("valid")
}

impl Sshd {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn public(&self, name: &str) -> HostKey {
        fs::read_to_string(self.path(name))
            .expect("there")
            .parse()
            .expect("a public key")
    }

    pub(crate) fn known_hosts(&self) -> KnownHosts {
        KnownHosts::at(self.path("known_hosts"))
    }

    /// A target whose host key is not pinned yet.
    pub(crate) fn target(&self) -> Target {
        Target {
            host: host("box"),
            address: "127.0.0.1".to_owned(),
            port: self.port,
            user: own_name(),
            identity: Some(self.path("id")),
            jump: None,
            known_hosts: self.known_hosts(),
            person: Person::default(),
        }
    }

    /// A host that is trusted and lets us in.
    pub(crate) fn host(&self) -> SshHost {
        let target = self.target();
        let key = self.public("host_ed25519.pub");
        self.known_hosts()
            .pin(&target.pin_names(), &key)
            .expect("pinned");
        SshHost::new(target)
    }
}
