//! A writer for small layers, POSIX ustar: the same entries are the same bytes, so the same layer keeps its digest.

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Path without a slash at the start.
    pub(super) path: String,
    /// What it is.
    pub(super) kind: Kind,
    /// Permission bits.
    pub(super) mode: u32,
    /// Numeric owner.
    pub(super) uid: u32,
    /// Numeric group.
    pub(super) gid: u32,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file with its bytes.
    File(Vec<u8>),
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Link(String),
}

const BLOCK: usize = 512;

/// The archive of these entries, in their order; `None` when a path or a target is too long for the format.
pub(super) fn archive(entries: &[Entry]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for entry in entries {
        let (flag, content, target) = match &entry.kind {
            Kind::File(bytes) => (b'0', bytes.as_slice(), ""),
            Kind::Directory => (b'5', &[][..], ""),
            Kind::Link(target) => (b'2', &[][..], target.as_str()),
        };
        out.extend_from_slice(&header(entry, flag, content.len(), target)?);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    out.resize(out.len() + 2 * BLOCK, 0);
    Some(out)
}

fn header(entry: &Entry, flag: u8, size: usize, target: &str) -> Option<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    let mut field = |at: usize, width: usize, bytes: &[u8]| {
        let place = block.get_mut(at..at + width)?.get_mut(..bytes.len())?;
        place.copy_from_slice(bytes);
        Some(())
    };
    let (prefix, name) = split(&entry.path)?;
    field(0, 100, name.as_bytes())?;
    field(100, 8, format!("{:07o}", entry.mode).as_bytes())?;
    field(108, 8, format!("{:07o}", entry.uid).as_bytes())?;
    field(116, 8, format!("{:07o}", entry.gid).as_bytes())?;
    field(124, 12, format!("{size:011o}").as_bytes())?;
    field(136, 12, b"00000000000")?;
    field(148, 8, b"        ")?;
    field(156, 1, &[flag])?;
    field(157, 100, target.as_bytes())?;
    field(257, 8, b"ustar\x0000")?;
    field(345, 155, prefix.as_bytes())?;
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(block)
}

/// A long path is kept in two parts, cut at a slash.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    path.match_indices('/')
        .map(|(at, _)| (&path[..at], &path[at + 1..]))
        .find(|(prefix, name)| prefix.len() <= 155 && name.len() <= 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn tar_itself_reads_the_archive() {
        let long = format!("{}/file", ["folder"; 20].join("/"));
        let entry = |path: &str, kind, mode, uid| Entry {
            path: path.to_owned(),
            kind,
            mode,
            uid,
            gid: 0,
        };
        let archive = archive(&[
            entry("etc", Kind::Directory, 0o755, 0),
            entry("etc/start", Kind::File(vec![b'x'; 600]), 0o755, 0),
            entry("data", Kind::Directory, 0o2775, 999),
            entry("bin/sh", Kind::Link("/usr/bin/dash".to_owned()), 0o777, 0),
            entry(&long, Kind::File(b"y".to_vec()), 0o600, 65534),
        ])
        .expect("short enough");
        let mut tar = Command::new("tar")
            .args(["--list", "--verbose", "--numeric-owner", "--utc"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tar");
        std::io::Write::write_all(&mut tar.stdin.take().expect("piped"), &archive)
            .expect("written");
        let output = tar.wait_with_output().expect("ended");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let listed = String::from_utf8(output.stdout).expect("text");
        let expected = format!(
            "drwxr-xr-x 0/0               0 1970-01-01 00:00 etc\n-rwxr-xr-x 0/0             600 1970-01-01 00:00 etc/start\ndrwxrwsr-x 999/0             0 1970-01-01 00:00 data\nlrwxrwxrwx 0/0               0 1970-01-01 00:00 bin/sh -> /usr/bin/dash\n-rw------- 65534/0           1 1970-01-01 00:00 {long}\n"
        );
        assert_eq!(listed, expected);
    }

    #[test]
    fn a_path_without_a_place_to_cut_is_refused() {
        let entry = Entry {
            path: "x".repeat(101),
            kind: Kind::Directory,
            mode: 0,
            uid: 0,
            gid: 0,
        };
        assert_eq!(archive(&[entry]), None);
    }
}
