//! Whether a presented host key is the one that was pinned. Pure.

use super::{host_key::HostKey, known_hosts::KnownKey};
use std::fmt;

/// Why a host key is not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// Nobody pinned a key for the host.
    Unknown {
        /// What it presented.
        presented: HostKey,
        /// The names that were looked for.
        names: Vec<String>,
        /// Command that shows the key on the host's own console.
        compare: String,
        /// Command that pins it.
        accept: String,
    },
    /// Another key is pinned.
    Changed {
        /// What it presented.
        presented: HostKey,
        /// What is pinned, and where.
        pinned: Vec<KnownKey>,
    },
    /// The key is marked `@revoked`.
    Revoked {
        /// What it presented.
        presented: HostKey,
        /// The line that revokes it.
        by: KnownKey,
    },
}

/// Judges a presented key by the lines for its host; without a line that pins a key it is unknown.
///
/// # Errors
/// [`Distrust`].
pub fn judge(
    presented: &HostKey,
    known: &[KnownKey],
    unknown: impl FnOnce() -> Distrust,
) -> Result<(), Box<Distrust>> {
    if let Some(by) = known.iter().find(|k| k.revoked && k.key == *presented) {
        return Err(Box::new(Distrust::Revoked {
            presented: presented.clone(),
            by: by.clone(),
        }));
    }
    let pinned: Vec<KnownKey> = known.iter().filter(|k| !k.revoked).cloned().collect();
    if pinned.iter().any(|k| k.key == *presented) {
        Ok(())
    } else if pinned.is_empty() {
        Err(Box::new(unknown()))
    } else {
        Err(Box::new(Distrust::Changed {
            presented: presented.clone(),
            pinned,
        }))
    }
}

/// The host key algorithms to ask a server for, so that it presents a key that can be compared; libssh2's own order
/// when nothing is pinned. Without this a host that is known by its RSA key would present another and look changed.
pub fn preferred_algorithms(known: &[KnownKey]) -> Option<String> {
    let mut out: Vec<&str> = Vec::new();
    for known in known.iter().filter(|k| !k.revoked) {
        if let Some(algorithms) = known.key.algorithms()
            && !out.contains(&algorithms)
        {
            out.push(algorithms);
        }
    }
    (!out.is_empty()).then(|| out.join(","))
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown {
                presented,
                names,
                compare,
                accept,
            } => write!(
                f,
                "its host key {presented:?} is unknown (looked for {}); compare it on the host's own console with \
                 `{compare}`, then pin it with `{accept}`",
                names.join(", ")
            ),
            Self::Changed { presented, pinned } => {
                write!(f, "it presents {presented:?}")?;
                for known in pinned {
                    let file = known.file.display();
                    write!(f, ", but {file}:{} pins {:?}", known.line, known.key)?;
                }
                f.write_str(
                    "; someone may be in between, or the host was set up anew: \
                     if you know that it was, remove the line",
                )
            }
            Self::Revoked { presented, by } => write!(
                f,
                "its host key {presented:?} is revoked by {}:{}",
                by.file.display(),
                by.line
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, byte: u8) -> HostKey {
        let mut blob = u32::try_from(kind.len())
            .expect("short")
            .to_be_bytes()
            .to_vec();
        blob.extend_from_slice(kind.as_bytes());
        blob.extend_from_slice(&[0, 0, 0, 1, byte]);
        HostKey::from_blob(&blob).expect("well formed")
    }

    fn line(key: &HostKey, line: usize, revoked: bool) -> KnownKey {
        KnownKey {
            file: "known_hosts".into(),
            line,
            key: key.clone(),
            revoked,
        }
    }

    fn verdict(presented: &HostKey, known: &[KnownKey]) -> Result<(), Box<Distrust>> {
        let unknown = || Distrust::Unknown {
            presented: presented.clone(),
            names: vec!["pve".into(), "192.168.1.10".into()],
            compare: "ssh-keygen -lf KEY".into(),
            accept: "ssh-keyscan 192.168.1.10 >> known_hosts".into(),
        };
        judge(presented, known, unknown)
    }

    #[test]
    fn only_the_pinned_key_is_trusted() {
        let (a, b) = (key("ssh-ed25519", 1), key("ssh-ed25519", 2));
        assert_eq!(
            verdict(&a, &[line(&b, 1, false), line(&a, 2, false)]),
            Ok(())
        );
        let changed = verdict(&b, &[line(&a, 7, false)])
            .expect_err("changed")
            .to_string();
        assert!(changed.contains("known_hosts:7"), "{changed}");
        assert!(changed.contains(&a.fingerprint()) && changed.contains(&b.fingerprint()));
        let refused = |known: &[KnownKey], key| *verdict(key, known).expect_err("refused");
        assert!(matches!(refused(&[], &a), Distrust::Unknown { .. }));
        assert!(matches!(
            refused(&[line(&a, 1, true)], &b),
            Distrust::Unknown { .. }
        ));
        let both = [line(&a, 1, false), line(&a, 2, true)];
        assert!(matches!(refused(&both, &a), Distrust::Revoked { by, .. } if by.line == 2));
    }

    #[test]
    fn servers_are_asked_for_the_kinds_of_key_that_are_pinned() {
        let known = [
            line(&key("ssh-rsa", 1), 1, false),
            line(&key("sk-ssh-ed25519@openssh.com", 1), 2, false),
            line(&key("ssh-rsa", 2), 3, false),
            line(&key("ssh-ed25519", 2), 4, true),
        ];
        let asked = preferred_algorithms(&known);
        assert_eq!(asked.as_deref(), Some("rsa-sha2-512,rsa-sha2-256"));
        assert_eq!(preferred_algorithms(&[]), None);
    }
}
