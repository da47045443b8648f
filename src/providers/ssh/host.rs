//! A host reached over SSH.

use super::{
    actor::Actor,
    error::ConnectError,
    exchange::{Failure, Job},
    line::remote_line,
    target::Target,
};
use crate::model::ids::HostName;
use crate::providers::shell::{Command, Output, Shell, ShellError, short};
use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};
use tokio::sync::oneshot;

/// What a host has cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections that were tried.
    pub connections: u64,
    /// Commands that were sent.
    pub execs: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    connections: AtomicU64,
    execs: AtomicU64,
}

impl Counters {
    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn executed(&self) {
        self.execs.fetch_add(1, Ordering::Relaxed);
    }
}

/// The way to a host's own thread.
#[derive(Debug)]
struct Link {
    jobs: mpsc::Sender<Job>,
    wake: UnixStream,
}

impl Drop for Link {
    fn drop(&mut self) {
        // The thread wakes, finds that nobody can send any more, and ends.
        let _ = self.wake.shutdown(std::net::Shutdown::Both);
    }
}

#[derive(Debug)]
struct Inner {
    target: Target,
    counters: Arc<Counters>,
    link: Mutex<Option<Link>>,
}

/// A host reached over SSH. Cheap to clone; all clones share one connection, which is made on first use.
#[derive(Debug, Clone)]
pub struct SshHost {
    inner: Arc<Inner>,
}

impl SshHost {
    /// A host that is not connected yet.
    pub fn new(target: Target) -> Self {
        Self {
            inner: Arc::new(Inner {
                target,
                counters: Arc::default(),
                link: Mutex::new(None),
            }),
        }
    }

    /// Where it is and how to get in.
    pub fn target(&self) -> &Target {
        &self.inner.target
    }

    /// What it has cost so far.
    pub fn counts(&self) -> Counts {
        Counts {
            connections: self.inner.counters.connections.load(Ordering::Relaxed),
            execs: self.inner.counters.execs.load(Ordering::Relaxed),
        }
    }

    /// Hangs up, so that the next command proves a new connection. Commands under way finish first.
    pub fn disconnect(&self) {
        let link = &self.inner.link;
        link.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn send(&self, job: Job) -> Result<(), ConnectError> {
        let mut link = self
            .inner
            .link
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if link.is_none() {
            *link = Some(self.start().map_err(|source| ConnectError::Local {
                what: "the thread for its connection",
                source,
            })?);
        }
        let stopped = || ConnectError::Local {
            what: "the thread for its connection",
            source: io::ErrorKind::BrokenPipe.into(),
        };
        let live = link.as_ref().ok_or_else(stopped)?;
        live.jobs.send(job).map_err(|_| stopped())?;
        // A full pipe is a pipe that will wake it.
        let _ = (&live.wake).write(&[1]);
        Ok(())
    }

    fn start(&self) -> io::Result<Link> {
        let (jobs, receiver) = mpsc::channel();
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let actor = Actor::new(
            self.inner.target.clone(),
            receiver,
            waker,
            Arc::clone(&self.inner.counters),
        );
        thread::Builder::new()
            .name(format!("ssh {}", self.inner.target.host))
            .spawn(move || actor.run())?;
        Ok(Link { jobs, wake })
    }
}

impl Shell for SshHost {
    fn host(&self) -> &HostName {
        &self.inner.target.host
    }

    async fn run(&self, command: Command) -> Result<Output, ShellError> {
        let host = self.host().clone();
        let shown = short(&command);
        let target = &self.inner.target;
        let remote = remote_line(&command, &target.user).map_err(|why| ShellError::Failed {
            host: host.clone(),
            command: shown.clone(),
            code: 126,
            complaint: why.to_string(),
        })?;
        let sudo = command.root && target.user != "root";
        let (reply, answer) = oneshot::channel();
        let mut stdin = remote.preamble;
        stdin.extend_from_slice(&command.stdin);
        let job = Job {
            line: remote.line,
            stdin,
            limit: command.timeout,
            reply,
            setbacks: 0,
        };
        self.send(job).map_err(|error| Arc::new(error).at(&host))?;
        let lost = || ShellError::Lost {
            host: host.clone(),
            command: shown.clone(),
        };
        match answer.await.map_err(|_| lost())? {
            Ok(output) if sudo && !output.is_success() => match sudo_refusal(&output) {
                Some(why) => Err(ShellError::Sudo { host, why }),
                None => Ok(output),
            },
            Ok(output) => Ok(output),
            Err(Failure::Connect(error)) => Err(error.at(&host)),
            Err(Failure::Lost) => Err(lost()),
            Err(Failure::TimedOut) => Err(ShellError::TimedOut {
                host,
                command: shown,
                seconds: command.timeout.as_secs(),
            }),
            Err(Failure::Declined(why)) => Err(ShellError::Failed {
                host,
                command: shown,
                code: -1,
                complaint: why,
            }),
            Err(Failure::TooMuch) => Err(ShellError::Garbled {
                host,
                command: shown,
                why: "it wrote more than 256 MiB".to_owned(),
            }),
        }
    }
}

/// What sudo itself said, when it was sudo that failed and not the command.
fn sudo_refusal(output: &Output) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    let missing = output.code == 127 && line.contains("sudo") && line.contains("No such file");
    let refused = output.code == 1 && line.starts_with("sudo: ");
    let unlisted = output.code == 1 && line.contains("is not in the sudoers file");
    (missing || refused || unlisted).then(|| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(code: i32, stderr: &str) -> Output {
        Output {
            code,
            stderr: stderr.into(),
            ..Output::default()
        }
    }

    /// As sudo 1.9.13 and env 9.1 write them.
    #[test]
    fn sudos_own_refusals_are_told_from_the_commands_failures() {
        for (code, text) in [
            (1, "sudo: a password is required\n"),
            (1, "sudo: a terminal is required to read the password\n"),
            (1, "ada is not in the sudoers file.\n"),
            (127, "env: 'sudo': No such file or directory\n"),
        ] {
            let why = sudo_refusal(&output(code, text));
            assert_eq!(why.as_deref(), Some(text.trim()));
        }
        assert_eq!(
            sudo_refusal(&output(1, "cat: /x: No such file or directory\n")),
            None
        );
        assert_eq!(
            sudo_refusal(&output(127, "timeout: failed to run command 'ufw'\n")),
            None
        );
        assert_eq!(sudo_refusal(&output(1, "")), None);
    }
}
