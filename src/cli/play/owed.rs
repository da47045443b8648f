//! Handlers that were called and have not run. They are written down before the change that calls them: the next run of the
//! playbook takes up what a run that ended in between has left.

use super::batch::Seen;
use crate::cli::{exit, failure::Failure, session::Session};
use crate::model::ids::HostName;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

/// What is owed, by host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owed {
    file: PathBuf,
    names: BTreeMap<HostName, BTreeSet<String>>,
}

impl Owed {
    /// What earlier runs of a playbook have left.
    pub(super) fn read(session: &Session, playbook: &str) -> Result<Self, Failure> {
        let file = format!("{}.json", playbook.replace('/', "_"));
        Self::at(session.state.join("plays").join(file))
    }

    fn at(file: PathBuf) -> Result<Self, Failure> {
        let names = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| kept(&file, &error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(kept(&file, &error)),
        };
        Ok(Self { file, names })
    }

    /// The handlers of a host, by name.
    pub(super) fn of(&self, host: &HostName) -> BTreeSet<String> {
        self.names.get(host).cloned().unwrap_or_default()
    }

    /// Everything that a batch will call is owed from now on.
    pub(super) fn call(&mut self, seen: &Seen) -> Result<(), Failure> {
        for (host, found) in &seen.compared {
            let names = found.handlers.iter().map(|(name, _)| name.clone());
            self.names.entry(host.clone()).or_default().extend(names);
        }
        self.write()
    }

    /// What a batch has called is settled, but for what `stays` says.
    pub(super) fn settle(
        &mut self,
        seen: &Seen,
        stays: impl Fn(&HostName, &str) -> bool,
    ) -> Result<(), Failure> {
        for host in seen.compared.keys() {
            if let Some(names) = self.names.get_mut(host) {
                names.retain(|name| stays(host, name));
            }
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), Failure> {
        self.names.retain(|_, names| !names.is_empty());
        let written = if self.names.is_empty() {
            match fs::remove_file(&self.file) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        } else {
            self.replace()
        };
        written.map_err(|error| kept(&self.file, &error))
    }

    fn replace(&self) -> std::io::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut text = serde_json::to_vec(&self.names)?;
        text.push(b'\n');
        let new = self.file.with_extension("new");
        let mut file = fs::File::create(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, &self.file)
    }
}

fn kept(file: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::new(
        exit::FAILED,
        format!("failed to keep the called handlers in {}", file.display()),
    )
    .because(error.to_string())
    .hint("Without it a handler could be lost. Mend it or remove it, and look whether services have read their files.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::Compared;

    #[test]
    fn what_was_called_is_there_for_the_next_run_until_it_is_settled() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("plays/harden.json");
        let host: HostName = "pve".parse().expect("valid");
        let read = || match Owed::at(file.clone()) {
            Ok(owed) => owed,
            Err(failure) => panic!("{}", failure.text()),
        };
        let mut owed = read();
        assert!(owed.of(&host).is_empty());
        let mut compared = Compared::default();
        for name in ["ssh again", "fail2ban again"] {
            compared
                .handlers
                .push((name.to_owned(), change(&host, name)));
        }
        let seen = Seen {
            compared: BTreeMap::from([(host.clone(), compared)]),
        };
        assert!(owed.call(&seen).is_ok());
        let mut next = read();
        assert_eq!(next, owed, "a run that was killed here");
        assert_eq!(next.of(&host).len(), 2);
        assert!(next.settle(&seen, |_, name| name == "ssh again").is_ok());
        assert_eq!(read().of(&host), BTreeSet::from(["ssh again".to_owned()]));
        assert!(next.settle(&seen, |_, _| false).is_ok());
        assert!(!file.exists());
        assert!(next.settle(&seen, |_, _| false).is_ok(), "twice is fine");
    }

    #[test]
    fn a_run_that_ends_early_calls_what_it_has_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let host: HostName = "pve".parse().expect("valid");
        let file = folder.path().join("harden.json");
        let Ok(owed) = Owed::at(file) else {
            panic!("nothing is there");
        };
        let mut compared = Compared::default();
        for name in ["a", "b", "c"] {
            compared
                .handlers
                .push((name.to_owned(), change(&host, name)));
            let calls = (format!("change {name}"), vec![name.to_owned()]);
            compared.calls.push(calls);
        }
        let seen = Seen {
            compared: BTreeMap::from([(host.clone(), compared)]),
        };
        let done = ["change a", "change c"].map(str::to_owned);
        let ids = |changes: &[crate::plan::change::Change]| -> Vec<String> {
            changes.iter().map(|change| change.id.clone()).collect()
        };
        assert_eq!(
            ids(&seen.called(&owed, &done, &[])),
            ["handler a", "handler c"]
        );
        let tried = ["handler a".to_owned()];
        assert_eq!(ids(&seen.called(&owed, &done, &tried)), ["handler c"]);
        assert!(seen.called(&owed, &[], &[]).is_empty());
    }

    fn change(host: &HostName, name: &str) -> crate::plan::change::Change {
        use crate::plan::change::{Action, Change, Impact, Operation};
        Change {
            id: format!("handler {name}"),
            host: host.clone(),
            subject: format!("unit {name}"),
            action: Action::Update,
            fields: Vec::new(),
            impact: Impact::Restart,
            reason: String::new(),
            needs: Vec::new(),
            operation: Operation::RestartUnit {
                unit: format!("{name}.service"),
            },
        }
    }
}
