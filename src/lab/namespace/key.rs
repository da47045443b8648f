//! SSH keys that the lab makes for itself.

use super::{error::NamespaceError, files};
use ssh_key::{Algorithm, LineEnding, PrivateKey};
use std::path::{Path, PathBuf};

/// An Ed25519 key pair on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    path: PathBuf,
    public: String,
}

impl Key {
    /// The key in this file, made first where there is none. The public half stands beside it with `.pub`.
    ///
    /// # Errors
    /// When the disk refuses, or what stands there is not a key.
    pub fn at(path: &Path, comment: &str) -> Result<Self, NamespaceError> {
        let wrong =
            |error: ssh_key::Error| files::failed("read", path)(std::io::Error::other(error));
        let key = if let Some(text) = files::read(path)? {
            PrivateKey::from_openssh(text).map_err(wrong)?
        } else {
            let mut key =
                PrivateKey::random(&mut rand::rngs::OsRng, Algorithm::Ed25519).map_err(wrong)?;
            key.set_comment(comment);
            let text = key.to_openssh(LineEnding::LF).map_err(wrong)?;
            files::write(path, text.as_bytes(), 0o600)?;
            key
        };
        let public = key.public_key().to_openssh().map_err(wrong)?;
        files::write(
            &path.with_added_extension("pub"),
            format!("{public}\n").as_bytes(),
            0o644,
        )?;
        Ok(Self {
            path: path.to_owned(),
            public,
        })
    }

    /// The private half's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The public half: type, key and comment.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The public half without its comment, as a `known_hosts` line carries it.
    pub fn bare(&self) -> String {
        let words: Vec<&str> = self.public.split(' ').take(2).collect();
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("operator_ed25519");
        let key = Key::at(&path, "infra-lab").expect("made");
        assert_eq!(Key::at(&path, "other").expect("read"), key);
        assert!(
            key.public().starts_with("ssh-ed25519 AAAA"),
            "{}",
            key.public()
        );
        assert!(key.public().ends_with(" infra-lab"));
        assert_eq!(key.bare().split(' ').count(), 2);
    }
}
