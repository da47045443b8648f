//! A small ISO 9660 image with Joliet names: a few files in the root directory (ECMA-119, Joliet level 3).

const SECTOR: usize = 2048;
/// The first 16 sectors belong to the machine that boots from the disc; they stay empty.
const SYSTEM_AREA: usize = 16;
/// The label by which cloud-init's `NoCloud` source finds the image.
const LABEL: &str = "cidata";

/// A file of the image.
pub(super) struct File<'a> {
    /// Up to eight capital letters: the plain name, without extension.
    pub(super) plain: &'static str,
    /// The name that Linux shows.
    pub(super) name: &'static str,
    pub(super) bytes: &'a [u8],
}

/// Where things stand, in sectors.
struct Layout {
    /// Little-endian and big-endian, of the plain names and then of the Joliet names.
    path_tables: [usize; 4],
    plain_root: usize,
    joliet_root: usize,
    files: Vec<usize>,
    sectors: usize,
}

impl Layout {
    fn new(files: &[File<'_>]) -> Self {
        // After the two volume descriptors and their terminator come four path tables and two directories.
        let first = SYSTEM_AREA + 3;
        let mut next = first + 6;
        let place = |file: &File<'_>| {
            let at = next;
            next += file.bytes.len().div_ceil(SECTOR);
            at
        };
        let files = files.iter().map(place).collect();
        Self {
            path_tables: [first, first + 1, first + 2, first + 3],
            plain_root: first + 4,
            joliet_root: first + 5,
            files,
            sectors: next,
        }
    }
}

