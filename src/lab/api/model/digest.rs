//! Digests as Proxmox has them: SHA-1 in hex over what is written; that of nothing is `da39a3ee...`.

use sha1::{Digest as _, Sha1};

/// Digest of a text.
pub(crate) fn digest(text: &str) -> String {
    hex(&Sha1::digest(text.as_bytes()))
}

/// Digest of lines.
pub(crate) fn digest_of(lines: impl Iterator<Item = String>) -> String {
    digest(&lines.collect::<Vec<_>>().concat())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.concat()
}
