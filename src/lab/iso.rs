//! An independent reader of ISO 9660 and Joliet, so that the lab never believes the writer of a seed.
//!
//! Invariant: an image that contradicts itself is refused; nothing is guessed.

use std::collections::BTreeMap;

const SECTOR: usize = 2048;
const FIRST_DESCRIPTOR: usize = 16;
const DEEPEST: usize = 8;

/// What a guest sees when it mounts an image: the volume's label and every file by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Volume label as `blkid` shows it: of the primary descriptor.
    pub label: String,
    /// Path below the root, with `/` -> content.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Reads every file of an image: path -> content. Joliet names win over plain ones, which lose `;1` and are
/// lower-cased as Linux does.
///
/// # Errors
/// A sentence that says what is wrong with the image.
pub fn read(image: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, String> {
    mount(image).map(|volume| volume.files)
}

/// Reads label and files of an image.
///
/// # Errors
/// A sentence that says what is wrong with the image.
pub fn mount(image: &[u8]) -> Result<Volume, String> {
    let mut primary = None;
    let mut joliet = None;
    for number in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + 32 {
        let sector = slice(image, number * SECTOR, SECTOR, "a volume descriptor")?;
        if &sector[1..6] != b"CD001" {
            return Err(format!("sector {number} is not a volume descriptor"));
        }
        match sector[0] {
            1 => primary = Some(sector),
            2 if is_joliet(sector) => joliet = Some(sector),
            255 => {
                let primary = primary.ok_or("the image has no primary volume descriptor")?;
                return volume(image, primary, joliet);
            }
            _ => {}
        }
    }
    Err("the volume descriptors have no end".to_owned())
}

fn volume(image: &[u8], primary: &[u8], joliet: Option<&[u8]>) -> Result<Volume, String> {
    let block = both16(&primary[128..132], "block size")?;
    if usize::from(block) != SECTOR {
        return Err(format!("block size {block} instead of {SECTOR}"));
    }
    let blocks = both32(&primary[80..88], "volume size")?;
    if image.len() < to_usize(blocks) * SECTOR {
        return Err(format!(
            "the volume says {blocks} blocks, the image has {}",
            image.len() / SECTOR
        ));
    }
    let label = String::from_utf8_lossy(&primary[40..72])
        .trim_end()
        .to_owned();
    let mut files = BTreeMap::new();
    let (descriptor, is_joliet) = joliet.map_or((primary, false), |joliet| (joliet, true));
    let root = Record::parse(&descriptor[156..190], is_joliet)?;
    if !root.is_directory {
        return Err("the root is not a directory".to_owned());
    }
    walk(image, &root, is_joliet, "", 0, &mut files)?;
    Ok(Volume { label, files })
}

fn walk(
    image: &[u8],
    directory: &Record,
    joliet: bool,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("`{prefix}` lies deeper than {DEEPEST} directories"));
    }
    let bytes = directory.content(image)?;
    for sector in bytes.chunks(SECTOR) {
        let mut at = 0;
        // A record never crosses a sector; a zero length means that the rest of the sector is padding.
        while at < sector.len() && sector[at] != 0 {
            let length = usize::from(sector[at]);
            let record = Record::parse(slice(sector, at, length, "a directory record")?, joliet)?;
            at += length;
            let Some(name) = record.name.clone() else {
                continue;
            };
            let path = format!("{prefix}{name}");
            if record.is_directory {
                walk(
                    image,
                    &record,
                    joliet,
                    &format!("{path}/"),
                    depth + 1,
                    files,
                )?;
            } else if files
                .insert(path.clone(), record.content(image)?.to_vec())
                .is_some()
            {
                return Err(format!("`{path}` is there twice"));
            }
        }
    }
    Ok(())
}

struct Record {
    start: u32,
    size: u32,
    is_directory: bool,
    /// None for the entries of the directory itself and its parent.
    name: Option<String>,
}

