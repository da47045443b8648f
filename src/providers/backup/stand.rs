//! A host for tests: the scripts in a real `sh`, with stand-ins for `docker`, `restic`, `borg` and `mount`.

#![expect(
    clippy::disallowed_methods,
    reason = "runs the scripts on this machine"
)]

use crate::model::ids::HostName;
use crate::providers::shell::{Command, Output, Shell, ShellError};
use std::{fs, io::Write, path::PathBuf, process::Stdio};
use tempfile::TempDir;

/// A host whose programs answer as a test wrote it into a folder.
pub(crate) struct Stand {
    host: HostName,
    folder: TempDir,
}

impl Stand {
    /// Answers of programs as shell text.
    pub(crate) fn new(programs: &[(&str, &str)]) -> Self {
        let stand = Self {
            host: "pve".parse().expect("valid"),
            folder: tempfile::tempdir().expect("a folder"),
        };
        let all = [
            ("docker", "exit 1"),
            ("borg", "exit 1"),
            ("restic", "exit 1"),
            ("mount", "exit 1"),
            ("umount", "exit 0"),
        ];
        for (name, body) in all.iter().chain(programs) {
            fs::write(stand.path().join(format!("{name}.sh")), body).expect("written");
        }
        stand
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("it exists")
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path().join(name).display().to_string()
    }
}

impl Shell for Stand {
    fn host(&self) -> &HostName {
        &self.host
    }

    async fn run(&self, command: Command) -> Result<Output, ShellError> {
        let stand_ins = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/backup/stand-in");
        // Records lie in a folder of the test's own.
        let argv: Vec<String> = command
            .argv
            .iter()
            .map(|word| {
                word.replace(
                    "/var/lib/infra/backup/",
                    &format!("{}/", self.file("stage")),
                )
            })
            .collect();
        let mut child = std::process::Command::new(&argv[0])
            .args(&argv[1..])
            .env("PATH", format!("{stand_ins}:/usr/bin:/bin"))
            .env("STAND", self.path())
            .env("INFRA_BACKUP_RUN", self.path().join("run"))
            .env("INFRA_BACKUP_STAGE", self.path().join("stage"))
            .env("INFRA_METRICS", self.path().join("metrics"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sh is there");
        match child.stdin.take().expect("piped").write_all(&command.stdin) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written.expect("a pipe"),
        }
        let output = child.wait_with_output().expect("it ends");
        Ok(Output {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: output.stderr,
            ..Output::default()
        })
    }
}

/// Waits for work.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}