/// The image of a few files, given in the order of their names. All dates are the same, so that equal files make equal
/// images.
pub(super) fn image(files: &[File<'_>]) -> Vec<u8> {
    let layout = Layout::new(files);
    let mut out = vec![0; layout.sectors * SECTOR];
    let mut put = |sector: usize, bytes: &[u8]| {
        let at = sector * SECTOR;
        out[at..at + bytes.len()].copy_from_slice(bytes);
    };
    put(SYSTEM_AREA, &descriptor(&layout, Names::Plain));
    put(SYSTEM_AREA + 1, &descriptor(&layout, Names::Joliet));
    put(SYSTEM_AREA + 2, b"\xffCD001\x01");
    let roots = [layout.plain_root, layout.joliet_root];
    for (tables, root) in layout.path_tables.chunks_exact(2).zip(roots) {
        let root = number(root);
        put(
            tables[0],
            &path_table(root.to_le_bytes(), 1_u16.to_le_bytes()),
        );
        put(
            tables[1],
            &path_table(root.to_be_bytes(), 1_u16.to_be_bytes()),
        );
    }
    put(layout.plain_root, &directory(&layout, files, Names::Plain));
    put(
        layout.joliet_root,
        &directory(&layout, files, Names::Joliet),
    );
    for (file, at) in files.iter().zip(&layout.files) {
        put(*at, file.bytes);
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Plain,
    Joliet,
}

/// A volume descriptor: primary for plain names, supplementary for Joliet names.
fn descriptor(layout: &Layout, names: Names) -> Vec<u8> {
    let (kind, root, tables) = match names {
        Names::Plain => (1, layout.plain_root, &layout.path_tables[..2]),
        Names::Joliet => (2, layout.joliet_root, &layout.path_tables[2..]),
    };
    let mut out = Vec::with_capacity(SECTOR);
    out.push(kind);
    out.extend(b"CD001\x01\0");
    out.extend(text("", 32, names));
    out.extend(text(LABEL, 32, names));
    out.extend([0; 8]);
    out.extend(both32(layout.sectors));
    let mut escape = [0; 32];
    if names == Names::Joliet {
        escape[..3].copy_from_slice(b"%/E");
    }
    out.extend(escape);
    out.extend(both16(1));
    out.extend(both16(1));
    out.extend(both16(2048));
    out.extend(both32(PATH_TABLE));
    out.extend(number(tables[0]).to_le_bytes());
    out.extend([0; 4]);
    out.extend(number(tables[1]).to_be_bytes());
    out.extend([0; 4]);
    out.extend(record(root, SECTOR, true, &[0]));
    out.extend(text("", 128, names));
    out.extend(text("", 128, names));
    out.extend(text("INFRA", 128, names));
    out.extend(text("", 128, names));
    for _ in 0..3 {
        out.extend(text("", 37, names));
    }
    // Made, changed, expires, effective. Sixteen zeros mean that no date is given.
    for _ in 0..4 {
        out.extend([b'0'; 16]);
        out.push(0);
    }
    out.push(1);
    out
}

/// The directory: itself, its parent (itself again), the files.
fn directory(layout: &Layout, files: &[File<'_>], names: Names) -> Vec<u8> {
    let own = match names {
        Names::Plain => layout.plain_root,
        Names::Joliet => layout.joliet_root,
    };
    let mut out = record(own, SECTOR, true, &[0]);
    out.extend(record(own, SECTOR, true, &[1]));
    for (file, at) in files.iter().zip(&layout.files) {
        let name = match names {
            Names::Plain => format!("{}.;1", file.plain).into_bytes(),
            Names::Joliet => wide(&format!("{};1", file.name)),
        };
        out.extend(record(*at, file.bytes.len(), false, &name));
    }
    assert!(out.len() <= SECTOR, "a handful of files fits one sector");
    out
}

/// A directory record.
fn record(at: usize, length: usize, is_directory: bool, name: &[u8]) -> Vec<u8> {
    // Records have even lengths.
    let size = (33 + name.len()).next_multiple_of(2);
    let mut out = vec![byte(size), 0];
    out.extend(both32(at));
    out.extend(both32(length));
    // 1 January 2000: years since 1900, month, day, hour, minute, second, offset.
    out.extend([100, 1, 1, 0, 0, 0, 0]);
    out.push(if is_directory { 2 } else { 0 });
    out.extend([0, 0]);
    out.extend(both16(1));
    out.push(byte(name.len()));
    out.extend(name);
    out.resize(size, 0);
    out
}

/// Bytes of a path table that holds only the root directory.
const PATH_TABLE: usize = 10;

fn path_table(root: [u8; 4], parent: [u8; 2]) -> [u8; PATH_TABLE] {
    let mut out = [0; PATH_TABLE];
    out[0] = 1;
    out[2..6].copy_from_slice(&root);
    out[6..8].copy_from_slice(&parent);
    out
}

/// A field of fixed width, padded with spaces.
fn text(text: &str, width: usize, names: Names) -> Vec<u8> {
    let (mut out, space) = match names {
        Names::Plain => (text.as_bytes().to_vec(), vec![b' ']),
        Names::Joliet => (wide(text), vec![0, b' ']),
    };
    while out.len() + space.len() <= width {
        out.extend(&space);
    }
    out.resize(width, 0);
    out
}

/// Big-endian UCS-2.
fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// A number in both byte orders, as the standard wants nearly all of them.
fn both32(value: usize) -> [u8; 8] {
    let mut out = [0; 8];
    out[..4].copy_from_slice(&number(value).to_le_bytes());
    out[4..].copy_from_slice(&number(value).to_be_bytes());
    out
}

fn both16(value: u16) -> [u8; 4] {
    let mut out = [0; 4];
    out[..2].copy_from_slice(&value.to_le_bytes());
    out[2..].copy_from_slice(&value.to_be_bytes());
    out
}

fn number(value: usize) -> u32 {
    u32::try_from(value).expect("a seed is far below 4 GiB")
}

fn byte(value: usize) -> u8 {
    u8::try_from(value).expect("names are a few dozen bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeMap, process::Stdio};

    fn files() -> [File<'static>; 3] {
        [
            File {
                plain: "METADATA",
                name: "meta-data",
                bytes: b"{}\n",
            },
            File {
                plain: "NETWORK",
                name: "network-config",
                bytes: b"",
            },
            File {
                plain: "USERDATA",
                name: "user-data",
                bytes: &[b'x'; 5000],
            },
        ]
    }

    fn le32(bytes: &[u8]) -> usize {
        usize::try_from(u32::from_le_bytes(bytes[..4].try_into().expect("four"))).expect("fits")
    }

    /// Reads a tree as the standard describes it: descriptor, root record, records of the directory.
    fn read(image: &[u8], kind: u8) -> (String, BTreeMap<String, Vec<u8>>) {
        let descriptor = image
            .chunks(SECTOR)
            .skip(16)
            .take_while(|sector| sector[0] != 255)
            .find(|sector| &sector[1..6] == b"CD001" && sector[0] == kind)
            .expect("a descriptor of that kind");
        let is_wide = &descriptor[88..91] == b"%/E";
        let shown = |bytes: &[u8]| {
            if is_wide {
                let units: Vec<u16> = bytes
                    .chunks_exact(2)
                    .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                    .collect();
                String::from_utf16(&units).expect("UCS-2")
            } else {
                String::from_utf8(bytes.to_vec()).expect("ASCII")
            }
        };
        assert_eq!(le32(&descriptor[80..]) * SECTOR, image.len(), "volume size");
        let root = &descriptor[156..];
        let mut directory = &image[le32(&root[2..]) * SECTOR..][..le32(&root[10..])];
        let mut files = BTreeMap::new();
        while directory[0] != 0 {
            let (record, rest) = directory.split_at(usize::from(directory[0]));
            directory = rest;
            let name = &record[33..33 + usize::from(record[32])];
            if record[25] & 2 == 0 {
                let content = &image[le32(&record[2..]) * SECTOR..][..le32(&record[10..])];
                files.insert(shown(name), content.to_vec());
            }
        }
        (shown(&descriptor[40..72]).trim_end().to_owned(), files)
    }

    #[test]
    fn both_trees_name_the_same_files() {
        let image = image(&files());
        let (plain_label, plain) = read(&image, 1);
        let (joliet_label, joliet) = read(&image, 2);
        assert_eq!(
            (plain_label.as_str(), joliet_label.as_str()),
            ("cidata", "cidata")
        );
        assert_eq!(
            plain.keys().collect::<Vec<_>>(),
            ["METADATA.;1", "NETWORK.;1", "USERDATA.;1"]
        );
        assert_eq!(
            joliet.keys().collect::<Vec<_>>(),
            ["meta-data;1", "network-config;1", "user-data;1"]
        );
        assert_eq!(joliet["user-data;1"], [b'x'; 5000]);
        assert_eq!(plain["METADATA.;1"], b"{}\n");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "asks a real ISO reader")]
    fn bsdtar_reads_what_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seed.iso");
        std::fs::write(&path, image(&files())).expect("written");
        let run = |arguments: &[&str]| {
            std::process::Command::new("bsdtar")
                .args(arguments)
                .arg(&path)
                .current_dir(folder.path())
                .stderr(Stdio::inherit())
                .output()
        };
        let Ok(listing) = run(&["-tf"]) else {
            println!("skipped: no bsdtar (package libarchive-tools)");
            return;
        };
        let mut names: Vec<String> = String::from_utf8_lossy(&listing.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        names.sort();
        assert_eq!(names, [".", "meta-data", "network-config", "user-data"]);
        assert!(run(&["-xf"]).expect("ran before").status.success());
        assert_eq!(
            std::fs::read(folder.path().join("user-data")).expect("extracted"),
            [b'x'; 5000]
        );
        assert_eq!(
            std::fs::read(folder.path().join("network-config")).expect("extracted"),
            b""
        );
    }
}
