//! A container that boots Debian: its disk, its command line, its end.

use super::{cgroup::Cgroup, error::NamespaceError, exec, files};
use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Mounts the root in a mount namespace of the container's own, enters its cgroups and becomes the command.
/// Arguments: layers, upper, work, mount point; cgroup directories; `--`; the command. When the container is gone, so
/// is its mount.
const ENTER: &str = r#"set -eu
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4"
shift 4
while [ "$1" != -- ]; do
    echo $$ > "$1/cgroup.procs"
    shift
done
shift
exec "$@"
"#;

/// How long until systemd-nspawn has started a pid 1; it takes 0.1 s, on a busy machine more.
const UP_WITHIN: Duration = Duration::from_secs(15);

/// A folder of the machine that is seen inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bind {
    /// On the machine.
    pub(super) source: PathBuf,
    /// In the container.
    pub(super) target: PathBuf,
    /// Not writable from inside.
    pub(super) read_only: bool,
}

impl Bind {
    /// A writable one.
    pub(super) fn writable(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            read_only: false,
        }
    }

    /// A read-only one.
    pub(super) fn read_only(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self {
            read_only: true,
            ..Self::writable(source, target)
        }
    }

    fn option(&self) -> String {
        let escaped = |path: &Path| {
            let text = path.display().to_string();
            text.replace('\\', "\\\\").replace(':', "\\:")
        };
        let flag = if self.read_only {
            "--bind-ro"
        } else {
            "--bind"
        };
        format!("{flag}={}:{}", escaped(&self.source), escaped(&self.target))
    }
}

/// A container as it is booted, again at every power cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Container {
    /// Machine name, unique on the machine.
    pub(super) machine: String,
    /// The `lowerdir` of its root.
    pub(super) layers: String,
    /// Its own folder: `upper`, `work`, `root`, `console.log`.
    pub(super) folder: PathBuf,
    /// Its network namespace.
    pub(super) netns: PathBuf,
    /// Its cgroup.
    pub(super) cgroup: Cgroup,
    /// Folders of the machine that it sees.
    pub(super) binds: Vec<Bind>,
}

impl Container {
    /// The writable layer, to put files in before the first boot.
    pub(super) fn upper(&self) -> PathBuf {
        self.folder.join("upper")
    }

    /// Everything that pid 1 printed since the last power-on.
    pub(super) fn console(&self) -> PathBuf {
        self.folder.join("console.log")
    }

    /// Creates the folders; a disk that is there stays as it is.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn create_disk(&self) -> Result<(), NamespaceError> {
        for name in ["upper", "work", "root"] {
            files::create_with_mode(&self.folder.join(name), 0o755)?;
        }
        Ok(())
    }

    /// Boots it. Returns when its pid 1 runs; the child is systemd-nspawn.
    ///
    /// # Errors
    /// When it ends before that, with the end of its console.
    pub(super) fn boot(&self) -> Result<Child, NamespaceError> {
        self.cgroup.clear()?;
        self.cgroup.create()?;
        let console = self.console();
        let log = fs::File::create(&console).map_err(files::failed("write", &console))?;
        let errors = log.try_clone().map_err(files::failed("write", &console))?;
        let argv = self.argv();
        let mut child = Command::new(&argv[0])
            .args(&argv[1..])
            .env("PATH", exec::PATH)
            // The guest's systemd refuses cgroup v1.
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            // The lock would be a file beside the mount point, and the root is this process's own anyway.
            .env("SYSTEMD_NSPAWN_LOCK", "0")
            // Docker writes `net.ipv4.ip_forward`.
            .env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "network")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|source| NamespaceError::Start {
                program: argv[0].clone(),
                source,
            })?;
        let begun = Instant::now();
        while !self.cgroup.has_payload() {
            let ended = child.try_wait().map_err(files::failed("read", &console))?;
            if ended.is_some() || begun.elapsed() > UP_WITHIN {
                let _ = child.kill();
                let _ = child.wait();
                self.cgroup.clear()?;
                return Err(NamespaceError::Boot {
                    name: self.machine.clone(),
                    complaint: self.last_words(),
                });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(child)
    }

    /// The end of the console.
    pub(super) fn last_words(&self) -> String {
        let bytes = fs::read(self.console()).unwrap_or_default();
        exec::last_lines(&String::from_utf8_lossy(&bytes), 8)
    }

    fn argv(&self) -> Vec<String> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        // `slave`: what the machine unmounts is unmounted for the container's processes too, so that a lab never
        // keeps the machine's own disks busy.
        let mut argv: Vec<String> = ["unshare", "--mount", "--propagation", "slave"]
            .into_iter()
            .chain(["sh", "-c", ENTER, "infra-enter"])
            .map(str::to_owned)
            .collect();
        argv.extend([
            self.layers.clone(),
            path("upper"),
            path("work"),
            path("root"),
        ]);
        argv.extend(self.cgroup.folders().map(|f| f.display().to_string()));
        argv.extend(["--", "systemd-nspawn", "--quiet", "--boot"].map(str::to_owned));
        argv.push(format!("--directory={}", path("root")));
        argv.push(format!("--machine={}", self.machine));
        argv.push(format!("--network-namespace-path={}", self.netns.display()));
        argv.extend(
            [
                // There may be neither systemd nor D-Bus on the machine.
                "--register=no",
                "--keep-unit",
                "--capability=all",
                // runc makes a session key, loads device programs and mounts.
                "--system-call-filter=keyctl add_key request_key bpf @mount",
                "--resolv-conf=off",
                "--timezone=off",
                "--link-journal=no",
                "--console=pipe",
            ]
            .map(str::to_owned),
        );
        argv.extend(self.binds.iter().map(Bind::option));
        argv
    }
}

/// Refuses folders that overlayfs options and nspawn's arguments cannot carry.
///
/// # Errors
/// [`NamespaceError::Folder`].
pub(super) fn check_folder(folder: &Path) -> Result<(), NamespaceError> {
    let text = folder.to_string_lossy();
    if text.contains([':', ',', '"', '\\', ' ', '\n']) {
        return Err(NamespaceError::Folder {
            path: folder.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_with_a_colon_is_escaped() {
        let bind = Bind::read_only("/tank/a:b", "/run/x");
        assert_eq!(bind.option(), "--bind-ro=/tank/a\\:b:/run/x");
    }

    #[test]
    fn folders_that_options_cannot_carry_are_refused() {
        assert!(check_folder(Path::new("/root/.local/state/infra/lab")).is_ok());
        for folder in ["/srv/a:b", "/srv/a,b", "/srv/my lab"] {
            assert!(check_folder(Path::new(folder)).is_err(), "{folder}");
        }
    }
}
