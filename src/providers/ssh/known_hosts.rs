//! `known_hosts` files: which keys a host may present.

use super::host_key::HostKey;
use crate::providers::shell::Outcome;
use rustix::fs::{FlockOperation, flock};
use std::{
    fmt::Write as _,
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Why a `known_hosts` file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KnownHostsError {
    /// It cannot be read.
    #[error("read {path}")]
    Read {
        /// File.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("write {path}")]
    Write {
        /// File.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A line that speaks of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKey {
    /// The file it stands in.
    pub file: PathBuf,
    /// Line number, from 1.
    pub line: usize,
    /// The key.
    pub key: HostKey,
    /// `@revoked`: the key must never be accepted.
    pub revoked: bool,
}

/// One `known_hosts` file. It is read anew at each question, so that a key pinned by one task is seen by all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHosts {
    path: PathBuf,
}

/// The name of a host and port in a `known_hosts` line: plain for port 22, `[host]:port` otherwise.
pub fn entry_name(host: &str, port: u16) -> String {
    if port == 22 {
        host.to_owned()
    } else {
        format!("[{host}]:{port}")
    }
}

impl KnownHosts {
    /// The file at this path, which may not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lines for a name, in order. A missing file has none.
    ///
    /// # Errors
    /// [`KnownHostsError::Read`].
    pub fn lookup(&self, name: &str) -> Result<Vec<KnownKey>, KnownHostsError> {
        let text = self.read()?;
        let lines = text.lines().enumerate();
        Ok(lines
            .filter_map(|(index, line)| {
                let entry = Entry::parse(line)?;
                entry.speaks_of(name).then(|| KnownKey {
                    file: self.path.clone(),
                    line: index + 1,
                    key: entry.key,
                    revoked: entry.revoked,
                })
            })
            .collect())
    }

    /// Makes this key the only one of these names: whatever the file said of them is replaced.
    /// Other lines stay as they are.
    ///
    /// # Errors
    /// [`KnownHostsError`].
    pub fn pin(&self, names: &[String], key: &HostKey) -> Result<Outcome, KnownHostsError> {
        self.rewrite(|text| {
            let mut out = without(text, names);
            let _ = writeln!(out, "{} {key}", names.join(","));
            out
        })
    }

    /// Removes every line of these names.
    ///
    /// # Errors
    /// [`KnownHostsError`].
    pub fn forget(&self, names: &[String]) -> Result<Outcome, KnownHostsError> {
        self.rewrite(|text| without(text, names))
    }

    fn read(&self) -> Result<String, KnownHostsError> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(KnownHostsError::Read {
                path: self.path.clone(),
                source,
            }),
        }
    }

    /// Replaces the file atomically under a lock on its folder, so that two guests can be pinned at once.
    fn rewrite(&self, change: impl FnOnce(&str) -> String) -> Result<Outcome, KnownHostsError> {
        let failed = |source: io::Error| KnownHostsError::Write {
            path: self.path.clone(),
            source,
        };
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::open(folder).map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| failed(e.into()))?;
        let before = self.read()?;
        let after = change(&before);
        if before == after {
            return Ok(Outcome::Unchanged);
        }
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        file.write_all(after.as_bytes()).map_err(failed)?;
        file.as_file()
            .set_permissions(Permissions::from_mode(0o644))
            .map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&self.path).map_err(|e| failed(e.error))?;
        Ok(Outcome::Changed)
    }
}

/// The text without what it says of these names; lines shared with other names keep those.
fn without(text: &str, names: &[String]) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let kept = match Entry::parse(line) {
            Some(entry) if !entry.revoked && names.iter().any(|n| entry.speaks_of(n)) => {
                let rest: Vec<&str> = entry
                    .hosts
                    .split(',')
                    .filter(|pattern| !names.iter().any(|name| name == pattern))
                    .collect();
                // A wildcard that covers the name is the owner's and is left alone; the exact line goes first.
                if rest.is_empty() || entry.is_hashed() {
                    continue;
                }
                line.replacen(entry.hosts, &rest.join(","), 1)
            }
            Some(_) | None => line.to_owned(),
        };
        out.push_str(&kept);
        out.push('\n');
    }
    out
}

/// A parsed line. Certificate authorities are not supported by libssh2 and count as no line.
struct Entry<'a> {
    hosts: &'a str,
    key: HostKey,
    revoked: bool,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let mut first = words.next().filter(|word| !word.starts_with('#'))?;
        let revoked = first == "@revoked";
        if revoked {
            first = words.next()?;
        } else if first.starts_with('@') {
            return None;
        }
        Some(Self {
            hosts: first,
            key: HostKey::from_fields(words.next()?, words.next()?)?,
            revoked,
        })
    }

    fn is_hashed(&self) -> bool {
        self.hosts.starts_with('|')
    }

    fn speaks_of(&self, name: &str) -> bool {
        if self.is_hashed() {
            return self.hash_covers(name).unwrap_or(false);
        }
        let mut found = false;
        for pattern in self.hosts.split(',') {
            if let Some(pattern) = pattern.strip_prefix('!') {
                if covers(pattern, name) {
                    return false;
                }
            } else {
                found |= covers(pattern, name);
            }
        }
        found
    }

    /// Asks libssh2, which knows the HMAC: a file of this one line matches exactly when the name does.
    fn hash_covers(&self, name: &str) -> Option<bool> {
        let session = ssh2::Session::new().ok()?;
        let mut file = session.known_hosts().ok()?;
        let line = format!("{} {}", self.hosts, self.key);
        file.read_str(&line, ssh2::KnownHostFileKind::OpenSSH)
            .ok()?;
        Some(matches!(
            file.check(name, self.key.blob()),
            ssh2::CheckResult::Match
        ))
    }
}

