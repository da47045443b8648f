//! The process that holds a lab, recognised after it may have died: a process id alone may belong to somebody else by
//! then, so its start time is kept with it.

use super::error::{RunError, failed};
use crate::lab::folder::LabFolder;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        Pid, PidfdFlags, Signal, getpgid, kill_process_group, pidfd_open, pidfd_send_signal,
    },
};
use std::{fs, io, os::fd::OwnedFd, path::Path, time::Duration};

/// A process that was seen alive.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    handle: OwnedFd,
}

impl Process {
    /// The process that holds the lab, none when it is gone.
    pub(super) fn holding(folder: &LabFolder) -> Result<Option<Self>, RunError> {
        let path = folder.pid();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let mut words = text.split_whitespace().map(str::parse);
        let (Some(Ok(pid)), Some(Ok(started))) = (words.next(), words.next()) else {
            return Ok(None);
        };
        // First the handle, then the check: a handle never changes its process.
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let Some(handle) = raw.and_then(|raw| pidfd_open(raw, PidfdFlags::empty()).ok()) else {
            return Ok(None);
        };
        let alive = start_time(u32::try_from(pid).unwrap_or(0)) == Some(started);
        let pid = u32::try_from(pid).unwrap_or(0);
        let process = Self { pid, handle };
        // One that has ended and that nobody has waited for keeps its entry in the process table.
        Ok((alive && !process.wait(Duration::ZERO)?).then_some(process))
    }

    /// Its id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks it to end, together with the programs that it has running; gone already is fine. Containers are in groups
    /// of their own.
    pub(super) fn terminate(&self) -> Result<(), RunError> {
        let own = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(group) = own.filter(|pid| getpgid(Some(*pid)) == Ok(*pid)) {
            return match kill_process_group(group, Signal::TERM) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
                Err(error) => Err(RunError::Process {
                    verb: "end",
                    source: error.into(),
                }),
            };
        }
        self.signal(Signal::TERM)
    }

    /// Ends it.
    pub(super) fn kill(&self) -> Result<(), RunError> {
        self.signal(Signal::KILL)
    }

    /// Waits for its end; `false` when it still runs after that time.
    pub(super) fn wait(&self, limit: Duration) -> Result<bool, RunError> {
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        let mut fds = [PollFd::new(&self.handle, PollFlags::IN)];
        poll(&mut fds, Some(&limit))
            .map(|ready| ready > 0)
            .map_err(|error| RunError::Process {
                verb: "wait for",
                source: error.into(),
            })
    }

    fn signal(&self, signal: Signal) -> Result<(), RunError> {
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(RunError::Process {
                verb: "end",
                source: error.into(),
            }),
        }
    }
}

/// Writes this process down as the one that holds the lab.
pub(super) fn record(folder: &LabFolder) -> Result<(), RunError> {
    let pid = std::process::id();
    let started = start_time(pid).unwrap_or_default();
    let path = folder.pid();
    fs::write(&path, format!("{pid} {started}\n")).map_err(failed("write", &path))
}

/// When a process started, in clock ticks since boot; field 22 of `/proc/PID/stat`, counted after the command name,
/// which may hold spaces and parentheses.
fn start_time(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_recognised_and_a_later_one_with_its_id_is_not() {
        let root = tempfile::tempdir().expect("folder");
        let folder = LabFolder::new(root.path());
        assert!(Process::holding(&folder).expect("asked").is_none());
        record(&folder).expect("written");
        let process = Process::holding(&folder).expect("asked").expect("this one");
        assert_eq!(process.pid(), std::process::id());
        assert!(
            !process.wait(Duration::ZERO).expect("waited"),
            "it still runs"
        );
        fs::write(folder.pid(), format!("{} 1\n", std::process::id())).expect("written");
        assert!(
            Process::holding(&folder).expect("asked").is_none(),
            "another start time"
        );
    }
}
