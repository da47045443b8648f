//! `/proc/self/mountinfo`. Pure.

use crate::model::facts::MountFact;
use std::collections::BTreeMap;

/// Live mounts by mount point; of several on one point, the last, which is the one that is seen.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, MountFact>, String> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| mount(line).ok_or_else(|| format!("`{line}` is no line of mountinfo")))
        .collect()
}

/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue` (`proc_pid_mountinfo(5)`).
fn mount(line: &str) -> Option<(String, MountFact)> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(4);
    let (point, own) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    let (fstype, source) = (right.next()?, right.next()?);
    let mut options: Vec<&str> = own.split(',').collect();
    for option in right.next().unwrap_or("").split(',') {
        if !option.is_empty() && !options.contains(&option) {
            options.push(option);
        }
    }
    // A read-only mount of a writable filesystem is read-only: what the mount itself says comes first and wins.
    if options.first() == Some(&"ro") {
        options.retain(|option| *option != "rw");
    }
    Some((
        unescape(point),
        MountFact {
            fstype: unescape(fstype),
            source: unescape(source),
            options: options.join(","),
        },
    ))
}

/// Undoes the kernel's octal escapes of blank, tab, newline and backslash.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let octal = (byte == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        if let Some(byte) = octal {
            out.push(byte);
            rest = &after[3..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of kernel 6.18, made with `mount -t tmpfs 'a b' '/tmp/m n'` and a read-only bind of it.
    const LINES: &str = "66 44 0:39 / /tmp/m\\040n rw,relatime - tmpfs a\\040b rw\n\
        67 44 0:39 / /tmp/ro ro,relatime - tmpfs a\\040b rw\n\
        68 44 0:40 / /tmp/over rw,relatime - tmpfs first rw\n\
        69 68 0:41 / /tmp/over rw,relatime - tmpfs second rw";

    #[test]
    fn blanks_read_only_binds_and_mounts_over_mounts_are_read() {
        let mounts = parse(LINES).expect("mountinfo");
        let spaced = &mounts["/tmp/m n"];
        assert_eq!(
            (spaced.fstype.as_str(), spaced.source.as_str()),
            ("tmpfs", "a b")
        );
        assert!(spaced.options.starts_with("rw,"), "{}", spaced.options);
        let bind = &mounts["/tmp/ro"];
        assert!(
            bind.options.split(',').any(|o| o == "ro"),
            "{}",
            bind.options
        );
        assert!(
            bind.options.split(',').all(|o| o != "rw"),
            "{}",
            bind.options
        );
        assert_eq!(mounts["/tmp/over"].source, "second");
        assert!(parse("what\n").is_err());
    }
}
