//! One cgroup per container: without it two containers would share `/payload`, and a hard stop could not be one write.

use super::{error::NamespaceError, files, names::Names};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const MOUNT: &str = "/sys/fs/cgroup";

/// How long killed processes may take to be gone; a process in an uninterruptible write on a slow disk needs seconds.
const END_WITHIN: Duration = Duration::from_secs(20);

/// A directory in the cgroup v2 hierarchy and, where the machine runs the hybrid layout, its twin in systemd's named
/// v1 hierarchy (systemd-nspawn asks for both).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cgroup {
    unified: PathBuf,
    named: Option<PathBuf>,
}

impl Cgroup {
    /// The lab's own directory.
    ///
    /// # Errors
    /// [`NamespaceError::NoCgroup`] on a machine without cgroup v2.
    pub(super) fn of_lab(names: &Names) -> Result<Self, NamespaceError> {
        Self::find(Path::new(MOUNT)).map(|root| root.child(&names.cgroup()))
    }

    fn find(mount: &Path) -> Result<Self, NamespaceError> {
        if mount.join("cgroup.controllers").exists() {
            return Ok(Self {
                unified: mount.to_owned(),
                named: None,
            });
        }
        let (unified, named) = (mount.join("unified"), mount.join("systemd"));
        if !unified.join("cgroup.procs").exists() {
            return Err(NamespaceError::NoCgroup);
        }
        Ok(Self {
            unified,
            named: named.join("cgroup.procs").exists().then_some(named),
        })
    }

    /// A directory below.
    #[must_use]
    pub(super) fn child(&self, name: &str) -> Self {
        Self {
            unified: self.unified.join(name),
            named: self.named.as_ref().map(|path| path.join(name)),
        }
    }

    /// The directories, cgroup v2 first.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.unified.as_path()).chain(self.named.as_deref())
    }

    /// Creates the directories.
    ///
    /// # Errors
    /// When the kernel refuses, for example in a container with a read-only `/sys/fs/cgroup`.
    pub(super) fn create(&self) -> Result<(), NamespaceError> {
        self.folders().try_for_each(files::create)
    }

    /// Hands the machine's controllers to the directories below. Not for a directory with processes of its own: the
    /// kernel refuses processes beside controllers, and nspawn does this for its payload itself.
    pub(super) fn delegate(&self) {
        let control = self.unified.join("cgroup.subtree_control");
        for controller in ["+cpu", "+io", "+memory", "+pids"] {
            // A hybrid machine has its controllers in v1, and a nested one may not own them: containers then run
            // without limits, which is what `docs/lab.md` promises at least.
            let _ = files::poke(&control, controller);
        }
    }

    /// Whether a container has been set up in here: nspawn makes `payload` when it starts its pid 1.
    pub(super) fn has_payload(&self) -> bool {
        self.unified.join("payload").is_dir()
    }

    /// The container's pid 1, as the machine counts; none before it runs.
    pub(super) fn init(&self) -> Option<u32> {
        let scope = self.unified.join("payload/init.scope/cgroup.procs");
        fs::read_to_string(scope).ok()?.lines().next()?.parse().ok()
    }

    /// Whether any process lives in here or below.
    pub(super) fn is_populated(&self) -> bool {
        fs::read_to_string(self.unified.join("cgroup.events"))
            .is_ok_and(|text| text.lines().any(|line| line == "populated 1"))
    }

    /// Kills every process in here and below, waits until they are gone, and removes the directories.
    ///
    /// # Errors
    /// When processes remain.
    pub(super) fn clear(&self) -> Result<(), NamespaceError> {
        if self.unified.is_dir() {
            let killed = files::poke(&self.unified.join("cgroup.kill"), "1");
            // Whoever waits for the container may clear it at the same moment.
            if self.unified.is_dir() {
                killed?;
            }
            let begun = Instant::now();
            while self.is_populated() {
                if begun.elapsed() > END_WITHIN {
                    return Err(NamespaceError::StillRunning {
                        path: self.unified.clone(),
                    });
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        for folder in self.folders() {
            remove(folder)?;
        }
        Ok(())
    }
}

/// Removes a cgroup directory with its children. Their files cannot be removed, nor need they be.
fn remove(folder: &Path) -> Result<(), NamespaceError> {
    for name in files::names(folder)? {
        let path = folder.join(name);
        if path.is_dir() {
            remove(&path)?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(files::failed("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_recognised() {
        let mount = tempfile::tempdir().expect("folder");
        let find = || Cgroup::find(mount.path());
        assert!(matches!(find(), Err(NamespaceError::NoCgroup)));

        for hierarchy in ["unified", "systemd"] {
            fs::create_dir(mount.path().join(hierarchy)).expect("created");
            fs::write(mount.path().join(hierarchy).join("cgroup.procs"), "").expect("written");
        }
        let hybrid = find().expect("hybrid").child("infra-lab-x").child("101");
        assert_eq!(hybrid.folders().count(), 2);

        fs::write(mount.path().join("cgroup.controllers"), "cpu\n").expect("written");
        let pure = find().expect("v2").child("infra-lab-x");
        let folders: Vec<_> = pure.folders().collect();
        assert_eq!(folders, [mount.path().join("infra-lab-x")]);
    }
}
