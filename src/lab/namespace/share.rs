//! Where a directory of the node really is on the machine, so that a guest can be given it.

use super::{error::NamespaceError, files};
use std::path::{Path, PathBuf};

/// A line of `/proc/PID/mountinfo`, in part.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// `major:minor`.
    device: String,
    /// The directory of the filesystem that is mounted.
    root: PathBuf,
    /// Where.
    point: PathBuf,
}

/// The machine's path of a directory that the node sees. `init` is the node's pid 1 as the machine counts; `zfs` is
/// where the filesystem of the datasets is mounted on the machine; `upper` is the node's writable layer.
///
/// What is on a mounted dataset is shared from the dataset. What is not is shared from the node's own disk: as with a
/// real virtiofs, sharing the mount point of an unmounted dataset shares the directory below it.
///
/// # Errors
/// When the node's mounts cannot be read.
pub(super) fn source(
    init: u32,
    zfs: &Path,
    upper: &Path,
    path: &Path,
) -> Result<Option<PathBuf>, NamespaceError> {
    let node = read(&format!("/proc/{init}/mountinfo"))?;
    let machine = read("/proc/self/mountinfo")?;
    let pool = machine.iter().rev().find(|mount| mount.point == zfs);
    let found = resolve(&node, pool, zfs, upper, path);
    Ok(found.filter(|path| path.is_dir()))
}

fn read(path: &str) -> Result<Vec<Mount>, NamespaceError> {
    Ok(parse(&files::read(Path::new(path))?.unwrap_or_default()))
}

/// Fields by `proc_pid_mountinfo(5)`: id, parent, device, root, mount point, and more.
fn parse(text: &str) -> Vec<Mount> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(2);
            Some(Mount {
                device: fields.next()?.to_owned(),
                root: unescape(fields.next()?),
                point: unescape(fields.next()?),
            })
        })
        .collect()
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut out = text.to_owned();
    for (code, character) in [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ] {
        out = out.replace(code, character);
    }
    PathBuf::from(out)
}

fn resolve(
    node: &[Mount],
    pool: Option<&Mount>,
    zfs: &Path,
    upper: &Path,
    path: &Path,
) -> Option<PathBuf> {
    // `max_by_key` takes the last of equals, and later mounts hide earlier ones.
    let mount = node
        .iter()
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.components().count())?;
    let below = path.strip_prefix(&mount.point).ok()?;
    if mount.point == Path::new("/") {
        return Some(upper.join(below));
    }
    let pool = pool.filter(|pool| pool.device == mount.device)?;
    let inside = mount.root.strip_prefix(&pool.root).ok()?;
    Some(zfs.join(inside).join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "\
500 400 0:51 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
501 500 0:60 / /var/lib/infra-lab/zfs rw,relatime - btrfs /dev/loop3 rw
502 500 0:60 /tank/media /mnt/tank/media rw,relatime - btrfs /dev/loop3 rw
503 500 0:60 /tank/a\\040b /mnt/tank/a\\040b rw,relatime - btrfs /dev/loop3 rw
504 500 0:99 / /run rw - tmpfs tmpfs rw
";

    fn resolved(path: &str) -> Option<PathBuf> {
        let pool = Mount {
            device: "0:60".to_owned(),
            root: PathBuf::from("/"),
            point: PathBuf::from("/lab/zfs"),
        };
        resolve(
            &parse(NODE),
            Some(&pool),
            Path::new("/lab/zfs"),
            Path::new("/lab/hosts/pve/upper"),
            Path::new(path),
        )
    }

    #[test]
    fn a_mounted_dataset_is_found_on_the_pool_and_an_unmounted_one_on_the_nodes_disk() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(resolved("/mnt/tank/media"), path("/lab/zfs/tank/media"));
        assert_eq!(resolved("/mnt/tank/media/x"), path("/lab/zfs/tank/media/x"));
        assert_eq!(resolved("/mnt/tank/a b"), path("/lab/zfs/tank/a b"));
        assert_eq!(
            resolved("/mnt/tank/photos"),
            path("/lab/hosts/pve/upper/mnt/tank/photos")
        );
        assert_eq!(resolved("/run/x"), None);
    }
}