/// OpenSSH's patterns: `*` and `?`, case ignored.
fn covers(pattern: &str, name: &str) -> bool {
    fn matches(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=name.len()).any(|skip| matches(rest, &name[skip..])),
            (Some((b'?', rest)), Some((_, name))) => matches(rest, name),
            (Some((a, rest)), Some((b, name))) => a.eq_ignore_ascii_case(b) && matches(rest, name),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
    matches(pattern.as_bytes(), name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC5G8wwM2y5uascZu6DcbwgNPOSHrl2nfwUb6VPbuso1";
    const B: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJE+SLSMSDxIaxh4H4lOUemkKnqP0ohVFulkxuE3J/mG";

    fn file(text: &str) -> (tempfile::TempDir, KnownHosts) {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("known hosts");
        fs::write(&path, text).expect("written");
        (folder, KnownHosts::at(path))
    }

    fn found(hosts: &KnownHosts, name: &str) -> Vec<(usize, String)> {
        let keys = hosts.lookup(name).expect("readable");
        keys.iter().map(|k| (k.line, k.key.to_string())).collect()
    }

    #[test]
    fn plain_ported_wildcard_and_negated_lines_are_found() {
        let text = format!(
            "# ours\npve,192.168.1.10 {A} note\n[10.0.0.5]:2222 {B}\n*.home.arpa,!bad.home.arpa {A}\n\
             @cert-authority * {A}\nbroken line\n"
        );
        let (_folder, hosts) = file(&text);
        assert_eq!(found(&hosts, "192.168.1.10"), [(2, A.to_owned())]);
        assert_eq!(found(&hosts, &entry_name("pve", 22)), [(2, A.to_owned())]);
        assert_eq!(
            found(&hosts, &entry_name("10.0.0.5", 2222)),
            [(3, B.to_owned())]
        );
        assert_eq!(found(&hosts, "10.0.0.5"), []);
        assert_eq!(found(&hosts, "a.home.arpa"), [(4, A.to_owned())]);
        assert_eq!(found(&hosts, "bad.home.arpa"), []);
    }

    /// Hashed by `ssh-keygen -H`.
    #[test]
    fn hashed_lines_are_found() {
        let (_folder, hosts) = file(
            "|1|0lnMvfFP+eZZEdO8h004k/Pl8EM=|6Usd3cigX1LtmG1EHlf0oTBotAE= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC5G8wwM2y5uascZu6DcbwgNPOSHrl2nfwUb6VPbuso1\n\
             |1|QVm0YX6QAtfdXbJxnDqa97C71oc=|XgC+inncrMCUwP0ImmEswyOSpBw= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC5G8wwM2y5uascZu6DcbwgNPOSHrl2nfwUb6VPbuso1\n\
             |1|T6A8GoDbcc8d1ktXg5FSpBhzGDo=|Ad5krnsCUbe+Z8K7b7VGusne/Qo= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC5G8wwM2y5uascZu6DcbwgNPOSHrl2nfwUb6VPbuso1",
        );
        assert_eq!(found(&hosts, "192.168.1.10").len(), 1);
        assert_eq!(found(&hosts, "pve.home.arpa").len(), 1);
        assert_eq!(found(&hosts, "[10.0.0.5]:2222").len(), 1);
        assert_eq!(found(&hosts, "10.0.0.5"), []);
    }

    #[test]
    fn pinning_replaces_a_recreated_guests_key_and_leaves_the_rest() {
        let (_folder, hosts) = file(&format!("# mine\npve,10.0.0.1 {A}\nold,10.0.0.2 {A}\n"));
        let names = ["web".to_owned(), "10.0.0.2".to_owned()];
        let key: HostKey = B.parse().expect("valid");
        assert_eq!(hosts.pin(&names, &key).expect("pinned"), Outcome::Changed);
        let text = fs::read_to_string(hosts.path()).expect("there");
        assert_eq!(
            text,
            format!("# mine\npve,10.0.0.1 {A}\nold {A}\nweb,10.0.0.2 {B}\n")
        );
        assert_eq!(hosts.pin(&names, &key).expect("pinned"), Outcome::Unchanged);
        let mode = fs::metadata(hosts.path()).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o644);
        assert_eq!(hosts.forget(&names).expect("forgotten"), Outcome::Changed);
        assert_eq!(found(&hosts, "web"), []);
        assert_eq!(found(&hosts, "old").len(), 1);
    }

    #[test]
    fn a_missing_file_knows_nobody_and_an_unreadable_one_is_an_error() {
        let folder = tempfile::tempdir().expect("temp dir");
        assert_eq!(found(&KnownHosts::at(folder.path().join("none")), "x"), []);
        assert!(KnownHosts::at(folder.path()).lookup("x").is_err());
    }
}
