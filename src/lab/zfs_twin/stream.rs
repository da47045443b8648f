//! What `zfs send` writes and `zfs receive` reads. A stream of the twin carries a snapshot's whole content, an
//! incremental one too: it is honest about identity and order, not about size.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const MAGIC: &[u8] = b"infra lab: stream of the ZFS twin\n";
const END: &[u8] = b"end\n";

/// One snapshot in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its name on the sending side.
    pub(super) name: String,
    /// What is appended to the destination's name; `/child` in a package.
    pub(super) relative: String,
    /// Id of the snapshot.
    pub(super) to: u64,
    /// Id of the base.
    pub(super) from: Option<u64>,
    /// Its time, seconds since 1970.
    pub(super) creation: i64,
    /// User properties of the snapshot.
    pub(super) local: BTreeMap<String, String>,
    /// Properties of the dataset, in a package or with `-p`.
    pub(super) properties: BTreeMap<String, String>,
    /// Bytes of a volume.
    pub(super) volume: Option<u64>,
    /// Hash of the key in a raw stream.
    pub(super) sealed: Option<String>,
    /// First byte of the content that the stream has.
    pub(super) offset: u64,
    /// Bytes of content in the stream.
    pub(super) length: u64,
}

/// Writes a stream.
pub(super) fn write(records: &[(Record, Vec<u8>)]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for (record, content) in records {
        // A struct of plain fields always has a JSON form.
        out.extend(serde_json::to_vec(record).unwrap_or_default());
        out.push(b'\n');
        out.extend(content);
    }
    out.extend(END);
    out
}

/// What arrived of one snapshot.
#[derive(Debug)]
pub(super) struct Arrived<'a> {
    pub(super) record: Record,
    pub(super) content: &'a [u8],
}

impl Arrived<'_> {
    /// Whether all of it is there.
    pub(super) fn is_whole(&self) -> bool {
        self.content.len() as u64 == self.record.length
    }
}

/// What arrived of a stream, and whether it has its end.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    pub(super) records: Vec<Arrived<'a>>,
    pub(super) is_whole: bool,
}

/// Reads a stream, or says why it is none.
pub(super) fn read(bytes: &[u8]) -> Result<Stream<'_>, &'static str> {
    // The head of a real stream has 312 bytes; less is no head, whatever it says.
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return Err(if bytes.len() < 312 {
            "failed to read from stream"
        } else {
            "invalid stream (bad magic number)"
        });
    };
    let mut records = Vec::new();
    loop {
        if rest == END {
            return Ok(Stream {
                records,
                is_whole: true,
            });
        }
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            break;
        };
        let Ok(record) = serde_json::from_slice::<Record>(&rest[..end]) else {
            break;
        };
        rest = &rest[end + 1..];
        let length = usize::try_from(record.length).unwrap_or(usize::MAX);
        let content = &rest[..length.min(rest.len())];
        rest = &rest[content.len()..];
        records.push(Arrived { record, content });
    }
    if records.is_empty() {
        return Err("failed to read from stream");
    }
    Ok(Stream {
        records,
        is_whole: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let record = Record {
            name: "tank/a@s".to_owned(),
            to: 7,
            length: 11,
            ..Record::default()
        };
        write(&[
            (record.clone(), b"end\nhello\n.".to_vec()),
            (record, b"12345678901".to_vec()),
        ])
    }

    #[test]
    fn what_was_written_is_read_and_a_cut_is_seen_wherever_it_is() {
        let whole = sample();
        let stream = read(&whole).expect("a stream");
        assert!(stream.is_whole);
        assert_eq!(stream.records.len(), 2);
        assert_eq!(stream.records[0].content, b"end\nhello\n.");
        for end in MAGIC.len() + 60..whole.len() {
            if let Ok(stream) = read(&whole[..end]) {
                assert!(!stream.is_whole, "cut at {end}");
            }
        }
    }

    #[test]
    fn garbage_is_no_stream() {
        assert_eq!(
            read(b"garbage\n").expect_err("too short"),
            "failed to read from stream"
        );
        assert_eq!(
            read(&[0; 400]).expect_err("no magic"),
            "invalid stream (bad magic number)"
        );
    }
}
