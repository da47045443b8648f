//! Public host keys as SSH prints and hashes them.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// A public key: its wire blob, which starts with its own type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostKey {
    kind: String,
    blob: Vec<u8>,
}

/// Why a text is not a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a public key such as `ssh-ed25519 AAAA...`")]
pub struct InvalidHostKey(pub String);

impl HostKey {
    /// From the wire form (RFC 4253, section 6.6).
    pub fn from_blob(blob: &[u8]) -> Option<Self> {
        let length: [u8; 4] = blob.get(..4)?.try_into().ok()?;
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        let kind = blob.get(4..)?.get(..length)?;
        Some(Self {
            kind: str::from_utf8(kind)
                .ok()
                .filter(|k| !k.is_empty())?
                .to_owned(),
            blob: blob.to_vec(),
        })
    }

    /// From the two fields of a `known_hosts` or `.pub` line.
    pub fn from_fields(kind: &str, base64: &str) -> Option<Self> {
        let key = Self::from_blob(&STANDARD.decode(base64).ok()?)?;
        (key.kind == kind).then_some(key)
    }

    /// `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256` ...
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The wire form.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// `SHA256:...` as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        format!(
            "SHA256:{}",
            STANDARD_NO_PAD.encode(Sha256::digest(&self.blob))
        )
    }

    /// The short name that `ssh-keygen -l` prints in parentheses.
    pub fn family(&self) -> &str {
        match self.kind.as_str() {
            "ssh-ed25519" => "ED25519",
            "ssh-rsa" => "RSA",
            kind if kind.starts_with("ecdsa-sha2-") => "ECDSA",
            kind => kind,
        }
    }

    /// The signature algorithms by which a server proves that it has this key, in libssh2's names.
    pub fn algorithms(&self) -> Option<&'static str> {
        match self.kind.as_str() {
            "ssh-ed25519" => Some("ssh-ed25519"),
            "ssh-rsa" => Some("rsa-sha2-512,rsa-sha2-256"),
            "ecdsa-sha2-nistp256" => Some("ecdsa-sha2-nistp256"),
            "ecdsa-sha2-nistp384" => Some("ecdsa-sha2-nistp384"),
            "ecdsa-sha2-nistp521" => Some("ecdsa-sha2-nistp521"),
            _ => None,
        }
    }
}

impl fmt::Display for HostKey {
    /// The public line without a comment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, STANDARD.encode(&self.blob))
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family(), self.fingerprint())
    }
}

impl FromStr for HostKey {
    type Err = InvalidHostKey;

    /// Reads a public line; a comment after the key is ignored.
    fn from_str(text: &str) -> Result<Self, InvalidHostKey> {
        let mut words = text.split_ascii_whitespace();
        words
            .next()
            .zip(words.next())
            .and_then(|(kind, base64)| Self::from_fields(kind, base64))
            .ok_or_else(|| InvalidHostKey(text.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `ssh-keygen -t ed25519 -C note`; the fingerprint is what `ssh-keygen -lf` printed for it.
    const LINE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC5G8wwM2y5uascZu6DcbwgNPOSHrl2nfwUb6VPbuso1 note";

    #[test]
    fn a_key_reads_back_and_has_the_fingerprint_that_ssh_keygen_prints() {
        let key: HostKey = LINE.parse().expect("valid");
        assert_eq!(key.kind(), "ssh-ed25519");
        assert_eq!(key.family(), "ED25519");
        assert_eq!(
            key.fingerprint(),
            "SHA256:FMKEgPA7/mdODrCvg6cwcelsxMolKJmaRp3j47bJqsg"
        );
        assert_eq!(format!("{key} note"), LINE);
    }

    #[test]
    fn a_key_whose_type_is_not_the_one_it_says_is_refused() {
        let wrong = LINE.replace("ssh-ed25519 ", "ssh-rsa ");
        assert!(wrong.parse::<HostKey>().is_err());
        assert!("ssh-ed25519".parse::<HostKey>().is_err());
        assert!("ssh-ed25519 !!!!".parse::<HostKey>().is_err());
        assert!(HostKey::from_blob(&[0, 0, 0, 200, 1]).is_none());
    }
}
