//! Where transcripts are replayed: the twin on a stage of its own.

use super::transcript::Said;
use infra::lab::zfs_twin::Store;
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

/// Says something past the test runner, which keeps the words of passing tests to itself.
pub(crate) fn tell(text: &str) {
    writeln!(std::io::stderr(), "{text}").expect("stderr");
}

/// Why the twin cannot be staged here; none when it can.
pub(crate) fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root".to_owned());
    }
    for program in ["mkfs.btrfs", "btrfs", "unshare", "tar"] {
        let found = Command::new("sh")
            .args(["-c", "command -v \"$1\"", "sh", program])
            .output();
        if !found.is_ok_and(|output| output.status.success()) {
            return Some(format!("{program} is not installed"));
        }
    }
    let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !filesystems.contains("\tbtrfs\n") {
        return Some("this kernel has no btrfs".to_owned());
    }
    None
}

/// Writes commands where the driver finds them.
pub(crate) fn lay_out(folder: &Path, commands: &[String]) -> PathBuf {
    let at = folder.join("commands");
    fs::create_dir_all(&at).expect("a folder");
    fs::write(at.join("driver.sh"), include_str!("driver.sh")).expect("the driver");
    for (number, command) in commands.iter().enumerate() {
        fs::write(at.join(format!("{number:04}.cmd")), format!("{command}\n")).expect("a command");
    }
    at
}

/// What the driver left.
pub(crate) fn collect(at: &Path, count: usize) -> Vec<Said> {
    let read = |number: usize, end: &str| {
        let bytes = fs::read(at.join(format!("{number:04}.{end}"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    (0..count)
        .map(|number| Said {
            rc: read(number, "rc").trim().parse().unwrap_or(-1),
            stdout: read(number, "out"),
            stderr: read(number, "err"),
        })
        .collect()
}

/// Runs commands against an empty twin whose node has four disks of 1 GiB, `vdc` to `vdf`.
pub(crate) fn on_twin(commands: &[String]) -> Vec<Said> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::default();
    for disk in ["vdc", "vdd", "vde", "vdf"] {
        store.devices.insert(disk.to_owned(), 1 << 30);
    }
    store.write(folder.path()).expect("a store");
    let at = lay_out(folder.path(), commands);
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/zfs/stage.sh"))
        .arg(folder.path())
        .arg(env!("CARGO_BIN_EXE_infra"))
        .arg(&at)
        .output()
        .expect("unshare runs");
    assert!(
        output.status.success(),
        "the stage: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    collect(&at, commands.len())
}
