//! Faults that a test or a person injects between the client and the node.

use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Effect {
    /// The answer comes so many of the node's seconds later.
    Delay {
        /// Seconds.
        seconds: f64,
    },
    /// The connection closes before the request is looked at.
    DropBefore,
    /// The request is carried out and the connection closes without an answer.
    DropAfter,
    /// This status with this text, without carrying out anything (595 and 596 come from the proxy).
    Status {
        /// HTTP status.
        code: u16,
        /// Reason phrase and, except for 59x, message.
        text: String,
    },
    /// The request is carried out and this status with this text comes in place of its answer: 596 from a proxy that has
    /// waited for 30 s, `got no worker upid` from a node that has lost sight of its worker.
    StatusAfter {
        /// HTTP status.
        code: u16,
        /// Reason phrase and, except for 59x, message.
        text: String,
    },
    /// 401 as for a ticket that is too old.
    ExpiredTicket,
    /// The digest given by the caller is taken for a stale one.
    StaleDigest,
    /// The job that the request starts ends with this text.
    FailTask {
        /// Exit status.
        text: String,
    },
    /// The job that the request starts does nothing until the faults are cleared.
    StuckTask,
    /// The request is carried out and the connection closes in the middle of the answer.
    CutAnswer,
    /// The guest's file lock is held for so long after the request, as `qm cleanup` does after a stop.
    HoldLock {
        /// Seconds.
        seconds: f64,
    },
}

/// An effect on the next requests that fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// `GET`, `POST` ...; any if absent.
    #[serde(default)]
    pub method: Option<String>,
    /// Path below `/api2/json`; `*` stands for anything.
    pub path: String,
    /// How many requests it meets.
    #[serde(default = "once")]
    pub count: u32,
    /// What happens to them.
    pub effect: Effect,
}

fn once() -> u32 {
    1
}

/// The faults that wait for their requests. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    faults: Mutex<Vec<Fault>>,
    /// Wakes the jobs that are stuck.
    cleared: Notify,
}

impl Faults {
    /// Adds a fault.
    pub fn add(&self, fault: Fault) {
        self.waiting().push(fault);
    }

    /// Those that still wait for requests.
    pub fn list(&self) -> Vec<Fault> {
        self.waiting().clone()
    }

    /// Forgets all of them; jobs that are stuck go on.
    pub fn clear(&self) {
        self.waiting().clear();
        self.0.cleared.notify_waiters();
    }

    /// Waits until the faults are cleared.
    pub(crate) async fn cleared(&self) {
        self.0.cleared.notified().await;
    }

    /// The effects on one request; each counts down.
    pub(crate) fn meet(&self, method: &str, path: &str) -> Vec<Effect> {
        let mut waiting = self.waiting();
        let mut effects = Vec::new();
        for fault in waiting.iter_mut() {
            let method_fits = fault
                .method
                .as_deref()
                .is_none_or(|wanted| wanted == method);
            if method_fits && fits(&fault.path, path) {
                fault.count = fault.count.saturating_sub(1);
                effects.push(fault.effect.clone());
            }
        }
        waiting.retain(|fault| fault.count > 0);
        effects
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fits(pattern: &str, path: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == path;
    };
    let Some(rest) = path.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len()).any(|at| rest.is_char_boundary(at) && fits(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_as_many_requests_as_it_counts() {
        let faults = Faults::default();
        faults.add(Fault {
            method: Some("POST".to_owned()),
            path: "/nodes/*/qemu".to_owned(),
            count: 2,
            effect: Effect::DropAfter,
        });
        assert!(faults.meet("GET", "/nodes/pve/qemu").is_empty());
        assert_eq!(faults.meet("POST", "/nodes/pve/qemu"), [Effect::DropAfter]);
        assert!(faults.meet("POST", "/nodes/pve/qemu/100/config").is_empty());
        assert_eq!(faults.meet("POST", "/nodes/pve/qemu").len(), 1);
        assert!(faults.meet("POST", "/nodes/pve/qemu").is_empty());
    }

    #[test]
    fn cleared_faults_meet_nothing() {
        let faults = Faults::default();
        let fault: Fault =
            serde_json::from_str(r#"{"path": "/nodes", "effect": {"do": "drop-before"}}"#)
                .expect("valid");
        faults.add(fault.clone());
        assert_eq!(faults.list(), [fault]);
        faults.clear();
        assert!(faults.meet("GET", "/nodes").is_empty());
    }

    #[test]
    fn a_fault_is_written_as_one_would_say_it() {
        let fault: Fault = serde_json::from_str(
            r#"{"path": "*", "effect": {"do": "status", "code": 596, "text": "x"}}"#,
        )
        .expect("valid");
        assert_eq!(fault.count, 1);
        assert_eq!(
            fault.effect,
            Effect::Status {
                code: 596,
                text: "x".to_owned()
            }
        );
    }
}
