//! A container that is on: who waits for its end, and what happens then.

use super::{container::Container, error::NamespaceError};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    process::{Child, ExitStatus},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What systemd-nspawn exits with when the container asked for a reboot (seen with systemd 252 and 257).
const REBOOT: i32 = 133;

/// Work around a power cycle, done on the thread that waits for the container.
pub(super) trait Cycle: Send + 'static {
    /// Before a reboot's second half: the firewall of a guest lives in its network namespace and must not survive.
    ///
    /// # Errors
    /// When the machine refuses; the container then stays off.
    fn renew(&self) -> Result<(), NamespaceError>;

    /// After the end.
    fn ended(&self);
}

/// A container that is on, or was until a moment ago.
#[derive(Debug)]
pub(super) struct Power {
    container: Container,
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Debug)]
struct Now {
    /// systemd-nspawn.
    pid: u32,
    /// No reboot any more: it is being ended.
    ending: bool,
    on: bool,
}

impl Power {
    /// Boots a container and waits for its end on a thread of its own.
    ///
    /// # Errors
    /// When it does not come up.
    pub(super) fn on(container: Container, cycle: impl Cycle) -> Result<Arc<Self>, NamespaceError> {
        let child = container.boot()?;
        let power = Arc::new(Self {
            container,
            now: Mutex::new(Now {
                pid: child.id(),
                ending: false,
                on: true,
            }),
            changed: Condvar::new(),
        });
        let watched = Arc::clone(&power);
        let started = std::thread::Builder::new()
            .name(watched.container.machine.clone())
            .spawn(move || watched.watch(child, &cycle));
        match started {
            Ok(_) => Ok(power),
            Err(source) => {
                power.container.cgroup.clear()?;
                Err(NamespaceError::Start {
                    program: "thread".to_owned(),
                    source,
                })
            }
        }
    }

    /// Whether it is on; a reboot does not turn it off.
    pub(super) fn is_on(&self) -> bool {
        self.now().on
    }

    /// Pulls the plug and waits until everything has ended.
    ///
    /// # Errors
    /// When processes remain.
    pub(super) fn cut(&self) -> Result<(), NamespaceError> {
        self.now().ending = true;
        self.container.cgroup.clear()?;
        self.wait(Duration::from_secs(20));
        Ok(())
    }

    /// Presses the power button. The guest's init gets systemd's halt signal from nspawn.
    pub(super) fn press(&self) {
        let mut now = self.now();
        now.ending = true;
        if let Some(pid) = i32::try_from(now.pid).ok().and_then(Pid::from_raw)
            && now.on
        {
            // Gone in this very moment: that is what was wanted.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits until it is off; `false` when it still is on after that time.
    pub(super) fn wait(&self, limit: Duration) -> bool {
        let (now, _) = self
            .changed
            .wait_timeout_while(self.now(), limit, |now| now.on)
            .unwrap_or_else(PoisonError::into_inner);
        !now.on
    }

    fn watch(&self, mut child: Child, cycle: &impl Cycle) {
        while let Ok(status) = child.wait() {
            let Some(next) = self.reboot(status, cycle) else {
                break;
            };
            child = next;
        }
        // systemd-nspawn may be gone while its payload is not, after a SIGKILL from the kernel for example. What
        // does not end now is found by the lab's teardown.
        let _ = self.container.cgroup.clear();
        cycle.ended();
        self.now().on = false;
        self.changed.notify_all();
    }

    fn reboot(&self, status: ExitStatus, cycle: &impl Cycle) -> Option<Child> {
        if status.code() != Some(REBOOT) || self.now().ending {
            return None;
        }
        cycle.renew().ok()?;
        // Held while booting, so that a cut in between finds the new container.
        let mut now = self.now();
        if now.ending {
            return None;
        }
        let child = self.container.boot().ok()?;
        now.pid = child.id();
        Some(child)
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
