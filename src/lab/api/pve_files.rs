//! The node's `/etc/pve`, as far as the firewall lives there: the files are the truth, whoever writes them.

use super::{
    disk_folder,
    model::{
        digest::hex,
        firewall::{Firewall, Scope},
        firewall_file,
    },
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Where the enforced state is told, beside the files and not among them.
const ENFORCED: &str = "enforced";

/// The folder that the node sees as `/etc/pve`, and what was in it when it was last looked at.
#[derive(Debug)]
pub(super) struct PveFiles {
    folder: PathBuf,
    /// Tells `pve-firewall status` on the node what is enforced.
    daemon: PathBuf,
    known: BTreeMap<String, String>,
}

impl PveFiles {
    /// Files in a folder; `daemon` is the folder for what the daemon says about itself.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub(super) fn at(folder: &Path, daemon: &Path, nodes: &[String]) -> io::Result<Self> {
        fs::create_dir_all(folder.join("firewall"))?;
        fs::create_dir_all(daemon)?;
        for node in nodes {
            fs::create_dir_all(folder.join("nodes").join(node))?;
        }
        if let Some(first) = nodes.first()
            && fs::symlink_metadata(folder.join("local")).is_err()
        {
            std::os::unix::fs::symlink(Path::new("nodes").join(first), folder.join("local"))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            daemon: daemon.to_owned(),
            known: BTreeMap::new(),
        })
    }

    /// Whether nobody has ever written a file there.
    pub(super) fn is_new(&self) -> io::Result<bool> {
        Ok(self.read()?.is_empty())
    }

    /// Takes over what somebody else wrote. Returns whether there was anything.
    ///
    /// # Errors
    /// When a file cannot be read; the firewall stays as it was.
    pub(super) fn load(&mut self, firewall: &mut Firewall) -> io::Result<bool> {
        let now = self.read()?;
        if now == self.known {
            return Ok(false);
        }
        let mut read = Firewall::default();
        for (name, text) in &now {
            let (scope, groups) = firewall_file::parse(text);
            match name.split('/').collect::<Vec<_>>()[..] {
                ["firewall", "cluster.fw"] => (read.cluster, read.groups) = (scope, groups),
                ["firewall", file] => {
                    if let Some(vmid) = file.strip_suffix(".fw").and_then(|id| id.parse().ok()) {
                        read.guests.insert(vmid, scope);
                    }
                }
                ["nodes", node, _] => {
                    read.nodes.insert(node.to_owned(), scope);
                }
                _ => {}
            }
        }
        *firewall = read;
        self.known = now;
        Ok(true)
    }

    /// Writes what differs, and removes what is gone.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn store(&mut self, firewall: &Firewall) -> io::Result<()> {
        let wanted = texts(firewall);
        for (name, text) in &wanted {
            if self.known.get(name) != Some(text) {
                disk_folder::replace(&self.folder.join(name), text.as_bytes())?;
            }
        }
        for name in self.known.keys().filter(|name| !wanted.contains_key(*name)) {
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.known = wanted;
        Ok(())
    }

    /// What the files say, as one number: of the texts in the order of their names.
    pub(super) fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        for text in self.known.values() {
            digest.update(text);
        }
        hex(&digest.finalize())
    }

    /// Tells that these files are what is enforced now.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn tell_enforced(daemon: &Path, fingerprint: &str) -> io::Result<()> {
        fs::write(daemon.join(ENFORCED), format!("{fingerprint}\n"))
    }

    /// Where the daemon speaks of itself.
    pub(super) fn daemon(&self) -> PathBuf {
        self.daemon.clone()
    }

    fn read(&self) -> io::Result<BTreeMap<String, String>> {
        let mut out = BTreeMap::new();
        let mut folders = vec!["firewall".to_owned()];
        for entry in fs::read_dir(self.folder.join("nodes"))? {
            folders.push(format!("nodes/{}", entry?.file_name().to_string_lossy()));
        }
        for folder in folders {
            for entry in fs::read_dir(self.folder.join(&folder))? {
                let file = entry?.file_name().to_string_lossy().into_owned();
                if file.strip_suffix(".fw").is_none() {
                    continue;
                }
                let name = format!("{folder}/{file}");
                match fs::read(self.folder.join(&name)) {
                    Ok(bytes) => {
                        out.insert(name, String::from_utf8_lossy(&bytes).into_owned());
                    }
                    // Somebody replaces it in this very moment.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(out)
    }
}

/// Every file that has something to say, by its name below the folder.
pub(super) fn texts(firewall: &Firewall) -> BTreeMap<String, String> {
    let none = BTreeMap::new();
    let plain = |scope: &Scope| firewall_file::text(scope, &none);
    let cluster = firewall_file::text(&firewall.cluster, &firewall.groups);
    let guests = firewall.guests.iter();
    let nodes = firewall.nodes.iter();
    std::iter::once(("firewall/cluster.fw".to_owned(), cluster))
        .chain(guests.map(|(vmid, scope)| (format!("firewall/{vmid}.fw"), plain(scope))))
        .chain(nodes.map(|(node, scope)| (format!("nodes/{node}/host.fw"), plain(scope))))
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "plays the person who edits files"
)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_writes_is_taken_over_and_what_we_store_can_be_read() {
        let folder = tempfile::tempdir().expect("folder");
        let (pve, daemon) = (folder.path().join("pve"), folder.path().join("daemon"));
        let mut files = PveFiles::at(&pve, &daemon, &["pve".to_owned()]).expect("made");
        assert!(files.is_new().expect("read"));
        let mut firewall = Firewall::default();
        let options = &mut firewall.cluster.options;
        options.insert("enable".to_owned(), "1".to_owned());
        files.store(&firewall).expect("stored");
        let cluster = pve.join("firewall/cluster.fw");
        let before = fs::read_to_string(&cluster).expect("there");
        assert_eq!(before, "[OPTIONS]\n\nenable: 1\n\n");
        assert!(!files.load(&mut firewall).expect("read"), "nobody wrote");
        let known = files.fingerprint();

        fs::write(
            pve.join("firewall/110.fw"),
            "[RULES]\n\nIN ACCEPT -p tcp -dport 5432\n",
        )
        .expect("written");
        fs::write(pve.join("local/host.fw"), "[OPTIONS]\n\nenable: 0\n").expect("written");
        assert!(files.load(&mut firewall).expect("read"));
        assert_eq!(firewall.guests[&110].rules[0]["dport"], "5432");
        assert_eq!(firewall.nodes["pve"].options["enable"], "0");
        assert_ne!(files.fingerprint(), known);

        firewall.guests.clear();
        files.store(&firewall).expect("stored");
        assert!(
            !pve.join("firewall/110.fw").exists(),
            "a guest's file goes with it"
        );
    }
}