impl Record {
    fn parse(bytes: &[u8], joliet: bool) -> Result<Self, String> {
        if bytes.len() < 34 {
            return Err("a directory record is shorter than 34 bytes".to_owned());
        }
        let length = usize::from(bytes[32]);
        let raw = slice(bytes, 33, length, "a file name")?;
        let name = match raw {
            [0 | 1] => None,
            _ if joliet => Some(joliet_name(raw)?),
            _ => Some(plain_name(raw)?),
        };
        Ok(Self {
            start: both32(&bytes[2..10], "start of an extent")?,
            size: both32(&bytes[10..18], "size of a file")?,
            is_directory: bytes[25] & 2 != 0,
            name,
        })
    }

    fn content<'a>(&self, image: &'a [u8]) -> Result<&'a [u8], String> {
        let what = self.name.as_deref().unwrap_or("a directory");
        slice(
            image,
            to_usize(self.start) * SECTOR,
            to_usize(self.size),
            what,
        )
    }
}

fn is_joliet(descriptor: &[u8]) -> bool {
    matches!(&descriptor[88..91], b"%/@" | b"%/C" | b"%/E")
}

fn joliet_name(raw: &[u8]) -> Result<String, String> {
    if !raw.len().is_multiple_of(2) {
        return Err("a Joliet name has an odd number of bytes".to_owned());
    }
    let units: Vec<u16> = raw
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect();
    let name = String::from_utf16(&units).map_err(|_| "a Joliet name is not UCS-2".to_owned())?;
    Ok(without_version(&name).to_owned())
}

fn plain_name(raw: &[u8]) -> Result<String, String> {
    let name = std::str::from_utf8(raw).map_err(|_| "a file name is not ASCII".to_owned())?;
    let name = without_version(name);
    Ok(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
}

fn without_version(name: &str) -> &str {
    name.strip_suffix(";1").unwrap_or(name)
}

fn both32(bytes: &[u8], what: &str) -> Result<u32, String> {
    let little = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let big = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    if little == big {
        Ok(little)
    } else {
        Err(format!(
            "{what}: {little} in one byte order, {big} in the other"
        ))
    }
}

fn both16(bytes: &[u8], what: &str) -> Result<u16, String> {
    let little = u16::from_le_bytes([bytes[0], bytes[1]]);
    let big = u16::from_be_bytes([bytes[2], bytes[3]]);
    if little == big {
        Ok(little)
    } else {
        Err(format!(
            "{what}: {little} in one byte order, {big} in the other"
        ))
    }
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).expect("usize holds 32 bits on every supported machine")
}

fn slice<'a>(bytes: &'a [u8], at: usize, length: usize, what: &str) -> Result<&'a [u8], String> {
    at.checked_add(length)
        .and_then(|end| bytes.get(at..end))
        .ok_or_else(|| format!("{what} lies outside of its container"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by libarchive's bsdtar 3.6.2.
    const JOLIET: &[u8] = include_bytes!("../../tests/lab_api/fixtures/seed.iso");
    const PLAIN: &[u8] = include_bytes!("../../tests/lab_api/fixtures/plain.iso");

    #[test]
    fn an_image_of_another_program_is_read_with_its_joliet_names() {
        let volume = mount(JOLIET).expect("readable");
        assert_eq!(volume.label.to_lowercase(), "cidata");
        let names: Vec<&str> = volume.files.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "meta-data",
                "network-config",
                "sub/File-With-Long-Name.txt",
                "user-data"
            ]
        );
        assert_eq!(
            volume.files["user-data"],
            b"#cloud-config\nhostname: intranet\n"
        );
        assert_eq!(volume.files["sub/File-With-Long-Name.txt"], b"deep\n");
    }

    #[test]
    fn plain_names_are_mapped_as_linux_does() {
        let files = read(PLAIN).expect("readable");
        assert_eq!(files.len(), 2);
        assert!(
            files
                .keys()
                .all(|name| name.starts_with("user") || name.starts_with("meta"))
        );
    }

    #[test]
    fn a_damaged_image_is_refused() {
        assert!(read(&[]).is_err());
        assert!(read(&JOLIET[..SECTOR * 20]).is_err());
        let mut torn = JOLIET.to_vec();
        torn[16 * SECTOR + 80] ^= 1;
        assert!(
            read(&torn)
                .expect_err("both byte orders are compared")
                .contains("volume size")
        );
    }
}
