//! Keys of logins and settings of the SSH server: the files that can lock their writer out.

use super::walk::StepFailure;
use crate::model::resource::Reaction;
use crate::providers::{
    host::{FileWrite, HostWrite},
    shell::{Command, Shell, ShellError},
    ssh::SshHost,
};
use std::time::Duration;

/// Whether the file says who may log in.
pub(super) fn is_login(path: &str) -> bool {
    path.ends_with("/.ssh/authorized_keys")
}

/// Who may log in now; none when it cannot be read.
pub(super) async fn login_before(shell: &SshHost, path: &str) -> Option<Vec<u8>> {
    let read = shell.demand(Command::new(["cat", "--", path])).await;
    read.ok().map(|output| output.stdout)
}

/// A NEW connection with the new keys. When it is refused, the old ones are put back through the one that is still open.
pub(super) async fn prove_login(
    shell: &SshHost,
    file: &FileWrite,
    before: Option<Vec<u8>>,
) -> Result<(), StepFailure> {
    let fresh = SshHost::new(shell.target().clone());
    let Err(error) = fresh.demand(Command::new(["true"])).await else {
        return Ok(());
    };
    let mut failure = StepFailure::from(error);
    let Some(bytes) = before else {
        return Err(failure);
    };
    let old = FileWrite {
        bytes,
        ..file.clone()
    };
    shell.write_files(&[old]).await?;
    failure.why = format!(
        "with the keys of the inventory a new connection is refused, so those of before are back in {}\n  because: {}",
        file.path, failure.why
    );
    failure.hint =
        Some("Add the key that you log in with to `authorized_keys` in the inventory.".to_owned());
    Err(failure)
}

/// So many times a new connection is tried: a server that reads its settings again takes a moment.
const TRIES: u32 = 5;

/// Whether the file says how the SSH server lets people in.
fn is_sshd(path: &str) -> bool {
    path.starts_with("/etc/ssh/sshd_config")
}

/// Settings of the SSH server as they were; none for a file that was not there.
pub(super) struct Settings(Vec<(FileWrite, bool)>);

/// What the settings are now that are about to be written or removed; none where there are none among the files.
pub(super) async fn settings_before<S: Shell>(
    shell: &S,
    writes: &[FileWrite],
    removes: &[&str],
) -> Result<Option<Settings>, ShellError> {
    let gone = removes.iter().map(|path| FileWrite {
        path: (*path).to_owned(),
        owner: "root".to_owned(),
        group: "root".to_owned(),
        mode: 0o644,
        bytes: Vec::new(),
    });
    let files = writes.iter().cloned().chain(gone);
    let mut out = Vec::new();
    for file in files.filter(|file| is_sshd(&file.path)) {
        let read = shell.run(Command::new(["cat", "--", &file.path])).await?;
        let is_there = read.is_success();
        let bytes = read.stdout;
        out.push((FileWrite { bytes, ..file }, is_there));
    }
    Ok((!out.is_empty()).then_some(Settings(out)))
}

impl Settings {
    /// Keeps what was written, and read again by the server, only when a NEW connection comes in. Otherwise the former files
    /// are put back through the connection that is still open.
    pub(super) async fn prove<S: Shell + HostWrite, T: Future<Output = Result<(), ShellError>>>(
        &self,
        shell: &S,
        written: Result<(), StepFailure>,
        pause: Duration,
        connect: impl Fn() -> T,
    ) -> Result<(), StepFailure> {
        let mut failure = match written {
            Err(failure) => failure,
            Ok(()) => match proven(pause, connect).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    let mut failure = StepFailure::from(error);
                    failure.why = format!(
                        "with the new settings of the SSH server a new connection is refused\n  because: {}",
                        failure.why
                    );
                    failure.hint = Some(
                        "Look at what the file forbids: your login, its key, or its group."
                            .to_owned(),
                    );
                    failure
                }
            },
        };
        let undone = self.put_back(shell).await;
        let names: Vec<&str> = self.0.iter().map(|(file, _)| file.path.as_str()).collect();
        failure.why = match undone {
            Ok(()) => format!(
                "{}\n  now: {} as before, and the server reads it so",
                failure.why,
                names.join(", ")
            ),
            Err(other) => format!(
                "{}\n  now: {} could not be put back ({}): do not close the sessions that you have on this host",
                failure.why,
                names.join(", "),
                other.why
            ),
        };
        Err(failure)
    }

    async fn put_back<S: Shell + HostWrite>(&self, shell: &S) -> Result<(), StepFailure> {
        for (file, was_there) in &self.0 {
            if *was_there {
                shell.write_files(std::slice::from_ref(file)).await?;
            } else {
                shell.remove_file(&file.path).await?;
            }
        }
        let reload = [Reaction::Reload("ssh.service".to_owned())];
        Ok(shell.react(&reload).await?)
    }
}

