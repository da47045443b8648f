//! Brings a lab up in the background.

use super::{
    error::{RunError, failed},
    process::Process,
    status::{Status, status},
};
use crate::lab::{folder::LabFolder, state::LabState};
use std::{
    ffi::OsString,
    fs,
    io::{Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// How a lab came to be up.
#[derive(Debug, Clone, PartialEq)]
pub enum Up {
    /// It was.
    Already(Box<LabState>),
    /// It is now.
    Now(Box<LabState>),
}

/// How often the log is looked at for the next line.
const GLANCE: Duration = Duration::from_millis(30);

/// Starts `command` (this program with `lab serve` and its options) in a session of its own, so that neither Ctrl-C
/// nor the end of the terminal reaches it, and waits until the lab is ready. `say` hears each line that it writes.
///
/// # Errors
/// [`RunError::Ended`] with its last lines when it ends before.
pub fn up(
    folder: &LabFolder,
    command: &[OsString],
    say: &mut dyn FnMut(&str),
) -> Result<Up, RunError> {
    match status(folder)? {
        Status::Up(state) => return Ok(Up::Already(state)),
        Status::Busy { pid } => {
            return Err(RunError::Held {
                folder: folder.root().to_owned(),
                pid,
            });
        }
        Status::Dead { .. } | Status::Down => {}
    }
    fs::create_dir_all(folder.root()).map_err(failed("create", folder.root()))?;
    // What a dead lab left there must not look like readiness.
    let state = folder.state();
    if state.exists() {
        fs::remove_file(&state).map_err(failed("remove", &state))?;
    }
    let path = folder.log();
    let log = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed("write", &path))?;
    let start = |source| RunError::Process {
        verb: "start",
        source,
    };
    let mut child = Command::new("setsid")
        .args(command)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(start)?)
        .stderr(log)
        .spawn()
        .map_err(start)?;
    let mut lines = Lines::of(folder)?;
    loop {
        let ended = child.try_wait().map_err(start)?.is_some();
        lines.pass_on(say)?;
        if ended {
            return Err(RunError::Ended {
                complaint: lines.last_words(),
                log: path,
            });
        }
        if let Some(state) = ready(folder, &child)? {
            return Ok(Up::Now(state));
        }
        std::thread::sleep(GLANCE);
    }
}

fn ready(folder: &LabFolder, child: &Child) -> Result<Option<Box<LabState>>, RunError> {
    let holder = Process::holding(folder)?;
    if holder.is_none_or(|process| process.pid() != child.id()) {
        return Ok(None);
    }
    Ok(match status(folder)? {
        Status::Up(state) => Some(state),
        Status::Busy { .. } | Status::Dead { .. } | Status::Down => None,
    })
}

/// The log as it grows.
struct Lines {
    file: fs::File,
    seen: String,
    passed: usize,
}

impl Lines {
    fn of(folder: &LabFolder) -> Result<Self, RunError> {
        let path = folder.log();
        let mut file = fs::File::open(&path).map_err(failed("read", &path))?;
        file.seek(SeekFrom::Start(0))
            .map_err(failed("read", &path))?;
        Ok(Self {
            file,
            seen: String::new(),
            passed: 0,
        })
    }

    fn pass_on(&mut self, say: &mut dyn FnMut(&str)) -> Result<(), RunError> {
        let mut more = Vec::new();
        self.file
            .read_to_end(&mut more)
            .map_err(|source| RunError::Process {
                verb: "listen to",
                source,
            })?;
        self.seen.push_str(&String::from_utf8_lossy(&more));
        while let Some(end) = self.seen[self.passed..].find('\n') {
            say(&self.seen[self.passed..self.passed + end]);
            self.passed += end + 1;
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let lines: Vec<&str> = self.seen.lines().filter(|l| !l.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(6)..].join("\n")
    }
}
