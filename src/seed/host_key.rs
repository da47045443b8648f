//! A guest's SSH host key, made by infra before the guest exists.

use rand::{CryptoRng, RngCore};
use secrecy::{ExposeSecret, SecretString};
use ssh_key::{Algorithm, LineEnding, PrivateKey};

/// An ed25519 host key. Debug shows no private part.
#[derive(Debug, Clone)]
pub struct HostKey {
    private: SecretString,
    public: String,
}

impl HostKey {
    /// Makes a key from the caller's randomness; `comment` ends up in the public line.
    ///
    /// # Errors
    /// What the key library says; it fails for no input known.
    pub fn generate<R: RngCore + CryptoRng>(
        rng: &mut R,
        comment: &str,
    ) -> Result<Self, ssh_key::Error> {
        let mut key = PrivateKey::random(rng, Algorithm::Ed25519)?;
        key.set_comment(comment);
        Ok(Self {
            private: SecretString::from(key.to_openssh(LineEnding::LF)?.as_str()),
            public: key.public_key().to_openssh()?,
        })
    }

    /// Reads a key back from its private PEM.
    ///
    /// # Errors
    /// What the key library says about a text that is no key.
    pub fn parse(private: &str) -> Result<Self, ssh_key::Error> {
        let key = PrivateKey::from_openssh(private)?;
        Ok(Self {
            private: SecretString::from(private.to_owned()),
            public: key.public_key().to_openssh()?,
        })
    }

    /// The public line: `ssh-ed25519 AAAA... comment`.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The private key in OpenSSH's PEM. It may leave only into the guest's first seed, and until the guest has read
    /// that, into a file that only the operator reads.
    pub fn expose_private(&self) -> &str {
        self.private.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn both_halves_belong_together_and_debug_shows_only_one() {
        let key = HostKey::generate(&mut StdRng::seed_from_u64(7), "extranet").expect("a key");
        let private = PrivateKey::from_openssh(key.expose_private()).expect("OpenSSH's own form");
        assert_eq!(
            private.public_key().to_openssh().expect("a line"),
            key.public()
        );
        let again = HostKey::parse(key.expose_private()).expect("its own form");
        assert_eq!(again.public(), key.public());
        assert!(key.public().starts_with("ssh-ed25519 ") && key.public().ends_with(" extranet"));
        let shown = format!("{key:?}");
        assert!(
            !shown.contains("PRIVATE") && shown.contains("ssh-ed25519"),
            "{shown}"
        );
    }

    #[test]
    fn other_randomness_makes_another_key() {
        let made = |seed| HostKey::generate(&mut StdRng::seed_from_u64(seed), "").expect("a key");
        assert_ne!(made(1).public(), made(2).public());
        assert_eq!(made(1).public(), made(1).public());
    }
}