/// The last of some tries counts as the answer: at first the server may still have its former settings, or none.
async fn proven<T: Future<Output = Result<(), ShellError>>>(
    pause: Duration,
    connect: impl Fn() -> T,
) -> Result<(), ShellError> {
    let mut tries = 0;
    loop {
        tokio::time::sleep(pause).await;
        tries += 1;
        match connect().await {
            Ok(()) => return Ok(()),
            Err(error) if tries >= TRIES => return Err(error),
            Err(_) => {}
        }
    }
}

/// A connection of its own.
pub(super) async fn fresh(shell: &SshHost) -> Result<(), ShellError> {
    let fresh = SshHost::new(shell.target().clone());
    fresh.demand(Command::new(["true"])).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::HostName;
    use crate::providers::shell::Output;
    use std::sync::Mutex;

    /// A host with one file of settings; it notes what is sent to it.
    struct Machine {
        host: HostName,
        former: Option<&'static str>,
        sent: Mutex<Vec<String>>,
    }

    impl Shell for Machine {
        fn host(&self) -> &HostName {
            &self.host
        }

        async fn run(&self, command: Command) -> Result<Output, ShellError> {
            let name = command.script_name().map(str::to_owned);
            let line = name.unwrap_or_else(|| command.argv.join(" "));
            let text = String::from_utf8_lossy(&command.stdin).into_owned();
            let reads = line.starts_with("cat ");
            self.sent
                .lock()
                .expect("no panic")
                .push(format!("{line}|{text}"));
            Ok(Output {
                code: i32::from(reads && self.former.is_none()),
                stdout: match self.former {
                    Some(former) if reads => former.as_bytes().to_vec(),
                    _ => b"written 1\n".to_vec(),
                },
                ..Output::default()
            })
        }
    }

    fn machine(former: Option<&'static str>) -> Machine {
        Machine {
            host: "pve".parse().expect("valid"),
            former,
            sent: Mutex::new(Vec::new()),
        }
    }

    fn settings() -> FileWrite {
        FileWrite {
            path: "/etc/ssh/sshd_config.d/01-infra-harden.conf".to_owned(),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: 0o644,
            bytes: b"PermitRootLogin no\n".to_vec(),
        }
    }

    fn refused() -> ShellError {
        ShellError::Refused {
            host: "pve".parse().expect("valid"),
            user: "root".to_owned(),
            why: "permission denied".to_owned(),
        }
    }

    /// What was sent after the former settings were read, and how it ended.
    fn proven_with(
        pve: &Machine,
        written: Result<(), StepFailure>,
        refusals: u32,
    ) -> (Vec<String>, Result<(), StepFailure>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let tries = Mutex::new(0);
        let result = runtime.block_on(async {
            let before = settings_before(pve, &[settings()], &[]).await;
            let before = before.expect("read").expect("it is one of them");
            pve.sent.lock().expect("no panic").clear();
            let connect = || async {
                let mut tries = tries.lock().expect("no panic");
                *tries += 1;
                if *tries <= refusals {
                    Err(refused())
                } else {
                    Ok(())
                }
            };
            before.prove(pve, written, Duration::ZERO, connect).await
        });
        (pve.sent.lock().expect("no panic").clone(), result)
    }

    #[test]
    fn settings_that_let_nobody_in_are_put_back_and_read_again() {
        let pve = machine(Some("PermitRootLogin yes\n"));
        let (sent, result) = proven_with(&pve, Ok(()), u32::MAX);
        let failure = result.expect_err("nobody comes in");
        assert!(
            failure.why.contains("a new connection is refused"),
            "{}",
            failure.why
        );
        assert!(failure.why.contains("as before"), "{}", failure.why);
        assert_eq!(sent.len(), 2, "{sent:?}");
        assert!(
            sent[0].contains("01-infra-harden.conf\nPermitRootLogin yes"),
            "{sent:?}"
        );
        assert!(sent[1].starts_with("infra-react"), "{sent:?}");
    }

    #[test]
    fn settings_that_the_server_does_not_read_are_put_back() {
        let failed = || Err(StepFailure::told("sshd -t: bad configuration option", "x"));
        let pve = machine(Some("PermitRootLogin yes\n"));
        let (sent, result) = proven_with(&pve, failed(), 0);
        let failure = result.expect_err("it was not read");
        assert!(failure.why.starts_with("sshd -t"), "{}", failure.why);
        assert!(sent[0].contains("PermitRootLogin yes"), "{sent:?}");
        // A file that was not there goes again.
        let pve = machine(None);
        let (sent, result) = proven_with(&pve, failed(), 0);
        assert!(result.is_err());
        assert!(
            sent[0].starts_with("rm -f -- /etc/ssh/sshd_config.d/"),
            "{sent:?}"
        );
    }

    #[test]
    fn a_server_that_takes_a_moment_keeps_its_new_settings() {
        let pve = machine(None);
        let (sent, result) = proven_with(&pve, Ok(()), TRIES - 1);
        assert!(result.is_ok());
        assert!(sent.is_empty(), "{sent:?}");
    }
}
