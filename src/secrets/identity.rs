//! The operator's age keys.

use age::x25519::Identity;
use secrecy::{ExposeSecret, SecretString};
use std::path::{Path, PathBuf};

/// The age keys that may decrypt, and where they were looked for.
pub struct Identities {
    keys: Vec<Identity>,
    looked: Vec<PathBuf>,
}

impl Identities {
    /// Reads the key files that exist. Lines that are no keys are comments.
    pub fn read(files: &[PathBuf]) -> Self {
        let mut keys = Vec::new();
        for file in files {
            let Ok(text) = std::fs::read_to_string(file) else {
                continue;
            };
            keys.extend(
                text.lines()
                    .filter_map(|line| line.trim().parse::<Identity>().ok()),
            );
        }
        Self {
            keys,
            looked: files.to_vec(),
        }
    }

    /// The keys, for decryption.
    pub(super) fn keys(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.keys.iter().map(|key| key as &dyn age::Identity)
    }

    /// Their public keys, each once.
    pub fn public_keys(&self) -> Vec<String> {
        let mut out: Vec<String> = self
            .keys
            .iter()
            .map(|key| key.to_public().to_string())
            .collect();
        out.sort();
        out.dedup();
        out
    }

    /// Where keys were looked for, for messages.
    pub(super) fn looked(&self) -> String {
        let files: Vec<String> = self
            .looked
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        files.join(", ")
    }

    /// Whether there is any.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Makes an age key file, mode 0600, unless there is one; gives its public key.
///
/// # Errors
/// What the disk said.
pub fn generate_identity(file: &Path) -> std::io::Result<String> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let known = Identities::read(&[file.to_owned()]);
    if let Some(key) = known.keys.first() {
        return Ok(key.to_public().to_string());
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let key = Identity::generate();
    let secret: SecretString = key.to_string();
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    let public = key.to_public().to_string();
    writeln!(out, "# public key: {public}\n{}", secret.expose_secret())?;
    out.sync_all()?;
    Ok(public)
}
