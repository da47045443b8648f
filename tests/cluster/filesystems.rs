//! `infra-disk` and the facts about disks, on real loop devices: what is provably empty gets a filesystem, nothing else does.

use infra::providers::host::command::scripts;
use std::{
    fs,
    io::{Seek as _, SeekFrom, Write as _},
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Command, Output},
};

const UUID: &str = "5d3f6a86-1111-8222-8333-00000000abcd";
const MIB: u64 = 1 << 20;

fn run(line: &[&str]) -> Option<String> {
    let output = Command::new(line[0]).args(&line[1..]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// A disk of a file, by the name that QEMU's disks have.
struct Disk {
    folder: tempfile::TempDir,
    device: String,
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(&["umount", &self.path("mnt")]);
        run(&["losetup", "-d", &self.device]);
    }
}

impl Disk {
    /// None where this machine has no loop devices to give, or lacks a tool.
    fn new(mib: u64, tool: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let image = folder.path().join("disk.raw");
        let file = fs::File::create(&image).expect("made");
        file.set_len(mib * MIB).expect("sized");
        run(&[tool, "-V"])?;
        let device = run(&["losetup", "-f", "--show", &image.display().to_string()])?;
        let disk = Self { folder, device };
        fs::create_dir_all(disk.path("by-id")).expect("made");
        fs::create_dir_all(disk.path("mnt")).expect("made");
        let link = format!("{}/scsi-0QEMU_QEMU_HARDDISK_photos", disk.path("by-id"));
        symlink(&disk.device, link).expect("linked");
        Some(disk)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let mut device = fs::File::options()
            .write(true)
            .open(&self.device)
            .expect("opens");
        device.seek(SeekFrom::Start(at)).expect("seeks");
        device.write_all(bytes).expect("written");
        device.sync_all().expect("on the disk");
    }

    /// The script, looking at this disk's folder of names.
    fn sh(&self, name: &str, args: &[&str], input: &str) -> Output {
        let (_, text) = scripts()
            .into_iter()
            .find(|(known, _)| *known == name)
            .expect("a script");
        let text = text.replace("/dev/disk/by-id", &self.path("by-id"));
        let mut child = Command::new("sh")
            .args(["-c", &text, name])
            .args(args)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("runs");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(input.as_bytes()).expect("heard");
        drop(stdin);
        child.wait_with_output().expect("ends")
    }

    fn disk(&self, verb: &str, kind: &str) -> (Option<i32>, String) {
        let mnt = self.path("mnt");
        let output = self.sh("infra-disk", &[verb, "photos", kind, UUID, &mnt], "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    }

    /// The line of the facts.
    fn facts(&self) -> String {
        let output = self.sh("infra-facts", &[], "disk photos\n");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (_, rest) = text.split_once("==infra disks==\n").expect("the section");
        rest.lines().next().expect("a line").to_owned()
    }

    fn holds(&self) -> Vec<u8> {
        fs::read(&self.device).expect("readable")
    }
}

fn skipped() {
    writeln!(
        std::io::stderr(),
        "SKIPPED: no loop devices, or no tools for the filesystem"
    )
    .expect("stderr");
}

fn lives(kind: &str, tool: &str) {
    let Some(disk) = Disk::new(512, tool) else {
        return skipped();
    };
    assert_eq!(
        disk.facts().trim_end(),
        format!("photos\t{}\tBLKID=2\tTAKES=", 512 * MIB)
    );
    assert_eq!(disk.disk("make", kind), (Some(0), String::new()));
    let facts = disk.facts();
    for part in [
        format!("TYPE={kind}"),
        format!("UUID={UUID}"),
        format!("TAKES={}", 512 * MIB),
    ] {
        assert!(facts.contains(&part), "{part} is not in {facts}");
    }
    // Something of the owner's, and the same wish once more: nothing is made anew.
    let mnt = disk.path("mnt");
    run(&["mount", &disk.device, &mnt]).expect("mounted");
    fs::write(PathBuf::from(&mnt).join("letter"), "dear").expect("written");
    assert_eq!(disk.disk("make", kind), (Some(0), String::new()));
    // The disk grows, and its filesystem with it.
    let image = fs::File::options()
        .write(true)
        .open(disk.folder.path().join("disk.raw"))
        .expect("opens");
    image.set_len(768 * MIB).expect("grown");
    run(&["losetup", "-c", &disk.device]).expect("seen");
    assert!(
        disk.facts()
            .starts_with(&format!("photos\t{}\t", 768 * MIB))
    );
    assert_eq!(disk.disk("grow", kind).0, Some(0));
    assert!(
        disk.facts().contains(&format!("TAKES={}", 768 * MIB)),
        "{}",
        disk.facts()
    );
    assert_eq!(
        fs::read_to_string(PathBuf::from(&mnt).join("letter")).expect("there"),
        "dear"
    );
    // Only what is mounted grows.
    run(&["umount", &mnt]).expect("unmounted");
    let (code, said) = disk.disk("grow", kind);
    assert_eq!(code, Some(70));
    assert!(said.contains("is not mounted at"), "{said}");
}

#[test]
fn an_ext4_is_made_once_kept_and_grown() {
    lives("ext4", "resize2fs");
}

#[test]
fn an_xfs_is_made_once_kept_and_grown() {
    lives("xfs", "mkfs.xfs");
}

#[test]
fn a_disk_that_holds_anything_is_refused_and_untouched() {
    type Spoil = (&'static str, fn(&Disk));
    let spoils: [Spoil; 5] = [
        ("another filesystem", |disk| {
            run(&["mkfs.ext4", "-q", &disk.device]).expect("made");
        }),
        ("a byte at its beginning", |disk| disk.write(4 * MIB, b"x")),
        ("a byte at its end", |disk| disk.write(512 * MIB - 1, b"x")),
        ("a byte in its middle", |disk| {
            disk.write(256 * MIB + 77, b"x");
        }),
        ("swap", |disk| {
            run(&["mkswap", &disk.device]).expect("made");
        }),
    ];
    for (what, spoil) in spoils {
        let Some(disk) = Disk::new(512, "resize2fs") else {
            return skipped();
        };
        spoil(&disk);
        let before = disk.holds();
        let (code, said) = disk.disk("make", "ext4");
        assert_eq!(code, Some(70), "{what}: {said}");
        assert!(
            said.contains("is not empty") || said.contains("holds something"),
            "{what}: {said}"
        );
        assert!(disk.holds() == before, "{what} is untouched");
    }
    let Some(disk) = Disk::new(512, "resize2fs") else {
        return skipped();
    };
    let mnt = disk.path("mnt");
    let output = disk.sh("infra-disk", &["grow", "photos", "ext4", UUID, &mnt], "");
    assert_eq!(
        output.status.code(),
        Some(70),
        "there is nothing that could grow"
    );
}
