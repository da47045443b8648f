//! One run of a backup program on its host.

use super::error::BackupError;
use crate::model::snapshot::SnapshotId;
use crate::providers::shell::{Command, Output, Shell};
use std::time::Duration;

/// Name of the script that runs a backup program. Its text says what it reads and how it ends.
const ENGINE_SCRIPT: &str = "infra-backup-engine";
const ENGINE: &str = include_str!("scripts/engine.sh");

/// Where the program finds its secret files while it runs: `<RUN>/<job>/secret`.
pub const SECRETS: &str = "secret";
/// What SSH writes there of itself; told when the program fails.
pub const SSH_LOG: &str = "ssh.log";

/// Terabytes over a home's line.
const PATIENCE: Duration = Duration::from_hours(72);

/// What one run needs.
#[derive(Clone, Default)]
pub struct Invocation {
    /// Program and arguments. No secret is among them.
    pub argv: Vec<String>,
    /// Environment, secrets among it.
    pub environment: Vec<(String, String)>,
    /// Secret files by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// Snapshots and where they are mounted.
    pub mounts: Vec<(SnapshotId, String)>,
    /// Paths that must be there; their files are counted.
    pub needs: Vec<String>,
    /// Directory that it runs in; made where it is missing.
    pub within: Option<String>,
}

/// The files of a needed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The path.
    pub path: String,
    /// All of them.
    pub files: u64,
    /// Those that somebody else made: neither dumps nor the mark of a dataset.
    pub owners: u64,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The program's output; standard error without our own lines.
    pub output: Output,
    /// Files in each needed path.
    pub counts: Vec<Counted>,
}

impl Invocation {
    /// Another command in the same surroundings, without mounts.
    #[must_use]
    pub fn then(&self, argv: Vec<String>) -> Self {
        Self {
            argv,
            mounts: Vec::new(),
            needs: Vec::new(),
            within: None,
            ..self.clone()
        }
    }

    /// The command for a job's host.
    ///
    /// # Errors
    /// A value that does not fit on a line.
    pub fn command(&self, job: &str) -> Result<Command, BackupError> {
        let mut input: Vec<u8> = Vec::new();
        for (name, value) in &self.environment {
            if value.contains(['\n', '\0']) {
                return Err(BackupError::Secret {
                    name: name.clone(),
                    why: "it has several lines".to_owned(),
                });
            }
            input.extend_from_slice(format!("env {name}={value}\n").as_bytes());
        }
        for (name, bytes) in &self.files {
            input.extend_from_slice(format!("file {} {name}\n", bytes.len()).as_bytes());
            input.extend_from_slice(bytes);
        }
        for (snapshot, at) in &self.mounts {
            input.extend_from_slice(format!("mount {snapshot}\t{at}\n").as_bytes());
        }
        for path in &self.needs {
            input.extend_from_slice(format!("need {path}\n").as_bytes());
        }
        if let Some(path) = &self.within {
            input.extend_from_slice(format!("in {path}\n").as_bytes());
        }
        input.extend_from_slice(b"end\n");
        Ok(Command::script(ENGINE_SCRIPT, ENGINE)
            .args([job])
            .args(self.argv.clone())
            .stdin(input)
            .timeout(PATIENCE))
    }

    /// Runs it on the job's host.
    ///
    /// # Errors
    /// Everything that is not the program's own answer.
    pub async fn run<S: Shell>(&self, shell: &S, job: &str) -> Result<Ran, BackupError> {
        let output = shell.run(self.command(job)?).await?;
        let host = shell.host().to_string();
        let program = self.argv.first().cloned().unwrap_or_default();
        let said = || output.complaint();
        match output.code {
            75 => Err(BackupError::Busy {
                job: job.to_owned(),
                host,
            }),
            66 | 67 => Err(BackupError::Source { host, said: said() }),
            68 => Err(BackupError::Program {
                program,
                host,
                why: "it is not installed".to_owned(),
            }),
            65 => Err(BackupError::Garbled {
                program: ENGINE_SCRIPT.to_owned(),
                why: said(),
            }),
            _ => Ok(ran(output)),
        }
    }
}

const COUNT: &str = "==backup files ";

fn ran(mut output: Output) -> Ran {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (own, rest): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with(COUNT));
    let counts = own
        .iter()
        .filter_map(|line| {
            let (files, rest) = line.strip_prefix(COUNT)?.split_once(' ')?;
            let (owners, path) = rest.split_once(' ')?;
            Some(Counted {
                path: path.to_owned(),
                files: files.parse().ok()?,
                owners: owners.parse().ok()?,
            })
        })
        .collect();
    output.stderr = rest.join("\n").into_bytes();
    Ran { output, counts }
}
