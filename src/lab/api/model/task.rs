//! Background jobs by their UPID.

use super::access::Who;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One background job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) upid: String,
    pub(crate) node: String,
    pid: u32,
    pstart: u32,
    starttime: i64,
    /// `qmcreate`, `imgcopy`, `download` ...
    pub(crate) kind: String,
    /// What it works on; a VMID for guests.
    pub(crate) id: String,
    pub(crate) who: Who,
    endtime: Option<i64>,
    /// `OK`, `WARNINGS: n` or the error; none while it runs.
    pub(crate) exit: Option<String>,
    log: Vec<String>,
    warnings: u32,
}

impl Task {
    /// As `GET /nodes/{node}/tasks/{upid}/status` shows it.
    pub(crate) fn status(&self) -> Value {
        let mut fields = self.fields();
        let status = if self.exit.is_some() {
            "stopped"
        } else {
            "running"
        };
        fields.insert("status".to_owned(), json!(status));
        if let Some(exit) = &self.exit {
            fields.insert("exitstatus".to_owned(), json!(exit));
        }
        Value::Object(fields)
    }

    /// As the list of tasks shows it.
    pub(crate) fn entry(&self) -> Value {
        let mut fields = self.fields();
        let status = self.exit.as_deref().unwrap_or("RUNNING");
        fields.insert("status".to_owned(), json!(status));
        if let Some(end) = self.endtime {
            fields.insert("endtime".to_owned(), json!(end));
        }
        Value::Object(fields)
    }

    fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("upid".to_owned(), json!(self.upid));
        fields.insert("node".to_owned(), json!(self.node));
        fields.insert("pid".to_owned(), json!(self.pid));
        fields.insert("pstart".to_owned(), json!(self.pstart));
        fields.insert("starttime".to_owned(), json!(self.starttime));
        fields.insert("type".to_owned(), json!(self.kind));
        fields.insert("id".to_owned(), json!(self.id));
        fields.insert("user".to_owned(), json!(self.who.user));
        if let Some(token) = &self.who.token {
            fields.insert("tokenid".to_owned(), json!(token));
        }
        fields
    }

    /// Seconds since the epoch at which it began.
    pub(crate) fn began(&self) -> i64 {
        self.starttime
    }

    /// A page of the log and the number of its lines.
    pub(crate) fn page(&self, start: usize, limit: usize) -> (Vec<Value>, usize) {
        if self.log.is_empty() {
            return (vec![json!({"n": 1, "t": "no content"})], 1);
        }
        let limit = if limit == 0 { usize::MAX } else { limit };
        let lines = self.log.iter().enumerate().skip(start).take(limit);
        let page = lines
            .map(|(index, text)| json!({"n": index + 1, "t": text}))
            .collect();
        (page, self.log.len())
    }
}

/// All jobs, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tasks {
    last_pid: u32,
    order: Vec<String>,
    all: BTreeMap<String, Task>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            last_pid: 200,
            order: Vec::new(),
            all: BTreeMap::new(),
        }
    }
}

impl Tasks {
    /// Records a new job and gives its UPID.
    pub(crate) fn begin(
        &mut self,
        node: &str,
        kind: &str,
        id: &str,
        who: &Who,
        now: i64,
    ) -> String {
        self.last_pid += 3;
        let pid = self.last_pid;
        let pstart = 600_000 + pid * 41;
        let started = u32::try_from(now).unwrap_or(u32::MAX);
        let upid = format!(
            "UPID:{node}:{pid:08X}:{pstart:08X}:{started:08X}:{kind}:{id}:{}:",
            who.full()
        );
        let task = Task {
            upid: upid.clone(),
            node: node.to_owned(),
            pid,
            pstart,
            starttime: now,
            kind: kind.to_owned(),
            id: id.to_owned(),
            who: who.clone(),
            endtime: None,
            exit: None,
            log: Vec::new(),
            warnings: 0,
        };
        self.order.push(upid.clone());
        self.all.insert(upid.clone(), task);
        upid
    }

    /// Adds lines to a job's log.
    pub(crate) fn log(&mut self, upid: &str, lines: impl IntoIterator<Item = String>) {
        if let Some(task) = self.all.get_mut(upid) {
            for line in lines {
                if line.starts_with("WARN: ") {
                    task.warnings += 1;
                }
                task.log.push(line);
            }
        }
    }

    /// Ends a job.
    pub(crate) fn end(&mut self, upid: &str, result: Result<(), String>, now: i64) {
        let Some(task) = self.all.get_mut(upid) else {
            return;
        };
        let (exit, line) = match result {
            Ok(()) if task.warnings > 0 => {
                let exit = format!("WARNINGS: {}", task.warnings);
                (exit.clone(), format!("TASK {exit}"))
            }
            Ok(()) => ("OK".to_owned(), "TASK OK".to_owned()),
            Err(why) => (why.clone(), format!("TASK ERROR: {why}")),
        };
        task.log.push(line);
        task.exit = Some(exit);
        task.endtime = Some(now);
    }

    /// What a restarted node says of jobs that were running: nobody knows how they ended.
    pub(crate) fn abandon(&mut self, now: i64) {
        for task in self.all.values_mut().filter(|task| task.exit.is_none()) {
            task.exit = Some("unexpected status".to_owned());
            task.endtime = Some(now);
        }
    }

    /// A job by its UPID.
    pub(crate) fn find(&self, upid: &str) -> Option<&Task> {
        self.all.get(upid)
    }

    /// All jobs, newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Task> {
        self.order
            .iter()
            .rev()
            .filter_map(|upid| self.all.get(upid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_upid_names_node_start_kind_id_and_owner() {
        let who = Who {
            user: "infra@pve".to_owned(),
            token: Some("lab".to_owned()),
        };
        let mut tasks = Tasks::default();
        let upid = tasks.begin("pve", "qmstart", "110", &who, 1_795_195_955);
        assert_eq!(
            upid,
            "UPID:pve:000000CB:00094843:6B008433:qmstart:110:infra@pve!lab:"
        );
        assert_eq!(
            tasks.find(&upid).expect("known").status()["status"],
            "running"
        );
        tasks.log(&upid, ["WARN: x".to_owned()]);
        tasks.end(&upid, Ok(()), 1_795_195_956);
        assert_eq!(
            tasks.find(&upid).expect("known").status()["exitstatus"],
            "WARNINGS: 1"
        );
        assert_eq!(tasks.find(&upid).expect("known").page(0, 1).1, 2);
    }

    #[test]
    fn a_job_that_ran_when_the_node_died_has_an_unexpected_status() {
        let who = Who {
            user: "root@pam".to_owned(),
            token: None,
        };
        let mut tasks = Tasks::default();
        let upid = tasks.begin("pve", "qmstart", "110", &who, 0);
        tasks.abandon(1);
        assert_eq!(
            tasks.find(&upid).expect("known").exit.as_deref(),
            Some("unexpected status")
        );
    }
}
